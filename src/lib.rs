//! Typed arrays in mapped memory: shared between processes and languages, persistent, growing, never moving.
mod array;
mod element;
mod errno;
mod error;
mod ops;
mod options;
mod storage;
pub use array::Array;
pub use element::*;
pub use error::{Error, Result};
pub use options::OpenOptions;
pub use storage::{Advise, Wait};
