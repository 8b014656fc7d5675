"""What the extension asks of the standard library's array module."""

import array
import warnings


def one(typecode, itemsize):
    """An array.array of one element, which slices are copied from; None if there is no such type here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of 'u', whose slices don't warn
        for code in (typecode, "Z" + typecode.lower()) if typecode in "FD" else (typecode,):
            try:
                return array.array(code, bytes(itemsize))
            except (TypeError, ValueError):
                pass
    return None
