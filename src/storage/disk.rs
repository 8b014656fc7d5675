//! What of the array is on the disk, and what the file's time of change tells; advice on the use of a range.

use core::sync::atomic::Ordering::Relaxed;

use super::access::Access;
use super::{File, STORED, Storage, UNCHANGED, footer, sys};
use crate::error::Result;

/// What storage can be told about the use of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
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

impl Storage {
    /// Puts elements, footer and size on the disk, in this order.
    pub fn flush(&self) -> Result<()> {
        self.check()?;
        let Ok(file) = self.growable() else { return Ok(()) };
        let fd = file.mapping.fd();
        let end = self.end_of(self.len())?;
        let size = if file.is_held() {
            self.check_file(file)?;
            file.state.size.get()
        } else {
            file.mapping.check(fd)?.size
        };
        self.show_time_of_change(file);
        file.mapping.reservation.flush(0, end.min(size))?;
        if size > end {
            file.mapping.reservation.flush(size.saturating_sub(footer::SIZE), size)?;
        }
        if size == 0 {
            // There is nothing mapped to put on the disk, but the size.
            sys::fdatasync(fd)?;
        }
        if let Some(directory) = file.new_in.get() {
            let known = directory.known(file.mapping.path.as_deref());
            sys::sync_directory(fd, known.as_ref().map(|(path, identity)| (&**path, *identity)))?;
            file.new_in.set(None);
        }
        Ok(())
    }

    /// Advises the system on the use of a range of elements. Does nothing where the length is fixed: there
    /// the memory may be the only place that has the elements.
    pub fn advise(&self, start: usize, count: usize, advise: Advice) -> Result<()> {
        let file = match self.changing_file() {
            Some(file) if count > 0 => file,
            _ => return Ok(()),
        };
        let itemsize = self.layout.itemsize as u64;
        let (start, count) = (self.layout.offset + start as u64 * itemsize, count as u64 * itemsize);
        match advise {
            Advice::Normal => file.mapping.reservation.advise(memmap2::Advice::Normal, start, count),
            Advice::Random => file.mapping.reservation.advise(memmap2::Advice::Random, start, count),
            Advice::Sequential => file.mapping.reservation.advise(memmap2::Advice::Sequential, start, count),
            Advice::WillNeed => file.mapping.reservation.advise(memmap2::Advice::WillNeed, start, count),
            Advice::DontNeed => file.mapping.reservation.drop_pages(start, count),
        }
    }

    /// Sees to it that the file's time of change tells of what was stored through the mapping: backups go by it.
    pub(super) fn show_time_of_change(&self, file: &File) {
        // In a child this tells of what the parent has changed, which may have ended without telling, as daemons' do.
        let now = (self.len(), self.epoch.load(Relaxed));
        let is_longer_or_shorter = file.state.start.get().is_some_and(|start| start != now);
        let changed = self.stores.load(Relaxed) == STORED || is_longer_or_shorter;
        if self.access == Access::Anonymous || !changed {
            return;
        }
        file.state.start.set(file.state.start.get().map(|_| now));
        self.stores.store(UNCHANGED, Relaxed);
        let fd = file.mapping.fd();
        if file.mapping.check(fd).is_ok() {
            // Nothing that was acknowledged depends on it.
            let _ = sys::touch(fd);
        }
    }
}
