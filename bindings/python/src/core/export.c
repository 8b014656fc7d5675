/* Elements go out to other objects: to lists, bytes, text and files. */
#include "core.h"

/*
 * The limited API fills a list by a call with checks for each element. array.array has no need of these calls, so that
 * a copy as an array.array and its tolist() are faster, from a number of elements on. But the copy takes memory
 * meanwhile.
 */
#define LEAST_BY_COPY 512
#define MOST_BY_COPY ((Py_ssize_t)64 << 20) /* bytes */

static PyObject *list_by_copy(MmapArray *array, PyObject *template, Py_ssize_t count) {
    PyObject *copy = mbapy_standard_copy(array, template, 0, 1, count);
    PyObject *list = copy == NULL ? NULL : PyObject_CallMethod(copy, "tolist", NULL);
    Py_XDECREF(copy);
    return list;
}

PyObject *mbapy_list_of(MmapArray *array, const char *data, Py_ssize_t count) {
    PyObject *list = PyList_New(count);
    if (list != NULL && array->element_type->fill(list, data, count) < 0)
        Py_CLEAR(list);
    return list;
}

PyObject *mbapy_to_list(MmapArray *array) {
    PyObject *template = mbapy_template_of(array->state, array->element_type);
    if (template == NULL || mbapy_must_be_open(array) < 0)
        return NULL;
    Py_ssize_t count = mbapy_length(array);
    bool by_copy = template != Py_None && count >= LEAST_BY_COPY && count <= MOST_BY_COPY / array->element_type->size;
    /* Making the list may collect garbage, and so run code, which may close the array: the elements stay where they are. */
    mbapy_begin_export(array);
    PyObject *list = by_copy ? list_by_copy(array, template, count) : mbapy_list_of(array, array->data, count);
    mbapy_end_export(array);
    return list;
}

PyObject *mbapy_to_text(MmapArray *array) {
    if (array->element_type->class != TEXT) {
        PyErr_Format(PyExc_ValueError, "tounicode() may only be called on unicode type arrays ('u' or 'w'), not '%s'",
                     array->element_type->code);
        return NULL;
    }
    if (mbapy_must_be_open(array) < 0)
        return NULL;
    return PyUnicode_FromWideChar((const wchar_t *)(const void *)array->data, mbapy_length(array));
}

static PyObject *to_bytes(MmapArray *array) {
    if (mbapy_must_be_open(array) < 0)
        return NULL;
    return PyBytes_FromStringAndSize(array->data, mbapy_length(array) * array->element_type->size);
}

/* As array.array does it, in blocks, so that files get bytes objects and nobody keeps a view. */
static int write_to_file(MmapArray *array, PyObject *file) {
    const Py_ssize_t block = 64 * 1024;
    if (mbapy_must_be_open(array) < 0)
        return -1;
    for (Py_ssize_t at = 0; at < mbapy_length(array) * array->element_type->size; at += block) {
        Py_ssize_t left = mbapy_length(array) * array->element_type->size - at;
        PyObject *bytes = PyBytes_FromStringAndSize(array->data + at, left < block ? left : block);
        PyObject *result = bytes == NULL ? NULL : PyObject_CallMethod(file, "write", "O", bytes);
        Py_XDECREF(bytes);
        if (result == NULL)
            return -1;
        Py_DECREF(result);
    }
    return mbapy_must_be_open(array); /* the file may have closed it */
}

METHOD_WITH_RESULT(tolist_method, mbapy_to_list)
METHOD_WITH_RESULT(tobytes_method, to_bytes)
METHOD_WITH_RESULT(tounicode_method, mbapy_to_text)
METHOD_WITH_ARGUMENT(tofile_method, write_to_file)

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
