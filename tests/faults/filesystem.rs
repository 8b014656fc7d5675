//! File systems to break things on: on loop devices, each of its own size, gone with the value.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::common::{output_of, skipped};

/// A kind of file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Tmpfs,
    Ext4,
    Xfs,
    Btrfs,
    /// Without fallocate that keeps the size.
    Ext2,
}

impl Kind {
    /// Those that the promises name.
    pub const ALL: [Kind; 4] = [Kind::Tmpfs, Kind::Ext4, Kind::Xfs, Kind::Btrfs];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Tmpfs => "tmpfs",
            Kind::Ext4 => "ext4",
            Kind::Xfs => "xfs",
            Kind::Btrfs => "btrfs",
            Kind::Ext2 => "ext2",
        }
    }

    /// The package that makes it, and the smallest size that it can have, in MiB.
    fn maker(self) -> (&'static str, u64) {
        match self {
            Kind::Tmpfs => ("mount", 1),
            Kind::Ext4 | Kind::Ext2 => ("e2fsprogs", 8),
            Kind::Xfs => ("xfsprogs", 300),
            Kind::Btrfs => ("btrfs-progs", 128),
        }
    }

    /// A new one of so many MiB, or of as few as it can have; `None` if `MBA_SKIP` names it.
    pub fn mount(self, mebibytes: u64) -> Option<Mounted> {
        if skipped(self.name()) {
            return None;
        }
        let (package, least) = self.maker();
        let size = mebibytes.max(least);
        let directory = tempfile::Builder::new().prefix("mba-faults-").tempdir().unwrap();
        let image = directory.path().join("image");
        let point = directory.path().join("mounted");
        std::fs::create_dir(&point).unwrap();
        if self == Kind::Tmpfs {
            let options = format!("size={size}m");
            output_of(
                Command::new("mount").args(["-t", "tmpfs", "-o", &options, "none"]).arg(&point),
                package,
            );
        } else {
            std::fs::File::create(&image).unwrap().set_len(size << 20).unwrap();
            let mut make = Command::new(format!("mkfs.{}", self.name()));
            output_of(make.arg("-q").arg(&image), package);
            let kind = self.name();
            output_of(
                Command::new("mount").args(["-t", kind, "-o", "loop"]).arg(&image).arg(&point),
                "mount",
            );
        }
        Some(Mounted { kind: self, point, _directory: directory })
    }
}

/// A file system that is mounted.
pub struct Mounted {
    pub kind: Kind,
    point: PathBuf,
    _directory: TempDir,
}

impl Mounted {
    pub fn path(&self) -> &Path {
        &self.point
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let done = Command::new("umount").arg("-l").arg(&self.point).status();
        if !done.is_ok_and(|status| status.success()) {
            eprintln!("{} stays mounted", self.point.display());
        }
    }
}
