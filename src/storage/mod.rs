//! Where the bytes live: a file mapped once, at an address that never changes, and its length.
//!
//! This layer knows bytes, and how many of them make an element; not what they mean.

mod backing;
mod exact;
mod filesystem;
mod footer;
mod fork;
mod grow;
pub(crate) mod guard;
mod head;
mod lock;
mod lock_state;
mod mapping;
mod presence;
mod refresh;
mod registry;
mod reserve;
mod status;
mod sys;
mod trim;
mod valgrind;

use core::cell::Cell;
use core::ffi::CStr;
use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicU64, AtomicUsize, fence};
use core::sync::atomic::{Ordering::Acquire, Ordering::Relaxed, Ordering::Release, Ordering::SeqCst};
use std::os::fd::RawFd;

use backing::{Access, Backing, Directory, SHARED_MEMORY};
pub(crate) use footer::is_magic;
pub(crate) use grow::GrowthPolicy;
pub(crate) use head::HEAD;
pub use lock::Wait;
use lock_state::{LockState, read_state, state_of};
use mapping::Mapping;
use refresh::{Known, Layer};
use reserve::Reservation;
pub(crate) use status::{Status, status_of_path, whole_file_locker};
pub(crate) use trim::tidy;

use crate::error::{Argument, Error, Result};
use crate::options::OpenOptions;

/// How a file's bytes are made up, as far as storage cares.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Bytes in an element.
    pub itemsize: usize,
    /// What the elements are: a number that the footer keeps and compares.
    pub class: u32,
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

/// What storage can be told about the use of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// No special treatment.
    Normal,
    /// Read ahead little: accesses will be at random.
    Random,
    /// Read ahead much: accesses will be in order.
    Sequential,
    /// The range will be needed soon: start reading it.
    WillNeed,
    /// The range won't be needed soon. Shared elements keep their values.
    DontNeed,
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
    /// Why the handle refuses all work: `WORKS` if it doesn't, `PANICKED`, `CUT` or `DETACHED`.
    state: AtomicU8,
    /// Whether elements can be set: `READ_ONLY`, `UNCHANGED` or `STORED`.
    stores: AtomicU8,
    /// How many elements fit before the file must grow.
    capacity: AtomicUsize,
    /// Changes when elements were taken away or moved, here or elsewhere.
    epoch: AtomicU64,
    file: Option<File>,
}

/// Bytes in another handle's mapping of the same file.
pub(crate) struct Sibling {
    /// Where in the file.
    pub place: usize,
    /// Where the other mapping begins, and how much there is of it.
    pub base: *mut u8,
    pub room: usize,
    /// One of both is a private copy, or was cut: some of its pages are its own, and the others the file's.
    pub has_own_pages: bool,
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
const CUT: u8 = 2;
/// The handle has been closed, and its memory is there still.
const DETACHED: u8 = 3;

// SAFETY: `data` and `publish` point into the mapping, which belongs to the storage and moves with it to
// another thread; the cells aren't shared by moving.
unsafe impl Send for Storage {}

impl Storage {
    pub fn open(path: &CStr, options: &OpenOptions, layout: Layout) -> Result<Box<Storage>> {
        Storage::map(Backing::path(path, options)?, options.reservation, layout)
    }

    pub fn open_shared(name: &CStr, options: &OpenOptions, layout: Layout) -> Result<Box<Storage>> {
        Storage::map(Backing::shared_memory(name, options)?, options.reservation, layout)
    }

    pub fn anonymous(options: &OpenOptions, layout: Layout) -> Result<Box<Storage>> {
        Storage::map(Backing::anonymous(options)?, options.reservation, layout)
    }

    pub fn from_fd(fd: RawFd, options: &OpenOptions, layout: Layout) -> Result<Box<Storage>> {
        Storage::map(Backing::descriptor(fd, options)?, options.reservation, layout)
    }

    /// Views memory that somebody else owns.
    ///
    /// # Safety
    /// `data` must be valid for `len` elements, and aligned for them, until the storage is dropped; for
    /// writes too unless `read_only`.
    pub unsafe fn from_memory(
        data: *mut u8,
        len: usize,
        read_only: bool,
        layout: Layout,
    ) -> Result<Box<Storage>> {
        let access = if read_only { Access::FixedRead } else { Access::Fixed };
        try_box(Storage::new(data, len, access, None, layout))
    }

    fn map(backing: Backing, wanted: u64, layout: Layout) -> Result<Box<Storage>> {
        let Backing { place, stat, bytes, access, presence, path, new_in } = backing;
        let found = match bytes {
            Some(bytes) => state_of(&layout, (stat, Some(bytes)))?,
            None => read_state(place.any(), &layout, stat, None)?,
        };
        // A map of hugetlbfs covers the whole file, and no more.
        let huge = matches!(access, Access::Fixed | Access::FixedRead);
        let end = if huge { Some(found.stat.size) } else { layout.end_of(found.len as u64) };
        let reservation = Reservation::new(place.any(), end.ok_or(Error::Limit)?, access, wanted)?;
        // SAFETY: the offset of the elements is small, and the mapping has a page at least.
        let data = unsafe { reservation.base().add(layout.offset as usize) };
        if found.stat.names > 0 {
            // What is in a file needn't be in a core dump too. One advice for the whole costs a tenth of what one for a part
            // of it does.
            reservation.dump_nothing();
            if path.as_deref().is_some_and(|path| path.to_bytes().starts_with(SHARED_MEMORY)) {
                // Names there are often removed as soon as all have opened them.
                reservation.dump_nothing_without_a_name();
            }
        }
        if !access.has_fixed_length() {
            reservation.use_up_to(found.stat.size);
        }
        let mapping = Mapping {
            reservation,
            place,
            identity: found.stat.identity,
            presence,
            access,
            layout,
            path,
            led: Cell::new(false),
            forked: Cell::new(false),
        };
        let file = File {
            mapping,
            state: LockState::default(),
            known: Cell::new(Known {
                stat: found.stat,
                bytes: found.bytes,
                has_footer: found.footer.is_some(),
            }),
            new_in: Cell::new(new_in),
            layer: Cell::new(if access == Access::Read { Layer::Unknown } else { Layer::No }),
        };
        let storage = try_box(Storage::new(data, found.len, access, Some(file), layout))?;
        storage.epoch.store(found.footer.map_or(0, |footer| footer.epoch), Relaxed);
        if let Some(File { mapping, .. }) = &storage.file {
            let map = &mapping.reservation;
            mapping.place.show(map.base(), map.bytes() as usize, mapping.identity, &raw const *storage);
            fork::let_pass();
        }
        Ok(storage)
    }

    fn new(data: *mut u8, len: usize, access: Access, file: Option<File>, layout: Layout) -> Storage {
        let room = file.as_ref().map_or(&registry::SHUT.room, |file| &file.mapping.place.gate.room);
        Storage {
            data,
            len: AtomicUsize::new(len),
            room,
            publish: AtomicPtr::new(core::ptr::null_mut()),
            layout,
            access,
            state: AtomicU8::new(WORKS),
            stores: AtomicU8::new(match access {
                Access::Read | Access::FixedRead => READ_ONLY,
                // Nobody else learns of a change by the file's times.
                Access::Private | Access::Anonymous | Access::Fixed => STORED,
                Access::Write { .. } => UNCHANGED,
            }),
            capacity: AtomicUsize::new(len),
            epoch: AtomicU64::new(0),
            file,
        }
    }

    /// Ends the handle, and its memory with it. Tells if giving spare room back failed.
    pub fn close(self: Box<Storage>) -> Result<()> {
        if let Some(file) = &self.file {
            // The guard must not find a handle that is about to move.
            file.mapping.place.hide();
        }
        let ended = self.end_work();
        let Storage { file, .. } = *self;
        let tidied = file.map_or(Ok(()), |file| {
            let flat_size = file.flat_size();
            file.mapping.end(ended.is_ok(), flat_size)
        });
        match ended {
            // The call that met the bug has told it.
            Err(Error::Panic) => Ok(()),
            ended => ended.and(tidied),
        }
    }

    /// Ends the handle, and keeps its memory until the storage is closed. Tells what a close would.
    pub fn detach(&self) -> Result<()> {
        let ended = self.end_work();
        self.close_room();
        let _ = self.state.compare_exchange(WORKS, DETACHED, SeqCst, Relaxed);
        let tidied = match &self.file {
            Some(file) => file.mapping.leave(ended.is_ok(), file.flat_size()),
            None => Ok(()),
        };
        match ended {
            Err(Error::Panic) => Ok(()),
            ended => ended.and(tidied),
        }
    }

    /// What a handle does before its memory goes, so that the file can be left to others.
    fn end_work(&self) -> Result<()> {
        if self.state.load(Relaxed) == DETACHED {
            return Ok(());
        }
        self.check()?;
        let Some(file) = self.file.as_ref().filter(|_| self.access.can_change_length()) else {
            return Ok(());
        };
        let result = if file.is_held() && self.access != Access::Anonymous {
            // What somebody else has done to the file is to be told, and isn't this handle's to tidy up.
            self.check_file(file)
                .and_then(|()| file.mapping.lock_fd())
                .and_then(|fd| self.guard_last_elements(file, fd))
        } else {
            Ok(())
        };
        self.show_time_of_change(file);
        result
    }

    /// Sees to it that the file's time of change tells of what was stored through the mapping: backups go by it.
    fn show_time_of_change(&self, file: &File) {
        // In a child this tells of what the parent has changed, which may have ended without telling, as daemons' do.
        let now = (self.len(), self.epoch.load(Relaxed));
        let is_longer_or_shorter = file.state.start.get().is_some_and(|start| start != now);
        let changed = self.stores.load(Relaxed) == STORED || is_longer_or_shorter;
        if self.access == Access::Anonymous || !changed {
            return;
        }
        file.state.start.set(file.state.start.get().map(|_| now));
        self.stores.store(UNCHANGED, Relaxed);
        let fd = file.mapping.fd();
        if file.mapping.check(fd).is_ok() {
            // Nothing that was acknowledged depends on it.
            let _ = sys::touch(fd);
        }
    }

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
            CUT => Err(Error::Truncated),
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
        let _ = self.state.compare_exchange(WORKS, CUT, SeqCst, Relaxed);
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
                || found.state.load(Relaxed) == CUT,
        })
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

    /// Puts elements, footer and size on the disk, in this order.
    pub fn flush(&self) -> Result<()> {
        self.check()?;
        let Ok(file) = self.growable() else { return Ok(()) };
        let fd = file.mapping.fd();
        let end = self.end_of(self.len())?;
        let size = if file.is_held() {
            self.check_file(file)?;
            file.state.size.get()
        } else {
            file.mapping.check(fd)?.size
        };
        self.show_time_of_change(file);
        file.mapping.reservation.flush(0, end.min(size))?;
        if size > end {
            file.mapping.reservation.flush(size.saturating_sub(footer::SIZE), size)?;
        }
        if size == 0 {
            // There is nothing mapped to put on the disk, but the size.
            sys::fdatasync(fd)?;
        }
        if let Some(directory) = file.new_in.get() {
            let known = directory.known(file.mapping.path.as_deref());
            sys::sync_directory(fd, known.as_ref().map(|(path, identity)| (&**path, *identity)))?;
            file.new_in.set(None);
        }
        Ok(())
    }

    /// Advises the system on the use of a range of elements. Does nothing where the length is fixed: there
    /// the memory may be the only place that has the elements.
    pub fn advise(&self, start: usize, count: usize, advise: Advice) -> Result<()> {
        let file = match self.changing_file() {
            Some(file) if count > 0 => file,
            _ => return Ok(()),
        };
        let itemsize = self.layout.itemsize as u64;
        let (start, count) = (self.layout.offset + start as u64 * itemsize, count as u64 * itemsize);
        match advise {
            Advice::Normal => file.mapping.reservation.advise(memmap2::Advice::Normal, start, count),
            Advice::Random => file.mapping.reservation.advise(memmap2::Advice::Random, start, count),
            Advice::Sequential => file.mapping.reservation.advise(memmap2::Advice::Sequential, start, count),
            Advice::WillNeed => file.mapping.reservation.advise(memmap2::Advice::WillNeed, start, count),
            Advice::DontNeed => file.mapping.reservation.drop_pages(start, count),
        }
    }

    pub fn has_lock(&self) -> bool {
        self.file.as_ref().is_some_and(File::is_held)
    }
}

impl File {
    /// The file's size when it was last found without a footer, if that is what was found last.
    fn flat_size(&self) -> Option<u64> {
        let known = self.known.get();
        (!known.has_footer).then_some(known.stat.size)
    }

    fn is_held(&self) -> bool {
        self.mapping.place.gate.held.load(Relaxed)
    }
}

/// Removes the name of a shared-memory object.
pub(crate) fn unlink_shared(name: &CStr) -> Result<()> {
    sys::shm_unlink(name)
}

/// A box, or `ENOMEM` instead of the end of the process.
fn try_box<T>(value: T) -> Result<Box<T>> {
    let mut one = Vec::new();
    one.try_reserve_exact(1).map_err(|_| Error::NO_MEMORY)?;
    one.push(value);
    let slice: Box<[T; 1]> = one.into_boxed_slice().try_into().map_err(|_| Error::NO_MEMORY)?;
    // SAFETY: an array of one element has the layout of the element, and the box gives up its ownership.
    Ok(unsafe { Box::from_raw(Box::into_raw(slice).cast::<T>()) })
}
