//! Rust types that can be elements.

use crate::ops::copy::load;
#[cfg(doc)]
use crate::types::Type;

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
    ($dollar:tt $($rust:ty = $code:expr;)*) => {
        /// Calls a generic function with each Rust type that is an element, for this package's tests.
        #[doc(hidden)]
        #[macro_export]
        macro_rules! for_each_element_type {
            ($dollar call:ident, $dollar argument:expr) => {
                $($dollar call::<$rust>($dollar argument);)*
                $dollar call::<bool>($dollar argument);
                $dollar call::<char>($dollar argument);
            };
        }

        $(
            // SAFETY: the size is asserted below against the table; these types take any bits.
            unsafe impl Element for $rust {
                const CODE: i32 = $code as i32;
            }
        )*

        #[cfg(test)]
        pub(crate) const RUST_TYPES: &[(i32, usize)] = &[
            $(($code as i32, size_of::<$rust>()),)*
            ('?' as i32, size_of::<bool>()),
            ('w' as i32, size_of::<char>()),
        ];
    };
}

elements! { $
    Char8 = 'c';
    i8 = 'b';
    u8 = 'B';
    i16 = 'h';
    u16 = 'H';
    i32 = 'i';
    u32 = 'I';
    i64 = 'q';
    u64 = 'Q';
    F16 = 'e';
    f32 = 'f';
    f64 = 'd';
    Complex<f32> = 'F';
    Complex<f64> = 'D';
}

// SAFETY: one byte; `from_memory` makes a `bool` out of any byte.
unsafe impl Element for bool {
    const CODE: i32 = '?' as i32;
    const ANY_BITS: bool = false;

    #[inline(always)]
    unsafe fn from_memory(from: *const u8) -> bool {
        // SAFETY: the caller promises `from`.
        unsafe { u8::from_memory(from) != 0 }
    }
}

// SAFETY: four bytes; `from_memory` makes a `char` out of any four.
unsafe impl Element for char {
    const CODE: i32 = 'w' as i32;
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
    use crate::types::Type;

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
