/* The type: its constructor, what an array says of itself, and the tables of all methods and properties. */
#include "core.h"

#include <wchar.h>

/* Warns of 'u', where array.array does. */
static int warn_of(const ElementType *element_type) {
    if (element_type->type != 'u' || Py_Version < 0x030D0000)
        return 0;
    return PyErr_WarnEx(PyExc_DeprecationWarning,
                        "The 'u' type code is deprecated and will be removed in Python 3.16", 1);
}

/* The constructor's keyword argument; others are an error, but for a subclass, whose __init__ may take them. */
static int parse_keywords(PyTypeObject *type, State *state, PyObject *keywords, PyObject **mmap) {
    *mmap = NULL;
    if (keywords == NULL)
        return 0;
    PyObject *key, *value;
    Py_ssize_t at = 0;
    while (PyDict_Next(keywords, &at, &key, &value)) {
        if (PyUnicode_CompareWithASCIIString(key, "mmap") == 0) {
            *mmap = value == Py_None ? NULL : value;
        } else if (type == state->array_type) {
            PyErr_Format(PyExc_TypeError, "mmaparray() got an unexpected keyword argument %R", key);
            return -1;
        }
    }
    return 0;
}

static PyObject *new_array(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    State *state = mbapy_state(type);
    PyObject *mmap, *typecode, *initializer = NULL;
    if (state == NULL || parse_keywords(type, state, keywords, &mmap) < 0)
        return NULL;
    if (!PyArg_ParseTuple(arguments, "O|O:mmaparray", &typecode, &initializer))
        return NULL;
    const ElementType *element_type = mbapy_element_type_of_typecode(typecode);
    if (element_type == NULL || warn_of(element_type) < 0)
        return NULL;
    MmapArray *array = mbapy_allocate(type, state, element_type);
    if (array == NULL)
        return NULL;
    int result = mmap != NULL ? mbapy_use_mmap_object(array, mmap) : mbapy_open_anonymous(array);
    if (result == 0 && initializer != NULL)
        result = mbapy_initialize(array, initializer) < 0 ? -1 : mbapy_unlock_new(array);
    if (result < 0)
        Py_CLEAR(array);
    return (PyObject *)array;
}

/* Up to so many elements an array in anonymous memory shows whole, as array.array does. */
#define MOST_SHOWN 1000
/* Of others, and of longer ones, so many at each end. */
#define SHOWN_AT_AN_END 3

/* The elements of a range as Python would write them: a list, text or bytes. */
static PyObject *written(MmapArray *array, const char *data, Py_ssize_t count) {
    PyObject *elements;
    if (array->element_type->class == TEXT) {
        elements = PyUnicode_FromWideChar((const wchar_t *)(const void *)data, count);
    } else if (array->element_type->class == BYTE) {
        elements = PyBytes_FromStringAndSize(data, count);
    } else {
        elements = mbapy_list_of(array, data, count);
    }
    PyObject *text = elements == NULL ? NULL : PyObject_Repr(elements);
    Py_XDECREF(elements);
    return text;
}

/* The first and the last elements, and dots between them: 'abc'...'xyz', [0, 1, 2, ..., 7, 8, 9]. */
static PyObject *written_in_short(MmapArray *array, const char *data, Py_ssize_t count) {
    if (count <= 2 * SHOWN_AT_AN_END)
        return written(array, data, count);
    PyObject *first = written(array, data, SHOWN_AT_AN_END);
    const char *end = data + count * array->element_type->size;
    PyObject *last = written(array, end - SHOWN_AT_AN_END * array->element_type->size, SHOWN_AT_AN_END);
    PyObject *text = NULL;
    if (first != NULL && last != NULL) {
        bool is_list = array->element_type->class != TEXT && array->element_type->class != BYTE;
        PyObject *head = is_list ? PyUnicode_Substring(first, 0, PyUnicode_GetLength(first) - 1) : Py_NewRef(first);
        PyObject *tail = is_list ? PyUnicode_Substring(last, 1, PyUnicode_GetLength(last)) : Py_NewRef(last);
        if (head != NULL && tail != NULL)
            text = PyUnicode_FromFormat(is_list ? "%U, ..., %U" : "%U...%U", head, tail);
        Py_XDECREF(head);
        Py_XDECREF(tail);
    }
    Py_XDECREF(first);
    Py_XDECREF(last);
    return text;
}

static PyObject *repr_with_name(MmapArray *array, PyObject *class_name) {
    const char *code = array->element_type->code;
    bool is_of_this_type = Py_TYPE((PyObject *)array) == array->state->array_type;
    if (array->handle == NULL)
        return is_of_this_type ? PyUnicode_FromFormat("<closed array('%s')>", code)
                               : PyUnicode_FromFormat("<closed %U('%s')>", class_name, code);
    Py_ssize_t count = mbapy_length(array);
    /* Making objects may collect garbage, and so run code, which may close the array: the elements stay where they are. */
    const char *data = array->data;
    mbapy_begin_export(array);
    bool is_short = array->name == NULL && count <= MOST_SHOWN;
    PyObject *elements = count == 0 ? PyUnicode_FromString("")
                         : is_short ? written(array, data, count)
                                    : written_in_short(array, data, count);
    mbapy_end_export(array);
    PyObject *text = NULL;
    if (elements == NULL)
        return NULL;
    if (is_short && is_of_this_type)
        text = PyUnicode_FromFormat(count == 0 ? "array('%s')" : "array('%s', %U)", code, elements);
    else if (is_short)
        text = PyUnicode_FromFormat(count == 0 ? "%U('%s')" : "%U('%s', %U)", class_name, code, elements);
    else if (array->name == NULL)
        text = PyUnicode_FromFormat("<%U('%s') of %zd elements: %U>", class_name, code, count, elements);
    else
        text = PyUnicode_FromFormat("<%U('%s') of %zd element%s in %R%s%U>", class_name, code, count,
                                    count == 1 ? "" : "s", array->name, count == 0 ? "" : ": ", elements);
    Py_DECREF(elements);
    return text;
}

static PyObject *repr_inside(MmapArray *array) {
    PyObject *name = PyType_GetName(Py_TYPE((PyObject *)array));
    PyObject *text = name == NULL ? NULL : repr_with_name(array, name);
    Py_XDECREF(name);
    return text;
}

static PyObject *repr(PyObject *self) {
    ENTER(self);
    PyObject *result = repr_inside((MmapArray *)self);
    LEAVE();
    return result;
}

static PyObject *get_typecode(PyObject *self, void *closure) {
    (void)closure;
    return PyUnicode_FromString(((MmapArray *)self)->element_type->code);
}

static PyObject *get_itemsize(PyObject *self, void *closure) {
    (void)closure;
    return PyLong_FromLong(((MmapArray *)self)->element_type->size);
}

static PyGetSetDef own_properties[] = {
    {"typecode", get_typecode, NULL, "the typecode character that names the type of the elements", NULL},
    {"itemsize", get_itemsize, NULL, "the size of an element in bytes", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef own_methods[] = {
    {"__class_getitem__", Py_GenericAlias, METH_CLASS | METH_O,
     PyDoc_STR("__class_getitem__($type, item, /)\n--\n\nFor annotations, such as mmaparray[int].")},
    {NULL, NULL, 0, NULL},
};

/* The type takes one table of methods and one of properties. They are joined from those of the files. */
static PyMethodDef methods[96];
static PyGetSetDef properties[24];

static void join_methods(void) {
    PyMethodDef *const tables[] = {
        mbapy_growth_lock_methods,   mbapy_lifetime_methods, mbapy_copies_methods, mbapy_extend_methods,
        mbapy_export_methods,        mbapy_search_methods,   mbapy_insert_remove_methods,
        mbapy_in_place_methods,      mbapy_buffer_methods,   mbapy_capsule_methods,
        mbapy_open_methods,          mbapy_storage_methods,  mbapy_pickle_methods, own_methods,
        mbapy_interchange_methods,
    };
    size_t count = 0;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (PyMethodDef *method = tables[i]; method->ml_name != NULL; method++)
            methods[count++] = *method;
}

static void join_properties(void) {
    PyGetSetDef *const tables[] = {
        own_properties, mbapy_storage_properties, mbapy_growth_lock_properties, mbapy_lifetime_properties,
        mbapy_interchange_properties,
    };
    size_t count = 0;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (PyGetSetDef *property = tables[i]; property->name != NULL; property++)
            properties[count++] = *property;
}

static PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(MmapArray, weak_references), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(documentation,
"mmaparray(typecode[, initializer], *, mmap=None)\n"
"--\n"
"\n"
"An array of elements of one type in mapped memory, with the interface of array.array.\n"
"\n"
"typecode: b B h H i I l L q Q  integers, as in array.array\n"
"          e f d                floats of 2, 4 and 8 bytes\n"
"          F D (or Zf Zd)       complex numbers of 8 and 16 bytes\n"
"          u w                  characters of 4 bytes\n"
"          c                    bytes objects of length one\n"
"          ?                    bool\n"
"\n"
"The initializer is an iterable of elements, bytes or bytearray that hold them as in memory, or a str for 'u'\n"
"and 'w'. The array is in anonymous shared memory, which forked children share and multiprocessing can send;\n"
"with mmap it is in the memory of that mmap.mmap object, whose length follows the array's. open(), shm() and\n"
"from_fd() make arrays on files, in named shared memory, and over descriptors.\n"
"\n"
"Memory never moves, so that an array can grow while memoryviews and NumPy arrays look at it; each view keeps\n"
"its own length. What would make it shorter raises BufferError while there are views. Closing it leaves them\n"
"the memory.");

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)documentation},
    {Py_tp_new, new_array},
    {Py_tp_dealloc, mbapy_deallocate},
    {Py_tp_traverse, mbapy_traverse},
    {Py_tp_repr, repr},
    {Py_tp_hash, PyObject_HashNotImplemented},
    {Py_tp_iter, mbapy_iterate},
    {Py_tp_richcompare, mbapy_compare},
    {Py_tp_members, members},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {Py_bf_getbuffer, mbapy_get_buffer},
    {Py_bf_releasebuffer, mbapy_release_buffer},
    {Py_sq_length, mbapy_len},
    {Py_sq_item, mbapy_item},
    {Py_sq_ass_item, mbapy_assign_item},
    {Py_sq_contains, mbapy_contains},
    {Py_sq_concat, mbapy_concat},
    {Py_sq_inplace_concat, mbapy_inplace_concat},
    {Py_sq_repeat, mbapy_repeat},
    {Py_sq_inplace_repeat, mbapy_inplace_repeat},
    {Py_mp_length, mbapy_len},
    {Py_mp_subscript, mbapy_subscript},
    {Py_mp_ass_subscript, mbapy_assign_subscript},
    {0, NULL},
};

#ifndef Py_TPFLAGS_SEQUENCE /* the limited API leaves it out; match statements look for it */
#define Py_TPFLAGS_SEQUENCE (1UL << 5)
#endif

static PyType_Spec spec = {
    .name = "mmap_backed_array.mmaparray",
    .basicsize = sizeof(MmapArray),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE |
             Py_TPFLAGS_SEQUENCE,
    .slots = slots,
};

PyTypeObject *mbapy_make_array_type(PyObject *module) {
    join_methods();
    join_properties();
    return (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
}
