//! Calls about the elements as a whole: search, order, comparison.

use core::cmp::Ordering;
use core::ffi::{c_int, c_void};

use super::{NULL, mba_array, source, target, view, with};

/// What `mba_compare` says of arrays whose first difference has no order: NaN, complex numbers, or
/// records.
pub const MBA_UNORDERED: i32 = 2;

/// Finds the first element at `start` or later, and before `stop`, that equals the value, and stores
/// its index in `*index`. `stop` may be beyond the length; `SIZE_MAX` searches to the end.
///
/// Equal is what `==` says in C: NaN equals nothing, 0.0 equals -0.0, and all true values of
/// `MBA_BOOL` are equal. Records are equal if their bytes are.
///
/// Errors: `MBA_ENOTFOUND`; `EINVAL` for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_find(
    array: *const mba_array,
    value: *const c_void,
    start: usize,
    stop: usize,
    index: *mut usize,
) -> c_int {
    with(array, |array| {
        let index = target(index)?;
        // SAFETY: the caller promises an element, and a place for the index.
        unsafe { index.write(array.find_from(source(value)?, start, stop)?) };
        Ok(())
    })
}

/// Counts the elements that equal the value, in the sense of `mba_find`, and stores their number in
/// `*count`.
///
/// Errors: `EINVAL` for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_count(
    array: *const mba_array,
    value: *const c_void,
    count: *mut usize,
) -> c_int {
    with(array, |array| {
        let count = target(count)?;
        // SAFETY: the caller promises an element, and a place for the count.
        unsafe { count.write(array.count_from(source(value)?)) };
        Ok(())
    })
}

/// Compares two arrays as sequences, and stores -1, 0 or 1 in `*order`: the first is less than, equal
/// to or greater than the second. The first pair of elements that differs decides, or else the
/// lengths. `*order` is `MBA_UNORDERED` if that pair has no order, as records never have.
///
/// Errors: `MBA_ETYPE` if the elements differ in kind or size; `EINVAL` for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_compare(a: *const mba_array, b: *const mba_array, order: *mut c_int) -> c_int {
    with(a, |a| {
        let (b, order) = (view(b).ok_or(NULL)?, target(order)?);
        let result = match a.compare(&b)? {
            Some(Ordering::Less) => -1,
            Some(Ordering::Equal) => 0,
            Some(Ordering::Greater) => 1,
            None => MBA_UNORDERED,
        };
        // SAFETY: the caller promises a place for the order.
        unsafe { order.write(result) };
        Ok(())
    })
}

/// Stores in `*equal` 1 if both arrays have the same length and equal elements, in the sense of
/// `mba_find`, else 0.
///
/// Errors: `MBA_ETYPE` if the elements differ in kind or size; `EINVAL` for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_equal(a: *const mba_array, b: *const mba_array, equal: *mut c_int) -> c_int {
    with(a, |a| {
        let (b, equal) = (view(b).ok_or(NULL)?, target(equal)?);
        // SAFETY: the caller promises a place for the answer.
        unsafe { equal.write(a.equals(&b)?.into()) };
        Ok(())
    })
}

/// Reverses the order of the elements, in place. A kill may leave it half done.
///
/// It goes by the length that the handle has. If others have made the array shorter since, it moves
/// elements beyond the end, where they are lost: take the growth lock first, or refresh.
///
/// Errors: `MBA_EREADONLY`; `EINVAL` for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_reverse(array: *mut mba_array) -> c_int {
    with(array, |array| array.reverse())
}

/// Reverses the bytes of every element, in place; in a complex number, those of each part. A kill may
/// leave it half done.
///
/// Errors: `MBA_EREADONLY`; `MBA_ETYPE` for records; `EINVAL` for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_byteswap(array: *mut mba_array) -> c_int {
    with(array, |array| array.byteswap())
}
