/* The module's state, the array object, and what is known of an array without asking the library. */
#ifndef MBAPY_ARRAY_H
#define MBAPY_ARRAY_H

#include "element_types.h"
#include "interpreter.h"
#include "mmap_backed_array.h"

typedef struct {
    PyTypeObject *array_type, *iterator_type, *growth_lock_type;
    PyTypeObject *standard_array; /* array.array */
    PyTypeObject *mmap_type;      /* mmap.mmap */
    PyObject *file_state_error;   /* FileStateError */
    PyObject *unsupported;        /* io.UnsupportedOperation */
    /* For each element type, an array.array of one element, None where this Python's array.array has no such type, and
       NULL until it is needed. */
    PyObject *templates[MOST_ELEMENT_TYPES];
} State;

typedef struct {
    PyObject_HEAD
    mba_array *handle;   /* NULL: closed */
    mba_array *growable; /* the handle, where the length can be changed without further checks; else NULL */
    char *data;          /* element 0; NULL: closed */
    char *writable;      /* element 0, where elements can be set without further checks; else NULL */
    const ElementType *element_type;
    Py_ssize_t count;             /* the length, or -1: the library must be asked */
    State *state;                 /* lives as long as the type */
    Py_ssize_t exports;           /* views of the elements that exist */
    mba_mapping *left;            /* the memory of a closed array that such views look at, or NULL */
    Py_ssize_t pins;              /* capsules of the handle that exist */
    PyObject *mmap;               /* the mmap.mmap object that has the memory, or NULL */
    Py_buffer mmap_view;          /* of it */
    PyObject *name;               /* the path, or the name of shared memory, or NULL */
    const char *mode;             /* as in `open` */
    int lock_depth;               /* how many `with a.lock()` are within each other... */
    pid_t lock_depth_pid;         /* ...in this process... */
    unsigned long lock_thread;    /* ...and thread */
    unsigned long lock_turn;      /* how often the outermost of them has begun */
    bool shared_memory;           /* the name is one of shared memory, not a path */
    bool exact;                   /* the file's size follows the length */
    bool private;                 /* copy on write... */
    bool written;                 /* ...and perhaps not what the file says any more */
    bool busy;                    /* a call without the GIL is under way: nothing else may change the length */
    PyThread_type_lock busy_lock; /* held while busy */
    pid_t busy_lock_pid;          /* the process that uses it */
    int waiting;                  /* threads that wait for it */
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

/* To be called after every call of the library that can change the length, even if it failed. */
static inline void mbapy_length_changed(MmapArray *array) {
    array->count = -1;
}

/* Sets `data`, `growable` and `writable`. To be called after every change of what they follow from: the handle, `mmap`,
   `busy`, `written`, `lock_depth`. */
static inline void mbapy_update_shortcuts(MmapArray *array) {
    bool open = array->handle != NULL;
    bool settable = open && !mba_is_readonly(array->handle) && (!array->private || array->written);
    mbapy_length_changed(array);
    array->data = open ? mba_data_ptr(array->handle) : NULL;
    array->growable = open && !array->busy && array->mmap == NULL && array->lock_depth == 0 ? array->handle : NULL;
    array->writable = settable ? array->data : NULL;
}

/* Definitions of methods of arrays, which do their work in the array's critical section. */

/* A method without arguments that returns None: int work(MmapArray *). */
#define METHOD(name, work)                                                                             \
    static PyObject *name(PyObject *self, PyObject *unused) {                                                \
        (void)unused;                                                                                        \
        ENTER(self);                                                                                         \
        int result = work((MmapArray *)self);                                                                \
        LEAVE();                                                                                             \
        return mbapy_none_unless(result);                                                                    \
    }

/* One that takes an argument and returns None: int work(MmapArray *, PyObject *). */
#define METHOD_WITH_ARGUMENT(name, work)                                                                            \
    static PyObject *name(PyObject *self, PyObject *argument) {                                              \
        ENTER(self);                                                                                         \
        int result = work((MmapArray *)self, argument);                                                      \
        LEAVE();                                                                                             \
        return mbapy_none_unless(result);                                                                    \
    }

/* One without arguments that returns a result: PyObject *work(MmapArray *). */
#define METHOD_WITH_RESULT(name, work)                                                                            \
    static PyObject *name(PyObject *self, PyObject *unused) {                                                \
        (void)unused;                                                                                        \
        ENTER(self);                                                                                         \
        PyObject *result = work((MmapArray *)self);                                                          \
        LEAVE();                                                                                             \
        return result;                                                                                       \
    }

#endif
