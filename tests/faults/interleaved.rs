//! One process is stopped before and after each of its system calls, and at each of them another process does
//! something with the same file: closes, opens, refreshes, stores by an old length, appends, tidies up, or nothing. Then
//! the first one goes on, or is killed.
//!
//! Whatever the moment: what is acknowledged is there, what an open handle has ever seen can be read, and the file is
//! its elements once a handle that may write has closed as the last one.

use std::fs;
use std::path::{Path, PathBuf};

use mmap_backed_array::Type;
use mmap_backed_array::capi::*;

use crate::campaign::{Cases, Fault, ending, in_child};
use crate::helpers::raw::{Code, Raw};
use crate::helpers::trace::{Traced, mark};
use crate::helpers::{Numbers, Place};

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "interleaved with another process, at each system call",
        answer: "nothing lost, nothing faults; its elements after the last close",
        cases: |cases| all_of(cases, false),
    },
    Fault {
        name: "killed beside another process, at each system call",
        answer: "nothing lost, nothing faults; its elements after the last close",
        cases: |cases| all_of(cases, true),
    },
];

/// What the traced process has done before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Only opened the file, which is its elements.
    Opened,
    /// Appended, and holds the lock.
    Grown,
    /// Taken elements away, and holds the lock.
    Shortened,
    /// Taken elements away, and given the lock back.
    Unlocked,
    /// It finds spare room of a process that was killed after it had taken elements away.
    Left,
}

/// What it is stopped in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Close,
    Pop,
    Clear,
    ShrinkToFit,
    Grow,
    Unlock,
    OpenAndClose,
    Tidy,
}

/// What the other process does meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Nothing,
    CloseWriter,
    CloseReader,
    OpenReader,
    OpenWriter,
    OpenAndCloseWriter,
    Refresh,
    StoreByOldLength,
    Append,
    Tidy,
}

const STATES: [State; 5] = [State::Opened, State::Grown, State::Shortened, State::Unlocked, State::Left];
const ACTS: [Act; 8] = [
    Act::Close,
    Act::Pop,
    Act::Clear,
    Act::ShrinkToFit,
    Act::Grow,
    Act::Unlock,
    Act::OpenAndClose,
    Act::Tidy,
];
const EVENTS: [Event; 10] = [
    Event::Nothing,
    Event::CloseWriter,
    Event::CloseReader,
    Event::OpenReader,
    Event::OpenWriter,
    Event::OpenAndCloseWriter,
    Event::Refresh,
    Event::StoreByOldLength,
    Event::Append,
    Event::Tidy,
];

/// Three pages of numbers, less a little.
const START: usize = 1500;
const FEW: usize = 40;
const FEWER: usize = 300;
/// More than the spare room of a first step.
const MANY: usize = 20_000;

fn number(at: usize) -> u64 {
    at as u64 * 0x9e37_79b9 + 1
}

fn bytes_of(elements: &[u64]) -> Vec<u8> {
    elements.iter().flat_map(|element| element.to_ne_bytes()).collect()
}

fn uint64() -> Type {
    Type::from_code(MBA_UINT64).unwrap()
}

fn open(path: &Path, flags: u32) -> Code<Raw> {
    Raw::open(path, uint64(), flags)
}

fn numbers(len: usize) -> Vec<u64> {
    (0..len).map(number).collect()
}

/// What a call may say where another handle may have the lock.
fn unless_locked(result: Code<()>) -> bool {
    match result {
        Ok(()) => true,
        Err(MBA_ELOCKED) => false,
        Err(code) => panic!("the answer {code}"),
    }
}

fn contents(array: &Raw) -> Vec<u64> {
    let bytes = array.read(0, array.len()).unwrap();
    bytes.chunks_exact(8).map(|bytes| u64::from_ne_bytes(bytes.try_into().unwrap())).collect()
}

impl State {
    fn prepare(self, path: &Path) -> Raw {
        let array = open(path, MBA_RDWR).unwrap();
        match self {
            State::Opened | State::Left => {}
            State::Grown => array.extend(&bytes_of(&numbers(START + FEW)[START..])).unwrap(),
            State::Shortened | State::Unlocked => array.resize(FEWER).unwrap(),
        }
        if self == State::Unlocked {
            array.unlock().unwrap();
        }
        array
    }

    fn elements(self) -> Vec<u64> {
        numbers(match self {
            State::Opened => START,
            State::Grown => START + FEW,
            State::Shortened | State::Unlocked | State::Left => FEWER,
        })
    }
}

impl Act {
    fn can_follow(self, state: State) -> bool {
        match self {
            Act::Unlock => matches!(state, State::Grown | State::Shortened),
            Act::OpenAndClose | Act::Tidy => matches!(state, State::Left | State::Opened),
            _ => true,
        }
    }

    /// Whether it needs a handle that is there before.
    fn has_handle(self) -> bool {
        !matches!(self, Act::OpenAndClose | Act::Tidy)
    }

    /// Does it; `false` if another handle has the lock.
    fn act(self, path: &Path, array: &mut Option<Raw>) -> bool {
        if self == Act::Tidy {
            return unless_locked(Raw::tidy(path, None, 0));
        }
        if self == Act::OpenAndClose {
            open(path, MBA_RDWR).unwrap().close().unwrap();
            return true;
        }
        if self == Act::Close {
            array.take().unwrap().close().unwrap();
            return true;
        }
        let array = array.as_ref().unwrap();
        let len = array.len();
        unless_locked(match self {
            Act::Pop => array.pop().map(drop),
            Act::Clear => array.clear(),
            Act::ShrinkToFit => array.shrink_to_fit(),
            Act::Grow => array.extend(&bytes_of(&numbers(len + MANY)[len..])),
            _ => array.unlock(),
        })
    }

    fn after(self, mut elements: Vec<u64>) -> Vec<u64> {
        match self {
            Act::Pop => drop(elements.pop()),
            Act::Clear => elements.clear(),
            Act::Grow => elements = numbers(elements.len() + MANY),
            _ => {}
        }
        elements
    }
}

impl Event {
    /// Whether the other process has a handle for reading, or one for writing, from before.
    fn needs(self) -> (bool, bool) {
        match self {
            Event::CloseWriter | Event::StoreByOldLength | Event::Append => (false, true),
            Event::CloseReader | Event::Refresh => (true, false),
            _ => (false, false),
        }
    }
}

/// All that the other process has.
struct Company {
    path: PathBuf,
    readers: Vec<Raw>,
    writers: Vec<Raw>,
    /// The longest that it has seen.
    seen: usize,
    has_appended: bool,
}

impl Company {
    fn come(path: &Path, event: Event) -> Company {
        let (reads, writes) = event.needs();
        let mut company = Company {
            path: path.to_owned(),
            readers: Vec::new(),
            writers: Vec::new(),
            seen: 0,
            has_appended: false,
        };
        if reads {
            company.readers.push(open(path, MBA_RDONLY).unwrap());
        }
        if writes {
            company.writers.push(open(path, MBA_RDWR).unwrap());
        }
        company.look();
        company
    }

    fn look(&mut self) {
        let most = self.readers.iter().chain(&self.writers).map(Raw::len).max();
        self.seen = self.seen.max(most.unwrap_or(0));
    }

    fn act(&mut self, event: Event, allowed: &[Vec<u64>]) {
        match event {
            Event::Nothing => {}
            Event::CloseWriter => self.writers.pop().unwrap().close().unwrap(),
            Event::CloseReader => self.readers.pop().unwrap().close().unwrap(),
            Event::OpenReader => self.readers.push(open(&self.path, MBA_RDONLY).unwrap()),
            Event::OpenWriter => self.writers.push(open(&self.path, MBA_RDWR).unwrap()),
            Event::OpenAndCloseWriter => open(&self.path, MBA_RDWR).unwrap().close().unwrap(),
            Event::Refresh => self.readers[0].refresh().unwrap(),
            Event::StoreByOldLength => {
                // What it takes for elements, all of it: the same numbers as they have.
                let array = &self.writers[0];
                array.write(0, &bytes_of(&numbers(array.len()))).unwrap();
            }
            Event::Append => self.has_appended = unless_locked(self.writers[0].append(&7u64.to_ne_bytes())),
            Event::Tidy => drop(unless_locked(Raw::tidy(&self.path, None, 0))),
        }
        self.look();
        for array in self.readers.iter().filter(|_| matches!(event, Event::OpenReader | Event::Refresh)) {
            let found = contents(array);
            assert!(allowed.contains(&found), "{event:?} shows {} elements", found.len());
        }
    }

    /// What it has ever seen as elements can be read, whatever stands there.
    fn touch(&self) {
        let arrays = self.readers.iter().chain(&self.writers);
        for array in arrays {
            let data = array.data().cast::<u64>();
            for at in 0..array.len() {
                // SAFETY: the handle has taken it for an element; that it is still mapped is what is tried here.
                std::hint::black_box(unsafe { data.add(at).read_volatile() });
            }
        }
    }

    /// Closes all, those that only read first, so that the last one may write.
    fn leave(&mut self) {
        self.readers.drain(..).for_each(|array| array.close().unwrap());
        self.writers.drain(..).for_each(|array| array.close().unwrap());
    }
}

/// One such story.
#[derive(Clone, Copy, Debug)]
struct Story {
    state: State,
    act: Act,
    event: Event,
    is_killed: bool,
}

/// As a process leaves the file that is killed after it has taken elements away.
fn leave_behind(path: &Path) {
    let (status, text) = in_child(|| {
        let array = State::Unlocked.prepare(path);
        std::mem::forget(array);
    });
    assert_eq!(status, 0, "{text}");
}

impl Story {
    fn all(is_killed: bool) -> Vec<Story> {
        let mut stories = Vec::new();
        for state in STATES {
            for act in ACTS.into_iter().filter(|act| act.can_follow(state)) {
                for event in EVENTS {
                    // Without a kill and without company nothing happens.
                    if is_killed || event != Event::Nothing {
                        stories.push(Story { state, act, event, is_killed });
                    }
                }
            }
        }
        stories
    }

    /// Tells it once, with the event at this stop; `false` if the act was over before that.
    fn tell(self, path: &Path, moment: usize) -> bool {
        let _ = fs::remove_file(path);
        fs::write(path, bytes_of(&numbers(START))).unwrap();
        if self.state == State::Left {
            leave_behind(path);
        }
        let mut traced = Traced::start(|| {
            let mut array = self.act.has_handle().then(|| self.state.prepare(path));
            mark();
            let done = self.act.act(path, &mut array);
            mark();
            // The end of the process mustn't tidy up.
            std::mem::forget(array);
            // SAFETY: ends the child, and tells whether the act was done.
            unsafe { libc::_exit(if done { 0 } else { 1 }) };
        });
        // Only now, so that the traced process has nothing of it.
        let mut company = Company::come(path, self.event);
        traced.run_to_mark();
        let before = self.state.elements();
        let after = self.act.after(before.clone());
        let allowed = [before.clone(), after.clone()];
        for _ in 0..moment {
            if traced.next_stop().expect("the traced process goes on").is_mark() {
                return false;
            }
        }
        company.act(self.event, &allowed);
        let done = if self.is_killed {
            traced.kill();
            None
        } else {
            Some(traced.let_go() == 0)
        };
        self.check(path, company, done, &before, &after);
        true
    }

    /// Whether the close that was stopped leaves nothing to do for others, who have nothing open for writing.
    fn ends_exact(self, done: Option<bool>) -> bool {
        let others_may_read = matches!(self.event, Event::CloseReader | Event::OpenReader | Event::Refresh);
        let is_shortened = !matches!(self.state, State::Opened | State::Grown);
        done.is_some() && self.act == Act::Close && !(others_may_read && is_shortened)
    }

    fn check(self, path: &Path, mut company: Company, done: Option<bool>, before: &[u64], after: &[u64]) {
        assert!(done != Some(false) || company.has_appended, "a lock that nobody has");
        company.touch();
        let reader = open(path, MBA_RDONLY).unwrap();
        let mut found = contents(&reader);
        reader.close().unwrap();
        if company.has_appended {
            assert_eq!(found.pop(), Some(7), "what the other process appended");
        }
        let sound = match done {
            Some(true) => found == after,
            Some(false) => found == before,
            None => found == before || found == after,
        };
        assert!(sound, "{} elements, {} before, {} after", found.len(), before.len(), after.len());
        if company.has_appended {
            found.push(7);
        }
        let closed_last = !company.writers.is_empty() || self.ends_exact(done);
        company.leave();
        if !closed_last {
            open(path, MBA_RDWR).unwrap().close().unwrap();
        }
        let left = fs::read(path).unwrap();
        assert!(left == bytes_of(&found), "{} bytes are left of {} elements", left.len(), found.len());
    }
}

/// The status of a child that found the act to be over at that stop.
const OVER: i32 = 42;

fn all_of(cases: &mut Cases, is_killed: bool) {
    let step = cases.scale(101, 9, 1);
    for place in [Place::Memory, Place::Disk] {
        let directory = place.directory();
        let path = directory.path().join("array");
        // Others in each run.
        let mut numbers = Numbers::any();
        for story in Story::all(is_killed) {
            let first = numbers.below(step as u64) as usize;
            for moment in (first..).step_by(step) {
                let (status, text) = in_child(|| {
                    if !story.tell(&path, moment) {
                        // SAFETY: ends the child.
                        unsafe { libc::_exit(OVER) };
                    }
                });
                if libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == OVER {
                    break;
                }
                let label = || format!("{place:?}, {story:?}, stop {moment}: {}: {text}", ending(status));
                cases.add(1, (status != 0).then(label));
            }
        }
    }
}
