"""The buffer protocol: what a view says of itself, and that it is the array's own memory."""

import array
import ctypes
import io

import pytest

import mmap_backed_array
from conftest import standard_codes
from mmap_backed_array import mmaparray
from typecodes import TYPES


@pytest.mark.filterwarnings("ignore:The 'u' type code:DeprecationWarning")
@pytest.mark.parametrize("code", mmap_backed_array.typecodes)
def test_a_view_tells_type_and_shape(code):
    a = mmaparray(code)
    a.frombytes(bytes(3 * a.itemsize))
    view = memoryview(a)
    assert view.format == TYPES[code].view
    assert (view.itemsize, view.ndim, view.shape, view.strides) == (a.itemsize, 1, (3,), (a.itemsize,))
    assert (view.nbytes, view.readonly, view.suboffsets) == (3 * a.itemsize, False, ())
    assert view.contiguous and view.c_contiguous and view.f_contiguous
    assert bytes(view) == bytes(a) == a.tobytes() == view.tobytes()
    assert view.obj is a


@pytest.mark.parametrize("code", [code for code in standard_codes() if TYPES[code].kind in ("signed", "unsigned", "real")])
def test_a_view_is_equal_to_one_of_an_array_array(code):
    a, model = mmaparray(code, [1, 2, 3]), array.array(code, [1, 2, 3])
    assert memoryview(a) == memoryview(model) == a
    assert memoryview(a)[::2].tolist() == model[::2].tolist()
    memoryview(a)[1:] = memoryview(model)[:2]
    assert a.tolist() == [1, 1, 2]


def test_a_view_can_be_cast():
    a = mmaparray("I", [0x01020304, 5])
    view = memoryview(a).cast("B")
    assert len(view) == 8
    view[4:8] = b"\xff" * 4
    assert a[1] == 0xFFFFFFFF
    assert view.cast("I").tolist() == a.tolist()
    assert view.cast("B", (2, 4)).shape == (2, 4)
    a.extend(range(100_000))
    assert view[4:8] == b"\xff" * 4 and len(view) == 8


def test_files_read_into_an_array_and_write_from_it():
    a = mmaparray("i", range(3))
    assert io.BytesIO(array.array("i", [4, 5, 6]).tobytes()).readinto(a) == 12
    assert a.tolist() == [4, 5, 6]
    file = io.BytesIO()
    file.write(a)
    assert file.getvalue() == a.tobytes()
    assert b"".join([a, a]) == a.tobytes() * 2
    a.append(1)
    assert a.pop() == 1  # nobody kept a view


def test_no_view_has_a_hash(place):
    with pytest.raises(ValueError):
        hash(memoryview(mmaparray("B", b"abc")))
    (place / "array").write_bytes(b"abc")
    with mmap_backed_array.open(place / "array", "B") as a, memoryview(a) as view:
        with pytest.raises(TypeError):  # others can write what this one only reads
            hash(view)


def test_a_read_only_array_gives_read_only_views(place):
    path = place / "array"
    path.write_bytes(bytes(8))
    with mmap_backed_array.open(path, "i") as a:
        with memoryview(a) as view:
            assert view.readonly
            with pytest.raises(TypeError):
                view[0] = 1
        with pytest.raises((TypeError, BufferError)):
            (ctypes.c_int * 2).from_buffer(a)
        with pytest.raises(TypeError):
            io.BytesIO(bytes(8)).readinto(a)
    assert path.read_bytes() == bytes(8)
    with mmap_backed_array.open(path, "i", "c") as a, memoryview(a) as view:
        view[0] = 1
        assert a.tolist() == [1, 0]
    assert path.read_bytes() == bytes(8)


class Buffer(ctypes.Structure):
    _fields_ = [
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.c_void_p),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.POINTER(ctypes.c_ssize_t)),
        ("strides", ctypes.POINTER(ctypes.c_ssize_t)),
        ("suboffsets", ctypes.POINTER(ctypes.c_ssize_t)),
        ("internal", ctypes.c_void_p),
    ]


def test_a_view_has_what_was_asked_for_and_no_more():
    writable, form, shape, strides = 0x1, 0x4, 0x8, 0x10 | 0x8
    a = mmaparray("h", [1, 2, 3])
    for flags in range(0x100):
        buffer = Buffer()
        ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(a), ctypes.byref(buffer), flags)
        assert (buffer.buf, buffer.len, buffer.itemsize, buffer.ndim) == (a.buffer_info()[0], 6, 2, 1)
        assert buffer.readonly == 0 and not buffer.suboffsets
        assert buffer.format == (b"h" if flags & form else None)
        assert bool(buffer.shape) == bool(flags & shape) and (not buffer.shape or buffer.shape[0] == 3)
        assert bool(buffer.strides) == (flags & strides == strides) and (not buffer.strides or buffer.strides[0] == 2)
        assert flags & writable == 0 or buffer.readonly == 0
        ctypes.pythonapi.PyBuffer_Release(ctypes.byref(buffer))
    a.clear()
