//! The growth lock: who has it, and how others wait for it. Processes that take turns growing one file lose nothing
//! of each other's, and readers follow.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
};
use std::time::{Duration, Instant};

use crate::helpers::{Numbers, Place, Process, Words, alone, arguments, file_size, part, writable};
use mmap_backed_array::{Error, MmapArray, Wait};

/// How often each writer takes its turn.
const TURNS: u64 = 250;

/// Words that all processes share: who has come, whether to begin, and whether the writers are done.
const PRESENT: usize = 0;
const BEGIN: usize = 1;
const DONE: usize = 2;
/// How often two readings of a reader differed.
const SEEN: usize = 3;

/// An element: whose it is, and which of that writer's. Never 0, which is what spare room holds.
fn element(writer: u64, number: u64) -> u64 {
    writer << 32 | number
}

fn meet(words: &Words) {
    words[PRESENT].fetch_add(1, Release);
    while words[BEGIN].load(Acquire) == 0 {
        std::thread::yield_now();
    }
}

/// Takes a number of turns, each in one of the ways there are. Writers count from 1.
fn write(path: &Path, words: &Words, writer: u64) {
    let mut array = MmapArray::<u64>::open_with(path, &writable()).unwrap();
    let mut numbers = Numbers(writer);
    let mut next = 0;
    meet(words);
    for _ in 0..TURNS {
        match numbers.below(8) {
            // Without waiting: whoever calls first has it.
            0 => {
                while let Err(error) = array.push(element(writer, next)) {
                    assert_eq!(error, Error::Locked);
                    std::thread::yield_now();
                }
                next += 1;
            }
            1 => {
                array.lock(Wait::For(Duration::from_secs(60))).unwrap();
                array.push(element(writer, next)).unwrap();
                next += 1;
            }
            2 => {
                array.lock(Wait::Forever).unwrap();
                let count = numbers.below(3000) as usize;
                let len = array.len();
                array.reserve(len + count).unwrap();
                for at in 0..count {
                    // SAFETY: this handle has the lock, and room for so many elements behind its length.
                    unsafe { array.as_ptr().add(len + at).write(element(writer, next)) };
                    next += 1;
                }
                array.commit(len + count).unwrap();
            }
            _ => {
                array.lock(Wait::Forever).unwrap();
                let count = numbers.below(1200);
                let values: Vec<u64> = (0..count).map(|at| element(writer, next + at)).collect();
                array.extend_from_slice(&values).unwrap();
                next += count;
            }
        }
        if numbers.below(4) == 0 {
            // Truncates the file to its elements before the next one gets it.
            array.close().unwrap();
            array = MmapArray::open_with(path, &writable()).unwrap();
        } else {
            array.unlock().unwrap();
        }
    }
    array.lock(Wait::Forever).unwrap();
    array.push(element(writer, u32::MAX.into())).unwrap();
    array.close().unwrap();
}

/// Follows by refreshing: the length never falls, and what is there has been written.
fn read(path: &Path, words: &Words) {
    let mut array = MmapArray::<u64>::open(path).unwrap();
    let mut known = 0;
    meet(words);
    loop {
        let done = words[DONE].load(Acquire) == 1;
        array.refresh().unwrap();
        let len = array.len();
        assert!(len >= known, "the length fell from {known} to {len}");
        for at in known..len {
            assert_ne!(array.get(at), Some(0), "element {at} of {len} is there before it is written");
        }
        if len > known {
            words[SEEN].fetch_add(1, Relaxed);
        }
        known = len;
        if done {
            return;
        }
        std::thread::yield_now();
    }
}

fn take_turns(test: &str, place: Place, writers: u64) {
    if let Some(arguments) = arguments(test) {
        let (path, words) = (Path::new(&arguments[0]), Words::open(Path::new(&arguments[1])));
        return match arguments[2].parse().unwrap() {
            0 => read(path, &words),
            writer => write(path, &words, writer),
        };
    }
    let directory = place.directory();
    let (path, words_path) = (directory.path().join("array"), directory.path().join("words"));
    std::fs::write(&path, []).unwrap();
    let words = Words::create(&words_path, 4);
    let (path_text, words_text) = (path.to_str().unwrap(), words_path.to_str().unwrap());
    let start = |role: u64| Process::start(&mut part(test, &[path_text, words_text, &role.to_string()]));
    let mut readers = [start(0), start(0)];
    let mut children: Vec<Process> = (1..=writers).map(start).collect();
    while words[PRESENT].load(Acquire) < writers + 2 {
        for child in children.iter_mut().chain(&mut readers) {
            assert!(child.ended().is_none(), "a process ended before its turn");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    words[BEGIN].store(1, Release);
    for child in &mut children {
        let status = child.wait();
        assert!(status.success(), "a writer: {status}");
    }
    words[DONE].store(1, Release);
    for reader in &mut readers {
        let status = reader.wait();
        assert!(status.success(), "a reader: {status}");
    }
    assert!(words[SEEN].load(Relaxed) > 2, "the readers saw nothing grow");

    let bytes = std::fs::read(&path).unwrap();
    let mut next = vec![0; writers as usize + 1];
    for (at, bytes) in bytes.chunks_exact(8).enumerate() {
        let found = u64::from_ne_bytes(bytes.try_into().unwrap());
        let (writer, number) = (found >> 32, found & u64::from(u32::MAX));
        assert!((1..=writers).contains(&writer), "element {at} is {found:#x}");
        let expected = &mut next[writer as usize];
        if number == u64::from(u32::MAX) {
            // That writer's last.
            *expected = number;
        } else {
            assert_eq!(number, *expected, "element {at}, of writer {writer}");
            *expected += 1;
        }
    }
    assert!(
        next[1..].iter().all(|next| *next == u64::from(u32::MAX)),
        "all writers' last elements are there"
    );
    assert_eq!(bytes.len() % 8, 0, "the closed file is its elements");
}

#[test]
fn two_processes_on_the_disk() {
    take_turns("two_processes_on_the_disk", Place::Disk, 2);
}

#[test]
fn two_processes_in_memory() {
    take_turns("two_processes_in_memory", Place::Memory, 2);
}

#[test]
fn three_processes_on_the_disk() {
    take_turns("three_processes_on_the_disk", Place::Disk, 3);
}

#[test]
fn three_processes_in_memory() {
    take_turns("three_processes_in_memory", Place::Memory, 3);
}

#[test]
fn closing_a_handle_leaves_the_spare_room_of_the_one_that_has_the_lock() {
    for place in [Place::Disk, Place::Memory] {
        let directory = place.directory();
        let path = directory.path().join("array");
        let mut array = MmapArray::<u32>::open_or_create(&path).unwrap();
        array.push(1).unwrap();
        let (other, size) = (MmapArray::<u32>::open_with(&path, &writable()).unwrap(), file_size(&path));
        other.close().unwrap();
        assert_eq!(file_size(&path), size, "{place:?}");
        array.push(2).unwrap();
        array.close().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), [1u32, 2].map(u32::to_ne_bytes).concat());
    }
}

#[test]
fn a_file_that_cannot_be_grown_is_no_ones_to_lock() {
    let directory = Place::Disk.directory();
    let path = directory.path().join("partial");
    std::fs::write(&path, [1; 4099]).unwrap();
    let mut first = MmapArray::<u32>::open_with(&path, &writable()).unwrap();
    let mut second = MmapArray::<u32>::open_with(&path, &writable()).unwrap();
    assert_eq!(first.push(2), Err(Error::Partial));
    assert_eq!(second.push(2), Err(Error::Partial), "the first one has not kept the lock");
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(4096).unwrap();
    second.push(2).unwrap();
    assert_eq!(first.push(2), Err(Error::Locked));
    assert_eq!((second.len(), second.last()), (1025, Some(2)));
}

#[test]
fn a_second_grower_is_told_so_however_long_it_waits() {
    let directory = Place::Memory.directory();
    let path = directory.path().join("array");
    let mut first = MmapArray::<u32>::open_or_create(&path).unwrap();
    let mut second = MmapArray::<u32>::open_or_create(&path).unwrap();
    first.push(1).unwrap();
    assert_eq!(second.push(2), Err(Error::Locked));
    assert_eq!(second.lock(Wait::No), Err(Error::Locked));
    let limit = Duration::from_millis(30);
    let start = Instant::now();
    assert_eq!(second.lock(Wait::For(limit)), Err(Error::Os(libc::ETIMEDOUT)));
    assert!(start.elapsed() >= limit);
    assert_eq!(first.lock(Wait::Forever), Ok(()), "who has it needn't wait");
    // Waiting ends when the other one unlocks.
    let waiting = std::thread::spawn(move || {
        second.lock(Wait::Forever).unwrap();
        second.push(2).unwrap();
    });
    first.unlock().unwrap();
    waiting.join().unwrap();
    first.refresh().unwrap();
    assert_eq!(first.to_vec(..), Ok(vec![1, 2]));
}

static SIGNALS: AtomicU32 = AtomicU32::new(0);

extern "C" fn count_signal(_: i32) {
    SIGNALS.fetch_add(1, SeqCst);
}

/// A program may have timers whose signals interrupt system calls: a handler that was installed with `SA_RESTART` lets
/// a wait go on, and any other one ends it.
#[test]
fn a_signal_ends_waiting_for_the_lock_if_its_handler_says_so() {
    alone("a_signal_ends_waiting_for_the_lock_if_its_handler_says_so", || {
        for wait in [Wait::Forever, Wait::For(Duration::from_secs(60))] {
            for flags in [0, libc::SA_RESTART] {
                // SAFETY: the action has no field that mustn't be zero, and its handler does what handlers may. The
                // thread is this one.
                let thread = unsafe {
                    let mut action: libc::sigaction = std::mem::zeroed();
                    action.sa_sigaction = count_signal as *const () as usize;
                    action.sa_flags = flags;
                    assert_eq!(libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()), 0);
                    libc::pthread_self() as usize // as a pointer, which it is with musl, it couldn't be sent
                };
                SIGNALS.store(0, SeqCst);
                let directory = Place::Memory.directory();
                let path = directory.path().join("array");
                let mut first = MmapArray::<u64>::open_or_create(&path).unwrap();
                let mut second = MmapArray::<u64>::open_or_create(&path).unwrap();
                first.push(1).unwrap();
                std::thread::scope(|scope| {
                    scope.spawn(move || {
                        while SIGNALS.load(SeqCst) < 50 {
                            // SAFETY: the thread outlives this one.
                            unsafe { libc::pthread_kill(thread as libc::pthread_t, libc::SIGUSR1) };
                            std::thread::sleep(Duration::from_micros(100));
                        }
                        first.unlock().unwrap();
                    });
                    let mut waits = 1;
                    let result = loop {
                        match second.lock(wait) {
                            Err(Error::Os(libc::EINTR)) => waits += 1,
                            result => break result,
                        }
                    };
                    assert_eq!(result, Ok(()));
                    assert_eq!(waits > 1, flags == 0, "{waits} waits, {wait:?}, flags {flags}");
                });
                assert!(SIGNALS.load(SeqCst) >= 50);
                second.push(2).unwrap();
                assert_eq!(second.to_vec(..), Ok(vec![1, 2]));
            }
        }
    });
}

/// What is handed out or taken in by descriptor shares no lock with it, so that neither a holder of the one keeps
/// the other's lock nor two handles of one descriptor take each other's for their own.
#[test]
fn a_descriptor_carries_no_lock() {
    // A process that another test is just starting would have the closed handle's lock for a moment.
    alone("a_descriptor_carries_no_lock", || {
        let directory = Place::Disk.directory();
        let path = directory.path().join("array");
        let mut array = MmapArray::<u32>::open_or_create(&path).unwrap();
        // SAFETY: the descriptor is the handle's, which exists.
        let fd = unsafe { BorrowedFd::borrow_raw(array.fd().unwrap()) };
        let handed = fd.try_clone_to_owned().unwrap();
        array.push(1).unwrap();
        let mut first = MmapArray::<u32>::from_fd(handed.as_fd(), &writable()).unwrap();
        let mut second = MmapArray::<u32>::from_fd(handed.as_fd(), &writable()).unwrap();
        assert_eq!(first.push(2), Err(Error::Locked));
        array.close().unwrap();
        first.push(2).unwrap();
        assert_eq!(second.push(3), Err(Error::Locked));
        first.close().unwrap();
        second.push(3).unwrap();
        assert_eq!(second.to_vec(..), Ok(vec![1, 2, 3]));
    });
}

/// Somebody who only tidies is in nobody's way, also where signals end every sleep.
#[test]
fn an_append_beside_tidying_goes_through_whatever_signals_come() {
    alone("an_append_beside_tidying_goes_through_whatever_signals_come", || {
        extern "C" fn nothing(_: libc::c_int) {}
        // SAFETY: the handler does nothing; the structures are only read. Without SA_RESTART each signal ends a sleep.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as usize;
            libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut());
        }
        let directory = Place::Memory.directory();
        let path = directory.path().join("array");
        let mut array = MmapArray::<u32>::open_or_create(&path).unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // The signals are for the other thread.
                // SAFETY: the set is made before it is used.
                unsafe {
                    let mut alarm = std::mem::zeroed();
                    libc::sigemptyset(&raw mut alarm);
                    libc::sigaddset(&raw mut alarm, libc::SIGALRM);
                    libc::pthread_sigmask(libc::SIG_BLOCK, &raw const alarm, std::ptr::null_mut());
                }
                while !done.load(Relaxed) {
                    let _ = mmap_backed_array::tidy(&path, None, false);
                }
            });
            let often = libc::timeval { tv_sec: 0, tv_usec: 100 };
            let timer = libc::itimerval { it_interval: often, it_value: often };
            // SAFETY: the structure is only read.
            unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) };
            for value in 0..20_000 {
                array.push(value).unwrap();
                array.unlock().unwrap();
            }
            done.store(true, Relaxed);
        });
    });
}
