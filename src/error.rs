//! What can go wrong, and its number at the C boundary.

use core::ffi::CStr;
use std::{fmt, io};

use crate::errno;

/// Why a call failed. Nothing has changed when one is returned, unless the call says otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Error {
    /// Unknown or unsuitable element type, or not the one that the file names.
    Type,
    /// An index or a range outside the array.
    Index,
    /// No element to take.
    Empty,
    /// No element equals the value sought.
    NotFound,
    /// The handle is read-only.
    ReadOnly,
    /// Another handle holds the growth lock.
    Locked,
    /// Beyond the handle's reservation.
    Limit,
    /// The file ends inside an element.
    Partial,
    /// The footer contradicts the file, or someone else lengthened the file.
    Corrupt,
    /// Someone else truncated the file.
    Truncated,
    /// Memory whose length is fixed.
    Fixed,
    /// A bug in the library, caught.
    Panic,
    /// An argument without sense; `EINVAL` at the C boundary.
    Invalid(Argument),
    /// The system's `errno`.
    Os(i32),
}

/// What is wrong with an argument that a call refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Argument {
    /// A NULL pointer.
    Null,
    /// A flag that the call doesn't know.
    Flag,
    /// `MBA_CREATE` without `MBA_RDWR`.
    CreateReadOnly,
    /// `MBA_EXCL` without `MBA_CREATE`.
    ExclusiveWithoutCreate,
    /// `MBA_EXACT` without `MBA_RDWR`.
    ExactReadOnly,
    /// `MBA_PRIVATE` with anything but `MBA_RDWR`.
    PrivateAndMore,
    /// `MBA_EXACT` on memory that can't become shorter.
    ExactSealed,
    /// A mode beyond 07777.
    Mode,
    /// A structure whose size is none, or with fields that this version doesn't know.
    Structure,
    /// Memory that isn't aligned for the type.
    Alignment,
    /// Bytes that aren't whole elements, or not as many as are needed.
    Bytes,
    /// A path with a NUL in it.
    Path,
    /// A name of shared memory that isn't one name without a slash in it, or is too long.
    Name,
    /// A time-out below -1.
    Timeout,
    /// An advice that there isn't.
    Advice,
    /// A handle that has ended.
    Ended,
}

const PANIC: i32 = -112;

/// The table of our own errors: each one's number and text.
const TABLE: [(Error, i32, &CStr); 12] = [
    (Error::Type, -101, c"Wrong or unknown element type"),
    (Error::Index, -102, c"Index or range outside the array"),
    (Error::Empty, -103, c"The array is empty"),
    (Error::NotFound, -104, c"No such element"),
    (Error::ReadOnly, -105, c"The array was opened read-only"),
    (Error::Locked, -106, c"The array is locked by another handle or program"),
    (
        Error::Limit,
        -107,
        c"Beyond the address range reserved for the array; open it with a larger reservation",
    ),
    (Error::Partial, -108, c"The file ends inside an element"),
    (Error::Corrupt, -109, c"The footer contradicts the file"),
    (Error::Truncated, -110, c"Someone else made the file shorter"),
    (Error::Fixed, -111, c"The length is fixed: a private copy, memory of the caller's, or hugetlbfs"),
    (Error::Panic, PANIC, c"A bug in the library was caught; free the handle"),
];

/// The table of arguments without sense: each one's text.
#[rustfmt::skip]
const ARGUMENTS: [(Argument, &CStr); 16] = [
    (Argument::Null, c"A pointer is NULL where it must not be"),
    (Argument::Flag, c"A flag that is unknown, or that this call does not take"),
    (Argument::CreateReadOnly, c"MBA_CREATE needs MBA_RDWR"),
    (Argument::ExclusiveWithoutCreate, c"MBA_EXCL needs MBA_CREATE"),
    (Argument::ExactReadOnly, c"MBA_EXACT needs MBA_RDWR"),
    (Argument::PrivateAndMore, c"MBA_PRIVATE can be combined with MBA_RDWR only"),
    (Argument::ExactSealed, c"MBA_EXACT is not for memory that cannot be made shorter"),
    (Argument::Mode, c"The mode has bits beyond 07777"),
    (Argument::Structure, c"The structure's size is not set, or a field is set that this version does not know"),
    (Argument::Alignment, c"The memory is not aligned for the type"),
    (Argument::Bytes, c"The number of bytes is no multiple of an element's, or not what the call needs"),
    (Argument::Path, c"The path contains a NUL byte"),
    (Argument::Name, c"A name of shared memory is a slash and up to 254 bytes without another one"),
    (Argument::Timeout, c"A timeout must be -1 (for ever), 0 or positive"),
    (Argument::Advice, c"Unknown advice"),
    (Argument::Ended, c"The handle has been closed"),
];

impl Argument {
    /// Its place in the table.
    pub(crate) fn number(self) -> u8 {
        ARGUMENTS.iter().position(|row| row.0 == self).map_or(0, |place| place as u8)
    }

    pub(crate) fn with_number(number: u8) -> Option<Argument> {
        ARGUMENTS.get(usize::from(number)).map(|row| row.0)
    }

    fn text(self) -> &'static CStr {
        ARGUMENTS.iter().find(|row| row.0 == self).map_or(c"Invalid argument", |row| row.1)
    }
}

/// The result of nearly every call.
pub type Result<T> = core::result::Result<T, Error>;

impl Error {
    pub(crate) const NO_MEMORY: Error = Error::Os(libc::ENOMEM);

    /// The number at the C boundary: the `errno` for [`Error::Os`], `EINVAL` for [`Error::Invalid`], one of `MBA_E...` for
    /// the rest.
    pub fn code(self) -> i32 {
        match self {
            Error::Os(errno) => errno,
            Error::Invalid(_) => libc::EINVAL,
            own => TABLE.iter().find(|row| row.0 == own).map_or(PANIC, |row| row.1),
        }
    }

    /// The error with this number.
    pub(crate) fn from_code(code: i32) -> Error {
        TABLE.iter().find(|row| row.1 == code).map_or(Error::Os(code), |row| row.0)
    }

    /// What has happened, in words.
    pub(crate) fn text(self) -> &'static CStr {
        match self {
            Error::Invalid(argument) => argument.text(),
            other => text(other.code()),
        }
    }

    /// Whether there was no room for what a growing array asked for: no space on the file system, no
    /// quota, or a limit on the size of files.
    pub(crate) fn is_no_room(self) -> bool {
        matches!(self, Error::Os(libc::ENOSPC | libc::EDQUOT | libc::EFBIG))
    }
}

/// The text for any number that a call of the C interface can return.
pub(crate) fn text(code: i32) -> &'static CStr {
    match code {
        0 => c"Success",
        ours if ours < 0 => TABLE.iter().find(|row| row.1 == ours).map_or(c"Unknown error", |row| row.2),
        errno => errno::text(errno).unwrap_or(c"Unknown error"),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().to_str().unwrap_or("Unknown error"))
    }
}

impl fmt::Debug for Error {
    /// The text too, since it is this that a failing `main` or `unwrap` prints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({}, {:?})", self.code(), self.to_string())
    }
}

impl std::error::Error for Error {}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        match error {
            Error::Os(errno) => io::Error::from_raw_os_error(errno),
            Error::Invalid(_) => io::Error::new(io::ErrorKind::InvalidInput, error),
            own => io::Error::other(own),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_own_error_has_one_number_and_one_text() {
        for (at, (error, number, text)) in TABLE.iter().enumerate() {
            assert_eq!(error.code(), *number);
            assert_eq!(super::text(*number), *text);
            assert!(TABLE[..at].iter().all(|row| row.1 != *number && row.2 != *text));
        }
    }

    #[test]
    fn every_argument_without_sense_has_a_text() {
        for (at, (argument, text)) in ARGUMENTS.iter().enumerate() {
            assert_eq!((argument.text(), Error::Invalid(*argument).code()), (*text, libc::EINVAL));
            assert!(ARGUMENTS[..at].iter().all(|row| row.0 != *argument && row.1 != *text));
        }
    }

    #[test]
    fn texts_of_the_system_are_those_of_strerror() {
        // Of a wait that ran out the system says "Connection timed out".
        for errno in (1..=133).filter(|errno| *errno != libc::ETIMEDOUT) {
            // SAFETY: strerror returns a valid string, and no other thread of this test calls it.
            let expected = unsafe { CStr::from_ptr(libc::strerror(errno)) };
            if !expected.to_bytes().starts_with(b"Unknown") {
                assert_eq!(text(errno), expected, "errno {errno}");
            }
        }
        assert_eq!(text(i32::MAX), c"Unknown error");
        assert_eq!(text(i32::MIN), c"Unknown error");
    }
}
