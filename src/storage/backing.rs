//! What can lie behind an array: a file, anonymous or named shared memory, somebody's descriptor.

use core::ffi::CStr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use super::sys::{self, Stat};
use super::tenure::is_sealed;
use crate::error::{Error, Result};
use crate::options::{MBA_CREATE, MBA_EXACT, MBA_EXCL, MBA_PRIVATE, MBA_RDWR, OpenOptions};

/// What a handle may do with its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Read a file, and follow its length.
    Read,
    /// Write a file and change its length; `exact` means without spare room.
    Write { exact: bool },
    /// Set elements, but never the length: the caller's memory, hugetlbfs.
    Fixed,
    /// Set elements in a private copy.
    Private,
    /// Read memory whose length is fixed.
    FixedRead,
}

impl Access {
    pub fn can_write(self) -> bool {
        !matches!(self, Access::Read | Access::FixedRead)
    }

    /// Whether the length can change through this handle.
    pub fn can_change_length(self) -> bool {
        matches!(self, Access::Write { .. })
    }

    /// Whether the length can change at all, here or elsewhere.
    pub fn has_fixed_length(self) -> bool {
        matches!(self, Access::Fixed | Access::Private | Access::FixedRead)
    }

    fn of(options: &OpenOptions) -> Access {
        if options.has(MBA_PRIVATE) {
            Access::Private
        } else if options.has(MBA_RDWR) {
            Access::Write { exact: options.has(MBA_EXACT) }
        } else {
            Access::Read
        }
    }
}

/// A file ready to be mapped, through a description that this handle made for itself if it may write.
pub(super) struct Backing {
    pub fd: OwnedFd,
    pub stat: Stat,
    pub access: Access,
    /// Whether the file may have been made just now, so that its name is not on the disk yet.
    pub is_new: bool,
}

const HUGETLBFS_MAGIC: i64 = 0x958458f6;
/// Block sizes up to this are those of ordinary file systems, which need no closer look.
const ORDINARY_BLOCK: i64 = 65536;

impl Backing {
    pub fn path(path: &CStr, options: &OpenOptions) -> Result<Backing> {
        options.check(MBA_RDWR | MBA_CREATE | MBA_EXCL | MBA_PRIVATE | MBA_EXACT)?;
        let mode = if options.mode == 0 { 0o666 } else { options.mode };
        // With O_CREAT the system refuses a directory with EISDIR, and a FIFO opens.
        Backing::regular(sys::open(path, open_flags(options), mode).map_err(no_device)?, options)
    }

    pub fn shared_memory(name: &CStr, options: &OpenOptions) -> Result<Backing> {
        options.check(MBA_RDWR | MBA_CREATE | MBA_EXCL | MBA_PRIVATE | MBA_EXACT)?;
        let mode = if options.mode == 0 { 0o600 } else { options.mode };
        let fd = sys::shm_open(name, open_flags(options), mode).map_err(no_device)?;
        let mut backing = Backing::regular(fd, options)?;
        backing.is_new = false;
        Ok(backing)
    }

    pub fn anonymous() -> Result<Backing> {
        let fd = sys::memfd()?;
        let stat = sys::stat(fd.as_raw_fd())?;
        Ok(Backing { fd, stat, access: Access::Write { exact: false }, is_new: false })
    }

    /// Takes a descriptor of its own; the caller's stays the caller's.
    pub fn descriptor(fd: RawFd, options: &OpenOptions) -> Result<Backing> {
        options.check(MBA_RDWR | MBA_PRIVATE | MBA_EXACT)?;
        let flags = sys::status_flags(fd)?;
        if flags & libc::O_PATH != 0 {
            return Err(Error::Os(libc::EBADF));
        }
        let mode = flags & libc::O_ACCMODE;
        let allowed = if options.has(MBA_RDWR) { mode == libc::O_RDWR } else { mode != libc::O_WRONLY };
        if !allowed {
            return Err(Error::Os(libc::EACCES));
        }
        regular_file(&sys::stat(fd)?)?;
        let own = if options.has(MBA_RDWR) {
            sys::reopen(fd, libc::O_RDWR)?
        } else {
            // A reader takes no lock and reads at offsets, so it may share the caller's description; and
            // the permissions to open the file anew may be lacking.
            sys::duplicate(fd)?
        };
        Backing::regular(own, options)
    }

    fn regular(fd: OwnedFd, options: &OpenOptions) -> Result<Backing> {
        let stat = sys::stat(fd.as_raw_fd())?;
        regular_file(&stat)?;
        let mut access = Access::of(options);
        if stat.block_size > ORDINARY_BLOCK && sys::file_system(fd.as_raw_fd())? == HUGETLBFS_MAGIC {
            // Such files take no pwrite, and a writable map of more than the file lengthens it.
            if stat.size == 0 {
                return Err(Error::Fixed);
            }
            access = match access {
                Access::Write { .. } => Access::Fixed,
                Access::Read => Access::FixedRead,
                other => other,
            };
        }
        if options.has(MBA_EXACT) && is_sealed(fd.as_raw_fd())? {
            return Err(Error::INVALID);
        }
        let is_new = options.has(MBA_CREATE) && stat.size == 0;
        Ok(Backing { fd, stat, access, is_new })
    }
}

fn open_flags(options: &OpenOptions) -> i32 {
    let mut flags = if options.has(MBA_RDWR) { libc::O_RDWR } else { libc::O_RDONLY };
    if options.has(MBA_CREATE) {
        flags |= libc::O_CREAT;
    }
    if options.has(MBA_EXCL) {
        flags |= libc::O_EXCL;
    }
    flags
}

/// `ENODEV` for what O_NONBLOCK makes of a socket, and of a device that isn't there.
fn no_device(error: Error) -> Error {
    if error == Error::Os(libc::ENXIO) { Error::Os(libc::ENODEV) } else { error }
}

/// `EISDIR` for a directory and `ENODEV` for anything else that isn't a regular file.
fn regular_file(stat: &Stat) -> Result<()> {
    match stat.mode & libc::S_IFMT {
        libc::S_IFREG => Ok(()),
        libc::S_IFDIR => Err(Error::Os(libc::EISDIR)),
        _ => Err(Error::Os(libc::ENODEV)),
    }
}
