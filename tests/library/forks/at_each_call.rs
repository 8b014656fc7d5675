//! A fork by another thread at each system call of a call: the child keeps no lock of its parent alive, finds the array as
//! it was at some moment of the call, and can use it when the parent is gone.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicPtr, Ordering::SeqCst};
use std::time::Duration;

use crate::helpers::space::{Small, on_a_small_tmpfs};
use crate::helpers::trace::{Traced, mark, pause_to_be_traced};
use crate::helpers::{Place, alone, file_size, writable};
use mmap_backed_array::{Error, MmapArray, OpenOptions, Wait, tidy};

type Bytes = MmapArray<u8>;

/// How long a fork may take before the thread that has stopped must go on for it: it may have stopped inside of the
/// allocator, which a fork waits for.
const MOMENT: Duration = Duration::from_millis(200);

/// What the child of a fork is asked.
const REFRESH: u8 = 1;
const APPEND: u8 = 2;

/// The array of the process that is traced; the child of its fork finds it here.
static ARRAY: AtomicPtr<Bytes> = AtomicPtr::new(std::ptr::null_mut());

fn set_array(array: Bytes) -> &'static mut Bytes {
    let array = Box::leak(Box::new(array));
    ARRAY.store(array, SeqCst);
    array
}

/// In the traced process: the thread that forks when it is told to.
fn fork_when_told(mut wire: UnixStream) {
    wire.read_exact(&mut [0]).unwrap();
    // SAFETY: the child answers questions, and ends by _exit.
    if unsafe { libc::fork() } != 0 {
        loop {
            // SAFETY: waits for a signal.
            unsafe { libc::pause() };
        }
    }
    // SAFETY: no memory is passed.
    let id = unsafe { libc::getpid() };
    wire.write_all(&id.to_ne_bytes()).unwrap();
    let mut order = [0];
    while wire.read_exact(&mut order).is_ok() {
        // SAFETY: the child's own copy, which its only thread uses. The array is there before a fork is asked for.
        let array = unsafe { &mut *ARRAY.load(SeqCst) };
        let result = match order[0] {
            REFRESH => array.refresh(),
            _ => array.push(7),
        };
        let code = result.map_or_else(Error::code, |()| 0);
        wire.write_all(&code.to_ne_bytes()).unwrap();
        wire.write_all(&array.len().to_ne_bytes()).unwrap();
        wire.write_all(&array.epoch().to_ne_bytes()).unwrap();
    }
    // SAFETY: ends the child without running the destructors that are the parent's.
    unsafe { libc::_exit(0) };
}

/// The child of the fork, while its parent is wherever it is.
struct Child {
    wire: UnixStream,
    id: libc::pid_t,
}

impl Child {
    /// What the call says, and the array's length then.
    fn ask(&mut self, order: u8) -> (i32, usize) {
        let (code, len, _) = self.answer(order);
        (code, len)
    }

    /// The same, and the epoch.
    fn answer(&mut self, order: u8) -> (i32, usize, u64) {
        self.wire.write_all(&[order]).unwrap();
        let (mut code, mut len, mut epoch) = ([0; 4], [0; 8], [0; 8]);
        for bytes in [&mut code[..], &mut len, &mut epoch] {
            self.wire.read_exact(bytes).expect("the child answers");
        }
        (i32::from_ne_bytes(code), usize::from_ne_bytes(len), u64::from_ne_bytes(epoch))
    }

    fn end(self) {
        drop(self.wire);
        let mut status = 0;
        // SAFETY: waits for the child, which has come to this process when its parent was killed, and stores its status.
        assert_eq!(unsafe { libc::waitpid(self.id, &raw mut status, 0) }, self.id);
        assert_eq!(status, 0, "the child of the fork");
    }
}

/// Forks at each system call of `call` in turn, which gets what `prepare` has made. `at_fork` looks at the child while the
/// parent stands still; `at_end` when the parent was killed, there or at the end of the call.
fn fork_at_each_call<T>(
    prepare: impl Fn() -> T,
    call: impl Fn(T),
    at_fork: impl Fn(&mut Child, &str),
    at_end: impl Fn(Child, &str),
) {
    // SAFETY: no memory is passed.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }, 0);
    for round in 0.. {
        let (moment, comes_to_end) = (round / 2, round % 2 == 0);
        let how = if comes_to_end { "at its end" } else { "there" };
        let story = format!("forked at stop {moment}, killed {how}");
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let mut parent = Traced::start_at_pause(|| {
            // SAFETY: this process's copy of the other end, which it makes no other use of.
            unsafe { libc::close(ours.as_raw_fd()) };
            let prepared = prepare();
            std::thread::spawn(move || fork_when_told(theirs));
            pause_to_be_traced();
            call(prepared);
            mark();
        });
        for _ in 0..=moment {
            if parent.next_stop().expect("the parent comes to its mark").is_mark() {
                assert!(moment > 2, "the call makes system calls");
                return;
            }
        }
        ours.write_all(&[0]).unwrap();
        ours.set_read_timeout(Some(MOMENT)).unwrap();
        let mut id = [0; 4];
        while ours.read_exact(&mut id).is_err() {
            assert!(!parent.next_stop().expect("the parent comes to its mark").is_mark(), "{story}: no fork");
        }
        ours.set_read_timeout(None).unwrap();
        let mut child = Child { wire: ours, id: libc::pid_t::from_ne_bytes(id) };
        at_fork(&mut child, &story);
        if comes_to_end {
            while !parent.next_stop().expect("the parent comes to its mark").is_mark() {}
            let (_, _, epoch) = child.answer(REFRESH);
            assert_eq!(child.answer(REFRESH).2, epoch, "{story}: nothing is being taken away any more");
        }
        parent.kill();
        at_end(child, &story);
    }
}

/// When the parent is gone, another handle gets the lock at once, and the child then.
fn check_that_nobody_has_the_lock(path: &Path, child: &mut Child, story: &str) {
    let mut next = Bytes::open_with(path, &writable()).unwrap();
    assert_eq!(next.lock(Wait::No), Ok(()), "{story}: the lock ends with the parent");
    next.push(7).unwrap();
    let len = next.len();
    next.close().unwrap();
    assert_eq!(child.ask(APPEND), (0, len + 1), "{story}: the child appends");
    let reader = Bytes::open(path).unwrap();
    assert!(reader.to_vec(..) == Ok(vec![7; len + 1]), "{story}");
}

/// The same for calls on a file, where the child may refresh at any moment.
fn on_a_file(name: &str, options: &OpenOptions, len: usize, call: impl Fn(&Path, &mut Bytes)) {
    for place in [Place::Disk, Place::Memory] {
        let directory = place.directory();
        let path = directory.path().join("array");
        let prepare = || {
            std::fs::write(&path, vec![7; len]).unwrap();
            set_array(Bytes::open_with(&path, options).unwrap())
        };
        fork_at_each_call(
            prepare,
            |array| call(&path, array),
            |child, story| {
                let (code, len) = child.ask(REFRESH);
                assert!(code == 0 && len >= 4999, "{place:?}, {name}, {story}: {code} with {len} elements");
            },
            |mut child, story| {
                check_that_nobody_has_the_lock(&path, &mut child, &format!("{place:?}, {name}, {story}"));
                child.end();
                let mut last = Bytes::open_with(&path, &writable()).unwrap();
                last.push(7).unwrap();
                let len = last.len();
                last.close().unwrap();
                assert_eq!(file_size(&path), len as u64, "{place:?}, {name}, {story}: nobody is left");
            },
        );
    }
}

#[test]
fn a_child_forked_at_any_moment_of_a_call_keeps_no_lock() {
    alone("a_child_forked_at_any_moment_of_a_call_keeps_no_lock", || {
        let (grown, exact) = (writable(), writable().exact(true).to_owned());
        on_a_file("append", &grown, 5000, |_, array| array.push(7).unwrap());
        on_a_file("pop", &grown, 5000, |_, array| {
            array.pop().unwrap();
        });
        on_a_file("exact append", &exact, 5000, |_, array| array.push(7).unwrap());
        on_a_file("exact pop", &exact, 5000, |_, array| {
            array.pop().unwrap();
        });
        on_a_file("unlock and lock", &grown, 5000, |_, array| {
            array.lock(Wait::No).unwrap();
            array.unlock().unwrap();
            array.lock(Wait::For(Duration::from_secs(1))).unwrap();
        });
        on_a_file("shrink_to_fit", &grown, 5000, |_, array| {
            array.push(7).unwrap();
            array.shrink_to_fit().unwrap();
        });
        on_a_file("tidy", &grown, 5000, |path, _| tidy(path, None, false).unwrap());
        on_a_file("another handle", &grown, 5000, |path, _| {
            let mut other = Bytes::open_with(path, &writable()).unwrap();
            other.push(7).unwrap();
            other.close().unwrap();
        });
    });
}

/// The child of a child, of anonymous memory that all have: the middle one takes the lock for the first time.
#[test]
fn a_child_forked_while_its_parent_locks_inherited_memory_keeps_no_lock() {
    alone("a_child_forked_while_its_parent_locks_inherited_memory_keeps_no_lock", || {
        let array = set_array(Bytes::anonymous().unwrap());
        array.resize(5000).unwrap();
        array.unlock().unwrap();
        let inherited = &raw mut *array;
        let grandparent = std::cell::RefCell::new(array);
        fork_at_each_call(
            // SAFETY: the traced process's own copy.
            || unsafe { &mut *inherited },
            |array| array.push(7).unwrap(),
            |child, story| {
                let (code, len) = child.ask(REFRESH);
                assert!(code == 0 && len >= 5000, "{story}: {code} with {len} elements");
            },
            |mut child, story| {
                let mut array = grandparent.borrow_mut();
                assert_eq!(array.lock(Wait::No), Ok(()), "{story}: the lock ends with who took it");
                let len = array.len();
                array.unlock().unwrap();
                assert_eq!(child.ask(APPEND), (0, len + 1), "{story}: the child appends");
                child.end();
                assert_eq!(array.lock(Wait::No), Ok(()), "{story}: the child is gone");
                array.unlock().unwrap();
            },
        );
    });
}

/// On a full disk a file without spare room is truncated while others are kept from opening it. A child of that moment waits
/// with what it learns until the parent is done or gone, and keeps nobody out.
#[test]
fn a_child_forked_while_its_parent_keeps_others_out() {
    const LEN: usize = 1 << 20;
    on_a_small_tmpfs("a_child_forked_while_its_parent_keeps_others_out", 2 << 20, |small: Small| {
        let path = small.path("array");
        let prepare = || {
            small.give_back();
            std::fs::write(&path, vec![7u8; LEN]).unwrap();
            small.leave(0);
            set_array(Bytes::open_with(&path, &writable()).unwrap())
        };
        // With a child there it can't be truncated.
        let shorten = |array: &mut Bytes| {
            let _ = array.resize(LEN - 1);
        };
        for order in [REFRESH, APPEND] {
            fork_at_each_call(
                prepare,
                shorten,
                |child, story| {
                    let (code, len) = child.ask(order);
                    let expected = if order == REFRESH { 0 } else { Error::Locked.code() };
                    // Before the call, and when it has failed, the parent's lock isn't there.
                    assert!(code == expected || code == libc::ENOSPC, "{story}: {code}");
                    assert!(len >= LEN - 1, "{story}: {len} elements");
                },
                |mut child, story| {
                    // The child need not do anything for others to get in.
                    let array = Bytes::open_with(&path, &writable());
                    let array = array.unwrap_or_else(|error| panic!("{story}: {error}"));
                    let size = file_size(&path) as usize;
                    assert!(array.to_vec(..) == Ok(vec![7; size]), "{story}");
                    let expected = if order == REFRESH { 0 } else { libc::ENOSPC };
                    assert_eq!(child.ask(order), (expected, size), "{story}: nobody truncates any more");
                    child.end();
                },
            );
        }
    });
}
