/*
 * Between Python's numbers and C's floating point, halves and complex numbers too. Included by element_types.c alone,
 * so that the conversions there are compiled as one with these.
 */
#ifndef MBAPY_FLOATS_H
#define MBAPY_FLOATS_H

#include "element_types.h"

#include <math.h>

static int real_number(PyObject *object, double *result) {
    *result = PyFloat_AsDouble(object);
    return UNLIKELY(*result == -1.0) && PyErr_Occurred() ? -1 : 0;
}

/* The double that equals a number among floats: Python compares ints and floats by their exact values. */
static Seek seek_double(PyObject *object, double *result) {
    if (PyFloat_CheckExact(object)) {
        *result = PyFloat_AsDouble(object);
        return SEEK_VALUE;
    }
    if (!PyLong_CheckExact(object) && !PyBool_Check(object))
        return SEEK_OBJECT;
    *result = PyLong_AsDouble(object);
    if (*result == -1.0 && PyErr_Occurred()) {
        PyErr_Clear(); /* beyond all floats */
        return SEEK_NOTHING;
    }
    PyObject *back = PyLong_FromDouble(*result);
    if (back == NULL)
        return SEEK_FAILED;
    int same = PyObject_RichCompareBool(back, object, Py_EQ);
    Py_DECREF(back);
    return same < 0 ? SEEK_FAILED : same ? SEEK_VALUE : SEEK_NOTHING;
}

/* IEEE 754 binary16: 1 bit of sign, 5 of exponent (bias 15), 10 of fraction. */

static double half_to_double(uint16_t bits) {
    int exponent = bits >> 10 & 0x1f;
    int fraction = bits & 0x3ff;
    double value;
    if (exponent == 0x1f)
        value = fraction != 0 ? (double)NAN : (double)INFINITY;
    else if (exponent == 0)
        value = ldexp(fraction, -24);
    else
        value = ldexp(fraction + 0x400, exponent - 25);
    return bits >> 15 ? -value : value;
}

/* Rounds to the nearest, ties to even, in one step. -1 if a finite number is beyond the largest half. */
static int double_to_half(double value, uint16_t *bits) {
    uint16_t sign = signbit(value) ? 0x8000 : 0;
    double size = fabs(value);
    if (isnan(value)) {
        *bits = sign | 0x7e00;
        return 0;
    }
    if (isinf(value)) {
        *bits = sign | 0x7c00;
        return 0;
    }
    /* The distance of neighbouring halves at this size is 2**(exponent - 10); below 2**-14 it stays 2**-24. */
    int exponent = size < 0x1p-14 ? -14 : ilogb(size);
    if (exponent > 15)
        return -1;
    double steps = ldexp(size, 10 - exponent);
    double whole = floor(steps);
    double rest = steps - whole;
    long count = (long)whole;
    if (rest > 0.5 || (rest == 0.5 && count % 2 != 0))
        count++;
    /* A count of 0x400 is the implicit leading 1, so that adding carries into the exponent. */
    long result = count + ((long)(exponent + 14) << 10);
    if (result >= 0x7c00)
        return -1;
    *bits = sign | (uint16_t)result;
    return 0;
}

/* Complex numbers: the real part, then the imaginary one. */

static int complex_number(PyObject *object, double parts[2]) {
    PyObject *number = object;
    if (!PyComplex_Check(object)) {
        if (PyFloat_CheckExact(object) || PyLong_CheckExact(object)) {
            parts[1] = 0.0;
            return real_number(object, &parts[0]);
        }
        if (PyUnicode_Check(object)) { /* complex() would parse it */
            PyErr_SetString(PyExc_TypeError, "must be a complex number, not str");
            return -1;
        }
        number = PyObject_CallFunctionObjArgs((PyObject *)&PyComplex_Type, object, NULL);
        if (number == NULL)
            return -1;
    }
    parts[0] = PyComplex_RealAsDouble(number);
    parts[1] = PyComplex_ImagAsDouble(number);
    if (number != object)
        Py_DECREF(number);
    return 0;
}

static Seek seek_parts(PyObject *object, double parts[2]) {
    if (PyComplex_CheckExact(object)) {
        parts[0] = PyComplex_RealAsDouble(object);
        parts[1] = PyComplex_ImagAsDouble(object);
        return SEEK_VALUE;
    }
    parts[1] = 0.0;
    return seek_double(object, &parts[0]);
}

#endif
