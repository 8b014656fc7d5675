//! Giving back the spare room of a file that the caller hasn't mapped: what a close does when the memory is gone, and
//! `mba_tidy` for a path.

use core::sync::atomic::Ordering::Relaxed;
use std::os::fd::RawFd;

use super::file_state::read_state_alone;
use super::filesystem::is_sealed;
use super::footer::{self, Footer, GRAIN, seems_to_have_footer};
use super::lock::{self, Tidying};
use super::registry::{Place, Slot};
use super::sys::Identity;
use super::{Layout, children, presence, sys};
use crate::error::{Error, Result};

/// What a file is to end with.
pub(super) enum End {
    /// Its elements.
    Exact(u64),
    /// A footer, at the end of a file of this size: the elements would read as one, or others have seen more.
    Footer(u64),
}

/// Where a file may be truncated whose footer says this. `may_truncate` says that nobody can miss what is truncated beyond the length.
pub(super) fn plan(fd: RawFd, layout: &Layout, len: u64, reach: u64, may_truncate: bool) -> Result<End> {
    let end_of = |len| layout.end_of(len).ok_or(Error::Limit);
    if may_truncate && reach <= len {
        let end = end_of(len)?;
        return Ok(if seems_to_have_footer(fd, end)? { End::Footer(end + GRAIN) } else { End::Exact(end) });
    }
    let size = (end_of(len.max(reach))? + footer::SIZE).next_multiple_of(GRAIN);
    Ok(End::Footer(size))
}

/// How often a file is looked at again for others who have left.
const TRIES: usize = 4;

/// What of the spare room is left when a file was trimmed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// Nothing, or a page that the file needs since its elements would read as a footer.
    Nothing,
    /// What others can have seen as elements.
    WhatOthersSaw,
}

/// Gives back the spare room of a file that the caller has no mapping of any more, but the growth lock, through `fd`.
///
/// A file that has become something else is left alone.
pub(super) fn trim_left_file(fd: RawFd, identity: Identity, layout: &Layout) -> Result<Left> {
    let stat = sys::stat(fd)?;
    let state = match read_state_alone(fd, layout, stat) {
        Ok(state) if state.stat.identity == identity => state,
        Err(error @ Error::Os(_)) => return Err(error),
        _ => return Ok(Left::Nothing),
    };
    let Some(footer) = state.footer else { return Ok(Left::Nothing) };
    if is_sealed(fd)? {
        return Ok(Left::Nothing);
    }
    let may_truncate = footer.epoch == 0 || state.is_copy() || !presence::are_others(fd)?;
    let reach = if may_truncate { 0 } else { footer.reach };
    match plan(fd, layout, state.len as u64, reach, may_truncate)? {
        End::Exact(end) => sys::ftruncate(fd, end)?,
        // The footer of a copy says so no more: who opens it from now on counts.
        End::Footer(size) if size < state.stat.size || state.is_copy() => {
            let size = size.min(state.stat.size);
            let stamp = sys::fresh_number();
            let shorter = Footer { file_size: size, identity, stamp, reach, ..footer };
            sys::check_size_limit(size)?;
            sys::write_all(fd, &shorter.encode(layout), size - footer::SIZE)?;
            sys::ftruncate(fd, size)?;
        }
        End::Footer(_) => {}
    }
    Ok(if may_truncate { Left::Nothing } else { Left::WhatOthersSaw })
}

/// Who tidies without a handle. Gives the locks back at the end.
struct Tidier(Place);

impl Drop for Tidier {
    fn drop(&mut self) {
        let _ = lock::release_all(self.0.lock_fd.load(Relaxed));
    }
}

/// Does for a path what the close of the last handle would do; `layout` is `None` if any elements will do. With `force`
/// also for a file whose footer is unsound.
pub(crate) fn tidy(path: &core::ffi::CStr, layout: Option<&Layout>, force: bool) -> Result<()> {
    // A child that is forked meanwhile must not keep the lock alive: it finds and closes the descriptor.
    children::watch();
    let tidier = Tidier(Place::take()?);
    let fd = Slot::open(&tidier.0.lock_fd, || sys::open(path, libc::O_RDWR, 0))?;
    let stat = sys::regular_file(fd)?;
    if is_sealed(fd)? {
        return Ok(());
    }
    if lock::take_to_tidy(fd)? != Tidying::May {
        return Err(Error::Locked);
    }
    let (stat, bytes) = footer::read_end_alone(fd, stat)?;
    let Some(bytes) = bytes else { return Ok(()) };
    match Footer::decode_any(&bytes, stat.size) {
        Ok(None) => Ok(()),
        Ok(Some((_, elements))) => {
            if layout.is_some_and(|layout| !elements.are(layout)) {
                return Err(Error::Type);
            }
            let layout = elements.layout();
            let mut left = trim_left_file(fd, stat.identity, &layout)?;
            // Others may have left meanwhile, and left the trimming to whoever holds the lock.
            for _ in 0..TRIES {
                if left == Left::Nothing {
                    break;
                }
                lock::release_all(fd)?;
                if presence::are_others(fd)? || lock::take_to_tidy(fd)? != Tidying::May {
                    break;
                }
                left = trim_left_file(fd, stat.identity, &layout)?;
            }
            Ok(())
        }
        Err(error) if !force => Err(error),
        // Nobody knows what others may have seen.
        Err(_) if presence::are_others(fd)? => Err(Error::Locked),
        Err(_) => sys::ftruncate(
            fd,
            footer::salvage(&bytes, layout.map(|layout| layout.itemsize as u64), stat.size),
        ),
    }
}

impl footer::Elements {
    /// What storage needs to know of the elements.
    fn layout(&self) -> Layout {
        Layout { itemsize: self.itemsize as usize, kind: self.kind, type_code: 0, offset: self.offset }
    }
}
