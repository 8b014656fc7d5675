//! A full file system is an error code: everything stays as it was, and works again once there is space.
//!
//! Each test runs in a process with a small tmpfs of its own, which nobody else sees; but the one of a limit on the
//! size of files.

use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use crate::helpers::footer;
use crate::helpers::limits::set_limit_of_this_process;
use crate::helpers::space::{self, Small, check, check_closed, number, on_a_small_tmpfs};
use crate::helpers::{Place, alone, fail_always, file_size, seal, sealable_memory, writable};
use mmap_backed_array::{Error, MmapArray, OpenOptions, Wait};

/// Bytes of the small file system.
const SIZE: u64 = 2 << 20;
const PAGE: u64 = 4096;
const FULL: Error = Error::Os(libc::ENOSPC);

/// Takes all the space but so many bytes.
fn leave(small: &Small, free: u64) {
    small.leave(free);
    assert_eq!(small.free(), free);
}

/// Appends until there is no room, and returns how many elements there are then.
fn fill(array: &mut MmapArray<u64>) -> usize {
    space::fill(array, FULL)
}

fn options(exact: bool) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).exact(exact);
    options
}

/// However much space there is when the disk fills: in the first step of growth, between steps, in later ones.
#[test]
fn at_each_step_of_growth() {
    on_a_small_tmpfs("at_each_step_of_growth", SIZE, |small| {
        let path = small.path("array");
        // From nothing to more than the fourth step needs, a page or a few more each time.
        let mut free = 0;
        while free < 900 << 10 {
            leave(&small, free);
            let mut array = MmapArray::<u64>::open_or_create(&path).unwrap();
            let (address, story) = (array.as_ptr(), format!("{free} bytes free"));
            let len = fill(&mut array);
            check(&array, len, &story);
            // All but the footer and what is left of the last page.
            let most = if free == 0 { 0 } else { free - footer::SIZE as u64 };
            assert_eq!(len as u64, most / 8, "{story}: all the space is used");
            assert_eq!(fill(&mut array), len, "{story}: again the same");
            assert_eq!(array.capacity(), len, "{story}");
            for result in [
                array.extend_from_slice(&[7; 5]),
                array.insert(0, 7),
                array.resize(len + 1),
                array.reserve(len + 1),
                array.splice(.., &vec![7; len + 1]),
            ] {
                assert_eq!(result, Err(FULL), "{story}");
            }
            check(&array, len, &story);
            assert_eq!(small.free(), 0, "{story}");
            let second = MmapArray::<u64>::open(&path).unwrap();
            check(&second, len, &story);
            drop(second);

            small.give_back();
            for at in len..len + 10_000 {
                array.push(number(at)).unwrap();
            }
            check(&array, len + 10_000, &story);
            assert_eq!(array.as_ptr(), address, "{story}");
            array.close().unwrap();
            check_closed(&path, len + 10_000);
            std::fs::remove_file(&path).unwrap();
            free += PAGE * (1 + free / (64 << 10));
        }
    });
}

#[test]
fn one_call_that_asks_for_too_much_takes_nothing() {
    on_a_small_tmpfs("one_call_that_asks_for_too_much_takes_nothing", SIZE, |small| {
        for exact in [false, true] {
            let path = small.path("array");
            let mut array = MmapArray::<u64>::open_with(&path, &options(exact)).unwrap();
            for at in 0..5000 {
                array.push(number(at)).unwrap();
            }
            let (free, capacity) = (small.free(), array.capacity());
            let many = SIZE as usize / 8;
            assert_eq!(array.extend_from_slice(&vec![7; many]), Err(FULL));
            assert_eq!(array.resize(many), Err(FULL));
            assert_eq!(array.splice(..2500, &vec![7; many]), Err(FULL));
            if !exact {
                assert_eq!(array.reserve(many), Err(FULL));
            }
            check(&array, 5000, "after calls that asked for too much");
            assert_eq!(
                (small.free(), array.capacity()),
                (free, capacity),
                "no block is lost, exact: {exact}"
            );
            array.push(number(5000)).unwrap();
            array.close().unwrap();
            check_closed(&path, 5001);
            std::fs::remove_file(&path).unwrap();
        }
    });
}

#[test]
fn nearly_all_of_the_space_is_usable() {
    on_a_small_tmpfs("nearly_all_of_the_space_is_usable", SIZE, |small| {
        let path = small.path("array");
        let free = small.free();
        let mut array = MmapArray::<u64>::open_or_create(&path).unwrap();
        let used = fill(&mut array) as u64 * 8;
        assert!(used * 100 >= free * 95, "{used} of {free} bytes");
        array.close().unwrap();
        std::fs::remove_file(&path).unwrap();
        let mut array = MmapArray::<u64>::open_with(&path, &options(true)).unwrap();
        let used = fill(&mut array) as u64 * 8;
        assert!(used * 100 >= free * 95, "{used} of {free} bytes in an exact file");
        let len = array.len();
        check(&array, len, "an exact file that fills the file system");
        array.close().unwrap();
        check_closed(&path, len);
    });
}

/// What makes an array shorter must work on a full disk, or space could never be freed.
#[test]
fn elements_can_be_taken_away_on_a_full_file_system() {
    on_a_small_tmpfs("elements_can_be_taken_away_on_a_full_file_system", SIZE, |small| {
        let path = small.path("array");
        for exact in [false, true] {
            // A flat file without spare room, whose last page is full, so that a record has no place.
            let len = 8192;
            let bytes: Vec<u8> = (0..len).flat_map(|at| number(at).to_ne_bytes()).collect();
            std::fs::write(&path, bytes).unwrap();
            leave(&small, 0);
            let mut array = MmapArray::<u64>::open_with(&path, &options(exact)).unwrap();
            for left in (len - 5..len).rev() {
                assert_eq!(array.pop(), Ok(Some(number(left))));
            }
            array.resize(len - 100).unwrap();
            assert_eq!(array.remove(len - 101), Ok(number(len - 101)));
            check(&array, len - 101, "shortened on a full file system");
            array.shrink_to_fit().unwrap();
            array.close().unwrap();
            check_closed(&path, len - 101);
            let mut array = MmapArray::<u64>::open_with(&path, &options(exact)).unwrap();
            array.clear().unwrap();
            array.close().unwrap();
            check_closed(&path, 0);
            assert!(small.free() > 60 << 10, "the space is back");
            small.give_back();
            std::fs::remove_file(&path).unwrap();
        }
    });
}

/// Two writers on a full disk: the one who fails leaves all as it was for the other.
#[test]
fn the_next_grower_finds_all_intact() {
    on_a_small_tmpfs("the_next_grower_finds_all_intact", SIZE, |small| {
        let path = small.path("array");
        leave(&small, 100 << 10);
        let mut first = MmapArray::<u64>::open_or_create(&path).unwrap();
        let mut second = MmapArray::<u64>::open_or_create(&path).unwrap();
        let len = fill(&mut first);
        assert_eq!(second.push(0), Err(Error::Locked));
        first.unlock().unwrap();
        assert_eq!(second.push(0), Err(FULL));
        check(&second, len, "the second writer's view");
        assert_eq!(second.pop(), Ok(Some(number(len - 1))));
        second.push(number(len - 1)).unwrap();
        small.give_back();
        second.push(number(len)).unwrap();
        second.close().unwrap();
        first.refresh().unwrap();
        check(&first, len + 1, "the first writer's view");
        first.close().unwrap();
        check_closed(&path, len + 1);
    });
}

/// Spare room without blocks, as a file restored from a backup in its place has it: whoever takes the lock next
/// gets blocks for it or does without it, and never meets the full disk as a signal.
#[test]
fn spare_room_that_lost_its_blocks_is_not_trusted() {
    on_a_small_tmpfs("spare_room_that_lost_its_blocks_is_not_trusted", SIZE, |small| {
        let path = small.path("array");
        let mut array = MmapArray::<u64>::open_or_create(&path).unwrap();
        for at in 0..100_000 {
            array.push(number(at)).unwrap();
        }
        array.unlock().unwrap();
        let (end, size) = ((100_000 * 8u64).next_multiple_of(PAGE), file_size(&path));
        assert!(size - end > 4 * PAGE, "there is spare room of some pages");
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        // SAFETY: no memory is passed.
        let punched =
            unsafe { libc::fallocate(array.fd().unwrap(), mode, end as i64, (size - end - PAGE) as i64) };
        assert_eq!(punched, 0);
        leave(&small, 2 * PAGE);
        let len = fill(&mut array);
        check(&array, len, "after the disk was full");
        small.give_back();
        array.push(number(len)).unwrap();
        array.close().unwrap();
        check_closed(&path, len + 1);
    });
}

/// The blocks come first and the record second. Where there is space for those and not for this, they go back.
#[test]
fn a_record_that_finds_no_space_leaves_no_block_behind() {
    alone("a_record_that_finds_no_space_leaves_no_block_behind", || {
        let directories = [Place::Disk, Place::Memory].map(Place::directory);
        let mut arrays = Vec::new();
        for directory in &directories {
            for exact in [false, true] {
                let path = directory.path().join(format!("exact {exact}"));
                std::fs::write(&path, [1; 5000]).unwrap();
                let array = MmapArray::<u64>::open_with(&path, writable().exact(exact)).unwrap();
                arrays.push((array, std::fs::metadata(&path).unwrap().blocks(), path));
            }
        }
        fail_always(libc::SYS_pwrite64, libc::ENOSPC);
        for (array, blocks, path) in &mut arrays {
            let len = array.len();
            for result in [array.push(7), array.extend_from_slice(&[7; 100_000]), array.resize(len + 10_000)]
            {
                assert_eq!(result, Err(FULL), "{path:?}");
                assert_eq!((array.len(), file_size(path)), (len, 5000), "{path:?}");
                let left = std::fs::metadata(&path).unwrap().blocks();
                assert_eq!(left, *blocks, "{path:?}: blocks of 512 bytes");
            }
        }
        for (array, _, path) in arrays {
            array.close().unwrap();
            assert_eq!(std::fs::read(path).unwrap(), [1; 5000]);
        }
    });
}

/// Where blocks can't be reserved they come by writing zeros, before anyone may store there.
#[test]
fn capacity_has_blocks_behind_it_also_without_fallocate() {
    alone("capacity_has_blocks_behind_it_also_without_fallocate", || {
        fail_always(libc::SYS_fallocate, libc::EOPNOTSUPP);
        for exact in [false, true] {
            let directory = Place::Memory.directory();
            let path = directory.path().join("array");
            let mut array = MmapArray::<u64>::open_with(&path, &options(exact)).unwrap();
            for at in 0..50_000 {
                if at % 1000 == 0 {
                    array.reserve(at + 3000).unwrap();
                }
                array.push(number(at)).unwrap();
                if at % 500 == 0 {
                    let blocks = std::fs::metadata(&path).unwrap().blocks();
                    assert!(array.capacity() as u64 * 8 <= blocks * 512, "{at} elements, exact: {exact}");
                }
            }
            array.close().unwrap();
            check_closed(&path, 50_000);
        }
    });
}

/// The system would send a signal, of which the process dies.
#[test]
fn a_limit_on_the_size_of_files_is_an_error() {
    alone("a_limit_on_the_size_of_files_is_an_error", || {
        for exact in [false, true] {
            // Also where the limit is in the midst of a page, of a record, of an element.
            for limit in [100_000, 98_304, 98_304 - 32, 98_305, 4095, 10] {
                let directory = Place::Disk.directory();
                let path = directory.path().join("array");
                let mut array =
                    MmapArray::<u32>::open_with(&path, writable().create(true).exact(exact)).unwrap();
                let unlimited = set_limit_of_this_process(libc::RLIMIT_FSIZE, limit);
                let error = (0..).find_map(|at| array.push(at).err());
                assert_eq!(error, Some(Error::Os(libc::EFBIG)));
                let len = array.len();
                assert_eq!(array.extend_from_slice(&vec![0; 30_000]), Err(Error::Os(libc::EFBIG)));
                assert_eq!(array.reserve(30_000), if exact { Ok(()) } else { Err(Error::Os(libc::EFBIG)) });
                assert!(array.iter().eq(0..len as u32), "limit {limit}");
                set_limit_of_this_process(libc::RLIMIT_FSIZE, unlimited);
                array.push(len as u32).unwrap();
                array.close().unwrap();
                assert_eq!(file_size(&path), 4 * len as u64 + 4);
            }
        }
    });
}

/// Who takes the lock of a copy makes its footer the copy's own, which a limit may forbid: then it stays a copy.
#[test]
fn the_lock_of_a_copy_beyond_a_limit_on_the_size_of_files() {
    alone("the_lock_of_a_copy_beyond_a_limit_on_the_size_of_files", || {
        for sealed in [false, true] {
            let directory = Place::Memory.directory();
            let path = directory.path().join("array");
            let mut array = MmapArray::<u32>::open_or_create(&path).unwrap();
            for at in 0..10_000 {
                array.push(at).unwrap();
            }
            let contents = std::fs::read(&path).unwrap();
            assert!(contents.len() > 40_000, "the file has spare room and a footer");
            let mut copy = std::fs::File::from(sealable_memory());
            copy.write_all(&contents).unwrap();
            if sealed {
                seal(&copy, libc::F_SEAL_SHRINK | libc::F_SEAL_GROW);
            }
            let mut copy = MmapArray::<u32>::from_fd(copy.as_fd(), &writable()).unwrap();
            let unlimited = set_limit_of_this_process(libc::RLIMIT_FSIZE, 100);
            assert_eq!(copy.lock(Wait::No), Ok(()), "sealed: {sealed}");
            assert!(copy.iter().eq(0..10_000), "sealed: {sealed}");
            set_limit_of_this_process(libc::RLIMIT_FSIZE, unlimited);
            copy.close().unwrap();
        }
    });
}

/// A file without spare room on a full file system is truncated when elements are taken away, which nobody may have open then.
/// The elements have moved before that, and move back if somebody has come meanwhile.
#[test]
fn elements_that_could_not_go_on_a_full_file_system_are_where_they_were() {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    on_a_small_tmpfs("elements_that_could_not_go_on_a_full_file_system_are_where_they_were", SIZE, |small| {
        let path = small.path("array");
        let len = SIZE as usize / 2;
        std::fs::write(&path, vec![7u8; len]).unwrap();
        leave(&small, 0);
        let mut array = MmapArray::<u8>::open_with(&path, &writable()).unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Relaxed) {
                    MmapArray::<u8>::open(&path).unwrap();
                    // Alone again, at times.
                    std::thread::yield_now();
                }
            });
            let mut removed = 0;
            for _ in 0..3000 {
                match array.remove(0) {
                    Ok(_) => removed += 1,
                    // Somebody had it open at the last moment.
                    Err(error) => assert_eq!(error, FULL),
                }
                assert_eq!(array.len(), len - removed);
                assert_eq!((array.get(0), array.get(len - removed - 1)), (Some(7), Some(7)));
            }
            done.store(true, Relaxed);
            assert!(removed > 0);
        });
    });
}
