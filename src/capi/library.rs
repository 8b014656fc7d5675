//! What the library says about itself, its types and its codes.

use core::ffi::{c_char, c_int};

use super::mba_type;
use crate::element::Type;
use crate::error;

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

/// The text for any code that a function returns: one of ours, an `errno`, or `MBA_OK`. The string is
/// static, in English, and may be used from any thread. Never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn mba_strerror(code: c_int) -> *const c_char {
    error::text(code).as_ptr()
}

/// Bytes in an element of a type, `MBA_RECORD` among them; 0 for an unknown type.
#[unsafe(no_mangle)]
pub extern "C" fn mba_type_size(r#type: mba_type) -> usize {
    Type::from_code(r#type).map_or(0, Type::size)
}

/// A readable name of a type, such as `"uint32"`, and `"record"` for all `MBA_RECORD`; NULL for an unknown type. The string is static.
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
