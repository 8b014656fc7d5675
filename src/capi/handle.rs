//! Making and ending handles.

use core::ffi::{c_char, c_int, c_void};

use super::{
    MBA_EPANIC, MBA_OK, NULL, make, mba_array, mba_mapping, mba_type, number, run, string, target, view,
};
use crate::array::Array;
use crate::error::{Argument, Error, Result};
use crate::mapping::Mapping;
use crate::options::OpenOptions;
use crate::types::Type;

/// Options of `mba_open_with` and its like. Zeros mean defaults, so that `mba_options options = {0};
/// options.size = sizeof options;` asks for nothing special.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct mba_options {
    /// `sizeof(mba_options)` as the caller knows it. Smaller sizes, of older headers, are accepted.
    /// In larger ones, the bytes that this library doesn't know must be zero.
    pub size: u32,
    /// Permission bits of a file that is created, such as 0600; the umask applies. A file that exists
    /// keeps its own. 0: the default, 0666 for files and 0600 for named shared memory.
    pub mode: u32,
    /// How many bytes of elements the array must be able to hold when it has grown. Room for the
    /// footer is added, and the sum is rounded up to whole pages; `mba_reserved` tells the result. It
    /// costs address space, not memory. 0: the default, 64 GiB or twice the file, and less where the
    /// process has little address space left. A size asked for is never made smaller. A handle with
    /// `MBA_PRIVATE` takes only the file's size, whatever is asked for.
    pub reservation: u64,
}

/// Opens a file of elements; makes it if the flags say so.
///
/// `flags`: `MBA_RDONLY`, or `MBA_RDWR` with `MBA_CREATE`, `MBA_EXCL` and `MBA_EXACT` as needed, or
/// `MBA_PRIVATE`. The call never truncates a file. A file that it has created remains if it fails
/// later. If another process has a lease on the file, the call waits. The length is the one published
/// in the file; if the file ends inside an element, it is the number of whole ones.
///
/// On success `*out` is a handle to be released by `mba_free` or `mba_close`.
///
/// Errors: those of open(2), among them `ENOENT`, `EACCES` and `EEXIST`; `EISDIR` for a directory,
/// `ENODEV` for a FIFO, a socket or a device; `EINVAL` for unknown flags, flags that don't go
/// together, and NULL; `MBA_ETYPE` for an unknown type, or if the file's footer names another;
/// `MBA_ECORRUPT` for a footer that contradicts the file; `MBA_ELOCKED` if somebody who doesn't use
/// the library keeps a lock on the whole file; `MBA_EFIXED` for an empty file on hugetlbfs; `ENOMEM`
/// without address space.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_open(
    path: *const c_char,
    r#type: mba_type,
    flags: u32,
    out: *mut *mut mba_array,
) -> c_int {
    make(out, || Array::open_c(string(path)?, Type::from_code(r#type)?, &OpenOptions::from_flags(flags)))
}

/// As `mba_open`, with options; NULL for none.
///
/// Errors: as `mba_open`; `EINVAL` also for options of a size under 4, for non-zero bytes that this
/// library doesn't know, and for a mode beyond 07777; `MBA_ELIMIT` if the elements in the file are
/// more than the reservation asked for; `ENOMEM` if there is no room for it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_open_with(
    path: *const c_char,
    r#type: mba_type,
    flags: u32,
    options: *const mba_options,
    out: *mut *mut mba_array,
) -> c_int {
    // SAFETY: the caller passes NULL or options of the size that they name.
    unsafe {
        make_with(out, flags, options, |options| {
            Array::open_c(string(path)?, Type::from_code(r#type)?, options)
        })
    }
}

/// Makes a handle by flags and options.
///
/// # Safety
/// As for [`read_options`].
unsafe fn make_with(
    out: *mut *mut mba_array,
    flags: u32,
    options: *const mba_options,
    open: impl FnOnce(&OpenOptions) -> Result<Array>,
) -> c_int {
    make(out, || {
        // SAFETY: the caller's promise.
        let options = unsafe { read_options(options)? };
        open(OpenOptions::from_flags(flags).mode(options.mode).reservation(options.reservation))
    })
}

/// The most bytes that options of a later version could have.
const LARGEST_OPTIONS: usize = 4096;

/// # Safety
/// `options` must be NULL or point to a structure of the size that its first field names.
unsafe fn read_options(options: *const mba_options) -> Result<mba_options> {
    let mut known = mba_options::default();
    if options.is_null() {
        return Ok(known);
    }
    // SAFETY: the caller's structure has its size at least, at its beginning.
    let size = unsafe { options.cast::<u32>().read_unaligned() } as usize;
    if !(size_of::<u32>()..=LARGEST_OPTIONS).contains(&size) {
        return Err(Error::Invalid(Argument::Structure));
    }
    let common = size.min(size_of::<mba_options>());
    // SAFETY: both structures have at least `common` bytes, and all fields take any bits.
    unsafe { core::ptr::copy_nonoverlapping(options.cast::<u8>(), (&raw mut known).cast::<u8>(), common) };
    for at in common..size {
        // SAFETY: the caller's structure has `size` bytes.
        if unsafe { options.cast::<u8>().add(at).read() } != 0 {
            return Err(Error::Invalid(Argument::Structure));
        }
    }
    Ok(known)
}

/// Makes an empty array in anonymous shared memory. Forked children inherit it; other processes get
/// it by `mba_fd`, a socket and `mba_from_fd`. The memory is sealed against shrinking, so nobody can
/// truncate it. It ends with the last handle, mapping and descriptor.
///
/// On success `*out` is a handle to be released by `mba_free` or `mba_close`.
///
/// Errors: `MBA_ETYPE`; `EINVAL` for NULL; those of memfd_create(2), among them `EMFILE`; `ENOMEM`
/// without address space.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_anon(r#type: mba_type, out: *mut *mut mba_array) -> c_int {
    make(out, || Array::anonymous(Type::from_code(r#type)?))
}

/// As `mba_anon`, with options; NULL for none. The mode doesn't matter.
///
/// Errors: as `mba_anon`; `EINVAL` for options as `mba_open_with`; `ENOMEM` if there is no room for
/// the reservation.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_anon_with(
    r#type: mba_type,
    options: *const mba_options,
    out: *mut *mut mba_array,
) -> c_int {
    // SAFETY: the caller passes NULL or options of the size that they name.
    unsafe { make_with(out, 0, options, |options| Array::anonymous_with(Type::from_code(r#type)?, options)) }
}

/// Opens named shared memory, as shm_open(3) does. `name` is a slash and up to 254 bytes without
/// another one; the slash may be left out. `flags` are as for `mba_open`. Memory that is created has
/// mode 0600, and lasts until `mba_shm_unlink` or a restart of the system: a handle never owns it,
/// and closing one never removes it.
///
/// On success `*out` is a handle to be released by `mba_free` or `mba_close`.
///
/// Errors: as `mba_open`; `EINVAL` for a bad name, also one that is too long, and for a directory's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_shm_open(
    name: *const c_char,
    r#type: mba_type,
    flags: u32,
    out: *mut *mut mba_array,
) -> c_int {
    make(out, || Array::shm_open(string(name)?, Type::from_code(r#type)?, &OpenOptions::from_flags(flags)))
}

/// As `mba_shm_open`, with options; NULL for none.
///
/// Errors: as `mba_shm_open` and `mba_open_with`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_shm_open_with(
    name: *const c_char,
    r#type: mba_type,
    flags: u32,
    options: *const mba_options,
    out: *mut *mut mba_array,
) -> c_int {
    // SAFETY: the caller passes NULL or options of the size that they name.
    unsafe {
        make_with(out, flags, options, |options| {
            Array::shm_open(string(name)?, Type::from_code(r#type)?, options)
        })
    }
}

/// Removes a name of shared memory. Handles that are open keep the memory until they are released.
///
/// Errors: `ENOENT`, also for a bad name; `EACCES`; `EINVAL` for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_shm_unlink(name: *const c_char) -> c_int {
    run(|| Array::shm_unlink(string(name)?))
}

/// Opens the array in the file or memory behind a descriptor, for instance one that another process
/// got by `mba_fd` and sent over a socket. The descriptor stays the caller's; it may be closed at
/// once. `flags`: `MBA_RDONLY`, `MBA_RDWR`, `MBA_RDWR | MBA_EXACT`, `MBA_PRIVATE`.
///
/// The file is opened anew through /proc. Where that fails, a handle for reading shares the caller's
/// open file description; with `MBA_RDWR` it is an error.
///
/// On success `*out` is a handle to be released by `mba_free` or `mba_close`.
///
/// Errors: as `mba_open`; `EBADF`; `EACCES` if the descriptor isn't open for what the flags ask;
/// `EINVAL` also for `MBA_EXACT` on memory that is sealed against shrinking.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_from_fd(
    fd: c_int,
    r#type: mba_type,
    flags: u32,
    out: *mut *mut mba_array,
) -> c_int {
    make(out, || Array::from_raw_fd(fd, Type::from_code(r#type)?, &OpenOptions::from_flags(flags)))
}

/// As `mba_from_fd`, with options; NULL for none. The mode doesn't matter.
///
/// Errors: as `mba_from_fd` and `mba_open_with`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_from_fd_with(
    fd: c_int,
    r#type: mba_type,
    flags: u32,
    options: *const mba_options,
    out: *mut *mut mba_array,
) -> c_int {
    // SAFETY: the caller passes NULL or options of the size that they name.
    unsafe {
        make_with(out, flags, options, |options| Array::from_raw_fd(fd, Type::from_code(r#type)?, options))
    }
}

/// Views memory of the caller's as an array of fixed length. The memory stays the caller's, and must
/// outlive the handle. If it belongs to another array that is mapped at several addresses, calls
/// don't notice when values overlap it. `flags`: `MBA_RDONLY` or `MBA_RDWR`. `(NULL, 0)` is an empty
/// array.
///
/// On success `*out` is a handle to be released by `mba_free` or `mba_close`.
///
/// Errors: `MBA_ETYPE`; `EINVAL` for NULL, other flags, `data` that isn't aligned for the type, and
/// `nbytes` that is no multiple of its size. A record's alignment is the largest power of two that
/// divides its size, and at most 8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_from_memory(
    data: *mut c_void,
    nbytes: usize,
    r#type: mba_type,
    flags: u32,
    out: *mut *mut mba_array,
) -> c_int {
    make(out, || {
        let ty = Type::from_code(r#type)?;
        let data = if nbytes == 0 { data } else { target(data)? };
        // SAFETY: the caller promises the memory until the handle is released.
        unsafe { Array::from_memory(data.cast(), nbytes, ty, &OpenOptions::from_flags(flags)) }
    })
}

/// Releases a handle as `mba_close` does, but returns nothing. NULL is allowed. All pointers into the
/// array become invalid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_free(array: *mut mba_array) {
    // SAFETY: the caller passes NULL or a handle, and gives it up.
    let _ = unsafe { mba_close(array) };
}

/// Releases a handle, and tells whether giving back the file's spare room failed. In any case the
/// handle is gone, all pointers into the array become invalid, and no element is lost. What has
/// failed is tried again by `mba_tidy`, by the next handle that closes after changing the length, and
/// by the next `MBA_RDWR` handle that closes while no other has the file open.
///
/// A handle that has held the growth lock gives back the file's spare room, unless another one holds
/// the lock now: the file of an array that was only appended to is then exactly its elements. If
/// elements were taken away, the file keeps what others who have it open may have seen. It is exactly
/// its elements when the last handle closes, if that one is `MBA_RDWR`. In a forked child a handle
/// that hasn't changed the length there leaves the file alone. Data is not forced to the disk;
/// `mba_flush` does that.
///
/// Errors: `EINVAL` for NULL; those of ftruncate(2), such as `EIO`; `MBA_ETRUNCATED` and
/// `MBA_ECORRUPT` if someone who doesn't use the library has changed the file's size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_close(array: *mut mba_array) -> c_int {
    let Some(array) = view(array) else { return number(NULL) };
    let code = run(|| core::mem::ManuallyDrop::into_inner(array).close());
    // A caught bug was told by the call that met it; a handle that it poisoned closes without complaint.
    if code == MBA_EPANIC { MBA_OK } else { code }
}

/// Releases a handle as `mba_close` does, but keeps the memory at its address until
/// `mba_mapping_free`: for languages whose views outlive a close. Ask for the pointer and the length
/// before. The growth lock and spare room are given back at once. What the handle had seen as
/// elements stays mapped, and stores through the pointer still reach the file. Until the mapping is
/// freed, the file counts as open. Freeing it trims the file as a close would, if the handle was
/// `MBA_RDWR`.
///
/// Errors: `EINVAL` for NULL, and the handle stays as it is. With any other code (they are those of
/// `mba_close`), the handle is gone and `*out` is the mapping.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_detach(array: *mut mba_array, out: *mut *mut mba_mapping) -> c_int {
    let (Some(array), false) = (view(array), out.is_null()) else { return run(|| Err(NULL)) };
    let code = run(|| {
        let (mapping, result) = core::mem::ManuallyDrop::into_inner(array).detach();
        // SAFETY: the caller passes a pointer to a place for the mapping.
        unsafe { out.write(mapping.into_raw().cast()) };
        result
    });
    if code == MBA_EPANIC { MBA_OK } else { code }
}

/// Releases the memory that a detached handle has left; NULL is allowed. All pointers into the array
/// become invalid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_mapping_free(mapping: *mut mba_mapping) {
    let Some(raw) = core::ptr::NonNull::new(mapping) else { return };
    run(|| {
        // SAFETY: the caller passes a mapping, and gives it up.
        drop(unsafe { Mapping::from_raw(raw.cast()) });
        Ok(())
    });
}
