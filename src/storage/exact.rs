//! Exact files: those without spare room, whose size follows the length at every call.

use core::sync::atomic::Ordering::{Relaxed, Release};

use super::access::Access;
use super::footer::{self, GRAIN};
use super::{Storage, sys};
use crate::error::{Error, Result};

impl Storage {
    pub(super) fn is_exact(&self) -> bool {
        self.access == Access::Write { exact: true }
    }

    /// Brings an exact file back to its elements after a change that went through spare room, as far as others allow.
    pub fn trim_exact(&self) {
        if let (true, Some(file)) = (self.is_exact(), &self.file)
            && file.state.footer.get()
            && file.is_held()
        {
            // The change has happened and is published. If the truncation fails the footer says so, and the next
            // call that changes the length tries again.
            let _ = file.mapping.lock_fd().and_then(|fd| self.trim(file, fd, false));
        }
    }

    /// Appends one element to an exact file that has no footer, by the write that lengthens it. `false` if
    /// that write wouldn't be all or nothing, or would leave what looks like a footer: then the element must
    /// go the way of all others.
    ///
    /// # Safety
    /// `value` must be valid for reads of an element.
    pub unsafe fn append_exact(&self, value: *const u8) -> Result<bool> {
        let file = self.growable()?;
        let state = &file.state;
        let len = self.len();
        let (start, end) = (self.end_of(len)?, self.end_of(len.checked_add(1).ok_or(Error::Limit)?)?);
        // The system copies a page at a time, and lengthens the file after each.
        let crosses = start / GRAIN != (end - 1) / GRAIN || end % GRAIN == 0;
        if !self.is_exact() || state.footer.get() || crosses {
            return Ok(false);
        }
        if end > file.mapping.reservation.bytes() - footer::SIZE {
            return Err(Error::Limit);
        }
        self.check_file(file)?;
        sys::check_size_limit(end)?;
        let fd = file.mapping.lock_fd()?;
        let count = self.layout.itemsize;
        // SAFETY: the caller promises the element.
        match unsafe { sys::pwrite(fd, value, count, start) } {
            Ok(written) if written == count => {}
            result => {
                self.undo(file, fd);
                return Err(result.err().unwrap_or(Error::Os(libc::ENOSPC)));
            }
        }
        state.size.set(end);
        state.backed.set(end);
        file.mapping.reservation.use_up_to(end);
        self.len.store(len + 1, Release);
        self.capacity.store(len + 1, Relaxed);
        Ok(true)
    }
}
