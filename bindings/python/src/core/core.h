/*
 * What each C file offers the others. A file uses those above it in this list, and none below:
 *
 *     errors.c         exceptions for the library's codes
 *     state.c          the module's state
 *     element_types.c  the table of element types
 *     typecodes.c      which row of the table a typecode or a format means
 *     without_gil.c    calls during which other threads of Python run
 *     checks.c         what must hold before an array is changed
 *     growth_lock.c    lock(), unlock(), locked
 *     mmap_object.c    arrays in the memory of an mmap.mmap object
 *     changes.c        changes of the length
 *     lifetime.c       how arrays begin and end
 *     borrow.c         elements in other objects' memory
 *     copies.c         copies as arrays
 *     extend.c         elements come in from other objects
 *     export.c         elements go out to other objects
 *     slices.c         setting and deleting slices
 *     items.c          what stands in brackets
 *     search.c         index(), count(), in
 *     insert_remove.c  append(), insert(), pop(), remove(), clear()
 *     operators.c      + and *
 *     compare.c        == and <
 *     in_place.c       reverse(), byteswap()
 *     iterator.c       iter()
 *     buffer.c         the buffer protocol
 *     interchange.c    Arrow, DLPack, NumPy
 *     capsule.c        the library's handle, for C code
 *     open.c           open(), shm(), from_fd()
 *     storage.c        the file or memory under an array
 *     pickle.c         pickling
 *     array.c          the type, which joins all of these
 *     module.c         the module
 *
 * Functions that other files use are called `mbapy_...`. Where nothing else is said, those that return an int return 0,
 * or -1 and an exception, and those that return a pointer return NULL and an exception.
 */
#ifndef MBAPY_CORE_H
#define MBAPY_CORE_H

#include "array.h"
#include "element_types.h"
#include "interpreter.h"

/* errors.c */

/* Raises what a code of the library means. Returns -1. */
int mbapy_raise(State *state, int code, PyObject *name);
/* The same for what failed to open; `path` is the file's, or NULL. */
int mbapy_fail_to_open(State *state, int code, PyObject *name, const char *path);
/* The same for an operation on an open array. */
int mbapy_fail(MmapArray *array, int code);
/* BlockingIOError, since another thread of this process has the growth lock. */
int mbapy_locked_by_another_thread(MmapArray *array);
/* The end of a change of the length, with the code of the library's call. */
int mbapy_finish_change(MmapArray *array, int code);
/* ValueError if the array is closed. */
int mbapy_must_be_open(const MmapArray *array);

/* state.c */

extern PyModuleDef mbapy_module;
/* The module's state, from the array type or a subclass of it. */
State *mbapy_state(PyTypeObject *type);

/* element_types.c */

extern const ElementType mbapy_element_types[];
extern const int mbapy_element_type_count;

/* typecodes.c */

/* The element type of a typecode. */
const ElementType *mbapy_element_type_of_typecode(PyObject *typecode);
/* The first one of this format of the buffer protocol; NULL without an exception if there is none. */
const ElementType *mbapy_element_type_of_format(const char *format, Py_ssize_t itemsize);
/* Whether memory in this format holds elements of this type. */
bool mbapy_format_matches(const ElementType *element_type, const char *format, Py_ssize_t itemsize);

/* without_gil.c */

/* Calls the library, while other threads of Python run. The array is busy meanwhile. */
int mbapy_call_without_gil(MmapArray *array, int (*call)(mba_array *));
/* The same; what the call says is stored at `code`, and is no exception. */
int mbapy_ask_without_gil(MmapArray *array, int (*call)(mba_array *), int *code);
/* Waits until the array isn't busy. ValueError if it is closed then. */
int mbapy_wait_until_idle(MmapArray *array);

/* checks.c */

/* Whether another thread of this process has the growth lock, by lock(). */
bool mbapy_is_locked_by_another_thread(MmapArray *array);
/* Whether the length can change: waits until the array isn't busy, and looks for views and for the lock of another
   thread. */
int mbapy_may_change(MmapArray *array, bool shorter);
/* Whether elements can be set. */
int mbapy_may_write(MmapArray *array);
/* 1 if the library may be called for something that can change the length, -1 and an exception if not; 0 over an mmap
   object, where that has no meaning. */
int mbapy_may_change_storage(MmapArray *array);
/* Calls the library for something that can change the length. Over an mmap object, where it has no meaning, nothing
   happens. */
int mbapy_change_storage(MmapArray *array, int (*call)(mba_array *));

/* growth_lock.c */

/* As mbapy_may_change, and takes the growth lock, with which comes the length that others have published: for changes
   at an index, which mean nothing before. */
int mbapy_take_growth_lock(MmapArray *array);
extern PyType_Spec mbapy_growth_lock_spec;
extern PyMethodDef mbapy_growth_lock_methods[];
extern PyGetSetDef mbapy_growth_lock_properties[];

/* mmap_object.c */

/* Makes a new `array` one over the caller's mmap.mmap object. */
int mbapy_use_mmap_object(MmapArray *array, PyObject *mmap);
/* Frees the handle, and the view of the object's memory unless the array itself has views. The array counts as closed
   then. */
void mbapy_detach_mmap_object(MmapArray *array);
/* Makes the object as long as `count` elements take, or leaves everything as it was. */
int mbapy_resize_mmap_object(MmapArray *array, Py_ssize_t count);
/* As mba_splice. */
int mbapy_splice_mmap_object(MmapArray *array, Py_ssize_t start, Py_ssize_t removed, const char *values,
                             Py_ssize_t count);

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
MmapArray *mbapy_allocate(PyTypeObject *type, State *state, const ElementType *element_type);
/* Gives back the growth lock of a new array, which making it has taken. */
int mbapy_unlock_new(MmapArray *array);
/* Gives such an object anonymous memory. */
int mbapy_open_anonymous(MmapArray *array);
/* An empty array in anonymous memory. */
MmapArray *mbapy_new_anonymous(State *state, const ElementType *element_type);
/* Views of the elements: each beginning is followed by an end. The memory stays until then, also if the array is closed. */
void mbapy_begin_export(MmapArray *array);
void mbapy_end_export(MmapArray *array);
int mbapy_traverse(PyObject *self, visitproc visit, void *arg);
void mbapy_deallocate(PyObject *self);
extern PyMethodDef mbapy_lifetime_methods[];
extern PyGetSetDef mbapy_lifetime_properties[];

/* borrow.c */

/* Elements in another object's memory. Each successful mbapy_borrow is followed by mbapy_give_back. */
typedef struct {
    const char *data;
    Py_ssize_t count;
    MmapArray *pinned; /* whose they are, if that is another array of ours */
    Py_buffer view;    /* of any other object */
} BorrowedElements;
/* 1 if `object` holds elements of the array's own type in memory, which stay where they are until they are given back;
   0 if not. It can be the array itself, whose critical section the caller has: then it isn't busy. */
int mbapy_borrow(MmapArray *array, PyObject *object, BorrowedElements *elements);
void mbapy_give_back(BorrowedElements *elements);
/* Whether the object is an array, ours or the standard one. */
bool mbapy_is_any_array(State *state, PyObject *object);
/* 1 if the object is an array of characters, 0 if not. */
int mbapy_is_text_array(State *state, PyObject *object);

/* copies.c */

/* An anonymous array with the same elements. */
MmapArray *mbapy_copy(MmapArray *array);
/* An array.array of one element of this type, from which others are made; None where this Python has no such type. The
   reference is the module's. */
PyObject *mbapy_template_of(State *state, const ElementType *element_type);
/* Every `step`th element, `count` of them, as an array.array that is made from the template. */
PyObject *mbapy_standard_copy(MmapArray *array, PyObject *template, Py_ssize_t start, Py_ssize_t step,
                              Py_ssize_t count);
/* a[i:j]: an array.array, or an array of ours where there is no such type. */
PyObject *mbapy_copy_slice(MmapArray *array, PyObject *slice);
extern PyMethodDef mbapy_copies_methods[];

/* extend.c */

/* Appends the initializer of the constructor. */
int mbapy_initialize(MmapArray *array, PyObject *object);
extern PyMethodDef mbapy_extend_methods[];

/* export.c */

PyObject *mbapy_to_list(MmapArray *array);
/* The same of so many elements at `data`, which the caller keeps there. */
PyObject *mbapy_list_of(MmapArray *array, const char *data, Py_ssize_t count);
PyObject *mbapy_to_text(MmapArray *array);
extern PyMethodDef mbapy_export_methods[];

/* slices.c */

/* a[i:j] = value, or without a value del a[i:j]. */
int mbapy_assign_slice(MmapArray *array, PyObject *slice, PyObject *value);

/* items.c */

Py_ssize_t mbapy_len(PyObject *self);
/* By an index, as C code asks, and by anything that can stand in brackets. */
PyObject *mbapy_item(PyObject *self, Py_ssize_t index);
PyObject *mbapy_subscript(PyObject *self, PyObject *key);
/* Without a value these delete. */
int mbapy_assign_item(PyObject *self, Py_ssize_t index, PyObject *value);
int mbapy_assign_subscript(PyObject *self, PyObject *key, PyObject *value);

/* search.c */

/* The index of the first element equal to `value` in a range; -1 if there is none; -2 and an exception. */
Py_ssize_t mbapy_find(MmapArray *array, PyObject *value, Py_ssize_t start, Py_ssize_t stop);
int mbapy_contains(PyObject *self, PyObject *value);
extern PyMethodDef mbapy_search_methods[];

/* insert_remove.c */

extern PyMethodDef mbapy_insert_remove_methods[];

/* operators.c */

PyObject *mbapy_concat(PyObject *self, PyObject *other);
PyObject *mbapy_inplace_concat(PyObject *self, PyObject *other);
PyObject *mbapy_repeat(PyObject *self, Py_ssize_t times);
PyObject *mbapy_inplace_repeat(PyObject *self, Py_ssize_t times);

/* compare.c */

PyObject *mbapy_compare(PyObject *self, PyObject *other, int operation);

/* in_place.c */

extern PyMethodDef mbapy_in_place_methods[];

/* iterator.c */

PyObject *mbapy_iterate(PyObject *self);
extern PyType_Spec mbapy_iterator_spec;

/* buffer.c */

int mbapy_get_buffer(PyObject *self, Py_buffer *view, int flags);
void mbapy_release_buffer(PyObject *self, Py_buffer *view);
extern PyMethodDef mbapy_buffer_methods[];

/* Whether a view of the elements may be made; of a private array it can change them, which is noted. */
int mbapy_may_look(MmapArray *array);

/* interchange.c */

extern PyMethodDef mbapy_interchange_methods[];
extern PyGetSetDef mbapy_interchange_properties[];

/* capsule.c */

extern PyMethodDef mbapy_capsule_methods[];

/* open.c */

/* The module's function shm_unlink(). */
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
