//! Calls that change the length.

use core::ffi::{c_int, c_void};

use super::{MBA_OK, mba_array, source, sources, view, with};

/// Appends an element. In the common case this is two stores: no system call, no allocation.
/// `mba_push`, at the end of the header, does the same without a call.
///
/// Errors, which all calls that change the length can give: `MBA_EREADONLY`; `MBA_EFIXED`;
/// `MBA_ELOCKED` if another handle holds the growth lock; `MBA_ELIMIT` beyond the reservation;
/// `MBA_EPARTIAL`; `MBA_ETYPE` and `MBA_ECORRUPT` if the file's footer now names another type, or
/// contradicts the file; `MBA_ETRUNCATED` and `MBA_ECORRUPT` if someone who doesn't use the library
/// has changed the file's size; `ENOSPC`, `EDQUOT`, `EFBIG` (a limit on the size of files) if there
/// is no room; `EIO`; in a forked child, and for anonymous memory after any fork, also what open(2)
/// says if the file can't be opened for a lock of its own, such as `EACCES` and `EMFILE`; `EINVAL`
/// for NULL. The array is then as it was.
///
/// Spare room comes in whole pages of 4096 bytes. So a disk with less than a page left has no room
/// for an element either, unless the handle is `MBA_EXACT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_append(array: *mut mba_array, value: *const c_void) -> c_int {
    // The quick way first, which needs nobody to catch a panic.
    if let (Some(array), Ok(value)) = (view(array), source(value)) {
        // SAFETY: the caller promises an element.
        if unsafe { array.append_in_room(value, array.itemsize()) } {
            return MBA_OK;
        }
    }
    append_slowly(array, value)
}

/// Out of line, so that the quick way is no more than that.
#[cold]
#[inline(never)]
fn append_slowly(array: *mut mba_array, value: *const c_void) -> c_int {
    // SAFETY: the caller of `mba_append` promises an element.
    with(array, |array| unsafe { array.append_slowly(source(value)?) })
}

/// Takes the last element away, and copies it to `out` unless that is NULL.
///
/// A file without spare room gets a footer here. If there is no room for that, the file is truncated
/// instead; if others have it open it can't be truncated, and the call fails with `ENOSPC`.
///
/// Errors: `MBA_EEMPTY`; as `mba_append`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_pop(array: *mut mba_array, out: *mut c_void) -> c_int {
    // SAFETY: the caller promises a place for an element, or NULL.
    with(array, |array| unsafe { array.pop_to(out.cast()) })
}

/// Inserts an element before `index`, which may be the length. `value` may point into the array. A
/// kill may leave it half done.
///
/// Errors: `MBA_EINDEX`; as `mba_append`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_insert(array: *mut mba_array, index: usize, value: *const c_void) -> c_int {
    // SAFETY: the caller promises an element.
    with(array, |array| unsafe { array.insert_from(index, source(value)?) })
}

/// Takes the element at `index` away, and copies it to `out` unless that is NULL. A kill may leave it
/// half done.
///
/// Errors: `MBA_EINDEX`; as `mba_append`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_remove(array: *mut mba_array, index: usize, out: *mut c_void) -> c_int {
    // SAFETY: the caller promises a place for an element, or NULL.
    with(array, |array| unsafe { array.remove_to(index, out.cast()) })
}

/// Appends `count` elements: all of them or, if it fails or the process is killed, none. `values` may
/// point into the array itself.
///
/// Errors: as `mba_append`; `(NULL, 0)` is allowed where the length can change.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_extend(array: *mut mba_array, values: *const c_void, count: usize) -> c_int {
    // SAFETY: the caller promises the elements.
    with(array, |array| unsafe { array.extend_from(sources(values, count)?, count) })
}

/// Replaces `removed` elements from `start` on by `count` others, and moves those behind them.
/// `values` may point into the array itself, also through another handle. A kill may leave it half
/// done. If it removes as many elements as it puts there, it is `mba_write`, which needs no lock.
///
/// Errors: `MBA_EINDEX` if the range isn't within the array; `ENOMEM` if values within the array
/// can't be put aside; as `mba_append`; `(NULL, 0)` is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_splice(
    array: *mut mba_array,
    start: usize,
    removed: usize,
    values: *const c_void,
    count: usize,
) -> c_int {
    // SAFETY: the caller promises the elements.
    with(array, |array| unsafe { array.splice_from(start, removed, sources(values, count)?, count) })
}

/// Makes the array `len` elements long; new elements are zero. Their blocks on the disk, or their
/// memory, are taken at once.
///
/// Errors: as `mba_append`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_resize(array: *mut mba_array, len: usize) -> c_int {
    with(array, |array| array.resize(len))
}

/// Makes the array empty.
///
/// Errors: as `mba_append`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_clear(array: *mut mba_array) -> c_int {
    with(array, |array| array.clear())
}

/// Makes room for `capacity` elements in all, and takes their blocks on the disk, or their memory.
/// Until the lock is given back, appends up to there can't fail, and elements can be stored there and
/// published by `mba_commit`. With `MBA_EXACT` there is no spare room to make: the call only tells
/// whether the reservation is large enough.
///
/// Errors: as `mba_append`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_reserve(array: *mut mba_array, capacity: usize) -> c_int {
    with(array, |array| array.reserve(capacity))
}

/// Gives spare room back, so that the file is exactly its elements. Anonymous memory keeps its size,
/// but the memory of its spare room is given back. If elements were taken away and others have the
/// file open, it gives back only what they can't have seen, and returns `MBA_OK` all the same. No
/// other call may run on this handle meanwhile.
///
/// Errors: as `mba_append`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_shrink_to_fit(array: *mut mba_array) -> c_int {
    with(array, |array| array.shrink_to_fit())
}

/// Publishes elements that were stored through `mba_data_ptr` behind the last one: the length becomes
/// `len`. The fastest way to produce is `mba_reserve`, many stores, and one commit for them all.
/// Store only while this handle holds the growth lock: else the call takes the lock, and publishes
/// whatever lies there then.
///
/// Errors: `MBA_EINDEX` if `len` is less than the length or more than the capacity, as they are under
/// the lock; as `mba_append`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_commit(array: *mut mba_array, len: usize) -> c_int {
    with(array, |array| array.commit(len))
}
