//! Forks beside calls of other threads: whatever the moment, the child keeps nothing alive that it doesn't know of.
//!
//! Each test runs in a process of its own, since it forks.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::time::{Duration, Instant};

use crate::helpers::{Place, alone, file_size, writable};
use mmap_backed_array::capi::{
    MBA_UINT32, mba_anon, mba_append, mba_array_info, mba_free, mba_status, mba_unlock,
};
use mmap_backed_array::{MmapArray, Wait, tidy};

/// How often the tests fork.
const FORKS: usize = 300;

/// A child that does something at once, and idles then until this goes.
struct Idle(libc::pid_t);

impl Idle {
    fn fork(at_once: impl FnOnce()) -> Idle {
        // SAFETY: the child runs the function, and waits for its end.
        let id = unsafe { libc::fork() };
        assert!(id >= 0);
        if id == 0 {
            at_once();
            loop {
                // SAFETY: waits for a signal.
                unsafe { libc::pause() };
            }
        }
        Idle(id)
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        let mut status = 0;
        // SAFETY: ends the child made above, and stores its status.
        unsafe {
            libc::kill(self.0, libc::SIGKILL);
            libc::waitpid(self.0, &raw mut status, 0);
        }
    }
}

/// Runs `work` again and again in another thread while children are forked one after another, and `check` beside each child
/// when that thread has ended.
fn fork_beside(mut work: impl FnMut() + Send, at_once: impl Fn(), mut check: impl FnMut()) {
    for round in 0..FORKS {
        let stop = AtomicBool::new(false);
        let begun = AtomicBool::new(false);
        let child = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Relaxed) {
                    work();
                    begun.store(true, Relaxed);
                }
            });
            while !begun.load(Relaxed) {
                std::hint::spin_loop();
            }
            // At another moment each time.
            let until = Instant::now() + Duration::from_micros(round as u64 % 50);
            while Instant::now() < until {
                std::hint::spin_loop();
            }
            let child = Idle::fork(&at_once);
            stop.store(true, Relaxed);
            child
        });
        check();
        drop(child);
    }
}

#[test]
fn a_child_keeps_no_lock_of_a_thread_that_tidied() {
    alone("a_child_keeps_no_lock_of_a_thread_that_tidied", || {
        let directory = Place::Memory.directory();
        let path = directory.path().join("array");
        let mut array = MmapArray::<u32>::open_or_create(&path).unwrap();
        array.resize(100).unwrap();
        array.unlock().unwrap();
        let work = || {
            let _ = tidy(&path, None, false);
        };
        fork_beside(
            work,
            || (),
            || {
                array.push(1).unwrap();
                array.unlock().unwrap();
            },
        );
    });
}

/// Who is alone with a file shows by its size.
#[test]
fn a_child_that_has_closed_its_handle_is_not_there_any_more() {
    alone("a_child_that_has_closed_its_handle_is_not_there_any_more", || {
        let directory = Place::Memory.directory();
        let path = directory.path().join("array");
        let array = MmapArray::<u32>::open_with(&path, writable().create(true).exact(true)).unwrap();
        let array = std::cell::UnsafeCell::new(Some(array));
        struct Shared(std::cell::UnsafeCell<Option<MmapArray<u32>>>);
        // SAFETY: one thread at a time uses it: the one that works, then the one that checks, and the child for itself.
        unsafe impl Sync for Shared {}
        let shared = &Shared(array);
        let get = move || {
            // SAFETY: as above.
            unsafe { &mut *shared.0.get() }
        };
        let work = move || {
            let array = get().as_mut().unwrap();
            array.push(1).unwrap();
            array.pop().unwrap();
        };
        fork_beside(
            work,
            || drop(get().take()),
            || {
                let array = get().as_mut().unwrap();
                let until = Instant::now() + Duration::from_secs(60);
                // The child closes when it comes to run.
                while Instant::now() < until {
                    array.push(1).unwrap();
                    array.pop().unwrap();
                    if file_size(&path) == 4 * array.len() as u64 {
                        break;
                    }
                }
                assert_eq!(file_size(&path), 4 * array.len() as u64);
            },
        );
    });
}

/// The files behind all descriptors of this process.
fn descriptors() -> Vec<u64> {
    use std::os::unix::fs::MetadataExt;
    let numbers = std::fs::read_dir("/proc/self/fd").unwrap().map_while(Result::ok);
    numbers.filter_map(|number| std::fs::metadata(number.path()).ok()).map(|file| file.ino()).collect()
}

/// The description that is mapped can be a child's too. Then the lock lies on another one, so that it ends with this process.
#[test]
fn memory_that_a_child_has_is_not_locked_by_the_description_that_it_has() {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;
    alone("memory_that_a_child_has_is_not_locked_by_the_description_that_it_has", || {
        let made = std::sync::Mutex::new(None);
        let (wanted, there) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let wait_for = |count: &AtomicUsize, least: usize| {
            while count.load(SeqCst) < least {
                std::hint::spin_loop();
            }
        };
        let mut both = 0;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1.. {
                    wait_for(&wanted, round);
                    if wanted.load(SeqCst) == usize::MAX {
                        break;
                    }
                    for _ in 0..round * 7919 % 4000 {
                        std::hint::spin_loop();
                    }
                    *made.lock().unwrap() = Some(MmapArray::<u32>::anonymous().unwrap());
                    there.store(round, SeqCst);
                }
            });
            for round in 1..=30 * FORKS {
                // On a busy machine it takes longer until both happen at once.
                if round > 3 * FORKS && both > 0 {
                    break;
                }
                wanted.store(round, SeqCst);
                let child = Idle::fork(|| ());
                wait_for(&there, round);
                let mut array = made.lock().unwrap().take().unwrap();
                array.push(1).unwrap();
                let held = descriptors();
                let fd = array.fd().unwrap().as_raw_fd();
                let inode = std::fs::metadata(format!("/proc/self/fd/{fd}")).unwrap().ino();
                let maps = std::fs::read_to_string(format!("/proc/{}/maps", child.0)).unwrap();
                let has_it =
                    maps.lines().any(|line| line.split_whitespace().nth(4) == Some(&inode.to_string()));
                if has_it {
                    both += 1;
                    let count = held.iter().filter(|one| **one == inode).count();
                    assert!(count > 1, "the child has the description that is mapped");
                }
            }
            wanted.store(usize::MAX, SeqCst);
        });
    });
}

/// The same for a child that takes the lock of memory that it has inherited, beside a fork of its own.
#[test]
fn memory_that_a_childs_child_has_is_not_locked_by_the_description_that_it_has() {
    let test = "memory_that_a_childs_child_has_is_not_locked_by_the_description_that_it_has";
    alone(test, || {
        // SAFETY: no memory is passed.
        assert_eq!(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }, 0);
        for round in 0..2 * FORKS {
            // Until its first lock after a fork, the description that is mapped carries the lock.
            let mut array = MmapArray::<u32>::anonymous().unwrap();
            array.push(1).unwrap();
            array.unlock().unwrap();
            let (mut ours, theirs) = UnixStream::pair().unwrap();
            let array = &mut array;
            let child = Idle::fork(|| {
                let begun = AtomicBool::new(false);
                std::thread::scope(|scope| {
                    scope.spawn(|| {
                        begun.store(true, SeqCst);
                        for _ in 0..round * 7919 % 20000 {
                            std::hint::spin_loop();
                        }
                        array.push(1).unwrap();
                    });
                    while !begun.load(SeqCst) {
                        std::hint::spin_loop();
                    }
                    // When it runs, it has done what the library does in a new child.
                    let mut wire = &theirs;
                    let say_id = move || wire.write_all(&std::process::id().to_ne_bytes()).unwrap();
                    std::mem::forget(Idle::fork(say_id));
                });
                (&theirs).write_all(&[0; 4]).unwrap();
            });
            let told = [(); 2].map(|()| {
                let mut number = [0; 4];
                ours.read_exact(&mut number).unwrap();
                libc::pid_t::from_ne_bytes(number)
            });
            drop(child);
            let grandchild = Idle(told[0] + told[1]);
            assert_eq!(array.lock(Wait::No), Ok(()), "round {round}: the lock ends with who took it");
            array.unlock().unwrap();
            drop(grandchild);
        }
    });
}

#[test]
fn a_look_at_an_array_never_meets_a_closed_descriptor() {
    alone("a_look_at_an_array_never_meets_a_closed_descriptor", || {
        for _ in 0..20 {
            let mut array = std::ptr::null_mut();
            // SAFETY: the pointer is there to be written, and the handle lives until it is freed below.
            unsafe { assert_eq!(mba_anon(MBA_UINT32, &raw mut array), 0) };
            let address = array as usize;
            let done = AtomicBool::new(false);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let array = address as *const _;
                    while !done.load(Relaxed) {
                        // SAFETY: all zeros is a status; the call fills it, and may run beside the other one.
                        unsafe {
                            let mut status: mba_status = std::mem::zeroed();
                            status.size = size_of::<mba_status>() as u32;
                            assert_eq!(mba_array_info(array, &raw mut status), 0);
                        }
                    }
                });
                for value in 0..FORKS as u32 / 5 {
                    let child = Idle::fork(|| ());
                    // SAFETY: one thread changes the length.
                    unsafe {
                        assert_eq!(mba_append(array, (&raw const value).cast()), 0);
                        assert_eq!(mba_unlock(array), 0);
                    }
                    drop(child);
                }
                done.store(true, Relaxed);
            });
            // SAFETY: nobody uses it any more.
            unsafe { mba_free(array) };
        }
    });
}
