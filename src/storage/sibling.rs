//! Bytes that lie in another handle's mapping of the same file, where addresses don't tell what overlaps.

use core::sync::atomic::Ordering::Relaxed;

use super::access::Access;
use super::{Storage, TRUNCATED, registry};

/// Bytes in another handle's mapping of the same file.
pub(crate) struct Sibling {
    /// Where in the file.
    pub place: usize,
    /// Where the other mapping begins, and how much there is of it.
    pub base: *mut u8,
    pub room: usize,
    /// One of both is a private copy, or was truncated: some of its pages are its own, and the others the file's.
    pub has_own_pages: bool,
}

impl Storage {
    /// Whether bytes lie in another handle's mapping of the same file, where addresses don't tell whether they overlap this
    /// handle's elements.
    ///
    /// # Safety
    /// The bytes must be mapped, and stay so during the call.
    pub unsafe fn sibling_at(&self, bytes: *const u8) -> Option<Sibling> {
        let own = &self.file.as_ref().filter(|file| file.mapping.place.may_have_siblings())?.mapping;
        let found = registry::find(bytes.addr())?;
        // SAFETY: the caller promises that the memory stays, and a handle that is told of by the registry exists as long as
        // its memory. Nothing is read of it that ever changes but an atomic.
        let found = unsafe { found.as_ref()? };
        let other = &found.file.as_ref()?.mapping;
        let base = other.reservation.base();
        let is_other = other.identity == own.identity && base != own.reservation.base();
        is_other.then(|| Sibling {
            place: bytes.addr().wrapping_sub(base.addr()),
            base,
            room: other.reservation.bytes() as usize,
            has_own_pages: other.access == Access::Private
                || own.access == Access::Private
                // The guard's zeros.
                || found.state.load(Relaxed) == TRUNCATED,
        })
    }
}
