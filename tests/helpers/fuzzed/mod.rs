//! Files of arbitrary bytes, and random calls. An input says all that happens, so that a fuzzer can look for
//! inputs that reach new code (`fuzz/`), and the campaign of faults can run those that it has found, and random
//! ones. A run panics if anything isn't as the model of the array and its handles says.

mod bytes;
pub mod calls;
#[path = "../../model/element.rs"]
mod element;
mod growing;
mod home;
mod in_place;
pub mod open;
mod sharing;
mod steps;
mod world;
