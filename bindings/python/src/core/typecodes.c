/* Which row of the table of element types is meant, by a typecode or by a format of the buffer protocol. */
#include "core.h"

#include <stdio.h>

static const ElementType *of_code(const char *code, Py_ssize_t size) {
    mba_type type;
    if (size == 1)
        type = code[0];
    else if (size == 2 && code[0] == 'Z' && (code[1] == 'f' || code[1] == 'd'))
        type = code[1] == 'f' ? 'F' : 'D'; /* as newer Pythons spell complex numbers */
    else
        return NULL;
    for (int i = 0; i < mbapy_element_type_count; i++)
        if (mbapy_element_types[i].type == type)
            return &mbapy_element_types[i];
    return NULL;
}

/* ValueError, with all typecodes. */
static void bad_typecode(PyObject *typecode) {
    char all[MOST_ELEMENT_TYPES * sizeof " or X"];
    char *end = all;
    for (int i = 0; i < mbapy_element_type_count; i++) {
        const char *separator = i == 0 ? "" : i == mbapy_element_type_count - 1 ? " or " : ", ";
        end += sprintf(end, "%s%s", separator, mbapy_element_types[i].code);
    }
    PyErr_Format(PyExc_ValueError, "bad typecode %R (must be %s)", typecode, all);
}

const ElementType *mbapy_element_type_of_typecode(PyObject *typecode) {
    if (!PyUnicode_Check(typecode)) {
        PyErr_Format(PyExc_TypeError, "the typecode must be a str, not %R", Py_TYPE(typecode));
        return NULL;
    }
    Py_ssize_t size;
    const char *code = PyUnicode_AsUTF8AndSize(typecode, &size);
    if (code == NULL)
        return NULL;
    const ElementType *element_type = of_code(code, size);
    if (element_type != NULL)
        return element_type;
    if (PyUnicode_GetLength(typecode) != 1)
        PyErr_Format(PyExc_TypeError, "the typecode must be a single character, not %R", typecode);
    else
        bad_typecode(typecode);
    return NULL;
}

/* The class of elements that a format without its prefixes is of, in any of the ways in which exporters write it. */
static bool class_of_format(const char *format, ElementClass *class) {
    bool complex = *format == 'Z';
    switch (complex ? *++format : *format) {
    case 'b': case 'h': case 'i': case 'l': case 'q': case 'n': *class = SIGNED; break;
    case 'B': case 'H': case 'I': case 'L': case 'Q': case 'N': *class = UNSIGNED; break;
    case 'e': case 'f': case 'd': *class = complex ? COMPLEX : REAL; break;
    case 'F': case 'D': *class = COMPLEX; break;
    case '?': *class = TRUTH; break;
    case 'c': case 's': *class = BYTE; break;
    case 'u': case 'w': *class = TEXT; break;
    default: return false;
    }
    return format[1] == '\0';
}

bool mbapy_format_matches(const ElementType *element_type, const char *format, Py_ssize_t itemsize) {
    if (itemsize != element_type->size)
        return false;
    if (format == NULL)
        format = "B";
    /* Native order. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (*format == '@' || *format == '=' || *format == '<')
#else
    if (*format == '@' || *format == '=' || *format == '>' || *format == '!')
#endif
        format++;
    if (*format == '1')
        format++; /* as NumPy has it before characters */
    if (strcmp(format, element_type->format) == 0)
        return true;
    ElementClass class;
    return class_of_format(format, &class) && class == element_type->class;
}

const ElementType *mbapy_element_type_of_format(const char *format, Py_ssize_t itemsize) {
    for (int i = 0; i < mbapy_element_type_count; i++)
        if (mbapy_format_matches(&mbapy_element_types[i], format, itemsize))
            return &mbapy_element_types[i];
    return NULL;
}
