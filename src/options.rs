//! How an array is to be opened: the flags of the C interface and their builder in Rust.

use crate::error::{Argument, Error, Result};

/// Flags, as [`OpenOptions`] keeps them; their names in C are in `capi/constants.rs`.
pub(crate) const WRITE: u32 = 1;
pub(crate) const CREATE: u32 = 2;
pub(crate) const EXCLUSIVE: u32 = 4;
pub(crate) const PRIVATE: u32 = 8;
pub(crate) const EXACT: u32 = 16;

/// How to open an array; the counterpart of `std::fs::OpenOptions`.
///
/// ```
/// use mmap_backed_array::OpenOptions;
///
/// let mut options = OpenOptions::new();
/// options.write(true).create(true).reservation(1 << 30);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    pub(crate) flags: u32,
    pub(crate) reservation: u64,
    pub(crate) mode: u32,
}

impl OpenOptions {
    /// Read-only, and the defaults for the rest.
    pub fn new() -> OpenOptions {
        OpenOptions::default()
    }

    pub(crate) fn from_flags(flags: u32) -> OpenOptions {
        OpenOptions { flags, ..OpenOptions::default() }
    }

    fn set(&mut self, flag: u32, on: bool) -> &mut OpenOptions {
        if on {
            self.flags |= flag;
        } else {
            self.flags &= !flag;
        }
        self
    }

    /// Opens for writing too (`MBA_RDWR`).
    pub fn write(&mut self, on: bool) -> &mut OpenOptions {
        self.set(WRITE, on)
    }

    /// Makes the file if there is none (`MBA_CREATE`).
    pub fn create(&mut self, on: bool) -> &mut OpenOptions {
        self.set(CREATE, on)
    }

    /// Makes the file, and fails with `EEXIST` if there is one (`MBA_CREATE | MBA_EXCL`).
    pub fn create_new(&mut self, on: bool) -> &mut OpenOptions {
        self.set(CREATE | EXCLUSIVE, on)
    }

    /// Copy on write, with a fixed length (`MBA_PRIVATE`).
    pub fn private(&mut self, on: bool) -> &mut OpenOptions {
        self.set(PRIVATE, on)
    }

    /// No spare room in the file (`MBA_EXACT`).
    pub fn exact(&mut self, on: bool) -> &mut OpenOptions {
        self.set(EXACT, on)
    }

    /// Bytes of address range to reserve, and so the most that the elements can come to take; 0 for the
    /// default of 64 GiB or twice the file, or less where address space is scarce.
    pub fn reservation(&mut self, bytes: u64) -> &mut OpenOptions {
        self.reservation = bytes;
        self
    }

    /// Permission bits of a file that is made; 0 for the default: 0666 for files, 0600 for named shared
    /// memory. The umask applies.
    pub fn mode(&mut self, mode: u32) -> &mut OpenOptions {
        self.mode = mode;
        self
    }

    /// Whether a flag counts: beside `MBA_PRIVATE`, `MBA_RDWR` says nothing more.
    pub(crate) fn has(&self, flag: u32) -> bool {
        let without = if self.flags & PRIVATE != 0 { WRITE } else { 0 };
        self.flags & !without & flag != 0
    }

    /// `EINVAL` for flags that nobody knows, pairs without sense, and modes that are none. `allowed` names
    /// the flags that make sense for what is opened.
    pub(crate) fn check(&self, allowed: u32) -> Result<()> {
        let has = |flag| self.flags & flag != 0;
        let reason = if self.flags & !allowed != 0 {
            Argument::Flag
        } else if self.mode & !0o7777 != 0 {
            Argument::Mode
        } else if has(PRIVATE) && self.flags & !(PRIVATE | WRITE) != 0 {
            Argument::PrivateAndMore
        } else if has(CREATE) && !has(WRITE) {
            Argument::CreateReadOnly
        } else if has(EXCLUSIVE) && !has(CREATE) {
            Argument::ExclusiveWithoutCreate
        } else if has(EXACT) && !has(WRITE) {
            Argument::ExactReadOnly
        } else {
            return Ok(());
        };
        Err(Error::Invalid(reason))
    }
}
