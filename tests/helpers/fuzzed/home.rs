//! A file in memory that hostile things happen to, and the ways to open it.

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use mmap_backed_array::Type;
use mmap_backed_array::capi::*;

use super::bytes::Bytes;
use crate::helpers::footer::{self, Footer, PAGE};
use crate::helpers::raw::{Code, Raw};

/// How a handle is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct How {
    pub flags: u32,
    /// By a descriptor instead of a path.
    pub by_fd: bool,
    /// 0 for the default.
    pub reservation: u64,
}

impl How {
    /// Any way but one that makes a file.
    pub fn any(input: &mut Bytes) -> How {
        let flags = [MBA_RDWR, MBA_RDONLY, MBA_RDWR | MBA_EXACT, MBA_PRIVATE][input.below(4)];
        How { flags, ..How::place(input) }
    }

    /// With one of these flags.
    pub(super) fn one_of(flags: &[u32], input: &mut Bytes) -> How {
        How { flags: flags[input.below(flags.len())], ..How::place(input) }
    }

    fn place(input: &mut Bytes) -> How {
        match input.byte() {
            byte @ 240.. => How { flags: 0, by_fd: false, reservation: u64::from(byte - 239) * 3000 },
            byte => How { flags: 0, by_fd: byte % 2 == 1, reservation: 0 },
        }
    }

    pub fn can_change_length(self) -> bool {
        self.flags & MBA_RDWR != 0
    }

    /// The most bytes of elements, if this handle reserves fewer than it could ever need.
    pub(super) fn reserved(self) -> Option<u64> {
        let bytes = (self.reservation + footer::SIZE as u64).next_multiple_of(PAGE as u64);
        (self.reservation > 0 && self.flags != MBA_PRIVATE).then_some(bytes)
    }
}

/// A file in memory, and its two names.
pub struct Home {
    pub file: File,
    pub path: PathBuf,
    pub is_sealed: bool,
}

impl Home {
    pub fn new(is_sealed: bool) -> Home {
        // SAFETY: a C string; the descriptor is new, and the file's own.
        let file = unsafe {
            let fd = libc::memfd_create(c"mba-fuzzed".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING);
            assert!(fd >= 0, "{}", std::io::Error::last_os_error());
            File::from_raw_fd(fd)
        };
        if is_sealed {
            // SAFETY: no memory is passed.
            let sealed = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, libc::F_SEAL_SHRINK) };
            assert_eq!(sealed, 0);
        }
        Home::of(file, is_sealed)
    }

    pub(super) fn of(file: File, is_sealed: bool) -> Home {
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        Home { file, path, is_sealed }
    }

    pub fn open(&self, ty: Type, how: How) -> Code<Raw> {
        if how.by_fd {
            Raw::descriptor(self.file.as_raw_fd(), ty, how.flags)
        } else if how.reservation > 0 {
            Raw::open_reserving(&self.path, ty, how.flags, how.reservation)
        } else {
            Raw::open(&self.path, ty, how.flags)
        }
    }

    pub fn size(&self) -> u64 {
        self.file.metadata().unwrap().len()
    }

    pub fn contents(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.size() as usize];
        self.file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    /// The file's size, and how it reads as elements of a type.
    pub fn reading(&self, ty: Type) -> (u64, Result<footer::Reading, i32>) {
        let size = self.size();
        let mut last = vec![0; size.min(footer::SIZE as u64) as usize];
        let start = size - last.len() as u64;
        self.file.read_exact_at(&mut last, start).unwrap();
        (size, footer::read(size, &last, ty))
    }

    /// What opening must come to, for a file that fits every default reservation.
    pub fn opening(&self, ty: Type, how: How) -> Code<footer::Reading> {
        let (_, reading) = self.reading(ty);
        if self.is_sealed && how.flags & MBA_EXACT != 0 {
            return Err(libc::EINVAL);
        }
        let reading = reading?;
        let end = reading.len * ty.size() as u64;
        match how.reserved() {
            Some(bytes) if end.max(1) > bytes => Err(MBA_ELIMIT),
            _ => Ok(reading),
        }
    }

    /// A sound footer for the file at this size.
    pub fn footer(&self, ty: Type, file_size: u64, len: u64) -> Footer {
        Footer::of(ty, &self.file.metadata().unwrap(), file_size, len)
    }
}
