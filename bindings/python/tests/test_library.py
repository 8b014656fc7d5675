"""What the wheel carries for others: the header, the shared library, the capsule, the types."""

import ctypes
import os
import pathlib
import re
import subprocess
import sys
import sysconfig
import textwrap

import pytest

import mmap_backed_array
from conftest import needs, python
from mmap_backed_array import mmaparray

INCLUDE = pathlib.Path(mmap_backed_array.get_include())
LIBRARY = pathlib.Path(mmap_backed_array.get_library())


def run(*command, **options):
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120, **options)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def declared():
    """All but the functions that are inline."""
    header = (INCLUDE / "mmap_backed_array.h").read_text()
    return set(re.findall(r"^(?!static)\S[^(\n#]*?\b(mba_\w+)\(", header, re.MULTILINE))


def test_the_library_has_every_function_of_the_header():
    library = ctypes.CDLL(str(LIBRARY))
    names = declared()
    assert len(names) > 40
    for name in names:
        getattr(library, name)
    parts = re.findall(r"#define MBA_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", (INCLUDE / "mmap_backed_array.h").read_text())
    major, minor, patch = map(int, parts)
    assert library.mba_version() == major << 16 | minor << 8 | patch == mmap_backed_array._core.version


def test_the_extension_shows_nothing_of_what_is_linked_into_it():
    """Two copies of the library, in this extension and in another, must not get into each other's way."""
    exported = run("nm", "-D", "--defined-only", mmap_backed_array._core.__file__).split()[2::3]
    assert exported == ["PyInit__core"]


def test_the_extension_needs_no_symbol_that_newer_pythons_lack():
    """That is what its name says where it has the limited API."""
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        pytest.skip("an interpreter without a GIL has no limited API")
    assert mmap_backed_array._core.__file__.endswith(".abi3.so")


def test_a_c_program_links_by_the_directories_that_the_package_names(tmp_path, place):
    (tmp_path / "append.c").write_text(
        r"""
        #include <mmap_backed_array.h>
        #include <stdio.h>
        int main(int count, char **arguments) {
            mba_array *array;
            uint32_t value = 7;
            int code = mba_open(arguments[count - 1], MBA_UINT32, MBA_RDWR | MBA_CREATE, &array);
            if (code == MBA_OK) code = mba_append(array, &value);
            if (code == MBA_OK) code = mba_close(array);
            puts(mba_strerror(code));
            return code != MBA_OK;
        }
        """
    )
    directory = LIBRARY.parent
    run("cc", "-Wall", "-Werror", "-I", INCLUDE, tmp_path / "append.c", "-o", tmp_path / "append", "-L", directory,
        "-lmmap_backed_array", f"-Wl,-rpath,{directory}")  # fmt: skip
    run(tmp_path / "append", place / "a")
    with mmap_backed_array.open(place / "a", "I") as array:
        assert array.tolist() == [7]


def test_a_capsule_gives_c_code_the_handle():
    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    library = ctypes.CDLL(str(LIBRARY))
    library.mba_len.argtypes, library.mba_len.restype = [ctypes.c_void_p], ctypes.c_size_t
    library.mba_append.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    array = mmaparray("I", [1, 2])
    capsule = array.capsule()
    handle = get_pointer(capsule, b"mmap_backed_array.mba_array")
    assert library.mba_len(handle) == 2
    assert library.mba_append(handle, ctypes.byref(ctypes.c_uint32(3))) == 0
    assert len(array) == 3 and array.tolist() == [1, 2, 3]
    with pytest.raises(BufferError):
        array.close()
    del capsule
    array.close()
    with pytest.raises(ValueError):
        array.capsule()


def test_a_capsule_keeps_the_array():
    python(
        """
        import ctypes, gc
        from mmap_backed_array import mmaparray
        get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
        get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        capsule = mmaparray("b", [1]).capsule()
        gc.collect()
        assert get_pointer(capsule, b"mmap_backed_array.mba_array")
        """
    )


def test_an_extension_in_c_gets_the_handle_by_the_capsule(tmp_path):
    """The header found by get_include(), the array by its capsule, and no library to link: sum.c uses the pointer."""
    needs("setuptools")
    (tmp_path / "total.c").write_text(
        r"""
        #include <Python.h>
        #include <mmap_backed_array.h>
        static PyObject *total(PyObject *self, PyObject *array) {
            PyObject *capsule = PyObject_CallMethod(array, "capsule", NULL);
            if (capsule == NULL) return NULL;
            mba_array *handle = PyCapsule_GetPointer(capsule, "mmap_backed_array.mba_array");
            double sum = 0;
            if (handle != NULL) {
                const double *data = mba_data_ptr(handle);
                for (size_t i = 0; i < mba_len(handle); i++) sum += data[i];
            }
            Py_DECREF(capsule);
            return handle == NULL ? NULL : PyFloat_FromDouble(sum);
        }
        static PyMethodDef functions[] = {{"total", total, METH_O, NULL}, {NULL, NULL, 0, NULL}};
        static PyModuleDef module = {PyModuleDef_HEAD_INIT, "total", NULL, -1, functions, NULL, NULL, NULL, NULL};
        PyMODINIT_FUNC PyInit_total(void) { return PyModule_Create(&module); }
        """
    )
    (tmp_path / "setup.py").write_text(
        textwrap.dedent(
            """
            import mmap_backed_array, os
            from setuptools import Extension, setup
            directory = os.path.dirname(mmap_backed_array.get_library())
            setup(name="total", ext_modules=[Extension("total", ["total.c"],
                include_dirs=[mmap_backed_array.get_include()], libraries=["mmap_backed_array"],
                library_dirs=[directory], runtime_library_dirs=[directory])])
            """
        )
    )
    run(sys.executable, "setup.py", "--quiet", "build_ext", "--inplace", cwd=tmp_path)
    python(
        """
        import mmap_backed_array, total
        assert total.total(mmap_backed_array.mmaparray("d", [0.5, 1.5, 2.0])) == 4.0
        """,
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PYTHONWARNINGS": "ignore"},
    )


def test_the_stubs_say_what_is_there(tmp_path):
    """By mypy's stubtest: every name, every signature."""
    needs("mypy")
    allowed = tmp_path / "allowed"
    # Methods of the class, which type checkers are told as functions, since they know the elements by them.
    lines = [r"mmap_backed_array\.(open|shm|from_fd)"]
    if sys.version_info < (3, 12):
        # Type checkers want to see it for any Python; it has a name at run time from 3.12 on.
        lines.append(r"mmap_backed_array\._core\.mmaparray\.__(release_)?buffer__")
    allowed.write_text("\n".join(lines))
    run(sys.executable, "-m", "mypy.stubtest", "mmap_backed_array", "--concise", "--allowlist", allowed)


def test_a_type_checker_knows_the_elements(tmp_path):
    needs("mypy")
    (tmp_path / "use.py").write_text(
        textwrap.dedent(
            """
            from typing import Any
            from typing_extensions import assert_type
            import array
            import mmap_backed_array
            from mmap_backed_array import mmaparray

            a = mmaparray("i", [1, 2])
            assert_type(a, mmaparray[int])
            assert_type(a[0], int)
            assert_type(mmaparray("d", [1.0])[0], float)
            assert_type(mmaparray("w", "ab")[0], str)
            assert_type(mmaparray("c", b"ab")[0], bytes)
            assert_type(mmaparray("D")[0] if mmaparray("D") else 0j, complex)
            for x in a:
                assert_type(x, int)
            assert_type(mmap_backed_array.open("x", "d"), mmaparray[float])
            assert_type(mmap_backed_array.open("x", "?", "r+")[0], bool)
            assert_type(mmap_backed_array.shm("x", "Q", "a+"), mmaparray[int])
            assert_type(mmap_backed_array.from_fd(3, "u").pop(), str)
            assert_type(mmaparray.open("x", "D"), mmaparray[Any])

            class Log(mmaparray[float]):
                pass

            assert_type(Log.open("x", "d"), Log)
            with mmap_backed_array.open("x", "i", "w+", exact=True) as b, b.lock(timeout=1.5) as c:
                c.append(1)
            memoryview(a)
            a += array.array("i", [1])
            a.append("x")  # type: ignore[arg-type]
            """
        )
    )
    run(sys.executable, "-m", "mypy", "--strict", "--warn-unused-ignores", "use.py", cwd=tmp_path)


def test_every_name_is_documented():
    for name in mmap_backed_array.__all__:
        value = getattr(mmap_backed_array, name)
        if not isinstance(value, (int, str)):
            assert value.__doc__, name
    for name, value in vars(mmaparray).items():
        if not name.startswith("_"):
            assert value.__doc__, name
