"""mmaparray as a class: what it says of itself, what it is an instance of, subclasses, weak references, annotations."""

import array
import collections.abc
import copy
import gc
import inspect
import math
import types
import typing
import weakref

import pytest

import mmap_backed_array
from conftest import standard_codes
from mmap_backed_array import mmaparray
from typecodes import samples

pytestmark = pytest.mark.filterwarnings("ignore:The 'u' type code:DeprecationWarning")

@pytest.mark.parametrize("code", mmap_backed_array.typecodes)
def test_what_it_says_of_itself_makes_an_equal_one(code):
    for a in (mmaparray(code), mmaparray(code, samples(code))):
        again = eval(repr(a), {"array": mmaparray, "inf": math.inf})
        assert again == a and again.typecode == code and again.tobytes() == a.tobytes()
        if code in standard_codes():
            assert repr(a) == str(a) == repr(array.array(code, a.tolist()))


def test_a_long_array_and_one_on_a_file_say_what_they_are(place):
    a = mmaparray("i", range(1000))
    assert repr(a) == f"array('i', {list(range(1000))})"
    a.append(1000)
    assert repr(a) == "<mmaparray('i') of 1001 elements: [0, 1, 2, ..., 998, 999, 1000]>"
    assert repr(mmaparray("w", "ab" * 501)) == "<mmaparray('w') of 1002 elements: 'aba'...'bab'>"
    assert repr(mmaparray("c", b"ab" * 501)) == "<mmaparray('c') of 1002 elements: b'aba'...b'bab'>"
    path = place / "array"
    with mmap_backed_array.open(path, "d", "w+") as a:
        assert repr(a) == f"<mmaparray('d') of 0 elements in {str(path)!r}>"
        a.append(1)
        assert repr(a) == f"<mmaparray('d') of 1 element in {str(path)!r}: [1.0]>"
        a.extend(range(5))
        assert repr(a) == f"<mmaparray('d') of 6 elements in {str(path)!r}: [1.0, 0.0, 1.0, 2.0, 3.0, 4.0]>"
        a.append(5)
        assert repr(a) == f"<mmaparray('d') of 7 elements in {str(path)!r}: [1.0, 0.0, 1.0, ..., 3.0, 4.0, 5.0]>"
    assert mmap_backed_array.__version__.count(".") == 2


def test_a_subclass_is_named_in_what_it_says():
    class Table(mmaparray):
        pass

    assert repr(Table("i", [1])) == "Table('i', [1])"
    assert repr(Table("i")) == "Table('i')"


@pytest.mark.parametrize("code", mmap_backed_array.typecodes)
def test_it_matches_patterns_of_sequences(code):
    match mmaparray(code, samples(code)):
        case [first, *rest]:
            assert [first, *rest] == samples(code)
        case _:
            raise AssertionError
    match mmaparray(code):
        case [_, *_]:
            raise AssertionError
        case []:
            pass
        case _:
            raise AssertionError
    match mmaparray("i", [1, 2]):
        case [1, 3] | {} | [_]:
            raise AssertionError
        case mmaparray():
            pass


def test_it_is_a_mutable_sequence_with_all_that_belongs_to_it():
    a = mmaparray("i", [1, 2])
    for kind in (collections.abc.MutableSequence, collections.abc.Sequence, collections.abc.Reversible):
        assert isinstance(a, kind) and issubclass(mmaparray, kind)
    assert not isinstance(a, collections.abc.Hashable)
    for name in [*dir(array.array), *(name for name in dir(collections.abc.MutableSequence) if name[0] != "_")]:
        assert hasattr(a, name), name
    assert list(reversed(a)) == [2, 1]


def test_it_can_be_an_annotation():
    kind = mmaparray[int]
    assert isinstance(kind, types.GenericAlias)
    assert (typing.get_origin(kind), typing.get_args(kind)) == (mmaparray, (int,))
    assert kind("i", [1]) == mmaparray("i", [1])


def test_every_public_method_is_documented():
    for name, member in vars(mmaparray).items():
        if not name.startswith("_"):
            assert inspect.getdoc(member), name
    for name in mmap_backed_array.__all__:
        if callable(getattr(mmap_backed_array, name)):
            assert inspect.getdoc(getattr(mmap_backed_array, name)), name
    assert inspect.getdoc(mmaparray).startswith("An array")


def test_the_class_itself_cannot_be_changed():
    with pytest.raises(TypeError):
        mmaparray.other = 1
    with pytest.raises(AttributeError):
        mmaparray("i").other = 1
    for name in ("typecode", "itemsize", "closed", "locked", "name", "mode", "readonly", "capacity"):
        with pytest.raises(AttributeError):
            setattr(mmaparray("i"), name, 1)


def test_arguments_are_counted():
    for arguments in ((), ("i", [1], 2)):
        with pytest.raises(TypeError):
            mmaparray(*arguments)
    for keywords in ({"typecode": "i"}, {"initializer": [1]}, {"other": 1}):
        with pytest.raises(TypeError):
            mmaparray("i", **keywords)


# Subclasses.


def test_a_subclass_has_an_init_and_attributes_of_its_own():
    class Named(mmaparray):
        def __init__(self, typecode, values=(), *, label):
            self.label = label

        def append(self, value):
            super().append(value * 2)

    a = Named("i", [1], label="x")
    a.append(2)
    assert (a.label, a.tolist(), type(a)) == ("x", [1, 4], Named)
    a.other = 1
    assert (a.__dict__, isinstance(a, mmaparray)) == ({"label": "x", "other": 1}, True)
    with pytest.raises(TypeError):
        Named("i", [1], 2, label="x")


def test_a_subclass_has_slots():
    class Slim(mmaparray):
        __slots__ = ("label",)

    a = Slim("i", [1])
    a.label = "x"
    assert a.label == "x" and not hasattr(a, "__dict__")
    with pytest.raises(AttributeError):
        a.other = 1


def test_a_subclass_of_a_subclass_with_another_base():
    class Mixin:
        def total(self):
            return sum(self)

    class One(mmaparray):
        def __init_subclass__(cls, /, mark=None, **keywords):
            super().__init_subclass__(**keywords)
            cls.mark = mark

    class Two(Mixin, One, mark=5):
        def __new__(cls, values):
            return super().__new__(cls, "i", values)

    assert (Two([1, 2]).total(), Two.mark, Two([1]).typecode) == (3, 5, "i")


def test_what_a_subclass_makes_is_as_with_array_array():
    def kinds(base):
        class Mine(base):
            pass

        a = Mine("i", [1, 2])
        made = [copy.copy(a), copy.deepcopy(a), a + a, a * 2, 2 * a, a[:], a[::2]]
        a += a
        a *= 2
        return [type(each) for each in made] + [type(a).__name__]

    translated = [mmaparray if kind is array.array else kind for kind in kinds(array.array)]
    translated[5:7] = [array.array, array.array]  # slices are copies of the standard type
    assert kinds(mmaparray) == translated


def test_an_init_that_fails_leaves_nothing():
    class Failing(mmaparray):
        def __init__(self, *arguments):
            raise KeyError

    with pytest.raises(KeyError):
        Failing("i", [1])


def test_a_finalizer_can_use_the_array_and_keep_it():
    kept = []

    class Last(mmaparray):
        def __del__(self):
            self.append(9)
            kept.append(self)

    Last("i", [1])
    assert kept[0].tolist() == [1, 9]


# References.


@pytest.mark.parametrize("names", [None, {}, {"__slots__": ()}])
def test_weak_references_end_with_the_array(names):
    kind, ended = mmaparray if names is None else type("Mine", (mmaparray,), names), []
    a = kind("i", [1])
    reference, proxy = weakref.ref(a, ended.append), weakref.proxy(a)
    assert reference() is a and proxy[0] == 1
    del a
    assert (reference(), ended) == (None, [reference])
    with pytest.raises(ReferenceError):
        proxy[0]


def test_cycles_are_collected():
    class Node(mmaparray):
        pass

    a = Node("i", [1])
    a.me, a.iterator, a.guard = a, iter(a), a.lock()
    reference = weakref.ref(a)
    del a
    gc.collect()
    assert reference() is None


def test_an_array_has_no_hash():
    with pytest.raises(TypeError, match="unhashable"):
        hash(mmaparray("i"))
    with pytest.raises(TypeError):
        {mmaparray("i"): 1}
