//! Calls that the other tests of this kind have no use for: looks at a file from outside, and appends without a call.

use std::ffi::CStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::Release};

use mmap_backed_array::Type;
use mmap_backed_array::capi::*;

use crate::helpers::raw::{Code, Raw, code};

/// What the library says of a file, in words.
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

fn status(ask: impl FnOnce(*mut mba_status) -> i32) -> Code<Status> {
    // SAFETY: all zeros are a status.
    let mut out: mba_status = unsafe { std::mem::zeroed() };
    out.size = size_of::<mba_status>() as u32;
    code(ask(&raw mut out))?;
    Ok(Status {
        ty: out.r#type as u64,
        itemsize: out.itemsize,
        len: out.len,
        file_size: out.file_size,
        offset: out.offset,
        epoch: out.epoch,
        holder: out.holder,
        has_footer: out.has_footer.into(),
        is_locked: out.is_locked.into(),
        is_shared: out.is_shared.into(),
    })
}

pub fn epoch(raw: &Raw) -> u64 {
    // SAFETY: the handle exists.
    unsafe { mba_epoch(raw.as_ptr()) }
}

pub fn is_replaced(raw: &Raw) -> Code<bool> {
    let mut replaced = -1;
    // SAFETY: the handle exists; there is a place for the answer.
    code(unsafe { mba_is_replaced(raw.as_ptr(), &raw mut replaced) })?;
    assert!(matches!(replaced, 0 | 1));
    Ok(replaced == 1)
}

pub fn status_of_array(raw: &Raw) -> Code<Status> {
    // SAFETY: the handle exists; the structure has the size that it names.
    status(|out| unsafe { mba_array_info(raw.as_ptr(), out) })
}

pub fn status_of_path(path: &CStr) -> Code<Status> {
    // SAFETY: a C string; the structure has the size that it names.
    status(|out| unsafe { mba_info(path.as_ptr(), out) })
}

pub fn tidy(path: &Path, ty: Type, flags: u32) -> Code<()> {
    let path = std::ffi::CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: a C string.
    code(unsafe { mba_tidy(path.as_ptr(), ty.code(), flags) })
}

/// `mba_head_push` of the header: appends an element if there is room; else nothing has changed.
pub fn push_inline(raw: &Raw, value: &[u8]) -> bool {
    // SAFETY: every handle begins with a head, which this thread may change by what the header says of it; below `room` there is memory to store in and a
    // word to publish in.
    unsafe {
        let head = raw.as_ptr().cast::<mba_head>();
        let len = (*head).len;
        if len >= (*(*head).room.cast::<AtomicU64>()).load(Relaxed) {
            return false;
        }
        let place = (*head).data.add(len as usize * value.len());
        place.copy_from_nonoverlapping(value.as_ptr(), value.len());
        (*(*head).publish.cast::<AtomicU64>()).store(len + 1, Release);
        (*(&raw mut (*head).len).cast::<AtomicU64>()).store(len + 1, Release);
    }
    true
}
