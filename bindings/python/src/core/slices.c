/* Setting and deleting slices. A slice that is read is a copy, which copies.c makes. */
#include "core.h"

/* A slice: as it was given, and after `adjust` the elements of an array of the length that this has then. */
typedef struct {
    Py_ssize_t start, stop, step, count;
} Range;

static void adjust(Range *range, MmapArray *array) {
    range->count = PySlice_AdjustIndices(mbapy_length(array), &range->start, &range->stop, range->step);
    if ((range->step > 0 && range->start > range->stop) || (range->step < 0 && range->start < range->stop))
        range->stop = range->start;
}

/*
 * Deletes elements with a step between them. What stays between the first and the last of them is put aside, and takes their
 * place in one call, which others hear of, and which leaves all as it was if it fails.
 */
static int delete_steps(MmapArray *array, const Range *range) {
    size_t size = array->element_type->size;
    Py_ssize_t span = (range->count - 1) * range->step + 1;
    Py_ssize_t kept = span - range->count;
    char *values = PyMem_Malloc((size_t)kept * size + 1);
    if (values == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    size_t between = (size_t)(range->step - 1) * size;
    const char *from = array->data + (size_t)(range->start + 1) * size;
    for (Py_ssize_t i = 0; i + 1 < range->count; i++)
        memcpy(values + (size_t)i * between, from + (size_t)i * (between + size), between);
    int result = mbapy_splice(array, range->start, span, values, kept);
    PyMem_Free(values);
    return result;
}

static int delete_slice(MmapArray *array, Range range) {
    if (mbapy_take_growth_lock(array) < 0)
        return -1;
    adjust(&range, array);
    if (range.count == 0)
        return 0;
    if (range.step == 1)
        return mbapy_splice(array, range.start, range.count, NULL, 0);
    if (mbapy_may_change(array, true) < 0 || mbapy_may_write(array) < 0)
        return -1;
    if (range.step < 0) {
        range.start += range.step * (range.count - 1);
        range.step = -range.step;
    }
    return delete_steps(array, &range);
}

/* Sets the elements of a slice with a step, whose number can't change. */
static int assign_each(MmapArray *array, Range range, const BorrowedElements *elements) {
    if (elements->count != range.count) {
        PyErr_Format(PyExc_ValueError, "attempt to assign array of size %zd to extended slice of size %zd",
                     elements->count, range.count);
        return -1;
    }
    if (range.count == 0)
        return mbapy_must_be_open(array);
    if (mbapy_may_write(array) < 0)
        return -1;
    /* The values may be the array's own. */
    size_t size = array->element_type->size;
    char *values = PyMem_Malloc((size_t)range.count * size);
    if (values == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(values, elements->data, (size_t)range.count * size);
    for (Py_ssize_t i = 0; i < range.count; i++)
        mbapy_copy_element(array->element_type, array->data + (size_t)(range.start + i * range.step) * size,
                           values + (size_t)i * size);
    PyMem_Free(values);
    return 0;
}

/* Whether an object's memory is nobody else's, so that it can't be the array's through another handle. */
static bool has_own_memory(State *state, PyObject *object) {
    return Py_TYPE(object) == state->standard_array || PyBytes_CheckExact(object) || PyByteArray_CheckExact(object);
}

/* Replaces a slice without a step, by any number of elements. */
static int assign_range(MmapArray *array, Range range, PyObject *value, BorrowedElements *elements) {
    Range now = range;
    adjust(&now, array);
    if (elements->count == now.count) /* which needs no lock */
        return mbapy_splice(array, now.start, now.count, elements->data, elements->count);
    if (mbapy_take_growth_lock(array) < 0)
        return -1;
    adjust(&range, array);
    if (value == (PyObject *)array)
        elements->count = mbapy_length(array);
    if (value == (PyObject *)array || has_own_memory(array->state, value))
        return mbapy_splice(array, range.start, range.count, elements->data, elements->count);
    /* The elements may be in the same memory, by another handle or a view of one, and move during the change. */
    size_t bytes = (size_t)elements->count * array->element_type->size;
    char *values = PyMem_Malloc(bytes + 1);
    if (values == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(values, elements->data, bytes);
    int result = mbapy_splice(array, range.start, range.count, values, elements->count);
    PyMem_Free(values);
    return result;
}

int mbapy_assign_slice(MmapArray *array, PyObject *slice, PyObject *value) {
    Range range;
    if (PySlice_Unpack(slice, &range.start, &range.stop, &range.step) < 0)
        return -1;
    if (mbapy_must_be_open(array) < 0)
        return -1;
    if (value == NULL)
        return delete_slice(array, range);
    BorrowedElements elements;
    int borrowed = mbapy_borrow(array, value, &elements);
    if (borrowed < 0)
        return -1;
    if (borrowed == 0) {
        PyErr_Format(PyExc_TypeError, "can only assign an array, or a contiguous buffer, of typecode '%s' to an array "
                                      "slice, not %R", array->element_type->code, Py_TYPE(value));
        return -1;
    }
    int result;
    if (mbapy_must_be_open(array) < 0) {
        result = -1;
    } else if (range.step == 1) {
        result = assign_range(array, range, value, &elements);
    } else if (elements.count == 0) {
        result = delete_slice(array, range); /* an oddity of array.array's: nothing, with any step, deletes */
    } else {
        adjust(&range, array);
        result = assign_each(array, range, &elements);
    }
    mbapy_give_back(&elements);
    return result;
}
