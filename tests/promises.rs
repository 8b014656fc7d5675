//! The promises, one test each where the tests of models, crashes, turns and full disks don't prove them yet.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use common::{Place, alone, binary_directory, output_of};
use mmap_backed_array::{Array, Complex, Error, MmapArray, OpenOptions, Type, Wait};

fn writable() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    options
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().len()
}

// 1. A flat file is just its elements.

#[test]
fn a_flat_file_is_just_its_elements() {
    for place in [Place::Disk, Place::Memory] {
        let directory = place.directory();
        let path = directory.path().join("array");
        let values: Vec<f64> = (0..100_000).map(|n| f64::from(n).sqrt()).collect();
        let mut array = MmapArray::<f64>::create(&path).unwrap();
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
    // Also of sizes at which a tail record could be, and none is.
    for bytes in [0, 2, 4094, 4096, 8192, 12_290] {
        let old: Vec<u8> = (0..bytes).map(|at| (at * 7) as u8).collect();
        std::fs::write(&path, &old).unwrap();
        let array = MmapArray::<u16>::open(&path).unwrap();
        let read: Vec<u8> = array.iter().flat_map(u16::to_ne_bytes).collect();
        assert!(read == old, "{bytes} bytes");
        drop(array);
        let mut array = MmapArray::<u16>::create(&path).unwrap();
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
    let mut array = MmapArray::<u8>::create(&path).unwrap();
    array.extend_from_slice(&[5; 1000]).unwrap();
    // The true record of a file with spare room, now as elements at the end of a page.
    let record = std::fs::read(&path).unwrap()[65_536 - 64..].to_vec();
    array.clear().unwrap();
    array.extend_from_slice(&[5; 65_536 - 64]).unwrap();
    array.extend_from_slice(&record).unwrap();
    array.close().unwrap();
    let array = MmapArray::<u8>::open(&path).unwrap();
    assert_eq!(array.len(), 65_536);
    assert_eq!(array.to_vec(65_536 - 64..), Ok(record.clone()));
    std::fs::copy(&path, &copy).unwrap();
    assert_eq!(MmapArray::<u8>::open(&copy).unwrap().len(), 65_536);
    let mut array = MmapArray::<u8>::open_with(&path, &writable()).unwrap();
    assert_eq!(array.pop().unwrap(), record.last().copied());
    array.close().unwrap();
    assert_eq!(size(&path), 65_535);
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
    let mut array = MmapArray::<u64>::create(directory.path().join("array")).unwrap();
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
    let mut array = MmapArray::<u32>::create(&path).unwrap();
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

// 4. Every call answers.

#[test]
fn opening_what_is_no_array_is_an_error() {
    let directory = Place::Disk.directory();
    let file = |name: &str| directory.path().join(name);
    let open = |path: &Path, options: &OpenOptions| MmapArray::<u32>::open_with(path, options).err();
    let os = |errno| Some(Error::Os(errno));
    let new = OpenOptions::new;
    assert_eq!(open(&file("none"), &new()), os(libc::ENOENT));
    assert_eq!(open(&file("none"), &writable()), os(libc::ENOENT));
    assert_eq!(open(&file("none/below"), new().write(true).create(true)), os(libc::ENOENT));
    assert_eq!(open(directory.path(), &new()), os(libc::EISDIR));
    assert_eq!(open(directory.path(), &writable()), os(libc::EISDIR));
    assert_eq!(open(Path::new("/dev/zero"), &new()), os(libc::ENODEV));
    assert_eq!(open(Path::new("/dev/null"), &writable()), os(libc::ENODEV));
    let fifo = file("fifo");
    output_of(Command::new("mkfifo").arg(&fifo), "coreutils");
    assert_eq!(open(&fifo, &new()), os(libc::ENODEV));
    assert_eq!(open(&fifo, &writable()), os(libc::ENODEV));
    let socket = file("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    assert_eq!(open(&socket, &new()), os(libc::ENODEV));
    assert_eq!(open(Path::new("nul\0inside"), &new()), os(libc::EINVAL));
    assert_eq!(open(Path::new(""), &new()), os(libc::ENOENT));
    assert_eq!(open(&file(&"x".repeat(300)), &new()), os(libc::ENAMETOOLONG));

    let there = file("there");
    std::fs::write(&there, [0; 12]).unwrap();
    assert_eq!(open(&there, new().write(true).create_new(true)), os(libc::EEXIST));
    for senseless in [
        new().create(true),
        new().exact(true),
        new().write(true).private(true),
        new().write(true).create(true).mode(0o10000),
    ] {
        assert_eq!(open(&there, senseless), os(libc::EINVAL), "{senseless:?}");
    }
    assert_eq!(open(&there, writable().reservation(u64::MAX)), os(libc::ENOMEM));
    assert_eq!(open(&there, writable().reservation(1 << 60)), os(libc::ENOMEM));
    assert_eq!(std::fs::read(&there).unwrap(), [0; 12], "no refusal touches the file");
}

#[test]
fn a_file_that_ends_inside_an_element_is_read_and_not_grown() {
    let directory = Place::Disk.directory();
    let path = directory.path().join("partial");
    std::fs::write(&path, [1; 4099]).unwrap();
    let mut array = MmapArray::<u32>::open_with(&path, &writable()).unwrap();
    assert_eq!((array.len(), array.last()), (1024, Some(0x0101_0101)));
    for result in [
        array.push(2),
        array.pop().map(drop),
        array.resize(3),
        array.clear(),
        array.insert(0, 2),
        array.remove(0).map(drop),
        array.extend_from_slice(&[2]),
        array.reserve(5000),
        array.commit(1024),
        array.shrink_to_fit(),
        array.lock(Wait::No),
    ] {
        assert_eq!(result, Err(Error::Partial));
    }
    array.set(0, 7).unwrap();
    assert!(!array.has_lock());
    array.close().unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), [&[7, 0, 0, 0][..], &[1; 4095]].concat());
}

#[test]
fn a_read_only_handle_refuses_to_change_anything() {
    let directory = Place::Disk.directory();
    let path = directory.path().join("array");
    std::fs::write(&path, [1; 12]).unwrap();
    let mut array = MmapArray::<u32>::open(&path).unwrap();
    assert!(array.is_readonly());
    for result in [
        array.set(0, 2),
        array.write(0, &[2]),
        array.fill(.., 2),
        array.reverse(),
        array.byteswap(),
        array.push(2),
        array.extend_from_slice(&[]),
        array.pop().map(drop),
        array.insert(0, 2),
        array.remove(0).map(drop),
        array.splice(.., &[2]),
        array.resize(1),
        array.clear(),
        array.reserve(1),
        array.commit(3),
        array.shrink_to_fit(),
        array.lock(Wait::No),
        array.lock(Wait::Forever),
    ] {
        assert_eq!(result, Err(Error::ReadOnly));
    }
    assert_eq!((array.flush(), array.unlock(), array.refresh()), (Ok(()), Ok(()), Ok(())));
    array.close().unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), [1; 12]);
}

#[test]
fn a_record_that_names_other_elements_or_lies_is_an_error() {
    let directory = Place::Memory.directory();
    let path = directory.path().join("array");
    let mut array = MmapArray::<u32>::create(&path).unwrap();
    array.push(7).unwrap();
    assert_eq!(MmapArray::<i32>::open(&path).err(), Some(Error::Type));
    assert_eq!(MmapArray::<u64>::open(&path).err(), Some(Error::Type));
    let good = std::fs::read(&path).unwrap();
    for (byte, expected) in
        [(8, Error::Corrupt), (32, Error::Corrupt), (55, Error::Corrupt), (63, Error::Corrupt)]
    {
        let mut bad = good.clone();
        let at = bad.len() - 64 + byte;
        bad[at] ^= 0x40;
        let copy = directory.path().join("bad");
        std::fs::write(&copy, &bad).unwrap();
        assert_eq!(MmapArray::<u32>::open(&copy).err(), Some(expected), "byte {byte}");
        assert_eq!(MmapArray::<u32>::create(&copy).err(), Some(expected), "byte {byte}");
        assert!(std::fs::read(&copy).unwrap() == bad, "a refusal leaves the file alone");
    }
}

/// Somebody who doesn't use the library changes the file's size under a grower: it says so, and touches nothing.
#[test]
fn a_file_that_somebody_else_cuts_or_lengthens_is_an_error() {
    let directory = Place::Memory.directory();
    for (change, expected) in [(-4096i64, Error::Truncated), (4096, Error::Corrupt)] {
        let path = directory.path().join("array");
        let mut array = MmapArray::<u32>::create(&path).unwrap();
        array.push(7).unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        let changed = size(&path).strict_add_signed(change);
        file.set_len(changed).unwrap();
        let capacity = array.capacity();
        for result in [array.reserve(capacity + 1), array.shrink_to_fit(), array.refresh(), array.flush()] {
            assert_eq!(result, Err(expected));
        }
        assert_eq!(array.close(), Err(expected));
        assert_eq!(size(&path), changed, "nothing is touched");
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn beyond_the_reservation_is_an_error() {
    let directory = Place::Memory.directory();
    let path = directory.path().join("array");
    let mut array = MmapArray::<u64>::open_with(&path, writable().create(true).reservation(100_000)).unwrap();
    let reserved = array.reserved();
    assert!(reserved >= 12_500, "as many as asked for: {reserved}");
    for at in 0..reserved {
        array.push(at as u64).unwrap();
    }
    assert_eq!(array.push(0), Err(Error::Limit));
    assert_eq!(array.extend_from_slice(&[0]), Err(Error::Limit));
    assert_eq!(array.insert(0, 0), Err(Error::Limit));
    assert_eq!(array.resize(reserved + 1), Err(Error::Limit));
    assert!(array.iter().eq(0..reserved as u64));
    array.unlock().unwrap();
    let mut larger = MmapArray::<u64>::open_with(&path, &writable()).unwrap();
    larger.extend_from_slice(&[5; 10_000]).unwrap();
    assert_eq!(array.refresh(), Err(Error::Limit), "another has gone further than this one can");
    assert_eq!(array.len(), reserved);
    larger.close().unwrap();
    assert_eq!(MmapArray::<u64>::open_with(&path, writable().reservation(8)).err(), Some(Error::Limit));
}

#[test]
fn values_of_the_wrong_size_and_type_are_errors() {
    let array = Array::anonymous(Type::from_char('I').unwrap()).unwrap();
    let invalid = Err(Error::Os(libc::EINVAL));
    assert_eq!(array.append(&[0; 3]), invalid);
    assert_eq!(array.append(&[0; 8]), invalid);
    assert_eq!(array.extend(&[0; 5]), invalid);
    assert_eq!(array.append(&[0; 4]), Ok(()));
    assert_eq!(array.get(0, &mut [0; 3]), invalid);
    assert_eq!(array.set(0, &[0; 5]), invalid);
    assert_eq!(array.read(0, &mut [0; 5]), invalid);
    assert_eq!(array.write(0, &[0; 2]), invalid);
    assert_eq!(array.splice(0, 1, &[0; 2]), invalid);
    let other = Array::anonymous(Type::from_char('i').unwrap()).unwrap();
    assert_eq!((array.equals(&other), array.compare(&other)), (Err(Error::Type), Err(Error::Type)));
    assert_eq!(MmapArray::<f32>::try_from(array).err(), Some(Error::Type));
    assert_eq!(Type::from_char('x'), Err(Error::Type));
}

#[test]
fn descriptors_are_opened_as_they_allow_and_stay_the_callers() {
    let directory = Place::Disk.directory();
    let path = directory.path().join("array");
    std::fs::write(&path, [1; 8]).unwrap();
    let read = std::fs::File::open(&path).unwrap();
    let write = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    let mut options = OpenOptions::new();
    let access = Some(Error::Os(libc::EACCES));
    assert_eq!(MmapArray::<u32>::from_fd(read.as_fd(), &writable()).err(), access);
    assert_eq!(MmapArray::<u32>::from_fd(write.as_fd(), &options).err(), access);
    let senseless = MmapArray::<u32>::from_fd(read.as_fd(), options.write(true).create(true));
    assert_eq!(senseless.err(), Some(Error::Os(libc::EINVAL)));
    let (end, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    assert_eq!(MmapArray::<u32>::from_fd(end.as_fd(), &writable()).err(), Some(Error::Os(libc::ENODEV)));
    let array = MmapArray::<u32>::from_fd(read.as_fd(), &OpenOptions::new()).unwrap();
    assert_eq!(read.metadata().unwrap().len(), 8);
    drop(read);
    assert_eq!(array.to_vec(..), Ok(vec![0x0101_0101; 2]));

    // The caller's O_APPEND doesn't bend where the library writes.
    let both = std::fs::OpenOptions::new().read(true).append(true).open(&path).unwrap();
    let mut array = MmapArray::<u32>::from_fd(both.as_fd(), &writable()).unwrap();
    array.extend_from_slice(&[2; 50_000]).unwrap();
    array.close().unwrap();
    assert_eq!(size(&path), 8 + 200_000);
    assert_eq!(both.metadata().unwrap().len(), size(&path), "the caller's descriptor is still open");
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

/// The functions that the header declares.
fn declared() -> BTreeSet<String> {
    let header = concat!(env!("CARGO_MANIFEST_DIR"), "/include/mmap_backed_array.h");
    let mut text = std::fs::read_to_string(header).unwrap();
    while let Some(start) = text.find("/*") {
        let end = start + text[start..].find("*/").expect("a comment ends") + 2;
        text.replace_range(start..end, " ");
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let before_parentheses = text.match_indices('(').map(|(at, _)| &text[..at]);
    before_parentheses
        .map(|text| &text[text.rfind(|c| !is_name(c)).map_or(0, |at| at + 1)..])
        .filter(|name| name.starts_with("mba_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_library_exports_what_the_header_declares_and_nothing_else() {
    let output = output_of(Command::new("nm").args(["-D", "--defined-only"]).arg(library()), "binutils");
    let exported: BTreeSet<String> =
        output.lines().filter_map(|line| line.split_whitespace().last()).map(str::to_owned).collect();
    let declared = declared();
    assert!(declared.len() > 40, "the header was read: {declared:?}");
    assert_eq!(exported, declared);
}

#[test]
fn the_library_has_its_soname_and_needs_the_c_library_only() {
    let output = output_of(Command::new("readelf").args(["--dynamic", "--wide"]).arg(library()), "binutils");
    let values = |kind: &str| -> Vec<String> {
        let lines = output.lines().filter(|line| line.contains(kind));
        lines.filter_map(|line| Some(line.split_once('[')?.1.split_once(']')?.0.to_owned())).collect()
    };
    let soname = format!("libmmap_backed_array.so.{}", env!("CARGO_PKG_VERSION_MAJOR"));
    assert_eq!(values("(SONAME)"), [soname]);
    let system = ["libc.so.", "libgcc_s.so.", "ld-linux", "libm.so.", "libpthread.so.", "libdl.so."];
    for needed in values("(NEEDED)") {
        assert!(system.iter().any(|name| needed.starts_with(name)), "the library needs {needed}");
    }
}

// What holds for all of them: a handle gives back what it takes.

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").unwrap().lines().count()
}

#[test]
fn many_cycles_leak_nothing() {
    alone("many_cycles_leak_nothing", || {
        let directory = Place::Memory.directory();
        let path = directory.path().join("array");
        let cycle = |round: usize| {
            let mut array = MmapArray::<u32>::create(&path).unwrap();
            array.push(1).unwrap();
            let reader = MmapArray::<u32>::open(&path).unwrap();
            assert_eq!(MmapArray::<u64>::open(&path).err(), Some(Error::Type));
            assert!(array.fd().is_some());
            let anonymous = MmapArray::<Complex<f64>>::anonymous().unwrap();
            if round.is_multiple_of(2) {
                array.close().unwrap();
            }
            drop((reader, anonymous));
        };
        for round in 0..20 {
            cycle(round);
        }
        let (descriptors, maps) = (open_descriptors(), mappings());
        for round in 0..2000 {
            cycle(round);
        }
        assert_eq!(open_descriptors(), descriptors);
        // The allocator may have come to map another region of its own; 2,000 leaks are more than that.
        assert!(mappings() <= maps + 8, "{maps} mappings before, {} after", mappings());
    });
}

#[test]
fn five_thousand_arrays_at_once_leave_room_for_everything_else() {
    alone("five_thousand_arrays_at_once_leave_room_for_everything_else", || {
        const MANY: usize = 5000;
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the structure is there to be filled, and then to be read.
        unsafe {
            libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
            assert!(limit.rlim_max > MANY as u64 + 100, "this test needs `ulimit -Hn` above {MANY}");
            limit.rlim_cur = limit.rlim_max;
            assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit), 0);
        }
        let mut arrays: Vec<MmapArray<u32>> = (0..MANY)
            .map(|at| MmapArray::anonymous().unwrap_or_else(|e| panic!("array {at}: {e}")))
            .collect();
        for (at, array) in arrays.iter_mut().enumerate().step_by(97) {
            array.extend_from_slice(&[at as u32; 50_000]).unwrap();
        }
        assert!(arrays.iter().all(|array| array.reserved() > 1 << 20), "each can grow well");
        let large = vec![1u8; 256 << 20];
        assert_eq!(large.iter().step_by(4096).count(), 65_536);
        // SAFETY: a new mapping, at an address that the system chooses, and its end.
        unsafe {
            let (length, flags) = (1 << 40, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE);
            let map = libc::mmap(std::ptr::null_mut(), length, libc::PROT_NONE, flags, -1, 0);
            assert_ne!(map, libc::MAP_FAILED, "a terabyte of address space is left");
            libc::munmap(map, length);
        }
        std::thread::spawn(|| {}).join().unwrap();
        for (at, array) in arrays.iter().enumerate().step_by(97) {
            assert!(array.iter().all(|element| element == at as u32));
        }
    });
}

/// The parts of a mapping, by address and whether a core dump leaves them out.
fn dump_exclusion(address: usize) -> Vec<(std::ops::Range<usize>, bool)> {
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let (mut parts, mut range) = (Vec::new(), 0..0);
    for line in smaps.lines() {
        let bounds = line.split_whitespace().next().and_then(|bounds| bounds.split_once('-'));
        if let Some((Ok(start), Ok(end))) =
            bounds.map(|(start, end)| (usize::from_str_radix(start, 16), usize::from_str_radix(end, 16)))
        {
            range = start..end;
        } else if let Some(flags) = line.strip_prefix("VmFlags:") {
            parts.push((range.clone(), flags.split_whitespace().any(|flag| flag == "dd")));
        }
    }
    let first = parts.iter().position(|(range, _)| range.start == address).expect("the array is mapped");
    let mut end = address;
    let ours =
        parts[first..].iter().take_while(|(range, _)| std::mem::replace(&mut end, range.end) == range.start);
    ours.cloned().collect()
}

#[test]
fn a_core_dump_takes_the_elements_along_and_not_the_reservation() {
    alone("a_core_dump_takes_the_elements_along_and_not_the_reservation", || {
        let directory = Place::Memory.directory();
        let path = directory.path().join("array");
        let mut array = MmapArray::<u64>::create(&path).unwrap();
        let reserved = array.reserved() * 8;
        let check = |array: &MmapArray<u64>| {
            let (start, size) = (array.as_ptr().addr(), size(&path) as usize);
            for (range, excluded) in dump_exclusion(start) {
                if range.start >= start + reserved {
                    break;
                }
                let in_file = range.start < start + size;
                assert_eq!(excluded, !in_file, "{range:x?} of a file of {size:#x} bytes at {start:#x}");
                assert!(!in_file || range.end <= start + size.next_multiple_of(4096), "{range:x?}");
            }
        };
        check(&array);
        array.push(1).unwrap();
        check(&array);
        array.extend_from_slice(&vec![1; 1_000_000]).unwrap();
        check(&array);
        array.shrink_to_fit().unwrap();
        array.push(1).unwrap();
        check(&array);
    });
}
