"""What other processes run in the tests: functions that can be found by their name under spawn and forkserver too."""

import os
import pickle


def describe(array):
    """What a worker got, as plain values."""
    return (type(array).__name__, array.typecode, array.mode, array.name, bytes(array.tobytes()[:64]), len(array))


def store(array, index, value):
    array[index] = value
    return os.getpid()


def append_under_lock(array, value, times):
    for _ in range(times):
        with array.lock():
            array.append(value)


def append_each(open_array, values, ready, go):
    """Appends one by one; `open_array` makes the array of this process."""
    ready.release()
    go.wait()
    with open_array() as array:
        for value in values:
            with array.lock():
                array.append(value)


def size_of_pickle(array):
    return len(pickle.dumps(array))


def wait_and_store(array, connection):
    """For a process that is given the array as an argument: stores what it is told, until there is no more."""
    while (message := connection.recv()) is not None:
        index, value = message
        array[index] = value
        connection.send(list(array[:4]))
