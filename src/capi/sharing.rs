//! What concerns others who share the array: the disk, other processes, the system.

use core::ffi::c_int;
use std::time::Duration;

use super::{ask, mba_array, target, with};
use crate::error::Error;
use crate::storage::{Advise, Wait};

/// Advice: nothing special.
pub const MBA_ADVICE_NORMAL: i32 = 0;
/// Advice: accesses will be at random, so read ahead little.
pub const MBA_ADVICE_RANDOM: i32 = 1;
/// Advice: accesses will be in order, so read ahead much.
pub const MBA_ADVICE_SEQUENTIAL: i32 = 2;
/// Advice: the range will be needed soon, so start reading it.
pub const MBA_ADVICE_WILLNEED: i32 = 3;
/// Advice: the range won't be needed soon, so this process's memory for it can go. No element is lost.
pub const MBA_ADVICE_DONTNEED: i32 = 4;

/// A descriptor of the file or memory behind the array, to send to another process, which opens it by
/// `mba_from_fd`. It belongs to the handle and is closed with it; duplicate it to keep it. It isn't the one
/// that carries the growth lock. Whoever has a duplicate counts as one who has the file open. -1 where there is none: NULL,
/// and the caller's memory; and of anonymous memory if no descriptor is left, or no /proc.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_fd(array: *const mba_array) -> c_int {
    ask(array, -1, |array| array.fd().unwrap_or(-1))
}

/// Puts elements and length on the disk, and of a new file the name too, if its directory can be opened for
/// reading; they are there when it returns.
/// A no-op for memory, and for handles that can't change the file.
///
/// Errors: those of msync(2) and fsync(2), such as `EIO`; `MBA_ETRUNCATED` and `MBA_ECORRUPT` if someone who
/// doesn't use the library has changed the file's size while this handle holds the lock; `EINVAL` for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_flush(array: *mut mba_array) -> c_int {
    with(array, |array| array.flush())
}

/// Takes up the length that others have published. A no-op where the length is fixed.
///
/// Errors: `MBA_ELIMIT` if the array has outgrown this handle's reservation, whose length then stays as it was;
/// `MBA_ECORRUPT`, `MBA_ETYPE`; `MBA_ETRUNCATED` if this handle holds the lock and the file is shorter than it
/// left it; `EBUSY` if the file changes so fast that no state of it can be read; `EINVAL` for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_refresh(array: *mut mba_array) -> c_int {
    with(array, |array| array.refresh())
}

/// A number that changes when elements have been taken away or moved (by shortening, insert, remove, and a splice before
/// the end that changes the length), as far as this handle has seen: by its own calls, and by `mba_refresh`. 0 for NULL.
///
/// So that whoever follows an array knows when to begin anew: copy what is needed, refresh, and compare the epoch with the
/// one before. If it is the same, what was copied was there. Epochs of different openings don't compare.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_epoch(array: *const mba_array) -> u64 {
    ask(array, 0, |array| array.epoch())
}

/// Tells by `*replaced` whether the path by which the array was opened leads to another file now, or to none: 1 or 0.
/// Always 0 for anonymous memory, a descriptor's and the caller's.
///
/// Errors: those of stat(2), but not `ENOENT` and `ENOTDIR`, by which the file is replaced; `EINVAL` for NULL.
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

/// Takes the growth lock and holds it across calls, until `mba_unlock` or the end of the handle or of the process.
/// Takes up the length, too. The first call that changes the length does the same without waiting, so that
/// this is for waiting, and for a read and a change that belong together.
///
/// `timeout_ms`: 0 doesn't wait, -1 waits for ever, also for another handle of this very process; other
/// negative numbers are `EINVAL`. 0 (`MBA_OK`) if the handle has the lock already. A handle that has given the lock back
/// and locks again lets those go first who wait, for 100 ms at most.
///
/// Errors: `MBA_ELOCKED` if it was not to wait; `ETIMEDOUT`; `EINTR` if a signal handler ended the wait, which one that was
/// installed with `SA_RESTART` doesn't; as `mba_append`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_lock(array: *mut mba_array, timeout_ms: c_int) -> c_int {
    with(array, |array| {
        array.lock(match timeout_ms {
            -1 => Wait::Forever,
            0 => Wait::No,
            positive => Wait::For(Duration::from_millis(positive.try_into().map_err(|_| Error::INVALID)?)),
        })
    })
}

/// Gives the growth lock back, and leaves the spare room to whoever takes it next. 0 (`MBA_OK`) also without
/// the lock. A later call that changes the length takes it again.
///
/// Errors: `EINVAL` for NULL; `ENOSPC`, `EDQUOT`, `EFBIG` and `MBA_ELIMIT` if the last elements of a file without
/// spare room were set so that they would read as a footer, and there is no room for a true one behind
/// them: then the lock is kept.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_unlock(array: *mut mba_array) -> c_int {
    with(array, |array| array.unlock())
}

/// 1 if this handle holds the growth lock, else 0; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_has_lock(array: *const mba_array) -> c_int {
    ask(array, 0, |array| array.has_lock().into())
}

/// Tells the system how `count` elements from `start` on will be used: one of `MBA_ADVICE_...`. Does nothing
/// where the length is fixed. No advice changes an element.
///
/// Errors: `MBA_EINDEX` if the range isn't within the array; `EINVAL` for unknown advice and NULL; those
/// of madvise(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_advise(
    array: *const mba_array,
    start: usize,
    count: usize,
    advice: c_int,
) -> c_int {
    with(array, |array| {
        let advise = match advice {
            MBA_ADVICE_NORMAL => Advise::Normal,
            MBA_ADVICE_RANDOM => Advise::Random,
            MBA_ADVICE_SEQUENTIAL => Advise::Sequential,
            MBA_ADVICE_WILLNEED => Advise::WillNeed,
            MBA_ADVICE_DONTNEED => Advise::DontNeed,
            _ => return Err(Error::INVALID),
        };
        array.advise(start, count, advise)
    })
}
