/* The memory of an mmap.mmap object of the caller's, with a handle over it: its length follows the array's. */
#include "core.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* Takes hold of the object's memory, of which `count` elements are the array's; -1 for all there are. */
static int hold_mmap(MmapArray *array, Py_ssize_t count) {
    if (PyObject_GetBuffer(array->mmap, &array->mmap_view, PyBUF_SIMPLE) < 0)
        return -1;
    Py_ssize_t most = array->mmap_view.len / array->kind->size;
    if (count < 0 || count > most)
        count = most;
    uint32_t flags = array->mmap_view.readonly ? MBA_RDONLY : MBA_RDWR;
    int code = mba_from_memory(array->mmap_view.buf, (size_t)count * array->kind->size, array->kind->type, flags,
                               &array->handle);
    if (code != MBA_OK) {
        PyBuffer_Release(&array->mmap_view);
        return mbapy_fail(array, code);
    }
    mbapy_settle(array);
    return 0;
}

void mbapy_let_go_of_mmap(MmapArray *array) {
    mba_free(array->handle);
    array->handle = NULL;
    mbapy_settle(array);
    PyBuffer_Release(&array->mmap_view);
}

int mbapy_adopt_mmap(MmapArray *array, PyObject *mmap) {
    int is_mmap = PyObject_IsInstance(mmap, (PyObject *)array->state->mmap_type);
    if (is_mmap < 0)
        return -1;
    if (!is_mmap) {
        PyErr_Format(PyExc_TypeError, "expected an mmap instance, got %R", mmap);
        return -1;
    }
    array->mmap = Py_NewRef(mmap);
    if (hold_mmap(array, -1) == 0) {
        if (array->mmap_view.readonly)
            array->mode = "r";
        return 0;
    }
    Py_CLEAR(array->mmap);
    return -1;
}

/*
 * Whether there is memory behind what the mmap grew by. Shared anonymous memory and the holes of a file on a full
 * disk let themselves be mapped, and kill whoever touches them; a call into the kernel is told by EFAULT.
 */
static bool is_there(const char *data, Py_ssize_t from, Py_ssize_t to) {
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

int mbapy_resize_mmap(MmapArray *array, Py_ssize_t count) {
    Py_ssize_t before = mbapy_length(array);
    Py_ssize_t bytes_before = array->mmap_view.len;
    Py_ssize_t bytes = count > 0 ? count * array->kind->size : 1; /* an mmap can't be empty */
    if (array->mmap_view.readonly)
        return mbapy_fail(array, MBA_EREADONLY);
    /* No view of ours may be out, or the object refuses. Meanwhile the array counts as closed. */
    PyObject *mmap = Py_NewRef(array->mmap);
    mbapy_let_go_of_mmap(array);
    PyObject *done = PyObject_CallMethod(mmap, "resize", "n", bytes);
    PyObject *type = NULL, *value = NULL, *traceback = NULL;
    PyErr_Fetch(&type, &value, &traceback);
    Py_XDECREF(done);
    int result = done == NULL ? -1 : 0;
    if (array->mmap == NULL || hold_mmap(array, result == 0 ? count : before) < 0) {
        /* Someone closed it meanwhile. */
        result = -1;
    } else if (result == 0 && mbapy_length(array) != count) {
        PyErr_SetString(PyExc_RuntimeError, "resize() of the mmap object didn't give it the size it was asked for");
        result = -1;
    } else if (result == 0 && bytes > bytes_before && !is_there(array->data, bytes_before, bytes)) {
        mbapy_let_go_of_mmap(array);
        done = PyObject_CallMethod(mmap, "resize", "n", bytes_before);
        Py_XDECREF(done);
        PyErr_Clear();
        if (hold_mmap(array, before) == 0) {
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

/* Makes the mmap longer first, or shorter at last. */
int mbapy_splice_mmap(MmapArray *array, Py_ssize_t start, Py_ssize_t removed, const char *values,
                       Py_ssize_t count) {
    Py_ssize_t size = array->kind->size;
    Py_ssize_t length = mbapy_length(array);
    Py_ssize_t tail = (length - start - removed) * size;
    if (mbapy_may_write(array) < 0)
        return -1;
    /* The memory can move, and what is removed must come back if the mmap can't shrink. */
    char *aside = PyMem_Malloc((size_t)((count + removed) * size + 1));
    if (aside == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    char *old = aside + count * size;
    memcpy(aside, values, (size_t)(count * size));
    memcpy(old, array->data + start * size, (size_t)(removed * size));
    int result = 0;
    if (count > removed) {
        result = mbapy_resize_mmap(array, length - removed + count);
        if (result == 0)
            memmove(array->data + (start + count) * size, array->data + (start + removed) * size, (size_t)tail);
    } else if (count < removed) {
        memmove(array->data + (start + count) * size, array->data + (start + removed) * size, (size_t)tail);
        result = mbapy_resize_mmap(array, length - removed + count);
        if (result < 0 && mbapy_length(array) == length) {
            memmove(array->data + (start + removed) * size, array->data + (start + count) * size, (size_t)tail);
            memcpy(array->data + start * size, old, (size_t)(removed * size));
        }
    }
    if (result == 0)
        memcpy(array->data + start * size, aside, (size_t)(count * size));
    PyMem_Free(aside);
    return result;
}
