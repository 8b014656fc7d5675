//! A process that owns handles and does as it is told, and its children.

use std::ffi::CString;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use mmap_backed_array::Type;
use mmap_backed_array::capi::*;

use super::board::{Board, GO, READY, TABLE};
use super::calls;
use super::talk::{Answer, BY_DESCRIPTOR, BY_HANDLE, BY_PATH, Channel, Order, What};
use crate::helpers::raw::{Code, Raw, code};

/// The most handles of a process.
pub const SLOTS: usize = 8;
/// The most processes of a case, children and all.
pub const PROCESSES: usize = 12;

/// What a handle must show; a row of the board's table, in words.
#[derive(Clone, Copy, Default)]
pub struct Row {
    pub is_open: u64,
    /// The elements up to here are those on the board.
    pub same: u64,
    /// Up to here bytes can be touched.
    pub seen: u64,
    pub len: u64,
    pub has_lock: u64,
    pub epoch: u64,
    pub data: u64,
}

const ROW: usize = 7;
/// In the place of an epoch: it may be any.
pub const ANY: u64 = u64::MAX;

impl Row {
    pub fn put(&self, board: &Board, process: usize, slot: usize) {
        let words = [self.is_open, self.same, self.seen, self.len, self.has_lock, self.epoch, self.data];
        for (at, word) in words.into_iter().enumerate() {
            board.word(TABLE + (process * SLOTS + slot) * ROW + at).store(word, Relaxed);
        }
    }

    fn get(board: &Board, process: usize, slot: usize) -> Row {
        let [is_open, same, seen, len, has_lock, epoch, data] =
            std::array::from_fn(|at| board.word(TABLE + (process * SLOTS + slot) * ROW + at).load(Relaxed));
        Row { is_open, same, seen, len, has_lock, epoch, data }
    }
}

/// The call by which a child comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForkCall {
    /// `fork`, which calls the handlers that the library has registered.
    WithHandlers,
    /// `_Fork` of the C library, which calls none.
    Bare,
    /// The system call `clone` by itself.
    Clone,
}

impl ForkCall {
    pub const ALL: [ForkCall; 3] = [ForkCall::WithHandlers, ForkCall::Bare, ForkCall::Clone];

    pub fn name(self) -> &'static str {
        match self {
            ForkCall::WithHandlers => "fork",
            ForkCall::Bare => "_Fork",
            ForkCall::Clone => "clone",
        }
    }

    /// # Safety
    /// As for fork(2): the process has one thread.
    pub unsafe fn fork(self) -> libc::pid_t {
        // SAFETY: the caller's promise; `_Fork` has this form where the C library has it.
        unsafe {
            match self {
                ForkCall::WithHandlers => libc::fork(),
                ForkCall::Bare => match libc::dlsym(libc::RTLD_DEFAULT, c"_Fork".as_ptr()) {
                    bare if !bare.is_null() => {
                        std::mem::transmute::<*mut libc::c_void, extern "C" fn() -> libc::pid_t>(bare)()
                    }
                    _ => ForkCall::Clone.fork(),
                },
                ForkCall::Clone => libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) as libc::pid_t,
            }
        }
    }
}

pub struct Worker<'a> {
    pub board: Board,
    pub channels: &'a [Channel],
    /// Which process this is: its channel, and its rows in the table.
    pub number: usize,
    pub path: PathBuf,
    pub ty: Type,
    handles: [Option<Raw>; SLOTS],
    duplicates: Vec<OwnedFd>,
    programs: Vec<Child>,
}

impl<'a> Worker<'a> {
    pub fn new(board: Board, channels: &'a [Channel], number: usize, path: PathBuf, ty: Type) -> Worker<'a> {
        let handles = std::array::from_fn(|_| None);
        let (duplicates, programs) = (Vec::new(), Vec::new());
        Worker { board, channels, number, path, ty, handles, duplicates, programs }
    }

    /// Obeys until it is told to exit, or is killed.
    pub fn serve(&mut self) -> ! {
        loop {
            let order = self.channels[self.number].next_order();
            if order.turn > 0 {
                self.board.word(READY).fetch_add(1, Release);
                while self.board.word(GO).load(Acquire) != order.turn {
                    std::hint::spin_loop();
                }
            }
            let answer = self.obey(&order);
            self.channels[self.number].reply(&answer);
        }
    }

    fn obey(&mut self, order: &Order) -> Answer {
        let mut value = 0;
        let slot = order.slot as usize;
        let result = self.carry_out(order, &mut value);
        let mut answer = Answer { code: result.err().unwrap_or(0), value, ..Answer::default() };
        if let Some(raw) = &self.handles[slot] {
            answer.len = raw.len() as u64;
            answer.capacity = raw.capacity() as u64;
            answer.reserved = raw.reserved() as u64;
            answer.has_lock = raw.has_lock().into();
            answer.epoch = calls::epoch(raw);
            answer.data = raw.data() as u64;
        }
        answer
    }

    fn carry_out(&mut self, order: &Order, value: &mut u64) -> Code<()> {
        let slot = order.slot as usize;
        let (a, b, c) = (order.a as usize, order.b as usize, order.c as usize);
        match order.meaning() {
            What::Hello => Ok(()),
            What::Open => {
                assert!(self.handles[slot].is_none());
                self.handles[slot] = Some(self.open(a as u32, order.b, order.c)?);
                Ok(())
            }
            What::Close => self.handles[slot].take().expect("an open handle").close(),
            What::Fork => self.fork(ForkCall::ALL[a], b, value),
            What::Start => {
                let mut command = Command::new("sleep");
                command.arg("120");
                if a == 1 {
                    // SAFETY: the closure does nothing; it keeps the standard library from posix_spawn.
                    unsafe { std::os::unix::process::CommandExt::pre_exec(&mut command, || Ok(())) };
                }
                self.programs.push(start(&mut command));
                Ok(())
            }
            What::EndProgram => {
                if let Some(mut program) = self.programs.pop() {
                    program.kill().unwrap();
                    program.wait().unwrap();
                }
                Ok(())
            }
            What::Exit => {
                self.channels[self.number].reply(&Answer::default());
                // SAFETY: ends the process, which has one thread.
                unsafe {
                    match a {
                        0 => libc::_exit(0),
                        _ => libc::exit(0),
                    }
                }
            }
            What::Reap => {
                let mut status = 0;
                // SAFETY: waits for a child, and stores its status.
                let reaped = unsafe { libc::waitpid(a as i32, &raw mut status, 0) };
                assert_eq!(reaped, a as i32);
                *value = status as u64;
                Ok(())
            }
            What::CloseDup => {
                self.duplicates.pop();
                Ok(())
            }
            What::Info => self.put_status(calls::status_of_path(&self.c_path())),
            What::Tidy => calls::tidy(&self.path, self.ty, a as u32),
            What::CheckAll => {
                self.check_all(a);
                Ok(())
            }
            _ => self.use_handle(order.meaning(), slot, [a, b, c], value),
        }
    }

    fn c_path(&self) -> CString {
        CString::new(self.path.as_os_str().as_bytes()).unwrap()
    }

    fn open(&self, flags: u32, reservation: u64, from: u64) -> Code<Raw> {
        match from {
            BY_PATH if reservation > 0 => Raw::open_reserving(&self.path, self.ty, flags, reservation),
            BY_PATH => Raw::open(&self.path, self.ty, flags),
            BY_DESCRIPTOR => {
                let file = OpenOptions::new().read(true).write(true).open(&self.path).unwrap();
                Raw::descriptor(file.as_raw_fd(), self.ty, flags)
            }
            _ => {
                let other = self.handles[(from - BY_HANDLE) as usize].as_ref().expect("an open handle");
                Raw::descriptor(other.fd(), self.ty, flags)
            }
        }
    }

    /// The parent's answer is the child's number; the child answers for itself, when it is there.
    fn fork(&mut self, how: ForkCall, number: usize, value: &mut u64) -> Code<()> {
        // SAFETY: the process has one thread.
        let child = unsafe { how.fork() };
        assert!(child >= 0, "{}", std::io::Error::last_os_error());
        if child == 0 {
            self.number = number;
            self.programs.drain(..).for_each(std::mem::forget);
            self.serve();
        }
        *value = child as u64;
        Ok(())
    }

    fn put_status(&self, status: Code<calls::Status>) -> Code<()> {
        let status = status?;
        // SAFETY: the structure is plain words.
        let bytes = unsafe {
            std::slice::from_raw_parts((&raw const status).cast::<u8>(), size_of::<calls::Status>())
        };
        self.board.put_out(bytes);
        Ok(())
    }

    fn use_handle(&mut self, what: What, slot: usize, [a, b, c]: [usize; 3], value: &mut u64) -> Code<()> {
        let (board, size) = (self.board, self.ty.size());
        let raw = self.handles[slot].as_ref().expect("an open handle");
        let one = board.values(size);
        let put = |result: Code<Vec<u8>>| result.map(|bytes| board.put_out(&bytes));
        match what {
            What::Dup => {
                let fd = raw.fd();
                *value = u64::from(fd >= 0);
                if fd >= 0 {
                    // SAFETY: the descriptor is the handle's, which exists.
                    self.duplicates.push(unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned().unwrap());
                }
                Ok(())
            }
            What::Append => raw.append(one),
            What::Push => {
                for element in board.values(a * size).chunks_exact(size) {
                    if !calls::push_inline(raw, element) {
                        raw.append(element)?;
                    }
                    *value += 1;
                }
                Ok(())
            }
            What::Extend => raw.extend(board.values(a)),
            What::ExtendOwn => raw.extend_from_itself(a, b),
            What::Pop => {
                let mut all = Vec::new();
                let mut result = Ok(());
                while result.is_ok() && *value < a as u64 {
                    result = raw.pop().map(|element| all.extend(element));
                    *value += u64::from(result.is_ok());
                }
                board.put_out(&all);
                result
            }
            What::Insert => raw.insert(a, one),
            What::Remove => put(raw.remove(a)),
            What::Splice => raw.splice(a, b, board.values(c)),
            What::Resize => raw.resize(a),
            What::Clear => raw.clear(),
            What::Reserve => raw.reserve(a),
            What::Commit => {
                // Takes the lock, and with it the length: room for so many beyond an old one may be more than there is.
                raw.reserve(0)?;
                *value = 1;
                let len = raw.len();
                raw.reserve(len + a / size)?;
                *value = 2;
                if raw.capacity() >= len + a / size {
                    // SAFETY: the handle has the lock and room for so many elements behind its length.
                    unsafe { raw.data().add(len * size).copy_from(board.values(a).as_ptr(), a) };
                }
                raw.commit(len + a / size)
            }
            What::Shrink => raw.shrink_to_fit(),
            What::Set => raw.set(a, one),
            What::Write => raw.write(a, board.values(b)),
            What::Fill => raw.fill(a, b, one),
            What::Poke => {
                // SAFETY: the handle has seen elements there, which stay mapped; that is what is tested here.
                unsafe { raw.data().add(a).copy_from(board.values(b).as_ptr(), b) };
                Ok(())
            }
            What::Reverse => raw.reverse(),
            What::Byteswap => raw.byteswap(),
            What::Get => put(raw.get(a)),
            What::Read => put(raw.read(a, b)),
            What::Find => {
                *value = raw.find(one, 0, usize::MAX)? as u64;
                Ok(())
            }
            What::Lock => raw.lock(a as i32),
            What::Unlock => raw.unlock(),
            What::Refresh => raw.refresh(),
            What::Flush => raw.flush(),
            // SAFETY: the handle exists.
            What::Advice => code(unsafe { mba_advise(raw.as_ptr(), a, b, c as i32) }),
            What::IsReplaced => {
                *value = u64::from(calls::is_replaced(raw)?);
                Ok(())
            }
            What::ArrayInfo => self.put_status(calls::status_of_array(raw)),
            What::Compare => {
                // SAFETY: the handle has seen elements there, which stay mapped.
                let found = unsafe { std::slice::from_raw_parts(raw.data().add(a), b) };
                *value = difference(found, &board.values(a + b)[a..]).map_or(0, |at| at as u64 + 1);
                Ok(())
            }
            _ => unreachable!("{what:?} isn't for a handle"),
        }
    }

    /// Complains if a handle shows anything else than its row in the table says.
    fn check_all(&self, bytes: usize) {
        let elements = self.board.elements(bytes);
        for slot in 0..SLOTS {
            let row = Row::get(&self.board, self.number, slot);
            let Some(raw) = &self.handles[slot] else { continue };
            assert_eq!(row.is_open, 1, "slot {slot} has a handle");
            let fail = |text: String| {
                self.board.complain(&format!("p{}.h{slot}: {text}", self.number));
            };
            let epoch = if row.epoch == ANY { ANY } else { calls::epoch(raw) };
            let shown = [raw.len() as u64, u64::from(raw.has_lock()), epoch, raw.data() as u64];
            let expected = [row.len, row.has_lock, row.epoch, row.data];
            if shown != expected {
                fail(format!("length, lock, epoch, address are {shown:?}, and should be {expected:?}"));
            }
            // SAFETY: the handle has seen so many elements, which stay mapped, and nobody stores there now.
            let found = unsafe { std::slice::from_raw_parts(raw.data(), row.same as usize) };
            if let Some(at) = difference(found, &elements[..row.same as usize]) {
                fail(format!("byte {at} of {} that it must see is another", row.same));
            }
            let mut touched = 0u64;
            let pages = (row.same..row.seen).step_by(4096).chain(row.seen.checked_sub(1));
            for at in pages {
                // SAFETY: as above.
                touched += u64::from(unsafe { raw.data().add(at as usize).read_volatile() });
            }
            std::hint::black_box(touched);
        }
    }
}

/// Starts a program, and waits until it has none of this process's descriptors any more: the parent goes on a moment
/// before that.
fn start(command: &mut Command) -> Child {
    let (mut reader, writer) = std::io::pipe().unwrap();
    // The last of the descriptors that the child closes, as it does from the lowest on.
    // SAFETY: the descriptor is open; the other one is new.
    let last = unsafe {
        let fd = libc::fcntl(writer.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 900);
        assert!(fd >= 900, "{}", std::io::Error::last_os_error());
        OwnedFd::from_raw_fd(fd)
    };
    drop(writer);
    let child = command.spawn().unwrap();
    drop(last);
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    child
}

/// Where bytes differ first.
fn difference(found: &[u8], expected: &[u8]) -> Option<usize> {
    if found == expected {
        return None;
    }
    found.iter().zip(expected).position(|(found, expected)| found != expected)
}

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        unreachable!("a worker ends by exit");
    }
}
