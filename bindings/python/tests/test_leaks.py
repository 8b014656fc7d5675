"""A million operations of every kind, also such that fail, leave no reference, no memory, no descriptor, no mapping."""

import json
import pathlib
import sysconfig
import tempfile

import pytest

from conftest import PLACES, python
from mmap_backed_array import mmaparray

HERE = pathlib.Path(__file__).parent


@pytest.fixture
def directory():
    with tempfile.TemporaryDirectory(dir=PLACES[-1]) as directory:
        yield directory


def run(code, *arguments, **environment):
    return python(code, *arguments, env={"PYTHONPATH": str(HERE), **environment})


def test_every_method_is_called():
    source = (HERE / "calls.py").read_text()
    names = [name for name in dir(mmaparray) if not name.startswith("_")]
    assert [name for name in names if f".{name}" not in source and f'"{name}"' not in source] == []


def test_a_million_operations_leave_nothing(directory):
    count, leaks = json.loads(run("import leaks; leaks.main()", directory, "idwcD", PYTHONMALLOC="debug"))
    assert leaks == []
    assert count > 1_000_000


def test_the_measure_sees_every_kind_of_leak():
    code = """
        import ctypes, os
        import calls, leaks
        kept = []
        for call in (
            lambda: kept.append(bytearray(1)),
            lambda: ctypes.pythonapi.Py_IncRef(ctypes.py_object(calls.odd)),
            lambda: kept.append(calls.mmaparray("i")),
            lambda: kept.append(memoryview(b"")),
            lambda: ctypes.CDLL(None).malloc(100),
            lambda: kept.append(os.dup(0)),
        ):
            (_, [[_, _, found]]) = leaks.look("", None, call, 150)
            print(*found)
        """
    lines = [line.split() for line in run(code).splitlines()]
    kinds = ["blocks", "references", "mappings", "objects", "malloc", "descriptors"]
    for line, kind in zip(lines, kinds, strict=True):
        assert kind in line, lines


def test_arrays_that_grew_and_went_give_their_memory_back(directory):
    code = """
        import array, sys
        import mmap_backed_array
        from mmap_backed_array import mmaparray

        def work(times):
            for _ in range(times):
                with mmap_backed_array.open(sys.argv[1] + "/array", "q", "w+") as a:
                    a.extend(numbers)
                    del a[1000:]
                b = mmaparray("q", numbers)
                b.extend(b)
                b.clear()
                c = b + numbers
                c *= 2
                with memoryview(c) as view:
                    c.append(1)
                del c[::2]

        def sizes():
            with open("/proc/self/status") as file:
                lines = dict(line.split(":", 1) for line in file)
            return [int(lines[name].split()[0]) * 1024 for name in ("VmRSS", "VmData", "VmSize")]

        numbers = array.array("q", range(50_000))
        work(20)
        before = sizes()
        work(200)
        print(*(new - old for old, new in zip(before, sizes())))
        """
    # One array that stays is 400 kB of memory and 64 GiB of addresses.
    assert all(int(grown) < 4_000_000 for grown in run(code, directory).split())


def test_all_calls_run_clean_where_every_block_is_checked(directory):
    code = """
        import sys
        import calls
        for code in "ifwcD":
            a = calls.start(code)
            for call in calls.changing(a) + calls.looking(a) + calls.failures(a):
                calls.repeat(a, call, 20)
            for call in calls.makers(code, sys.argv[1]):
                calls.repeat(None, call, 10)
        """
    # Without a GIL Python has an allocator of its own only.
    allocator = "debug" if sysconfig.get_config_var("Py_GIL_DISABLED") else "malloc_debug"
    run(code, directory, PYTHONMALLOC=allocator, MALLOC_PERTURB_="165", MALLOC_CHECK_="3")
