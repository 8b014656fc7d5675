//! Elements by raw pointers: what the C interface and the typed face are made of.
//!
//! Values may point anywhere, also into the array itself, so no reference is made of them.

use core::mem::MaybeUninit;

use crate::array::Array;
use crate::error::{Error, Result};
use crate::ops::{Span, copy, reorder, search};
use crate::storage::{GrowthPolicy, Sibling, Wait, is_magic};

/// What every element but a large record fits in.
const SMALL: usize = 64;

/// A place of our own for one element: on the stack, or on the heap if it is large.
struct ElementBuffer {
    small: [MaybeUninit<u8>; SMALL],
    large: Vec<u8>,
}

impl ElementBuffer {
    fn new(itemsize: usize) -> Result<ElementBuffer> {
        let mut large = Vec::new();
        if itemsize > SMALL && large.try_reserve_exact(itemsize).is_err() {
            return Err(Error::NO_MEMORY);
        }
        Ok(ElementBuffer { small: [const { MaybeUninit::uninit() }; SMALL], large })
    }

    /// Valid for writes of an element, and for reads of what was written.
    fn place(&mut self) -> *mut u8 {
        if self.large.capacity() > 0 { self.large.as_mut_ptr() } else { self.small.as_mut_ptr().cast() }
    }
}

impl Array {
    /// # Safety
    /// `value` must be valid for reads of an element.
    #[inline(always)]
    pub(crate) unsafe fn append_from(&self, value: *const u8) -> Result<()> {
        // SAFETY: the caller promises the value.
        unsafe { self.append_sized(value, self.itemsize()) }
    }

    /// As `append_from`, where the size of an element is known when the program is compiled.
    ///
    /// # Safety
    /// `itemsize` must be the array's, and `value` be valid for reads of an element.
    #[inline(always)]
    pub(crate) unsafe fn append_sized(&self, value: *const u8, itemsize: usize) -> Result<()> {
        // SAFETY: the caller promises the value.
        if unsafe { self.append_in_room(value, itemsize) } {
            return Ok(());
        }
        // SAFETY: the caller promises the value.
        unsafe { self.append_slowly(value) }
    }

    /// Appends where that takes no more than to store and to publish, and can't panic; `false` if there is more to do.
    ///
    /// # Safety
    /// As for `append_sized`.
    #[inline(always)]
    pub(crate) unsafe fn append_in_room(&self, value: *const u8, itemsize: usize) -> bool {
        let storage = self.storage();
        let len = storage.len();
        // Of a handle that refuses work the room is 0.
        let has_room = len < storage.room();
        if has_room {
            // SAFETY: below `room` there is memory to store in, and a footer to publish in; the caller
            // promises the value.
            unsafe {
                copy::store(storage.data().wrapping_add(len * itemsize), value, itemsize);
                storage.publish(len + 1);
            }
        }
        has_room
    }

    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn append_slowly(&self, value: *const u8) -> Result<()> {
        let storage = self.storage();
        storage.lock(Wait::No)?;
        // SAFETY: the caller promises the value.
        if unsafe { storage.append_exact(value)? } {
            return Ok(());
        }
        let len = storage.len();
        storage.ensure(len.checked_add(1).ok_or(Error::Limit)?, GrowthPolicy::Amortized)?;
        // SAFETY: there is room for one more now, and a footer; the caller promises the value.
        unsafe {
            copy::store(storage.element(len), value, storage.layout().itemsize);
            storage.publish(len + 1);
        }
        storage.trim_exact();
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
        unsafe { copy::load(out, storage.element(index), storage.layout().itemsize) };
        Ok(())
    }

    /// # Safety
    /// `value` must be valid for reads of an element.
    #[inline(always)]
    pub(crate) unsafe fn set_from(&self, index: usize, value: *const u8) -> Result<()> {
        // SAFETY: the caller promises the value.
        unsafe { self.set_sized(index, value, self.itemsize()) }
    }

    /// As `set_from`, where the size of an element is known when the program is compiled.
    ///
    /// # Safety
    /// `itemsize` must be the array's, and `value` be valid for reads of an element.
    #[inline(always)]
    pub(crate) unsafe fn set_sized(&self, index: usize, value: *const u8, itemsize: usize) -> Result<()> {
        let storage = self.storage();
        if !storage.has_stored() {
            // SAFETY: the caller promises the value.
            return unsafe { self.set_first(index, value) };
        }
        if index >= storage.len() {
            return Err(Error::Index);
        }
        // SAFETY: there is an element at `index`, and it may be written; the caller promises the value.
        unsafe { copy::store(storage.data().wrapping_add(index * itemsize), value, itemsize) };
        Ok(())
    }

    /// # Safety
    /// `value` must be valid for reads of an element.
    #[cold]
    #[inline(never)]
    unsafe fn set_first(&self, index: usize, value: *const u8) -> Result<()> {
        let storage = self.storage();
        storage.begin_store()?;
        if index >= storage.len() {
            return Err(Error::Index);
        }
        // SAFETY: there is an element at `index`, and it may be written; the caller promises the value.
        unsafe { copy::store(storage.element(index), value, storage.layout().itemsize) };
        Ok(())
    }

    /// Exchanges two elements.
    pub(super) fn exchange(&self, i: usize, j: usize) -> Result<()> {
        self.check_writable()?;
        let (storage, size) = (self.storage(), self.itemsize());
        if i.max(j) >= storage.len() {
            return Err(Error::Index);
        }
        let (mut first, mut second) = (ElementBuffer::new(size)?, ElementBuffer::new(size)?);
        let (i, j) = (storage.element(i), storage.element(j));
        // SAFETY: both are elements, which may be written, and each place has room for one.
        unsafe {
            copy::load(first.place(), i, size);
            copy::load(second.place(), j, size);
            copy::store(i, second.place(), size);
            copy::store(j, first.place(), size);
        }
        // A flush beside this one may have seen to the file's time of change meanwhile.
        storage.begin_store()
    }

    /// # Safety
    /// `out` must be null or valid for writes of an element.
    #[inline(always)]
    pub(crate) unsafe fn pop_to(&self, out: *mut u8) -> Result<()> {
        // SAFETY: the caller promises `out` if it isn't null.
        unsafe { self.pop_sized(out, self.itemsize()) }
    }

    /// As `pop_to`, where the size of an element is known when the program is compiled.
    ///
    /// # Safety
    /// `itemsize` must be the array's, and `out` be null or valid for writes of an element.
    #[inline(always)]
    pub(crate) unsafe fn pop_sized(&self, out: *mut u8, itemsize: usize) -> Result<()> {
        let storage = self.storage();
        let len = storage.len();
        if storage.room() == 0 || len == 0 {
            // SAFETY: the caller promises `out` if it isn't null.
            return unsafe { self.pop_slowly(out) };
        }
        // SAFETY: there is an element at the end, and a footer to publish in; the caller promises `out` if it
        // isn't null.
        unsafe {
            if !out.is_null() {
                copy::load(out, storage.data().wrapping_add((len - 1) * itemsize), itemsize);
            }
            storage.publish_shorter(len - 1);
        }
        Ok(())
    }

    #[cold]
    #[inline(never)]
    unsafe fn pop_slowly(&self, out: *mut u8) -> Result<()> {
        let storage = self.storage();
        storage.lock(Wait::No)?;
        let last = storage.len().checked_sub(1).ok_or(Error::Empty)?;
        storage.check_unless_roomy()?;
        let mut value = ElementBuffer::new(self.itemsize())?;
        // SAFETY: there is an element at `last`, and `value` has room for one.
        unsafe { copy::load(value.place(), storage.element(last), storage.layout().itemsize) };
        storage.shorten(last)?;
        // SAFETY: the caller promises `out` if it isn't null; `value` is an element.
        unsafe { self.hand_out(value, out) };
        Ok(())
    }

    /// # Safety
    /// `out` must be null or valid for writes of an element; an element must have been written to `value`.
    unsafe fn hand_out(&self, mut value: ElementBuffer, out: *mut u8) {
        if !out.is_null() {
            // SAFETY: the caller promises both.
            unsafe { core::ptr::copy_nonoverlapping(value.place(), out, self.itemsize()) };
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
            storage.ensure(new, GrowthPolicy::Amortized)?;
        }
        // SAFETY: there is room up to `new`, and a footer; the caller promises the values.
        unsafe {
            core::ptr::copy(values, storage.element(len), count * storage.layout().itemsize);
            storage.publish(new);
        }
        storage.trim_exact();
        Ok(())
    }

    /// # Safety
    /// `out` must be valid for writes of `count` elements.
    pub(crate) unsafe fn read_to(&self, start: usize, count: usize, out: *mut u8) -> Result<()> {
        self.check_range(start, count)?;
        let bytes = count * self.itemsize();
        if bytes == 0 {
            return Ok(());
        }
        let from = self.storage().element(start).cast_const();
        // SAFETY: the range lies within the array; the caller promises `out`. Where that is in another mapping of the same
        // file, the elements are read from there too, so that addresses tell what overlaps.
        unsafe {
            match self.storage().sibling_at(out) {
                None => core::ptr::copy(from, out, bytes),
                Some(sibling) => match self.seen_from(&sibling, from, bytes) {
                    Some(from) => core::ptr::copy(from, out, bytes),
                    None => core::ptr::copy_nonoverlapping(put_aside(from, bytes)?.as_ptr(), out, bytes),
                },
            }
        }
        Ok(())
    }

    /// Where elements of this handle lie in another handle's mapping of the same file; `None` where that has not the same
    /// bytes, or none.
    fn seen_from(&self, sibling: &Sibling, element: *const u8, bytes: usize) -> Option<*const u8> {
        let (base, _) = self.storage().mapped()?;
        let place = element.addr() - base.addr();
        let is_there = !sibling.has_own_pages && place + bytes <= sibling.room;
        is_there.then(|| sibling.base.wrapping_add(place).cast_const())
    }

    /// Values that may lie in another handle's mapping of the same file: by this handle's own address, or put aside in `copy`
    /// where there is none.
    ///
    /// # Safety
    /// `values` must be valid for reads of so many bytes, as long as the result is used.
    unsafe fn by_own_address(
        &self,
        values: *const u8,
        bytes: usize,
        copy: &mut Vec<u8>,
    ) -> Result<*const u8> {
        // SAFETY: the caller promises the values.
        let Some(sibling) = (unsafe { self.storage().sibling_at(values) }) else { return Ok(values) };
        let Some((base, room)) = self.storage().mapped() else { return Ok(values) };
        if !sibling.has_own_pages && sibling.place + bytes <= room {
            return Ok(base.wrapping_add(sibling.place).cast_const());
        }
        // SAFETY: as above.
        *copy = unsafe { put_aside(values, bytes)? };
        Ok(copy.as_ptr())
    }

    /// # Safety
    /// `values` must be valid for reads of `count` elements; it may point into the array.
    pub(crate) unsafe fn write_from(&self, start: usize, values: *const u8, count: usize) -> Result<()> {
        self.check_writable()?;
        self.check_range(start, count)?;
        let (bytes, mut copy) = (count * self.itemsize(), Vec::new());
        if bytes > 0 {
            // SAFETY: the range lies within the array, which may be written; the caller promises the values.
            unsafe {
                let values = self.by_own_address(values, bytes, &mut copy)?;
                core::ptr::copy(values, self.storage().element(start), bytes);
            }
            // A flush beside this one may have seen to the file's time of change meanwhile.
            self.storage().begin_store()?;
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
        storage.check_unless_roomy()?;
        let len = storage.len();
        let new =
            (len - removed).checked_add(count).filter(|new| *new <= self.reserved()).ok_or(Error::Limit)?;
        let itemsize = self.itemsize();
        let mut copy = Vec::new();
        let mut values = values;
        if count > 0 {
            // SAFETY: the caller promises the values.
            values = unsafe { self.by_own_address(values, count * itemsize, &mut copy)? };
            if self.overlaps(values, count * itemsize) {
                // The elements that the values are may be about to move.
                // SAFETY: as above.
                copy = unsafe { put_aside(values, count * itemsize)? };
                values = copy.as_ptr();
            }
        }
        if new > len {
            storage.ensure(new, GrowthPolicy::Amortized)?;
        } else {
            // SAFETY: the range lies within the array; the caller promises the values.
            let alike = unsafe { self.will_look_like_footer(start, removed, values, count) };
            storage.prepare_to_shorten(new, alike)?;
        }
        let mut kept = Vec::new();
        if storage.is_about_to_truncate() {
            // SAFETY: the range lies within the array.
            kept = unsafe { put_aside(storage.element(start), removed * itemsize) }
                .inspect_err(|_| storage.stay_as_long())?;
        }
        if start < len {
            storage.leave_epoch();
        }
        let rest = (len - start - removed) * itemsize;
        let (first, before, after) =
            (storage.element(start), storage.element(start + removed), storage.element(start + count));
        // SAFETY: old and new place of the elements behind the range lie within the room for the longer of
        // both lengths; so does the range itself; the values don't overlap the array.
        unsafe {
            core::ptr::copy(before, after, rest);
            if count > 0 {
                core::ptr::copy_nonoverlapping(values, first, count * itemsize);
            }
        }
        if new < len {
            return storage.shorten_or(new, || {
                if !kept.is_empty() {
                    // SAFETY: as above, the other way round: the file has not been truncated.
                    unsafe {
                        core::ptr::copy(after, before, rest);
                        core::ptr::copy_nonoverlapping(kept.as_ptr(), first, kept.len());
                    }
                }
            });
        }
        // SAFETY: there is room up to `new`, and a footer.
        unsafe { storage.publish(new) };
        if start < len {
            storage.enter_epoch();
        }
        storage.trim_exact();
        Ok(())
    }

    /// Whether the array's last bytes will read as a footer once a range is replaced by fewer values.
    ///
    /// # Safety
    /// The range must lie within the array, and `values` be valid for reads of `count` elements.
    unsafe fn will_look_like_footer(
        &self,
        start: usize,
        removed: usize,
        values: *const u8,
        count: usize,
    ) -> bool {
        let (storage, size) = (self.storage(), self.itemsize());
        let Some(place) = storage.place_of_magic(self.len() - removed + count) else { return false };
        let (first, behind) = (start * size, (start + count) * size);
        let mut bytes = [0; 8];
        for (at, byte) in (place..).zip(&mut bytes) {
            // SAFETY: a byte before the range, of the values, or of the elements behind the range.
            *byte = unsafe {
                if at < first {
                    storage.data().add(at).read()
                } else if at < behind {
                    values.add(at - first).read()
                } else {
                    storage.data().add(at + (removed - count) * size).read()
                }
            };
        }
        is_magic(bytes)
    }

    /// # Safety
    /// `value` must be valid for reads of an element; it may point into the array.
    pub(crate) unsafe fn insert_from(&self, index: usize, value: *const u8) -> Result<()> {
        let mut own = ElementBuffer::new(self.itemsize())?;
        // SAFETY: the caller promises the value, which is copied first: it may lie among the elements that are
        // about to move, also in another mapping of them.
        unsafe {
            core::ptr::copy_nonoverlapping(value, own.place(), self.itemsize());
            self.splice_from(index, 0, own.place(), 1)
        }
    }

    /// # Safety
    /// `out` must be null or valid for writes of an element.
    pub(crate) unsafe fn remove_to(&self, index: usize, out: *mut u8) -> Result<()> {
        let storage = self.storage();
        storage.lock(Wait::No)?;
        storage.check_unless_roomy()?;
        let mut value = ElementBuffer::new(self.itemsize())?;
        // SAFETY: `value` has room for an element.
        unsafe { self.get_to(index, value.place()) }?;
        // SAFETY: no values are passed.
        unsafe { self.splice_from(index, 1, core::ptr::null(), 0) }?;
        // SAFETY: the caller promises `out` if it isn't null; `value` is an element.
        unsafe { self.hand_out(value, out) };
        Ok(())
    }

    /// # Safety
    /// `value` must be valid for reads of an element.
    pub(crate) unsafe fn fill_from(&self, start: usize, count: usize, value: *const u8) -> Result<()> {
        self.check_writable()?;
        self.check_range(start, count)?;
        let span = Span { data: self.storage().element(start), len: count, ty: self.ty() };
        let mut own = ElementBuffer::new(self.itemsize())?;
        // SAFETY: the range lies within the array, which may be written; the caller promises the value,
        // which is copied first, since it may lie in the range.
        unsafe {
            core::ptr::copy_nonoverlapping(value, own.place(), self.itemsize());
            reorder::fill(span, own.place());
        }
        Ok(())
    }

    /// # Safety
    /// `value` must be valid for reads of an element.
    pub(crate) unsafe fn find_from(&self, value: *const u8, start: usize, stop: usize) -> Result<usize> {
        let span = self.span();
        // SAFETY: the range is cut to the array; the caller promises the value.
        unsafe { search::find(span, value, start, stop.min(span.len)) }.ok_or(Error::NotFound)
    }

    /// # Safety
    /// `value` must be valid for reads of an element.
    pub(crate) unsafe fn count_from(&self, value: *const u8) -> usize {
        // SAFETY: the span is the array; the caller promises the value.
        unsafe { search::count(self.span(), value) }
    }

    pub(super) fn check_writable(&self) -> Result<()> {
        self.storage().check()?;
        self.storage().begin_store()
    }

    pub(super) fn check_range(&self, start: usize, count: usize) -> Result<()> {
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

/// A copy of bytes that are about to change.
///
/// # Safety
/// `from` must be valid for reads of so many bytes.
unsafe fn put_aside(from: *const u8, bytes: usize) -> Result<Vec<u8>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes).map_err(|_| Error::NO_MEMORY)?;
    // SAFETY: the caller promises the bytes, and the copy has room for them.
    unsafe {
        core::ptr::copy_nonoverlapping(from, copy.as_mut_ptr(), bytes);
        copy.set_len(bytes);
    }
    // Or the compiler would copy from where the bytes were: by their addresses nothing overlaps.
    Ok(core::hint::black_box(copy))
}
