//! What a file says of itself, and putting in order what a killed process has left.

use core::ffi::{c_char, c_int};

use super::{mba_array, mba_type, run, string, target, with};
use crate::error::{Argument, Error, Result};
use crate::status::{Status, info_c, tidy_c};
use crate::types::Type;

/// For `mba_tidy`: also make a file whose footer is unsound usable again.
pub const MBA_TIDY_FORCE: u32 = 1;

/// The most bytes of a format that `mba_status` has room for, with the NUL at its end.
pub const MBA_STATUS_FORMAT: usize = 256;

/// What `mba_info` and `mba_array_info` tell. Set `size` before the call: `mba_status status = {0};
/// status.size = sizeof status;`. Fields are only ever added at the end, and the library fills those
/// that fit.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct mba_status {
    /// `sizeof(mba_status)` as the caller knows it.
    pub size: u32,
    /// The element type. A file without a footer doesn't tell it: 0, unless a handle was asked. Types
    /// that are alike, such as `MBA_LONG` and `MBA_INT64`, are the same to a file.
    pub r#type: mba_type,
    /// Bytes in an element; 0 if the type isn't known.
    pub itemsize: u64,
    /// The number of elements; 0 if the type isn't known: then it is `file_size` divided by your item
    /// size.
    pub len: u64,
    /// The file's size in bytes.
    pub file_size: u64,
    /// Where element 0 begins in the file, in bytes. Always 0 in this version.
    pub offset: u64,
    /// The footer's epoch: 0 if no elements were taken away or moved since the file got its footer.
    /// It doesn't tell whether the file changed between two openings.
    pub epoch: u64,
    /// The number of the process that holds the growth lock, or held it last; 0 if the file has no
    /// footer, and if a program has locked the whole file.
    pub holder: u64,
    /// 1 if the file has spare room and a footer, else 0.
    pub has_footer: u32,
    /// 1 if a handle holds the growth lock, or a program has locked the whole file, else 0.
    pub is_locked: u32,
    /// 1 if a handle has the file open, else 0; 1 also if a program has locked the whole file by
    /// fcntl. `mba_array_info` tells of handles other than this one; it doesn't see children, nor
    /// duplicates of this handle's own descriptor. For anonymous memory it means nothing.
    pub is_shared: u32,
    /// 0.
    pub reserved: u32,
    /// The PEP 3118 format of a record, ended by NUL; empty if there is none, or if it doesn't fit.
    /// Always empty in this version.
    pub format: [c_char; MBA_STATUS_FORMAT],
}

/// The most bytes that the structure of a later version could have.
const LARGEST: usize = 65536;

/// Fills what fits of the caller's structure.
///
/// # Safety
/// `out` must point to a structure of the size that its first field names.
unsafe fn put(status: &Status, out: *mut mba_status, size: usize) {
    let known = mba_status {
        size: size as u32,
        r#type: status.ty.map_or(0, Type::code),
        itemsize: status.ty.map_or(0, |ty| ty.size() as u64),
        len: status.len,
        file_size: status.file_size,
        offset: status.offset,
        epoch: status.epoch,
        holder: status.holder,
        has_footer: status.has_footer.into(),
        is_locked: status.is_locked.into(),
        is_shared: status.is_shared.into(),
        reserved: 0,
        format: [0; MBA_STATUS_FORMAT],
    };
    let common = size.min(size_of::<mba_status>());
    // SAFETY: the caller promises so many bytes; the structure has no padding.
    unsafe {
        core::ptr::copy_nonoverlapping((&raw const known).cast::<u8>(), out.cast::<u8>(), common);
        out.cast::<u8>().add(common).write_bytes(0, size - common);
    }
}

/// The size that the caller's structure names.
///
/// # Safety
/// `out` must be NULL or point to a structure of the size that its first field names.
unsafe fn size_of_status(out: *mut mba_status) -> Result<usize> {
    // SAFETY: the caller's structure has its size at least, at its beginning.
    let size = unsafe { target(out)?.cast::<u32>().read_unaligned() } as usize;
    if (size_of::<u32>()..=LARGEST).contains(&size) {
        Ok(size)
    } else {
        Err(Error::Invalid(Argument::Structure))
    }
}

/// Reports a file's type, length, size and state. It opens the file for reading and closes it again.
/// It changes no byte, and takes no lock. As with any close, the process then loses its own fcntl(2)
/// locks on this file.
///
/// Errors: those of open(2); `EISDIR` for a directory, `ENODEV` for what else is no regular file;
/// `MBA_ECORRUPT` if the file's footer contradicts the file; `EINVAL` for NULL, and for a size under
/// 4 or over 65536.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_info(path: *const c_char, out: *mut mba_status) -> c_int {
    run(|| {
        // SAFETY: the caller passes NULL or a structure of the size that it names.
        unsafe {
            let size = size_of_status(out)?;
            put(&info_c(string(path)?)?, out, size);
        }
        Ok(())
    })
}

/// As `mba_info`, for the file or memory behind a handle: as it is now, whatever length the handle
/// knows.
///
/// Errors: `MBA_ECORRUPT`; those of fstat(2); `EINVAL` for NULL, and for a size under 4 or over
/// 65536.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_array_info(array: *const mba_array, out: *mut mba_status) -> c_int {
    with(array, |array| {
        // SAFETY: the caller passes NULL or a structure of the size that it names.
        unsafe {
            let size = size_of_status(out)?;
            put(&array.info()?, out, size);
        }
        Ok(())
    })
}

/// Tidies a file that a process has left without closing it: gives its spare room back. If others
/// have the file open, it gives back what they can't have seen, and returns `MBA_OK`; call it again
/// when they have closed. If the file has a footer, that must name `type`; a `type` of 0 allows any.
/// A file without a footer has nothing to give back.
///
/// `flags`: 0 or `MBA_TIDY_FORCE`, which also makes a file whose footer is unsound usable again: its
/// length is then the footer's if that fits, else all that lies before the footer, spare room too.
/// Make a copy first. As with any close, the process then loses its own fcntl(2) locks on this file.
///
/// Errors: those of open(2); `EISDIR`, `ENODEV`; `MBA_ELOCKED` if a handle holds the growth lock, or
/// with `MBA_TIDY_FORCE` if others have a file open whose footer is unsound; `MBA_ETYPE`;
/// `MBA_ECORRUPT` without `MBA_TIDY_FORCE`; those of ftruncate(2); `EINVAL` for NULL and unknown
/// flags.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_tidy(path: *const c_char, r#type: mba_type, flags: u32) -> c_int {
    run(|| {
        let path = string(path)?;
        let ty = if r#type == 0 { None } else { Some(Type::from_code(r#type)?) };
        if flags & !MBA_TIDY_FORCE != 0 {
            return Err(Error::Invalid(Argument::Flag));
        }
        tidy_c(path, ty, flags & MBA_TIDY_FORCE != 0)
    })
}
