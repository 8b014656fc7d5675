//! The typed face with elements of many sizes and alignments, against a plain vector; bytes that are no value; and
//! advice, which leaves elements alone.

use crate::helpers::{Numbers, Place, writable};
use mmap_backed_array::{Advice, Array, Element, Error, MmapArray, OpenOptions, Type};

/// Elements of `N` bytes with the alignment of `A`, which is that of a type of no size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
struct Record<const N: usize, A: Copy> {
    alignment: [A; 0],
    bytes: [u8; N],
}

/// A type that is aligned so, and is there for that.
macro_rules! alignments {
    ($($name:ident $align:literal;)*) => {$(
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(align($align))]
        struct $name;
    )*};
}

alignments! {
    A1 1; A2 2; A4 4; A8 8; A16 16; A32 32; A64 64; A4096 4096;
}

// SAFETY: bytes of which any are a value; the sizes that are used below are multiples of the alignment, so that there is
// no padding.
unsafe impl<const N: usize, A: Copy + Send + Sync + 'static> Element for Record<N, A> {
    const CODE: i32 = Type::record_code(size_of::<Self>());
}

fn value<const N: usize, A: Copy>(numbers: &mut Numbers) -> Record<N, A> {
    let mut bytes = [0; N];
    bytes.fill_with(|| numbers.next() as u8);
    Record { alignment: [], bytes }
}

/// Random calls on a mapped array and on a vector.
fn compare<const N: usize, A>(numbers: &mut Numbers, mut array: MmapArray<Record<N, A>>)
where
    A: Copy + Send + Sync + PartialEq + std::fmt::Debug + 'static,
{
    assert_eq!(size_of::<Record<N, A>>(), N, "there is no padding");
    assert!(array.as_ptr().is_aligned());
    let mut vec = Vec::new();
    for _ in 0..200 {
        let at = numbers.below(vec.len() as u64 + 1) as usize;
        let is_there = at < vec.len();
        match numbers.below(13) {
            0..3 => {
                let value = value(numbers);
                array.push(value).unwrap();
                vec.push(value);
            }
            3 => assert_eq!(array.pop(), Ok(vec.pop())),
            4 if is_there => assert_eq!(array.remove(at), Ok(vec.remove(at))),
            5 => {
                let value = value(numbers);
                array.insert(at, value).unwrap();
                vec.insert(at, value);
            }
            6 if is_there => {
                vec[at] = value(numbers);
                array.set(at, vec[at]).unwrap();
            }
            7 if is_there => {
                assert_eq!(array.get(at), Some(vec[at]));
                let first = vec.iter().position(|other| *other == vec[at]).unwrap();
                assert_eq!(array.find(vec[at], ..), Ok(first));
                assert_eq!(array.count(vec[at]), vec.iter().filter(|other| **other == vec[at]).count());
            }
            8 => {
                let values: Vec<_> = (0..numbers.below(5)).map(|_| value(numbers)).collect();
                array.extend_from_slice(&values).unwrap();
                vec.extend_from_slice(&values);
            }
            9 => {
                let value = value(numbers);
                array.fill(at.., value).unwrap();
                vec[at..].fill(value);
            }
            10 if is_there => {
                let other = numbers.below(vec.len() as u64) as usize;
                array.swap(at, other).unwrap();
                vec.swap(at, other);
            }
            12 => {
                array.reverse().unwrap();
                vec.reverse();
            }
            11 if numbers.below(10) == 0 => {
                array.resize(at).unwrap();
                vec.truncate(at);
            }
            _ => assert_eq!(array.to_vec(..).unwrap(), vec),
        }
        assert_eq!(array.len(), vec.len());
    }
    assert!(array.iter().eq(vec.iter().copied()));
    // SAFETY: nobody else has the array.
    assert_eq!(unsafe { array.as_slice() }, vec);
}

fn compare_all<const N: usize, A>(numbers: &mut Numbers)
where
    A: Copy + Send + Sync + PartialEq + std::fmt::Debug + 'static,
{
    let directory = Place::Memory.directory();
    compare::<N, A>(numbers, MmapArray::anonymous().unwrap());
    compare::<N, A>(numbers, MmapArray::open_or_create(directory.path().join("array")).unwrap());
}

#[test]
fn elements_of_any_size_and_alignment_come_back_as_they_were() {
    let numbers = &mut Numbers::any();
    macro_rules! try_each {
        ($($align:ident: $($size:literal)*;)*) => { $($(compare_all::<$size, $align>(numbers);)*)* };
    }
    try_each! {
        A1: 1 2 3 4 5 7 8 9 15 16 17 24 31 100 1000 4095 4096;
        A2: 2 4 6 8 10 16 18 30 1002 4096;
        A4: 4 8 12 16 20 28 60 1004 4096;
        A8: 8 16 24 32 40 72 1008 4096;
        A16: 16 32 48 80 4096;
        A32: 32 64 96 4096;
        A64: 64 128 4096;
        A4096: 4096;
    }
}

/// Memory that isn't aligned as a type wants it is no array of that type.
#[test]
fn memory_of_another_alignment_is_refused() {
    #[repr(align(64))]
    struct Memory([u8; 256]);
    let mut memory = Memory([0; 256]);
    for shift in [0, 8, 16, 32, 64] {
        let data = memory.0.as_mut_ptr().wrapping_add(shift);
        let ty = Type::record(64).unwrap();
        // SAFETY: the memory is there until the end, and nobody else uses it.
        let array = unsafe { Array::from_memory(data, 128, ty, OpenOptions::new().write(true)) }.unwrap();
        match MmapArray::<Record<64, A64>>::try_from(array) {
            Ok(array) => {
                assert_eq!(shift % 64, 0);
                // SAFETY: nobody stores there.
                assert!(unsafe { array.as_slice() }.as_ptr().is_aligned());
            }
            Err(error) => {
                assert_ne!(shift % 64, 0);
                assert_eq!(error.code(), libc::EINVAL);
            }
        }
        // SAFETY: as above.
        let array = unsafe { Array::from_memory(data, 128, ty, &OpenOptions::new()) }.unwrap();
        assert!(MmapArray::<Record<64, A8>>::try_from(array).is_ok(), "less of an alignment is enough there");
        let array = Array::anonymous(ty).unwrap();
        assert_eq!(MmapArray::<Record<24, A8>>::try_from(array).err(), Some(Error::Type));
    }
}

/// Whatever bytes others put there, what safe calls give of `bool` and `char` are values of those types.
#[test]
fn bytes_that_are_no_value_are_read_as_one() {
    let directory = Place::Memory.directory();
    let path = directory.path().join("array");
    let bytes: Vec<u8> = (0..=255).cycle().take(4096).collect();
    std::fs::write(&path, &bytes).unwrap();
    let open = || *OpenOptions::new().write(true);
    let mut truths = MmapArray::<bool>::open_with(&path, &open()).unwrap();
    assert!(truths.iter().zip(&bytes).all(|(truth, byte)| truth == (*byte != 0)));
    assert_eq!(truths.to_vec(..3), Ok(vec![false, true, true]));
    assert_eq!((truths.pop(), truths.remove(2)), (Ok(Some(true)), Ok(true)));
    truths.close().unwrap();
    std::fs::write(&path, &bytes).unwrap();
    let mut letters = MmapArray::<char>::open_with(&path, &open()).unwrap();
    let letter =
        |at: usize| char::from_u32(u32::from_ne_bytes(bytes[at * 4..at * 4 + 4].try_into().unwrap()));
    for at in 0..letters.len() {
        assert_eq!(letters.get(at), Some(letter(at).unwrap_or(char::REPLACEMENT_CHARACTER)));
    }
    let last = letters.len() - 1;
    assert_eq!(letters.pop(), Ok(Some(letter(last).unwrap_or(char::REPLACEMENT_CHARACTER))));
    assert_eq!(letters.remove(5), Ok(letter(5).unwrap_or(char::REPLACEMENT_CHARACTER)));
}

/// The system drops the pages that won't be needed; in a private copy those are the only ones with the elements.
#[test]
fn no_advice_changes_an_element() {
    let directory = Place::Disk.directory();
    let path = directory.path().join("array");
    std::fs::write(&path, [1; 400_000]).unwrap();
    let ty = Type::from_char('I').unwrap();
    let mut memory = vec![0u32; 100_000];
    // SAFETY: the memory outlives the handle, and nobody else uses it meanwhile.
    let callers = unsafe { Array::from_memory(memory.as_mut_ptr().cast(), 400_000, ty, &writable()) };
    let anonymous = Array::anonymous(ty).unwrap();
    anonymous.resize(100_000).unwrap();
    for array in [
        Array::open(&path, ty, OpenOptions::new().private(true)).unwrap(),
        Array::open(&path, ty, &writable()).unwrap(),
        callers.unwrap(),
        anonymous,
    ] {
        let values: Vec<u8> = (0..100_000u32).flat_map(u32::to_ne_bytes).collect();
        array.write(0, &values).unwrap();
        for advise in [Advice::DontNeed, Advice::WillNeed, Advice::Random, Advice::Sequential, Advice::Normal]
        {
            for (start, count) in [(0, 100_000), (1024, 2048), (3, 5000), (100_000, 0)] {
                array.advise(start, count, advise).unwrap_or_else(|error| panic!("{advise:?}: {error}"));
            }
            assert_eq!(array.advise(0, 100_001, advise), Err(Error::Index));
            let mut found = vec![0; values.len()];
            array.read(0, &mut found).unwrap();
            assert!(found == values, "{array:?} after {advise:?}");
        }
    }
}
