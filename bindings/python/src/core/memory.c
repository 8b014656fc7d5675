/*
 * The memory under an array: the library's handle, or an mmap.mmap object of the caller's with a handle over it;
 * and the rules for changing its length while views are out and while other threads run.
 */
#include "core.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* Over an mmap.mmap object. */

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

static void let_go_of_mmap(MmapArray *array) {
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

/* Makes the mmap as long as `count` elements take, or leaves everything as it was. */
static int resize_mmap(MmapArray *array, Py_ssize_t count) {
    Py_ssize_t before = mbapy_length(array);
    Py_ssize_t bytes_before = array->mmap_view.len;
    Py_ssize_t bytes = count > 0 ? count * array->kind->size : 1; /* an mmap can't be empty */
    if (array->mmap_view.readonly)
        return mbapy_fail(array, MBA_EREADONLY);
    /* No view of ours may be out, or the object refuses. Meanwhile the array counts as closed. */
    PyObject *mmap = Py_NewRef(array->mmap);
    let_go_of_mmap(array);
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
        let_go_of_mmap(array);
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

/* As mba_splice, by making the mmap longer first, or shorter at last. */
static int splice_mmap(MmapArray *array, Py_ssize_t start, Py_ssize_t removed, const char *values,
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
        result = resize_mmap(array, length - removed + count);
        if (result == 0)
            memmove(array->data + (start + count) * size, array->data + (start + removed) * size, (size_t)tail);
    } else if (count < removed) {
        memmove(array->data + (start + count) * size, array->data + (start + removed) * size, (size_t)tail);
        result = resize_mmap(array, length - removed + count);
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

/* Turns. */

/* After a fork the threads that were at work, or waited, aren't there, and never say that they are done. */
static void forget_parent(MmapArray *array) {
    pid_t here = getpid();
    if (array->turn_in == here)
        return;
    array->turn = NULL; /* which they may have locked, so that it can't be freed either */
    array->turn_in = here;
    array->waiting = 0;
    array->busy = false;
    mbapy_settle(array);
}

/* Waits until no call without the GIL is under way, and keeps others from starting one if it can. */
static int wait_for_turn(MmapArray *array) {
    if (UNLIKELY(array->busy))
        forget_parent(array);
    while (array->busy) {
        PyThread_type_lock turn = array->turn;
        array->waiting++;
        Py_BEGIN_ALLOW_THREADS
        PyThread_acquire_lock(turn, WAIT_LOCK);
        PyThread_release_lock(turn);
        Py_END_ALLOW_THREADS
        array->waiting--;
    }
    return mbapy_must_be_open(array);
}

int mbapy_at_leisure(MmapArray *array, int (*call)(mba_array *)) {
    if (mbapy_must_be_open(array) < 0)
        return -1;
    forget_parent(array);
    if (array->turn == NULL && (array->turn = PyThread_allocate_lock()) == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (;;) {
        if (wait_for_turn(array) < 0)
            return -1;
        /* Who has waited comes first, or a thread that does nothing else would leave nobody a turn. */
        if (array->waiting == 0 && PyThread_acquire_lock(array->turn, NOWAIT_LOCK))
            break;
        struct timespec moment = {0, 20000};
        Py_BEGIN_ALLOW_THREADS
        nanosleep(&moment, NULL);
        Py_END_ALLOW_THREADS
    }
    array->busy = true;
    mbapy_settle(array);
    mba_array *handle = array->handle;
    int code;
    Py_BEGIN_ALLOW_THREADS
    code = call(handle);
    Py_END_ALLOW_THREADS
    array->busy = false;
    mbapy_settle(array);
    PyThread_release_lock(array->turn);
    return code == MBA_OK ? 0 : mbapy_fail(array, code);
}

/* Changes. */

int mbapy_may_change(MmapArray *array, bool shorter) {
    if (wait_for_turn(array) < 0)
        return -1;
    if (shorter && array->exports > 0) {
        PyErr_SetString(PyExc_BufferError, "an array can't be made shorter or closed while views of it exist");
        return -1;
    }
    if (array->mmap != NULL && (array->exports > 0 || array->pins > 0)) {
        PyErr_SetString(PyExc_BufferError, "an array over an mmap object can't change its length while views of it "
                                           "exist, since its memory can move");
        return -1;
    }
    return 0;
}

int mbapy_hold(MmapArray *array) {
    if (mbapy_may_change(array, false) < 0)
        return -1;
    if (array->mmap != NULL || mba_has_lock(array->handle))
        return 0;
    int code = mba_lock(array->handle, 0);
    return mbapy_changed(array, code);
}

int mbapy_may_write(MmapArray *array) {
    if (LIKELY(array->writable != NULL))
        return 0;
    if (mbapy_must_be_open(array) < 0)
        return -1;
    if (mba_is_readonly(array->handle))
        return mbapy_fail(array, MBA_EREADONLY);
    array->written = true; /* a private one */
    mbapy_settle(array);
    return 0;
}

int mbapy_splice(MmapArray *array, Py_ssize_t start, Py_ssize_t removed, const void *values, Py_ssize_t count) {
    if (count == removed) {
        if (count == 0)
            return mbapy_must_be_open(array);
        if (mbapy_may_write(array) < 0)
            return -1;
        size_t size = array->kind->size;
        memmove(array->data + (size_t)start * size, values, (size_t)count * size);
        return 0;
    }
    if (mbapy_may_change(array, count < removed) < 0)
        return -1;
    Py_ssize_t length = mbapy_length(array);
    if (start > length || removed > length - start) {
        /* It has become shorter while this thread waited. */
        PyErr_SetString(PyExc_RuntimeError, "the array has changed its length during the operation");
        return -1;
    }
    if (count - removed > PY_SSIZE_T_MAX / array->kind->size - length) {
        PyErr_NoMemory();
        return -1;
    }
    if (array->mmap != NULL)
        return splice_mmap(array, start, removed, values, count);
    int code;
    if (start == length)
        code = mba_extend(array->handle, values, (size_t)count);
    else if (count == 0 && start + removed == length)
        code = mba_resize(array->handle, (size_t)start); /* which a kill doesn't leave half done */
    else
        code = mba_splice(array->handle, (size_t)start, (size_t)removed, values, (size_t)count);
    return mbapy_changed(array, code);
}

int mbapy_extend(MmapArray *array, const void *values, Py_ssize_t count) {
    /* The end can move while this thread waits. */
    if (UNLIKELY(array->busy) && mbapy_may_change(array, false) < 0)
        return -1;
    return mbapy_splice(array, mbapy_length(array), 0, values, count);
}

/* Fills what follows the first `length` elements up to `total` with copies of them. */
static void fill_with_copies(char *data, size_t length, size_t total, size_t size) {
    size_t done = length * size, all = total * size;
    while (done < all) {
        size_t next = done < all - done ? done : all - done;
        memcpy(data + done, data, next);
        done += next;
    }
}

int mbapy_multiply(MmapArray *array, Py_ssize_t times) {
    if (mbapy_hold(array) < 0)
        return -1;
    Py_ssize_t length = mbapy_length(array);
    if (times == 1 || length == 0)
        return 0;
    if (times > PY_SSIZE_T_MAX / array->kind->size / length) {
        PyErr_NoMemory();
        return -1;
    }
    Py_ssize_t total = length * times;
    size_t size = array->kind->size;
    if (array->mmap != NULL) {
        if (resize_mmap(array, total) < 0)
            return -1;
        fill_with_copies(array->data, (size_t)length, (size_t)total, size);
        return 0;
    }
    int code = mba_reserve(array->handle, (size_t)total);
    if (code == MBA_OK && mba_capacity(array->handle) >= (size_t)total) {
        /* All of it or nothing, also if the process is killed. */
        fill_with_copies(array->data, (size_t)length, (size_t)total, size);
        code = mba_commit(array->handle, (size_t)total);
    } else {
        /* A file without spare room. */
        for (Py_ssize_t done = length; code == MBA_OK && done < total;) {
            Py_ssize_t next = done < total - done ? done : total - done;
            code = mba_extend(array->handle, array->data, (size_t)next);
            done += next;
        }
        if (code != MBA_OK && mba_len(array->handle) > (size_t)length)
            mba_resize(array->handle, (size_t)length);
    }
    return mbapy_changed(array, code);
}

int mbapy_clear(MmapArray *array) {
    if (mbapy_hold(array) < 0)
        return -1;
    if (mbapy_length(array) == 0)
        return 0; /* which views don't mind */
    if (mbapy_may_change(array, true) < 0)
        return -1;
    if (array->mmap != NULL)
        return mbapy_splice(array, 0, mbapy_length(array), NULL, 0);
    int code = mba_clear(array->handle);
    return mbapy_changed(array, code);
}

int mbapy_release(MmapArray *array, bool tell) {
    mba_array *handle = array->handle;
    int code = MBA_OK;
    if (array->mmap != NULL) {
        /* Without a handle if its resize() is at work, or left nothing to hold. */
        if (handle != NULL)
            let_go_of_mmap(array);
        Py_CLEAR(array->mmap);
    } else if (handle != NULL) {
        array->handle = NULL;
        mbapy_settle(array);
        code = mba_close(handle);
    }
    array->lock_depth = 0;
    return code == MBA_OK || !tell ? 0 : mbapy_fail(array, code);
}
