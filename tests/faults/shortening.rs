//! Calls that take elements away or move them, looked at after each single instruction: what an open handle has seen
//! stays within the reach, and whoever follows by refresh and epoch is never misled.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use mmap_backed_array::Type;
use mmap_backed_array::capi::*;

use crate::campaign::{Cases, Fault};
use crate::helpers::footer::{self, Reading};
use crate::helpers::raw::Raw;
use crate::helpers::trace::{Traced, mark};
use crate::helpers::{Numbers, Place};

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "instruction-by-instruction shortening and moving",
        answer: "what others saw stays within the reach; epochs tell of each change",
        cases: after_each_instruction,
    },
    Fault {
        name: "killed at an instruction that shortens or moves",
        answer: "what others saw can be read; the next close leaves just elements",
        cases: killed_at_instructions,
    },
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Pop,
    PopTwice,
    Clear,
    Resize,
    Remove,
    SpliceShorter,
    Insert,
    SpliceLonger,
    /// These take nothing away and move nothing.
    Append,
    Extend,
    Grow,
    SpliceAtEnd,
    SpliceOfSameLength,
    ShrinkToFit,
    /// Takes away, and then all back that may go.
    ClearAndShrink,
    Unlock,
}

const CALLS: [Call; 16] = [
    Call::Pop,
    Call::PopTwice,
    Call::Clear,
    Call::Resize,
    Call::Remove,
    Call::SpliceShorter,
    Call::Insert,
    Call::SpliceLonger,
    Call::Append,
    Call::Extend,
    Call::Grow,
    Call::SpliceAtEnd,
    Call::SpliceOfSameLength,
    Call::ShrinkToFit,
    Call::ClearAndShrink,
    Call::Unlock,
];

/// What the file is like before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    /// Its elements.
    Flat,
    /// It has spare room, and nothing was taken away.
    Grown,
    /// It has spare room, and others have seen more.
    Shortened,
    /// Its elements, and to be just these after each call.
    Exact,
}

const BEFORE: [Before; 4] = [Before::Flat, Before::Grown, Before::Shortened, Before::Exact];

const LEN: usize = 60;
const AT: usize = 20;

fn number(at: usize) -> u64 {
    at as u64 * 0x9e37_79b9 + 1
}

fn bytes_of(elements: &[u64]) -> Vec<u8> {
    elements.iter().flat_map(|element| element.to_ne_bytes()).collect()
}

fn open(path: &Path, flags: u32) -> Raw {
    Raw::open(path, Type::from_code(MBA_UINT64).unwrap(), flags).unwrap()
}

fn contents(array: &Raw) -> Vec<u64> {
    let bytes = array.read(0, array.len()).unwrap();
    bytes.chunks_exact(8).map(|bytes| u64::from_ne_bytes(bytes.try_into().unwrap())).collect()
}

/// New elements, which occur nowhere else.
fn new(count: usize) -> Vec<u64> {
    (1..=count as u64).map(|at| at << 40).collect()
}

impl Before {
    fn prepare(self, path: &Path) -> Raw {
        let flags = if self == Before::Exact { MBA_RDWR | MBA_EXACT } else { MBA_RDWR };
        let array = open(path, flags);
        match self {
            Before::Flat | Before::Exact => {}
            Before::Grown => array.reserve(LEN + 5).unwrap(),
            Before::Shortened => {
                array.extend(&bytes_of(&new(LEN))).unwrap();
                array.resize(LEN).unwrap();
            }
        }
        array
    }
}

impl Call {
    fn act(self, array: &Raw) {
        match self {
            Call::Pop => drop(array.pop().unwrap()),
            Call::PopTwice => {
                array.pop().unwrap();
                array.pop().unwrap();
            }
            Call::Clear => array.clear().unwrap(),
            Call::Resize => array.resize(LEN / 2).unwrap(),
            Call::Remove => drop(array.remove(AT).unwrap()),
            Call::SpliceShorter => array.splice(AT, 10, &bytes_of(&new(3))).unwrap(),
            Call::Insert => array.insert(AT, &bytes_of(&new(1))).unwrap(),
            Call::SpliceLonger => array.splice(AT, 3, &bytes_of(&new(10))).unwrap(),
            Call::Append => array.append(&bytes_of(&new(1))).unwrap(),
            Call::Extend => array.extend(&bytes_of(&new(20))).unwrap(),
            Call::Grow => array.reserve(20_000).unwrap(),
            Call::SpliceAtEnd => array.splice(LEN, 0, &bytes_of(&new(10))).unwrap(),
            Call::SpliceOfSameLength => array.splice(AT, 3, &bytes_of(&new(3))).unwrap(),
            Call::ShrinkToFit => array.shrink_to_fit().unwrap(),
            Call::ClearAndShrink => {
                array.clear().unwrap();
                array.shrink_to_fit().unwrap();
            }
            Call::Unlock => array.unlock().unwrap(),
        }
    }

    /// What it makes of the elements, and whether whoever follows must begin anew.
    fn result(self) -> (Vec<u64>, bool) {
        let mut elements: Vec<u64> = (0..LEN).map(number).collect();
        match self {
            Call::Pop => drop(elements.pop()),
            Call::PopTwice => elements.truncate(LEN - 2),
            Call::Clear | Call::ClearAndShrink => elements.clear(),
            Call::Resize => elements.truncate(LEN / 2),
            Call::Remove => drop(elements.remove(AT)),
            Call::SpliceShorter => drop(elements.splice(AT..AT + 10, new(3))),
            Call::Insert => elements.insert(AT, new(1)[0]),
            Call::SpliceLonger => drop(elements.splice(AT..AT + 3, new(10))),
            Call::Append => elements.extend(new(1)),
            Call::Extend => elements.extend(new(20)),
            Call::SpliceAtEnd => elements.extend(new(10)),
            Call::SpliceOfSameLength => drop(elements.splice(AT..AT + 3, new(3))),
            Call::Grow | Call::ShrinkToFit | Call::Unlock => {}
        }
        let moves = !matches!(
            self,
            Call::Append
                | Call::Extend
                | Call::Grow
                | Call::SpliceAtEnd
                | Call::SpliceOfSameLength
                | Call::ShrinkToFit
                | Call::Unlock
        );
        (elements, moves)
    }
}

/// A process that makes the call, stopped just before it, and those who have the file open beside it.
struct Scene {
    traced: Traced,
    file: File,
    /// Opened before anything happened; it never looks again, and has seen what there was.
    old: Raw,
    /// One that looks all the time.
    follower: Raw,
}

impl Scene {
    fn new(path: &Path, before: Before, call: Call) -> Scene {
        let _ = fs::remove_file(path);
        fs::write(path, bytes_of(&(0..LEN).map(number).collect::<Vec<_>>())).unwrap();
        let mut traced = Traced::start(|| {
            let array = before.prepare(path);
            mark();
            call.act(&array);
            mark();
            std::mem::forget(array);
        });
        // Opened now, so that the traced process has nothing of them.
        let first = open(path, MBA_RDONLY);
        traced.run_to_mark();
        let old = open(path, MBA_RDONLY);
        let follower = open(path, MBA_RDONLY);
        first.close().unwrap();
        Scene { traced, file: File::open(path).unwrap(), old, follower }
    }

    /// The file as it is at this moment, by its description.
    fn reading(&self) -> (Reading, u64) {
        let size = self.file.metadata().unwrap().len();
        let mut last = vec![0; size.min(footer::SIZE as u64) as usize];
        let start = size - last.len() as u64;
        self.file.read_exact_at(&mut last, start).unwrap();
        let reading = footer::read(size, &last, Type::from_code(MBA_UINT64).unwrap()).expect("a sound file");
        let epoch = match last.first_chunk() {
            Some(last) if reading.has_footer => footer::Footer::decode(last).epoch,
            _ => 0,
        };
        (reading, epoch)
    }

    /// Whatever the old handle takes for elements can be read.
    fn touch(&self) {
        for array in [&self.old, &self.follower] {
            for at in 0..array.len() {
                // SAFETY: the handle has taken it for an element; that it is mapped still is what is tried here.
                std::hint::black_box(unsafe { array.data().cast::<u64>().add(at).read_volatile() });
            }
        }
    }
}

fn after_each_instruction(cases: &mut Cases) {
    let some = cases.scale(7, 1, 1);
    let mut turn = Numbers::any().below(some);
    for place in [Place::Memory, Place::Disk] {
        let directory = place.directory();
        let path = directory.path().join("array");
        for before in BEFORE {
            for call in CALLS {
                turn += 1;
                if turn.is_multiple_of(some) {
                    let label = format!("{place:?}, {before:?}, {call:?}");
                    let mut steps = 0;
                    cases.case(label, || steps = one_by_one(&path, before, call));
                    cases.add(steps, None);
                }
            }
        }
    }
}

/// Returns the number of instructions.
fn one_by_one(path: &Path, before: Before, call: Call) -> u64 {
    let mut scene = Scene::new(path, before, call);
    let (expected, moves) = call.result();
    let first = contents(&scene.follower);
    let first_epoch = scene.follower.epoch();
    let (mut known, mut known_epoch) = scene.reading();
    let mut seen = scene.old.len().max(scene.follower.len()) as u64;
    // The epoch at the last moment at which the length was another one.
    let mut epoch_of_length = known_epoch;
    // What a follower found with each epoch.
    let mut found: HashMap<u64, Vec<Vec<u64>>> = HashMap::from([(first_epoch, vec![first.clone()])]);
    let mut steps = 0;
    loop {
        // Within a system call nobody can look.
        if !scene.traced.step() {
            break;
        }
        steps += 1;
        let story = || format!("after {steps} instructions");
        let (reading, epoch) = scene.reading();
        assert!(reading.reach >= seen, "{}: a reach of {}, and {seen} were seen", story(), reading.reach);
        if reading.len < known.len {
            assert_ne!(known_epoch, epoch_of_length, "{}: the epoch was to change first", story());
        }
        if reading.len != known.len {
            epoch_of_length = epoch;
        }
        (known, known_epoch) = (reading, epoch);
        scene.follower.refresh().unwrap();
        seen = seen.max(scene.follower.len() as u64);
        let now = contents(&scene.follower);
        let all = found.entry(scene.follower.epoch()).or_default();
        if all.last() != Some(&now) {
            all.push(now);
        }
    }
    scene.follower.refresh().unwrap();
    let last_epoch = scene.follower.epoch();
    assert!(contents(&scene.follower) == expected, "what the call was to make of it");
    assert_eq!(last_epoch != first_epoch, moves, "whether whoever follows must begin anew");
    let is_beginning = |short: &[u64], long: &[u64]| long.starts_with(short);
    if call != Call::SpliceOfSameLength {
        // With the epoch of before all of before is there still; with that of after nothing but what is there at last.
        for now in &found[&first_epoch] {
            assert!(is_beginning(&first, now), "an old epoch, and {} elements", now.len());
        }
        for now in &found[&last_epoch] {
            assert!(is_beginning(now, &expected), "the new epoch, and {} elements", now.len());
        }
    }
    scene.touch();
    steps
}

fn killed_at_instructions(cases: &mut Cases) {
    // At a smaller scale some of the calls, others in each run.
    let (some, places) = cases.scale((11, 2), (1, 5), (1, 100_000));
    let calls = [Call::Pop, Call::Clear, Call::Insert, Call::Remove, Call::Grow, Call::ClearAndShrink];
    let mut numbers = Numbers::any();
    let mut turn = numbers.below(some);
    for place in [Place::Memory, Place::Disk] {
        let directory = place.directory();
        let path = directory.path().join("array");
        for before in BEFORE {
            for call in calls {
                turn += 1;
                if !turn.is_multiple_of(some) {
                    continue;
                }
                let steps = steps_of(&path, before, call);
                let stride = (steps / places).max(1);
                let first = numbers.below(stride);
                for at in (first..steps).step_by(stride as usize) {
                    cases.child(format!("{place:?}, {before:?}, {call:?}, at instruction {at}"), || {
                        killed_at(&path, before, call, at);
                    });
                }
            }
        }
    }
}

/// How many instructions there are from mark to mark.
fn steps_of(path: &Path, before: Before, call: Call) -> u64 {
    let mut scene = Scene::new(path, before, call);
    let mut steps = 0;
    while scene.traced.step() {
        steps += 1;
    }
    steps
}

fn killed_at(path: &Path, before: Before, call: Call, at: u64) {
    let mut scene = Scene::new(path, before, call);
    for _ in 0..at {
        scene.traced.step();
    }
    scene.follower.refresh().unwrap();
    scene.traced.kill();
    let (reading, _) = scene.reading();
    let (after, moves) = call.result();
    let start: Vec<u64> = (0..LEN).map(number).collect();
    let reader = open(path, MBA_RDONLY);
    let mut found = contents(&reader);
    assert_eq!(reading.len, found.len() as u64);
    reader.close().unwrap();
    let half_done = moves && matches!(call, Call::Insert | Call::Remove);
    if half_done {
        assert!(found.len() == start.len() || found.len() == after.len(), "{} elements", found.len());
        assert!(found[..AT] == start[..AT], "what isn't moved is as it was");
    } else {
        assert!(found == start || found == after, "{} elements", found.len());
    }
    scene.touch();
    let Scene { old, follower, .. } = scene;
    // The next writer, beside those who have seen more; then alone.
    let next = open(path, MBA_RDWR);
    next.append(&7u64.to_ne_bytes()).unwrap();
    found.push(7);
    next.close().unwrap();
    for array in [&old, &follower] {
        array.refresh().unwrap();
        assert!(contents(array) == found, "a reader that was there before");
    }
    old.close().unwrap();
    follower.close().unwrap();
    open(path, MBA_RDWR).close().unwrap();
    assert!(fs::read(path).unwrap() == bytes_of(&found), "the closed file is its elements");
}
