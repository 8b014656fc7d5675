//! What a handle may do with its memory.

use crate::options::{EXACT, OpenOptions, PRIVATE, WRITE};

/// What a handle may do with its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Read a file, and follow its length.
    Read,
    /// Write a file and change its length; `exact` means without spare room.
    Write { exact: bool },
    /// The same in memory without a name, which can't become shorter.
    Anonymous,
    /// Set elements, but never the length: the caller's memory, hugetlbfs.
    Fixed,
    /// Set elements in a private copy.
    Private,
    /// Read memory whose length is fixed.
    FixedRead,
}

impl Access {
    /// Whether the length can change through this handle.
    pub fn can_change_length(self) -> bool {
        matches!(self, Access::Write { .. } | Access::Anonymous)
    }

    /// How the file must be opened for it.
    pub fn open_flags(self) -> i32 {
        if self.can_change_length() { libc::O_RDWR } else { libc::O_RDONLY }
    }

    /// Whether the length can change at all, here or elsewhere.
    pub fn has_fixed_length(self) -> bool {
        matches!(self, Access::Fixed | Access::Private | Access::FixedRead)
    }

    pub fn of(options: &OpenOptions) -> Access {
        if options.has(PRIVATE) {
            Access::Private
        } else if options.has(WRITE) {
            Access::Write { exact: options.has(EXACT) }
        } else {
            Access::Read
        }
    }
}
