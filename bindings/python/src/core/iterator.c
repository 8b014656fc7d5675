/* The iterator: an array and an index. */
#include "core.h"

typedef struct {
    PyObject_HEAD
    MmapArray *array; /* NULL when it has come to the end, where it stays */
    Py_ssize_t index;
    PyObject *(*load)(const char *data, Py_ssize_t index); /* of the array's element type */
} Iterator;

PyObject *mbapy_iterate(PyObject *self) {
    MmapArray *array = (MmapArray *)self;
    if (mbapy_must_be_open(array) < 0)
        return NULL;
    PyTypeObject *type = array->state->iterator_type;
    Iterator *iterator = PyObject_GC_New(Iterator, type);
    if (iterator == NULL)
        return NULL;
    iterator->array = (MmapArray *)Py_NewRef(self);
    iterator->index = 0;
    iterator->load = array->element_type->load;
    PyObject_GC_Track((PyObject *)iterator);
    return (PyObject *)iterator;
}

/* The element that comes next; NULL without an exception beyond the end. */
static PyObject *next_element(Iterator *iterator, MmapArray *array) {
    Py_ssize_t index = iterator->index;
    if (index < mbapy_length(array)) {
        iterator->index = index + 1;
        return array->element_type->load(array->data, index);
    }
    mbapy_must_be_open(array);
    return NULL;
}

/* All cases: the library may have to be asked for the length, and the end is kept. */
static __attribute__((noinline)) PyObject *next_in_any_case(PyObject *self) {
    Iterator *iterator = (Iterator *)self;
    PyObject *value = NULL;
    MmapArray *finished = NULL;
    ENTER(self);
    MmapArray *array = iterator->array;
    if (array != NULL) {
        {
            ENTER(array);
            value = next_element(iterator, array);
            LEAVE();
        }
        if (value == NULL && !PyErr_Occurred()) {
            iterator->array = NULL;
            finished = array;
        }
    }
    LEAVE();
    Py_XDECREF((PyObject *)finished);
    return value;
}

static PyObject *next(PyObject *self) {
#ifndef Py_GIL_DISABLED
    /* The common case: the length is known, and not reached. */
    Iterator *iterator = (Iterator *)self;
    MmapArray *array = iterator->array;
    if (LIKELY(array != NULL) && LIKELY(iterator->index < array->count))
        return iterator->load(array->data, iterator->index++);
#endif
    return next_in_any_case(self);
}

static int traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)((Iterator *)self)->array);
    return 0;
}

static int clear(PyObject *self) {
    Py_CLEAR(((Iterator *)self)->array);
    return 0;
}

static void deallocate(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    clear(self);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyObject *reduce(PyObject *self, PyObject *unused) {
    (void)unused;
    Iterator *iterator = (Iterator *)self;
    PyObject *builtins = PyImport_ImportModule("builtins");
    PyObject *iter = builtins == NULL ? NULL : PyObject_GetAttrString(builtins, "iter");
    Py_XDECREF(builtins);
    if (iter == NULL)
        return NULL;
    ENTER(self);
    PyObject *array = Py_XNewRef((PyObject *)iterator->array);
    Py_ssize_t index = iterator->index;
    LEAVE();
    if (array == NULL)
        return Py_BuildValue("N(())", iter);
    return Py_BuildValue("N(N)n", iter, array, index);
}

static PyObject *set_state(PyObject *self, PyObject *state) {
    Py_ssize_t index = PyLong_AsSsize_t(state);
    if (index == -1 && PyErr_Occurred())
        return NULL;
    ENTER(self);
    ((Iterator *)self)->index = index < 0 ? 0 : index;
    LEAVE();
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"__reduce__", reduce, METH_NOARGS, PyDoc_STR("Return state information for pickling.")},
    {"__setstate__", set_state, METH_O, PyDoc_STR("Set state information for unpickling.")},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_dealloc, deallocate}, {Py_tp_traverse, traverse}, {Py_tp_clear, clear}, {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, next},      {Py_tp_methods, methods},   {0, NULL},
};

PyType_Spec mbapy_iterator_spec = {
    .name = "mmap_backed_array.mmaparrayiterator",
    .basicsize = sizeof(Iterator),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};
