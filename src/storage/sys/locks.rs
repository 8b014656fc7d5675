//! Locks of open file descriptions, each on one byte.

use std::os::fd::RawFd;

use super::{held_off, last_error, retry};
use crate::error::{Error, Result};

/// What `fcntl` does with an open-file-description lock.
#[derive(Clone, Copy)]
pub enum LockCall {
    /// Takes it for itself, if nobody else has it.
    Write,
    /// Takes it for itself, when nobody else has it any more. A signal handler ends the wait, with `EINTR`, unless it was
    /// installed with `SA_RESTART`.
    WaitToWrite,
    /// Shares it, if nobody has it for himself.
    Read,
    Release,
}

fn one_byte(kind: i32, at: i64) -> libc::flock {
    libc::flock { l_type: kind as i16, l_whence: libc::SEEK_SET as i16, l_start: at, l_len: 1, l_pid: 0 }
}

/// Changes what the open file description has of the lock on the byte at `at`: all of it or nothing.
pub fn lock(fd: RawFd, at: i64, call: LockCall) -> Result<()> {
    let (command, kind) = match call {
        LockCall::Write => (libc::F_OFD_SETLK, libc::F_WRLCK),
        LockCall::WaitToWrite => (libc::F_OFD_SETLKW, libc::F_WRLCK),
        LockCall::Read => (libc::F_OFD_SETLK, libc::F_RDLCK),
        LockCall::Release => (libc::F_OFD_SETLK, libc::F_UNLCK),
    };
    let lock = one_byte(kind, at);
    // SAFETY: the structure is a valid flock, which the call only reads.
    let call_once = || unsafe { libc::fcntl(fd, command, &raw const lock) };
    let result = match call {
        LockCall::WaitToWrite if held_off(call_once) == 0 => Ok(0),
        LockCall::WaitToWrite => Err(last_error()),
        _ => retry(call_once),
    };
    match result {
        Err(Error::Os(libc::EAGAIN | libc::EACCES)) => Err(Error::Locked),
        result => result.map(drop),
    }
}

/// Whether another open file description has a lock on the byte at `at`, shared or not.
pub fn is_locked_elsewhere(fd: RawFd, at: i64) -> Result<bool> {
    Ok(i32::from(other_lock(fd, at)?.l_type) != libc::F_UNLCK)
}

/// A lock that covers more than the byte at `at`, and so is a program's own: of which process, or 0 if the system doesn't
/// say.
pub fn owner_of_wider_lock(fd: RawFd, at: i64) -> Result<Option<u32>> {
    let lock = other_lock(fd, at)?;
    let is_wider = i32::from(lock.l_type) != libc::F_UNLCK && (lock.l_start != at || lock.l_len != 1);
    Ok(is_wider.then_some(u32::try_from(lock.l_pid).unwrap_or(0)))
}

/// A lock of another open file description on the byte at `at`, or one of type `F_UNLCK`.
fn other_lock(fd: RawFd, at: i64) -> Result<libc::flock> {
    let mut lock = one_byte(libc::F_WRLCK, at);
    retry(|| {
        // The answer of a call that was ended is no question.
        lock = one_byte(libc::F_WRLCK, at);
        // SAFETY: the structure is a valid flock, which the call reads and writes.
        unsafe { libc::fcntl(fd, libc::F_OFD_GETLK, &raw mut lock) }
    })?;
    Ok(lock)
}
