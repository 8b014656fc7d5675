//! `MmapArray<T>`: the Rust user's face over [`Array`].

use core::ffi::CStr;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use std::fmt;
use std::ops::{Bound, Range, RangeBounds};
use std::os::fd::{BorrowedFd, RawFd};
use std::path::Path;

use crate::array::Array;
use crate::element::Element;
use crate::error::{Argument, Error, Result};
use crate::mapping::Mapping;
use crate::options::OpenOptions;
use crate::status::Status;
use crate::storage::{Advice, Wait};
use crate::types::Type;

/// A handle on an array of `T` in mapped memory.
///
/// It reads and sets elements through `&self`, since other threads and processes see the same memory anyway,
/// and changes the length through `&mut self`. The address of the elements never changes. Dropping the handle
/// gives spare room back, so that the file is exactly its elements.
pub struct MmapArray<T: Element> {
    array: Array,
    elements: PhantomData<T>,
}

// SAFETY: what `&self` reaches is safe beside itself and beside other handles: atomics for the length and for
// elements of up to 8 bytes, plain copies of memory that is shared with other processes anyway for bulk reads,
// and system calls. All that uses the cells of the storage takes `&mut self`.
unsafe impl<T: Element> Sync for MmapArray<T> {}

impl<T: Element> MmapArray<T> {
    /// Opens a file for reading.
    ///
    /// # Errors
    /// As [`Array::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<MmapArray<T>> {
        MmapArray::open_with(path, &OpenOptions::new())
    }

    /// Opens a file for reading and writing, with the elements that it has, and makes it if there is none.
    ///
    /// # Errors
    /// As [`Array::open`].
    pub fn open_or_create(path: impl AsRef<Path>) -> Result<MmapArray<T>> {
        MmapArray::open_with(path, OpenOptions::new().write(true).create(true))
    }

    /// Opens a file as the options say.
    ///
    /// # Errors
    /// As [`Array::open`].
    pub fn open_with(path: impl AsRef<Path>, options: &OpenOptions) -> Result<MmapArray<T>> {
        Array::open(path, Self::ty()?, options).and_then(MmapArray::wrap)
    }

    /// Makes an empty array in anonymous shared memory.
    ///
    /// # Errors
    /// As [`Array::anonymous`].
    pub fn anonymous() -> Result<MmapArray<T>> {
        Array::anonymous(Self::ty()?).and_then(MmapArray::wrap)
    }

    /// As [`MmapArray::anonymous`], with a reservation of one's own.
    ///
    /// # Errors
    /// As [`Array::anonymous_with`].
    pub fn anonymous_with(options: &OpenOptions) -> Result<MmapArray<T>> {
        Array::anonymous_with(Self::ty()?, options).and_then(MmapArray::wrap)
    }

    /// Opens named shared memory.
    ///
    /// # Errors
    /// As [`Array::shm_open`].
    pub fn shm_open(name: &CStr, options: &OpenOptions) -> Result<MmapArray<T>> {
        Array::shm_open(name, Self::ty()?, options).and_then(MmapArray::wrap)
    }

    /// Opens the file behind a descriptor, which stays the caller's.
    ///
    /// # Errors
    /// As [`Array::from_fd`].
    pub fn from_fd(fd: BorrowedFd<'_>, options: &OpenOptions) -> Result<MmapArray<T>> {
        Array::from_fd(fd, Self::ty()?, options).and_then(MmapArray::wrap)
    }

    /// [`Error::Type`] for a `T` that can't be an element, such as one of no size.
    fn ty() -> Result<Type> {
        Type::from_code(T::CODE)
    }

    /// Takes over an array whose elements are of the kind and size of `T`. The memory must be aligned for it, which a
    /// mapped file's always is, and a caller's needn't be.
    fn wrap(array: Array) -> Result<MmapArray<T>> {
        // A promise of `Element`, which is worth a look.
        if array.itemsize() != size_of::<T>() {
            return Err(Error::Type);
        }
        if !array.as_ptr().addr().is_multiple_of(align_of::<T>()) {
            return Err(Error::Invalid(Argument::Alignment));
        }
        Ok(MmapArray { array, elements: PhantomData })
    }

    /// The handle without its static type.
    pub fn into_array(self) -> Array {
        self.array
    }

    /// Ends the handle, and keeps its memory; see [`Array::detach`].
    pub fn detach(self) -> (Mapping, Result<()>) {
        self.array.detach()
    }

    /// Releases the handle, and tells what dropping it keeps to itself.
    ///
    /// # Errors
    /// As [`Array::close`].
    pub fn close(self) -> Result<()> {
        self.array.close()
    }
}

impl<T: Element> TryFrom<Array> for MmapArray<T> {
    type Error = Error;

    /// [`Error::Type`] if the elements aren't of the kind and size of `T`; `EINVAL` if the memory isn't aligned for it.
    fn try_from(array: Array) -> Result<MmapArray<T>> {
        if array.ty().is_like(Self::ty()?) { MmapArray::wrap(array) } else { Err(Error::Type) }
    }
}

/// Room for an element that is on its way out of the array, aligned as elements in the array are: that can be more than
/// `T` asks for.
#[repr(C, align(8))]
struct Room<T>(MaybeUninit<T>);

// What needs no more than a shared reference.
impl<T: Element> MmapArray<T> {
    /// The number of elements, as this handle knows it.
    pub fn len(&self) -> usize {
        self.array.len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many elements fit before the file must grow.
    pub fn capacity(&self) -> usize {
        self.array.capacity()
    }

    /// The most elements that the array can come to have through this handle.
    pub fn reserved(&self) -> usize {
        self.array.reserved()
    }

    /// Whether elements can't be set through this handle.
    pub fn is_readonly(&self) -> bool {
        self.array.is_readonly()
    }

    /// Whether elements are gone; see [`Array::is_truncated`].
    pub fn is_truncated(&self) -> bool {
        self.array.is_truncated()
    }

    /// Whether this handle holds the growth lock.
    pub fn has_lock(&self) -> bool {
        self.array.has_lock()
    }

    /// A descriptor to hand to other processes; see [`Array::fd`].
    pub fn fd(&self) -> Option<RawFd> {
        self.array.fd()
    }

    /// The path by which the array was opened; see [`Array::path`].
    pub fn path(&self) -> Option<&Path> {
        self.array.path()
    }

    /// Changes when elements have been taken away or moved; see [`Array::epoch`].
    pub fn epoch(&self) -> u64 {
        self.array.epoch()
    }

    /// Whether the path leads to another file now; see [`Array::is_replaced`].
    ///
    /// # Errors
    /// As [`Array::is_replaced`].
    pub fn is_replaced(&self) -> Result<bool> {
        self.array.is_replaced()
    }

    /// Tells what the file says of itself now; see [`Array::info`].
    ///
    /// # Errors
    /// As [`Array::info`].
    pub fn info(&self) -> Result<Status> {
        self.array.info()
    }

    /// The address of element 0, which stays the same until the handle is dropped. Other processes may store
    /// there at any time.
    pub fn as_ptr(&self) -> *mut T {
        self.array.as_ptr().cast()
    }

    /// The elements as a slice, for code that needs one.
    ///
    /// # Safety
    /// While the slice exists nobody, in any process, may store to these elements, set them through a handle
    /// or make the file shorter; and if `T` is `bool` or `char`, the bytes must be values of it.
    pub unsafe fn as_slice(&self) -> &[T] {
        let len = self.len();
        if len == 0 {
            return &[];
        }
        // SAFETY: the memory has so many elements, aligned; the caller promises that they stay as they are.
        unsafe { core::slice::from_raw_parts(self.as_ptr(), len) }
    }

    /// The element at `index`, if there is one.
    #[inline]
    pub fn get(&self, index: usize) -> Option<T> {
        (index < self.len()).then(|| {
            // SAFETY: there is an element at `index`, in mapped memory and aligned.
            unsafe { T::from_memory(self.array.as_ptr().wrapping_add(index * size_of::<T>())) }
        })
    }

    /// Replaces the element at `index`.
    ///
    /// # Errors
    /// [`Error::Index`], [`Error::ReadOnly`].
    #[inline]
    pub fn set(&self, index: usize, value: T) -> Result<()> {
        // SAFETY: `value` is an element.
        unsafe { self.array.set_sized(index, (&raw const value).cast(), size_of::<T>()) }
    }

    /// Exchanges two elements.
    ///
    /// # Errors
    /// [`Error::Index`], [`Error::ReadOnly`].
    pub fn swap(&self, i: usize, j: usize) -> Result<()> {
        self.array.swap(i, j)
    }

    /// The first element, if there is one.
    pub fn first(&self) -> Option<T> {
        self.get(0)
    }

    /// The last element, if there is one.
    pub fn last(&self) -> Option<T> {
        self.get(self.len().checked_sub(1)?)
    }

    /// A copy of the elements in a range.
    ///
    /// # Errors
    /// [`Error::Index`] if the range isn't within the array, `ENOMEM`.
    pub fn to_vec(&self, range: impl RangeBounds<usize>) -> Result<Vec<T>> {
        let range = self.range(range)?;
        let mut copy = Vec::<T>::new();
        copy.try_reserve_exact(range.len()).map_err(|_| Error::NO_MEMORY)?;
        if T::ANY_BITS {
            // SAFETY: the vector has room for the elements, which take any bits.
            unsafe {
                self.array.read_to(range.start, range.len(), copy.as_mut_ptr().cast())?;
                copy.set_len(range.len());
            }
        } else {
            copy.extend(range.map_while(|index| self.get(index)));
        }
        Ok(copy)
    }

    /// The elements one after another, up to the length as it is when they are reached.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { array: self, range: 0..self.len() }
    }

    /// The index of the first element in a range that equals the value; NaN equals nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Index`] if the range isn't within the array.
    pub fn find(&self, value: T, range: impl RangeBounds<usize>) -> Result<usize> {
        let range = self.range(range)?;
        // SAFETY: `value` is an element.
        unsafe { self.array.find_from((&raw const value).cast(), range.start, range.end) }
    }

    /// How many elements equal the value.
    pub fn count(&self, value: T) -> usize {
        // SAFETY: `value` is an element.
        unsafe { self.array.count_from((&raw const value).cast()) }
    }

    /// Tells the system how a range will be used.
    ///
    /// # Errors
    /// [`Error::Index`]; those of `madvise(2)`.
    pub fn advise(&self, range: impl RangeBounds<usize>, advise: Advice) -> Result<()> {
        let range = self.range(range)?;
        self.array.advise(range.start, range.len(), advise)
    }

    fn range(&self, range: impl RangeBounds<usize>) -> Result<Range<usize>> {
        self.array.storage().check()?;
        let len = self.len();
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => before.checked_add(1).ok_or(Error::Index)?,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last.checked_add(1).ok_or(Error::Index)?,
            Bound::Excluded(end) => *end,
            Bound::Unbounded => len,
        };
        if start <= end && end <= len { Ok(start..end) } else { Err(Error::Index) }
    }
}

// What changes the length, or many elements.
impl<T: Element> MmapArray<T> {
    /// Appends an element.
    ///
    /// # Errors
    /// As [`Array::append`].
    #[inline]
    pub fn push(&mut self, value: T) -> Result<()> {
        // SAFETY: `value` is an element.
        unsafe { self.array.append_sized((&raw const value).cast(), size_of::<T>()) }
    }

    /// Takes the last element away; `None` if there is none.
    ///
    /// # Errors
    /// As [`Array::append`].
    #[inline]
    pub fn pop(&mut self) -> Result<Option<T>> {
        let mut place = Room::<T>(MaybeUninit::uninit());
        // SAFETY: there is room for an element.
        match unsafe { self.array.pop_sized(place.0.as_mut_ptr().cast(), size_of::<T>()) } {
            // SAFETY: the place holds the bytes of an element, aligned.
            Ok(()) => Ok(Some(unsafe { T::from_memory(place.0.as_ptr().cast()) })),
            Err(Error::Empty) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Inserts an element before `index`, which may be the length.
    ///
    /// # Errors
    /// [`Error::Index`]; as [`Array::append`].
    pub fn insert(&mut self, index: usize, value: T) -> Result<()> {
        // SAFETY: `value` is an element.
        unsafe { self.array.insert_from(index, (&raw const value).cast()) }
    }

    /// Takes the element at `index` away.
    ///
    /// # Errors
    /// [`Error::Index`]; as [`Array::append`].
    pub fn remove(&mut self, index: usize) -> Result<T> {
        let mut place = Room::<T>(MaybeUninit::uninit());
        // SAFETY: there is room for an element, aligned, and then it holds the bytes of one.
        unsafe {
            self.array.remove_to(index, place.0.as_mut_ptr().cast())?;
            Ok(T::from_memory(place.0.as_ptr().cast()))
        }
    }

    /// Appends all elements of a slice: all of them or none.
    ///
    /// # Errors
    /// As [`Array::append`].
    pub fn extend_from_slice(&mut self, values: &[T]) -> Result<()> {
        // SAFETY: a slice of elements is valid for reads of its length.
        unsafe { self.array.extend_from(values.as_ptr().cast(), values.len()) }
    }

    /// Replaces elements from `start` on.
    ///
    /// # Errors
    /// [`Error::Index`], [`Error::ReadOnly`].
    pub fn write(&mut self, start: usize, values: &[T]) -> Result<()> {
        // SAFETY: a slice of elements is valid for reads of its length.
        unsafe { self.array.write_from(start, values.as_ptr().cast(), values.len()) }
    }

    /// Replaces a range by other elements, however many they are.
    ///
    /// # Errors
    /// [`Error::Index`] if the range isn't within the array; as [`Array::append`].
    pub fn splice(&mut self, range: impl RangeBounds<usize>, values: &[T]) -> Result<()> {
        let range = self.range(range)?;
        // SAFETY: a slice of elements is valid for reads of its length.
        unsafe { self.array.splice_from(range.start, range.len(), values.as_ptr().cast(), values.len()) }
    }

    /// Stores the same value in a range.
    ///
    /// # Errors
    /// [`Error::Index`] if the range isn't within the array, [`Error::ReadOnly`].
    pub fn fill(&mut self, range: impl RangeBounds<usize>, value: T) -> Result<()> {
        let range = self.range(range)?;
        // SAFETY: `value` is an element.
        unsafe { self.array.fill_from(range.start, range.len(), (&raw const value).cast()) }
    }

    /// Makes the array `len` elements long; new ones have all bits zero.
    ///
    /// # Errors
    /// As [`Array::append`].
    pub fn resize(&mut self, len: usize) -> Result<()> {
        self.array.resize(len)
    }

    /// Makes the array empty.
    ///
    /// # Errors
    /// As [`Array::append`].
    pub fn clear(&mut self) -> Result<()> {
        self.array.clear()
    }

    /// Makes room for `capacity` elements in all.
    ///
    /// # Errors
    /// As [`Array::append`].
    pub fn reserve(&mut self, capacity: usize) -> Result<()> {
        self.array.reserve(capacity)
    }

    /// Gives spare room back.
    ///
    /// # Errors
    /// As [`Array::append`].
    pub fn shrink_to_fit(&mut self) -> Result<()> {
        self.array.shrink_to_fit()
    }

    /// Publishes elements that were stored through the pointer behind the last one.
    ///
    /// # Errors
    /// [`Error::Index`] if `len` is less than the length or more than the capacity; as [`Array::append`].
    pub fn commit(&mut self, len: usize) -> Result<()> {
        self.array.commit(len)
    }

    /// Turns the order of the elements around, by the length that the handle has: if others have made the array shorter
    /// since, elements end up beyond the end. Take the growth lock first, or refresh.
    ///
    /// # Errors
    /// [`Error::ReadOnly`].
    pub fn reverse(&mut self) -> Result<()> {
        self.array.reverse()
    }

    /// Turns the bytes of every element around.
    ///
    /// # Errors
    /// [`Error::ReadOnly`].
    pub fn byteswap(&mut self) -> Result<()> {
        self.array.byteswap()
    }

    /// Puts elements and length on the disk.
    ///
    /// # Errors
    /// As [`Array::flush`].
    pub fn flush(&mut self) -> Result<()> {
        self.array.flush()
    }

    /// Takes up the length that others have published.
    ///
    /// # Errors
    /// As [`Array::refresh`].
    pub fn refresh(&mut self) -> Result<()> {
        self.array.refresh()
    }

    /// Takes the growth lock, and holds it until [`MmapArray::unlock`] or the end of the handle.
    ///
    /// # Errors
    /// As [`Array::lock`].
    pub fn lock(&mut self, wait: Wait) -> Result<()> {
        self.array.lock(wait)
    }

    /// Gives the growth lock back.
    ///
    /// # Errors
    /// As [`Array::unlock`].
    pub fn unlock(&mut self) -> Result<()> {
        self.array.unlock()
    }
}

/// The elements of an array, one after another; see [`MmapArray::iter`].
#[derive(Debug)]
pub struct Iter<'a, T: Element> {
    array: &'a MmapArray<T>,
    range: Range<usize>,
}

impl<T: Element> Iterator for Iter<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        self.array.get(self.range.next()?)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.range.size_hint()
    }

    #[inline]
    fn nth(&mut self, n: usize) -> Option<T> {
        self.array.get(self.range.nth(n)?)
    }
}

impl<T: Element> DoubleEndedIterator for Iter<'_, T> {
    #[inline]
    fn next_back(&mut self) -> Option<T> {
        self.array.get(self.range.next_back()?)
    }
}

impl<T: Element> ExactSizeIterator for Iter<'_, T> {}

impl<'a, T: Element> IntoIterator for &'a MmapArray<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T: Element> Extend<T> for MmapArray<T> {
    /// Appends every element of an iterator.
    ///
    /// # Panics
    /// If the array can't grow, as a `Vec` does without memory. Elements before that one are appended;
    /// [`MmapArray::push`] and [`MmapArray::extend_from_slice`] return the error instead.
    fn extend<I: IntoIterator<Item = T>>(&mut self, values: I) {
        for value in values {
            if let Err(error) = self.push(value) {
                panic!("can't extend a mapped array: {error}");
            }
        }
    }
}

impl<T: Element + PartialEq> PartialEq for MmapArray<T> {
    fn eq(&self, other: &MmapArray<T>) -> bool {
        self.array.equals(&other.array) == Ok(true)
    }
}

impl<T: Element + PartialOrd> PartialOrd for MmapArray<T> {
    fn partial_cmp(&self, other: &MmapArray<T>) -> Option<std::cmp::Ordering> {
        self.array.compare(&other.array).ok().flatten()
    }
}

/// How many elements `Debug` shows.
const SHOWN: usize = 32;

impl<T: Element + fmt::Debug> fmt::Debug for MmapArray<T> {
    /// The first elements as a list, and the length if there are more.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        list.entries(self.iter().take(SHOWN));
        if self.len() > SHOWN {
            return list.finish_non_exhaustive();
        }
        list.finish()
    }
}
