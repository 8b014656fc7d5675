//! Calls that the other tests have no use for: looks at a file from outside, appends without a call, and forks that
//! no handler hears of.

use std::ffi::CStr;
use std::path::Path;

use mmap_backed_array::Type;

use crate::common::raw::{Code, Raw, code};

/// Until the library has the calls: whether it does.
pub const SECOND_FORM: bool = false;

/// What the library says of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Status {
    pub ty: u64,
    pub itemsize: u64,
    pub len: u64,
    pub file_size: u64,
    pub offset: u64,
    pub epoch: u64,
    pub holder: u64,
    pub has_footer: u64,
    pub is_locked: u64,
    pub is_shared: u64,
}

pub trait NewCalls {
    fn epoch(&self) -> u64;
    fn is_replaced(&self) -> Code<bool>;
    fn status(&self) -> Code<Status>;
}

impl NewCalls for Raw {
    fn epoch(&self) -> u64 {
        0
    }

    fn is_replaced(&self) -> Code<bool> {
        Ok(false)
    }

    fn status(&self) -> Code<Status> {
        Err(libc::ENOSYS)
    }
}

pub fn status_of(_path: &CStr) -> Code<Status> {
    Err(libc::ENOSYS)
}

pub fn tidy(_path: &Path, _ty: Type) -> Code<()> {
    code(libc::ENOSYS)
}

/// The inline function of the header, without the call that it makes where there is no room.
pub fn push_inline(_raw: &Raw, _value: &[u8]) -> bool {
    false
}
