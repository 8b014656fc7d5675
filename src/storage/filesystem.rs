//! What kind of file it is, as far as growing and mapping depend on it.

use std::os::fd::RawFd;

use super::sys;
use crate::error::Result;

/// What kind of file it is.
#[derive(Clone, Copy, Default)]
pub(super) struct FileSystemTraits {
    /// The bytes are in memory for good, not on a disk.
    pub in_memory: bool,
    /// A block that was written once is written again in its place. Others (btrfs, ZFS) find a new place each time,
    /// so that a reserved block is good for one write only.
    pub in_place: bool,
    /// The file can't become shorter.
    pub sealed: bool,
    /// The file system can't reserve blocks.
    pub no_fallocate: bool,
}

const TMPFS_MAGIC: i64 = 0x0102_1994;
const RAMFS_MAGIC: i64 = 0x8584_58f6;
/// ext2, ext3 and ext4.
const EXT_MAGIC: i64 = 0xef53;
const XFS_MAGIC: i64 = 0x5846_5342;
const HUGETLBFS_MAGIC: i64 = 0x9584_58f6;
const OVERLAYFS_MAGIC: i64 = 0x794c_7630;

impl FileSystemTraits {
    /// Those of memory that `memfd_create` has made and sealed for us.
    pub fn of_anonymous() -> FileSystemTraits {
        FileSystemTraits { in_memory: true, sealed: true, ..FileSystemTraits::default() }
    }

    pub fn of(fd: RawFd) -> Result<FileSystemTraits> {
        let file_system = sys::file_system(fd)?;
        Ok(FileSystemTraits {
            in_memory: matches!(file_system, TMPFS_MAGIC | RAMFS_MAGIC),
            in_place: matches!(file_system, EXT_MAGIC | XFS_MAGIC),
            sealed: is_sealed(fd)?,
            no_fallocate: false,
        })
    }
}

/// Whether the file can't become shorter.
pub(super) fn is_sealed(fd: RawFd) -> Result<bool> {
    Ok(sys::seals(fd)? & libc::F_SEAL_SHRINK != 0)
}

/// Whether the file can't become longer.
pub(super) fn is_sealed_against_growth(fd: RawFd) -> Result<bool> {
    Ok(sys::seals(fd)? & libc::F_SEAL_GROW != 0)
}

/// Whether the file takes no `pwrite` and a writable map of more than the file lengthens it.
pub(super) fn is_hugetlbfs(fd: RawFd) -> Result<bool> {
    Ok(sys::file_system(fd)? == HUGETLBFS_MAGIC)
}

/// Whether what is mapped can be another file's than what is read: of a layer below, which a writer copies.
pub(super) fn is_overlayfs(fd: RawFd) -> Result<bool> {
    Ok(sys::file_system(fd)? == OVERLAYFS_MAGIC)
}
