"""Arrays in mapped memory, with the interface of array.array: shared between processes, persistent, growing."""

import collections.abc

from ._core import ECORRUPT, EPARTIAL, ETRUNCATED, FileStateError, mmaparray, shm_unlink, typecodes
from ._core import version as _version
from ._library import get_include, get_library
from ._pickle import _array_reconstructor, _open_by_name

__version__ = f"{_version >> 16}.{_version >> 8 & 255}.{_version & 255}"

__all__ = [
    "ECORRUPT",
    "EPARTIAL",
    "ETRUNCATED",
    "FileStateError",
    "from_fd",
    "get_include",
    "get_library",
    "mmaparray",
    "open",
    "shm",
    "shm_unlink",
    "typecodes",
]

open = mmaparray.open
shm = mmaparray.shm
from_fd = mmaparray.from_fd

collections.abc.MutableSequence.register(mmaparray)
