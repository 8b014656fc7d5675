//! The growth lock: the kernel-held lock that lets one handle at a time change the length.
//!
//! It is a write lock of the open file description on one byte far beyond any file's end. The kernel drops
//! it when the last descriptor of that description is closed, so also when the process dies.
//!
//! | byte | who has it | what it keeps others from |
//! | --- | --- | --- |
//! | growth | for itself, the handle that changes the length | changing the length |
//! | presence | shared, every handle, until it is unmapped | truncating what the handle can have seen |
//! | presence | for itself, on the growth lock's description, a handle that truncates on a full disk | opening |
//! | queue | shared, whoever waits for the growth lock | for a moment, locking again at once |
//! | tidying | for itself, beside the growth lock, a handle that trims on leaving | nothing: an append waits for the moment |

use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use super::sys::{self, Alarm, LockCall};
use crate::error::{Error, Result};

/// The bytes that are locked. Other programs lock bytes that exist, or the whole file from 0 to the end; these are among
/// the last that an offset can name.
pub(super) const GROWTH: i64 = i64::MAX - 1;
pub(super) const PRESENCE: i64 = i64::MAX - 2;
const QUEUE: i64 = i64::MAX - 3;
const TIDYING: i64 = i64::MAX - 4;

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

/// The longest that a handle which locks again stands aside for one that waits.
const COURTESY: Duration = Duration::from_millis(100);
/// The longest that a handle takes to trim a file on leaving, unless the process is stopped in the midst.
const TIDYING_TIME: Duration = Duration::from_secs(1);

/// Takes the lock through this descriptor's description; a no-op if that has it. `again` says that the handle has had it
/// before: then those who wait go first.
///
/// A signal handler ends a wait with `EINTR`, unless it was installed with `SA_RESTART`.
pub(super) fn take(fd: RawFd, wait: Wait, again: bool) -> Result<()> {
    if again {
        stand_aside(fd)?;
    }
    match sys::lock(fd, GROWTH, LockCall::Write) {
        Err(Error::Locked) => {}
        result => return result,
    }
    if wait == Wait::No {
        return outlast_tidying(fd);
    }
    // Where it can't be had, waiting is less fair, and goes on.
    let _ = sys::lock(fd, QUEUE, LockCall::Read);
    let result = match wait {
        Wait::For(limit) => take_within(fd, limit),
        _ => sys::lock(fd, GROWTH, LockCall::WaitToWrite).inspect_err(|_| {
            let _ = release(fd);
        }),
    };
    let _ = sys::lock(fd, QUEUE, LockCall::Release);
    result
}

pub(super) fn release(fd: RawFd) -> Result<()> {
    sys::lock(fd, GROWTH, LockCall::Release)
}

/// Whether another description has the growth lock.
pub(super) fn is_taken(fd: RawFd) -> Result<bool> {
    sys::is_locked_elsewhere(fd, GROWTH)
}

/// What comes of asking for the lock only to trim the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tidying {
    /// The lock is there.
    May,
    /// Somebody has the lock, who will look himself when he gives it back; or is about to trim.
    Others,
    /// Somebody had the lock, and has given it back since: he may have found this handle in the way of others, who left
    /// without trimming.
    Again,
}

/// Takes the lock only to trim the file, without waiting.
pub(super) fn take_to_tidy(fd: RawFd) -> Result<Tidying> {
    match sys::lock(fd, TIDYING, LockCall::Write) {
        Err(Error::Locked) => return Ok(Tidying::Others),
        result => result?,
    }
    match sys::lock(fd, GROWTH, LockCall::Write) {
        Ok(()) => return Ok(Tidying::May),
        Err(error) => {
            let _ = sys::lock(fd, TIDYING, LockCall::Release);
            if error != Error::Locked {
                return Err(error);
            }
        }
    }
    Ok(if is_taken(fd)? { Tidying::Others } else { Tidying::Again })
}

/// Gives back what was taken to tidy, or for longer.
pub(super) fn release_all(fd: RawFd) -> Result<()> {
    let result = release(fd);
    let _ = sys::lock(fd, TIDYING, LockCall::Release);
    result
}

/// Sleeps between looks at growing distances, until there is an answer or the time is over.
fn look<T>(
    limit: Duration,
    longest: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<Option<T>> {
    let start = Instant::now();
    let mut alarm = None;
    let mut pause = Duration::from_micros(50);
    loop {
        if let Some(answer) = look()? {
            return Ok(Some(answer));
        }
        let left = limit.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Ok(None);
        }
        alarm.get_or_insert_with(Alarm::new).sleep(pause.min(left))?;
        pause = (pause * 2).min(longest);
    }
}

/// Lets somebody who waits have the lock first.
fn stand_aside(fd: RawFd) -> Result<()> {
    let looked = look(COURTESY, Duration::from_micros(200), || {
        Ok((!sys::is_locked_elsewhere(fd, QUEUE)? || is_taken(fd)?).then_some(()))
    });
    match looked {
        // Courtesy is no reason to fail.
        Err(Error::Os(libc::EINTR)) => Ok(()),
        result => result.map(drop),
    }
}

/// How often in a row the lock must be taken without anybody tidying. A handle that tidies could have done so between two
/// looks, and another one begun.
const LOOKS: u32 = 3;

/// Takes the lock as soon as those are done who have it only to trim the file; that takes no time worth an error.
#[cold]
fn outlast_tidying(fd: RawFd) -> Result<()> {
    let start = Instant::now();
    let mut looks = 0;
    loop {
        let left = TIDYING_TIME.saturating_sub(start.elapsed());
        let result = look(left, Duration::from_millis(1), || {
            while looks < LOOKS {
                if sys::is_locked_elsewhere(fd, TIDYING)? {
                    looks = 0;
                    return Ok(None);
                }
                looks += 1;
                match sys::lock(fd, GROWTH, LockCall::Write) {
                    Err(Error::Locked) => {}
                    result => return Ok(Some(result)),
                }
            }
            Ok(Some(Err(Error::Locked)))
        });
        match result {
            // A signal is no reason to fail: this isn't a wait that the caller has asked for.
            Err(Error::Os(libc::EINTR)) => {}
            result => return result?.unwrap_or(Err(Error::Locked)),
        }
    }
}

/// The kernel has no wait with a limit, so this asks again and again.
fn take_within(fd: RawFd, limit: Duration) -> Result<()> {
    let result = look(limit, Duration::from_millis(1), || match sys::lock(fd, GROWTH, LockCall::Write) {
        Err(Error::Locked) => Ok(None),
        result => Ok(Some(result)),
    })?;
    result.unwrap_or(Err(Error::Os(libc::ETIMEDOUT)))
}
