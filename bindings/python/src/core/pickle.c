/* Pickling: calls of _pickle.py, and what that asks of an array. */
#include "core.h"

static PyObject *reduce_ex_method(PyObject *self, PyObject *protocol) {
    PyObject *module = PyImport_ImportModule("mmap_backed_array._pickle");
    if (module == NULL)
        return NULL;
    PyObject *result = PyObject_CallMethod(module, "reduce", "OO", self, protocol);
    Py_DECREF(module);
    return result;
}

/* What it takes to open the same elsewhere: whether it is shared memory, the name, the mode, and whether it is exact.
   None if its elements aren't those of the file any more. */
static PyObject *reference_method(PyObject *self, PyObject *unused) {
    (void)unused;
    MmapArray *array = (MmapArray *)self;
    if (mbapy_must_be_open(array) < 0)
        return NULL;
    if (array->written)
        Py_RETURN_NONE;
    return Py_BuildValue("OOsO", array->shared_memory ? Py_True : Py_False,
                         array->name == NULL ? Py_None : array->name, array->mode,
                         array->exact ? Py_True : Py_False);
}

/* Subclasses can be pickled for multiprocessing, too. */
static PyObject *init_subclass_method(PyObject *type, PyObject *arguments, PyObject *keywords) {
    State *state = mbapy_state((PyTypeObject *)type);
    if (state == NULL)
        return NULL;
    PyObject *super = PyObject_CallFunction((PyObject *)&PySuper_Type, "OO", state->array_type, type);
    PyObject *above = super == NULL ? NULL : PyObject_GetAttrString(super, "__init_subclass__");
    PyObject *done = above == NULL ? NULL : PyObject_Call(above, arguments, keywords);
    Py_XDECREF(super);
    Py_XDECREF(above);
    if (done == NULL)
        return NULL;
    Py_DECREF(done);
    PyObject *module = PyImport_ImportModule("mmap_backed_array._pickle");
    if (module == NULL)
        return NULL;
    done = PyObject_CallMethod(module, "register", "O", type);
    Py_DECREF(module);
    return done;
}

PyMethodDef mbapy_pickle_methods[] = {
    {"__reduce_ex__", reduce_ex_method, METH_O,
     PyDoc_STR("__reduce_ex__($self, protocol, /)\n--\n\nPickle by name where there is one, else by value.")},
    {"_reference", reference_method, METH_NOARGS, NULL},
    {"__init_subclass__", (PyCFunction)(void (*)(void))init_subclass_method,
     METH_CLASS | METH_VARARGS | METH_KEYWORDS, NULL},
    {NULL, NULL, 0, NULL},
};
