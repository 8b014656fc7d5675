//! What a file says of itself, for people and tools: its elements, its length, and who has it open.

use std::ffi::CStr;
use std::path::Path;

use crate::array::{Array, layout};
use crate::error::Result;
use crate::storage;
use crate::types::Type;

/// What [`info`] and [`Array::info`] tell of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The element type; `None` if the file doesn't say and no handle knows. Types that are alike, such as `'l'` and
    /// `'q'`, are one to a file.
    pub ty: Option<Type>,
    /// The number of elements; 0 if the type isn't known.
    pub len: u64,
    /// The file's size in bytes.
    pub file_size: u64,
    /// Where element 0 begins, in bytes.
    pub offset: u64,
    /// Whether the file has spare room and a footer.
    pub has_footer: bool,
    /// The footer's epoch: 0 if no elements were taken away or moved, as far as the file can tell.
    pub epoch: u64,
    /// The process that holds the growth lock, or held it last; 0 if the file doesn't say.
    pub holder: u64,
    /// Whether a handle holds the growth lock.
    pub is_locked: bool,
    /// Whether others have the file open: for [`Array::info`], others than this handle.
    pub is_shared: bool,
}

impl Status {
    fn of(status: storage::Status) -> Status {
        let ty = status.elements.and_then(|elements| {
            let size = elements.itemsize as usize;
            Type::all()
                .find(|ty| ty.kind() as u32 == elements.kind && ty.size() == size)
                .or_else(|| Type::record(size).ok().filter(|ty| ty.kind() as u32 == elements.kind))
        });
        Status {
            ty,
            len: status.len,
            file_size: status.file_size,
            offset: status.elements.map_or(0, |elements| elements.offset),
            has_footer: status.has_footer,
            epoch: status.epoch,
            holder: status.holder,
            is_locked: status.is_locked,
            is_shared: status.is_shared,
        }
    }
}

/// Tells what a file says of itself. Opens it for reading only, changes nothing, and is in nobody's way.
///
/// # Errors
/// Those of `open(2)`; `EISDIR` and `ENODEV` for what is no regular file; [`Error::Corrupt`](crate::Error::Corrupt) if the file's footer
/// contradicts the file.
pub fn info(path: impl AsRef<Path>) -> Result<Status> {
    crate::array::with_c_path(path.as_ref(), info_c)
}

pub(crate) fn info_c(path: &CStr) -> Result<Status> {
    storage::status_of_path(path).map(Status::of)
}

/// Puts a file in order that a killed process has left: gives its spare room back, as the close of the last handle would
/// do. If others have the file open, as far as they allow. `ty` is what the file must be made of; `None` for anything.
///
/// `force` also makes the file of an unsound footer usable again: its length is then the footer's if it fits, else all
/// that lies before the footer.
///
/// # Errors
/// Those of `open(2)`; `EISDIR` and `ENODEV`; [`Error::Locked`](crate::Error::Locked) if a handle holds the growth lock, or, with `force`, if
/// others have a file open whose footer is unsound; [`Error::Type`](crate::Error::Type); [`Error::Corrupt`](crate::Error::Corrupt) without `force`; those of
/// `ftruncate(2)`.
pub fn tidy(path: impl AsRef<Path>, ty: Option<Type>, force: bool) -> Result<()> {
    crate::array::with_c_path(path.as_ref(), |path| tidy_c(path, ty, force))
}

pub(crate) fn tidy_c(path: &CStr, ty: Option<Type>, force: bool) -> Result<()> {
    storage::tidy(path, ty.map(layout).as_ref(), force)
}

impl Array {
    /// Tells what the file says of itself now, whatever length this handle knows.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) if the file's footer contradicts the file; those of `fstat(2)` and `pread(2)`.
    pub fn info(&self) -> Result<Status> {
        let status = Status::of(self.storage().status()?);
        // Of types that are alike, the handle's own.
        Ok(Status { ty: status.ty.map(|ty| if ty.is_like(self.ty()) { self.ty() } else { ty }), ..status })
    }
}
