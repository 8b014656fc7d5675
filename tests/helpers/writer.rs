//! A writer that is killed at a random moment: append, extend, pop, resize, commit and clear have happened wholly
//! or not at all.
//!
//! A child process makes one change after another, by a plan that its seed determines, and counts in memory
//! of its own which are done. The parent kills it at a random moment. What it then finds in the file must be
//! what the plan makes of the changes that were done, or of these and the one that was under way.

use std::path::Path;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::{Duration, Instant};

use mmap_backed_array::capi::{MBA_EXACT, MBA_RDONLY, MBA_RDWR};
use mmap_backed_array::{Array, OpenOptions, Type};

use super::moments::GETS_IN;
use super::raw::Raw;
use super::{Numbers, Process, Words, part, writable};

/// What the child's changes are drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    /// Everything.
    Mixed,
    /// Appends and closes: kills land in first steps of growth and in trimming.
    Restless,
    /// Long extends and resizes: kills land in copying and in later steps.
    Bulky,
    /// Extends, and resizes over what they have left in the spare room: kills land in writing zeros there.
    Breathing,
    /// As `Mixed`, in an exact file.
    Exact,
}

impl Habit {
    const ALL: [Habit; 5] = [Habit::Mixed, Habit::Restless, Habit::Bulky, Habit::Breathing, Habit::Exact];
}

/// One change. Values are named by their place in [`pattern`].
#[derive(Clone, Copy, Debug)]
enum Change {
    Append { at: usize },
    Extend { at: usize, count: usize },
    Commit { at: usize, count: usize },
    Pop,
    Resize { len: usize },
    Clear,
    ShrinkToFit,
    Unlock,
    Reopen,
}

/// A long row of bytes that never repeats soon and has no zero, of which all values are pieces.
pub fn pattern() -> Vec<u8> {
    let mut numbers = Numbers(0);
    (0..PATTERN / 8).flat_map(|_| (numbers.next() | 0x0101_0101_0101_0101).to_ne_bytes()).collect()
}

const PATTERN: usize = 1 << 19;
/// The most bytes in one extend.
const LONGEST: usize = PATTERN / 2;
/// The array is made shorter again at about this many bytes.
const LARGE: usize = 2 << 20;

/// What the seed determines: the type, the habit, the file at the start, and all changes.
struct Plan {
    numbers: Numbers,
    ty: Type,
    habit: Habit,
    start: Vec<u8>,
    len: usize,
}

impl Plan {
    fn new(seed: u64, pattern: &[u8]) -> Plan {
        let mut numbers = Numbers(seed);
        let types = ['B', 'H', 'I', 'd', 'D'];
        let ty = Type::from_char(types[numbers.below(types.len() as u64) as usize]).unwrap();
        let habit = Habit::ALL[numbers.below(Habit::ALL.len() as u64) as usize];
        // Nothing, a few elements, or an end close to a page's or a record's.
        let bytes = match numbers.below(3) {
            0 => 0,
            1 => numbers.below(300) as usize,
            _ => (numbers.below(6) * 4096 + 4096 - 80 + numbers.below(96)) as usize,
        };
        let len = bytes / ty.size();
        Plan { numbers, ty, habit, start: pattern[..len * ty.size()].to_vec(), len }
    }

    fn flags(&self) -> u32 {
        if self.habit == Habit::Exact { MBA_RDWR | MBA_EXACT } else { MBA_RDWR }
    }

    /// The next change.
    fn next(&mut self) -> Change {
        let size = self.ty.size();
        if self.len * size > LARGE {
            self.len = self.numbers.below(self.len as u64 / 2) as usize;
            return Change::Resize { len: self.len };
        }
        let roll = self.numbers.below(100);
        let at = self.numbers.below((PATTERN - LONGEST) as u64) as usize;
        let (long, rare) = match self.habit {
            Habit::Bulky | Habit::Breathing => (LONGEST, 40),
            Habit::Restless => (600, 15),
            Habit::Mixed | Habit::Exact => (70_000, 70),
        };
        let count = self.numbers.below((long / size) as u64) as usize;
        let change = match (self.habit, roll) {
            (Habit::Breathing, 0..90) if self.len * size > LONGEST / 2 => {
                Change::Resize { len: roll as usize }
            }
            (Habit::Breathing, 0..45) => Change::Extend { at, count: LONGEST / size },
            (Habit::Breathing, 45..90) => Change::Resize { len: self.len + LONGEST / size },
            (_, 98) => Change::Clear,
            (_, 96 | 97) => Change::ShrinkToFit,
            (_, 94 | 95) => Change::Unlock,
            (Habit::Restless, 45..94) | (_, 91..94) => Change::Reopen,
            (_, 80..91) => Change::Resize { len: self.numbers.below((self.len + count + 1) as u64) as usize },
            (_, 70..80) if self.len > 0 => Change::Pop,
            (_, roll) if roll < rare => Change::Append { at },
            // An exact file has no room to store behind its elements.
            (Habit::Exact, _) => Change::Extend { at, count },
            (_, roll) if roll % 4 == 0 => Change::Commit { at, count },
            _ => Change::Extend { at, count },
        };
        match change {
            Change::Append { .. } => self.len += 1,
            Change::Extend { count, .. } | Change::Commit { count, .. } => self.len += count,
            Change::Pop => self.len -= 1,
            Change::Resize { len } => self.len = len,
            Change::Clear => self.len = 0,
            Change::ShrinkToFit | Change::Unlock | Change::Reopen => {}
        }
        change
    }
}

/// What a change makes of the elements.
fn apply(change: Change, elements: &mut Vec<u8>, pattern: &[u8], size: usize) {
    match change {
        Change::Append { at } => elements.extend_from_slice(&pattern[at..at + size]),
        Change::Extend { at, count } | Change::Commit { at, count } => {
            elements.extend_from_slice(&pattern[at..at + count * size]);
        }
        Change::Pop => elements.truncate(elements.len() - size),
        Change::Resize { len } => elements.resize(len * size, 0),
        Change::Clear => elements.clear(),
        Change::ShrinkToFit | Change::Unlock | Change::Reopen => {}
    }
}

/// The word in which the child says that it has begun, and the one in which it counts its changes.
const BEGUN: usize = 0;
const DONE: usize = 1;

/// The child: changes the array until it is killed.
pub fn change_for_ever(arguments: &[String]) {
    let [path, words, seed] = arguments else { panic!("a file, a file of words, and a seed") };
    let (path, words, seed) = (Path::new(path), Words::open(Path::new(words)), seed.parse().unwrap());
    let pattern = pattern();
    let mut plan = Plan::new(seed, &pattern);
    let (ty, flags) = (plan.ty, plan.flags());
    let size = ty.size();
    words[BEGUN].store(1, Release);
    let mut array = Raw::open(path, ty, flags).unwrap();
    for done in 1.. {
        match plan.next() {
            Change::Append { at } => array.append(&pattern[at..at + size]).unwrap(),
            Change::Extend { at, count } => array.extend(&pattern[at..at + count * size]).unwrap(),
            Change::Commit { at, count } => {
                let len = array.len();
                array.reserve(len + count).unwrap();
                // SAFETY: the handle holds the lock and has room for so many elements behind its length.
                unsafe {
                    let end = array.data().add(len * size);
                    end.copy_from_nonoverlapping(pattern[at..].as_ptr(), count * size);
                }
                array.commit(len + count).unwrap();
            }
            Change::Pop => drop(array.pop().unwrap()),
            Change::Resize { len } => array.resize(len).unwrap(),
            Change::Clear => array.clear().unwrap(),
            Change::ShrinkToFit => array.shrink_to_fit().unwrap(),
            Change::Unlock => array.unlock().unwrap(),
            Change::Reopen => {
                array.close().unwrap();
                array = Raw::open(path, ty, flags).unwrap();
            }
        }
        words[DONE].store(done, Release);
    }
}

/// Others who have the file open meanwhile.
struct Company {
    reader: Raw,
    /// The longest that it has seen, in bytes.
    seen: usize,
}

impl Company {
    fn until(end: Instant, path: &Path, ty: Type) -> Company {
        let reader = Raw::open(path, ty, MBA_RDONLY).unwrap();
        let mut seen = reader.len() * ty.size();
        while Instant::now() < end {
            reader.refresh().unwrap();
            seen = seen.max(reader.len() * ty.size());
            let passing = Raw::open(path, ty, MBA_RDWR).unwrap();
            passing.close().unwrap();
        }
        Company { reader, seen }
    }

    /// What it has seen can be read, now that the writer is dead; then it goes.
    fn touch(self) {
        for at in (0..self.seen).step_by(512) {
            // SAFETY: it was a part of an element; that it is mapped still is what is tried here.
            std::hint::black_box(unsafe { self.reader.data().add(at).read_volatile() });
        }
    }
}

/// The parent's part of one round, whose child is started as this part of the binary. Returns how many changes the
/// child had made.
pub fn round(test: &str, directory: &Path, seed: u64, pattern: &[u8]) -> u64 {
    let path = directory.join(format!("{seed}"));
    let words_path = directory.join(format!("{seed}.words"));
    let words = Words::create(&words_path, 2);
    let mut plan = Plan::new(seed, pattern);
    let (ty, size) = (plan.ty, plan.ty.size());
    std::fs::write(&path, &plan.start).unwrap();

    let seed_text = seed.to_string();
    let names = [path.to_str().unwrap(), words_path.to_str().unwrap(), &seed_text];
    let mut child = Process::start(&mut part(test, &names));
    while words[BEGUN].load(Acquire) == 0 {
        assert!(child.ended().is_none(), "the child of seed {seed} ended by itself");
        std::thread::sleep(Duration::from_micros(50));
    }
    // The moment is what is random here: in the first growth, or well under way.
    let mut moment = Numbers::any();
    let longest = if plan.habit != Habit::Breathing && moment.below(2) == 0 { 300 } else { 6000 };
    let moment_of_death = Instant::now() + Duration::from_micros(moment.below(longest));
    // Every other one has company: a reader that looks all the time, and writers that come and go.
    let company = seed.is_multiple_of(2).then(|| Company::until(moment_of_death, &path, ty));
    std::thread::sleep(moment_of_death.saturating_duration_since(Instant::now()));
    assert!(child.ended().is_none(), "the child of seed {seed} ended by itself");
    child.kill();
    if let Some(company) = company {
        company.touch();
    }

    let done = words[DONE].load(Acquire);
    let mut before = plan.start.clone();
    for _ in 0..done {
        apply(plan.next(), &mut before, pattern, size);
    }
    let under_way = plan.next();
    let mut after = before.clone();
    apply(under_way, &mut after, pattern, size);

    let story = format!("seed {seed}, {ty:?}, {:?}, after {done} changes, in {under_way:?}", plan.habit);
    let reader = Array::open(&path, ty, &OpenOptions::new()).unwrap_or_else(|e| panic!("{story}: {e}"));
    let mut found = vec![0; reader.len() * size];
    reader.read(0, &mut found).unwrap();
    assert!(
        found == before || found == after,
        "{story}: {} elements, neither the {} before nor the {} after{}",
        reader.len(),
        before.len() / size,
        after.len() / size,
        found
            .iter()
            .zip(if found.len() == after.len() { &after } else { &before })
            .position(|(a, b)| a != b)
            .map_or(String::new(), |at| format!(", and byte {at} is another")),
    );
    drop(reader);

    let next = Array::open(&path, ty, &writable()).unwrap();
    next.lock(GETS_IN).unwrap_or_else(|e| panic!("{story}: the next grower gets {e}"));
    assert_eq!(next.len() * size, found.len(), "{story}: the next grower sees another length");
    next.append(&pattern[..size]).unwrap();
    found.extend_from_slice(&pattern[..size]);
    // Whatever the dead one has left in the spare room, new elements are zero.
    next.resize(found.len() / size + 100).unwrap();
    found.resize(found.len() + 100 * size, 0);
    next.close().unwrap();
    assert!(std::fs::read(&path).unwrap() == found, "{story}: the closed file isn't its elements");
    std::fs::remove_file(&path).unwrap();
    std::fs::remove_file(&words_path).unwrap();
    done
}
