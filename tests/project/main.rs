//! What isn't the library itself: its header and ABI, installing it, the pages and the examples.

#[path = "../helpers/mod.rs"]
mod helpers;

mod abi;
mod examples;
mod header;
mod install;
mod pages;
mod versions;
