//! A handle gives back what it takes, takes no more than its share, and nobody takes its memory away.
//!
//! Most tests run in a process of their own, since they look at or change what a process has as a whole.

use std::os::fd::BorrowedFd;

use crate::helpers::limits::set_limit;
use crate::helpers::{Place, alone, writable};
use mmap_backed_array::{Array, Complex, Error, MmapArray, OpenOptions};

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
            let mut array = MmapArray::<u32>::open_or_create(&path).unwrap();
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
        crate::helpers::limits::many_at_once(5000);
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

/// What a core dump would take of an array's reservation: whether it takes what lies in the file, and whether it
/// leaves out all that lies beyond.
fn check_dump(array: &MmapArray<u64>, takes_elements: bool) {
    let size = std::fs::metadata(format!("/proc/self/fd/{}", array.fd().unwrap())).unwrap().len() as usize;
    let (start, reserved) = (array.as_ptr().addr(), array.reserved() * 8);
    for (range, excluded) in dump_exclusion(start) {
        if range.start >= start + reserved {
            break;
        }
        let in_file = range.start < start + size;
        let what = format!("{range:x?} of a file of {size:#x} bytes at {start:#x}");
        assert_eq!(excluded, !(in_file && takes_elements), "{what}");
        assert!(excluded || range.end <= start + size.next_multiple_of(4096), "{what}");
    }
}

/// Checks an array's share in a core dump while it grows and shrinks.
fn check_dump_while_growing(mut array: MmapArray<u64>, takes_elements: bool) {
    check_dump(&array, takes_elements);
    array.push(1).unwrap();
    check_dump(&array, takes_elements);
    array.extend_from_slice(&vec![1; 1_000_000]).unwrap();
    check_dump(&array, takes_elements);
    array.shrink_to_fit().unwrap();
    array.push(1).unwrap();
    check_dump(&array, takes_elements);
}

#[test]
fn a_core_dump_takes_anonymous_elements_along_and_never_a_reservation() {
    alone("a_core_dump_takes_anonymous_elements_along_and_never_a_reservation", || {
        // Files are left out by the system unless it is told otherwise, as here: that must come before the first array.
        std::fs::write("/proc/self/coredump_filter", "0x7f").unwrap();
        check_dump_while_growing(MmapArray::anonymous().unwrap(), true);
        // What has a name is in the file, and needn't be in the dump too.
        let directory = Place::Memory.directory();
        check_dump_while_growing(MmapArray::open_or_create(directory.path().join("array")).unwrap(), false);
    });
}

/// To the system a file without a name is anonymous memory, which core dumps take along.
#[test]
fn a_core_dump_takes_no_reservation_of_a_file_that_has_lost_its_name() {
    alone("a_core_dump_takes_no_reservation_of_a_file_that_has_lost_its_name", || {
        let directory = Place::Disk.directory();
        let path = directory.path().join("array");
        // Whoever changes the length, and a reader who refreshes.
        let mut array = MmapArray::<u64>::open_or_create(&path).unwrap();
        array.extend_from_slice(&[1, 2, 3]).unwrap();
        let mut reader = MmapArray::<u64>::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        check_dump(&array, false);
        array.extend_from_slice(&[1; 100_000]).unwrap();
        reader.refresh().unwrap();
        check_dump(&reader, false);
        // Named memory, whose names are removed as soon as all have opened it.
        let name = std::ffi::CString::new(format!("/mba-dump-{}", std::process::id())).unwrap();
        let mut options = OpenOptions::new();
        options.write(true).create(true);
        let array = MmapArray::<u64>::shm_open(&name, &options).unwrap();
        Array::shm_unlink(&name).unwrap();
        check_dump(&array, false);
    });
}

#[test]
fn little_address_space_makes_a_default_reservation_smaller_and_a_wish_an_error() {
    alone("little_address_space_makes_a_default_reservation_smaller_and_a_wish_an_error", || {
        set_limit(libc::RLIMIT_AS, 2 << 30);
        let directory = Place::Memory.directory();
        let path = directory.path().join("array");
        let mut array = MmapArray::<u64>::open_or_create(&path).unwrap();
        assert!((1 << 20..2 << 27).contains(&array.reserved()), "{}", array.reserved());
        array.resize(1 << 20).unwrap();
        drop(array);
        let wish = MmapArray::<u64>::open_with(&path, writable().reservation(4 << 30));
        assert_eq!(wish.err(), Some(Error::Os(libc::ENOMEM)));
    });
}

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
