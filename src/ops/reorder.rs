//! Rewriting elements in place: reverse, byteswap, fill.

use core::ops::ControlFlow;

use super::{Piece, Span, bytes, for_pieces};

/// Turns the order of the elements around.
///
/// # Safety
/// The span's promise must hold, for writes too.
pub(crate) unsafe fn reverse(span: Span) {
    // SAFETY: the types have the size of the elements and take any bits; the caller promises the rest.
    unsafe {
        match span.ty.size() {
            1 => reverse_as::<u8>(span),
            2 => reverse_as::<u16>(span),
            4 => reverse_as::<u32>(span),
            8 => reverse_as::<u64>(span),
            16 => reverse_as::<[u64; 2]>(span),
            _ => bytes::reverse(span),
        }
    }
}

/// Exchanges pieces from both ends until they meet.
///
/// # Safety
/// As for [`reverse`]; `T` must have the size of the elements and take any bits.
// Not inlined, as `for_pieces`.
#[inline(never)]
unsafe fn reverse_as<T: Copy>(span: Span) {
    let mut low = Piece::NEW;
    let mut high = Piece::NEW;
    let (mut start, mut end) = (0, span.len);
    while start < end {
        let rest = end - start;
        let count =
            if rest <= Piece::capacity::<T>() { rest } else { (rest / 2).min(Piece::capacity::<T>()) };
        // SAFETY: both ranges of `count` elements lie between `start` and `end`, so in the span; they are
        // the same one, or they don't overlap; `count` fits a piece.
        unsafe {
            let first = span.data.add(start * size_of::<T>());
            let last = span.data.add((end - count) * size_of::<T>());
            let bottom = low.fill_from::<T>(first, count);
            bottom.reverse();
            if count < rest {
                let top = high.fill_from::<T>(last, count);
                top.reverse();
                core::ptr::copy_nonoverlapping(top.as_ptr().cast(), first, count * size_of::<T>());
            }
            core::ptr::copy_nonoverlapping(bottom.as_ptr().cast(), last, count * size_of::<T>());
        }
        start += count;
        end = if count < rest { end - count } else { start };
    }
}

/// Turns the bytes of every number around; of both parts of a complex one.
///
/// # Safety
/// The span's promise must hold, for writes too.
pub(crate) unsafe fn byteswap(span: Span) {
    let part = span.ty.part_size();
    let parts = Span { len: span.len * (span.ty.size() / part), ..span };
    // SAFETY: the types have the size of the parts and take any bits; the caller promises the rest.
    unsafe {
        match part {
            2 => rewrite(parts, u16::swap_bytes),
            4 => rewrite(parts, u32::swap_bytes),
            8 => rewrite(parts, u64::swap_bytes),
            16 => rewrite(parts, u128::swap_bytes),
            _ => debug_assert_eq!(part, 1, "numbers have one of these sizes"),
        }
    }
}

/// Replaces every element by what `f` makes of it.
///
/// # Safety
/// `span.len` values of type `T`, which must take any bits, must be valid at `span.data` for reads and writes.
unsafe fn rewrite<T: Copy>(span: Span, f: impl Fn(T) -> T) {
    // SAFETY: the caller promises the memory; each piece goes back to where it came from.
    unsafe {
        for_pieces(span, 0, span.len, |first, values: &mut [T]| {
            values.iter_mut().for_each(|value| *value = f(*value));
            let to = span.data.add(first * size_of::<T>());
            core::ptr::copy_nonoverlapping(values.as_ptr().cast(), to, size_of_val(values));
            ControlFlow::<()>::Continue(())
        })
    };
}

/// Stores the same value in every element.
///
/// # Safety
/// The span's promise must hold, for writes too, and `value` be valid for reads of an element.
pub(crate) unsafe fn fill(span: Span, value: *const u8) {
    let size = span.ty.size();
    let mut pattern = Piece::NEW;
    let per_piece = pattern.0.len() / size;
    if per_piece == 0 {
        // Larger than a piece.
        for at in 0..span.len {
            // SAFETY: an element of the span; the caller promises the value.
            unsafe { core::ptr::copy(value, span.data.add(at * size), size) };
        }
        return;
    }
    let used = per_piece.min(span.len);
    for element in pattern.0[..used * size].chunks_exact_mut(size) {
        // SAFETY: the caller promises the value; the chunk has its size.
        unsafe { core::ptr::copy_nonoverlapping(value, element.as_mut_ptr().cast(), size) };
    }
    let pattern = pattern.0.as_ptr().cast::<u8>();
    let mut at = 0;
    while at < span.len {
        let count = per_piece.min(span.len - at);
        // SAFETY: the range lies within the span, and the pattern has been filled with at least `count` elements.
        unsafe { core::ptr::copy_nonoverlapping(pattern, span.data.add(at * size), count * size) };
        at += count;
    }
}
