//! What a file is left as, in the cases where sizes and bytes look like something else than they are.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};

use crate::helpers::footer::{self, Footer, MAGIC};
use crate::helpers::raw::Raw;
use crate::helpers::{Numbers, Place, alone, file_size, writable};
use mmap_backed_array::capi::{MBA_CREATE, MBA_RDONLY, MBA_RDWR};
use mmap_backed_array::{Error, MmapArray, OpenOptions, Type, Wait};

/// The first step of growth takes a file to 64 KiB, so that a file which was so large to begin with seems to be as
/// it was.
#[test]
fn a_file_that_has_the_size_it_had_is_trimmed_all_the_same() {
    for place in [Place::Disk, Place::Memory] {
        let directory = place.directory();
        let path = directory.path().join("array");
        std::fs::write(&path, [1; 65536]).unwrap();
        let mut array = MmapArray::<u32>::open_with(&path, &writable()).unwrap();
        array.clear().unwrap();
        array.shrink_to_fit().unwrap();
        array.push(7).unwrap();
        array.unlock().unwrap();
        assert_eq!(file_size(&path), 65536, "or this test is about nothing");
        array.close().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), 7u32.to_ne_bytes());
    }
}

/// Elements at the end of a file without spare room that are set so that they read as a footer: the handle
/// that holds the lock puts a true record behind them before anyone else relies on the file.
#[test]
fn elements_set_to_what_reads_as_a_record_stay_elements() {
    for (exact, ends_by_unlock) in [(false, false), (false, true), (true, false), (true, true)] {
        let directory = Place::Memory.directory();
        let path = directory.path().join("array");
        let mut array = MmapArray::<u8>::open_with(&path, writable().create(true).exact(exact)).unwrap();
        array.resize(4096).unwrap();
        array.shrink_to_fit().unwrap();
        array.write(4096 - footer::SIZE, &MAGIC).unwrap();
        let expected = array.to_vec(..).unwrap();
        if ends_by_unlock {
            array.unlock().unwrap();
            let other = MmapArray::<u8>::open(&path).unwrap();
            assert_eq!(other.to_vec(..), Ok(expected.clone()));
        }
        array.close().unwrap();
        let mut again = MmapArray::<u8>::open_with(&path, &writable()).unwrap();
        assert_eq!(again.to_vec(..), Ok(expected), "exact: {exact}, by unlock: {ends_by_unlock}");
        again.set(4096 - footer::SIZE, 0).unwrap();
        again.shrink_to_fit().unwrap();
        assert_eq!(file_size(&path), 4096, "without the likeness the page goes");
    }
}

#[test]
fn an_exact_file_is_exact_after_a_commit_too() {
    let directory = Place::Memory.directory();
    let path = directory.path().join("array");
    let mut array = MmapArray::<u8>::open_with(&path, writable().create(true).exact(true)).unwrap();
    let mut bytes = vec![5; 4096];
    bytes[4096 - footer::SIZE..][..8].copy_from_slice(&MAGIC);
    array.extend_from_slice(&bytes).unwrap();
    assert_eq!(file_size(&path), 8192, "these elements need a page behind them");
    array.commit(4100).unwrap();
    assert_eq!(file_size(&path), 4100);
}

/// Sealed memory can't be truncated, so that where it can't get a record either nothing may have moved.
#[test]
fn sealed_memory_without_room_for_a_record_stays_as_it_is() {
    alone("sealed_memory_without_room_for_a_record_stays_as_it_is", || {
        let name = CString::new("sealed").unwrap();
        // SAFETY: the name is a string; the descriptor is new.
        let memory = unsafe {
            OwnedFd::from_raw_fd(libc::memfd_create(
                name.as_ptr(),
                libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING,
            ))
        };
        let bytes: Vec<u8> = (0..4096u32).map(|at| (at % 251) as u8).collect();
        // SAFETY: the bytes are valid for their length; then only numbers are passed.
        unsafe {
            assert_eq!(libc::write(memory.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()), 4096);
            assert_eq!(libc::fcntl(memory.as_raw_fd(), libc::F_ADD_SEALS, libc::F_SEAL_SHRINK), 0);
        }
        limit_files_to(4096);
        let mut array = MmapArray::<u8>::from_fd(memory.as_fd(), OpenOptions::new().write(true)).unwrap();
        let full = Err(Error::Os(libc::EFBIG));
        assert_eq!(array.remove(0).map(drop), full);
        assert_eq!(array.splice(0..100, &[1, 2]), full);
        assert_eq!(array.pop().map(drop), full);
        assert_eq!(array.to_vec(..), Ok(bytes));
    });
}

/// Sealed memory that another handle has made larger than this one's reservation: the footer lies beyond it.
#[test]
fn a_small_reservation_is_enough_for_few_elements_of_large_sealed_memory() {
    let mut large = MmapArray::<u32>::anonymous().unwrap();
    large.resize(1 << 20).unwrap();
    large.resize(0).unwrap();
    large.unlock().unwrap();
    // SAFETY: the descriptor is the array's, which stays open.
    let fd = unsafe { BorrowedFd::borrow_raw(large.fd().unwrap()) };
    let mut small = MmapArray::<u32>::from_fd(fd, writable().reservation(1 << 16)).unwrap();
    let most = small.reserved();
    assert!((1 << 14..1 << 15).contains(&most), "{most} elements");
    let mut numbers = Numbers::any();
    let mut model: Vec<u32> = Vec::new();
    for _ in 0..2000 {
        let array = if numbers.below(2) == 0 { &mut small } else { &mut large };
        let value = numbers.next() as u32;
        match numbers.below(7) {
            0 | 1 => {
                let many = vec![value; numbers.below(3000) as usize];
                if model.len() + many.len() <= most {
                    array.extend_from_slice(&many).unwrap();
                    model.extend(many);
                }
            }
            2 => assert_eq!(array.pop(), Ok(model.pop())),
            3 => {
                let len = numbers.below(model.len() as u64 + 1) as usize;
                array.resize(len).unwrap();
                model.truncate(len);
            }
            4 if !model.is_empty() => {
                let at = numbers.below(model.len() as u64) as usize;
                array.refresh().unwrap();
                array
                    .insert(at, value)
                    .unwrap_or_else(|error| assert_eq!((error, model.len()), (Error::Limit, most)));
                if array.len() > model.len() {
                    model.insert(at, value);
                }
            }
            5 => array.shrink_to_fit().unwrap(),
            _ if array.refresh().is_ok() && array.len() < most => {
                array.push(value).unwrap();
                model.push(value);
            }
            _ => {}
        }
        array.unlock().unwrap();
        for array in [&mut small, &mut large] {
            array.refresh().unwrap();
            assert_eq!(array.to_vec(..).unwrap(), model);
        }
    }
    small.resize(most).unwrap();
    assert_eq!(small.push(1), Err(Error::Limit));
    small.unlock().unwrap();
    large.resize(2 * most).unwrap();
    assert_eq!(small.refresh(), Err(Error::Limit), "the array has outgrown it");
    assert_eq!(small.len(), most);
}

/// Two handles of one array have it at two addresses.
#[test]
fn a_value_in_another_mapping_is_inserted_as_it_was() {
    let directory = Place::Memory.directory();
    let path = directory.path().join("array");
    let ty = Type::from_char('B').unwrap();
    let array = Raw::open(&path, ty, MBA_RDWR | MBA_CREATE).unwrap();
    array.extend(&(0..100).collect::<Vec<u8>>()).unwrap();
    let other = Raw::open(&path, ty, MBA_RDONLY).unwrap();
    array.insert_from_other(0, &other, 50).unwrap();
    assert_eq!(array.get(0), Ok(vec![50]));
}

/// The files of sysfs say that they have a page, and give fewer bytes.
#[test]
fn a_file_that_has_not_the_bytes_it_claims_is_no_array() {
    let path = "/sys/kernel/mm/transparent_hugepage/enabled";
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.len() == 4096) {
        assert_eq!(MmapArray::<u8>::open(path).err(), Some(Error::Os(libc::ENODEV)));
    }
}

/// A record that claims the file for its own, behind spare room without blocks: to reserve them could take all the
/// memory there is.
#[test]
fn spare_room_of_a_size_that_somebody_made_up_takes_no_memory() {
    let directory = Place::Memory.directory();
    let path = directory.path().join("array");
    let mut array = MmapArray::<u32>::open_or_create(&path).unwrap();
    array.extend_from_slice(&[1, 2, 3]).unwrap();
    array.reserve(1000).unwrap();
    let sound = std::fs::read(&path).unwrap();
    // The handle holds on to the file as it is until it is closed.
    let size = 1u64 << 30;
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let honest = Footer::decode(sound.last_chunk().unwrap());
    assert_eq!(honest.len, 3, "or this test is about nothing");
    file.set_len(size).unwrap();
    let made_up = Footer { file_size: size, ..honest }.encode();
    file.write_all_at(&made_up, size - footer::SIZE as u64).unwrap();
    drop(array);
    let mut array = MmapArray::<u32>::open_with(&path, &writable()).unwrap();
    assert_eq!(array.to_vec(..), Ok(vec![1, 2, 3]), "or this test is about nothing");
    array.push(4).unwrap();
    let taken = file.metadata().unwrap().blocks() * 512;
    assert!(taken < 1 << 20, "{taken} bytes are taken");
    array.close().unwrap();
    assert_eq!(file_size(&path), 16);
}

/// Limits the size of this process's files, as a full disk does.
fn limit_files_to(size: u64) {
    let limit = libc::rlimit { rlim_cur: size, rlim_max: size };
    // SAFETY: the structure is read only.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) }, 0);
}

/// Elements that come to read as a record by moving to the end need a page behind them. Where there is none to be
/// had, nothing moves.
#[test]
fn what_would_read_as_a_record_after_a_move_stays_where_it_is() {
    alone("what_would_read_as_a_record_after_a_move_stays_where_it_is", || {
        let directories = [Place::Disk, Place::Memory].map(Place::directory);
        limit_files_to(8200);
        for directory in &directories {
            for exact in [false, true] {
                let path = directory.path().join(format!("exact {exact}"));
                let mut elements: Vec<u64> = (0..1025).collect();
                elements[1025 - footer::SIZE / 8] = u64::from_ne_bytes(MAGIC);
                let bytes: Vec<u8> = elements.iter().flat_map(|element| element.to_ne_bytes()).collect();
                std::fs::write(&path, bytes).unwrap();
                let mut array = MmapArray::<u64>::open_with(&path, writable().exact(exact)).unwrap();
                assert_eq!(array.remove(0), Err(Error::Os(libc::EFBIG)), "exact: {exact}");
                assert_eq!(array.to_vec(..), Ok(elements), "exact: {exact}");
                // Another element can go: then there is no likeness at the end.
                assert_eq!(array.remove(1020), Ok(1020), "exact: {exact}");
            }
        }
    });
}

/// A file that can't be left as it is keeps its lock, and with it the chance to mend it.
#[test]
fn unlocking_what_reads_as_a_record_needs_room() {
    const AT: usize = 1024 - footer::SIZE / 8;
    alone("unlocking_what_reads_as_a_record_needs_room", || {
        let directory = Place::Memory.directory();
        let path = directory.path().join("array");
        std::fs::write(&path, [0; 8192]).unwrap();
        limit_files_to(8192);
        let mut array = MmapArray::<u64>::open_with(&path, &writable()).unwrap();
        array.lock(Wait::No).unwrap();
        array.set(AT, u64::from_ne_bytes(MAGIC)).unwrap();
        assert_eq!(array.unlock(), Err(Error::Os(libc::EFBIG)));
        assert!(array.has_lock());
        array.set(AT, 1).unwrap();
        array.unlock().unwrap();
        assert!(!array.has_lock());
        let other = MmapArray::<u64>::open(&path).unwrap();
        assert_eq!((other.len(), other.get(AT)), (1024, Some(1)));
    });
}

/// A time long ago.
fn old() -> std::time::SystemTime {
    std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000)
}

/// Gives a file an old time of change.
fn make_old(path: &std::path::Path) {
    std::fs::OpenOptions::new().write(true).open(path).unwrap().set_modified(old()).unwrap();
}

/// Whether it has that still, as backups see it.
fn is_old(path: &std::path::Path) -> bool {
    std::fs::metadata(path).unwrap().modified().unwrap() == old()
}

/// The system doesn't see stores through a mapping that is there already. Without our help a copy that was made by the
/// file's time of change would stay what it was for ever.
#[test]
fn what_was_stored_shows_in_the_files_time_of_change() {
    type Act = fn(&mut MmapArray<u64>);
    let stores: [(&str, Act); 5] = [
        ("set", |array| array.set(5, 222).unwrap()),
        ("write", |array| array.write(5, &[1, 2, 3]).unwrap()),
        ("fill", |array| array.fill(2..9, 7).unwrap()),
        ("push", |array| array.push(5).unwrap()),
        ("pop", |array| assert!(array.pop().unwrap().is_some())),
    ];
    for place in [Place::Disk, Place::Memory] {
        for (name, store) in stores {
            for end in ["flush", "unlock", "close"] {
                let directory = place.directory();
                let path = directory.path().join("array");
                std::fs::write(&path, [1; 8000]).unwrap();
                let mut array = MmapArray::<u64>::open_with(&path, &writable()).unwrap();
                array.reserve(1100).unwrap();
                // All pages are there, and dirty.
                array.fill(.., 1).unwrap();
                store(&mut array);
                make_old(&path);
                store(&mut array);
                match end {
                    "flush" => array.flush().unwrap(),
                    "unlock" => array.unlock().unwrap(),
                    _ => array.close().unwrap(),
                }
                assert!(!is_old(&path), "{place:?}: {name}, then {end}");
            }
        }
        // Who has stored nothing leaves it alone.
        let directory = place.directory();
        let path = directory.path().join("array");
        std::fs::write(&path, [1; 8000]).unwrap();
        make_old(&path);
        let array = MmapArray::<u64>::open_with(&path, &writable()).unwrap();
        assert_eq!(array.count(0x0101_0101_0101_0101), 1000);
        array.close().unwrap();
        MmapArray::<u64>::open(&path).unwrap().close().unwrap();
        assert!(is_old(&path), "{place:?}: nothing was stored");
    }
}
