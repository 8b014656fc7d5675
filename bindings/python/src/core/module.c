/* The module: its types, functions and constants. */
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

/* For pickles, which name a type by its class and size: the class of each typecode. */
static int add_element_classes(PyObject *module) {
    static const char *const names[] = {
        [SIGNED] = "signed", [UNSIGNED] = "unsigned", [REAL] = "real", [COMPLEX] = "complex",
        [TRUTH] = "bool",    [BYTE] = "char",         [TEXT] = "text",
    };
    PyObject *classes = PyDict_New();
    int result = classes == NULL ? -1 : 0;
    for (int i = 0; i < mbapy_element_type_count && result == 0; i++) {
        PyObject *name = PyUnicode_FromString(names[mbapy_element_types[i].class]);
        result = name == NULL ? -1 : PyDict_SetItemString(classes, mbapy_element_types[i].code, name);
        Py_XDECREF(name);
    }
    if (result == 0)
        result = PyModule_AddObjectRef(module, "_element_classes", classes);
    Py_XDECREF(classes);
    return result;
}

static int add_constants(PyObject *module) {
    char codes[MOST_ELEMENT_TYPES + 1] = {0};
    for (int i = 0; i < mbapy_element_type_count; i++)
        codes[i] = (char)mbapy_element_types[i].type;
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
    state->growth_lock_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &mbapy_growth_lock_spec, NULL);
    state->array_type = mbapy_make_array_type(module);
    if (state->iterator_type == NULL || state->growth_lock_type == NULL || state->array_type == NULL)
        return -1;
    if (PyModule_AddType(module, state->array_type) < 0 || PyModule_AddType(module, state->growth_lock_type) < 0)
        return -1;
    return add_element_classes(module) < 0 ? -1 : add_constants(module);
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

PyMODINIT_FUNC PyInit__core(void) {
    mbapy_module.m_methods = functions;
    mbapy_module.m_slots = slots;
    return PyModuleDef_Init(&mbapy_module);
}
