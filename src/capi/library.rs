//! What the library says about itself, its types and its codes.

use core::ffi::{c_char, c_int};
use std::ffi::OsStr;
use std::fmt::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{error_of, mba_type, run, string};
use crate::error;
use crate::types::Type;

/// The version of the header: its first number.
pub const MBA_VERSION_MAJOR: u32 = 0;
/// The version of the header: its second number.
pub const MBA_VERSION_MINOR: u32 = 1;
/// The version of the header: its third number.
pub const MBA_VERSION_PATCH: u32 = 0;
/// The version of the header: major << 16 | minor << 8 | patch.
pub const MBA_VERSION: u32 = MBA_VERSION_MAJOR << 16 | MBA_VERSION_MINOR << 8 | MBA_VERSION_PATCH;

/// The version of the library: major << 16 | minor << 8 | patch, to be compared with the
/// `MBA_VERSION` that the program was compiled with.
#[unsafe(no_mangle)]
pub extern "C" fn mba_version() -> u32 {
    MBA_VERSION
}

/// The text for any code that a function returns: one of `MBA_E...`, an `errno`, or `MBA_OK`. The
/// string is static, in English, and may be used from any thread. Never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn mba_strerror(code: c_int) -> *const c_char {
    error::text(code).as_ptr()
}

/// Puts a message for people into `buffer`, ended by NUL and cut to `size` bytes: the path, what has
/// happened, and what the file tells about it, as far as it does. For `MBA_ELOCKED` and `ETIMEDOUT`
/// that is the process that has the growth lock, or that has locked the whole file by fcntl(2); for
/// `MBA_ETYPE` it is the type that the file has. For `EINVAL` the message says what is wrong with the
/// arguments, if the call was the last one of this thread to fail. `path` may be NULL; `mba_path`
/// tells a handle's; for named shared memory it is /dev/shm and the name. `buffer` must not overlap
/// `path`.
///
/// For `MBA_ELOCKED`, `ETIMEDOUT` and `MBA_ETYPE` it opens the file for reading and closes it again:
/// as with any close, the process then loses its own fcntl(2) locks on this file. Never call it in a
/// signal handler.
///
/// Returns `buffer`, or `mba_strerror(code)` if `buffer` is NULL or `size` is 0. It can't fail.
///
/// `fprintf(stderr, "%s\n", mba_error_text(code, path, line, sizeof line));`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mba_error_text(
    code: c_int,
    path: *const c_char,
    buffer: *mut c_char,
    size: usize,
) -> *const c_char {
    let text = error::text(code).as_ptr();
    if buffer.is_null() || size == 0 {
        return text;
    }
    // SAFETY: the caller passes a buffer of so many bytes, which nobody else uses meanwhile.
    unsafe { buffer.write_bytes(0, size) };
    let mut line = Line { at: buffer.cast(), left: size - 1 };
    // A line that is too long is cut: no failure.
    run(|| {
        let error = error_of(code);
        let _ = match string(path) {
            Ok(path) => write!(line, "{}", error.about(Path::new(OsStr::from_bytes(path.to_bytes())))),
            Err(_) => write!(line, "{error}"),
        };
        Ok(())
    });
    buffer
}

/// Where a line is put, and how much of it fits still.
struct Line {
    at: *mut u8,
    left: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut count = text.len().min(self.left);
        while !text.is_char_boundary(count) {
            count -= 1;
        }
        // SAFETY: so many bytes are left of the caller's buffer, which can't be part of the text.
        unsafe { core::ptr::copy_nonoverlapping(text.as_ptr(), self.at, count) };
        self.at = self.at.wrapping_add(count);
        self.left -= count;
        if count == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

/// Bytes in an element of a type, `MBA_RECORD` among them; 0 for an unknown type.
#[unsafe(no_mangle)]
pub extern "C" fn mba_type_size(r#type: mba_type) -> usize {
    Type::from_code(r#type).map_or(0, Type::size)
}

/// A readable name of a type, such as `"uint32"`, and `"record"` for all `MBA_RECORD`; NULL for an
/// unknown type. The string is static.
#[unsafe(no_mangle)]
pub extern "C" fn mba_type_name(r#type: mba_type) -> *const c_char {
    Type::from_code(r#type).map_or(core::ptr::null(), |ty| ty.c_name().as_ptr())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_cargos() {
        let number = |text: &str| text.parse::<u32>().unwrap();
        let version = number(env!("CARGO_PKG_VERSION_MAJOR")) << 16
            | number(env!("CARGO_PKG_VERSION_MINOR")) << 8
            | number(env!("CARGO_PKG_VERSION_PATCH"));
        assert_eq!(mba_version(), version);
    }
}
