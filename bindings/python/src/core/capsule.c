/* The library's handle, for C code, in a capsule that keeps the array open. */
#include "core.h"

#define CAPSULE "mmap_backed_array.mba_array"

static void end_capsule(PyObject *capsule) {
    MmapArray *array = PyCapsule_GetContext(capsule);
    ENTER(array);
    array->pins--;
    LEAVE();
    Py_DECREF((PyObject *)array);
}

static PyObject *capsule_method(PyObject *self, PyObject *unused) {
    (void)unused;
    MmapArray *array = (MmapArray *)self;
    PyObject *capsule = NULL;
    ENTER(self);
    if (mbapy_must_be_open(array) == 0)
        capsule = PyCapsule_New(array->handle, CAPSULE, NULL);
    if (capsule != NULL && array->private)
        array->written = true; /* perhaps, by C code */
    if (capsule != NULL) {
        PyCapsule_SetContext(capsule, Py_NewRef(self));
        PyCapsule_SetDestructor(capsule, end_capsule);
        array->pins++;
        mbapy_update_shortcuts(array);
    }
    LEAVE();
    return capsule;
}

PyMethodDef mbapy_capsule_methods[] = {
    {"capsule", capsule_method, METH_NOARGS,
     PyDoc_STR("capsule($self, /)\n--\n\nReturn the mba_array * as a PyCapsule named \"" CAPSULE "\". The array can't "
               "be closed while the capsule exists, and stays Python's: C code must not free it.")},
    {NULL, NULL, 0, NULL},
};
