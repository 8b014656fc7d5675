/* The array object, the module's state, and what is known of an array without asking the library. */
#ifndef MBAPY_ARRAY_H
#define MBAPY_ARRAY_H

#include "element_types.h"
#include "interpreter.h"
#include "mmap_backed_array.h"

typedef struct {
    PyTypeObject *array_type, *iterator_type, *growth_lock_type;
    PyTypeObject *standard_array; /* array.array */
    PyTypeObject *mmap_type;      /* mmap.mmap */
    PyObject *file_state_error, *unsupported;
    /* For each kind, an array.array of one element, None where this Python's array.array has no such type, and
       NULL until somebody asks. */
    PyObject *ones[MOST_ELEMENT_TYPES];
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

static inline bool mbapy_is_array(State *state, PyObject *object) {
    return Py_TYPE(object) == state->array_type || PyObject_TypeCheck(object, state->array_type);
}

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

/* To be said after every change of the handle, and of what decides whether elements or the length can be changed. */
static inline void mbapy_settle(MmapArray *array) {
    bool open = array->handle != NULL;
    bool settable = open && !mba_is_readonly(array->handle) && (!array->private || array->written);
    mbapy_length_changed(array);
    array->data = open ? mba_data_ptr(array->handle) : NULL;
    array->growable = open && !array->busy && array->mmap == NULL ? array->handle : NULL;
    array->writable = settable ? array->data : NULL;
}

/* Methods of arrays. Each is what `work` does, in the array's critical section. */

/* int work(MmapArray *): a method without arguments that returns None. */
#define METHOD_DOING(name, work)                                                                             \
    static PyObject *name(PyObject *self, PyObject *unused) {                                                \
        (void)unused;                                                                                        \
        ENTER(self);                                                                                         \
        int result = work((MmapArray *)self);                                                                \
        LEAVE();                                                                                             \
        return mbapy_none_unless(result);                                                                    \
    }

/* int work(MmapArray *, PyObject *): one that takes an argument and returns None. */
#define METHOD_TAKING(name, work)                                                                            \
    static PyObject *name(PyObject *self, PyObject *argument) {                                              \
        ENTER(self);                                                                                         \
        int result = work((MmapArray *)self, argument);                                                      \
        LEAVE();                                                                                             \
        return mbapy_none_unless(result);                                                                    \
    }

/* PyObject *work(MmapArray *): one without arguments that returns the result. */
#define METHOD_GIVING(name, work)                                                                            \
    static PyObject *name(PyObject *self, PyObject *unused) {                                                \
        (void)unused;                                                                                        \
        ENTER(self);                                                                                         \
        PyObject *result = work((MmapArray *)self);                                                          \
        LEAVE();                                                                                             \
        return result;                                                                                       \
    }

#endif
