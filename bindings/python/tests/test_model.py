"""Random operations on mmaparray and on array.array side by side: the same results, exceptions and contents."""

import array
import copy
import ctypes
import io
import mmap
import os
import struct
import tempfile
import warnings

import pytest
from hypothesis import given, strategies as st

import mmap_backed_array
from conftest import PLACES, standard_codes
from mmap_backed_array import mmaparray

warnings.filterwarnings("ignore", "The 'u' type code", DeprecationWarning)
pytestmark = pytest.mark.filterwarnings("ignore:The 'u' type code:DeprecationWarning")

CODES = standard_codes()


class Index:
    """A number that is only known by its __index__."""

    def __init__(self, value):
        self.value = value

    def __index__(self):
        return self.value


ODD = st.sampled_from([None, "ab", b"x", 1.5, float("nan"), float("inf"), True, 10**30, -(10**30), [], Index(3), 2 + 1j])


def elements(code):
    if code == "u":
        return st.characters(codec=None) | st.sampled_from("\ud800\U0010ffff\0")
    if code == "w":  # of whose surrogates array.array makes no str
        return st.characters(codec="utf-8") | st.sampled_from("\U0010ffff\0")
    if code in "fd":
        return st.floats(width=32 if code == "f" else 64) | st.integers(-5, 5) | st.sampled_from([0.0, -0.0])
    bits = 8 * array.array(code).itemsize
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if code.islower() else (0, 2**bits - 1)
    return st.integers(low, high) | st.integers(max(low, -3), 3) | st.sampled_from([low, high, low - 1, high + 1])


def memory(code):
    """Bytes as they lie in memory, mostly whole elements; of characters only those that are some."""
    if code not in "uw":
        return st.binary(max_size=24)
    whole = st.text(elements(code), max_size=6)
    return st.builds(lambda text, rest: text.encode("utf-32", "surrogatepass")[4:] + rest, whole, st.sampled_from([b"", b"x"]))


INDICES = st.integers(-12, 12) | st.sampled_from([0, -1, 10**6, -(10**6), 2**63, -(2**70), Index(1), None, "a", 1.0])
BOUNDS = st.none() | st.integers(-12, 12) | st.sampled_from([10**9, -(10**9), 2**80])
SLICES = st.builds(slice, BOUNDS, BOUNDS, st.none() | st.integers(-4, 4))


@st.composite
def operations(draw, code):
    element = elements(code) | ODD
    some = st.lists(element, max_size=6)
    good = st.lists(elements(code), max_size=6)
    return draw(
        st.lists(
            st.one_of(
                st.tuples(st.just("append"), element),
                st.tuples(st.just("extend"), some),
                st.tuples(st.just("extend_iterator"), some),
                st.tuples(st.just("extend_array"), good),
                st.tuples(st.just("extend_other"), good),
                st.tuples(st.just("extend_self")),
                st.tuples(st.just("fromlist"), some),
                st.tuples(st.just("frombytes"), memory(code)),
                st.tuples(st.just("fromfile"), memory(code), st.integers(-1, 4)),
                st.tuples(st.just("fromunicode"), st.text(max_size=4)),
                st.tuples(st.just("insert"), INDICES, element),
                st.tuples(st.just("pop"), INDICES),
                st.tuples(st.just("pop_last")),
                st.tuples(st.just("remove"), element),
                st.tuples(st.just("count"), element),
                st.tuples(st.just("index"), element),
                st.tuples(st.just("index_range"), element, INDICES, INDICES),
                st.tuples(st.just("contains"), element),
                st.tuples(st.just("get"), INDICES | SLICES),
                st.tuples(st.just("set"), INDICES, element),
                st.tuples(st.just("set_slice"), SLICES, good),
                st.tuples(st.just("set_slice_self"), SLICES),
                st.tuples(st.just("set_slice_odd"), SLICES, ODD),
                st.tuples(st.just("delete"), INDICES | SLICES),
                st.tuples(st.just("reverse")),
                st.tuples(st.just("byteswap")),
                st.tuples(st.just("add"), good),
                st.tuples(st.just("add_odd"), ODD),
                st.tuples(st.just("iadd"), good),
                st.tuples(st.just("mul"), st.integers(-1, 3)),
                st.tuples(st.just("imul"), st.integers(-1, 3)),
                st.tuples(st.just("clear")),
                st.tuples(st.just("compare"), good),
                st.tuples(st.just("outputs")),
                st.tuples(st.just("copy")),
                st.tuples(st.just("iterate_and_grow"), good),
            ),
            max_size=30,
        )
    )


def perform(a, code, operation):
    """Does it; array.array and mmaparray alike."""
    name, *rest = operation
    if name == "append":
        return a.append(*rest)
    if name == "extend":
        return a.extend(*rest)
    if name == "extend_iterator":
        return a.extend(iter(*rest))
    if name == "extend_array":
        return a.extend(array.array(code, *rest))
    if name == "extend_other":
        return a.extend(array.array("b" if code != "b" else "h"))
    if name == "extend_self":
        return a.extend(a) if len(a) < 200 else None
    if name in ("fromlist", "frombytes", "insert", "pop", "remove", "count", "index", "reverse"):
        return getattr(a, name)(*rest)
    if name == "byteswap":
        a.byteswap()
        return a.byteswap() if code in "uw" else None  # what is no character can't be read
    if name == "fromunicode":
        # An empty array.array of 'w' raises SystemError at an empty str, in Python 3.13.0.
        return a.fromunicode(*rest) if rest[0] or len(a) else None
    if name == "fromfile":
        return a.fromfile(io.BytesIO(rest[0]), rest[1])
    if name == "pop_last":
        return a.pop()
    if name == "index_range":
        return a.index(*rest)
    if name == "contains":
        return rest[0] in a
    if name == "get":
        return a[rest[0]]
    if name == "set":
        a[rest[0]] = rest[1]
        return None
    if name == "set_slice":
        a[rest[0]] = array.array(code, rest[1])
        return None
    if name == "set_slice_self":
        if len(a) < 200:
            a[rest[0]] = a
        return None
    if name == "set_slice_odd":
        a[rest[0]] = rest[1]
        return None
    if name == "delete":
        del a[rest[0]]
        return None
    if name == "add":
        return a + array.array(code, rest[0])
    if name == "add_odd":
        return a + rest[0]
    if name == "iadd":
        a += array.array(code, rest[0])
        return None
    if name == "mul":
        return a * rest[0]
    if name == "imul":
        if len(a) < 200:
            a *= rest[0]
        return None
    if name == "clear":
        del a[:]
        return None
    if name == "compare":
        b = array.array(code, rest[0])
        return [a == b, a != b, a < b, a <= b, a > b, a >= b, a == a, a < a, a == 3, b == a, b < a]
    if name == "outputs":
        file = io.BytesIO()
        a.tofile(file)
        return [a.tobytes(), file.getvalue(), a.tolist(), list(a), list(reversed(a)), shown(a), len(a), a.typecode]
    if name == "copy":
        return [copy.copy(a), copy.deepcopy(a)]
    if name == "iterate_and_grow":
        seen = []
        more = list(rest[0])
        for x in a:
            seen.append(x)
            if more and len(a) < 200:
                a.append(more.pop())
        return seen
    raise AssertionError(name)


def shown(a):
    """What it says of itself; of arrays that say it in another form than array.array, their elements."""
    if isinstance(a, mmaparray) and (a.name is not None or len(a) > 1000):
        return repr(array.array(a.typecode, a.tolist()))
    return repr(a)


def attempt(a, code, operation):
    try:
        result = perform(a, code, operation)
    except (Exception, SystemError) as error:
        return type(error)
    return plain(result)


def plain(value):
    """For comparison: arrays by type code and bytes, NaN by its name."""
    if isinstance(value, (array.array, mmaparray)):
        return ("array", value.typecode, value.tobytes())
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, float):
        return ("float", repr(value))
    return value


def accepted(operation):
    """What mmaparray takes on purpose where array.array doesn't: contiguous buffers of its own type."""
    return operation[0] in ("set_slice_odd", "add_odd", "extend") and isinstance(operation[-1], bytes)


def side_by_side(ours, code, steps):
    theirs = array.array(code)
    for step in steps:
        if accepted(step):
            continue
        expected, got = attempt(theirs, code, step), attempt(ours, code, step)
        assert got == expected, (step, got, expected)
        assert ours.tobytes() == theirs.tobytes(), step
        assert len(ours) == len(theirs)
    return theirs.tobytes()


@pytest.mark.parametrize("code", CODES)
@given(data=st.data())
def test_anonymous(code, data):
    side_by_side(mmaparray(code), code, data.draw(operations(code)))


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("code", "BIdw" if "w" in CODES else "BIdu")
@given(data=st.data(), place=st.sampled_from(PLACES))
def test_file(code, exact, data, place):
    with tempfile.TemporaryDirectory(dir=place) as directory:
        path = os.path.join(directory, "array")
        with mmap_backed_array.open(path, code, "w+", exact=exact) as ours:
            expected = side_by_side(ours, code, data.draw(operations(code)))
            if exact and len(expected) < 4096:
                assert os.path.getsize(path) in (len(expected), 4096)
        with open(path, "rb") as file:
            assert file.read() == expected


@pytest.mark.parametrize("code", "bHqf")
@given(data=st.data())
def test_mmap_object(code, data):
    with tempfile.TemporaryFile() as file:
        file.truncate(1)
        with mmap.mmap(file.fileno(), 0) as memory:
            with mmaparray(code, mmap=memory) as ours:
                ours.clear()
                expected = side_by_side(ours, code, data.draw(operations(code)))
            assert memory[: len(expected)] == expected
            assert len(memory) == max(len(expected), 1)


def a_complex(value):
    if isinstance(value, str):
        raise TypeError
    return complex(value)


def a_byte(value):
    if isinstance(value, bytes) and len(value) == 1:
        return value
    raise TypeError


def a_half(value):
    number = array.array("d", [value])[0]  # what counts as a real number
    return struct.unpack("e", struct.pack("e", number))[0]


def a_small_complex(value):
    value = a_complex(value)
    return complex(ctypes.c_float(value.real).value, ctypes.c_float(value.imag).value)


EXTRA = {
    "e": (a_half, st.floats(width=16) | st.floats() | st.integers(-70000, 70000)),
    "F": (a_small_complex, st.complex_numbers(width=64) | st.integers(-3, 3) | st.floats()),
    "D": (a_complex, st.complex_numbers() | st.integers(-3, 3) | st.floats()),
    "?": (bool, st.booleans() | st.integers(0, 2) | st.text(max_size=1)),
    "c": (a_byte, st.binary(max_size=2)),
}


@pytest.mark.parametrize("code", EXTRA)
@given(data=st.data())
def test_types_of_our_own(code, data):
    convert, values = EXTRA[code]
    ours, model = mmaparray(code), []
    values |= ODD

    def both(action):
        results = []
        for target, change in ((ours, lambda x: x), (model, convert)):
            try:
                results.append(action(target, change))
            except Exception as error:
                results.append(type(error))
        assert repr(results[0]) == repr(results[1])
        assert repr(ours.tolist()) == repr(model)

    for _ in range(20):
        value, index = data.draw(values), data.draw(st.integers(-8, 8))
        action = data.draw(st.sampled_from(["append", "insert", "pop", "set", "count", "index", "slice", "delete"]))
        if action == "append":
            both(lambda a, change: a.append(change(value)))
        elif action == "insert":
            both(lambda a, change: a.insert(index, change(value)))
        elif action == "pop":
            both(lambda a, change: a.pop(index))
        elif action == "set":
            if -len(model) <= index < len(model):
                both(lambda a, change: a.__setitem__(index, change(value)))
        elif action == "count" and value == value:
            both(lambda a, change: a.count(value))
        elif action == "index" and value == value:
            both(lambda a, change: a.index(value))
        elif action == "slice":
            assert repr(list(ours[index::2])) == repr(model[index::2])
        elif action == "delete":
            both(lambda a, change: a.__delitem__(slice(index, None, 3)))
