"""Views: an array grows while memoryviews and NumPy arrays look at it, and they stay valid, each with its own length;
what would make it shorter raises BufferError and changes nothing. Closing leaves them the memory."""

import array
import ctypes
import gc
import io
import mmap
import os

import numpy
import pytest

import mmap_backed_array
from mmap_backed_array import mmaparray


@pytest.fixture(params=["anonymous", "file", "exact", "shared memory"])
def a(request, place, shm_name):
    """An array of ten ints."""
    if request.param == "anonymous":
        a = mmaparray("i")
    elif request.param == "shared memory":
        a = mmap_backed_array.shm(shm_name, "i", "w+")
    else:
        a = mmap_backed_array.open(place / "array", "i", "w+", exact=request.param == "exact")
    a.extend(range(10))
    yield a
    a.close()


def growing(a):
    """Every way to grow, where there are ten elements."""
    three = array.array("i", [7, 8, 9])
    return {
        "append": lambda a: a.append(1),
        "extend": lambda a: a.extend([1, 2]),
        "extend by an array": lambda a: a.extend(three),
        "extend by itself": lambda a: a.extend(a),
        "fromlist": lambda a: a.fromlist([1, 2]),
        "frombytes": lambda a: a.frombytes(bytes(8)),
        "fromfile": lambda a: a.fromfile(io.BytesIO(bytes(8)), 2),
        "insert": lambda a: a.insert(3, 1),
        "longer slice": lambda a: a.__setitem__(slice(1, 2), three),
        "+=": lambda a: a.__iadd__(three),
        "*=": lambda a: a.__imul__(3),
    }


def shortening(a):
    """Every way to become shorter, where there are ten elements."""
    return {
        "pop": lambda: a.pop(),
        "pop from within": lambda: a.pop(3),
        "remove": lambda: a.remove(4),
        "clear": lambda: a.clear(),
        "del item": lambda: a.__delitem__(-1),
        "del slice": lambda: a.__delitem__(slice(2, 4)),
        "del steps": lambda: a.__delitem__(slice(None, None, 2)),
        "del steps backwards": lambda: a.__delitem__(slice(None, None, -3)),
        "del all": lambda: a.__delitem__(slice(None)),
        "shorter slice": lambda: a.__setitem__(slice(2, 6), array.array("i", [1])),
        "shorter tail": lambda: a.__setitem__(slice(2, None), array.array("i", [1])),
        "nothing for steps": lambda: a.__setitem__(slice(None, None, 2), array.array("i")),
        "*= 0": lambda: a.__imul__(0),
        "*= -1": lambda: a.__imul__(-1),
    }


@pytest.mark.parametrize("name", growing(None))
def test_growth_under_views_just_works(a, name):
    view, n = memoryview(a), numpy.asarray(a)
    address = a.buffer_info()[0]
    model = array.array("i", a)
    growing(None)[name](a)
    growing(None)[name](model)
    assert a.tobytes() == model.tobytes() and len(a) > 10
    assert a.buffer_info() == (address, len(model))
    assert n.ctypes.data == address
    assert view.tolist() == n.tolist() == model[:10].tolist()
    view[0], n[9] = 77, 88
    assert (a[0], a[9]) == (77, 88)
    assert memoryview(a).nbytes == 4 * len(model)
    view.release()
    del n


def test_the_address_never_moves_and_each_view_keeps_its_length(a):
    address = a.buffer_info()[0]
    views = []
    total = 10
    while total < 2_000_000:
        views.append((memoryview(a), total))
        a.extend(numpy.arange(total, 2 * total, dtype="i"))
        total *= 2
        assert a.buffer_info() == (address, total)
    for view, length in views:
        assert (len(view), view.nbytes, view.shape) == (length, 4 * length, (length,))
        assert numpy.array_equal(view, numpy.arange(length))
        view.release()


@pytest.mark.parametrize("name", shortening(None))
@pytest.mark.parametrize(
    "view_of", [memoryview, numpy.asarray, lambda a: memoryview(a)[:0], (ctypes.c_int * 2).from_buffer]
)
def test_what_would_shorten_under_a_view_changes_nothing(a, name, view_of):
    view = view_of(a)
    with pytest.raises(BufferError, match="while views of it exist"):
        shortening(a)[name]()
    assert not a.closed and a.tolist() == list(range(10))
    a.append(10)
    assert len(a) == 11
    del view
    shortening(a)[name]()  # and once it is gone, nothing is in the way
    assert len(a) < 11


def mapped(name):
    with open("/proc/self/maps") as file:
        return file.read().count(str(name))


@pytest.mark.parametrize("view_of", [memoryview, numpy.asarray, (ctypes.c_int * 10).from_buffer])
@pytest.mark.parametrize("end", [lambda a: a.close(), lambda a: a.__exit__(None, None, None)])
def test_views_keep_the_memory_of_a_closed_array(a, view_of, end):
    view = view_of(a)
    address = a.buffer_info()[0]
    end(a)
    assert a.closed
    with pytest.raises(ValueError, match="closed"):
        a[0]
    assert numpy.frombuffer(view, "i").ctypes.data == address and list(view) == list(range(10))
    view[3] = 77
    assert view[3] == 77
    a.close()
    assert list(view)[2:5] == [2, 77, 4]


@pytest.mark.parametrize("exact", [False, True])
def test_closing_under_a_view_gives_back_all_but_the_memory(place, exact):
    path = place / "array"
    a = mmap_backed_array.open(path, "i", "w+", exact=exact)
    a.extend(range(10))
    fd = a.fileno()
    first, second = memoryview(a), numpy.asarray(a)
    a.close()
    assert path.stat().st_size == 40
    with mmap_backed_array.open(path, "i", "r+") as b:
        b.append(10)  # nobody else has the lock
        b.extend(range(11, 100_000))
        b[0] = 5
        assert (first[0], second[0]) == (5, 5)
        b.clear()
        # What the views see as elements stays in memory, also when there are no such elements any more.
        assert first.tolist() == second.tolist() == [5, *range(1, 10)]
    del a
    first.release()
    assert mapped(path) == 1
    del second
    assert mapped(path) == 0
    with pytest.raises(OSError):
        os.fstat(fd)
    mmap_backed_array.open(path, "i", "r+").close()
    assert path.stat().st_size == 0


def test_an_array_over_an_mmap_object_is_closed_under_views():
    memory = mmap.mmap(-1, 40)
    a = mmaparray("i", mmap=memory)
    view = memoryview(a)
    a.close()
    assert a.closed and view.tolist() == [0] * 10
    with pytest.raises(BufferError):
        memory.close()
    view.release()
    memory.close()


def test_the_end_of_a_with_statement_hides_no_exception(place):
    path = place / "array"
    with pytest.raises(KeyError), mmap_backed_array.open(path, "i", "w+") as a:
        a.append(1)
        view = memoryview(a)
        raise KeyError
    assert a.closed and view.tolist() == [1] and path.stat().st_size == 4
    # Nor where closing fails.
    with pytest.raises(KeyError) as caught, mmap_backed_array.open(path, "i", "r+") as a:
        capsule = a.capsule()
        raise KeyError
    assert "capsule" in "".join(caught.value.__notes__) and not a.closed
    with pytest.raises(BufferError, match="capsule"), a:
        pass
    del capsule
    a.close()


def test_elements_stay_for_who_reads_them_while_garbage_closes_the_array():
    class Closes:
        def __init__(self, a):
            self.a, self.me = a, self

        def __del__(self):
            self.a.close()

    for call in (lambda a: a[2:], lambda a: a[::2], lambda a: a.tolist(), lambda a: list(a[:3])):
        for code in "iF":
            a = mmaparray(code, range(1000))
            expected = call(mmaparray(code, range(1000)))
            before = gc.get_threshold()
            gc.collect()
            Closes(a)
            gc.set_threshold(1)
            try:
                result = call(a)
            except ValueError:
                result = None
            finally:
                gc.set_threshold(*before)
            assert result is None or result == expected
            gc.collect()


def test_the_last_of_many_views_counts(a):
    views = [memoryview(a) for _ in range(3)]
    views.append(views[0][2:5])
    for view in views:
        with pytest.raises(BufferError):
            a.pop()
        view.release()
    assert a.pop() == 9


def test_a_view_keeps_the_array_and_its_memory(place):
    view = memoryview(mmap_backed_array.open(place / "array", "i", "w+"))
    assert view.tolist() == []
    a = view.obj
    a.append(5)
    view = memoryview(a)
    del a
    assert view.tolist() == [5] and isinstance(view.obj, mmaparray)
    view.release()
    assert (place / "array").stat().st_size == 4


def test_what_leaves_the_length_alone_works_under_views(a):
    with memoryview(a) as view:
        a[0] = 5
        a[1:3] = array.array("i", [6, 7])
        a[::5] = array.array("i", [0, 0])
        a.reverse()
        a.byteswap()
        a.byteswap()
        a.reverse()
        a.reserve(1000)
        a.shrink_to_fit()
        a.flush()
        a.refresh()
        a.extend([])
        a *= 1
        del a[5:2]
        a[3:3] = array.array("i")
        assert view.tolist() == a.tolist() == [0, 6, 7, 3, 4, 0, 6, 7, 8, 9]
        with pytest.raises(ValueError):
            a.remove(77)
        with pytest.raises(IndexError):
            a.pop(10)


def test_nothing_becomes_shorter_where_nothing_is(a):
    a.clear()
    with memoryview(a):
        a.clear()
        a *= 0
        del a[:]
        with pytest.raises(IndexError, match="empty"):
            a.pop()
    a.append(1)
    assert a.tolist() == [1]


def test_iterators_are_no_views(a):
    iterator = iter(a)
    assert next(iterator) == 0
    del a[3:]
    assert list(iterator) == [1, 2]
