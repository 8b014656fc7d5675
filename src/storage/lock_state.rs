//! The lock state: what a handle knows of the file while it holds the growth lock.

use core::cell::Cell;
use core::sync::atomic::Ordering::{Relaxed, Release, SeqCst};
use core::sync::atomic::{AtomicU32, AtomicU64, fence};
use std::os::fd::{AsRawFd, RawFd};

use super::access::Access;
use super::file_state::{State, read_state_alone};
use super::filesystem::{FileSystemTraits, is_sealed};
use super::footer::{self, BELL_AT, GRAIN, HOLDER_AT, LENGTH_AT, MOVED};
use super::lock::{self, Wait};
use super::presence::Presence;
use super::reserve::LastPage;
use super::{File, Known, Storage, WORKS, fork, sys};
use crate::error::{Error, Result};

/// What the handle knows of the file while it holds the lock.
#[derive(Default)]
pub(super) struct LockState {
    /// The file's size as this handle left it; anything else is somebody's work who doesn't use the library.
    pub size: Cell<u64>,
    /// Up to where the file has blocks for certain, in spare room.
    pub backed: Cell<u64>,
    /// Whether the file has a footer.
    pub footer: Cell<bool>,
    /// The footer's reach.
    pub reach: Cell<u64>,
    /// The footer's epoch.
    pub epoch: Cell<u64>,
    /// What this handle has ever taken for elements, as far as it is more than the length. Somebody may be reading it through
    /// the pointer, so only this handle's own calls that make the array shorter truncate below.
    pub floor: Cell<usize>,
    /// A number that no epoch of the file has had: where it begins, if the file has none.
    pub first_epoch: Cell<u64>,
    /// The footer's bell.
    pub bell: Cell<u32>,
    /// Whether others are kept from opening the file, which is about to be truncated for want of a footer.
    pub excludes: Cell<bool>,
    /// The page with the footer, where it lies beyond the reservation and can't be moved. Not in a `RefCell`: a child that is forked
    /// while it is looked at would find it borrowed for ever.
    pub last_page: Cell<Option<LastPage>>,
    /// The size of the last step of growth.
    pub step: Cell<u64>,
    pub traits: Cell<Option<FileSystemTraits>>,
    /// Length and epoch when the lock was taken, or when the file's time of change was last seen to: if they are others now,
    /// the file was changed. `None` without the lock.
    pub start: Cell<Option<(usize, u64)>>,
}

impl LockState {
    pub fn traits(&self) -> FileSystemTraits {
        self.traits.get().unwrap_or_default()
    }

    /// Where the footer lies in a page of its own.
    pub fn footer_in_last_page(&self) -> Option<*mut u8> {
        let page = self.last_page.take();
        let footer = page.as_ref().map(LastPage::footer);
        self.last_page.set(page);
        footer
    }
}

impl Storage {
    /// Takes the growth lock, and takes over the file as it is then.
    pub fn lock(&self, wait: Wait) -> Result<()> {
        let file = self.growable()?;
        if file.is_held() {
            return Ok(());
        }
        if let Presence::Impossible(error) = file.mapping.presence {
            return Err(error);
        }
        let mapping = &file.mapping;
        loop {
            let generation = fork::generation();
            self.take_lock(file, wait)?;
            // A signal handler of this thread's may have forked meanwhile, and have returned here in the child: that has nothing.
            if mapping.place.gate.own.load(SeqCst) && generation == fork::generation() {
                break;
            }
            mapping.place.gate.held.store(false, SeqCst);
        }
        let fd = mapping.place.lock_fd.load(Relaxed);
        match self.reload(file, fd) {
            Ok(()) => {
                mapping.led.set(true);
                // What was found is about to change, by this handle itself.
                file.known.set(Known::nothing());
                file.state.start.set(Some((self.len(), self.epoch.load(Relaxed))));
                Ok(())
            }
            Err(error) => {
                self.close_room();
                mapping.give_lock_back(fd);
                mapping.place.gate.held.store(false, Relaxed);
                Err(error)
            }
        }
    }

    /// Takes the growth lock, and nothing else.
    fn take_lock(&self, file: &File, wait: Wait) -> Result<()> {
        let mapping = &file.mapping;
        let place = &mapping.place;
        // Before it is asked whether a fork has happened: a child that is forked in between lets go.
        place.is_held_on_mapped_one.store(place.is_mapped_one.load(Relaxed), SeqCst);
        let fd = mapping.lock_fd().inspect_err(|_| place.is_held_on_mapped_one.store(false, SeqCst))?;
        place.is_held_on_mapped_one.store(place.is_mapped_one.load(Relaxed), SeqCst);
        mapping
            .check(fd)
            .and_then(|_| lock::take(fd, wait, mapping.led.get()))
            .inspect_err(|_| place.is_held_on_mapped_one.store(false, SeqCst))?;
        place.gate.held.store(true, SeqCst);
        Ok(())
    }

    /// Gives the lock back; the spare room stays for whoever takes it next. Keeps it if the file can't be left as
    /// it is.
    pub fn unlock(&self) -> Result<()> {
        self.check()?;
        let Some(file) = self.file.as_ref().filter(|file| file.is_held()) else { return Ok(()) };
        let fd = file.mapping.lock_fd()?;
        self.put_footer_behind_lookalike(file, fd)?;
        self.show_time_of_change(file);
        file.state.start.set(None);
        self.close_room();
        file.mapping.give_lock_back(fd);
        file.mapping.place.gate.held.store(false, Relaxed);
        Ok(())
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
            _ if !self.can_write() => Err(Error::ReadOnly),
            _ => Err(Error::Fixed),
        }
    }

    fn reload(&self, file: &File, fd: RawFd) -> Result<()> {
        let state = &file.state;
        // In a child that came by a fork the words are the parent's.
        self.close_room();
        match state.traits.get() {
            _ if self.access == Access::Anonymous => state.traits.set(Some(FileSystemTraits::of_anonymous())),
            None => state.traits.set(Some(FileSystemTraits::of(fd)?)),
            // Seals can come to a file at any time.
            Some(known) => state.traits.set(Some(FileSystemTraits { sealed: is_sealed(fd)?, ..known })),
        }
        let found = read_state_alone(fd, &self.layout, file.mapping.check(fd)?)?;
        if found.partial {
            return Err(Error::Partial);
        }
        let end = self.end_of(found.len)?;
        if end > file.mapping.reservation.bytes() - footer::SIZE {
            return Err(Error::Limit);
        }
        let (is_copy, size) = (found.is_copy(), found.stat.size);
        state.size.set(size);
        state.backed.set(size);
        state.step.set(0);
        // In a child that was forked while its parent, which is gone, kept others out.
        file.end_exclusion();
        state.footer.set(found.footer.is_some());
        // Nobody has seen more of a copy than it has.
        state.reach.set(found.footer.map_or(0, |footer| if is_copy { 0 } else { footer.reach }));
        state.epoch.set(found.footer.map_or(0, |footer| footer.epoch));
        state.first_epoch.set(sys::fresh_number() & !1);
        state.bell.set(found.footer.map_or(0, |footer| footer.bell));
        file.mapping.reservation.dump_nothing_without_a_name();
        let in_reach = size <= file.mapping.reservation.bytes();
        let sealed = state.traits().sealed;
        if found.footer.is_some() && sealed && !in_reach {
            // It can't be moved to where this handle's memory ends.
            let page = LastPage::map(file.mapping.open_anew()?.as_raw_fd(), size)?;
            state.last_page.set(Some(page));
        }
        self.take_up(file, &found)?;
        if let Some(footer) = found.footer {
            let promised = !is_copy && footer.has_blocks;
            let has_blocks = promised && (sealed || has_blocks(state.traits(), &found, fd, end));
            if !has_blocks {
                state.backed.set(end.next_multiple_of(GRAIN));
            }
            if in_reach || sealed {
                self.open_room(file);
            }
            if !sealed && (self.is_exact() || !in_reach || !has_blocks) {
                self.trim(file, fd, is_copy)?;
            }
            if is_copy && state.footer.get() && state.size.get() == size && size <= sys::file_size_limit() {
                // It was not written anew by trimming, and says so no more: who opens it from now on counts.
                let has_blocks = state.backed.get() >= size - GRAIN;
                self.write_footer(file, fd, size, has_blocks)?;
            }
            self.sign(file);
        }
        Ok(())
    }

    /// Says in the footer who holds the lock. If a killed holder left the bell moving, lets it rest; if it left the epoch odd,
    /// begins the next one.
    fn sign(&self, file: &File) {
        let Some(footer) = self.footer_words() else { return };
        // SAFETY: the words lie in the footer, which is there: room is open, and this handle holds the lock.
        unsafe {
            (*footer.add(HOLDER_AT as usize).cast::<AtomicU64>()).store(sys::process_id(), Relaxed);
            let bell = &*footer.add(BELL_AT as usize).cast::<AtomicU32>();
            if bell.load(Relaxed) == MOVED {
                bell.store(0, Relaxed);
                file.state.bell.set(0);
            }
        }
        if !file.state.epoch.get().is_multiple_of(2) {
            self.enter_epoch();
        }
        // Before the first element that is stored: who sees it has the epoch that was found.
        fence(Release);
    }

    /// Where the footer lies in memory, while this handle publishes there.
    #[inline]
    pub(super) fn footer_words(&self) -> Option<*mut u8> {
        let word = self.publish.load(Relaxed);
        (!word.is_null()).then(|| word.cast::<u8>().wrapping_sub(LENGTH_AT as usize))
    }

    /// Lets appends go up to what the file has room for.
    pub(super) fn open_room(&self, file: &File) {
        let state = &file.state;
        if !state.footer.get() {
            self.close_room();
            return;
        }
        let size = state.size.get();
        let reservation = &file.mapping.reservation;
        let end = state.backed.get().min(size.min(reservation.bytes()) - footer::SIZE);
        let capacity = self.layout.fitting(end).max(self.len());
        let footer = match state.footer_in_last_page() {
            Some(footer) => footer,
            None => reservation.base().wrapping_add((size - footer::SIZE) as usize),
        };
        self.publish.store(footer.wrapping_add(footer::LENGTH_AT as usize).cast(), Relaxed);
        self.capacity.store(capacity, Release);
        let room = &file.mapping.place.gate.room;
        room.store(if self.is_exact() { 0 } else { capacity }, SeqCst);
        // The guard may have marked the handle while this was under way, or a signal handler have forked, and this be the child.
        if self.state.load(SeqCst) != WORKS || !file.is_held() {
            room.store(0, Relaxed);
        }
    }

    pub(super) fn close_room(&self) {
        if let Some(file) = &self.file {
            file.mapping.place.gate.room.store(0, Relaxed);
            self.publish.store(core::ptr::null_mut(), Relaxed);
            file.state.last_page.take();
        }
        self.capacity.store(self.len.load(Relaxed), Relaxed);
    }
}

/// Whether there are blocks behind the spare room that was found. A file that was restored from a backup in its
/// place has holes there, as a copy has. What the footer says was true for the file it was written to.
fn has_blocks(traits: FileSystemTraits, state: &State, fd: RawFd, end: u64) -> bool {
    let spare = state.stat.size.saturating_sub(end.next_multiple_of(GRAIN));
    if state.stat.allocated < spare {
        // There are holes for certain. To fill them could take all the memory there is, if somebody made the size up.
        return false;
    }
    // Where memory counts by whole pages, the sum tells; asking anew would take longer.
    let whole_in_memory = traits.in_memory && state.stat.allocated >= state.stat.size;
    whole_in_memory || sys::reserve_blocks(fd, end / GRAIN * GRAIN, state.stat.size).is_ok()
}
