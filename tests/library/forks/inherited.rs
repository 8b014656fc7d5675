//! What a forked child does with the handles that it has inherited, and what a started program inherits.
//!
//! Each test runs in a process of its own, since it forks.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize};
use std::sync::atomic::{Ordering::Relaxed, Ordering::SeqCst};

use crate::helpers::limits::set_limit;
use crate::helpers::{Place, alone, file_size, writable};
use mmap_backed_array::capi::{
    MBA_CREATE, MBA_RDWR, MBA_UINT32, mba_anon, mba_array, mba_fd, mba_free, mba_lock, mba_open, mba_refresh,
};
use mmap_backed_array::{Array, Error, MmapArray, OpenOptions, Type, Wait};

/// A forked child that waits for a byte before each of its steps.
struct Child {
    id: libc::pid_t,
    wire: UnixStream,
}

impl Child {
    /// `body` gets a function that tells the parent that a step is done, and waits for the word to go on.
    fn fork(body: impl FnOnce(&mut dyn FnMut())) -> Child {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        // SAFETY: the child runs the body, and ends by _exit.
        let id = unsafe { libc::fork() };
        assert!(id >= 0);
        if id > 0 {
            return Child { id, wire: ours };
        }
        drop(ours);
        let mut step = || {
            theirs.write_all(&[0]).unwrap();
            theirs.read_exact(&mut [0]).unwrap();
        };
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| body(&mut step)));
        // SAFETY: ends the child without running the destructors that are the parent's.
        unsafe { libc::_exit(result.is_err().into()) };
    }

    /// Waits until the child has done its step.
    fn step_done(&mut self) {
        self.wire.read_exact(&mut [0]).expect("the child is there");
    }

    fn go_on(&mut self) {
        self.wire.write_all(&[0]).unwrap();
    }

    fn join(self) {
        let mut status = 0;
        // SAFETY: waits for the child made above, and stores its status.
        assert_eq!(unsafe { libc::waitpid(self.id, &raw mut status, 0) }, self.id);
        assert_eq!(status, 0, "a forked child");
    }
}

/// The parent has the lock and room to append without a system call; its child has neither.
#[test]
fn a_child_cannot_change_the_length_while_its_parent_has_the_lock() {
    alone("a_child_cannot_change_the_length_while_its_parent_has_the_lock", || {
        for place in [Place::Disk, Place::Memory] {
            let directory = place.directory();
            let path = directory.path().join("array");
            let mut array = MmapArray::<u64>::open_or_create(&path).unwrap();
            array.extend_from_slice(&[1, 2, 3]).unwrap();
            let inherited = &raw mut array;
            let mut child = Child::fork(|step| {
                // SAFETY: the child's own copy, of which there is no other use here.
                let array = unsafe { &mut *inherited };
                assert!(!array.has_lock());
                assert_eq!(array.capacity(), 3);
                assert_eq!(array.push(9), Err(Error::Locked));
                assert_eq!(array.extend_from_slice(&[9]), Err(Error::Locked));
                assert_eq!(array.pop(), Err(Error::Locked));
                assert_eq!(array.commit(3), Err(Error::Locked));
                assert_eq!(array.clear(), Err(Error::Locked));
                // The lock isn't the child's to give back.
                array.unlock().unwrap();
                step();
                assert_eq!(array.len(), 3, "what the parent appends is seen when it is asked for");
                array.push(5).unwrap();
                assert_eq!(array.to_vec(..), Ok(vec![1, 2, 3, 4, 5]));
                step();
            });
            child.step_done();
            let mut other = MmapArray::<u64>::open_with(&path, &writable()).unwrap();
            assert_eq!(other.push(9), Err(Error::Locked), "{place:?}: the parent still has the lock");
            array.push(4).unwrap();
            array.unlock().unwrap();
            child.go_on();
            child.step_done();
            assert_eq!(array.push(9), Err(Error::Locked), "{place:?}: the child has the lock now");
            child.go_on();
            child.join();
            array.push(6).unwrap();
            assert_eq!(array.to_vec(..), Ok(vec![1, 2, 3, 4, 5, 6]));
        }
    });
}

#[test]
fn a_child_that_ends_its_handle_leaves_the_parents_spare_room_alone() {
    alone("a_child_that_ends_its_handle_leaves_the_parents_spare_room_alone", || {
        let directory = Place::Memory.directory();
        let path = directory.path().join("array");
        let mut array = Some(MmapArray::<u64>::open_or_create(&path).unwrap());
        for has_lock in [true, false] {
            let parents = array.as_mut().unwrap();
            parents.push(1).unwrap();
            if !has_lock {
                parents.unlock().unwrap();
            }
            let (size, inherited) = (file_size(&path), &raw mut array);
            Child::fork(|_| {
                // SAFETY: the child's own copy, of which there is no other use here.
                unsafe { (*inherited).take() }.unwrap().close().unwrap();
            })
            .join();
            assert_eq!(file_size(&path), size, "with the lock: {has_lock}");
            assert_eq!(array.as_ref().unwrap().has_lock(), has_lock);
        }
        let mut other = MmapArray::<u64>::open_with(&path, &writable()).unwrap();
        assert_eq!(other.lock(Wait::No), Ok(()));
        other.unlock().unwrap();
        // A child that has taken the lock is like any other handle.
        let inherited = &raw mut array;
        Child::fork(|_| {
            // SAFETY: as above.
            let mut array = unsafe { (*inherited).take() }.unwrap();
            array.push(1).unwrap();
            array.close().unwrap();
        })
        .join();
        assert_eq!(std::fs::read(&path).unwrap(), [1; 3].map(u64::to_ne_bytes).concat());
    });
}

/// The descriptors of this process, and what each is.
fn descriptors() -> BTreeMap<i32, String> {
    let names = std::fs::read_dir("/proc/self/fd").unwrap();
    let of = |name: std::fs::DirEntry| {
        // But the one that reads the directory.
        let target = std::fs::read_link(name.path()).ok()?;
        Some((name.file_name().to_str()?.parse().ok()?, target.display().to_string()))
    };
    let all: BTreeMap<_, _> = names.filter_map(|name| of(name.unwrap())).collect();
    // SAFETY: no memory is passed.
    all.into_iter().filter(|(fd, _)| unsafe { libc::fcntl(*fd, libc::F_GETFD) } >= 0).collect()
}

/// Or the program could keep the lock of a handle that is closed, or write where it must not.
#[test]
fn a_started_program_inherits_no_descriptor() {
    alone("a_started_program_inherits_no_descriptor", || {
        let directory = Place::Memory.directory();
        let path = directory.path().join("array");
        let name = std::ffi::CString::new(format!("/mba-inherited-{}", std::process::id())).unwrap();
        let mut both = std::fs::OpenOptions::new();
        let file = both.read(true).write(true).create_new(true).open(directory.path().join("file")).unwrap();
        let ty = Type::from_char('I').unwrap();
        let mut create = OpenOptions::new();
        create.write(true).create(true);
        let before = descriptors();
        let arrays = [
            Array::open(&path, ty, &create),
            Array::open(&path, ty, &OpenOptions::new()),
            Array::anonymous(ty),
            Array::shm_open(&name, ty, &create),
            Array::from_fd(file.as_fd(), ty, &writable()),
            Array::from_fd(file.as_fd(), ty, &OpenOptions::new()),
        ]
        .map(Result::unwrap);
        Array::shm_unlink(&name).unwrap();
        for array in &arrays {
            assert!(array.fd().is_some());
            assert!(array.is_readonly() || array.lock(Wait::No).is_ok());
        }
        let after = descriptors();
        let new: Vec<_> = after.iter().filter(|(fd, _)| !before.contains_key(fd)).collect();
        assert!(new.len() >= 10, "a writer has two, a reader one: {new:?}");
        for (fd, target) in new {
            // SAFETY: no memory is passed.
            let flags = unsafe { libc::fcntl(*fd, libc::F_GETFD) };
            assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC, "descriptor {fd}: {target}");
        }
        // Nor one from a fork on.
        Child::fork(|_| {
            for fd in descriptors().keys().filter(|fd| !before.contains_key(fd)) {
                // SAFETY: no memory is passed.
                let flags = unsafe { libc::fcntl(*fd, libc::F_GETFD) };
                assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC, "descriptor {fd} in a child");
            }
        })
        .join();
    });
}

/// What is made again because another thread was forking is closed, and no descriptor stays.
#[test]
fn no_descriptor_is_left_while_another_thread_forks() {
    alone("no_descriptor_is_left_while_another_thread_forks", || {
        let (done, forks) = (AtomicBool::new(false), AtomicUsize::new(0));
        // Others fork between the opening and a lock, and while that is taken.
        let wait_for_a_fork = || {
            let before = forks.load(Relaxed);
            while forks.load(Relaxed) == before {
                std::thread::yield_now();
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Relaxed) {
                    Child::fork(|_| {}).join();
                    forks.fetch_add(1, Relaxed);
                }
            });
            let directory = Place::Memory.directory();
            let path = directory.path().join("array");
            let before = descriptors().len();
            for round in 0..1000 {
                let mut array = if round % 3 == 0 {
                    MmapArray::<u32>::open_or_create(&path).unwrap()
                } else {
                    MmapArray::<u32>::anonymous().unwrap()
                };
                wait_for_a_fork();
                array.push(round).unwrap();
                array.unlock().unwrap();
                wait_for_a_fork();
                array.push(round).unwrap();
            }
            done.store(true, Relaxed);
            // The other thread may have a pair of sockets.
            assert!(descriptors().len() <= before + 2, "{before} before, {} after", descriptors().len());
        });
    });
}

/// A program that makes itself a daemon goes on in a child, and its first process ends without closing anything. The file's
/// time of change must tell of what that one has stored and appended nevertheless, at the latest when the child closes.
#[test]
fn a_daemons_close_tells_of_what_its_parent_has_changed() {
    alone("a_daemons_close_tells_of_what_its_parent_has_changed", || {
        for appends in [false, true] {
            let directory = Place::Disk.directory();
            let path = directory.path().join("array");
            let mut array = MmapArray::<u32>::open_or_create(&path).unwrap();
            array.extend_from_slice(&[1, 2, 3]).unwrap();
            // Seen to; then the file's page has been written to, so that no store shows by itself.
            array.flush().unwrap();
            array.set(0, 7).unwrap();
            array.flush().unwrap();
            if !appends {
                array.unlock().unwrap();
            }
            if appends {
                array.push(4).unwrap();
            } else {
                array.set(1, 8).unwrap();
            }
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1 << 30);
            file.set_modified(old).unwrap();
            let time = || std::fs::metadata(&path).unwrap().modified().unwrap();
            let array = std::cell::Cell::new(Some(array));
            Child::fork(|_| drop(array.take())).join();
            assert!(time() > old, "appends: {appends}");
            // This process stands for one that ends by _exit.
            std::mem::forget(array);
        }
    });
}

/// A program that has closed what it didn't know, and uses the numbers for its own files, has those in its children.
#[test]
fn a_child_keeps_descriptors_whose_numbers_were_the_librarys() {
    alone("a_child_keeps_descriptors_whose_numbers_were_the_librarys", || {
        let directory = Place::Disk.directory();
        let path = directory.path().join("array");
        let before = descriptors();
        let mut array = MmapArray::<u32>::open_or_create(&path).unwrap();
        array.push(1).unwrap();
        let own = std::fs::File::create(directory.path().join("own")).unwrap();
        let numbers: Vec<i32> = descriptors()
            .into_keys()
            .filter(|fd| !before.contains_key(fd) && *fd != own.as_raw_fd())
            .filter(|fd| std::fs::read_link(format!("/proc/self/fd/{fd}")).is_ok_and(|to| to == path))
            .collect();
        assert_eq!(numbers.len(), 2, "one that is mapped, and one for the lock");
        for number in &numbers {
            // SAFETY: takes the library's descriptors away, which is what is tried.
            assert_eq!(unsafe { libc::dup2(own.as_raw_fd(), *number) }, *number);
        }
        Child::fork(|_| {
            for number in &numbers {
                // SAFETY: only asks.
                assert!(unsafe { libc::fcntl(*number, libc::F_GETFD) } >= 0, "{number} is the program's");
            }
        })
        .join();
    });
}

/// A child that is forked while another thread opens an array, hands out its descriptor or takes its lock can use that array.
#[test]
fn a_child_of_any_moment_can_use_an_array() {
    static CURRENT: AtomicPtr<mba_array> = AtomicPtr::new(std::ptr::null_mut());
    alone("a_child_of_any_moment_can_use_an_array", || {
        let directory = Place::Memory.directory();
        let path = directory.path().join("array");
        let path = std::ffi::CString::new(path.into_os_string().into_encoded_bytes()).unwrap();
        let (done, forks) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0.. {
                    if done.load(Relaxed) {
                        break;
                    }
                    let mut array = std::ptr::null_mut();
                    let before = forks.load(Relaxed);
                    // SAFETY: the pointer is there to be written, and the handle lives until it is freed.
                    unsafe {
                        let code = if round % 4 == 0 {
                            mba_open(path.as_ptr(), MBA_UINT32, MBA_RDWR | MBA_CREATE, &raw mut array)
                        } else {
                            mba_anon(MBA_UINT32, &raw mut array)
                        };
                        assert_eq!(code, 0);
                        CURRENT.store(array, SeqCst);
                        if round % 2 == 0 {
                            assert_ne!(mba_fd(array), -1);
                        } else {
                            while forks.load(Relaxed) == before && !done.load(Relaxed) {
                                std::thread::yield_now();
                            }
                        }
                        // The first lock after a fork.
                        assert_eq!(mba_lock(array, 0), 0);
                        CURRENT.store(std::ptr::null_mut(), SeqCst);
                        mba_free(array);
                    }
                }
            });
            for _ in 0..4000 {
                Child::fork(|_| {
                    let array = CURRENT.load(SeqCst);
                    if !array.is_null() {
                        // SAFETY: it wasn't freed when the child was made.
                        assert_eq!(unsafe { mba_refresh(array) }, 0);
                    }
                })
                .join();
                forks.fetch_add(1, Relaxed);
            }
            done.store(true, Relaxed);
        });
    });
}

/// Beside a child, which has the description that is mapped, an array doesn't take the lock on that for want of another.
#[test]
fn without_a_descriptor_for_the_lock_there_is_no_lock() {
    alone("without_a_descriptor_for_the_lock_there_is_no_lock", || {
        let mut array = MmapArray::<u32>::anonymous().unwrap();
        array.push(1).unwrap();
        array.unlock().unwrap();
        Child::fork(|_| {}).join();
        let mut taken = Vec::new();
        set_limit(libc::RLIMIT_NOFILE, 64);
        while let Ok(file) = std::fs::File::open("/dev/null") {
            taken.push(file);
        }
        assert_eq!(array.push(2), Err(Error::Os(libc::EMFILE)));
        taken.pop();
        array.push(2).unwrap();
        assert_eq!(array.to_vec(..), Ok(vec![1, 2]));
    });
}
