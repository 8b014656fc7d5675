//! Becoming shorter: fewer elements, and spare room given back.
//!
//! What an open handle can have seen as an element, up to the reach, is truncated only by who is alone. A footer that says that
//! elements were taken away goes only then, too, so that everybody else can learn of it.

use core::sync::atomic::Ordering::{Relaxed, Release};
use std::os::fd::RawFd;

use super::footer::{GRAIN, seems_to_have_footer};
use super::grow::GrowthPolicy;
use super::lock::Wait;
use super::tidy::{End, plan};
use super::{File, Storage, sys};
use crate::error::{Error, Result};

impl Storage {
    /// Does what can fail about becoming `len` elements long, so that the elements can be moved before
    /// [`Storage::shorten`]: the file gets a footer to publish the shorter length in. If the elements will read as a footer
    /// then, the file needs a true one behind them.
    pub fn prepare_to_shorten(&self, len: usize, will_look_like_footer: bool) -> Result<()> {
        self.lock(Wait::No)?;
        let file = self.growable()?;
        if file.state.footer.get() {
            return self.check_file(file);
        }
        match self.grow(file, self.len(), GrowthPolicy::Exact) {
            // A file that can't have a footer is truncated, if nobody else has it open.
            Err(error)
                if (error.is_no_room() || matches!(error, Error::Limit | Error::Fixed))
                    && !file.state.traits().sealed
                    && !will_look_like_footer =>
            {
                if self.exclude(file, len)? {
                    Ok(())
                } else {
                    Err(error)
                }
            }
            result => result.map(drop),
        }
    }

    /// Whether [`Storage::shorten`] will truncate the file, which can fail, since there was no room for a footer.
    pub fn is_about_to_truncate(&self) -> bool {
        self.file.as_ref().is_some_and(|file| file.state.excludes.get())
    }

    /// Makes the array shorter: in the footer, or by truncating the file where [`Storage::prepare_to_shorten`] could not make
    /// one.
    pub fn shorten(&self, len: usize) -> Result<()> {
        self.shorten_or(len, || ())
    }

    /// The same for who has moved elements: if it fails, `undo` moves them back before anybody else can open the file.
    pub fn shorten_or(&self, len: usize, undo: impl FnOnce()) -> Result<()> {
        self.try_to_shorten(len).inspect_err(|_| {
            undo();
            self.stay_as_long();
        })
    }

    fn try_to_shorten(&self, len: usize) -> Result<()> {
        self.lock(Wait::No)?;
        let file = self.growable()?;
        self.let_go_beyond(len);
        if !file.state.footer.get() && !file.state.excludes.get() {
            let fd = file.mapping.lock_fd()?;
            let looks_like_footer = seems_to_have_footer(fd, self.end_of(len)?)?;
            self.check_file(file)?;
            self.prepare_to_shorten(len, looks_like_footer)?;
        }
        if file.state.excludes.get() {
            return self.truncate_excluding(file, len);
        }
        // SAFETY: the file has a footer, so the words to publish in are there; a shorter length fits.
        unsafe { self.publish_shorter(len) };
        self.trim_exact();
        Ok(())
    }

    /// Keeps others from opening the file, if nobody else has it open, so that it can be truncated without a footer. The handle
    /// has the shorter length from now on, and no epoch, for a child that is forked in between.
    fn exclude(&self, file: &File, len: usize) -> Result<bool> {
        if file.mapping.are_others_seen()? {
            return Ok(false);
        }
        let epoch = self.epoch.load(Relaxed);
        self.leave_epoch();
        let before = self.len.swap(len, Release);
        // Before others are kept out: a child that is forked in between has to let them in.
        file.state.excludes.set(true);
        let alone = file.mapping.exclude();
        file.state.excludes.set(alone == Ok(true));
        if alone != Ok(true) {
            self.len.store(before, Release);
            self.epoch.store(epoch, Release);
        }
        alone
    }

    /// After [`Storage::prepare_to_shorten`], if the array stays as long as it was, with its elements where they were.
    pub fn stay_as_long(&self) {
        if let Some(file) = self.file.as_ref().filter(|file| file.end_exclusion()) {
            self.len.store(self.layout.fitting(file.state.size.get()), Release);
            self.enter_epoch();
        }
    }

    /// Truncates a file without a footer, which others are kept from opening.
    fn truncate_excluding(&self, file: &File, len: usize) -> Result<()> {
        let end = self.end_of(len)?;
        let result = file.mapping.lock_fd().and_then(|fd| {
            self.check_file(file)?;
            sys::ftruncate(fd, end)
        });
        if result.is_ok() {
            file.end_exclusion();
            self.was_truncated(file, end);
            self.len.store(len, Release);
            self.capacity.store(len, Relaxed);
            self.enter_epoch();
        }
        result
    }

    /// The file was truncated to its elements, and has no footer any more.
    fn was_truncated(&self, file: &File, end: u64) {
        let state = &file.state;
        state.size.set(end);
        state.backed.set(end);
        state.footer.set(false);
        state.reach.set(0);
        state.epoch.set(0);
        state.step.set(0);
        self.close_room();
    }

    /// What this handle saw as elements before it took the lock needn't stay beyond this length: its own call takes it away,
    /// also where others were faster.
    pub fn let_go_beyond(&self, len: usize) {
        if let Some(file) = &self.file {
            file.state.floor.set(file.state.floor.get().min(len));
        }
    }

    /// Gives spare room back. The file is then its elements, if no other handle can have seen more; a sealed one keeps its
    /// size and gives back memory.
    pub fn shrink_to_fit(&self) -> Result<()> {
        self.lock(Wait::No)?;
        let file = self.growable()?;
        let fd = file.mapping.lock_fd()?;
        file.state.floor.set(0);
        if !file.state.footer.get() {
            // Blocks that a killed process had reserved beyond the end, for a step that didn't come about.
            self.check_file(file)?;
            return sys::ftruncate(fd, file.state.size.get());
        }
        if file.state.traits().sealed { self.punch(file, fd) } else { self.trim(file, fd, false) }
    }

    /// Gives spare room back, as far as others allow; `is_nobodys` says that nobody can have seen more than the length.
    pub(super) fn trim(&self, file: &File, fd: RawFd, is_nobodys: bool) -> Result<()> {
        let state = &file.state;
        self.check_file(file)?;
        let may_truncate = is_nobodys || state.epoch.get() == 0 || file.mapping.is_alone()?;
        let floor = state.floor.get() as u64;
        let reach = if may_truncate { floor } else { state.reach.get().max(floor) };
        match plan(fd, &self.layout, self.len() as u64, reach, may_truncate)? {
            End::Exact(end) => {
                self.close_room();
                sys::ftruncate(fd, end).inspect_err(|_| self.open_room(file))?;
                self.was_truncated(file, end);
                Ok(())
            }
            End::Footer(size) => {
                if may_truncate {
                    // Nobody has seen more, but this handle itself.
                    self.set_reach(file, if floor <= self.len() as u64 { 0 } else { floor });
                }
                self.move_footer_back(file, fd, size)
            }
        }
    }

    /// Puts the footer at the end of a shorter file.
    fn move_footer_back(&self, file: &File, fd: RawFd, size: u64) -> Result<()> {
        let state = &file.state;
        if size > file.mapping.reservation.bytes() {
            return Err(Error::Limit);
        }
        if state.size.get() <= size {
            return Ok(());
        }
        sys::check_size_limit(size)?;
        // The page with the footer gets its blocks by being written.
        let has_blocks = state.backed.get() + GRAIN >= size;
        self.write_footer(file, fd, size, has_blocks)?;
        sys::ftruncate(fd, size)?;
        state.size.set(size);
        state.backed.set(state.backed.get().min(size));
        self.open_room(file);
        Ok(())
    }

    /// Before a file without a footer is given out of hand: if its last elements were set so that they read as one, puts a
    /// true one behind them.
    pub(super) fn put_footer_behind_lookalike(&self, file: &File, fd: RawFd) -> Result<()> {
        let end = self.end_of(self.len())?;
        if file.state.footer.get() || !seems_to_have_footer(fd, end)? {
            return Ok(());
        }
        self.check_file(file)?;
        self.grow(file, self.len(), GrowthPolicy::Exact).map(drop)?;
        self.move_footer_back(file, fd, end + GRAIN)
    }

    /// Gives back the memory of a sealed file's spare room.
    fn punch(&self, file: &File, fd: RawFd) -> Result<()> {
        let state = &file.state;
        self.check_file(file)?;
        let (start, end) = (self.end_of(self.len())?.next_multiple_of(GRAIN), state.size.get() - GRAIN);
        if start >= end {
            return Ok(());
        }
        // Whoever takes the lock next must know that there are no pages behind the spare room.
        self.write_fixed_part(file, fd, state.size.get(), false)?;
        state.backed.set(start);
        state.step.set(0);
        self.open_room(file);
        sys::punch_hole(fd, start, end)
    }
}

impl File {
    /// Lets others open the file again; whether they were kept from it.
    pub(super) fn end_exclusion(&self) -> bool {
        let excludes = self.state.excludes.get();
        if excludes {
            self.mapping.admit();
            // After that: a child that is forked in between lets them in once more.
            self.state.excludes.set(false);
        }
        excludes
    }
}
