//! Finding and counting elements by value.

use core::ops::ControlFlow;

use super::{Span, Value, bytes, for_pieces, with_value_type};

/// How many elements are looked at together: compilers make vector code of a loop without an early exit.
const BLOCK: usize = 128;

/// The first index from `start` to `stop` whose element equals the value.
///
/// # Safety
/// The span's promise must hold, `stop` lie within it, and `value` be valid for reads of an element.
pub(crate) unsafe fn find(span: Span, value: *const u8, start: usize, stop: usize) -> Option<usize> {
    if bytes::are_unlike_numbers(span.ty) {
        // SAFETY: the caller's promises.
        return unsafe { bytes::for_equal(span, value, start, stop, ControlFlow::Break) };
    }
    with_value_type!(span.ty, T => {
        // SAFETY: the caller promises the value; `T` has the element's size and takes any bits.
        let value = unsafe { value.cast::<T>().read_unaligned() };
        // SAFETY: the caller promises the range; `T` as above.
        unsafe {
            for_pieces(span, start, stop, |first, elements: &mut [T]| {
                match position(elements, |element| element.same(value)) {
                    Some(at) => ControlFlow::Break(first + at),
                    None => ControlFlow::Continue(()),
                }
            })
        }
    })
}

/// How many elements equal the value.
///
/// # Safety
/// The span's promise must hold, and `value` be valid for reads of an element.
pub(crate) unsafe fn count(span: Span, value: *const u8) -> usize {
    let mut total = 0;
    if bytes::are_unlike_numbers(span.ty) {
        // SAFETY: the whole span; the caller promises the value.
        unsafe {
            bytes::for_equal(span, value, 0, span.len, |_| {
                total += 1;
                ControlFlow::<()>::Continue(())
            })
        };
        return total;
    }
    with_value_type!(span.ty, T => {
        // SAFETY: the caller promises the value; `T` has the element's size and takes any bits.
        let value = unsafe { value.cast::<T>().read_unaligned() };
        // SAFETY: the whole span; `T` as above.
        unsafe {
            for_pieces(span, 0, span.len, |_, elements: &mut [T]| {
                total += elements.iter().map(|element| u32::from(element.same(value))).sum::<u32>() as usize;
                ControlFlow::<()>::Continue(())
            })
        };
    });
    total
}

/// As `Iterator::position`, block by block.
pub(super) fn position<T: Copy>(elements: &[T], hit: impl Fn(T) -> bool) -> Option<usize> {
    let mut first = 0;
    for block in elements.chunks(BLOCK) {
        if block.iter().fold(false, |any, element| any | hit(*element)) {
            return block.iter().position(|element| hit(*element)).map(|at| first + at);
        }
        first += block.len();
    }
    None
}
