//! A tenure: the time during which a handle holds the growth lock, and what it then knows of the file.

use core::cell::Cell;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::os::fd::RawFd;

use super::backing::Access;
use super::lock::{self, Wait};
use super::tail::{self, GRAIN, State};
use super::{File, Storage, WORKS, sys};
use crate::error::{Error, Result};

/// What the handle knows of the file while it holds the lock.
#[derive(Default)]
pub(super) struct Tenure {
    /// The file's size as this handle left it; anything else is somebody's work who doesn't use the library.
    pub(super) size: Cell<u64>,
    /// Up to where the file has blocks for certain, in spare room: its size, but for a memfd that was shrunk.
    pub(super) backed: Cell<u64>,
    /// Whether the file has a record.
    pub(super) record: Cell<bool>,
    /// The size of the last step of growth.
    pub(super) step: Cell<u64>,
    pub(super) traits: Cell<Option<Traits>>,
    pub(super) dev: Cell<u64>,
    pub(super) ino: Cell<u64>,
}

/// What kind of file it is.
#[derive(Clone, Copy, Default)]
pub(super) struct Traits {
    /// The bytes are in memory for good, not on a disk.
    pub in_memory: bool,
    /// A block that was written once is written again in its place. Others (btrfs, ZFS) find a new place each time,
    /// so that a reserved block is good for one write only.
    pub in_place: bool,
    /// The file can't become shorter.
    pub sealed: bool,
    /// The file system can't reserve blocks.
    pub no_fallocate: bool,
}

const TMPFS_MAGIC: i64 = 0x0102_1994;
const RAMFS_MAGIC: i64 = 0x8584_58f6;
/// ext2, ext3 and ext4.
const EXT_MAGIC: i64 = 0xef53;
const XFS_MAGIC: i64 = 0x5846_5342;

impl Traits {
    fn of(fd: RawFd) -> Result<Traits> {
        let file_system = sys::file_system(fd)?;
        Ok(Traits {
            in_memory: matches!(file_system, TMPFS_MAGIC | RAMFS_MAGIC),
            in_place: matches!(file_system, EXT_MAGIC | XFS_MAGIC),
            sealed: is_sealed(fd)?,
            no_fallocate: false,
        })
    }
}

/// Whether the file can't become shorter.
pub(super) fn is_sealed(fd: RawFd) -> Result<bool> {
    Ok(sys::seals(fd)? & libc::F_SEAL_SHRINK != 0)
}

impl Tenure {
    pub(super) fn traits(&self) -> Traits {
        self.traits.get().unwrap_or_default()
    }
}

impl Storage {
    /// Takes the growth lock, and takes over the file as it is then.
    pub fn lock(&self, wait: Wait) -> Result<()> {
        let file = self.growable()?;
        if file.held.load(Relaxed) {
            return Ok(());
        }
        let fd = file.lock_fd()?;
        lock::take(fd, wait).inspect_err(|_| file.stands_in.store(false, Relaxed))?;
        match self.adopt(file, fd) {
            Ok(()) => {
                file.held.store(true, Relaxed);
                file.forked.store(false, Relaxed);
                Ok(())
            }
            Err(error) => {
                self.close_room();
                let _ = file.release();
                Err(error)
            }
        }
    }

    /// Gives the lock back; the spare room stays for whoever takes it next. Keeps it if the file can't be left as
    /// it is.
    pub fn unlock(&self) -> Result<()> {
        self.check()?;
        let Some(file) = &self.file else { return Ok(()) };
        if !file.held.load(Relaxed) {
            return Ok(());
        }
        self.guard_last_elements(file, file.lock_fd()?)?;
        self.close_room();
        file.release().inspect_err(|_| self.open_room(file))
    }

    /// Whether this handle may change the length at all.
    pub fn check_growable(&self) -> Result<()> {
        self.growable().map(drop)
    }

    /// The file, if this handle may change its length.
    pub(super) fn growable(&self) -> Result<&File> {
        self.check()?;
        match &self.file {
            Some(file) if self.access.can_change_length() => Ok(file),
            _ if !self.access.can_write() => Err(Error::ReadOnly),
            _ => Err(Error::Fixed),
        }
    }

    pub(super) fn is_exact(&self) -> bool {
        self.access == Access::Write { exact: true }
    }

    fn adopt(&self, file: &File, fd: RawFd) -> Result<()> {
        let tenure = &file.tenure;
        match tenure.traits.get() {
            None => tenure.traits.set(Some(Traits::of(fd)?)),
            // Seals can come to a file at any time.
            Some(known) => tenure.traits.set(Some(Traits { sealed: is_sealed(fd)?, ..known })),
        }
        let state = tail::read_state(fd, &self.shape)?;
        if state.partial {
            return Err(Error::Partial);
        }
        let end = self.end_of(state.len)?;
        if end > file.reservation.bytes() - tail::SIZE {
            return Err(Error::Limit);
        }
        tenure.size.set(state.stat.size);
        tenure.backed.set(state.stat.size);
        tenure.record.set(state.record.is_some());
        tenure.step.set(0);
        tenure.dev.set(state.stat.dev);
        tenure.ino.set(state.stat.ino);
        if tenure.traits().sealed && state.is_copy() {
            // Somebody gave the pages of the spare room back.
            tenure.backed.set(end.next_multiple_of(GRAIN));
        }
        let in_reach = state.stat.size <= file.reservation.bytes();
        if state.record.is_some() && tenure.traits().sealed && !in_reach {
            return Err(Error::Limit);
        }
        self.adopt_len(file, state.len, state.stat.size)?;
        if in_reach {
            self.open_room(file);
        }
        let keeps_room = tenure.traits().sealed
            || (in_reach
                && !self.is_exact()
                && !state.is_copy()
                && has_blocks(tenure.traits(), &state, fd, end));
        if state.record.is_some() && !keeps_room {
            self.cut(file, fd, state.len)?;
        }
        Ok(())
    }

    /// Lets appends go up to what the file has room for.
    pub(super) fn open_room(&self, file: &File) {
        let tenure = &file.tenure;
        if !tenure.record.get() {
            self.close_room();
            return;
        }
        let size = tenure.size.get();
        let capacity = self.shape.fitting(tenure.backed.get().min(size - tail::SIZE));
        let word = file.reservation.base().wrapping_add((size - tail::SIZE + tail::LENGTH_AT) as usize);
        self.publish.store(word.cast(), Relaxed);
        self.capacity.store(capacity, Relaxed);
        self.room.store(if self.is_exact() { 0 } else { capacity }, SeqCst);
        // The guard may have marked the handle while this was under way.
        if self.state.load(SeqCst) != WORKS {
            self.room.store(0, Relaxed);
        }
    }

    pub(super) fn close_room(&self) {
        self.room.store(0, Relaxed);
        self.publish.store(core::ptr::null_mut(), Relaxed);
        self.capacity.store(self.len.load(Relaxed), Relaxed);
    }
}

/// Whether there are blocks behind the spare room that was found. A file that was restored from a backup in its
/// place has holes there, as a copy has. What the record says was true for the file it was written to.
fn has_blocks(traits: Traits, state: &State, fd: RawFd, end: u64) -> bool {
    let spare = state.stat.size.saturating_sub(end.next_multiple_of(GRAIN));
    if state.stat.allocated < spare {
        // There are holes for certain. To fill them could take all the memory there is, if somebody made the size up.
        return false;
    }
    // Where memory counts by whole pages, the sum tells; asking anew would take longer.
    let whole_in_memory = traits.in_memory && state.stat.allocated >= state.stat.size;
    whole_in_memory || sys::reserve_blocks(fd, end / GRAIN * GRAIN, state.stat.size).is_ok()
}
