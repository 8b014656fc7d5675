//! The few words of a handle that appending needs, which the inline functions of the header use too, and how a length is
//! published through them.

use core::mem::offset_of;
use core::sync::atomic::Ordering::{self, Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicU64, fence};

use super::footer::{EPOCH_AT, REACH_AT};
use super::{File, Storage};

/// Where `data`, `len`, `room`, `publish` and the size of an element are in a storage.
pub(crate) const HEAD: [usize; 5] = [
    offset_of!(Storage, data),
    offset_of!(Storage, len),
    offset_of!(Storage, room),
    offset_of!(Storage, publish),
    offset_of!(Storage, layout.itemsize),
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

    /// Publishes a shorter length: first how far others may have seen, and that elements are about to go; then the length,
    /// and the epoch that begins with it. Whoever is killed in between has lost nothing.
    ///
    /// # Safety
    /// As for [`Storage::publish`]; `len` must not be more than the length.
    #[inline]
    pub unsafe fn publish_shorter(&self, len: usize) {
        let before = self.len.load(Relaxed) as u64;
        if let Some(file) = &self.file
            && file.state.reach.get() < before
        {
            self.set_reach(file, before);
        }
        let next = self.next_epoch();
        self.tell_epoch(next - 1, Relaxed);
        fence(Release);
        // SAFETY: the caller promises it.
        unsafe { self.publish(len) };
        self.tell_epoch(next, Release);
        // Before the first element that is stored in the place of one that is gone.
        fence(Release);
    }

    /// Says how far handles that are still open can have seen.
    #[inline]
    pub(super) fn set_reach(&self, file: &File, reach: u64) {
        file.state.reach.set(reach);
        if let Some(footer) = self.footer_words() {
            // SAFETY: the word lies in the footer.
            unsafe { (*footer.add(REACH_AT as usize).cast::<AtomicU64>()).store(reach, Relaxed) };
        }
    }

    /// Before elements are taken away or moved: makes the epoch odd, which tells others that what they find meanwhile is
    /// of no epoch.
    pub fn leave_epoch(&self) {
        self.tell_epoch(self.next_epoch() - 1, Relaxed);
        // Before the first element that is stored elsewhere.
        fence(Release);
    }

    /// When elements have been taken away or moved, and the length is published: begins the next epoch.
    pub fn enter_epoch(&self) {
        self.tell_epoch(self.next_epoch(), Release);
        // Before the first element that is stored in the place of one that is gone.
        fence(Release);
    }

    #[inline(always)]
    fn tell_epoch(&self, epoch: u64, order: Ordering) {
        if let (Some(file), Some(footer)) = (&self.file, self.footer_words()) {
            file.state.epoch.set(epoch);
            // SAFETY: the word lies in the footer.
            unsafe { (*footer.add(EPOCH_AT as usize).cast::<AtomicU64>()).store(epoch, order) };
        }
        self.epoch.store(epoch, order);
    }

    /// The next even epoch: a number that no handle on this file has seen.
    #[inline]
    fn next_epoch(&self) -> u64 {
        let (known, first) =
            self.file.as_ref().map_or((0, 0), |file| (file.state.epoch.get(), file.state.first_epoch.get()));
        let latest = if known == 0 { first.max(self.epoch.load(Relaxed)) } else { known };
        // Numbers don't run out: the first is the time in nanoseconds.
        (latest & !(AFTER_KILL | 1)).wrapping_add(2).max(2)
    }

    /// Changes when elements have been taken away or moved, as far as this handle has seen. While that is being done each
    /// answer is another one.
    pub fn epoch(&self) -> u64 {
        /// No epoch of a file has this bit.
        const NONE: u64 = 1 << 63;
        static ANSWERS: AtomicU64 = AtomicU64::new(NONE);
        // After the elements that were copied before.
        fence(Acquire);
        match self.epoch.load(Acquire) {
            epoch if epoch.is_multiple_of(2) => epoch,
            _ => NONE | ANSWERS.fetch_add(1, Relaxed),
        }
    }
}

/// No epoch of a file has this bit.
const AFTER_KILL: u64 = 1 << 62;

/// The epoch of a file that a killed process has left with an odd one: nobody is changing anything, so that it is one as
/// good as others.
pub(super) fn after_kill(epoch: u64) -> u64 {
    epoch & !1 | AFTER_KILL
}
