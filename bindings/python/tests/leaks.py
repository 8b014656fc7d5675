"""What repeated calls leave; test_leaks.py runs this in an interpreter of its own.

    leaks.py directory typecodes

repeats each call, compares what is there before and after, and prints how many operations that were and which leak.
"""

import array
import ctypes
import gc
import json
import mmap
import os
import sys

import calls
import mmap_backed_array
from mmap_backed_array import mmaparray


class MallInfo(ctypes.Structure):
    _names_ = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in _names_.split()]


mallinfo = ctypes.CDLL(None).mallinfo2
mallinfo.restype = MallInfo

gc.collect()
gc.freeze()  # what is there already needs no second look


def measure(objects=()):
    """What there is, and how many references to some objects besides those that all calls touch."""
    gc.collect()
    with open("/proc/self/maps") as file:
        mappings = sum(1 for _ in file)
    malloc = mallinfo()
    return {
        "blocks": sys.getallocatedblocks(),
        "malloc": malloc.uordblks + malloc.hblkhd,
        "objects": len(gc.get_objects()),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "mappings": mappings,
        "references": [sys.getrefcount(each) for each in [*calls.SENTINELS, *objects]],
    }


def grown(before, after, times):
    """What grew by more than chance; a leak grows with the number of calls."""
    margins = {
        "blocks": 50 + times // 4,
        "malloc": 8000 + 8 * times,
        "objects": 20 + times // 100,
        "references": 20 + times // 100,
        "descriptors": 0,
        "mappings": 3,
    }
    result = {}
    for name, margin in margins.items():
        old, new = before[name], after[name]
        growth = max(y - x for x, y in zip(old, new)) if name == "references" else new - old
        if growth > margin:
            result[name] = growth
    return result


def look(name, a, call, times):
    """Repeats a call; returns how many operations that were, and what leaks."""
    count = calls.repeat(a, call, 20)
    touched = [cell.cell_contents for cell in call.__closure__ or ()] + list(call.__defaults__ or ())
    for _ in range(2):  # the second time for what is made once and for all
        before = measure(touched)
        count += calls.repeat(a, call, times)
        found = grown(before, measure(touched), times)
        if not found:
            return count, []
    return count, [[name, call.__code__.co_firstlineno, found]]


def subjects(directory):
    """Arrays in all kinds of memory: name, array, how often to call."""
    for code in sys.argv[2]:
        yield f"anonymous {code}", calls.start(code), 1500
    with mmap_backed_array.open(os.path.join(directory, "exact"), "i", "w+", exact=True) as a:
        a.extend(range(10))
        yield "exact", a, 150
    memory = mmap.mmap(-1, 40, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    a = mmaparray("i", mmap=memory)
    a[:] = array.array("i", range(10))
    yield "mmap", a, 400


def main():
    directory = sys.argv[1]
    count, leaks = 0, []
    for name, a, times in subjects(directory):
        for call in calls.changing(a) + calls.looking(a) + calls.failures(a):
            more, found = look(name, a, call, times)
            assert len(a) == 10, (name, call.__code__.co_firstlineno)
            count += more
            leaks += found
    for code in sys.argv[2]:
        for call in calls.makers(code, directory):
            more, found = look(f"making {code}", None, call, 150)
            count += more
            leaks += found
    closed = calls.start("i")
    of_closed = calls.changing(closed) + calls.looking(closed) + calls.failures(closed)
    closed.close()
    for call in of_closed:
        more, found = look("closed", None, call, 150)
        count += more
        leaks += found
    print(json.dumps([count, leaks]))


if __name__ == "__main__":
    main()
