//! Single elements and ranges, in place; and what a handle knows.

use core::ffi::{c_int, c_void};

use super::{ask, mba_array, mba_type, source, sources, target, with};

/// The number of elements, as this handle knows it: `mba_refresh` and every call that changes the
/// length take up what others have published. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_len(array: *const mba_array) -> usize {
    ask(array, 0, |array| array.len())
}

/// How many elements fit before the file must grow. While the handle doesn't hold the growth lock,
/// that is the length. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_capacity(array: *const mba_array) -> usize {
    ask(array, 0, |array| array.capacity())
}

/// Bytes in an element. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_itemsize(array: *const mba_array) -> usize {
    ask(array, 0, |array| array.itemsize())
}

/// The most elements that the array can ever have through this handle: its reservation. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_reserved(array: *const mba_array) -> usize {
    ask(array, 0, |array| array.reserved())
}

/// The element type. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_typecode(array: *const mba_array) -> mba_type {
    ask(array, 0, |array| array.storage().layout().type_code)
}

/// 1 if elements can't be set through this handle, else 0; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_is_readonly(array: *const mba_array) -> c_int {
    ask(array, 0, |array| array.is_readonly().into())
}

/// The address of element 0. It stays the same, and stays valid, from the opening of the handle until
/// it is freed, however much the array grows; elements lie there up to the length. NULL for NULL.
///
/// What is stored through it is seen by everybody at once. Stores through the pointer of a read-only
/// handle are a SIGSEGV; see the top of this file for when a SIGBUS is possible. While this handle
/// holds the growth lock, elements may also be stored beyond the length, up to the capacity;
/// `mba_commit` publishes them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_data_ptr(array: *const mba_array) -> *mut c_void {
    ask(array, core::ptr::null_mut(), |array| array.as_ptr().cast())
}

/// Copies the element at `index` to `out`.
///
/// Errors: `MBA_EINDEX`; `EINVAL` for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_get(array: *const mba_array, index: usize, out: *mut c_void) -> c_int {
    // SAFETY: the caller promises a place for an element.
    with(array, |array| unsafe { array.get_to(index, target(out)?.cast()) })
}

/// Exchanges the elements at `i` and `j`. A reader can meanwhile find one of them in both places, and
/// a kill may leave it half done. The rules for threads are those of `mba_set`.
///
/// Errors: `MBA_EREADONLY`, `MBA_EINDEX`; `ENOMEM` for elements of more than 64 bytes; `EINVAL` for
/// NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_swap(array: *mut mba_array, i: usize, j: usize) -> c_int {
    with(array, |array| array.swap(i, j))
}

/// Replaces the element at `index`. May run beside any other call on the handle, except those that
/// give pages back: see THREADS at the top of this file.
///
/// Errors: `MBA_EREADONLY`, `MBA_EINDEX`; `EINVAL` for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_set(array: *mut mba_array, index: usize, value: *const c_void) -> c_int {
    // SAFETY: the caller promises an element.
    with(array, |array| unsafe { array.set_from(index, source(value)?) })
}

/// Copies `count` elements from `start` on to `out`.
///
/// Errors: `MBA_EINDEX` if the range isn't within the array; `EINVAL` for NULL, but `(NULL, 0)` is
/// allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_read(
    array: *const mba_array,
    start: usize,
    count: usize,
    out: *mut c_void,
) -> c_int {
    with(array, |array| {
        let out = sources(out, count)?.cast_mut();
        // SAFETY: the caller promises room for the elements.
        unsafe { array.read_to(start, count, out) }
    })
}

/// Replaces `count` elements from `start` on. `values` may overlap the array. A kill may leave it
/// half done.
///
/// Errors: `MBA_EREADONLY`; `MBA_EINDEX` if the range isn't within the array; `EINVAL` for NULL, but
/// `(NULL, 0)` is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_write(
    array: *mut mba_array,
    start: usize,
    values: *const c_void,
    count: usize,
) -> c_int {
    // SAFETY: the caller promises the elements.
    with(array, |array| unsafe { array.write_from(start, sources(values, count)?, count) })
}

/// Stores the same value in `count` elements from `start` on. A kill may leave it half done.
///
/// Errors: `MBA_EREADONLY`; `MBA_EINDEX` if the range isn't within the array; `EINVAL` for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_fill(
    array: *mut mba_array,
    start: usize,
    count: usize,
    value: *const c_void,
) -> c_int {
    // SAFETY: the caller promises an element.
    with(array, |array| unsafe { array.fill_from(start, count, source(value)?) })
}
