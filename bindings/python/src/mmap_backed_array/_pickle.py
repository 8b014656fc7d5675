"""How arrays travel: by name, by descriptor, or by value."""

import array
import os
import sys
from multiprocessing import reduction

from ._core import _element_classes as element_classes
from ._core import mmaparray

# Pickles that lie about name `_array_reconstructor` and `_open_by_name`, and name them in the package itself, so that
# this file can change.

# Numbers of memory formats, as array.array's pickles have them, so that a pickle can be read on a machine of
# another byte order. (class, size) -> (number in little-endian order, in big-endian order)
_FORMATS = {
    ("unsigned", 1): (0, 0),
    ("signed", 1): (1, 1),
    ("unsigned", 2): (2, 3),
    ("signed", 2): (4, 5),
    ("unsigned", 4): (6, 7),
    ("signed", 4): (8, 9),
    ("unsigned", 8): (10, 11),
    ("signed", 8): (12, 13),
    ("real", 4): (14, 15),
    ("real", 8): (16, 17),
    ("text", 2): (18, 19),
    ("text", 4): (20, 21),
    ("complex", 8): (22, 23),
    ("complex", 16): (24, 25),
    ("real", 2): (26, 27),
    ("bool", 1): (28, 28),
    ("char", 1): (29, 29),
}
_BIG = sys.byteorder == "big"
_BY_NUMBER = {
    number: (kind, size, bool(order))
    for (kind, size), numbers in _FORMATS.items()
    for order, number in enumerate(numbers)
}


def _array_reconstructor(arraytype, typecode, format_number, items, /):
    """Make an array from pickled bytes: those of this machine as they are, others element by element."""
    if not isinstance(arraytype, type) or not issubclass(arraytype, mmaparray):
        raise TypeError(f"first argument must be a subtype of mmaparray, not {arraytype!r}")
    if not isinstance(format_number, int):
        raise TypeError(f"third argument must be an int, not {type(format_number).__name__}")
    if not isinstance(items, bytes):
        raise TypeError(f"fourth argument should be bytes, not {type(items).__name__}")
    if format_number not in _BY_NUMBER:
        raise ValueError("third argument must be a valid machine format code.")
    # Without what a subclass has of its own to make an array, as array.array does it.
    result = mmaparray.__new__(arraytype, typecode)
    kind, size, big = _BY_NUMBER[format_number]
    own = element_classes[result.typecode]
    if (kind, size) == (own, result.itemsize):
        result.frombytes(items)
        if big != _BIG:
            result.byteswap()
    elif kind == own == "text":
        result.fromunicode(items.decode(f"utf-{size * 8}-{'be' if big else 'le'}"))
    elif {kind, own} <= {"signed", "unsigned"}:
        if len(items) % size:
            raise ValueError("bytes length not a multiple of item size")
        order = "big" if big else "little"
        result.extend(
            int.from_bytes(items[at : at + size], order, signed=kind == "signed") for at in range(0, len(items), size)
        )
    elif kind == own == "real" or kind == own == "complex":
        source = _array_reconstructor(mmaparray, {2: "e", 4: "f", 8: "d" if kind == "real" else "F", 16: "D"}[size],
                                      format_number, items)
        result.extend(iter(source))
    else:
        raise ValueError(f"elements of format {format_number} don't suit typecode {typecode!r}")
    result.unlock()
    return result


def _state(array):
    return getattr(array, "__dict__", None) or None


def _open_by_name(cls, shared_memory, name, typecode, mode, exact, /):
    """Open what a pickled reference names."""
    return (cls.shm if shared_memory else cls.open)(name, typecode, mode, exact=exact)


def _by_name(array):
    reference = array._reference()
    if reference is None:
        return None
    shared_memory, name, mode, exact = reference
    if name is None:
        return None
    if mode not in ("r", "c"):
        mode = "r+"  # it is there by now, and must not be emptied
    return _open_by_name, (type(array), shared_memory, name, array.typecode, mode, exact), _state(array)


def reduce(array, protocol):
    """What mmaparray.__reduce_ex__ returns."""
    by_name = _by_name(array)
    if by_name is not None:
        return by_name
    formats = _FORMATS.get((element_classes[array.typecode], array.itemsize))
    if protocol < 3 or formats is None:
        return type(array), (array.typecode, array.tolist()), _state(array)
    number = formats[_BIG]
    return _array_reconstructor, (type(array), array.typecode, number, array.tobytes()), _state(array)


def _from_descriptor(cls, descriptor, typecode, mode, exact):
    fd = descriptor.detach()
    try:
        return cls.from_fd(fd, typecode, mode, exact=exact)
    finally:
        os.close(fd)


def _reduce_for_process(array):
    """For a pickle that goes to another process of multiprocessing: memory without a name goes by its descriptor."""
    by_name = _by_name(array)
    if by_name is not None:
        return by_name
    try:
        fd = array.fileno()
    except OSError:
        fd = -1
    if fd < 0 or array.mode == "c":
        return reduce(array, 4)
    _, _, mode, exact = array._reference()
    arguments = type(array), reduction.DupFd(fd), array.typecode, mode, exact
    return _from_descriptor, arguments, _state(array)


def register(cls):
    """Have multiprocessing pickle a class as it does mmaparray; it looks at the exact class of an object."""
    reduction.ForkingPickler.register(cls, _reduce_for_process)


register(mmaparray)
_array_reconstructor.__module__ = _open_by_name.__module__ = __package__
