"""Threads on one array: every call is whole, whether the interpreter has a GIL or not."""

import random
import threading

import pytest

import mmap_backed_array
from mmap_backed_array import mmaparray

THREADS = 4


@pytest.fixture(params=["anonymous", "file", "exact"])
def array(request, place):
    if request.param == "anonymous":
        made = mmaparray("q")
    else:
        made = mmap_backed_array.open(place / "a", "q", "x", exact=request.param == "exact")
    yield made
    made.close()


def together(*works):
    """Runs them in threads that start at once; an exception in one of them is the test's."""
    barrier = threading.Barrier(len(works))
    failures = []

    def run(work):
        barrier.wait()
        try:
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    if failures:
        raise failures[0]


def test_appends_of_all_threads_are_there_once(array):
    def work(number):
        def append():
            for i in range(2000):
                if i % 3 == 0:
                    array.append(number * 10_000 + i)
                elif i % 3 == 1:
                    array.extend([number * 10_000 + i])
                else:
                    array.insert(len(array) // 2, number * 10_000 + i)

        return append

    together(*(work(number) for number in range(THREADS)))
    assert sorted(array) == [number * 10_000 + i for number in range(THREADS) for i in range(2000)]


def test_pops_take_each_element_once(array):
    array.extend(range(8000))
    taken = [[] for _ in range(THREADS)]

    def work(mine):
        def pop():
            while True:
                try:
                    mine.append(array.pop())
                except IndexError:
                    return

        return pop

    together(*map(work, taken))
    assert sorted(sum(taken, [])) == list(range(8000))


def test_readers_see_whole_elements_while_others_append_and_pop(array):
    array.extend([-1] * 100)
    done = threading.Event()

    def change():
        try:
            for i in range(3000):
                array.append(-1)
                if i % 2:
                    array.pop()
        finally:
            done.set()

    def read():
        while not done.is_set():
            assert set(array) == {-1}
            assert set(array.tolist()) == {-1}
            assert set(array[10:50]) == {-1}
            assert array[50] == -1 and array[-1] == -1
            assert array.count(-1) >= 100
            assert array.index(-1) == 0
            assert array == array
            assert set(memoryview(array[:])) == {-1}

    together(change, read, read)


def test_views_come_and_go_while_others_append(array):
    array.extend(range(100))
    done = threading.Event()

    def change():
        try:
            for i in range(3000):
                array.append(i)
        finally:
            done.set()

    def view():
        while not done.is_set():
            with memoryview(array) as seen:
                assert seen[50] == 50
                length = len(seen)
            assert len(array) >= length

    together(change, view, view)
    array.pop()  # no view was forgotten


def test_closing_under_others_is_a_closed_array_to_them(place):
    for round_number in range(20):
        array = mmap_backed_array.open(place / "a", "q", "w+")
        array.extend(range(1000))

        def use():
            calls = [
                lambda: array.append(1), lambda: array[5], lambda: list(array), lambda: array.tobytes(),
                lambda: array.pop(), lambda: array.__setitem__(3, 4), lambda: array[1:9], lambda: array.flush(),
                lambda: array.count(5), lambda: memoryview(array).release(), lambda: array == array,
                lambda: array.extend(array), lambda: array.lock(1).__exit__(), lambda: array.__copy__(),
            ]  # fmt: skip
            choice = random.Random(round_number)
            while True:
                try:
                    choice.choice(calls)()
                    if len(array) > 10_000:
                        del array[1000:]
                except BufferError:
                    pass
                except (ValueError, OSError):
                    return

        def close():
            while not array.closed:
                try:
                    array.close()
                except BufferError:
                    pass

        together(use, use, use, close)


def test_a_flush_lets_other_threads_read_and_makes_those_wait_that_change_the_length(place):
    with mmap_backed_array.open(place / "a", "q", "x") as array:
        array.extend(range(10_000))
        done = threading.Event()

        def flush():
            try:
                for _ in range(50):
                    array.flush()
            finally:
                done.set()

        def change():
            while not done.is_set():
                array.append(1)
                assert array.pop() == 1
                assert array[100] == 100

        together(flush, change, flush)
        assert array.tolist() == list(range(10_000))


def test_who_waits_for_the_lock_lets_other_threads_run(place):
    with mmap_backed_array.open(place / "a", "q", "x") as first, mmap_backed_array.open(place / "a", "q", "r+") as second:
        first.append(1)
        waiting = threading.Event()

        def wait():
            waiting.set()
            with second.lock():
                assert second.tolist() == [1, 2]
                second.append(3)

        def go_on():
            waiting.wait()
            first.append(2)
            first.unlock()

        together(wait, go_on)
        first.refresh()
        assert first.tolist() == [1, 2, 3]


def test_two_arrays_compared_and_extended_by_each_other_do_not_deadlock():
    a, b = mmaparray("i", [1, 2, 3]), mmaparray("i", [1, 2, 3])

    def one(x, y):
        def run():
            for _ in range(2000):
                x == y  # noqa: B015
                x < y  # noqa: B015
                x + y
                x[:2] = y[:2]
                x.extend(y)
                try:
                    del x[3:]
                except BufferError:
                    pass  # the other thread is reading it at this moment

        return run

    together(one(a, b), one(b, a))
    assert a.tolist() == [1, 2, 3] or len(a) == 3


def test_an_iterator_shared_by_threads_gives_each_element_once():
    array = mmaparray("q", range(20_000))
    iterator = iter(array)
    taken = [[] for _ in range(THREADS)]
    together(*(lambda mine=mine: mine.extend(iterator) for mine in taken))
    assert sorted(sum(taken, [])) == list(range(20_000))
