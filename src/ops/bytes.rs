//! Records: elements that are told apart by their bytes.

use core::ops::ControlFlow;

use super::{PIECE, Piece, Span};
use crate::types::{Kind, Type};

/// Whether elements of a type are found byte by byte, since no number has their size.
pub(super) fn are_unlike_numbers(ty: Type) -> bool {
    ty.kind() == Kind::Record && !matches!(ty.size(), 1 | 2 | 4 | 8)
}

/// Calls `f` for each element from `start` to `stop` whose bytes are those of the value, with its index.
///
/// # Safety
/// The span's promise must hold, `stop` lie within it, and `value` be valid for reads of an element.
// Not inlined, as `for_pieces`.
#[inline(never)]
pub(super) unsafe fn for_equal<B>(
    span: Span,
    value: *const u8,
    start: usize,
    stop: usize,
    mut f: impl FnMut(usize) -> ControlFlow<B>,
) -> Option<B> {
    let size = span.ty.size();
    let element = |at: usize| span.data.wrapping_add(at * size);
    let mut wanted = Piece::NEW;
    let mut piece = Piece::NEW;
    let mut at = start;
    while at < stop {
        let count = (PIECE / size).min(stop - at);
        if count == 0 {
            // Larger than a piece.
            // SAFETY: both are elements, by the caller's promise.
            if unsafe { same(element(at), value, size) }
                && let ControlFlow::Break(result) = f(at)
            {
                return Some(result);
            }
            at += 1;
            continue;
        }
        // SAFETY: the value is an element, and `count` elements lie within the span; both fit a piece, and bytes take
        // any bits.
        let (wanted, elements) = unsafe {
            (wanted.fill_from::<u8>(value, size), piece.fill_from::<u8>(element(at), count * size))
        };
        for (behind, element) in elements.chunks_exact(size).enumerate() {
            if element == wanted
                && let ControlFlow::Break(result) = f(at + behind)
            {
                return Some(result);
            }
        }
        at += count;
    }
    None
}

/// Whether so many bytes are the same in both places.
///
/// # Safety
/// Both must be valid for reads of `count` bytes.
// Not inlined, as `for_pieces`.
#[inline(never)]
pub(super) unsafe fn same(a: *const u8, b: *const u8, count: usize) -> bool {
    let mut left = Piece::NEW;
    let mut right = Piece::NEW;
    (0..count).step_by(PIECE).all(|at| {
        let part = PIECE.min(count - at);
        // SAFETY: the part lies within what the caller promises, and fits a piece; bytes take any bits.
        unsafe { left.fill_from::<u8>(a.add(at), part) == right.fill_from::<u8>(b.add(at), part) }
    })
}

/// Exchanges so many bytes of two places.
///
/// # Safety
/// Both must be valid for reads and writes of `count` bytes, and not overlap.
// Not inlined, as `for_pieces`.
#[inline(never)]
unsafe fn exchange(a: *mut u8, b: *mut u8, count: usize) {
    let mut left = Piece::NEW;
    let mut right = Piece::NEW;
    for at in (0..count).step_by(PIECE) {
        let part = PIECE.min(count - at);
        // SAFETY: the part lies within what the caller promises, and fits a piece; bytes take any bits.
        unsafe {
            let (left, right) =
                (left.fill_from::<u8>(a.add(at), part), right.fill_from::<u8>(b.add(at), part));
            core::ptr::copy_nonoverlapping(right.as_ptr(), a.add(at), part);
            core::ptr::copy_nonoverlapping(left.as_ptr(), b.add(at), part);
        }
    }
}

/// Turns the order of elements of any size around.
///
/// # Safety
/// The span's promise must hold, for writes too.
pub(super) unsafe fn reverse(span: Span) {
    let size = span.ty.size();
    for at in 0..span.len / 2 {
        // SAFETY: two elements of the span, of which the first lies in its first half, and the other isn't.
        unsafe { exchange(span.data.add(at * size), span.data.add((span.len - 1 - at) * size), size) };
    }
}
