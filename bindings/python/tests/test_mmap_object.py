"""Arrays over an mmap.mmap object of the caller's: its memory is the array, from its first byte, and its length
follows the array's."""

import array
import copy
import gc
import mmap
import os
import pickle
import weakref

import pytest

from mmap_backed_array import mmaparray


@pytest.fixture
def file(place):
    with open(place / "file", "w+b") as file:
        file.write(array.array("I", range(10)).tobytes())
        file.flush()
        yield file


@pytest.fixture
def memory(file):
    with mmap.mmap(file.fileno(), 0) as memory:
        yield memory


def changes(a):
    """Every way to change the length, where it has ten elements."""
    three = array.array("I", [7, 8, 9])
    return [
        lambda: a.append(1),
        lambda: a.extend(three),
        lambda: a.extend(iter([1])),
        lambda: a.fromlist([1, 2]),
        lambda: a.frombytes(bytes(8)),
        lambda: a.insert(3, 1),
        lambda: a.pop(),
        lambda: a.pop(0),
        lambda: a.remove(4),
        lambda: a.clear(),
        lambda: a.__delitem__(2),
        lambda: a.__delitem__(slice(2, 5)),
        lambda: a.__delitem__(slice(None, None, 2)),
        lambda: a.__delitem__(slice(None, 1, -3)),
        lambda: a.__setitem__(slice(1, 2), three),
        lambda: a.__setitem__(slice(1, 9), three),
        lambda: a.__setitem__(slice(None, None, 2), array.array("I")),
        lambda: a.__iadd__(three),
        lambda: a.__imul__(3),
        lambda: a.__imul__(0),
    ]


def test_the_memory_is_the_array_from_its_first_byte(memory):
    a = mmaparray("I", mmap=memory)
    assert a.tolist() == list(range(10))
    a[3] = 0x01020304
    assert memory[12:16] == (0x01020304).to_bytes(4, "little" if array.array("H", [1]).tobytes()[0] else "big")
    memory[0:4] = b"\xff" * 4
    assert a[0] == 0xFFFFFFFF
    assert (a.name, a.mode, a.readonly, a.closed, a.locked, a.capacity) == (None, "r+", False, False, False, 10)


def test_two_arrays_can_share_one_mmap_object_but_not_resize_it(memory):
    a, b = mmaparray("I", mmap=memory), mmaparray("H", mmap=memory)
    a[0] = 0x10001
    assert b[:2].tolist() == [1, 1]
    before = a.tolist()
    for call in changes(a):
        with pytest.raises(BufferError):
            call()
        assert a.tolist() == before and len(memory) == 40
    b.close()
    a.append(5)
    assert a.tolist() == before + [5]


def test_growth_and_shrinking_resize_the_mmap_object_and_its_file(file, memory):
    a, model = mmaparray("I", mmap=memory), array.array("I", range(10))
    for number in range(len(changes(a))):
        a[:] = model[:] = array.array("I", range(10))
        changes(a)[number]()
        changes(model)[number]() if number != 9 else model.__delitem__(slice(None))
        assert a.tolist() == model.tolist()
        assert len(memory) == os.fstat(file.fileno()).st_size == (4 * len(model) or 1)
        assert memory[: 4 * len(a)] == model.tobytes()
    a[:] = array.array("I", range(100_000))
    a.flush()
    file.seek(0)
    assert array.array("I", file.read()) == a
    a.clear()
    a.append(6)
    assert (a.tolist(), len(memory)) == ([6], 4)


def test_bytes_that_are_no_whole_element_are_left_out():
    with mmap.mmap(-1, 7) as memory:
        with mmaparray("I", mmap=memory) as a:
            assert len(a) == 1
        with mmaparray("d", mmap=memory) as a:
            assert len(a) == 0
            assert memory[:] == bytes(7)


def test_an_initializer_is_appended(memory):
    for start in ([10, 11], array.array("I", [10, 11]), mmaparray("I", [10, 11]), array.array("I", [10, 11]).tobytes()):
        with mmaparray("I", start, mmap=memory) as a:
            assert a.tolist() == list(range(12))
            del a[10:]
    for start, error in (([-1], OverflowError), ("text", TypeError), (b"abc", ValueError), (5, TypeError)):
        with pytest.raises(error):
            mmaparray("I", start, mmap=memory)
        memory.resize(40)  # which it lets, since nothing holds it
    with pytest.raises(TypeError):
        mmaparray("I", [1], mmap)


@pytest.mark.parametrize("wrong", [5, b"abcd", bytearray(8), "name", memoryview(bytes(8)), mmaparray("I", [1]), mmap])
def test_what_is_no_mmap_object_is_refused(wrong):
    with pytest.raises(TypeError, match="expected an mmap instance"):
        mmaparray("I", mmap=wrong)


def test_no_mmap_object_means_memory_of_its_own():
    assert mmaparray("I", [1], mmap=None).tolist() == [1]
    with pytest.raises(TypeError, match="other"):
        mmaparray("I", other=None)


def test_a_closed_mmap_object_is_refused():
    memory = mmap.mmap(-1, 16)
    memory.close()
    with pytest.raises(ValueError):
        mmaparray("I", mmap=memory)


def test_an_mmap_object_of_a_subclass_is_one():
    class Mine(mmap.mmap):
        pass

    assert mmaparray("I", mmap=Mine(-1, 8)).tolist() == [0, 0]


def test_a_read_only_mmap_object_makes_a_read_only_array(file):
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory:
        with mmaparray("I", mmap=memory) as a:
            assert (a.readonly, a.mode) == (True, "r")
            assert memoryview(a).readonly
            calls = [
                *changes(a),
                lambda: a.__setitem__(0, 1),
                lambda: a.__setitem__(slice(0, 2), a[1:3]),
                lambda: a.reverse(),
                lambda: a.byteswap(),
            ]
            for call in calls:
                with pytest.raises(TypeError, match="read-only"):
                    call()
                assert a.tolist() == list(range(10))
            assert (a.index(4), a.count(4), 4 in a, a[2:4].tolist()) == (4, 1, True, [2, 3])
    assert os.fstat(file.fileno()).st_size == 40


def test_a_copy_on_write_mmap_object_can_be_set_but_not_grown(file):
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as memory, mmaparray("I", mmap=memory) as a:
        a[0] = 9
        expected = [9, *range(1, 10)]
        for call in changes(a):
            with pytest.raises(TypeError):
                call()
            assert a.tolist() == expected
    file.seek(0)
    assert file.read(4) == bytes(4)


def test_views_fix_the_length_since_memory_can_move(memory):
    a = mmaparray("I", mmap=memory)
    with memoryview(a):
        for call in changes(a):
            with pytest.raises(BufferError):
                call()
            assert a.tolist() == list(range(10)) and len(memory) == 40
        a[0] = 5
        a.reverse()
        a.reverse()
        a[1:3] = array.array("I", [6, 7])
        assert a[:3].tolist() == [5, 6, 7]
    a.append(1)


def test_views_of_the_mmap_object_itself_fix_the_length_too(memory):
    a = mmaparray("I", mmap=memory)
    with memoryview(memory):
        for call in changes(a):
            with pytest.raises(BufferError):
                call()
            assert a.tolist() == list(range(10)) and len(memory) == 40
    a.pop()


def test_the_array_keeps_the_mmap_object_open_and_closing_leaves_it_open(memory):
    a = mmaparray("I", mmap=memory)
    with pytest.raises(BufferError):
        memory.close()
    with pytest.raises(BufferError):
        memory.resize(400)
    a.close()
    assert (len(memory), memory.closed) == (40, False)
    memory.resize(80)
    assert len(mmaparray("I", mmap=memory)) == 20


def test_the_mmap_object_lives_as_long_as_the_array_and_no_longer():
    class Mine(mmap.mmap):
        pass

    memory = Mine(-1, 8)
    alive = weakref.ref(memory)
    a = mmaparray("I", mmap=memory)
    del memory
    assert a.tolist() == [0, 0] and alive() is not None
    a.close()
    assert alive() is None
    memory = Mine(-1, 8)
    memory.array = mmaparray("I", mmap=memory)  # a cycle
    alive = weakref.ref(memory)
    del memory
    gc.collect()
    assert alive() is None


def test_shared_anonymous_memory_says_that_it_cannot_grow():
    with mmap.mmap(-1, 40) as memory, mmaparray("I", mmap=memory) as a:
        a[:] = array.array("I", range(10))
        try:
            a.extend([10] * 500)  # in the page that is there already
        except ValueError:
            pass  # newer Pythons refuse that too
        model = array.array("I", a)
        for call in (
            lambda: a.extend(array.array("I", bytes(8192))),
            lambda: a.frombytes(bytes(8192)),
            lambda: a.__imul__(20),
            lambda: a.__setitem__(slice(1, 1), array.array("I", bytes(8192))),
        ):
            with pytest.raises((OSError, ValueError, SystemError)):
                call()
            assert a == model
        with pytest.raises((OSError, ValueError, SystemError)):
            while len(a) < 5000:
                a.append(1)
        assert a[: len(model)] == model and set(a[len(model) :]) <= {1}
        del a[5:]
        assert (a.tolist(), len(memory)) == ([0, 1, 2, 3, 4], 20)


def test_private_anonymous_memory_grows():
    with mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        with mmaparray("I", mmap=memory) as a:
            a.extend(range(100_000))
            assert len(memory) == 4096 + 400_000 and a[1024:].tolist() == list(range(100_000))


def test_what_only_files_have_does_nothing_here_or_says_so(memory):
    with mmaparray("I", mmap=memory) as a:
        a.reserve(1000)
        a.shrink_to_fit()
        a.refresh()
        a.unlock()
        a.flush()
        assert len(memory) == 40
        with pytest.raises(TypeError):
            a.lock()
        with pytest.raises(OSError, match="no descriptor"):
            a.fileno()


def test_copies_and_pickles_have_memory_of_their_own(memory):
    a = mmaparray("I", mmap=memory)
    for other in (copy.copy(a), copy.deepcopy(a), pickle.loads(pickle.dumps(a)), a + a[:0], a * 1, mmaparray("I", a)):
        assert type(other) is mmaparray and other == a
        other[0] = 77
        other.append(1)
        assert a.tolist() == list(range(10)) and len(memory) == 40
