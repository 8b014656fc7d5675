//! The promises, one test each where the tests of models, crashes, turns and full disks don't prove them yet.

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::helpers::footer::{self, MAGIC};
use crate::helpers::{Place, alone, binary_directory, file_size, output_of, writable};
use mmap_backed_array::MmapArray;

// 1. A flat file is just its elements.

#[test]
fn a_flat_file_is_just_its_elements() {
    for place in [Place::Disk, Place::Memory] {
        let directory = place.directory();
        let path = directory.path().join("array");
        let values: Vec<f64> = (0..100_000).map(|n| f64::from(n).sqrt()).collect();
        let mut array = MmapArray::<f64>::open_or_create(&path).unwrap();
        array.extend_from_slice(&values).unwrap();
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
        let open = std::fs::read(&path).unwrap();
        assert!(
            open.len() > bytes.len() && open[..bytes.len()] == bytes,
            "element 0 is at byte 0 all the while"
        );
        array.shrink_to_fit().unwrap();
        assert!(std::fs::read(&path).unwrap() == bytes, "exactly its elements once shrunk");
        array.push(0.5).unwrap();
        array.close().unwrap();
        let closed = std::fs::read(&path).unwrap();
        assert!(closed == [&bytes[..], &0.5f64.to_ne_bytes()].concat(), "exactly its elements once closed");
    }
}

#[test]
fn any_old_file_of_numbers_can_be_opened() {
    let directory = Place::Disk.directory();
    let path = directory.path().join("old");
    // Also of sizes at which a footer could be, and none is.
    for bytes in [0, 2, 4094, 4096, 8192, 12_290] {
        let old: Vec<u8> = (0..bytes).map(|at| (at * 7) as u8).collect();
        std::fs::write(&path, &old).unwrap();
        let array = MmapArray::<u16>::open(&path).unwrap();
        let read: Vec<u8> = array.iter().flat_map(u16::to_ne_bytes).collect();
        assert!(read == old, "{bytes} bytes");
        drop(array);
        let mut array = MmapArray::<u16>::open_or_create(&path).unwrap();
        array.push(0xabcd).unwrap();
        array.close().unwrap();
        assert!(
            std::fs::read(&path).unwrap() == [old, 0xabcd_u16.to_ne_bytes().to_vec()].concat(),
            "{bytes} bytes"
        );
    }
}

/// The one file whose elements would read as a record keeps a page of spare room, and loses nothing.
#[test]
fn elements_that_look_like_a_record_stay_elements() {
    let directory = Place::Memory.directory();
    let [path, copy] = ["array", "copy"].map(|name| directory.path().join(name));
    let mut array = MmapArray::<u8>::open_or_create(&path).unwrap();
    array.extend_from_slice(&[5; 1000]).unwrap();
    // The true record of a file with spare room, now as elements at the end of a page.
    let record = std::fs::read(&path).unwrap()[65_536 - footer::SIZE..].to_vec();
    array.clear().unwrap();
    array.extend_from_slice(&[5; 65_536 - footer::SIZE]).unwrap();
    array.extend_from_slice(&record).unwrap();
    array.close().unwrap();
    let array = MmapArray::<u8>::open(&path).unwrap();
    assert_eq!(array.len(), 65_536);
    assert_eq!(array.to_vec(65_536 - footer::SIZE..), Ok(record.clone()));
    std::fs::copy(&path, &copy).unwrap();
    assert_eq!(MmapArray::<u8>::open(&copy).unwrap().len(), 65_536);
    drop(array);
    let mut array = MmapArray::<u8>::open_with(&path, &writable()).unwrap();
    assert_eq!(array.pop().unwrap(), record.last().copied());
    array.close().unwrap();
    assert_eq!(file_size(&path), 65_535);
}

/// The same for whoever closes a file that another has left with spare room.
#[test]
fn elements_that_look_like_a_record_stay_elements_when_others_clean_up() {
    let directory = Place::Memory.directory();
    let path = directory.path().join("array");
    let mut elements = vec![5; 8192 - footer::SIZE];
    elements.extend_from_slice(&MAGIC);
    elements.resize(8192, 6);
    let mut array = MmapArray::<u8>::open_or_create(&path).unwrap();
    array.extend_from_slice(&elements).unwrap();
    let other = MmapArray::<u8>::open_with(&path, &writable()).unwrap();
    array.unlock().unwrap();
    other.close().unwrap();
    assert_eq!(MmapArray::<u8>::open(&path).unwrap().to_vec(..), Ok(elements.clone()));
    array.refresh().unwrap();
    array.close().unwrap();
    let mut array = MmapArray::<u8>::open_with(&path, &writable()).unwrap();
    assert_eq!(array.to_vec(..), Ok(elements));
    array.push(7).unwrap();
    array.close().unwrap();
    assert_eq!(file_size(&path), 8193);
}

/// And for an exact file, whose elements come one by one.
#[test]
fn elements_that_look_like_a_record_stay_elements_in_an_exact_file() {
    let directory = Place::Memory.directory();
    let path = directory.path().join("array");
    let words = footer::SIZE as u64 / 8;
    let magic = u64::from_ne_bytes(MAGIC);
    let mut elements: Vec<u64> = (1..=512 - words).chain([magic]).chain(1..words).collect();
    let mut array = MmapArray::<u64>::open_with(&path, writable().create(true).exact(true)).unwrap();
    for element in &elements {
        array.push(*element).unwrap();
    }
    assert_eq!(MmapArray::<u64>::open(&path).map(|reader| reader.len()), Ok(512));
    assert_eq!(array.to_vec(..), Ok(elements.clone()));
    array.push(8).unwrap();
    elements.push(8);
    assert_eq!(file_size(&path), 513 * 8, "exact again as soon as that can be");
    array.close().unwrap();
    assert_eq!(MmapArray::<u64>::open(&path).unwrap().to_vec(..), Ok(elements));
}

/// The last page of a file has room behind its end, where anyone who maps it can store; in memory that comes
/// back when the file grows.
#[test]
fn new_elements_are_zero_whatever_somebody_stored_behind_the_end() {
    for place in [Place::Disk, Place::Memory] {
        let directory = place.directory();
        let path = directory.path().join("array");
        std::fs::write(&path, [1; 100]).unwrap();
        let mut array = MmapArray::<u8>::open_with(&path, &writable()).unwrap();
        // SAFETY: the page that the file ends in is mapped as a whole.
        unsafe { array.as_ptr().add(100).write_bytes(0xff, 4096 - 100) };
        array.resize(200_000).unwrap();
        assert_eq!((array.count(1), array.count(0)), (100, 199_900), "{place:?}");
        array.close().unwrap();
    }
}

// 2. The address never moves.

#[test]
fn the_address_never_moves_over_more_than_64_steps() {
    let directory = Place::Memory.directory();
    let mut array = MmapArray::<u64>::open_or_create(directory.path().join("array")).unwrap();
    let address = array.as_ptr();
    let (mut capacities, mut next) = (BTreeSet::new(), 0);
    while capacities.len() < 70 {
        // Each tenure of the lock begins with a small step.
        array.unlock().unwrap();
        let values: Vec<u64> = (next..next + 5000).collect();
        array.extend_from_slice(&values).unwrap();
        next += 5000;
        capacities.insert(array.capacity());
        assert_eq!(array.as_ptr(), address);
    }
    // SAFETY: nobody changes the elements; the pointer is the one from before all growth.
    let values = unsafe { std::slice::from_raw_parts(address, array.len()) };
    assert!(values.iter().copied().eq(0..next), "what the first pointer reaches");
}

#[test]
fn the_address_never_moves_over_hundreds_of_megabytes() {
    let directory = Place::Disk.directory();
    let path = directory.path().join("array");
    let mut array = MmapArray::<u32>::open_or_create(&path).unwrap();
    array.push(1).unwrap();
    let address = array.as_ptr();
    for megabytes in [1, 30, 200, 400] {
        let len = megabytes << 18;
        array.reserve(len).unwrap();
        assert!(array.capacity() >= len && array.as_ptr() == address);
        // SAFETY: the handle has the lock, and room up to there.
        unsafe { address.add(len - 1).write(megabytes as u32) };
        array.commit(len).unwrap();
        assert_eq!((array.get(0), array.last()), (Some(1), Some(megabytes as u32)));
    }
    array.resize(1).unwrap();
    array.close().unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), 1u32.to_ne_bytes());
}

// 3. Nothing is lost: see the tests of crashes, turns and full disks.

// 4. Every call answers: see the tests of errors, and the C programs.

/// Whoever gets the descriptor of anonymous memory could truncate it, and make a pointer fault, if it weren't sealed.
#[test]
fn nobody_can_make_anonymous_memory_shorter() {
    let mut array = MmapArray::<u64>::anonymous().unwrap();
    array.extend_from_slice(&[7; 3000]).unwrap();
    // SAFETY: the descriptor is the handle's, which exists.
    let fd = unsafe { BorrowedFd::borrow_raw(array.fd().unwrap()) };
    let file = std::fs::File::from(fd.try_clone_to_owned().unwrap());
    let size = file.metadata().unwrap().len();
    for shorter in [0, 4096, size - 1] {
        assert_eq!(file.set_len(shorter).unwrap_err().raw_os_error(), Some(libc::EPERM));
    }
    assert_eq!(file.metadata().unwrap().len(), size);
    array.push(8).unwrap();
    assert_eq!((array.len(), array.count(7), array.last()), (3001, 3000, Some(8)));
}

/// Memory that is given back leaves a hole in the spare room. Who takes the lock next must not take that for room:
/// a store there would meet a full memory as a signal.
#[test]
fn capacity_has_memory_behind_it_also_where_it_was_given_back() {
    let mut array = MmapArray::<u64>::anonymous().unwrap();
    array.resize(1_000_000).unwrap();
    // SAFETY: the descriptor is the handle's, which exists.
    let fd = unsafe { BorrowedFd::borrow_raw(array.fd().unwrap()) };
    let file = std::fs::File::from(fd.try_clone_to_owned().unwrap());
    let bytes = || file.metadata().unwrap().blocks() * 512;
    array.fill(.., 7).unwrap();
    array.resize(1000).unwrap();
    array.shrink_to_fit().unwrap();
    assert!(bytes() < 100_000, "the memory is given back: {} bytes", bytes());
    let check = |array: &MmapArray<u64>| {
        let (capacity, bytes) = (array.capacity() as u64 * 8, bytes());
        assert!(capacity <= bytes, "{capacity} bytes of capacity in {bytes} bytes of memory");
    };
    check(&array);
    array.unlock().unwrap();
    let mut other = MmapArray::<u64>::from_fd(fd, &writable()).unwrap();
    for len in [1000, 1001, 5000, 100_000, 900_000] {
        other.reserve(len).unwrap();
        assert!(other.capacity() >= len);
        check(&other);
        other.resize(len).unwrap();
        check(&other);
    }
    assert_eq!((other.count(7), other.count(0)), (1000, 899_000));
}

// 5. As fast as the hardware: the benchmarks measure it; here is what it rests on.

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// In a process that the kernel kills at its first system call other than exit.
#[test]
fn getting_setting_appending_and_popping_make_no_system_call_and_no_allocation() {
    alone("getting_setting_appending_and_popping_make_no_system_call_and_no_allocation", || {
        let directory = Place::Memory.directory();
        let path = directory.path().join("array");
        std::fs::write(&path, []).unwrap();
        // SAFETY: the child makes no use of what other threads may have held; it ends by a system call.
        let child = unsafe { libc::fork() };
        assert!(child >= 0);
        if child == 0 {
            let mut array = MmapArray::<u64>::open_with(&path, &writable()).unwrap();
            array.reserve(3_000).unwrap();
            let values = [7; 1000];
            let before = ALLOCATIONS.load(Relaxed);
            // SAFETY: no memory is passed.
            let strict = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_STRICT) };
            let mut right = strict == 0;
            for at in 0..1000 {
                right &= array.push(at) == Ok(()) && array.set(0, at) == Ok(());
                right &= array.get(at as usize).is_some();
            }
            right &= array.extend_from_slice(&values) == Ok(()) && array.pop() == Ok(Some(7));
            right &= array.len() == 1999 && array.count(7) == 1000 && array.find(998, ..) == Ok(998);
            right &= ALLOCATIONS.load(Relaxed) == before;
            // SAFETY: ends the process, whose only thread this is.
            unsafe { libc::syscall(libc::SYS_exit, i64::from(!right)) };
        }
        let mut status = 0;
        // SAFETY: waits for the child made above, and stores its status.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert!(
            libc::WIFEXITED(status),
            "a system call was made: the child ended by signal {}",
            libc::WTERMSIG(status)
        );
        assert_eq!(libc::WEXITSTATUS(status), 0, "a wrong result, or an allocation");
    });
}

// 6. Small and stable.

#[test]
fn there_are_two_dependencies_at_run_time() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--edges", "normal", "--prefix", "none", "--format", "{p}", "--locked", "--offline"]);
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    let tree = output_of(&mut cargo, "cargo");
    let names: BTreeSet<&str> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, BTreeSet::from(["mmap_backed_array", "libc", "memmap2"]));
}

/// The shared library of this very build.
fn library() -> std::path::PathBuf {
    binary_directory().join("libmmap_backed_array.so")
}

#[test]
fn the_library_has_its_soname_and_needs_the_c_library_only() {
    let output = output_of(Command::new("readelf").args(["--dynamic", "--wide"]).arg(library()), "binutils");
    let values = |kind: &str| -> Vec<String> {
        let lines = output.lines().filter(|line| line.contains(kind));
        lines.filter_map(|line| Some(line.split_once('[')?.1.split_once(']')?.0.to_owned())).collect()
    };
    let version = env!("CARGO_PKG_VERSION");
    let (minor, _) = version.rsplit_once('.').unwrap();
    let abi = if minor.starts_with("0.") { minor } else { minor.split_once('.').unwrap().0 };
    assert_eq!(values("(SONAME)"), [format!("libmmap_backed_array.so.{abi}")]);
    let system = ["libc.so.", "libgcc_s.so.", "ld-linux", "libm.so.", "libpthread.so.", "libdl.so."];
    for needed in values("(NEEDED)") {
        assert!(system.iter().any(|name| needed.starts_with(name)), "the library needs {needed}");
    }
}
