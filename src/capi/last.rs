//! What was wrong with an argument of the call that failed last in a thread, for `mba_error_text`.
//!
//! Not in thread-local memory: the C library may have to allocate that at its first use, and ends the process if it can't.

use core::ffi::c_int;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::error::{Argument, Error};

/// For each thread a place, which it may have to share: then another thread's error hides its own,
/// and the text says less. In the lowest byte the argument's number and 1, above it the thread's.
static PLACES: [AtomicU64; COUNT] = [const { AtomicU64::new(0) }; COUNT];
const COUNT: usize = 256;

fn place() -> (&'static AtomicU64, u64) {
    // SAFETY: nothing is passed.
    let thread = unsafe { libc::pthread_self() } as u64;
    // What lies there of a thread is larger than a page, and nothing of an address is in the upper byte.
    (&PLACES[(thread >> 12) as usize % COUNT], thread << 8)
}

/// The number of an error, of which `mba_error_text` can say more to this thread.
pub(super) fn number(error: Error) -> c_int {
    let (place, thread) = place();
    if let Error::Invalid(argument) = error {
        place.store(thread | (u64::from(argument.number()) + 1), Relaxed);
    } else if place.load(Relaxed) & !0xff == thread {
        place.store(0, Relaxed);
    }
    error.code()
}

/// The error with this number, which a call of this thread may have given.
pub(super) fn error_of(code: c_int) -> Error {
    let (place, thread) = place();
    let last = place.load(Relaxed);
    let argument = (last & !0xff == thread).then(|| (last & 0xff).checked_sub(1)).flatten();
    match argument.and_then(|number| Argument::with_number(number as u8)) {
        Some(argument) if code == libc::EINVAL => Error::Invalid(argument),
        _ => Error::from_code(code),
    }
}
