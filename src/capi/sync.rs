//! What concerns others who share the array: the disk, other processes, the system.

use core::ffi::{CStr, c_char, c_int};
use std::time::Duration;

use super::{ask, mba_array, target, with};
use crate::error::{Argument, Error};
use crate::storage::{Advice, Wait};

/// Advice: nothing special.
pub const MBA_ADVICE_NORMAL: i32 = 0;
/// Advice: accesses will be at random, so read ahead little.
pub const MBA_ADVICE_RANDOM: i32 = 1;
/// Advice: accesses will be in order, so read ahead much.
pub const MBA_ADVICE_SEQUENTIAL: i32 = 2;
/// Advice: the range will be needed soon, so start reading it.
pub const MBA_ADVICE_WILLNEED: i32 = 3;
/// Advice: the range won't be needed soon, so this process's memory for it can go. No element is
/// lost.
pub const MBA_ADVICE_DONTNEED: i32 = 4;

/// The absolute path of the file that was opened; for named shared memory, where the system keeps it.
/// NULL for NULL, and for arrays that were opened without a path. The string belongs to the handle,
/// and ends with it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_path(array: *const mba_array) -> *const c_char {
    // The string lies in the handle, not in the view.
    ask(array, core::ptr::null(), |array| array.c_path().map_or(core::ptr::null(), CStr::as_ptr))
}

/// A descriptor of the file or memory behind the array, to send to another process, which opens it by
/// `mba_from_fd`. It belongs to the handle and is closed with it; duplicate it to keep it. Sending it
/// doesn't hand over the growth lock, which another descriptor carries. Don't change the file's size
/// through it. A call that makes the array shorter may open the file anew behind the same number: an
/// flock(2) lock on it is lost then. As long as a duplicate exists, the file counts as open. -1 for
/// NULL and for the caller's memory; for anonymous memory also if the process has no free descriptor,
/// or no /proc.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_fd(array: *const mba_array) -> c_int {
    ask(array, -1, |array| array.fd().unwrap_or(-1))
}

/// Puts elements and length on the disk, and a new file's name too, if its directory can be opened
/// for reading. All that is there when the call returns. Does nothing for memory, and for handles
/// that can't change the file.
///
/// Errors: those of msync(2) and fsync(2), such as `EIO`; `MBA_ETRUNCATED` and `MBA_ECORRUPT` if
/// someone who doesn't use the library has changed the file's size while this handle holds the lock;
/// `EINVAL` for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_flush(array: *mut mba_array) -> c_int {
    with(array, |array| array.flush())
}

/// Takes up the length that others have published. Does nothing where the length is fixed.
///
/// Errors: `MBA_ELIMIT` if the array has outgrown this handle's reservation: then the handle keeps
/// its length; `MBA_ECORRUPT`, `MBA_ETYPE`; `MBA_ETRUNCATED` if this handle holds the lock and the
/// file is shorter than it left it; `EBUSY` if the file changes so fast that no state of it can be
/// read: try again; `EINVAL` for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_refresh(array: *mut mba_array) -> c_int {
    with(array, |array| array.refresh())
}

/// A number that changes when elements have been taken away or moved (by a call that makes the array
/// shorter, by an insert before the end, and by a splice there that changes the length), as far as
/// this handle has seen: by its own calls, and by `mba_refresh`. 0 for NULL.
///
/// To follow an array: 1. Note the epoch, then the length. 2. Copy the new elements. 3. Call
/// `mba_refresh`. 4. If the epoch is the same, use the copies; if not, drop all that you have copied,
/// and begin at element 0. Don't act on a copy before step 4. The length gets smaller only when the
/// epoch changes. Calls that set elements don't change it. Compare for equality only: the number
/// itself means nothing, and nothing to other handles either.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_epoch(array: *const mba_array) -> u64 {
    ask(array, 0, |array| array.epoch())
}

/// Sets `*replaced` to 1 if the path by which the array was opened now leads to another file or to
/// none, else to 0. A file that was overwritten in its place, as cp(1) does, is the same file. Always
/// 0 for anonymous memory, for arrays opened by `mba_from_fd`, and for the caller's memory.
///
/// Errors: those of stat(2), except `ENOENT` and `ENOTDIR`, which mean 1; `EINVAL` for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_is_replaced(array: *const mba_array, replaced: *mut c_int) -> c_int {
    with(array, |array| {
        let replaced = target(replaced)?;
        let answer = array.is_replaced()?;
        // SAFETY: the caller passes a place for a number.
        unsafe { replaced.write(answer.into()) };
        Ok(())
    })
}

/// Takes the growth lock and holds it across calls, until `mba_unlock` or the end of the handle or of
/// the process. Takes up the length, too. The first call that changes the length does the same
/// without waiting. So this one is for waiting, and for a read and a change that belong together.
///
/// `timeout_ms`: 0 doesn't wait; -1 waits for ever, also for another handle of this process, even of
/// the same thread; other negative numbers are `EINVAL`. Returns 0 (`MBA_OK`) if the handle has the
/// lock already. A handle that has given the lock back and locks again lets waiting handles go first,
/// for 100 ms at most.
///
/// Errors: `MBA_ELOCKED` if `timeout_ms` is 0; `ETIMEDOUT`; `EINTR` if a signal handler without
/// `SA_RESTART` ran; as `mba_append`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_lock(array: *mut mba_array, timeout_ms: c_int) -> c_int {
    with(array, |array| {
        array.lock(match timeout_ms {
            -1 => Wait::Forever,
            0 => Wait::No,
            positive => Wait::For(Duration::from_millis(
                positive.try_into().map_err(|_| Error::Invalid(Argument::Timeout))?,
            )),
        })
    })
}

/// Gives the growth lock back, and leaves the spare room to the handle that takes it next. Returns 0
/// (`MBA_OK`) also without the lock. A later call that changes the length takes it again.
///
/// Errors: `EINVAL` for NULL; `ENOSPC`, `EDQUOT`, `EFBIG` and `MBA_ELIMIT` if the last elements of a
/// file without spare room were set so that they would read as a footer, and there is no room for a
/// true one behind them: then the lock is kept.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_unlock(array: *mut mba_array) -> c_int {
    with(array, |array| array.unlock())
}

/// 1 if this handle holds the growth lock, else 0; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_has_lock(array: *const mba_array) -> c_int {
    ask(array, 0, |array| array.has_lock().into())
}

/// Tells the system how `count` elements from `start` on will be used: one of `MBA_ADVICE_...`. Does
/// nothing where the length is fixed. No advice changes an element. Advice can be forgotten when a
/// call makes the array shorter.
///
/// Errors: `MBA_EINDEX` if the range isn't within the array; `EINVAL` for unknown advice and NULL;
/// those of madvise(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_advise(
    array: *const mba_array,
    start: usize,
    count: usize,
    advice: c_int,
) -> c_int {
    with(array, |array| {
        let advise = match advice {
            MBA_ADVICE_NORMAL => Advice::Normal,
            MBA_ADVICE_RANDOM => Advice::Random,
            MBA_ADVICE_SEQUENTIAL => Advice::Sequential,
            MBA_ADVICE_WILLNEED => Advice::WillNeed,
            MBA_ADVICE_DONTNEED => Advice::DontNeed,
            _ => return Err(Error::Invalid(Argument::Advice)),
        };
        array.advise(start, count, advise)
    })
}
