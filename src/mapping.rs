//! Memory that outlives its handle.

use core::ptr::NonNull;
use std::fmt;

use crate::array::Array;
use crate::error::Result;
use crate::storage::Storage;

/// An array's memory at its address, after its handle has ended: what [`Array::detach`] leaves. It stays mapped, and what
/// the handle had seen as elements stays there, until this is dropped; others can go on storing to it, and can't truncate it.
pub struct Mapping(Array);

impl Mapping {
    /// The address of element 0, as the handle had it.
    pub fn as_ptr(&self) -> *mut u8 {
        self.0.as_ptr()
    }
}

impl Mapping {
    /// The mapping as a pointer, for the C interface.
    pub(crate) fn into_raw(self) -> *mut Storage {
        self.0.into_raw()
    }

    /// The mapping behind a pointer that [`Mapping::into_raw`] has given.
    ///
    /// # Safety
    /// The pointer must be one of `into_raw`, and this be the only mapping made of it.
    pub(crate) unsafe fn from_raw(raw: NonNull<Storage>) -> Mapping {
        // SAFETY: the caller's promise; a detached storage is ended as any other.
        Mapping(unsafe { Array::from_raw(raw) })
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mapping").field(&self.as_ptr()).finish()
    }
}

impl Array {
    /// Ends the handle as [`Array::close`] does: gives back the growth lock, and spare room as far as others allow. The
    /// memory stays until the mapping is dropped, which counts until then as one that has the file open. For what lives
    /// longer than a close, such as another language's views.
    ///
    /// The handle has been closed in any case; the result is that of [`Array::close`].
    pub fn detach(self) -> (Mapping, Result<()>) {
        let result = self.storage().detach();
        (Mapping(self), result)
    }
}
