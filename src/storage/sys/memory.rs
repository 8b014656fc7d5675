//! Mappings, beside those that memmap2 makes.

use core::ffi::c_void;
use std::os::fd::{AsRawFd, RawFd};

use super::{last_error, open, pread};
use crate::error::Result;

/// Maps a file over a range that is mapped already, in one step: whoever touches the range finds the old or the new one.
///
/// # Safety
/// The range must be a mapping of the caller's own, at whose bytes nobody has a reference.
pub unsafe fn map_over(at: *mut c_void, bytes: usize, protection: i32, fd: RawFd, over: bool) -> Result<()> {
    let place = if over { libc::MAP_FIXED } else { libc::MAP_FIXED_NOREPLACE };
    let flags = libc::MAP_SHARED | libc::MAP_NORESERVE | place;
    // SAFETY: the caller promises the range.
    match unsafe { libc::mmap(at, bytes, protection, flags, fd, 0) } {
        libc::MAP_FAILED => Err(last_error()),
        _ => Ok(()),
    }
}

/// Memory of zeros that becomes zeros again in every kind of child process; and whether it does. A system that is too old for
/// that leaves the memory as it is.
pub fn map_wiped_on_fork(bytes: usize) -> Result<(*mut c_void, bool)> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping, where the system finds a place.
    let at = unsafe { libc::mmap(core::ptr::null_mut(), bytes, protection, flags, -1, 0) };
    if at == libc::MAP_FAILED {
        return Err(last_error());
    }
    // SAFETY: the range is the mapping just made.
    let is_wiped = unsafe { libc::madvise(at, bytes, libc::MADV_WIPEONFORK) } == 0;
    Ok((at, is_wiped))
}

/// Memory that can't be used, where the system finds a place for it, or at an address; an older system takes that for a wish.
/// `None` if there is none, or something else is at that address.
pub fn map_without_access(bytes: usize, at: Option<usize>) -> Option<*mut c_void> {
    let place = if at.is_some() { libc::MAP_FIXED_NOREPLACE } else { 0 };
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | place;
    let at = core::ptr::without_provenance_mut(at.unwrap_or(0));
    // SAFETY: a new mapping, which replaces nothing.
    let mapped = unsafe { libc::mmap(at, bytes, libc::PROT_NONE, flags, -1, 0) };
    (mapped != libc::MAP_FAILED).then_some(mapped)
}

/// Whether the process could map so much more.
pub fn has_address_space(bytes: u64) -> bool {
    map_without_access(bytes as usize, None).inspect(|at| unmap(*at, bytes as usize)).is_some()
}

/// Ends a mapping that nobody else knows of.
pub fn unmap(at: *mut c_void, bytes: usize) {
    // SAFETY: the callers have made the mapping, and use it no more.
    unsafe { libc::munmap(at, bytes) };
}

/// Leaves a mapping out of core dumps. An advice that isn't taken leaves a larger core dump, and nothing else.
pub fn dump_nothing(at: *mut c_void, bytes: usize) {
    // SAFETY: the advice changes nothing that the process could see.
    unsafe { libc::madvise(at, bytes, libc::MADV_DONTDUMP) };
}

/// Whether core dumps of this process take shared mappings of files along: a bit of its filter, of which core(5) tells.
/// Also if nobody knows.
pub fn core_dumps_take_files() -> bool {
    const SHARED_FILES: u64 = 1 << 3;
    let mut text = [0; 32];
    let read = open(c"/proc/self/coredump_filter", libc::O_RDONLY, 0)
        .and_then(|filter| pread(filter.as_raw_fd(), &mut text, 0));
    let filter = read.ok().and_then(|count| {
        let digits = core::str::from_utf8(text.get(..count)?).ok()?.trim();
        u64::from_str_radix(digits, 16).ok()
    });
    filter.is_none_or(|filter| filter & SHARED_FILES != 0)
}

/// Bytes in a page of the system's.
pub fn page_size() -> usize {
    // SAFETY: asks for a number.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}
