"""A Python process with faulthandler, and the guard on. Arguments: the library, a directory, a scenario."""

import array
import ctypes
import faulthandler
import mmap
import os
import subprocess
import sys
import threading

ETRUNCATED = -110
LEN = 50_000

library, directory, scenario = sys.argv[1:]
mba = ctypes.CDLL(library)
mba.mba_data_ptr.restype = ctypes.c_void_p


def check(code, expected=0):
    assert code == expected, code


def make(name):
    path = os.path.join(directory, name)
    with open(path, "wb") as file:
        array.array("I", range(1, LEN + 1)).tofile(file)
    return path


def open_array(path):
    handle = ctypes.c_void_p()
    check(mba.mba_open(path.encode(), ord("I"), 1, ctypes.byref(handle)))
    view = (ctypes.c_uint32 * LEN).from_address(mba.mba_data_ptr(handle))
    return handle, memoryview(view).cast("B").cast("I")


def ours(kept):
    """Threads read an array of ours that is truncated."""
    path = make(f"ours-{kept}")
    handle, elements = open_array(path)
    os.truncate(path, 4 * kept)
    right = list(range(1, kept + 1)) + [0] * (LEN - kept)
    wrong = []

    def read():
        if elements.tolist() != right:
            wrong.append(kept)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    check(mba.mba_get(handle, 0, ctypes.byref(ctypes.c_uint32())), ETRUNCATED)
    check(mba.mba_append(handle, ctypes.byref(ctypes.c_uint32(5))), ETRUNCATED)
    del elements
    check(mba.mba_close(handle), ETRUNCATED)


def many():
    for kept in range(0, LEN, 5003):
        ours(kept)
    # A child, by fork, has the guard as well.
    child = os.fork()
    if child == 0:
        ours(17)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    subprocess.run([sys.executable, "-c", ""], check=True)


def elsewhere():
    """Python's own map of a file that is truncated: it ends the process, and faulthandler says where."""
    path = make("own")
    with open(path, "r+b") as file:
        own = mmap.mmap(file.fileno(), 0)
        os.truncate(path, 0)
        print("now", flush=True)
        own[LEN]


if scenario == "guard-after":
    faulthandler.enable()
    check(mba.mba_guard_enable())
    many()
    elsewhere()
elif scenario == "guard-again":
    check(mba.mba_guard_enable())
    faulthandler.enable()
    check(mba.mba_guard_enable())
    many()
    elsewhere()
elif scenario == "unloaded":
    # The library is given back, and stays all the same, since its handler is still there.
    faulthandler.enable()
    check(mba.mba_guard_enable())
    import _ctypes

    _ctypes.dlclose(mba._handle)
    elsewhere()
elif scenario == "disabled":
    faulthandler.enable()
    check(mba.mba_guard_enable())
    many()
    check(mba.mba_guard_disable())
    elsewhere()
elif scenario == "faulthandler-off":
    faulthandler.enable()
    check(mba.mba_guard_enable())
    faulthandler.disable()  # puts back what it found: our handler is gone, and can be asked for anew
    check(mba.mba_guard_enable())
    many()
    elsewhere()
