//! The table of element types, and how one element moves between the array and private memory.

use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::error::{Error, Result};

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
    row(MBA_CHAR,       1,    Kind::Char,    c"char"),
    row(MBA_INT8,       1,    Kind::Int,     c"int8"),
    row(MBA_UINT8,      1,    Kind::Uint,    c"uint8"),
    row(MBA_BOOL,       1,    Kind::Bool,    c"bool"),
    row(MBA_INT16,      2,    Kind::Int,     c"int16"),
    row(MBA_UINT16,     2,    Kind::Uint,    c"uint16"),
    row(MBA_INT32,      4,    Kind::Int,     c"int32"),
    row(MBA_UINT32,     4,    Kind::Uint,    c"uint32"),
    row(MBA_LONG,       LONG, Kind::Int,     c"long"),
    row(MBA_ULONG,      LONG, Kind::Uint,    c"unsigned long"),
    row(MBA_INT64,      8,    Kind::Int,     c"int64"),
    row(MBA_UINT64,     8,    Kind::Uint,    c"uint64"),
    row(MBA_FLOAT16,    2,    Kind::Float,   c"float16"),
    row(MBA_FLOAT32,    4,    Kind::Float,   c"float32"),
    row(MBA_FLOAT64,    8,    Kind::Float,   c"float64"),
    row(MBA_COMPLEX64,  8,    Kind::Complex, c"complex64"),
    row(MBA_COMPLEX128, 16,   Kind::Complex, c"complex128"),
    row(MBA_WCHAR,      size_of::<libc::wchar_t>(), Kind::Unicode, c"wchar_t"),
    row(MBA_UCS4,       4,    Kind::Unicode, c"ucs4"),
];

const fn row(code: i32, size: usize, kind: Kind, name: &'static core::ffi::CStr) -> Type {
    Type { code, size, kind, name }
}

impl Type {
    /// The type with this number (the typecode's character, or that of a record), or [`Error::Type`].
    pub fn from_code(code: i32) -> Result<Type> {
        if let size @ 1..=MBA_RECORD_MAX = code.wrapping_sub(RECORD) {
            return Ok(row(code, size as usize, Kind::Record, c"record"));
        }
        TABLE.iter().find(|row| row.code == code).copied().ok_or(Error::Type)
    }

    /// Records: elements of `size` bytes whose meaning is the caller's. They are found, counted and compared by their
    /// bytes, those of padding too, and have no order. [`Error::Type`] for a size of 0 or beyond [`MBA_RECORD_MAX`].
    pub fn record(size: usize) -> Result<Type> {
        Type::from_code(Type::record_code(size))
    }

    /// The number of [`Type::record`], `MBA_RECORD(size)` in C, for an [`Element::CODE`]; -1, which is no type, for a size
    /// that none can have.
    pub const fn record_code(size: usize) -> i32 {
        if size == 0 || size > MBA_RECORD_MAX as usize { -1 } else { RECORD + size as i32 }
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
    /// nobody knows; it is aligned as far as its size can tell, and as [`store`] and [`load`] need it.
    pub(crate) fn part_size(self) -> usize {
        match self.kind {
            Kind::Complex => self.size / 2,
            Kind::Record => 1 << self.size.trailing_zeros().min(3),
            _ => self.size,
        }
    }
}

/// Copies one element into the array, in a way that other threads and processes see it whole (1, 2, 4 and 8 bytes) or
/// word by word, in any order.
///
/// # Safety
/// `to` must be valid for writes of `size` bytes of mapped memory and aligned for its type; `from` must
/// be valid for reads of `size` bytes, of any alignment.
#[inline(always)]
pub(crate) unsafe fn store(to: *mut u8, from: *const u8, size: usize) {
    // SAFETY: the caller promises both pointers for `size` bytes, and `to`'s alignment; where that can be less
    // than an atomic's, for complex numbers, it is checked.
    unsafe {
        if size == 4 {
            (*to.cast::<AtomicU32>()).store(from.cast::<u32>().read_unaligned(), Relaxed);
        } else if size == 8 && to.addr().is_multiple_of(8) {
            (*to.cast::<AtomicU64>()).store(from.cast::<u64>().read_unaligned(), Relaxed);
        } else {
            store_other(to, from, size);
        }
    }
}

/// The sizes that aren't the most common, out of line: compilers make one jump table of all, which would cost
/// the common ones more than half of their time.
///
/// # Safety
/// As for [`store`].
#[inline(never)]
unsafe fn store_other(to: *mut u8, from: *const u8, size: usize) {
    // SAFETY: as in `store`; an element of 8 bytes is aligned to 4 at least, one of 16 to 8; words are aligned, and lie
    // within the element.
    unsafe {
        match size {
            1 => (*to.cast::<AtomicU8>()).store(from.read(), Relaxed),
            2 => (*to.cast::<AtomicU16>()).store(from.cast::<u16>().read_unaligned(), Relaxed),
            8 => {
                let [low, high] = from.cast::<[u32; 2]>().read_unaligned();
                (*to.cast::<AtomicU32>()).store(low, Relaxed);
                (*to.add(4).cast::<AtomicU32>()).store(high, Relaxed);
            }
            16 => {
                let [low, high] = from.cast::<[u64; 2]>().read_unaligned();
                (*to.cast::<AtomicU64>()).store(low, Relaxed);
                (*to.add(8).cast::<AtomicU64>()).store(high, Relaxed);
            }
            _ => {
                let store = |(at, is_word)| {
                    if is_word {
                        let word = from.add(at).cast::<u64>().read_unaligned();
                        (*to.add(at).cast::<AtomicU64>()).store(word, Relaxed);
                    } else {
                        (*to.add(at).cast::<AtomicU8>()).store(from.add(at).read(), Relaxed);
                    }
                };
                in_order(words(to, size), to, from, store);
            }
        }
    }
}

/// Where the words of an element lie, counted from its beginning, and the bytes before and behind them; whether each is a
/// word. Whoever maps the array finds the same ones, since mappings differ by whole pages.
fn words(place: *const u8, size: usize) -> impl DoubleEndedIterator<Item = (usize, bool)> {
    const WORD: usize = size_of::<u64>();
    let before = place.align_offset(WORD).min(size);
    let behind = before + (size - before) / WORD * WORD;
    let bytes = |range: core::ops::Range<usize>| range.map(|at| (at, false));
    bytes(0..before).chain((before..behind).step_by(WORD).map(|at| (at, true))).chain(bytes(behind..size))
}

/// Copies word by word, in the order in which no word is overwritten before it was read: `to` and `from` may overlap.
fn in_order<T>(words: impl DoubleEndedIterator<Item = T>, to: *mut u8, from: *const u8, copy: impl FnMut(T)) {
    if to.cast_const() > from { words.rev().for_each(copy) } else { words.for_each(copy) }
}

/// Copies one element out of the array; the counterpart of [`store`].
///
/// # Safety
/// `from` must be valid for reads of `size` bytes of mapped memory and aligned for its type; `to` must
/// be valid for writes of `size` bytes, of any alignment.
#[inline(always)]
pub(crate) unsafe fn load(to: *mut u8, from: *const u8, size: usize) {
    // SAFETY: as in `store`, with the roles of the pointers exchanged.
    unsafe {
        if size == 4 {
            to.cast::<u32>().write_unaligned((*from.cast::<AtomicU32>()).load(Relaxed));
        } else if size == 8 && from.addr().is_multiple_of(8) {
            to.cast::<u64>().write_unaligned((*from.cast::<AtomicU64>()).load(Relaxed));
        } else {
            load_other(to, from, size);
        }
    }
}

/// The counterpart of [`store_other`].
///
/// # Safety
/// As for [`load`].
#[inline(never)]
unsafe fn load_other(to: *mut u8, from: *const u8, size: usize) {
    // SAFETY: as in `store_other`, with the roles of the pointers exchanged.
    unsafe {
        match size {
            1 => to.write((*from.cast::<AtomicU8>()).load(Relaxed)),
            2 => to.cast::<u16>().write_unaligned((*from.cast::<AtomicU16>()).load(Relaxed)),
            8 => {
                let low = (*from.cast::<AtomicU32>()).load(Relaxed);
                let high = (*from.add(4).cast::<AtomicU32>()).load(Relaxed);
                to.cast::<[u32; 2]>().write_unaligned([low, high]);
            }
            16 => {
                let low = (*from.cast::<AtomicU64>()).load(Relaxed);
                let high = (*from.add(8).cast::<AtomicU64>()).load(Relaxed);
                to.cast::<[u64; 2]>().write_unaligned([low, high]);
            }
            _ => {
                let load = |(at, is_word)| {
                    if is_word {
                        let word = (*from.add(at).cast::<AtomicU64>()).load(Relaxed);
                        to.add(at).cast::<u64>().write_unaligned(word);
                    } else {
                        to.add(at).write((*from.add(at).cast::<AtomicU8>()).load(Relaxed));
                    }
                };
                in_order(words(from, size), to, from, load);
            }
        }
    }
}

/// A Rust type that can be the element of an [`MmapArray`](crate::MmapArray).
///
/// # Safety
/// `CODE` must name the type that describes `Self`: same size, bytes that mean the same, no padding, and an
/// alignment of at most its size, or half of it for complex numbers. Any `Copy` structure without padding and of at
/// most a page's alignment can be a record, with [`Type::record_code`] of its size. `ANY_BITS` may be true only if every bit
/// pattern is a value of `Self`; otherwise `from_memory` must make one out of any bytes.
pub unsafe trait Element: Copy + Send + Sync + 'static {
    /// The row of the table that describes this type.
    const CODE: i32;
    /// Whether every bit pattern is a value.
    const ANY_BITS: bool = true;

    /// Reads the element at `from`, where other processes may have put any bytes.
    ///
    /// # Safety
    /// `from` must point to an element in mapped memory, aligned for the type.
    #[inline(always)]
    unsafe fn from_memory(from: *const u8) -> Self {
        let mut value = core::mem::MaybeUninit::<Self>::uninit();
        // SAFETY: the caller promises `from`; `value` has the size of an element, and any bits are a value.
        unsafe {
            load(value.as_mut_ptr().cast(), from, size_of::<Self>());
            value.assume_init()
        }
    }
}

macro_rules! elements {
    ($($rust:ty = $code:expr;)*) => {
        $(
            // SAFETY: the size is asserted below against the table; these types take any bits.
            unsafe impl Element for $rust {
                const CODE: i32 = $code;
            }
        )*

        #[cfg(test)]
        pub(crate) const RUST_TYPES: &[(i32, usize)] = &[
            $(($code, size_of::<$rust>()),)*
            (MBA_BOOL, size_of::<bool>()),
            (MBA_UCS4, size_of::<char>()),
        ];
    };
}

elements! {
    Char8 = MBA_CHAR;
    i8 = MBA_INT8;
    u8 = MBA_UINT8;
    i16 = MBA_INT16;
    u16 = MBA_UINT16;
    i32 = MBA_INT32;
    u32 = MBA_UINT32;
    i64 = MBA_INT64;
    u64 = MBA_UINT64;
    F16 = MBA_FLOAT16;
    f32 = MBA_FLOAT32;
    f64 = MBA_FLOAT64;
    Complex<f32> = MBA_COMPLEX64;
    Complex<f64> = MBA_COMPLEX128;
}

// SAFETY: one byte; `from_memory` makes a `bool` out of any byte.
unsafe impl Element for bool {
    const CODE: i32 = MBA_BOOL;
    const ANY_BITS: bool = false;

    #[inline(always)]
    unsafe fn from_memory(from: *const u8) -> bool {
        // SAFETY: the caller promises `from`.
        unsafe { u8::from_memory(from) != 0 }
    }
}

// SAFETY: four bytes; `from_memory` makes a `char` out of any four.
unsafe impl Element for char {
    const CODE: i32 = MBA_UCS4;
    const ANY_BITS: bool = false;

    /// A number that is no Unicode scalar value reads as U+FFFD; searches and comparisons go by the number.
    #[inline(always)]
    unsafe fn from_memory(from: *const u8) -> char {
        // SAFETY: the caller promises `from`.
        char::from_u32(unsafe { u32::from_memory(from) }).unwrap_or(char::REPLACEMENT_CHARACTER)
    }
}

/// A one-byte character, the element of typecode `'c'`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Char8(pub u8);

/// The bits of an IEEE 754 half-precision float, the element of typecode `'e'`.
///
/// It carries the bits and compares as a float does; a crate such as `half` calculates with them.
#[derive(Clone, Copy, Debug, Default)]
#[repr(transparent)]
pub struct F16(pub u16);

impl F16 {
    fn is_nan(self) -> bool {
        self.0 & 0x7fff > 0x7c00
    }

    /// A number that orders as the float does, NaN apart: the magnitude, with the sign applied.
    fn key(self) -> i32 {
        let magnitude = i32::from(self.0 & 0x7fff);
        if self.0 & 0x8000 == 0 { magnitude } else { -magnitude }
    }
}

impl PartialEq for F16 {
    fn eq(&self, other: &F16) -> bool {
        self.partial_cmp(other) == Some(core::cmp::Ordering::Equal)
    }
}

impl PartialOrd for F16 {
    fn partial_cmp(&self, other: &F16) -> Option<core::cmp::Ordering> {
        (!self.is_nan() && !other.is_nan()).then(|| self.key().cmp(&other.key()))
    }
}

/// A complex number: real and imaginary part. `Complex<f32>` is the element of typecode `'F'`,
/// `Complex<f64>` of `'D'`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C)]
pub struct Complex<T> {
    /// The real part.
    pub re: T,
    /// The imaginary part.
    pub im: T,
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
        let most = MBA_RECORD_MAX as usize;
        for size in [1, 2, 12, 64, 4097, most] {
            let ty = Type::record(size).unwrap();
            assert_eq!((ty.size(), ty.kind(), ty.typecode(), ty.name()), (size, Kind::Record, 'V', "record"));
            assert_eq!(Type::from_code(ty.code()), Ok(ty));
            assert!(!ty.is_like(Type::from_code(MBA_UINT8).unwrap()));
        }
        for size in [0, most + 1, usize::MAX, 1 << 32 | 8] {
            assert_eq!(Type::record(size), Err(Error::Type), "{size}");
        }
        for code in [RECORD, RECORD - 1, RECORD + MBA_RECORD_MAX + 1, i32::MIN, i32::MAX] {
            assert_eq!(Type::from_code(code), Err(Error::Type), "{code}");
        }
        let alignment = |size| Type::record(size).unwrap().part_size();
        assert_eq!([1, 2, 4, 6, 8, 12, 16, 40].map(alignment), [1, 2, 4, 2, 8, 4, 8, 8]);
    }

    #[test]
    fn rust_types_have_the_size_of_their_row() {
        for (code, size) in RUST_TYPES {
            assert_eq!(Type::from_code(*code).unwrap().size(), *size, "code {code}");
        }
    }

    #[test]
    fn half_floats_compare_as_floats() {
        let (zero, minus_zero, one, nan) = (F16(0), F16(0x8000), F16(0x3c00), F16(0x7e00));
        let (minus_one, infinity, tiny) = (F16(0xbc00), F16(0x7c00), F16(1));
        assert!(zero == minus_zero && nan != nan && one > tiny && tiny > zero);
        assert!(minus_one < minus_zero && infinity > one && F16(0xfc00) < minus_one);
        assert!(nan.partial_cmp(&one).is_none() && one.partial_cmp(&nan).is_none());
    }
}
