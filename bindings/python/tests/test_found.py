"""What a review found wrong, so that it stays right."""

import array
import contextlib
import ctypes
import gc
import io
import mmap
import os
import pickle
import sys
import tempfile
import threading
import weakref
from multiprocessing import get_context

import pytest
from conftest import python

import mmap_backed_array
from mmap_backed_array import mmaparray


def over_mmap(elements, kind=mmap.mmap):
    """An array over an mmap object of memory of its own, and that object."""
    memory = kind(-1, len(elements) * 4, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    result = mmaparray("i", mmap=memory)
    result[:] = array.array("i", elements)
    return result, memory


def test_a_closed_array_has_no_length_whoever_asked_before():
    closed = mmaparray("i", [1, 2])
    closed.close()
    for ask in (lambda: closed[0], lambda: closed.index(1), lambda: list(closed), lambda: closed.pop()):
        with pytest.raises(ValueError, match="closed"):
            ask()
        with pytest.raises(ValueError, match="closed"):
            len(closed)


def test_stepped_deletion_leaves_what_it_cannot_shorten():
    numbers, memory = over_mmap(range(10))
    for step in (2, -2, 3):
        with memoryview(memory):
            with pytest.raises(BufferError):
                del numbers[::step]
        assert list(numbers) == list(range(10))
    model = list(range(10))
    for part in (slice(8, 1, -3), slice(1, None, 2), slice(None, None, 5)):
        del numbers[part], model[part]
        assert list(numbers) == model
        assert len(memory) == len(model) * 4


def test_an_mmap_that_does_not_resize_is_not_written_beyond():
    class Lazy(mmap.mmap):
        def resize(self, size):
            pass

    numbers, memory = over_mmap(range(16), Lazy)
    with pytest.raises(RuntimeError, match="size"):
        numbers.append(16)
    with pytest.raises(RuntimeError, match="size"):
        numbers.extend(range(5000))
    with pytest.raises(RuntimeError, match="size"):
        numbers *= 1000
    assert list(numbers) == list(range(16))


def test_an_mmap_that_shrinks_too_far_is_not_written_beyond():
    class Keen(mmap.mmap):
        def resize(self, size):
            super().resize(4)

    numbers, _ = over_mmap(range(5000), Keen)
    with pytest.raises(RuntimeError, match="size"):
        del numbers[:10]
    assert list(numbers) == [10]  # which had moved to the front by then


def test_an_mmap_that_closes_itself_is_let_go():
    class Closing(mmap.mmap):
        def resize(self, size):
            self.close()

    numbers, memory = over_mmap(range(16), Closing)
    with pytest.raises(ValueError, match="closed"):
        numbers.append(16)
    assert numbers.closed
    gone = weakref.ref(memory)
    del numbers, memory
    gc.collect()
    assert gone() is None


def test_closing_while_the_mmap_resizes_closes():
    class Reentrant(mmap.mmap):
        def resize(self, size):
            super().resize(size)
            numbers.close()

    numbers, memory = over_mmap(range(16), Reentrant)
    with pytest.raises(ValueError, match="closed"):
        numbers.append(16)
    assert numbers.closed
    memory.close()


@pytest.mark.parametrize("code", "bBhHiIlLqQe")
def test_an_int_that_python_does_not_write_is_out_of_range(code):
    class Unwritten(int):
        def __repr__(self):
            raise KeyError

    numbers = mmaparray(code)
    for value in (10**5000, -(10**5000)) if code != "e" else ():
        with pytest.raises(OverflowError, match="range"):
            numbers.append(value)
    with pytest.raises(OverflowError, match="range"):
        numbers.append(Unwritten(10**25))
    assert len(numbers) == 0


def test_what_is_no_character_is_told_by_type_and_length():
    characters = mmaparray("c")
    with pytest.raises(TypeError, match="length 2"):
        characters.append(b"ab")
    with pytest.raises(TypeError, match="int"):
        characters.append(10**5000)


def test_a_file_that_closes_the_array_it_gets():
    class Closing(io.RawIOBase):
        def write(self, data):
            numbers.close()

    numbers = mmaparray("i", range(100_000))
    with pytest.raises(ValueError, match="closed"):
        numbers.tofile(Closing())


@pytest.mark.parametrize("kind", [array.array, mmaparray])
def test_items_are_set_and_deleted_by_c_code(kind):
    api = ctypes.pythonapi
    api.PySequence_SetItem.argtypes = [ctypes.py_object, ctypes.c_ssize_t, ctypes.py_object]
    api.PySequence_DelItem.argtypes = [ctypes.py_object, ctypes.c_ssize_t]
    numbers = kind("i", [1, 2, 3])
    api.PySequence_SetItem(numbers, -1, 9)
    api.PySequence_DelItem(numbers, 0)
    assert numbers.tolist() == [2, 9]
    for index in (2, -3):
        with pytest.raises(IndexError):
            api.PySequence_SetItem(numbers, index, 9)
        with pytest.raises(IndexError):
            api.PySequence_DelItem(numbers, index)


@pytest.mark.parametrize("other", ["d", "H", "D", "c"])
def test_emptying_heeds_the_lock_of_an_array_of_another_type(place, other):
    path = place / "numbers"
    numbers = mmap_backed_array.open(path, "I", "x")
    numbers.append(5)
    with pytest.raises(BlockingIOError):
        mmap_backed_array.open(path, other, "w+")
    assert numbers.tolist() == [5]
    numbers.append(6)
    numbers.unlock()
    # Whoever has it open would go on taking it for what it was.
    with pytest.raises(BlockingIOError):
        mmap_backed_array.open(path, other, "w+")
    assert numbers.tolist() == [5, 6]
    numbers.close()
    with mmap_backed_array.open(path, other, "w+") as emptied:
        assert len(emptied) == 0
        emptied.frombytes(bytes(16))
    # Also what ends inside an element, or has a footer that nobody can read.
    for left in b"123", bytes(3968) + b"\x93MBAfoot" + bytes(120):
        path.write_bytes(left)
        mmap_backed_array.open(path, "I", "w+").close()
        assert path.stat().st_size == 0


def test_comparison_reads_only_what_a_buffer_holds():
    if sys.version_info < (3, 12):
        pytest.skip("classes export buffers since Python 3.12")

    class Backwards(array.array):
        def __buffer__(self, flags):
            return memoryview(bytes(range(8)))[::-1]

    with pytest.raises((BufferError, ValueError)):
        mmaparray("B", bytes(8)) == Backwards("B")


def exact_child(numbers, path):
    numbers.append(1)
    assert os.path.getsize(path) == 8, os.path.getsize(path)


def test_an_exact_array_without_a_name_stays_exact_in_another_process(place):
    path = place / "numbers"
    path.write_bytes(bytes(4))
    with open(path, "r+b") as file:
        numbers = mmap_backed_array.from_fd(file, "i", exact=True)
    child = get_context("spawn").Process(target=exact_child, args=(numbers, path))
    child.start()
    child.join()
    assert child.exitcode == 0
    numbers.close()


def test_an_exact_array_without_a_name_pickles_by_value(place):
    path = place / "numbers"
    path.write_bytes(bytes(4))
    with open(path, "r+b") as file, mmap_backed_array.from_fd(file, "i", exact=True) as numbers:
        copy = pickle.loads(pickle.dumps(numbers))
    assert copy == array.array("i", [0]) and copy.name is None


def test_a_view_of_another_handle_can_be_inserted(place):
    path = place / "numbers"
    with mmap_backed_array.open(path, "i", "x") as numbers:
        numbers.extend(range(10))
        with mmap_backed_array.open(path, "i") as other, memoryview(other) as view:
            numbers[0:0] = view[5:]
            assert numbers.tolist() == [5, 6, 7, 8, 9, *range(10)]


def test_the_name_of_shared_memory_is_a_plain_str(shm_name):
    class Name(str):
        pass

    with mmap_backed_array.shm(Name(shm_name), "i", "x") as numbers:
        assert type(numbers.name) is str and numbers.name == shm_name


def test_a_child_does_not_wait_for_its_parents_flush():
    # The parent has a thread in flush() at nearly every moment, which the child hasn't.
    python(
        """
        import os, signal, tempfile, threading, time, warnings
        import mmap_backed_array

        warnings.simplefilter("ignore", DeprecationWarning)  # of fork beside threads
        over = False

        def flush():
            while not over:
                numbers.byteswap()
                numbers.flush()

        with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
            numbers = mmap_backed_array.open(directory + "/numbers", "q", "x")
            numbers.extend(range(100_000))
            numbers.unlock()
            thread = threading.Thread(target=flush)
            thread.start()
            try:
                for _ in range(30):
                    time.sleep(0.005)
                    child = os.fork()
                    if child == 0:
                        signal.alarm(5)
                        numbers.append(1)
                        numbers.flush()
                        numbers.pop()
                        os._exit(0)
                    assert os.waitpid(child, 0)[1] == 0
            finally:
                over = True
                thread.join()
        """
    )


@contextlib.contextmanager
def being_flushed():
    """An array on a disk that a thread flushes at nearly every moment."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        numbers = mmap_backed_array.open(directory + "/numbers", "q", "x")
        numbers.extend(range(1000))
        over = threading.Event()

        def flush():
            while not over.is_set() and not numbers.closed:
                try:
                    numbers[0] = 0
                    numbers.flush()
                except ValueError:
                    assert numbers.closed

        thread = threading.Thread(target=flush)
        thread.start()
        yield numbers
        over.set()
        thread.join()
        numbers.close()


@pytest.fixture
def flushing():
    with being_flushed() as numbers:
        yield numbers


def in_threads(*functions):
    errors = []

    def run(function):
        try:
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in errors:
        raise error


def test_what_was_appended_beside_a_flush_stays_where_it_is(flushing):
    places = {}

    def append(thread):
        for value in range(10_000 + thread, 10_400, 4):
            flushing.append(value)
            places[value] = flushing.index(value)

    in_threads(*(lambda thread=thread: append(thread) for thread in range(4)))
    assert len(flushing) == 1400
    assert [flushing[place] for place in places.values()] == list(places)


def test_what_is_removed_beside_a_flush_is_the_value_sought(flushing):
    flushing[:] = array.array("q", [0] * 2000)
    flushing.extend(range(1, 401))

    def remove(thread):
        for value in range(thread + 1, 401, 2):
            flushing.pop(1)
            flushing.remove(value)

    in_threads(*(lambda thread=thread: remove(thread) for thread in range(2)))
    assert set(flushing[1:]) == {0} and len(flushing) == 1600


def test_an_array_extended_by_itself_beside_a_flush_takes_no_more_than_it_is(flushing):
    def double():
        for _ in range(60):
            flushing.extend(flushing)
            flushing[1000:] = array.array("q")

    def pop():
        for _ in range(60):
            flushing[:] = array.array("q", range(2, 1002))
            flushing[900:] = array.array("q")

    in_threads(double, pop)


def test_closing_beside_a_flush_heeds_a_capsule_that_is_made_meanwhile():
    for _ in range(40):
        with being_flushed() as numbers:
            ready = threading.Event()
            capsules = []

            def close():
                ready.set()
                try:
                    numbers.close()
                except BufferError:
                    assert not numbers.closed

            def take():
                ready.wait()
                try:
                    capsules.append(numbers.capsule())
                except ValueError:
                    assert numbers.closed

            in_threads(close, take)
            assert not capsules or not numbers.closed
            capsules.clear()


def test_two_threads_can_close_beside_a_flush():
    for _ in range(40):
        with being_flushed() as numbers:
            in_threads(numbers.close, numbers.close, numbers.close)
            assert numbers.closed


@pytest.mark.parametrize("kind", [array.array, mmaparray])
def test_bytes_do_not_come_from_wider_elements(kind):
    numbers = kind("b", [1])
    for wider in (array.array("i", [1, 2]), mmaparray("i", [1, 2])):
        with pytest.raises(TypeError, match="bytes-like"):
            numbers.frombytes(wider)
    numbers.frombytes(array.array("B", [2]))
    assert numbers.tolist() == [1, 2]


def test_a_list_changes_while_it_is_appended():
    # Without a GIL, elements that the list gives up were read after their end.
    python(
        """
        import threading, time
        from mmap_backed_array import mmaparray

        class Number:
            def __index__(self):
                return 1

        values = []
        end = time.monotonic() + 2

        def change():
            while time.monotonic() < end:
                values[:] = [Number() for _ in range(100)]

        def append():
            numbers = mmaparray("i")
            while time.monotonic() < end:
                try:
                    numbers.fromlist(values)
                except RuntimeError:
                    pass
                numbers.clear()

        threads = [threading.Thread(target=target) for target in (change, append, append)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        """
    )


def test_an_array_shrinks_while_it_is_extended_by_itself():
    # Without a GIL, memory was read that the mmap object had given up.
    python(
        """
        import array, mmap, tempfile, threading, time
        from mmap_backed_array import mmaparray

        end = time.monotonic() + 2
        errors = []
        with tempfile.TemporaryFile() as file:
            file.truncate(4096)
            numbers = mmaparray("i", mmap=mmap.mmap(file.fileno(), 4096))

            def double():
                while time.monotonic() < end:
                    numbers.extend(numbers)
                    numbers[0:0] = numbers
                    if len(numbers) > 200_000:
                        del numbers[1000:]

            def cut():
                while time.monotonic() < end:
                    del numbers[10:]
                    numbers.extend(array.array("i", [7]) * 300_000)

            def run(function):
                try:
                    function()
                except ValueError:  # closed, as it seems to others while the mmap object resizes
                    pass

            threads = [threading.Thread(target=run, args=(target,)) for target in (double, cut, cut)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        """
    )


def test_a_child_of_who_holds_the_lock_gives_its_own_back():
    python(
        """
        import os, tempfile
        import mmap_backed_array

        with tempfile.TemporaryDirectory() as directory:
            numbers = mmap_backed_array.open(directory + "/numbers", "i", "x")
            read, write = os.pipe()
            with numbers.lock():
                child = os.fork()
                if child == 0:
                    os.read(read, 1)
                    with numbers.lock(timeout=10):
                        numbers.append(1)
                    kept = numbers.locked
                    numbers.append(2)
                    with numbers.lock():
                        numbers.append(3)
                    os._exit(kept or numbers.locked)
            os.write(write, b"x")
            assert os.waitpid(child, 0)[1] == 0, "the child kept the lock"
            numbers.refresh()
            assert numbers.tolist() == [1, 2, 3]
            numbers.close()
            os.close(read)
            os.close(write)
        """
    )


def test_an_array_that_cannot_become_shorter_is_as_it_was(place):
    """There is no room for a footer, and somebody else has the file open."""
    python(
        """
        import array, resource, sys
        import mmap_backed_array
        with mmap_backed_array.open(sys.argv[1], "Q", "w+") as a:
            a.extend(range(8192))
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192 * 8, 8192 * 8))
        a, reader = mmap_backed_array.open(sys.argv[1], "Q", "r+"), mmap_backed_array.open(sys.argv[1], "Q")
        for call in (
            a.pop,
            a.clear,
            lambda: a.pop(7),
            lambda: a.remove(7),
            lambda: a.__delitem__(slice(2, 5)),
            lambda: a.__delitem__(slice(None, None, 2)),
            lambda: a.__delitem__(slice(8000, 7, -3)),
            lambda: a.__setitem__(slice(2, 5), array.array("Q", [1])),
            lambda: a.__setitem__(slice(None, None, 3), array.array("Q")),
            lambda: a.__imul__(0),
        ):
            try:
                call()
                raise AssertionError
            except OSError:
                pass
            assert a.tolist() == reader.tolist() == list(range(8192))
        reader.close()
        del a[::2]
        assert a.tolist() == list(range(1, 8192, 2))
        """,
        place / "array",
    )
