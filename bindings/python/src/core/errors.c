/* Exceptions: what the library's codes are in Python. */
#include "core.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

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

/* Raises what a code means, in these words. */
static int raise_with(State *state, int code, const char *text, PyObject *name) {
    PyObject *exception = exception_of(code);
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

int mbapy_raise(State *state, int code, PyObject *name) {
    return raise_with(state, code, mba_strerror(code), name);
}

/* For a code that says that another has the growth lock: who that is. */
static int raise_locked(State *state, int code, const mba_status *status, PyObject *name) {
    const char *what = code == MBA_ELOCKED ? "The array is locked by" : "The time is over, and the array is still locked by";
    char text[320];
    if (!status->is_locked || status->holder == 0)
        snprintf(text, sizeof text, "%s another handle or program", what);
    else if (status->holder == (uint64_t)getpid())
        snprintf(text, sizeof text, "%s another array of this process (%lu). If that is an older one, such as of a "
                 "notebook cell that was run before, close it or call its unlock()", what,
                 (unsigned long)status->holder);
    else
        snprintf(text, sizeof text, "%s process %lu", what, (unsigned long)status->holder);
    return raise_with(state, code, text, name);
}

static bool is_about_lock(int code) {
    return code == MBA_ELOCKED || code == ETIMEDOUT;
}

int mbapy_fail_to_open(State *state, int code, PyObject *name, const char *path) {
    mba_status status = {.size = sizeof status};
    if (is_about_lock(code) && path != NULL && mba_info(path, &status) == MBA_OK)
        return raise_locked(state, code, &status, name);
    return mbapy_raise(state, code, name);
}

int mbapy_fail(MmapArray *array, int code) {
    mba_status status = {.size = sizeof status};
    if (is_about_lock(code) && array->handle != NULL && mba_array_info(array->handle, &status) == MBA_OK)
        return raise_locked(array->state, code, &status, array->name);
    return mbapy_raise(array->state, code, array->name);
}

int mbapy_locked_by_another_thread(MmapArray *array) {
    return raise_with(array->state, MBA_ELOCKED, "The array is locked by another thread of this process", array->name);
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
