"""Closing: what it leaves, who may refuse it, and that a closed array answers everything but a short list with
ValueError, and nothing with old memory."""

import array
import copy
import io
import mmap
import os
import pickle

import numpy
import pytest

import mmap_backed_array
from mmap_backed_array import mmaparray

# What can be asked of a closed array, and the answer.
ANSWERS = {
    "close": lambda a: a.close() is None,
    "closed": lambda a: a.closed is True,
    "locked": lambda a: a.locked is False,
    "mode": lambda a: a.mode == "r+",
    "name": lambda a: a.name is None or os.path.isabs(a.name),
    "typecode": lambda a: a.typecode == "i",
    "dtype": lambda a: a.dtype == numpy.dtype("i"),
    "ndim": lambda a: a.ndim == 1,
    "__dlpack_device__": lambda a: a.__dlpack_device__() == (1, 0),
    "itemsize": lambda a: a.itemsize == 4,
    "__exit__": lambda a: a.__exit__(None, None, None) is None,
    "__repr__": lambda a: repr(a) == "<closed array('i')>",
}

# What isn't about the array, but about its class.
OF_THE_CLASS = {"open", "shm", "from_fd", "__class_getitem__", "__init_subclass__", "__release_buffer__"}

ONE = array.array("i", [1])

# Everything else, with arguments that would do on an open array.
REFUSED = {
    "append": lambda a: a.append(1),
    "buffer_info": lambda a: a.buffer_info(),
    "byteswap": lambda a: a.byteswap(),
    "capacity": lambda a: a.capacity,
    "capsule": lambda a: a.capsule(),
    "clear": lambda a: a.clear(),
    "count": lambda a: a.count(1),
    "extend": lambda a: a.extend([1]),
    "fileno": lambda a: a.fileno(),
    "flush": lambda a: a.flush(),
    "frombytes": lambda a: a.frombytes(bytes(4)),
    "fromfile": lambda a: a.fromfile(io.BytesIO(bytes(4)), 1),
    "fromlist": lambda a: a.fromlist([1]),
    "fromstring": lambda a: a.fromstring(bytes(4)),
    "fromunicode": lambda a: a.fromunicode("x"),
    "index": lambda a: a.index(1),
    "insert": lambda a: a.insert(0, 1),
    "lock": lambda a: a.lock(),
    "pop": lambda a: a.pop(),
    "readonly": lambda a: a.readonly,
    "refresh": lambda a: a.refresh(),
    "remove": lambda a: a.remove(1),
    "reserve": lambda a: a.reserve(10),
    "reverse": lambda a: a.reverse(),
    "shape": lambda a: a.shape,
    "shrink_to_fit": lambda a: a.shrink_to_fit(),
    "tobytes": lambda a: a.tobytes(),
    "tofile": lambda a: a.tofile(io.BytesIO()),
    "tolist": lambda a: a.tolist(),
    "tostring": lambda a: a.tostring(),
    "tounicode": lambda a: a.tounicode(),
    "unlock": lambda a: a.unlock(),
    "_reference": lambda a: a._reference(),
    "__add__": lambda a: a + ONE,
    "__array__": lambda a: a.__array__(),
    "__arrow_c_array__": lambda a: a.__arrow_c_array__(),
    "__dlpack__": lambda a: a.__dlpack__(),
    "__iadd__": lambda a: a.__iadd__(ONE),
    "__mul__": lambda a: a * 2,
    "__rmul__": lambda a: 0 * a,
    "__imul__": lambda a: a.__imul__(2),
    "__buffer__": lambda a: memoryview(a),
    "__contains__": lambda a: 1 in a,
    "__copy__": copy.copy,
    "__deepcopy__": copy.deepcopy,
    "__delitem__": lambda a: a.__delitem__(0),
    "__enter__": lambda a: a.__enter__(),
    "__eq__": lambda a: a == ONE,
    "__ge__": lambda a: a >= ONE,
    "__getitem__": lambda a: a[0],
    "__gt__": lambda a: a > ONE,
    "__iter__": iter,
    "__le__": lambda a: a <= ONE,
    "__len__": len,
    "__lt__": lambda a: a < ONE,
    "__ne__": lambda a: a != ONE,
    "__reduce_ex__": lambda a: a.__reduce_ex__(4),
    "__setitem__": lambda a: a.__setitem__(0, 1),
}

# The same by other ways in.
MORE = [
    lambda a: a == a,
    lambda a: ONE == a,
    lambda a: mmaparray("i") == a,
    lambda a: mmaparray("i") + a,
    lambda a: mmaparray("i").extend(a),
    lambda a: mmaparray("i", a),
    lambda a: array.array("i", a),
    lambda a: a.extend([]),
    lambda a: a.extend(ONE),
    lambda a: a.extend(a),
    lambda a: a * 0,
    lambda a: a.__imul__(1),
    lambda a: a.__imul__(0),
    lambda a: a[-1],
    lambda a: a[:],
    lambda a: a[::2],
    lambda a: a.__setitem__(slice(0, 0), ONE),
    lambda a: a.__setitem__(slice(None, None, 2), ONE),
    lambda a: a.__delitem__(slice(0, 0)),
    lambda a: a.index(1, -1, 5),
    lambda a: a.pop(-2),
    lambda a: a.lock(timeout=0),
    lambda a: list(a),
    lambda a: list(reversed(a)),
    lambda a: bool(a),
    lambda a: sum(a),
    lambda a: pickle.dumps(a),
    lambda a: numpy.frombuffer(a, "i"),
]


def closed(kind, place):
    if kind == "anonymous":
        a = mmaparray("i", [1, 2, 3])
    elif kind == "file":
        path = place / "array"
        path.write_bytes(array.array("i", [1, 2, 3]).tobytes())
        a = mmap_backed_array.open(path, "i", "r+")
    else:
        memory = mmap.mmap(-1, 12)
        a = mmaparray("i", mmap=memory)
    iterator, begun = iter(a), iter(a)
    next(begun)
    a.close()
    return a, [lambda _: next(iterator), lambda _: next(begun)]


def test_every_attribute_is_accounted_for():
    own = {name for name in dir(mmaparray) if getattr(mmaparray, name) is not getattr(object, name, None)}
    own -= {"__doc__", "__module__", "__new__", "__hash__", "__class__", "__getattribute__", "__subclasshook__"}
    assert own - set(ANSWERS) - set(REFUSED) - OF_THE_CLASS == set()
    assert (set(ANSWERS) | set(REFUSED)) - {"__buffer__"} - own == set()


@pytest.mark.parametrize("kind", ["anonymous", "file", "mmap"])
def test_a_closed_array_refuses_all_but_what_needs_no_memory(kind, place):
    a, iterators = closed(kind, place)
    for call in [*REFUSED.values(), *MORE, *iterators]:
        for _ in range(2):
            with pytest.raises(ValueError):
                call(a)
            with pytest.raises(ValueError):  # and no call makes it an empty one
                len(a)
    for name, answer in ANSWERS.items():
        assert answer(a), name
    assert (a == 3, a != 3, a.__eq__(3)) == (False, True, NotImplemented)
    with pytest.raises(TypeError, match="unhashable"):
        hash(a)


def test_the_message_says_that_it_is_closed():
    a = mmaparray("i", [1])
    a.close()
    with pytest.raises(ValueError, match="closed array"):
        a.append(1)


def test_closing_twice_is_as_good_as_once(place):
    a = mmap_backed_array.open(place / "array", "i", "w+")
    a.append(1)
    a.close()
    a.close()
    assert (place / "array").stat().st_size == 4


def test_a_with_statement_closes_and_lets_exceptions_through(place):
    with pytest.raises(KeyError), mmap_backed_array.open(place / "array", "i", "w+") as a:
        a.append(1)
        raise KeyError
    assert a.closed
    assert (place / "array").stat().st_size == 4
    with pytest.raises(ValueError), a:
        pass


def test_closing_gives_the_descriptor_and_the_mapping_back(place):
    with open("/proc/self/maps") as file:
        before = file.read().count(str(place))
    a = mmap_backed_array.open(place / "array", "i", "w+")
    a.append(1)
    fd = a.fileno()
    a.close()
    with pytest.raises(OSError):
        os.fstat(fd)
    with open("/proc/self/maps") as file:
        assert file.read().count(str(place)) == before


def test_an_array_that_nobody_holds_is_closed_and_its_file_exact(place):
    a = mmap_backed_array.open(place / "array", "i", "w+")
    a.append(1)
    del a
    assert (place / "array").stat().st_size == 4


def test_a_capsule_keeps_the_array_open():
    a = mmaparray("i", [1])
    capsule = a.capsule()
    with pytest.raises(BufferError):
        a.close()
    assert a.tolist() == [1]
    del capsule
    a.close()
