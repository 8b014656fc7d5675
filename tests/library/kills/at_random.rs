//! `kill -9` at any moment: append, extend, pop, resize, commit and clear have happened wholly or not at all.
//!
//! See `helpers/writer.rs` for how that is seen.

use crate::helpers::writer::{change_for_ever, pattern, round};
use crate::helpers::{Numbers, Place, alone, arguments};

const ROUNDS: u64 = 200;

fn crash(test: &str, place: Place) {
    match arguments(test) {
        Some(arguments) if !arguments.is_empty() => change_for_ever(&arguments),
        // A child that another test is starting would have the closed file open for a moment longer.
        _ => alone(test, || rounds(test, place)),
    }
}

fn rounds(test: &str, place: Place) {
    let directory = place.directory();
    let pattern = pattern();
    let mut seeds = Numbers::any();
    let mut fruitful = 0;
    for _ in 0..ROUNDS {
        fruitful += u64::from(round(test, directory.path(), seeds.next(), &pattern) > 0);
    }
    // Else the kills came too early to prove anything.
    assert!(fruitful > ROUNDS / 10, "only {fruitful} children of {ROUNDS} came to change anything");
}

#[test]
fn nothing_is_lost_in_memory() {
    crash("nothing_is_lost_in_memory", Place::Memory);
}

#[test]
fn nothing_is_lost_on_the_disk() {
    crash("nothing_is_lost_on_the_disk", Place::Disk);
}
