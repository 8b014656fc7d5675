"""Arrays on files: what each mode does to what is there, and that a closed file is exactly its elements."""

import array
import errno
import os

import numpy
import pytest

import mmap_backed_array
from conftest import python
from mmap_backed_array import FileStateError, mmaparray

MODES = ["r", "r+", "w+", "a+", "x", "c"]
MAKING = ["w+", "a+", "x"]


def write(path, values):
    path.write_bytes(array.array("I", values).tobytes())
    return path


# Modes.


@pytest.mark.parametrize("mode", MODES)
def test_a_missing_file_is_made_by_the_modes_that_write_and_by_no_other(place, mode):
    path = place / "array"
    if mode in MAKING:
        with mmap_backed_array.open(path, "I", mode) as a:
            assert (len(a), a.mode, a.readonly, a.name) == (0, mode, False, str(path))
            a.append(7)
        assert path.read_bytes() == array.array("I", [7]).tobytes()
    else:
        with pytest.raises(FileNotFoundError) as caught:
            mmap_backed_array.open(path, "I", mode)
        assert (caught.value.errno, caught.value.filename) == (errno.ENOENT, str(path))
        assert not path.exists()


@pytest.mark.parametrize("mode", MODES)
def test_a_file_that_is_there_is_kept_but_by_the_mode_that_empties(place, mode):
    path = write(place / "array", [1, 2, 3])
    if mode == "x":
        with pytest.raises(FileExistsError) as caught:
            mmap_backed_array.open(path, "I", mode)
        assert (caught.value.errno, caught.value.filename) == (errno.EEXIST, str(path))
    else:
        with mmap_backed_array.open(path, "I", mode) as a:
            assert a.tolist() == ([] if mode == "w+" else [1, 2, 3])
            assert a.readonly == (mode == "r")
    assert path.read_bytes() == (b"" if mode == "w+" else array.array("I", [1, 2, 3]).tobytes())


@pytest.mark.parametrize("mode", ["r+", "w+", "a+"])
def test_a_writable_array_changes_the_file(place, mode):
    path = write(place / "array", [1, 2, 3])
    with mmap_backed_array.open(path, "I", mode) as a:
        a.extend([4, 5])
        a[0] = 9
        expected = a.tobytes()
    assert path.read_bytes() == expected


def refusals(a):
    one = array.array(a.typecode, [1])
    return {
        "append": lambda: a.append(1),
        "extend": lambda: a.extend(one),
        "insert": lambda: a.insert(0, 1),
        "pop": lambda: a.pop(),
        "clear": lambda: a.clear(),
        "remove": lambda: a.remove(a[0]),
        "del": lambda: a.__delitem__(0),
        "longer slice": lambda: a.__setitem__(slice(0, 0), one),
        "frombytes": lambda: a.frombytes(one.tobytes()),
        "*=": lambda: a.__imul__(2),
        "reserve": lambda: a.reserve(100),
        "lock": lambda: a.lock(0),
    }


SETTING = {
    "item": lambda a: a.__setitem__(0, 5),
    "slice": lambda a: a.__setitem__(slice(0, 2), array.array("I", [5, 6])),
    "reverse": lambda a: a.reverse(),
    "byteswap": lambda a: a.byteswap(),
}


def test_an_array_to_read_refuses_every_change(place):
    path = write(place / "array", [1, 2, 3])
    with mmap_backed_array.open(path, "I") as a:
        for name, call in refusals(a).items():
            with pytest.raises(TypeError, match="read-only.*array"):
                call()
            assert a.tolist() == [1, 2, 3], name
        for call in SETTING.values():
            with pytest.raises(TypeError, match="read-only"):
                call(a)
        a.flush()
        a.refresh()
        a.unlock()
    assert path.read_bytes() == array.array("I", [1, 2, 3]).tobytes()


def test_a_private_copy_can_be_set_but_not_grown_and_the_file_stays(place):
    path = write(place / "array", [1, 2, 3])
    with mmap_backed_array.open(path, "I", "c") as a:
        for call in refusals(a).values():
            with pytest.raises(TypeError, match="fixed"):
                call()
        model = array.array("I", [1, 2, 3])
        for call in SETTING.values():
            call(a)
            call(model)
            assert a == model
    assert path.read_bytes() == array.array("I", [1, 2, 3]).tobytes()


@pytest.mark.parametrize("mode", ["r", "r+", "a+", "c"])
def test_a_file_that_ends_inside_an_element_can_be_read_but_not_grown(place, mode):
    path = place / "array"
    path.write_bytes(b"abcdefg")
    with mmap_backed_array.open(path, "I", mode) as a:
        assert a.tobytes() == b"abcd"
        if mode in ("r+", "a+"):
            with pytest.raises(FileStateError) as caught:
                a.append(1)
            assert (caught.value.errno, caught.value.filename) == (mmap_backed_array.EPARTIAL, str(path))
            assert isinstance(caught.value, OSError)
    assert path.read_bytes() == b"abcdefg"


# A process that grew an array of doubles and was killed: spare room, and the record that says so, are left.
KILLED = """
    import os, signal, sys
    import mmap_backed_array
    if os.fork() == 0:
        a = mmap_backed_array.open(sys.argv[1], "d", "w+")
        a.extend([1.5, 2.5])
        os.kill(os.getpid(), signal.SIGKILL)
    os.wait()
"""


def test_a_file_of_another_type_is_refused_until_it_is_closed_by_its_own(place):
    path = place / "array"
    python(KILLED, path)
    assert path.stat().st_size > 16
    for mode in ("r", "r+", "a+", "c"):
        with pytest.raises(TypeError, match="type.*array"):
            mmap_backed_array.open(path, "q", mode)
    mmap_backed_array.open(path, "d", "r+").close()
    assert path.read_bytes() == array.array("d", [1.5, 2.5]).tobytes()
    with mmap_backed_array.open(path, "q") as a:  # elements and nothing else: of any type
        assert a.tobytes() == array.array("d", [1.5, 2.5]).tobytes()


def test_emptying_takes_whatever_is_there(place):
    path = place / "array"
    for content in (None, b"abcdefg", bytes(4097), os.urandom(100_000), b"\xff" * 8192):
        python(KILLED, path) if content is None else path.write_bytes(content)
        with mmap_backed_array.open(path, "I", "w+", reservation=65536) as a:
            assert len(a) == 0
            a.append(1)
        assert path.read_bytes() == array.array("I", [1]).tobytes()


@pytest.mark.parametrize("code", ["d", "I"])
def test_emptying_waits_for_nobody_and_takes_nothing_from_who_is_growing(place, code):
    with mmap_backed_array.open(place / "array", "d", "w+") as a:
        a.extend([1.5] * 1000)
        with pytest.raises(BlockingIOError):
            mmap_backed_array.open(place / "array", code, "w+")
        assert a.tolist() == [1.5] * 1000
    assert os.path.getsize(place / "array") == 8000


# What is in the file.


@pytest.mark.parametrize("exact", [False, True])
def test_a_closed_file_is_its_elements_to_array_and_to_numpy(place, exact):
    path = place / "array"
    with mmap_backed_array.open(path, "q", "x", exact=exact) as a:
        for n in range(3000):
            a.append(n)
            assert not exact or path.stat().st_size == 8 * (n + 1)
        a.pop()
        del a[5:7]
    expected = [n for n in range(2999) if n not in (5, 6)]
    read = array.array("q")
    with open(path, "rb") as file:
        read.fromfile(file, len(expected))
        assert file.read() == b""
    assert read.tolist() == expected
    assert numpy.fromfile(path, "q").tolist() == expected


def test_shrinking_to_fit_makes_the_open_file_exact(place):
    path = place / "array"
    with mmap_backed_array.open(path, "H", "w+") as a:
        a.extend(range(10))
        assert path.stat().st_size > 20 and a.capacity > 10
        a.shrink_to_fit()
        assert (path.stat().st_size, a.capacity, len(a)) == (20, 10, 10)
        a.append(10)
        assert a.tolist() == list(range(11))


def test_room_that_was_reserved_is_there_and_changes_no_element(place):
    path = place / "array"
    with mmap_backed_array.open(path, "I", "w+") as a:
        a.append(1)
        a.reserve(100_000)
        capacity = a.capacity
        assert capacity >= 100_000 and a.tolist() == [1]
        a.extend(range(99_999))
        assert a.capacity == capacity
        a.reserve(0)
        assert len(a) == 100_000
        for wrong, error in ((-1, ValueError), (2**70, OverflowError), (1.5, TypeError), (2**62, MemoryError)):
            with pytest.raises(error):
                a.reserve(wrong)
    assert path.stat().st_size == 400_000


def test_growth_beyond_the_reservation_is_an_error_and_leaves_the_array_as_it_was(place):
    path = place / "array"
    with mmap_backed_array.open(path, "I", "w+", reservation=1 << 20) as a:
        a.extend(range(1000))
        too_much = array.array("I", bytes(2 << 20))
        for call in (
            lambda: a.extend(too_much),
            lambda: a.frombytes(too_much.tobytes()),
            lambda: a.__setitem__(slice(3, 3), too_much),
            lambda: a.__imul__(10_000),
            lambda: a.__iadd__(too_much),
            lambda: a.fromlist([0] * (1 << 19)),
            lambda: a.reserve(1 << 19),
        ):
            with pytest.raises(MemoryError, match="reserved.*array"):
                call()
            assert a.tolist() == list(range(1000))
        with pytest.raises(MemoryError):
            while True:
                a.append(0)
        assert (1 << 20) - 4096 <= 4 * len(a) <= (1 << 20) + 4096
        assert a[:1000].tolist() == list(range(1000))
    for wrong, error in ((0, ValueError), (-1, OverflowError), ("1", TypeError), (2**64, OverflowError)):
        with pytest.raises(error):
            mmap_backed_array.open(path, "I", "r+", reservation=wrong)


def test_a_reader_sees_what_a_writer_appended_after_a_refresh(place):
    path = place / "array"
    with mmap_backed_array.open(path, "I", "w+") as writer, mmap_backed_array.open(path, "I") as reader:
        writer.extend([1, 2, 3])
        assert len(reader) == 0
        reader.refresh()
        assert reader.tolist() == [1, 2, 3]
        writer[1] = 9  # elements need no refresh
        assert reader[1] == 9
        writer.pop()
        writer.flush()
        reader.refresh()
        assert reader == writer == mmaparray("I", [1, 9])
