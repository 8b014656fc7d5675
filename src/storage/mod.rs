//! Where the bytes live: a file mapped once, at an address that never changes, and its length.
//!
//! This layer knows bytes, and how many of them make an element; not what they mean.

mod access;
mod alone;
mod backing;
mod children;
mod close;
mod disk;
mod exact;
mod file_state;
mod filesystem;
mod footer;
mod fork;
mod grow;
pub(crate) mod guard;
mod head;
mod lock;
mod lock_state;
mod mapping;
mod open;
mod presence;
mod refresh;
mod registry;
mod reserve;
mod sibling;
mod status;
mod sys;
mod tidy;
mod trim;
mod valgrind;

use core::cell::Cell;
use core::ffi::CStr;
use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicU64, AtomicUsize, fence};
use core::sync::atomic::{Ordering::Acquire, Ordering::Relaxed, Ordering::Release, Ordering::SeqCst};
use std::os::fd::RawFd;

use access::Access;
use backing::Directory;
pub use disk::Advice;
pub(crate) use footer::is_magic;
pub(crate) use grow::GrowthPolicy;
pub(crate) use head::HEAD;
pub use lock::Wait;
use lock_state::LockState;
use mapping::Mapping;
pub(crate) use open::unlink_shared;
use refresh::{Known, Layer};
pub(crate) use sibling::Sibling;
pub(crate) use status::{Status, status_of_path, whole_file_locker};
pub(crate) use tidy::tidy;

use crate::error::{Argument, Error, Result};

/// How a file's bytes are made up, as far as storage cares.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Bytes in an element.
    pub itemsize: usize,
    /// What the elements are: a number that the footer keeps and compares.
    pub kind: u32,
    /// The upper layer's own name for the type, kept for it.
    pub type_code: i32,
    /// Where in the file element 0 begins; a multiple of 64.
    pub offset: u64,
}

impl Layout {
    /// Where `len` elements end in the file; `None` beyond what a number can say.
    fn end_of(&self, len: u64) -> Option<u64> {
        len.checked_mul(self.itemsize as u64)?.checked_add(self.offset)
    }

    /// How many elements fit before `end`.
    fn fitting(&self, end: u64) -> usize {
        (end.saturating_sub(self.offset) / self.itemsize as u64) as usize
    }
}

/// One process's view of an array's memory.
///
/// Its address must not change while it exists. What other threads may read while one changes the length is
/// atomic; the cells belong to the thread that changes the length, of which there is one at a time.
///
/// The first fields are those of `mba_head`, which programs in C and C++ read and write themselves in order to append.
#[repr(C)]
pub(crate) struct Storage {
    /// Element 0.
    data: *mut u8,
    /// The handle's length in elements.
    len: AtomicUsize,
    /// Up to which length this handle may append without asking: 0 unless this process has the lock, and the file a
    /// footer to publish the length in. It lies in memory that is cleared in every kind of child.
    room: &'static AtomicUsize,
    /// The length in the footer; valid while `room` isn't 0.
    publish: AtomicPtr<AtomicU64>,
    layout: Layout,
    access: Access,
    /// Why the handle refuses all work: `WORKS` if it doesn't, `PANICKED`, `TRUNCATED` or `DETACHED`.
    state: AtomicU8,
    /// Whether elements can be set: `READ_ONLY`, `UNCHANGED` or `STORED`.
    stores: AtomicU8,
    /// How many elements fit before the file must grow.
    capacity: AtomicUsize,
    /// Changes when elements were taken away or moved, here or elsewhere.
    epoch: AtomicU64,
    file: Option<File>,
}

/// The part of a storage that has a file behind it.
struct File {
    mapping: Mapping,
    state: LockState,
    /// What the handle found when it last looked.
    known: Cell<Known>,
    /// The directory that must still be synced, for the name of a new file to last.
    new_in: Cell<Option<Directory>>,
    /// Whether the memory must be mapped anew when a writer comes, as overlayfs wants it of readers.
    layer: Cell<Layer>,
}

/// Elements can't be set through the handle.
const READ_ONLY: u8 = 0;
/// They can, and no call has done so since the file's time of change was last seen to.
const UNCHANGED: u8 = 1;
/// They can, and a call has.
const STORED: u8 = 2;

/// Nothing is wrong with the handle.
const WORKS: u8 = 0;
/// A bug was caught while the handle was in use.
const PANICKED: u8 = 1;
/// The guard has put zeros in the place of a part of the memory.
const TRUNCATED: u8 = 2;
/// The handle has been closed, and its memory is there still.
const DETACHED: u8 = 3;

// SAFETY: `data` and `publish` point into the mapping, which belongs to the storage and moves with it to
// another thread; the cells aren't shared by moving.
unsafe impl Send for Storage {}

impl Storage {
    #[inline(always)]
    pub fn data(&self) -> *mut u8 {
        self.data
    }

    #[inline(always)]
    pub fn len(&self) -> usize {
        self.len.load(Acquire)
    }

    /// Up to which length [`Storage::publish`] may go without asking anyone.
    #[inline(always)]
    pub fn room(&self) -> usize {
        self.room.load(Relaxed)
    }

    #[inline(always)]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Whether the handle refuses all work.
    #[inline(always)]
    pub fn refuses(&self) -> bool {
        self.state.load(Relaxed) != WORKS
    }

    /// Why it does: `Ok` if it doesn't.
    #[inline]
    pub fn check(&self) -> Result<()> {
        match self.state.load(Relaxed) {
            WORKS => Ok(()),
            TRUNCATED => Err(Error::Truncated),
            DETACHED => Err(Error::Invalid(Argument::Ended)),
            _ => Err(Error::Panic),
        }
    }

    pub fn can_write(&self) -> bool {
        self.stores.load(Relaxed) != READ_ONLY
    }

    /// Whether a call has stored elements before, so that another one may.
    #[inline(always)]
    pub fn has_stored(&self) -> bool {
        self.stores.load(Relaxed) == STORED
    }

    /// Before a call stores elements: whether it may. Costs no more than that question alone.
    #[inline(always)]
    pub fn begin_store(&self) -> Result<()> {
        if self.stores.load(Relaxed) == STORED { Ok(()) } else { self.begin_first_store() }
    }

    #[cold]
    #[inline(never)]
    fn begin_first_store(&self) -> Result<()> {
        // Not a store: another thread may be setting elements, or have seen to the file's time.
        match self.stores.compare_exchange(UNCHANGED, STORED, Relaxed, Relaxed) {
            Err(READ_ONLY) => Err(Error::ReadOnly),
            _ => Ok(()),
        }
    }

    /// Makes the handle refuse all further work.
    pub fn poison(&self) {
        self.state.store(PANICKED, SeqCst);
        self.room.store(0, SeqCst);
    }

    /// Makes the handle refuse all further work, since a part of its memory is gone. Runs in a signal handler.
    fn mark_truncated(&self) {
        let _ = self.state.compare_exchange(WORKS, TRUNCATED, SeqCst, Relaxed);
        self.room.store(0, SeqCst);
    }

    pub fn capacity(&self) -> usize {
        // In a child that came by a fork the number is the parent's.
        let capacity = if self.has_lock() { self.capacity.load(Acquire).max(self.len()) } else { self.len() };
        // Before elements that another thread stores there through the pointer: a footer lay there, whose bell says so.
        fence(Release);
        capacity
    }

    /// The most elements that the array can come to have through this handle.
    pub fn reserved(&self) -> usize {
        let fitting = |file: &File| self.layout.fitting(file.mapping.reservation.bytes() - footer::SIZE);
        self.changing_file().map_or(0, fitting).max(self.len())
    }

    /// The file, if its length can change: through this handle or, for a reader to follow, through others.
    fn changing_file(&self) -> Option<&File> {
        self.file.as_ref().filter(|_| !self.access.has_fixed_length())
    }

    /// Where element `at` lies. The caller must see to it that there is one.
    #[inline(always)]
    pub fn element(&self, at: usize) -> *mut u8 {
        self.data.wrapping_add(at * self.layout.itemsize)
    }

    /// Where the mapping begins, and how much there is of it.
    pub fn mapped(&self) -> Option<(*mut u8, usize)> {
        self.file.as_ref().map(|file| {
            let map = &file.mapping.reservation;
            (map.base(), map.bytes() as usize)
        })
    }

    /// The path by which the file was opened, from the root on.
    pub fn path(&self) -> Option<&CStr> {
        self.file.as_ref().and_then(|file| file.mapping.path.as_deref())
    }

    /// A descriptor to hand to others.
    pub fn fd(&self) -> Option<RawFd> {
        self.file.as_ref().and_then(|file| file.mapping.hand_out().ok())
    }

    /// Where, counted from element 0, what reads as a footer's beginning would lie in an array of `len` elements.
    pub fn place_of_magic(&self, len: usize) -> Option<usize> {
        let at = footer::place_in(self.layout.end_of(len as u64)?)?.checked_sub(self.layout.offset)?;
        Some(at as usize)
    }

    pub fn has_lock(&self) -> bool {
        self.file.as_ref().is_some_and(File::is_held)
    }
}

impl File {
    fn is_held(&self) -> bool {
        self.mapping.place.gate.held.load(Relaxed)
    }
}
