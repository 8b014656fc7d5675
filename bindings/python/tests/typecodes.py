"""THE table of element types for the tests: a new type is a row, and samples if its kind is new."""

import math
import struct
import typing

import numpy


class ElementType(typing.NamedTuple):
    kind: str
    """What its elements are: a key of SAMPLES."""
    size: int
    """In bytes."""
    view: str
    """Its format in the buffer protocol."""
    dtype: typing.Any
    """The same in NumPy."""

    @property
    def limits(self):
        """The least and the greatest integer."""
        bits = 8 * self.size
        return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if self.kind == "signed" else (0, 2**bits - 1)


def native(kind, code, dtype):
    """A type that the struct module has by the same code."""
    return ElementType(kind, struct.calcsize(code), code, dtype)


TYPES = {
    "b": native("signed", "b", numpy.byte),
    "B": native("unsigned", "B", numpy.ubyte),
    "h": native("signed", "h", numpy.short),
    "H": native("unsigned", "H", numpy.ushort),
    "i": native("signed", "i", numpy.intc),
    "I": native("unsigned", "I", numpy.uintc),
    "l": native("signed", "l", getattr(numpy, "long", numpy.int_)),
    "L": native("unsigned", "L", getattr(numpy, "ulong", numpy.uint)),
    "q": native("signed", "q", numpy.longlong),
    "Q": native("unsigned", "Q", numpy.ulonglong),
    "e": native("real", "e", numpy.half),
    "f": native("real", "f", numpy.single),
    "d": native("real", "d", numpy.double),
    "F": ElementType("complex", 8, "Zf", numpy.csingle),
    "D": ElementType("complex", 16, "Zd", numpy.cdouble),
    "?": native("truth", "?", numpy.bool_),
    "c": native("byte", "c", "S1"),
    "u": ElementType("text", 4, "w", "U1"),
    "w": ElementType("text", 4, "w", "U1"),
}

SAMPLES = {
    "signed": [1, 0, 127],
    "unsigned": [1, 0, 127],
    "real": [0.5, -0.0, -math.inf],
    "complex": [1 + 2j, -0.5, 0],
    "truth": [True, False, True],
    "byte": [b"a", b"\0", b"\xff"],
    "text": ["a", "'", "\U0001f600"],
}
"""Three elements of each kind, which the types of that kind hold exactly."""


def samples(code):
    return SAMPLES[TYPES[code].kind]


def codes(*kinds):
    return [code for code, each in TYPES.items() if each.kind in kinds]
