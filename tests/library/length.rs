//! Changes of the length: the address stays, new elements are zero and have memory behind them, the reservation is the
//! limit, and the size of an exact file follows.

use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;

use crate::helpers::footer::{self, MAGIC};
use crate::helpers::raw::Raw;
use crate::helpers::{Numbers, Place, alone, fail_from, file_size, writable};
use mmap_backed_array::capi::{MBA_CREATE, MBA_RDONLY, MBA_RDWR};
use mmap_backed_array::{Error, MmapArray, Type, Wait};

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

/// On some kernels tmpfs undoes a `fallocate` that a signal interrupts. With a timer that is faster than the call
/// trying again would take for ever, and so growth goes on by smaller pieces.
#[test]
fn growth_that_is_interrupted_goes_on_by_smaller_pieces() {
    alone("growth_that_is_interrupted_goes_on_by_smaller_pieces", || {
        let directory = Place::Memory.directory();
        let path = directory.path().join("array");
        let mut array = MmapArray::<u64>::open_or_create(&path).unwrap();
        fail_from(libc::SYS_fallocate, 3, 100_000, libc::EINTR);
        array.reserve(1_000_000).unwrap();
        let blocks = std::fs::metadata(&path).unwrap().blocks();
        assert!(blocks * 512 >= 8_000_000, "all of it is reserved, not {blocks} blocks");
        array.resize(1_000_000).unwrap();
        array.close().unwrap();
        assert_eq!(file_size(&path), 8_000_000);
    });
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
