/* How arrays begin and end: allocation, anonymous memory, close() and the with statement, deallocation. */
#include "core.h"

MmapArray *mbapy_allocate(PyTypeObject *type, State *state, const ElementType *element_type) {
    allocfunc allocate = PyType_GetSlot(type, Py_tp_alloc);
    MmapArray *array = (MmapArray *)allocate(type, 0);
    if (array == NULL)
        return NULL;
    /* The allocator has zeroed the rest. */
    array->element_type = element_type;
    array->state = state;
    array->count = -1;
    array->mode = "r+";
    return array;
}

int mbapy_unlock_new(MmapArray *array) {
    int code = array->mmap == NULL ? mba_unlock(array->handle) : MBA_OK;
    return code == MBA_OK ? 0 : mbapy_fail(array, code);
}

int mbapy_open_anonymous(MmapArray *array) {
    int code = mba_anon(array->element_type->type, &array->handle);
    if (code != MBA_OK)
        return mbapy_fail(array, code);
    mbapy_update_shortcuts(array);
    return 0;
}

MmapArray *mbapy_new_anonymous(State *state, const ElementType *element_type) {
    MmapArray *array = mbapy_allocate(state->array_type, state, element_type);
    if (array != NULL && mbapy_open_anonymous(array) < 0)
        Py_CLEAR(array);
    return array;
}

void mbapy_begin_export(MmapArray *array) {
    array->exports++;
}

void mbapy_end_export(MmapArray *array) {
    if (--array->exports > 0 || array->handle != NULL)
        return;
    mba_mapping *left = array->left;
    array->left = NULL;
    mba_mapping_free(left);
    if (array->mmap == NULL)
        PyBuffer_Release(&array->mmap_view);
}

/* Frees the handle, and the memory unless views look at it. An error, if it is to be reported, means that something was
   lost. */
static int release_memory(MmapArray *array, bool report) {
    mba_array *handle = array->handle;
    int code = MBA_OK;
    if (array->mmap != NULL) {
        /* Without a handle if its resize() is at work, or left nothing to hold. */
        if (handle != NULL)
            mbapy_detach_mmap_object(array);
        Py_CLEAR(array->mmap);
    } else if (handle != NULL) {
        array->handle = NULL;
        mbapy_update_shortcuts(array);
        code = array->exports > 0 ? mba_detach(handle, &array->left) : mba_close(handle);
    }
    array->lock_depth = 0;
    return code == MBA_OK || !report ? 0 : mbapy_fail(array, code);
}

static int close_inside(MmapArray *array) {
    if (array->handle != NULL && mbapy_wait_until_idle(array) < 0)
        PyErr_Clear(); /* another thread has closed it while this one waited */
    if (array->pins > 0) {
        PyErr_SetString(PyExc_BufferError, "an array can't be closed while C code has its handle in a capsule");
        return -1;
    }
    return release_memory(array, true);
}

METHOD(close_method, close_inside)

static PyObject *enter_method(PyObject *self, PyObject *unused) {
    (void)unused;
    return mbapy_must_be_open((MmapArray *)self) < 0 ? NULL : Py_NewRef(self);
}

/* Tells an exception of the user's, which must not be hidden, that closing has failed with the one that is set. */
static void add_note(PyObject *exception) {
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    PyObject *note = PyUnicode_FromFormat("Closing the array failed, too: %S", error);
    PyObject *done = note == NULL ? NULL : PyObject_CallMethod(exception, "add_note", "O", note);
    Py_XDECREF(done);
    Py_XDECREF(note);
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(traceback);
    PyErr_Clear();
}

static PyObject *exit_method(PyObject *self, PyObject *arguments) {
    PyObject *type = NULL, *exception = NULL, *traceback = NULL;
    if (!PyArg_ParseTuple(arguments, "|OOO:__exit__", &type, &exception, &traceback))
        return NULL;
    PyObject *result = close_method(self, NULL);
    if (result != NULL || exception == NULL || !PyExceptionInstance_Check(exception))
        return result;
    add_note(exception);
    return Py_NewRef(Py_None);
}

int mbapy_traverse(PyObject *self, visitproc visit, void *arg) {
    MmapArray *array = (MmapArray *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(array->mmap);
    Py_VISIT(array->mmap_view.obj); /* a second reference to it */
    return 0;
}

void mbapy_deallocate(PyObject *self) {
    MmapArray *array = (MmapArray *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (array->weak_references != NULL)
        PyObject_ClearWeakRefs(self);
    /* Views and capsules keep the object alive, so that there are none. */
    PyObject *pending_type, *pending, *traceback;
    PyErr_Fetch(&pending_type, &pending, &traceback);
    release_memory(array, false);
    PyErr_Restore(pending_type, pending, traceback);
    Py_CLEAR(array->name);
    if (array->busy_lock != NULL)
        PyThread_free_lock(array->busy_lock);
    freefunc free_object = PyType_GetSlot(type, Py_tp_free);
    free_object(self);
    Py_DECREF(type);
}

PyMethodDef mbapy_lifetime_methods[] = {
    {"close", close_method, METH_NOARGS,
     PyDoc_STR("close($self, /)\n--\n\nClose the array, and truncate the file to its elements unless another handle is "
               "growing it. Views of it keep the memory. A second close does nothing.")},
    {"__enter__", enter_method, METH_NOARGS, PyDoc_STR("__enter__($self, /)\n--\n\nReturn the array.")},
    {"__exit__", exit_method, METH_VARARGS, PyDoc_STR("__exit__($self, /, *exception)\n--\n\nClose the array.")},
    {NULL, NULL, 0, NULL},
};

static PyObject *get_closed(PyObject *self, void *closure) {
    (void)closure;
    return PyBool_FromLong(((MmapArray *)self)->handle == NULL);
}

PyGetSetDef mbapy_lifetime_properties[] = {
    {"closed", get_closed, NULL, "whether the array has been closed", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
