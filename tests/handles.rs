//! No handle can hurt another: random calls by many handles on one file, in one process and in several, with children
//! of every kind, compared after every step with a plain model.
//!
//! ```text
//! cargo test --test handles                                    some seconds for each test
//! MBA_HANDLES=ci cargo test --release --test handles           minutes
//! MBA_HANDLES=full cargo test --release --test handles         hours
//! MBA_HANDLES_SECONDS=600 cargo test --test handles            so long
//! MBA_HANDLES_SEED=7 cargo test --test handles -- several      one case again
//! ```

mod helpers;
mod handles {
    pub mod at_once;
    pub mod board;
    pub mod call;
    pub mod calls;
    pub mod campaign;
    pub mod check;
    pub mod footer;
    pub mod lead;
    pub mod ledger;
    pub mod model;
    pub mod steps;
    pub mod talk;
    pub mod worker;
}

use handles::at_once::Scene;
use handles::campaign::{self, Stage};
use handles::steps::Case;
use helpers::{arguments, part};

/// Runs a test in a process where nothing else happens, for as long as it takes.
fn apart(test: &str, play: impl Fn(&Stage, u64)) {
    if arguments(test).is_some() {
        return campaign::run(test, play);
    }
    let status = part(test, &[]).status().unwrap();
    assert!(status.success(), "{test}, in a process of its own: {status}");
}

#[test]
fn handles_of_one_process() {
    apart("handles_of_one_process", |stage, seed| stage.try_case(seed, &Case::new(seed, false)));
}

#[test]
fn handles_of_several_processes() {
    apart("handles_of_several_processes", |stage, seed| stage.try_case(seed, &Case::new(seed, true)));
}

#[test]
fn handles_that_are_used_at_once() {
    apart("handles_that_are_used_at_once", |stage, seed| stage.try_scene(seed, &Scene::new(seed)));
}
