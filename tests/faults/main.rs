//! Nothing lost, every call answers: a campaign of faults, one row of a table for each kind.
//!
//! ```text
//! cargo test --test faults                         a short version of each
//! MBA_FAULTS=ci cargo test --release --test faults      what CI runs: about five minutes
//! MBA_FAULTS=full cargo test --release --test faults    all of it
//! cargo test --test faults -- kill                 those whose name has this word in it
//! ```
//!
//! It prints what was tried, how often, and how often all was well. File systems on loop devices need root;
//! `MBA_SKIP=name,name` skips kinds of faults by the first word of their name, and file systems by theirs.

mod calls;
mod campaign;
mod children;
mod closing;
mod descriptors;
mod filesystem;
#[path = "../helpers/fuzzed/mod.rs"]
mod fuzzed;
#[path = "../helpers/mod.rs"]
mod helpers;
mod hostile;
mod hostile_files;
mod interleaved;
mod kills;
mod limits;
mod misuse;
mod names;
mod paths;
mod power;
mod presence;
mod processes;
mod scene;
mod shortening;
mod space;
mod truncation;

use std::process::ExitCode;

fn main() -> ExitCode {
    kills::write_if_told_to();
    campaign::run(&[
        calls::FAULTS,
        kills::FAULTS,
        interleaved::FAULTS,
        closing::FAULTS,
        shortening::FAULTS,
        presence::FAULTS,
        descriptors::FAULTS,
        paths::FAULTS,
        children::FAULTS,
        space::FAULTS,
        power::FAULTS,
        processes::FAULTS,
        truncation::FAULTS,
        limits::FAULTS,
        hostile::FAULTS,
        hostile_files::FAULTS,
        names::FAULTS,
        misuse::FAULTS,
    ])
}
