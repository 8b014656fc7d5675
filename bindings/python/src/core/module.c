/* The module: its types, constants and the state they share. */
#include "core.h"

static PyObject *attribute(const char *module_name, const char *name) {
    PyObject *module = PyImport_ImportModule(module_name);
    PyObject *result = module == NULL ? NULL : PyObject_GetAttrString(module, name);
    Py_XDECREF(module);
    return result;
}

PyDoc_STRVAR(file_state_error_documentation,
"The file isn't in a state that the array can go on from: its size was changed by someone who doesn't use the\n"
"library (ETRUNCATED, ECORRUPT), its footer contradicts it (ECORRUPT), or it ends inside an element, so that it\n"
"can't grow (EPARTIAL). errno is one of these numbers.");

static int add_constants(PyObject *module) {
    char codes[KINDS + 1] = {0};
    for (int i = 0; i < KINDS; i++)
        codes[i] = (char)mbapy_kinds[i].type;
    return PyModule_AddStringConstant(module, "typecodes", codes) < 0 ||
                   PyModule_AddIntConstant(module, "ECORRUPT", MBA_ECORRUPT) < 0 ||
                   PyModule_AddIntConstant(module, "ETRUNCATED", MBA_ETRUNCATED) < 0 ||
                   PyModule_AddIntConstant(module, "EPARTIAL", MBA_EPARTIAL) < 0 ||
                   PyModule_AddIntConstant(module, "version", (long)mba_version()) < 0
               ? -1
               : 0;
}

static int execute(PyObject *module) {
    State *state = PyModule_GetState(module);
    state->standard_array = (PyTypeObject *)attribute("array", "array");
    state->mmap_type = (PyTypeObject *)attribute("mmap", "mmap");
    state->unsupported = attribute("io", "UnsupportedOperation");
    if (state->standard_array == NULL || state->mmap_type == NULL || state->unsupported == NULL)
        return -1;
    state->file_state_error = PyErr_NewExceptionWithDoc("mmap_backed_array.FileStateError",
                                                        file_state_error_documentation, PyExc_OSError, NULL);
    if (state->file_state_error == NULL ||
        PyModule_AddObjectRef(module, "FileStateError", state->file_state_error) < 0)
        return -1;
    state->iterator_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &mbapy_iterator_spec, NULL);
    state->guard_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &mbapy_guard_spec, NULL);
    state->array_type = mbapy_make_array_type(module);
    if (state->iterator_type == NULL || state->guard_type == NULL || state->array_type == NULL)
        return -1;
    if (PyModule_AddType(module, state->array_type) < 0 || PyModule_AddType(module, state->guard_type) < 0)
        return -1;
    return add_constants(module);
}

static int visit_state(State *state, visitproc visit, void *arg) {
    Py_VISIT((PyObject *)state->array_type);
    Py_VISIT((PyObject *)state->iterator_type);
    Py_VISIT((PyObject *)state->guard_type);
    Py_VISIT((PyObject *)state->standard_array);
    Py_VISIT((PyObject *)state->mmap_type);
    Py_VISIT(state->file_state_error);
    Py_VISIT(state->unsupported);
    for (int i = 0; i < KINDS; i++)
        Py_VISIT(state->ones[i]);
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
    Py_CLEAR(state->guard_type);
    Py_CLEAR(state->standard_array);
    Py_CLEAR(state->mmap_type);
    Py_CLEAR(state->file_state_error);
    Py_CLEAR(state->unsupported);
    for (int i = 0; i < KINDS; i++)
        Py_CLEAR(state->ones[i]);
    return 0;
}

static void release(void *module) {
    clear(module);
}

static PyMethodDef functions[] = {
    {"shm_unlink", mbapy_shm_unlink, METH_O,
     PyDoc_STR("shm_unlink(name, /)\n--\n\nTake the name of shared memory away; the memory lasts as long as it is open "
               "somewhere.")},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, execute},
#ifdef Py_GIL_DISABLED
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

PyModuleDef mbapy_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "mmap_backed_array._core",
    .m_doc = "Arrays in mapped memory: the part written in C.",
    .m_size = sizeof(State),
    .m_methods = functions,
    .m_slots = slots,
    .m_traverse = traverse,
    .m_clear = clear,
    .m_free = release,
};

PyMODINIT_FUNC PyInit__core(void) {
    return PyModuleDef_Init(&mbapy_module);
}
