//! What must hold after every step, whatever has happened: of the file, of a new reader, and of every handle.

use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use mmap_backed_array::capi::MBA_RDONLY;

use super::calls;
use super::footer::{self, FOOTER, PAGE};
use super::lead::Lead;
use super::model::{Checked, Holder, Taken, ensure, is_unsettled};
use super::steps::Kind;
use super::talk::{Order, What};
use super::worker::{ANY, Row, SLOTS};
use crate::helpers::raw::Raw;

/// The bytes that carry the growth lock and presence.
const LOCK: i64 = i64::MAX - 1;
const PRESENCE: i64 = i64::MAX - 2;

impl Lead<'_> {
    pub(super) fn check(&mut self) -> Checked {
        self.check_file()?;
        self.check_size()?;
        self.check_locks()?;
        self.check_reader()?;
        self.check_handles()
    }

    /// The file opens, with the true length and the elements.
    fn check_file(&mut self) -> Checked {
        let reading = footer::read(&self.file, self.ty)?;
        if self.reading.is_unsettled() && reading.epoch != self.reading.epoch {
            self.model.doubts += 1;
        }
        self.reading = reading;
        let (len, size) = (self.model.len(), self.model.size);
        ensure!(reading.len == len, "the file has {} elements instead of {len}: {reading:?}", reading.len);
        let mut found = vec![0; len * size];
        self.file.read_exact_at(&mut found, 0).map_err(|error| error.to_string())?;
        let differs = || found.iter().zip(&self.model.elements).position(|(a, b)| a != b);
        ensure!(found == self.model.elements, "byte {:?} in the file is another", differs());
        // What a handle has seen stays in the file, and what isn't an element keeps away from it.
        for handle in &self.model.handles {
            let end = handle.seen * size;
            let (name, room) = (handle.name(), reading.room());
            ensure!(end <= room, "{name} has seen {end} bytes, and only {room} are left: {reading:?}");
            ensure!(reading.reach >= handle.seen, "{name} has seen {} elements: {reading:?}", handle.seen);
        }
        if !reading.has_footer {
            self.model.taken = Taken::No;
        } else if reading.epoch == 0 {
            // A handle that is alone may have trimmed the file when it took the lock, and let it grow again.
            let others = self.model.handles.len() > 1 || self.somebody_has_duplicates();
            let text = "elements were taken away or moved, and the epoch is 0";
            ensure!(self.model.taken != Taken::Yes || !others, "{text}: {reading:?}");
            self.model.taken = Taken::No;
        } else if self.model.taken == Taken::No {
            let known = self.model.handles.iter().any(|handle| handle.looked.epoch == reading.epoch);
            ensure!(known, "nothing was taken away or moved: {reading:?}");
            self.model.taken = Taken::Yes;
        } else {
            self.model.taken = Taken::Yes;
        }
        Ok(())
    }

    /// Where the file must be its elements, it is.
    fn check_size(&self) -> Checked {
        let (reading, end) = (&self.reading, self.model.elements.len());
        if self.must_be_exact {
            if footer::ends_alike(&self.model.elements) {
                let sound = reading.has_footer && reading.size == end + PAGE;
                ensure!(
                    sound,
                    "{end} bytes that look like a footer should have a page behind them: {reading:?}"
                );
            } else {
                ensure!(!reading.has_footer, "the file should be its {end} bytes: {reading:?}");
            }
        }
        if self.must_be_trimmed && reading.has_footer && !footer::ends_alike(&self.model.elements) {
            let most = (reading.reach * self.model.size + FOOTER).next_multiple_of(PAGE);
            ensure!(reading.size <= most, "the file should have been trimmed to {most} bytes: {reading:?}");
        }
        Ok(())
    }

    /// Whether somebody has locked a byte.
    fn is_locked(&self, byte: i64) -> bool {
        // SAFETY: all zeros are a lock.
        let mut lock: libc::flock = unsafe { std::mem::zeroed() };
        lock.l_type = libc::F_WRLCK as i16;
        lock.l_whence = libc::SEEK_SET as i16;
        lock.l_start = byte;
        lock.l_len = 1;
        // SAFETY: the structure is there during the call.
        let done = unsafe { libc::fcntl(self.file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) };
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
        lock.l_type != libc::F_UNLCK as i16
    }

    /// The growth lock is held if and only if the model says so, by the process that it says; and handles are present.
    fn check_locks(&mut self) -> Checked {
        let is_locked = self.is_locked(LOCK);
        match self.model.holder {
            Holder::Nobody => ensure!(!is_locked, "the growth lock is held, and by nobody"),
            Holder::Handle(_) => ensure!(is_locked, "the growth lock isn't held any more"),
            Holder::Lingers if !is_locked => self.model.holder = Holder::Nobody,
            Holder::Lingers => {}
        }
        if let Holder::Handle(id) = self.model.holder
            && self.reading.has_footer
        {
            let holder = self.model.handles.iter().find(|handle| handle.id == id).expect("it is open");
            let pid = self.pid(holder.process) as u64;
            ensure!(self.reading.holder == pid, "the holder's process is {pid}: {:?}", self.reading);
        }
        let somebody = self.is_locked(PRESENCE);
        ensure!(somebody || self.model.handles.is_empty(), "handles are open, and nobody is present");
        ensure!(!somebody || self.somebody_is_there(), "no handle is open, and somebody is present");
        Ok(())
    }

    /// A new handle for reading sees what there is.
    fn check_reader(&self) -> Checked {
        let raw =
            Raw::open(&self.path, self.ty, MBA_RDONLY).map_err(|code| format!("a reader gets {code}"))?;
        let (len, bytes) = (raw.len(), self.model.elements.len());
        ensure!(len == self.model.len(), "a reader sees {len} elements instead of {}", self.model.len());
        // SAFETY: the handle has so many elements, and nobody changes them now.
        let found = unsafe { std::slice::from_raw_parts(raw.data(), bytes) };
        ensure!(found == self.model.elements, "a reader sees other elements");
        let epoch = calls::epoch(&raw);
        ensure!(
            epoch == self.reading.epoch || self.reading.is_unsettled(),
            "a reader's epoch is {epoch}: {:?}",
            self.reading
        );
        ensure!(raw.close() == Ok(()), "a reader can't be closed");
        Ok(())
    }

    /// Every handle sees through its own pointer what the model says.
    fn check_handles(&mut self) -> Checked {
        let (size, len) = (self.model.size, self.model.len());
        self.board.put_elements(&self.model.elements);
        for process in self.live() {
            for slot in 0..SLOTS {
                Row::default().put(&self.board, process, slot);
            }
        }
        for at in 0..self.model.handles.len() {
            let handle = &self.model.handles[at];
            let is_shared = handle.kind != Kind::Private;
            let row = Row {
                is_open: 1,
                same: if is_shared { (handle.seen.min(len) * size) as u64 } else { 0 },
                seen: (handle.seen * size) as u64,
                len: handle.len as u64,
                has_lock: self.model.holds(at).into(),
                epoch: if is_unsettled(handle.looked.epoch) { ANY } else { handle.looked.epoch },
                data: handle.data,
            };
            row.put(&self.board, handle.process, handle.slot);
        }
        for process in self.live() {
            let order = Order::new(What::CheckAll, 0).with(self.model.elements.len(), 0, 0);
            self.order(process, order)?;
            if let Some(complaint) = self.board.complaint() {
                return Err(complaint);
            }
        }
        for at in 0..self.model.handles.len() {
            if self.model.handles[at].kind == Kind::Private {
                self.check_copy(at)?;
            }
        }
        Ok(())
    }

    /// A private copy shows its own pages, and the file's elements where it has none.
    fn check_copy(&mut self, at: usize) -> Checked {
        let handle = &self.model.handles[at];
        let (process, slot, name) = (handle.process, handle.slot, handle.name());
        let (known, there) = (handle.len * self.model.size, self.model.elements.len());
        let view = self.view(at, known);
        let mut pieces: Vec<(usize, usize)> = vec![(0, known.min(there))];
        let own =
            self.model.handles[at].pages.keys().map(|page| (page * PAGE, ((page + 1) * PAGE).min(known)));
        pieces.extend(own.filter(|(start, end)| end > start));
        self.put_values(&view);
        for (start, end) in pieces {
            let order = Order::new(What::Compare, slot).with(start, end - start, 0);
            let answer = self.order(process, order)?;
            let place = start as u64 + answer.value;
            ensure!(answer.value == 0, "{name}, a private copy: byte {} is another", place - 1);
        }
        Ok(())
    }
}
