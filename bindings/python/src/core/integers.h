/*
 * Between Python's ints and C's integers. Included by element_types.c alone, so that the conversions there are compiled
 * as one with these.
 */
#ifndef MBAPY_INTEGERS_H
#define MBAPY_INTEGERS_H

#include "element_types.h"

#include <math.h>

static void out_of_range(const char *code, PyObject *value, PyObject *low, PyObject *high) {
    if (low != NULL && high != NULL) {
        PyErr_Format(PyExc_OverflowError, "%R is out of range for typecode '%s': %S to %S", value, code, low, high);
        /* Python writes no int of thousands of digits, and a subclass may have a repr of its own. */
        if (!PyErr_ExceptionMatches(PyExc_OverflowError))
            PyErr_Format(PyExc_OverflowError, "int is out of range for typecode '%s': %S to %S", code, low, high);
    }
    Py_XDECREF(low);
    Py_XDECREF(high);
}

/* The object as an int, by its __index__ if it is none. */
static PyObject *as_int(PyObject *object) {
    if (PyLong_Check(object))
        return Py_NewRef(object);
    return PyNumber_Index(object);
}

static int signed_integer(PyObject *object, const char *code, long long low, long long high, long long *result) {
    PyObject *number = object;
    if (UNLIKELY(!PyLong_CheckExact(object)) && (number = as_int(object)) == NULL)
        return -1;
    int overflow;
    long long value = PyLong_AsLongLongAndOverflow(number, &overflow);
    int outcome = 0;
    if (UNLIKELY(overflow || value < low || value > high)) {
        out_of_range(code, number, PyLong_FromLongLong(low), PyLong_FromLongLong(high));
        outcome = -1;
    } else {
        *result = value;
    }
    if (number != object)
        Py_DECREF(number);
    return outcome;
}

/* An int as an unsigned 64-bit number: 0, or -1 without an exception if it is too large or negative. */
static int unsigned_value(PyObject *number, unsigned long long *result) {
    int overflow;
    long long value = PyLong_AsLongLongAndOverflow(number, &overflow);
    if (LIKELY(!overflow && value >= 0)) {
        *result = (unsigned long long)value;
        return 0;
    }
    if (overflow <= 0)
        return -1;
    *result = PyLong_AsUnsignedLongLong(number);
    if (*result == (unsigned long long)-1 && PyErr_Occurred()) {
        PyErr_Clear();
        return -1;
    }
    return 0;
}

static int unsigned_integer(PyObject *object, const char *code, unsigned long long high,
                            unsigned long long *result) {
    PyObject *number = object;
    if (UNLIKELY(!PyLong_CheckExact(object)) && (number = as_int(object)) == NULL)
        return -1;
    unsigned long long value = 0;
    int outcome = 0;
    if (UNLIKELY(unsigned_value(number, &value) < 0 || value > high)) {
        out_of_range(code, number, PyLong_FromLong(0), PyLong_FromUnsignedLongLong(high));
        outcome = -1;
    } else {
        *result = value;
    }
    if (number != object)
        Py_DECREF(number);
    return outcome;
}

/* The int that equals a number among ints, so that 1.0 and True find 1: SEEK_VALUE with a new reference. */
static Seek seek_integer(PyObject *object, PyObject **number) {
    if (PyLong_CheckExact(object) || PyBool_Check(object)) {
        *number = Py_NewRef(object);
        return SEEK_VALUE;
    }
    if (!PyFloat_CheckExact(object))
        return SEEK_OBJECT;
    double value = PyFloat_AsDouble(object);
    if (!isfinite(value) || value != floor(value))
        return SEEK_NOTHING;
    *number = PyLong_FromDouble(value);
    return *number == NULL ? SEEK_FAILED : SEEK_VALUE;
}

#endif
