/* Elements that come from other objects, and go to them: array.array's methods that convert all of it at once. */
#include "core.h"

/* Elements in another object's memory. */

bool mbapy_is_any_array(State *state, PyObject *object) {
    return mbapy_is_array(state, object) || Py_TYPE(object) == state->standard_array ||
           PyObject_TypeCheck(object, state->standard_array);
}

/* Whether the typecode of a standard array is this one. Its format doesn't tell 'u' from 'w'. */
static int has_typecode(PyObject *object, const char *code) {
    PyObject *typecode = PyObject_GetAttrString(object, "typecode");
    if (typecode == NULL)
        return -1;
    int same = PyUnicode_Check(typecode) && PyUnicode_CompareWithASCIIString(typecode, code) == 0;
    Py_DECREF(typecode);
    return same;
}

static int borrow_ours(MmapArray *array, MmapArray *theirs, Elements *elements) {
    if (theirs->kind != array->kind)
        return 0;
    if (mbapy_must_be_open(theirs) < 0)
        return -1;
    if (theirs != array) {
        theirs->exports++;
        elements->pinned = theirs;
    } else if (array->busy && mbapy_may_change(array, false) < 0) {
        return -1; /* to wait later would be to let others change what is borrowed */
    }
    elements->data = theirs->data;
    elements->count = mbapy_length(theirs);
    return 1;
}

int mbapy_borrow(MmapArray *array, PyObject *object, Elements *elements) {
    memset(elements, 0, sizeof *elements);
    if (object == (PyObject *)array) /* whose critical section would be left for a moment to be entered again */
        return borrow_ours(array, array, elements);
    if (mbapy_is_array(array->state, object)) {
        ENTER(object);
        int result = borrow_ours(array, (MmapArray *)object, elements);
        LEAVE();
        return result;
    }
    if (!PyObject_CheckBuffer(object))
        return 0;
    Py_buffer *view = &elements->view;
    if (PyObject_GetBuffer(object, view, PyBUF_ND | PyBUF_FORMAT) < 0) {
        /* Not contiguous, or of a type that has no format. */
        if (!PyErr_ExceptionMatches(PyExc_BufferError) && !PyErr_ExceptionMatches(PyExc_ValueError))
            return -1;
        PyErr_Clear();
        return 0;
    }
    const Kind *kind = array->kind;
    int fits = view->ndim == 1 && mbapy_format_is(kind, view->format, view->itemsize);
    if (!fits && kind->class == BYTE)
        fits = PyBytes_Check(object) || PyByteArray_Check(object);
    if (fits && mbapy_is_any_array(array->state, object))
        fits = kind->class == TEXT ? has_typecode(object, kind->code) : view->format[0] == kind->code[0];
    if (fits <= 0) {
        PyBuffer_Release(view);
        return fits;
    }
    elements->data = view->buf;
    elements->count = view->len / kind->size;
    return 1;
}

void mbapy_give_back(Elements *elements) {
    if (elements->pinned != NULL) {
        ENTER(elements->pinned);
        elements->pinned->exports--;
        LEAVE();
    }
    PyBuffer_Release(&elements->view);
}

/* In. */

static int extend_by_iteration(MmapArray *array, PyObject *object) {
    Item item;
    PyObject *iterator = PyObject_GetIter(object);
    if (iterator == NULL)
        return -1;
    int result = 0;
    PyObject *value;
    while (result == 0 && (value = PyIter_Next(iterator)) != NULL) {
        result = array->kind->convert(value, item.bytes);
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

int mbapy_extend_from(MmapArray *array, PyObject *object) {
    Elements elements;
    int borrowed = mbapy_borrow(array, object, &elements);
    if (borrowed < 0)
        return -1;
    if (borrowed == 0) {
        if (mbapy_is_any_array(array->state, object)) {
            PyErr_Format(PyExc_TypeError, "can only extend with an array of the same kind, of typecode '%s'",
                         array->kind->code);
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

int mbapy_extend_from_bytes(MmapArray *array, PyObject *object) {
    Py_buffer view;
    if (PyObject_GetBuffer(object, &view, PyBUF_SIMPLE) < 0)
        return -1;
    if (view.itemsize != 1) { /* elements of another kind, likely by mistake: array.array takes none either */
        PyErr_Format(PyExc_TypeError, "a bytes-like object is required, not %R", Py_TYPE(object));
        PyBuffer_Release(&view);
        return -1;
    }
    int result = mbapy_must_be_open(array);
    if (result == 0 && view.len % array->kind->size != 0) {
        PyErr_SetString(PyExc_ValueError, "bytes length not a multiple of item size");
        result = -1;
    }
    if (result == 0)
        result = mbapy_extend(array, view.buf, view.len / array->kind->size);
    PyBuffer_Release(&view);
    return result;
}

int mbapy_extend_from_text(MmapArray *array, PyObject *text) {
    if (!PyUnicode_Check(text)) {
        PyErr_Format(PyExc_TypeError, "fromunicode() argument must be str, not %R", Py_TYPE(text));
        return -1;
    }
    if (array->kind->class != TEXT) {
        PyErr_Format(PyExc_ValueError, "fromunicode() may only be called on unicode type arrays ('u' or 'w'), not '%s'",
                     array->kind->code);
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

/* Whether the object is an array of characters. */
static int is_text_array(State *state, PyObject *object) {
    if (mbapy_is_array(state, object))
        return ((MmapArray *)object)->kind->class == TEXT;
    if (!mbapy_is_any_array(state, object))
        return 0;
    int result = has_typecode(object, "u");
    return result != 0 ? result : has_typecode(object, "w");
}

int mbapy_initialize(MmapArray *array, PyObject *object) {
    bool text = array->kind->class == TEXT;
    if (PyUnicode_Check(object)) {
        if (text)
            return mbapy_extend_from_text(array, object);
        PyErr_Format(PyExc_TypeError, "cannot use a str to initialize an array with typecode '%s'", array->kind->code);
        return -1;
    }
    if (PyBytes_Check(object) || PyByteArray_Check(object))
        return mbapy_extend_from_bytes(array, object);
    if (!mbapy_is_any_array(array->state, object))
        return mbapy_extend_from(array, object);
    Elements elements;
    int borrowed = mbapy_borrow(array, object, &elements);
    if (borrowed < 0)
        return -1;
    if (borrowed == 1) {
        int result = mbapy_extend(array, elements.data, elements.count);
        mbapy_give_back(&elements);
        return result;
    }
    int characters = text ? 0 : is_text_array(array->state, object);
    if (characters != 0) {
        if (characters > 0)
            PyErr_Format(PyExc_TypeError, "cannot use a unicode array to initialize an array with typecode '%s'",
                         array->kind->code);
        return -1;
    }
    return extend_by_iteration(array, object);
}

static int extend_from_list(MmapArray *array, PyObject *list) {
    if (!PyList_Check(list)) {
        PyErr_SetString(PyExc_TypeError, "arg must be list");
        return -1;
    }
    /* All of them or none. */
    Py_ssize_t count = PyList_Size(list);
    size_t size = array->kind->size;
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
        result = array->kind->convert(value, item.bytes);
        Py_DECREF(value);
        if (result == 0)
            mbapy_put(array->kind, values + (size_t)i * size, item.bytes);
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
    if (count > PY_SSIZE_T_MAX / array->kind->size) {
        PyErr_NoMemory();
        return -1;
    }
    if (mbapy_must_be_open(array) < 0)
        return -1;
    Py_ssize_t wanted = count * array->kind->size;
    PyObject *bytes = PyObject_CallMethod(arguments[0], "read", "n", wanted);
    if (bytes == NULL)
        return -1;
    int result = -1;
    if (!PyBytes_Check(bytes)) {
        PyErr_SetString(PyExc_TypeError, "read() didn't return bytes");
    } else {
        result = mbapy_extend_from_bytes(array, bytes);
        if (result == 0 && PyBytes_Size(bytes) != wanted) {
            PyErr_SetString(PyExc_EOFError, "read() didn't return enough bytes");
            result = -1;
        }
    }
    Py_DECREF(bytes);
    return result;
}

/* Out. */

MmapArray *mbapy_copy(MmapArray *array) {
    if (mbapy_must_be_open(array) < 0)
        return NULL;
    MmapArray *copy = mbapy_new_anonymous(array->state, array->kind);
    /* Making it may have collected garbage, and so have run code. */
    if (copy != NULL && (mbapy_must_be_open(array) < 0 ||
                         mbapy_extend(copy, array->data, mbapy_length(array)) < 0))
        Py_CLEAR(copy);
    return copy;
}

PyObject *mbapy_to_text(MmapArray *array) {
    if (array->kind->class != TEXT) {
        PyErr_Format(PyExc_ValueError, "tounicode() may only be called on unicode type arrays ('u' or 'w'), not '%s'",
                     array->kind->code);
        return NULL;
    }
    if (mbapy_must_be_open(array) < 0)
        return NULL;
    return PyUnicode_FromWideChar((const wchar_t *)(const void *)array->data, mbapy_length(array));
}

/* An array.array of one element of this kind, or None where this Python has no such type. */
static PyObject *one_of(State *state, const Kind *kind) {
    PyObject **one = &state->ones[kind - mbapy_kinds];
    if (*one == NULL) {
        PyObject *module = PyImport_ImportModule("mmap_backed_array._standard");
        if (module == NULL)
            return NULL;
        PyObject *made = PyObject_CallMethod(module, "one", "si", kind->code, (int)kind->size);
        Py_DECREF(module);
        if (made == NULL)
            return NULL;
        PyObject *none = NULL;
        /* The import may have let another thread do the same. */
        if (!__atomic_compare_exchange_n(one, &none, made, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            Py_DECREF(made);
    }
    return *one;
}

/* From how many bytes on the call of a method costs less than storing every byte twice. */
#define LARGE_SLICE 32768

static void copy_steps(const Kind *kind, char *to, const char *from, Py_ssize_t step, Py_ssize_t count) {
    if (step == 1) {
        memcpy(to, from, (size_t)count * kind->size);
        return;
    }
    for (Py_ssize_t i = 0; i < count; i++)
        mbapy_put(kind, to + i * kind->size, from + i * step * kind->size);
}

/* An array.array of `count` elements; those of large ones are taken over by its own method, with one copy. */
static PyObject *standard_copy(MmapArray *array, PyObject *one, Py_ssize_t start, Py_ssize_t step, Py_ssize_t count) {
    const char *from = array->data + start * array->kind->size;
    Py_ssize_t bytes = count * array->kind->size;
    bool large = step == 1 && bytes >= LARGE_SLICE;
    PyObject *copy = PySequence_Repeat(one, large ? 0 : count);
    if (copy == NULL || count == 0)
        return copy;
    int result = -1;
    if (large) {
        PyObject *view = PyMemoryView_FromMemory((char *)from, bytes, PyBUF_READ);
        PyObject *done = view == NULL ? NULL : PyObject_CallMethod(copy, "frombytes", "O", view);
        result = done == NULL ? -1 : 0;
        Py_XDECREF(done);
        Py_XDECREF(view);
    } else {
        Py_buffer view;
        result = PyObject_GetBuffer(copy, &view, PyBUF_WRITABLE);
        if (result == 0) {
            copy_steps(array->kind, view.buf, from, step, count);
            PyBuffer_Release(&view);
        }
    }
    if (result < 0) {
        Py_DECREF(copy);
        return NULL;
    }
    return copy;
}

static PyObject *own_copy(MmapArray *array, Py_ssize_t start, Py_ssize_t step, Py_ssize_t count) {
    MmapArray *copy = mbapy_new_anonymous(array->state, array->kind);
    if (copy == NULL)
        return NULL;
    if (mbapy_changed(copy, mba_resize(copy->handle, (size_t)count)) < 0) {
        Py_DECREF((PyObject *)copy);
        return NULL;
    }
    copy_steps(array->kind, copy->data, array->data + start * array->kind->size, step, count);
    return (PyObject *)copy;
}

/*
 * Filling a list through the limited API takes a call and its checks for each element. array.array does without, so
 * that a copy of the elements in one of these and its tolist() are faster, from a few elements on; but the copy takes
 * memory for as long.
 */
#define LEAST_BY_COPY 512
#define MOST_BY_COPY ((Py_ssize_t)64 << 20) /* bytes */

static PyObject *list_by_copy(MmapArray *array, PyObject *one, Py_ssize_t count) {
    PyObject *copy = standard_copy(array, one, 0, 1, count);
    PyObject *list = copy == NULL ? NULL : PyObject_CallMethod(copy, "tolist", NULL);
    Py_XDECREF(copy);
    return list;
}

static PyObject *list_by_filling(MmapArray *array, Py_ssize_t count) {
    PyObject *list = PyList_New(count);
    if (list != NULL && array->kind->fill(list, array->data, count) < 0)
        Py_CLEAR(list);
    return list;
}

PyObject *mbapy_to_list(MmapArray *array) {
    PyObject *one = one_of(array->state, array->kind);
    if (one == NULL || mbapy_must_be_open(array) < 0)
        return NULL;
    Py_ssize_t count = mbapy_length(array);
    bool by_copy = one != Py_None && count >= LEAST_BY_COPY && count <= MOST_BY_COPY / array->kind->size;
    /* Making the list may collect garbage, and so run code, which must leave the elements where they are. */
    array->exports++;
    PyObject *list = by_copy ? list_by_copy(array, one, count) : list_by_filling(array, count);
    array->exports--;
    return list;
}

PyObject *mbapy_copy_slice(MmapArray *array, PyObject *slice) {
    Py_ssize_t start, stop, step;
    if (PySlice_Unpack(slice, &start, &stop, &step) < 0)
        return NULL;
    PyObject *one = one_of(array->state, array->kind);
    if (one == NULL || mbapy_must_be_open(array) < 0)
        return NULL;
    Py_ssize_t count = PySlice_AdjustIndices(mbapy_length(array), &start, &stop, step);
    /* Making the copy may collect garbage, and so run code, which must leave the elements where they are. */
    array->exports++;
    PyObject *copy =
        one != Py_None ? standard_copy(array, one, start, step, count) : own_copy(array, start, step, count);
    array->exports--;
    return copy;
}

/* As array.array does it, in blocks, so that files get bytes objects and nobody keeps a view. */
static int write_to_file(MmapArray *array, PyObject *file) {
    const Py_ssize_t block = 64 * 1024;
    if (mbapy_must_be_open(array) < 0)
        return -1;
    for (Py_ssize_t at = 0; at < mbapy_length(array) * array->kind->size; at += block) {
        Py_ssize_t left = mbapy_length(array) * array->kind->size - at;
        PyObject *bytes = PyBytes_FromStringAndSize(array->data + at, left < block ? left : block);
        PyObject *result = bytes == NULL ? NULL : PyObject_CallMethod(file, "write", "O", bytes);
        Py_XDECREF(bytes);
        if (result == NULL)
            return -1;
        Py_DECREF(result);
    }
    return mbapy_must_be_open(array); /* the file may have closed it */
}

/* Methods. Each takes the object's critical section and does one of the above. */

#define METHOD_IN(name, work)                                                                                \
    static PyObject *name(PyObject *self, PyObject *argument) {                                              \
        ENTER(self);                                                                                         \
        int result = work((MmapArray *)self, argument);                                                      \
        LEAVE();                                                                                             \
        return mbapy_none_unless(result);                                                                          \
    }

#define METHOD_OUT(name, work)                                                                               \
    static PyObject *name(PyObject *self, PyObject *unused) {                                                \
        (void)unused;                                                                                        \
        ENTER(self);                                                                                         \
        PyObject *result = work((MmapArray *)self);                                                          \
        LEAVE();                                                                                             \
        return result;                                                                                       \
    }

static PyObject *to_bytes(MmapArray *array) {
    if (mbapy_must_be_open(array) < 0)
        return NULL;
    return PyBytes_FromStringAndSize(array->data, mbapy_length(array) * array->kind->size);
}

static PyObject *buffer_info(MmapArray *array) {
    if (mbapy_must_be_open(array) < 0)
        return NULL;
    PyObject *address = PyLong_FromVoidPtr(array->data);
    return address == NULL ? NULL : Py_BuildValue("Nn", address, mbapy_length(array));
}

/* A rewriting in place. */
static PyObject *in_place(MmapArray *array, int (*work)(mba_array *)) {
    if (array->busy && mbapy_may_change(array, false) < 0)
        return NULL;
    if (mbapy_may_write(array) < 0)
        return NULL;
    int code = work(array->handle);
    return mbapy_none_unless(code == MBA_OK ? 0 : mbapy_fail(array, code));
}

static PyObject *byteswap(MmapArray *array) {
    return in_place(array, mba_byteswap);
}

static PyObject *reverse(MmapArray *array) {
    return in_place(array, mba_reverse);
}

static PyObject *copy(MmapArray *array) {
    return (PyObject *)mbapy_copy(array);
}


METHOD_IN(extend_method, mbapy_extend_from)
METHOD_IN(frombytes_method, mbapy_extend_from_bytes)
METHOD_IN(fromlist_method, extend_from_list)
METHOD_IN(fromunicode_method, mbapy_extend_from_text)
METHOD_IN(tofile_method, write_to_file)
METHOD_OUT(tobytes_method, to_bytes)
METHOD_OUT(tolist_method, mbapy_to_list)
METHOD_OUT(tounicode_method, mbapy_to_text)
METHOD_OUT(buffer_info_method, buffer_info)
METHOD_OUT(byteswap_method, byteswap)
METHOD_OUT(reverse_method, reverse)
METHOD_OUT(copy_method, copy)

static PyObject *deepcopy_method(PyObject *self, PyObject *memo) {
    (void)memo;
    return copy_method(self, NULL);
}

static PyObject *fromfile_method(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
    ENTER(self);
    int result = extend_from_file((MmapArray *)self, arguments, count);
    LEAVE();
    return mbapy_none_unless(result);
}

/* The older name took text as well as bytes. */
static int extend_from_string(MmapArray *array, PyObject *object) {
    return PyUnicode_Check(object) ? mbapy_extend_from_text(array, object) : mbapy_extend_from_bytes(array, object);
}

METHOD_IN(fromstring_method, extend_from_string)

static PyObject *reduce_ex_method(PyObject *self, PyObject *protocol) {
    PyObject *module = PyImport_ImportModule("mmap_backed_array._pickle");
    if (module == NULL)
        return NULL;
    PyObject *result = PyObject_CallMethod(module, "reduce", "OO", self, protocol);
    Py_DECREF(module);
    return result;
}

PyMethodDef mbapy_content_methods[] = {
    {"extend", extend_method, METH_O,
     PyDoc_STR("extend($self, values, /)\n--\n\nAppend the elements of an array or contiguous buffer of the same type, "
               "or those that an iterable yields.")},
    {"fromlist", fromlist_method, METH_O,
     PyDoc_STR("fromlist($self, list, /)\n--\n\nAppend the elements of a list: all of them, or none if it fails.")},
    {"frombytes", frombytes_method, METH_O,
     PyDoc_STR("frombytes($self, buffer, /)\n--\n\nAppend elements from an object that holds them as in memory.")},
    {"fromfile", (PyCFunction)(void (*)(void))fromfile_method, METH_FASTCALL,
     PyDoc_STR("fromfile($self, file, count, /)\n--\n\nAppend count elements read from a binary file; EOFError if there "
               "are fewer, which are appended all the same.")},
    {"fromunicode", fromunicode_method, METH_O,
     PyDoc_STR("fromunicode($self, text, /)\n--\n\nAppend the characters of a str to an array of 'u' or 'w'.")},
    {"fromstring", fromstring_method, METH_O,
     PyDoc_STR("fromstring($self, data, /)\n--\n\nThe older name of frombytes(), and for a str of fromunicode().")},
    {"tolist", tolist_method, METH_NOARGS, PyDoc_STR("tolist($self, /)\n--\n\nReturn a list of the elements.")},
    {"tobytes", tobytes_method, METH_NOARGS,
     PyDoc_STR("tobytes($self, /)\n--\n\nReturn the elements as bytes, as they are in memory.")},
    {"tostring", tobytes_method, METH_NOARGS, PyDoc_STR("tostring($self, /)\n--\n\nThe older name of tobytes().")},
    {"tofile", tofile_method, METH_O,
     PyDoc_STR("tofile($self, file, /)\n--\n\nWrite the elements, as they are in memory, to a binary file.")},
    {"tounicode", tounicode_method, METH_NOARGS,
     PyDoc_STR("tounicode($self, /)\n--\n\nReturn the characters of an array of 'u' or 'w' as a str.")},
    {"buffer_info", buffer_info_method, METH_NOARGS,
     PyDoc_STR("buffer_info($self, /)\n--\n\nReturn the address of the first element and the number of elements.")},
    {"byteswap", byteswap_method, METH_NOARGS,
     PyDoc_STR("byteswap($self, /)\n--\n\nTurn the bytes of every element around, of both parts of a complex one.")},
    {"reverse", reverse_method, METH_NOARGS,
     PyDoc_STR("reverse($self, /)\n--\n\nTurn the order of the elements around, in place.")},
    {"__copy__", copy_method, METH_NOARGS,
     PyDoc_STR("__copy__($self, /)\n--\n\nReturn a copy in anonymous memory.")},
    {"__deepcopy__", deepcopy_method, METH_O,
     PyDoc_STR("__deepcopy__($self, memo, /)\n--\n\nReturn a copy in anonymous memory.")},
    {"__reduce_ex__", reduce_ex_method, METH_O,
     PyDoc_STR("__reduce_ex__($self, protocol, /)\n--\n\nPickle by name where there is one, else by value.")},
    {NULL, NULL, 0, NULL},
};
