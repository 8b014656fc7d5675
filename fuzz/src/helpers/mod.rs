//! The part of the tests' common code that the targets need.

#![allow(dead_code)]

#[path = "../../../tests/common/footer.rs"]
pub mod footer;
#[path = "../../../tests/common/numbers.rs"]
mod numbers;
#[path = "../../../tests/common/raw.rs"]
pub mod raw;

pub use numbers::Numbers;
