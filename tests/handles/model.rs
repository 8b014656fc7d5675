//! The plain model: the elements, who has the growth lock, and what each handle knows.

use std::collections::BTreeMap;

use super::steps::Kind;

/// What goes wrong is said in words.
pub type Checked<T = ()> = Result<T, String>;

macro_rules! ensure {
    ($condition:expr, $($text:tt)*) => {
        if !$condition {
            return Err(format!($($text)*));
        }
    };
}
pub(super) use ensure;

/// The epoch that a handle showed last, and how much had happened by then.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    pub epoch: u64,
    pub moves: u64,
    pub doubts: u64,
}

/// Whether a handle's epoch says that elements are being taken away or moved.
pub fn is_unsettled(epoch: u64) -> bool {
    epoch >> 63 == 1
}

/// A handle: a child's copy of one is one too.
#[derive(Clone, Debug)]
pub struct Handle {
    pub id: u32,
    pub process: usize,
    pub slot: usize,
    pub kind: Kind,
    pub by_path: bool,
    /// Has a small reservation.
    pub is_small: bool,
    /// The most elements.
    pub most: usize,
    /// The length that it knows.
    pub len: usize,
    /// The longest that it has ever known, but for what it has truncated itself.
    pub seen: usize,
    pub data: u64,
    pub looked: Look,
    /// Came here by a fork.
    pub is_inherited: bool,
    /// Has changed the length, in this process.
    pub has_changed: bool,
    /// Handles that share the description that carries the lock: children that no handler has heard of.
    pub family: u32,
    /// What a handle has in common with its copies in children.
    pub opening: u32,
    /// Whether it has made that description itself.
    pub has_own_lock: bool,
    /// The pages of a private copy that aren't the file's any more.
    pub pages: BTreeMap<usize, Vec<u8>>,
}

impl Handle {
    /// Whether it is one that changes lengths.
    pub fn is_writer(&self) -> bool {
        matches!(self.kind, Kind::Writable | Kind::Exact)
    }

    /// Whether its close may put the file right.
    pub fn may_trim(&self) -> bool {
        self.is_writer() && (self.has_changed || !self.is_inherited)
    }

    pub fn name(&self) -> String {
        format!("p{}.h{}", self.process, self.slot)
    }
}

/// Who has the growth lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    Nobody,
    Handle(u32),
    /// A dead process had it, and a child has the description that carries it, until it ends or uses the array.
    Lingers,
}

/// Whether elements were taken away or moved since the file was its elements and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    No,
    /// A killed process may have said so already.
    Perhaps,
    Yes,
}

pub struct Model {
    /// Bytes in an element.
    pub size: usize,
    pub elements: Vec<u8>,
    pub handles: Vec<Handle>,
    pub holder: Holder,
    /// How often elements were taken away or moved, and how often nobody can know whether the file says so.
    pub moves: u64,
    pub doubts: u64,
    pub taken: Taken,
    next: u32,
}

impl Model {
    pub fn new(size: usize, elements: Vec<u8>) -> Model {
        Model {
            size,
            elements,
            handles: Vec::new(),
            holder: Holder::Nobody,
            moves: 0,
            doubts: 0,
            taken: Taken::No,
            next: 0,
        }
    }

    /// A number that nothing else has.
    pub fn number(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    /// In elements.
    pub fn len(&self) -> usize {
        self.elements.len() / self.size
    }

    /// The longest that an open handle can have seen.
    pub fn reach(&self) -> usize {
        self.handles.iter().map(|handle| handle.seen).max().unwrap_or(0)
    }

    pub fn holds(&self, at: usize) -> bool {
        self.holder == Holder::Handle(self.handles[at].id)
    }

    /// Whether no handle has the lock, nor a dead one's child.
    pub fn is_free(&self) -> bool {
        self.holder == Holder::Nobody
    }

    /// Whether another process has the description that carries this handle's lock.
    pub fn has_relatives(&self, at: usize) -> bool {
        let Handle { family, process, .. } = self.handles[at];
        self.handles.iter().any(|other| other.family == family && other.process != process)
    }

    pub fn has_moved(&mut self) {
        self.moves += 1;
        self.taken = Taken::Yes;
    }

    pub fn may_have_moved(&mut self) {
        self.doubts += 1;
        if self.taken == Taken::No {
            self.taken = Taken::Perhaps;
        }
    }

    /// A handle takes up what is published; `epoch` is what it shows then.
    pub fn look(&mut self, at: usize, epoch: u64) -> Checked {
        let len = self.len();
        let (moves, doubts) = (self.moves, self.doubts);
        let handle = &mut self.handles[at];
        handle.len = len;
        handle.seen = handle.seen.max(len);
        let before = handle.looked;
        handle.looked = Look { epoch, moves, doubts };
        if is_unsettled(epoch) || is_unsettled(before.epoch) {
            // Somebody was killed while he took elements away, and a child keeps his lock: the handle can't know that
            // nobody goes on with it. Each of its answers is another one.
            return Ok(());
        }
        if before.moves != moves {
            let text = "elements were taken away or moved since it looked last, and its epoch still is";
            ensure!(epoch != before.epoch, "{}: {text} {epoch}", handle.name());
        } else if before.doubts == doubts {
            let text = "nothing was taken away or moved since it looked last, and its epoch has become";
            ensure!(epoch == before.epoch, "{}: {text} {epoch}, from {}", handle.name(), before.epoch);
        }
        Ok(())
    }

    /// The handles of a process that has ended are gone, and what they held.
    pub fn end_process(&mut self, process: usize) {
        let of_it = |handle: &Handle| handle.process == process;
        if let Holder::Handle(id) = self.holder
            && let Some(at) = self.handles.iter().position(|handle| handle.id == id && of_it(handle))
        {
            self.holder = if self.has_relatives(at) { Holder::Lingers } else { Holder::Nobody };
        }
        self.handles.retain(|handle| !of_it(handle));
    }
}
