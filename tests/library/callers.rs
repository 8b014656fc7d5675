//! Every call answers, for every caller: in a thread that somebody has cancelled, and in one with little stack.

use std::ffi::{CString, c_void};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

use crate::helpers::functions::{Class, FUNCTIONS, Function, Goods};
use crate::helpers::{Place, alone};
use mmap_backed_array::Type;
use mmap_backed_array::capi::*;

unsafe extern "C" {
    fn pthread_cancel(thread: libc::pthread_t) -> i32;
}

/// What `pthread_join` gives of a thread that was cancelled.
const CANCELED: *mut c_void = usize::MAX as *mut c_void;

/// The stack of every call: as much as the least that a thread can have.
const STACK: usize = if libc::PTHREAD_STACK_MIN > 16 << 10 { libc::PTHREAD_STACK_MIN } else { 16 << 10 };
/// What a thread has on its stack before it calls anything: its own data and those of the C library.
const BEFORE: usize = 6 << 10;
const PAGE: usize = 4096;

/// A call in a thread.
struct Call {
    function: &'static Function,
    words: Vec<usize>,
    answer: isize,
    is_cancelled: bool,
}

extern "C" fn make_call(call: *mut c_void) -> *mut c_void {
    // SAFETY: what `in_thread` passes; nobody else uses it meanwhile.
    let call = unsafe { &mut *call.cast::<Call>() };
    if call.is_cancelled {
        // SAFETY: the thread itself, which can be cancelled from now on wherever that is possible.
        assert_eq!(unsafe { pthread_cancel(libc::pthread_self()) }, 0);
    }
    // SAFETY: the words are what the function asks for.
    call.answer = unsafe { call.function.call(&call.words) };
    std::ptr::null_mut()
}

/// Makes a call in a thread whose stack has so many bytes, and nothing below.
fn in_thread(call: &mut Call, stack: usize) -> *mut c_void {
    let bytes = (stack + BEFORE).next_multiple_of(PAGE);
    let mut result = std::ptr::null_mut();
    // SAFETY: a new mapping, of which all but the lowest page is the thread's stack; it ends before the mapping does.
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let map = libc::mmap(std::ptr::null_mut(), bytes + PAGE, libc::PROT_NONE, flags, -1, 0);
        assert_ne!(map, libc::MAP_FAILED);
        let low = map.byte_add(PAGE);
        assert_eq!(libc::mprotect(low, bytes, libc::PROT_READ | libc::PROT_WRITE), 0);
        let mut attributes = std::mem::zeroed();
        assert_eq!(libc::pthread_attr_init(&raw mut attributes), 0);
        assert_eq!(libc::pthread_attr_setstack(&raw mut attributes, low, bytes), 0);
        let mut thread = std::mem::zeroed();
        let argument = std::ptr::from_mut(call).cast();
        assert_eq!(libc::pthread_create(&raw mut thread, &raw const attributes, make_call, argument), 0);
        assert_eq!(libc::pthread_join(thread, &raw mut result), 0);
        libc::munmap(map, bytes + PAGE);
    }
    result
}

/// What the array is that the calls are made on.
const GROUNDS: [&str; 7] = ["new", "opened", "locked", "exact", "shared", "anonymous", "named"];

fn open(path: &Path, ty: mba_type, flags: u32) -> *mut mba_array {
    let path = CString::new(path.to_str().unwrap()).unwrap();
    let mut array = std::ptr::null_mut();
    // SAFETY: a C string, and a place for the handle.
    assert_eq!(unsafe { mba_open(path.as_ptr(), ty, flags, &raw mut array) }, MBA_OK);
    array
}

/// Calls a function on an array of one kind, in a process of its own. Whether that ends well.
fn call_in_child(
    function: &'static Function,
    (ground, ty): (&str, mba_type),
    place: Place,
    is_cancelled: bool,
    stack: usize,
) -> bool {
    let directory = place.directory();
    let file = |name: &str| directory.path().join(name);
    let name = format!("/mba-callers-{}", std::process::id());
    // SAFETY: the child has one thread, and ends by `_exit`.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let values: Vec<u8> = (0..3000u32).flat_map(u32::to_ne_bytes).collect();
        std::fs::write(file("array"), &values).unwrap();
        std::fs::write(file("other"), &values).unwrap();
        let mut array = std::ptr::null_mut();
        let named = CString::new(name.as_str()).unwrap();
        // SAFETY: C strings, places for handles, and handles that exist.
        unsafe {
            match ground {
                "new" => {
                    std::fs::remove_file(file("array")).unwrap();
                    array = open(&file("array"), ty, MBA_RDWR | MBA_CREATE);
                    assert_eq!(mba_resize(array, 1), MBA_OK);
                    assert_eq!(mba_unlock(array), MBA_OK);
                }
                "anonymous" => assert_eq!(mba_anon(ty, &raw mut array), MBA_OK),
                "named" => {
                    let flags = MBA_RDWR | MBA_CREATE;
                    assert_eq!(mba_shm_open(named.as_ptr(), ty, flags, &raw mut array), MBA_OK);
                }
                "exact" => array = open(&file("array"), ty, MBA_RDWR | MBA_EXACT),
                _ => array = open(&file("array"), ty, MBA_RDWR),
            }
            if ground == "shared" {
                // Somebody else has seen more.
                open(&file("array"), ty, MBA_RDONLY);
                assert_eq!(mba_resize(array, 5), MBA_OK);
            }
            if matches!(ground, "locked" | "anonymous" | "named") {
                assert_eq!(mba_resize(array, 3), MBA_OK);
            }
        }
        let other = open(&file("other"), ty, MBA_RDWR);
        let descriptor = File::options().read(true).write(true).open(file("other")).unwrap();
        let path = file(if matches!(function.class, Class::Open) { "made" } else { "array" });
        let mut goods = Goods::new(array, other, path.to_str().unwrap(), &name, descriptor.as_raw_fd());
        let mut call = Call { function, words: goods.words(function), answer: 0, is_cancelled };
        let result = in_thread(&mut call, stack);
        assert_ne!(result, CANCELED, "the thread was cancelled");
        // SAFETY: ends the child.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: the child is this one's, and there is a place for its status.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    // SAFETY: a C string.
    unsafe { libc::shm_unlink(CString::new(name).unwrap().as_ptr()) };
    status == 0
}

/// Each function on each kind of array.
fn call_all(places: &[Place], is_cancelled: bool, stack: usize) {
    let mut failed = Vec::new();
    for place in places {
        for ground in GROUNDS {
            for function in FUNCTIONS {
                if !call_in_child(function, (ground, MBA_UINT32), *place, is_cancelled, stack) {
                    failed.push((function.name, ground.to_owned()));
                }
            }
        }
        for ty in Type::all().map(Type::code).chain([1, 8, 24].map(Type::record_code)) {
            for function in FUNCTIONS {
                if !call_in_child(function, ("locked", ty), *place, is_cancelled, stack) {
                    failed.push((function.name, format!("type {ty}")));
                }
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn no_call_is_a_point_where_a_thread_is_cancelled() {
    alone("no_call_is_a_point_where_a_thread_is_cancelled", || {
        call_all(&[Place::Disk, Place::Memory], true, 1 << 20);
    });
}

#[test]
fn no_call_needs_more_stack_than_the_least_that_a_thread_can_have() {
    alone("no_call_needs_more_stack_than_the_least_that_a_thread_can_have", || {
        call_all(&[Place::Memory], false, STACK);
    });
}
