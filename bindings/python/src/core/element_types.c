/*
 * THE table of element types as Python sees them: from memory to an object, from an object to memory, and how an
 * object is looked for. A new type is a row, and functions where there are none for it yet.
 */
#include "core.h"
#include "floats.h"
#include "integers.h"

#include <limits.h>
#include <wchar.h>

#define STORE(ctype, value)                                                                                  \
    do {                                                                                                     \
        ctype stored = (ctype)(value);                                                                       \
        memcpy(to, &stored, sizeof stored);                                                                  \
    } while (0)

#define LOAD(ctype, variable)                                                                                \
    ctype variable;                                                                                          \
    memcpy(&variable, data + index * (Py_ssize_t)sizeof variable, sizeof variable)

/* Fills a list, for a type whose load stands above. */
#define FILL(name)                                                                                           \
    static int fill_##name(PyObject *list, const char *data, Py_ssize_t count) {                             \
        for (Py_ssize_t i = 0; i < count; i++) {                                                             \
            PyObject *value = load_##name(data, i);                                                          \
            if (value == NULL || PyList_SetItem(list, i, value) < 0)                                         \
                return -1;                                                                                   \
        }                                                                                                    \
        return 0;                                                                                            \
    }

/* Integers. */

#define SIGNED_TYPE(name, code, ctype, low, high, to_object)                                                 \
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

#define UNSIGNED_TYPE(name, code, ctype, high, to_object)                                                    \
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

SIGNED_TYPE(int8, "b", int8_t, INT8_MIN, INT8_MAX, PyLong_FromLong)
SIGNED_TYPE(int16, "h", int16_t, INT16_MIN, INT16_MAX, PyLong_FromLong)
SIGNED_TYPE(int32, "i", int, INT_MIN, INT_MAX, PyLong_FromLong)
SIGNED_TYPE(clong, "l", long, LONG_MIN, LONG_MAX, PyLong_FromLong)
SIGNED_TYPE(int64, "q", long long, LLONG_MIN, LLONG_MAX, PyLong_FromLongLong)
UNSIGNED_TYPE(uint8, "B", uint8_t, UINT8_MAX, PyLong_FromLong)
UNSIGNED_TYPE(uint16, "H", uint16_t, UINT16_MAX, PyLong_FromLong)
UNSIGNED_TYPE(uint32, "I", unsigned int, UINT_MAX, PyLong_FromUnsignedLong)
UNSIGNED_TYPE(culong, "L", unsigned long, ULONG_MAX, PyLong_FromUnsignedLong)
UNSIGNED_TYPE(uint64, "Q", unsigned long long, ULLONG_MAX, PyLong_FromUnsignedLongLong)

/* Floating point. */

static PyObject *load_float64(const char *data, Py_ssize_t index) {
    LOAD(double, value);
    return PyFloat_FromDouble(value);
}

FILL(float64)

static int convert_float64(PyObject *object, char *to) {
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

static PyObject *load_float32(const char *data, Py_ssize_t index) {
    LOAD(float, value);
    return PyFloat_FromDouble((double)value);
}

FILL(float32)

static int convert_float32(PyObject *object, char *to) {
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

/* Complex numbers. */

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

/* The functions above of one name. */
#define FUNCTIONS(name) load_##name, fill_##name, convert_##name, seek_##name

/* A row for text. Whole texts go in and out as those of wchar_t, so that another size is an error here. */
#define TEXT_ROW(letter, size, code)                                                                         \
    { letter, (size) * sizeof(char[(size) == sizeof(wchar_t) ? 1 : -1]), TEXT, code, "w", FUNCTIONS(character) }

const ElementType mbapy_element_types[] = {
    {'b', 1, SIGNED, "b", "b", FUNCTIONS(int8)},
    {'B', 1, UNSIGNED, "B", "B", FUNCTIONS(uint8)},
    TEXT_ROW('u', sizeof(wchar_t), "u"),
    TEXT_ROW('w', 4, "w"),
    {'h', 2, SIGNED, "h", "h", FUNCTIONS(int16)},
    {'H', 2, UNSIGNED, "H", "H", FUNCTIONS(uint16)},
    {'i', sizeof(int), SIGNED, "i", "i", FUNCTIONS(int32)},
    {'I', sizeof(int), UNSIGNED, "I", "I", FUNCTIONS(uint32)},
    {'l', sizeof(long), SIGNED, "l", "l", FUNCTIONS(clong)},
    {'L', sizeof(long), UNSIGNED, "L", "L", FUNCTIONS(culong)},
    {'q', sizeof(long long), SIGNED, "q", "q", FUNCTIONS(int64)},
    {'Q', sizeof(long long), UNSIGNED, "Q", "Q", FUNCTIONS(uint64)},
    {'f', sizeof(float), REAL, "f", "f", FUNCTIONS(float32)},
    {'d', sizeof(double), REAL, "d", "d", FUNCTIONS(float64)},
    {'c', 1, BYTE, "c", "c", FUNCTIONS(char)},
    {'?', 1, TRUTH, "?", "?", FUNCTIONS(bool)},
    {'e', 2, REAL, "e", "e", FUNCTIONS(half)},
    {'F', 2 * sizeof(float), COMPLEX, "F", "Zf", FUNCTIONS(complex64)},
    {'D', 2 * sizeof(double), COMPLEX, "D", "Zd", FUNCTIONS(complex128)},
};

const int mbapy_element_type_count = sizeof mbapy_element_types / sizeof *mbapy_element_types;

_Static_assert(sizeof mbapy_element_types / sizeof *mbapy_element_types <= MOST_ELEMENT_TYPES,
               "each has its place in the module's state");
