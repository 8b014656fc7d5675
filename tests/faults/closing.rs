//! Processes that close the same array at the same moment: whatever the moment, the file is exactly its elements
//! afterwards, without anybody's help.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::{Duration, Instant};

use mmap_backed_array::Type;
use mmap_backed_array::capi::*;

use crate::campaign::{Cases, Fault, Forked};
use crate::helpers::raw::Raw;
use crate::helpers::{Numbers, Place, Words};

pub const FAULTS: &[Fault] = &[Fault {
    name: "joint closes of two and three processes",
    answer: "the file is exactly its elements",
    cases: joint_closes,
}];

/// What a process has done with its handle before all close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Nothing; it only reads.
    Reads,
    /// Has set elements, which needs no lock.
    Sets,
    Appends,
    /// The same with a file that is to be exact at every call.
    AppendsExactly,
    Pops,
    Shortens,
    Clears,
    Inserts,
    /// Has made it shorter and then longer than it was.
    Refills,
}

const PARTS: [Part; 9] = [
    Part::Reads,
    Part::Sets,
    Part::Appends,
    Part::AppendsExactly,
    Part::Pops,
    Part::Shortens,
    Part::Clears,
    Part::Inserts,
    Part::Refills,
];

impl Part {
    fn flags(self) -> u32 {
        match self {
            Part::Reads => MBA_RDONLY,
            Part::AppendsExactly => MBA_RDWR | MBA_EXACT,
            _ => MBA_RDWR,
        }
    }

    fn takes_away(self) -> bool {
        matches!(self, Part::Pops | Part::Shortens | Part::Clears | Part::Inserts | Part::Refills)
    }

    fn changes_length(self) -> bool {
        !matches!(self, Part::Reads | Part::Sets)
    }

    fn act(self, array: &Raw, numbers: &mut Numbers) {
        let len = array.len();
        let some = |count: usize, numbers: &mut Numbers| -> Vec<u8> {
            (0..count).flat_map(|_| numbers.next().to_ne_bytes()).collect()
        };
        match self {
            Part::Reads => {}
            Part::Sets => {
                for _ in 0..5 {
                    let value = numbers.next().to_ne_bytes();
                    if len > 0 {
                        array.set(numbers.below(len as u64) as usize, &value).unwrap();
                    }
                }
            }
            Part::Appends | Part::AppendsExactly => {
                let count = 1 + numbers.below(700) as usize;
                array.extend(&some(count, numbers)).unwrap();
            }
            Part::Pops => {
                for _ in 0..numbers.below(20).min(len as u64) {
                    array.pop().unwrap();
                }
            }
            Part::Shortens => array.resize(numbers.below(len as u64 + 1) as usize).unwrap(),
            Part::Clears => array.clear().unwrap(),
            Part::Inserts => {
                let at = numbers.below(len as u64 + 1) as usize;
                array.insert(at, &numbers.next().to_ne_bytes()).unwrap();
            }
            Part::Refills => {
                array.resize(len / 2).unwrap();
                array.extend(&some(len, numbers)).unwrap();
            }
        }
    }
}

/// A round as its seed determines it, the same for all who take part.
struct Round {
    numbers: Numbers,
    start: usize,
    parts: Vec<Part>,
    /// Whether the last one to change the length holds the lock still when all close.
    keeps_lock: bool,
}

impl Round {
    fn new(seed: u64) -> Round {
        let mut numbers = Numbers(seed);
        let start = numbers.below(2_000) as usize;
        let count = 2 + numbers.below(2) as usize;
        let mut parts: Vec<Part> =
            (0..count).map(|_| PARTS[numbers.below(PARTS.len() as u64) as usize]).collect();
        if !parts.iter().any(|part| part.changes_length()) {
            parts[0] = Part::Shortens;
        }
        let keeps_lock = numbers.below(2) == 0;
        Round { numbers, start, parts, keeps_lock }
    }

    /// Numbers of its own for each who takes part.
    fn numbers_of(&self, who: usize) -> Numbers {
        Numbers(self.numbers.0.wrapping_add(who as u64 * 0x1234_5678_9abc_def1))
    }

    fn holder(&self) -> Option<usize> {
        self.parts.iter().rposition(|part| part.changes_length()).filter(|_| self.keeps_lock)
    }

    /// Whether the file is exact by itself afterwards. One that only reads may be the last who lets go of what others
    /// took away.
    fn ends_exact(&self) -> bool {
        let reads = self.parts.contains(&Part::Reads);
        !(reads && self.parts.iter().any(|part| part.takes_away()))
    }
}

const MOST_PARTS: usize = 3;
/// In the words that all share: the seed of a round, what is to be done in it, and how far each has come.
const SEED: usize = 0;
const ORDER: usize = 1;
const COME: usize = 2;

/// The orders of a round: all open, then each in turn does its part, then all close.
const OPEN: u64 = 1;
const ACT: u64 = 2;
const CLOSE: u64 = ACT + MOST_PARTS as u64;
const ORDERS: u64 = CLOSE + 1;
const THE_END: u64 = u64::MAX;

fn patience(start: Instant, what: &str) {
    assert!(start.elapsed() < Duration::from_secs(60), "{what}");
    std::thread::yield_now();
}

/// Waits for an order beyond the last one.
fn next_order(words: &Words, last: u64) -> u64 {
    let start = Instant::now();
    loop {
        let order = words[ORDER].load(Acquire);
        if order != last {
            return order;
        }
        patience(start, "no order comes");
    }
}

/// Takes part in rounds until there are no more. The order to close is waited for without a pause, so that all begin at
/// once as far as there are processors.
fn take_part(who: usize, path: &Path, words: &Words) {
    let mut array: Option<Raw> = None;
    let mut last = 0;
    let ty = Type::from_code(MBA_UINT64).unwrap();
    loop {
        let order = next_order(words, last);
        if order == THE_END {
            return;
        }
        last = order;
        let round = Round::new(words[SEED].load(Acquire));
        if let Some(part) = round.parts.get(who) {
            let step = order % ORDERS;
            if step == OPEN {
                array = Some(Raw::open(path, ty, part.flags()).unwrap());
            } else if step == ACT + who as u64 {
                let own = array.as_ref().unwrap();
                // Its elements are to be those of all before.
                own.refresh().unwrap();
                part.act(own, &mut round.numbers_of(who));
                if round.holder() != Some(who) {
                    own.unlock().unwrap();
                }
            } else if step == CLOSE {
                array.take().unwrap().close().unwrap();
            }
        }
        words[COME + who].store(order, Release);
    }
}

fn joint_closes(cases: &mut Cases) {
    let rounds = cases.scale(400, 4_000, 400_000);
    for place in [Place::Memory, Place::Disk] {
        let directory = place.directory();
        let memory = Place::Memory.directory();
        let path = directory.path().join("array");
        let words = Words::create(&memory.path().join("words"), COME + MOST_PARTS);
        let workers: Vec<Forked> =
            (0..MOST_PARTS).map(|who| Forked::start(|| take_part(who, &path, &words))).collect();
        let mut seeds = Numbers::any();
        for round in 0..rounds / 2 {
            let seed = seeds.next();
            let label = format!("{place:?}, seed {seed:#x}, {:?}", Round::new(seed).parts);
            let mut is_well = false;
            cases.case(label, || {
                one_round(&path, &words, seed, round + 1, &workers);
                is_well = true;
            });
            if !is_well && workers.iter().any(Forked::has_ended) {
                break;
            }
        }
        words[ORDER].store(THE_END, Release);
        workers.into_iter().for_each(Forked::end_well);
    }
}

fn one_round(path: &Path, words: &Words, seed: u64, number: u64, workers: &[Forked]) {
    let round = Round::new(seed);
    let mut numbers = round.numbers_of(MOST_PARTS);
    let start: Vec<u8> = (0..round.start).flat_map(|_| numbers.next().to_ne_bytes()).collect();
    let _ = fs::remove_file(path);
    fs::write(path, start).unwrap();
    words[SEED].store(seed, Release);
    let mut expected = Vec::new();
    for step in OPEN..ORDERS {
        if step == CLOSE {
            // What there is now, by a handle that is gone before the others close.
            let ty = Type::from_code(MBA_UINT64).unwrap();
            let reader = Raw::open(path, ty, MBA_RDONLY).unwrap();
            expected = reader.read(0, reader.len()).unwrap();
            reader.close().unwrap();
        }
        let order = number * ORDERS + step;
        words[ORDER].store(order, Release);
        let start = Instant::now();
        for (who, worker) in workers.iter().enumerate() {
            while words[COME + who].load(Acquire) != order {
                assert!(!worker.has_ended(), "a process ended in step {step}");
                patience(start, "somebody hangs");
            }
        }
    }
    let closed = fs::read(path).unwrap();
    if !round.ends_exact() && closed != expected {
        let ty = Type::from_code(MBA_UINT64).unwrap();
        Raw::open(path, ty, MBA_RDWR).unwrap().close().unwrap();
    }
    let closed = fs::read(path).unwrap();
    assert!(closed == expected, "{} bytes, {} of elements", closed.len(), expected.len());
}
