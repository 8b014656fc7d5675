/*
 * The growth lock: who has it may change the length, which other handles and processes see too. lock(), the context
 * manager that it returns, unlock(), and locked.
 */
#include "core.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

int mbapy_take_growth_lock(MmapArray *array) {
    if (mbapy_may_change(array, false) < 0)
        return -1;
    if (array->mmap != NULL || mba_has_lock(array->handle))
        return 0;
    int code = mba_lock(array->handle, 0);
    return mbapy_finish_change(array, code);
}

/* The context manager: gives the growth lock back at the end of a with statement. */

typedef struct {
    PyObject_HEAD
    MmapArray *array;
    unsigned long turn; /* of the lock that it gives back */
    bool over;          /* the block has ended */
} Context;

static PyObject *new_context(MmapArray *array) {
    Context *context = PyObject_GC_New(Context, array->state->growth_lock_type);
    if (context == NULL)
        return NULL;
    context->array = (MmapArray *)Py_NewRef((PyObject *)array);
    context->turn = array->lock_turn;
    context->over = false;
    PyObject_GC_Track((PyObject *)context);
    return (PyObject *)context;
}

static PyObject *enter_context(PyObject *self, PyObject *unused) {
    (void)unused;
    return Py_NewRef((PyObject *)((Context *)self)->array);
}

static PyObject *leave_context(PyObject *self, PyObject *arguments) {
    (void)arguments;
    Context *context = (Context *)self;
    MmapArray *array = context->array;
    int result = 0;
    ENTER(array);
    /* First: others may run meanwhile, and this thread must have the lock as long as it waits. */
    if (!context->over && array->handle != NULL && mbapy_wait_until_idle(array) < 0)
        PyErr_Clear(); /* it was closed */
    /* Only the outermost gives it back; close() and unlock() have done so already, and another may have it since. */
    bool counts = !context->over && array->lock_depth > 0 && context->turn == array->lock_turn;
    if (counts && --array->lock_depth == 0 && array->handle != NULL) {
        mbapy_update_shortcuts(array);
        int code = mba_unlock(array->handle);
        mbapy_length_changed(array);
        if (code != MBA_OK)
            result = mbapy_fail(array, code);
    }
    context->over = true;
    LEAVE();
    return mbapy_none_unless(result);
}

static int traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)((Context *)self)->array);
    return 0;
}

static void deallocate(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_CLEAR(((Context *)self)->array);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyMethodDef context_methods[] = {
    {"__enter__", enter_context, METH_NOARGS, PyDoc_STR("Return the array.")},
    {"__exit__", leave_context, METH_VARARGS,
     PyDoc_STR("Give the growth lock back, at the end of the outermost block.")},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot context_slots[] = {
    {Py_tp_dealloc, deallocate}, {Py_tp_traverse, traverse}, {Py_tp_methods, context_methods}, {0, NULL},
};

PyType_Spec mbapy_growth_lock_spec = {
    .name = "mmap_backed_array.GrowthLock",
    .basicsize = sizeof(Context),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = context_slots,
};

/* The array's methods. */

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* The library's own wait is a fair one. It is done in parts, so that signals are heard and others can close the array. */
static int wait_for_20_ms(mba_array *handle) {
    return mba_lock(handle, 20);
}

static int wait_for_1_ms(mba_array *handle) {
    return mba_lock(handle, 1);
}

/* Takes the lock if it can be had now. Another thread's is asked for again later, since it can't be waited for. */
static int try_lock(MmapArray *array, bool *is_another_threads, int *code) {
    /* Someone else may have closed it meanwhile. */
    if (mbapy_wait_until_idle(array) < 0)
        return -1;
    *is_another_threads = mbapy_is_locked_by_another_thread(array);
    if (!*is_another_threads && mbapy_may_change(array, false) < 0)
        return -1;
    *code = *is_another_threads ? MBA_ELOCKED : mba_lock(array->handle, 0);
    mbapy_length_changed(array);
    return 0;
}

/* The calling thread has the lock by one more call. */
static void count_lock(MmapArray *array) {
    pid_t here = getpid();
    if (array->lock_depth_pid != here)
        array->lock_depth = 0; /* that of the parent, whose lock a forked child hasn't */
    array->lock_depth_pid = here;
    array->lock_thread = PyThread_get_thread_ident();
    if (array->lock_depth++ == 0)
        array->lock_turn++;
    mbapy_update_shortcuts(array);
}

/* A negative limit is none. */
static int lock_inside(MmapArray *array, double limit) {
    double end = limit > 0 ? now() + limit : 0;
    for (;;) {
        bool is_another_threads;
        int code;
        if (try_lock(array, &is_another_threads, &code) < 0)
            return -1;
        if (code == MBA_OK) {
            count_lock(array);
            return 0;
        }
        if (limit == 0 && is_another_threads)
            return mbapy_locked_by_another_thread(array);
        if (code != MBA_ELOCKED || limit == 0)
            return mbapy_fail(array, code);
        double left = limit < 0 ? 1 : end - now();
        if (left <= 0)
            return mbapy_fail(array, ETIMEDOUT);
        if (is_another_threads) {
            struct timespec moment = {0, left < 1e-3 ? (long)(left * 1e9) : 1000000};
            Py_BEGIN_ALLOW_THREADS
            nanosleep(&moment, NULL);
            Py_END_ALLOW_THREADS
        } else if (mbapy_ask_without_gil(array, left > 0.02 ? wait_for_20_ms : wait_for_1_ms, &code) < 0) {
            return -1;
        }
        if (PyErr_CheckSignals() < 0) {
            /* What the wait may have brought. */
            if (code == MBA_OK && array->handle != NULL && array->lock_depth == 0)
                mba_unlock(array->handle);
            return -1;
        }
    }
}

static PyObject *lock_method(PyObject *self, PyObject *arguments, PyObject *keywords) {
    static char *names[] = {"timeout", NULL};
    PyObject *timeout = Py_None;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|O:lock", names, &timeout))
        return NULL;
    double limit = -1;
    if (timeout != Py_None) {
        limit = PyFloat_AsDouble(timeout);
        if (limit == -1 && PyErr_Occurred())
            return NULL;
        if (!(limit >= 0)) {
            PyErr_SetString(PyExc_ValueError, "the timeout must not be negative; None waits for ever");
            return NULL;
        }
    }
    ENTER(self);
    int result = lock_inside((MmapArray *)self, limit);
    LEAVE();
    return result < 0 ? NULL : new_context((MmapArray *)self);
}

static int unlock_inside(MmapArray *array) {
    if (mbapy_wait_until_idle(array) < 0)
        return -1;
    array->lock_depth = 0; /* also another thread's */
    mbapy_update_shortcuts(array);
    return mbapy_change_storage(array, mba_unlock);
}

METHOD(unlock_method, unlock_inside)

PyMethodDef mbapy_growth_lock_methods[] = {
    {"lock", (PyCFunction)(void (*)(void))lock_method, METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR("lock($self, /, timeout=None)\n--\n\n"
               "Take the growth lock, and the length with it; return a context manager that gives it back.\n\n"
               "timeout: seconds; None waits for ever, then TimeoutError; 0 doesn't wait: BlockingIOError. Calls "
               "within each other count. Other threads of the process are kept from changing the length, too. Without a "
               "with statement, unlock() gives it back. The first call that changes the length takes the lock too, "
               "without waiting and for all threads, and keeps it until unlock() or close().")},
    {"unlock", unlock_method, METH_NOARGS,
     PyDoc_STR("unlock($self, /)\n--\n\nGive the growth lock back, whichever thread has taken it; nothing happens "
               "without it.")},
    {NULL, NULL, 0, NULL},
};

static PyObject *get_locked(PyObject *self, void *closure) {
    (void)closure;
    ENTER(self);
    int locked = mba_has_lock(((MmapArray *)self)->handle);
    LEAVE();
    return PyBool_FromLong(locked);
}

PyGetSetDef mbapy_growth_lock_properties[] = {
    {"locked", get_locked, NULL, "whether this array has the growth lock", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
