//! Being alone: whether nobody else can have what is about to be truncated. See `presence.rs` for why the answer stays true.

use core::sync::atomic::Ordering::Relaxed;
use std::os::fd::RawFd;

use super::fork;
use super::lock::PRESENCE;
use super::mapping::Mapping;
use super::presence::{self, Presence, are_others};
use super::registry::{CLOSED, Slot};
use super::sys::{self, LockCall};
use crate::error::{Error, Result};

impl Mapping {
    /// Whether nobody else is present: no handle, no child's mapping, no descriptor of theirs. The caller holds the growth
    /// lock and has published the length.
    ///
    /// The mapping's own description may be shared with a child, or with whoever was handed a descriptor, and its own
    /// lock is one that the question ignores. So it gets a description that is its own, and what is left of the old one
    /// shows. A child that is forked after that has the shorter length.
    pub fn is_alone(&self) -> Result<bool> {
        if self.are_others_seen()? || self.renew().is_err() {
            return Ok(false);
        }
        Ok(!are_others(self.place.plain())?)
    }

    /// Whether others are seen at a first look, which doesn't see those who share the description.
    pub fn are_others_seen(&self) -> Result<bool> {
        let fd = self.place.plain();
        Ok(self.presence != Presence::Held || self.check(fd).is_err() || are_others(fd)?)
    }

    /// Puts a description of its own in the place of the one that is mapped, at the same address and by the same number.
    pub fn renew(&self) -> Result<()> {
        let place = &self.place;
        place.busy.store(sys::this_thread(), Relaxed);
        let fresh =
            Slot::open(&place.fresh, || self.open_anew()).inspect_err(|_| place.busy.store(0, Relaxed))?;
        let renewed = self.map_fresh(fresh);
        // The child of a fork that is under way may have the descriptor, and must learn of it. Then first the number goes: another
        // handle may get it.
        fork::let_pass();
        place.fresh.store(CLOSED, Relaxed);
        sys::close(fresh);
        place.busy.store(0, Relaxed);
        renewed
    }

    fn map_fresh(&self, fresh: RawFd) -> Result<()> {
        if self.presence == Presence::Held {
            sys::lock(fresh, PRESENCE, LockCall::Read)?;
        }
        self.reservation.map_anew(fresh, self.place.plain())?;
        sys::replace_by(self.place.plain(), fresh)
    }

    /// If nobody else is present, keeps others from opening until [`Mapping::admit`]: they try again for a moment. For the
    /// one case in which a shorter length can't be published before the file is truncated.
    ///
    /// The lock is on the growth lock's description, which children don't keep: it ends with this process. Whoever comes before
    /// it is taken is present, and can't truncate, since the growth lock is here.
    pub fn exclude(&self) -> Result<bool> {
        if !self.is_alone()? {
            return Ok(false);
        }
        let fd = self.lock_fd()?;
        sys::lock(self.place.plain(), PRESENCE, LockCall::Release)?;
        let excluded = sys::lock(fd, PRESENCE, LockCall::Write);
        match excluded {
            Ok(()) => return Ok(true),
            Err(_) => presence::take(self.place.plain())?,
        };
        match excluded {
            Err(Error::Locked) => Ok(false),
            result => result.map(|()| true),
        }
    }

    /// Lets others open again, and is present itself before they are.
    pub fn admit(&self) {
        let Ok(fd) = self.lock_fd() else { return };
        // What makes a lock weaker can't fail, nor what shares one.
        let _ = sys::lock(fd, PRESENCE, LockCall::Read);
        let _ = sys::lock(self.place.plain(), PRESENCE, LockCall::Read);
        let _ = sys::lock(fd, PRESENCE, LockCall::Release);
    }

    /// In a child that was forked while its parent kept others out: is present again, unless the parent still does.
    pub fn return_to_presence(&self) -> Result<bool> {
        if !self.place.gate.own.load(Relaxed) {
            self.replace_parents(CLOSED);
        }
        match sys::lock(self.place.plain(), PRESENCE, LockCall::Read) {
            Err(Error::Locked) => Ok(false),
            result => result.map(|()| true),
        }
    }
}
