//! One element between the array and private memory: whole or word by word, by relaxed atomics, since others may use it at
//! the same moment.

use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};

/// Copies one element into the array, in a way that other threads and processes see it whole (1, 2, 4 and 8 bytes) or
/// word by word, in any order.
///
/// # Safety
/// `to` must be valid for writes of `size` bytes of mapped memory and aligned for its type; `from` must
/// be valid for reads of `size` bytes, of any alignment.
#[inline(always)]
pub(crate) unsafe fn store(to: *mut u8, from: *const u8, size: usize) {
    // SAFETY: the caller promises both pointers for `size` bytes, and `to`'s alignment; where that can be less
    // than an atomic's, for complex numbers, it is checked.
    unsafe {
        if size == 4 {
            (*to.cast::<AtomicU32>()).store(from.cast::<u32>().read_unaligned(), Relaxed);
        } else if size == 8 && to.addr().is_multiple_of(8) {
            (*to.cast::<AtomicU64>()).store(from.cast::<u64>().read_unaligned(), Relaxed);
        } else {
            store_other(to, from, size);
        }
    }
}

/// The sizes that aren't the most common, out of line: compilers make one jump table of all, which would cost
/// the common ones more than half of their time.
///
/// # Safety
/// As for [`store`].
#[inline(never)]
unsafe fn store_other(to: *mut u8, from: *const u8, size: usize) {
    // SAFETY: as in `store`; an element of 8 bytes is aligned to 4 at least, one of 16 to 8; words are aligned, and lie
    // within the element.
    unsafe {
        match size {
            1 => (*to.cast::<AtomicU8>()).store(from.read(), Relaxed),
            2 => (*to.cast::<AtomicU16>()).store(from.cast::<u16>().read_unaligned(), Relaxed),
            8 => {
                let [low, high] = from.cast::<[u32; 2]>().read_unaligned();
                (*to.cast::<AtomicU32>()).store(low, Relaxed);
                (*to.add(4).cast::<AtomicU32>()).store(high, Relaxed);
            }
            16 => {
                let [low, high] = from.cast::<[u64; 2]>().read_unaligned();
                (*to.cast::<AtomicU64>()).store(low, Relaxed);
                (*to.add(8).cast::<AtomicU64>()).store(high, Relaxed);
            }
            _ => {
                let store = |(at, is_word)| {
                    if is_word {
                        let word = from.add(at).cast::<u64>().read_unaligned();
                        (*to.add(at).cast::<AtomicU64>()).store(word, Relaxed);
                    } else {
                        (*to.add(at).cast::<AtomicU8>()).store(from.add(at).read(), Relaxed);
                    }
                };
                in_order(words(to, size), to, from, store);
            }
        }
    }
}

/// Where the words of an element lie, counted from its beginning, and the bytes before and behind them; whether each is a
/// word. Whoever maps the array finds the same ones, since mappings differ by whole pages.
fn words(place: *const u8, size: usize) -> impl DoubleEndedIterator<Item = (usize, bool)> {
    const WORD: usize = size_of::<u64>();
    let before = place.align_offset(WORD).min(size);
    let behind = before + (size - before) / WORD * WORD;
    let bytes = |range: core::ops::Range<usize>| range.map(|at| (at, false));
    bytes(0..before).chain((before..behind).step_by(WORD).map(|at| (at, true))).chain(bytes(behind..size))
}

/// Copies word by word, in the order in which no word is overwritten before it was read: `to` and `from` may overlap.
fn in_order<T>(words: impl DoubleEndedIterator<Item = T>, to: *mut u8, from: *const u8, copy: impl FnMut(T)) {
    if to.cast_const() > from { words.rev().for_each(copy) } else { words.for_each(copy) }
}

/// Copies one element out of the array; the counterpart of [`store`].
///
/// # Safety
/// `from` must be valid for reads of `size` bytes of mapped memory and aligned for its type; `to` must
/// be valid for writes of `size` bytes, of any alignment.
#[inline(always)]
pub(crate) unsafe fn load(to: *mut u8, from: *const u8, size: usize) {
    // SAFETY: as in `store`, with the roles of the pointers exchanged.
    unsafe {
        if size == 4 {
            to.cast::<u32>().write_unaligned((*from.cast::<AtomicU32>()).load(Relaxed));
        } else if size == 8 && from.addr().is_multiple_of(8) {
            to.cast::<u64>().write_unaligned((*from.cast::<AtomicU64>()).load(Relaxed));
        } else {
            load_other(to, from, size);
        }
    }
}

/// The counterpart of [`store_other`].
///
/// # Safety
/// As for [`load`].
#[inline(never)]
unsafe fn load_other(to: *mut u8, from: *const u8, size: usize) {
    // SAFETY: as in `store_other`, with the roles of the pointers exchanged.
    unsafe {
        match size {
            1 => to.write((*from.cast::<AtomicU8>()).load(Relaxed)),
            2 => to.cast::<u16>().write_unaligned((*from.cast::<AtomicU16>()).load(Relaxed)),
            8 => {
                let low = (*from.cast::<AtomicU32>()).load(Relaxed);
                let high = (*from.add(4).cast::<AtomicU32>()).load(Relaxed);
                to.cast::<[u32; 2]>().write_unaligned([low, high]);
            }
            16 => {
                let low = (*from.cast::<AtomicU64>()).load(Relaxed);
                let high = (*from.add(8).cast::<AtomicU64>()).load(Relaxed);
                to.cast::<[u64; 2]>().write_unaligned([low, high]);
            }
            _ => {
                let load = |(at, is_word)| {
                    if is_word {
                        let word = (*from.add(at).cast::<AtomicU64>()).load(Relaxed);
                        to.add(at).cast::<u64>().write_unaligned(word);
                    } else {
                        to.add(at).write((*from.add(at).cast::<AtomicU8>()).load(Relaxed));
                    }
                };
                in_order(words(from, size), to, from, load);
            }
        }
    }
}
