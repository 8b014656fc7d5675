//! One slot for each handle that has a file: what its mapping is, for the guard's signal handler; its descriptors, for
//! forked children; and the gate of its fast path, in memory that the system clears in every kind of child.
//!
//! The signal handler can interrupt any thread anywhere, and a fork can happen at any moment, so that nobody waits for
//! anybody here: there is no lock. Slots are never given back to the system, only used again, so that reading one is
//! always allowed; and what is read of a mapping counts only if nobody was changing it meanwhile. The mapping that is
//! looked for isn't: its handle is being used, so it exists.

use core::ffi::c_void;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, fence};
use core::sync::atomic::{Ordering::Acquire, Ordering::Relaxed, Ordering::Release, Ordering::SeqCst};
use std::os::fd::{IntoRawFd, RawFd};

use super::sys::{Descriptor, Identity};
use super::{Storage, fork, sys};
use crate::error::{Error, Result};

/// The number of a descriptor that isn't open.
pub(super) const CLOSED: RawFd = -1;
/// Set in the number of a plain descriptor that was handed out, and must stay.
pub(super) const HANDED_OUT: RawFd = 1 << 30;

/// What only the process that made it so believes: in memory that is cleared in children of every kind.
///
/// As large as a line of the processor's cache, so that two arrays' appends don't meet there.
#[repr(C, align(64))]
pub(super) struct Gate {
    /// Up to which length the handle may append without asking: 0 unless it has the lock and a footer to publish in.
    pub room: AtomicUsize,
    /// Whether the handle holds the growth lock.
    pub held: AtomicBool,
    /// Whether the handle was made in this process, or has taken the lock here: else it came by a fork, and the
    /// description that carries the lock, if it has one, is the parent's too.
    pub own: AtomicBool,
}

impl Gate {
    const fn new() -> Gate {
        Gate { room: AtomicUsize::new(0), held: AtomicBool::new(false), own: AtomicBool::new(false) }
    }
}

/// The gate of handles without a file, which never opens.
pub(super) static SHUT: Gate = Gate::new();

pub(super) struct Slot {
    /// Odd while the mapping is being changed.
    turn: AtomicU64,
    pub base: AtomicUsize,
    /// 0 while there is no mapping.
    pub bytes: AtomicUsize,
    pub storage: AtomicPtr<Storage>,
    /// Which file it is; zeros while that isn't known.
    dev: AtomicU64,
    ino: AtomicU64,
    /// The description that is mapped, asked for sizes and footers by readers, and handed out by `mba_fd`. Forked
    /// children share it, by their mappings too, which keep it alive. `CLOSED` for anonymous memory that has one
    /// description for all.
    pub fd: AtomicI32,
    /// The description that carries the lock, and that all writes go through: it belongs to this handle alone, is
    /// never handed out, and never mapped but in anonymous memory; in a forked child it is closed.
    pub lock_fd: AtomicI32,
    /// A description that is about to take the place of the mapped one.
    pub fresh: AtomicI32,
    /// The thread that makes or ends the handle, or changes its descriptors, at this moment; 0 if none does. A child that it makes in
    /// a signal handler goes on with them.
    pub busy: AtomicUsize,
    /// Whether the description that carries the lock is the one that is mapped: of anonymous memory, as long as nobody
    /// else can have it.
    pub is_mapped_one: AtomicBool,
    /// Whether the lock may be held on a description that is mapped: then a forked child must let go of that at once.
    pub is_held_on_mapped_one: AtomicBool,
    /// The moment at which that description was made, as forks count.
    pub forks: AtomicUsize,
    /// Of a free slot, the number of the next one and 1; 0 at the end of the list.
    next: AtomicU32,
}

/// A part of the table: slots, and as many gates for them.
struct Chunk {
    slots: AtomicPtr<Slot>,
    gates: AtomicPtr<Gate>,
}

/// Slots of the first chunk; each further one has twice as many as the one before.
const FIRST: u32 = 64;
/// More than any process can have mappings.
const CHUNKS: usize = 22;

static TABLE: [Chunk; CHUNKS] = [const {
    Chunk { slots: AtomicPtr::new(core::ptr::null_mut()), gates: AtomicPtr::new(core::ptr::null_mut()) }
}; CHUNKS];
/// How many slots have been in use; those after them never were.
static USED: AtomicU32 = AtomicU32::new(0);
/// The list of slots to be used again: in the lower half the number of the first and 1, or 0; in the upper half how
/// often it has changed, so that no change goes unseen because of another that took it back.
static FREE: AtomicU64 = AtomicU64::new(0);

/// Whether the system clears all gates in children: it does unless it is very old.
static ARE_WIPED: AtomicBool = AtomicBool::new(true);

/// How many mappings there are of the files whose identities come to the same number: where it is 1, nobody else in this
/// process has the file.
static MAPPINGS: [AtomicU32; PARTS] = [const { AtomicU32::new(0) }; PARTS];
const PARTS: usize = 1 << 12;

fn part_of(identity: Identity) -> usize {
    // The upper bits of a product by an odd number depend on all bits of the other factor.
    let mixed = (identity.ino ^ identity.dev.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> (u64::BITS - PARTS.trailing_zeros())) as usize
}

/// In which chunk a slot lies, and where there.
fn place(index: u32) -> (usize, usize) {
    let chunk = (index / FIRST).wrapping_add(1).checked_ilog2().unwrap_or(0);
    (chunk as usize, index.wrapping_sub(FIRST.wrapping_mul((1u32 << chunk).wrapping_sub(1))) as usize)
}

fn slot(index: u32) -> Option<&'static Slot> {
    let (chunk, at) = place(index);
    let slots = TABLE.get(chunk)?.slots.load(Acquire);
    // SAFETY: a chunk that is there has a place for the slot, and stays for ever.
    (!slots.is_null()).then(|| unsafe { &*slots.add(at) })
}

fn gate(index: u32) -> Option<&'static Gate> {
    let (chunk, at) = place(index);
    let gates = TABLE.get(chunk)?.gates.load(Acquire);
    // SAFETY: as for slots. All that is in a gate may be zero, so that it is sound when the system has cleared it.
    (!gates.is_null()).then(|| unsafe { &*gates.add(at) })
}

/// Makes a chunk, if there is none yet.
fn make_chunk(chunk: usize) -> Result<()> {
    let place = TABLE.get(chunk).ok_or(Error::NO_MEMORY)?;
    let count = (FIRST as usize) << chunk;
    if place.gates.load(Acquire).is_null() {
        let (gates, is_wiped) = sys::map_wiped_on_fork(count * size_of::<Gate>())?;
        ARE_WIPED.fetch_and(is_wiped, Relaxed);
        let gates = gates.cast::<Gate>();
        // Another thread may be first: then this memory goes.
        if place.gates.compare_exchange(core::ptr::null_mut(), gates, Release, Relaxed).is_err() {
            sys::unmap(gates.cast::<c_void>(), count * size_of::<Gate>());
        }
    }
    if !place.slots.load(Acquire).is_null() {
        return Ok(());
    }
    let mut slots = Vec::new();
    slots.try_reserve_exact(count).map_err(|_| Error::NO_MEMORY)?;
    slots.resize_with(count, || Slot {
        turn: AtomicU64::new(0),
        base: AtomicUsize::new(0),
        bytes: AtomicUsize::new(0),
        storage: AtomicPtr::new(core::ptr::null_mut()),
        dev: AtomicU64::new(0),
        ino: AtomicU64::new(0),
        fd: AtomicI32::new(CLOSED),
        lock_fd: AtomicI32::new(CLOSED),
        fresh: AtomicI32::new(CLOSED),
        busy: AtomicUsize::new(0),
        is_mapped_one: AtomicBool::new(false),
        is_held_on_mapped_one: AtomicBool::new(false),
        forks: AtomicUsize::new(0),
        next: AtomicU32::new(0),
    });
    // As above.
    if place.slots.compare_exchange(core::ptr::null_mut(), slots.as_mut_ptr(), Release, Relaxed).is_ok() {
        core::mem::forget(slots);
    }
    Ok(())
}

/// Takes the first slot of the free list off it.
fn take_free() -> Option<u32> {
    let mut head = FREE.load(Acquire);
    loop {
        let index = (head as u32).checked_sub(1)?;
        let next = slot(index)?.next.load(Relaxed);
        let new = (head >> 32).wrapping_add(1) << 32 | u64::from(next);
        match FREE.compare_exchange_weak(head, new, Acquire, Acquire) {
            Ok(_) => return Some(index),
            Err(now) => head = now,
        }
    }
}

fn take_new() -> Result<u32> {
    let mut index = USED.load(Relaxed);
    loop {
        make_chunk(place(index).0)?;
        match USED.compare_exchange_weak(index, index + 1, Release, Relaxed) {
            Ok(_) => return Ok(index),
            Err(now) => index = now,
        }
    }
}

fn change(slot: &Slot, base: usize, bytes: usize, storage: *const Storage) {
    slot.turn.fetch_add(1, Relaxed);
    fence(Release);
    slot.base.store(base, Relaxed);
    slot.bytes.store(bytes, Relaxed);
    slot.storage.store(storage.cast_mut(), Relaxed);
    slot.turn.fetch_add(1, Release);
}

/// A handle's slot and gate, which are its own until this is dropped. Closes the descriptors that are left then.
pub(super) struct Place {
    index: u32,
    slot: &'static Slot,
    pub gate: &'static Gate,
}

impl Place {
    pub fn take() -> Result<Place> {
        let index = match take_free() {
            Some(index) => index,
            None => take_new()?,
        };
        let (slot, gate) = (slot(index).ok_or(Error::NO_MEMORY)?, gate(index).ok_or(Error::NO_MEMORY)?);
        slot.busy.store(sys::this_thread(), Relaxed);
        gate.own.store(true, Relaxed);
        Ok(Place { index, slot, gate })
    }

    /// Says where the handle's mapping is, and of which file. The storage must stay where it is until [`Place::hide`].
    pub fn show(&self, base: *const u8, bytes: usize, identity: Identity, storage: *const Storage) {
        self.slot.dev.store(identity.dev, Relaxed);
        self.slot.ino.store(identity.ino, Relaxed);
        MAPPINGS[part_of(identity)].fetch_add(1, Relaxed);
        change(self.slot, base.expose_provenance(), bytes, storage);
        self.slot.busy.store(0, Relaxed);
    }

    /// Takes the mapping out.
    pub fn hide(&self) {
        self.slot.busy.store(sys::this_thread(), Relaxed);
        if !self.slot.storage.load(Relaxed).is_null() {
            MAPPINGS[part_of(self.slot.identity())].fetch_sub(1, Relaxed);
        }
        change(self.slot, 0, 0, core::ptr::null());
    }

    /// Whether another handle of this process may have the same file.
    pub fn may_have_siblings(&self) -> bool {
        MAPPINGS[part_of(self.slot.identity())].load(Relaxed) > 1
    }
}

impl core::ops::Deref for Place {
    type Target = Slot;

    fn deref(&self) -> &Slot {
        self.slot
    }
}

impl Slot {
    fn identity(&self) -> Identity {
        Identity { dev: self.dev.load(Relaxed), ino: self.ino.load(Relaxed) }
    }

    /// Whether a number has come to be another file's: a program may have closed what it didn't know.
    pub fn is_reused(&self, fd: RawFd) -> bool {
        let own = self.identity();
        own.ino != 0 && sys::stat(fd).is_ok_and(|stat| stat.identity != own)
    }

    /// The plain descriptor's number, or `CLOSED`.
    pub fn plain(&self) -> RawFd {
        match self.fd.load(Relaxed) {
            CLOSED => CLOSED,
            fd => fd & !HANDED_OUT,
        }
    }

    /// Any descriptor of the file, or `CLOSED`.
    pub fn any(&self) -> RawFd {
        match self.plain() {
            CLOSED => self.lock_fd.load(Relaxed),
            fd => fd,
        }
    }

    /// Opens a descriptor into its place, where a child by a fork of this moment finds and closes it.
    pub fn open(place: &AtomicI32, mut open: impl FnMut() -> Result<Descriptor>) -> Result<RawFd> {
        fork::unseen(|| {
            Slot::close(place);
            let fd = open()?.into_raw_fd();
            place.store(fd, Relaxed);
            Ok(fd)
        })
    }

    /// Closes a descriptor, if it is open.
    pub fn close(place: &AtomicI32) {
        match place.swap(CLOSED, Relaxed) {
            CLOSED => {}
            fd => sys::close(fd & !HANDED_OUT),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.hide();
        self.slot.ino.store(0, Relaxed);
        // First what a child that is forked in between goes by.
        self.slot.is_held_on_mapped_one.store(false, SeqCst);
        self.slot.is_mapped_one.store(false, SeqCst);
        Slot::close(&self.slot.fd);
        Slot::close(&self.slot.lock_fd);
        Slot::close(&self.slot.fresh);
        self.gate.room.store(0, Relaxed);
        self.gate.held.store(false, Relaxed);
        self.gate.own.store(false, Relaxed);
        self.slot.busy.store(0, Relaxed);
        let mut head = FREE.load(Relaxed);
        loop {
            self.slot.next.store(head as u32, Relaxed);
            let new = (head >> 32).wrapping_add(1) << 32 | u64::from(self.index + 1);
            match FREE.compare_exchange_weak(head, new, Release, Relaxed) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }
}

/// Whether the system has cleared all gates in a child.
pub(super) fn are_gates_wiped() -> bool {
    ARE_WIPED.load(Relaxed)
}

/// All slots that have been in use, and their gates.
pub(super) fn all() -> impl Iterator<Item = (&'static Slot, &'static Gate)> {
    (0..USED.load(Acquire)).filter_map(|index| Some((slot(index)?, gate(index)?)))
}

/// The storage whose mapping has this address, which a thread is using at this moment. May be called in a signal
/// handler: it waits for nothing, allocates nothing, and can't panic.
pub(super) fn find(address: usize) -> Option<*const Storage> {
    (0..USED.load(Acquire)).filter_map(slot).find_map(|slot| {
        let turn = slot.turn.load(Acquire);
        let base = slot.base.load(Relaxed);
        let bytes = slot.bytes.load(Relaxed);
        let storage = slot.storage.load(Relaxed);
        fence(Acquire);
        let is_whole = turn & 1 == 0 && slot.turn.load(Relaxed) == turn;
        (is_whole && address.wrapping_sub(base) < bytes).then_some(storage.cast_const())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_slot_has_a_place_of_its_own() {
        assert_eq!(place(0), (0, 0));
        let mut expected = (0, 0);
        for index in 0..1 << 17 {
            assert_eq!(place(index), expected);
            expected.1 += 1;
            if expected.1 == (FIRST as usize) << expected.0 {
                expected = (expected.0 + 1, 0);
            }
        }
        assert!(slot(u32::MAX).is_none(), "no number is too large to be looked for");
    }

    /// Threads put mappings in and take them out, and each finds its own while it is there.
    #[test]
    fn many_threads_find_what_is_theirs() {
        std::thread::scope(|scope| {
            for thread in 1..=4usize {
                scope.spawn(move || {
                    let base = |at: usize| (thread << 48) + at * 8192;
                    let pointer = |address: usize| core::ptr::without_provenance::<u8>(address);
                    for round in 0..200 {
                        let places: Vec<Place> = (0..=round % 100).map(|_| Place::take().unwrap()).collect();
                        for (at, place) in places.iter().enumerate() {
                            let identity = Identity { dev: thread as u64, ino: at as u64 };
                            place.show(pointer(base(at)), 4096, identity, pointer(base(at)).cast());
                        }
                        for (at, _) in places.iter().enumerate() {
                            assert_eq!(find(base(at) + 4095).unwrap().addr(), base(at));
                            assert_eq!(find(base(at) + 4096), None);
                        }
                    }
                    assert_eq!(find(base(0)), None);
                });
            }
        });
    }
}
