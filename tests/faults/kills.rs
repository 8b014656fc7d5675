//! Writers that are killed, on each file system that the promises name: before and after every system call, and at
//! random moments.
//!
//! What was done is there, nothing else is, and the next one who grows the array gets in within a second.

use std::path::Path;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::{Duration, Instant};

use mmap_backed_array::{Error, MmapArray, Wait};

use crate::campaign::{Cases, Fault, Forked};
use crate::filesystem::Kind;
use crate::helpers::moments::kill_at_system_calls;
use crate::helpers::writer::{change_for_ever, pattern, round};
use crate::helpers::{self, Numbers, Place, Words, writable};

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "kill at a system call",
        answer: "each change wholly or not at all, next in < 1 s",
        cases: at_system_calls,
    },
    Fault {
        name: "sudden kill at a random moment",
        answer: "each change wholly or not at all, next in < 1 s",
        cases: at_random,
    },
    Fault {
        name: "bereaved growers, waiting for one who is killed",
        answer: "they get the lock within a second",
        cases: waiting,
    },
];

/// MiB of each file system: room for the array as it is and as it becomes.
const SIZE: u64 = 64;

/// All kinds of changes, killed at each stop in turn; at a smaller scale at some of them, others in each run.
fn at_system_calls(cases: &mut Cases) {
    let step = cases.scale(101, 13, 1);
    // The last of them can't reserve blocks, so that spare room comes by writing zeros.
    for kind in Kind::ALL.into_iter().chain([Kind::Ext2]) {
        let Some(mounted) = kind.mount(SIZE) else { continue };
        for exact in [false, true] {
            for beside_a_reader in [false, true] {
                let first = Numbers::any().below(step) as usize;
                let mut times = 1;
                let label = format!("{:?}, exact: {exact}, beside a reader: {beside_a_reader}", mounted.kind);
                cases.case(label, || {
                    let moments = (first, step as usize);
                    times = kill_at_system_calls(mounted.path(), exact, beside_a_reader, || {}, moments);
                });
                cases.add(times - 1, None);
            }
        }
    }
}

/// The name under which this binary plays the writer.
const WRITER: &str = "writer";

/// Plays the writer, until it is killed, if this process was started for that.
pub fn write_if_told_to() {
    if let Some(arguments) = helpers::arguments(WRITER) {
        change_for_ever(&arguments);
    }
}

fn at_random(cases: &mut Cases) {
    let rounds = cases.scale(10, 200, 2000);
    let pattern = pattern();
    for kind in Kind::ALL {
        let Some(mounted) = kind.mount(SIZE) else { continue };
        let mut seeds = Numbers::any();
        let mut fruitful = 0;
        for _ in 0..rounds {
            let seed = seeds.next();
            cases.case(format!("{kind:?}, seed {seed}"), || {
                let changes = round(WRITER, mounted.path(), seed, &pattern);
                fruitful += u64::from(changes > 0);
            });
        }
        // Else the kills came too early to prove anything.
        let too_early = fruitful < rounds / 4;
        let story = format!("{kind:?}: only {fruitful} writers of {rounds} came to change anything");
        cases.add(0, too_early.then_some(story));
    }
}

/// In the words that the processes share: how many elements are acknowledged; whether the grower waits; when the
/// writer was killed and when the grower had the lock, in microseconds.
const DONE: usize = 0;
const WAITS: usize = 1;
const KILLED: usize = 2;
const GOT_IN: usize = 3;

/// With so many elements the writer has written enough.
const MOST: u64 = 2 << 20;

fn element(at: u64) -> u64 {
    at * 0x9e37_79b9 + 1
}

/// A writer grows an array until it is killed, while another process waits for the lock, with a limit or for ever.
fn waiting(cases: &mut Cases) {
    let rounds = cases.scale(5, 50, 500);
    for kind in Kind::ALL {
        let Some(mounted) = kind.mount(SIZE) else { continue };
        let memory = Place::Memory.directory();
        for round in 0..rounds {
            let path = mounted.path().join(format!("waiting {round}"));
            let words = Words::create(&memory.path().join(format!("{round}")), 4);
            for wait in [Wait::For(Duration::from_secs(60)), Wait::Forever] {
                cases.case(format!("{kind:?}, {wait:?}, round {round}"), || one_waits(&path, &words, wait));
            }
            std::fs::remove_file(&path).unwrap();
        }
    }
}

fn one_waits(path: &Path, words: &Words, wait: Wait) {
    words.iter().for_each(|word| word.store(0, Release));
    let _ = std::fs::remove_file(path);
    let start = Instant::now();
    let now = || start.elapsed().as_micros() as u64;
    let writer = Forked::start(|| {
        let mut array = MmapArray::<u64>::open_or_create(path).unwrap();
        for at in 0..MOST {
            array.push(element(at)).unwrap();
            words[DONE].store(at + 1, Release);
        }
        loop {
            std::thread::park();
        }
    });
    let come = |word: usize, child: &Forked| {
        while words[word].load(Acquire) == 0 {
            assert!(!child.has_ended(), "a process ended by itself");
            std::thread::sleep(Duration::from_micros(50));
        }
    };
    come(DONE, &writer);
    let grower = Forked::start(|| {
        let mut array = MmapArray::<u64>::open_with(path, &writable()).unwrap();
        assert_eq!(array.lock(Wait::No), Err(Error::Locked));
        words[WAITS].store(1, Release);
        array.lock(wait).unwrap();
        words[GOT_IN].store(now(), Release);
        let (len, done) = (array.len() as u64, words[DONE].load(Acquire));
        assert!(len == done || len == done + 1, "{len} elements of {done}");
        assert!(array.iter().zip(0..).all(|(found, at)| found == element(at)), "an element is another");
        array.push(element(len)).unwrap();
        array.close().unwrap();
        assert_eq!(helpers::file_size(path), (len + 1) * 8);
    });
    come(WAITS, &grower);
    // The moment is what is random here.
    std::thread::sleep(Duration::from_micros(Numbers::any().below(6000)));
    words[KILLED].store(now(), Release);
    drop(writer);
    grower.end_well();
    let took = words[GOT_IN].load(Acquire) - words[KILLED].load(Acquire);
    assert!(took < 1_000_000, "the next one waited for {took} microseconds");
}
