/* The operators + and *, += and *=. */
#include "core.h"

/* Appends another array or buffer of the same type, and nothing else. */
static int add(MmapArray *to, PyObject *other) {
    BorrowedElements elements;
    int borrowed = mbapy_borrow(to, other, &elements);
    if (borrowed < 0)
        return -1;
    if (borrowed == 0) {
        if (mbapy_is_any_array(to->state, other))
            PyErr_Format(PyExc_TypeError, "can only add an array of the same kind, of typecode '%s'",
                         to->element_type->code);
        else
            PyErr_Format(PyExc_TypeError, "can only add an array to an array, not %R", Py_TYPE(other));
        return -1;
    }
    int result = mbapy_extend(to, elements.data, elements.count);
    mbapy_give_back(&elements);
    return result;
}

PyObject *mbapy_concat(PyObject *self, PyObject *other) {
    ENTER(self);
    MmapArray *sum = mbapy_copy((MmapArray *)self);
    LEAVE();
    if (sum != NULL && (add(sum, other) < 0 || mbapy_unlock_new(sum) < 0))
        Py_CLEAR(sum);
    return (PyObject *)sum;
}

PyObject *mbapy_inplace_concat(PyObject *self, PyObject *other) {
    ENTER(self);
    int result = add((MmapArray *)self, other);
    LEAVE();
    return result < 0 ? NULL : Py_NewRef(self);
}

PyObject *mbapy_repeat(PyObject *self, Py_ssize_t times) {
    MmapArray *array = (MmapArray *)self;
    MmapArray *product;
    if (times <= 0) {
        product = mbapy_must_be_open(array) < 0 ? NULL : mbapy_new_anonymous(array->state, array->element_type);
    } else {
        ENTER(self);
        product = mbapy_copy(array);
        LEAVE();
        if (product != NULL && (mbapy_multiply(product, times) < 0 || mbapy_unlock_new(product) < 0))
            Py_CLEAR(product);
    }
    return (PyObject *)product;
}

PyObject *mbapy_inplace_repeat(PyObject *self, Py_ssize_t times) {
    MmapArray *array = (MmapArray *)self;
    ENTER(self);
    int result;
    if (mbapy_must_be_open(array) < 0)
        result = -1;
    else if (mbapy_length(array) == 0 || times == 1)
        result = 0;
    else
        result = times <= 0 ? mbapy_clear(array) : mbapy_multiply(array, times);
    LEAVE();
    return result < 0 ? NULL : Py_NewRef(self);
}
