/* len(a), and what stands in brackets: items are dealt with here, and slices handed on. */
#include "core.h"

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
    return array->element_type->load(array->data, index);
}

PyObject *mbapy_item(PyObject *self, Py_ssize_t index) {
    ENTER(self);
    /* The caller has added the length to a negative index already; what is still negative is out of range. */
    MmapArray *array = (MmapArray *)self;
    PyObject *item = index < 0 ? no_such_index(array, "array index out of range") : item_inside(array, index);
    LEAVE();
    return item;
}

/* An index as a number. -1 can be one, or mean an exception: PyErr_Occurred() tells. */
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
    } else if (PyTuple_CheckExact(key) && PyTuple_Size(key) == 1) {
        result = mbapy_subscript(self, PyTuple_GetItem(key, 0)); /* the index of one dimension, as array libraries have it */
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
    if (array->element_type->convert(value, item.bytes) < 0)
        return -1;
    if (UNLIKELY(array->writable == NULL) && mbapy_may_write(array) < 0)
        return -1;
    /* The value's conversion may have changed the length. */
    if (UNLIKELY((size_t)at >= (size_t)mbapy_length(array))) {
        no_such_index(array, "array assignment index out of range");
        return -1;
    }
    mbapy_copy_element(array->element_type, array->data + at * array->element_type->size, item.bytes);
    return 0;
}

static int delete_item(MmapArray *array, Py_ssize_t index) {
    if (mbapy_take_growth_lock(array) < 0)
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

int mbapy_assign_item(PyObject *self, Py_ssize_t index, PyObject *value) {
    MmapArray *array = (MmapArray *)self;
    int result = -1;
    ENTER(self);
    /* As above. */
    if (index < 0)
        no_such_index(array, "array assignment index out of range");
    else
        result = value == NULL ? delete_item(array, index) : set_item(array, index, value);
    LEAVE();
    return result;
}

int mbapy_assign_subscript(PyObject *self, PyObject *key, PyObject *value) {
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
        result = mbapy_assign_slice(array, key, value);
        LEAVE();
    } else {
        PyErr_Format(PyExc_TypeError, "array indices must be integers or slices, not %R", Py_TYPE(key));
        result = -1;
    }
    return result;
}
