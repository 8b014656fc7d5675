//! A process that is killed in the midst of changing an array: before or after each of its system calls.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::Duration;

use mmap_backed_array::{MmapArray, OpenOptions, Wait};

use super::trace::Traced;
use super::{Place, Words, footer, writable};

/// How soon the next one gets the lock of one who has died.
pub const GETS_IN: Wait = Wait::For(Duration::from_secs(1));

/// One change of an array of numbers.
#[derive(Clone, Copy, Debug)]
enum Change {
    Push,
    Extend(usize),
    /// Elements that would read as a footer, up to the end of a page.
    ExtendByFooter,
    Pop,
    Resize(usize),
    Reserve(usize),
    ShrinkToFit,
    Unlock,
    Reopen,
    Flush,
    /// Leaves the spare room to a new handle, which takes lock and room over.
    TakeOver,
}

use Change::*;

/// What the child does: each way to grow and to become shorter, with a footer and without, in the first page
/// and across many.
const CHANGES: [Change; 44] = [
    Push,
    Push,
    Extend(600),
    Unlock,
    Push,
    Reserve(20_000),
    Extend(9000),
    ShrinkToFit,
    Push,
    Pop,
    Resize(12_000),
    Reopen,
    Pop,
    Push,
    Resize(20_000),
    Resize(100),
    Resize(19_000),
    ShrinkToFit,
    Pop,
    ShrinkToFit,
    Resize(0),
    Reopen,
    Extend(512),
    Reopen,
    Pop,
    Unlock,
    Push,
    Resize(0),
    ExtendByFooter,
    ShrinkToFit,
    Reopen,
    Unlock,
    Pop,
    Reopen,
    Push,
    Flush,
    TakeOver,
    Push,
    Flush,
    Extend(9000),
    TakeOver,
    Pop,
    TakeOver,
    ShrinkToFit,
];

/// Where in a page of elements a footer would begin, and with what.
const FOOTER_AT: usize = (footer::PAGE - footer::SIZE) / 8;
const MAGIC: u64 = u64::from_ne_bytes(footer::MAGIC);

fn number(at: usize) -> u64 {
    at as u64 * 0x9e37_79b9 + 1
}

/// The elements after a change.
fn changed(change: Change, mut elements: Vec<u64>) -> Vec<u64> {
    let len = elements.len();
    match change {
        Push => elements.push(number(len)),
        Extend(count) => elements.extend((len..len + count).map(number)),
        ExtendByFooter => {
            elements.extend((len..512).map(|at| if at == FOOTER_AT { MAGIC } else { number(at) }));
        }
        Pop => drop(elements.pop()),
        Resize(len) => elements.resize(len, 0),
        Reserve(_) | ShrinkToFit | Unlock | Reopen | Flush | TakeOver => {}
    }
    elements
}

pub fn options(exact: bool) -> OpenOptions {
    let mut options = writable();
    options.create(true).exact(exact);
    options
}

/// The child: makes all changes, and counts them.
fn make_all_changes(path: &Path, exact: bool, done: &Words) {
    let mut array = MmapArray::<u64>::open_with(path, &options(exact)).unwrap();
    let mut elements = Vec::new();
    for (at, change) in CHANGES.into_iter().enumerate() {
        let len = elements.len();
        elements = changed(change, elements);
        match change {
            Push => array.push(number(len)).unwrap(),
            Extend(_) | ExtendByFooter => array.extend_from_slice(&elements[len..]).unwrap(),
            Pop => drop(array.pop().unwrap()),
            Resize(len) => array.resize(len).unwrap(),
            Reserve(capacity) => array.reserve(capacity).unwrap(),
            ShrinkToFit => array.shrink_to_fit().unwrap(),
            Unlock => array.unlock().unwrap(),
            Reopen => {
                array.close().unwrap();
                array = MmapArray::open_with(path, &options(exact)).unwrap();
            }
            Flush => array.flush().unwrap(),
            TakeOver => {
                array.unlock().unwrap();
                // The old handle stays, or its end would tidy up.
                let new = MmapArray::open_with(path, &options(exact)).unwrap();
                std::mem::forget(std::mem::replace(&mut array, new));
                array.lock(GETS_IN).unwrap();
            }
        }
        done[0].store(at as u64 + 1, Release);
    }
    array.close().unwrap();
}

/// What must hold of the file whose process was killed after so many changes, and for the next one.
fn check_after_kill(path: &Path, done: usize, story: &str) {
    let before = CHANGES[..done].iter().fold(Vec::new(), |elements, change| changed(*change, elements));
    let after = CHANGES.get(done).map_or_else(|| before.clone(), |change| changed(*change, before.clone()));
    let reader = MmapArray::<u64>::open(path).unwrap_or_else(|error| panic!("{story}: {error}"));
    let mut found = reader.to_vec(..).unwrap();
    assert!(
        found == before || found == after,
        "{story}: {} elements, neither the {} before nor the {} after",
        found.len(),
        before.len(),
        after.len()
    );
    drop(reader);
    let mut next = MmapArray::<u64>::open_with(path, &writable()).unwrap();
    next.lock(GETS_IN).unwrap_or_else(|error| panic!("{story}: the next grower gets {error}"));
    assert_eq!(next.len(), found.len(), "{story}: the next grower sees another length");
    let file = std::fs::metadata(path).unwrap();
    assert!(file.blocks() * 512 >= file.size(), "{story}: the next grower's spare room has no blocks");
    // Two, so that none of the lengths ends with what reads as a footer.
    next.extend_from_slice(&[7, 7]).unwrap();
    next.close().unwrap();
    found.extend([7, 7]);
    let bytes: Vec<u8> = found.into_iter().flat_map(u64::to_ne_bytes).collect();
    assert!(std::fs::read(path).unwrap() == bytes, "{story}: the closed file isn't its elements");
}

/// A reader that has the file open all the while. What it has seen can be read, whatever becomes of the writer.
struct Follower {
    array: MmapArray<u64>,
    seen: usize,
}

impl Follower {
    fn new(path: &Path) -> Follower {
        Follower { array: MmapArray::open(path).unwrap(), seen: 0 }
    }

    fn look(&mut self) {
        self.array.refresh().unwrap();
        self.seen = self.seen.max(self.array.len());
    }

    fn touch(&self) {
        for at in 0..self.seen {
            // SAFETY: it was an element; that it is mapped still is what is tried here.
            std::hint::black_box(unsafe { self.array.as_ptr().add(at).read_volatile() });
        }
    }
}

/// Kills at stop `first` and at each `step`th after it, alone or beside a reader; `prepare` is called in the child
/// first. Returns how often.
pub fn kill_at_system_calls(
    directory: &Path,
    exact: bool,
    beside_a_reader: bool,
    prepare: fn(),
    (first, step): (usize, usize),
) -> u64 {
    let path = directory.join("array");
    let memory = Place::Memory.directory();
    let done = Words::create(&memory.path().join("words"), 1);
    for (times, moment) in (first..).step_by(step).enumerate() {
        done[0].store(0, Release);
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, []).unwrap();
        let mut child = Traced::start(|| {
            prepare();
            make_all_changes(&path, exact, &done);
        });
        // Opened only now, so that the child has nothing of it.
        let mut follower = beside_a_reader.then(|| Follower::new(&path));
        let mut stop = None;
        for _ in 0..=moment {
            let Some(next) = child.next_stop() else { break };
            stop = Some(next);
            follower.iter_mut().for_each(Follower::look);
        }
        let ended = child.has_ended();
        drop(child);
        let changes = done[0].load(Acquire) as usize;
        let under_way = CHANGES.get(changes);
        let story = format!(
            "exact: {exact}, killed at stop {moment}, {stop:?}, after {changes} changes, in {under_way:?}"
        );
        if let Some(mut follower) = follower {
            follower.touch();
            follower.look();
            follower.touch();
        }
        check_after_kill(&path, changes, &story);
        if ended {
            assert_eq!(changes, CHANGES.len());
            assert!(moment > 200, "the child was stopped {moment} times only");
            return times as u64 + 1;
        }
    }
    unreachable!("the child comes to its end")
}
