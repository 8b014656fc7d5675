from typing import Any

from ._core import (
    ECORRUPT as ECORRUPT,
    EPARTIAL as EPARTIAL,
    ETRUNCATED as ETRUNCATED,
    FileStateError as FileStateError,
    _FdMode,
    _Mode,
    _Path,
    _TypeCode,
    mmaparray as mmaparray,
    shm_unlink as shm_unlink,
    typecodes as typecodes,
)
from ._library import get_include as get_include, get_library as get_library

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

def open(
    path: _Path,
    typecode: _TypeCode,
    mode: _Mode = "r",
    *,
    exact: bool = False,
    permissions: int | None = None,
    reservation: int | None = None,
) -> mmaparray[Any]: ...
def shm(name: str, typecode: _TypeCode, mode: _Mode = "r", *, exact: bool = False) -> mmaparray[Any]: ...
def from_fd(fd: Any, typecode: _TypeCode, mode: _FdMode = "r+", *, exact: bool = False) -> mmaparray[Any]: ...
def _array_reconstructor(
    arraytype: type[mmaparray[Any]], typecode: str, format_number: int, items: bytes, /
) -> mmaparray[Any]: ...
