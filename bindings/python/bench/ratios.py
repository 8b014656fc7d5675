"""Times mmaparray against array.array in the same process, and prints ratios: below 1, mmaparray is faster.

    python bench/ratios.py [rounds]

Each operation is timed for both in turn, many rounds; the ratio is the median of the rounds' ratios. Memory was
touched before.
"""

import array
import os
import statistics
import subprocess
import sys
import tempfile
import time
import timeit

import mmap_backed_array
from mmap_backed_array import mmaparray

SIZE = 100_000


def make(cls, typecode):
    return cls(typecode, [i % 250 for i in range(SIZE)])


# name: (what is done for one measurement, the goal)
STATEMENTS = {
    "a[i]": ("for i in indices: a[i]", 1.0),
    "a[i] = x": ("for i in indices: a[i] = 7", 1.0),
    "append": ("for i in indices: append(7)", 1.0),
    "pop": ("for i in indices: pop()", 1.0),
    "len": ("for i in indices: len(a)", 1.0),
    "for x in a": ("for x in a: pass", 1.0),
    "sum": ("sum(a)", 1.0),
    "list": ("list(a)", 1.0),
    "tolist": ("a.tolist()", 1.0),
    "a[i:i+10]": ("for i in few: a[i:i+10]", 1.0),
    "a[i:i+1000]": ("for i in few: a[i:i+1000]", 1.0),
    "a[:]": ("a[:]", 1.0),
    "a[::2]": ("a[::2]", 1.0),
    "memoryview": ("for i in few: memoryview(a)", 1.0),
    "a == b": ("a == b", 1.0),
    "a < b": ("a < b", 1.0),
    "10 == 10": ("for i in few: small == small2", 1.0),
    "extend": ("touched.extend(a); del touched[SIZE:]", 1.0),
    "count": ("a.count(77)", 0.05),
    "index": ("a.index(255)", 0.05),
}


def timer(cls, statement, typecode):
    a = make(cls, typecode)
    a[-1] = 255  # what index() looks for
    touched = make(cls, typecode)
    touched.extend(a)
    del touched[SIZE:]
    scope = {
        "a": a,
        "b": make(cls, typecode),
        "small": a[:10] if cls is array.array else mmaparray(typecode, a[:10]),
        "small2": a[:10] if cls is array.array else mmaparray(typecode, a[:10]),
        "touched": touched,
        "indices": range(10_000),
        "few": range(1_000),
        "SIZE": SIZE,
    }
    scope["append"], scope["pop"] = a.append, a.pop
    reset = "del a[SIZE:]" if "append" in statement else "pass"
    if "pop" in statement:
        reset = "a.extend(b[: SIZE - len(a)])"
    return timeit.Timer(statement, setup=reset, globals=scope)


def compare(statement, typecode, rounds):
    theirs, ours = timer(array.array, statement, typecode), timer(mmaparray, statement, typecode)
    number = 1
    while min(theirs.timeit(number), ours.timeit(number)) < 5e-4 and number < 1000 and "pop" not in statement:
        number *= 2
    if "append" in statement or "pop" in statement:
        number = 1
    ratios = []
    for _ in range(rounds):
        before = theirs.timeit(number)
        ratios.append(ours.timeit(number) / before)
    return statistics.median(ratios)


def opening(directory, gigabytes=1):
    """Opening a table against reading it with array.fromfile."""
    path = os.path.join(directory, "table")
    count = gigabytes * (1 << 30) // 8
    with mmap_backed_array.open(path, "Q", "w+") as table:
        chunk = array.array("Q", range(1 << 16))
        for _ in range(count // len(chunk)):
            table.extend(chunk)
    start = time.perf_counter()
    read = array.array("Q")
    with open(path, "rb") as file:
        read.fromfile(file, count)
    from_file = time.perf_counter() - start
    del read
    times = []
    for _ in range(20):
        start = time.perf_counter()
        table = mmap_backed_array.open(path, "Q")
        table[count - 1]
        times.append(time.perf_counter() - start)
        table.close()
    opened = statistics.median(times)
    print(f"open a table of {gigabytes} GiB and read an element: {opened * 1e6:.0f} us; array.fromfile: {from_file:.2f} s;"
          f" {from_file / opened:,.0f} times faster")
    sharing(path)


READER = """
import sys, mmap_backed_array
table = mmap_backed_array.open(sys.argv[1], "Q")
total = sum(memoryview(table)[::512])
print(total, flush=True)
sys.stdin.readline()
rss = pss = inside = 0
for line in open("/proc/self/smaps"):
    word = line.split()
    if "-" in word[0] and ":" not in word[0]:
        inside = line.rstrip().endswith(sys.argv[1])
    elif inside and word[0] == "Rss:":
        rss += int(word[1])
    elif inside and word[0] == "Pss:":
        pss += int(word[1])
print(rss, pss, flush=True)
sys.stdin.readline()
"""


def sharing(path, readers=8):
    """Several processes that read one table: each has all of it, together they have it once."""
    processes = [
        subprocess.Popen([sys.executable, "-c", READER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(readers)
    ]
    for process in processes:
        process.stdout.readline()
    rss = pss = 0
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
        each = process.stdout.readline().split()
        rss, pss = rss + int(each[0]), pss + int(each[1])
    for process in processes:
        process.communicate("\n")
    print(f"{readers} processes have read it: Rss {rss / 1024:,.0f} MiB in all, of which {pss / 1024:,.0f} MiB are there "
          "(Pss)")


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    print(f"Python {sys.version.split()[0]}, medians of {rounds} rounds, arrays of {SIZE} elements")
    codes = "IdB"
    print(f"{'':16}" + "".join(f"{code:>8}" for code in codes) + "    goal")
    for name, (statement, goal) in STATEMENTS.items():
        cells = []
        for code in codes:
            cells.append(f"{compare(statement, code, rounds):8.2f}")
        print(f"{name:16}" + "".join(cells) + f"   {goal}", flush=True)
    with tempfile.TemporaryDirectory() as directory:
        opening(directory)


if __name__ == "__main__":
    main()
