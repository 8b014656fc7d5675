/*
 * Who offers what:
 *
 *     module.c -> array.c, iterator.c, guard.c
 *     array.c -> mapping.c, content.c, and the files that are listed between them
 */
#ifndef MBAPY_CORE_H
#define MBAPY_CORE_H

#include "array.h"
#include "element_types.h"
#include "interpreter.h"

/* element_types.c, by element_types.h */

/* typecodes.c */

/* The element type of a typecode, or NULL and an exception. */
const Kind *mbapy_kind_of_object(PyObject *typecode);
/* The first one of this format of the buffer protocol, or NULL. */
const Kind *mbapy_kind_of_format(const char *format, Py_ssize_t itemsize);
/* Whether memory in this format holds elements of this type. */
bool mbapy_format_is(const Kind *kind, const char *format, Py_ssize_t itemsize);

/* errors.c */

/* Raises what a code of the library means. Returns -1. */
int mbapy_raise(State *state, int code, PyObject *name);
/* The same for an operation on an open array. */
int mbapy_fail(MmapArray *array, int code);
/* The end of a call that can change the length: 0, or -1 and an exception. */
int mbapy_changed(MmapArray *array, int code);
/* -1 and ValueError if the array is closed. */
int mbapy_must_be_open(const MmapArray *array);

/* state.c */

/* Its functions and slots are in module.c. */
extern PyModuleDef mbapy_module;
/* The module's state, from the array type or a subclass of it. */
State *mbapy_state(PyTypeObject *type);

/* turns.c */

/* Waits until no call without the GIL is under way. -1 and an exception if the array is closed then. */
int mbapy_wait_for_turn(MmapArray *array);
/* Runs a call of the library that takes its time, while other threads of Python run. */
int mbapy_at_leisure(MmapArray *array, int (*call)(mba_array *));

/* checks.c */

/* -1 and an exception if the length can't change now. Waits for a call without the GIL that is under way. */
int mbapy_may_change(MmapArray *array, bool shorter);
/* -1 and an exception if elements can't be set. */
int mbapy_may_write(MmapArray *array);
/* Makes a call of the library that can change the length. Over an mmap object, where it has no meaning, it does
   nothing. */
int mbapy_call(MmapArray *array, int (*call)(mba_array *));

/* growth_lock.c */

/* As mbapy_may_change, and takes the growth lock, with which comes the length that others have published: for changes
   at an index, which mean nothing before. */
int mbapy_hold(MmapArray *array);
extern PyType_Spec mbapy_growth_lock_spec;
extern PyMethodDef mbapy_growth_lock_methods[];
extern PyGetSetDef mbapy_growth_lock_properties[];

/* mmap_object.c */

/* Makes `array` one over the caller's mmap.mmap object. */
int mbapy_adopt_mmap(MmapArray *array, PyObject *mmap);
/* Frees the handle and the view of the mmap.mmap object's memory; the array counts as closed. */
void mbapy_let_go_of_mmap(MmapArray *array);
/* Makes the mmap as long as `count` elements take, or leaves everything as it was. */
int mbapy_resize_mmap(MmapArray *array, Py_ssize_t count);
/* As mba_splice. */
int mbapy_splice_mmap(MmapArray *array, Py_ssize_t start, Py_ssize_t removed, const char *values, Py_ssize_t count);

/* changes.c */

/* Replaces a range, which lies within the array, by another of any length. `values` may point into it. */
int mbapy_splice(MmapArray *array, Py_ssize_t start, Py_ssize_t removed, const void *values, Py_ssize_t count);
/* Appends. */
int mbapy_extend(MmapArray *array, const void *values, Py_ssize_t count);
/* Appends copies of the array itself until there are `times` of it, which is at least 1. */
int mbapy_multiply(MmapArray *array, Py_ssize_t times);
/* Takes all elements away. */
int mbapy_clear(MmapArray *array);

/* lifetime.c */

/* An object without a handle yet. */
MmapArray *mbapy_allocate(PyTypeObject *type, State *state, const Kind *kind);
/* Gives it anonymous memory. */
int mbapy_open_anonymous(MmapArray *array);
/* An empty array in anonymous memory. */
MmapArray *mbapy_new_anonymous(State *state, const Kind *kind);
int mbapy_traverse(PyObject *self, visitproc visit, void *arg);
void mbapy_deallocate(PyObject *self);
extern PyMethodDef mbapy_lifetime_methods[];
extern PyGetSetDef mbapy_lifetime_properties[];

/* borrow.c */

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
/* To be said after a borrowing that returned 1, when the elements have been used. */
void mbapy_give_back(Elements *elements);
/* Whether the object is an array, ours or the standard one. */
bool mbapy_is_any_array(State *state, PyObject *object);
/* 1 if the object is an array of characters, 0 if not, -1 and an exception. */
int mbapy_is_text_array(State *state, PyObject *object);

/* copies.c */

/* An anonymous array with the same elements. */
MmapArray *mbapy_copy(MmapArray *array);
/* An array.array of one element of this kind, or None where this Python has no such type. Borrowed. */
PyObject *mbapy_one_of(State *state, const Kind *kind);
/* An array.array of `count` elements, by the one that mbapy_one_of returns. */
PyObject *mbapy_standard_copy(MmapArray *array, PyObject *one, Py_ssize_t start, Py_ssize_t step, Py_ssize_t count);
/* A copy of every `step`th element as an array.array, or as an array of ours where there is no such type. */
PyObject *mbapy_copy_slice(MmapArray *array, PyObject *slice);
extern PyMethodDef mbapy_copies_methods[];

/* export.c */

PyObject *mbapy_to_list(MmapArray *array);
PyObject *mbapy_to_text(MmapArray *array);
extern PyMethodDef mbapy_export_methods[];

/* extend.c */

/* The initializer of the constructor. */
int mbapy_initialize(MmapArray *array, PyObject *object);
extern PyMethodDef mbapy_extend_methods[];

/* slices.c */

/* a[i:j] = value, or without a value del a[i:j]. */
int mbapy_assign_slice(MmapArray *array, PyObject *slice, PyObject *value);

/* items.c */

Py_ssize_t mbapy_len(PyObject *self);
PyObject *mbapy_item(PyObject *self, Py_ssize_t index);
PyObject *mbapy_subscript(PyObject *self, PyObject *key);
int mbapy_assign_item(PyObject *self, Py_ssize_t index, PyObject *value);
int mbapy_assign(PyObject *self, PyObject *key, PyObject *value);

/* search.c */

/* The index of the first element equal to `value` in a range, -1 if there is none, -2 and an exception. */
Py_ssize_t mbapy_find(MmapArray *array, PyObject *value, Py_ssize_t start, Py_ssize_t stop);
int mbapy_contains(PyObject *self, PyObject *value);
extern PyMethodDef mbapy_search_methods[];

/* insert_remove.c */

extern PyMethodDef mbapy_insert_remove_methods[];

/* in_place.c */

extern PyMethodDef mbapy_in_place_methods[];

/* operators.c */

PyObject *mbapy_concat(PyObject *self, PyObject *other);
PyObject *mbapy_inplace_concat(PyObject *self, PyObject *other);
PyObject *mbapy_repeat(PyObject *self, Py_ssize_t times);
PyObject *mbapy_inplace_repeat(PyObject *self, Py_ssize_t times);

/* compare.c */

PyObject *mbapy_compare(PyObject *self, PyObject *other, int operation);

/* iterator.c */

PyObject *mbapy_iterate(PyObject *self);
extern PyType_Spec mbapy_iterator_spec;

/* buffer.c */

int mbapy_get_buffer(PyObject *self, Py_buffer *view, int flags);
void mbapy_release_buffer(PyObject *self, Py_buffer *view);
extern PyMethodDef mbapy_buffer_methods[];

/* capsule.c */

extern PyMethodDef mbapy_capsule_methods[];

/* open.c */

PyObject *mbapy_shm_unlink(PyObject *module, PyObject *name);
extern PyMethodDef mbapy_open_methods[];

/* storage.c */

extern PyMethodDef mbapy_storage_methods[];
extern PyGetSetDef mbapy_storage_properties[];

/* pickle.c */

extern PyMethodDef mbapy_pickle_methods[];

/* array.c */

PyTypeObject *mbapy_make_array_type(PyObject *module);

#endif
