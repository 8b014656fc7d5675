//! One set of operations on bytes over the three faces of the library.

use std::cmp::Ordering;
use std::ffi::CStr;
use std::os::fd::{BorrowedFd, RawFd};
use std::path::Path;

use mmap_backed_array::capi::*;
use mmap_backed_array::{Array, Element, Error, MmapArray, OpenOptions, Result, Type, Wait};

use crate::helpers::raw::{Code, Raw};

/// What to open.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    Path(&'a Path),
    Named(&'a CStr),
    Descriptor(RawFd),
    Anonymous,
    /// Memory that outlives the handle.
    Callers(*mut u8, usize),
}

/// A face. Values are bytes, and failures are numbers. `None` is for what a face doesn't offer: `Array` has no
/// search, and complex numbers have no order.
pub trait Face: Sized {
    const NAME: &'static str;
    fn open(source: Source, ty: Type, flags: u32) -> Code<Self>;
    fn close(self) -> Code<()>;

    /// What this face makes of an element's bytes: some types don't take all bits.
    fn read_as(&self, element: &[u8]) -> Vec<u8>;
    fn len(&self) -> usize;
    fn capacity(&self) -> usize;
    fn reserved(&self) -> usize;
    fn data(&self) -> *mut u8;
    fn fd(&self) -> RawFd;
    fn has_lock(&self) -> bool;

    fn append(&mut self, value: &[u8]) -> Code<()>;
    fn pop(&mut self) -> Option<Code<Vec<u8>>>;
    fn get(&self, index: usize) -> Code<Vec<u8>>;
    fn set(&self, index: usize, value: &[u8]) -> Code<()>;
    fn insert(&mut self, index: usize, value: &[u8]) -> Option<Code<()>>;
    fn remove(&mut self, index: usize) -> Option<Code<Vec<u8>>>;
    fn extend(&mut self, values: &[u8]) -> Code<()>;
    fn read(&self, start: usize, count: usize) -> Code<Vec<u8>>;
    fn write(&mut self, start: usize, values: &[u8]) -> Code<()>;
    fn splice(&mut self, start: usize, removed: usize, values: &[u8]) -> Code<()>;
    fn fill(&mut self, start: usize, count: usize, value: &[u8]) -> Option<Code<()>>;
    fn find(&self, value: &[u8], start: usize, stop: usize) -> Option<Code<usize>>;
    fn count(&self, value: &[u8]) -> Option<Code<usize>>;
    fn equal(&self, other: &Self) -> Code<bool>;
    /// -1, 0, 1, or `MBA_UNORDERED`.
    fn compare(&self, other: &Self) -> Option<Code<i32>>;
    fn resize(&mut self, len: usize) -> Code<()>;
    fn clear(&mut self) -> Code<()>;
    fn reserve(&mut self, capacity: usize) -> Code<()>;
    fn shrink_to_fit(&mut self) -> Code<()>;
    fn commit(&mut self, len: usize) -> Code<()>;
    fn swap(&mut self, i: usize, j: usize) -> Code<()>;
    fn reverse(&mut self) -> Code<()>;
    fn byteswap(&mut self) -> Code<()>;
    fn flush(&mut self) -> Code<()>;
    fn refresh(&mut self) -> Code<()>;
    fn lock(&mut self, wait: Wait) -> Code<()>;
    fn unlock(&mut self) -> Code<()>;

    /// The C functions, for values that are the array's own, which no safe call can pass.
    fn raw(&self) -> Option<&Raw> {
        None
    }
}

fn options(flags: u32) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(flags & MBA_RDWR != 0).create(flags & MBA_CREATE != 0);
    options.private(flags & MBA_PRIVATE != 0).exact(flags & MBA_EXACT != 0);
    options
}

fn order_number(order: Option<Ordering>) -> i32 {
    order.map_or(MBA_UNORDERED, |order| order as i32)
}

fn number<T>(result: Result<T>) -> Code<T> {
    result.map_err(Error::code)
}

fn same<T>(result: T) -> T {
    result
}

fn descriptor<'a>(fd: RawFd) -> BorrowedFd<'a> {
    // SAFETY: the caller keeps the descriptor open during the call that it makes with it.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

/// Methods that call the handle's own one of the same name, which `Self::` finds before the trait's.
macro_rules! own {
    ($convert:path: $($name:ident($($argument:ident: $type:ty),*);)*) => {
        $(fn $name(&mut self, $($argument: $type),*) -> Code<()> {
            $convert(Self::$name(self, $($argument),*))
        })*
    };
}

/// The own methods that are alike in all faces.
macro_rules! own_common {
    ($convert:path) => {
        own! { $convert:
            resize(len: usize);
            clear();
            reserve(capacity: usize);
            shrink_to_fit();
            commit(len: usize);
            swap(i: usize, j: usize);
            reverse();
            byteswap();
            flush();
            refresh();
            unlock();
        }

        fn close(self) -> Code<()> {
            $convert(Self::close(self))
        }

        fn len(&self) -> usize {
            Self::len(self)
        }

        fn capacity(&self) -> usize {
            Self::capacity(self)
        }

        fn reserved(&self) -> usize {
            Self::reserved(self)
        }

        fn has_lock(&self) -> bool {
            Self::has_lock(self)
        }
    };
}

impl Face for Raw {
    const NAME: &'static str = "C";

    fn open(source: Source, ty: Type, flags: u32) -> Code<Raw> {
        match source {
            Source::Path(path) => Raw::open(path, ty, flags),
            Source::Named(name) => Raw::shared(name, ty, flags),
            Source::Descriptor(fd) => Raw::descriptor(fd, ty, flags),
            Source::Anonymous => Raw::anonymous(ty),
            // SAFETY: the memory outlives the handle.
            Source::Callers(data, bytes) => unsafe { Raw::memory(data, bytes, ty, flags) },
        }
    }

    own_common!(same);
    own! { same:
        append(value: &[u8]);
        extend(values: &[u8]);
        write(start: usize, values: &[u8]);
        splice(start: usize, removed: usize, values: &[u8]);
    }

    fn read_as(&self, element: &[u8]) -> Vec<u8> {
        element.to_vec()
    }

    fn data(&self) -> *mut u8 {
        Raw::data(self)
    }

    fn fd(&self) -> RawFd {
        Raw::fd(self)
    }

    fn pop(&mut self) -> Option<Code<Vec<u8>>> {
        Some(Raw::pop(self))
    }

    fn get(&self, index: usize) -> Code<Vec<u8>> {
        Raw::get(self, index)
    }

    fn set(&self, index: usize, value: &[u8]) -> Code<()> {
        Raw::set(self, index, value)
    }

    fn insert(&mut self, index: usize, value: &[u8]) -> Option<Code<()>> {
        Some(Raw::insert(self, index, value))
    }

    fn remove(&mut self, index: usize) -> Option<Code<Vec<u8>>> {
        Some(Raw::remove(self, index))
    }

    fn read(&self, start: usize, count: usize) -> Code<Vec<u8>> {
        Raw::read(self, start, count)
    }

    fn fill(&mut self, start: usize, count: usize, value: &[u8]) -> Option<Code<()>> {
        Some(Raw::fill(self, start, count, value))
    }

    fn find(&self, value: &[u8], start: usize, stop: usize) -> Option<Code<usize>> {
        Some(Raw::find(self, value, start, stop))
    }

    fn count(&self, value: &[u8]) -> Option<Code<usize>> {
        Some(Raw::count_of(self, value))
    }

    fn equal(&self, other: &Raw) -> Code<bool> {
        Raw::equal(self, other)
    }

    fn compare(&self, other: &Raw) -> Option<Code<i32>> {
        Some(Raw::compare(self, other))
    }

    fn lock(&mut self, wait: Wait) -> Code<()> {
        let timeout = match wait {
            Wait::No => 0,
            Wait::For(limit) => limit.as_millis() as i32,
            Wait::Forever => -1,
        };
        Raw::lock(self, timeout)
    }

    fn raw(&self) -> Option<&Raw> {
        Some(self)
    }
}

impl Face for Array {
    const NAME: &'static str = "Array";

    fn open(source: Source, ty: Type, flags: u32) -> Code<Array> {
        let options = options(flags);
        number(match source {
            Source::Path(path) => Array::open(path, ty, &options),
            Source::Named(name) => Array::shm_open(name, ty, &options),
            Source::Descriptor(fd) => Array::from_fd(descriptor(fd), ty, &options),
            Source::Anonymous => Array::anonymous(ty),
            // SAFETY: the memory outlives the handle.
            Source::Callers(data, bytes) => unsafe { Array::from_memory(data, bytes, ty, &options) },
        })
    }

    own_common!(number);
    own! { number:
        append(value: &[u8]);
        extend(values: &[u8]);
        write(start: usize, values: &[u8]);
        splice(start: usize, removed: usize, values: &[u8]);
        lock(wait: Wait);
    }

    fn read_as(&self, element: &[u8]) -> Vec<u8> {
        element.to_vec()
    }

    fn data(&self) -> *mut u8 {
        self.as_ptr()
    }

    fn fd(&self) -> RawFd {
        Array::fd(self).unwrap_or(-1)
    }

    fn pop(&mut self) -> Option<Code<Vec<u8>>> {
        None
    }

    fn get(&self, index: usize) -> Code<Vec<u8>> {
        let mut value = vec![0; self.itemsize()];
        number(Array::get(self, index, &mut value)).map(|()| value)
    }

    fn set(&self, index: usize, value: &[u8]) -> Code<()> {
        number(Array::set(self, index, value))
    }

    fn insert(&mut self, _: usize, _: &[u8]) -> Option<Code<()>> {
        None
    }

    fn remove(&mut self, _: usize) -> Option<Code<Vec<u8>>> {
        None
    }

    fn read(&self, start: usize, count: usize) -> Code<Vec<u8>> {
        let mut values = vec![0; count * self.itemsize()];
        number(Array::read(self, start, &mut values)).map(|()| values)
    }

    fn fill(&mut self, _: usize, _: usize, _: &[u8]) -> Option<Code<()>> {
        None
    }

    fn find(&self, _: &[u8], _: usize, _: usize) -> Option<Code<usize>> {
        None
    }

    fn count(&self, _: &[u8]) -> Option<Code<usize>> {
        None
    }

    fn equal(&self, other: &Array) -> Code<bool> {
        number(self.equals(other))
    }

    fn compare(&self, other: &Array) -> Option<Code<i32>> {
        Some(number(Array::compare(self, other)).map(order_number))
    }
}

/// A value of a Rust type out of an element's bytes.
fn value<T: Element>(bytes: &[u8]) -> T {
    let mut aligned = [0u128; 1];
    assert_eq!(bytes.len(), size_of::<T>());
    // SAFETY: the buffer has room for the largest element, aligned for every one.
    unsafe {
        let buffer = aligned.as_mut_ptr().cast::<u8>();
        buffer.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        T::from_memory(buffer)
    }
}

fn values<T: Element>(bytes: &[u8]) -> Vec<T> {
    bytes.chunks_exact(size_of::<T>()).map(value).collect()
}

fn bytes<T: Element>(values: &[T]) -> Vec<u8> {
    // SAFETY: elements are plain numbers, all of whose bytes are initialised.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), size_of_val(values)) }.to_vec()
}

fn byte_result<T: Element>(result: Result<Option<T>>, none: i32) -> Code<Vec<u8>> {
    number(result)?.map(|value| bytes(&[value])).ok_or(none)
}

impl<T: Element + PartialEq> Face for MmapArray<T> {
    const NAME: &'static str = "MmapArray";

    fn open(source: Source, ty: Type, flags: u32) -> Code<MmapArray<T>> {
        assert_eq!(ty.code(), T::CODE);
        let options = options(flags);
        number(match source {
            Source::Path(path) => MmapArray::open_with(path, &options),
            Source::Named(name) => MmapArray::shm_open(name, &options),
            Source::Descriptor(fd) => MmapArray::from_fd(descriptor(fd), &options),
            Source::Anonymous => MmapArray::anonymous(),
            Source::Callers(data, bytes) => {
                // SAFETY: the memory outlives the handle.
                let array = unsafe { Array::from_memory(data, bytes, ty, &options) };
                array.and_then(MmapArray::try_from)
            }
        })
    }

    own_common!(number);
    own! { number: lock(wait: Wait); }

    fn read_as(&self, element: &[u8]) -> Vec<u8> {
        bytes(&[value::<T>(element)])
    }

    fn data(&self) -> *mut u8 {
        self.as_ptr().cast()
    }

    fn fd(&self) -> RawFd {
        MmapArray::fd(self).unwrap_or(-1)
    }

    fn append(&mut self, bytes: &[u8]) -> Code<()> {
        number(self.push(value(bytes)))
    }

    fn pop(&mut self) -> Option<Code<Vec<u8>>> {
        Some(byte_result(MmapArray::pop(self), MBA_EEMPTY))
    }

    fn get(&self, index: usize) -> Code<Vec<u8>> {
        byte_result(Ok(MmapArray::get(self, index)), MBA_EINDEX)
    }

    fn set(&self, index: usize, bytes: &[u8]) -> Code<()> {
        number(MmapArray::set(self, index, value(bytes)))
    }

    fn insert(&mut self, index: usize, bytes: &[u8]) -> Option<Code<()>> {
        Some(number(MmapArray::insert(self, index, value(bytes))))
    }

    fn remove(&mut self, index: usize) -> Option<Code<Vec<u8>>> {
        Some(byte_result(MmapArray::remove(self, index).map(Some), MBA_EINDEX))
    }

    fn extend(&mut self, bytes: &[u8]) -> Code<()> {
        number(self.extend_from_slice(&values(bytes)))
    }

    fn read(&self, start: usize, count: usize) -> Code<Vec<u8>> {
        number(self.to_vec(start..start + count)).map(|values| bytes(&values))
    }

    fn write(&mut self, start: usize, bytes: &[u8]) -> Code<()> {
        number(MmapArray::write(self, start, &values(bytes)))
    }

    fn splice(&mut self, start: usize, removed: usize, bytes: &[u8]) -> Code<()> {
        number(MmapArray::splice(self, start..start + removed, &values(bytes)))
    }

    fn fill(&mut self, start: usize, count: usize, bytes: &[u8]) -> Option<Code<()>> {
        Some(number(MmapArray::fill(self, start..start + count, value(bytes))))
    }

    fn find(&self, bytes: &[u8], start: usize, stop: usize) -> Option<Code<usize>> {
        let stop = stop.min(self.len());
        Some(number(MmapArray::find(self, value(bytes), start.min(stop)..stop)))
    }

    fn count(&self, bytes: &[u8]) -> Option<Code<usize>> {
        Some(Ok(MmapArray::count(self, value(bytes))))
    }

    fn equal(&self, other: &MmapArray<T>) -> Code<bool> {
        Ok(self == other)
    }

    fn compare(&self, _: &MmapArray<T>) -> Option<Code<i32>> {
        None
    }
}
