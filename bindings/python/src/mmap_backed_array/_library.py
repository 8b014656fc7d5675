"""Where the C interface lies that comes with the package: the header and the shared library."""

import os

_HERE = os.path.dirname(os.path.abspath(__file__))


def get_include() -> str:
    """Return the directory of mmap_backed_array.h, for a compiler's -I and for include_dirs of an Extension."""
    return os.path.join(_HERE, "include")


def get_library() -> str:
    """Return the path of the shared library, for ctypes.CDLL and cffi's dlopen.

    Its directory is what a linker needs: -L for -lmmap_backed_array, and -Wl,-rpath to find it when the program
    runs.
    """
    directory = os.path.join(_HERE, "lib")
    # A wheel is of one version, so that there is one library.
    (name,) = (name for name in os.listdir(directory) if name.startswith("libmmap_backed_array.so."))
    return os.path.join(directory, name)
