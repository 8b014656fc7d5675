//! The table of element types: number, size, meaning, name; and records.

use crate::error::{Error, Result};

/// The most bytes in a record.
pub(crate) const LARGEST_RECORD: usize = RECORD_MAX as usize;
const RECORD_MAX: i32 = 0xff_ffff;
/// The number of a record type is this and the bytes in a record; see `MBA_RECORD` in `include/cbindgen.toml`.
const RECORD: i32 = 0x5200_0000;

/// What the bytes of an element mean. The numbers stand in the footer of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u32)]
pub enum Kind {
    /// One-byte characters.
    Char = 1,
    /// Truth values.
    Bool = 2,
    /// Signed integers.
    Int = 3,
    /// Unsigned integers.
    Uint = 4,
    /// IEEE 754 floats.
    Float = 5,
    /// Pairs of floats.
    Complex = 6,
    /// Unicode code points.
    Unicode = 7,
    /// Bytes whose meaning is the caller's: a structure, for instance.
    Record = 8,
}

/// An element type: one row of the table, or records of some size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Type {
    code: i32,
    size: usize,
    kind: Kind,
    name: &'static core::ffi::CStr,
}

const LONG: usize = size_of::<core::ffi::c_long>();

#[rustfmt::skip]
static TABLE: [Type; 19] = [
    row('c', 1,    Kind::Char,    c"char"),
    row('b', 1,    Kind::Int,     c"int8"),
    row('B', 1,    Kind::Uint,    c"uint8"),
    row('?', 1,    Kind::Bool,    c"bool"),
    row('h', 2,    Kind::Int,     c"int16"),
    row('H', 2,    Kind::Uint,    c"uint16"),
    row('i', 4,    Kind::Int,     c"int32"),
    row('I', 4,    Kind::Uint,    c"uint32"),
    row('l', LONG, Kind::Int,     c"long"),
    row('L', LONG, Kind::Uint,    c"unsigned long"),
    row('q', 8,    Kind::Int,     c"int64"),
    row('Q', 8,    Kind::Uint,    c"uint64"),
    row('e', 2,    Kind::Float,   c"float16"),
    row('f', 4,    Kind::Float,   c"float32"),
    row('d', 8,    Kind::Float,   c"float64"),
    row('F', 8,    Kind::Complex, c"complex64"),
    row('D', 16,   Kind::Complex, c"complex128"),
    row('u', size_of::<libc::wchar_t>(), Kind::Unicode, c"wchar_t"),
    row('w', 4,    Kind::Unicode, c"ucs4"),
];

const fn row(typecode: char, size: usize, kind: Kind, name: &'static core::ffi::CStr) -> Type {
    Type { code: typecode as i32, size, kind, name }
}

impl Type {
    /// The type with this number (the typecode's character, or that of a record), or [`Error::Type`].
    pub fn from_code(code: i32) -> Result<Type> {
        if let size @ 1..=RECORD_MAX = code.wrapping_sub(RECORD) {
            return Ok(Type { code, size: size as usize, kind: Kind::Record, name: c"record" });
        }
        TABLE.iter().find(|row| row.code == code).copied().ok_or(Error::Type)
    }

    /// Records: elements of `size` bytes whose meaning is the caller's. They are found, counted and compared by their
    /// bytes, those of padding too, and have no order. [`Error::Type`] for a size of 0 or beyond `MBA_RECORD_MAX`.
    pub fn record(size: usize) -> Result<Type> {
        Type::from_code(Type::record_code(size))
    }

    /// The number of [`Type::record`], `MBA_RECORD(size)` in C, for an [`Element::CODE`](crate::Element::CODE); -1, which is no type, for a size
    /// that none can have.
    pub const fn record_code(size: usize) -> i32 {
        if size == 0 || size > LARGEST_RECORD { -1 } else { RECORD + size as i32 }
    }

    /// The type with this typecode, such as `'I'`, or [`Error::Type`].
    pub fn from_char(typecode: char) -> Result<Type> {
        Type::from_code(i32::try_from(u32::from(typecode)).map_err(|_| Error::Type)?)
    }

    /// All types but records, in the table's order.
    pub fn all() -> impl Iterator<Item = Type> {
        TABLE.iter().copied()
    }

    /// The typecode: one character, as in Python's `array` and `struct`; of records `V`, as in NumPy.
    pub fn typecode(self) -> char {
        if self.kind == Kind::Record { 'V' } else { char::from(self.code as u8) }
    }

    /// The type's number in the C interface.
    pub fn code(self) -> i32 {
        self.code
    }

    /// Bytes in one element.
    pub fn size(self) -> usize {
        self.size
    }

    /// What the bytes mean.
    pub fn kind(self) -> Kind {
        self.kind
    }

    /// A readable name, such as `uint32`.
    pub fn name(self) -> &'static str {
        self.name.to_str().unwrap_or_default()
    }

    pub(crate) fn c_name(self) -> &'static core::ffi::CStr {
        self.name
    }

    /// Whether elements of both types have the same size and meaning: `'q'` and `'l'` where `long` has
    /// 8 bytes, `'u'` and `'w'`.
    pub fn is_like(self, other: Type) -> bool {
        self.kind == other.kind && self.size == other.size
    }

    /// The bytes in each number that makes up an element, which is also its alignment: half of a complex. Of a record
    /// nobody knows; it is aligned as far as its size can tell, and as copies of elements need it.
    pub(crate) fn part_size(self) -> usize {
        match self.kind {
            Kind::Complex => self.size / 2,
            Kind::Record => 1 << self.size.trailing_zeros().min(3),
            _ => self.size,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_each_type_once() {
        for (at, row) in TABLE.iter().enumerate() {
            assert_eq!(Type::from_code(row.code), Ok(*row));
            assert_eq!(Type::from_char(row.typecode()), Ok(*row));
            assert!(TABLE[..at].iter().all(|other| other.code != row.code && other.name != row.name));
        }
        let codes: String = Type::all().map(Type::typecode).collect();
        assert_eq!(codes, "cbB?hHiIlLqQefdFDuw");
        assert_eq!(Type::from_code(0), Err(Error::Type));
        assert_eq!(Type::from_code('I' as i32 + 256), Err(Error::Type));
        assert_eq!(Type::from_char('\u{10049}'), Err(Error::Type));
    }

    #[test]
    fn records_have_any_size_up_to_the_most() {
        let most = LARGEST_RECORD;
        for size in [1, 2, 12, 64, 4097, most] {
            let ty = Type::record(size).unwrap();
            assert_eq!((ty.size(), ty.kind(), ty.typecode(), ty.name()), (size, Kind::Record, 'V', "record"));
            assert_eq!(Type::from_code(ty.code()), Ok(ty));
            assert!(!ty.is_like(Type::from_char('B').unwrap()));
        }
        for size in [0, most + 1, usize::MAX, 1 << 32 | 8] {
            assert_eq!(Type::record(size), Err(Error::Type), "{size}");
        }
        for code in [RECORD, RECORD - 1, RECORD + RECORD_MAX + 1, i32::MIN, i32::MAX] {
            assert_eq!(Type::from_code(code), Err(Error::Type), "{code}");
        }
        let alignment = |size| Type::record(size).unwrap().part_size();
        assert_eq!([1, 2, 4, 6, 8, 12, 16, 40].map(alignment), [1, 2, 4, 2, 8, 4, 8, 8]);
    }
}
