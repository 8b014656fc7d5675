//! Files: what they are, reading and writing them, their size, their blocks, and what of them is on the disk.

use core::ffi::CStr;
use std::os::fd::{AsRawFd, RawFd};

use super::descriptors::descriptor_path;
use super::{
    Descriptor, file_size_limit, held_off, last_error, open, reopen, retry, retry_held_off, status_flags,
};
use crate::error::{Error, Result};

/// Which file it is: as long as somebody has it open, no other one has these numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    pub dev: u64,
    pub ino: u64,
}

/// What `fstat` says of a file, as far as it matters here.
#[derive(Clone, Copy, Default)]
pub struct Stat {
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
            // Their types differ between processors.
            names: stat.st_nlink as _,
            block_size: stat.st_blksize as _,
            allocated: stat.st_blocks as u64 * 512,
            changed: (stat.st_ctime, stat.st_ctime_nsec),
        }
    }
}

pub fn stat(fd: RawFd) -> Result<Stat> {
    let mut stat = core::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: fstat fills the structure that it is given.
    retry(|| unsafe { libc::fstat(fd, stat.as_mut_ptr()) })?;
    // SAFETY: fstat succeeded, so it has filled it.
    Ok(Stat::of(unsafe { stat.assume_init_ref() }))
}

/// What a path leads to now.
pub fn stat_path(path: &CStr) -> Result<Stat> {
    let mut stat = core::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `path` is a C string, and stat fills the structure that it is given.
    retry(|| unsafe { libc::stat(path.as_ptr(), stat.as_mut_ptr()) })?;
    // SAFETY: stat succeeded, so it has filled it.
    Ok(Stat::of(unsafe { stat.assume_init_ref() }))
}

/// What fstat says of a regular file: `EISDIR` for a directory and `ENODEV` for anything else.
pub fn regular_file(fd: RawFd) -> Result<Stat> {
    regular(stat(fd)?)
}

/// `EISDIR` or `ENODEV` for what isn't a regular file.
pub fn regular(stat: Stat) -> Result<Stat> {
    match stat.mode & libc::S_IFMT {
        libc::S_IFREG => Ok(stat),
        libc::S_IFDIR => Err(Error::Os(libc::EISDIR)),
        _ => Err(Error::Os(libc::ENODEV)),
    }
}

/// Opens a file anew, by its path if that leads to it still, else through /proc; `EBADF` if it is none of both any more.
pub fn open_anew(
    path: Option<&CStr>,
    fd: RawFd,
    identity: Identity,
    flags: i32,
) -> Result<(Descriptor, Stat)> {
    if let Some(path) = path
        && let Ok(fd) = open(path, flags, 0)
    {
        let stat = stat(fd.as_raw_fd())?;
        if stat.identity == identity {
            return Ok((fd, stat));
        }
    }
    let own = reopen(fd, flags)?;
    let stat = stat(own.as_raw_fd())?;
    if stat.identity == identity { Ok((own, stat)) } else { Err(Error::Os(libc::EBADF)) }
}

/// The kind of file system that a file is on, by its magic number.
pub fn file_system(fd: RawFd) -> Result<i64> {
    let mut stat = core::mem::MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: fstatfs fills the structure that it is given.
    retry(|| unsafe { libc::fstatfs(fd, stat.as_mut_ptr()) })?;
    // SAFETY: fstatfs succeeded, so it has filled it.
    Ok(unsafe { stat.assume_init() }.f_type as _)
}

/// The seals of a memfd; 0 for a file that has none or can't have any.
pub fn seals(fd: RawFd) -> Result<i32> {
    // SAFETY: no memory is passed.
    match retry(|| unsafe { libc::fcntl(fd, libc::F_GET_SEALS) }) {
        // What the system says of files that can't be sealed.
        Err(Error::Os(libc::EINVAL)) => Ok(0),
        seals => seals,
    }
}

/// Reads up to `buffer.len()` bytes at `at`; fewer at the end of the file.
pub fn pread(fd: RawFd, buffer: &mut [u8], at: u64) -> Result<usize> {
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
pub unsafe fn pwrite(fd: RawFd, from: *const u8, count: usize, at: u64) -> Result<usize> {
    let at = offset(at)?;
    // SAFETY: the caller promises the bytes.
    let written = retry(|| unsafe { libc::syscall(libc::SYS_pwrite64, fd, from, count, at) })?;
    Ok(written.unsigned_abs() as usize)
}

/// `EFBIG` where writing up to `end` would send a signal, in a file that was larger already when the limit came.
pub fn check_size_limit(end: u64) -> Result<()> {
    if end > file_size_limit() { Err(Error::Os(libc::EFBIG)) } else { Ok(()) }
}

/// Writes all bytes at once; fewer means that there is no room.
pub fn write_all(fd: RawFd, bytes: &[u8], at: u64) -> Result<()> {
    // SAFETY: the slice is valid for reads of its length.
    let written = unsafe { pwrite(fd, bytes.as_ptr(), bytes.len(), at) }?;
    if written == bytes.len() { Ok(()) } else { Err(Error::Os(libc::ENOSPC)) }
}

pub fn ftruncate(fd: RawFd, size: u64) -> Result<()> {
    let size = offset(size)?;
    // SAFETY: no memory is passed.
    retry(|| unsafe { libc::ftruncate(fd, size) }).map(drop)
}

/// The largest piece that `reserve_blocks` asks for at once.
const PIECE: u64 = 64 << 20;
/// The smallest, when signals keep interrupting.
const LEAST_PIECE: u64 = 64 << 10;

/// Reserves blocks for a range without changing the visible size. It goes by pieces, and by smaller ones
/// when interrupted: tmpfs undoes an interrupted call, so a long one might never end under a timer.
pub fn reserve_blocks(fd: RawFd, mut at: u64, end: u64) -> Result<()> {
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
pub fn punch_hole(fd: RawFd, at: u64, end: u64) -> Result<()> {
    loop {
        match fallocate(fd, libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE, at, end - at) {
            Err(Error::Os(libc::EINTR)) => {}
            result => return result,
        }
    }
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

pub fn fdatasync(fd: RawFd) -> Result<()> {
    // SAFETY: no memory is passed.
    retry_held_off(|| unsafe { libc::fdatasync(fd) }).map(drop)
}

/// Says that the file was changed just now, as a write does and a store through a mapping need not.
pub fn touch(fd: RawFd) -> Result<()> {
    let omit = libc::timespec { tv_sec: 0, tv_nsec: libc::UTIME_OMIT };
    let now = libc::timespec { tv_sec: 0, tv_nsec: libc::UTIME_NOW };
    let times = [omit, now];
    // SAFETY: the two times are read only.
    match retry(|| unsafe { libc::futimens(fd, times.as_ptr()) }) {
        // Who doesn't own the file may set both times to now, and no others.
        // SAFETY: NULL stands for now.
        Err(Error::Os(libc::EPERM)) => retry(|| unsafe { libc::futimens(fd, core::ptr::null()) }).map(drop),
        result => result.map(drop),
    }
}

/// Puts the name of a file on the disk, which is in the directory that holds the file. `known` is a path to that
/// directory, and which one it was when the file was made: if the path leads elsewhere now, the system is asked where
/// the file is.
pub fn sync_directory(fd: RawFd, known: Option<(&CStr, Identity)>) -> Result<()> {
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

fn offset(value: u64) -> Result<libc::off_t> {
    libc::off_t::try_from(value).map_err(|_| Error::Os(libc::EFBIG))
}
