/*
 * Elements for other libraries, in their memory and without a copy: the Arrow C data interface, DLPack, and what array
 * libraries ask of an array. Structures are those of the two specifications:
 * https://arrow.apache.org/docs/format/CDataInterface.html and https://dmlc.github.io/dlpack/latest/c_api.html
 */
#include "core.h"

#include <stdlib.h>

/* What keeps the elements where they are until somebody else's library is done with them. */
static MmapArray *begin_use(MmapArray *array) {
    mbapy_begin_export(array);
    return (MmapArray *)Py_NewRef((PyObject *)array);
}

/* May be called by any thread, with the GIL or without. */
static void end_use(MmapArray *array) {
    if (!Py_IsInitialized())
        return; /* the process is ending, and Python has ended before: nobody is left to give it back to */
    PyGILState_STATE state = PyGILState_Ensure();
    ENTER((PyObject *)array);
    mbapy_end_export(array);
    LEAVE();
    Py_DECREF((PyObject *)array);
    PyGILState_Release(state);
}

/* Arrow. */

typedef struct ArrowSchema {
    const char *format, *name, *metadata;
    int64_t flags, n_children;
    struct ArrowSchema **children, *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
} ArrowSchema;

typedef struct ArrowArray {
    int64_t length, null_count, offset, n_buffers, n_children;
    const void **buffers;
    struct ArrowArray **children, *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
} ArrowArray;

/* NULL for a type that Arrow has not, or has not in this form: its truth values are bits. */
static const char *arrow_format(const ElementType *element_type) {
    static const char *const signed_formats[] = {[1] = "c", [2] = "s", [4] = "i", [8] = "l"};
    static const char *const unsigned_formats[] = {[1] = "C", [2] = "S", [4] = "I", [8] = "L"};
    static const char *const real_formats[] = {[2] = "e", [4] = "f", [8] = "g"};
    size_t size = element_type->size;
    switch (element_type->class) {
    case SIGNED: return size <= 8 ? signed_formats[size] : NULL;
    case UNSIGNED: return size <= 8 ? unsigned_formats[size] : NULL;
    case REAL: return size <= 8 ? real_formats[size] : NULL;
    case BYTE: return "w:1"; /* one byte of fixed size */
    default: return NULL;
    }
}

static void release_schema(ArrowSchema *schema) {
    schema->release = NULL;
}

/* The array of buffers has two: there are no missing values, and so there is no bitmap of them. */
typedef struct {
    MmapArray *array;
    const void *buffers[2];
} ArrowUse;

static void release_array(ArrowArray *exported) {
    ArrowUse *use = exported->private_data;
    exported->release = NULL;
    end_use(use->array);
    free(use);
}

static void end_schema_capsule(PyObject *capsule) {
    ArrowSchema *schema = PyCapsule_GetPointer(capsule, "arrow_schema");
    if (schema->release != NULL)
        schema->release(schema);
    free(schema);
}

static void end_array_capsule(PyObject *capsule) {
    ArrowArray *exported = PyCapsule_GetPointer(capsule, "arrow_array");
    if (exported->release != NULL)
        exported->release(exported);
    free(exported);
}

static PyObject *schema_capsule(const char *format) {
    ArrowSchema *schema = calloc(1, sizeof *schema);
    if (schema == NULL)
        return PyErr_NoMemory();
    schema->format = format;
    schema->name = "";
    schema->release = release_schema;
    PyObject *capsule = PyCapsule_New(schema, "arrow_schema", end_schema_capsule);
    if (capsule == NULL)
        free(schema);
    return capsule;
}

static PyObject *array_capsule(MmapArray *array) {
    ArrowArray *exported = calloc(1, sizeof *exported);
    ArrowUse *use = calloc(1, sizeof *use);
    PyObject *capsule = NULL;
    if (exported == NULL || use == NULL)
        PyErr_NoMemory();
    else
        capsule = PyCapsule_New(exported, "arrow_array", end_array_capsule);
    if (capsule == NULL) {
        free(exported);
        free(use);
        return NULL;
    }
    use->buffers[1] = array->data;
    exported->length = mbapy_length(array);
    exported->n_buffers = 2;
    exported->buffers = use->buffers;
    exported->private_data = use;
    use->array = begin_use(array);
    exported->release = release_array;
    return capsule;
}

static PyObject *arrow_inside(MmapArray *array) {
    if (mbapy_must_be_open(array) < 0)
        return NULL;
    const char *format = arrow_format(array->element_type);
    if (format == NULL) {
        PyErr_Format(PyExc_TypeError, "Arrow has no type for elements of typecode '%s' as they are in memory",
                     array->element_type->code);
        return NULL;
    }
    if (mbapy_may_look(array) < 0)
        return NULL;
    PyObject *schema = schema_capsule(format);
    PyObject *exported = schema == NULL ? NULL : array_capsule(array);
    PyObject *both = exported == NULL ? NULL : PyTuple_Pack(2, schema, exported);
    Py_XDECREF(schema);
    Py_XDECREF(exported);
    return both;
}

static PyObject *arrow_method(PyObject *self, PyObject *arguments, PyObject *keywords) {
    static char *names[] = {"requested_schema", NULL};
    PyObject *requested = Py_None; /* a wish, which may be ignored */
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|O:__arrow_c_array__", names, &requested))
        return NULL;
    ENTER(self);
    PyObject *result = arrow_inside((MmapArray *)self);
    LEAVE();
    return result;
}

/* DLPack. */

enum { CPU = 1 };
enum { IS_READ_ONLY = 1, IS_COPIED = 2 };

typedef struct {
    void *data;
    struct {
        int32_t type, id;
    } device;
    int32_t ndim;
    struct {
        uint8_t code, bits;
        uint16_t lanes;
    } dtype;
    int64_t *shape, *strides;
    uint64_t byte_offset;
} DLTensor;

typedef struct Tensor {
    DLTensor tensor;
    void *context;
    void (*deleter)(struct Tensor *);
} Tensor;

typedef struct VersionedTensor {
    struct {
        uint32_t major, minor;
    } version;
    void *context;
    void (*deleter)(struct VersionedTensor *);
    uint64_t flags;
    DLTensor tensor;
} VersionedTensor;

/* A tensor in one of its forms, and what it needs. */
typedef struct {
    union {
        Tensor old;
        VersionedTensor versioned;
    } form;
    MmapArray *array;
    int64_t shape, stride;
} TensorUse;

/* -1 for a type that DLPack has not. */
static int dlpack_code(const ElementType *element_type) {
    switch (element_type->class) {
    case SIGNED: return 0;
    case UNSIGNED: return 1;
    case REAL: return 2;
    case COMPLEX: return 5;
    case TRUTH: return 6;
    default: return -1;
    }
}

static void delete_use(TensorUse *use) {
    end_use(use->array);
    free(use);
}

static void delete_old(Tensor *tensor) {
    delete_use(tensor->context);
}

static void delete_versioned(VersionedTensor *tensor) {
    delete_use(tensor->context);
}

/* A consumer gives the capsule another name, and deletes the tensor when it is done. */
static void end_tensor_capsule(PyObject *capsule) {
    if (PyCapsule_IsValid(capsule, "dltensor")) {
        Tensor *tensor = PyCapsule_GetPointer(capsule, "dltensor");
        tensor->deleter(tensor);
    } else if (PyCapsule_IsValid(capsule, "dltensor_versioned")) {
        VersionedTensor *tensor = PyCapsule_GetPointer(capsule, "dltensor_versioned");
        tensor->deleter(tensor);
    }
}

static PyObject *tensor_capsule(MmapArray *array, int code, bool versioned, uint64_t flags) {
    TensorUse *use = calloc(1, sizeof *use);
    if (use == NULL)
        return PyErr_NoMemory();
    use->shape = mbapy_length(array);
    use->stride = 1;
    DLTensor tensor = {.data = array->data, .ndim = 1, .shape = &use->shape, .strides = &use->stride};
    tensor.device.type = CPU;
    tensor.dtype.code = (uint8_t)code;
    tensor.dtype.bits = (uint8_t)(array->element_type->size * 8);
    tensor.dtype.lanes = 1;
    if (versioned) {
        use->form.versioned = (VersionedTensor){.context = use, .deleter = delete_versioned, .flags = flags, .tensor = tensor};
        use->form.versioned.version.major = 1;
    } else {
        use->form.old = (Tensor){.tensor = tensor, .context = use, .deleter = delete_old};
    }
    PyObject *capsule = PyCapsule_New(use, versioned ? "dltensor_versioned" : "dltensor", end_tensor_capsule);
    if (capsule == NULL) {
        free(use);
        return NULL;
    }
    use->array = begin_use(array);
    return capsule;
}

static PyObject *dlpack_inside(MmapArray *array, bool versioned, bool copied) {
    int code = dlpack_code(array->element_type);
    if (mbapy_must_be_open(array) < 0)
        return NULL;
    if (code < 0) {
        PyErr_Format(PyExc_BufferError, "DLPack has no type for elements of typecode '%s'", array->element_type->code);
        return NULL;
    }
    if (mbapy_may_look(array) < 0)
        return NULL;
    bool readonly = mba_is_readonly(array->handle);
    if (readonly && !versioned) {
        PyErr_SetString(PyExc_BufferError, "the array is read-only, which DLPack can say from version 1.0 on only");
        return NULL;
    }
    return tensor_capsule(array, code, versioned, (readonly ? IS_READ_ONLY : 0u) | (copied ? IS_COPIED : 0u));
}

/* Whether a device, given as a tuple, is the CPU; -1 and an exception for what is no tuple of two numbers. */
static int is_cpu(PyObject *device) {
    int type, id;
    if (device == Py_None)
        return 1;
    if (!PyTuple_Check(device)) {
        PyErr_SetString(PyExc_TypeError, "dl_device must be None or a tuple");
        return -1;
    }
    return PyArg_ParseTuple(device, "ii", &type, &id) ? type == CPU && id == 0 : -1;
}

static PyObject *dlpack_method(PyObject *self, PyObject *arguments, PyObject *keywords) {
    static char *names[] = {"stream", "max_version", "dl_device", "copy", NULL};
    PyObject *stream = Py_None, *max_version = Py_None, *device = Py_None, *copy = Py_None;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|$OOOO:__dlpack__", names, &stream, &max_version, &device,
                                     &copy))
        return NULL;
    if (stream != Py_None) {
        PyErr_SetString(PyExc_RuntimeError, "stream must be None: the memory is the CPU's");
        return NULL;
    }
    int on_cpu = is_cpu(device);
    if (on_cpu <= 0) {
        if (on_cpu == 0)
            PyErr_SetString(PyExc_BufferError, "the array is in the memory of the CPU, and stays there");
        return NULL;
    }
    int major = 0, minor;
    if (max_version != Py_None && (!PyTuple_Check(max_version) || !PyArg_ParseTuple(max_version, "ii", &major, &minor))) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_TypeError, "max_version must be None or a tuple");
        return NULL;
    }
    int copies = copy == Py_None ? 0 : PyObject_IsTrue(copy);
    if (copies < 0)
        return NULL;
    PyObject *source = NULL;
    if (copies == 0) {
        source = Py_NewRef(self);
    } else {
        ENTER(self);
        source = (PyObject *)mbapy_copy((MmapArray *)self);
        LEAVE();
        if (source == NULL)
            return NULL;
    }
    ENTER(source);
    PyObject *result = dlpack_inside((MmapArray *)source, major >= 1, copies != 0);
    LEAVE();
    Py_DECREF(source);
    return result;
}

static PyObject *dlpack_device_method(PyObject *self, PyObject *unused) {
    (void)self;
    (void)unused;
    return Py_BuildValue("ii", CPU, 0);
}

/* NumPy. */

/* Calls a function of _numpy.py with the array and further arguments, which are consumed. */
static PyObject *call_numpy(const char *name, PyObject *self, PyObject *arguments, PyObject *keywords) {
    PyObject *module = PyImport_ImportModule("mmap_backed_array._numpy");
    PyObject *function = module == NULL ? NULL : PyObject_GetAttrString(module, name);
    PyObject *first = function == NULL ? NULL : PyTuple_Pack(1, self);
    PyObject *all = first == NULL ? NULL : arguments == NULL ? Py_NewRef(first) : PySequence_Concat(first, arguments);
    PyObject *result = all == NULL ? NULL : PyObject_Call(function, all, keywords);
    Py_XDECREF(all);
    Py_XDECREF(first);
    Py_XDECREF(function);
    Py_XDECREF(module);
    return result;
}

static PyObject *array_method(PyObject *self, PyObject *arguments, PyObject *keywords) {
    return call_numpy("as_array", self, arguments, keywords);
}

PyMethodDef mbapy_interchange_methods[] = {
    {"__arrow_c_array__", (PyCFunction)(void (*)(void))arrow_method, METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR("__arrow_c_array__($self, /, requested_schema=None)\n--\n\nThe elements for Arrow, without a copy.")},
    {"__dlpack__", (PyCFunction)(void (*)(void))dlpack_method, METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR("__dlpack__($self, /, *, stream=None, max_version=None, dl_device=None, copy=None)\n--\n\n"
               "The elements for array libraries, without a copy.")},
    {"__dlpack_device__", dlpack_device_method, METH_NOARGS,
     PyDoc_STR("__dlpack_device__($self, /)\n--\n\nReturn the device of DLPack: (1, 0), the CPU.")},
    {"__array__", (PyCFunction)(void (*)(void))array_method, METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR("__array__($self, /, dtype=None, *, copy=None)\n--\n\n"
               "Return a NumPy array of the elements, without a copy unless another dtype or a copy is asked for.")},
    {NULL, NULL, 0, NULL},
};

static PyObject *get_dtype(PyObject *self, void *closure) {
    (void)closure;
    return call_numpy("dtype_of", self, NULL, NULL);
}

static PyObject *get_shape(PyObject *self, void *closure) {
    (void)closure;
    Py_ssize_t length = PyObject_Size(self);
    return length < 0 ? NULL : Py_BuildValue("(n)", length);
}

static PyObject *get_ndim(PyObject *self, void *closure) {
    (void)self;
    (void)closure;
    return PyLong_FromLong(1);
}

PyGetSetDef mbapy_interchange_properties[] = {
    {"dtype", get_dtype, NULL, "the type of the elements, as NumPy has it", NULL},
    {"shape", get_shape, NULL, "the length, as a tuple of one number", NULL},
    {"ndim", get_ndim, NULL, "the number of dimensions: 1", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
