//! Random operations on every kind of array, compared after every step with a plain `Vec` of bytes.
//!
//! Every element type, every backing, and three faces: the C functions, `Array`, `MmapArray<T>`. Lengths are
//! drawn close to where pages, footers and capacities end. proptest makes a failing run short.

mod helpers;
mod model {
    pub mod backing;
    pub mod element;
    pub mod face;
    pub mod operation;
    pub mod run;
}

use mmap_backed_array::{Array, Char8, Complex, Element, F16, MmapArray, Type};

use helpers::raw::Raw;
use model::backing::Backing;
use model::run::try_many;

/// How many random runs each type, backing and face gets.
const RUNS: u32 = 3;

fn all_types_and_faces(backing: Backing) {
    for ty in Type::all().chain(records()) {
        try_many::<Raw>(backing, ty, RUNS);
        try_many::<Array>(backing, ty, RUNS);
    }
    mmap_backed_array::for_each_element_type!(typed, backing);
    typed::<Point>(backing);
}

/// Records: of a number's size and others, too large for a copy on the stack, for a page, and for the pieces by which
/// elements are compared.
fn records() -> impl Iterator<Item = Type> {
    let sizes = [3, 8, 12, 16, 65, 5000, 9000];
    sizes.into_iter().map(|size| Type::record(size).unwrap())
}

/// A structure as an element.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
struct Point {
    id: u32,
    place: [i16; 4],
}

// SAFETY: twelve bytes without padding, which take any bits; aligned to four.
unsafe impl Element for Point {
    const CODE: i32 = Type::record_code(size_of::<Point>());
}

fn typed<T: Element + PartialEq>(backing: Backing) {
    try_many::<MmapArray<T>>(backing, Type::from_code(T::CODE).unwrap(), RUNS);
}

#[test]
fn a_file_on_the_disk() {
    all_types_and_faces(Backing::Disk);
}

#[test]
fn a_file_in_memory() {
    all_types_and_faces(Backing::Memory);
}

#[test]
fn an_exact_file_on_the_disk() {
    all_types_and_faces(Backing::ExactDisk);
}

#[test]
fn an_exact_file_in_memory() {
    all_types_and_faces(Backing::ExactMemory);
}

#[test]
fn anonymous_memory() {
    all_types_and_faces(Backing::Anonymous);
}

#[test]
fn named_memory() {
    all_types_and_faces(Backing::Named);
}

#[test]
fn a_descriptor() {
    all_types_and_faces(Backing::Descriptor);
}

#[test]
fn a_private_copy() {
    all_types_and_faces(Backing::Private);
}

#[test]
fn memory_of_the_callers() {
    all_types_and_faces(Backing::Callers);
}
