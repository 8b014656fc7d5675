/*
 * Elements in another object's memory. This file tells whether an object has any of an array's type, and keeps them
 * where they are until they are given back.
 */
#include "core.h"

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

int mbapy_is_text_array(State *state, PyObject *object) {
    if (mbapy_is_array(state, object))
        return ((MmapArray *)object)->element_type->class == TEXT;
    if (!mbapy_is_any_array(state, object))
        return 0;
    int result = has_typecode(object, "u");
    return result != 0 ? result : has_typecode(object, "w");
}

static int borrow_ours(MmapArray *array, MmapArray *theirs, BorrowedElements *elements) {
    if (theirs->element_type != array->element_type)
        return 0;
    if (mbapy_must_be_open(theirs) < 0)
        return -1;
    if (theirs != array) {
        mbapy_begin_export(theirs);
        elements->pinned = theirs;
    } else if (array->busy && mbapy_may_change(array, false) < 0) {
        return -1; /* to wait later would be to let others change what is borrowed */
    }
    elements->data = theirs->data;
    elements->count = mbapy_length(theirs);
    return 1;
}

int mbapy_borrow(MmapArray *array, PyObject *object, BorrowedElements *elements) {
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
    const ElementType *element_type = array->element_type;
    int fits = view->ndim == 1 && mbapy_format_matches(element_type, view->format, view->itemsize);
    if (!fits && element_type->class == BYTE)
        fits = PyBytes_Check(object) || PyByteArray_Check(object);
    /* Of arrays, only those of this typecode, not of another that is the same in memory. */
    if (fits && mbapy_is_any_array(array->state, object))
        fits = element_type->class == TEXT ? has_typecode(object, element_type->code)
                                           : view->format[0] == element_type->code[0];
    if (fits <= 0) {
        PyBuffer_Release(view);
        return fits;
    }
    elements->data = view->buf;
    elements->count = view->len / element_type->size;
    return 1;
}

void mbapy_give_back(BorrowedElements *elements) {
    if (elements->pinned != NULL) {
        ENTER(elements->pinned);
        mbapy_end_export(elements->pinned);
        LEAVE();
    }
    PyBuffer_Release(&elements->view);
}
