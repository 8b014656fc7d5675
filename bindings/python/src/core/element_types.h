/* What a row of the table of element types is. */
#ifndef MBAPY_ELEMENT_TYPES_H
#define MBAPY_ELEMENT_TYPES_H

#include "interpreter.h"
#include "mmap_backed_array.h"

/* Bytes of the widest element. */
#define WIDEST 16

/* How many rows the table can have at most. */
#define MOST_ELEMENT_TYPES 64

/* Room for one element of any type, and aligned for it. */
typedef union {
    char bytes[WIDEST];
    uint64_t words[2];
} Item;

/* What elements of a type are to arithmetic. Types of one class and one size are the same in memory. */
typedef enum { SIGNED, UNSIGNED, REAL, COMPLEX, TRUTH, BYTE, TEXT } ElementClass;

/* How an object can be looked for among elements. */
typedef enum {
    SEEK_FAILED = -1, /* an exception is set */
    SEEK_VALUE,       /* as the element it was turned into */
    SEEK_NOTHING,     /* no element of this type equals it */
    SEEK_OBJECT,      /* only by comparing it with each element */
} Seek;

/* A row of the table of element types. */
typedef struct {
    mba_type type; /* the typecode's character */
    uint8_t size;  /* of an element, in bytes */
    ElementClass class;
    const char *code;   /* the typecode as a string */
    const char *format; /* in the buffer protocol */
    /* An element of `data` as an object. Runs no Python code. */
    PyObject *(*load)(const char *data, Py_ssize_t index);
    /* Puts the first elements of `data` into a new list. Runs no Python code. */
    int (*fill)(PyObject *list, const char *data, Py_ssize_t count);
    /* Stores an object at `to`, which is as large as an Item; -1 and an exception if it can't be an element. May run
       Python code. */
    int (*convert)(PyObject *object, char *to);
    /* How to look for an object; with SEEK_VALUE it is stored at `to`. */
    Seek (*seek)(PyObject *object, char *to);
} ElementType;

/* Copies one element. */
static inline void mbapy_copy_element(const ElementType *element_type, char *to, const char *from) {
    switch (element_type->size) {
    case 1: *to = *from; break;
    case 2: memcpy(to, from, 2); break;
    case 4: memcpy(to, from, 4); break;
    case 8: memcpy(to, from, 8); break;
    default: memcpy(to, from, 16); break;
    }
}

#endif
