/* Exceptions: what the library's codes are in Python. */
#include "core.h"

#include <errno.h>

static PyObject *exception_of(int code) {
    switch (code) {
    case MBA_ETYPE:
    case MBA_EREADONLY: /* as mmap and memoryview say it */
    case MBA_EFIXED: return PyExc_TypeError;
    case MBA_EINDEX:
    case MBA_EEMPTY: return PyExc_IndexError;
    case MBA_ENOTFOUND: return PyExc_ValueError;
    case MBA_ELIMIT:
    case ENOMEM: return PyExc_MemoryError;
    case MBA_EPANIC: return PyExc_SystemError;
    default: return NULL;
    }
}

int mbapy_raise(State *state, int code, PyObject *name) {
    PyObject *exception = exception_of(code);
    const char *text = mba_strerror(code);
    if (exception != NULL) {
        if (name == NULL)
            PyErr_SetString(exception, text);
        else
            PyErr_Format(exception, "%s: %R", text, name);
        return -1;
    }
    /* OSError makes a subclass of itself by the number: FileNotFoundError, BlockingIOError, TimeoutError... */
    PyObject *type = code < 0 && code != MBA_ELOCKED ? state->file_state_error : PyExc_OSError;
    int number = code == MBA_ELOCKED ? EAGAIN : code;
    PyObject *error = name == NULL ? PyObject_CallFunction(type, "is", number, text)
                                   : PyObject_CallFunction(type, "isO", number, text, name);
    if (error != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
    return -1;
}

int mbapy_fail(MmapArray *array, int code) {
    return mbapy_raise(array->state, code, array->name);
}

int mbapy_finish_change(MmapArray *array, int code) {
    mbapy_length_changed(array);
    return code == MBA_OK ? 0 : mbapy_fail(array, code);
}

int mbapy_must_be_open(const MmapArray *array) {
    if (LIKELY(array->handle != NULL))
        return 0;
    PyErr_SetString(PyExc_ValueError, "operation on a closed array");
    return -1;
}
