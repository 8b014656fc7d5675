/* What lock() returns: gives the growth lock back at the end of a with statement. */
#include "core.h"

typedef struct {
    PyObject_HEAD
    MmapArray *array;
    bool over;
} Guard;

PyObject *mbapy_new_guard(MmapArray *array) {
    Guard *guard = PyObject_GC_New(Guard, array->state->guard_type);
    if (guard == NULL)
        return NULL;
    guard->array = (MmapArray *)Py_NewRef((PyObject *)array);
    guard->over = false;
    PyObject_GC_Track((PyObject *)guard);
    return (PyObject *)guard;
}

static PyObject *enter(PyObject *self, PyObject *unused) {
    (void)unused;
    return Py_NewRef((PyObject *)((Guard *)self)->array);
}

static PyObject *leave(PyObject *self, PyObject *arguments) {
    (void)arguments;
    Guard *guard = (Guard *)self;
    MmapArray *array = guard->array;
    int result = 0;
    ENTER(array);
    /* Only the outermost gives it back; close() and unlock() have done so already. */
    if (!guard->over && array->lock_depth > 0 && --array->lock_depth == 0 && array->handle != NULL) {
        result = mbapy_may_change(array, false);
        int code = result < 0 ? MBA_OK : mba_unlock(array->handle);
        if (code != MBA_OK)
            result = mbapy_fail(array, code);
    }
    guard->over = true;
    LEAVE();
    if (result < 0)
        return NULL;
    Py_RETURN_NONE;
}

static int traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)((Guard *)self)->array);
    return 0;
}

static void deallocate(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_CLEAR(((Guard *)self)->array);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"__enter__", enter, METH_NOARGS, PyDoc_STR("Return the array.")},
    {"__exit__", leave, METH_VARARGS, PyDoc_STR("Give the growth lock back, at the end of the outermost block.")},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_dealloc, deallocate}, {Py_tp_traverse, traverse}, {Py_tp_methods, methods}, {0, NULL},
};

PyType_Spec mbapy_guard_spec = {
    .name = "mmap_backed_array.GrowthLock",
    .basicsize = sizeof(Guard),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};
