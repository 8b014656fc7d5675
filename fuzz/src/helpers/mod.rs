//! Those of the tests' helpers that the targets need.

#![allow(dead_code)]

#[path = "../../../tests/helpers/footer.rs"]
pub mod footer;
#[path = "../../../tests/helpers/numbers.rs"]
mod numbers;
#[path = "../../../tests/helpers/raw.rs"]
pub mod raw;

pub use numbers::Numbers;
