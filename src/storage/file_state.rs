//! What a file holds at a moment: its size, its length, and its footer.

use std::os::fd::RawFd;

use super::Layout;
use super::footer::{self, Bytes, Footer};
use super::sys::Stat;
use crate::error::{Error, Result};

/// What a file holds: its size, its length, and the footer if there is one.
#[derive(Clone, Copy)]
pub(super) struct State {
    pub stat: Stat,
    pub len: usize,
    pub footer: Option<Footer>,
    /// There is no footer, and the file ends inside an element.
    pub partial: bool,
    /// The last bytes, if a file of this size can have a footer.
    pub bytes: Option<Bytes>,
}

/// Reads size and footer until they belong together. `stat`, and `before` if there was a footer, are what was known of the
/// file a moment ago.
pub(super) fn read_state(fd: RawFd, layout: &Layout, stat: Stat, before: Option<Bytes>) -> Result<State> {
    state_of(layout, footer::read_end(fd, stat, before)?)
}

/// As [`read_state`], for who holds the growth lock.
pub(super) fn read_state_alone(fd: RawFd, layout: &Layout, stat: Stat) -> Result<State> {
    state_of(layout, footer::read_end_alone(fd, stat)?)
}

pub(super) fn state_of(layout: &Layout, (stat, bytes): (Stat, Option<Bytes>)) -> Result<State> {
    if let Some(bytes) = &bytes
        && let Some(footer) = Footer::decode(bytes, layout, stat.size)?
    {
        let len = footer.len as usize;
        return Ok(State { stat, len, footer: Some(footer), partial: false, bytes: Some(*bytes) });
    }
    let size = stat.size.saturating_sub(layout.offset);
    let itemsize = layout.itemsize as u64;
    let len = usize::try_from(size / itemsize).map_err(|_| Error::Limit)?;
    Ok(State { stat, len, footer: None, partial: !size.is_multiple_of(itemsize), bytes })
}

impl State {
    /// Whether the footer was written for another file, of which this one is a copy.
    pub fn is_copy(&self) -> bool {
        self.footer.is_some_and(|footer| footer.identity != self.stat.identity)
    }
}
