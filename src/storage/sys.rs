//! The system calls that storage makes, one function each: `EINTR` retried, `errno` made an [`Error`].

mod cancel;
mod descriptors;
mod files;
mod locks;
mod memory;
mod process;

use std::io;

pub(super) use cancel::held_off;
pub(super) use descriptors::*;
pub(super) use files::*;
pub(super) use locks::*;
pub(super) use memory::*;
pub(super) use process::*;

use crate::error::{Error, Result};

pub(super) fn last_error() -> Error {
    Error::Os(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}

/// Makes an [`Error`] of one from the standard library or memmap2, which come from `errno`.
pub(super) fn os_error(error: io::Error) -> Error {
    Error::Os(error.raw_os_error().unwrap_or(libc::EINVAL))
}

/// Calls `f` until it is not interrupted by a signal; a negative result is an error.
fn retry<T: Copy + PartialOrd + Default>(mut f: impl FnMut() -> T) -> Result<T> {
    loop {
        let result = f();
        if result >= T::default() {
            return Ok(result);
        }
        match last_error() {
            Error::Os(libc::EINTR) => {}
            error => return Err(error),
        }
    }
}

/// As [`retry`], for functions of glibc and musl in which a thread can be cancelled. For the calls that opening and closing
/// make, `syscall` is the cheaper way: it is no such function.
fn retry_held_off<T: Copy + PartialOrd + Default>(f: impl FnMut() -> T) -> Result<T> {
    held_off(|| retry(f))
}
