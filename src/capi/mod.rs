//! The C interface: every `extern "C"` function, and nothing else.
//!
//! The functions check pointers, call the core and turn its result into a number. Their comments are the
//! manual that stands in the generated header, so they speak C; what holds for all of them stands at the
//! header's top, in `include/cbindgen.toml`.

// What a caller must see to stands in each function's comment and at the header's top: pointers must be
// what the function asks for. A `# Safety` heading in each would only repeat it in the header.
#![allow(clippy::missing_safety_doc)]

// The header has the functions in this order, which is that of their use: open, read, change, share, ask, and the rest.
mod constants;

mod handle;

mod elements;

mod length;

mod sync;

mod status;

mod algorithms;

mod guard;

mod library;

mod last;

pub use algorithms::*;
pub use constants::*;
pub use elements::*;
pub use guard::*;
pub use handle::*;
pub use length::*;
pub use library::*;
pub use status::*;
pub use sync::*;

use core::ffi::{CStr, c_char, c_int, c_ulonglong, c_void};
use core::mem::{ManuallyDrop, offset_of};
use core::ptr::NonNull;
use std::panic::{AssertUnwindSafe, catch_unwind};

use last::{error_of, number};

use crate::array::Array;
use crate::error::{Argument, Error, Result};
use crate::storage::Storage;

/// A handle: one opening of an array. Opaque.
#[allow(non_camel_case_types)]
#[derive(Debug)]
pub struct mba_array {
    _opaque: [u8; 0],
}

/// The memory that a detached handle has left. Opaque.
#[allow(non_camel_case_types)]
#[derive(Debug)]
pub struct mba_mapping {
    _opaque: [u8; 0],
}

/// The length in a head. The C header has a type of its own for it.
#[allow(non_camel_case_types)]
pub type mba_length = c_ulonglong;

/// The beginning of every handle. With it `mba_push` can append in the common case without a call.
/// `mba_head_of` gives it. It may be read, and `mba_head_publish` may change the length; all else
/// about a handle is opaque.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Debug)]
pub struct mba_head {
    /// Element 0: what `mba_data_ptr` gives. Never changes.
    pub data: *mut u8,
    /// The number of elements, as this handle knows it. Written by the thread that changes the
    /// length, atomically.
    pub len: mba_length,
    /// Up to which length elements may be appended without a call. It can become 0 at any time, also
    /// by other threads and by signals: when the lock is given back, in every kind of child process,
    /// and when the handle refuses work. The address never changes.
    pub room: *const c_ulonglong,
    /// The length that other processes see: valid while `*room` isn't 0.
    pub publish: *mut u64,
    /// Bytes in an element. Never changes.
    pub itemsize: usize,
}

const _: () = {
    let [data, len, room, publish, itemsize] = crate::storage::HEAD;
    assert!(data == offset_of!(mba_head, data) && len == offset_of!(mba_head, len));
    assert!(room == offset_of!(mba_head, room) && publish == offset_of!(mba_head, publish));
    assert!(itemsize == offset_of!(mba_head, itemsize));
};

/// The number of an element type: its typecode, a character such as `'I'`, or what `MBA_RECORD`
/// gives.
#[allow(non_camel_case_types)]
pub type mba_type = i32;

/// What a call says of a pointer that mustn't be NULL.
const NULL: Error = Error::Invalid(Argument::Null);

/// Runs `f`, and turns its result, or a panic, into a number.
#[inline(always)]
fn run(f: impl FnOnce() -> Result<()>) -> c_int {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(())) => MBA_OK,
        Ok(Err(error)) => number(error),
        Err(payload) => {
            // Dropping what a panic carries could panic again.
            core::mem::forget(payload);
            number(Error::Panic)
        }
    }
}

/// Views the handle behind a pointer, without owning it.
#[inline(always)]
fn view(array: *const mba_array) -> Option<ManuallyDrop<Array>> {
    let raw = NonNull::new(array.cast_mut().cast::<Storage>())?;
    // SAFETY: a caller passes NULL or a handle of this library that isn't freed, and the view isn't dropped.
    Some(ManuallyDrop::new(unsafe { Array::from_raw(raw) }))
}

/// Runs `f` on a handle: `EINVAL` for NULL; after a panic the handle refuses further work.
#[inline(always)]
fn with(array: *const mba_array, f: impl FnOnce(&Array) -> Result<()>) -> c_int {
    let Some(array) = view(array) else { return number(NULL) };
    if array.storage().refuses() {
        return refusal(&array);
    }
    // Inside, so that success is a constant from where it is known.
    let number = || match f(&array) {
        Ok(()) => MBA_OK,
        Err(error) => failure(&array, error),
    };
    catch_unwind(AssertUnwindSafe(number)).unwrap_or_else(|payload| {
        // Dropping what a panic carries could panic again.
        core::mem::forget(payload);
        failure(&array, Error::Panic)
    })
}

/// The number of what went wrong; a bug is the handle's end. A function of its own, since the
/// compiler would lead success through the same table of numbers.
#[cold]
#[inline(never)]
fn failure(array: &Array, error: Error) -> c_int {
    if error == Error::Panic {
        array.storage().poison();
    }
    number(error)
}

#[cold]
fn refusal(array: &Array) -> c_int {
    array.storage().check().map_or_else(number, |()| MBA_OK)
}

/// Asks a handle for something it knows; `otherwise` for NULL. `f` must be a plain read that can't
/// panic.
#[inline(always)]
fn ask<T>(array: *const mba_array, otherwise: T, f: impl FnOnce(&Array) -> T) -> T {
    match view(array) {
        Some(array) => f(&array),
        None => otherwise,
    }
}

/// Makes a handle and hands it out.
fn make(out: *mut *mut mba_array, f: impl FnOnce() -> Result<Array>) -> c_int {
    run(|| {
        let out = target(out)?;
        let array = f()?;
        // SAFETY: the caller passes a pointer to a place for the handle.
        unsafe { out.write(array.into_raw().cast()) };
        Ok(())
    })
}

/// A pointer that must not be NULL, to read from.
#[inline(always)]
fn source(pointer: *const c_void) -> Result<*const u8> {
    if pointer.is_null() { Err(NULL) } else { Ok(pointer.cast()) }
}

/// A pointer that may be NULL if there is nothing to read.
#[inline(always)]
fn sources(pointer: *const c_void, count: usize) -> Result<*const u8> {
    if count == 0 { Ok(pointer.cast()) } else { source(pointer) }
}

/// A pointer that must not be NULL, to write to.
#[inline(always)]
fn target<T>(pointer: *mut T) -> Result<*mut T> {
    if pointer.is_null() { Err(NULL) } else { Ok(pointer) }
}

/// A string that must not be NULL.
fn string<'a>(pointer: *const c_char) -> Result<&'a CStr> {
    if pointer.is_null() {
        return Err(NULL);
    }
    // SAFETY: the caller passes a string that ends in NUL, and keeps it during the call.
    Ok(unsafe { CStr::from_ptr(pointer) })
}

/// The functions as a table, which the campaign of faults uses too.
#[cfg(test)]
#[allow(dead_code)]
#[path = "../../tests/helpers/functions.rs"]
mod functions;

#[cfg(test)]
mod tests {
    use super::functions::{Class, FUNCTIONS, Goods, UNTOUCHED, compare_with};
    use super::*;

    #[test]
    fn the_table_of_functions_is_the_headers() {
        compare_with(include_str!("../../include/mmap_backed_array.h"));
    }

    /// An array of so many elements that holds the lock, of a file that goes with the value.
    fn locked(path: &std::path::Path, len: usize) -> *mut mba_array {
        let path = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        let mut array = core::ptr::null_mut();
        // SAFETY: a C string and a place for a handle; then the handle.
        unsafe {
            assert_eq!(mba_open(path.as_ptr(), MBA_UINT32, MBA_RDWR | MBA_CREATE, &raw mut array), MBA_OK);
            assert_eq!(mba_resize(array, len), MBA_OK);
        }
        array
    }

    #[test]
    fn after_a_panic_every_function_refuses_or_tells_what_it_knows() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("array");
        for function in
            FUNCTIONS.iter().filter(|function| !matches!(function.class, Class::Library | Class::Open))
        {
            let (array, other) = (locked(&path, 3), locked(&directory.path().join("other"), 1));
            let mut goods = Goods::new(array, other, "", "", -1);
            let words = goods.words(function);
            // SAFETY: what the table makes is what the functions ask for.
            let ask = |words: &[usize]| unsafe { function.call(words) };
            let told = (function.class == Class::Ask).then(|| ask(&words));
            assert_eq!(with(array, |_| panic!("on purpose")), MBA_EPANIC);
            let answer = ask(&words);
            match function.class {
                Class::Ask => assert_eq!(Some(answer), told, "{}", function.name),
                Class::End => assert_eq!(answer, 0, "{}", function.name),
                _ => assert_eq!(answer, MBA_EPANIC as isize, "{}", function.name),
            }
            goods.end_mapping();
            assert_eq!(goods.outputs(), UNTOUCHED, "{}", function.name);
            // SAFETY: the handles exist until here, where they end.
            unsafe {
                mba_free(other);
                if function.class != Class::End {
                    assert_eq!(mba_close(array), MBA_OK, "{}", function.name);
                }
            }
            // The lock is free, and the elements are there; the next one to close puts the file in order.
            let array = locked(&path, 4);
            // SAFETY: the handle exists, and ends here.
            unsafe {
                assert_eq!(mba_len(array), 4);
                assert_eq!(mba_close(array), MBA_OK);
            }
            assert_eq!(std::fs::metadata(&path).unwrap().len(), 16);
        }
    }

    #[test]
    fn a_panic_while_a_handle_is_made_hands_none_out() {
        let mut out = core::ptr::without_provenance_mut(8);
        assert_eq!(make(&raw mut out, || panic!("on purpose")), MBA_EPANIC);
        assert_eq!(out.addr(), 8);
    }

    #[test]
    fn a_panic_stops_at_the_boundary_and_poisons_the_handle() {
        let mut array = core::ptr::null_mut();
        // SAFETY: the functions get a place for a handle, and the handle that they have put there.
        unsafe {
            assert_eq!(mba_anon(MBA_UINT32, &raw mut array), MBA_OK);
            let value = 7u32;
            let value = (&raw const value).cast();
            assert_eq!(mba_append(array, value), MBA_OK);
            assert_eq!(with(array, |_| panic!("on purpose")), MBA_EPANIC);
            assert_eq!(mba_append(array, value), MBA_EPANIC);
            let mut out = 0u32;
            assert_eq!(mba_get(array, 0, (&raw mut out).cast()), MBA_EPANIC);
            assert_eq!(out, 0);
            assert_eq!(mba_refresh(array), MBA_EPANIC);
            assert_eq!(mba_close(array), MBA_OK);
        }
    }
}
