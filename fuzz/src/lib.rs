//! What the targets run lies in `tests/helpers/fuzzed`, where the campaign of faults runs it too.

#[path = "../../tests/helpers/fuzzed/mod.rs"]
pub mod fuzzed;
mod helpers;
