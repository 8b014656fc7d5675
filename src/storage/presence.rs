//! Presence: the shared kernel-held lock that every handle has on its file, from before it reads size and length until it
//! is unmapped.
//!
//! Whoever wants to truncate below what others can have seen must be alone. The order on both sides decides: a handle that
//! opens takes presence first and reads the length then; one that truncates publishes the shorter length first and looks for
//! others then. A barrier lies between the two steps on each side, since the system looks at the locks of a file without
//! taking a lock itself when there seem to be none: whatever the moment, the one sees the other. So a handle that opens
//! too late to be seen has the shorter length, and no moment of exclusion is needed. `tests/library/ordering` explores it.

use core::sync::atomic::{Ordering::SeqCst, fence};
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use super::lock::{self, PRESENCE};
use super::sys::{self, LockCall};
use crate::error::{Error, Result};

/// What a mapping has of presence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Held,
    /// The memory can't become shorter.
    NotNeeded,
    /// The file system has no such locks, and says so by this error.
    Impossible(Error),
}

/// How long a program's lock on the whole file is waited for.
const MOMENT: Duration = Duration::from_millis(500);
/// The same for a handle that is alone on a full disk, and excludes others while it moves elements and truncates the file.
const LONGER: Duration = Duration::from_secs(10);

/// How long to wait for whoever is in the way.
fn patience(fd: RawFd) -> Duration {
    let is_a_handle = || sys::owner_of_wider_lock(fd, PRESENCE).is_ok_and(|owner| owner.is_none());
    let changes_length = lock::is_taken(fd).is_ok_and(|is_taken| is_taken);
    if changes_length && is_a_handle() { LONGER } else { MOMENT }
}

/// Takes presence through the description that is about to be mapped, before size and length are read.
///
/// [`Error::Locked`] if somebody who doesn't use the library has locked the whole file.
pub(super) fn take(fd: RawFd) -> Result<Presence> {
    let mut started = None;
    loop {
        match sys::lock(fd, PRESENCE, LockCall::Read) {
            Ok(()) => break,
            Err(Error::Locked) if started.get_or_insert_with(Instant::now).elapsed() < patience(fd) => {
                sys::sleep(Duration::from_micros(200));
            }
            Err(error @ Error::Os(libc::EINVAL | libc::ENOLCK | libc::ENOSYS | libc::EOPNOTSUPP)) => {
                return Ok(Presence::Impossible(error));
            }
            Err(error) => return Err(error),
        }
    }
    fence(SeqCst);
    Ok(Presence::Held)
}

/// Whether others than the description behind `fd` are present. What they must not miss was published before.
pub(super) fn are_others(fd: RawFd) -> Result<bool> {
    fence(SeqCst);
    sys::is_locked_elsewhere(fd, PRESENCE)
}
