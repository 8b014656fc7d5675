/* Elements come in from other objects: from arrays and buffers, iterables, lists, bytes, text and files. */
#include "core.h"

static int extend_by_iteration(MmapArray *array, PyObject *object) {
    Item item;
    PyObject *iterator = PyObject_GetIter(object);
    if (iterator == NULL)
        return -1;
    int result = 0;
    PyObject *value;
    while (result == 0 && (value = PyIter_Next(iterator)) != NULL) {
        result = array->element_type->convert(value, item.bytes);
        Py_DECREF(value);
        mbapy_length_changed(array);
        if (result == 0 && (array->growable == NULL || mba_append(array->growable, item.bytes) != MBA_OK)) {
            result = mbapy_must_be_open(array);
            if (result == 0)
                result = mbapy_extend(array, item.bytes, 1);
        }
    }
    Py_DECREF(iterator);
    return result < 0 || PyErr_Occurred() ? -1 : 0;
}

static int extend_from(MmapArray *array, PyObject *object) {
    BorrowedElements elements;
    int borrowed = mbapy_borrow(array, object, &elements);
    if (borrowed < 0)
        return -1;
    if (borrowed == 0) {
        if (mbapy_is_any_array(array->state, object)) {
            PyErr_Format(PyExc_TypeError, "can only extend with an array of the same kind, of typecode '%s'",
                         array->element_type->code);
            return -1;
        }
        if (mbapy_must_be_open(array) < 0)
            return -1;
        return extend_by_iteration(array, object);
    }
    int result = mbapy_must_be_open(array);
    if (result == 0)
        result = mbapy_extend(array, elements.data, elements.count);
    mbapy_give_back(&elements);
    return result;
}

static int extend_from_bytes(MmapArray *array, PyObject *object) {
    Py_buffer view;
    if (PyObject_GetBuffer(object, &view, PyBUF_SIMPLE) < 0)
        return -1;
    if (view.itemsize != 1) { /* elements of another type, likely by mistake: array.array takes none either */
        PyErr_Format(PyExc_TypeError, "a bytes-like object is required, not %R", Py_TYPE(object));
        PyBuffer_Release(&view);
        return -1;
    }
    int result = mbapy_must_be_open(array);
    if (result == 0 && view.len % array->element_type->size != 0) {
        PyErr_SetString(PyExc_ValueError, "bytes length not a multiple of item size");
        result = -1;
    }
    if (result == 0)
        result = mbapy_extend(array, view.buf, view.len / array->element_type->size);
    PyBuffer_Release(&view);
    return result;
}

static int extend_from_text(MmapArray *array, PyObject *text) {
    if (!PyUnicode_Check(text)) {
        PyErr_Format(PyExc_TypeError, "fromunicode() argument must be str, not %R", Py_TYPE(text));
        return -1;
    }
    if (array->element_type->class != TEXT) {
        PyErr_Format(PyExc_ValueError, "fromunicode() may only be called on unicode type arrays ('u' or 'w'), not '%s'",
                     array->element_type->code);
        return -1;
    }
    Py_ssize_t count;
    wchar_t *characters = PyUnicode_AsWideCharString(text, &count);
    if (characters == NULL)
        return -1;
    int result = mbapy_must_be_open(array);
    if (result == 0)
        result = mbapy_extend(array, characters, count);
    PyMem_Free(characters);
    return result;
}

static int extend_from_list(MmapArray *array, PyObject *list) {
    if (!PyList_Check(list)) {
        PyErr_SetString(PyExc_TypeError, "arg must be list");
        return -1;
    }
    /* All of them or none. */
    Py_ssize_t count = PyList_Size(list);
    size_t size = array->element_type->size;
    char *values = PyMem_Malloc((size_t)count * size + WIDEST);
    if (values == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    int result = 0;
    for (Py_ssize_t i = 0; result == 0 && i < count; i++) {
        Item item;
        if (i >= PyList_Size(list)) {
            PyErr_SetString(PyExc_RuntimeError, "list changed size during iteration");
            result = -1;
            break;
        }
#ifdef Py_GIL_DISABLED
        PyObject *value = PyList_GetItemRef(list, i); /* another thread may take it out of the list */
        if (value == NULL) {
            result = -1;
            break;
        }
#else
        PyObject *value = Py_NewRef(PyList_GetItem(list, i));
#endif
        result = array->element_type->convert(value, item.bytes);
        Py_DECREF(value);
        if (result == 0)
            mbapy_copy_element(array->element_type, values + (size_t)i * size, item.bytes);
    }
    if (result == 0 && PyList_Size(list) != count) {
        PyErr_SetString(PyExc_RuntimeError, "list changed size during iteration");
        result = -1;
    }
    if (result == 0)
        result = mbapy_must_be_open(array);
    if (result == 0)
        result = mbapy_extend(array, values, count);
    PyMem_Free(values);
    return result;
}

static int extend_from_file(MmapArray *array, PyObject *const *arguments, Py_ssize_t argument_count) {
    if (argument_count != 2) {
        PyErr_Format(PyExc_TypeError, "fromfile expected 2 arguments, got %zd", argument_count);
        return -1;
    }
    Py_ssize_t count = PyNumber_AsSsize_t(arguments[1], PyExc_OverflowError);
    if (count == -1 && PyErr_Occurred())
        return -1;
    if (count < 0) {
        PyErr_SetString(PyExc_ValueError, "negative count");
        return -1;
    }
    if (count > PY_SSIZE_T_MAX / array->element_type->size) {
        PyErr_NoMemory();
        return -1;
    }
    if (mbapy_must_be_open(array) < 0)
        return -1;
    Py_ssize_t wanted = count * array->element_type->size;
    PyObject *bytes = PyObject_CallMethod(arguments[0], "read", "n", wanted);
    if (bytes == NULL)
        return -1;
    int result = -1;
    if (!PyBytes_Check(bytes)) {
        PyErr_SetString(PyExc_TypeError, "read() didn't return bytes");
    } else {
        result = extend_from_bytes(array, bytes);
        if (result == 0 && PyBytes_Size(bytes) != wanted) {
            PyErr_SetString(PyExc_EOFError, "read() didn't return enough bytes");
            result = -1;
        }
    }
    Py_DECREF(bytes);
    return result;
}

static PyObject *fromfile_method(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
    ENTER(self);
    int result = extend_from_file((MmapArray *)self, arguments, count);
    LEAVE();
    return mbapy_none_unless(result);
}

/* The older name took text as well as bytes. */
static int extend_from_string(MmapArray *array, PyObject *object) {
    return PyUnicode_Check(object) ? extend_from_text(array, object) : extend_from_bytes(array, object);
}

/* The initializer of the constructor can be any of these. */
int mbapy_initialize(MmapArray *array, PyObject *object) {
    bool text = array->element_type->class == TEXT;
    if (PyUnicode_Check(object)) {
        if (text)
            return extend_from_text(array, object);
        PyErr_Format(PyExc_TypeError, "cannot use a str to initialize an array with typecode '%s'",
                     array->element_type->code);
        return -1;
    }
    if (PyBytes_Check(object) || PyByteArray_Check(object))
        return extend_from_bytes(array, object);
    if (!mbapy_is_any_array(array->state, object))
        return extend_from(array, object);
    BorrowedElements elements;
    int borrowed = mbapy_borrow(array, object, &elements);
    if (borrowed < 0)
        return -1;
    if (borrowed == 1) {
        int result = mbapy_extend(array, elements.data, elements.count);
        mbapy_give_back(&elements);
        return result;
    }
    int characters = text ? 0 : mbapy_is_text_array(array->state, object);
    if (characters != 0) {
        if (characters > 0)
            PyErr_Format(PyExc_TypeError, "cannot use a unicode array to initialize an array with typecode '%s'",
                         array->element_type->code);
        return -1;
    }
    return extend_by_iteration(array, object);
}

METHOD_WITH_ARGUMENT(extend_method, extend_from)
METHOD_WITH_ARGUMENT(fromlist_method, extend_from_list)
METHOD_WITH_ARGUMENT(frombytes_method, extend_from_bytes)
METHOD_WITH_ARGUMENT(fromunicode_method, extend_from_text)
METHOD_WITH_ARGUMENT(fromstring_method, extend_from_string)

PyMethodDef mbapy_extend_methods[] = {
    {"extend", extend_method, METH_O,
     PyDoc_STR("extend($self, values, /)\n--\n\nAppend the elements of an array or contiguous buffer of the same type, "
               "or those that an iterable yields.")},
    {"fromlist", fromlist_method, METH_O,
     PyDoc_STR("fromlist($self, list, /)\n--\n\nAppend the elements of a list: all of them, or none if it fails.")},
    {"frombytes", frombytes_method, METH_O,
     PyDoc_STR("frombytes($self, buffer, /)\n--\n\nAppend elements from an object that holds them as in memory.")},
    {"fromfile", (PyCFunction)(void (*)(void))fromfile_method, METH_FASTCALL,
     PyDoc_STR("fromfile($self, file, count, /)\n--\n\nAppend count elements read from a binary file; EOFError if "
               "there are fewer, which are appended all the same.")},
    {"fromunicode", fromunicode_method, METH_O,
     PyDoc_STR("fromunicode($self, text, /)\n--\n\nAppend the characters of a str to an array of 'u' or 'w'.")},
    {"fromstring", fromstring_method, METH_O,
     PyDoc_STR("fromstring($self, data, /)\n--\n\nThe older name of frombytes(), and for a str of fromunicode().")},
    {NULL, NULL, 0, NULL},
};
