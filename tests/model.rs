//! Random operations on every kind of array, compared after every step with a plain `Vec` of bytes.
//!
//! Every element type, every backing, and three faces: the C functions, `Array`, `MmapArray<T>`. Lengths are
//! drawn close to where pages, tail records and capacities end. proptest makes a failing run short.

mod common;
mod model {
    pub mod backing;
    pub mod element;
    pub mod face;
    pub mod operation;
    pub mod run;
}

use mmap_backed_array::{Array, Char8, Complex, Element, F16, MmapArray, Type};

use common::raw::Raw;
use model::backing::Backing;
use model::run::try_many;

/// How many random runs each type, backing and face gets.
const RUNS: u32 = 3;

fn all_types_and_faces(backing: Backing) {
    for ty in Type::all() {
        try_many::<Raw>(backing, ty, RUNS);
        try_many::<Array>(backing, ty, RUNS);
    }
    typed::<Char8>(backing);
    typed::<i8>(backing);
    typed::<u8>(backing);
    typed::<bool>(backing);
    typed::<i16>(backing);
    typed::<u16>(backing);
    typed::<i32>(backing);
    typed::<u32>(backing);
    typed::<i64>(backing);
    typed::<u64>(backing);
    typed::<F16>(backing);
    typed::<f32>(backing);
    typed::<f64>(backing);
    typed::<Complex<f32>>(backing);
    typed::<Complex<f64>>(backing);
    typed::<char>(backing);
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
