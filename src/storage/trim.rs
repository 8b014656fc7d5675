//! Becoming shorter: fewer elements, and spare room given back.

use core::sync::atomic::Ordering::{Relaxed, Release};
use std::os::fd::RawFd;

use super::grow::{Pace, check_limit};
use super::lock::{self, Wait};
use super::tail::{self, GRAIN, State};
use super::tenure::is_sealed;
use super::{File, Storage, sys};
use crate::error::{Error, Result};

impl Storage {
    /// Does what can fail about becoming shorter, so that the elements can be moved before [`Storage::shorten`]: an
    /// exact file gets a record for the while too, since a cut could fail when they have moved.
    /// If the elements will read as a record then, the file needs a true one behind them.
    pub fn prepare_to_shorten(&self, will_look_like_record: bool) -> Result<()> {
        self.lock(Wait::No)?;
        let file = self.growable()?;
        if file.tenure.record.get() {
            return self.check_size(file);
        }
        match self.grow(file, self.len(), Pace::Exact) {
            // A file that can't have a record is cut.
            Err(error)
                if (error.is_no_room() || error == Error::Limit)
                    && !file.tenure.traits().sealed
                    && !will_look_like_record =>
            {
                Ok(())
            }
            result => result.map(drop),
        }
    }

    /// Makes the array shorter: in the record, which an exact file has none of and is cut instead. A file
    /// without a record gets one; where there is no space even for that, it is cut too.
    pub fn shorten(&self, len: usize) -> Result<()> {
        self.lock(Wait::No)?;
        let file = self.growable()?;
        if !file.tenure.record.get() && !self.is_exact() {
            self.prepare_to_shorten(false)?;
        }
        if !file.tenure.record.get() {
            return self.cut(file, file.lock_fd()?, len);
        }
        // SAFETY: the file has a record, so the word to publish in is there; a shorter length fits.
        unsafe { self.publish(len) };
        self.settle();
        Ok(())
    }

    /// Brings an exact file back to its elements after a change that went through spare room.
    pub fn settle(&self) {
        if let (true, Some(file)) = (self.is_exact(), &self.file)
            && file.tenure.record.get()
            && file.held.load(Relaxed)
        {
            // The change has happened and is published. If the cut fails the record says so, and the next
            // call that changes the length tries again.
            let _ = file.lock_fd().and_then(|fd| self.cut(file, fd, self.len()));
        }
    }

    /// Gives spare room back. The file is then its elements; a sealed one keeps its size and gives back memory.
    pub fn shrink_to_fit(&self) -> Result<()> {
        self.lock(Wait::No)?;
        let file = self.growable()?;
        let fd = file.lock_fd()?;
        if !file.tenure.record.get() {
            // Blocks that a killed process had reserved beyond the end, for a step that didn't come about.
            self.check_size(file)?;
            return sys::ftruncate(fd, file.tenure.size.get());
        }
        if file.tenure.traits().sealed { self.punch(file, fd) } else { self.cut(file, fd, self.len()) }
    }

    /// What closing a handle that can change the length does for the file: if nobody else holds the lock,
    /// cuts it to its elements. That also repairs what a killed process has left.
    pub fn trim_at_close(&self) -> Result<()> {
        if let Err(error) = self.check() {
            let held = self.file.as_ref().filter(|file| file.held.load(Relaxed));
            let released = held.map_or(Ok(()), File::release);
            return if error == Error::Panic { released } else { Err(error) };
        }
        let Ok(file) = self.growable() else { return Ok(()) };
        if file.forked.load(Relaxed) {
            return Ok(());
        }
        if file.held.load(Relaxed) {
            let needed = file.tenure.record.get() && !file.tenure.traits().sealed;
            let result = file.lock_fd().and_then(|fd| {
                if needed {
                    return self.cut(file, fd, self.len());
                }
                // Nothing needs to be done, but somebody else's doing to be told.
                self.check_size(file).and_then(|()| self.guard_last_elements(file, fd))
            });
            // A child that is being forked at this moment may have the description open for a little longer.
            return result.and(file.release());
        }
        // Without a record there is nothing to do, and no lock needed to see that.
        let seems_to_have_record = looks_like_record(file.fd(), sys::stat(file.fd())?.size)?;
        if !seems_to_have_record || is_sealed(file.fd())? {
            return Ok(());
        }
        let fd = file.lock_fd()?;
        match lock::take(fd, Wait::No) {
            Err(Error::Locked) => return Ok(()),
            result => result?,
        }
        let result = match tail::read_state(fd, &self.shape) {
            Ok(State { record: Some(_), len, .. }) => self
                .end_of(len)
                .and_then(|end| if looks_like_record(fd, end)? { Ok(()) } else { sys::ftruncate(fd, end) }),
            Err(error @ Error::Os(_)) => Err(error),
            // The file has become something else, which isn't this handle's to tidy up.
            _ => Ok(()),
        };
        result.and(file.release())
    }

    /// Cuts the file to `len` elements, and the handle's length with it.
    pub(super) fn cut(&self, file: &File, fd: RawFd, len: usize) -> Result<()> {
        let tenure = &file.tenure;
        let end = self.end_of(len)?;
        self.check_size(file)?;
        if looks_like_record(fd, end)? {
            return self.cut_to_record(file, fd, len, end);
        }
        debug_assert!(!tenure.record.get() || len == self.len(), "a record's length changes by publishing");
        self.close_room();
        sys::ftruncate(fd, end).inspect_err(|_| self.open_room(file))?;
        tenure.size.set(end);
        tenure.backed.set(end);
        tenure.record.set(false);
        tenure.step.set(0);
        self.len.store(len, Release);
        self.close_room();
        Ok(())
    }

    /// Before a file without a record is given out of hand: if its last elements were set so that they read as a
    /// record, puts a true one behind them.
    pub(super) fn guard_last_elements(&self, file: &File, fd: RawFd) -> Result<()> {
        let end = self.end_of(self.len())?;
        if file.tenure.record.get() || !looks_like_record(fd, end)? {
            return Ok(());
        }
        self.check_size(file)?;
        self.cut_to_record(file, fd, self.len(), end)
    }

    /// The one case in which spare room must stay: the last elements would read as a record if they were at
    /// the end of the file. They get a page behind them, with a true one.
    fn cut_to_record(&self, file: &File, fd: RawFd, len: usize, end: u64) -> Result<()> {
        let tenure = &file.tenure;
        let size = end + GRAIN;
        if size > file.reservation.bytes() {
            return Err(Error::Limit);
        }
        if !tenure.record.get() {
            self.grow(file, self.len(), Pace::Exact)?;
            // SAFETY: the file has just got a record, and a shorter length fits.
            unsafe { self.publish(len) };
        }
        if tenure.size.get() > size {
            check_limit(size)?;
            self.write_record(file, fd, size, true)?;
            sys::ftruncate(fd, size)?;
            tenure.size.set(size);
            tenure.backed.set(size);
            self.open_room(file);
        }
        Ok(())
    }

    /// Gives back the memory of a sealed file's spare room.
    fn punch(&self, file: &File, fd: RawFd) -> Result<()> {
        let tenure = &file.tenure;
        self.check_size(file)?;
        let (start, end) = (self.end_of(self.len())?.next_multiple_of(GRAIN), tenure.size.get() - GRAIN);
        if start >= end {
            return Ok(());
        }
        // Whoever takes the lock next must know that there are no pages behind the spare room.
        self.write_identity(file, fd, tenure.size.get(), false)?;
        tenure.backed.set(start);
        tenure.step.set(0);
        self.open_room(file);
        sys::punch_hole(fd, start, end)
    }
}

/// Whether a file that ended at `end` would seem to have a record.
fn looks_like_record(fd: RawFd, end: u64) -> Result<bool> {
    let Some(at) = tail::place_in(end) else { return Ok(false) };
    let mut bytes = [0; 8];
    let count = sys::pread(fd, &mut bytes, at)?;
    Ok(count == bytes.len() && tail::is_magic(bytes))
}
