//! The Rust face.
fn main() {}
