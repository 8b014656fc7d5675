/* The module's state: the definition of the module that has it, its end, and how it is found from a type. */
#include "core.h"

static int visit_state(State *state, visitproc visit, void *arg) {
    Py_VISIT((PyObject *)state->array_type);
    Py_VISIT((PyObject *)state->iterator_type);
    Py_VISIT((PyObject *)state->growth_lock_type);
    Py_VISIT((PyObject *)state->standard_array);
    Py_VISIT((PyObject *)state->mmap_type);
    Py_VISIT(state->file_state_error);
    Py_VISIT(state->unsupported);
    for (int i = 0; i < MOST_ELEMENT_TYPES; i++)
        Py_VISIT(state->templates[i]);
    return 0;
}

static int traverse(PyObject *module, visitproc visit, void *arg) {
    State *state = PyModule_GetState(module);
    return state == NULL ? 0 : visit_state(state, visit, arg);
}

static int clear(PyObject *module) {
    State *state = PyModule_GetState(module);
    if (state == NULL)
        return 0;
    Py_CLEAR(state->array_type);
    Py_CLEAR(state->iterator_type);
    Py_CLEAR(state->growth_lock_type);
    Py_CLEAR(state->standard_array);
    Py_CLEAR(state->mmap_type);
    Py_CLEAR(state->file_state_error);
    Py_CLEAR(state->unsupported);
    for (int i = 0; i < MOST_ELEMENT_TYPES; i++)
        Py_CLEAR(state->templates[i]);
    return 0;
}

static void release(void *module) {
    clear(module);
}

/* PyInit__core adds the functions and slots, which are in module.c. */
PyModuleDef mbapy_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "mmap_backed_array._core",
    .m_doc = "Arrays in mapped memory: the part written in C.",
    .m_size = sizeof(State),
    .m_traverse = traverse,
    .m_clear = clear,
    .m_free = release,
};

State *mbapy_state(PyTypeObject *type) {
    /* A subclass made in Python has no module; its base has. */
    while (type != NULL) {
        PyObject *module = PyType_GetModule(type);
        if (module != NULL) {
            State *state = PyModule_GetState(module);
            if (state != NULL && PyModule_GetDef(module) == &mbapy_module)
                return state;
        }
        PyErr_Clear();
        type = PyType_GetSlot(type, Py_tp_base);
    }
    PyErr_SetString(PyExc_TypeError, "not an mmaparray type");
    return NULL;
}
