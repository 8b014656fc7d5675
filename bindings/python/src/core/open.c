/* Opening of files, of named shared memory, and of what descriptors stand for. */
#include "core.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    const char *name;
    uint32_t flags;
    bool makes; /* what it opens, if it isn't there */
    bool empties;
} Mode;

static const Mode modes[] = {
    {"r", MBA_RDONLY, false, false},
    {"r+", MBA_RDWR, false, false},
    {"w+", MBA_RDWR | MBA_CREATE, true, true},
    {"a+", MBA_RDWR | MBA_CREATE, true, false},
    {"x", MBA_RDWR | MBA_CREATE | MBA_EXCL, true, false},
    {"c", MBA_PRIVATE, false, false},
};

/* Where an array is to come from, and how. */
typedef struct {
    const char *path; /* of a file, or the name of shared memory */
    bool shared_memory;
    int fd; /* where there is no path */
    const ElementType *element_type;
    const Mode *mode;
    uint32_t flags;
    mba_options options;
} Source;

static int parse_mode(Source *source, const char *mode, int exact) {
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (strcmp(modes[i].name, mode) == 0)
            source->mode = &modes[i];
    if (source->mode == NULL || (source->path == NULL && source->mode->makes)) {
        PyErr_Format(PyExc_ValueError,
                     source->path == NULL ? "mode must be 'r', 'r+' or 'c', not '%s'"
                                          : "mode must be 'r', 'r+', 'w+', 'a+', 'x' or 'c', not '%s'",
                     mode);
        return -1;
    }
    source->flags = source->mode->flags;
    if (exact) {
        if ((source->flags & MBA_RDWR) == 0) {
            PyErr_Format(PyExc_ValueError, "exact arrays must be writable, and mode is '%s'", mode);
            return -1;
        }
        source->flags |= MBA_EXACT;
    }
    return 0;
}

static int parse_options(Source *source, PyObject *permissions, PyObject *reservation) {
    source->options.size = sizeof source->options;
    if (permissions != Py_None) {
        unsigned long mode = PyLong_AsUnsignedLong(permissions);
        if (mode == (unsigned long)-1 && PyErr_Occurred())
            return -1;
        if (mode == 0 || mode > 07777) {
            PyErr_SetString(PyExc_ValueError, "permissions must be in 0o1 to 0o7777");
            return -1;
        }
        source->options.mode = (uint32_t)mode;
    }
    if (reservation != Py_None) {
        source->options.reservation = PyLong_AsUnsignedLongLong(reservation);
        if (source->options.reservation == (uint64_t)-1 && PyErr_Occurred())
            return -1;
        if (source->options.reservation == 0) {
            PyErr_SetString(PyExc_ValueError, "the reservation must be a positive number of bytes");
            return -1;
        }
    }
    return 0;
}

static int open_source(const Source *source, mba_array **handle) {
    if (source->path == NULL)
        return mba_from_fd(source->fd, source->element_type->type, source->flags, handle);
    if (source->shared_memory)
        return mba_shm_open(source->path, source->element_type->type, source->flags, handle);
    return mba_open_with(source->path, source->element_type->type, source->flags, &source->options, handle);
}

/* Takes all elements away, unless another handle has the growth lock. */
static int empty(mba_array *handle) {
    int code = mba_clear(handle);
    if (code == MBA_OK)
        code = mba_shrink_to_fit(handle);
    if (code == MBA_OK)
        code = mba_unlock(handle);
    return code;
}

/* Where named shared memory is as a file. */
#define SHM_DIRECTORY "/dev/shm/"

/* The path of what is opened; NULL if there is none, or the name is longer than a name can be. */
static const char *path_of(const Source *source, char shm_path[sizeof SHM_DIRECTORY + NAME_MAX]) {
    if (source->path == NULL || !source->shared_memory)
        return source->path;
    const char *name = source->path + strspn(source->path, "/");
    int count = snprintf(shm_path, sizeof SHM_DIRECTORY + NAME_MAX, "%s%s", SHM_DIRECTORY, name);
    return count < 0 || (size_t)count >= sizeof SHM_DIRECTORY + NAME_MAX ? NULL : shm_path;
}

/* Empties what can't be opened as an array of this type or size. It is opened as the type that it is, so that the
   growth lock is asked for; a file without a footer can be one of bytes. MBA_ELOCKED if others have it open, who would
   go on taking it for what it was. */
static int empty_as_other_type(const Source *source) {
    char shm_path[sizeof SHM_DIRECTORY + NAME_MAX];
    const char *name = path_of(source, shm_path);
    if (name == NULL)
        return ENAMETOOLONG;
    mba_status status = {.size = sizeof status};
    int code = mba_info(name, &status);
    if (code == MBA_ECORRUPT) {
        code = mba_tidy(name, 0, MBA_TIDY_FORCE);
        status.type = 0;
    }
    mba_array *handle;
    if (code == MBA_OK)
        code = mba_open(name, status.type != 0 ? status.type : MBA_UINT8, MBA_RDWR, &handle);
    if (code != MBA_OK)
        return code;
    code = mba_array_info(handle, &status);
    if (code == MBA_OK)
        code = status.is_shared ? MBA_ELOCKED : empty(handle);
    int closed = mba_close(handle);
    return code != MBA_OK ? code : closed;
}

static int open_and_empty(const Source *source, mba_array **handle) {
    int code = open_source(source, handle);
    if (code != MBA_OK)
        *handle = NULL;
    if (code == MBA_OK && source->mode->empties)
        code = empty(*handle);
    if (source->mode->empties &&
        (code == MBA_ETYPE || code == MBA_ECORRUPT || code == MBA_EPARTIAL || code == MBA_ELIMIT)) {
        mba_free(*handle);
        *handle = NULL;
        code = empty_as_other_type(source);
        if (code == MBA_OK && (code = open_source(source, handle)) != MBA_OK)
            *handle = NULL;
        return code;
    }
    if (code != MBA_OK) {
        mba_free(*handle);
        *handle = NULL;
    }
    return code;
}

/* Whether there is nothing yet of the name that is to be opened. */
static bool is_free(const Source *source) {
    char shm_path[sizeof SHM_DIRECTORY + NAME_MAX];
    const char *path = path_of(source, shm_path);
    struct stat stat;
    return path != NULL && lstat(path, &stat) == -1 && errno == ENOENT;
}

/* Removes the file that opening has made before it failed for want of memory. Nobody else has made it: that would have
   been another error. */
static void remove_what_was_made(const Source *source) {
    char shm_path[sizeof SHM_DIRECTORY + NAME_MAX];
    const char *path = path_of(source, shm_path);
    mba_status status = {.size = sizeof status};
    if (path != NULL && mba_info(path, &status) == MBA_OK && status.file_size == 0 && !status.is_shared)
        unlink(path);
}

static MmapArray *open_array(PyTypeObject *type, const Source *source, PyObject *name) {
    State *state = mbapy_state(type);
    MmapArray *array = state == NULL ? NULL : mbapy_allocate(type, state, source->element_type);
    if (array == NULL)
        return NULL;
    array->mode = source->mode->name;
    array->shared_memory = source->shared_memory;
    array->exact = (source->flags & MBA_EXACT) != 0;
    array->private = (source->flags & MBA_PRIVATE) != 0;
    mba_array *handle;
    int code;
    Py_BEGIN_ALLOW_THREADS
    bool makes = (source->flags & MBA_EXCL) != 0 && is_free(source);
    code = open_and_empty(source, &handle);
    if (makes && (code == ENOMEM || code == MBA_ELIMIT))
        remove_what_was_made(source);
    Py_END_ALLOW_THREADS
    if (code != MBA_OK) {
        char shm_path[sizeof SHM_DIRECTORY + NAME_MAX];
        mbapy_fail_to_open(state, code, name, path_of(source, shm_path));
        Py_DECREF((PyObject *)array);
        return NULL;
    }
    array->handle = handle;
    array->name = Py_XNewRef(name);
    mbapy_update_shortcuts(array);
    return array;
}

/* The path as a str that holds wherever this process goes. */
static PyObject *absolute(PyObject *bytes) {
    PyObject *path = PyUnicode_DecodeFSDefaultAndSize(PyBytes_AsString(bytes), PyBytes_Size(bytes));
    if (path == NULL || PyBytes_Size(bytes) == 0 || PyBytes_AsString(bytes)[0] == '/')
        return path;
    PyObject *module = PyImport_ImportModule("os.path");
    PyObject *result = module == NULL ? NULL : PyObject_CallMethod(module, "abspath", "O", path);
    Py_XDECREF(module);
    Py_DECREF(path);
    return result;
}

static PyObject *open_method(PyObject *type, PyObject *arguments, PyObject *keywords) {
    static char *names[] = {"path", "typecode", "mode", "exact", "permissions", "reservation", NULL};
    PyObject *path, *typecode, *permissions = Py_None, *reservation = Py_None;
    const char *mode = "r";
    int exact = 0;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O&O|s$pOO:open", names, PyUnicode_FSConverter, &path,
                                     &typecode, &mode, &exact, &permissions, &reservation))
        return NULL;
    Source source = {.path = PyBytes_AsString(path), .element_type = mbapy_element_type_of_typecode(typecode)};
    PyObject *array = NULL, *name = NULL;
    if (source.element_type != NULL && parse_mode(&source, mode, exact) == 0 &&
        parse_options(&source, permissions, reservation) == 0 && (name = absolute(path)) != NULL)
        array = (PyObject *)open_array((PyTypeObject *)type, &source, name);
    Py_XDECREF(name);
    Py_DECREF(path);
    return array;
}

/* A name of shared memory as bytes, with the slash in front that the system asks for. */
static PyObject *system_name(PyObject *name) {
    if (!PyUnicode_Check(name)) {
        PyErr_Format(PyExc_TypeError, "the name must be a str, not %R", Py_TYPE(name));
        return NULL;
    }
    PyObject *full = PyUnicode_GetLength(name) > 0 && PyUnicode_ReadChar(name, 0) == '/'
                         ? Py_NewRef(name)
                         : PyUnicode_FromFormat("/%U", name);
    PyObject *bytes = NULL;
    if (full != NULL && !PyUnicode_FSConverter(full, &bytes))
        bytes = NULL;
    Py_XDECREF(full);
    return bytes;
}

static PyObject *shm_method(PyObject *type, PyObject *arguments, PyObject *keywords) {
    static char *names[] = {"name", "typecode", "mode", "exact", NULL};
    PyObject *name, *typecode;
    const char *mode = "r";
    int exact = 0;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OO|s$p:shm", names, &name, &typecode, &mode, &exact))
        return NULL;
    PyObject *bytes = system_name(name);
    PyObject *plain = bytes == NULL ? NULL : PyUnicode_FromObject(name); /* of no subclass, which could hold anything */
    if (plain == NULL) {
        Py_XDECREF(bytes);
        return NULL;
    }
    Source source = {
        .path = PyBytes_AsString(bytes),
        .shared_memory = true,
        .element_type = mbapy_element_type_of_typecode(typecode),
    };
    PyObject *array = NULL;
    if (source.element_type != NULL && parse_mode(&source, mode, exact) == 0)
        array = (PyObject *)open_array((PyTypeObject *)type, &source, plain);
    Py_DECREF(plain);
    Py_DECREF(bytes);
    return array;
}

PyObject *mbapy_shm_unlink(PyObject *module, PyObject *name) {
    PyObject *bytes = system_name(name);
    if (bytes == NULL)
        return NULL;
    int code = mba_shm_unlink(PyBytes_AsString(bytes));
    Py_DECREF(bytes);
    if (code != MBA_OK) {
        mbapy_raise(PyModule_GetState(module), code, name);
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *from_fd_method(PyObject *type, PyObject *arguments, PyObject *keywords) {
    static char *names[] = {"fd", "typecode", "mode", "exact", NULL};
    PyObject *file, *typecode;
    const char *mode = "r+";
    int exact = 0;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OO|s$p:from_fd", names, &file, &typecode, &mode, &exact))
        return NULL;
    Source source = {.fd = PyObject_AsFileDescriptor(file)};
    if (source.fd < 0 || (source.element_type = mbapy_element_type_of_typecode(typecode)) == NULL ||
        parse_mode(&source, mode, exact) < 0)
        return NULL;
    return (PyObject *)open_array((PyTypeObject *)type, &source, NULL);
}

PyMethodDef mbapy_open_methods[] = {
    {"open", (PyCFunction)(void (*)(void))open_method, METH_CLASS | METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR(
         "open(path, typecode, mode='r', *, exact=False, permissions=None, reservation=None)\n--\n\n"
         "Open a file of elements, which is nothing but its elements.\n\n"
         "mode: 'r'   for reading\n"
         "      'r+'  for reading and writing\n"
         "      'w+'  the same, and made if it isn't there, and emptied if it is\n"
         "      'a+'  the same, and made if it isn't there\n"
         "      'x'   the same, and made; FileExistsError if it is there\n"
         "      'c'   copy on write: changes stay in this process, and the length is fixed\n\n"
         "exact: no spare room while it grows: the file's size follows the length at every call, which takes a\n"
         "system call each time.\n"
         "permissions: of a file that is made, by default 0o666; the umask applies.\n"
         "reservation: the most bytes that the elements can come to take, by default 64 GiB or twice the file. It\n"
         "costs address space, not memory.")},
    {"shm", (PyCFunction)(void (*)(void))shm_method, METH_CLASS | METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR("shm(name, typecode, mode='r', *, exact=False)\n--\n\n"
               "Open named shared memory; the modes are those of open(). It is there until shm_unlink(), whoever "
               "closes it.")},
    {"from_fd", (PyCFunction)(void (*)(void))from_fd_method, METH_CLASS | METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR("from_fd(fd, typecode, mode='r+', *, exact=False)\n--\n\n"
               "Open the file or memory behind a descriptor or file object, which stays the caller's; mode is 'r', "
               "'r+' or 'c'.")},
    {NULL, NULL, 0, NULL},
};
