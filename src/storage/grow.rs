//! Growing: room for more elements, in one step that has happened or hasn't.
//!
//! Everything that changes a file's size keeps one rule: whatever the moment at which the process dies, the size
//! and the footer together name a length whose elements are all there.

use core::sync::atomic::Ordering::{Relaxed, Release};
use core::sync::atomic::{AtomicU32, AtomicU64, fence};
use std::os::fd::RawFd;

use memmap2::Advice;

use super::access::Access;
use super::filesystem::{self, FileSystemTraits};
use super::footer::{self, BELL_AT, FIXED, Footer, GRAIN, MOVED};
use super::lock::Wait;
use super::{File, Storage, sys};
use crate::error::{Error, Result};

/// How far to grow.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum GrowthPolicy {
    /// In steps that double, for appends one after another.
    Amortized,
    /// As far as is needed.
    Exact,
}

/// The first step of each holder of the lock.
const FIRST_STEP: u64 = 64 << 10;
/// The same in anonymous memory, of which many arrays have little.
const FIRST_STEP_ANONYMOUS: u64 = GRAIN;
/// The largest step; larger ones gain nothing, on a disk or in memory.
const LAST_STEP: u64 = 8 << 20;
/// How much of a step is made ready to be touched; what is larger is one call's own work anyway.
const MOST_PREFAULTED: u64 = 64 << 20;

/// No byte beyond the old end is known to be zero.
const NOTHING_ZERO: u64 = u64::MAX;

impl Storage {
    /// Takes the lock if need be, and makes room for `need` elements. Returns from which byte on the file is
    /// known to be zero.
    pub fn ensure(&self, need: usize, policy: GrowthPolicy) -> Result<u64> {
        self.lock(Wait::No)?;
        let file = self.growable()?;
        if file.state.footer.get() && need <= self.capacity.load(Relaxed) {
            return Ok(NOTHING_ZERO);
        }
        self.grow(file, need, policy)
    }

    /// Makes room as a promise for later; an exact file has no room to make.
    pub fn reserve(&self, capacity: usize) -> Result<()> {
        self.lock(Wait::No)?;
        if capacity > self.reserved() {
            return Err(Error::Limit);
        }
        if capacity <= self.capacity() || self.is_exact() {
            return Ok(());
        }
        self.ensure(capacity, GrowthPolicy::Exact).map(drop)
    }

    pub(super) fn end_of(&self, len: usize) -> Result<u64> {
        self.layout.end_of(len as u64).ok_or(Error::Limit)
    }

    /// Refuses to touch a file that somebody else has changed, or a descriptor that isn't the file's any more.
    pub(super) fn check_file(&self, file: &File) -> Result<()> {
        match file.mapping.check(file.mapping.fd())?.size.cmp(&file.state.size.get()) {
            core::cmp::Ordering::Equal => Ok(()),
            core::cmp::Ordering::Less => Err(Error::Truncated),
            core::cmp::Ordering::Greater => Err(Error::Corrupt),
        }
    }

    /// Before elements are touched that a change is about to take away or to move: refuses if somebody else has truncated
    /// the file. Not where there is spare room, in which such a change makes no system call.
    pub fn check_unless_roomy(&self) -> Result<()> {
        match &self.file {
            Some(file) if !file.state.footer.get() => self.check_file(file),
            _ => Ok(()),
        }
    }

    pub(super) fn grow(&self, file: &File, need: usize, policy: GrowthPolicy) -> Result<u64> {
        let state = &file.state;
        // What an exact file gets it gives back at the end of the call.
        let policy = if self.is_exact() { GrowthPolicy::Exact } else { policy };
        let old = state.size.get();
        // Others may take what lies before the reach for elements. A footer that can't be moved lies beyond that.
        let need = match state.footer_in_last_page() {
            Some(_) => need,
            None => need.max(usize::try_from(state.reach.get()).map_err(|_| Error::Limit)?),
        };
        let least = self
            .end_of(need)?
            .checked_add(footer::SIZE)
            .and_then(|end| end.checked_next_multiple_of(GRAIN))
            .filter(|end| *end <= file.mapping.reservation.bytes())
            .ok_or(Error::Limit)?;
        self.check_file(file)?;
        let limit = sys::file_size_limit();
        if least > limit {
            return Err(Error::Os(libc::EFBIG));
        }
        let first = if self.access == Access::Anonymous { FIRST_STEP_ANONYMOUS } else { FIRST_STEP };
        let step = (state.step.get() * 2).clamp(first, LAST_STEP);
        let mut target = least;
        if policy == GrowthPolicy::Amortized {
            let ceiling = file.mapping.reservation.bytes().min(limit) / GRAIN * GRAIN;
            target = (state.backed.get() + step).next_multiple_of(GRAIN).min(ceiling).max(least);
        }
        loop {
            match self.grow_to(file, target) {
                Ok(()) => break,
                // Less may still fit: halve what goes beyond the need.
                Err(error) if error.is_no_room() && target > least => {
                    target = least + (target - least) / 2 / GRAIN * GRAIN;
                }
                Err(Error::Os(libc::EPERM)) if filesystem::is_sealed_against_growth(file.mapping.fd())? => {
                    return Err(Error::Fixed);
                }
                Err(error) => return Err(error),
            }
        }
        // On a disk that is nearly full the next step starts from what fitted.
        state.step.set(step.min(target.saturating_sub(old)));
        state.footer.set(true);
        if target <= old {
            self.open_room(file);
            return Ok(NOTHING_ZERO);
        }
        file.mapping.reservation.use_up_to(target);
        if policy == GrowthPolicy::Amortized {
            self.prefault(file, old.next_multiple_of(GRAIN), (target - GRAIN).min(old + MOST_PREFAULTED));
        }
        // Last: other threads may store up to the capacity through the pointer as soon as they know it.
        self.open_room(file);
        Ok(old.next_multiple_of(GRAIN))
    }

    /// One step of growth: blocks first, then size and footer at once. If it fails the file is as it was.
    fn grow_to(&self, file: &File, target: u64) -> Result<()> {
        let state = &file.state;
        let fd = file.mapping.lock_fd()?;
        let (size, backed) = (state.size.get(), state.backed.get());
        let mut has_blocks = false;
        if !state.traits().no_fallocate {
            match sys::reserve_blocks(fd, backed, target) {
                Ok(()) => has_blocks = true,
                Err(Error::Os(libc::EOPNOTSUPP | libc::ENOSYS)) => {
                    state.traits.set(Some(FileSystemTraits { no_fallocate: true, ..state.traits() }));
                }
                Err(error) => {
                    self.undo(file, fd);
                    return Err(error);
                }
            }
        }
        if target <= size {
            // The spare room of a file that could not be trimmed gets its blocks back.
            if !has_blocks {
                write_zeros(fd, backed, target.min(size - footer::SIZE))?;
            }
            let all = target + GRAIN >= size;
            if all {
                self.write_fixed_part(file, fd, size, true)?;
            }
            state.backed.set(if all { size } else { target });
            return Ok(());
        }
        // Without blocks the footer doesn't vouch for the spare room until the zeros are there.
        let mut result = self.write_footer(file, fd, target, has_blocks);
        if result.is_ok() && !has_blocks {
            result = write_zeros(fd, size, target - footer::SIZE)
                .and_then(|()| self.write_fixed_part(file, fd, target, true));
        }
        if let Err(error) = result {
            self.undo(file, fd);
            return Err(error);
        }
        if let Some(old) = self.footer_words() {
            // SAFETY: the word lies in the footer that this handle has published in up to now.
            unsafe { (*old.add(BELL_AT as usize).cast::<AtomicU32>()).store(MOVED, Relaxed) };
            // Before the first element that is stored over the old footer.
            fence(Release);
        }
        state.size.set(target);
        state.backed.set(target);
        Ok(())
    }

    /// Makes pages of new spare room cheap to touch. Faulted in one by one they would take most of the time of
    /// appending. Nothing depends on it, so that errors don't matter.
    ///
    /// On a disk, zeros written in large pieces make the system keep the range in large units, which it maps with
    /// few faults; not where they would use up the blocks that were reserved. In memory a second reservation makes it clear the pages at once, and then a fault for reading
    /// maps many of them, to write to as well.
    fn prefault(&self, file: &File, start: u64, end: u64) {
        let Ok(fd) = file.mapping.lock_fd() else { return };
        if start >= end {
            return;
        }
        let traits = file.state.traits();
        if traits.in_memory {
            let _ = sys::reserve_blocks(fd, start, end);
            file.mapping.reservation.populate(Advice::PopulateRead, start, end);
        } else {
            if traits.in_place && !traits.no_fallocate {
                let _ = write_zeros(fd, start, end);
            }
            file.mapping.reservation.populate(Advice::PopulateWrite, start, end);
        }
    }

    /// Gives back blocks beyond the end, and bytes of a write that went wrong.
    pub(super) fn undo(&self, file: &File, fd: RawFd) {
        // It can't fail for lack of space, and if it does the old footer, or a footer with the same length,
        // is at the file's end all the same.
        let _ = sys::ftruncate(fd, file.state.size.get());
    }

    fn new_footer(&self, file: &File, file_size: u64, has_blocks: bool) -> Footer {
        let state = &file.state;
        Footer {
            file_size,
            identity: file.mapping.identity,
            has_blocks,
            stamp: sys::fresh_number(),
            bell: if state.bell.get() == MOVED { 0 } else { state.bell.get() },
            holder: sys::process_id(),
            reach: state.reach.get(),
            epoch: state.epoch.get(),
            len: self.len.load(Relaxed) as u64,
        }
    }

    /// Puts a footer at the end of a file of `size` bytes, which makes the file so long if it isn't.
    pub(super) fn write_footer(&self, file: &File, fd: RawFd, size: u64, has_blocks: bool) -> Result<()> {
        let bytes = self.new_footer(file, size, has_blocks).encode(&self.layout);
        sys::write_all(fd, &bytes, size - footer::SIZE)
    }

    /// Writes the part of the footer again that doesn't change in place.
    pub(super) fn write_fixed_part(&self, file: &File, fd: RawFd, size: u64, has_blocks: bool) -> Result<()> {
        sys::check_size_limit(size)?;
        let bytes = self.new_footer(file, size, has_blocks).encode(&self.layout);
        sys::write_all(fd, &bytes[..FIXED], size - footer::SIZE)
    }
}

/// Fills a range with zeros, in pieces that are large enough for the system to keep them as large units.
fn write_zeros(fd: RawFd, mut at: u64, end: u64) -> Result<()> {
    const PIECE: usize = 1 << 20;
    // Atomic, which nobody needs, since then it takes no place in the library's file.
    static ZEROS: [AtomicU64; PIECE / 8] = [const { AtomicU64::new(0) }; PIECE / 8];
    while at < end {
        let count = (end - at).min(PIECE as u64) as usize;
        // SAFETY: the array is valid for reads of its length, which `count` doesn't exceed, and nobody stores there.
        match unsafe { sys::pwrite(fd, ZEROS.as_ptr().cast(), count, at) }? {
            0 => return Err(Error::Os(libc::ENOSPC)),
            written => at += written as u64,
        }
    }
    Ok(())
}
