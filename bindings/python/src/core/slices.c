/* Setting and deleting slices. (Reading one makes a copy: copies.c.) */
#include "core.h"

/* A slice of an array, as far as that is as long as it was. */
typedef struct {
    Py_ssize_t start, stop, step, count;
} Range;

static void fit(Range *range, MmapArray *array) {
    range->count = PySlice_AdjustIndices(mbapy_length(array), &range->start, &range->stop, range->step);
    if ((range->step > 0 && range->start > range->stop) || (range->step < 0 && range->start < range->stop))
        range->stop = range->start;
}

/* Copies what is between those elements that go. */
static void copy_between(MmapArray *array, const Range *range, Py_ssize_t length, char *to) {
    size_t size = array->kind->size;
    for (Py_ssize_t i = 0; i < range->count; i++) {
        Py_ssize_t from = range->start + i * range->step + 1;
        Py_ssize_t next = i + 1 < range->count ? from + range->step - 1 : length;
        size_t bytes = (size_t)(next - from) * size;
        memmove(to, array->data + (size_t)from * size, bytes);
        to += bytes;
    }
}

/* Of an array over an mmap object, which may refuse to become shorter: then all must be as it was. */
static int delete_steps_of_mmap(MmapArray *array, const Range *range) {
    Py_ssize_t length = mbapy_length(array);
    Py_ssize_t kept = length - range->start - range->count;
    char *values = PyMem_Malloc((size_t)kept * array->kind->size + 1);
    if (values == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    copy_between(array, range, length, values);
    int result = mbapy_splice(array, range->start, length - range->start, values, kept);
    PyMem_Free(values);
    return result;
}

static int delete_slice(MmapArray *array, Range range) {
    if (mbapy_hold(array) < 0)
        return -1;
    fit(&range, array);
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
    if (array->mmap != NULL)
        return delete_steps_of_mmap(array, &range);
    /* The rest moves up; then the array becomes shorter at its end. */
    Py_ssize_t length = mbapy_length(array);
    copy_between(array, &range, length, array->data + (size_t)range.start * array->kind->size);
    return mbapy_splice(array, length - range.count, range.count, NULL, 0);
}

static int assign_each(MmapArray *array, Range range, const Elements *elements) {
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
    size_t size = array->kind->size;
    char *values = PyMem_Malloc((size_t)range.count * size);
    if (values == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(values, elements->data, (size_t)range.count * size);
    for (Py_ssize_t i = 0; i < range.count; i++)
        mbapy_put(array->kind, array->data + (size_t)(range.start + i * range.step) * size,
                  values + (size_t)i * size);
    PyMem_Free(values);
    return 0;
}

/* Whether an object's memory is nobody else's, so that it can't be the array's through another handle. */
static bool has_own_memory(State *state, PyObject *object) {
    return Py_TYPE(object) == state->standard_array || PyBytes_CheckExact(object) || PyByteArray_CheckExact(object);
}

static int assign_range(MmapArray *array, Range range, PyObject *value, Elements *elements) {
    Range now = range;
    fit(&now, array);
    if (elements->count == now.count) /* which needs no lock */
        return mbapy_splice(array, now.start, now.count, elements->data, elements->count);
    if (mbapy_hold(array) < 0)
        return -1;
    fit(&range, array);
    if (value == (PyObject *)array)
        elements->count = mbapy_length(array);
    if (value == (PyObject *)array || has_own_memory(array->state, value))
        return mbapy_splice(array, range.start, range.count, elements->data, elements->count);
    /* It may be another handle on the same memory, or a view of one, whose elements move under it. */
    size_t bytes = (size_t)elements->count * array->kind->size;
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
    Elements elements;
    int borrowed = mbapy_borrow(array, value, &elements);
    if (borrowed < 0)
        return -1;
    if (borrowed == 0) {
        PyErr_Format(PyExc_TypeError, "can only assign an array, or a contiguous buffer, of typecode '%s' to an array "
                                      "slice, not %R", array->kind->code, Py_TYPE(value));
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
        fit(&range, array);
        result = assign_each(array, range, &elements);
    }
    mbapy_give_back(&elements);
    return result;
}
