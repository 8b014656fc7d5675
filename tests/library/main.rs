//! What the library does, a module for each topic: `cargo test --test library kills` runs one.

#[path = "../helpers/mod.rs"]
mod helpers;

mod callers;
mod errors;
mod forks {
    mod idle;
    mod inherited;
}
mod full_disk;
mod guarantees;
mod handoff;
mod kills {
    mod at_each_call;
    mod at_random;
}
mod ordering;
mod resources;
mod trimming;
mod typed;
