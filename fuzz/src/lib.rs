//! What the targets run lies in `tests/fuzzed`, where the campaign of faults runs it too.

mod common;
#[path = "../../tests/fuzzed/mod.rs"]
pub mod fuzzed;
