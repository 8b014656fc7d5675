/* Copies: of a whole array as one in anonymous memory, of a slice as an array.array wherever there is such a type. */
#include "core.h"

MmapArray *mbapy_copy(MmapArray *array) {
    if (mbapy_must_be_open(array) < 0)
        return NULL;
    MmapArray *copy = mbapy_new_anonymous(array->state, array->element_type);
    /* Making it may have collected garbage, and so have run code. */
    if (copy != NULL && (mbapy_must_be_open(array) < 0 ||
                         mbapy_extend(copy, array->data, mbapy_length(array)) < 0 || mbapy_unlock_new(copy) < 0))
        Py_CLEAR(copy);
    return copy;
}

static PyObject *copy(MmapArray *array) {
    return (PyObject *)mbapy_copy(array);
}

METHOD_WITH_RESULT(copy_method, copy)

static PyObject *deepcopy_method(PyObject *self, PyObject *memo) {
    (void)memo;
    return copy_method(self, NULL);
}

PyObject *mbapy_template_of(State *state, const ElementType *element_type) {
    PyObject **place = &state->templates[element_type - mbapy_element_types];
    if (*place == NULL) {
        PyObject *module = PyImport_ImportModule("mmap_backed_array._standard");
        if (module == NULL)
            return NULL;
        PyObject *made = PyObject_CallMethod(module, "one", "si", element_type->code, (int)element_type->size);
        Py_DECREF(module);
        if (made == NULL)
            return NULL;
        PyObject *none = NULL;
        /* The import may have let another thread do the same. */
        if (!__atomic_compare_exchange_n(place, &none, made, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            Py_DECREF(made);
    }
    return *place;
}

/* From so many bytes on, the call of a method costs less than storing every byte twice. */
#define LARGE_SLICE 32768

/* Compiled for each size of elements. */
static inline void copy_each(char *to, const char *from, Py_ssize_t step, Py_ssize_t count, Py_ssize_t size) {
    for (Py_ssize_t i = 0; i < count; i++)
        memcpy(to + i * size, from + i * step * size, (size_t)size);
}

static __attribute__((noinline)) void copy_steps(Py_ssize_t size, char *to, const char *from, Py_ssize_t step,
                                                 Py_ssize_t count) {
    switch (size) {
    case 1: copy_each(to, from, step, count, 1); break;
    case 2: copy_each(to, from, step, count, 2); break;
    case 4: copy_each(to, from, step, count, 4); break;
    case 8: copy_each(to, from, step, count, 8); break;
    default: copy_each(to, from, step, count, 16); break;
    }
}

static inline void copy_range(const ElementType *element_type, char *to, const char *from, Py_ssize_t step,
                              Py_ssize_t count) {
    if (LIKELY(step == 1))
        memcpy(to, from, (size_t)count * element_type->size);
    else
        copy_steps(element_type->size, to, from, step, count);
}

PyObject *mbapy_standard_copy(MmapArray *array, PyObject *template, Py_ssize_t start, Py_ssize_t step,
                              Py_ssize_t count) {
    const char *from = array->data + start * array->element_type->size;
    Py_ssize_t bytes = count * array->element_type->size;
    /* Elements of a large one are stored once, by array.array's own method; those of others over the template's. */
    bool large = step == 1 && bytes >= LARGE_SLICE;
    PyObject *copy = PySequence_Repeat(template, large ? 0 : count);
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
            copy_range(array->element_type, view.buf, from, step, count);
            PyBuffer_Release(&view);
        }
    }
    if (result < 0) {
        Py_DECREF(copy);
        return NULL;
    }
    return copy;
}

static PyObject *mmaparray_copy(MmapArray *array, Py_ssize_t start, Py_ssize_t step, Py_ssize_t count) {
    const char *from = array->data + start * array->element_type->size;
    MmapArray *copy = mbapy_new_anonymous(array->state, array->element_type);
    if (copy == NULL)
        return NULL;
    if (mbapy_finish_change(copy, mba_resize(copy->handle, (size_t)count)) < 0 || mbapy_unlock_new(copy) < 0) {
        Py_DECREF((PyObject *)copy);
        return NULL;
    }
    copy_range(array->element_type, copy->data, from, step, count);
    return (PyObject *)copy;
}

PyObject *mbapy_copy_slice(MmapArray *array, PyObject *slice) {
    Py_ssize_t start, stop, step;
    if (PySlice_Unpack(slice, &start, &stop, &step) < 0)
        return NULL;
    PyObject *template = mbapy_template_of(array->state, array->element_type);
    if (template == NULL || mbapy_must_be_open(array) < 0)
        return NULL;
    Py_ssize_t count = PySlice_AdjustIndices(mbapy_length(array), &start, &stop, step);
    /* Making the copy may collect garbage, and so run code, which may close the array: the elements stay where they are. */
    mbapy_begin_export(array);
    PyObject *copy = template != Py_None ? mbapy_standard_copy(array, template, start, step, count)
                                         : mmaparray_copy(array, start, step, count);
    mbapy_end_export(array);
    return copy;
}

PyMethodDef mbapy_copies_methods[] = {
    {"__copy__", copy_method, METH_NOARGS,
     PyDoc_STR("__copy__($self, /)\n--\n\nReturn a copy in anonymous memory.")},
    {"__deepcopy__", deepcopy_method, METH_O,
     PyDoc_STR("__deepcopy__($self, memo, /)\n--\n\nReturn a copy in anonymous memory.")},
    {NULL, NULL, 0, NULL},
};
