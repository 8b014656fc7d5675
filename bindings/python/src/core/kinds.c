/*
 * THE table of element types as Python sees them: from memory to an object, from an object to memory, and how an
 * object is looked for.
 */
#include "core.h"

#include <limits.h>
#include <math.h>
#include <wchar.h>

/* Integers. */

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

/* An int, for an object that is none: by its __index__. */
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

/* An unsigned 64-bit number: 0, or -1 without an exception if it is none. */
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

#define STORE(ctype, value)                                                                                  \
    do {                                                                                                     \
        ctype stored = (ctype)(value);                                                                       \
        memcpy(to, &stored, sizeof stored);                                                                  \
    } while (0)

#define LOAD(ctype, variable)                                                                                \
    ctype variable;                                                                                          \
    memcpy(&variable, data + index * (Py_ssize_t)sizeof variable, sizeof variable)

/* The way into a list of a type whose load stands above. */
#define FILL(name)                                                                                           \
    static int fill_##name(PyObject *list, const char *data, Py_ssize_t count) {                             \
        for (Py_ssize_t i = 0; i < count; i++) {                                                             \
            PyObject *value = load_##name(data, i);                                                          \
            if (value == NULL || PyList_SetItem(list, i, value) < 0)                                         \
                return -1;                                                                                   \
        }                                                                                                    \
        return 0;                                                                                            \
    }

#define SIGNED_KIND(name, code, ctype, low, high, to_object)                                                 \
    static PyObject *load_##name(const char *data, Py_ssize_t index) {                                       \
        LOAD(ctype, value);                                                                                  \
        return to_object(value);                                                                             \
    }                                                                                                        \
    FILL(name)                                                                                               \
    static int convert_##name(PyObject *object, char *to) {                                                  \
        long long value;                                                                                     \
        if (signed_integer(object, code, low, high, &value) < 0)                                             \
            return -1;                                                                                       \
        STORE(ctype, value);                                                                                 \
        return 0;                                                                                            \
    }                                                                                                        \
    static Seek seek_##name(PyObject *object, char *to) {                                                    \
        PyObject *number = NULL;                                                                             \
        Seek seek = seek_integer(object, &number);                                                           \
        if (seek != SEEK_VALUE)                                                                              \
            return seek;                                                                                     \
        int overflow;                                                                                        \
        long long value = PyLong_AsLongLongAndOverflow(number, &overflow);                                   \
        Py_DECREF(number);                                                                                   \
        if (overflow || value < (low) || value > (high))                                                     \
            return SEEK_NOTHING;                                                                             \
        STORE(ctype, value);                                                                                 \
        return SEEK_VALUE;                                                                                   \
    }

#define UNSIGNED_KIND(name, code, ctype, high, to_object)                                                    \
    static PyObject *load_##name(const char *data, Py_ssize_t index) {                                       \
        LOAD(ctype, value);                                                                                  \
        return to_object(value);                                                                             \
    }                                                                                                        \
    FILL(name)                                                                                               \
    static int convert_##name(PyObject *object, char *to) {                                                  \
        unsigned long long value;                                                                            \
        if (unsigned_integer(object, code, high, &value) < 0)                                                \
            return -1;                                                                                       \
        STORE(ctype, value);                                                                                 \
        return 0;                                                                                            \
    }                                                                                                        \
    static Seek seek_##name(PyObject *object, char *to) {                                                    \
        PyObject *number = NULL;                                                                             \
        Seek seek = seek_integer(object, &number);                                                           \
        if (seek != SEEK_VALUE)                                                                              \
            return seek;                                                                                     \
        unsigned long long value;                                                                            \
        int found = unsigned_value(number, &value);                                                          \
        Py_DECREF(number);                                                                                   \
        if (found < 0 || value > (high))                                                                     \
            return SEEK_NOTHING;                                                                             \
        STORE(ctype, value);                                                                                 \
        return SEEK_VALUE;                                                                                   \
    }

SIGNED_KIND(int8, "b", int8_t, INT8_MIN, INT8_MAX, PyLong_FromLong)
SIGNED_KIND(int16, "h", int16_t, INT16_MIN, INT16_MAX, PyLong_FromLong)
SIGNED_KIND(int32, "i", int, INT_MIN, INT_MAX, PyLong_FromLong)
SIGNED_KIND(clong, "l", long, LONG_MIN, LONG_MAX, PyLong_FromLong)
SIGNED_KIND(int64, "q", long long, LLONG_MIN, LLONG_MAX, PyLong_FromLongLong)
UNSIGNED_KIND(uint8, "B", uint8_t, UINT8_MAX, PyLong_FromLong)
UNSIGNED_KIND(uint16, "H", uint16_t, UINT16_MAX, PyLong_FromLong)
UNSIGNED_KIND(uint32, "I", unsigned int, UINT_MAX, PyLong_FromUnsignedLong)
UNSIGNED_KIND(culong, "L", unsigned long, ULONG_MAX, PyLong_FromUnsignedLong)
UNSIGNED_KIND(uint64, "Q", unsigned long long, ULLONG_MAX, PyLong_FromUnsignedLongLong)

/* Floating point. */

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

static PyObject *load_double(const char *data, Py_ssize_t index) {
    LOAD(double, value);
    return PyFloat_FromDouble(value);
}

FILL(double)

static int convert_double(PyObject *object, char *to) {
    double value;
    if (real_number(object, &value) < 0)
        return -1;
    STORE(double, value);
    return 0;
}

static Seek seek_float64(PyObject *object, char *to) {
    double value;
    Seek seek = seek_double(object, &value);
    if (seek == SEEK_VALUE)
        STORE(double, value);
    return seek;
}

static PyObject *load_float(const char *data, Py_ssize_t index) {
    LOAD(float, value);
    return PyFloat_FromDouble((double)value);
}

FILL(float)

static int convert_float(PyObject *object, char *to) {
    double value;
    if (real_number(object, &value) < 0)
        return -1;
    STORE(float, value);
    return 0;
}

static Seek seek_float32(PyObject *object, char *to) {
    double value;
    Seek seek = seek_double(object, &value);
    if (seek != SEEK_VALUE)
        return seek;
    if ((double)(float)value != value)
        return SEEK_NOTHING; /* NaN too */
    STORE(float, value);
    return SEEK_VALUE;
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

static PyObject *load_half(const char *data, Py_ssize_t index) {
    LOAD(uint16_t, bits);
    return PyFloat_FromDouble(half_to_double(bits));
}

FILL(half)

static int convert_half(PyObject *object, char *to) {
    double value;
    if (real_number(object, &value) < 0)
        return -1;
    uint16_t bits;
    if (double_to_half(value, &bits) < 0) {
        PyObject *number = PyFloat_FromDouble(value); /* the object may be a longer int than Python writes */
        if (number != NULL)
            PyErr_Format(PyExc_OverflowError, "%R is out of range for typecode 'e': -65504.0 to 65504.0", number);
        Py_XDECREF(number);
        return -1;
    }
    STORE(uint16_t, bits);
    return 0;
}

static Seek seek_half(PyObject *object, char *to) {
    double value;
    Seek seek = seek_double(object, &value);
    if (seek != SEEK_VALUE)
        return seek;
    uint16_t bits;
    if (double_to_half(value, &bits) < 0 || half_to_double(bits) != value)
        return SEEK_NOTHING;
    STORE(uint16_t, bits);
    return SEEK_VALUE;
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

static PyObject *load_complex128(const char *data, Py_ssize_t index) {
    double parts[2];
    memcpy(parts, data + index * (Py_ssize_t)sizeof parts, sizeof parts);
    return PyComplex_FromDoubles(parts[0], parts[1]);
}

FILL(complex128)

static int convert_complex128(PyObject *object, char *to) {
    double parts[2];
    if (complex_number(object, parts) < 0)
        return -1;
    memcpy(to, parts, sizeof parts);
    return 0;
}

static Seek seek_complex128(PyObject *object, char *to) {
    double parts[2];
    Seek seek = seek_parts(object, parts);
    if (seek == SEEK_VALUE)
        memcpy(to, parts, sizeof parts);
    return seek;
}

static PyObject *load_complex64(const char *data, Py_ssize_t index) {
    float parts[2];
    memcpy(parts, data + index * (Py_ssize_t)sizeof parts, sizeof parts);
    return PyComplex_FromDoubles((double)parts[0], (double)parts[1]);
}

FILL(complex64)

static int convert_complex64(PyObject *object, char *to) {
    double parts[2];
    if (complex_number(object, parts) < 0)
        return -1;
    float narrow[2] = {(float)parts[0], (float)parts[1]};
    memcpy(to, narrow, sizeof narrow);
    return 0;
}

static Seek seek_complex64(PyObject *object, char *to) {
    double parts[2];
    Seek seek = seek_parts(object, parts);
    if (seek != SEEK_VALUE)
        return seek;
    float narrow[2] = {(float)parts[0], (float)parts[1]};
    if ((double)narrow[0] != parts[0] || (double)narrow[1] != parts[1])
        return SEEK_NOTHING;
    memcpy(to, narrow, sizeof narrow);
    return SEEK_VALUE;
}

/* Truth values, bytes and characters. */

static PyObject *load_bool(const char *data, Py_ssize_t index) {
    return PyBool_FromLong(data[index] != 0);
}

FILL(bool)

static int convert_bool(PyObject *object, char *to) {
    int truth = PyObject_IsTrue(object);
    if (truth < 0)
        return -1;
    *to = (char)truth;
    return 0;
}

static Seek seek_bool(PyObject *object, char *to) {
    double value;
    Seek seek = seek_double(object, &value);
    if (seek != SEEK_VALUE)
        return seek;
    if (value != 0.0 && value != 1.0)
        return SEEK_NOTHING;
    *to = (char)(value == 1.0);
    return SEEK_VALUE;
}

static PyObject *load_char(const char *data, Py_ssize_t index) {
    return PyBytes_FromStringAndSize(data + index, 1);
}

FILL(char)

static int convert_char(PyObject *object, char *to) {
    if (PyBytes_Check(object) && PyBytes_Size(object) == 1) {
        *to = *PyBytes_AsString(object);
        return 0;
    }
    if (PyByteArray_Check(object)) {
        ENTER(object);
        bool single = PyByteArray_Size(object) == 1;
        if (single)
            *to = *PyByteArray_AsString(object);
        LEAVE();
        if (single)
            return 0;
    }
    if (PyBytes_Check(object) || PyByteArray_Check(object))
        PyErr_Format(PyExc_TypeError, "array item must be a bytes object of length one, not of length %zd",
                     PyObject_Size(object));
    else
        PyErr_Format(PyExc_TypeError, "array item must be a bytes object of length one, not %R", Py_TYPE(object));
    return -1;
}

static Seek seek_char(PyObject *object, char *to) {
    if (!PyBytes_CheckExact(object))
        return SEEK_OBJECT;
    if (PyBytes_Size(object) != 1)
        return SEEK_NOTHING;
    *to = *PyBytes_AsString(object);
    return SEEK_VALUE;
}

_Static_assert(sizeof(wchar_t) == 4, "'u' and 'w' are the same in memory");

static PyObject *load_character(const char *data, Py_ssize_t index) {
    LOAD(wchar_t, value);
    return PyUnicode_FromWideChar(&value, 1);
}

FILL(character)

static int convert_character(PyObject *object, char *to) {
    if (!PyUnicode_Check(object)) {
        PyErr_Format(PyExc_TypeError, "array item must be a unicode character, not %R", Py_TYPE(object));
        return -1;
    }
    Py_ssize_t size = PyUnicode_GetLength(object);
    if (size != 1) {
        PyErr_Format(PyExc_TypeError, "array item must be a string of length 1, not a string of length %zd", size);
        return -1;
    }
    STORE(uint32_t, PyUnicode_ReadChar(object, 0));
    return 0;
}

static Seek seek_character(PyObject *object, char *to) {
    if (!PyUnicode_CheckExact(object))
        return SEEK_OBJECT;
    if (PyUnicode_GetLength(object) != 1)
        return SEEK_NOTHING;
    STORE(uint32_t, PyUnicode_ReadChar(object, 0));
    return SEEK_VALUE;
}

const Kind mbapy_kinds[KINDS] = {
    {'b', 1, SIGNED, "b", "b",
     load_int8, fill_int8, convert_int8, seek_int8},
    {'B', 1, UNSIGNED, "B", "B",
     load_uint8, fill_uint8, convert_uint8, seek_uint8},
    {'u', sizeof(wchar_t), TEXT, "u", "w",
     load_character, fill_character, convert_character, seek_character},
    {'w', 4, TEXT, "w", "w",
     load_character, fill_character, convert_character, seek_character},
    {'h', 2, SIGNED, "h", "h",
     load_int16, fill_int16, convert_int16, seek_int16},
    {'H', 2, UNSIGNED, "H", "H",
     load_uint16, fill_uint16, convert_uint16, seek_uint16},
    {'i', sizeof(int), SIGNED, "i", "i",
     load_int32, fill_int32, convert_int32, seek_int32},
    {'I', sizeof(int), UNSIGNED, "I", "I",
     load_uint32, fill_uint32, convert_uint32, seek_uint32},
    {'l', sizeof(long), SIGNED, "l", "l",
     load_clong, fill_clong, convert_clong, seek_clong},
    {'L', sizeof(long), UNSIGNED, "L", "L",
     load_culong, fill_culong, convert_culong, seek_culong},
    {'q', sizeof(long long), SIGNED, "q", "q",
     load_int64, fill_int64, convert_int64, seek_int64},
    {'Q', sizeof(long long), UNSIGNED, "Q", "Q",
     load_uint64, fill_uint64, convert_uint64, seek_uint64},
    {'f', sizeof(float), REAL, "f", "f",
     load_float, fill_float, convert_float, seek_float32},
    {'d', sizeof(double), REAL, "d", "d",
     load_double, fill_double, convert_double, seek_float64},
    {'c', 1, BYTE, "c", "c",
     load_char, fill_char, convert_char, seek_char},
    {'?', 1, TRUTH, "?", "?",
     load_bool, fill_bool, convert_bool, seek_bool},
    {'e', 2, REAL, "e", "e",
     load_half, fill_half, convert_half, seek_half},
    {'F', 2 * sizeof(float), COMPLEX, "F", "Zf",
     load_complex64, fill_complex64, convert_complex64, seek_complex64},
    {'D', 2 * sizeof(double), COMPLEX, "D", "Zd",
     load_complex128, fill_complex128, convert_complex128, seek_complex128},
};

const Kind *mbapy_kind(const char *code, Py_ssize_t size) {
    mba_type type;
    if (size == 1)
        type = code[0];
    else if (size == 2 && code[0] == 'Z' && (code[1] == 'f' || code[1] == 'd'))
        type = code[1] == 'f' ? 'F' : 'D'; /* as newer Pythons spell complex numbers */
    else
        return NULL;
    for (int i = 0; i < KINDS; i++)
        if (mbapy_kinds[i].type == type)
            return &mbapy_kinds[i];
    return NULL;
}

const Kind *mbapy_kind_of_object(PyObject *typecode) {
    if (!PyUnicode_Check(typecode)) {
        PyErr_Format(PyExc_TypeError, "the typecode must be a str, not %R", Py_TYPE(typecode));
        return NULL;
    }
    Py_ssize_t size;
    const char *code = PyUnicode_AsUTF8AndSize(typecode, &size);
    if (code == NULL)
        return NULL;
    const Kind *kind = mbapy_kind(code, size);
    if (kind != NULL)
        return kind;
    if (PyUnicode_GetLength(typecode) != 1)
        PyErr_Format(PyExc_TypeError, "the typecode must be a single character, not %R", typecode);
    else
        PyErr_Format(PyExc_ValueError, "bad typecode %R (must be b, B, u, w, h, H, i, I, l, L, q, Q, f, d, c, ?, "
                                       "e, F or D)", typecode);
    return NULL;
}

bool mbapy_format_is(const Kind *kind, const char *format, Py_ssize_t itemsize) {
    if (format == NULL)
        format = "B";
    /* Native order; the size is told apart. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (*format == '@' || *format == '=' || *format == '<')
#else
    if (*format == '@' || *format == '=' || *format == '>' || *format == '!')
#endif
        format++;
    if (*format == '1')
        format++; /* as NumPy has it before characters */
    Class class;
    bool complex = *format == 'Z';
    switch (complex ? *++format : *format) {
    case 'b': case 'h': case 'i': case 'l': case 'q': case 'n': class = SIGNED; break;
    case 'B': case 'H': case 'I': case 'L': case 'Q': case 'N': class = UNSIGNED; break;
    case 'e': case 'f': case 'd': class = complex ? COMPLEX : REAL; break;
    case 'F': case 'D': class = COMPLEX; break;
    case '?': class = TRUTH; break;
    case 'c': case 's': class = BYTE; break;
    case 'u': case 'w': class = TEXT; break;
    default: return false;
    }
    return format[1] == '\0' && class == kind->class && itemsize == kind->size;
}
