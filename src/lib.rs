//! Typed arrays in mapped memory: shared between processes and languages, persistent, growing, never moving.
//!
//! An array's elements live in a mapped file, in anonymous shared memory or in a named shared-memory object,
//! and any number of processes, in any language, see the same bytes at once. A closed file is exactly its
//! elements, without a header.
//!
//! ```
//! use mmap_backed_array::MmapArray;
//!
//! # let directory = std::env::temp_dir().join(format!("mba-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&directory)?;
//! # let path = directory.join("squares.u64");
//! let mut squares = MmapArray::<u64>::open_or_create(&path)?;
//! let address = squares.as_ptr();
//! for n in 0..1000 {
//!     squares.push(n * n)?;
//! }
//! assert_eq!(squares.as_ptr(), address); // however much it grows
//! squares.close()?;
//! assert_eq!(std::fs::metadata(&path)?.len(), 8000);
//!
//! let squares = MmapArray::<u64>::open(&path)?;
//! assert_eq!(squares.get(31), Some(961));
//! # std::fs::remove_dir_all(&directory)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Faces
//! [`MmapArray<T>`] for Rust, where the element type is known; [`Array`] where it is known at run time; the C
//! library with `include/mmap_backed_array.h` for everything else, whose functions are in [`capi`].
//!
//! # Errors
//! Every call that can fail returns an [`Error`]: the system's `errno`, or one of ours. The array is then as
//! it was, unless the call's documentation says otherwise.
//!
//! # Length and the growth lock
//! A handle sees the length that it last took up, by opening, by `refresh`, or by a change of its own. One
//! handle at a time can change the length: the first call that does takes a lock that the kernel keeps, and
//! drops when the process dies. Setting elements and reading need no lock.
//!
//! # Threads
//! A [`MmapArray`] is `Send` and `Sync`: reading and setting elements goes through `&self`, by relaxed atomics
//! for elements of up to 8 bytes; what changes the length takes `&mut self`. An [`Array`] is `Send`. Other
//! processes can store at any time what they like, as with any shared map, so no safe call gives out a slice.
//! What copies or searches many elements (`to_vec`, `find`, `count`, `==`) does so by plain copies: beside a thread
//! that sets the same elements it can see old and new ones mixed, as beside another process. Rust's rules have no
//! word for memory that is shared so; this crate relies on copies being just copies.
//!
//! A handle's length can be out of date. What it has ever seen as an element stays mapped for it all the same, also when
//! others make the array shorter; [`MmapArray::epoch`] tells, after a refresh, that elements were taken away or moved. Only
//! programs that don't use this library can truncate a file under a handle, and reading what is gone is a SIGBUS then, by safe
//! calls too. [`guard::enable`] makes zeros of that.
//!
//! # Fork
//! A child keeps the mapping, and neither the lock nor the right to trim: its first change of the
//! length takes the lock for itself. A child that exits or drops its copy leaves the parent's array alone.
//!
//! # ABI
//! The shared library's soname has the version up to which the ABI stays as it is: the major one, and while that is 0
//! the minor one too. `mba_version` tells the whole.

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!("mmap_backed_array is built for 64-bit Linux");

// A unit test includes a file of tests/, which names the crate.
#[cfg(test)]
extern crate self as mmap_backed_array;

mod array;
pub mod capi;
mod element;
mod errno;
mod error;
mod explain;
mod mapping;
mod ops;
mod options;
mod status;
mod storage;
mod typed;
mod types;

/// Files that are truncated while they are mapped: zeros and an error, instead of a signal that ends the process.
///
/// The guard is a handler for SIGBUS, for the whole process. Where a file has become shorter, it puts memory of zeros
/// in the place of what is gone, and marks the handle. Calls that can say so then say [`Error::Truncated`]; getting
/// and setting single elements of a [`MmapArray`], and what has no error to return, goes on with zeros, and
/// [`MmapArray::is_truncated`] tells. The comment of [`capi::mba_guard_enable`] has the rest.
pub mod guard {
    pub use crate::storage::guard::{disable, enable};
}

pub use array::Array;
pub use element::{Char8, Complex, Element, F16};
pub use error::{Argument, Error, Result};
pub use explain::About;
pub use mapping::Mapping;
pub use options::OpenOptions;
pub use status::{Status, info, tidy};
pub use storage::{Advice, Wait};
pub use typed::{Iter, MmapArray};
pub use types::{Kind, Type};
