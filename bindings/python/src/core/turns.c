/*
 * Calls that let other threads of Python run: one at a time for each array. Whoever wants to change the array's length
 * meanwhile waits.
 */
#include "core.h"

#include <time.h>
#include <unistd.h>

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
int mbapy_wait_for_turn(MmapArray *array) {
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
        if (mbapy_wait_for_turn(array) < 0)
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
