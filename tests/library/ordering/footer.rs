//! A file with a footer, as the programs see it: its words, the kernel's steps, and how a handle reads it.

use std::sync::atomic::Ordering::{self, Acquire, Relaxed, Release};

use super::machine::{Location, Program, Thread, Value};

/// What the kernel sees to: who sees a new size also sees the bytes that were written before it. It writes a size by
/// `smp_store_release` and reads it by `smp_load_acquire` (before Linux 6.9 by the flag that a page is up to date).
pub const SET_SIZE: Ordering = Release;
pub const GET_SIZE: Ordering = Acquire;

/// The words of a footer that the programs are about.
#[derive(Clone, Copy)]
pub struct Footer {
    /// All of the fixed part.
    pub fixed: Location,
    pub epoch: Location,
    pub len: Location,
}

/// A file that can have a footer at sizes 1 and 2. At size 0 it has none.
#[derive(Clone, Copy)]
pub struct File {
    pub size: Location,
    pub footers: [Footer; 2],
    /// Whether size and fixed part change at all; where they don't, nobody looks at them.
    pub moves: bool,
}

/// Bytes that no footer begins with.
pub const NO_MAGIC: Value = 0;

/// The fixed part of a footer: the size it holds for, and its fresh number.
pub const fn fixed(size: Value, number: Value) -> Value {
    100 + 10 * size + number
}

impl File {
    /// Of size 1.
    pub fn new(program: &mut Program, len: Value) -> File {
        let first = Footer {
            fixed: program.location("fixed part at size 1", fixed(1, 0)),
            epoch: program.location("epoch at size 1", 0),
            len: program.location("length at size 1", len),
        };
        let second = Footer {
            fixed: program.location("fixed part at size 2", NO_MAGIC),
            epoch: program.location("epoch at size 2", 0),
            len: program.location("length at size 2", 0),
        };
        File { size: program.location("size", 1), footers: [first, second], moves: true }
    }

    /// A file whose footer stays where it is.
    pub fn still(program: &mut Program, epoch: Value, len: Value) -> File {
        let footer = Footer {
            fixed: program.location("fixed part", fixed(1, 0)),
            epoch: program.location("epoch", epoch),
            len: program.location("length", len),
        };
        File { size: program.location("size", 1), footers: [footer, footer], moves: false }
    }

    fn footer(&self, size: Value) -> Option<&Footer> {
        self.footers.get(usize::from(size).checked_sub(1)?)
    }
}

/// `pwrite` of a footer beyond the end, which sets the size.
pub async fn grow(t: &Thread, file: &File, size: Value, number: Value, len: Value) {
    let footer = &file.footers[usize::from(size) - 1];
    t.store(footer.fixed, fixed(size, number), Relaxed).await;
    t.store(footer.len, len, Relaxed).await;
    t.store(file.size, size, SET_SIZE).await;
}

/// `ftruncate` to size 0; what lies beyond it reads as zeros if the file grows again. The kernel sets the size, takes
/// pages out of all mappings, which is a barrier, and clears the rest of the last page.
pub async fn cut(t: &Thread, file: &File) {
    t.store(file.size, 0, SET_SIZE).await;
    t.fence(Release).await;
    for footer in &file.footers {
        t.store(footer.fixed, NO_MAGIC, Relaxed).await;
        t.store(footer.len, 0, Relaxed).await;
    }
}

/// What a handle knows of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Known {
    pub size: Value,
    /// `None`: nothing is known but the size.
    pub fixed: Option<Value>,
    pub epoch: Value,
    pub len: Value,
}

impl Known {
    /// As what a thread keeps.
    pub fn to_kept(self) -> [Value; 4] {
        [self.size, self.fixed.unwrap_or(0), self.epoch, self.len]
    }

    pub fn from_kept(kept: [Value; 4]) -> Known {
        let [size, fixed, epoch, len] = kept;
        Known { size, fixed: Some(fixed), epoch, len }
    }

    pub fn only(size: Value) -> Known {
        Known { size, fixed: None, epoch: 0, len: 0 }
    }
}

/// What the reader does, each of which can be left out.
#[derive(Clone, Copy)]
pub struct Reading {
    /// The fence after each `pread`.
    pub fence: Ordering,
    /// What was read counts if the footer, read once more, is at the same size...
    pub again: bool,
    /// ...and has the same fixed part...
    pub same_after: bool,
    /// ...which was known before it was read...
    pub same_before: bool,
    /// ...as was the epoch.
    pub same_epoch: bool,
}

pub const READING: Reading =
    Reading { fence: Acquire, again: true, same_after: true, same_before: true, same_epoch: true };

/// How often the reader looks before it gives up.
const TRIES: usize = 5;

impl Reading {
    /// The footer, if the file still has the size that was known. The kernel looks at the size, and then copies the
    /// words in any order.
    async fn pread(&self, t: &Thread, file: &File, size: Value) -> Option<Known> {
        if file.moves && t.load(file.size, GET_SIZE).await != size {
            return None;
        }
        let Some(footer) = file.footer(size) else {
            return Some(Known { fixed: Some(NO_MAGIC), ..Known::only(size) });
        };
        let fixed = if file.moves { t.load(footer.fixed, Relaxed).await } else { fixed(size, 0) };
        let epoch = t.load(footer.epoch, Relaxed).await;
        let len = t.load(footer.len, Relaxed).await;
        t.fence(self.fence).await;
        Some(Known { size, fixed: Some(fixed), epoch, len })
    }

    /// `None` if the file doesn't hold still.
    pub async fn refresh(&self, t: &Thread, file: &File, known: Known) -> Option<Known> {
        let mut before = known;
        for _ in 0..TRIES {
            let Some(now) = self.pread(t, file, before.size).await else {
                before = Known::only(t.load(file.size, GET_SIZE).await);
                continue;
            };
            if now == known {
                return Some(known);
            }
            let is_same_footer = before.fixed == now.fixed || !self.same_before;
            let is_same_epoch = before.epoch == now.epoch || now.epoch == 0 || !self.same_epoch;
            if !is_same_footer || !is_same_epoch {
                before = now;
                continue;
            }
            if !self.again || !file.moves {
                return Some(now);
            }
            match self.pread(t, file, now.size).await {
                Some(after) if after.fixed == now.fixed || !self.same_after => return Some(now),
                Some(after) => before = after,
                None => before = Known::only(t.load(file.size, GET_SIZE).await),
            }
        }
        None
    }
}
