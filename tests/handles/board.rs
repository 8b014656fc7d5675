//! Memory that all processes of a case share, apart from the library under test.

use std::ptr;
use std::slice;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The most bytes that the array comes to have, and that are passed at once.
pub const MOST: usize = 512 << 10;
/// The most bytes of the story, and of a message.
const TEXT: usize = 1 << 20;
const MESSAGE: usize = 8 << 10;
const WORDS: usize = 4096;

/// A mapping of fixed parts. Copies are of the pointer; forked children see the same memory.
#[derive(Clone, Copy)]
pub struct Board(*mut u8);

// SAFETY: the mapping lasts as long as the process, and who may use which part of it when is a matter between processes.
unsafe impl Send for Board {}
// SAFETY: as above.
unsafe impl Sync for Board {}

const TEXT_AT: usize = WORDS * 8;
const MESSAGE_AT: usize = TEXT_AT + TEXT;
const ELEMENTS_AT: usize = MESSAGE_AT + MESSAGE;
const VALUES_AT: usize = ELEMENTS_AT + 2 * MOST;
const OUT_AT: usize = VALUES_AT + 2 * MOST;
const ALL: usize = OUT_AT + 2 * MOST;

/// Words with a meaning; those behind them are a table of what handles must show.
pub const TEXT_LEN: usize = 0;
pub const MESSAGE_LEN: usize = 1;
/// How many processes stand ready to go, and the number of the turn that may go.
pub const READY: usize = 2;
pub const GO: usize = 3;
/// How often things have happened.
pub const COUNTS: usize = 4;
pub const TABLE: usize = 16;
/// Groups of processes that aren't known to have ended.
const GROUPS: usize = 2048;

impl Board {
    /// A new one, which lasts as long as the process.
    pub fn new() -> Board {
        // SAFETY: a new mapping, at an address that the system chooses.
        let base = unsafe {
            let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
            libc::mmap(ptr::null_mut(), ALL, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
        };
        assert_ne!(base, libc::MAP_FAILED, "{}", std::io::Error::last_os_error());
        Board(base.cast())
    }

    pub fn word(&self, at: usize) -> &AtomicU64 {
        assert!(at < WORDS);
        // SAFETY: within the mapping, which is aligned and lasts; all that use the words do so atomically.
        unsafe { &*self.0.cast::<AtomicU64>().add(at) }
    }

    fn part(&self, at: usize, bytes: usize) -> *mut u8 {
        assert!(at + bytes <= ALL);
        // SAFETY: within the mapping.
        unsafe { self.0.add(at) }
    }

    /// Bytes that were put on the board by another process, or this one. They are written by one process at a time,
    /// while no other reads them: orders and answers see to that.
    fn read(&self, at: usize, bytes: usize) -> &[u8] {
        // SAFETY: within the mapping, which lasts; nobody writes there now, as said above.
        unsafe { slice::from_raw_parts(self.part(at, bytes), bytes) }
    }

    fn write(&self, at: usize, bytes: &[u8]) {
        // SAFETY: within the mapping; nobody else uses this part now, as said above.
        unsafe { self.part(at, bytes.len()).copy_from(bytes.as_ptr(), bytes.len()) };
    }

    /// What the array's elements must be.
    pub fn elements(&self, bytes: usize) -> &[u8] {
        self.read(ELEMENTS_AT, bytes)
    }

    pub fn put_elements(&self, bytes: &[u8]) {
        self.write(ELEMENTS_AT, bytes);
    }

    /// What an order passes to the library.
    pub fn values(&self, bytes: usize) -> &[u8] {
        self.read(VALUES_AT, bytes)
    }

    pub fn put_values(&self, bytes: &[u8]) {
        self.write(VALUES_AT, bytes);
    }

    /// What the library gave.
    pub fn out(&self, bytes: usize) -> &[u8] {
        self.read(OUT_AT, bytes)
    }

    pub fn put_out(&self, bytes: &[u8]) {
        self.write(OUT_AT, bytes);
    }

    /// Adds a line to the story, which outlives the process that tells it.
    pub fn tell(&self, line: &str) {
        let len = self.word(TEXT_LEN).load(Relaxed) as usize;
        if len + line.len() < TEXT {
            self.write(TEXT_AT + len, line.as_bytes());
            self.write(TEXT_AT + len + line.len(), b"\n");
            self.word(TEXT_LEN).store((len + line.len() + 1) as u64, Relaxed);
        }
    }

    pub fn story(&self) -> String {
        let len = self.word(TEXT_LEN).load(Relaxed) as usize;
        String::from_utf8_lossy(self.read(TEXT_AT, len)).into_owned()
    }

    /// Says what went wrong, if nobody has said so before.
    pub fn complain(&self, message: &str) {
        if self.word(MESSAGE_LEN).load(Relaxed) == 0 {
            let bytes = &message.as_bytes()[..message.len().min(MESSAGE)];
            self.write(MESSAGE_AT, bytes);
            self.word(MESSAGE_LEN).store(bytes.len() as u64, Relaxed);
        }
    }

    pub fn complaint(&self) -> Option<String> {
        let len = self.word(MESSAGE_LEN).load(Relaxed) as usize;
        (len > 0).then(|| String::from_utf8_lossy(self.read(MESSAGE_AT, len)).into_owned())
    }

    /// A group of processes has begun.
    pub fn put_group(&self, group: i32) {
        let free = (GROUPS..WORDS).find(|at| self.word(*at).load(Relaxed) == 0).expect("room for a group");
        self.word(free).store(group as u64, Relaxed);
    }

    /// It has ended, and all its processes were waited for: the number may become another's.
    pub fn take_group(&self, group: i32) {
        for at in GROUPS..WORDS {
            let _ = self.word(at).compare_exchange(group as u64, 0, Relaxed, Relaxed);
        }
    }

    pub fn groups(&self) -> Vec<i32> {
        (GROUPS..WORDS).map(|at| self.word(at).load(Relaxed) as i32).filter(|group| *group != 0).collect()
    }

    /// For the next case.
    pub fn wipe(&self) {
        (0..WORDS).for_each(|at| self.word(at).store(0, Relaxed));
    }
}
