//! A process that dies in the midst of a call leaves the array as it was before it or as it is after it.
//!
//! The tests of crashes kill at random moments. Here each moment has its turn: before and after every system
//! call, and while elements are being stored.

use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;
use std::ptr;
use std::sync::atomic::Ordering::{Acquire, Release};

use crate::helpers::moments::{kill_at_system_calls, options};
use crate::helpers::trace::{Stop, Traced};
use crate::helpers::{Place, Words, alone, fail_always, writable};
use mmap_backed_array::capi::*;
use mmap_backed_array::{Array, MmapArray, OpenOptions, Type, Wait};

fn kill_at_every_system_call(exact: bool, prepare: fn()) {
    kill_at_system_calls(Place::Memory.directory().path(), exact, false, prepare, (0, 1));
}

#[test]
fn between_any_two_system_calls() {
    alone("between_any_two_system_calls", || kill_at_every_system_call(false, || {}));
}

#[test]
fn between_any_two_system_calls_on_an_exact_file() {
    alone("between_any_two_system_calls_on_an_exact_file", || kill_at_every_system_call(true, || {}));
}

/// Where the file system can't reserve blocks they come by writing zeros, and until they have come, nobody may
/// adopt the spare room.
#[test]
fn between_any_two_system_calls_without_fallocate() {
    alone("between_any_two_system_calls_without_fallocate", || {
        kill_at_every_system_call(false, || fail_always(libc::SYS_fallocate, libc::EOPNOTSUPP));
    });
}

/// Anonymous memory outlives the process that dies in giving some back, in those who have it too. None of them may
/// take the hole for room.
#[test]
fn between_any_two_system_calls_that_give_memory_back() {
    alone("between_any_two_system_calls_that_give_memory_back", || {
        for moment in 0.. {
            let array = MmapArray::<u64>::anonymous().unwrap();
            // SAFETY: the descriptor is the handle's, which exists.
            let fd = unsafe { BorrowedFd::borrow_raw(array.fd().unwrap()) };
            let file = std::fs::File::from(fd.try_clone_to_owned().unwrap());
            let mut child = Traced::start(|| {
                let mut array = MmapArray::<u64>::from_fd(fd, &writable()).unwrap();
                array.extend_from_slice(&[7; 50_000]).unwrap();
                array.resize(100).unwrap();
                array.shrink_to_fit().unwrap();
            });
            let stop = (0..=moment).map_while(|_| child.next_stop()).last();
            let ended = child.has_ended();
            drop(child);
            let mut next = MmapArray::<u64>::from_fd(fd, &writable()).unwrap();
            next.lock(Wait::No).unwrap();
            assert!(matches!(next.len(), 0 | 100 | 50_000) && next.iter().all(|element| element == 7));
            let (capacity, memory) = (next.capacity() as u64 * 8, file.metadata().unwrap().blocks() * 512);
            assert!(capacity <= memory, "killed at stop {moment}, {stop:?}: {capacity} bytes in {memory}");
            if ended {
                assert!(moment > 20 && memory < 100_000, "{moment} stops, {memory} bytes left");
                return;
            }
        }
    });
}

/// A flush is what makes elements last when the power goes. That can't be tried here; what can be seen is that
/// the system is asked for it, in the right order.
#[test]
fn flush_asks_for_the_elements_then_the_record_and_once_for_the_name() {
    alone("flush_asks_for_the_elements_then_the_record_and_once_for_the_name", || {
        let directory = Place::Disk.directory();
        let real = directory.path().canonicalize().unwrap();
        let path = directory.path().join("array");
        let place = Words::create(&directory.path().join("words"), 3);
        let mut child = Traced::start(|| {
            let mut array = MmapArray::<u64>::open_with(&path, &options(false)).unwrap();
            array.extend_from_slice(&[7; 3000]).unwrap();
            place[0].store(array.as_ptr().addr() as u64, Release);
            for round in 0..2 {
                place[1].store(round + 1, Release);
                array.flush().unwrap();
            }
            place[1].store(0, Release);
            array.unlock().unwrap();
        });
        let mut rounds = [Vec::new(), Vec::new(), Vec::new()];
        while let Some(stop) = child.next_stop() {
            let Stop::Entry { call, arguments } = stop else { continue };
            let event = match call {
                libc::SYS_msync => {
                    assert_eq!(arguments[2] as i32, libc::MS_SYNC, "returns when it is done");
                    let start = arguments[0] - place[0].load(Acquire);
                    format!("bytes {start} to {}", start + arguments[1])
                }
                libc::SYS_fsync | libc::SYS_fdatasync => {
                    let link = format!("/proc/{}/fd/{}", child.id(), arguments[0]);
                    let file = std::fs::read_link(link).unwrap();
                    if file == real { "the directory".to_owned() } else { "the file".to_owned() }
                }
                _ => continue,
            };
            rounds[place[1].load(Acquire) as usize].push(event);
        }
        // 24,000 bytes of elements, and the footer at the end of the first step's 64 KiB, by whole pages.
        let contents = ["bytes 0 to 24000", "bytes 61440 to 65536"];
        assert_eq!(rounds[1], [contents[0], contents[1], "the directory"], "the first flush");
        assert_eq!(rounds[2], contents, "the second flush");
        assert!(rounds[0].is_empty(), "none but flush waits for the disk: {:?}", rounds[0]);
    });
}

/// Runs `body` in a child, which must die of touching memory that it mustn't.
fn dies_of_a_fault(story: &str, body: impl FnOnce()) {
    // SAFETY: the child calls the library, and ends by a signal or by _exit.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        // SAFETY: the structure is there to be read; else no memory is passed.
        unsafe {
            let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
            libc::signal(libc::SIGSEGV, libc::SIG_DFL);
        }
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
        // SAFETY: ends the child without running the destructors that are the parent's.
        unsafe { libc::_exit(1) };
    }
    let mut status = 0;
    // SAFETY: waits for the child made above, and stores its status.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    let signal = libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status));
    assert_eq!(signal, Some(libc::SIGSEGV), "{story}: the child was to die in the call");
}

const PAGE: usize = 4096;

/// Two pages of values, of which the second can't be read.
fn half_readable() -> *const u8 {
    // SAFETY: a new mapping, at an address that the system chooses, and the rights on its second page.
    unsafe {
        let (rights, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        let pages = libc::mmap(ptr::null_mut(), 2 * PAGE, rights, flags, -1, 0);
        assert_ne!(pages, libc::MAP_FAILED);
        ptr::write_bytes(pages.cast::<u8>(), 9, PAGE);
        assert_eq!(libc::mprotect(pages.byte_add(PAGE), PAGE, libc::PROT_NONE), 0);
        pages.cast()
    }
}

/// How a call is made to die while it stores.
#[derive(Clone, Copy, Debug)]
enum Death {
    /// The element can't be read.
    Append,
    /// As `Append`, in the call that makes the spare room.
    FirstAppend,
    /// The second half of the elements can't be read.
    Extend,
    /// A page of the spare room can't be written.
    Resize,
}

/// The length is published when the elements are stored and not before: whoever dies while storing leaves no
/// phantom.
#[test]
fn while_elements_are_stored() {
    alone("while_elements_are_stored", || {
        let directory = Place::Memory.directory();
        let path = directory.path().join("array");
        let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        for ty in ['B', 'H', 'I', 'Q', 'D'].map(|code| Type::from_char(code).unwrap()) {
            for death in [Death::Append, Death::FirstAppend, Death::Extend, Death::Resize] {
                let start = vec![5; 100 * ty.size()];
                std::fs::write(&path, &start).unwrap();
                let story = format!("{ty:?}, {death:?}");
                dies_of_a_fault(&story, || {
                    let values = half_readable();
                    let mut array = ptr::null_mut();
                    // SAFETY: a C string, a place for the handle, and the handle. The values are what the
                    // functions don't allow, so that the process dies in them.
                    unsafe {
                        assert_eq!(mba_open(name.as_ptr(), ty.code(), MBA_RDWR, &raw mut array), MBA_OK);
                        let unreadable = values.add(PAGE).cast();
                        if !matches!(death, Death::FirstAppend) {
                            assert_eq!(mba_reserve(array, 101 + 2 * PAGE), MBA_OK);
                        }
                        match death {
                            Death::Append | Death::FirstAppend => mba_append(array, unreadable),
                            Death::Extend => mba_extend(array, values.cast(), 2 * PAGE / ty.size()),
                            Death::Resize => {
                                // In what was used once, or there would be nothing to write there.
                                let len = mba_capacity(array);
                                assert_eq!(mba_resize(array, len), MBA_OK);
                                assert_eq!(mba_resize(array, 100), MBA_OK);
                                let page = mba_data_ptr(array).byte_add(PAGE);
                                assert_eq!(libc::mprotect(page, PAGE, libc::PROT_READ), 0);
                                mba_resize(array, 100 + 2 * PAGE)
                            }
                        };
                    }
                });
                let reader = Array::open(&path, ty, &OpenOptions::new()).unwrap();
                let mut found = vec![0; reader.len() * ty.size()];
                reader.read(0, &mut found).unwrap();
                assert!(found == start, "{story}: {} elements of 100", reader.len());
                drop(reader);
                Array::open(&path, ty, &writable()).unwrap().close().unwrap();
                assert!(std::fs::read(&path).unwrap() == start, "{story}: the next one cleans up");
            }
        }
    });
}
