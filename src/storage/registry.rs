//! The mappings of all handles, for the guard's signal handler to find the one in which a fault happened.
//!
//! The handler can interrupt any thread anywhere, so that it can wait for nobody and nobody must have to wait for it:
//! there is no lock. Slots are never given back to the system, only used again, so that reading one is always
//! allowed; and what is read of a slot counts only if nobody was changing it meanwhile. The slot that is looked for
//! isn't: its handle is being used, so it exists.

use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, fence};
use core::sync::atomic::{Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

use super::Storage;
use crate::error::{Error, Result};

/// What a handle without a slot has instead of one.
pub(super) const NONE: u32 = u32::MAX;

struct Slot {
    /// Odd while the slot is being changed.
    turn: AtomicU64,
    base: AtomicUsize,
    /// 0 while the slot is free.
    bytes: AtomicUsize,
    storage: AtomicPtr<Storage>,
    /// Of a free slot, the number of the next one and 1; 0 at the end of the list.
    next: AtomicU32,
}

/// Slots of the first chunk; each further one has twice as many as the one before.
const FIRST: u32 = 64;
/// More than any process can have mappings.
const CHUNKS: usize = 22;

static TABLE: [AtomicPtr<Slot>; CHUNKS] = [const { AtomicPtr::new(core::ptr::null_mut()) }; CHUNKS];
/// How many slots have been in use; those after them never were.
static USED: AtomicU32 = AtomicU32::new(0);
/// The list of slots to be used again: in the lower half the number of the first and 1, or 0; in the upper half how
/// often it has changed, so that no change goes unseen because of another that took it back.
static FREE: AtomicU64 = AtomicU64::new(0);

/// In which chunk a slot lies, and where there.
fn place(index: u32) -> (usize, usize) {
    let chunk = (index / FIRST).wrapping_add(1).checked_ilog2().unwrap_or(0);
    (chunk as usize, index.wrapping_sub(FIRST.wrapping_mul((1u32 << chunk).wrapping_sub(1))) as usize)
}

fn slot(index: u32) -> Option<&'static Slot> {
    let (chunk, at) = place(index);
    let slots = TABLE.get(chunk)?.load(Acquire);
    // SAFETY: a chunk that is there has a place for the slot, and stays for ever.
    (!slots.is_null()).then(|| unsafe { &*slots.add(at) })
}

/// Makes a chunk, if there is none yet.
fn make_chunk(chunk: usize) -> Result<()> {
    let place = TABLE.get(chunk).ok_or(Error::NO_MEMORY)?;
    if !place.load(Acquire).is_null() {
        return Ok(());
    }
    let count = (FIRST as usize) << chunk;
    let mut slots = Vec::new();
    slots.try_reserve_exact(count).map_err(|_| Error::NO_MEMORY)?;
    slots.resize_with(count, || Slot {
        turn: AtomicU64::new(0),
        base: AtomicUsize::new(0),
        bytes: AtomicUsize::new(0),
        storage: AtomicPtr::new(core::ptr::null_mut()),
        next: AtomicU32::new(0),
    });
    // Another thread may be first: then this vector goes.
    if place.compare_exchange(core::ptr::null_mut(), slots.as_mut_ptr(), Release, Relaxed).is_ok() {
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

/// Puts a mapping in, and returns the number of its slot for [`remove`]. The storage must stay where it is till then.
pub(super) fn add(base: *const u8, bytes: usize, storage: *const Storage) -> Result<u32> {
    let index = match take_free() {
        Some(index) => index,
        None => take_new()?,
    };
    let slot = slot(index).ok_or(Error::NO_MEMORY)?;
    change(slot, base.addr(), bytes, storage);
    Ok(index)
}

pub(super) fn remove(index: u32) {
    let Some(slot) = slot(index) else { return };
    change(slot, 0, 0, core::ptr::null());
    let mut head = FREE.load(Relaxed);
    loop {
        slot.next.store(head as u32, Relaxed);
        let new = (head >> 32).wrapping_add(1) << 32 | u64::from(index + 1);
        match FREE.compare_exchange_weak(head, new, Release, Relaxed) {
            Ok(_) => return,
            Err(now) => head = now,
        }
    }
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
                        let indexes: Vec<u32> = (0..=round % 100)
                            .map(|at| add(pointer(base(at)), 4096, pointer(base(at)).cast()).unwrap())
                            .collect();
                        for (at, _) in indexes.iter().enumerate() {
                            assert_eq!(find(base(at) + 4095).unwrap().addr(), base(at));
                            assert_eq!(find(base(at) + 4096), None);
                        }
                        indexes.into_iter().for_each(remove);
                    }
                    assert_eq!(find(base(0)), None);
                });
            }
        });
    }
}
