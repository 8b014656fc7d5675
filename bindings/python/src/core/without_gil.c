/*
 * Calls of the library without the GIL, so that other threads of Python run. An array is busy during such a call. It
 * has one at a time, and who wants to change its length waits for the end.
 */
#include "core.h"

#include <time.h>
#include <unistd.h>

/* A forked child has none of the threads that made the array busy or waited, so that nobody would end it. */
static void forget_threads_of_parent(MmapArray *array) {
    pid_t here = getpid();
    if (array->busy_lock_pid == here)
        return;
    array->busy_lock = NULL; /* not freed, since one of them may have locked it */
    array->busy_lock_pid = here;
    array->waiting = 0;
    array->busy = false;
    mbapy_update_shortcuts(array);
}

int mbapy_wait_until_idle(MmapArray *array) {
    if (UNLIKELY(array->busy))
        forget_threads_of_parent(array);
    while (array->busy) {
        PyThread_type_lock busy_lock = array->busy_lock;
        array->waiting++;
        Py_BEGIN_ALLOW_THREADS
        PyThread_acquire_lock(busy_lock, WAIT_LOCK);
        PyThread_release_lock(busy_lock);
        Py_END_ALLOW_THREADS
        array->waiting--;
    }
    return mbapy_must_be_open(array);
}

int mbapy_ask_without_gil(MmapArray *array, int (*call)(mba_array *), int *code) {
    if (mbapy_must_be_open(array) < 0)
        return -1;
    forget_threads_of_parent(array);
    if (array->busy_lock == NULL && (array->busy_lock = PyThread_allocate_lock()) == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (;;) {
        if (mbapy_wait_until_idle(array) < 0)
            return -1;
        /* Threads that wait go first, or one that makes such calls all the time would never let them. */
        if (array->waiting == 0 && PyThread_acquire_lock(array->busy_lock, NOWAIT_LOCK))
            break;
        struct timespec moment = {0, 20000};
        Py_BEGIN_ALLOW_THREADS
        nanosleep(&moment, NULL);
        Py_END_ALLOW_THREADS
    }
    array->busy = true;
    mbapy_update_shortcuts(array);
    mba_array *handle = array->handle;
    Py_BEGIN_ALLOW_THREADS
    *code = call(handle);
    Py_END_ALLOW_THREADS
    array->busy = false;
    mbapy_update_shortcuts(array);
    PyThread_release_lock(array->busy_lock);
    return 0;
}

int mbapy_call_without_gil(MmapArray *array, int (*call)(mba_array *)) {
    int code;
    if (mbapy_ask_without_gil(array, call, &code) < 0)
        return -1;
    return code == MBA_OK ? 0 : mbapy_fail(array, code);
}
