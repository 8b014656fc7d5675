"""Calls of every method, such that do something and such that fail, for tests that do them over and over."""

import array
import copy
import io
import mmap
import os
import pickle
import weakref

import numpy

import mmap_backed_array
from mmap_backed_array import mmaparray


class Odd:
    """Compares itself, and is no element."""

    def __eq__(self, other):
        return False

    __hash__ = None


class Failing:
    """Fails at whatever it is asked."""

    def __eq__(self, other):
        raise KeyError

    __index__ = __float__ = __complex__ = __bool__ = __len__ = __iter__ = lambda self: [][1]


class Mine(mmaparray):
    pass


odd, failing, huge, nan, text = Odd(), Failing(), 10**30, float("nan"), "text" * 10
ints = mmaparray("i", range(10))

# Objects that the calls touch.
SENTINELS = [odd, failing, huge, nan, text, Mine, mmaparray, array.array, mmap.mmap, type(mmaparray("i").lock())]
SENTINELS += [None, True, False, 0, 1, 1.5, b"", "", (), NotImplemented]

START = {"D": [1j] * 10, "w": "abcdefghij", "c": b"abcdefghij"}


def start(code):
    """Ten elements, which every call leaves there."""
    return mmaparray(code, START.get(code, range(10)))


def check(call):
    """Does it, be it that it fails; returns how many operations that were."""
    try:
        result = call()
    except (Exception, SystemError):
        return 1
    return len(result) if type(result) is tuple else 1


def repeat(a, call, times):
    """Does it again and again, on an array of ten elements or on none; returns how many operations that were."""
    count = 0
    for _ in range(times):
        count += check(call)
        if a is not None and len(a) > 10:  # it was an element after all
            del a[10:]
    return count


def close_under_a_view(a):
    view = memoryview(a)
    a.close()
    return view.tobytes()


def changing(a):
    """What changes an array and, for most, brings it back."""
    value, own = a[0], a[:3]
    memory = own.tobytes()
    return [
        lambda: (a.append(value), a.pop()),
        lambda: (a.insert(1, value), a.pop(1)),
        lambda: (a.insert(-1, value), a.__delitem__(-2)),
        lambda: (a.extend(own), a.__delitem__(slice(-3, None))),
        lambda: (a.extend([value, value]), a.__delitem__(slice(-2, None))),
        lambda: (a.extend(iter([value])), a.pop()),
        lambda: (a.fromlist([value]), a.pop()),
        lambda: (a.frombytes(memory), a.__delitem__(slice(-3, None))),
        lambda: (a.fromstring(memory), a.__delitem__(slice(-3, None))),
        lambda: (a.fromunicode(text), a.fromstring(text)),
        lambda: (a.fromfile(io.BytesIO(memory), 3), a.__delitem__(slice(-3, None))),
        lambda: (a.append(value), a.reverse(), a.remove(value), a.reverse()),
        lambda: (a.__iadd__(own), a.__delitem__(slice(-3, None))),
        lambda: (a.__imul__(2), a.__delitem__(slice(10, None))),
        lambda: (a.extend(a), a.__delitem__(slice(10, None))),
        lambda: a.__setitem__(1, a[1]),
        lambda: a.__setitem__(slice(0, 3), own),
        lambda: a.__setitem__(slice(0, 6, 2), own),
        lambda: (a.__setitem__(slice(2, 2), own), a.__delitem__(slice(2, 5))),
        lambda: (a.__setitem__(slice(2, 2), a), a.__delitem__(slice(2, 12))),
        lambda: (a.append(value), a.__delitem__(slice(10, None, 2))),
        lambda: (a.byteswap(), a.byteswap()),
        lambda: (a.reserve(20), a.shrink_to_fit(), a.refresh(), a.unlock()),
        lambda: (a.lock().__exit__(), a.lock(timeout=0).__enter__(), a.unlock()),
    ]


def looking(a):
    """What changes nothing."""
    value, own = a[0], a[:3]
    return [
        lambda: (a[0], a[-1], a[1:3], a[::2], a[::-1], len(a)),
        lambda: (a.tolist(), a.tobytes(), a.tostring(), list(a), list(reversed(a)), repr(a), str(a), a.tounicode()),
        lambda: (a.tofile(io.BytesIO()), bytes(a), sum(1 for _ in a)),
        lambda: (a.count(value), a.index(value), value in a, a.index(value, 0, 5)),
        lambda: (a.count(odd), odd in a, a.count(huge), a.count(nan), a.count(text), a.count(None), a.count(1.5)),
        lambda: (a == a, a != own, a < a, a <= own, own == a, a == 3, a != None),  # noqa: E711
        lambda: (a.buffer_info(), a.typecode, a.itemsize, a.capacity, a.name, a.mode, a.closed, a.locked, a.readonly,
                 a.dtype, a.shape, a.ndim),
        lambda: (memoryview(a)[1:3].cast("B"), numpy.asarray(a), numpy.frombuffer(a, "b")),
        lambda: (iter(a).__reduce__(), iter(a).__setstate__(1), next(iter(a))),
        lambda: (a._reference(), a.capsule(), mmaparray[int], a.fileno(), a.__reduce_ex__(4)),
        lambda: weakref.ref(a, lambda _: None),
        lambda: under_a_view(a),
    ]


def under_a_view(a):
    with memoryview(a):
        for call in (a.pop, a.clear, lambda: a.remove(a[0]), lambda: a.__delitem__(0), lambda: a.__imul__(0)):
            check(call)


def failures(a):
    """What fails, at least for most types."""
    value, own = a[0], a[:3]
    bad = "x" if a.typecode in "id" else 5.5
    return [
        *(lambda x=x: a.append(x) for x in (bad, failing, huge, text, 10**400, None)),
        *(lambda x=x: a.insert(0, x) for x in (bad, failing)),
        *(lambda x=x: a.insert(x, value) for x in (text, failing, huge)),
        *(lambda x=x: a.extend(x) for x in ([bad], failing, 5, numpy.ones((2, 2)), array.array("H", [1]), ints)),
        *(lambda x=x: a.fromlist(x) for x in ([value, bad], 5)),
        *(lambda x=x: a.frombytes(x) for x in (text, 5, bytes(3))),
        *(lambda x=x: a.fromfile(*x) for x in ((failing, 1), (io.BytesIO(), -1), (io.BytesIO(bytes(16)), 9), (5,))),
        *(lambda x=x: a.pop(x) for x in (99, text, failing)),
        *(lambda x=x: a[x] for x in (99, text, failing, slice(failing, 1), slice(1, 2, 0))),
        *(lambda x=x: a.__setitem__(*x) for x in ((99, value), (0, bad), (0, failing), (text, value))),
        *(lambda x=x: a.__setitem__(slice(0, 2), x) for x in (5, array.array("H"), numpy.ones((2, 2)), failing)),
        *(lambda x=x: a.__delitem__(x) for x in (99, text, failing)),
        *(lambda x=x: a.index(x) for x in (failing, odd, huge)),
        *(lambda x=x: a.remove(x) for x in (failing, odd, huge)),
        *(lambda x=x: a.__imul__(x) for x in (failing, text, 10**12)),
        *(lambda x=x: a.reserve(x) for x in (10**15, -1, text)),
        *(lambda x=x: a.lock(x) for x in (-1, text)),
        *(lambda x=x: mmaparray(*x) for x in ((text,), (), ("i", 5), ("i", text), ("i", [failing]), (b"i",))),
        lambda: (a.fromunicode(5), a.index(value, text), a.index()),
        lambda: a.__setitem__(slice(0, 9, 3), own[:1]),
        lambda: a.tofile(failing),
        lambda: (a.count(failing), failing in a),
        lambda: a < 5,
        lambda: a + 5,
        lambda: a.__iadd__(5),
        lambda: a * text,
        lambda: hash(a),
        lambda: a.other,
        lambda: setattr(a, "name", 5),
        lambda: mmaparray("i", other=5),
        lambda: mmaparray("i", mmap=5),
    ]


def makers(code, directory):
    """What makes arrays, and leaves them to themselves."""
    some = start(code)[:4]
    some = mmaparray(code, some)
    path, other = os.path.join(directory, "ints"), os.path.join(directory, "other")
    if not os.path.exists(path):
        with mmap_backed_array.open(path, "i", "x") as a:
            a.extend(range(10))
    opened, shm, from_fd = mmap_backed_array.open, mmap_backed_array.shm, mmap_backed_array.from_fd
    return [
        *(lambda x=x: mmaparray(code, x) for x in (some, b"", [], [failing], text)),
        *(lambda x=x: opened(*x) for x in ((path, text), (path, "i", text), (path + "/none", "i"), (directory, "i"))),
        *(lambda x=x: opened(*x) for x in ((path, "i", "x"), (5, "i"), (path,))),
        *(lambda x=x: opened(path, "i", **x) for x in ({"reservation": -1}, {"permissions": text}, {"exact": True})),
        *(lambda x=x: shm(*x) for x in (("no/such", "i"), (5, "i"), ("none", "i"))),
        *(lambda x=x: from_fd(*x) for x in ((10**6, "i"), (failing, "i"), (some, "i", "x"))),
        lambda: close_under_a_view(mmaparray(code, some)),
        lambda: mmaparray(code, some).__dlpack__(max_version=(1, 0), copy=True),
        lambda: mmaparray(code, some).__arrow_c_array__(),
        lambda: mmaparray(code, some).__array__(copy=True),
        *(lambda x=x: getattr(mmaparray(code, some), x)() for x in ("close", "capsule", "lock", "__iter__", "flush")),
        lambda: mmap_backed_array.shm_unlink("none"),
        lambda: Mine(code, some),
        lambda: (copy.copy(some), copy.deepcopy(some), some + some, some * 3, 0 * some),
        lambda: (some + odd, some * failing),
        lambda: (pickle.loads(pickle.dumps(some)), pickle.loads(pickle.dumps(some, 2))),
        lambda: pickle.loads(pickle.dumps(opened(path, "i"))),
        lambda: mmaparray(code, mmap=mmap.mmap(-1, 64)).append(failing),
        lambda: setattr(mmaparray(code), "x", 1),
        lambda: memoryview(mmaparray(code, some)),
        lambda: (from_fd(some, code), from_fd(some, code, "r").append(some[0])),
        lambda: (opened(other, code, "w+").extend(some), opened(other, code, "r+", exact=True).pop()),
        lambda: (opened(path, "i").pop(), opened(path, "i", "c").reverse(), opened(path, "i", reservation=1 << 20)),
        lambda: opened(other, code, "a+").lock().__enter__().flush(),
        lambda: os.unlink(other),
    ]
