/* Changes of the length, by the library's calls or over an mmap object, with the checks that they need. */
#include "core.h"

int mbapy_splice(MmapArray *array, Py_ssize_t start, Py_ssize_t removed, const void *values, Py_ssize_t count) {
    if (count == removed) {
        if (count == 0)
            return mbapy_must_be_open(array);
        if (mbapy_may_write(array) < 0)
            return -1;
        size_t size = array->element_type->size;
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
    if (count - removed > PY_SSIZE_T_MAX / array->element_type->size - length) {
        PyErr_NoMemory();
        return -1;
    }
    if (array->mmap != NULL)
        return mbapy_splice_mmap_object(array, start, removed, values, count);
    int code;
    if (start == length)
        code = mba_extend(array->handle, values, (size_t)count);
    else if (count == 0 && start + removed == length)
        code = mba_resize(array->handle, (size_t)start); /* which a kill doesn't leave half done */
    else
        code = mba_splice(array->handle, (size_t)start, (size_t)removed, values, (size_t)count);
    return mbapy_finish_change(array, code);
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
    if (mbapy_take_growth_lock(array) < 0)
        return -1;
    Py_ssize_t length = mbapy_length(array);
    if (times == 1 || length == 0)
        return 0;
    if (times > PY_SSIZE_T_MAX / array->element_type->size / length) {
        PyErr_NoMemory();
        return -1;
    }
    Py_ssize_t total = length * times;
    size_t size = array->element_type->size;
    if (array->mmap != NULL) {
        if (mbapy_resize_mmap_object(array, total) < 0)
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
    return mbapy_finish_change(array, code);
}

int mbapy_clear(MmapArray *array) {
    if (mbapy_take_growth_lock(array) < 0)
        return -1;
    if (mbapy_length(array) == 0)
        return 0; /* which views don't mind */
    if (mbapy_may_change(array, true) < 0)
        return -1;
    if (array->mmap != NULL)
        return mbapy_splice(array, 0, mbapy_length(array), NULL, 0);
    int code = mba_clear(array->handle);
    return mbapy_finish_change(array, code);
}
