"""What arrays are to NumPy, which is imported when somebody asks."""

# Where NumPy's name for a type isn't its typecode.
_NAMES = {"c": "S1", "u": "U1", "w": "U1"}


def dtype_of(array):
    """The dtype of an array's elements."""
    import numpy

    return numpy.dtype(_NAMES.get(array.typecode, array.typecode))


def as_array(array, dtype=None, *, copy=None):
    """What mmaparray.__array__ returns."""
    import numpy

    view = numpy.asarray(memoryview(array))
    if dtype is not None and view.dtype != numpy.dtype(dtype):
        if copy is False:
            raise ValueError(f"elements of dtype {view.dtype} can't be of dtype {dtype} without a copy")
        return view.astype(dtype)
    return view.copy() if copy else view
