/* Elements go out to other objects: lists, bytes, text and files. */
#include "core.h"

/*
 * Filling a list through the limited API takes a call and its checks for each element. array.array does without, so
 * that a copy of the elements in one of these and its tolist() are faster, from a few elements on; but the copy takes
 * memory for as long.
 */
#define LEAST_BY_COPY 512
#define MOST_BY_COPY ((Py_ssize_t)64 << 20) /* bytes */

static PyObject *list_by_copy(MmapArray *array, PyObject *one, Py_ssize_t count) {
    PyObject *copy = mbapy_standard_copy(array, one, 0, 1, count);
    PyObject *list = copy == NULL ? NULL : PyObject_CallMethod(copy, "tolist", NULL);
    Py_XDECREF(copy);
    return list;
}

static PyObject *list_by_filling(MmapArray *array, Py_ssize_t count) {
    PyObject *list = PyList_New(count);
    if (list != NULL && array->kind->fill(list, array->data, count) < 0)
        Py_CLEAR(list);
    return list;
}

PyObject *mbapy_to_list(MmapArray *array) {
    PyObject *one = mbapy_one_of(array->state, array->kind);
    if (one == NULL || mbapy_must_be_open(array) < 0)
        return NULL;
    Py_ssize_t count = mbapy_length(array);
    bool by_copy = one != Py_None && count >= LEAST_BY_COPY && count <= MOST_BY_COPY / array->kind->size;
    /* Making the list may collect garbage, and so run code, which must leave the elements where they are. */
    array->exports++;
    PyObject *list = by_copy ? list_by_copy(array, one, count) : list_by_filling(array, count);
    array->exports--;
    return list;
}

PyObject *mbapy_to_text(MmapArray *array) {
    if (array->kind->class != TEXT) {
        PyErr_Format(PyExc_ValueError, "tounicode() may only be called on unicode type arrays ('u' or 'w'), not '%s'",
                     array->kind->code);
        return NULL;
    }
    if (mbapy_must_be_open(array) < 0)
        return NULL;
    return PyUnicode_FromWideChar((const wchar_t *)(const void *)array->data, mbapy_length(array));
}

static PyObject *to_bytes(MmapArray *array) {
    if (mbapy_must_be_open(array) < 0)
        return NULL;
    return PyBytes_FromStringAndSize(array->data, mbapy_length(array) * array->kind->size);
}

/* As array.array does it, in blocks, so that files get bytes objects and nobody keeps a view. */
static int write_to_file(MmapArray *array, PyObject *file) {
    const Py_ssize_t block = 64 * 1024;
    if (mbapy_must_be_open(array) < 0)
        return -1;
    for (Py_ssize_t at = 0; at < mbapy_length(array) * array->kind->size; at += block) {
        Py_ssize_t left = mbapy_length(array) * array->kind->size - at;
        PyObject *bytes = PyBytes_FromStringAndSize(array->data + at, left < block ? left : block);
        PyObject *result = bytes == NULL ? NULL : PyObject_CallMethod(file, "write", "O", bytes);
        Py_XDECREF(bytes);
        if (result == NULL)
            return -1;
        Py_DECREF(result);
    }
    return mbapy_must_be_open(array); /* the file may have closed it */
}

METHOD_GIVING(tolist_method, mbapy_to_list)
METHOD_GIVING(tobytes_method, to_bytes)
METHOD_GIVING(tounicode_method, mbapy_to_text)
METHOD_TAKING(tofile_method, write_to_file)

PyMethodDef mbapy_export_methods[] = {
    {"tolist", tolist_method, METH_NOARGS, PyDoc_STR("tolist($self, /)\n--\n\nReturn a list of the elements.")},
    {"tobytes", tobytes_method, METH_NOARGS,
     PyDoc_STR("tobytes($self, /)\n--\n\nReturn the elements as bytes, as they are in memory.")},
    {"tostring", tobytes_method, METH_NOARGS, PyDoc_STR("tostring($self, /)\n--\n\nThe older name of tobytes().")},
    {"tounicode", tounicode_method, METH_NOARGS,
     PyDoc_STR("tounicode($self, /)\n--\n\nReturn the characters of an array of 'u' or 'w' as a str.")},
    {"tofile", tofile_method, METH_O,
     PyDoc_STR("tofile($self, file, /)\n--\n\nWrite the elements, as they are in memory, to a binary file.")},
    {NULL, NULL, 0, NULL},
};
