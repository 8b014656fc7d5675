//! An error in a line for people, with what the file itself has to say of it.

use std::fmt;
use std::path::Path;

use crate::array::with_c_path;
use crate::error::Error;
use crate::status::{Status, info};
use crate::storage::whole_file_locker;

/// An error and the path that it is about: what [`Error::about`] gives.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    pub(crate) error: Error,
    pub(crate) path: Option<&'a Path>,
}

impl Error {
    /// The error in a line for people: the path, what has happened, and what the file there has to say of it: for a
    /// locked array which process has the lock, for a wrong type which one the file has.
    ///
    /// ```
    /// use mmap_backed_array::MmapArray;
    ///
    /// let path = std::path::Path::new("no such directory/array");
    /// if let Err(error) = MmapArray::<u32>::open(path) {
    ///     assert_eq!(error.about(path).to_string(), "no such directory/array: No such file or directory");
    /// }
    /// ```
    pub fn about(self, path: &std::path::Path) -> About<'_> {
        About { error: self, path: Some(path) }
    }
}

impl fmt::Display for About<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(path) = self.path else { return self.error.fmt(f) };
        if path.as_os_str().is_empty() {
            f.write_str("\"\"")?;
        } else {
            write!(f, "{}", path.display())?;
        }
        let is_about_lock = matches!(self.error, Error::Locked | Error::Os(libc::ETIMEDOUT));
        if is_about_lock && let Ok(Some(process)) = with_c_path(path, whole_file_locker) {
            match self.error {
                Error::Locked => f.write_str(": A program has locked the whole file by fcntl")?,
                error => write!(f, ": {error}; a program has locked the whole file by fcntl")?,
            }
            return if process == 0 { Ok(()) } else { write!(f, " (process {process})") };
        }
        write!(f, ": {}", self.error)?;
        match self.error {
            Error::Locked | Error::Os(libc::ETIMEDOUT) => {
                info(path).map_or(Ok(()), |status| write_holder(&status, f))
            }
            Error::Type => info(path).map_or(Ok(()), |status| write_type(&status, f)),
            _ => Ok(()),
        }
    }
}

/// Which process has the growth lock, as far as the file says.
fn write_holder(status: &Status, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match status.holder {
        _ if !status.is_locked => Ok(()),
        0 => f.write_str(" (a process that has not changed the length yet has it)"),
        own if own == u64::from(std::process::id()) => {
            f.write_str(" (this process has it, by another handle)")
        }
        other => write!(f, " (process {other} has it)"),
    }
}

/// Which elements the file has, as far as it says.
fn write_type(status: &Status, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match status.ty {
        Some(ty) if ty.typecode() == 'V' => write!(f, " (the file has records of {} bytes)", ty.size()),
        Some(ty) => write!(f, " (the file has elements of type {}, '{}')", ty.name(), ty.typecode()),
        None => Ok(()),
    }
}
