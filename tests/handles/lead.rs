//! Plays a case: gives the orders, follows them in the model, and has all checked after each step.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::{Duration, Instant};

use mmap_backed_array::Type;
use mmap_backed_array::capi::*;

use super::board::{Board, GO, MOST, READY};
use super::footer::{self, FOOTER, PAGE, Reading};
use super::model::{Checked, Handle, Holder, Look, Model, ensure};
use super::steps::{Call, Case, Content, From, Kind, Step};
use super::talk::{Answer, BY_DESCRIPTOR, BY_HANDLE, BY_PATH, Channel, Order, What};
use super::worker::{ForkCall, PROCESSES, SLOTS, Worker};
use crate::helpers::Numbers;

/// How many handles are open at once, those of children counted.
const COPIES: usize = 16;
/// How many processes live at once.
const LIVE: usize = 6;

pub(super) struct Process {
    pub(super) is_alive: bool,
    pid: libc::pid_t,
    end: Option<OwnedFd>,
    /// `None`: the lead.
    parent: Option<usize>,
    pub(super) duplicates: usize,
    programs: usize,
}

pub struct Lead<'a> {
    pub(super) board: Board,
    channels: &'a [Channel],
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) ty: Type,
    pub(super) model: Model,
    pub(super) processes: Vec<Process>,
    /// How the file read after the last step.
    pub(super) reading: Reading,
    /// The file must be its elements after this step.
    pub(super) must_be_exact: bool,
    /// The file must have no more than a page behind what can be elements.
    pub(super) must_be_trimmed: bool,
    turn: u64,
    most_handles: usize,
}

impl<'a> Lead<'a> {
    pub fn new(board: Board, channels: &'a [Channel], directory: &Path, case: &Case) -> Lead<'a> {
        let path = directory.join("array");
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).unwrap();
        let reading = Reading::default();
        let mut lead = Lead {
            board,
            channels,
            path,
            file,
            ty: case.ty,
            model: Model::new(case.ty.size(), Vec::new()),
            processes: Vec::new(),
            reading,
            must_be_exact: false,
            must_be_trimmed: false,
            turn: 0,
            most_handles: case.handles,
        };
        let (len, content) = case.start;
        let mut elements = lead.content(content, 0, len * case.ty.size());
        if footer::ends_alike(&elements) {
            // That is no file of elements only.
            let end = elements.len();
            elements[end - FOOTER] = 0;
        }
        lead.file.write_all_at(&elements, 0).unwrap();
        lead.model.elements = elements;
        lead.tell(&format!("{:?}, {} elements of {} bytes", case.place, len, case.ty.size()));
        lead
    }

    /// Plays all steps, and closes what is open then.
    pub fn play(&mut self, case: &Case) -> Checked {
        for _ in 0..case.processes {
            self.start()?;
        }
        self.check()?;
        for step in &case.steps {
            self.must_be_exact = false;
            self.must_be_trimmed = false;
            if self.step(step)? {
                self.check().map_err(|error| format!("after that: {error}"))?;
            }
        }
        self.finish()
    }

    pub(super) fn tell(&self, line: &str) {
        self.board.tell(line);
    }

    // Processes.

    fn start(&mut self) -> Checked {
        let number = self.processes.len();
        // SAFETY: the lead has one thread; the child obeys until it exits.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "{}", std::io::Error::last_os_error());
        if pid == 0 {
            Worker::new(self.board, self.channels, number, self.path.clone(), self.ty).serve();
        }
        self.add_process(pid, None);
        self.tell(&format!("process p{number}"));
        Ok(())
    }

    fn add_process(&mut self, pid: libc::pid_t, parent: Option<usize>) {
        // SAFETY: the process exists, and isn't waited for yet; the descriptor is new.
        let end = unsafe {
            let fd = libc::syscall(libc::SYS_pidfd_open, pid, 0) as i32;
            assert!(fd >= 0, "{}", std::io::Error::last_os_error());
            OwnedFd::from_raw_fd(fd)
        };
        self.processes.push(Process {
            is_alive: true,
            pid,
            end: Some(end),
            parent,
            duplicates: 0,
            programs: 0,
        });
    }

    pub(super) fn live(&self) -> Vec<usize> {
        (0..self.processes.len()).filter(|at| self.processes[*at].is_alive).collect()
    }

    /// Some process that lives; a new one if there is none.
    fn any_process(&mut self, number: u8) -> Checked<Option<usize>> {
        if self.live().is_empty() {
            if self.processes.len() == PROCESSES {
                return Ok(None);
            }
            self.start()?;
        }
        let live = self.live();
        Ok(Some(live[usize::from(number) % live.len()]))
    }

    fn pidfd(&self, process: usize) -> i32 {
        self.processes[process].end.as_ref().expect("a process that lives").as_raw_fd()
    }

    pub(super) fn pid(&self, process: usize) -> libc::pid_t {
        self.processes[process].pid
    }

    pub(super) fn order(&mut self, process: usize, order: Order) -> Checked<Answer> {
        self.channels[process].order(&order);
        self.answer(process, order.meaning())
    }

    fn answer(&mut self, process: usize, what: What) -> Checked<Answer> {
        match self.channels[process].answer(self.pidfd(process)) {
            Some(answer) => Ok(answer),
            None => {
                let status = self.reap(process);
                Err(format!("p{process} {}, in {what:?}", ending(status)))
            }
        }
    }

    /// The status of a process that ends by itself or was killed.
    fn reap(&mut self, process: usize) -> i32 {
        let mut poll = libc::pollfd { fd: self.pidfd(process), events: libc::POLLIN, revents: 0 };
        // SAFETY: one structure, which is there to be read and filled.
        while unsafe { libc::poll(&raw mut poll, 1, super::talk::PATIENCE_MS) } < 0 {}
        assert_ne!(poll.revents, 0, "p{process} doesn't end");
        let pid = self.processes[process].pid;
        self.processes[process].is_alive = false;
        self.processes[process].end = None;
        let mut status = 0;
        // A process whose parent has ended is the lead's child.
        // SAFETY: waits for a child that has ended, if it is the lead's, and stores its status.
        if unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG) } != pid
            && let Some(parent) = self.processes[process].parent
            && self.processes[parent].is_alive
        {
            let order = Order::new(What::Reap, 0).with(pid as usize, 0, 0);
            self.channels[parent].order(&order);
            if let Some(answer) = self.channels[parent].answer(self.pidfd(parent)) {
                status = answer.value as i32;
            }
        }
        status
    }

    fn kill(&self, process: usize) {
        // SAFETY: the process isn't waited for yet, so the number is its.
        assert_eq!(unsafe { libc::kill(self.processes[process].pid, libc::SIGKILL) }, 0);
    }

    /// A process has been told to end, or was killed.
    fn gone(&mut self, process: usize) -> i32 {
        let status = self.reap(process);
        self.model.end_process(process);
        self.processes[process].duplicates = 0;
        status
    }

    // Handles.

    /// Some handle.
    fn any_handle(&self, number: u8) -> Option<usize> {
        let count = self.model.handles.len();
        (count > 0).then(|| usize::from(number) % count)
    }

    /// Whether anybody could still have the file open: handles, and descriptors that were duplicated.
    pub(super) fn somebody_is_there(&self) -> bool {
        !self.model.handles.is_empty() || self.somebody_has_duplicates()
    }

    pub(super) fn somebody_has_duplicates(&self) -> bool {
        self.processes.iter().any(|process| process.duplicates > 0)
    }

    /// Plays one step; `false` if there is nothing to play.
    fn step(&mut self, step: &Step) -> Checked<bool> {
        match step {
            Step::Start if self.live().len() < LIVE && self.processes.len() < PROCESSES => {
                self.start()?;
                Ok(true)
            }
            Step::Open(process, kind, from) => self.open(*process, *kind, *from),
            Step::Close(who) => {
                let Some(at) = self.any_handle(*who) else { return Ok(false) };
                self.close(at)
            }
            Step::CloseTogether(mask) => self.close_together(*mask),
            Step::Fork(process, how) => self.fork(*process, *how),
            Step::Program(process, by_fork) => {
                let Some(process) = self.any_process(*process)? else { return Ok(false) };
                let order = Order::new(What::Start, 0).with(usize::from(*by_fork), 0, 0);
                self.order(process, order)?;
                self.processes[process].programs += 1;
                self.tell(&format!("p{process}: starts a program"));
                Ok(true)
            }
            Step::EndProgram(process) => {
                let Some(process) = self.any_process(*process)? else { return Ok(false) };
                self.order(process, Order::new(What::EndProgram, 0))?;
                Ok(false)
            }
            Step::Exit(process, gently) => {
                let Some(process) = self.any_process(*process)? else { return Ok(false) };
                let order = Order::new(What::Exit, 0).with(usize::from(*gently), 0, 0);
                self.order(process, order)?;
                let status = self.gone(process);
                self.tell(&format!("p{process}: exits"));
                ensure!(status == 0, "p{process} {}, in its exit", ending(status));
                Ok(true)
            }
            Step::Kill(process) => {
                let Some(process) = self.any_process(*process)? else { return Ok(false) };
                self.kill(process);
                self.gone(process);
                self.tell(&format!("p{process}: killed"));
                Ok(true)
            }
            Step::KillDuring(who, delay, call) => {
                let Some(at) = self.any_handle(*who) else { return Ok(false) };
                self.kill_during(at, *delay, call)
            }
            Step::KillClosing(who, delay) => {
                let Some(at) = self.any_handle(*who) else { return Ok(false) };
                let handle = &self.model.handles[at];
                let (process, slot) = (handle.process, handle.slot);
                self.channels[process].order(&Order::new(What::Close, slot));
                self.kill_after(process, *delay);
                let closed = self.channels[process].left_answer();
                self.tell(&format!("p{process}.h{slot}: close = {:?}, killed", closed.map(|a| a.code)));
                if let Some(answer) = closed {
                    self.closed(&[at], &[answer])?;
                } else if self.model.is_free() && self.model.has_relatives(at) {
                    // A close takes the lock for a moment.
                    self.model.holder = Holder::Lingers;
                }
                self.gone(process);
                Ok(true)
            }
            Step::Duplicate(who) => {
                let Some(at) = self.any_handle(*who) else { return Ok(false) };
                let (process, slot) = (self.model.handles[at].process, self.model.handles[at].slot);
                let answer = self.order(process, Order::new(What::Dup, slot))?;
                self.processes[process].duplicates += answer.value as usize;
                self.tell(&format!("p{process}.h{slot}: duplicates its descriptor: {}", answer.value));
                Ok(true)
            }
            Step::CloseDuplicate(process) => {
                let Some(process) = self.any_process(*process)? else { return Ok(false) };
                if self.processes[process].duplicates == 0 {
                    return Ok(false);
                }
                self.order(process, Order::new(What::CloseDup, 0))?;
                self.processes[process].duplicates -= 1;
                self.tell(&format!("p{process}: closes a duplicated descriptor"));
                Ok(true)
            }
            Step::Tidy(process, by_force) => self.tidy(*process, *by_force),
            Step::Replace => self.replace(),
            Step::Mimic(who, closes) => {
                let Some(at) = self.any_handle(*who) else { return Ok(false) };
                self.mimic(at, *closes)
            }
            Step::Call(who, call) => {
                let Some(at) = self.any_handle(*who) else { return Ok(false) };
                self.call(at, call)
            }
            _ => Ok(false),
        }
    }

    fn open(&mut self, process: u8, kind: Kind, from: From) -> Checked<bool> {
        let opened = self.model.handles.iter().filter(|handle| !handle.is_inherited).count();
        if opened == self.most_handles || self.model.handles.len() == COPIES {
            return Ok(false);
        }
        let Some(process) = self.any_process(process)? else { return Ok(false) };
        let used = |slot: usize| {
            self.model.handles.iter().any(|handle| handle.process == process && handle.slot == slot)
        };
        let Some(slot) = (0..SLOTS).find(|slot| !used(*slot)) else { return Ok(false) };
        let flags = match kind {
            Kind::ReadOnly => MBA_RDONLY,
            Kind::Writable => MBA_RDWR,
            Kind::Exact => MBA_RDWR | MBA_EXACT,
            Kind::Private => MBA_PRIVATE,
        };
        let (mut may_be_refused, mut reservation, mut from_number) = (false, 0, BY_PATH);
        match from {
            From::Path => {}
            From::Reserving(pages) => {
                let pages = usize::from(pages) / 4 + 2;
                reservation = (self.reading.size.next_multiple_of(PAGE) + pages * PAGE) as u64;
            }
            From::Descriptor => from_number = BY_DESCRIPTOR,
            From::Handle(number) => {
                let others: Vec<&Handle> = self
                    .model
                    .handles
                    .iter()
                    .filter(|handle| handle.process == process && handle.kind != Kind::Private)
                    .collect();
                if others.is_empty() {
                    return Ok(false);
                }
                let other = others[usize::from(number) % others.len()];
                from_number = BY_HANDLE + other.slot as u64;
                if flags & MBA_RDWR != 0 && other.kind == Kind::ReadOnly {
                    // It depends on how it was opened.
                    may_be_refused = true;
                }
            }
        }
        let order =
            Order::new(What::Open, slot).with(flags as usize, reservation as usize, from_number as usize);
        let answer = self.order(process, order)?;
        self.tell(&format!("p{process}.h{slot}: open {kind:?} {from:?} = {}", answer.code));
        if may_be_refused && answer.code == libc::EACCES {
            return Ok(true);
        }
        ensure!(answer.code == 0, "open says {}", answer.code);
        let len = self.model.len();
        ensure!(answer.len == len as u64, "a new handle's length is {}, and should be {len}", answer.len);
        ensure!(answer.has_lock == 0, "a new handle has the lock");
        ensure!(
            answer.epoch == self.reading.epoch || self.reading.is_unsettled(),
            "a new handle's epoch is {}, and the file's {}",
            answer.epoch,
            self.reading.epoch
        );
        let (id, family) = (self.model.number(), self.model.number());
        let looked = Look { epoch: answer.epoch, moves: self.model.moves, doubts: self.model.doubts };
        self.model.handles.push(Handle {
            id,
            process,
            slot,
            kind,
            by_path: matches!(from, From::Path | From::Reserving(_)),
            is_small: reservation > 0,
            most: answer.reserved as usize,
            len,
            seen: len,
            data: answer.data,
            looked,
            is_inherited: false,
            has_changed: false,
            family,
            opening: id,
            has_own_lock: true,
            pages: Default::default(),
        });
        Ok(true)
    }

    /// Handles have been closed, one or several at once: what must hold then.
    fn closed(&mut self, all: &[usize], answers: &[Answer]) -> Checked {
        let mut gone: Vec<(Handle, bool)> =
            all.iter().map(|at| (self.model.handles[*at].clone(), self.model.holds(*at))).collect();
        for ((handle, _), answer) in gone.iter().zip(answers) {
            // A small reservation may have no room for the page behind elements that look like a footer.
            let excused = handle.is_small && footer::ends_alike(&self.model.elements);
            let code = answer.code;
            ensure!(code == 0 || excused && code == MBA_ELIMIT, "{}: close says {code}", handle.name());
        }
        let names: Vec<u32> = gone.iter().map(|(handle, _)| handle.id).collect();
        self.model.handles.retain(|handle| !names.contains(&handle.id));
        if gone.iter().any(|(_, held)| *held) {
            self.model.holder = Holder::Nobody;
        }
        if !self.model.is_free() {
            return Ok(());
        }
        let excused = answers.iter().any(|answer| answer.code != 0);
        let was_only_appended_to = self.model.taken == super::model::Taken::No;
        let changed = |(handle, held): &(Handle, bool)| handle.may_trim() && (handle.has_changed || *held);
        let last = !self.somebody_is_there() && gone.iter().all(|(handle, _)| handle.may_trim());
        self.must_be_exact = !excused && (last || was_only_appended_to && gone.iter().any(changed));
        gone.retain(changed);
        self.must_be_trimmed = !excused && answers.len() == 1 && !gone.is_empty();
        Ok(())
    }

    fn close(&mut self, at: usize) -> Checked<bool> {
        let handle = &self.model.handles[at];
        let (process, slot) = (handle.process, handle.slot);
        let answer = self.order(process, Order::new(What::Close, slot))?;
        self.tell(&format!("p{process}.h{slot}: close = {}", answer.code));
        self.closed(&[at], &[answer])?;
        Ok(true)
    }

    fn close_together(&mut self, mask: u16) -> Checked<bool> {
        let mut all: Vec<usize> = Vec::new();
        for at in 0..self.model.handles.len() {
            let process = self.model.handles[at].process;
            let is_new = all.iter().all(|other| self.model.handles[*other].process != process);
            if mask >> at & 1 == 1 && is_new && all.len() < 3 {
                all.push(at);
            }
        }
        if all.len() < 2 {
            return Ok(false);
        }
        self.turn += 1;
        self.board.word(READY).store(0, Release);
        for at in &all {
            let handle = &self.model.handles[*at];
            let order = Order { turn: self.turn, ..Order::new(What::Close, handle.slot) };
            self.channels[handle.process].order(&order);
        }
        let start = Instant::now();
        while self.board.word(READY).load(Acquire) < all.len() as u64 {
            assert!(start.elapsed() < Duration::from_secs(60), "processes don't get ready");
            std::thread::yield_now();
        }
        self.board.word(GO).store(self.turn, Release);
        let mut answers = Vec::new();
        for at in &all {
            let process = self.model.handles[*at].process;
            answers.push(self.answer(process, What::Close)?);
        }
        let names: Vec<String> = all.iter().map(|at| self.model.handles[*at].name()).collect();
        let codes: Vec<i32> = answers.iter().map(|answer| answer.code).collect();
        self.tell(&format!("{}: close at once = {codes:?}", names.join(", ")));
        self.closed(&all, &answers)?;
        Ok(true)
    }

    fn fork(&mut self, process: u8, how: ForkCall) -> Checked<bool> {
        let Some(process) = self.any_process(process)? else { return Ok(false) };
        let child = self.processes.len();
        let count = self.model.handles.iter().filter(|handle| handle.process == process).count();
        if child == PROCESSES || self.live().len() == LIVE || self.model.handles.len() + count > COPIES {
            return Ok(false);
        }
        let number = ForkCall::ALL.iter().position(|other| *other == how).expect("it is one of them");
        let answer = self.order(process, Order::new(What::Fork, 0).with(number, child, 0))?;
        self.add_process(answer.value as libc::pid_t, Some(process));
        self.processes[child].duplicates = self.processes[process].duplicates;
        self.tell(&format!("p{process}: {} makes p{child}", how.name()));
        let copies: Vec<Handle> =
            self.model.handles.iter().filter(|handle| handle.process == process).cloned().collect();
        for handle in copies {
            let id = self.model.number();
            let family = if how == ForkCall::WithHandlers { self.model.number() } else { handle.family };
            let copy = Handle {
                id,
                process: child,
                is_inherited: true,
                has_changed: false,
                has_own_lock: false,
                family,
                ..handle
            };
            self.model.handles.push(copy);
        }
        self.order(child, Order::new(What::Hello, 0))?;
        Ok(true)
    }

    fn tidy(&mut self, process: u8, by_force: bool) -> Checked<bool> {
        let Some(process) = self.any_process(process)? else { return Ok(false) };
        let flags = if by_force { MBA_TIDY_FORCE } else { 0 };
        let answer = self.order(process, Order::new(What::Tidy, 0).with(flags as usize, 0, 0))?;
        self.tell(&format!("p{process}: tidy = {}", answer.code));
        let expected: &[i32] = match self.model.holder {
            Holder::Nobody => &[0],
            Holder::Handle(_) => &[MBA_ELOCKED],
            Holder::Lingers => &[0, MBA_ELOCKED],
        };
        ensure!(expected.contains(&answer.code), "tidy says {}", answer.code);
        self.must_be_exact = answer.code == 0 && !self.somebody_is_there();
        Ok(true)
    }

    /// Nobody looks at the file before the lock is given back: till then nobody could open it.
    fn mimic(&mut self, at: usize, closes: bool) -> Checked<bool> {
        let end = self.model.elements.len();
        let is_free = self.model.is_free() || self.model.holds(at);
        let has_end = end > 0 && end.is_multiple_of(PAGE) && !self.reading.has_footer;
        if !has_end || !is_free || !self.model.handles[at].is_writer() || self.model.handles[at].is_small {
            return Ok(false);
        }
        self.call(at, &Call::Lock)?;
        self.reading = footer::read(&self.file, self.ty)?;
        let count = FOOTER.div_ceil(self.model.size) as u16;
        self.write_last(at, count, Content::Alike(2))?;
        if closes { self.close(at) } else { self.call(at, &Call::Unlock) }
    }

    /// Another file has the array's name for a while.
    fn replace(&mut self) -> Checked<bool> {
        let aside = self.path.with_extension("aside");
        std::fs::rename(&self.path, &aside).unwrap();
        std::fs::write(&self.path, b"another").unwrap();
        let replaced = self.ask_if_replaced(1);
        std::fs::rename(&aside, &self.path).unwrap();
        replaced?;
        self.ask_if_replaced(0)?;
        Ok(true)
    }

    fn ask_if_replaced(&mut self, expected: u64) -> Checked {
        for at in 0..self.model.handles.len() {
            let handle = &self.model.handles[at];
            let (process, slot, by_path) = (handle.process, handle.slot, handle.by_path);
            let answer = self.order(process, Order::new(What::IsReplaced, slot))?;
            let (found, expected) = ((answer.code, answer.value), if by_path { expected } else { 0 });
            {
                ensure!(found == (0, expected), "p{process}.h{slot}: is_replaced says {found:?}");
            }
        }
        Ok(())
    }

    pub(super) fn kill_after(&mut self, process: usize, delay: u16) {
        let (start, delay) = (Instant::now(), Duration::from_nanos(u64::from(delay) * 500));
        while start.elapsed() < delay {
            std::hint::spin_loop();
        }
        self.kill(process);
        let mut poll = libc::pollfd { fd: self.pidfd(process), events: libc::POLLIN, revents: 0 };
        // SAFETY: one structure, which is there to be read and filled.
        while unsafe { libc::poll(&raw mut poll, 1, super::talk::PATIENCE_MS) } < 0 {}
        assert_ne!(poll.revents, 0, "p{process} doesn't end");
    }

    pub(super) fn send(&self, process: usize, order: &Order) {
        self.channels[process].order(order);
    }

    pub(super) fn left_answer(&self, process: usize) -> Option<Answer> {
        self.channels[process].left_answer()
    }

    pub(super) fn end(&mut self, process: usize) {
        self.gone(process);
    }

    /// Closes what is open, and ends all processes: then the file is its elements, or a writer's close makes it so.
    fn finish(&mut self) -> Checked {
        while !self.model.handles.is_empty() {
            self.must_be_exact = false;
            self.must_be_trimmed = false;
            let last = self.model.handles.len() as u8 - 1;
            self.step(&Step::Close(last))?;
            self.check().map_err(|error| format!("after that: {error}"))?;
        }
        self.must_be_trimmed = false;
        for process in self.live() {
            self.order(process, Order::new(What::Exit, 0))?;
            self.gone(process);
        }
        self.must_be_exact = false;
        self.check()?;
        if self.reading.has_footer {
            let code =
                crate::helpers::raw::Raw::open(&self.path, self.ty, MBA_RDWR).and_then(|raw| raw.close());
            self.tell(&format!("a writer opens and closes = {code:?}"));
            ensure!(code == Ok(()), "opening and closing a writer says {code:?}");
            self.must_be_exact = true;
            self.check()?;
        }
        Ok(())
    }

    // Contents.

    /// Bytes to be stored from byte `at` of the array on.
    pub(super) fn content(&self, content: Content, at: usize, count: usize) -> Vec<u8> {
        let mut bytes = match content {
            Content::Zero => return vec![0; count],
            Content::Ones => return vec![0xff; count],
            Content::Any(seed) | Content::Alike(seed) => {
                let mut numbers = Numbers(seed.into());
                let mut bytes = vec![0; count.next_multiple_of(8)];
                for word in bytes.chunks_exact_mut(8) {
                    word.copy_from_slice(&numbers.next().to_ne_bytes());
                }
                bytes.truncate(count);
                bytes
            }
        };
        if let Content::Alike(seed) = content {
            // Wherever the file could end, the last bytes read as a footer: a sound one, or one with the magic only.
            let mut page = (at / PAGE + 1) * PAGE;
            while page - FOOTER < at + count {
                let (start, len) = (page - FOOTER, page / self.model.size / 2);
                let mut last = footer::forge(&self.file, self.ty, page, len);
                match seed % 4 {
                    0 => last[8..].fill(1),
                    1 => last[..8].reverse(),
                    _ => {}
                }
                for (offset, byte) in last.into_iter().enumerate() {
                    if let Some(place) =
                        (start + offset).checked_sub(at).and_then(|place| bytes.get_mut(place))
                    {
                        *place = byte;
                    }
                }
                page += PAGE;
            }
        }
        bytes
    }

    pub(super) fn put_values(&self, bytes: &[u8]) {
        assert!(bytes.len() <= 2 * MOST);
        self.board.put_values(bytes);
    }
}

/// How a process ended, for people.
pub fn ending(status: i32) -> String {
    if libc::WIFSIGNALED(status) {
        format!("was killed by signal {}", libc::WTERMSIG(status))
    } else {
        format!("ended with status {}", libc::WEXITSTATUS(status))
    }
}
