"""Where arrays come from: paths, permissions, named shared memory, descriptors, and what is refused there."""

import array
import errno
import fcntl
import mmap
import os
import pathlib
import tempfile

import pytest

import mmap_backed_array
from conftest import python
from mmap_backed_array import mmaparray


def write(path, values):
    path.write_bytes(array.array("I", values).tobytes())
    return path


# Paths and permissions.


def test_paths_of_every_kind_name_the_same_file(place, monkeypatch):
    write(place / "array", [5])
    monkeypatch.chdir(place)
    for path in ("array", b"array", pathlib.Path("array"), place / "array", os.fsencode(place / "array"), "./array"):
        with mmap_backed_array.open(path, "I") as a:
            assert a.tolist() == [5]
            assert a.name == str(place / "array")
    with mmap_backed_array.open(b"\xff", "I", "x") as a:
        assert os.fsencode(a.name) == os.fsencode(place) + b"/\xff"
    with pytest.raises(FileNotFoundError) as caught:
        mmap_backed_array.open("missing", "I")
    assert caught.value.filename == str(place / "missing")
    with pytest.raises(FileNotFoundError) as caught:
        mmap_backed_array.open("", "I")
    assert caught.value.filename == ""


def test_permissions_of_a_new_file_go_through_the_umask(place):
    before = os.umask(0o027)
    try:
        for number, (wanted, got) in enumerate(((None, 0o640), (0o600, 0o600), (0o777, 0o750))):
            path = place / str(number)
            mmap_backed_array.open(path, "I", "w+", permissions=wanted).close()
            assert path.stat().st_mode & 0o7777 == got
            mmap_backed_array.open(path, "I", "a+", permissions=0o666).close()
            assert path.stat().st_mode & 0o7777 == got
    finally:
        os.umask(before)
    for wrong, error in ((0, ValueError), (0o10000, ValueError), (-1, OverflowError), ("rw", TypeError)):
        with pytest.raises(error):
            mmap_backed_array.open(place / "none", "I", "w+", permissions=wrong)
        assert not (place / "none").exists()


def test_a_file_that_could_not_be_made_and_opened_is_not_there(place, shm_name):
    path = place / "array"
    with pytest.raises(MemoryError):
        mmap_backed_array.open(path, "i", "x", reservation=1 << 60)
    assert not path.exists()
    mmap_backed_array.open(path, "i", "x").close()
    for mode in ("x", "w+", "a+", "r+"):
        with pytest.raises((MemoryError, FileExistsError)):
            mmap_backed_array.open(path, "i", mode, reservation=1 << 60)
        assert path.exists()


def test_what_is_no_regular_file_is_refused_at_once(place):
    os.mkfifo(place / "fifo")
    for path, error, number in (
        (place, IsADirectoryError, errno.EISDIR),
        (place / "fifo", OSError, errno.ENODEV),
        ("/dev/zero", OSError, errno.ENODEV),
        (place / "fifo" / "below", NotADirectoryError, errno.ENOTDIR),
    ):
        for mode in ("r", "r+", "a+", "c"):
            with pytest.raises(error) as caught:
                mmap_backed_array.open(path, "I", mode)
            assert (caught.value.errno, caught.value.filename) == (number, str(path))


def test_a_file_of_somebody_else_is_refused(place):
    path = write(place / "array", [1])
    path.chmod(0)
    python(
        """
        import errno, os, sys, mmap_backed_array
        if os.geteuid() == 0:
            os.seteuid(65534)
        for mode in ("r", "r+", "w+", "a+", "c"):
            try:
                mmap_backed_array.open(sys.argv[1], "I", mode)
            except PermissionError as error:
                assert (error.errno, error.filename) == (errno.EACCES, sys.argv[1])
            else:
                raise AssertionError(mode)
        """,
        path,
    )


def test_senseless_arguments_are_refused_and_make_no_file(place):
    path = place / "array"
    for arguments, keywords, error in (
        ((path,), {}, TypeError),
        ((path, "I", "w"), {}, ValueError),
        ((path, "I", ""), {}, ValueError),
        ((path, "I", None), {}, TypeError),
        ((path, "y", "w+"), {}, ValueError),
        ((path, "II", "w+"), {}, TypeError),
        ((path, b"I", "w+"), {}, TypeError),
        ((5, "I", "w+"), {}, TypeError),
        ((f"{path}\0", "I", "w+"), {}, ValueError),
        ((path, "I", "r"), {"exact": True}, ValueError),
        ((path, "I", "c"), {"exact": True}, ValueError),
        ((path, "I", "w+"), {"other": 1}, TypeError),
    ):
        with pytest.raises(error):
            mmap_backed_array.open(*arguments, **keywords)
    assert list(place.iterdir()) == []


def test_a_subclass_opens_as_itself(place):
    class Table(mmaparray):
        pass

    with Table.open(place / "array", "I", "w+") as a:
        assert type(a) is Table


# Named shared memory.


def test_named_memory_lasts_until_it_is_unlinked(shm_name):
    with pytest.raises(FileNotFoundError) as caught:
        mmap_backed_array.shm(shm_name, "I")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOENT, shm_name)
    with mmap_backed_array.shm(shm_name, "I", "x") as a:
        a.extend([1, 2])
        assert (a.name, a.mode) == (shm_name, "x")
        assert os.fstat(a.fileno()).st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        mmap_backed_array.shm(shm_name, "I", "x")
    with mmap_backed_array.shm("/" + shm_name, "I") as b:
        assert (b.tolist(), b.readonly) == ([1, 2], True)
        mmap_backed_array.shm_unlink(shm_name)
        assert b.tolist() == [1, 2]
    with pytest.raises(FileNotFoundError) as caught:
        mmap_backed_array.shm_unlink(shm_name)
    assert caught.value.filename == shm_name
    for name, error in (("a/b", OSError), ("", OSError), ("x" * 300, OSError), (b"x", TypeError), ("a\0", ValueError)):
        with pytest.raises(error):
            mmap_backed_array.shm(name, "I", "w+")


def test_named_memory_is_shared_with_another_process(shm_name):
    with mmap_backed_array.shm(shm_name, "d", "w+") as a:
        a.extend([0.5, 1.5])
        a.unlock()
        python(
            """
            import sys, mmap_backed_array
            with mmap_backed_array.shm(sys.argv[1], "d", "r+") as a:
                a[0] = 7.0
                a.append(2.5)
            """,
            shm_name,
        )
        a.refresh()
        assert a.tolist() == [7.0, 1.5, 2.5]


# Descriptors.


def test_a_descriptor_stays_the_callers_own(place):
    fd = os.memfd_create("array")
    with mmap_backed_array.from_fd(fd, "I") as a:
        a.extend([1, 2, 3])
        assert (a.name, a.mode) == (None, "r+")
        assert a.fileno() != fd and not os.get_inheritable(a.fileno())
    assert os.fstat(fd).st_size == 12
    for mode in ("r", "c"):
        with mmap_backed_array.from_fd(fd, "I", mode) as a:
            assert (a.tolist(), a.readonly) == ([1, 2, 3], mode == "r")
    os.close(fd)
    with mmaparray("I", [4, 5]) as a, mmap_backed_array.from_fd(a, "I") as b:  # whatever has a fileno()
        a[0] = 9
        assert b.tolist() == [9, 5]


def test_a_file_object_gives_its_descriptor_and_its_right_to_write(place):
    path = write(place / "array", [1])
    with open(path, "rb") as file:
        with pytest.raises(PermissionError):
            mmap_backed_array.from_fd(file, "I")
        with mmap_backed_array.from_fd(file, "I", "r") as a:
            assert a.tolist() == [1]
    with open(path, "ab") as file, pytest.raises(OSError):
        mmap_backed_array.from_fd(file, "I", "r")
    with open(path, "r+b") as file:
        fcntl.fcntl(file, fcntl.F_SETFL, os.O_APPEND)
        with mmap_backed_array.from_fd(file, "I") as a:
            a[:] = array.array("I", range(20_000))
    assert path.read_bytes() == array.array("I", range(20_000)).tobytes()


def test_what_is_no_descriptor_is_refused():
    reading, writing = os.pipe()
    for fd, error in ((reading, OSError), (10**6, OSError), (-1, ValueError), ("x", TypeError), (None, TypeError)):
        with pytest.raises(error):
            mmap_backed_array.from_fd(fd, "I", "r")
    for mode in ("w+", "a+", "x", "z"):
        with pytest.raises(ValueError):
            mmap_backed_array.from_fd(reading, "I", mode)
    os.close(reading)
    os.close(writing)
    with tempfile.TemporaryFile() as file:
        file.truncate(4096)
        with mmap.mmap(file.fileno(), 0) as memory, mmaparray("I", mmap=memory) as a:
            with pytest.raises(OSError, match="no descriptor"):
                a.fileno()
