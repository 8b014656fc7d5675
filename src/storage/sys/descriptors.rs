//! Descriptors: opening, handing on and closing them. All are close-on-exec, and none is 0, 1 or 2.

use core::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, RawFd};
use std::time::{Duration, Instant};

use super::{retry, retry_held_off, sleep};
use crate::error::{Argument, Error, Result};

/// An open descriptor, which is closed when this goes. Not an `OwnedFd`: to close that can end the thread.
pub struct Descriptor(RawFd);

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0
    }
}

impl IntoRawFd for Descriptor {
    fn into_raw_fd(self) -> RawFd {
        core::mem::ManuallyDrop::new(self).0
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        close(self.0);
    }
}

/// The lowest descriptor that may be a file's: the others are where programs write their messages, also when nothing
/// is open there.
const LOWEST: RawFd = 3;

/// Takes a descriptor over, and gives it another number if it has one of the standard streams'.
pub(super) fn own(fd: RawFd) -> Result<Descriptor> {
    let fd = Descriptor(fd);
    if fd.as_raw_fd() >= LOWEST { Ok(fd) } else { duplicate(fd.as_raw_fd()) }
}

/// How long an open waits for the holder of a lease to give it up; the system takes it away before that, after 45 s
/// unless it is told otherwise.
const LEASE: Duration = Duration::from_secs(60);

/// Opens a path; always close-on-exec, and never waiting for the other end of a FIFO. Where somebody has a lease on the
/// file it waits until that is given up.
pub fn open(path: &CStr, flags: i32, mode: u32) -> Result<Descriptor> {
    let flags = flags | libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY;
    let (call, here) = (libc::SYS_openat, libc::AT_FDCWD);
    // SAFETY: `path` is a C string.
    let open_once = || unsafe { libc::syscall(call, here, path.as_ptr(), flags, mode) };
    open_leased(|| retry(open_once))
}

/// Calls `open` until nobody's lease is in the way: `EAGAIN` says, without waiting, that somebody has been asked.
fn open_leased(open: impl Fn() -> Result<libc::c_long>) -> Result<Descriptor> {
    let mut started = None;
    let mut pause = Duration::from_micros(100);
    loop {
        match open() {
            Err(Error::Os(libc::EAGAIN)) if started.get_or_insert_with(Instant::now).elapsed() < LEASE => {
                sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(20));
            }
            fd => return fd.and_then(|fd| own(fd as RawFd)),
        }
    }
}

/// Opens named shared memory, never waiting for the other end of a FIFO that has taken the name. The descriptor is
/// close-on-exec and the name not that of a link, as POSIX demands and glibc sees to.
pub fn shm_open(name: &CStr, flags: i32, mode: u32) -> Result<Descriptor> {
    let flags = flags | libc::O_NONBLOCK;
    // SAFETY: `name` is a C string.
    let open_once = || retry_held_off(|| unsafe { libc::shm_open(name.as_ptr(), flags, mode) });
    open_leased(|| open_once().map(Into::into)).map_err(|error| match error {
        Error::Os(libc::EINVAL) => Error::Invalid(Argument::Name),
        error => error,
    })
}

pub fn shm_unlink(name: &CStr) -> Result<()> {
    // SAFETY: `name` is a C string.
    retry(|| unsafe { libc::shm_unlink(name.as_ptr()) }).map(drop)
}

/// Anonymous shared memory that can grow and can't shrink.
pub fn memfd() -> Result<Descriptor> {
    let name = c"mmap_backed_array";
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: `name` is a C string.
    let make = |flags| retry(|| unsafe { libc::memfd_create(name.as_ptr(), flags) }).and_then(own);
    let fd = match make(flags | libc::MFD_NOEXEC_SEAL) {
        // A kernel before 6.3 doesn't know the flag.
        Err(Error::Os(libc::EINVAL)) => make(flags)?,
        fd => fd?,
    };
    // SAFETY: no memory is passed.
    retry(|| unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_ADD_SEALS, libc::F_SEAL_SHRINK) })?;
    Ok(fd)
}

/// Opens the file behind a descriptor anew: the result shares neither locks, offset nor status flags
/// with it. Needs no memory, so that it can run in a forked child.
pub fn reopen(fd: RawFd, flags: i32) -> Result<Descriptor> {
    if fd < 0 {
        return Err(Error::Os(libc::EBADF));
    }
    open(&descriptor_path(fd), flags, 0)
}

/// `/proc/self/fd/N`, built on the stack.
pub(super) struct DescriptorPath {
    bytes: [u8; 32],
}

pub(super) fn descriptor_path(fd: RawFd) -> DescriptorPath {
    const PREFIX: &[u8] = b"/proc/self/fd/";
    let mut bytes = [0; 32];
    bytes[..PREFIX.len()].copy_from_slice(PREFIX);
    let mut digits = [0; 10];
    let mut rest = fd.unsigned_abs();
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    let digits = &digits[first..];
    bytes[PREFIX.len()..PREFIX.len() + digits.len()].copy_from_slice(digits);
    DescriptorPath { bytes }
}

impl core::ops::Deref for DescriptorPath {
    type Target = CStr;

    fn deref(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }
}

/// A second descriptor of the same open file description.
pub fn duplicate(fd: RawFd) -> Result<Descriptor> {
    // SAFETY: no memory is passed.
    retry(|| unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, LOWEST) }).map(Descriptor)
}

/// Puts a description behind a number in place of the one that is there, which is closed, in one step.
pub fn replace(number: RawFd, by: Descriptor) -> Result<()> {
    replace_by(number, by.as_raw_fd())
}

/// The same, where the new one stays open by its own number too.
pub fn replace_by(number: RawFd, by: RawFd) -> Result<()> {
    // SAFETY: no memory is passed.
    retry(|| unsafe { libc::dup3(by, number, libc::O_CLOEXEC) }).map(drop)
}

/// Closes a descriptor by its number; a negative one is none.
pub fn close(fd: RawFd) {
    if fd >= 0 {
        // In a child that was forked while another thread opened it, it isn't there.
        // SAFETY: the callers own the descriptor, and forget it.
        unsafe { libc::syscall(libc::SYS_close, fd) };
    }
}

/// The access mode and status flags of a descriptor; `EBADF` if it is none.
pub fn status_flags(fd: RawFd) -> Result<i32> {
    // SAFETY: no memory is passed.
    retry(|| unsafe { libc::fcntl(fd, libc::F_GETFL) })
}

/// A descriptor borrowed for one call to memmap2.
pub fn borrow<'a>(fd: RawFd) -> BorrowedFd<'a> {
    // SAFETY: the callers hold the descriptor open during the call that they make with it.
    unsafe { BorrowedFd::borrow_raw(fd) }
}
