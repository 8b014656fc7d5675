/* The file or memory under an array: its name and mode, the room in it, its descriptor, and what others see of it. */
#include "core.h"

static int flush_inside(MmapArray *array) {
    if (array->mmap == NULL)
        return mbapy_call_without_gil(array, mba_flush);
    if (mbapy_must_be_open(array) < 0)
        return -1;
    PyObject *mmap = Py_NewRef(array->mmap);
    PyObject *done = PyObject_CallMethod(mmap, "flush", NULL);
    Py_DECREF(mmap);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static int refresh_inside(MmapArray *array) {
    if (mbapy_is_locked_by_another_thread(array))
        return 0; /* nobody else changes it */
    return mbapy_change_storage(array, mba_refresh);
}

static int shrink_to_fit_inside(MmapArray *array) {
    return mbapy_change_storage(array, mba_shrink_to_fit);
}

METHOD(flush_method, flush_inside)
METHOD(refresh_method, refresh_inside)
METHOD(shrink_to_fit_method, shrink_to_fit_inside)

static int reserve_inside(MmapArray *array, size_t capacity) {
    int may = mbapy_may_change_storage(array);
    return may <= 0 ? may : mbapy_finish_change(array, mba_reserve(array->handle, capacity));
}

static PyObject *reserve_method(PyObject *self, PyObject *capacity) {
    Py_ssize_t wanted = PyNumber_AsSsize_t(capacity, PyExc_OverflowError);
    if (wanted == -1 && PyErr_Occurred())
        return NULL;
    if (wanted < 0) {
        PyErr_SetString(PyExc_ValueError, "negative capacity");
        return NULL;
    }
    ENTER(self);
    int result = reserve_inside((MmapArray *)self, (size_t)wanted);
    LEAVE();
    return mbapy_none_unless(result);
}

static PyObject *fileno_method(PyObject *self, PyObject *unused) {
    (void)unused;
    MmapArray *array = (MmapArray *)self;
    PyObject *result = NULL;
    ENTER(self);
    if (mbapy_must_be_open(array) == 0) {
        int fd = mba_fd(array->handle);
        if (fd >= 0)
            result = PyLong_FromLong(fd);
        else
            PyErr_SetString(array->state->unsupported, "an array over an mmap object has no descriptor");
    }
    LEAVE();
    return result;
}

PyMethodDef mbapy_storage_methods[] = {
    {"flush", flush_method, METH_NOARGS,
     PyDoc_STR("flush($self, /)\n--\n\nReturn when elements and length are on the disk. Other threads run meanwhile.")},
    {"refresh", refresh_method, METH_NOARGS,
     PyDoc_STR("refresh($self, /)\n--\n\nTake up the length that others have published.")},
    {"reserve", reserve_method, METH_O,
     PyDoc_STR("reserve($self, capacity, /)\n--\n\nMake room for so many elements in all; appends up to there can't "
               "fail.")},
    {"shrink_to_fit", shrink_to_fit_method, METH_NOARGS,
     PyDoc_STR("shrink_to_fit($self, /)\n--\n\nGive spare room back; a file is then exactly its elements.")},
    {"fileno", fileno_method, METH_NOARGS,
     PyDoc_STR("fileno($self, /)\n--\n\nReturn the descriptor of the file or memory; it is the array's, and is closed "
               "with it.")},
    {NULL, NULL, 0, NULL},
};

static PyObject *get_name(PyObject *self, void *closure) {
    (void)closure;
    PyObject *name = ((MmapArray *)self)->name;
    return Py_NewRef(name == NULL ? Py_None : name);
}

static PyObject *get_mode(PyObject *self, void *closure) {
    (void)closure;
    return PyUnicode_FromString(((MmapArray *)self)->mode);
}

static PyObject *get_readonly(PyObject *self, void *closure) {
    (void)closure;
    MmapArray *array = (MmapArray *)self;
    PyObject *result = NULL;
    ENTER(self);
    if (mbapy_must_be_open(array) == 0)
        result = PyBool_FromLong(mba_is_readonly(array->handle));
    LEAVE();
    return result;
}

static PyObject *get_capacity(PyObject *self, void *closure) {
    (void)closure;
    MmapArray *array = (MmapArray *)self;
    PyObject *result = NULL;
    ENTER(self);
    if (mbapy_must_be_open(array) == 0)
        result = PyLong_FromSize_t(mba_capacity(array->handle));
    LEAVE();
    return result;
}

PyGetSetDef mbapy_storage_properties[] = {
    {"name", get_name, NULL, "the absolute path of the file, or the name of the shared memory; else None", NULL},
    {"mode", get_mode, NULL, "the mode it was opened in", NULL},
    {"readonly", get_readonly, NULL, "whether elements can't be set", NULL},
    {"capacity", get_capacity, NULL, "how many elements fit before the file must grow", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
