/* Arrays in the memory of an mmap.mmap object of the caller's: the library's handle over it, and its resize(). */
#include "core.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* Makes a handle over the first `count` elements of the object's memory; over all if that is -1. */
static int attach_mmap_object(MmapArray *array, Py_ssize_t count) {
    if (PyObject_GetBuffer(array->mmap, &array->mmap_view, PyBUF_SIMPLE) < 0)
        return -1;
    Py_ssize_t most = array->mmap_view.len / array->element_type->size;
    if (count < 0 || count > most)
        count = most;
    size_t bytes = (size_t)count * array->element_type->size;
    uint32_t flags = array->mmap_view.readonly ? MBA_RDONLY : MBA_RDWR;
    int code = mba_from_memory(array->mmap_view.buf, bytes, array->element_type->type, flags, &array->handle);
    if (code != MBA_OK) {
        PyBuffer_Release(&array->mmap_view);
        return mbapy_fail(array, code);
    }
    mbapy_update_shortcuts(array);
    return 0;
}

void mbapy_detach_mmap_object(MmapArray *array) {
    mba_free(array->handle);
    array->handle = NULL;
    mbapy_update_shortcuts(array);
    if (array->exports == 0)
        PyBuffer_Release(&array->mmap_view);
}

int mbapy_use_mmap_object(MmapArray *array, PyObject *mmap) {
    int is_mmap = PyObject_IsInstance(mmap, (PyObject *)array->state->mmap_type);
    if (is_mmap < 0)
        return -1;
    if (!is_mmap) {
        PyErr_Format(PyExc_TypeError, "expected an mmap instance, got %R", mmap);
        return -1;
    }
    array->mmap = Py_NewRef(mmap);
    if (attach_mmap_object(array, -1) == 0) {
        if (array->mmap_view.readonly)
            array->mode = "r";
        return 0;
    }
    Py_CLEAR(array->mmap);
    return -1;
}

/*
 * Whether there is memory behind what the mmap grew by. Shared anonymous memory beyond its end, and holes of a file on
 * a full disk, can be mapped, but who touches them is killed. A system call gets EFAULT instead.
 */
static bool is_backed(const char *data, Py_ssize_t from, Py_ssize_t to) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t start = ((uintptr_t)data + (uintptr_t)from) & ~(page - 1);
    uintptr_t end = (uintptr_t)data + (uintptr_t)to;
    if (end <= start || madvise((void *)start, end - start, MADV_POPULATE_WRITE) == 0)
        return true;
    if (errno != EINVAL)
        return false;
    /* A kernel before 5.14. */
    char byte;
    struct iovec local = {&byte, 1}, remote = {(void *)(end - 1), 1};
    return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == 1 || errno != EFAULT;
}

int mbapy_resize_mmap_object(MmapArray *array, Py_ssize_t count) {
    Py_ssize_t before = mbapy_length(array);
    Py_ssize_t bytes_before = array->mmap_view.len;
    Py_ssize_t bytes = count > 0 ? count * array->element_type->size : 1; /* an mmap can't be empty */
    if (array->mmap_view.readonly)
        return mbapy_fail(array, MBA_EREADONLY);
    /* The object refuses while there are views of it, of which one is ours. Meanwhile the array counts as closed. */
    PyObject *mmap = Py_NewRef(array->mmap);
    mbapy_detach_mmap_object(array);
    PyObject *done = PyObject_CallMethod(mmap, "resize", "n", bytes);
    PyObject *type = NULL, *value = NULL, *traceback = NULL;
    PyErr_Fetch(&type, &value, &traceback);
    Py_XDECREF(done);
    int result = done == NULL ? -1 : 0;
    if (array->mmap == NULL || attach_mmap_object(array, result == 0 ? count : before) < 0) {
        /* Someone closed it meanwhile. */
        result = -1;
    } else if (result == 0 && mbapy_length(array) != count) {
        PyErr_SetString(PyExc_RuntimeError, "resize() of the mmap object didn't give it the size it was asked for");
        result = -1;
    } else if (result == 0 && bytes > bytes_before && !is_backed(array->data, bytes_before, bytes)) {
        mbapy_detach_mmap_object(array);
        done = PyObject_CallMethod(mmap, "resize", "n", bytes_before);
        Py_XDECREF(done);
        PyErr_Clear();
        if (attach_mmap_object(array, before) == 0) {
            PyErr_SetString(PyExc_OSError, "the mmap object grew, but not the memory behind it: shared anonymous "
                                           "memory can't grow, nor can a file on a full disk");
        }
        result = -1;
    }
    Py_DECREF(mmap);
    if (type != NULL) {
        PyErr_Restore(type, value, traceback);
    } else if (result < 0 && !PyErr_Occurred()) {
        mbapy_must_be_open(array);
    }
    return result;
}

/* The object becomes longer before elements move, or shorter after it. */
int mbapy_splice_mmap_object(MmapArray *array, Py_ssize_t start, Py_ssize_t removed, const char *values,
                             Py_ssize_t count) {
    Py_ssize_t size = array->element_type->size;
    Py_ssize_t length = mbapy_length(array);
    Py_ssize_t tail = (length - start - removed) * size;
    if (mbapy_may_write(array) < 0)
        return -1;
    /* The memory can move, and what is removed must come back if the mmap can't shrink. */
    char *saved = PyMem_Malloc((size_t)((count + removed) * size + 1));
    if (saved == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    char *old = saved + count * size;
    memcpy(saved, values, (size_t)(count * size));
    memcpy(old, array->data + start * size, (size_t)(removed * size));
    int result = 0;
    if (count > removed) {
        result = mbapy_resize_mmap_object(array, length - removed + count);
        if (result == 0)
            memmove(array->data + (start + count) * size, array->data + (start + removed) * size, (size_t)tail);
    } else if (count < removed) {
        memmove(array->data + (start + count) * size, array->data + (start + removed) * size, (size_t)tail);
        result = mbapy_resize_mmap_object(array, length - removed + count);
        if (result < 0 && mbapy_length(array) == length) {
            memmove(array->data + (start + removed) * size, array->data + (start + count) * size, (size_t)tail);
            memcpy(array->data + start * size, old, (size_t)(removed * size));
        }
    }
    if (result == 0)
        memcpy(array->data + start * size, saved, (size_t)(count * size));
    PyMem_Free(saved);
    return result;
}
