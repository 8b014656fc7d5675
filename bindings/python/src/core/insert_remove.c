/* Elements come and go one at a time: append(), insert(), pop(), remove(); and clear(). */
#include "core.h"

static PyObject *append_method(PyObject *self, PyObject *value) {
    MmapArray *array = (MmapArray *)self;
    Item item;
    ENTER(self);
    int result = array->element_type->convert(value, item.bytes);
    if (LIKELY(result == 0)) {
        /* If it fails, the long way finds out why. */
        mbapy_length_changed(array);
        if (UNLIKELY(array->growable == NULL) || UNLIKELY(mba_append(array->growable, item.bytes) != MBA_OK)) {
            result = mbapy_must_be_open(array);
            if (result == 0)
                result = mbapy_extend(array, item.bytes, 1);
        }
    }
    LEAVE();
    return mbapy_none_unless(result);
}

static int insert_inside(MmapArray *array, Py_ssize_t index, PyObject *value) {
    Item item;
    if (array->element_type->convert(value, item.bytes) < 0 || mbapy_take_growth_lock(array) < 0)
        return -1;
    Py_ssize_t length = mbapy_length(array);
    if (index < 0 && (index += length) < 0)
        index = 0;
    if (index > length)
        index = length;
    return mbapy_splice(array, index, 0, item.bytes, 1);
}

static PyObject *insert_method(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
    if (count != 2) {
        PyErr_Format(PyExc_TypeError, "insert expected 2 arguments, got %zd", count);
        return NULL;
    }
    Py_ssize_t index = PyNumber_AsSsize_t(arguments[0], PyExc_OverflowError);
    if (index == -1 && PyErr_Occurred())
        return NULL;
    ENTER(self);
    int result = insert_inside((MmapArray *)self, index, arguments[1]);
    LEAVE();
    return mbapy_none_unless(result);
}

/* Takes the last element away where no further checks are needed; NULL without an exception where they are. */
static PyObject *pop_last(MmapArray *array) {
    Item item;
    if (UNLIKELY(array->growable == NULL) || array->exports > 0 || array->exact)
        return NULL;
    mbapy_length_changed(array);
    if (UNLIKELY(mba_pop(array->growable, item.bytes) != MBA_OK))
        return NULL;
    PyObject *value = array->element_type->load(item.bytes, 0);
    if (UNLIKELY(value == NULL))
        mba_append(array->growable, item.bytes); /* into the place it left, which can't fail */
    return value;
}

static PyObject *pop_inside(MmapArray *array, Py_ssize_t index) {
    if (mbapy_take_growth_lock(array) < 0)
        return NULL;
    Py_ssize_t length = mbapy_length(array);
    if (length == 0) {
        PyErr_SetString(PyExc_IndexError, "pop from empty array");
        return NULL;
    }
    Py_ssize_t at = index < 0 ? index + length : index;
    if ((size_t)at >= (size_t)length) {
        PyErr_SetString(PyExc_IndexError, "pop index out of range");
        return NULL;
    }
    PyObject *value = array->element_type->load(array->data, at);
    if (value != NULL && mbapy_splice(array, at, 1, NULL, 0) < 0)
        Py_CLEAR(value);
    return value;
}

static PyObject *pop_method(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
    Py_ssize_t index = -1;
    if (count > 0) {
        if (count > 1) {
            PyErr_Format(PyExc_TypeError, "pop expected at most 1 argument, got %zd", count);
            return NULL;
        }
        index = PyNumber_AsSsize_t(arguments[0], PyExc_OverflowError);
        if (index == -1 && PyErr_Occurred())
            return NULL;
    }
    ENTER(self);
    PyObject *result = LIKELY(index == -1) ? pop_last((MmapArray *)self) : NULL;
    /* If it fails, the long way finds out why. */
    if (UNLIKELY(result == NULL) && !PyErr_Occurred())
        result = pop_inside((MmapArray *)self, index);
    LEAVE();
    return result;
}

static int remove_inside(MmapArray *array, PyObject *value) {
    Py_ssize_t index = mbapy_find(array, value, 0, PY_SSIZE_T_MAX);
    if (index >= 0 && array->mmap == NULL && (array->busy || !mba_has_lock(array->handle))) {
        /* Others may have changed it until now, or do so while this thread waits. */
        if (mbapy_take_growth_lock(array) < 0)
            return -1;
        index = mbapy_find(array, value, 0, PY_SSIZE_T_MAX);
    }
    if (index == -1)
        PyErr_SetString(PyExc_ValueError, "array.remove(x): x not in array");
    if (index < 0 || mbapy_splice(array, index, 1, NULL, 0) < 0)
        return -1;
    return 0;
}

METHOD_WITH_ARGUMENT(remove_method, remove_inside)

METHOD(clear_method, mbapy_clear)

PyMethodDef mbapy_insert_remove_methods[] = {
    {"append", append_method, METH_O,
     PyDoc_STR("append($self, value, /)\n--\n\nAppend an element to the end of the array.")},
    {"insert", (PyCFunction)(void (*)(void))insert_method, METH_FASTCALL,
     PyDoc_STR("insert($self, index, value, /)\n--\n\nInsert an element before the index; a negative one counts from "
               "the end.")},
    {"pop", (PyCFunction)(void (*)(void))pop_method, METH_FASTCALL,
     PyDoc_STR("pop($self, index=-1, /)\n--\n\nRemove and return the element at the index, by default the last.")},
    {"remove", remove_method, METH_O,
     PyDoc_STR("remove($self, value, /)\n--\n\nRemove the first element equal to the value; ValueError if there is "
               "none.")},
    {"clear", clear_method, METH_NOARGS, PyDoc_STR("clear($self, /)\n--\n\nRemove all elements.")},
    {NULL, NULL, 0, NULL},
};
