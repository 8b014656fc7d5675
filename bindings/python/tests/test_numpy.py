"""NumPy: its arrays share an array's memory and type without a copy, its contiguous arrays of the same type are taken
whole, and all else is taken by value or refused as array.array does it."""

import array
import warnings

import numpy
import pytest

import mmap_backed_array
from conftest import standard_codes
from mmap_backed_array import mmaparray
from typecodes import TYPES, samples

pytestmark = pytest.mark.filterwarnings("ignore:The 'u' type code:DeprecationWarning")
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    STANDARD = standard_codes()
NUMBERED = [code for code, each in TYPES.items() if each.dtype is not None]  # NumPy has a type for these


@pytest.mark.parametrize("code", NUMBERED)
def test_numpy_shares_memory_and_type(code):
    a = mmaparray(code, samples(code))
    for n in (numpy.asarray(a), numpy.frombuffer(a, TYPES[code].dtype)):
        assert n.dtype == numpy.dtype(TYPES[code].dtype)
        assert n.shape == (3,)
        assert n.ctypes.data == a.buffer_info()[0]
        assert n.flags.writeable and not n.flags.owndata
        assert n.tobytes() == a.tobytes()
        n[1] = n[0]
        assert a[1] == a[0]
        a[2] = a[0]
        assert n[2] == n[0]


@pytest.mark.parametrize("code", NUMBERED)
def test_contiguous_arrays_of_the_same_type_are_taken_whole(code):
    n = numpy.array(samples(code), TYPES[code].dtype)
    a = mmaparray(code)
    a.extend(n)
    assert a.tolist() == samples(code)
    a[1:2] = n  # of another length
    assert a.tolist() == [samples(code)[i] for i in (0, 0, 1, 2, 2)]
    a[::2] = n
    assert a.tolist() == [samples(code)[i] for i in (0, 0, 1, 2, 2)]
    a.__iadd__(n)  # a += n is NumPy's, with arrays of any kind
    assert a[5:] == mmaparray(code, samples(code))
    assert mmaparray(code, n).tolist() == samples(code)
    a[:] = n[:0]
    assert a.tolist() == []


def test_a_longer_type_of_the_same_size_is_the_same():
    n = numpy.arange(5, dtype=numpy.longlong)
    for code in "lq":
        a = mmaparray(code)
        a[0:0] = n
        assert a.tolist() == [0, 1, 2, 3, 4]


def others():
    n = numpy.arange(10, dtype=numpy.intc)
    return {
        "every second": n[::2],
        "backwards": n[::-1],
        "swapped": n.astype(n.dtype.newbyteorder()),
        "longer": n.astype(numpy.int64),
        "shorter": n.astype(numpy.int16),
        "unsigned": n.astype(numpy.uintc),
        "float": n.astype(numpy.single),
        "bool": n.astype(numpy.bool_),
        "objects": n.astype(object),
        "too large": n.astype(numpy.int64) << 40,
        "two dimensions": n.reshape(2, 5),
        "one column": n.reshape(10, 1),
        "no dimensions": numpy.array(5, numpy.intc),
        "a column of many": n.reshape(5, 2)[:, 1],
        "structures": numpy.zeros(3, "i4,i4"),
        "times": numpy.zeros(3, "M8[s]"),
    }


def outcome(call):
    try:
        return call().tolist()
    except Exception as error:
        return type(error)


def extended(a, n):
    try:
        a.extend(n)
    finally:
        extended.left = a.tolist()
    return a


@pytest.mark.parametrize("name", others())
def test_others_are_taken_by_value_or_refused_as_array_array_does_it(name):
    n = others()[name]
    expected = outcome(lambda: extended(array.array("i", [7]), n)), extended.left
    assert (outcome(lambda: extended(mmaparray("i", [7]), n)), extended.left) == expected
    assert outcome(lambda: mmaparray("i", n)) == outcome(lambda: array.array("i", n))


@pytest.mark.parametrize("name", others())
def test_a_slice_takes_nothing_of_another_type(name):
    a = mmaparray("i", [7, 8])
    for key in (slice(0, 1), slice(None, None, 2), slice(5, 2)):
        with pytest.raises(TypeError, match="contiguous buffer, of typecode 'i'"):
            a[key] = others()[name]
        assert a.tolist() == [7, 8]


def test_a_view_is_taken_also_of_the_array_itself():
    a = mmaparray("i", range(5))
    n = numpy.asarray(a)
    a.extend(n)
    assert a.tolist() == [0, 1, 2, 3, 4] * 2
    a[2:2] = n
    assert a.tolist() == [0, 1, 0, 1, 2, 3, 4, 2, 3, 4, 0, 1, 2, 3, 4]
    with pytest.raises(BufferError):
        a[:] = n[:2]
    a[:5] = n[::-1].copy()
    assert n.tolist() == [2, 1, 0, 1, 0]


@pytest.mark.parametrize("code", STANDARD)
@pytest.mark.parametrize(
    "scalar",
    [
        numpy.int8(-1),
        numpy.int64(5),
        numpy.int64(-(2**40)),
        numpy.uint64(2**63),
        numpy.float16(2),
        numpy.float32(5),
        numpy.float64(1e300),
        numpy.float64("nan"),
        numpy.bool_(True),
        numpy.str_("x"),
        numpy.bytes_(b"x"),
        numpy.array(5),
        numpy.array(5.5),
        numpy.datetime64(0, "s"),
    ],
    ids=lambda scalar: f"{type(scalar).__name__}-{scalar}",
)
def test_scalars_are_elements_where_they_are_to_array_array(code, scalar):
    def stored(kind):
        a = kind(code)
        a.append(scalar)
        a.insert(0, scalar)
        a[1] = scalar
        return a.tobytes()

    def result(kind):
        try:
            return stored(kind)
        except Exception as error:
            return type(error)

    assert result(mmaparray) == result(array.array)


def test_scalars_are_elements_of_our_own_types():
    assert mmaparray("e", [numpy.half(1.5), numpy.int8(2), numpy.bool_(True)]).tolist() == [1.5, 2, 1]
    assert mmaparray("?", [numpy.bool_(True), numpy.int64(0), numpy.double(0.5)]).tolist() == [True, False, True]
    assert mmaparray("c", [numpy.bytes_(b"x")]).tolist() == [b"x"]
    for code in "FD":
        assert mmaparray(code, [numpy.csingle(1 + 2j), numpy.double(3), numpy.int16(4)]).tolist() == [1 + 2j, 3, 4]


@pytest.mark.parametrize("code", NUMBERED)
def test_the_scalars_of_a_type_go_in_and_are_found(code):
    n = numpy.array(samples(code), TYPES[code].dtype)
    if code in "bBhHiIlLqQedfFD?":
        a = mmaparray(code, list(n))
        assert a.tolist() == samples(code)
        for number, scalar in enumerate(n):
            assert a.index(scalar) == samples(code).index(samples(code)[number])
            assert a.count(scalar) == samples(code).count(samples(code)[number])
            assert scalar in a


def test_results_of_numpy_are_indices():
    a, model = mmaparray("i", range(20)), array.array("i", range(20))
    for kind in (numpy.int8, numpy.uint16, numpy.int64, numpy.uint64, numpy.array):
        for index in (kind(3), numpy.argmax([0, 5, 1])):
            assert a[index] == model[index]
            assert a[index : kind(9) : numpy.int8(2)] == model[int(index) : 9 : 2]
    a[numpy.int64(-1)] = numpy.int64(7)
    assert a.pop(numpy.int8(-1)) == 7
    del a[numpy.uint8(0)]
    a.insert(numpy.int64(0), 99)
    assert a[:2].tolist() == [99, 1]
    assert (a * numpy.int64(2)).tolist() == a.tolist() * 2
    assert a.index(5, numpy.int64(2), numpy.int64(9)) == 5
    for wrong in (numpy.float64(1), numpy.bool_(True), numpy.array([1, 2]), numpy.str_("1")):
        with pytest.raises(TypeError):
            a[wrong]
    with pytest.raises(IndexError):
        a[numpy.uint64(2**63)]


def test_numpy_computes_with_arrays_as_with_array_array():
    a, model = mmaparray("d", [1, 2, 3]), array.array("d", [1, 2, 3])
    ones = numpy.ones(3)
    for compute in (numpy.sum, numpy.cumsum, numpy.sort, numpy.max, lambda x: x + ones, lambda x: ones == x):
        assert numpy.array_equal(compute(a), compute(model))
    numpy.multiply(a, 2, out=numpy.asarray(a))
    assert a.tolist() == [2, 4, 6]


def test_a_read_only_array_is_read_only_to_numpy(place):
    path = place / "array"
    numpy.arange(5).tofile(path)
    with mmap_backed_array.open(path, "q") as a:
        n = numpy.asarray(a)
        assert not n.flags.writeable
        with pytest.raises(ValueError):
            n[0] = 1
        with pytest.raises(ValueError):
            n.flags.writeable = True
        assert n.tolist() == [0, 1, 2, 3, 4]
        del n
