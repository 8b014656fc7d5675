/* Comparison with other arrays, ours and the standard ones: ==, <, and so on. */
#include "core.h"

/* The array on the other side. */
typedef struct {
    mba_array *handle;
    const ElementType *element_type;
    bool is_standard; /* an array.array: the handle was made for the comparison, over the view */
    Py_buffer view;
} Operand;

static void release_operand(Operand *other) {
    if (!other->is_standard)
        return;
    mba_free(other->handle);
    PyBuffer_Release(&other->view);
}

/* 1 if the object is an array, 0 if not. */
static int get_operand(MmapArray *array, PyObject *object, Operand *other) {
    if (mbapy_is_array(array->state, object)) {
        other->element_type = ((MmapArray *)object)->element_type;
        other->is_standard = false;
        return 1;
    }
    if (!mbapy_is_any_array(array->state, object))
        return 0;
    if (PyObject_GetBuffer(object, &other->view, PyBUF_ND | PyBUF_FORMAT) < 0)
        return -1;
    other->element_type = mbapy_element_type_of_format(other->view.format, other->view.itemsize);
    static _Alignas(WIDEST) char nothing[WIDEST]; /* the address of an empty array may be anything */
    void *data = other->view.len > 0 ? other->view.buf : nothing;
    int code = MBA_ETYPE;
    if (other->element_type != NULL)
        code = mba_from_memory(data, (size_t)other->view.len, other->element_type->type, MBA_RDONLY, &other->handle);
    if (code != MBA_OK) {
        PyBuffer_Release(&other->view);
        return mbapy_raise(array->state, code, NULL);
    }
    other->is_standard = true;
    return 1;
}

/* As array.array does it: element by element as Python objects, up to the first two that differ. */
static PyObject *compare_objects(MmapArray *array, Operand *other, int operation) {
    const char *theirs = mba_data_ptr(other->handle);
    Py_ssize_t left = mbapy_length(array), right = (Py_ssize_t)mba_len(other->handle);
    Py_ssize_t both = left < right ? left : right;
    for (Py_ssize_t i = 0; i < both; i++) {
        PyObject *a = array->element_type->load(array->data, i);
        PyObject *b = a == NULL ? NULL : other->element_type->load(theirs, i);
        int equal = b == NULL ? -1 : PyObject_RichCompareBool(a, b, Py_EQ);
        PyObject *result = NULL;
        if (equal == 0) {
            if (operation == Py_EQ || operation == Py_NE)
                result = PyBool_FromLong(operation == Py_NE);
            else
                result = PyObject_RichCompare(a, b, operation);
        }
        Py_XDECREF(a);
        Py_XDECREF(b);
        if (equal <= 0)
            return result;
    }
    Py_RETURN_RICHCOMPARE(left, right, operation);
}

static PyObject *compare_inside(MmapArray *array, Operand *other, int operation) {
    if (mbapy_must_be_open(array) < 0)
        return NULL;
    bool equality = operation == Py_EQ || operation == Py_NE;
    size_t length = (size_t)mbapy_length(array);
    if (equality && length != mba_len(other->handle))
        return PyBool_FromLong(operation == Py_NE);
    ElementClass class = array->element_type->class;
    if (class != other->element_type->class || array->element_type->size != other->element_type->size)
        return compare_objects(array, other, operation);
    int outcome;
    if (equality) {
        if (class == SIGNED || class == UNSIGNED || class == BYTE || class == TEXT) {
            /* Elements are equal if their bytes are. */
            bool equal = memcmp(array->data, mba_data_ptr(other->handle), length * array->element_type->size) == 0;
            return PyBool_FromLong(equal == (operation == Py_EQ));
        }
        if (mba_equal(array->handle, other->handle, &outcome) != MBA_OK)
            return compare_objects(array, other, operation);
        return PyBool_FromLong(outcome == (operation == Py_EQ));
    }
    /* NaN and complex numbers have no order, as their own comparison says. */
    if (mba_compare(array->handle, other->handle, &outcome) != MBA_OK || outcome == MBA_UNORDERED)
        return compare_objects(array, other, operation);
    Py_RETURN_RICHCOMPARE(outcome, 0, operation);
}

PyObject *mbapy_compare(PyObject *self, PyObject *object, int operation) {
    MmapArray *array = (MmapArray *)self;
    Operand other;
    int found = get_operand(array, object, &other);
    if (found < 0)
        return NULL;
    if (found == 0)
        Py_RETURN_NOTIMPLEMENTED;
#ifdef Py_GIL_DISABLED
    PyCriticalSection2 both;
    PyCriticalSection2_Begin(&both, self, object);
#endif
    PyObject *result = NULL;
    if (!other.is_standard)
        other.handle = ((MmapArray *)object)->handle;
    if (other.handle == NULL)
        mbapy_must_be_open((MmapArray *)object);
    else
        result = compare_inside(array, &other, operation);
#ifdef Py_GIL_DISABLED
    PyCriticalSection2_End(&both);
#endif
    release_operand(&other);
    return result;
}
