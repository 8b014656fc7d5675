"""The growth lock: one handle at a time changes the length, in this process and between processes."""

import copy
import errno
import os
import pickle
import subprocess
import sys
import threading

import pytest

import mmap_backed_array
from conftest import python
from mmap_backed_array import mmaparray


def attempts(b):
    """Every way to change the length."""
    return [
        lambda: b.append(1),
        lambda: b.extend([1]),
        lambda: b.insert(0, 1),
        lambda: b.pop(),
        lambda: b.pop(0),
        lambda: b.remove(1),
        lambda: b.clear(),
        lambda: b.__delitem__(0),
        lambda: b.__delitem__(slice(0, 2)),
        lambda: b.__setitem__(slice(0, 2), b[:1]),
        lambda: b.frombytes(bytes(4)),
        lambda: b.fromlist([1]),
        lambda: b.__iadd__(b[:]),
        lambda: b.__imul__(2),
        lambda: b.__imul__(0),
        lambda: b.reserve(1000),
        lambda: b.shrink_to_fit(),
        lambda: b.lock(timeout=0),
    ]


def test_no_other_handle_changes_the_length_but_all_set_elements(two):
    a, b = two
    with a.lock() as held:
        assert held is a and a.locked and not b.locked
        for call in attempts(b):
            with pytest.raises(BlockingIOError) as caught:
                call()
            assert (caught.value.errno, caught.value.filename) == (errno.EAGAIN, a.name)
            assert a.tolist() == b.tolist() == [1, 2, 3]
        b[0] = 9
        b.reverse()
        b.flush()
        b.refresh()
        assert a.tolist() == [3, 2, 9]
    for call in attempts(b):
        b.lock(0)
        b[:] = type(b)("I", [1, 2, 3])
        call()
        b.unlock()


def test_the_first_change_takes_the_lock_and_unlocking_or_closing_gives_it_back(two):
    a, b = two
    a.append(4)
    assert a.locked
    with pytest.raises(BlockingIOError):
        b.append(5)
    a.unlock()
    a.unlock()
    assert not a.locked
    b.append(5)
    assert b.tolist() == [1, 2, 3, 4, 5]  # with the lock comes the length
    b.close()
    a.append(6)
    assert a.tolist() == [1, 2, 3, 4, 5, 6]


def test_with_the_lock_comes_the_length_that_others_have_published(two):
    a, b = two
    a.append(4)
    a.unlock()
    assert len(b) == 3
    with b.lock():
        assert b.tolist() == [1, 2, 3, 4]
        del b[1:]
    for call, expected in (
        (lambda: a.pop(), [1]),
        (lambda: a.insert(-1, 8), [1, 8, 5]),
        (lambda: a.remove(5), [1]),
        (lambda: a.__delitem__(-1), [1]),
        (lambda: a.__imul__(2), [1, 5, 1, 5]),
    ):
        with b.lock():
            b[:] = mmaparray("I", [1, 5])
        call()
        assert a.tolist() == expected
        a.unlock()


def test_locks_within_each_other_count(two):
    a, b = two
    with a.lock():
        with a.lock(timeout=0):
            with a.lock(timeout=1):
                pass
            assert a.locked
        assert a.locked
        with pytest.raises(BlockingIOError):
            b.lock(timeout=0)
    assert not a.locked
    with b.lock(0):
        b.append(4)


def test_unlocking_inside_ends_all_of_them(two):
    a, b = two
    with a.lock(), a.lock():
        a.unlock()
        assert not a.locked
        with b.lock(0):
            pass
    with a.lock():  # and the count begins anew
        pass
    assert not a.locked


def test_an_exception_gives_the_lock_back(two):
    a, b = two
    with pytest.raises(KeyError), a.lock():
        raise KeyError
    b.append(1)


def test_a_with_statement_in_which_the_array_is_closed(two):
    a, b = two
    with a.lock():
        a.append(4)
        a.close()
    b.append(5)
    assert b.tolist() == [1, 2, 3, 4, 5]


def test_a_block_that_ends_twice_gives_back_once(two):
    a, b = two
    with a.lock():
        inner = a.lock()
        inner.__exit__(None, None, None)
        inner.__exit__(None, None, None)
        assert a.locked


def test_another_process_waits_its_turn(two):
    a, b = two
    a.append(4)
    code = """
        import sys, mmap_backed_array
        a = mmap_backed_array.open(sys.argv[1], "I", "r+")
        print(a.tolist())
        for call in (lambda: a.append(1), a.pop, a.clear, lambda: a.lock(0)):
            try:
                call()
            except BlockingIOError:
                print("no")
        try:
            a.lock(timeout=0.01)
        except TimeoutError:
            print("late")
        """
    assert python(code, a.name).split("\n") == ["[1, 2, 3, 4]", "no", "no", "no", "no", "late", ""]
    a.unlock()
    python(
        """
        import sys, mmap_backed_array
        with mmap_backed_array.open(sys.argv[1], "I", "r+") as a, a.lock(timeout=0):
            a.append(5)
        """,
        a.name,
    )
    a.append(6)
    assert a.tolist() == [1, 2, 3, 4, 5, 6]


def test_the_lock_of_a_process_that_was_killed_is_free(two):
    a, b = two
    code = (
        "import sys, mmap_backed_array as m; a = m.open(sys.argv[1], 'I', 'r+'); a.append(4); "
        "print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, a.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(BlockingIOError):
            a.append(5)
        child.kill()
        child.wait()
    a.append(5)
    assert a.tolist() == [1, 2, 3, 4, 5]
    a.close()
    b.close()
    assert os.path.getsize(a.name) == 20


def test_memory_without_other_handles_can_be_locked_too():
    a = mmaparray("I", [1])
    with a.lock(), a.lock(0):
        a.append(2)
    with mmap_backed_array.from_fd(a, "I") as b, b.lock():
        with pytest.raises(BlockingIOError):
            a.append(3)
    a.append(3)
    assert a.tolist() == [1, 2, 3]


def test_a_lock_without_a_with_statement_lasts_until_it_is_given_back(two):
    a, b = two
    a.lock()
    with pytest.raises(BlockingIOError):
        b.append(1)
    a.unlock()
    b.append(1)


def test_nobody_but_the_array_makes_its_lock():
    guard = mmaparray("I").lock()
    with pytest.raises(TypeError):
        type(guard)()


@pytest.mark.filterwarnings("ignore:The 'u' type code:DeprecationWarning")
def test_what_is_new_is_not_locked(place):
    a = mmaparray("i", [1, 2, 3])
    made = [a, a + a, a * 2, 2 * a, copy.copy(a), copy.deepcopy(a), mmaparray("?", [1])[:], mmaparray("D", a)]
    made += [pickle.loads(pickle.dumps(a)), mmap_backed_array.open(place / "array", "i", "w+")]
    made += [mmaparray(code, bytes(160)) for code in mmap_backed_array.typecodes]
    for each in made:
        assert not isinstance(each, mmaparray) or not each.locked
    a.append(4)
    assert a.locked


def test_an_error_names_who_has_the_lock(two):
    a, b = two
    with a.lock():
        for call in (lambda: b.append(1), lambda: b.lock(timeout=0)):
            with pytest.raises(BlockingIOError, match=rf"another array of this process \({os.getpid()}\).*unlock\(\)"):
                call()
        with pytest.raises(TimeoutError, match="still locked by another array of this process"):
            b.lock(timeout=0.001)
        if os.path.exists(a.name):
            with pytest.raises(BlockingIOError, match="another array of this process"):
                mmap_backed_array.open(a.name, "I", "w+")
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                a.append(1)
            except BlockingIOError as error:
                code = 0 if f"process {os.getppid()}" in str(error) else 2
            os._exit(code)
        assert os.waitpid(pid, 0)[1] == 0


def in_a_thread(call):
    """The call's result, or its exception, in another thread."""
    answer = []

    def run():
        try:
            answer.append(call())
        except Exception as error:
            answer.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return answer[0]


def test_another_thread_is_kept_out_like_another_handle(two):
    a, _ = two
    with a.lock():
        for call in attempts(a):
            error = in_a_thread(call)
            assert isinstance(error, BlockingIOError) and "another thread" in str(error)
            assert a.tolist() == [1, 2, 3]
        assert isinstance(in_a_thread(lambda: a.lock(timeout=0.001)), TimeoutError)
        # What others may do by other handles, threads may too.
        for call in (lambda: a.__setitem__(0, 9), a.reverse, a.flush, a.refresh, lambda: a[0]):
            assert not isinstance(in_a_thread(call), Exception)
        a.append(4)
    assert in_a_thread(lambda: a.append(5)) is None
    assert a.tolist() == [3, 2, 9, 4, 5]
    a.append(6)  # the lock that a change takes is for all threads


def test_threads_take_turns(two):
    a, _ = two
    a[0] = 0

    def work():
        for _ in range(200):
            with a.lock():
                before = a[0]
                threading.Event().wait(1e-5)
                a[0] = before + 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert a[0] == 800 and not a.locked


def test_any_thread_can_end_a_lock_and_the_end_of_the_block_takes_no_other(two):
    a, _ = two
    with a.lock():
        assert in_a_thread(a.unlock) is None
        assert not a.locked
        assert in_a_thread(lambda: a.lock() and None) is None
    # That of the thread, which has ended without giving it back.
    assert a.locked
    a.unlock()
    a.append(1)
