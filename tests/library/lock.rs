//! Processes that take turns growing one file lose nothing of each other's, and readers follow.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

use crate::helpers::footer;
use crate::helpers::trace::{Stop, Traced};
use crate::helpers::{
    Numbers, Place, Process, Words, alone, arguments, file_size, output_of, part, writable,
};
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

/// Whoever gets the lock next adopts the spare room of the one before, also of a file that was renamed; but a
/// copy's spare room may have no blocks, so it is truncated first.
#[test]
fn a_copy_is_cut_to_its_elements_and_a_renamed_file_is_not() {
    for place in [Place::Disk, Place::Memory] {
        let directory = place.directory();
        let [path, copy, renamed] = ["array", "copy", "renamed"].map(|name| directory.path().join(name));
        let mut array = MmapArray::<u32>::open_or_create(&path).unwrap();
        array.extend_from_slice(&[1, 2, 3]).unwrap();
        output_of(std::process::Command::new("cp").args([&path, &copy]), "coreutils");
        std::fs::rename(&path, &renamed).unwrap();
        let roomy = file_size(&copy);
        assert!(roomy > 4096 && roomy == file_size(&renamed), "the copy has the spare room too");
        array.unlock().unwrap();

        let mut copied = MmapArray::<u32>::open_with(&copy, &writable()).unwrap();
        assert_eq!(copied.to_vec(..), Ok(vec![1, 2, 3]));
        copied.lock(Wait::No).unwrap();
        assert_eq!(file_size(&copy), 12, "a copy is truncated by whoever takes its lock");
        copied.push(5).unwrap();
        copied.close().unwrap();
        assert_eq!(std::fs::read(&copy).unwrap(), [1, 2, 3, 5].map(u32::to_ne_bytes).concat());

        let mut moved = MmapArray::<u32>::open_with(&renamed, &writable()).unwrap();
        moved.lock(Wait::No).unwrap();
        assert_eq!(file_size(&renamed), roomy, "the same file keeps its spare room for the next one");
        moved.push(4).unwrap();
        assert_eq!(file_size(&renamed), roomy);
        array.refresh().unwrap();
        assert_eq!(array.to_vec(..), Ok(vec![1, 2, 3, 4]));
        moved.close().unwrap();
        array.close().unwrap();
        assert_eq!(std::fs::read(&renamed).unwrap(), [1, 2, 3, 4].map(u32::to_ne_bytes).concat());
    }
}

/// A copy that nobody appends to is brought back to its elements by the close of a handle that could.
#[test]
fn a_copy_that_is_only_opened_is_trimmed_too() {
    // A child that another test is starting would have the file open for a moment longer.
    alone("a_copy_that_is_only_opened_is_trimmed_too", || {
        let directory = Place::Memory.directory();
        let [path, copy] = ["array", "copy"].map(|name| directory.path().join(name));
        let mut array = MmapArray::<u32>::open_or_create(&path).unwrap();
        array.extend_from_slice(&[1, 2, 3]).unwrap();
        std::fs::copy(&path, &copy).unwrap();
        let reader = MmapArray::<u32>::open(&copy).unwrap();
        assert_eq!(reader.to_vec(..), Ok(vec![1, 2, 3]));
        reader.close().unwrap();
        assert!(file_size(&copy) > 12, "a reader leaves the file alone");
        MmapArray::<u32>::open_with(&copy, &writable()).unwrap().close().unwrap();
        assert_eq!(std::fs::read(&copy).unwrap(), [1, 2, 3].map(u32::to_ne_bytes).concat());
    });
}

/// Whoever wants no spare room gives back what others have left, as soon as the file is its to change.
#[test]
fn an_exact_handle_cuts_the_file_when_it_takes_the_lock() {
    let directory = Place::Memory.directory();
    let path = directory.path().join("array");
    let mut array = MmapArray::<u32>::open_or_create(&path).unwrap();
    array.extend_from_slice(&[1, 2]).unwrap();
    let mut exact = MmapArray::<u32>::open_with(&path, writable().exact(true)).unwrap();
    assert_eq!(exact.lock(Wait::No), Err(Error::Locked));
    array.push(3).unwrap();
    array.unlock().unwrap();
    exact.lock(Wait::No).unwrap();
    assert_eq!((exact.len(), file_size(&path)), (3, 12));
    exact.push(4).unwrap();
    exact.unlock().unwrap();
    array.push(5).unwrap();
    assert_eq!(array.to_vec(..), Ok(vec![1, 2, 3, 4, 5]));
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

/// The system may copy a record while another process, which has just made the file longer, stores elements where
/// it was. Here it is made to seem so, in either of the two readings that must agree.
#[test]
fn a_record_that_is_read_torn_is_read_again() {
    alone("a_record_that_is_read_torn_is_read_again", || {
        let directory = Place::Memory.directory();
        let path = directory.path().join("array");
        let mut array = MmapArray::<u64>::open_or_create(&path).unwrap();
        array.extend_from_slice(&[7; 1000]).unwrap();
        for torn in [0, 1] {
            // All of the footer, its magic alone, and all but that.
            for part in [0..footer::SIZE, 0..8, 8..footer::SIZE] {
                let mut child = Traced::start(|| {
                    let reader = MmapArray::<u64>::open(&path);
                    assert_eq!(reader.map(|reader| reader.len()), Ok(1000));
                });
                let memory =
                    std::fs::OpenOptions::new().write(true).open(format!("/proc/{}/mem", child.id()));
                let memory = memory.unwrap();
                let mut readings = 0;
                while let Some(stop) = child.next_stop() {
                    let Stop::Entry { call: libc::SYS_pread64, arguments } = stop else { continue };
                    assert_eq!(child.next_stop(), Some(Stop::Exit));
                    if readings == torn {
                        let elements = [7; footer::SIZE];
                        memory
                            .write_all_at(&elements[part.clone()], arguments[1] + part.start as u64)
                            .unwrap();
                    }
                    readings += 1;
                }
                assert!(readings > 2, "torn in reading {torn}: {readings} readings");
            }
        }
    });
}
