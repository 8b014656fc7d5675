//! What isn't the library itself: its header and ABI, installing it, the pages and the examples.

#[path = "../common/mod.rs"]
mod common;

mod abi;
mod examples;
mod header;
mod install;
mod pages;
