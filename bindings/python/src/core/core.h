/*
 * What the files of this extension share: the array object, the module's state, and who offers what.
 *
 *     module.c -> array.c, iterator.c, guard.c
 *     array.c -> sequence.c, content.c, mapping.c -> memory.c -> errors.c; all -> kinds.c
 *
 * Built against the limited API of Python 3.11, and against the full API only where the interpreter has no GIL.
 * There each entry point takes the object's critical section, which is to these files what the GIL is elsewhere:
 * nothing else runs on the object until Python code is called or the thread waits. So whatever was read of an
 * object before such a call is read again after it.
 */
#ifndef MBAPY_CORE_H
#define MBAPY_CORE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <structmember.h>
#include <sys/types.h>

#include "mmap_backed_array.h"

#ifdef Py_LIMITED_API
/*
 * The headers of 3.11 count references in the object itself, also those of immortal objects of later Pythons, which
 * must stay as they are: 2**31 elements that are the same small int would take its immortality away. The functions
 * of the running interpreter know.
 */
#undef Py_INCREF
#undef Py_DECREF
#undef Py_XDECREF
#undef Py_NewRef
#undef Py_XNewRef
#define Py_INCREF(object) Py_IncRef((PyObject *)(object))
#define Py_DECREF(object) Py_DecRef((PyObject *)(object))
#define Py_XDECREF(object) Py_DecRef((PyObject *)(object))
/*
 * And the headers of 3.12 and later take these for immortal, so that what they make would run out of True on 3.11.
 */
#undef Py_RETURN_NONE
#undef Py_RETURN_TRUE
#undef Py_RETURN_FALSE
#undef Py_RETURN_NOTIMPLEMENTED
#define Py_RETURN_NONE return Py_NewRef(Py_None)
#define Py_RETURN_TRUE return Py_NewRef(Py_True)
#define Py_RETURN_FALSE return Py_NewRef(Py_False)
#define Py_RETURN_NOTIMPLEMENTED return Py_NewRef(Py_NotImplemented)
#endif

#ifdef Py_GIL_DISABLED
#define ENTER(object)                                                                                        \
    PyCriticalSection critical_section;                                                                      \
    PyCriticalSection_Begin(&critical_section, (PyObject *)(object))
#define LEAVE() PyCriticalSection_End(&critical_section)
#else
#define ENTER(object) (void)(object)
#define LEAVE() (void)0
#endif

#define LIKELY(condition) __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

/* Bytes of the widest element. */
#define WIDEST 16

/* An element on its way, aligned for any type. */
typedef union {
    char bytes[WIDEST];
    uint64_t words[2];
} Item;

/* What elements of a type are to arithmetic; together with their size it tells if memory can be copied. */
typedef enum { SIGNED, UNSIGNED, REAL, COMPLEX, TRUTH, BYTE, TEXT } Class;

/* How an object can be looked for among elements. */
typedef enum {
    SEEK_FAILED = -1, /* an exception is set */
    SEEK_VALUE,       /* as the element it was turned into */
    SEEK_NOTHING,     /* no element of this type equals it */
    SEEK_OBJECT,      /* only by asking it about each element */
} Seek;

/* A row of the table of element types. */
typedef struct Kind {
    mba_type type;      /* the typecode's character */
    uint8_t size;       /* of an element, in bytes */
    Class class;
    const char *code;   /* the typecode as a string */
    const char *format; /* in the buffer protocol */
    /* An element of `data` as an object. Runs no Python code. */
    PyObject *(*load)(const char *data, Py_ssize_t index);
    /* Puts the first elements of `data` into a new list. Runs no Python code. */
    int (*fill)(PyObject *list, const char *data, Py_ssize_t count);
    /* Stores at `to`, which is as large as an Item; -1 and an exception if the object is no such element.
       May run Python code. */
    int (*convert)(PyObject *object, char *to);
    Seek (*seek)(PyObject *object, char *to);
} Kind;

#define KINDS 19
extern const Kind mbapy_kinds[KINDS];

/* The row of a typecode, or NULL. */
const Kind *mbapy_kind(const char *code, Py_ssize_t size);
/* The row that a Python object names, or NULL and an exception. */
const Kind *mbapy_kind_of_object(PyObject *typecode);
/* Whether memory in this format of the buffer protocol holds elements of this kind. */
bool mbapy_format_is(const Kind *kind, const char *format, Py_ssize_t itemsize);
/* Copies one element. */
static inline void mbapy_put(const Kind *kind, char *to, const char *from) {
    switch (kind->size) {
    case 1: *to = *from; break;
    case 2: memcpy(to, from, 2); break;
    case 4: memcpy(to, from, 4); break;
    case 8: memcpy(to, from, 8); break;
    default: memcpy(to, from, 16); break;
    }
}

typedef struct {
    PyTypeObject *array_type, *iterator_type, *guard_type;
    PyTypeObject *standard_array; /* array.array */
    PyTypeObject *mmap_type;      /* mmap.mmap */
    PyObject *file_state_error, *unsupported;
    /* For each kind, an array.array of one element, None where this Python's array.array has no such type, and
       NULL until somebody asks. */
    PyObject *ones[KINDS];
} State;

typedef struct {
    PyObject_HEAD
    mba_array *handle;   /* NULL: closed */
    mba_array *growable; /* the handle, where a change of the length needs no further question; else NULL */
    char *data;          /* element 0; NULL: closed */
    char *writable;      /* element 0, where an element can be set without further question; else NULL */
    const Kind *kind;
    Py_ssize_t count;       /* the length, or -1: to be asked for */
    State *state;           /* lives as long as the type */
    Py_ssize_t exports;     /* views that are out */
    Py_ssize_t pins;        /* others that rely on the handle: capsules */
    PyObject *mmap;         /* the mmap.mmap that is the memory, or NULL */
    Py_buffer mmap_view;    /* of it */
    PyObject *name;         /* where others find it, or NULL */
    const char *mode;       /* as in `open` */
    int lock_depth;         /* `with a.lock()` within each other... */
    pid_t lock_depth_in;    /* ...in this process */
    bool shared_memory;     /* the name is one of shared memory, not a path */
    bool exact;             /* the file's size follows the length */
    bool private;           /* copy on write... */
    bool written;           /* ...and not what the file says any more */
    bool busy;              /* a call without the GIL is under way: nothing else may change the length */
    PyThread_type_lock turn; /* held while busy */
    pid_t turn_in;          /* the process that made it */
    int waiting;            /* threads that wait for it */
    PyObject *weak_references;
} MmapArray;

/* The library's answer, kept until the next call that can change it; not while C code has the handle too, and not of
   a closed array, whose length is 0 here but an error to others. */
static inline Py_ssize_t mbapy_length(MmapArray *array) {
    if (LIKELY(array->count >= 0))
        return array->count;
    Py_ssize_t count = (Py_ssize_t)mba_len(array->handle);
    if (array->pins == 0 && array->handle != NULL)
        array->count = count;
    return count;
}

/* To be said after every call of the library that can change the length, be it that it failed. */
static inline void mbapy_length_changed(MmapArray *array) {
    array->count = -1;
}

/* errors.c */

/* Raises what a code of the library means. Returns -1. */
int mbapy_raise(State *state, int code, PyObject *name);
/* The same for an operation on an open array. */
int mbapy_fail(MmapArray *array, int code);
/* The end of a call that can change the length: 0, or -1 and an exception. */
int mbapy_changed(MmapArray *array, int code);
/* -1 and ValueError if the array is closed. */
int mbapy_must_be_open(const MmapArray *array);

/* memory.c */

/* Sets the shortcuts by what the object now is. */
void mbapy_settle(MmapArray *array);
/* Makes `array` one over the caller's mmap.mmap object. */
int mbapy_adopt_mmap(MmapArray *array, PyObject *mmap);
/* Releases the handle and what it stands on. -1 and an exception if that lost something. */
int mbapy_release(MmapArray *array, bool tell);
/* -1 and an exception if the length can't change now. Waits for a flush that is under way. */
int mbapy_may_change(MmapArray *array, bool shorter);
/* The same, and takes the growth lock, with which comes the length that others have published: for changes at an
   index, which mean nothing before. */
int mbapy_hold(MmapArray *array);
/* -1 and an exception if elements can't be set. */
int mbapy_may_write(MmapArray *array);
/* Replaces a range, which lies within the array, by another of any length. `values` may point into it. */
int mbapy_splice(MmapArray *array, Py_ssize_t start, Py_ssize_t removed, const void *values, Py_ssize_t count);
/* Appends. */
int mbapy_extend(MmapArray *array, const void *values, Py_ssize_t count);
/* Appends copies of the array itself until there are `times` of it, which is at least 1. */
int mbapy_multiply(MmapArray *array, Py_ssize_t times);
/* Takes all elements away. */
int mbapy_clear(MmapArray *array);
/* Runs a call of the library that takes its time, while other threads of Python run. */
int mbapy_at_leisure(MmapArray *array, int (*call)(mba_array *));

/* content.c: elements that come from other objects and go to them */

/* Elements of this kind in another object's memory. */
typedef struct {
    const char *data;
    Py_ssize_t count;
    MmapArray *pinned; /* whose they are, if that is another array of ours */
    Py_buffer view;    /* of any other object */
} Elements;
/* 1 if `object` holds elements of the array's own type in memory, 0 if not, -1 and an exception. It can be the array
   itself, whose critical section the caller has; no call without the GIL is under way then. */
int mbapy_borrow(MmapArray *array, PyObject *object, Elements *elements);
void mbapy_give_back(Elements *elements);
/* Whether the object is an array, ours or the standard one. */
bool mbapy_is_any_array(State *state, PyObject *object);
/* Appends all that the object yields. */
int mbapy_extend_from(MmapArray *array, PyObject *object);
/* The initializer of the constructor. */
int mbapy_initialize(MmapArray *array, PyObject *object);
/* Appends the bytes of an object that has a buffer. */
int mbapy_extend_from_bytes(MmapArray *array, PyObject *object);
/* Appends the characters of a str. */
int mbapy_extend_from_text(MmapArray *array, PyObject *text);
/* An anonymous array with the same elements. */
MmapArray *mbapy_copy(MmapArray *array);
PyObject *mbapy_to_list(MmapArray *array);
PyObject *mbapy_to_text(MmapArray *array);
/* A copy of every `step`th element as an array.array, or as an array of ours where there is no such type. */
PyObject *mbapy_copy_slice(MmapArray *array, PyObject *slice);
extern PyMethodDef mbapy_content_methods[];

/* sequence.c: indexing, slices, comparison, + and * */

PyObject *mbapy_item(PyObject *self, Py_ssize_t index);
Py_ssize_t mbapy_len(PyObject *self);
PyObject *mbapy_subscript(PyObject *self, PyObject *key);
int mbapy_assign(PyObject *self, PyObject *key, PyObject *value);
int mbapy_assign_item(PyObject *self, Py_ssize_t index, PyObject *value);
int mbapy_contains(PyObject *self, PyObject *value);
PyObject *mbapy_concat(PyObject *self, PyObject *other);
PyObject *mbapy_inplace_concat(PyObject *self, PyObject *other);
PyObject *mbapy_repeat(PyObject *self, Py_ssize_t times);
PyObject *mbapy_inplace_repeat(PyObject *self, Py_ssize_t times);
PyObject *mbapy_compare(PyObject *self, PyObject *other, int operation);
/* The index of the first element equal to `value` in a range, -1 if there is none, -2 and an exception. */
Py_ssize_t mbapy_find(MmapArray *array, PyObject *value, Py_ssize_t start, Py_ssize_t stop);
extern PyMethodDef mbapy_sequence_methods[];

/* mapping.c: what an array in mapped memory has beyond array.array */

extern PyMethodDef mbapy_mapping_methods[];
extern PyGetSetDef mbapy_mapping_properties[];
PyObject *mbapy_shm_unlink(PyObject *module, PyObject *name);

/* array.c: the type, its making and its end, and the buffer protocol */

PyTypeObject *mbapy_make_array_type(PyObject *module);
/* An empty array in anonymous memory. */
MmapArray *mbapy_new_anonymous(State *state, const Kind *kind);
/* An object without a handle yet. */
MmapArray *mbapy_allocate(PyTypeObject *type, State *state, const Kind *kind);
extern PyModuleDef mbapy_module;
/* The module's state, from the type or a subclass of it. */
State *mbapy_state(PyTypeObject *type);

/* iterator.c and guard.c */

extern PyType_Spec mbapy_iterator_spec, mbapy_guard_spec;
PyObject *mbapy_iterate(PyObject *self);
PyObject *mbapy_new_guard(MmapArray *array);

/* What a method without a result returns: None, or NULL if it failed. */
static inline PyObject *mbapy_none_unless(int result) {
    if (result < 0)
        return NULL;
    Py_RETURN_NONE;
}

static inline bool mbapy_is_array(State *state, PyObject *object) {
    return Py_TYPE(object) == state->array_type || PyObject_TypeCheck(object, state->array_type);
}

#endif
