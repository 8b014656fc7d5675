//! What the library does, a module for each topic: `cargo test --test library lock::` runs one. The C programs of a
//! topic are in `ctests` under the same word.

#[path = "../helpers/mod.rs"]
mod helpers;

mod callers;
mod elements;
mod errors;
mod files;
mod forks {
    mod at_each_call;
    mod beside;
    mod idle;
    mod inherited;
}
mod full_disk;
mod guarantees;
mod kills {
    mod at_each_call;
    mod at_random;
}
mod length;
mod lock;
mod memory;
mod ordering;
