//! Taking up what others have published: a look at the file, and what is known of it since the last one.

use core::sync::atomic::{
    Ordering::Acquire, Ordering::Relaxed, Ordering::Release, Ordering::SeqCst, compiler_fence, fence,
};
use std::os::fd::RawFd;

use super::file_state::{State, read_state};
use super::footer::{self, Bytes, Footer, LastBytes};
use super::head::after_kill;
use super::sys::Stat;
use super::{File, Storage, filesystem, lock};
use crate::error::{Error, Result};

/// What a look at a file has found.
#[derive(Clone, Copy)]
pub(super) struct Known {
    pub stat: Stat,
    /// The last bytes, if a file of this size can have a footer.
    pub bytes: Option<Bytes>,
    pub has_footer: bool,
}

impl Known {
    /// As if the handle had never looked: no file has this size.
    pub fn nothing() -> Known {
        let stat = Stat { size: u64::MAX, ..Stat::default() };
        Known { stat, bytes: None, has_footer: false }
    }
}

/// Whether a reader's file can be one of a layer below, which a writer would copy.
#[derive(Clone, Copy)]
pub(super) enum Layer {
    Unknown,
    No,
    /// It can; with the time at which its metadata were changed last.
    Lower((i64, i64)),
}

impl Storage {
    /// Takes up the length that others have published. One system call, if there is nothing new.
    pub fn refresh(&self) -> Result<()> {
        self.check()?;
        // After the elements that were copied before: if the epoch is what it was, so were they.
        fence(Acquire);
        let Some(file) = self.changing_file() else { return Ok(()) };
        if file.is_held() {
            return self.check_file(file);
        }
        self.follow_to_upper_layer(file)?;
        let fd = file.mapping.fd();
        if file.state.excludes.get() {
            // In a child that was forked while its parent was about to truncate the file without a footer. What it has, it keeps
            // until the parent is done, or was killed.
            if !file.mapping.return_to_presence()? {
                return Ok(());
            }
            file.state.excludes.set(false);
            let epoch = self.epoch.load(Relaxed);
            if !epoch.is_multiple_of(2) {
                // What the parent was about to do it has done, or nobody will.
                self.epoch.store(after_kill(epoch), Release);
            }
        }
        let known = file.known.get();
        let stat = match file.look(fd, &known)? {
            Look::Nothing => return Ok(()),
            // The footer says which file it belongs to.
            Look::InPlace => known.stat,
            Look::Anything => file.mapping.check(fd)?,
        };
        if stat.size == known.stat.size && footer::place_in(stat.size).is_none() {
            return Ok(());
        }
        let found = read_state(fd, &self.layout, stat, known.bytes.filter(|_| known.has_footer))?;
        self.take_up(file, &found)
    }

    /// Takes over length and epoch of a file, if they fit the reservation.
    pub(super) fn take_up(&self, file: &File, found: &State) -> Result<()> {
        let reservation = &file.mapping.reservation;
        if self.layout.end_of(found.len as u64).is_none_or(|end| end > reservation.bytes()) {
            return Err(Error::Limit);
        }
        // A file without a footer has nothing to say of its past: who was there has seen it.
        let mut epoch = match found.footer {
            None | Some(Footer { epoch: 0, .. }) => self.epoch.load(Relaxed),
            Some(footer) => footer.epoch,
        };
        // An odd one is the footer's while elements move, or a child's whose parent took elements away when it was forked. Without
        // a holder of the lock nothing is being moved: who has left it odd was killed, or is done.
        if !epoch.is_multiple_of(2) && !lock::is_taken(file.mapping.fd())? {
            epoch = after_kill(epoch);
        }
        reservation.use_up_to(found.stat.size);
        if found.stat.names == 0 {
            reservation.dump_nothing_without_a_name();
        }
        file.state.floor.set(file.state.floor.get().max(self.len()));
        self.capacity.store(found.len, Relaxed);
        self.len.store(found.len, Release);
        self.epoch.store(epoch, Release);
        // Last: what a child of this moment doesn't know it looks for again.
        compiler_fence(SeqCst);
        file.known.set(Known { stat: found.stat, bytes: found.bytes, has_footer: found.footer.is_some() });
        Ok(())
    }

    /// Where a reader's file is one of a layer below on overlayfs, and was copied up by a writer since: maps the copy, at
    /// the same address.
    fn follow_to_upper_layer(&self, file: &File) -> Result<()> {
        let fd = file.mapping.fd();
        match file.layer.get() {
            Layer::No => Ok(()),
            Layer::Unknown => {
                let layer = if filesystem::is_overlayfs(fd)? {
                    // Whether it was copied since it was opened, nobody knows: it is mapped anew once.
                    Layer::Lower((0, 0))
                } else {
                    Layer::No
                };
                file.layer.set(layer);
                self.follow_to_upper_layer(file)
            }
            Layer::Lower(before) => {
                // A copy has another time at which its metadata were changed.
                let changed = file.mapping.check(fd)?.changed;
                if changed != before {
                    file.mapping.renew()?;
                    file.layer.set(Layer::Lower(changed));
                }
                Ok(())
            }
        }
    }
}

/// What a first look at a file finds, beside what is known of it.
enum Look {
    /// Nothing has happened.
    Nothing,
    /// The footer is where it was, and says something else.
    InPlace,
    Anything,
}

impl File {
    fn look(&self, fd: RawFd, known: &Known) -> Result<Look> {
        let Some(at) = footer::place_in(known.stat.size) else { return Ok(Look::Anything) };
        let LastBytes::Here(bytes) = footer::read_last_bytes(fd, at)? else { return Ok(Look::Anything) };
        Ok(match &known.bytes {
            // If what changes in place is as it was, so is all else that matters, whatever has happened since.
            Some(before) if known.has_footer => {
                if bytes == *before && footer::epoch_of(&bytes).is_multiple_of(2) {
                    Look::Nothing
                } else if bytes[..footer::FIXED] == before[..footer::FIXED] {
                    Look::InPlace
                } else {
                    Look::Anything
                }
            }
            _ if footer::begins_with_magic(&bytes) => Look::Anything,
            _ => Look::Nothing,
        })
    }
}
