/* The array as a sequence: items, slices, membership, comparison, + and *. */
#include "core.h"

/* Items. */

Py_ssize_t mbapy_len(PyObject *self) {
    MmapArray *array = (MmapArray *)self;
    ENTER(self);
    Py_ssize_t length = array->count;
    if (UNLIKELY(length < 0))
        length = array->handle != NULL ? mbapy_length(array) : mbapy_must_be_open(array);
    LEAVE();
    return length;
}

static PyObject *no_such_index(MmapArray *array, const char *message) {
    if (mbapy_must_be_open(array) == 0)
        PyErr_SetString(PyExc_IndexError, message);
    return NULL;
}

static inline PyObject *item_inside(MmapArray *array, Py_ssize_t index) {
    Py_ssize_t length = mbapy_length(array);
    if (index < 0)
        index += length;
    if (UNLIKELY((size_t)index >= (size_t)length))
        return no_such_index(array, "array index out of range");
    return array->kind->load(array->data, index);
}

PyObject *mbapy_item(PyObject *self, Py_ssize_t index) {
    ENTER(self);
    /* The caller has added the length to a negative index already; what is still negative is out of range. */
    MmapArray *array = (MmapArray *)self;
    PyObject *item = index < 0 ? no_such_index(array, "array index out of range") : item_inside(array, index);
    LEAVE();
    return item;
}

/* An index as a number; -1 and an exception, which is to be asked for. */
static inline Py_ssize_t index_of(PyObject *key) {
    if (LIKELY(PyLong_CheckExact(key))) {
        Py_ssize_t index = PyLong_AsSsize_t(key);
        if (UNLIKELY(index == -1) && PyErr_Occurred()) {
            PyErr_Clear();
            return PyNumber_AsSsize_t(key, PyExc_IndexError);
        }
        return index;
    }
    return PyNumber_AsSsize_t(key, PyExc_IndexError);
}

PyObject *mbapy_subscript(PyObject *self, PyObject *key) {
    PyObject *result;
    if (LIKELY(PyLong_CheckExact(key)) || PyIndex_Check(key)) {
        Py_ssize_t index = index_of(key);
        if (UNLIKELY(index == -1) && PyErr_Occurred())
            return NULL;
        ENTER(self);
        result = item_inside((MmapArray *)self, index);
        LEAVE();
    } else if (PySlice_Check(key)) {
        ENTER(self);
        result = mbapy_copy_slice((MmapArray *)self, key);
        LEAVE();
    } else {
        PyErr_Format(PyExc_TypeError, "array indices must be integers or slices, not %R", Py_TYPE(key));
        result = NULL;
    }
    return result;
}

static int set_item(MmapArray *array, Py_ssize_t index, PyObject *value) {
    Item item;
    Py_ssize_t length = mbapy_length(array);
    Py_ssize_t at = index < 0 ? index + length : index;
    if (UNLIKELY((size_t)at >= (size_t)length)) {
        no_such_index(array, "array assignment index out of range");
        return -1;
    }
    if (array->kind->convert(value, item.bytes) < 0)
        return -1;
    if (UNLIKELY(array->writable == NULL) && mbapy_may_write(array) < 0)
        return -1;
    /* The value's conversion may have changed the length. */
    if (UNLIKELY((size_t)at >= (size_t)mbapy_length(array))) {
        no_such_index(array, "array assignment index out of range");
        return -1;
    }
    mbapy_put(array->kind, array->data + at * array->kind->size, item.bytes);
    return 0;
}

static int delete_item(MmapArray *array, Py_ssize_t index) {
    if (mbapy_hold(array) < 0)
        return -1;
    Py_ssize_t length = mbapy_length(array);
    if (index < 0)
        index += length;
    if ((size_t)index >= (size_t)length) {
        no_such_index(array, "array assignment index out of range");
        return -1;
    }
    return mbapy_splice(array, index, 1, NULL, 0);
}

/* As C code asks for it; the length has been added to a negative index already. */
int mbapy_assign_item(PyObject *self, Py_ssize_t index, PyObject *value) {
    MmapArray *array = (MmapArray *)self;
    int result = -1;
    ENTER(self);
    if (index < 0)
        no_such_index(array, "array assignment index out of range");
    else
        result = value == NULL ? delete_item(array, index) : set_item(array, index, value);
    LEAVE();
    return result;
}

/* Slices. */

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

static int assign_slice(MmapArray *array, PyObject *key, PyObject *value) {
    Range range;
    if (PySlice_Unpack(key, &range.start, &range.stop, &range.step) < 0)
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

int mbapy_assign(PyObject *self, PyObject *key, PyObject *value) {
    MmapArray *array = (MmapArray *)self;
    int result;
    if (LIKELY(PyLong_CheckExact(key)) || PyIndex_Check(key)) {
        Py_ssize_t index = index_of(key);
        if (UNLIKELY(index == -1) && PyErr_Occurred())
            return -1;
        ENTER(self);
        result = value == NULL ? delete_item(array, index) : set_item(array, index, value);
        LEAVE();
    } else if (PySlice_Check(key)) {
        ENTER(self);
        result = assign_slice(array, key, value);
        LEAVE();
    } else {
        PyErr_Format(PyExc_TypeError, "array indices must be integers or slices, not %R", Py_TYPE(key));
        result = -1;
    }
    return result;
}

/* Search. */

Py_ssize_t mbapy_find(MmapArray *array, PyObject *value, Py_ssize_t start, Py_ssize_t stop) {
    Item item;
    if (mbapy_must_be_open(array) < 0)
        return -2;
    Seek seek = array->kind->seek(value, item.bytes);
    if (seek == SEEK_FAILED)
        return -2;
    if (seek == SEEK_NOTHING)
        return -1;
    if (seek == SEEK_VALUE) {
        size_t index;
        int code = mba_find(array->handle, item.bytes, (size_t)start, (size_t)stop, &index);
        if (code == MBA_OK)
            return (Py_ssize_t)index;
        if (code == MBA_ENOTFOUND)
            return -1;
        mbapy_fail(array, code);
        return -2;
    }
    /* Comparing may run code that changes the array. */
    for (Py_ssize_t i = start; i < stop && i < mbapy_length(array); i++) {
        PyObject *element = array->kind->load(array->data, i);
        int equal = element == NULL ? -1 : PyObject_RichCompareBool(element, value, Py_EQ);
        Py_XDECREF(element);
        if (equal < 0)
            return -2;
        if (equal)
            return i;
    }
    return -1;
}

int mbapy_contains(PyObject *self, PyObject *value) {
    ENTER(self);
    Py_ssize_t index = mbapy_find((MmapArray *)self, value, 0, PY_SSIZE_T_MAX);
    LEAVE();
    return index == -2 ? -1 : index >= 0;
}

static PyObject *count_inside(MmapArray *array, PyObject *value) {
    Item item;
    size_t count = 0;
    if (mbapy_must_be_open(array) < 0)
        return NULL;
    Seek seek = array->kind->seek(value, item.bytes);
    if (seek == SEEK_FAILED)
        return NULL;
    if (seek == SEEK_VALUE) {
        int code = mba_count(array->handle, item.bytes, &count);
        if (code != MBA_OK) {
            mbapy_fail(array, code);
            return NULL;
        }
    }
    if (seek == SEEK_OBJECT) {
        for (Py_ssize_t i = 0; i < mbapy_length(array); i++) {
            PyObject *element = array->kind->load(array->data, i);
            int equal = element == NULL ? -1 : PyObject_RichCompareBool(element, value, Py_EQ);
            Py_XDECREF(element);
            if (equal < 0)
                return NULL;
            count += (size_t)equal;
        }
    }
    return PyLong_FromSize_t(count);
}

static PyObject *count_method(PyObject *self, PyObject *value) {
    ENTER(self);
    PyObject *count = count_inside((MmapArray *)self, value);
    LEAVE();
    return count;
}

/* A bound of index(), which counts from the end if it is negative. */
static int bound(PyObject *object, Py_ssize_t *result) {
    if (!PyIndex_Check(object)) {
        PyErr_SetString(PyExc_TypeError, "slice indices must be integers or have an __index__ method");
        return -1;
    }
    *result = PyNumber_AsSsize_t(object, NULL);
    return *result == -1 && PyErr_Occurred() ? -1 : 0;
}

static PyObject *index_inside(MmapArray *array, PyObject *value, Py_ssize_t start, Py_ssize_t stop) {
    Py_ssize_t length = mbapy_length(array);
    if (start < 0 && (start += length) < 0)
        start = 0;
    if (stop < 0 && (stop += length) < 0)
        stop = 0;
    Py_ssize_t index = mbapy_find(array, value, start, stop);
    if (index >= 0)
        return PyLong_FromSsize_t(index);
    if (index == -1)
        PyErr_SetString(PyExc_ValueError, "array.index(x): x not in array");
    return NULL;
}

static PyObject *index_method(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
    Py_ssize_t start = 0, stop = PY_SSIZE_T_MAX;
    if (count < 1 || count > 3) {
        PyErr_Format(PyExc_TypeError, "index expected 1 to 3 arguments, got %zd", count);
        return NULL;
    }
    if ((count > 1 && bound(arguments[1], &start) < 0) || (count > 2 && bound(arguments[2], &stop) < 0))
        return NULL;
    ENTER(self);
    PyObject *index = index_inside((MmapArray *)self, arguments[0], start, stop);
    LEAVE();
    return index;
}

static PyObject *remove_inside(MmapArray *array, PyObject *value) {
    Py_ssize_t index = mbapy_find(array, value, 0, PY_SSIZE_T_MAX);
    if (index >= 0 && array->mmap == NULL && (array->busy || !mba_has_lock(array->handle))) {
        /* Others may have changed it until now, or do so while this thread waits. */
        if (mbapy_hold(array) < 0)
            return NULL;
        index = mbapy_find(array, value, 0, PY_SSIZE_T_MAX);
    }
    if (index == -1)
        PyErr_SetString(PyExc_ValueError, "array.remove(x): x not in array");
    if (index < 0 || mbapy_splice(array, index, 1, NULL, 0) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *remove_method(PyObject *self, PyObject *value) {
    ENTER(self);
    PyObject *result = remove_inside((MmapArray *)self, value);
    LEAVE();
    return result;
}

/* One at a time: append, insert, pop. */

static PyObject *append_method(PyObject *self, PyObject *value) {
    MmapArray *array = (MmapArray *)self;
    Item item;
    ENTER(self);
    int result = array->kind->convert(value, item.bytes);
    if (LIKELY(result == 0)) {
        /* If it fails, the long way finds out why. */
        mbapy_length_changed(array);
        if (UNLIKELY(array->growable == NULL) || UNLIKELY(mba_append(array->growable, item.bytes) != MBA_OK)) {
            result = mbapy_must_be_open(array);
            if (result == 0)
                result = mbapy_extend(array, item.bytes, 1);
        }
    }
    LEAVE();
    if (UNLIKELY(result < 0))
        return NULL;
    Py_RETURN_NONE;
}

static int insert_inside(MmapArray *array, Py_ssize_t index, PyObject *value) {
    Item item;
    if (array->kind->convert(value, item.bytes) < 0 || mbapy_hold(array) < 0)
        return -1;
    Py_ssize_t length = mbapy_length(array);
    if (index < 0 && (index += length) < 0)
        index = 0;
    if (index > length)
        index = length;
    return mbapy_splice(array, index, 0, item.bytes, 1);
}

static PyObject *insert_method(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
    if (count != 2) {
        PyErr_Format(PyExc_TypeError, "insert expected 2 arguments, got %zd", count);
        return NULL;
    }
    Py_ssize_t index = PyNumber_AsSsize_t(arguments[0], PyExc_OverflowError);
    if (index == -1 && PyErr_Occurred())
        return NULL;
    ENTER(self);
    int result = insert_inside((MmapArray *)self, index, arguments[1]);
    LEAVE();
    if (result < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* Takes the last element away where that needs no question; NULL without an exception where it does. */
static PyObject *pop_last(MmapArray *array) {
    Item item;
    if (UNLIKELY(array->growable == NULL) || array->exports > 0 || array->exact)
        return NULL;
    mbapy_length_changed(array);
    if (UNLIKELY(mba_pop(array->growable, item.bytes) != MBA_OK))
        return NULL;
    PyObject *value = array->kind->load(item.bytes, 0);
    if (UNLIKELY(value == NULL))
        mba_append(array->growable, item.bytes); /* into the place it left, which can't fail */
    return value;
}

static PyObject *pop_inside(MmapArray *array, Py_ssize_t index) {
    if (mbapy_hold(array) < 0)
        return NULL;
    Py_ssize_t length = mbapy_length(array);
    if (length == 0) {
        PyErr_SetString(PyExc_IndexError, "pop from empty array");
        return NULL;
    }
    Py_ssize_t at = index < 0 ? index + length : index;
    if ((size_t)at >= (size_t)length) {
        PyErr_SetString(PyExc_IndexError, "pop index out of range");
        return NULL;
    }
    PyObject *value = array->kind->load(array->data, at);
    if (value != NULL && mbapy_splice(array, at, 1, NULL, 0) < 0)
        Py_CLEAR(value);
    return value;
}

static PyObject *pop_method(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
    Py_ssize_t index = -1;
    if (count > 0) {
        if (count > 1) {
            PyErr_Format(PyExc_TypeError, "pop expected at most 1 argument, got %zd", count);
            return NULL;
        }
        index = PyNumber_AsSsize_t(arguments[0], PyExc_OverflowError);
        if (index == -1 && PyErr_Occurred())
            return NULL;
    }
    ENTER(self);
    PyObject *result = LIKELY(index == -1) ? pop_last((MmapArray *)self) : NULL;
    /* If it fails, the long way finds out why. */
    if (UNLIKELY(result == NULL) && !PyErr_Occurred())
        result = pop_inside((MmapArray *)self, index);
    LEAVE();
    return result;
}

static PyObject *clear_method(PyObject *self, PyObject *unused) {
    (void)unused;
    ENTER(self);
    int result = mbapy_clear((MmapArray *)self);
    LEAVE();
    if (result < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* + and *. */

/* Appends another array or buffer of the same type, and nothing else. */
static int add(MmapArray *to, PyObject *other) {
    Elements elements;
    int borrowed = mbapy_borrow(to, other, &elements);
    if (borrowed < 0)
        return -1;
    if (borrowed == 0) {
        if (mbapy_is_any_array(to->state, other))
            PyErr_Format(PyExc_TypeError, "can only add an array of the same kind, of typecode '%s'",
                         to->kind->code);
        else
            PyErr_Format(PyExc_TypeError, "can only add an array to an array, not %R", Py_TYPE(other));
        return -1;
    }
    int result = mbapy_extend(to, elements.data, elements.count);
    mbapy_give_back(&elements);
    return result;
}

PyObject *mbapy_concat(PyObject *self, PyObject *other) {
    ENTER(self);
    MmapArray *sum = mbapy_copy((MmapArray *)self);
    LEAVE();
    if (sum != NULL && add(sum, other) < 0)
        Py_CLEAR(sum);
    return (PyObject *)sum;
}

PyObject *mbapy_inplace_concat(PyObject *self, PyObject *other) {
    ENTER(self);
    int result = add((MmapArray *)self, other);
    LEAVE();
    return result < 0 ? NULL : Py_NewRef(self);
}

PyObject *mbapy_repeat(PyObject *self, Py_ssize_t times) {
    MmapArray *array = (MmapArray *)self;
    MmapArray *product;
    if (times <= 0) {
        product = mbapy_must_be_open(array) < 0 ? NULL : mbapy_new_anonymous(array->state, array->kind);
    } else {
        ENTER(self);
        product = mbapy_copy(array);
        LEAVE();
        if (product != NULL && mbapy_multiply(product, times) < 0)
            Py_CLEAR(product);
    }
    return (PyObject *)product;
}

PyObject *mbapy_inplace_repeat(PyObject *self, Py_ssize_t times) {
    MmapArray *array = (MmapArray *)self;
    ENTER(self);
    int result;
    if (mbapy_must_be_open(array) < 0)
        result = -1;
    else if (mbapy_length(array) == 0 || times == 1)
        result = 0;
    else
        result = times <= 0 ? mbapy_clear(array) : mbapy_multiply(array, times);
    LEAVE();
    return result < 0 ? NULL : Py_NewRef(self);
}

/* Comparison. */

/* An array to compare with: a handle, and what keeps it. */
typedef struct {
    mba_array *handle;
    const Kind *kind;
    bool own; /* the handle was made for this, over the view; else it is that of an array of ours */
    Py_buffer view;
} Other;

static void done_with(Other *other) {
    if (!other->own)
        return;
    mba_free(other->handle);
    PyBuffer_Release(&other->view);
}

/* 1 if the object is an array, 0 if not. */
static int other_array(MmapArray *array, PyObject *object, Other *other) {
    if (mbapy_is_array(array->state, object)) {
        other->kind = ((MmapArray *)object)->kind;
        other->own = false;
        return 1;
    }
    if (!mbapy_is_any_array(array->state, object))
        return 0;
    if (PyObject_GetBuffer(object, &other->view, PyBUF_ND | PyBUF_FORMAT) < 0)
        return -1;
    other->kind = NULL;
    for (int i = 0; i < KINDS && other->kind == NULL; i++)
        if (mbapy_format_is(&mbapy_kinds[i], other->view.format, other->view.itemsize))
            other->kind = &mbapy_kinds[i];
    static _Alignas(WIDEST) char nothing[WIDEST]; /* an empty array may be nowhere in particular */
    void *data = other->view.len > 0 ? other->view.buf : nothing;
    int code = MBA_ETYPE;
    if (other->kind != NULL)
        code = mba_from_memory(data, (size_t)other->view.len, other->kind->type, MBA_RDONLY, &other->handle);
    if (code != MBA_OK) {
        PyBuffer_Release(&other->view);
        return mbapy_raise(array->state, code, NULL);
    }
    other->own = true;
    return 1;
}

/* As array.array does it: element by element as Python objects, up to the first two that differ. */
static PyObject *compare_objects(MmapArray *array, Other *other, int operation) {
    const char *theirs = mba_data_ptr(other->handle);
    Py_ssize_t left = mbapy_length(array), right = (Py_ssize_t)mba_len(other->handle);
    Py_ssize_t both = left < right ? left : right;
    for (Py_ssize_t i = 0; i < both; i++) {
        PyObject *a = array->kind->load(array->data, i);
        PyObject *b = a == NULL ? NULL : other->kind->load(theirs, i);
        int equal = b == NULL ? -1 : PyObject_RichCompareBool(a, b, Py_EQ);
        PyObject *result = NULL;
        if (equal == 0) {
            if (operation == Py_EQ || operation == Py_NE)
                result = PyBool_FromLong(operation == Py_NE);
            else
                result = PyObject_RichCompare(a, b, operation);
        }
        Py_XDECREF(a);
        Py_XDECREF(b);
        if (equal <= 0)
            return result;
    }
    Py_RETURN_RICHCOMPARE(left, right, operation);
}

static PyObject *compare_inside(MmapArray *array, Other *other, int operation) {
    if (mbapy_must_be_open(array) < 0)
        return NULL;
    bool equality = operation == Py_EQ || operation == Py_NE;
    size_t length = (size_t)mbapy_length(array);
    if (equality && length != mba_len(other->handle))
        return PyBool_FromLong(operation == Py_NE);
    Class class = array->kind->class;
    if (class != other->kind->class || array->kind->size != other->kind->size)
        return compare_objects(array, other, operation);
    int outcome;
    if (equality) {
        if (class == SIGNED || class == UNSIGNED || class == BYTE || class == TEXT) {
            /* Equal is what has the same bytes. */
            bool equal = memcmp(array->data, mba_data_ptr(other->handle), length * array->kind->size) == 0;
            return PyBool_FromLong(equal == (operation == Py_EQ));
        }
        if (mba_equal(array->handle, other->handle, &outcome) != MBA_OK)
            return compare_objects(array, other, operation);
        return PyBool_FromLong(outcome == (operation == Py_EQ));
    }
    /* What has no order says so in its own way: NaN, and complex numbers. */
    if (mba_compare(array->handle, other->handle, &outcome) != MBA_OK || outcome == MBA_UNORDERED)
        return compare_objects(array, other, operation);
    Py_RETURN_RICHCOMPARE(outcome, 0, operation);
}

PyObject *mbapy_compare(PyObject *self, PyObject *object, int operation) {
    MmapArray *array = (MmapArray *)self;
    Other other;
    int found = other_array(array, object, &other);
    if (found < 0)
        return NULL;
    if (found == 0)
        Py_RETURN_NOTIMPLEMENTED;
#ifdef Py_GIL_DISABLED
    PyCriticalSection2 both;
    PyCriticalSection2_Begin(&both, self, object);
#endif
    PyObject *result = NULL;
    if (!other.own)
        other.handle = ((MmapArray *)object)->handle;
    if (other.handle == NULL)
        mbapy_must_be_open((MmapArray *)object);
    else
        result = compare_inside(array, &other, operation);
#ifdef Py_GIL_DISABLED
    PyCriticalSection2_End(&both);
#endif
    done_with(&other);
    return result;
}

PyMethodDef mbapy_sequence_methods[] = {
    {"append", append_method, METH_O,
     PyDoc_STR("append($self, value, /)\n--\n\nAppend an element to the end of the array.")},
    {"insert", (PyCFunction)(void (*)(void))insert_method, METH_FASTCALL,
     PyDoc_STR("insert($self, index, value, /)\n--\n\nInsert an element before the index; a negative one counts from "
               "the end.")},
    {"pop", (PyCFunction)(void (*)(void))pop_method, METH_FASTCALL,
     PyDoc_STR("pop($self, index=-1, /)\n--\n\nRemove and return the element at the index, by default the last.")},
    {"remove", remove_method, METH_O,
     PyDoc_STR("remove($self, value, /)\n--\n\nRemove the first element equal to the value; ValueError if there is "
               "none.")},
    {"clear", clear_method, METH_NOARGS, PyDoc_STR("clear($self, /)\n--\n\nRemove all elements.")},
    {"count", count_method, METH_O,
     PyDoc_STR("count($self, value, /)\n--\n\nReturn the number of elements equal to the value.")},
    {"index", (PyCFunction)(void (*)(void))index_method, METH_FASTCALL,
     PyDoc_STR("index($self, value, start=0, stop=sys.maxsize, /)\n--\n\nReturn the index of the first element equal "
               "to the value; ValueError if there is none.")},
    {NULL, NULL, 0, NULL},
};
