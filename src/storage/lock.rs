//! The growth lock: the kernel-held lock that lets one handle at a time change the length.
//!
//! It is a write lock of the open file description on one byte far beyond any file's end. The kernel drops
//! it when the last descriptor of that description is closed, so also when the process dies.

use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use super::sys::{self, LockCall};
use crate::error::{Error, Result};

/// The byte that is locked. Other programs lock bytes that exist, or the whole file from 0 to the end;
/// this one is the last but one that an offset can name.
const AT: i64 = i64::MAX - 1;

/// How long to wait for the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Not at all: [`Error::Locked`] if another handle holds it.
    No,
    /// At most so long: `ETIMEDOUT` then.
    For(Duration),
    /// For ever. A second handle of one's own counts as another.
    Forever,
}

/// Takes the lock through this descriptor's description; a no-op if that has it.
pub(super) fn take(fd: RawFd, wait: Wait) -> Result<()> {
    match wait {
        Wait::No => sys::lock(fd, AT, LockCall::Try),
        Wait::Forever => sys::lock(fd, AT, LockCall::Wait),
        Wait::For(limit) => take_within(fd, limit),
    }
}

pub(super) fn release(fd: RawFd) -> Result<()> {
    sys::lock(fd, AT, LockCall::Release)
}

/// The kernel has no wait with a limit, so this asks again and again, at growing distances.
fn take_within(fd: RawFd, limit: Duration) -> Result<()> {
    let start = Instant::now();
    let mut pause = Duration::from_micros(50);
    loop {
        match sys::lock(fd, AT, LockCall::Try) {
            Err(Error::Locked) => {}
            result => return result,
        }
        let left = limit.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Err(Error::Os(libc::ETIMEDOUT));
        }
        std::thread::sleep(pause.min(left));
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}
