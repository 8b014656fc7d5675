//! The system calls that storage makes, one safe function each: `EINTR` retried, `errno` made an [`Error`].

use core::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use crate::error::{Error, Result};

/// What `fstat` says of a file, as far as it matters here.
#[derive(Clone, Copy)]
pub(super) struct Stat {
    pub size: u64,
    pub dev: u64,
    pub ino: u64,
    pub mode: libc::mode_t,
    /// How many names the file has; 0 for a memfd.
    pub names: u64,
    pub block_size: i64,
    /// Bytes of memory or disk that the file takes.
    pub allocated: u64,
}

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

fn offset(value: u64) -> Result<libc::off_t> {
    libc::off_t::try_from(value).map_err(|_| Error::Os(libc::EFBIG))
}

fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: the callers pass a descriptor that a system call has just made and nobody else knows.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Opens a path; always close-on-exec, and never waiting for the other end of a FIFO.
pub(super) fn open(path: &CStr, flags: i32, mode: u32) -> Result<OwnedFd> {
    let flags = flags | libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY;
    // SAFETY: `path` is a C string.
    retry(|| unsafe { libc::open(path.as_ptr(), flags, mode) }).map(own)
}

/// Opens the file behind a descriptor anew: the result shares neither locks, offset nor status flags
/// with it. Needs no memory, so that it can run in a forked child.
pub(super) fn reopen(fd: RawFd, flags: i32) -> Result<OwnedFd> {
    open(&descriptor_path(fd), flags, 0)
}

/// `/proc/self/fd/N`, built on the stack.
struct DescriptorPath {
    bytes: [u8; 32],
}

fn descriptor_path(fd: RawFd) -> DescriptorPath {
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
pub(super) fn duplicate(fd: RawFd) -> Result<OwnedFd> {
    // SAFETY: no memory is passed.
    retry(|| unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) }).map(own)
}

/// The access mode and status flags of a descriptor; `EBADF` if it is none.
pub(super) fn status_flags(fd: RawFd) -> Result<i32> {
    // SAFETY: no memory is passed.
    retry(|| unsafe { libc::fcntl(fd, libc::F_GETFL) })
}

pub(super) fn stat(fd: RawFd) -> Result<Stat> {
    let mut stat = core::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: fstat fills the structure that it is given.
    retry(|| unsafe { libc::fstat(fd, stat.as_mut_ptr()) })?;
    // SAFETY: fstat succeeded, so it has filled it.
    let stat = unsafe { stat.assume_init() };
    Ok(Stat {
        size: stat.st_size as u64,
        dev: stat.st_dev,
        ino: stat.st_ino,
        mode: stat.st_mode,
        names: stat.st_nlink,
        block_size: stat.st_blksize,
        allocated: stat.st_blocks as u64 * 512,
    })
}

/// Reads up to `buffer.len()` bytes at `at`; fewer at the end of the file.
pub(super) fn pread(fd: RawFd, buffer: &mut [u8], at: u64) -> Result<usize> {
    let at = offset(at)?;
    // SAFETY: the buffer is valid for writes of its length.
    retry(|| unsafe { libc::pread(fd, buffer.as_mut_ptr().cast(), buffer.len(), at) })
        .map(isize::unsigned_abs)
}

/// Writes up to `count` bytes from `from` at `at`; the system may write fewer.
///
/// # Safety
/// `from` must be valid for reads of `count` bytes.
pub(super) unsafe fn pwrite(fd: RawFd, from: *const u8, count: usize, at: u64) -> Result<usize> {
    let at = offset(at)?;
    // SAFETY: the caller promises the bytes.
    retry(|| unsafe { libc::pwrite(fd, from.cast(), count, at) }).map(isize::unsigned_abs)
}

pub(super) fn ftruncate(fd: RawFd, size: u64) -> Result<()> {
    let size = offset(size)?;
    // SAFETY: no memory is passed.
    retry(|| unsafe { libc::ftruncate(fd, size) }).map(drop)
}

/// One `fallocate`, not retried: `EINTR` comes back, since on tmpfs it means that all work was undone.
fn fallocate(fd: RawFd, mode: i32, at: u64, count: u64) -> Result<()> {
    let (at, count) = (offset(at)?, offset(count)?);
    // SAFETY: no memory is passed.
    match unsafe { libc::fallocate(fd, mode, at, count) } {
        0 => Ok(()),
        _ => Err(last_error()),
    }
}

pub(super) fn fdatasync(fd: RawFd) -> Result<()> {
    // SAFETY: no memory is passed.
    retry(|| unsafe { libc::fdatasync(fd) }).map(drop)
}

/// Puts the directory that holds the file on the disk, and so the file's name. The directory is the one
/// in which the file is now, whatever it was called when it was opened.
pub(super) fn sync_directory(fd: RawFd) -> Result<()> {
    let link = descriptor_path(fd);
    let mut path = [0u8; libc::PATH_MAX as usize];
    // SAFETY: `link` is a C string and `path` is valid for writes of the length passed.
    let length =
        retry(|| unsafe { libc::readlink(link.as_ptr(), path.as_mut_ptr().cast(), path.len() - 1) })?
            .unsigned_abs();
    let Some(slash) = path[..length].iter().rposition(|byte| *byte == b'/') else { return Ok(()) };
    path[slash.max(1)..].fill(0);
    let path = CStr::from_bytes_until_nul(&path).unwrap_or_default();
    let directory = match open(path, libc::O_RDONLY | libc::O_DIRECTORY, 0) {
        // The file was deleted together with its directory: there is no name left to keep.
        // Or it can't be opened for reading: then the file's own metadata must do.
        Err(Error::Os(libc::ENOENT | libc::ENOTDIR | libc::EACCES)) => return Ok(()),
        directory => directory?,
    };
    // SAFETY: no memory is passed.
    match retry(|| unsafe { libc::fsync(directory.as_raw_fd()) }) {
        // Some file systems can't sync a directory, and say so; there is nothing more to do on those.
        Ok(_) | Err(Error::Os(libc::EINVAL | libc::EROFS)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The kind of file system that a file is on, by its magic number.
pub(super) fn file_system(fd: RawFd) -> Result<i64> {
    let mut stat = core::mem::MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: fstatfs fills the structure that it is given.
    retry(|| unsafe { libc::fstatfs(fd, stat.as_mut_ptr()) })?;
    // SAFETY: fstatfs succeeded, so it has filled it.
    Ok(unsafe { stat.assume_init() }.f_type)
}

/// The seals of a memfd; 0 for a file that has none or can't have any.
pub(super) fn seals(fd: RawFd) -> Result<i32> {
    // SAFETY: no memory is passed.
    match retry(|| unsafe { libc::fcntl(fd, libc::F_GET_SEALS) }) {
        // What the system says of files that can't be sealed.
        Err(Error::Os(libc::EINVAL)) => Ok(0),
        seals => seals,
    }
}

/// Anonymous shared memory that can grow and can't shrink.
pub(super) fn memfd() -> Result<OwnedFd> {
    let name = c"mmap_backed_array";
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: `name` is a C string.
    let make = |flags| retry(|| unsafe { libc::memfd_create(name.as_ptr(), flags) }).map(own);
    let fd = match make(flags | libc::MFD_NOEXEC_SEAL) {
        // A kernel before 6.3 doesn't know the flag.
        Err(Error::Os(libc::EINVAL)) => make(flags)?,
        fd => fd?,
    };
    // SAFETY: no memory is passed.
    retry(|| unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_ADD_SEALS, libc::F_SEAL_SHRINK) })?;
    Ok(fd)
}

/// Opens named shared memory, never waiting for the other end of a FIFO that has taken the name. The descriptor is
/// close-on-exec and the name not that of a link, as POSIX demands and glibc sees to.
pub(super) fn shm_open(name: &CStr, flags: i32, mode: u32) -> Result<OwnedFd> {
    let flags = flags | libc::O_NONBLOCK;
    // SAFETY: `name` is a C string.
    retry(|| unsafe { libc::shm_open(name.as_ptr(), flags, mode) }).map(own)
}

pub(super) fn shm_unlink(name: &CStr) -> Result<()> {
    // SAFETY: `name` is a C string.
    retry(|| unsafe { libc::shm_unlink(name.as_ptr()) }).map(drop)
}

/// What `fcntl` does with an open-file-description lock.
#[derive(Clone, Copy)]
pub(super) enum LockCall {
    Try,
    Wait,
    Release,
}

/// Takes or releases the write lock of the open file description on the byte at `at`.
pub(super) fn lock(fd: RawFd, at: i64, call: LockCall) -> Result<()> {
    let (command, kind) = match call {
        LockCall::Try => (libc::F_OFD_SETLK, libc::F_WRLCK),
        LockCall::Wait => (libc::F_OFD_SETLKW, libc::F_WRLCK),
        LockCall::Release => (libc::F_OFD_SETLK, libc::F_UNLCK),
    };
    let lock =
        libc::flock { l_type: kind as i16, l_whence: libc::SEEK_SET as i16, l_start: at, l_len: 1, l_pid: 0 };
    // SAFETY: the structure is a valid flock, which the call only reads.
    match retry(|| unsafe { libc::fcntl(fd, command, &raw const lock) }) {
        Err(Error::Os(libc::EAGAIN | libc::EACCES)) => Err(Error::Locked),
        result => result.map(drop),
    }
}

/// The largest size that this process may give a file; beyond it the system would send a signal.
pub(super) fn file_size_limit() -> u64 {
    resource_limit(libc::RLIMIT_FSIZE)
}

/// How much address space this process may use.
pub(super) fn address_space_limit() -> u64 {
    resource_limit(libc::RLIMIT_AS)
}

/// How much this process may have locked in memory.
pub(super) fn locked_memory_limit() -> u64 {
    resource_limit(libc::RLIMIT_MEMLOCK)
}

fn resource_limit(resource: libc::__rlimit_resource_t) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: getrlimit fills the structure that it is given.
    match unsafe { libc::getrlimit(resource, &raw mut limit) } {
        0 => limit.rlim_cur,
        _ => u64::MAX,
    }
}

/// Bytes in a page of the system's.
pub(super) fn page_size() -> usize {
    // SAFETY: asks for a number.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// A descriptor borrowed for one call to memmap2.
pub(super) fn borrow<'a>(fd: RawFd) -> BorrowedFd<'a> {
    // SAFETY: the callers hold the descriptor open during the call that they make with it.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

/// The largest piece that `reserve_blocks` asks for at once.
const PIECE: u64 = 64 << 20;
/// The smallest, when signals keep interrupting.
const LEAST_PIECE: u64 = 64 << 10;

/// Reserves blocks for a range without changing the visible size. It goes by pieces, and by smaller ones
/// when interrupted: tmpfs undoes an interrupted call, so a long one might never end under a timer.
pub(super) fn reserve_blocks(fd: RawFd, mut at: u64, end: u64) -> Result<()> {
    let mut piece = PIECE;
    while at < end {
        let count = piece.min(end - at);
        match fallocate(fd, libc::FALLOC_FL_KEEP_SIZE, at, count) {
            Ok(()) => at += count,
            Err(Error::Os(libc::EINTR)) => piece = (piece / 2).max(LEAST_PIECE),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Gives back the blocks of a range, which reads as zeros then; the size stays.
pub(super) fn punch_hole(fd: RawFd, at: u64, end: u64) -> Result<()> {
    loop {
        match fallocate(fd, libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE, at, end - at) {
            Err(Error::Os(libc::EINTR)) => {}
            result => return result,
        }
    }
}
