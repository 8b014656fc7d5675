//! Where the programs' files lie.

use std::path::Path;

use tempfile::TempDir;

/// A kind of file system.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// The one that the build is on.
    Disk,
    /// tmpfs, where bytes past the end of the file and full disks behave otherwise.
    Memory,
}

impl Place {
    pub const ALL: [Place; 2] = [Place::Disk, Place::Memory];

    /// A new directory, which goes away when it is dropped.
    pub fn scratch(self) -> TempDir {
        let parent = match self {
            Place::Disk => Path::new(env!("CARGO_TARGET_TMPDIR")),
            Place::Memory => Path::new("/dev/shm"),
        };
        tempfile::Builder::new()
            .prefix("ctests-")
            .tempdir_in(parent)
            .unwrap_or_else(|error| panic!("no scratch directory in {}: {error}", parent.display()))
    }
}
