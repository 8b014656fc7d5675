//! The leading role of `exchange.h`, played by this process in Rust.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd};

use mmap_backed_array::{Error, MmapArray, OpenOptions, Result};

use crate::wire::Wire;

const FIRST: u32 = 10;
const SECOND: u32 = 3000;
const THIRD: u32 = 10_000;
const LAST: u32 = 9998;

fn element(index: u32) -> u32 {
    7 * index
}

/// What the array's bytes are in the end.
pub fn all_bytes() -> Vec<u8> {
    (0..LAST).flat_map(|index| element(index).to_ne_bytes()).collect()
}

/// Puts the first elements into a new array, and lets go of the lock.
pub fn begin(array: Result<MmapArray<u32>>) -> MmapArray<u32> {
    let mut array = array.unwrap();
    array.extend((0..FIRST).map(element));
    array.unlock().unwrap();
    array
}

fn check_all(array: &MmapArray<u32>, data: *mut u32, len: u32) {
    assert_eq!(array.as_ptr(), data, "the address");
    assert_eq!(array.len(), len as usize);
    for index in 0..len {
        // SAFETY: there are `len` elements, and the other process has said that it is done with them.
        assert_eq!(unsafe { data.add(index as usize).read_volatile() }, element(index), "by pointer");
        assert_eq!(array.get(index as usize), Some(element(index)), "by get");
    }
}

pub fn lead(array: &mut MmapArray<u32>, wire: &Wire) {
    let data = array.as_ptr();
    wire.hear("ready");
    array.set(3, element(3) + 1).unwrap();
    // SAFETY: there are 10 elements, and nobody else touches them now.
    unsafe { data.add(4).write_volatile(element(4) + 1) };
    array.write(5, &[element(5) + 1, element(6) + 1]).unwrap();
    wire.say("look");
    wire.hear("look");
    check_all(array, data, FIRST);

    wire.say("grow");
    wire.hear("grown");
    check_all(array, data, FIRST);
    array.refresh().unwrap();
    check_all(array, data, SECOND);
    assert_eq!(array.push(0), Err(Error::Locked));
    check_all(array, data, SECOND);

    wire.say("unlock");
    wire.hear("unlocked");
    for index in SECOND..THIRD {
        array.push(element(index)).unwrap();
    }
    wire.say("grown");
    wire.hear("unlock");
    array.unlock().unwrap();
    wire.say("unlocked");

    wire.hear("shorter");
    array.refresh().unwrap();
    check_all(array, data, LAST);
    wire.say("close");
    wire.hear("closed");
    array.refresh().unwrap();
    check_all(array, data, LAST);
}

/// The program sends a descriptor of its array.
pub fn lead_what_comes(wire: Wire) {
    let fd = wire.receive_fd();
    let mut array = MmapArray::from_fd(fd.as_fd(), OpenOptions::new().write(true)).unwrap();
    drop(fd);
    lead(&mut array, &wire);
}

/// The program gets a descriptor of this process's array.
pub fn lead_what_goes(wire: Wire) {
    let mut array = begin(MmapArray::anonymous());
    // SAFETY: the descriptor is the array's, which exists during the call.
    wire.send_fd(unsafe { BorrowedFd::borrow_raw(array.fd().unwrap()) });
    lead(&mut array, &wire);
}

/// A new array in named shared memory.
pub fn named(name: &str) -> MmapArray<u32> {
    let name = CString::new(name).unwrap();
    begin(MmapArray::shm_open(&name, OpenOptions::new().write(true).create_new(true)))
}

/// Removes a name of shared memory.
pub fn unlink(name: &str) {
    mmap_backed_array::Array::shm_unlink(&CString::new(name).unwrap()).unwrap();
}
