//! Processes and threads that act at once: what holds at any moment, whoever does what.
//!
//! Each actor opens and closes handles of every kind, takes the growth lock and changes the length, sets elements by old
//! lengths, forks children that do the same, and looks at all that its handles have ever seen; some are killed. The
//! ledger says what the elements must be.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

use mmap_backed_array::Type;
use mmap_backed_array::capi::*;

use super::board::Board;
use super::calls;
use super::footer;
use super::ledger::{
    COUNTS, GATHERED, Ledger, MOST, STAGE, ZEROS, is_anybodys, is_torn, is_word, name, word,
};
use super::model::is_unsettled;
use super::worker::ForkCall;
use crate::helpers::raw::{Code, Raw};
use crate::helpers::{Numbers, Place};

/// What a seed determines.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    pub seed: u64,
    pub ty: Type,
    pub place: Place,
    /// Processes, to begin with; each may have a child.
    processes: usize,
    /// How long they act.
    milliseconds: u64,
    are_killed: bool,
    /// Only the first one changes the length, and must never be told that another one has the lock.
    is_sole: bool,
    /// Elements are moved by insert, remove and splice; then nobody sets any.
    are_moved: bool,
    /// Processes have a second thread, which does the same with handles of its own.
    have_threads: bool,
    /// The most bytes of the array.
    bytes: usize,
}

impl Scene {
    pub fn new(seed: u64) -> Scene {
        let mut numbers = Numbers(seed);
        let sizes = [8, 8, 24, 1000, 4096];
        let size = sizes[numbers.below(sizes.len() as u64) as usize];
        let are_killed = numbers.below(2) == 0;
        let ty = if size == 8 { Type::from_char('Q').unwrap() } else { Type::record(size).unwrap() };
        Scene {
            seed,
            ty,
            place: if numbers.below(4) == 0 { Place::Disk } else { Place::Memory },
            processes: 1 + numbers.below(4) as usize,
            milliseconds: 50 + numbers.below(250),
            are_killed,
            is_sole: numbers.below(4) == 0,
            are_moved: !are_killed && numbers.below(2) == 0,
            have_threads: numbers.below(3) == 0,
            bytes: [6000, 20_000, 100_000, 200_000][numbers.below(4) as usize],
        }
    }
}

/// Stages: all act; handles that can't change the length are closed; the others are.
const ACT: u64 = 0;
const READERS_LEAVE: u64 = 1;
const WRITERS_LEAVE: u64 = 2;

/// What is counted.
pub const LOCKS: usize = 0;
pub const CHANGES: usize = 1;
pub const LOOKS: usize = 2;
pub const CONFIRMED: usize = 3;
pub const SETS: usize = 4;
pub const CHILDREN: usize = 5;
pub const KILLS: usize = 6;
pub const CHECKS: usize = 7;
pub const NAMES: [&str; 8] =
    ["locks", "changes", "looks", "confirmed copies", "stores", "children", "kills", "checks"];

/// An actor's process, which is the first of a group.
#[derive(Clone, Copy)]
struct Acting {
    pid: libc::pid_t,
    number: usize,
    seat: usize,
}

/// Plays a scene, in the process of its own that it needs.
pub fn play(board: Board, directory: &Path, scene: &Scene) -> Result<(), String> {
    let path = directory.join("array");
    std::fs::write(&path, []).unwrap();
    let ledger = Ledger::create(&directory.join("ledger"));
    let mut numbers = Numbers(scene.seed ^ 0x5eed);
    board.tell(&format!("{scene:?}"));
    let start = |seat: usize, seed: u64| {
        let number = ledger.new_actor();
        // SAFETY: the process has one thread; the child acts and ends by _exit.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "{}", std::io::Error::last_os_error());
        if pid == 0 {
            // SAFETY: no memory is passed.
            unsafe { libc::setpgid(0, 0) };
            let mut actor = Actor::new(&ledger, scene, &path, number, seed);
            actor.is_first = seat == 0;
            if scene.have_threads {
                std::thread::scope(|scope| {
                    scope.spawn(|| Actor::new(&ledger, scene, &path, ledger.new_actor(), !seed).act());
                    actor.act();
                });
            } else {
                actor.act();
            }
            // SAFETY: ends the process, without destructors, which are the test's.
            unsafe { libc::_exit(0) };
        }
        // Whoever comes first.
        // SAFETY: no memory is passed.
        unsafe { libc::setpgid(pid, pid) };
        board.put_group(pid);
        Acting { pid, number, seat }
    };
    let mut acting: Vec<Acting> = (0..scene.processes).map(|seat| start(seat, numbers.next())).collect();
    let mut orphans = Vec::new();
    let mut last_checks = u64::MAX;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(scene.milliseconds) {
        std::thread::sleep(Duration::from_micros(500 + numbers.below(15_000)));
        if let Some(complaint) = board.complaint() {
            return Err(complaint);
        }
        // One after the other: whoever takes the lock after one was killed says what he has found.
        let checks = ledger.word(COUNTS + CHECKS).load(Acquire);
        if scene.are_killed && checks != last_checks {
            let at = numbers.below(acting.len() as u64) as usize;
            let Acting { pid, number, seat } = acting[at];
            // A child that no handler has heard of would keep the lock, which the only one who takes it can't know.
            let target = if scene.is_sole { -pid } else { pid };
            // SAFETY: the process isn't waited for yet, so the number is its, and the group's.
            assert_eq!(unsafe { libc::kill(target, libc::SIGKILL) }, 0);
            let status = wait(pid);
            if !(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGKILL) {
                return Err(format!("an actor {}", super::lead::ending(status)));
            }
            ledger.is_dead(number);
            ledger.count(KILLS);
            last_checks = ledger.word(COUNTS + CHECKS).load(Acquire);
            orphans.push(pid);
            if scene.is_sole {
                wait_for_group(pid)?;
            }
            acting[at] = start(seat, numbers.next());
        }
    }
    ledger.word(STAGE).store(READERS_LEAVE, Release);
    let begun = Instant::now();
    let actors = scene.processes * if scene.have_threads { 2 } else { 1 };
    while ledger.word(GATHERED).load(Acquire) < actors as u64 {
        if let Some(complaint) = board.complaint() {
            return Err(complaint);
        }
        if begun.elapsed() > Duration::from_secs(60) {
            return Err("actors don't come to an end".to_owned());
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    // Children of actors that were killed come to their end too.
    for group in orphans {
        wait_for_group(group)?;
        board.take_group(group);
    }
    ledger.word(STAGE).store(WRITERS_LEAVE, Release);
    for Acting { pid, .. } in acting {
        let status = wait(pid);
        if status != 0 {
            return Err(format!("an actor {}", super::lead::ending(status)));
        }
        board.take_group(pid);
    }
    let counts: Vec<String> = NAMES
        .iter()
        .enumerate()
        .map(|(at, name)| format!("{} {name}", ledger.word(COUNTS + at).load(Relaxed)))
        .collect();
    board.tell(&counts.join(", "));
    for at in 0..NAMES.len() {
        board.word(super::board::COUNTS + at).store(ledger.word(COUNTS + at).load(Relaxed), Relaxed);
    }
    check_end(&path, scene, &ledger)
}

/// Waits for what is left of a group whose first process is gone.
fn wait_for_group(group: libc::pid_t) -> Result<(), String> {
    let mut status = 0;
    // SAFETY: waits for a child, and stores its status.
    while unsafe { libc::waitpid(-group, &raw mut status, 0) } > 0 {
        let killed = libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGKILL;
        if status != 0 && !killed {
            return Err(format!("a child whose parent was killed {}", super::lead::ending(status)));
        }
    }
    Ok(())
}

/// All have closed, those who may write last and at once: the file is its elements.
fn check_end(path: &Path, scene: &Scene, ledger: &Ledger) -> Result<(), String> {
    let file = std::fs::File::open(path).unwrap();
    let reading = footer::read(&file, scene.ty)?;
    let contents = std::fs::read(path).unwrap();
    let size = scene.ty.size();
    let first = |index: usize| u64::from_ne_bytes(contents[index * size..][..8].try_into().unwrap());
    ledger.reconcile(reading.len, first)?;
    if reading.has_footer {
        return Err(format!("all have closed, and spare room is left: {reading:?}"));
    }
    for index in (0..reading.len).filter(|index| scene.are_moved || !is_anybodys(*index)) {
        for at in 0..size / 8 {
            let found = u64::from_ne_bytes(contents[index * size + at * 8..][..8].try_into().unwrap());
            let expected = word(ledger.name_at(index), at);
            if found != expected {
                return Err(format!(
                    "element {index} of {} is {found:x} instead of {expected:x}",
                    reading.len
                ));
            }
        }
    }
    Ok(())
}

fn wait(pid: libc::pid_t) -> i32 {
    let mut status = 0;
    // SAFETY: waits for a child, and stores its status.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    status
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    ReadOnly,
    Private,
    Writable,
    Exact,
}

/// A handle, and what it has seen.
struct Open {
    raw: Raw,
    kind: Kind,
    seen: usize,
    /// What it has copied and found confirmed: the epoch, and first words.
    copied: Option<(u64, Vec<u64>)>,
}

struct Actor<'a> {
    ledger: &'a Ledger,
    scene: &'a Scene,
    path: PathBuf,
    number: usize,
    numbers: Numbers,
    size: usize,
    /// The most elements.
    most: usize,
    handles: VecDeque<Open>,
    is_first: bool,
    is_child: bool,
    /// Another thread uses the same handle.
    is_beside: bool,
}

impl<'a> Actor<'a> {
    fn new(ledger: &'a Ledger, scene: &'a Scene, path: &Path, number: usize, seed: u64) -> Actor<'a> {
        let size = scene.ty.size();
        Actor {
            ledger,
            scene,
            path: path.to_path_buf(),
            number,
            numbers: Numbers(seed),
            size,
            most: (scene.bytes / size).min(MOST),
            handles: VecDeque::new(),
            is_first: false,
            is_child: false,
            is_beside: false,
        }
    }

    fn below(&mut self, end: usize) -> usize {
        self.numbers.below(end as u64) as usize
    }

    fn stage(&self) -> u64 {
        self.ledger.word(STAGE).load(Acquire)
    }

    /// Acts until the stage is over, and leaves in the order that is asked for.
    fn act(&mut self) {
        while self.stage() == ACT {
            self.step();
        }
        self.handles.retain(|open| matches!(open.kind, Kind::Writable | Kind::Exact));
        if self.handles.is_empty() {
            self.open(Kind::Writable);
        }
        self.ledger.word(GATHERED).fetch_add(1, Release);
        while self.stage() != WRITERS_LEAVE {
            std::thread::yield_now();
        }
        while let Some(open) = self.handles.pop_front() {
            assert_eq!(open.raw.close(), Ok(()), "closing");
        }
    }

    fn step(&mut self) {
        if self.below(32) == 0 && !self.is_child {
            self.have_child();
        } else {
            self.step_without_children();
        }
    }

    fn step_without_children(&mut self) {
        match self.below(100) {
            _ if self.handles.is_empty() => self.open_any(),
            0..35 => self.write(),
            35..60 => {
                let at = self.below(self.handles.len());
                self.look(at);
            }
            60..75 if !self.scene.are_moved => self.set(),
            75..84 if self.handles.len() < 4 => self.open_any(),
            75..94 => {
                let at = self.below(self.handles.len());
                let open = self.handles.remove(at).unwrap();
                assert_eq!(open.raw.close(), Ok(()), "closing");
            }
            _ => self.ask(),
        }
    }

    fn may_change(&self) -> bool {
        !self.scene.is_sole || self.is_first && !self.is_child
    }

    fn open_any(&mut self) {
        let kinds = [Kind::ReadOnly, Kind::Private, Kind::Writable, Kind::Writable, Kind::Exact];
        let kind = kinds[self.below(kinds.len())];
        self.open(kind);
    }

    fn open(&mut self, kind: Kind) {
        let flags = match kind {
            Kind::ReadOnly => MBA_RDONLY,
            Kind::Private => MBA_PRIVATE,
            Kind::Writable => MBA_RDWR,
            Kind::Exact => MBA_RDWR | MBA_EXACT,
        };
        let raw =
            Raw::open(&self.path, self.scene.ty, flags).unwrap_or_else(|code| panic!("open says {code}"));
        let seen = raw.len();
        self.handles.push_back(Open { raw, kind, seen, copied: None });
    }

    /// Asks about the file, and has it tidied.
    fn ask(&mut self) {
        use std::os::unix::ffi::OsStrExt;
        let path = std::ffi::CString::new(self.path.as_os_str().as_bytes()).unwrap();
        let status = calls::status_of_path(&path).unwrap_or_else(|code| panic!("info says {code}"));
        assert!(status.len as usize <= MOST);
        let code = calls::tidy(&self.path, self.scene.ty, 0);
        assert!(matches!(code, Ok(()) | Err(MBA_ELOCKED)), "tidy says {code:?}");
    }

    /// Whether a call of a changer's has gone through; else somebody else has the lock.
    fn went(&self, what: &str, result: Code<()>) -> bool {
        match result {
            Ok(()) => true,
            // Somebody who tidies up may take longer than that on a busy machine.
            Err(libc::ETIMEDOUT) => false,
            Err(MBA_ELOCKED) => {
                assert!(!self.scene.is_sole, "{what}: another handle has the lock, and nobody else takes it");
                false
            }
            Err(code) => panic!("{what} says {code}"),
        }
    }

    /// Takes the lock, changes the length, and gives the lock back, in one of the ways there are.
    fn write(&mut self) {
        if !self.may_change() {
            return;
        }
        let Some(at) = self.handles.iter().position(|open| matches!(open.kind, Kind::Writable | Kind::Exact))
        else {
            return;
        };
        // Another one next time.
        let open = self.handles.remove(at).unwrap();
        let way = self.below(4);
        let got = match way {
            0 | 1 => {
                let milliseconds = if way == 0 { 0 } else { self.below(4) as i32 };
                self.went("lock", open.raw.lock(milliseconds))
            }
            // By the change itself.
            _ => self.append_first(&open.raw, way == 2),
        };
        self.handles.push_back(open);
        if !got {
            return;
        }
        self.ledger.count(LOCKS);
        let at = self.handles.len() - 1;
        self.check_all(at);
        if self.scene.have_threads && !self.is_child && self.handles[at].kind == Kind::Writable {
            self.change_beside_another(at);
        } else {
            for _ in 0..self.below(6) {
                self.change(at);
            }
        }
        self.check_all(at);
        if self.below(3) == 0 {
            let open = self.handles.remove(at).unwrap();
            assert_eq!(open.raw.close(), Ok(()), "closing");
        } else {
            assert_eq!(self.handles[at].raw.unlock(), Ok(()), "unlocking");
        }
    }

    /// Changes the length while another thread uses the same handle for what is allowed beside.
    fn change_beside_another(&mut self, at: usize) {
        let other = Beside { raw: &raw const self.handles[at].raw, scene: *self.scene };
        let (changes, seed) = (self.below(6), self.numbers.next());
        let is_over = AtomicBool::new(false);
        self.is_beside = true;
        std::thread::scope(|scope| {
            scope.spawn(|| other.use_until(&is_over, seed, self.ledger));
            (0..changes).for_each(|_| self.change(at));
            is_over.store(true, Release);
        });
        self.is_beside = false;
    }

    /// Elements to be appended at an index.
    fn values(&self, index: usize, first: u64, count: usize) -> Vec<u8> {
        let mut values = Vec::with_capacity(count * self.size);
        for element in 0..count {
            for at in 0..self.size / 8 {
                values.extend(word(name(index, first, element), at).to_ne_bytes());
            }
        }
        values
    }

    /// The first change of a handle that hasn't the lock. Its length may be an old one, and the elements' words say at
    /// which index they are: it may find out only by the call. So it appends zeros.
    fn append_first(&mut self, raw: &Raw, one: bool) -> bool {
        let count = if one { 1 } else { 1 + self.below(20) };
        if self.ledger.len() + count > MOST / 2 {
            return false;
        }
        let zeros = vec![0; count * self.size];
        self.ledger.is_about_to_append(self.number, ZEROS, count);
        let result = if one { raw.append(&zeros) } else { raw.extend(&zeros) };
        let went = self.went("append", result);
        if went {
            let before = raw.len() - count;
            self.reconcile(raw, before);
            self.ledger.append(ZEROS, count);
        }
        self.ledger.has_intended(self.number);
        went
    }

    fn reconcile(&self, raw: &Raw, len: usize) {
        let first = |index: usize| load(raw, index * self.size);
        self.ledger.reconcile(len, first).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Whoever has the lock sees what was acknowledged.
    fn check_all(&mut self, at: usize) {
        let open = &mut self.handles[at];
        let len = open.raw.len();
        assert!(open.raw.has_lock());
        let raw = &open.raw;
        self.ledger
            .reconcile(len, |index| load(raw, index * self.size))
            .unwrap_or_else(|error| panic!("{error}"));
        self.ledger.count(CHECKS);
        open.seen = if open.kind == Kind::Exact { len } else { open.seen.max(len) };
        for index in (0..len).filter(|index| self.scene.are_moved || !is_anybodys(*index)) {
            let name = self.ledger.name_at(index);
            for part in 0..self.size / 8 {
                let found = load(raw, index * self.size + part * 8);
                let expected = word(name, part);
                assert_eq!(found, expected, "word {part} of element {index} of {len}, to who has the lock");
            }
        }
    }

    /// One change by who has the lock.
    fn change(&mut self, at: usize) {
        self.ledger.count(CHANGES);
        let (len, most, size) = (self.ledger.len(), self.most, self.size);
        let room = most.saturating_sub(len);
        let raw = self.handles[at].raw.as_ptr();
        assert!(!raw.is_null());
        let is_exact = self.handles[at].kind == Kind::Exact;
        if self.scene.are_moved && self.below(3) == 0 {
            return self.change_by_moving(at);
        }
        if !self.scene.are_killed && !is_exact && len > 0 && self.below(4) == 0 {
            return self.change_the_last(at);
        }
        let roll = self.below(if len > most / 2 { 16 } else { 12 });
        let longest = if self.below(3) == 0 { 20_000 / size + 1 } else { 20 };
        let count = (1 + self.below(longest)).min(room);
        let first = self.ledger.nonces(count);
        match roll {
            0..8 if count > 0 => {
                let values = self.values(len, first, count);
                let raw = &self.handles[at].raw;
                self.ledger.is_about_to_append(self.number, first, count);
                match roll {
                    0..3 => assert_eq!(raw.extend(&values), Ok(()), "extend"),
                    3..6 => {
                        for value in values.chunks_exact(size) {
                            if !calls::push_inline(raw, value) {
                                assert_eq!(raw.append(value), Ok(()), "append");
                            }
                        }
                    }
                    _ if is_exact => assert_eq!(raw.extend(&values), Ok(()), "extend"),
                    _ => {
                        assert_eq!(raw.reserve(len + count), Ok(()), "reserve");
                        // SAFETY: the handle has the lock, and room for so many elements behind its length.
                        unsafe { raw.data().add(len * size).copy_from(values.as_ptr(), values.len()) };
                        assert_eq!(raw.commit(len + count), Ok(()), "commit");
                    }
                }
                self.ledger.append(first, count);
            }
            8 if room > 0 => {
                self.ledger.is_about_to_append(self.number, ZEROS, count);
                assert_eq!(self.handles[at].raw.resize(len + count), Ok(()), "resize");
                self.ledger.append(ZEROS, count);
            }
            9 if !self.is_beside => {
                assert_eq!(self.handles[at].raw.shrink_to_fit(), Ok(()), "shrink_to_fit");
            }
            10 => assert_eq!(self.handles[at].raw.refresh(), Ok(()), "refresh"),
            11 if len > 0 => {
                self.ledger.is_about_to_truncate(self.number, len - 1);
                assert!(self.handles[at].raw.pop().is_ok(), "pop");
                self.ledger.cut(len - 1);
            }
            _ => {
                let after = if self.below(3) == 0 { 0 } else { self.below(len + 1) };
                self.ledger.is_about_to_truncate(self.number, after);
                assert_eq!(self.handles[at].raw.resize(after), Ok(()), "resize");
                self.ledger.cut(after);
            }
        }
        self.ledger.has_intended(self.number);
        let open = &mut self.handles[at];
        assert_eq!(open.raw.len(), self.ledger.len(), "the length after a change");
        let now = open.raw.len();
        open.seen = if now < len || roll == 9 || is_exact { now } else { open.seen.max(now) };
    }

    /// Takes the last element away and appends another one, as fast as can be: others who look in between find any state
    /// of it.
    fn change_the_last(&mut self, at: usize) {
        let (last, times) = (self.ledger.len() - 1, 1 + self.below(2000));
        let first = self.ledger.nonces(times);
        let open = &mut self.handles[at];
        let mut value = vec![0; self.size];
        for time in 0..times {
            assert_eq!(open.raw.pop_to(&mut value), Ok(()), "pop");
            let name = name(last, first + time as u64, 0);
            for (at, bytes) in value.chunks_exact_mut(8).enumerate() {
                bytes.copy_from_slice(&word(name, at).to_ne_bytes());
            }
            if !calls::push_inline(&open.raw, &value) {
                assert_eq!(open.raw.append(&value), Ok(()), "append");
            }
        }
        self.ledger.splice(last, 1, &[name(last, first + times as u64 - 1, 0)]);
        open.seen = last + 1;
    }

    /// A change that moves elements, and can be half done when the process is killed.
    fn change_by_moving(&mut self, at: usize) {
        let (len, most) = (self.ledger.len(), self.most);
        let start = self.below(len + 1);
        let removed = self.below((len - start).min(30) + 1);
        let count = self.below(30).min(removed + most.saturating_sub(len));
        if removed == count {
            return;
        }
        let first = self.ledger.nonces(count);
        let names: Vec<u64> = (0..count).map(|element| name(start, first, element)).collect();
        let values = self.values(start, first, count);
        let open = &mut self.handles[at];
        let result = match (removed, count) {
            (1, 0) => open.raw.remove(start).map(drop),
            (0, 1) => open.raw.insert(start, &values),
            _ => open.raw.splice(start, removed, &values),
        };
        assert_eq!(result, Ok(()), "a splice");
        self.ledger.splice(start, removed, &names);
        let now = open.raw.len();
        assert_eq!(now, self.ledger.len(), "the length after a splice");
        open.seen = if now < len || open.kind == Kind::Exact { now } else { open.seen.max(now) };
    }

    /// Stores in elements that anybody may set, wherever a handle has seen some.
    fn set(&mut self) {
        let at = self.below(self.handles.len());
        let (kind, seen) = (self.handles[at].kind, self.handles[at].seen);
        if kind == Kind::ReadOnly || kind == Kind::Private || seen < 4 {
            return;
        }
        self.ledger.count(SETS);
        for _ in 0..1 + self.below(50) {
            // Often the last ones.
            let farthest = if self.below(2) == 0 { 40.min(seen) } else { seen };
            let back = self.below(farthest);
            let index = (seen - 1 - back) / 4 * 4 + 3;
            let value = {
                let first = self.ledger.nonces(1);
                self.values(index, first, 1)
            };
            let raw = &self.handles[at].raw;
            if index < raw.len() && self.numbers.below(2) == 0 {
                assert_eq!(raw.set(index, &value), Ok(()), "set");
            } else if index < seen {
                for (at, bytes) in value.chunks_exact(8).enumerate() {
                    // SAFETY: the handle has seen an element there, which stays mapped; words are stored whole.
                    let place = unsafe { raw.data().add(index * self.size + at * 8).cast::<AtomicU64>() };
                    // SAFETY: as above.
                    unsafe { (*place).store(u64::from_ne_bytes(bytes.try_into().unwrap()), Relaxed) };
                }
            }
        }
    }

    /// Looks at all that a handle has seen; and if nothing was taken away between two looks, what was seen first stays.
    fn look(&mut self, at: usize) {
        self.ledger.count(LOOKS);
        let refreshes = self.numbers.below(3) > 0;
        let size = self.size;
        let open = &mut self.handles[at];
        let before = calls::epoch(&open.raw);
        if refreshes {
            assert_eq!(open.raw.refresh(), Ok(()), "refresh");
        }
        let (epoch, len) = (calls::epoch(&open.raw), open.raw.len());
        assert!(refreshes || epoch == before || is_unsettled(epoch), "an epoch changes by itself");
        open.seen = open.seen.max(len);
        for index in 0..open.seen {
            for part in 0..size / 8 {
                check_word(&open.raw, index, part, size, self.scene);
            }
        }
        if open.kind == Kind::Private || !refreshes {
            return;
        }
        let copy: Vec<u64> = (0..len).map(|index| load(&open.raw, index * size)).collect();
        assert_eq!(open.raw.refresh(), Ok(()), "refresh");
        if calls::epoch(&open.raw) != epoch {
            open.copied = None;
            open.seen = open.seen.max(open.raw.len());
            return;
        }
        self.ledger.count(CONFIRMED);
        assert!(open.raw.len() >= len, "shorter, and the epoch is the same");
        open.seen = open.seen.max(open.raw.len());
        if let Some((earlier, words)) = &open.copied
            && *earlier == epoch
        {
            assert!(words.len() <= len, "{len} elements after {}, and the epoch is the same", words.len());
            for index in (0..words.len()).filter(|index| self.scene.are_moved || !is_anybodys(*index)) {
                assert_eq!(copy[index], words[index], "element {index}, by the same epoch {epoch}");
            }
        }
        open.copied = Some((epoch, copy));
    }

    /// A child that does the same for a while, with its parent's handles.
    fn have_child(&mut self) {
        let number = self.ledger.new_actor();
        self.ledger.count(CHILDREN);
        // With threads only the C library's own fork leaves its memory in order.
        let how = if self.scene.have_threads { ForkCall::WithHandlers } else { ForkCall::ALL[self.below(3)] };
        let (seed, steps) = (self.numbers.next(), self.below(12));
        let is_killed = self.scene.are_killed && self.below(3) == 0;
        // SAFETY: the process has one thread, or the child is one whose memory is in order.
        let pid = unsafe { how.fork() };
        assert!(pid >= 0, "{}", std::io::Error::last_os_error());
        if pid == 0 {
            self.numbers = Numbers(seed);
            self.is_child = true;
            self.number = number;
            for open in &self.handles {
                assert!(!open.raw.has_lock(), "a child has the lock");
            }
            for _ in 0..steps {
                self.step();
            }
            // SAFETY: ends the child without running destructors, which are the parent's.
            unsafe { libc::_exit(0) };
        }
        for _ in 0..self.below(8) {
            self.step_without_children();
        }
        if is_killed {
            // SAFETY: the child isn't waited for yet, so the number is its.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
        let status = wait(pid);
        self.ledger.is_dead(number);
        let killed = libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGKILL;
        assert!(status == 0 || is_killed && killed, "a child {}", super::lead::ending(status));
    }
}

/// What another thread may do with a handle while one changes the length.
struct Beside {
    raw: *const Raw,
    scene: Scene,
}

// SAFETY: the handle exists until the threads have met again, and the calls below are those that may run beside.
unsafe impl Send for Beside {}
// SAFETY: as above.
unsafe impl Sync for Beside {}

impl Beside {
    fn use_until(&self, is_over: &AtomicBool, seed: u64, ledger: &Ledger) {
        // SAFETY: as said above.
        let raw = unsafe { &*self.raw };
        let size = self.scene.ty.size();
        let mut numbers = Numbers(seed);
        let place = |index: usize| (!self.scene.are_moved).then_some(index);
        while !is_over.load(Acquire) {
            let len = raw.len();
            assert!(raw.has_lock() && raw.capacity() >= raw.len().min(len));
            calls::epoch(raw);
            for _ in 0..20 {
                if len == 0 {
                    break;
                }
                let index = (len - 1).saturating_sub(numbers.below(60) as usize);
                match raw.get(index) {
                    Ok(value) => {
                        for (at, bytes) in value.chunks_exact(8).enumerate() {
                            let found = u64::from_ne_bytes(bytes.try_into().unwrap());
                            if !is_word(place(index), at, found) {
                                // A copy under way; then the word itself must be right.
                                check_word(raw, index, at, size, &self.scene);
                            }
                        }
                    }
                    Err(code) => assert_eq!(code, MBA_EINDEX, "get"),
                }
                if is_anybodys(index) && !self.scene.are_moved {
                    let first = ledger.nonces(1);
                    let value: Vec<u8> =
                        (0..size / 8).flat_map(|at| word(name(index, first, 0), at).to_ne_bytes()).collect();
                    let code = raw.set(index, &value);
                    assert!(matches!(code, Ok(()) | Err(MBA_EINDEX)), "set says {code:?}");
                }
            }
        }
    }
}

fn load(raw: &Raw, byte: usize) -> u64 {
    // SAFETY: the handle has seen elements there, which stay mapped; words lie at multiples of 8, and are read whole.
    unsafe { (*raw.data().add(byte).cast::<AtomicU64>()).load(Relaxed) }
}

/// How long a copy may take whose thread has lost the processor in the midst of a word, on a busy machine.
const COPYING: Duration = Duration::from_secs(20);

/// A word is one that was stored there. A copy that is under way may be met in the midst of one; that passes, unless its
/// process is killed.
fn check_word(raw: &Raw, index: usize, part: usize, size: usize, scene: &Scene) {
    let place = (!scene.are_moved).then_some(index);
    let mut began = None;
    loop {
        let found = load(raw, index * size + part * 8);
        if is_word(place, part, found) || scene.are_killed && is_torn(index, part, found) {
            return;
        }
        if began.get_or_insert_with(Instant::now).elapsed() > COPYING {
            panic!("word {part} of element {index} is {found:016x}, in a handle that knows {}", raw.len());
        }
        std::thread::yield_now();
    }
}
