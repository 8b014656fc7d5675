//! The mapping: a file's memory at its address, who is behind the descriptors, and what is left to do when it ends.
//!
//! A handle has one. It is an object of its own, since memory can outlive the handle; whoever lets go last trims.

use core::cell::Cell;
use core::ffi::CStr;
use core::sync::atomic::AtomicI32;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::os::fd::{IntoRawFd, RawFd};

use super::access::Access;
use super::footer::{end_without_footer, seems_to_have_footer};
use super::lock::{self, Tidying};
use super::presence::{self, Presence};
use super::registry::{CLOSED, HANDED_OUT, Place, Slot};
use super::reserve::Reservation;
use super::sys::{self, Descriptor, Identity, Stat};
use super::tidy::{self, Left};
use super::{Layout, fork};
use crate::error::{Error, Result};

pub(super) struct Mapping {
    // The memory goes first, and then what keeps others from truncating it.
    pub reservation: Reservation,
    pub place: Place,
    pub identity: Identity,
    pub presence: Presence,
    pub access: Access,
    pub layout: Layout,
    /// The path by which the file was opened, from the root on.
    pub path: Option<Box<CStr>>,
    /// Whether the handle has held the growth lock in this process, and so may have lengthened the file.
    pub led: Cell<bool>,
    /// Whether the handle came to this process by a fork.
    pub forked: Cell<bool>,
}

const BAD_DESCRIPTOR: Error = Error::Os(libc::EBADF);

impl Mapping {
    /// What a descriptor of this mapping's says of the file. `EBADF` if the number has come to be somebody else's.
    pub fn check(&self, fd: RawFd) -> Result<Stat> {
        let stat = sys::stat(fd)?;
        if stat.identity == self.identity { Ok(stat) } else { Err(BAD_DESCRIPTOR) }
    }

    /// A descriptor to ask for size and footer: where there is one that nobody else has, that one.
    pub fn fd(&self) -> RawFd {
        let lock_fd = self.place.lock_fd.load(Relaxed);
        if lock_fd != CLOSED && self.place.gate.own.load(Relaxed) { lock_fd } else { self.place.any() }
    }

    /// The descriptor to hand to others. It stays what it is until the mapping ends.
    pub fn hand_out(&self) -> Result<RawFd> {
        loop {
            let fd = self.place.fd.fetch_or(HANDED_OUT, Relaxed);
            if fd != CLOSED {
                return Ok(fd & !HANDED_OUT);
            }
            let new = match sys::reopen(self.place.any(), libc::O_RDWR) {
                // Another thread has put one there, and closed the one that was to be opened anew.
                Err(_) if self.place.fd.load(Relaxed) != CLOSED => continue,
                new => new?.into_raw_fd(),
            };
            fork::let_pass();
            if self.place.fd.compare_exchange(CLOSED, new, Relaxed, Relaxed).is_err() {
                // Another thread was quicker.
                sys::close(new);
            }
        }
    }

    /// Opens the file with a description of its own: by its path, if that leads to it still, else through /proc. Doesn't open
    /// what has come to be another file: to close that again would end the process's own locks on it.
    pub fn open_anew(&self) -> Result<Descriptor> {
        let leads_here = |path: &&CStr| sys::stat_path(path).is_ok_and(|stat| stat.identity == self.identity);
        let path = self.path.as_deref().filter(leads_here);
        let fd = self.place.any();
        if path.is_none() {
            self.check(fd)?;
        }
        sys::open_anew(path, fd, self.identity, self.access.open_flags()).map(|(own, _)| own)
    }

    /// The description for the lock and for writes. A file's is there from the beginning, but in a child.
    pub fn lock_fd(&self) -> Result<RawFd> {
        let (place, gate) = (&self.place, self.place.gate);
        let known = place.lock_fd.load(Relaxed);
        let is_own = gate.own.load(Relaxed);
        if place.is_mapped_one.load(Relaxed) {
            return self.lock_fd_of_memory(known, is_own);
        }
        if is_own && known != CLOSED {
            return Ok(known);
        }
        if !is_own {
            self.forked.set(true);
            self.led.set(false);
        }
        let own = self.open_another()?;
        gate.own.store(true, Relaxed);
        Ok(own)
    }

    /// Of anonymous memory the description that is mapped carries the lock too, as long as nobody else has it. Children by a
    /// fork have it: then another one carries the lock.
    fn lock_fd_of_memory(&self, mut known: RawFd, is_own: bool) -> Result<RawFd> {
        let (place, gate) = (&self.place, self.place.gate);
        if !is_own {
            self.check(known)?;
            place.leave_parent()?;
            gate.own.store(true, Relaxed);
            known = place.lock_fd.load(Relaxed);
            // A child that was forked meanwhile may have that one too, and is seen below.
        }
        if gate.held.load(Relaxed) || !fork::has_begun_since(place.forks.load(Relaxed)) {
            return Ok(known);
        }
        let made = fork::unseen(|| {
            let own = self.open_anew()?;
            if !place.is_mapped_one.load(Relaxed) {
                // A child that was forked meanwhile may have the one before. The number stays, which another thread may be using.
                return sys::replace(place.lock_fd.load(Relaxed), own);
            }
            // A child that is forked between any two of these finds a description that it has: the mapped one is the plain
            // one before it stops to be the one for the lock.
            let is_plain = place.fd.compare_exchange(CLOSED, known, SeqCst, SeqCst).is_ok();
            place.is_mapped_one.store(false, SeqCst);
            if is_plain {
                place.lock_fd.store(own.into_raw_fd(), SeqCst);
                Ok(())
            } else {
                // One was handed out, and is the plain one.
                sys::replace(known, own)
            }
        });
        match made {
            // Without /proc, or without the right to look there, there is no other and never will be. A child by a fork keeps
            // the lock alive, then.
            Ok(()) | Err(Error::Os(libc::ENOENT | libc::EACCES | libc::EPERM)) => {
                Ok(place.lock_fd.load(Relaxed))
            }
            Err(error) => Err(error),
        }
    }

    /// Gives the growth lock back.
    pub fn give_lock_back(&self, fd: RawFd) {
        let place = &self.place;
        if self.check(fd).is_err_and(|error| error == BAD_DESCRIPTOR) {
            // The number is somebody else's by now: the lock went with its description.
            let _ = place.lock_fd.compare_exchange(fd, CLOSED, Relaxed, Relaxed);
        } else if lock::release(fd).is_err() && !place.is_mapped_one.load(Relaxed) {
            // The lock goes with its description too; the next one opens another.
            Slot::close(&place.lock_fd);
        }
        place.is_held_on_mapped_one.store(false, SeqCst);
    }

    /// Opens the description for the lock, in a place where a forked child finds and closes it.
    fn open_another(&self) -> Result<RawFd> {
        fork::unseen(|| {
            let own = self.open_anew()?.into_raw_fd();
            self.replace_parents(own);
            Ok(own)
        })
    }

    /// Puts a descriptor, or `CLOSED`, in the place of the one for the lock. Closes that one, which is the parent's, in a child that
    /// no fork handler has run in; unless the number is somebody else's by now.
    pub(super) fn replace_parents(&self, fd: RawFd) {
        let former = self.place.lock_fd.swap(fd, Relaxed);
        if former != CLOSED && self.check(former).is_ok() {
            sys::close(former);
        }
    }

    /// Ends the mapping, and gives back what spare room of the file nobody needs any more, if that is this handle's to do.
    ///
    /// Of two who leave together one finds the other gone: each lets go of presence before it looks, and who has had the
    /// growth lock looks once more after giving it back.
    pub fn end(self, tidies: bool, flat_size: Option<u64>) -> Result<()> {
        let held = self.place.gate.held.load(Relaxed);
        self.place.hide();
        self.forget_if_reused(&self.place.fd);
        let leaving = self.leaving(flat_size).filter(|_| tidies);
        let Mapping { reservation, place, identity, .. } = self;
        drop(reservation);
        Slot::close(&place.fd);
        // The lock goes with its description, which a child that is being forked may have for a little longer.
        leave(&place, identity, leaving, held)
    }

    /// Gives back the growth lock and spare room as [`Mapping::end`] does, and stays: nothing is truncated that this mapping can
    /// have seen.
    pub fn leave(&self, tidies: bool, flat_size: Option<u64>) -> Result<()> {
        let held = self.place.gate.held.load(Relaxed);
        self.forget_if_reused(&self.place.fd);
        let leaving = self.leaving(flat_size).filter(|_| tidies);
        let result = leave(&self.place, self.identity, leaving, held);
        self.place.is_held_on_mapped_one.store(false, SeqCst);
        self.place.gate.held.store(false, Relaxed);
        // It has led still: when the memory goes it has the duty of one that has.
        result
    }

    fn forget_if_reused(&self, place: &AtomicI32) {
        let _ = stat_if_own(place, self.identity);
    }

    /// What there is to tidy up with, if the handle can have left something.
    fn leaving(&self, flat_size: Option<u64>) -> Option<Leaving> {
        let fd = self.place.lock_fd.load(Relaxed);
        let can = fd != CLOSED
            && self.place.gate.own.load(Relaxed)
            && self.presence == Presence::Held
            && self.access.can_change_length();
        let (identity, layout) = (self.identity, self.layout);
        can.then(|| Leaving {
            fd,
            identity,
            layout,
            led: self.led.get(),
            forked: self.forked.get(),
            flat_size,
        })
    }
}

/// What a descriptor says of its file. A program may have closed what it didn't know: if the number is somebody else's by
/// now it is forgotten, and not closed.
fn stat_if_own(place: &AtomicI32, identity: Identity) -> Option<Stat> {
    let fd = place.load(Relaxed);
    if fd == CLOSED {
        return None;
    }
    let stat = sys::stat(fd & !HANDED_OUT);
    let is_others = match stat {
        Ok(stat) => stat.identity != identity,
        Err(error) => error == BAD_DESCRIPTOR,
    };
    if is_others {
        place.store(CLOSED, Relaxed);
    }
    stat.ok().filter(|_| !is_others)
}

fn leave(place: &Place, identity: Identity, leaving: Option<Leaving>, held: bool) -> Result<()> {
    let stat = stat_if_own(&place.lock_fd, identity);
    match leaving {
        _ if place.lock_fd.load(Relaxed) == CLOSED => Ok(()),
        Some(leaving) => leaving.leave(held, stat),
        None if held && place.gate.own.load(Relaxed) => lock::release(place.lock_fd.load(Relaxed)),
        None => Ok(()),
    }
}

/// What a handle that may change the length has left when its memory is gone.
struct Leaving {
    fd: RawFd,
    identity: Identity,
    layout: Layout,
    led: bool,
    forked: bool,
    /// The size that the file had when the handle last found it without a footer.
    flat_size: Option<u64>,
}

/// How often a handle looks again. Whoever comes meanwhile and leaves has the same duty.
const LOOKS: usize = 4;

impl Leaving {
    /// `stat` is what the file was a moment ago, after the memory went, if the system told.
    fn leave(self, held: bool, mut stat: Option<Stat>) -> Result<()> {
        let mut has_lock = held;
        let mut led = self.led;
        for _ in 0..LOOKS {
            // Only at first: what others do since then counts.
            let known = stat.take();
            if !has_lock && !self.should_tidy(led, known)? {
                return Ok(());
            }
            if !has_lock {
                match lock::take_to_tidy(self.fd)? {
                    Tidying::May => {}
                    Tidying::Again => continue,
                    Tidying::Others => return Ok(()),
                }
            }
            let trimmed = tidy::trim_left_file(self.fd, self.identity, &self.layout);
            let released = lock::release_all(self.fd);
            has_lock = false;
            led = false;
            match trimmed {
                Ok(Left::WhatOthersSaw) => released?,
                result => return result.map(drop).and(released),
            }
        }
        Ok(())
    }

    /// Whether there is spare room that this handle may and should give back. One that never held the lock does so only if
    /// it is alone: it must not be in a writer's way.
    fn should_tidy(&self, led: bool, stat: Option<Stat>) -> Result<bool> {
        if self.forked && !self.led {
            return Ok(false);
        }
        if let (false, Some(size)) = (self.led, self.flat_size)
            && end_without_footer(self.fd, size)?.is_some()
        {
            return Ok(false);
        }
        let stat = stat.map_or_else(|| sys::stat(self.fd), Ok)?;
        Ok(stat.identity == self.identity
            && seems_to_have_footer(self.fd, stat.size)?
            && (led || !presence::are_others(self.fd)?))
    }
}
