//! The system calls that storage makes, one safe function each: `EINTR` retried, `errno` made an [`Error`].

use core::ffi::{CStr, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, RawFd};
use std::time::{Duration, Instant};

use super::cancel::held_off;
use crate::error::{Argument, Error, Result};

/// Which file it is: as long as somebody has it open, no other one has these numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Identity {
    pub dev: u64,
    pub ino: u64,
}

/// What `fstat` says of a file, as far as it matters here.
#[derive(Clone, Copy, Default)]
pub(super) struct Stat {
    pub size: u64,
    pub identity: Identity,
    pub mode: libc::mode_t,
    /// How many names the file has; 0 for a memfd.
    pub names: u64,
    pub block_size: i64,
    /// Bytes of memory or disk that the file takes.
    pub allocated: u64,
    /// When the file's metadata were changed last, in seconds and nanoseconds.
    pub changed: (i64, i64),
}

impl Stat {
    fn of(stat: &libc::stat) -> Stat {
        Stat {
            size: stat.st_size as u64,
            identity: Identity { dev: stat.st_dev, ino: stat.st_ino },
            mode: stat.st_mode,
            names: stat.st_nlink,
            block_size: stat.st_blksize,
            allocated: stat.st_blocks as u64 * 512,
            changed: (stat.st_ctime, stat.st_ctime_nsec),
        }
    }
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

/// As [`retry`], for functions of glibc and musl in which a thread can be cancelled. For the calls that opening and closing
/// make, `syscall` is the cheaper way: it is no such function.
fn retry_held_off<T: Copy + PartialOrd + Default>(f: impl FnMut() -> T) -> Result<T> {
    held_off(|| retry(f))
}

/// An open descriptor, which is closed when this goes. Not an `OwnedFd`: to close that can end the thread.
pub(super) struct Descriptor(RawFd);

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

fn offset(value: u64) -> Result<libc::off_t> {
    libc::off_t::try_from(value).map_err(|_| Error::Os(libc::EFBIG))
}

/// The lowest descriptor that may be a file's: the others are where programs write their messages, also when nothing
/// is open there.
const LOWEST: RawFd = 3;

/// Takes a descriptor over, and gives it another number if it has one of the standard streams'.
fn own(fd: RawFd) -> Result<Descriptor> {
    let fd = Descriptor(fd);
    if fd.as_raw_fd() >= LOWEST { Ok(fd) } else { duplicate(fd.as_raw_fd()) }
}

/// How long an open waits for the holder of a lease to give it up; the system takes it away before that, after 45 s
/// unless it is told otherwise.
const LEASE: Duration = Duration::from_secs(60);

/// Opens a path; always close-on-exec, and never waiting for the other end of a FIFO. Where somebody has a lease on the
/// file it waits until that is given up.
pub(super) fn open(path: &CStr, flags: i32, mode: u32) -> Result<Descriptor> {
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

/// Sleeps so long, whatever signals come.
pub(super) fn sleep(time: Duration) {
    held_off(|| std::thread::sleep(time));
}

/// Opens the file behind a descriptor anew: the result shares neither locks, offset nor status flags
/// with it. Needs no memory, so that it can run in a forked child.
pub(super) fn reopen(fd: RawFd, flags: i32) -> Result<Descriptor> {
    if fd < 0 {
        return Err(Error::Os(libc::EBADF));
    }
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
pub(super) fn duplicate(fd: RawFd) -> Result<Descriptor> {
    // SAFETY: no memory is passed.
    retry(|| unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, LOWEST) }).map(Descriptor)
}

/// Puts a description behind a number in place of the one that is there, which is closed, in one step.
pub(super) fn replace(number: RawFd, by: Descriptor) -> Result<()> {
    // SAFETY: no memory is passed. `number` is a descriptor of the caller's own.
    retry(|| unsafe { libc::dup3(by.as_raw_fd(), number, libc::O_CLOEXEC) }).map(drop)
}

/// Closes a descriptor by its number; a negative one is none.
pub(super) fn close(fd: RawFd) {
    if fd >= 0 {
        // In a child that was forked while another thread opened it, it isn't there.
        // SAFETY: the callers own the descriptor, and forget it.
        unsafe { libc::syscall(libc::SYS_close, fd) };
    }
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
    Ok(Stat::of(unsafe { stat.assume_init_ref() }))
}

/// What a path leads to now.
pub(super) fn stat_path(path: &CStr) -> Result<Stat> {
    let mut stat = core::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `path` is a C string, and stat fills the structure that it is given.
    retry(|| unsafe { libc::stat(path.as_ptr(), stat.as_mut_ptr()) })?;
    // SAFETY: stat succeeded, so it has filled it.
    Ok(Stat::of(unsafe { stat.assume_init_ref() }))
}

/// Reads up to `buffer.len()` bytes at `at`; fewer at the end of the file.
pub(super) fn pread(fd: RawFd, buffer: &mut [u8], at: u64) -> Result<usize> {
    let start = offset(at)?;
    // SAFETY: the buffer is valid for writes of its length.
    match unsafe { pread_at(fd, buffer.as_mut_ptr(), buffer.len(), start) } {
        Err(Error::Os(libc::EINVAL)) if is_direct(fd) => pread_direct(fd, buffer, at),
        count => count,
    }
}

/// # Safety
/// `to` must be valid for writes of `count` bytes.
unsafe fn pread_at(fd: RawFd, to: *mut u8, count: usize, at: libc::off_t) -> Result<usize> {
    // SAFETY: the caller promises the place.
    let read = retry(|| unsafe { libc::syscall(libc::SYS_pread64, fd, to, count, at) })?;
    Ok(read.unsigned_abs() as usize)
}

/// Whether a description reads past the page cache, and then in whole blocks only. Whoever got a descriptor of it can
/// set that at any time.
fn is_direct(fd: RawFd) -> bool {
    status_flags(fd).is_ok_and(|flags| flags & libc::O_DIRECT != 0)
}

/// As [`pread`], by way of whole blocks at an aligned address. The range must end within two blocks of its beginning.
#[cold]
fn pread_direct(fd: RawFd, buffer: &mut [u8], at: u64) -> Result<usize> {
    const BLOCK: usize = 4096;
    let mut memory = Vec::<u8>::new();
    memory.try_reserve_exact(3 * BLOCK).map_err(|_| Error::NO_MEMORY)?;
    let first = at / BLOCK as u64 * BLOCK as u64;
    let skip = (at - first) as usize;
    let block = memory.as_mut_ptr().wrapping_add(memory.as_ptr().align_offset(BLOCK));
    let start = offset(first)?;
    // SAFETY: three blocks have two aligned ones in them.
    let count = unsafe { pread_at(fd, block.cast(), 2 * BLOCK, start) }?;
    let count = count.saturating_sub(skip).min(buffer.len());
    // SAFETY: the system has just stored the bytes up to the count; the buffer is other memory.
    unsafe { core::ptr::copy_nonoverlapping(block.wrapping_add(skip), buffer.as_mut_ptr(), count) };
    Ok(count)
}

/// Writes up to `count` bytes from `from` at `at`; the system may write fewer.
///
/// # Safety
/// `from` must be valid for reads of `count` bytes.
pub(super) unsafe fn pwrite(fd: RawFd, from: *const u8, count: usize, at: u64) -> Result<usize> {
    let at = offset(at)?;
    // SAFETY: the caller promises the bytes.
    let written = retry(|| unsafe { libc::syscall(libc::SYS_pwrite64, fd, from, count, at) })?;
    Ok(written.unsigned_abs() as usize)
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
    match held_off(|| unsafe { libc::fallocate(fd, mode, at, count) }) {
        0 => Ok(()),
        _ => Err(last_error()),
    }
}

pub(super) fn fdatasync(fd: RawFd) -> Result<()> {
    // SAFETY: no memory is passed.
    retry_held_off(|| unsafe { libc::fdatasync(fd) }).map(drop)
}

/// Says that the file was changed just now, as a write does and a store through a mapping need not.
pub(super) fn touch(fd: RawFd) -> Result<()> {
    let omit = libc::timespec { tv_sec: 0, tv_nsec: libc::UTIME_OMIT };
    let now = libc::timespec { tv_sec: 0, tv_nsec: libc::UTIME_NOW };
    let times = [omit, now];
    // SAFETY: the two times are read only.
    retry(|| unsafe { libc::futimens(fd, times.as_ptr()) }).map(drop)
}

/// Puts the name of a file on the disk, which is in the directory that holds the file. `known` is a path to that
/// directory, and which one it was when the file was made: if the path leads elsewhere now, the system is asked where
/// the file is.
pub(super) fn sync_directory(fd: RawFd, known: Option<(&CStr, Identity)>) -> Result<()> {
    if let Some((path, identity)) = known
        && let Ok(directory) = open(path, libc::O_RDONLY | libc::O_DIRECTORY, 0)
        && stat(directory.as_raw_fd()).is_ok_and(|stat| stat.identity == identity)
    {
        return sync_opened_directory(&directory);
    }
    let link = descriptor_path(fd);
    let mut path = [0u8; libc::PATH_MAX as usize];
    // SAFETY: `link` is a C string and `path` is valid for writes of the length passed.
    let length = retry(|| unsafe { libc::readlink(link.as_ptr(), path.as_mut_ptr().cast(), path.len() - 1) });
    let Ok(length) = length.map(isize::unsigned_abs) else {
        // There is no /proc. To sync the file puts the name of a new one on the disk on most file systems, too.
        // SAFETY: no memory is passed.
        return retry_held_off(|| unsafe { libc::fsync(fd) }).map(drop);
    };
    let Some(slash) = path[..length].iter().rposition(|byte| *byte == b'/') else { return Ok(()) };
    path[slash.max(1)..].fill(0);
    let path = CStr::from_bytes_until_nul(&path).unwrap_or_default();
    match open(path, libc::O_RDONLY | libc::O_DIRECTORY, 0) {
        // The file was deleted together with its directory: there is no name left to keep.
        // Or it can't be opened for reading: then the file's own metadata must do.
        Err(Error::Os(libc::ENOENT | libc::ENOTDIR | libc::EACCES)) => Ok(()),
        directory => sync_opened_directory(&directory?),
    }
}

fn sync_opened_directory(directory: &Descriptor) -> Result<()> {
    // SAFETY: no memory is passed.
    match retry_held_off(|| unsafe { libc::fsync(directory.as_raw_fd()) }) {
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
pub(super) fn memfd() -> Result<Descriptor> {
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

/// Opens named shared memory, never waiting for the other end of a FIFO that has taken the name. The descriptor is
/// close-on-exec and the name not that of a link, as POSIX demands and glibc sees to.
pub(super) fn shm_open(name: &CStr, flags: i32, mode: u32) -> Result<Descriptor> {
    let flags = flags | libc::O_NONBLOCK;
    // SAFETY: `name` is a C string.
    let open_once = || retry_held_off(|| unsafe { libc::shm_open(name.as_ptr(), flags, mode) });
    open_leased(|| open_once().map(Into::into)).map_err(|error| match error {
        Error::Os(libc::EINVAL) => Error::Invalid(Argument::Name),
        error => error,
    })
}

pub(super) fn shm_unlink(name: &CStr) -> Result<()> {
    // SAFETY: `name` is a C string.
    retry(|| unsafe { libc::shm_unlink(name.as_ptr()) }).map(drop)
}

/// What `fcntl` does with an open-file-description lock.
#[derive(Clone, Copy)]
pub(super) enum LockCall {
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
pub(super) fn lock(fd: RawFd, at: i64, call: LockCall) -> Result<()> {
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
pub(super) fn is_locked_elsewhere(fd: RawFd, at: i64) -> Result<bool> {
    Ok(i32::from(other_lock(fd, at)?.l_type) != libc::F_UNLCK)
}

/// A lock that covers more than the byte at `at`, and so is a program's own: of which process, or 0 if the system doesn't
/// say.
pub(super) fn owner_of_wider_lock(fd: RawFd, at: i64) -> Result<Option<u32>> {
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

/// A clock that a thread can sleep by, in a way that a signal handler ends unless it was installed with `SA_RESTART`.
pub(super) struct Alarm(Option<Descriptor>);

impl Alarm {
    pub fn new() -> Alarm {
        // SAFETY: no memory is passed.
        let fd = retry(|| unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC) });
        Alarm(fd.and_then(own).ok())
    }

    /// Sleeps so long, or until a signal handler has run: `EINTR`.
    pub fn sleep(&self, time: Duration) -> Result<()> {
        let time = libc::timespec {
            tv_sec: time.as_secs().try_into().unwrap_or(libc::time_t::MAX),
            tv_nsec: i64::from(time.subsec_nanos().max(1)),
        };
        let none = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let result = held_off(|| match &self.0 {
            Some(fd) => {
                let once = libc::itimerspec { it_interval: none, it_value: time };
                let mut expirations = 0u64;
                // SAFETY: the structure is read only, and there is room for the 8 bytes that the descriptor gives.
                unsafe {
                    libc::timerfd_settime(fd.as_raw_fd(), 0, &raw const once, core::ptr::null_mut());
                    libc::read(fd.as_raw_fd(), (&raw mut expirations).cast(), 8) == 8
                }
            }
            // Without a descriptor every handler ends it.
            // SAFETY: the structure is read only.
            None => unsafe { libc::nanosleep(&raw const time, core::ptr::null_mut()) == 0 },
        });
        if result { Ok(()) } else { Err(last_error()) }
    }
}

/// Maps a file over a range that is mapped already, in one step: whoever touches the range finds the old or the new one.
///
/// # Safety
/// The range must be a mapping of the caller's own, at whose bytes nobody has a reference.
pub(super) unsafe fn map_over(
    at: *mut c_void,
    bytes: usize,
    protection: i32,
    fd: RawFd,
    over: bool,
) -> Result<()> {
    let place = if over { libc::MAP_FIXED } else { libc::MAP_FIXED_NOREPLACE };
    let flags = libc::MAP_SHARED | libc::MAP_NORESERVE | place;
    // SAFETY: the caller promises the range.
    match unsafe { libc::mmap(at, bytes, protection, flags, fd, 0) } {
        libc::MAP_FAILED => Err(last_error()),
        _ => Ok(()),
    }
}

/// Memory of zeros that becomes zeros again in every kind of child process. A system that is too old for that leaves the
/// memory as it is.
pub(super) fn map_wiped_on_fork(bytes: usize) -> Result<*mut c_void> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping, where the system finds a place.
    let at =
        unsafe { libc::mmap(core::ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    if at == libc::MAP_FAILED {
        return Err(last_error());
    }
    // SAFETY: the range is the mapping just made.
    unsafe { libc::madvise(at, bytes, libc::MADV_WIPEONFORK) };
    Ok(at)
}

/// Whether the process could map so much more.
pub(super) fn has_address_space(bytes: u64) -> bool {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping without access, where the system finds a place.
    let at = unsafe { libc::mmap(core::ptr::null_mut(), bytes as usize, libc::PROT_NONE, flags, -1, 0) };
    if at != libc::MAP_FAILED {
        unmap(at, bytes as usize);
    }
    at != libc::MAP_FAILED
}

/// Leaves a mapping out of core dumps. An advice that isn't taken leaves a larger core dump, and nothing else.
pub(super) fn dump_nothing(at: *mut c_void, bytes: usize) {
    // SAFETY: the advice changes nothing that the process could see.
    unsafe { libc::madvise(at, bytes, libc::MADV_DONTDUMP) };
}

/// Ends a mapping that nobody else knows of.
pub(super) fn unmap(at: *mut c_void, bytes: usize) {
    // SAFETY: the callers have made the mapping, and use it no more.
    unsafe { libc::munmap(at, bytes) };
}

/// This process, as the system numbers them.
pub(super) fn process_id() -> u64 {
    u64::from(std::process::id())
}

/// A number that no one has had before: the time, as exactly as the clock tells it.
pub(super) fn fresh_number() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: clock_gettime fills the structure that it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut now) };
    (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64).max(1)
}

/// The directory that relative paths start from.
pub(super) fn current_directory(path: &mut [u8]) -> Result<usize> {
    // SAFETY: the buffer is valid for writes of its length.
    if unsafe { libc::getcwd(path.as_mut_ptr().cast(), path.len()) }.is_null() {
        return Err(last_error());
    }
    path.iter().position(|byte| *byte == 0).ok_or(Error::Os(libc::ERANGE))
}

/// The largest size that this process may give a file; beyond it the system would send a signal.
pub(super) fn file_size_limit() -> u64 {
    resource_limit(libc::RLIMIT_FSIZE)
}

/// How much address space this process may use.
pub(super) fn address_space_limit() -> u64 {
    resource_limit(libc::RLIMIT_AS)
}

/// Whether core dumps of this process take shared mappings of files along: a bit of its filter, of which core(5) tells.
/// Also if nobody knows.
pub(super) fn core_dumps_take_files() -> bool {
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
