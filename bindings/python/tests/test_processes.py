"""Several processes, and several languages, on one array."""

import ctypes
import os
import signal
import subprocess
import sys
import textwrap

import pytest

import mmap_backed_array
from conftest import PLACES
from mmap_backed_array import mmaparray

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")


def start(code, *arguments):
    """A Python process that is talked to by lines."""
    return subprocess.Popen(
        [sys.executable, "-X", "dev", "-c", textwrap.dedent(code), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def ask(process, line=""):
    process.stdin.write(line + "\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def finish(process):
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_another_process_sees_elements_at_once_and_the_length_after_a_refresh(place):
    with mmap_backed_array.open(place / "a", "i", "x") as array:
        array.extend([1, 2, 3])
        reader = start(
            """
            import sys, mmap_backed_array
            array = mmap_backed_array.open(sys.argv[1], "i")
            view = memoryview(array)
            for line in sys.stdin:
                if line == "refresh\\n":
                    array.refresh()
                print(len(view), view[0], array.tolist(), flush=True)
            """,
            place / "a",
        )
        assert ask(reader) == "3 1 [1, 2, 3]"
        array[0] = 10
        array.append(4)
        assert ask(reader) == "3 10 [10, 2, 3]"
        assert ask(reader, "refresh") == "3 10 [10, 2, 3, 4]"
        finish(reader)


def test_one_process_at_a_time_changes_the_length(place):
    array = mmap_backed_array.open(place / "a", "i", "x")
    array.append(1)
    other = start(
        """
        import sys, mmap_backed_array
        array = mmap_backed_array.open(sys.argv[1], "i", "r+")
        for line in sys.stdin:
            before = array.tolist()
            try:
                array.append(2)
            except BlockingIOError as error:
                assert array.tolist() == before
                print("busy", error.filename, flush=True)
            else:
                array.unlock()
                print(array.tolist(), flush=True)
        """,
        place / "a",
    )
    assert ask(other) == f"busy {place / 'a'}"
    array.unlock()
    assert ask(other) == "[1, 2]"
    array.append(3)
    assert array.tolist() == [1, 2, 3]
    assert ask(other).startswith("busy")
    array.close()
    assert ask(other) == "[1, 2, 3, 2]"
    finish(other)


@pytest.mark.parametrize("exact", [False, True])
def test_a_killed_writer_loses_nothing_that_it_had_appended(place, exact):
    """What it acknowledged is there, and nothing beyond what it was about to append; the next one gets in."""
    for _ in range(5):
        writer = start(
            """
            import sys, mmap_backed_array
            with mmap_backed_array.open(sys.argv[1], "I", "a+", exact=sys.argv[2] == "True") as array:
                count = len(array)
                while True:
                    array.append(count)
                    count += 1
                    if count % 64 == 0:
                        sys.stdout.write(f"{count}\\n")
                        sys.stdout.flush()
            """,
            place / "a",
            exact,
        )
        acknowledged = [int(writer.stdout.readline()) for _ in range(100)][-1]
        writer.send_signal(signal.SIGKILL)
        acknowledged = max([acknowledged, *map(int, writer.stdout.read().split())])
        writer.communicate()
        with mmap_backed_array.open(place / "a", "I", "r+") as array:
            array.append(len(array))
            assert acknowledged < len(array) <= acknowledged + 65
            assert array.tolist() == list(range(len(array)))
    assert os.path.getsize(place / "a") == 4 * len(mmap_backed_array.open(place / "a", "I"))


@pytest.mark.parametrize("make", [lambda place: mmaparray("i"), lambda place: mmap_backed_array.open(place / "a", "i", "x")])
def test_a_forked_child_shares_the_memory_and_not_the_lock(place, make):
    array = make(place)
    array.append(1)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            array[0] = 2
            try:
                array.append(3)
            except BlockingIOError:
                status = 0
            array.close()
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert array.locked
    array.append(4)
    assert array.tolist() == [2, 4]
    array.close()


def test_a_child_that_ends_leaves_the_parents_array_alone(place):
    """Also one that ends as programs do, by letting go of all objects."""
    code = """
        import os, sys, mmap_backed_array
        array = mmap_backed_array.open(sys.argv[1], "i", "x")
        array.extend(range(1000))
        child = os.fork()
        if child == 0:
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert array.locked
        assert os.path.getsize(sys.argv[1]) > 4000
        array.append(1)
        array.close()
        assert os.path.getsize(sys.argv[1]) == 4004
    """
    process = start(code, place / "a")
    finish(process)


def test_an_array_in_python_is_an_array_in_c(place):
    """The C interface that comes with the package, through ctypes, and mmaparray: two handles of one file."""
    library = ctypes.CDLL(mmap_backed_array.get_library())
    library.mba_data_ptr.restype = ctypes.c_void_p
    library.mba_len.restype = ctypes.c_size_t
    with mmap_backed_array.open(place / "a", "I", "x") as array:
        array.extend(range(1000))
        array.unlock()
        handle = ctypes.c_void_p()
        path = os.fsencode(place / "a")
        assert library.mba_open(path, ord("I"), 1, ctypes.byref(handle)) == 0
        assert library.mba_len(handle) == 1000
        elements = (ctypes.c_uint32 * 1000).from_address(library.mba_data_ptr(handle))
        assert list(elements) == array.tolist()
        elements[7] = 70
        array[8] = 80
        assert array[7] == 70 and elements[8] == 80
        assert library.mba_append(handle, ctypes.byref(ctypes.c_uint32(1000))) == 0
        with pytest.raises(BlockingIOError):
            array.append(1001)
        assert library.mba_close(handle) == 0
        array.append(1001)
        assert array[-2:].tolist() == [1000, 1001]


def test_readers_of_one_file_share_its_pages(tmp_path):
    """Eight processes that have read it hold it once: the sum of what each has of it, divided fairly, is its size."""
    path = tmp_path / "table"
    with mmap_backed_array.open(path, "Q", "x") as table:
        chunk = mmaparray("Q", range(1 << 17))
        for _ in range(16):
            table.extend(chunk)
        size = len(table) * 8
    readers = [
        start(
            """
            import sys, mmap_backed_array
            table = mmap_backed_array.open(sys.argv[1], "Q")
            print(sum(memoryview(table)[::512]), flush=True)
            for line in sys.stdin:
                rss = pss = 0
                inside = False
                for line in open("/proc/self/smaps"):
                    words = line.split()
                    if "-" in words[0]:
                        inside = words[-1] == sys.argv[1]
                    elif inside and words[0] in ("Rss:", "Pss:"):
                        rss += words[0] == "Rss:" and int(words[1])
                        pss += words[0] == "Pss:" and int(words[1])
                print(rss * 1024, pss * 1024, flush=True)
            """,
            path,
        )
        for _ in range(8)
    ]
    assert len({process.stdout.readline() for process in readers}) == 1
    figures = [tuple(map(int, ask(process).split())) for process in readers]
    for process in readers:
        finish(process)
    assert all(rss == size for rss, _ in figures)
    assert sum(pss for _, pss in figures) <= size * 1.01


@pytest.mark.parametrize("directory", PLACES)
def test_a_cut_file_is_said_where_a_call_can_notice(directory, tmp_path_factory):
    path = os.path.join(directory, f"cut-{os.getpid()}")
    try:
        with mmap_backed_array.open(path, "i", "x") as array:
            array.extend(range(100_000))
            os.truncate(path, 4096)
            with pytest.raises(mmap_backed_array.FileStateError) as caught:
                array.reserve(10_000_000)
            assert caught.value.errno == mmap_backed_array.ETRUNCATED
            assert caught.value.filename == path
            with pytest.raises(mmap_backed_array.FileStateError):
                array.close()
            assert array.closed
        assert os.path.getsize(path) == 4096
    finally:
        os.unlink(path)
