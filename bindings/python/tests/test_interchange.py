"""Other libraries take an array without a copy: NumPy, Arrow, DLPack, pandas, dask. Equal addresses show it."""

import numpy
import pytest

import mmap_backed_array
from conftest import needs
from mmap_backed_array import mmaparray
from typecodes import TYPES, codes, samples

pytestmark = pytest.mark.filterwarnings("ignore:The 'u' type code:DeprecationWarning")

# The types that NumPy has too, and of these the numbers that Arrow has.
SHARED = [code for code, each in TYPES.items() if each.dtype is not None]
NUMBERS = [code for code in codes("signed", "unsigned", "real") if code in SHARED and TYPES[code].size <= 8]


def address(a):
    return a.buffer_info()[0]


def check_that_it_keeps_the_memory(a, other, first):
    """What another library has made of the array stays as it is when the array is closed; `first` gives its first element."""
    expected = a[0]
    a.close()
    assert first(other) == expected


@pytest.mark.parametrize("code", SHARED)
def test_it_tells_shape_and_dtype_as_numpy_does(code):
    a = mmaparray(code, samples(code))
    n = numpy.asarray(a)
    assert (a.shape, a.ndim, a.dtype) == (n.shape, n.ndim, n.dtype) == ((3,), 1, numpy.dtype(TYPES[code].dtype))
    assert a[(1,)] == a[1] and list(a[(slice(1, None),)]) == list(a[1:])
    for wrong in ((), (0, 0), ("a",)):
        with pytest.raises(TypeError):
            a[wrong]


@pytest.mark.parametrize("code", SHARED)
def test_numpy_asks_by_a_method_too(code):
    a = mmaparray(code, samples(code))
    n = a.__array__()
    assert n.ctypes.data == address(a) and n.dtype == a.dtype
    assert a.__array__(a.dtype, copy=False).ctypes.data == address(a)
    copy = a.__array__(copy=True)
    assert copy.ctypes.data != address(a) and copy.tobytes() == a.tobytes()
    with pytest.raises(ValueError, match="without a copy"):
        a.__array__("S9", copy=False)
    assert mmaparray("i", [1, 2]).__array__("f8").tolist() == [1.0, 2.0]
    check_that_it_keeps_the_memory(a, n, lambda n: n[0])


@pytest.mark.parametrize("code", [*NUMBERS, *codes("complex", "truth")])
def test_dlpack(code):
    a = mmaparray(code, samples(code))
    assert a.__dlpack_device__() == (1, 0)
    n = numpy.from_dlpack(a)
    assert n.ctypes.data == address(a) and n.dtype == a.dtype and n.tolist() == a.tolist()
    capsule = a.__dlpack__()
    assert '"dltensor"' in repr(capsule)
    assert '"dltensor_versioned"' in repr(a.__dlpack__(max_version=(1, 0)))
    del capsule  # which nobody has taken
    for _ in range(3):
        copy = a.__dlpack__(copy=True, max_version=(1, 1))
        del copy
    for wrong, error in (
        ({"stream": 1}, RuntimeError),
        ({"dl_device": (2, 0)}, BufferError),
        ({"dl_device": 1}, TypeError),
        ({"max_version": "1"}, TypeError),
    ):
        with pytest.raises(error):
            a.__dlpack__(**wrong)
    check_that_it_keeps_the_memory(a, n, lambda n: n[0])
    with pytest.raises(ValueError, match="closed"):
        a.__dlpack__()


def test_dlpack_says_that_an_array_is_read_only(place):
    with mmap_backed_array.open(place / "array", "i", "w+") as a:
        a.extend([1, 2, 3])
    with mmap_backed_array.open(place / "array", "i") as a:
        with pytest.raises(BufferError, match="read-only"):
            a.__dlpack__()
        if int(numpy.__version__.split(".")[0]) >= 2:
            n = numpy.from_dlpack(a)
            assert not n.flags.writeable and n.tolist() == [1, 2, 3]
    for code in codes("text", "byte"):
        with pytest.raises(BufferError, match="no type"):
            mmaparray(code, samples(code)).__dlpack__()


@pytest.mark.parametrize("code", [*NUMBERS, *codes("byte")])
def test_arrow(code):
    pyarrow = needs("pyarrow")
    a = mmaparray(code, samples(code))
    x = pyarrow.array(a)
    assert x.buffers()[1].address == address(a) and x.null_count == 0
    assert x.to_pylist() == a.tolist() and x.type.bit_width == 8 * a.itemsize
    del x
    both = a.__arrow_c_array__()
    assert len(both) == 2
    del both  # which nobody has taken
    x = pyarrow.array(a)
    a.extend(samples(code))
    assert len(x) == 3
    check_that_it_keeps_the_memory(a, x, lambda x: x[0].as_py())
    with pytest.raises(ValueError, match="closed"):
        a.__arrow_c_array__()
    assert pyarrow.array(mmaparray(code)).to_pylist() == []


def test_arrow_has_no_type_for_some():
    for code in codes("complex", "truth", "text"):
        with pytest.raises(TypeError, match="Arrow has no type"):
            mmaparray(code, samples(code)).__arrow_c_array__()


@pytest.mark.parametrize("code", NUMBERS)
def test_pandas(code):
    pandas = needs("pandas")
    a = mmaparray(code, samples(code))
    series = pandas.Series(a, copy=False)
    assert series.to_numpy().ctypes.data == address(a) and series.dtype == a.dtype
    check_that_it_keeps_the_memory(a, series, lambda series: series[0])


def test_what_others_hold_counts_as_a_view():
    a = mmaparray("d", [1, 2, 3])
    tensor = a.__dlpack__()
    with pytest.raises(BufferError):
        a.pop()
    a.append(4)
    del tensor
    assert a.pop() == 4
