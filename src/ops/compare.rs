//! Comparing two arrays, element by element, as sequences are compared.

use core::cmp::Ordering;
use core::ops::ControlFlow;

use super::{Piece, Span, Value, bytes, for_pieces, with_value_type};
use crate::types::Kind;

/// How one array stands to another; `None` where the first pair that differs has no order.
pub(crate) type Order = Option<Ordering>;

/// The order of the first pair of elements that differs, or of the lengths.
///
/// # Safety
/// The promise of both spans must hold, and their elements have the same kind and size.
pub(crate) unsafe fn compare(a: Span, b: Span) -> Order {
    let common = a.len.min(b.len);
    if a.ty.kind() == Kind::Record {
        // SAFETY: both spans have `common` elements, of the same size.
        let same = unsafe { bytes::same(a.data, b.data, common * a.ty.size()) };
        return same.then(|| a.len.cmp(&b.len));
    }
    with_value_type!(a.ty, T => {
        // SAFETY: the caller's promises; both spans have `common` elements, and `T` fits both.
        match unsafe { first_difference::<T>(a, b, common) } {
            Some((x, y)) => x.order(y),
            None => Some(a.len.cmp(&b.len)),
        }
    })
}

/// Whether both have the same length and equal elements.
///
/// # Safety
/// As for [`compare`].
pub(crate) unsafe fn equal(a: Span, b: Span) -> bool {
    if a.len != b.len {
        return false;
    }
    if a.ty.kind() == Kind::Record {
        // SAFETY: both spans have as many elements, of the same size.
        return unsafe { bytes::same(a.data, b.data, a.len * a.ty.size()) };
    }
    with_value_type!(a.ty, T => {
        // SAFETY: the caller's promises; both spans have as many elements, and `T` fits both.
        unsafe { first_difference::<T>(a, b, a.len) }.is_none()
    })
}

/// The first pair that differs among the first `common` ones.
///
/// # Safety
/// Both spans must hold so many elements, of the size of `T`, which must take any bits.
// Not inlined, as `for_pieces`.
#[inline(never)]
unsafe fn first_difference<T: Value>(a: Span, b: Span, common: usize) -> Option<(T, T)> {
    let mut other = Piece::NEW;
    // SAFETY: the range lies within `a`, and its counterpart within `b`; a piece's count fits the other piece.
    unsafe {
        for_pieces(a, 0, common, |first, xs: &mut [T]| {
            let ys = other.fill_from::<T>(b.data.add(first * size_of::<T>()), xs.len());
            let same = xs.iter().zip(&*ys).fold(true, |same, (x, y)| same & x.same(*y));
            if same {
                return ControlFlow::Continue(());
            }
            match xs.iter().zip(&*ys).find(|(x, y)| !x.same(**y)) {
                Some((x, y)) => ControlFlow::Break((*x, *y)),
                None => ControlFlow::Continue(()),
            }
        })
    }
}
