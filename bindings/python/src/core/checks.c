/* What must hold before an array is changed: it is open, no view is in the way, and its elements can be set. */
#include "core.h"

#include <unistd.h>

bool mbapy_is_locked_by_another_thread(MmapArray *array) {
    return UNLIKELY(array->lock_depth > 0) && array->lock_thread != PyThread_get_thread_ident() &&
           array->lock_depth_pid == getpid();
}

int mbapy_may_change(MmapArray *array, bool shorter) {
    if (mbapy_wait_until_idle(array) < 0)
        return -1;
    if (mbapy_is_locked_by_another_thread(array))
        return mbapy_locked_by_another_thread(array);
    if (shorter && array->exports > 0) {
        PyErr_SetString(PyExc_BufferError, "an array can't be made shorter while views of it exist");
        return -1;
    }
    if (array->mmap != NULL && (array->exports > 0 || array->pins > 0)) {
        PyErr_SetString(PyExc_BufferError, "an array over an mmap object can't change its length while views of it "
                                           "exist, since its memory can move");
        return -1;
    }
    return 0;
}

int mbapy_may_write(MmapArray *array) {
    if (LIKELY(array->writable != NULL))
        return 0;
    if (mbapy_must_be_open(array) < 0)
        return -1;
    if (mba_is_readonly(array->handle))
        return mbapy_fail(array, MBA_EREADONLY);
    array->written = true; /* a private one */
    mbapy_update_shortcuts(array);
    return 0;
}

int mbapy_may_change_storage(MmapArray *array) {
    if (mbapy_must_be_open(array) < 0)
        return -1;
    if (array->mmap != NULL)
        return 0;
    return mbapy_may_change(array, false) < 0 ? -1 : 1;
}

int mbapy_change_storage(MmapArray *array, int (*call)(mba_array *)) {
    int may = mbapy_may_change_storage(array);
    return may <= 0 ? may : mbapy_finish_change(array, call(array->handle));
}
