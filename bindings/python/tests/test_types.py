"""Element types: which objects are elements of each, what comes back, and what is refused without a trace."""

import array
import io
import math
import random
import struct

import pytest

import mmap_backed_array
from mmap_backed_array import mmaparray
from typecodes import TYPES, codes

pytestmark = pytest.mark.filterwarnings("ignore:The 'u' type code:DeprecationWarning")

INTEGERS = codes("signed", "unsigned")


def stores(a, value):
    """Every way in for one element."""
    return [
        lambda: a.append(value),
        lambda: a.insert(0, value),
        lambda: a.__setitem__(0, value),
        lambda: a.extend([value]),
        lambda: a.extend(iter([value])),
        lambda: a.fromlist([a[0], value]),
        lambda: mmaparray(a.typecode, [value]),
    ]


def refused(a, value, *errors):
    before = a.tobytes()
    for call in stores(a, value):
        with pytest.raises(errors):
            call()
        assert a.tobytes() == before


def test_the_typecodes_are_these():
    assert sorted(mmap_backed_array.typecodes) == sorted(TYPES)
    assert set(array.typecodes) <= set(mmap_backed_array.typecodes) | {"Zf", "Zd"}
    for code, expected in TYPES.items():
        a = mmaparray(code)
        assert a.typecode == code and type(a.typecode) is str
        assert a.itemsize == expected.size
    for wrong, error in [("z", ValueError), ("\xe9", ValueError), ("", TypeError), ("ii", TypeError)]:
        with pytest.raises(error, match="typecode"):
            mmaparray(wrong)


@pytest.mark.parametrize("code", INTEGERS)
def test_integers_reach_from_end_to_end_and_no_further(code):
    low, high = TYPES[code].limits
    a = mmaparray(code, [low, high, 0])
    assert a.tolist() == [low, high, 0]
    assert [a[0], a.pop(1), list(a)] == [low, high, [low, 0]]
    for value in (low - 1, high + 1, 2 * high + 2, 2 * low - 1, 10**40, -(10**40)):
        refused(a, value, OverflowError)
    with pytest.raises(OverflowError, match=f"{high + 1} is out of range for typecode '{code}': {low} to {high}"):
        a.append(high + 1)
    for value in (1.0, "1", b"1", None, 1j, [1], object()):
        refused(a, value, TypeError)


@pytest.mark.parametrize("code", INTEGERS)
def test_what_has_an_index_is_an_integer(code):
    class Index:
        def __index__(self):
            return 7

    class Wrong:
        def __index__(self):
            return "7"

    class Failing:
        def __index__(self):
            raise KeyError

    class Int(int):
        pass

    a = mmaparray(code, [1])
    for call in stores(a, Index()) + stores(a, Int(7)):
        call()
    assert set(a) == {1, 7} and {type(x) for x in a} == {int}
    a.append(True)
    assert a.pop() == 1
    refused(a, Wrong(), TypeError)
    refused(a, Failing(), KeyError)


@pytest.mark.parametrize("code", "fd")
def test_floats_are_as_in_array_array(code):
    values = [0.0, -0.0, 1.5, 0.1, 1e300, -1e300, 1e-310, 5e-324, 3.4028235677973366e38, math.inf, -math.inf, math.nan]
    values += [7, True, 2**53 + 1, -(10**20)] + [random.Random(1).uniform(-1e40, 1e40) for _ in range(1000)]
    a, model = mmaparray(code, values), array.array(code, values)
    assert a.tobytes() == model.tobytes()
    assert repr(a.tolist()) == repr(model.tolist()) == repr(list(a))
    for value in ("1", b"1", None, 1j, [1], object()):
        refused(a, value, TypeError)
    refused(a, 10**400, OverflowError)


def halves():
    """All that are finite and not negative, in order."""
    return [struct.unpack("<e", struct.pack("<H", bits))[0] for bits in range(0x7C00)]


def test_every_half_is_read_as_struct_does_it():
    patterns = array.array("H", range(0x10000))
    a = mmaparray("e", patterns.tobytes())
    expected = struct.unpack("65536e", patterns.tobytes())
    assert all(x == y and math.copysign(1, x) == math.copysign(1, y) or x != x and y != y for x, y in zip(a, expected))
    assert repr(a.tolist()) == repr(list(a))
    whole = [x for x in expected if x == x]
    assert mmaparray("e", whole).tobytes() == struct.pack(f"{len(whole)}e", *whole)


def test_halves_round_as_struct_does_it():
    finite = halves()
    ties = [(x + y) / 2 for x, y in zip(finite, finite[1:])]
    generator = random.Random(2)
    values = ties + [math.nextafter(x, math.inf) for x in ties] + [math.nextafter(x, 0) for x in ties]
    values += [generator.uniform(0, 65519) for _ in range(5000)]
    values += [math.ldexp(generator.random(), generator.randint(-30, 15)) for _ in range(5000)]
    values += [5e-324, 1e-300, 2.0**-25, math.nextafter(2.0**-25, 1), 65519.999999, 0.0]
    values += [-x for x in values] + [math.inf, -math.inf]
    assert mmaparray("e", values).tobytes() == struct.pack(f"{len(values)}e", *values)
    assert mmaparray("e", [1, True, 2**16 - 17]).tolist() == [1, 1, 65504]
    assert math.isnan(mmaparray("e", [math.nan])[0])
    a = mmaparray("e", [1])
    for value in (65520.0, -65520.0, 65536, 1e300, -1e300, 10**400, 2**16):
        refused(a, value, OverflowError)
    for value in ("1", b"1", None, 1j, [1]):
        refused(a, value, TypeError)


@pytest.mark.parametrize("code, spelled, part", [("F", "Zf", "f"), ("D", "Zd", "d")])
def test_complex_numbers_are_two_floats(code, spelled, part):
    a = mmaparray(spelled, [1, 2.5, 3 - 4j, True, complex("-inf+nanj")])
    assert a.typecode == code and a[:4] == mmaparray(code, a)[:4]
    assert a.tobytes() == array.array(part, [1, 0, 2.5, 0, 3, -4, 1, 0, -math.inf, math.nan]).tobytes()
    assert repr(a.tolist()) == "[(1+0j), (2.5+0j), (3-4j), (1+0j), (-inf+nanj)]"
    assert [type(x) for x in a] == [complex] * 5

    class Complex:
        def __complex__(self):
            return 1 + 2j

    class Float:
        def __float__(self):
            return 0.5

    for value, expected in ((Complex(), 1 + 2j), (Float(), 0.5), (complex(0.5, -0.0), 0.5)):
        a.append(value)
        assert a.pop() == expected
    for value in ("1", b"1", None, [1], object()):
        refused(a, value, TypeError)
    refused(a, 10**400, OverflowError)
    a.byteswap()
    swapped = array.array(part, [3, -4])
    swapped.byteswap()
    assert a[2:3] == mmaparray(code, swapped.tobytes())
    with pytest.raises(TypeError, match="complex"):
        mmaparray(code, [1]) < mmaparray(code, [2])
    for wrong in ("Z", "Ze", "Zfd", "zf"):
        with pytest.raises((TypeError, ValueError)):
            mmaparray(wrong)


def test_truth_values_are_those_of_any_object():
    class Failing:
        def __bool__(self):
            raise KeyError

    values = [0, 1, 2, "", "a", None, [], [0], 0.0, math.nan, b""]
    a = mmaparray("?", values)
    assert a.tolist() == [bool(x) for x in values]
    assert a.tobytes() == bytes(map(bool, values))
    refused(a, Failing(), KeyError)
    foreign = mmaparray("?", b"\x00\x02\xff\x01")
    assert foreign.tolist() == list(foreign) == [False, True, True, True]
    assert all(x is True or x is False for x in foreign)
    assert foreign == mmaparray("?", [0, 1, 1, 1])
    assert (foreign.count(True), foreign.index(1), foreign.count(False)) == (3, 1, 1)


@pytest.mark.parametrize("code", mmap_backed_array.typecodes)
def test_memory_goes_in_and_out_unchanged_by_every_way(code):
    size = mmaparray(code).itemsize
    memory = bytes(size) + (b"\x01" + bytes(size - 1)) * 3
    a = mmaparray(code)
    a.frombytes(memory)
    a.frombytes(memoryview(memory))
    a.frombytes(bytearray(memory))
    a.fromstring(memory)
    a.fromfile(io.BytesIO(memory), 4)
    assert a.tobytes() == a.tostring() == bytes(a) == memory * 5
    file = io.BytesIO()
    a.tofile(file)
    assert file.getvalue() == memory * 5
    assert mmaparray(code, a.tolist()) == a == mmaparray(code, a)
    if size > 1:
        with pytest.raises(ValueError, match="multiple"):
            a.frombytes(memory + b"x")
    with pytest.raises(EOFError):
        a.fromfile(io.BytesIO(memory), 5)
    assert a.tobytes() == memory * 6  # what there was is there
    for count, error in ((-1, ValueError), (2**70, OverflowError), ("1", TypeError)):
        with pytest.raises(error):
            a.fromfile(io.BytesIO(memory), count)
    for wrong in ("text", 5, None, [1]):
        with pytest.raises(TypeError):
            a.frombytes(wrong)
    assert a.tobytes() == memory * 6
