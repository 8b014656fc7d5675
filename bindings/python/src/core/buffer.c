/* The buffer protocol, by which others see the elements where they are; and buffer_info(). */
#include "core.h"

int mbapy_may_look(MmapArray *array) {
    if (LIKELY(array->writable != NULL))
        return 0;
    if (mbapy_must_be_open(array) < 0)
        return -1;
    return mba_is_readonly(array->handle) ? 0 : mbapy_may_write(array);
}

static int get_buffer_inside(MmapArray *array, Py_buffer *view, int flags) {
    if (view == NULL) {
        PyErr_SetString(PyExc_BufferError, "a view is required");
        return -1;
    }
    view->obj = NULL;
    bool readonly = false;
    if (UNLIKELY(array->writable == NULL)) {
        if (mbapy_may_look(array) < 0)
            return -1;
        readonly = mba_is_readonly(array->handle);
        if (readonly && (flags & PyBUF_WRITABLE) == PyBUF_WRITABLE) {
            PyErr_SetString(PyExc_BufferError, "the array is read-only");
            return -1;
        }
    }
    Py_ssize_t count = mbapy_length(array);
    view->buf = array->data;
    view->len = count * array->element_type->size;
    view->readonly = readonly;
    view->itemsize = array->element_type->size;
    view->ndim = 1;
    view->format = (flags & PyBUF_FORMAT) == PyBUF_FORMAT ? (char *)array->element_type->format : NULL;
    /* Each view keeps the length it was made with, in the field that is the exporter's own. */
    view->internal = (void *)count;
    view->shape = (flags & PyBUF_ND) == PyBUF_ND ? (Py_ssize_t *)&view->internal : NULL;
    view->strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? &view->itemsize : NULL;
    view->suboffsets = NULL;
    view->obj = Py_NewRef((PyObject *)array);
    mbapy_begin_export(array);
    return 0;
}

int mbapy_get_buffer(PyObject *self, Py_buffer *view, int flags) {
    ENTER(self);
    int result = get_buffer_inside((MmapArray *)self, view, flags);
    LEAVE();
    return result;
}

void mbapy_release_buffer(PyObject *self, Py_buffer *view) {
    (void)view;
    ENTER(self);
    mbapy_end_export((MmapArray *)self);
    LEAVE();
}

static PyObject *buffer_info(MmapArray *array) {
    if (mbapy_must_be_open(array) < 0)
        return NULL;
    PyObject *address = PyLong_FromVoidPtr(array->data);
    return address == NULL ? NULL : Py_BuildValue("Nn", address, mbapy_length(array));
}

METHOD_WITH_RESULT(buffer_info_method, buffer_info)

PyMethodDef mbapy_buffer_methods[] = {
    {"buffer_info", buffer_info_method, METH_NOARGS,
     PyDoc_STR("buffer_info($self, /)\n--\n\nReturn the address of the first element and the number of elements.")},
    {NULL, NULL, 0, NULL},
};
