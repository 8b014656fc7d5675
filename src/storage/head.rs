//! The few words of a handle that appending needs, which the inline functions of the header use too, and how a length is
//! published through them.

use core::mem::offset_of;
use core::sync::atomic::Ordering::{Relaxed, Release};
use core::sync::atomic::{AtomicU64, fence};

use super::Storage;
use super::footer::{EPOCH_AT, REACH_AT};

/// Where `data`, `len`, `room`, `publish` and the size of an element are in a storage.
pub(crate) const HEAD: [usize; 5] = [
    offset_of!(Storage, data),
    offset_of!(Storage, len),
    offset_of!(Storage, room),
    offset_of!(Storage, publish),
    offset_of!(Storage, shape.itemsize),
];

impl Storage {
    /// Publishes a length that isn't less than the present one: in the footer, and this handle's. What the elements are
    /// must have been stored before.
    ///
    /// # Safety
    /// `room` must not be 0, or this handle have the lock and the file a footer; `len` must fit before that.
    #[inline(always)]
    pub unsafe fn publish(&self, len: usize) {
        let word = self.publish.load(Relaxed);
        // SAFETY: the caller promises that the word is the one in the footer at the end of the mapped file.
        unsafe { (*word).store(len as u64, Release) };
        self.len.store(len, Release);
    }

    /// Publishes a shorter length: first how far others may have seen, then that they have to begin anew, then the length.
    /// Whoever is killed in between has lost nothing.
    ///
    /// # Safety
    /// As for [`Storage::publish`]; `len` must not be more than the length.
    #[inline]
    pub unsafe fn publish_shorter(&self, len: usize) {
        let before = self.len.load(Relaxed) as u64;
        if let (Some(file), Some(footer)) = (&self.file, self.footer_words())
            && file.state.reach.get() < before
        {
            file.state.reach.set(before);
            // SAFETY: the word lies in the footer.
            unsafe { (*footer.add(REACH_AT as usize).cast::<AtomicU64>()).store(before, Relaxed) };
        }
        self.begin_epoch();
        // SAFETY: the caller promises it.
        unsafe { self.publish(len) };
    }

    /// Says that elements are about to be moved or taken away, so that whoever has copied some knows that the copy may be
    /// of both before and after.
    #[inline]
    pub fn begin_epoch(&self) {
        let epoch = self.next_epoch();
        self.epoch.store(epoch, Relaxed);
        if let (Some(file), Some(footer)) = (&self.file, self.footer_words()) {
            file.state.epoch.set(epoch);
            // SAFETY: the word lies in the footer.
            unsafe { (*footer.add(EPOCH_AT as usize).cast::<AtomicU64>()).store(epoch, Release) };
        }
        // Before the first element that is stored elsewhere.
        fence(Release);
    }

    /// An epoch that no handle on this file has seen.
    pub(super) fn next_epoch(&self) -> u64 {
        let (known, first) =
            self.file.as_ref().map_or((0, 0), |file| (file.state.epoch.get(), file.state.first_epoch.get()));
        let next = if known == 0 { first.max(self.epoch.load(Relaxed)) } else { known };
        next.wrapping_add(1).max(1)
    }
}
