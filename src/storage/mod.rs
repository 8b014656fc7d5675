//! Where the bytes live: a file mapped once, at an address that never changes, and its length.
//!
//! This layer knows bytes, and how many of them make an element; not what they mean.

mod backing;
mod fork;
mod grow;
pub(crate) mod guard;
mod lock;
mod registry;
mod reserve;
mod sys;
mod tail;
mod tenure;
mod trim;

use core::cell::Cell;
use core::ffi::CStr;
use core::mem::offset_of;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize};
use core::sync::atomic::{Ordering::Acquire, Ordering::Relaxed, Ordering::Release, Ordering::SeqCst};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

use backing::{Access, Backing};
pub(crate) use grow::Pace;
pub use lock::Wait;
use memmap2::Advice;
use reserve::Reservation;
pub(crate) use tail::is_magic;

use crate::error::{Error, Result};
use crate::options::OpenOptions;

/// How a file's bytes are made up, as far as storage cares.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Bytes in an element.
    pub itemsize: usize,
    /// What the elements are: a number that the tail record keeps and compares.
    pub kind: u32,
    /// The upper layer's own name for the type, kept for it.
    pub tag: i32,
    /// Where in the file element 0 begins; a multiple of 64.
    pub offset: u64,
}

impl Shape {
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
pub enum Advise {
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
    /// Up to which length this handle may append without asking: 0 unless it has the lock and a record to
    /// publish the length in.
    room: AtomicUsize,
    /// The length in the tail record; valid while `room` isn't 0.
    publish: AtomicPtr<AtomicU64>,
    shape: Shape,
    access: Access,
    /// Why the handle refuses all work: `WORKS` if it doesn't, `PANICKED` or `CUT`.
    state: AtomicU8,
    /// How many elements fit before the file must grow.
    capacity: AtomicUsize,
    file: Option<File>,
}

/// The part of a storage that has a file behind it. The mapping comes first, since the system ends both faster
/// in this order.
struct File {
    reservation: Reservation,
    /// The description that is mapped, asked for sizes and records, and handed out by `mba_fd`. Forked children
    /// share it, by their mappings too, which keep it alive; so it never carries the lock if that can be helped.
    fd: OwnedFd,
    /// The description that carries the lock, and that all writes go through: opened when the lock is first
    /// taken, and closed in a forked child.
    lock_fd: Descriptor,
    /// Whether the mapped description stands in for it, from taking the lock to giving it back.
    stands_in: AtomicBool,
    /// Whether this handle holds the growth lock.
    held: AtomicBool,
    /// Whether this handle came here by fork and hasn't taken the lock since.
    forked: AtomicBool,
    tenure: tenure::Tenure,
    /// Whether the directory must still be synced, for the name of a new file to last.
    is_new: Cell<bool>,
    /// Where the mapping is on the list of all mappings.
    slot: AtomicU32,
}

/// Where `data`, `len`, `room`, `publish` and the size of an element are in a storage.
pub(crate) const HEAD: [usize; 5] = [
    offset_of!(Storage, data),
    offset_of!(Storage, len),
    offset_of!(Storage, room),
    offset_of!(Storage, publish),
    offset_of!(Storage, shape.itemsize),
];

/// Nothing is wrong with the handle.
const WORKS: u8 = 0;
/// A bug was caught while the handle was in use.
const PANICKED: u8 = 1;
/// The guard has put zeros in the place of a part of the memory.
const CUT: u8 = 2;

// SAFETY: `data` and `publish` point into the mapping, which belongs to the storage and moves with it to
// another thread; the cells aren't shared by moving.
unsafe impl Send for Storage {}

impl Storage {
    pub fn open(path: &CStr, options: &OpenOptions, shape: Shape) -> Result<Box<Storage>> {
        Storage::map(Backing::path(path, options)?, options.reservation, shape)
    }

    pub fn open_shared(name: &CStr, options: &OpenOptions, shape: Shape) -> Result<Box<Storage>> {
        Storage::map(Backing::shared_memory(name, options)?, options.reservation, shape)
    }

    pub fn anonymous(shape: Shape) -> Result<Box<Storage>> {
        Storage::map(Backing::anonymous()?, 0, shape)
    }

    pub fn from_fd(fd: RawFd, options: &OpenOptions, shape: Shape) -> Result<Box<Storage>> {
        Storage::map(Backing::descriptor(fd, options)?, options.reservation, shape)
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
        shape: Shape,
    ) -> Result<Box<Storage>> {
        let access = if read_only { Access::FixedRead } else { Access::Fixed };
        try_box(Storage::new(data, len, access, None, shape))
    }

    fn map(backing: Backing, wanted: u64, shape: Shape) -> Result<Box<Storage>> {
        let fd = backing.fd.as_raw_fd();
        let state = tail::read_state_from(fd, &shape, backing.stat)?;
        // A map of hugetlbfs covers the whole file, and no more.
        let huge = matches!(backing.access, Access::Fixed | Access::FixedRead);
        let end = if huge { Some(state.stat.size) } else { shape.end_of(state.len as u64) };
        let reservation = Reservation::new(fd, end.ok_or(Error::Limit)?, backing.access, wanted)?;
        // SAFETY: the offset of the elements is small, and the mapping has a page at least.
        let data = unsafe { reservation.base().add(shape.offset as usize) };
        if state.stat.names > 0 {
            // What is in a file needn't be in a core dump too. The kernel leaves such mappings out anyway unless
            // it is told otherwise, but then it would take the reservation along. One advice for the whole costs
            // a tenth of what one for a part of it does.
            reservation.dump_nothing();
        } else if !backing.access.has_fixed_length() {
            reservation.dump_up_to(state.stat.size);
        }
        let access = backing.access;
        let file = File {
            reservation,
            fd: backing.fd,
            lock_fd: Descriptor(AtomicI32::new(CLOSED)),
            stands_in: AtomicBool::new(false),
            held: AtomicBool::new(false),
            forked: AtomicBool::new(false),
            tenure: tenure::Tenure::default(),
            is_new: Cell::new(backing.is_new),
            slot: AtomicU32::new(registry::NONE),
        };
        let storage = try_box(Storage::new(data, state.len, access, Some(file), shape))?;
        if let Some(file) = &storage.file {
            let map = &file.reservation;
            file.slot.store(registry::add(map.base(), map.bytes() as usize, &raw const *storage)?, Relaxed);
        }
        if access.can_change_length() {
            fork::register(&raw const *storage)?;
        }
        Ok(storage)
    }

    fn new(data: *mut u8, len: usize, access: Access, file: Option<File>, shape: Shape) -> Storage {
        Storage {
            data,
            len: AtomicUsize::new(len),
            room: AtomicUsize::new(0),
            publish: AtomicPtr::new(core::ptr::null_mut()),
            shape,
            access,
            state: AtomicU8::new(WORKS),
            capacity: AtomicUsize::new(len),
            file,
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
    pub fn shape(&self) -> &Shape {
        &self.shape
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
            _ => Err(Error::Panic),
        }
    }

    #[inline(always)]
    pub fn can_write(&self) -> bool {
        self.access.can_write()
    }

    /// Makes the handle refuse all further work.
    pub fn poison(&self) {
        self.state.store(PANICKED, Relaxed);
        self.room.store(0, Relaxed);
    }

    /// Makes the handle refuse all further work, since a part of its memory is gone. Runs in a signal handler.
    fn mark_truncated(&self) {
        let _ = self.state.compare_exchange(WORKS, CUT, SeqCst, Relaxed);
        self.room.store(0, SeqCst);
    }

    pub fn capacity(&self) -> usize {
        self.capacity.load(Relaxed).max(self.len())
    }

    /// The most elements that the array can come to have through this handle.
    pub fn reserved(&self) -> usize {
        let fitting = |file: &File| self.shape.fitting(file.reservation.bytes() - tail::SIZE);
        self.changing_file().map_or(0, fitting).max(self.len())
    }

    /// The file, if its length can change: through this handle or, for a reader to follow, through others.
    fn changing_file(&self) -> Option<&File> {
        self.file.as_ref().filter(|_| !self.access.has_fixed_length())
    }

    /// Where element `at` lies. The caller must see to it that there is one.
    #[inline(always)]
    pub fn element(&self, at: usize) -> *mut u8 {
        self.data.wrapping_add(at * self.shape.itemsize)
    }

    /// Publishes a length: this handle's, and the one in the tail record. What the elements are must have
    /// been stored before.
    ///
    /// # Safety
    /// `room` must not be 0, and `len` at most `room`.
    #[inline(always)]
    pub unsafe fn publish(&self, len: usize) {
        let word = self.publish.load(Relaxed);
        // SAFETY: while room isn't 0 the word is the one in the record at the end of the mapped file.
        unsafe { (*word).store(len as u64, Release) };
        self.len.store(len, Release);
    }

    /// A descriptor to hand to others.
    pub fn fd(&self) -> Option<RawFd> {
        self.file.as_ref().map(File::fd)
    }

    /// Where, counted from element 0, what reads as a record's beginning would lie in an array of `len` elements.
    pub fn place_of_magic(&self, len: usize) -> Option<usize> {
        let at = tail::place_in(self.shape.end_of(len as u64)?)?.checked_sub(self.shape.offset)?;
        Some(at as usize)
    }

    /// Takes up the length that others have published.
    pub fn refresh(&self) -> Result<()> {
        self.check()?;
        let Some(file) = self.changing_file() else { return Ok(()) };
        if file.held.load(Relaxed) {
            return self.check_size(file);
        }
        let state = tail::read_state(file.fd(), &self.shape)?;
        self.adopt_len(file, state.len, state.stat.size)
    }

    /// Takes over the length of a file of `size` bytes, if it fits the reservation.
    fn adopt_len(&self, file: &File, len: usize, size: u64) -> Result<()> {
        if self.shape.end_of(len as u64).is_none_or(|end| end > file.reservation.bytes()) {
            return Err(Error::Limit);
        }
        file.reservation.dump_up_to(size);
        self.capacity.store(len, Relaxed);
        self.len.store(len, Release);
        Ok(())
    }

    /// Puts elements, record and size on the disk, in this order.
    pub fn flush(&self) -> Result<()> {
        self.check()?;
        let Ok(file) = self.growable() else { return Ok(()) };
        let fd = file.fd();
        let end = self.end_of(self.len())?;
        let size = if file.held.load(Relaxed) {
            self.check_size(file)?;
            file.tenure.size.get()
        } else {
            sys::stat(fd)?.size
        };
        file.reservation.flush(0, end.min(size))?;
        if size > end {
            file.reservation.flush(size.saturating_sub(tail::SIZE), size)?;
        }
        if size == 0 {
            // There is nothing mapped to put on the disk, but the size.
            sys::fdatasync(fd)?;
        }
        if file.is_new.get() {
            sys::sync_directory(fd)?;
            file.is_new.set(false);
        }
        Ok(())
    }

    /// Advises the system on the use of a range of elements. Does nothing where the length is fixed: there
    /// the memory may be the only place that has the elements.
    pub fn advise(&self, start: usize, count: usize, advise: Advise) -> Result<()> {
        let file = match self.changing_file() {
            Some(file) if count > 0 => file,
            _ => return Ok(()),
        };
        let itemsize = self.shape.itemsize as u64;
        let (start, count) = (self.shape.offset + start as u64 * itemsize, count as u64 * itemsize);
        match advise {
            Advise::Normal => file.reservation.advise(Advice::Normal, start, count),
            Advise::Random => file.reservation.advise(Advice::Random, start, count),
            Advise::Sequential => file.reservation.advise(Advice::Sequential, start, count),
            Advise::WillNeed => file.reservation.advise(Advice::WillNeed, start, count),
            Advise::DontNeed => file.reservation.drop_pages(start, count),
        }
    }

    pub fn has_lock(&self) -> bool {
        self.file.as_ref().is_some_and(|file| file.held.load(Relaxed))
    }

    /// Runs in a forked child, where only calls that a signal handler may make are safe.
    fn disown_after_fork(&self) {
        self.close_room();
        if let Some(file) = &self.file {
            file.disown();
        }
    }
}

impl File {
    fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// The description for the lock and for writes, opened now if it isn't yet.
    ///
    /// A process that has given up the permission to open the file, or has no descriptor left, still has the
    /// description that is mapped. It can carry the lock too; what is lost then is that children by fork let go
    /// of it. A child itself must never use it so: it would share its parent's lock.
    fn lock_fd(&self) -> Result<RawFd> {
        let known = self.lock_fd.0.load(Relaxed);
        if known != CLOSED {
            return Ok(known);
        }
        if self.stands_in.load(Relaxed) {
            return Ok(self.fd());
        }
        // A child must not inherit a descriptor that its handle doesn't know of yet.
        let no_fork = fork::hold_off();
        let own = sys::reopen(self.fd(), libc::O_RDWR).map(|fd| {
            let fd = fd.into_raw_fd();
            self.lock_fd.0.store(fd, Relaxed);
            fd
        });
        drop(no_fork);
        match own {
            Ok(fd) => Ok(fd),
            Err(error) if self.forked.load(Relaxed) => Err(error),
            // Writes must go where they are aimed, whoever has got the descriptor since.
            Err(error) => match sys::status_flags(self.fd()) {
                Ok(flags) if flags & libc::O_APPEND == 0 => {
                    self.stands_in.store(true, Relaxed);
                    Ok(self.fd())
                }
                _ => Err(error),
            },
        }
    }

    /// Gives the lock back, on the description that carries it. If that fails, it is still held.
    fn release(&self) -> Result<()> {
        match self.lock_fd().and_then(lock::release) {
            Err(error) if self.stands_in.load(Relaxed) => return Err(error),
            // The lock goes with its description too; the next one opens another.
            Err(_) => self.lock_fd.close(),
            Ok(()) => {}
        }
        self.held.store(false, Relaxed);
        self.stands_in.store(false, Relaxed);
        Ok(())
    }

    /// Lets go of the parent's lock in a forked child.
    fn disown(&self) {
        self.held.store(false, Relaxed);
        self.forked.store(true, Relaxed);
        self.stands_in.store(false, Relaxed);
        self.lock_fd.close();
    }
}

/// The number of a descriptor that isn't open.
const CLOSED: RawFd = -1;

/// A descriptor that a file owns, or `CLOSED`.
struct Descriptor(AtomicI32);

impl Descriptor {
    fn close(&self) {
        let fd = self.0.swap(CLOSED, Relaxed);
        if fd != CLOSED {
            // SAFETY: the descriptor was this one's, and isn't any more.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
        }
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        self.close();
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        if self.access.can_change_length() {
            fork::unregister(&raw const *self);
        }
        if let Some(file) = &self.file {
            let slot = file.slot.load(Relaxed);
            if slot != registry::NONE {
                registry::remove(slot);
            }
        }
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
