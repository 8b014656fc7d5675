"""Pickling: by name where there is one, by descriptor between processes of multiprocessing, else by value."""

import concurrent.futures
import copy
import multiprocessing
import os
import pickle
import pickletools
import subprocess
import sys

import pytest

import mmap_backed_array
import workers
from conftest import python, standard_codes
from mmap_backed_array import mmaparray
from typecodes import TYPES, samples

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
METHODS = ["fork", "forkserver", "spawn"]
pytestmark = pytest.mark.filterwarnings(
    "ignore:The 'u' type code:DeprecationWarning",
    # Of Python 3.12 and later, since test runners may have threads.
    "ignore:This process .* is multi-threaded, use of fork:DeprecationWarning",
)


class Named(mmaparray):
    """A subclass with a state of its own."""

    label = None


@pytest.fixture
def table(place):
    path = place / "table"
    with mmap_backed_array.open(path, "Q", "w+") as array:
        array.extend(range(1 << 17))
    return path


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("code", mmap_backed_array.typecodes)
def test_an_anonymous_array_goes_by_value(code, protocol):
    original = mmaparray(code, samples(code))
    again = pickle.loads(pickle.dumps(original, protocol))
    assert type(again) is mmaparray
    assert (again.typecode, again.tobytes(), again.mode) == (original.typecode, original.tobytes(), "r+")


class Ints(mmaparray):
    """A subclass with a constructor of its own."""

    def __new__(cls, values):
        return super().__new__(cls, "i", values)


@pytest.mark.parametrize("protocol", [protocol for protocol in PROTOCOLS if protocol >= 3])
def test_a_subclass_with_a_constructor_of_its_own_goes_by_value(protocol):
    again = pickle.loads(pickle.dumps(Ints([1, 2]), protocol))
    assert type(again) is Ints and again.tolist() == [1, 2]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_copy_by_value_shares_nothing(protocol):
    original = mmaparray("i", [1, 2])
    again = pickle.loads(pickle.dumps(original, protocol))
    again[0] = 7
    again.append(8)
    assert original.tolist() == [1, 2]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("mode", ["r", "r+"])
def test_a_file_goes_by_path_type_and_mode(table, mode, protocol):
    with mmap_backed_array.open(table, "Q", mode) as original:
        sent = pickle.dumps(original, protocol)
        assert len(sent) < 300
        with pickle.loads(sent) as again:
            assert workers.describe(again) == workers.describe(original)
            assert again.readonly == (mode == "r")
            if mode == "r+":
                again[0] = 77
                assert original[0] == 77


def test_a_file_that_was_made_is_opened_and_not_emptied(place):
    for mode in ["w+", "x", "a+"]:
        with mmap_backed_array.open(place / mode, "i", mode) as original:
            original.extend([1, 2, 3])
            with pickle.loads(pickle.dumps(original)) as again:
                assert again.mode == "r+"
                assert again.tolist() == [1, 2, 3]


def test_a_relative_path_is_found_from_elsewhere(place, monkeypatch):
    monkeypatch.chdir(place)
    with mmap_backed_array.open("here", "i", "x") as original:
        original.append(5)
        sent = pickle.dumps(original)
    monkeypatch.chdir("/")
    with pickle.loads(sent) as again:
        assert again.tolist() == [5]


def test_an_exact_array_stays_exact(place):
    with mmap_backed_array.open(place / "exact", "H", "x", exact=True) as original:
        original.append(1)
        sent = pickle.dumps(original)
    with pickle.loads(sent) as again:
        again.append(2)
        assert os.path.getsize(place / "exact") == 4


def test_named_shared_memory_goes_by_name(shm_name):
    with mmap_backed_array.shm(shm_name, "d", "x") as original:
        original.extend([0.5] * 10_000)
        sent = pickle.dumps(original)
        assert len(sent) < 300
        with pickle.loads(sent) as again:
            again[3] = 1.5
            assert original[3] == 1.5


def test_copy_on_write_goes_by_name_until_it_is_written(table):
    with mmap_backed_array.open(table, "Q", "c") as original:
        with pickle.loads(pickle.dumps(original)) as again:
            assert again.mode == "c"
        original[5] = 1000
        with pickle.loads(pickle.dumps(original)) as again:
            assert (again.mode, again[5], again[6], len(again)) == ("r+", 1000, 6, len(original))
    with mmap_backed_array.open(table, "Q", "c") as original:
        memoryview(original)[5] = 1000
        with pickle.loads(pickle.dumps(original)) as again:
            assert again[5] == 1000


def test_a_name_that_is_gone_is_said(table):
    with mmap_backed_array.open(table, "Q") as original:
        sent = pickle.dumps(original)
    table.unlink()
    with pytest.raises(FileNotFoundError):
        pickle.loads(sent)


def test_a_closed_array_does_not_pickle(table):
    array = mmap_backed_array.open(table, "Q")
    array.close()
    with pytest.raises(ValueError, match="closed"):
        pickle.dumps(array)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_subclass_keeps_its_class_and_its_state(table, protocol):
    for original in (Named("i", [1, 2]), Named.open(table, "Q")):
        original.label = ["x"]
        again = pickle.loads(pickle.dumps(original, protocol))
        assert type(again) is Named and again.label == ["x"]
        assert again[:2] == original[:2]
        again.close()
        original.close()


def test_copies_are_anonymous_and_their_own(table):
    with mmap_backed_array.open(table, "Q") as original:
        for copied in (copy.copy(original), copy.deepcopy(original), copy.deepcopy([original])[0]):
            assert copied.name is None and not copied.readonly
            assert copied == original
            copied[0] = 99
            assert original[0] == 0


@pytest.mark.parametrize("code", [code for code in standard_codes() if TYPES[code].kind != "text"])
def test_pickles_of_array_array_are_read_as_arrays_of_ours(code):
    """The reconstructor takes the same machine formats; one of the other byte order is turned around."""
    import array

    values = samples(code)
    theirs = array.array(code, values)
    function, arguments = theirs.__reduce_ex__(3)[:2]
    _, theirs_code, number, items = arguments
    ours = mmap_backed_array._array_reconstructor(mmaparray, theirs_code, number, items)
    assert ours.tobytes() == theirs.tobytes()
    if number not in (0, 1, 18, 20):
        theirs.byteswap()
        turned = mmap_backed_array._array_reconstructor(mmaparray, code, number + 1, theirs.tobytes())
        assert turned == ours


def test_a_pickle_names_the_package_only(table):
    """So that what is inside the package can be moved without breaking pickles that lie about."""
    with mmap_backed_array.open(table, "Q") as named:
        pickles = [pickle.dumps(each, protocol) for each in (named, mmaparray("i", [1])) for protocol in PROTOCOLS]
    for sent in pickles:
        names = [argument for _, argument, _ in pickletools.genops(sent) if isinstance(argument, str)]
        for name in names:
            for word in name.split():
                assert not word.startswith("mmap_backed_array._"), name


@pytest.mark.parametrize("method", METHODS)
def test_an_anonymous_array_travels_by_its_descriptor(method):
    """The worker stores into the very memory of this process: as an argument of a process, and through a queue."""
    context = multiprocessing.get_context(method)
    array = mmaparray("q", range(100_000))
    here, there = context.Pipe()
    process = context.Process(target=workers.wait_and_store, args=(array, there))
    process.start()
    there.close()
    here.send((2, -5))
    assert here.recv() == [0, 1, -5, 3]
    assert array[2] == -5
    array[3] = -6
    here.send((0, -7))
    assert here.recv() == [-7, 1, -5, -6]
    here.send(None)
    process.join(60)
    assert process.exitcode == 0
    assert array[:4].tolist() == [-7, 1, -5, -6]


@pytest.mark.parametrize("method", METHODS)
def test_pools_get_arrays_without_a_copy(method, table, shm_name):
    context = multiprocessing.get_context(method)
    with (
        mmap_backed_array.open(table, "Q", "r+") as file,
        mmap_backed_array.shm(shm_name, "Q", "x") as shared,
        mmaparray("Q", range(1 << 17)) as anonymous,
        concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool,
    ):
        shared.extend(file)
        for number, array in enumerate((file, shared, anonymous)):
            worker = pool.submit(workers.store, array, 10 + number, 1234).result(60)
            assert worker != os.getpid()
            assert array[10 + number] == 1234
            described = pool.submit(workers.describe, array).result(60)
            assert described[0] == "mmaparray" and described[5] == 1 << 17
        assert pool.submit(workers.describe, file).result(60)[2:4] == ("r+", str(table))


@pytest.mark.parametrize("method", METHODS)
def test_a_subclass_travels_too(method):
    context = multiprocessing.get_context(method)
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool, Named("i", [1, 2, 3]) as array:
        pool.submit(workers.store, array, 0, 9).result(60)
        assert array[0] == 9
        assert pool.submit(workers.describe, array).result(60)[0] == "Named"


@pytest.mark.parametrize("method", METHODS)
def test_a_read_only_array_stays_so_in_the_worker(method, table):
    context = multiprocessing.get_context(method)
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        with mmap_backed_array.open(table, "Q") as array:
            with pytest.raises(TypeError, match="read-only"):
                pool.submit(workers.store, array, 0, 1).result(60)


@pytest.mark.parametrize("method", METHODS)
def test_workers_take_turns_at_appending(method):
    """Two workers and this process append to one anonymous array, each under the growth lock."""
    context = multiprocessing.get_context(method)
    with mmaparray("i") as array:
        processes = [
            context.Process(target=workers.append_under_lock, args=(array, value, 300)) for value in (1, 2)
        ]
        for process in processes:
            process.start()
        workers.append_under_lock(array, 3, 300)
        for process in processes:
            process.join(60)
            assert process.exitcode == 0
        array.refresh()
        assert len(array) == 900
        assert [array.count(value) for value in (1, 2, 3)] == [300, 300, 300]


def test_what_is_sent_ends_with_its_processes():
    """No descriptor stays behind here."""
    python(
        """
        import multiprocessing, os, sys
        from mmap_backed_array import mmaparray
        import workers

        if __name__ == "__main__":
            context = multiprocessing.get_context("fork")
            def once():
                with mmaparray("i", [1, 2, 3]) as array:
                    process = context.Process(target=workers.store, args=(array, 0, 5))
                    process.start()
                    process.join()
                    assert array[0] == 5
            once()
            before = sorted(os.listdir("/proc/self/fd"))
            for _ in range(10):
                once()
            assert sorted(os.listdir("/proc/self/fd")) == before
        """,
        env={"PYTHONPATH": os.path.dirname(__file__), "PYTHONWARNINGS": ""},
    )


def test_another_interpreter_unpickles_a_reference(table):
    with mmap_backed_array.open(table, "Q", "r+") as array:
        code = "import pickle, sys; array = pickle.load(sys.stdin.buffer); array[1] = 4321"
        subprocess.run([sys.executable, "-c", code], input=pickle.dumps(array), check=True, timeout=60)
        assert array[1] == 4321
