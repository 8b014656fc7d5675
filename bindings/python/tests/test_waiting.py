"""Waiting for the growth lock ends in time, hears signals and lets other threads run."""

import errno
import os
import signal
import threading
import time

import pytest

import mmap_backed_array


def test_a_wait_ends_in_time(two):
    a, b = two
    with a.lock():
        for timeout in (0.01, 1e-9):
            with pytest.raises(TimeoutError) as caught:
                b.lock(timeout=timeout)
            assert (caught.value.errno, caught.value.filename) == (errno.ETIMEDOUT, a.name)
        for wrong, error in ((-1, ValueError), (float("nan"), ValueError), ("1", TypeError), (10**400, OverflowError)):
            with pytest.raises(error):
                b.lock(wrong)
        with pytest.raises(TypeError):
            b.lock(1, 2)
        with pytest.raises(BlockingIOError):
            b.lock(timeout=0)
    with b.lock(timeout=float("inf")):
        pass


def test_who_waits_gets_the_lock_when_it_is_given_back(two):
    a, b = two
    waiting = threading.Event()

    def wait():
        waiting.set()
        with b.lock(timeout=60):
            b.append(len(b))

    with a.lock():
        thread = threading.Thread(target=wait)
        thread.start()
        assert waiting.wait(60)
        a.append(100)
        assert a.tolist() == [1, 2, 3, 100]
    thread.join()
    a.refresh()
    assert a.tolist() == [1, 2, 3, 100, 4]


@pytest.fixture
def alarm():
    """Runs a function in a signal's handler, soon."""
    before = signal.getsignal(signal.SIGALRM)

    def soon(handler):
        signal.signal(signal.SIGALRM, lambda *_: handler())
        signal.setitimer(signal.ITIMER_REAL, 0.02)

    yield soon
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("timeout", [None, 60])
def test_a_wait_can_be_interrupted(two, alarm, timeout):
    a, b = two

    def interrupt():
        raise KeyboardInterrupt

    with a.lock():
        with pytest.raises(KeyboardInterrupt):
            alarm(interrupt)
            b.lock(timeout)
        assert a.locked and not b.locked
    with b.lock(0):
        pass


def test_a_signal_that_raises_nothing_lets_the_wait_go_on(two, alarm):
    a, b = two
    a.lock()
    alarm(a.unlock)
    with b.lock(timeout=60):
        assert b.locked and not a.locked


def test_an_array_that_is_closed_during_the_wait(two, alarm):
    a, b = two
    with a.lock():
        with pytest.raises(ValueError, match="closed"):
            alarm(b.close)
            b.lock(timeout=60)


def test_who_waits_has_its_turn_beside_one_who_locks_again_at_once(two):
    """Counted in the turns of the other, so that a slow machine makes no difference."""
    mine, others = two
    pid = os.fork()
    if pid == 0:
        others = mmap_backed_array.open(mine.name, "I", "r+")
        while True:
            with others.lock():
                others[0] += 1
                time.sleep(0.005)
    try:
        while mine[0] == 1:
            time.sleep(0.001)
        turns = 0
        for _ in range(20):
            before = mine[0]
            with mine.lock(timeout=60):
                turns += mine[0] - before
        assert turns < 20 * 20
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
