//! The array: elements whose type is known at run time, and their length.

use core::ffi::CStr;
use core::ptr::NonNull;
use std::ffi::CString;
use std::fmt;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::element::{self, Type};
use crate::error::{Error, Result};
use crate::ops::{self, Order, Span};
use crate::options::{MBA_RDWR, OpenOptions};
use crate::storage::{Advise, Pace, Shape, Storage, Wait};

/// The largest element.
const LARGEST: usize = 16;

/// A handle on a typed array in mapped memory, whose element type is known at run time.
///
/// Values travel as bytes in the machine's order, [`Type::size`] for each element. Where the type is known
/// when the program is written, [`MmapArray`](crate::MmapArray) is the better face.
///
/// Like a `File`, a handle is used through `&self`, and from one thread at a time: it is `Send` and not
/// `Sync`.
#[repr(transparent)]
pub struct Array(NonNull<Storage>);

// SAFETY: the storage belongs to this handle, and may move to another thread together with it.
unsafe impl Send for Array {}

// Making and ending a handle.
impl Array {
    /// Opens a file. See [`OpenOptions`] for what can be asked.
    ///
    /// # Errors
    /// Those of `open(2)`; `EISDIR` and `ENODEV` for what is no regular file; [`Error::Type`] and
    /// [`Error::Corrupt`] if the file's tail record says so; [`Error::Limit`] if the file doesn't fit the
    /// reservation asked for; `ENOMEM` if there is no address space for it.
    pub fn open(path: impl AsRef<Path>, ty: Type, options: &OpenOptions) -> Result<Array> {
        let path = CString::new(path.as_ref().as_os_str().as_bytes()).map_err(|_| Error::INVALID)?;
        Array::open_c(&path, ty, options)
    }

    pub(crate) fn open_c(path: &CStr, ty: Type, options: &OpenOptions) -> Result<Array> {
        Storage::open(path, options, shape(ty)).map(Array::from_storage)
    }

    /// Makes anonymous shared memory, which forked children inherit and [`Array::fd`] hands to others.
    ///
    /// # Errors
    /// Those of `memfd_create(2)`; `ENOMEM` if there is no address space.
    pub fn anonymous(ty: Type) -> Result<Array> {
        Storage::anonymous(&OpenOptions::new(), shape(ty)).map(Array::from_storage)
    }

    /// Opens named shared memory (`shm_open(3)`), which lasts until [`Array::shm_unlink`] or a restart.
    ///
    /// # Errors
    /// As for [`Array::open`].
    pub fn shm_open(name: &CStr, ty: Type, options: &OpenOptions) -> Result<Array> {
        Storage::open_shared(name, options, shape(ty)).map(Array::from_storage)
    }

    /// Removes a name of shared memory. Handles that are open keep the memory.
    ///
    /// # Errors
    /// Those of `shm_unlink(3)`.
    pub fn shm_unlink(name: &CStr) -> Result<()> {
        crate::storage::unlink_shared(name)
    }

    /// Opens the file behind a descriptor, which stays the caller's.
    ///
    /// # Errors
    /// `EACCES` if the descriptor doesn't allow what is asked; else as for [`Array::open`].
    pub fn from_fd(fd: BorrowedFd<'_>, ty: Type, options: &OpenOptions) -> Result<Array> {
        Array::from_raw_fd(fd.as_raw_fd(), ty, options)
    }

    pub(crate) fn from_raw_fd(fd: RawFd, ty: Type, options: &OpenOptions) -> Result<Array> {
        Storage::from_fd(fd, options, shape(ty)).map(Array::from_storage)
    }

    /// Views the caller's memory as an array of fixed length.
    ///
    /// # Safety
    /// `data` must be valid for reads of `nbytes` bytes as long as the handle exists, and for writes too if
    /// the options say so.
    ///
    /// # Errors
    /// `EINVAL` if `data` isn't aligned for the type, if `nbytes` is no multiple of its size, or for options
    /// other than reading and writing.
    pub unsafe fn from_memory(
        data: *mut u8,
        nbytes: usize,
        ty: Type,
        options: &OpenOptions,
    ) -> Result<Array> {
        options.check(MBA_RDWR)?;
        if !data.addr().is_multiple_of(ty.part_size())
            || !nbytes.is_multiple_of(ty.size())
            || nbytes > isize::MAX as usize
        {
            return Err(Error::INVALID);
        }
        // SAFETY: the caller promises the memory; its alignment was checked.
        unsafe { Storage::from_memory(data, nbytes / ty.size(), !options.has(MBA_RDWR), shape(ty)) }
            .map(Array::from_storage)
    }

    fn from_storage(storage: Box<Storage>) -> Array {
        // SAFETY: a box is never null.
        Array(unsafe { NonNull::new_unchecked(Box::into_raw(storage)) })
    }

    /// The handle as a pointer, for the C interface.
    pub(crate) fn into_raw(self) -> *mut Storage {
        ManuallyDrop::new(self).0.as_ptr()
    }

    /// The handle behind a pointer that [`Array::into_raw`] has given.
    ///
    /// # Safety
    /// The pointer must be one of `into_raw`, not yet closed; at most one of the handles may be dropped.
    pub(crate) unsafe fn from_raw(raw: NonNull<Storage>) -> Array {
        Array(raw)
    }

    /// Releases the handle, and tells what dropping it keeps to itself: whether giving the file's spare room
    /// back failed. The handle is released all the same.
    ///
    /// # Errors
    /// Those of `ftruncate(2)`; [`Error::Truncated`] and [`Error::Corrupt`] if someone else has changed the
    /// file's size.
    pub fn close(self) -> Result<()> {
        let result = self.storage().trim_at_close();
        let this = ManuallyDrop::new(self);
        // SAFETY: the pointer came from a box, and `this` won't be dropped.
        drop(unsafe { Box::from_raw(this.0.as_ptr()) });
        result
    }

    #[inline(always)]
    pub(crate) fn storage(&self) -> &Storage {
        // SAFETY: the storage exists as long as the handle.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Array {
    fn drop(&mut self) {
        let _ = self.storage().trim_at_close();
        // SAFETY: the pointer came from a box, and nobody uses the handle any more.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

fn shape(ty: Type) -> Shape {
    Shape { itemsize: ty.size(), kind: ty.kind() as u32, tag: ty.code(), offset: 0 }
}

// What a handle knows.
impl Array {
    /// The element type.
    pub fn ty(&self) -> Type {
        Type::from_code(self.storage().shape().tag).expect("a handle's type is in the table")
    }

    /// The number of elements, as this handle knows it; [`Array::refresh`] takes up what others have done.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.storage().len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many elements fit before the file must grow.
    pub fn capacity(&self) -> usize {
        self.storage().capacity()
    }

    /// The most elements that the array can come to have through this handle.
    pub fn reserved(&self) -> usize {
        self.storage().reserved()
    }

    /// Bytes in an element.
    #[inline(always)]
    pub fn itemsize(&self) -> usize {
        self.storage().shape().itemsize
    }

    /// Whether elements can't be set through this handle.
    pub fn is_readonly(&self) -> bool {
        !self.storage().can_write()
    }

    /// The address of element 0, which stays the same until the handle is closed. What it points to may
    /// change at any time; read it through raw pointers or atomics.
    #[inline(always)]
    pub fn as_ptr(&self) -> *mut u8 {
        self.storage().data()
    }

    /// A descriptor of the array's memory to hand to other processes; it is the handle's, which closes it.
    /// `None` for the caller's memory, and if the file can't be opened once more.
    pub fn fd(&self) -> Option<RawFd> {
        self.storage().fd()
    }

    pub(crate) fn span(&self) -> Span {
        Span { data: self.as_ptr(), len: self.len(), ty: self.ty() }
    }
}

// Elements, by pointers.
impl Array {
    /// # Safety
    /// `value` must be valid for reads of an element.
    #[inline(always)]
    pub(crate) unsafe fn append_from(&self, value: *const u8) -> Result<()> {
        let storage = self.storage();
        let len = storage.len();
        if len < storage.room() {
            // SAFETY: below `room` there is memory to store in, and a record to publish in; the caller
            // promises the value.
            unsafe {
                element::store(storage.element(len), value, storage.shape().itemsize);
                storage.publish(len + 1);
            }
            return Ok(());
        }
        // SAFETY: the caller promises the value.
        unsafe { self.append_slowly(value) }
    }

    #[cold]
    #[inline(never)]
    unsafe fn append_slowly(&self, value: *const u8) -> Result<()> {
        let storage = self.storage();
        storage.lock(Wait::No)?;
        // SAFETY: the caller promises the value.
        if unsafe { storage.append_exact(value)? } {
            return Ok(());
        }
        let len = storage.len();
        storage.ensure(len.checked_add(1).ok_or(Error::Limit)?, Pace::Amortized)?;
        // SAFETY: there is room for one more now, and a record; the caller promises the value.
        unsafe {
            element::store(storage.element(len), value, storage.shape().itemsize);
            storage.publish(len + 1);
        }
        storage.settle();
        Ok(())
    }

    /// # Safety
    /// `out` must be valid for writes of an element.
    #[inline(always)]
    pub(crate) unsafe fn get_to(&self, index: usize, out: *mut u8) -> Result<()> {
        let storage = self.storage();
        if index >= storage.len() {
            return Err(Error::Index);
        }
        // SAFETY: there is an element at `index`; the caller promises `out`.
        unsafe { element::load(out, storage.element(index), storage.shape().itemsize) };
        Ok(())
    }

    /// # Safety
    /// `value` must be valid for reads of an element.
    #[inline(always)]
    pub(crate) unsafe fn set_from(&self, index: usize, value: *const u8) -> Result<()> {
        let storage = self.storage();
        if !storage.can_write() {
            return Err(Error::ReadOnly);
        }
        if index >= storage.len() {
            return Err(Error::Index);
        }
        // SAFETY: there is an element at `index`, and it may be written; the caller promises the value.
        unsafe { element::store(storage.element(index), value, storage.shape().itemsize) };
        Ok(())
    }

    /// # Safety
    /// `out` must be null or valid for writes of an element.
    #[inline(always)]
    pub(crate) unsafe fn pop_to(&self, out: *mut u8) -> Result<()> {
        let storage = self.storage();
        let len = storage.len();
        if storage.room() == 0 || len == 0 {
            // SAFETY: the caller promises `out` if it isn't null.
            return unsafe { self.pop_slowly(out) };
        }
        // SAFETY: there is an element at the end, and a record to publish in; the caller promises `out` if it
        // isn't null.
        unsafe {
            if !out.is_null() {
                element::load(out, storage.element(len - 1), storage.shape().itemsize);
            }
            storage.publish(len - 1);
        }
        Ok(())
    }

    #[cold]
    #[inline(never)]
    unsafe fn pop_slowly(&self, out: *mut u8) -> Result<()> {
        let storage = self.storage();
        storage.lock(Wait::No)?;
        let last = storage.len().checked_sub(1).ok_or(Error::Empty)?;
        let mut value = [0; LARGEST];
        // SAFETY: there is an element at `last`, and `value` has room for the largest.
        unsafe { element::load(value.as_mut_ptr(), storage.element(last), storage.shape().itemsize) };
        storage.shorten(last)?;
        // SAFETY: the caller promises `out` if it isn't null.
        unsafe { self.hand_out(&value, out) };
        Ok(())
    }

    /// # Safety
    /// `out` must be null or valid for writes of an element.
    unsafe fn hand_out(&self, value: &[u8; LARGEST], out: *mut u8) {
        if !out.is_null() {
            // SAFETY: the caller promises `out`; an element isn't larger than `value`.
            unsafe { core::ptr::copy_nonoverlapping(value.as_ptr(), out, self.itemsize()) };
        }
    }

    /// # Safety
    /// `values` must be valid for reads of `count` elements; it may point into the array.
    pub(crate) unsafe fn extend_from(&self, values: *const u8, count: usize) -> Result<()> {
        let storage = self.storage();
        if count == 0 {
            return storage.check_growable();
        }
        if storage.room() == 0 {
            storage.lock(Wait::No)?;
        }
        let len = storage.len();
        let new = len.checked_add(count).ok_or(Error::Limit)?;
        if new > storage.room() {
            storage.ensure(new, Pace::Amortized)?;
        }
        // SAFETY: there is room up to `new`, and a record; the caller promises the values.
        unsafe {
            core::ptr::copy(values, storage.element(len), count * storage.shape().itemsize);
            storage.publish(new);
        }
        storage.settle();
        Ok(())
    }

    /// # Safety
    /// `out` must be valid for writes of `count` elements.
    pub(crate) unsafe fn read_to(&self, start: usize, count: usize, out: *mut u8) -> Result<()> {
        self.check_range(start, count)?;
        if count > 0 {
            // SAFETY: the range lies within the array; the caller promises `out`.
            unsafe { core::ptr::copy(self.storage().element(start), out, count * self.itemsize()) };
        }
        Ok(())
    }

    /// # Safety
    /// `values` must be valid for reads of `count` elements; it may point into the array.
    pub(crate) unsafe fn write_from(&self, start: usize, values: *const u8, count: usize) -> Result<()> {
        self.check_writable()?;
        self.check_range(start, count)?;
        if count > 0 {
            // SAFETY: the range lies within the array, which may be written; the caller promises the values.
            unsafe { core::ptr::copy(values, self.storage().element(start), count * self.itemsize()) };
        }
        Ok(())
    }

    /// # Safety
    /// `values` must be valid for reads of `count` elements; it may point into the array.
    pub(crate) unsafe fn splice_from(
        &self,
        start: usize,
        removed: usize,
        values: *const u8,
        count: usize,
    ) -> Result<()> {
        if removed == count {
            // SAFETY: the caller promises the values.
            return unsafe { self.write_from(start, values, count) };
        }
        let storage = self.storage();
        storage.lock(Wait::No)?;
        self.check_range(start, removed)?;
        let len = storage.len();
        let new =
            (len - removed).checked_add(count).filter(|new| *new <= self.reserved()).ok_or(Error::Limit)?;
        if new > len {
            storage.ensure(new, Pace::Amortized)?;
        } else {
            storage.prepare_to_shorten()?;
        }
        let itemsize = self.itemsize();
        let mut copy = Vec::new();
        let values = if count > 0 && self.overlaps(values, count * itemsize) {
            // The elements that the values are may be about to move.
            copy.try_reserve_exact(count * itemsize).map_err(|_| Error::NO_MEMORY)?;
            // SAFETY: the caller promises the values, and the copy has room for them.
            unsafe { core::ptr::copy_nonoverlapping(values, copy.as_mut_ptr(), count * itemsize) };
            copy.as_ptr()
        } else {
            values
        };
        // SAFETY: old and new place of the elements behind the range lie within the room for the longer of
        // both lengths; so does the range itself; the values don't overlap the array.
        unsafe {
            let rest = (len - start - removed) * itemsize;
            core::ptr::copy(storage.element(start + removed), storage.element(start + count), rest);
            if count > 0 {
                core::ptr::copy_nonoverlapping(values, storage.element(start), count * itemsize);
            }
        }
        if new < len {
            return storage.shorten(new);
        }
        // SAFETY: there is room up to `new`, and a record.
        unsafe { storage.publish(new) };
        storage.settle();
        Ok(())
    }

    /// # Safety
    /// `value` must be valid for reads of an element; it may point into the array.
    pub(crate) unsafe fn insert_from(&self, index: usize, value: *const u8) -> Result<()> {
        // SAFETY: the caller promises the value.
        unsafe { self.splice_from(index, 0, value, 1) }
    }

    /// # Safety
    /// `out` must be null or valid for writes of an element.
    pub(crate) unsafe fn remove_to(&self, index: usize, out: *mut u8) -> Result<()> {
        let storage = self.storage();
        storage.lock(Wait::No)?;
        let mut value = [0; LARGEST];
        // SAFETY: `value` has room for the largest element.
        unsafe { self.get_to(index, value.as_mut_ptr()) }?;
        // SAFETY: no values are passed.
        unsafe { self.splice_from(index, 1, core::ptr::null(), 0) }?;
        // SAFETY: the caller promises `out` if it isn't null.
        unsafe { self.hand_out(&value, out) };
        Ok(())
    }

    /// # Safety
    /// `value` must be valid for reads of an element.
    pub(crate) unsafe fn fill_from(&self, start: usize, count: usize, value: *const u8) -> Result<()> {
        self.check_writable()?;
        self.check_range(start, count)?;
        let span = Span { data: self.storage().element(start), len: count, ty: self.ty() };
        let mut own = [0; LARGEST];
        // SAFETY: the range lies within the array, which may be written; the caller promises the value,
        // which is copied first, since it may lie in the range.
        unsafe {
            core::ptr::copy_nonoverlapping(value, own.as_mut_ptr(), self.itemsize());
            ops::fill(span, own.as_ptr());
        }
        Ok(())
    }

    /// # Safety
    /// `value` must be valid for reads of an element.
    pub(crate) unsafe fn find_from(&self, value: *const u8, start: usize, stop: usize) -> Result<usize> {
        let span = self.span();
        // SAFETY: the range is cut to the array; the caller promises the value.
        unsafe { ops::find(span, value, start, stop.min(span.len)) }.ok_or(Error::NotFound)
    }

    /// # Safety
    /// `value` must be valid for reads of an element.
    pub(crate) unsafe fn count_from(&self, value: *const u8) -> usize {
        // SAFETY: the span is the array; the caller promises the value.
        unsafe { ops::count(self.span(), value) }
    }

    fn check_writable(&self) -> Result<()> {
        if self.storage().can_write() { Ok(()) } else { Err(Error::ReadOnly) }
    }

    fn check_range(&self, start: usize, count: usize) -> Result<()> {
        match start.checked_add(count) {
            Some(end) if end <= self.len() => Ok(()),
            _ => Err(Error::Index),
        }
    }

    /// Whether so many bytes lie where the array is or may come to be.
    fn overlaps(&self, values: *const u8, bytes: usize) -> bool {
        let first = self.as_ptr().addr();
        let end = first + self.reserved() * self.itemsize();
        values.addr() < end && values.addr().saturating_add(bytes) > first
    }
}

// Elements, as bytes.
impl Array {
    /// Appends an element.
    ///
    /// # Errors
    /// `EINVAL` if `value` hasn't the size of an element; what can go wrong about growing:
    /// [`Error::ReadOnly`], [`Error::Fixed`], [`Error::Locked`], [`Error::Limit`], [`Error::Partial`],
    /// [`Error::Type`], [`Error::Corrupt`], [`Error::Truncated`], `ENOSPC`, `EDQUOT`, `EFBIG`, `EIO`.
    pub fn append(&self, value: &[u8]) -> Result<()> {
        self.check_size(value.len())?;
        // SAFETY: the value has the size of an element.
        unsafe { self.append_from(value.as_ptr()) }
    }

    /// Copies the element at `index` to `out`.
    ///
    /// # Errors
    /// `EINVAL` if `out` hasn't the size of an element; [`Error::Index`].
    pub fn get(&self, index: usize, out: &mut [u8]) -> Result<()> {
        self.check_size(out.len())?;
        // SAFETY: `out` has the size of an element.
        unsafe { self.get_to(index, out.as_mut_ptr()) }
    }

    /// Replaces the element at `index`.
    ///
    /// # Errors
    /// `EINVAL` if `value` hasn't the size of an element; [`Error::ReadOnly`], [`Error::Index`].
    pub fn set(&self, index: usize, value: &[u8]) -> Result<()> {
        self.check_size(value.len())?;
        // SAFETY: the value has the size of an element.
        unsafe { self.set_from(index, value.as_ptr()) }
    }

    /// Appends the elements in `values`.
    ///
    /// # Errors
    /// `EINVAL` if the bytes end inside an element; else as for [`Array::append`].
    pub fn extend(&self, values: &[u8]) -> Result<()> {
        let count = self.count_in(values.len())?;
        // SAFETY: the slice holds so many elements.
        unsafe { self.extend_from(values.as_ptr(), count) }
    }

    /// Copies elements from `start` on to `out`.
    ///
    /// # Errors
    /// `EINVAL` if `out` ends inside an element; [`Error::Index`].
    pub fn read(&self, start: usize, out: &mut [u8]) -> Result<()> {
        let count = self.count_in(out.len())?;
        // SAFETY: the slice holds so many elements.
        unsafe { self.read_to(start, count, out.as_mut_ptr()) }
    }

    /// Replaces elements from `start` on.
    ///
    /// # Errors
    /// `EINVAL` if `values` ends inside an element; [`Error::ReadOnly`], [`Error::Index`].
    pub fn write(&self, start: usize, values: &[u8]) -> Result<()> {
        let count = self.count_in(values.len())?;
        // SAFETY: the slice holds so many elements.
        unsafe { self.write_from(start, values.as_ptr(), count) }
    }

    /// Replaces `removed` elements from `start` on by those in `values`, however many they are.
    ///
    /// # Errors
    /// `EINVAL` if `values` ends inside an element; [`Error::Index`]; else as for [`Array::append`].
    pub fn splice(&self, start: usize, removed: usize, values: &[u8]) -> Result<()> {
        let count = self.count_in(values.len())?;
        // SAFETY: the slice holds so many elements.
        unsafe { self.splice_from(start, removed, values.as_ptr(), count) }
    }

    fn check_size(&self, bytes: usize) -> Result<()> {
        if bytes == self.itemsize() { Ok(()) } else { Err(Error::INVALID) }
    }

    fn count_in(&self, bytes: usize) -> Result<usize> {
        if bytes.is_multiple_of(self.itemsize()) { Ok(bytes / self.itemsize()) } else { Err(Error::INVALID) }
    }
}

// The length, and the array as a whole.
impl Array {
    /// Makes the array `len` elements long; new ones are zero.
    ///
    /// # Errors
    /// As for [`Array::append`].
    pub fn resize(&self, len: usize) -> Result<()> {
        let storage = self.storage();
        storage.lock(Wait::No)?;
        let old = storage.len();
        if len == old {
            return Ok(());
        }
        if len < old {
            return storage.shorten(len);
        }
        let zero_from = storage.ensure(len, Pace::Amortized)?;
        let itemsize = self.itemsize() as u64;
        let (start, end) = (old as u64 * itemsize, len as u64 * itemsize);
        let zero_from = zero_from.saturating_sub(storage.shape().offset);
        let dirty = end.min(zero_from).saturating_sub(start);
        // SAFETY: there is room up to `len`, and a record; what lies beyond `zero_from` is zero already.
        unsafe {
            storage.element(old).write_bytes(0, dirty as usize);
            storage.publish(len);
        }
        storage.settle();
        Ok(())
    }

    /// Makes the array empty.
    ///
    /// # Errors
    /// As for [`Array::append`].
    pub fn clear(&self) -> Result<()> {
        self.resize(0)
    }

    /// Makes room for `capacity` elements in all, so that appends up to there can't fail. In an exact file it
    /// only tells whether the reservation is large enough.
    ///
    /// # Errors
    /// As for [`Array::append`].
    pub fn reserve(&self, capacity: usize) -> Result<()> {
        self.storage().reserve(capacity)
    }

    /// Gives spare room back: the file is then exactly its elements. Anonymous memory gives back memory and
    /// keeps its size.
    ///
    /// # Errors
    /// As for [`Array::append`].
    pub fn shrink_to_fit(&self) -> Result<()> {
        self.storage().shrink_to_fit()
    }

    /// Publishes elements that were stored through the pointer: the length becomes `len`, up to the capacity.
    ///
    /// # Errors
    /// [`Error::Index`] if `len` is less than the length or more than the capacity; else as for
    /// [`Array::append`].
    pub fn commit(&self, len: usize) -> Result<()> {
        let storage = self.storage();
        if storage.room() == 0 {
            storage.lock(Wait::No)?;
        }
        let old = storage.len();
        if len < old || len > storage.capacity() {
            return Err(Error::Index);
        }
        if len > old {
            // SAFETY: a capacity beyond the length means that the file has a record.
            unsafe { storage.publish(len) };
        }
        Ok(())
    }

    /// Turns the order of the elements around.
    ///
    /// # Errors
    /// [`Error::ReadOnly`].
    pub fn reverse(&self) -> Result<()> {
        self.check_writable()?;
        // SAFETY: the span is the array, which may be written.
        unsafe { ops::reverse(self.span()) };
        Ok(())
    }

    /// Turns the bytes of every element around; of both parts of a complex one.
    ///
    /// # Errors
    /// [`Error::ReadOnly`].
    pub fn byteswap(&self) -> Result<()> {
        self.check_writable()?;
        // SAFETY: the span is the array, which may be written.
        unsafe { ops::byteswap(self.span()) };
        Ok(())
    }

    /// The order of the first pair of elements that differs, or of the lengths; `None` if that pair has no
    /// order, as with NaN and complex numbers.
    ///
    /// # Errors
    /// [`Error::Type`] if the elements differ in kind or size.
    pub fn compare(&self, other: &Array) -> Result<Order> {
        self.check_like(other)?;
        // SAFETY: the spans are the arrays, and their types are alike.
        Ok(unsafe { ops::compare(self.span(), other.span()) })
    }

    /// Whether both have the same length and equal elements.
    ///
    /// # Errors
    /// [`Error::Type`] if the elements differ in kind or size.
    pub fn equals(&self, other: &Array) -> Result<bool> {
        self.check_like(other)?;
        // SAFETY: the spans are the arrays, and their types are alike.
        Ok(unsafe { ops::equal(self.span(), other.span()) })
    }

    fn check_like(&self, other: &Array) -> Result<()> {
        if self.ty().is_like(other.ty()) { Ok(()) } else { Err(Error::Type) }
    }

    /// Puts elements and length on the disk.
    ///
    /// # Errors
    /// Those of `msync(2)` and `fsync(2)`; [`Error::Truncated`] and [`Error::Corrupt`] if someone else has
    /// changed the file's size while this handle holds the lock.
    pub fn flush(&self) -> Result<()> {
        self.storage().flush()
    }

    /// Takes up the length that others have published.
    ///
    /// # Errors
    /// [`Error::Limit`] if it lies beyond the reservation (the old length stays), [`Error::Corrupt`],
    /// [`Error::Type`], [`Error::Truncated`], those of `fstat(2)` and `pread(2)`.
    pub fn refresh(&self) -> Result<()> {
        self.storage().refresh()
    }

    /// Takes the growth lock, which is held until [`Array::unlock`] or the end of the handle.
    ///
    /// # Errors
    /// [`Error::Locked`] or `ETIMEDOUT` if another handle has it; else as for [`Array::append`].
    pub fn lock(&self, wait: Wait) -> Result<()> {
        self.storage().lock(wait)
    }

    /// Gives the growth lock back, if this handle has it.
    ///
    /// # Errors
    /// Those of `fcntl(2)`.
    pub fn unlock(&self) -> Result<()> {
        self.storage().unlock()
    }

    /// Whether this handle holds the growth lock.
    pub fn has_lock(&self) -> bool {
        self.storage().has_lock()
    }

    /// Tells the system how a range will be used. No effect on memory whose length is fixed.
    ///
    /// # Errors
    /// [`Error::Index`]; those of `madvise(2)`.
    pub fn advise(&self, start: usize, count: usize, advise: Advise) -> Result<()> {
        self.check_range(start, count)?;
        self.storage().advise(start, count, advise)
    }
}

impl fmt::Debug for Array {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Array")
            .field("type", &self.ty().name())
            .field("len", &self.len())
            .field("data", &self.as_ptr())
            .field("readonly", &self.is_readonly())
            .finish_non_exhaustive()
    }
}
