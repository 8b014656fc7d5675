//! Changing the length of a file: taking the lock, growing, publishing in the tail record, trimming.
//!
//! Everything here keeps one rule: whatever the moment at which the process dies, the file's size and its
//! record together name a length whose elements are all there.

use core::cell::Cell;
use core::sync::atomic::Ordering::{Relaxed, Release};
use std::os::fd::RawFd;

use super::backing::Access;
use super::lock::{self, Wait};
use super::tail::{self, GRAIN, Record, State};
use super::{File, Storage, sys};
use crate::error::{Error, Result};

/// What the handle knows of the file while it holds the lock.
#[derive(Default)]
pub(super) struct Tenure {
    /// The file's size as this handle left it; anything else is somebody's work who doesn't use the library.
    size: Cell<u64>,
    /// Up to where the file has blocks for certain, in spare room: its size, but for a memfd that was shrunk.
    backed: Cell<u64>,
    /// Whether the file has a record.
    record: Cell<bool>,
    /// The size of the last step of growth.
    step: Cell<u64>,
    traits: Cell<Option<Traits>>,
    dev: Cell<u64>,
    ino: Cell<u64>,
}

/// What doesn't change about a file.
#[derive(Clone, Copy)]
struct Traits {
    /// The bytes are in memory for good, not on a disk.
    in_memory: bool,
    /// The file can't become shorter.
    sealed: bool,
    /// The file system can't reserve blocks.
    no_fallocate: bool,
}

/// How far to grow.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// In steps that double, for appends one after another.
    Amortized,
    /// As far as is needed.
    Exact,
}

const TMPFS_MAGIC: i64 = 0x0102_1994;
const RAMFS_MAGIC: i64 = 0x8584_58f6;

/// The first step of each tenure of the lock.
const FIRST_STEP: u64 = 64 << 10;
/// The largest step on a disk, where reserving blocks is cheap.
const LAST_STEP: u64 = 64 << 20;
/// The largest step in memory, where the system zeroes what it reserves at once.
const LAST_STEP_IN_MEMORY: u64 = 8 << 20;

/// No byte beyond the old end is known to be zero.
const NOTHING_ZERO: u64 = u64::MAX;

impl Traits {
    fn of(fd: RawFd) -> Result<Traits> {
        Ok(Traits {
            in_memory: matches!(sys::file_system(fd)?, TMPFS_MAGIC | RAMFS_MAGIC),
            sealed: sys::seals(fd) & libc::F_SEAL_SHRINK != 0,
            no_fallocate: false,
        })
    }
}

impl Tenure {
    fn traits(&self) -> Traits {
        self.traits.get().unwrap_or(Traits { in_memory: false, sealed: false, no_fallocate: false })
    }
}

// Taking and giving back the lock.
impl Storage {
    /// Takes the growth lock, and takes over the file as it is then.
    pub fn lock(&self, wait: Wait) -> Result<()> {
        let file = self.growable()?;
        if file.held.load(Relaxed) {
            return Ok(());
        }
        let fd = file.fd()?;
        lock::take(fd, wait)?;
        match self.adopt(file, fd) {
            Ok(()) => {
                file.held.store(true, Relaxed);
                file.forked.store(false, Relaxed);
                Ok(())
            }
            Err(error) => {
                self.close_room(file);
                let _ = lock::release(fd);
                Err(error)
            }
        }
    }

    /// Gives the lock back; the spare room stays for whoever takes it next.
    pub fn unlock(&self) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        if !file.held.load(Relaxed) {
            return Ok(());
        }
        self.close_room(file);
        file.held.store(false, Relaxed);
        lock::release(file.fd()?)
    }

    /// Whether this handle may change the length at all.
    pub fn check_growable(&self) -> Result<()> {
        self.growable().map(drop)
    }

    /// The file, if this handle may change its length.
    fn growable(&self) -> Result<&File> {
        match (self.access, &self.file) {
            (Access::Write { .. }, Some(file)) => Ok(file),
            (Access::Read | Access::FixedRead, _) => Err(Error::ReadOnly),
            _ => Err(Error::Fixed),
        }
    }

    fn is_exact(&self) -> bool {
        self.access == Access::Write { exact: true }
    }

    fn adopt(&self, file: &File, fd: RawFd) -> Result<()> {
        let tenure = &file.tenure;
        if tenure.traits.get().is_none() {
            tenure.traits.set(Some(Traits::of(fd)?));
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
        let is_foreign = state.is_copy() && !tenure.traits().sealed;
        if state.record.is_some() && (is_foreign || self.is_exact() || !in_reach) {
            self.cut(file, fd, state.len)?;
        }
        Ok(())
    }

    /// Lets appends go up to what the file has room for.
    fn open_room(&self, file: &File) {
        let tenure = &file.tenure;
        if !tenure.record.get() {
            self.close_room(file);
            return;
        }
        let size = tenure.size.get();
        let capacity = self.shape.fitting(tenure.backed.get().min(size - tail::SIZE));
        let word = file.reservation.base().wrapping_add((size - tail::SIZE + tail::LENGTH_AT) as usize);
        self.publish.store(word.cast(), Relaxed);
        self.capacity.store(capacity, Relaxed);
        self.room.store(if self.is_exact() { 0 } else { capacity }, Relaxed);
    }

    fn close_room(&self, _: &File) {
        self.room.store(0, Relaxed);
        self.publish.store(core::ptr::null_mut(), Relaxed);
        self.capacity.store(self.len.load(Relaxed), Relaxed);
    }
}

// Growing.
impl Storage {
    /// Takes the lock if need be, and makes room for `need` elements. Returns from which byte on the file is
    /// known to be zero.
    pub fn ensure(&self, need: usize, pace: Pace) -> Result<u64> {
        self.lock(Wait::No)?;
        let file = self.growable()?;
        if file.tenure.record.get() && need <= self.capacity.load(Relaxed) {
            return Ok(NOTHING_ZERO);
        }
        self.grow(file, need, pace)
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
        self.ensure(capacity, Pace::Exact).map(drop)
    }

    fn end_of(&self, len: usize) -> Result<u64> {
        self.shape.end_of(len as u64).ok_or(Error::Limit)
    }

    /// Refuses to touch a file that somebody else has changed.
    pub(super) fn check_size(&self, file: &File) -> Result<()> {
        match sys::stat(file.fd()?)?.size.cmp(&file.tenure.size.get()) {
            core::cmp::Ordering::Equal => Ok(()),
            core::cmp::Ordering::Less => Err(Error::Truncated),
            core::cmp::Ordering::Greater => Err(Error::Corrupt),
        }
    }

    fn grow(&self, file: &File, need: usize, pace: Pace) -> Result<u64> {
        let tenure = &file.tenure;
        // What an exact file gets it gives back at the end of the call.
        let pace = if self.is_exact() { Pace::Exact } else { pace };
        let old = tenure.size.get();
        let least = self
            .end_of(need)?
            .checked_add(tail::SIZE)
            .and_then(|end| end.checked_next_multiple_of(GRAIN))
            .filter(|end| *end <= file.reservation.bytes())
            .ok_or(Error::Limit)?;
        self.check_size(file)?;
        let limit = sys::file_size_limit();
        if least > limit {
            return Err(Error::Os(libc::EFBIG));
        }
        let last = if tenure.traits().in_memory { LAST_STEP_IN_MEMORY } else { LAST_STEP };
        let step = (tenure.step.get() * 2).clamp(FIRST_STEP, last);
        let mut target = least;
        if pace == Pace::Amortized {
            let ceiling = file.reservation.bytes().min(limit) / GRAIN * GRAIN;
            target = (tenure.backed.get() + step).next_multiple_of(GRAIN).min(ceiling).max(least);
        }
        loop {
            match self.grow_to(file, target) {
                Ok(()) => break,
                // Less may still fit: halve what goes beyond the need.
                Err(error) if error.is_no_room() && target > least => {
                    target = least + (target - least) / 2 / GRAIN * GRAIN;
                }
                Err(error) => return Err(error),
            }
        }
        tenure.step.set(step);
        tenure.record.set(true);
        self.open_room(file);
        if target <= old {
            return Ok(NOTHING_ZERO);
        }
        file.reservation.dump_up_to(target);
        if pace == Pace::Amortized {
            file.reservation.populate(old / GRAIN * GRAIN, target.min(old + LAST_STEP));
        }
        Ok(old.next_multiple_of(GRAIN))
    }

    /// One step of growth: blocks first, then size and record at once. If it fails the file is as it was.
    fn grow_to(&self, file: &File, target: u64) -> Result<()> {
        let tenure = &file.tenure;
        let fd = file.fd()?;
        let (size, backed) = (tenure.size.get(), tenure.backed.get());
        let mut has_blocks = false;
        if !tenure.traits().no_fallocate {
            match sys::reserve_blocks(fd, backed, target) {
                Ok(()) => has_blocks = true,
                Err(Error::Os(libc::EOPNOTSUPP | libc::ENOSYS)) => {
                    tenure.traits.set(Some(Traits { no_fallocate: true, ..tenure.traits() }));
                }
                Err(error) => {
                    self.undo(file, fd);
                    return Err(error);
                }
            }
        }
        if target <= size {
            // The spare room of a sealed file gets its pages back.
            let all = target + GRAIN >= size;
            if all {
                self.write_identity(file, fd, size, true)?;
            }
            tenure.backed.set(if all { size } else { target });
            return Ok(());
        }
        // Without blocks the record doesn't own up to the file until the zeros are there: whoever finds it
        // after a crash takes the spare room for a copy's, and cuts it.
        let mut result = self.write_record(file, fd, target, has_blocks);
        if result.is_ok() && !has_blocks {
            result = write_zeros(fd, size, target - tail::SIZE)
                .and_then(|()| self.write_identity(file, fd, target, true));
        }
        if let Err(error) = result {
            self.undo(file, fd);
            return Err(error);
        }
        tenure.size.set(target);
        tenure.backed.set(target);
        Ok(())
    }

    /// Gives back blocks beyond the end, and bytes of a write that went wrong.
    fn undo(&self, file: &File, fd: RawFd) {
        // It can't fail for lack of space, and if it does the old record, or a record with the same length,
        // is at the file's end all the same.
        let _ = sys::ftruncate(fd, file.tenure.size.get());
    }

    fn record(&self, file: &File, file_size: u64, own: bool) -> Record {
        let (dev, ino) = if own { (file.tenure.dev.get(), file.tenure.ino.get()) } else { (0, 0) };
        Record { file_size, dev, ino, len: self.len.load(Relaxed) as u64 }
    }

    /// Puts a record at the end of a file of `size` bytes, which makes the file so long if it isn't.
    fn write_record(&self, file: &File, fd: RawFd, size: u64, own: bool) -> Result<()> {
        let bytes = self.record(file, size, own).encode(&self.shape);
        write_all(fd, &bytes, size - tail::SIZE)
    }

    /// Writes the record at the end of a file of `size` bytes again, all but the length.
    fn write_identity(&self, file: &File, fd: RawFd, size: u64, own: bool) -> Result<()> {
        let bytes = self.record(file, size, own).encode(&self.shape);
        write_all(fd, &bytes[..tail::LENGTH_AT as usize], size - tail::SIZE)
    }

    /// Appends one element to an exact file that has no record, by the write that lengthens it. `false` if
    /// that write wouldn't be all or nothing, or would leave what looks like a record: then the element must
    /// go the way of all others.
    ///
    /// # Safety
    /// `value` must be valid for reads of an element.
    pub unsafe fn append_exact(&self, value: *const u8) -> Result<bool> {
        let file = self.growable()?;
        let tenure = &file.tenure;
        let len = self.len();
        let (start, end) = (self.end_of(len)?, self.end_of(len.checked_add(1).ok_or(Error::Limit)?)?);
        // The system copies a page at a time, and lengthens the file after each.
        let crosses = start / GRAIN != (end - 1) / GRAIN || end % GRAIN == 0;
        if !self.is_exact() || tenure.record.get() || crosses {
            return Ok(false);
        }
        if end > file.reservation.bytes() - tail::SIZE {
            return Err(Error::Limit);
        }
        self.check_size(file)?;
        if end > sys::file_size_limit() {
            return Err(Error::Os(libc::EFBIG));
        }
        let fd = file.fd()?;
        let count = self.shape.itemsize;
        // SAFETY: the caller promises the element.
        match unsafe { sys::pwrite(fd, value, count, start) } {
            Ok(written) if written == count => {}
            result => {
                self.undo(file, fd);
                return Err(result.err().unwrap_or(Error::Os(libc::ENOSPC)));
            }
        }
        tenure.size.set(end);
        tenure.backed.set(end);
        file.reservation.dump_up_to(end);
        self.len.store(len + 1, Release);
        self.capacity.store(len + 1, Relaxed);
        Ok(true)
    }
}

// Shortening.
impl Storage {
    /// Does what can fail about becoming shorter, so that the elements can be moved before [`Storage::shorten`].
    pub fn prepare_to_shorten(&self) -> Result<()> {
        self.lock(Wait::No)?;
        let file = self.growable()?;
        if file.tenure.record.get() || self.is_exact() {
            return self.check_size(file);
        }
        match self.grow(file, self.len(), Pace::Exact) {
            // A file that can't have a record is cut.
            Err(error) if error.is_no_room() || error == Error::Limit => Ok(()),
            result => result.map(drop),
        }
    }

    /// Makes the array shorter: in the record, which an exact file has none of and is cut instead. A file
    /// without a record gets one; where there is no space even for that, it is cut too.
    pub fn shorten(&self, len: usize) -> Result<()> {
        self.lock(Wait::No)?;
        let file = self.growable()?;
        if !file.tenure.record.get() {
            self.prepare_to_shorten()?;
        }
        if !file.tenure.record.get() {
            return self.cut(file, file.fd()?, len);
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
            let _ = file.fd().and_then(|fd| self.cut(file, fd, self.len()));
        }
    }

    /// Gives spare room back. The file is then its elements; a sealed one keeps its size and gives back memory.
    pub fn shrink_to_fit(&self) -> Result<()> {
        self.lock(Wait::No)?;
        let file = self.growable()?;
        let fd = file.fd()?;
        if !file.tenure.record.get() {
            return Ok(());
        }
        if file.tenure.traits().sealed { self.punch(file, fd) } else { self.cut(file, fd, self.len()) }
    }

    /// What closing a handle that can change the length does for the file: if nobody else holds the lock,
    /// cuts it to its elements. That also repairs what a killed process has left.
    pub fn trim_at_close(&self) -> Result<()> {
        let Ok(file) = self.growable() else { return Ok(()) };
        if file.forked.load(Relaxed) || self.is_poisoned() {
            return Ok(());
        }
        let fd = file.fd()?;
        if file.held.load(Relaxed) {
            if !file.tenure.record.get() || file.tenure.traits().sealed {
                return Ok(());
            }
            return self.cut(file, fd, self.len());
        }
        // Without a record there is nothing to do, and no lock needed to see that.
        if !matches!(tail::read_state(fd, &self.shape), Ok(State { record: Some(_), .. })) {
            return Ok(());
        }
        if sys::seals(fd) & libc::F_SEAL_SHRINK != 0 || lock::take(fd, Wait::No).is_err() {
            return Ok(());
        }
        match tail::read_state(fd, &self.shape) {
            Ok(State { record: Some(_), len, .. }) => {
                let end = self.end_of(len)?;
                if looks_like_record(fd, end)? { Ok(()) } else { sys::ftruncate(fd, end) }
            }
            _ => Ok(()),
        }
    }

    /// Cuts the file to `len` elements, and the handle's length with it.
    fn cut(&self, file: &File, fd: RawFd, len: usize) -> Result<()> {
        let tenure = &file.tenure;
        let end = self.end_of(len)?;
        self.check_size(file)?;
        if looks_like_record(fd, end)? {
            return self.cut_to_record(file, fd, len, end);
        }
        debug_assert!(!tenure.record.get() || len == self.len(), "a record's length changes by publishing");
        self.close_room(file);
        sys::ftruncate(fd, end).inspect_err(|_| self.open_room(file))?;
        tenure.size.set(end);
        tenure.backed.set(end);
        tenure.record.set(false);
        tenure.step.set(0);
        self.len.store(len, Release);
        self.close_room(file);
        Ok(())
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
        sys::fallocate(fd, libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE, start, end - start)
    }
}

/// Whether a file that ended at `end` would seem to have a record.
fn looks_like_record(fd: RawFd, end: u64) -> Result<bool> {
    if end < GRAIN || !end.is_multiple_of(GRAIN) {
        return Ok(false);
    }
    let mut bytes = [0; 8];
    let count = sys::pread(fd, &mut bytes, end - tail::SIZE)?;
    Ok(count == bytes.len() && tail::is_magic(bytes))
}

/// Writes all bytes at once; fewer means that there is no room.
fn write_all(fd: RawFd, bytes: &[u8], at: u64) -> Result<()> {
    // SAFETY: the slice is valid for reads of its length.
    let written = unsafe { sys::pwrite(fd, bytes.as_ptr(), bytes.len(), at) }?;
    if written == bytes.len() { Ok(()) } else { Err(Error::Os(libc::ENOSPC)) }
}

/// Fills a range with zeros, so that it has blocks where the file system can't reserve them.
fn write_zeros(fd: RawFd, mut at: u64, end: u64) -> Result<()> {
    static ZEROS: [u8; 65536] = [0; 65536];
    while at < end {
        let count = (end - at).min(ZEROS.len() as u64) as usize;
        // SAFETY: the array is valid for reads of its length, which `count` doesn't exceed.
        match unsafe { sys::pwrite(fd, ZEROS.as_ptr(), count, at) }? {
            0 => return Err(Error::Os(libc::ENOSPC)),
            written => at += written as u64,
        }
    }
    Ok(())
}
