//! A forked child keeps the mapping and nothing else: it can't keep the lock of a parent that is gone.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::helpers::{Place, Process, alone, arguments, part, writable};
use mmap_backed_array::{Error, MmapArray, Wait};

/// Forks a child that holds what it has inherited until `end` is closed, tries to append then if it is told a
/// number, and answers with the code of that.
fn fork_idle_child(array: &mut MmapArray<u32>, end: UnixStream, ours: Option<&UnixStream>) {
    // SAFETY: the child calls the library and ends by _exit.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child > 0 {
        return;
    }
    if let Some(ours) = ours {
        // Or the child would never see that the other end is closed.
        // SAFETY: the child's copy of the descriptor, which it makes no other use of.
        unsafe { libc::close(ours.as_raw_fd()) };
    }
    let mut end = end;
    // The library's own work in a fresh child is done here.
    let _ = end.write_all(&[0]);
    let mut order = [0];
    if end.read(&mut order).unwrap_or(0) == 1 {
        let code = array.push(u32::from(order[0])).map_or_else(Error::code, |()| 0);
        let _ = end.write_all(&code.to_ne_bytes());
        let _ = end.read(&mut order);
    }
    // SAFETY: ends the child without running the destructors that are the parent's.
    unsafe { libc::_exit(0) };
}

#[test]
fn a_closed_array_can_be_grown_by_others_while_a_forked_child_idles() {
    alone("a_closed_array_can_be_grown_by_others_while_a_forked_child_idles", || {
        for place in [Place::Disk, Place::Memory] {
            let directory = place.directory();
            let path = directory.path().join("array");
            let mut array = MmapArray::<u32>::open_or_create(&path).unwrap();
            array.push(1).unwrap();
            let (mut ours, theirs) = UnixStream::pair().unwrap();
            fork_idle_child(&mut array, theirs, Some(&ours));
            array.push(2).unwrap();
            // Also if the child hasn't come to run yet.
            array.close().unwrap();
            let mut next = MmapArray::<u32>::open_with(&path, &writable()).unwrap();
            assert_eq!(next.lock(Wait::No), Ok(()), "{place:?}: the lock ends with its handle");
            next.push(3).unwrap();
            next.close().unwrap();
            ours.read_exact(&mut [0]).unwrap();
            ours.write_all(&[4]).unwrap();
            let mut code = [0; 4];
            ours.read_exact(&mut code).unwrap();
            assert_eq!(i32::from_ne_bytes(code), 0, "{place:?}: the child's own append");
            drop(ours);
            let reader = MmapArray::<u32>::open(&path).unwrap();
            assert_eq!(reader.to_vec(..), Ok(vec![1, 2, 3, 4]));
        }
    });
}

#[test]
fn a_killed_parents_lock_ends_while_its_forked_child_idles() {
    let test = "a_killed_parents_lock_ends_while_its_forked_child_idles";
    if let Some(arguments) = arguments(test) {
        let mut array = MmapArray::<u32>::open_or_create(Path::new(&arguments[0])).unwrap();
        array.push(1).unwrap();
        let stream = UnixStream::connect(&arguments[1]).unwrap();
        fork_idle_child(&mut array, stream, None);
        loop {
            // Until it is killed.
            // SAFETY: no memory is passed.
            unsafe { libc::pause() };
        }
    }
    let directory = Place::Memory.directory();
    let [path, socket] = ["array", "socket"].map(|name| directory.path().join(name));
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let names = [path.to_str().unwrap(), socket.to_str().unwrap()];
    let mut parent = Process::start(&mut part(test, &names));
    let (mut stream, _) = listener.accept().unwrap();
    stream.read_exact(&mut [0]).unwrap();
    let mut next = MmapArray::<u32>::open_with(&path, &writable()).unwrap();
    assert_eq!(next.lock(Wait::No), Err(Error::Locked));
    parent.kill();
    assert_eq!(next.lock(Wait::No), Ok(()), "the lock ends with the process, whatever its child has mapped");
    next.push(2).unwrap();
    assert_eq!(next.to_vec(..), Ok(vec![1, 2]));
}

/// Between fork or vfork and exec a child of another thread has every descriptor, that of the lock too.
#[test]
fn closing_gives_the_lock_back_while_other_threads_start_processes() {
    alone("closing_gives_the_lock_back_while_other_threads_start_processes", || {
        let directory = Place::Memory.directory();
        let path = directory.path().join("array");
        let done = std::sync::atomic::AtomicBool::new(false);
        let started = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let status = std::process::Command::new("/bin/true").status().unwrap();
                    assert!(status.success());
                    started.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                }
            });
            let mut round = 0u32;
            while round < 1000 || started.load(std::sync::atomic::Ordering::Relaxed) < 100 {
                let mut array = MmapArray::<u32>::open_or_create(&path).unwrap();
                let pushed = array.push(round);
                if pushed.is_err() {
                    done.store(true, std::sync::atomic::Ordering::Relaxed);
                }
                assert_eq!(pushed, Ok(()), "in round {round}");
                array.close().unwrap();
                round += 1;
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    });
}

/// The array that the handler below appends to, and what it got for it.
static HANDLERS_ARRAY: std::sync::atomic::AtomicPtr<MmapArray<u32>> =
    std::sync::atomic::AtomicPtr::new(std::ptr::null_mut());
static HANDLERS_CODE: std::sync::atomic::AtomicI32 = std::sync::atomic::AtomicI32::new(-1);

extern "C" fn append_in_the_child() {
    let array = HANDLERS_ARRAY.load(std::sync::atomic::Ordering::Relaxed);
    // SAFETY: set to an array that lives, in a child that has one thread.
    let result = unsafe { (*array).push(666) };
    HANDLERS_CODE.store(result.map_or_else(Error::code, |()| 0), std::sync::atomic::Ordering::Relaxed);
}

/// A program's own fork handlers come after the library's, even if they are registered before its first use.
#[test]
fn a_programs_fork_handler_meets_an_array_that_knows_it_is_a_childs() {
    alone("a_programs_fork_handler_meets_an_array_that_knows_it_is_a_childs", || {
        // SAFETY: the handler has the required form, and stays.
        assert_eq!(unsafe { libc::pthread_atfork(None, None, Some(append_in_the_child)) }, 0);
        let directory = Place::Memory.directory();
        let path = directory.path().join("array");
        let mut array = MmapArray::<u32>::open_or_create(&path).unwrap();
        array.push(1).unwrap();
        HANDLERS_ARRAY.store(&raw mut array, std::sync::atomic::Ordering::Relaxed);
        // SAFETY: the child ends at once, and tells by its status what its handler got.
        let status = unsafe {
            let child = libc::fork();
            if child == 0 {
                let code = HANDLERS_CODE.load(std::sync::atomic::Ordering::Relaxed);
                libc::_exit(if code == Error::Locked.code() { 0 } else { 1 });
            }
            let mut status = 0;
            assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
            status
        };
        assert_eq!(status, 0, "the child's handler was refused");
        array.push(2).unwrap();
        assert_eq!(array.to_vec(..), Ok(vec![1, 2]));
    });
}
