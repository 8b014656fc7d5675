/*
 * Python.h, and how it is used here.
 *
 * The extension is built against the limited API of Python 3.11, and against the full API only where the interpreter
 * has no GIL. There each entry point takes the object's critical section, which is to these files what the GIL is
 * elsewhere: nothing else runs on the object until Python code is called or the thread waits. So whatever was read of
 * an object before such a call is read again after it.
 */
#ifndef MBAPY_INTERPRETER_H
#define MBAPY_INTERPRETER_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <structmember.h>
#include <sys/types.h>

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

/* The object's critical section; a block has one at most. A function `..._inside` is called within it. */
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

/* What a method without a result returns: None, or NULL if it failed. */
static inline PyObject *mbapy_none_unless(int result) {
    if (UNLIKELY(result < 0))
        return NULL;
    Py_RETURN_NONE;
}

#endif
