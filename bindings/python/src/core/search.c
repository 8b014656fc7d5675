/* Search for elements that equal an object: x in a, index() and count(). */
#include "core.h"

Py_ssize_t mbapy_find(MmapArray *array, PyObject *value, Py_ssize_t start, Py_ssize_t stop) {
    Item item;
    if (mbapy_must_be_open(array) < 0)
        return -2;
    Seek seek = array->element_type->seek(value, item.bytes);
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
        PyObject *element = array->element_type->load(array->data, i);
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
    Seek seek = array->element_type->seek(value, item.bytes);
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
            PyObject *element = array->element_type->load(array->data, i);
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

PyMethodDef mbapy_search_methods[] = {
    {"count", count_method, METH_O,
     PyDoc_STR("count($self, value, /)\n--\n\nReturn the number of elements equal to the value.")},
    {"index", (PyCFunction)(void (*)(void))index_method, METH_FASTCALL,
     PyDoc_STR("index($self, value, start=0, stop=sys.maxsize, /)\n--\n\nReturn the index of the first element equal "
               "to the value; ValueError if there is none.")},
    {NULL, NULL, 0, NULL},
};
