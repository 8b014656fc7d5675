//! The C functions, called from Rust: values are bytes, failures are numbers.

use std::ffi::CStr;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use mmap_backed_array::Type;
use mmap_backed_array::capi::*;

/// The number of a failure.
pub type Code<T> = Result<T, i32>;

pub fn code(code: i32) -> Code<()> {
    if code == MBA_OK { Ok(()) } else { Err(code) }
}

/// A handle of the C interface.
pub struct Raw {
    array: *mut mba_array,
    size: usize,
}

// What follows passes a handle that exists until it is closed, and buffers whose length suits the count.
impl Raw {
    fn make(ty: Type, f: impl FnOnce(i32, *mut *mut mba_array) -> i32) -> Code<Raw> {
        let mut array = ptr::null_mut();
        code(f(ty.code(), &raw mut array))?;
        Ok(Raw { array, size: ty.size() })
    }

    pub fn open(path: &Path, ty: Type, flags: u32) -> Code<Raw> {
        Raw::open_c(&std::ffi::CString::new(path.as_os_str().as_bytes()).unwrap(), ty, flags)
    }

    /// As [`Raw::open`], without an allocation of its own.
    pub fn open_c(path: &CStr, ty: Type, flags: u32) -> Code<Raw> {
        // SAFETY: a C string, and a place for the handle.
        Raw::make(ty, |ty, out| unsafe { mba_open(path.as_ptr(), ty, flags, out) })
    }

    pub fn open_with(path: &CStr, ty: Type, flags: u32, options: &mba_options) -> Code<Raw> {
        // SAFETY: a C string, options of the size that they name, and a place for the handle.
        Raw::make(ty, |ty, out| unsafe { mba_open_with(path.as_ptr(), ty, flags, options, out) })
    }

    pub fn open_reserving(path: &Path, ty: Type, flags: u32, reservation: u64) -> Code<Raw> {
        let path = std::ffi::CString::new(path.as_os_str().as_bytes()).unwrap();
        let size = size_of::<mba_options>() as u32;
        Raw::open_with(&path, ty, flags, &mba_options { size, mode: 0, reservation })
    }

    pub fn anonymous(ty: Type) -> Code<Raw> {
        // SAFETY: a place for the handle.
        Raw::make(ty, |ty, out| unsafe { mba_anon(ty, out) })
    }

    pub fn shared(name: &CStr, ty: Type, flags: u32) -> Code<Raw> {
        // SAFETY: a C string, and a place for the handle.
        Raw::make(ty, |ty, out| unsafe { mba_shm_open(name.as_ptr(), ty, flags, out) })
    }

    pub fn descriptor(fd: RawFd, ty: Type, flags: u32) -> Code<Raw> {
        // SAFETY: a place for the handle.
        Raw::make(ty, |ty, out| unsafe { mba_from_fd(fd, ty, flags, out) })
    }

    /// # Safety
    /// The memory must outlive the handle.
    pub unsafe fn memory(data: *mut u8, bytes: usize, ty: Type, flags: u32) -> Code<Raw> {
        // SAFETY: the caller promises the memory.
        Raw::make(ty, |ty, out| unsafe { mba_from_memory(data.cast(), bytes, ty, flags, out) })
    }

    /// Puts the file of a path in order; of any elements without a type.
    pub fn tidy(path: &Path, ty: Option<Type>, flags: u32) -> Code<()> {
        let path = std::ffi::CString::new(path.as_os_str().as_bytes()).unwrap();
        // SAFETY: a C string.
        code(unsafe { mba_tidy(path.as_ptr(), ty.map_or(0, Type::code), flags) })
    }

    /// What a path's file says of itself.
    pub fn info(path: &Path) -> Code<mba_status> {
        let path = std::ffi::CString::new(path.as_os_str().as_bytes()).unwrap();
        // SAFETY: a structure of numbers, which may all be zero.
        let mut status: mba_status = unsafe { std::mem::zeroed() };
        status.size = size_of::<mba_status>() as u32;
        // SAFETY: a C string, and a structure of the size that it names.
        code(unsafe { mba_info(path.as_ptr(), &raw mut status) }).map(|()| status)
    }

    pub fn epoch(&self) -> u64 {
        // SAFETY: the handle exists.
        unsafe { mba_epoch(self.array) }
    }

    /// The handle itself, for arguments that the safe calls don't make.
    pub fn as_ptr(&self) -> *mut mba_array {
        self.array
    }

    fn count(&self, values: &[u8]) -> usize {
        assert!(values.len().is_multiple_of(self.size), "whole elements");
        values.len() / self.size
    }

    fn one(&self, f: impl FnOnce(*mut u8) -> i32) -> Code<Vec<u8>> {
        let mut value = vec![0; self.size];
        code(f(value.as_mut_ptr())).map(|()| value)
    }

    pub fn close(self) -> Code<()> {
        let this = std::mem::ManuallyDrop::new(self);
        // SAFETY: the handle exists, and ends here.
        code(unsafe { mba_close(this.array) })
    }

    pub fn len(&self) -> usize {
        // SAFETY: the handle exists.
        unsafe { mba_len(self.array) }
    }

    pub fn capacity(&self) -> usize {
        // SAFETY: the handle exists.
        unsafe { mba_capacity(self.array) }
    }

    pub fn reserved(&self) -> usize {
        // SAFETY: the handle exists.
        unsafe { mba_reserved(self.array) }
    }

    pub fn data(&self) -> *mut u8 {
        // SAFETY: the handle exists.
        unsafe { mba_data_ptr(self.array) }.cast()
    }

    pub fn fd(&self) -> RawFd {
        // SAFETY: the handle exists.
        unsafe { mba_fd(self.array) }
    }

    pub fn has_lock(&self) -> bool {
        // SAFETY: the handle exists.
        unsafe { mba_has_lock(self.array) == 1 }
    }

    pub fn append(&self, value: &[u8]) -> Code<()> {
        assert_eq!(self.count(value), 1);
        // SAFETY: the handle exists; the slice is an element.
        code(unsafe { mba_append(self.array, value.as_ptr().cast()) })
    }

    pub fn pop(&self) -> Code<Vec<u8>> {
        // SAFETY: the handle exists; the buffer has room for an element.
        self.one(|out| unsafe { mba_pop(self.array, out.cast()) })
    }

    /// Pops to a buffer of the caller's, which is exactly an element.
    pub fn pop_to(&self, out: &mut [u8]) -> Code<()> {
        assert_eq!(self.count(out), 1);
        // SAFETY: the handle exists; the buffer has room for an element.
        code(unsafe { mba_pop(self.array, out.as_mut_ptr().cast()) })
    }

    /// Removes to a buffer of the caller's, which is exactly an element.
    pub fn remove_to(&self, index: usize, out: &mut [u8]) -> Code<()> {
        assert_eq!(self.count(out), 1);
        // SAFETY: the handle exists; the buffer has room for an element.
        code(unsafe { mba_remove(self.array, index, out.as_mut_ptr().cast()) })
    }

    pub fn get(&self, index: usize) -> Code<Vec<u8>> {
        // SAFETY: the handle exists; the buffer has room for an element.
        self.one(|out| unsafe { mba_get(self.array, index, out.cast()) })
    }

    pub fn set(&self, index: usize, value: &[u8]) -> Code<()> {
        assert_eq!(self.count(value), 1);
        // SAFETY: the handle exists; the slice is an element.
        code(unsafe { mba_set(self.array, index, value.as_ptr().cast()) })
    }

    pub fn insert(&self, index: usize, value: &[u8]) -> Code<()> {
        assert_eq!(self.count(value), 1);
        // SAFETY: the handle exists; the slice is an element.
        code(unsafe { mba_insert(self.array, index, value.as_ptr().cast()) })
    }

    pub fn remove(&self, index: usize) -> Code<Vec<u8>> {
        // SAFETY: the handle exists; the buffer has room for an element.
        self.one(|out| unsafe { mba_remove(self.array, index, out.cast()) })
    }

    pub fn extend(&self, values: &[u8]) -> Code<()> {
        // SAFETY: the handle exists; the slice has so many elements.
        code(unsafe { mba_extend(self.array, values.as_ptr().cast(), self.count(values)) })
    }

    pub fn read(&self, start: usize, count: usize) -> Code<Vec<u8>> {
        let mut values = vec![0; count * self.size];
        // SAFETY: the handle exists; the buffer has room for so many elements.
        code(unsafe { mba_read(self.array, start, count, values.as_mut_ptr().cast()) }).map(|()| values)
    }

    pub fn write(&self, start: usize, values: &[u8]) -> Code<()> {
        // SAFETY: the handle exists; the slice has so many elements.
        code(unsafe { mba_write(self.array, start, values.as_ptr().cast(), self.count(values)) })
    }

    pub fn splice(&self, start: usize, removed: usize, values: &[u8]) -> Code<()> {
        // SAFETY: the handle exists; the slice has so many elements.
        code(unsafe { mba_splice(self.array, start, removed, values.as_ptr().cast(), self.count(values)) })
    }

    pub fn fill(&self, start: usize, count: usize, value: &[u8]) -> Code<()> {
        assert_eq!(self.count(value), 1);
        // SAFETY: the handle exists; the slice is an element.
        code(unsafe { mba_fill(self.array, start, count, value.as_ptr().cast()) })
    }

    pub fn find(&self, value: &[u8], start: usize, stop: usize) -> Code<usize> {
        assert_eq!(self.count(value), 1);
        let mut index = 0;
        // SAFETY: the handle exists; the slice is an element.
        code(unsafe { mba_find(self.array, value.as_ptr().cast(), start, stop, &raw mut index) })?;
        Ok(index)
    }

    pub fn count_of(&self, value: &[u8]) -> Code<usize> {
        assert_eq!(self.count(value), 1);
        let mut count = 0;
        // SAFETY: the handle exists; the slice is an element.
        code(unsafe { mba_count(self.array, value.as_ptr().cast(), &raw mut count) })?;
        Ok(count)
    }

    pub fn compare(&self, other: &Raw) -> Code<i32> {
        let mut order = 0;
        // SAFETY: both handles exist.
        code(unsafe { mba_compare(self.array, other.array, &raw mut order) })?;
        Ok(order)
    }

    pub fn equal(&self, other: &Raw) -> Code<bool> {
        let mut equal = 0;
        // SAFETY: both handles exist.
        code(unsafe { mba_equal(self.array, other.array, &raw mut equal) })?;
        Ok(equal == 1)
    }

    /// Where element `at` lies, for values that are the array's own.
    fn own(&self, at: usize) -> *const std::ffi::c_void {
        self.data().wrapping_add(at * self.size).cast()
    }

    pub fn extend_from_itself(&self, from: usize, count: usize) -> Code<()> {
        assert!(from + count <= self.len());
        // SAFETY: the handle exists, and has so many elements there.
        code(unsafe { mba_extend(self.array, self.own(from), count) })
    }

    pub fn write_from_itself(&self, start: usize, from: usize, count: usize) -> Code<()> {
        assert!(from + count <= self.len());
        // SAFETY: the handle exists, and has so many elements there.
        code(unsafe { mba_write(self.array, start, self.own(from), count) })
    }

    pub fn splice_from_itself(&self, start: usize, removed: usize, from: usize, count: usize) -> Code<()> {
        assert!(from + count <= self.len());
        // SAFETY: the handle exists, and has so many elements there.
        code(unsafe { mba_splice(self.array, start, removed, self.own(from), count) })
    }

    pub fn insert_from_itself(&self, index: usize, from: usize) -> Code<()> {
        assert!(from < self.len());
        // SAFETY: the handle exists, and has an element there.
        code(unsafe { mba_insert(self.array, index, self.own(from)) })
    }

    /// Inserts an element of another handle, by its address there.
    pub fn insert_from_other(&self, index: usize, other: &Raw, from: usize) -> Code<()> {
        assert!(from < other.len());
        // SAFETY: both handles exist, and the other one has an element there.
        code(unsafe { mba_insert(self.array, index, other.own(from)) })
    }

    pub fn fill_from_itself(&self, start: usize, count: usize, from: usize) -> Code<()> {
        assert!(from < self.len());
        // SAFETY: the handle exists, and has an element there.
        code(unsafe { mba_fill(self.array, start, count, self.own(from)) })
    }
}

macro_rules! plain_calls {
    ($($name:ident = $function:ident($($argument:ident: $type:ty),*);)*) => {
        impl Raw {
            $(pub fn $name(&self, $($argument: $type),*) -> Code<()> {
                // SAFETY: the handle exists.
                code(unsafe { $function(self.array, $($argument),*) })
            })*
        }
    };
}

plain_calls! {
    resize = mba_resize(len: usize);
    clear = mba_clear();
    reserve = mba_reserve(capacity: usize);
    shrink_to_fit = mba_shrink_to_fit();
    commit = mba_commit(len: usize);
    swap = mba_swap(i: usize, j: usize);
    reverse = mba_reverse();
    byteswap = mba_byteswap();
    flush = mba_flush();
    refresh = mba_refresh();
    lock = mba_lock(timeout_ms: i32);
    unlock = mba_unlock();
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: the handle exists, and ends here.
        unsafe { mba_free(self.array) };
    }
}
