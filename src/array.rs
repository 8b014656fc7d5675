//! The array: elements whose type is known at run time, and their length.

mod raw;

use core::ffi::CStr;
use core::ptr::NonNull;
use std::ffi::OsStr;
use std::fmt;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::error::{Argument, Error, Result};
use crate::ops::compare::{self, Order};
use crate::ops::{Span, reorder};
use crate::options::{OpenOptions, WRITE};
use crate::storage::{Advice, GrowthPolicy, Layout, Storage, Wait};
use crate::types::{Kind, Type};

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
    /// [`Error::Corrupt`] if the file's footer says so; [`Error::Limit`] if the file doesn't fit the
    /// reservation asked for; `ENOMEM` if there is no address space for it.
    pub fn open(path: impl AsRef<Path>, ty: Type, options: &OpenOptions) -> Result<Array> {
        with_c_path(path.as_ref(), |path| Array::open_c(path, ty, options))
    }

    pub(crate) fn open_c(path: &CStr, ty: Type, options: &OpenOptions) -> Result<Array> {
        Storage::open(path, options, layout(ty)).map(Array::from_storage)
    }

    /// Makes anonymous shared memory, which forked children inherit and [`Array::fd`] hands to others.
    ///
    /// # Errors
    /// Those of `memfd_create(2)`; `ENOMEM` if there is no address space.
    pub fn anonymous(ty: Type) -> Result<Array> {
        Array::anonymous_with(ty, &OpenOptions::new())
    }

    /// As [`Array::anonymous`]; of the options the reservation counts, and the mode doesn't matter.
    ///
    /// # Errors
    /// As for [`Array::anonymous`]; `ENOMEM` if there is no room for the reservation; `EINVAL` for other options.
    pub fn anonymous_with(ty: Type, options: &OpenOptions) -> Result<Array> {
        Storage::anonymous(options, layout(ty)).map(Array::from_storage)
    }

    /// Opens named shared memory (`shm_open(3)`), which lasts until [`Array::shm_unlink`] or a restart.
    ///
    /// # Errors
    /// As for [`Array::open`].
    pub fn shm_open(name: &CStr, ty: Type, options: &OpenOptions) -> Result<Array> {
        Storage::open_shared(name, options, layout(ty)).map(Array::from_storage)
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
        Storage::from_fd(fd, options, layout(ty)).map(Array::from_storage)
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
        options.check(WRITE)?;
        if !data.addr().is_multiple_of(ty.part_size()) {
            return Err(Error::Invalid(Argument::Alignment));
        }
        if !nbytes.is_multiple_of(ty.size()) || nbytes > isize::MAX as usize {
            return Err(Error::Invalid(Argument::Bytes));
        }
        // SAFETY: the caller promises the memory; its alignment was checked.
        unsafe { Storage::from_memory(data, nbytes / ty.size(), !options.has(WRITE), layout(ty)) }
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
        // SAFETY: what isn't dropped isn't ended a second time.
        unsafe { ManuallyDrop::new(self).end() }
    }

    /// Trims the file and ends the storage.
    ///
    /// # Safety
    /// Nobody may use the handle afterwards, nor drop it.
    unsafe fn end(&mut self) -> Result<()> {
        // SAFETY: the pointer came from a box; the caller promises that this is its end.
        unsafe { Box::from_raw(self.0.as_ptr()) }.close()
    }

    #[inline(always)]
    pub(crate) fn storage(&self) -> &Storage {
        // SAFETY: the storage exists as long as the handle.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Array {
    fn drop(&mut self) {
        // SAFETY: a handle is dropped once, and nobody uses it any more.
        let _ = unsafe { self.end() };
    }
}

/// Calls `f` with a path as the system takes it.
pub(crate) fn with_c_path<T>(path: &Path, f: impl FnOnce(&CStr) -> Result<T>) -> Result<T> {
    let path = path.as_os_str().as_bytes();
    // Not a CString, whose making ends the process where there is no memory.
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(path.len() + 1).map_err(|_| Error::NO_MEMORY)?;
    bytes.extend_from_slice(path);
    bytes.push(0);
    f(CStr::from_bytes_with_nul(&bytes).map_err(|_| Error::Invalid(Argument::Path))?)
}

pub(crate) fn layout(ty: Type) -> Layout {
    Layout { itemsize: ty.size(), kind: ty.kind() as u32, type_code: ty.code(), offset: 0 }
}

// What a handle knows.
impl Array {
    /// The element type.
    pub fn ty(&self) -> Type {
        Type::from_code(self.storage().layout().type_code).expect("a handle's type is in the table")
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
        self.storage().layout().itemsize
    }

    /// Whether elements can't be set through this handle.
    pub fn is_readonly(&self) -> bool {
        !self.storage().can_write()
    }

    /// Whether the [guard](crate::guard) has put zeros in the place of elements that somebody else has truncated. The
    /// handle is of no more use then.
    pub fn is_truncated(&self) -> bool {
        self.storage().check() == Err(Error::Truncated)
    }

    /// Changes when elements have been taken away or moved (by shortening, insert, remove, and a splice before the end
    /// that changes the length), as far as this handle has seen: by its own calls, and by [`Array::refresh`].
    ///
    /// Whoever follows an array copies what it needs, refreshes, and compares the epoch with the one before: if it is the
    /// same, what was copied was there. Epochs of different openings don't compare.
    pub fn epoch(&self) -> u64 {
        self.storage().epoch()
    }

    /// The path by which the array was opened, from the root on; of named shared memory, where the system keeps it. `None`
    /// for what was opened otherwise.
    pub fn path(&self) -> Option<&Path> {
        self.c_path().map(|path| Path::new(OsStr::from_bytes(path.to_bytes())))
    }

    pub(crate) fn c_path(&self) -> Option<&CStr> {
        self.storage().path()
    }

    /// Whether the path by which the array was opened leads to another file now, or to none. `false` for what has no
    /// path.
    ///
    /// # Errors
    /// Those of `stat(2)`, but not `ENOENT` and `ENOTDIR`, by which the file is replaced.
    pub fn is_replaced(&self) -> Result<bool> {
        self.storage().is_replaced()
    }

    /// The address of element 0, which stays the same until the handle is closed. What it points to may
    /// change at any time; read it through raw pointers or atomics.
    #[inline(always)]
    pub fn as_ptr(&self) -> *mut u8 {
        self.storage().data()
    }

    /// A descriptor of the array's memory to hand to other processes; it is the handle's, which closes it.
    /// `None` for the caller's memory.
    pub fn fd(&self) -> Option<RawFd> {
        self.storage().fd()
    }

    pub(crate) fn span(&self) -> Span {
        Span { data: self.as_ptr(), len: self.len(), ty: self.ty() }
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

    /// Exchanges two elements. Whoever looks meanwhile can find one of them in both places.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], [`Error::Index`]; `ENOMEM` for large elements.
    pub fn swap(&self, i: usize, j: usize) -> Result<()> {
        self.exchange(i, j)
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
        self.storage().check()?;
        if bytes == self.itemsize() { Ok(()) } else { Err(Error::Invalid(Argument::Bytes)) }
    }

    fn count_in(&self, bytes: usize) -> Result<usize> {
        self.storage().check()?;
        if bytes.is_multiple_of(self.itemsize()) {
            Ok(bytes / self.itemsize())
        } else {
            Err(Error::Invalid(Argument::Bytes))
        }
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
        if len < old {
            return storage.shorten(len);
        }
        let zero_from = if len > old { storage.ensure(len, GrowthPolicy::Amortized)? } else { 0 };
        storage.let_go_beyond(len);
        if len == old {
            return Ok(());
        }
        let itemsize = self.itemsize() as u64;
        let (start, end) = (old as u64 * itemsize, len as u64 * itemsize);
        let zero_from = zero_from.saturating_sub(storage.layout().offset);
        let dirty = end.min(zero_from).saturating_sub(start);
        // SAFETY: there is room up to `len`, and a footer; what lies beyond `zero_from` is zero already.
        unsafe {
            storage.element(old).write_bytes(0, dirty as usize);
            storage.publish(len);
        }
        storage.trim_exact();
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
            // SAFETY: a capacity beyond the length means that the file has a footer.
            unsafe { storage.publish(len) };
            storage.trim_exact();
        }
        Ok(())
    }

    /// Turns the order of the elements around, by the length that the handle has: if others have made the array shorter
    /// since, elements end up beyond the end. Take the growth lock first, or refresh.
    ///
    /// # Errors
    /// [`Error::ReadOnly`].
    pub fn reverse(&self) -> Result<()> {
        self.check_writable()?;
        // SAFETY: the span is the array, which may be written.
        unsafe { reorder::reverse(self.span()) };
        Ok(())
    }

    /// Turns the bytes of every element around; of both parts of a complex one.
    ///
    /// # Errors
    /// [`Error::ReadOnly`]; [`Error::Type`] for records, of whose bytes nobody knows which belong together.
    pub fn byteswap(&self) -> Result<()> {
        self.check_writable()?;
        if self.ty().kind() == Kind::Record {
            return Err(Error::Type);
        }
        // SAFETY: the span is the array, which may be written.
        unsafe { reorder::byteswap(self.span()) };
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
        Ok(unsafe { compare::compare(self.span(), other.span()) })
    }

    /// Whether both have the same length and equal elements.
    ///
    /// # Errors
    /// [`Error::Type`] if the elements differ in kind or size.
    pub fn equals(&self, other: &Array) -> Result<bool> {
        self.check_like(other)?;
        // SAFETY: the spans are the arrays, and their types are alike.
        Ok(unsafe { compare::equal(self.span(), other.span()) })
    }

    fn check_like(&self, other: &Array) -> Result<()> {
        self.storage().check()?;
        other.storage().check()?;
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
    pub fn advise(&self, start: usize, count: usize, advise: Advice) -> Result<()> {
        self.storage().check()?;
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
