"""count, index, remove and `in` find what equals the value as Python compares it, whatever it is; array.array is the
model, or a list where it has no such type."""

import array
import decimal
import fractions
import math
import sys

import pytest

import mmap_backed_array
from conftest import standard_codes
from mmap_backed_array import mmaparray
from typecodes import TYPES

pytestmark = pytest.mark.filterwarnings("ignore:The 'u' type code:DeprecationWarning")


class Int(int):
    pass


class Text(str):
    pass


class Odd(int):
    def __eq__(self, other):
        return other == 1

    __hash__ = None


class Equals:
    """Equal to what a function says; keeps what it was asked about."""

    def __init__(self, answer):
        self.answer, self.asked = answer, []

    def __eq__(self, other):
        self.asked.append(repr(other))
        return self.answer(other)


class Unclear:
    def __eq__(self, other):
        return self

    def __bool__(self):
        raise LookupError


VALUES = [
    0, 1, 2, -1, 3, 127, 128, 255, 256, -128, -129, 2**15, 2**16, 2**31 - 1, 2**31, 2**32, 2**53, 2**53 + 1, 2**63 - 1,
    2**63, 2**64 - 1, 2**64, -(2**31), -(2**63), -(2**63) - 1, 10**30, 10**400, -(10**400),
    True, False, 0.0, -0.0, 1.0, 1.5, 0.1, -1.0, 255.0, 256.0, 2.0**31, 2.0**63, 2.0**64, -(2.0**63), 65504.0, 65520.0,
    1e300, 3.4028234663852886e38, 5e-324, 2.0**-24, math.inf, -math.inf, math.nan,
    1j, 1 + 0j, 0j, 2 + 3j, complex(0.1, 0.1), complex(math.nan, 1), complex(1e300, 1), complex(0, -0.0),
    "", "a", "\0", "ab", "\xe9", "\U0001f600", "\ud800", b"", b"a", b"\0", b"ab", b"\xff", bytearray(b"a"),
    memoryview(b"a"), None, [], [1], (), object(), object, slice(0), NotImplemented,
    Int(1), Int(256), Text("a"), Odd(5), decimal.Decimal(1), decimal.Decimal("0.1"), fractions.Fraction(3, 2),
]  # fmt: skip


def elements(code):
    kind = TYPES[code].kind
    if kind == "text":
        return ["a", "b", "\0", "\xe9", "\U0001f600", "\ud800", "a"]
    if kind == "byte":
        return [b"a", b"b", b"\0", b"\xff", b"a"]
    if kind == "truth":
        return [True, False, True]
    if kind == "complex":
        return [1, 0, 2 + 3j, 1, complex(0, -0.0), complex(math.nan, 1), complex(0.1, 0.1), 2**53, math.inf, 1j]
    if kind == "real":
        large = [2.0**53, 2.0**63, 3.4028234663852886e38] if code != "e" else [65504.0, 2.0**-24]
        return [0.0, 1.0, 1.5, -0.0, 0.1, 1.0, math.inf, -math.inf, math.nan, 255, *large]
    return [0, 1, 2, *TYPES[code].limits, 1, 3, 127]


def model(code):
    if code in standard_codes():
        return array.array(code, elements(code))
    # A list takes an object for equal to itself; elements are never the object that is looked for.
    return mmaparray(code, elements(code)).tolist()


def outcome(call):
    try:
        return call()
    except Exception as error:
        return type(error)


def without(a, value):
    a.remove(value)
    return a.tolist() if not isinstance(a, list) else a


@pytest.mark.parametrize("code", mmap_backed_array.typecodes)
def test_everything_is_found_that_is_equal_and_nothing_else(code):
    a = mmaparray(code, elements(code))
    for value in [*VALUES, *elements(code)]:
        theirs = model(code)
        for call in (
            lambda a: a.count(value),
            lambda a: a.index(value),
            lambda a: a.index(value, 1),
            lambda a: a.index(value, -3),
            lambda a: a.index(value, 1, 4),
            lambda a: value in a,
        ):
            expected = outcome(lambda: call(theirs))
            assert outcome(lambda: call(a)) == expected, value
            assert type(outcome(lambda: call(a))) is type(expected), value
        expected = outcome(lambda: without(theirs, value))
        assert repr(outcome(lambda: without(mmaparray(code, elements(code)), value))) == repr(expected), value


@pytest.mark.parametrize("code", mmap_backed_array.typecodes)
def test_objects_that_compare_themselves_are_asked_about_each_element(code):
    a, theirs = mmaparray(code, elements(code)), model(code)
    third = elements(code)[2]
    for answer in (lambda x: True, lambda x: False, lambda x: x == third, lambda x: NotImplemented, lambda x: 1 / 0):
        for call in (
            lambda a, v: a.count(v),
            lambda a, v: a.index(v),
            lambda a, v: a.index(v, 1, 3),
            lambda a, v: v in a,
        ):
            ours, expected = Equals(answer), Equals(answer)
            assert outcome(lambda: call(a, ours)) == outcome(lambda: call(theirs, expected))
            assert ours.asked == expected.asked
    for call in (a.count, a.index, a.__contains__, a.remove):
        with pytest.raises(LookupError):
            call(Unclear())
    assert repr(a.tolist()) == repr(mmaparray(code, elements(code)).tolist())


def test_nan_is_found_nowhere():
    for code in "efdFD":
        nan = math.nan
        a = mmaparray(code, [nan, 1])
        assert (a.count(nan), nan in a, a.index(1)) == (0, False, 1)
        for call in (a.index, a.remove):
            with pytest.raises(ValueError):
                call(nan)


def test_ints_and_floats_are_equal_by_their_exact_values():
    assert mmaparray("d", [2.0**53]).count(2**53 + 1) == 0
    assert mmaparray("q", [2**53 + 1]).count(2.0**53) == 0
    assert mmaparray("q", [2**53]).count(2.0**53) == 1
    assert mmaparray("Q", [2**64 - 1]).count(2.0**64) == 0
    assert mmaparray("q", [-1]).count(2**64 - 1) == mmaparray("Q", [2**64 - 1]).count(-1) == 0
    assert mmaparray("f", [0.1]).count(0.1) == 0
    assert mmaparray("f", [0.1]).count(mmaparray("f", [0.1])[0]) == 1


def test_bounds_of_an_index_are_those_of_array_array():
    values = [1, 2, 3, 2, 1]
    a, theirs = mmaparray("i", values), array.array("i", values)
    bounds = [0, 1, 3, 5, 7, -1, -3, -5, -9, 2**70, -(2**70), sys.maxsize, -sys.maxsize - 1, None, 1.0, "1", True]
    for start in bounds:
        assert outcome(lambda: a.index(2, start)) == outcome(lambda: theirs.index(2, start)), start
        for stop in bounds:
            expected = outcome(lambda: theirs.index(2, start, stop))
            assert outcome(lambda: a.index(2, start, stop)) == expected, (start, stop)
    calls = (lambda a: a.index(), lambda a: a.index(1, 2, 3, 4), lambda a: a.index(1, start=2), lambda a: a.count())
    for call in calls:
        assert outcome(lambda: call(a)) is outcome(lambda: call(theirs)) is TypeError


@pytest.mark.parametrize("length", [1, 7, 63, 64, 65, 1000, 4097])
@pytest.mark.parametrize("code", "bHiqfdD")
def test_matches_are_found_wherever_they_are(code, length):
    for at in {0, length // 2, length - 1, length - 2} & set(range(length)):
        a = mmaparray(code, bytes(length * mmaparray(code).itemsize))
        assert (a.count(1), a.count(0), 1 in a) == (0, length, False)
        a[at] = 1
        assert (a.count(1), a.count(0), a.index(1), 1 in a) == (1, length - 1, at, True)
        assert a.index(1, at) == a.index(1, 0, at + 1) == at
        for call in (lambda: a.index(1, at + 1), lambda: a.index(1, 0, at)):
            with pytest.raises(ValueError, match="not in array"):
                call()


def test_an_array_that_changes_while_it_is_asked():
    for change in (lambda: a.clear(), lambda: a.append(9), lambda: a.pop(), lambda: a.extend(range(100_000))):
        for call in (lambda v: a.count(v), lambda v: a.index(v), lambda v: a.remove(v), lambda v: v in a):
            a = mmaparray("i", range(50))
            asked = []

            def answer(x):
                asked.append(x)
                if len(asked) == 3:
                    change()
                return len(asked) > 60

            outcome(lambda: call(Equals(answer)))
            assert len(asked) >= 3 and a.tolist() == list(a)
