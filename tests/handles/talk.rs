//! Orders to the processes that own handles, and their answers, over pairs of sockets.
//!
//! The lead makes all pairs before it starts the first process, so that children of children have theirs too.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// What a process is told to do. The words of [`Order`] mean what stands here in brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum What {
    /// Nothing, to begin with.
    Hello,
    /// Opens a handle [flags, reservation or 0, where from: see [`From`]].
    Open,
    Close,
    /// [0: fork, 1: _Fork, 2: clone; the child's channel]
    Fork,
    /// Starts a program that has nothing to do with arrays [0: posix_spawn, 1: fork and exec].
    Start,
    /// Ends a program, if there is one.
    EndProgram,
    /// [0: _exit, 1: exit]
    Exit,
    /// Waits for a child that has ended [its process id]; the value is its status.
    Reap,
    /// Duplicates the handle's descriptor.
    Dup,
    CloseDup,
    Append,
    /// Elements one by one, as the header's inline function appends them [how many].
    Push,
    Extend,
    ExtendOwn,
    Pop,
    /// [index]
    Insert,
    Remove,
    /// [start, removed, bytes of values]
    Splice,
    Resize,
    Clear,
    Reserve,
    /// Makes room, stores, and publishes [bytes of values].
    Commit,
    Shrink,
    Set,
    Write,
    Fill,
    /// Stores through the pointer [byte, bytes of values].
    Poke,
    Reverse,
    Byteswap,
    Get,
    Read,
    Find,
    Lock,
    Unlock,
    Refresh,
    Flush,
    Advice,
    IsReplaced,
    /// What `mba_array_info` says, and what `mba_info` says of the path.
    ArrayInfo,
    Info,
    /// [flags]
    Tidy,
    /// Compares what all handles of the process show with the board.
    CheckAll,
    /// Compares elements of one handle with values on the board [byte, bytes].
    Compare,
}

const LAST: What = What::Compare;

/// Where a handle comes from.
pub const BY_PATH: u64 = 0;
/// From a descriptor that is opened for it, and closed at once.
pub const BY_DESCRIPTOR: u64 = 1;
/// From the descriptor of the handle in slot `n - BY_HANDLE`.
pub const BY_HANDLE: u64 = 2;

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Order {
    pub what: u64,
    pub slot: u64,
    pub a: u64,
    pub b: u64,
    pub c: u64,
    /// The number of the turn to wait for, or 0.
    pub turn: u64,
}

impl Order {
    pub fn new(what: What, slot: usize) -> Order {
        Order { what: what as u64, slot: slot as u64, a: 0, b: 0, c: 0, turn: 0 }
    }

    pub fn with(self, a: usize, b: usize, c: usize) -> Order {
        Order { a: a as u64, b: b as u64, c: c as u64, ..self }
    }

    pub fn meaning(&self) -> What {
        assert!(self.what <= LAST as u64);
        // SAFETY: the numbers up to the last one's are all there.
        unsafe { std::mem::transmute::<u64, What>(self.what) }
    }
}

/// What the process got, and how the handle is afterwards.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Answer {
    pub code: i32,
    pub value: u64,
    pub len: u64,
    pub capacity: u64,
    pub reserved: u64,
    pub has_lock: u64,
    pub epoch: u64,
    pub data: u64,
}

/// Both ends of a pair.
pub struct Channel {
    lead: OwnedFd,
    worker: OwnedFd,
}

impl Channel {
    pub fn new() -> Channel {
        let mut ends = [0; 2];
        // SAFETY: the array has room for two descriptors, which are new.
        unsafe {
            let ty = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
            let done = libc::socketpair(libc::AF_UNIX, ty, 0, ends.as_mut_ptr());
            assert_eq!(done, 0, "{}", io::Error::last_os_error());
            Channel { lead: OwnedFd::from_raw_fd(ends[0]), worker: OwnedFd::from_raw_fd(ends[1]) }
        }
    }

    pub fn order(&self, order: &Order) {
        send(self.lead.as_raw_fd(), order);
    }

    /// The answer, or `None` if the process ends without one.
    pub fn answer(&self, pidfd: RawFd) -> Option<Answer> {
        let mut polls =
            [self.lead.as_raw_fd(), pidfd].map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
        loop {
            // SAFETY: two structures, which are there to be read and filled.
            let ready = unsafe { libc::poll(polls.as_mut_ptr(), 2, PATIENCE_MS) };
            assert!(ready != 0, "no answer within {PATIENCE_MS} ms: a call waits for ever");
            if polls[0].revents != 0 {
                return receive(self.lead.as_raw_fd());
            }
            if ready > 0 && polls[1].revents != 0 {
                return None;
            }
        }
    }

    /// An answer that is there already.
    pub fn left_answer(&self) -> Option<Answer> {
        let mut answer = Answer::default();
        // SAFETY: the structure has so many bytes, and takes any.
        let count = unsafe {
            let (fd, size) = (self.lead.as_raw_fd(), size_of::<Answer>());
            libc::recv(fd, (&raw mut answer).cast(), size, libc::MSG_DONTWAIT)
        };
        (count > 0).then_some(answer)
    }

    /// The next order; the process ends if none comes for minutes, since then nobody is there to give one.
    pub fn next_order(&self) -> Order {
        let mut poll = libc::pollfd { fd: self.worker.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        loop {
            // SAFETY: one structure, which is there to be read and filled.
            match unsafe { libc::poll(&raw mut poll, 1, PATIENCE_MS) } {
                // SAFETY: ends the process.
                0 => unsafe { libc::_exit(0) },
                1 => return receive(self.worker.as_raw_fd()).expect("an order"),
                _ => {}
            }
        }
    }

    pub fn reply(&self, answer: &Answer) {
        send(self.worker.as_raw_fd(), answer);
    }
}

/// How long a call may take, on the slowest machine.
pub const PATIENCE_MS: i32 = 60_000;

fn send<T: Copy>(fd: RawFd, message: &T) {
    // SAFETY: the structure is plain words.
    let sent = unsafe { libc::send(fd, ptr_of(message), size_of::<T>(), libc::MSG_NOSIGNAL) };
    assert_eq!(sent, size_of::<T>() as isize, "{}", io::Error::last_os_error());
}

fn ptr_of<T>(message: &T) -> *const libc::c_void {
    std::ptr::from_ref(message).cast()
}

fn receive<T: Copy>(fd: RawFd) -> Option<T> {
    let mut message = std::mem::MaybeUninit::<T>::uninit();
    // SAFETY: there is room for so many bytes, and messages are plain words, whole ones.
    unsafe {
        let count = libc::recv(fd, message.as_mut_ptr().cast(), size_of::<T>(), 0);
        (count == size_of::<T>() as isize).then(|| message.assume_init())
    }
}
