//! Work on elements already in place.
//!
//! Other processes may write the same memory at any time, so nothing here makes a slice of it: the elements
//! are copied by pieces into private memory, where plain loops over slices run as fast as the hardware.

mod bytes;
pub(crate) mod compare;
pub(crate) mod copy;
pub(crate) mod reorder;
pub(crate) mod search;

use core::mem::MaybeUninit;
use core::ops::ControlFlow;

use crate::element::{Complex, F16};
use crate::types::Type;

/// Elements in mapped memory.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    /// The first element; aligned for its type, and valid for reads (for writes where an operation writes)
    /// of `len` elements while the operation runs.
    pub data: *mut u8,
    pub len: usize,
    pub ty: Type,
}

/// Bytes in a piece. Two of them are on the stack at most, of which a thread may have no more than 16 KiB.
const PIECE: usize = 4096;

/// Private memory for one piece, aligned for every element.
#[repr(align(64))]
struct Piece([MaybeUninit<u8>; PIECE]);

impl Piece {
    /// Not zeroed: that would take longer than comparing a few elements.
    const NEW: Piece = Piece([MaybeUninit::uninit(); PIECE]);

    /// How many elements of type `T` it holds.
    const fn capacity<T>() -> usize {
        PIECE / size_of::<T>()
    }

    /// Copies `count` elements in, and gives them as a slice.
    ///
    /// # Safety
    /// `from` must be valid for reads of `count` elements, which must fit, and any bits must be a `T`.
    unsafe fn fill_from<T: Copy>(&mut self, from: *const u8, count: usize) -> &mut [T] {
        debug_assert!(count <= Self::capacity::<T>());
        let own = self.0.as_mut_ptr().cast::<u8>();
        // SAFETY: the caller promises the source and the count; the piece is aligned for `T`, borrowed for as
        // long as the slice, and initialised as far as that reaches by the copy.
        unsafe {
            core::ptr::copy_nonoverlapping(from, own, count * size_of::<T>());
            core::slice::from_raw_parts_mut(own.cast(), count)
        }
    }
}

/// Runs `f` over private copies of the elements from `start` to `stop`, by pieces, with the index of each
/// piece's first element.
///
/// # Safety
/// `start` to `stop` must lie within the span, and `T` have the size of its elements and take any bits.
// Not inlined: a caller has one for each type, and compilers would give it the stack of all of them.
#[inline(never)]
unsafe fn for_pieces<T: Copy, B>(
    span: Span,
    start: usize,
    stop: usize,
    mut f: impl FnMut(usize, &mut [T]) -> ControlFlow<B>,
) -> Option<B> {
    let mut piece = Piece::NEW;
    let mut at = start;
    while at < stop {
        let count = Piece::capacity::<T>().min(stop - at);
        // SAFETY: the range lies within the span, and `count` fits the piece.
        let elements = unsafe { piece.fill_from::<T>(span.data.add(at * size_of::<T>()), count) };
        if let ControlFlow::Break(result) = f(at, elements) {
            return Some(result);
        }
        at += count;
    }
    None
}

/// A value that elements are compared as.
trait Value: Copy {
    /// `==` as in C.
    fn same(self, other: Self) -> bool;
    /// `<` and `>` as in C; `None` where neither holds and the values differ.
    fn order(self, other: Self) -> Option<core::cmp::Ordering>;
}

macro_rules! ordered_values {
    ($($type:ty)*) => {$(
        impl Value for $type {
            #[inline(always)]
            fn same(self, other: Self) -> bool {
                self == other
            }

            #[inline(always)]
            fn order(self, other: Self) -> Option<core::cmp::Ordering> {
                self.partial_cmp(&other)
            }
        }
    )*};
}

ordered_values!(i8 u8 i16 u16 i32 u32 i64 u64 F16 f32 f64);

/// A byte as a truth value.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Truth(u8);

impl Value for Truth {
    #[inline(always)]
    fn same(self, other: Self) -> bool {
        (self.0 != 0) == (other.0 != 0)
    }

    fn order(self, other: Self) -> Option<core::cmp::Ordering> {
        (self.0 != 0).partial_cmp(&(other.0 != 0))
    }
}

impl<T: Copy + PartialEq> Value for Complex<T> {
    #[inline(always)]
    fn same(self, other: Self) -> bool {
        self == other
    }

    fn order(self, other: Self) -> Option<core::cmp::Ordering> {
        (self == other).then_some(core::cmp::Ordering::Equal)
    }
}

/// The place where a type becomes the Rust type that its elements are compared as; all of them take any bits. Records
/// equal each other as numbers of their size do; where there is no such number, [`bytes`] must be asked instead.
macro_rules! with_value_type {
    ($ty:expr, $T:ident => $body:expr) => {{
        use $crate::types::Kind::*;
        match ($ty.kind(), $ty.size()) {
            (Bool, _) => with_value_type!(@ $T = $crate::ops::Truth => $body),
            (Int, 1) => with_value_type!(@ $T = i8 => $body),
            (Int, 2) => with_value_type!(@ $T = i16 => $body),
            (Int, 4) => with_value_type!(@ $T = i32 => $body),
            (Int, _) => with_value_type!(@ $T = i64 => $body),
            (Float, 2) => with_value_type!(@ $T = $crate::element::F16 => $body),
            (Float, 4) => with_value_type!(@ $T = f32 => $body),
            (Float, _) => with_value_type!(@ $T = f64 => $body),
            (Complex, 8) => with_value_type!(@ $T = $crate::element::Complex<f32> => $body),
            (Complex, _) => with_value_type!(@ $T = $crate::element::Complex<f64> => $body),
            (Char | Uint | Unicode | Record, 1) => with_value_type!(@ $T = u8 => $body),
            (Char | Uint | Unicode | Record, 2) => with_value_type!(@ $T = u16 => $body),
            (Char | Uint | Unicode | Record, 4) => with_value_type!(@ $T = u32 => $body),
            (Char | Uint | Unicode | Record, _) => with_value_type!(@ $T = u64 => $body),
        }
    }};
    (@ $T:ident = $value:ty => $body:expr) => {{
        type $T = $value;
        $body
    }};
}
use with_value_type;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_compared_as_one_of_its_size() {
        for ty in Type::all() {
            with_value_type!(ty, T => assert_eq!(size_of::<T>(), ty.size(), "{}", ty.name()));
        }
    }
}
