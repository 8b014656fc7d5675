//! What a file says of itself, for people and tools that look at it from outside.

use core::ffi::CStr;
use std::os::fd::{AsRawFd, RawFd};

use super::footer::{self, Elements, Footer};
use super::sys::Descriptor;
use super::{Layout, Storage, lock, presence, sys};
use crate::error::{Error, Result};

/// What a file says of itself, and who has it open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Status {
    /// The elements that the footer names, or that the handle knows.
    pub elements: Option<Elements>,
    /// The number of elements; 0 if nobody knows how large they are.
    pub len: u64,
    pub file_size: u64,
    pub has_footer: bool,
    pub epoch: u64,
    /// The process that holds the growth lock or held it last; 0 if the file doesn't say.
    pub holder: u64,
    pub is_locked: bool,
    /// Whether others have the file open.
    pub is_shared: bool,
}

/// Looks at a file without opening it for writing, and without being present.
pub(crate) fn status_of_path(path: &CStr) -> Result<Status> {
    look(open_to_look(path)?.as_raw_fd(), None)
}

/// Opens a regular file for reading. To open a FIFO would let somebody through who waits to write to it.
fn open_to_look(path: &CStr) -> Result<Descriptor> {
    sys::regular(sys::stat_path(path)?)?;
    let fd = sys::open(path, libc::O_RDONLY, 0)?;
    sys::regular_file(fd.as_raw_fd())?;
    Ok(fd)
}

/// The process that has locked a file as a whole, by a lock of its own; 0 if the system doesn't say which.
pub(crate) fn whole_file_locker(path: &CStr) -> Result<Option<u32>> {
    let fd = open_to_look(path)?;
    for byte in [lock::GROWTH, lock::PRESENCE] {
        if let Some(process) = sys::owner_of_wider_lock(fd.as_raw_fd(), byte)? {
            return Ok(Some(process));
        }
    }
    Ok(None)
}

fn look(fd: RawFd, known: Option<&Layout>) -> Result<Status> {
    let (stat, bytes) = footer::read_end(fd, sys::stat(fd)?, None)?;
    let footer = match bytes {
        Some(bytes) => Footer::decode_any(&bytes, stat.size)?,
        None => None,
    };
    let known = known.map(|layout| Elements {
        kind: layout.kind,
        itemsize: layout.itemsize as u32,
        offset: layout.offset,
    });
    let mut status = Status {
        elements: known,
        file_size: stat.size,
        // Where there are no such locks nobody can have one.
        is_locked: lock::is_taken(fd).unwrap_or(false),
        is_shared: presence::are_others(fd).unwrap_or(false),
        ..Status::default()
    };
    if let Some((footer, elements)) = footer {
        let Footer { len, epoch, mut holder, .. } = footer;
        if sys::owner_of_wider_lock(fd, lock::GROWTH).is_ok_and(|owner| owner.is_some()) {
            // It is a program that has locked the whole file, and no handle.
            holder = 0;
        }
        status = Status { elements: Some(elements), len, epoch, holder, has_footer: true, ..status };
    } else if let Some(Elements { itemsize, offset, .. }) = known {
        status.len = stat.size.saturating_sub(offset) / u64::from(itemsize);
    }
    Ok(status)
}

impl Storage {
    /// What the file says now, whatever the handle knows.
    pub fn status(&self) -> Result<Status> {
        self.check()?;
        let Some(file) = &self.file else {
            let Layout { kind, itemsize, offset, .. } = self.layout;
            let elements = Elements { kind, itemsize: itemsize as u32, offset };
            let (len, bytes) = (self.len() as u64, (self.len() * itemsize) as u64);
            return Ok(Status { elements: Some(elements), len, file_size: bytes, ..Status::default() });
        };
        let mapping = &file.mapping;
        // Through the description that is mapped: of presence the own one doesn't count.
        let fd = if mapping.place.plain() >= 0 { mapping.place.plain() } else { mapping.fd() };
        mapping.check(fd)?;
        let status = look(fd, Some(&self.layout))?;
        Ok(Status { is_locked: status.is_locked || file.is_held(), ..status })
    }

    /// Whether the path by which the file was opened leads to another one now, or to none. Never so of what has no path.
    pub fn is_replaced(&self) -> Result<bool> {
        self.check()?;
        let Some((mapping, path)) =
            self.file.as_ref().and_then(|file| Some((&file.mapping, file.mapping.path.as_deref()?)))
        else {
            return Ok(false);
        };
        match sys::stat_path(path) {
            // On overlayfs the numbers can change when a file is copied up: what they are now counts.
            Ok(stat) if stat.identity == mapping.identity => Ok(false),
            Ok(stat) => Ok(sys::stat(mapping.fd())?.identity != stat.identity),
            Err(Error::Os(libc::ENOENT | libc::ENOTDIR)) => Ok(true),
            Err(error) => Err(error),
        }
    }
}
