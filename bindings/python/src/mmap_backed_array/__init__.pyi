from typing import Any

from ._core import (
    ECORRUPT as ECORRUPT,
    EPARTIAL as EPARTIAL,
    ETRUNCATED as ETRUNCATED,
    FileStateError as FileStateError,
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

open = mmaparray.open
shm = mmaparray.shm
from_fd = mmaparray.from_fd

def _array_reconstructor(
    arraytype: type[mmaparray[Any]], typecode: str, format_number: int, items: bytes, /
) -> mmaparray[Any]: ...
def _open_by_name(
    cls: type[mmaparray[Any]], shared_memory: bool, name: str, typecode: str, mode: str, exact: bool, /
) -> mmaparray[Any]: ...
