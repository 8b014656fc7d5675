from typing import Any, Literal, overload

from ._core import (
    _ComplexCode,
    _FdMode,
    _FloatCode,
    _IntCode,
    _Mode,
    _Path,
    _TextCode,
    ECORRUPT as ECORRUPT,
    EPARTIAL as EPARTIAL,
    ETRUNCATED as ETRUNCATED,
    FileStateError as FileStateError,
    mmaparray as mmaparray,
    shm_unlink as shm_unlink,
    typecodes as typecodes,
)
from ._library import get_include as get_include, get_library as get_library

__version__: str

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

@overload
def open(
    path: _Path, typecode: _IntCode, mode: _Mode = "r", *, exact: bool = False,
    permissions: int | None = None, reservation: int | None = None,
) -> mmaparray[int]: ...
@overload
def open(
    path: _Path, typecode: _FloatCode, mode: _Mode = "r", *, exact: bool = False,
    permissions: int | None = None, reservation: int | None = None,
) -> mmaparray[float]: ...
@overload
def open(
    path: _Path, typecode: _ComplexCode, mode: _Mode = "r", *, exact: bool = False,
    permissions: int | None = None, reservation: int | None = None,
) -> mmaparray[complex]: ...
@overload
def open(
    path: _Path, typecode: _TextCode, mode: _Mode = "r", *, exact: bool = False,
    permissions: int | None = None, reservation: int | None = None,
) -> mmaparray[str]: ...
@overload
def open(
    path: _Path, typecode: Literal["c"], mode: _Mode = "r", *, exact: bool = False,
    permissions: int | None = None, reservation: int | None = None,
) -> mmaparray[bytes]: ...
@overload
def open(
    path: _Path, typecode: Literal["?"], mode: _Mode = "r", *, exact: bool = False,
    permissions: int | None = None, reservation: int | None = None,
) -> mmaparray[bool]: ...
@overload
def shm(
    name: str, typecode: _IntCode, mode: _Mode = "r", *, exact: bool = False,
) -> mmaparray[int]: ...
@overload
def shm(
    name: str, typecode: _FloatCode, mode: _Mode = "r", *, exact: bool = False,
) -> mmaparray[float]: ...
@overload
def shm(
    name: str, typecode: _ComplexCode, mode: _Mode = "r", *, exact: bool = False,
) -> mmaparray[complex]: ...
@overload
def shm(
    name: str, typecode: _TextCode, mode: _Mode = "r", *, exact: bool = False,
) -> mmaparray[str]: ...
@overload
def shm(
    name: str, typecode: Literal["c"], mode: _Mode = "r", *, exact: bool = False,
) -> mmaparray[bytes]: ...
@overload
def shm(
    name: str, typecode: Literal["?"], mode: _Mode = "r", *, exact: bool = False,
) -> mmaparray[bool]: ...
@overload
def from_fd(
    fd: Any, typecode: _IntCode, mode: _FdMode = "r+", *, exact: bool = False,
) -> mmaparray[int]: ...
@overload
def from_fd(
    fd: Any, typecode: _FloatCode, mode: _FdMode = "r+", *, exact: bool = False,
) -> mmaparray[float]: ...
@overload
def from_fd(
    fd: Any, typecode: _ComplexCode, mode: _FdMode = "r+", *, exact: bool = False,
) -> mmaparray[complex]: ...
@overload
def from_fd(
    fd: Any, typecode: _TextCode, mode: _FdMode = "r+", *, exact: bool = False,
) -> mmaparray[str]: ...
@overload
def from_fd(
    fd: Any, typecode: Literal["c"], mode: _FdMode = "r+", *, exact: bool = False,
) -> mmaparray[bytes]: ...
@overload
def from_fd(
    fd: Any, typecode: Literal["?"], mode: _FdMode = "r+", *, exact: bool = False,
) -> mmaparray[bool]: ...

def _array_reconstructor(
    arraytype: type[mmaparray[Any]], typecode: str, format_number: int, items: bytes, /
) -> mmaparray[Any]: ...
def _open_by_name(
    cls: type[mmaparray[Any]], shared_memory: bool, name: str, typecode: str, mode: str, exact: bool, /
) -> mmaparray[Any]: ...
