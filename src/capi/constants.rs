//! The numbers of the C interface that the core knows by other names: element types, errors, and flags for opening.

use crate::options;
use crate::types;

// Element types.

/// `'c'`: one-byte character, as `char` in C.
pub const MBA_CHAR: i32 = 99;
/// `'b'`: 8-bit signed integer.
pub const MBA_INT8: i32 = 98;
/// `'B'`: 8-bit unsigned integer.
pub const MBA_UINT8: i32 = 66;
/// `'?'`: one-byte truth value, as `_Bool` in C; any byte but 0 is true.
pub const MBA_BOOL: i32 = 63;
/// `'h'`: 16-bit signed integer.
pub const MBA_INT16: i32 = 104;
/// `'H'`: 16-bit unsigned integer.
pub const MBA_UINT16: i32 = 72;
/// `'i'`: 32-bit signed integer.
pub const MBA_INT32: i32 = 105;
/// `'I'`: 32-bit unsigned integer.
pub const MBA_UINT32: i32 = 73;
/// `'l'`: `long`.
pub const MBA_LONG: i32 = 108;
/// `'L'`: `unsigned long`.
pub const MBA_ULONG: i32 = 76;
/// `'q'`: 64-bit signed integer.
pub const MBA_INT64: i32 = 113;
/// `'Q'`: 64-bit unsigned integer.
pub const MBA_UINT64: i32 = 81;
/// `'e'`: IEEE 754 half-precision float.
pub const MBA_FLOAT16: i32 = 101;
/// `'f'`: `float`.
pub const MBA_FLOAT32: i32 = 102;
/// `'d'`: `double`.
pub const MBA_FLOAT64: i32 = 100;
/// `'F'`: `float _Complex`: two floats, the real part first.
pub const MBA_COMPLEX64: i32 = 70;
/// `'D'`: `double _Complex`: two doubles, the real part first.
pub const MBA_COMPLEX128: i32 = 68;
/// `'u'`: `wchar_t`.
pub const MBA_WCHAR: i32 = 117;
/// `'w'`: 4-byte Unicode code point.
pub const MBA_UCS4: i32 = 119;

/// The most bytes in an element of `MBA_RECORD`.
pub const MBA_RECORD_MAX: i32 = 0xff_ffff;

// Errors.

/// Success.
pub const MBA_OK: i32 = 0;
/// The element type is unknown, is not the one that the file's footer names, or doesn't suit
/// the operation.
pub const MBA_ETYPE: i32 = -101;
/// An index or a range lies outside the array.
pub const MBA_EINDEX: i32 = -102;
/// The array has no element to take.
pub const MBA_EEMPTY: i32 = -103;
/// No element equals the value sought.
pub const MBA_ENOTFOUND: i32 = -104;
/// The handle is read-only: neither elements nor the length can change through it.
pub const MBA_EREADONLY: i32 = -105;
/// Another handle holds the growth lock, so the length can't change through this one now; or a
/// program has locked the whole file by fcntl(2).
pub const MBA_ELOCKED: i32 = -106;
/// The length would go beyond the address range that the handle reserved when it was opened.
pub const MBA_ELIMIT: i32 = -107;
/// The file ends inside an element, so its length can't change.
pub const MBA_EPARTIAL: i32 = -108;
/// The file's footer contradicts the file, or someone who doesn't use the library made the
/// file longer while this handle was growing it.
pub const MBA_ECORRUPT: i32 = -109;
/// Someone who doesn't use the library truncated the file while this handle was growing it; or
/// someone truncated it, and the guard (`mba_guard_enable`) has put zeros in the place of elements
/// that this handle had.
pub const MBA_ETRUNCATED: i32 = -110;
/// This memory can't change its length: a copy-on-write map, the caller's memory, hugetlbfs;
/// or it can't become longer, since it is sealed against that (`F_SEAL_GROW`).
pub const MBA_EFIXED: i32 = -111;
/// A bug in the library was caught at the boundary. The handle refuses further work; free it.
pub const MBA_EPANIC: i32 = -112;

// Flags for opening.

/// For reading only: the default.
pub const MBA_RDONLY: u32 = 0;
/// For reading and writing.
pub const MBA_RDWR: u32 = 1;
/// Make the file if there is none; with `MBA_RDWR` only.
pub const MBA_CREATE: u32 = 2;
/// Fail with `EEXIST` if there is a file; with `MBA_CREATE` only.
pub const MBA_EXCL: u32 = 4;
/// Copy on write: elements can be set, and nobody else sees it; the length is fixed. The file is
/// opened for reading only; `MBA_RDWR | MBA_PRIVATE` means the same.
pub const MBA_PRIVATE: u32 = 8;
/// No spare room: the file's size follows the length at every call, at the price of system calls each
/// time; with `MBA_RDWR` only. While others have the file open, elements that are taken away stay as
/// spare room until no other has it open, and pop can fail with `ENOSPC`. (Where the last elements
/// themselves would read as a footer, a page of spare room stays.)
pub const MBA_EXACT: u32 = 16;

const _: () = {
    assert!(MBA_RECORD_MAX as usize == types::LARGEST_RECORD);
    assert!(MBA_RDONLY == 0 && MBA_RDWR == options::WRITE && MBA_CREATE == options::CREATE);
    assert!(MBA_EXCL == options::EXCLUSIVE && MBA_PRIVATE == options::PRIVATE && MBA_EXACT == options::EXACT);
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::types::Type;

    #[test]
    fn errors_have_these_numbers() {
        let expected = [
            (Error::Type, MBA_ETYPE),
            (Error::Index, MBA_EINDEX),
            (Error::Empty, MBA_EEMPTY),
            (Error::NotFound, MBA_ENOTFOUND),
            (Error::ReadOnly, MBA_EREADONLY),
            (Error::Locked, MBA_ELOCKED),
            (Error::Limit, MBA_ELIMIT),
            (Error::Partial, MBA_EPARTIAL),
            (Error::Corrupt, MBA_ECORRUPT),
            (Error::Truncated, MBA_ETRUNCATED),
            (Error::Fixed, MBA_EFIXED),
            (Error::Panic, MBA_EPANIC),
        ];
        assert_eq!(expected.map(|(error, _)| error.code()), expected.map(|(_, code)| code));
        assert_eq!(MBA_OK, 0);
    }

    #[test]
    fn types_have_these_numbers() {
        let expected = [
            (MBA_CHAR, "char"),
            (MBA_INT8, "int8"),
            (MBA_UINT8, "uint8"),
            (MBA_BOOL, "bool"),
            (MBA_INT16, "int16"),
            (MBA_UINT16, "uint16"),
            (MBA_INT32, "int32"),
            (MBA_UINT32, "uint32"),
            (MBA_LONG, "long"),
            (MBA_ULONG, "unsigned long"),
            (MBA_INT64, "int64"),
            (MBA_UINT64, "uint64"),
            (MBA_FLOAT16, "float16"),
            (MBA_FLOAT32, "float32"),
            (MBA_FLOAT64, "float64"),
            (MBA_COMPLEX64, "complex64"),
            (MBA_COMPLEX128, "complex128"),
            (MBA_WCHAR, "wchar_t"),
            (MBA_UCS4, "ucs4"),
        ];
        let table: Vec<(i32, &str)> = Type::all().map(|ty| (ty.code(), ty.name())).collect();
        assert_eq!(table, expected);
    }
}
