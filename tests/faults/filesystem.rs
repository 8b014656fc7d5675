//! File systems to break things on: on loop devices, each of its own size, gone with the value.

use std::cell::Cell;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr::null;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tempfile::TempDir;

use crate::helpers::{output_of, skipped};

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
        self.mount_in(None, mebibytes)
    }

    /// The same, its image in a directory that may be on another such file system.
    pub fn mount_in(self, parent: Option<&Path>, mebibytes: u64) -> Option<Mounted> {
        if skipped(self.name()) {
            return None;
        }
        be_private();
        let (package, least) = self.maker();
        let size = mebibytes.max(least);
        let directory = tempfile::Builder::new().prefix("mba-faults-").tempdir().unwrap();
        let image = parent.unwrap_or(directory.path()).join("image");
        let point = directory.path().join("mounted");
        std::fs::create_dir(&point).unwrap();
        let mounted =
            Mounted { kind: self, size, image, point, is_mounted: Cell::new(false), _directory: directory };
        if self != Kind::Tmpfs {
            std::fs::File::create(&mounted.image).unwrap().set_len(size << 20).unwrap();
            let mut make = Command::new(format!("mkfs.{}", self.name()));
            output_of(make.arg("-q").arg(&mounted.image), package);
        }
        mounted.mount();
        Some(mounted)
    }
}

/// Gives this process a list of mounts of its own. Else any other process that makes itself one meanwhile would have
/// what is mounted here on it, and keep it in use; and what is mounted here is gone with the process.
fn be_private() {
    static DONE: AtomicBool = AtomicBool::new(false);
    if DONE.swap(true, Relaxed) {
        return;
    }
    let flags = libc::MS_REC | libc::MS_PRIVATE;
    // SAFETY: the path is a C string, and what mount doesn't need may be null.
    let done = unsafe {
        libc::unshare(libc::CLONE_NEWNS) == 0
            && libc::mount(null(), c"/".as_ptr(), null(), flags, null()) == 0
    };
    assert!(done, "mounting needs root: {}", std::io::Error::last_os_error());
}

/// A file system that is mounted.
pub struct Mounted {
    pub kind: Kind,
    size: u64,
    image: PathBuf,
    point: PathBuf,
    is_mounted: Cell<bool>,
    _directory: TempDir,
}

impl Mounted {
    pub fn path(&self) -> &Path {
        &self.point
    }

    /// Mounts it; the second time after [`Mounted::unmount`].
    pub fn mount(&self) {
        let mut command = Command::new("mount");
        command.args(["-t", self.kind.name()]);
        if self.kind == Kind::Tmpfs {
            command.args(["-o", &format!("size={}m", self.size), "none"]);
        } else {
            command.args(["-o", "loop"]).arg(&self.image);
        }
        output_of(command.arg(&self.point), "mount");
        self.is_mounted.set(true);
    }

    /// Unmounts it, when nobody uses it any more.
    pub fn unmount(&self) {
        let start = std::time::Instant::now();
        loop {
            let output = Command::new("umount").arg(&self.point).output().unwrap();
            if output.status.success() {
                self.is_mounted.set(false);
                return;
            }
            // A loop device, or a process that has just ended, lets go of it a moment later, and nothing tells when.
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(errors.contains("busy") && start.elapsed().as_secs() < 20, "{errors}");
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }

    /// Ends all writing to the device at once, also of the journal, as a loss of power does; the file system fails
    /// from then on.
    pub fn shut_down(&self) {
        const SHUTDOWN: libc::c_ulong = (2 << 30) | (4 << 16) | (b'X' as libc::c_ulong) << 8 | 125;
        let without_log: u32 = 2;
        let root = std::fs::File::open(&self.point).unwrap();
        // SAFETY: the call reads one number.
        let result = unsafe { libc::ioctl(root.as_raw_fd(), SHUTDOWN, &raw const without_log) };
        assert_eq!(result, 0, "{}: {}", self.kind.name(), std::io::Error::last_os_error());
    }
}

/// An overlay: a directory in which files of a lower layer are seen until somebody writes to them, who gets a copy in the
/// upper layer.
pub struct Overlay {
    directory: TempDir,
}

impl Overlay {
    /// A new one whose layers are in this directory; `fill` puts files in the lower one.
    pub fn mount(parent: &Path, fill: impl FnOnce(&Path)) -> Overlay {
        be_private();
        let directory = tempfile::Builder::new().prefix("mba-faults-").tempdir_in(parent).unwrap();
        let at = |name: &str| directory.path().join(name);
        for name in ["lower", "upper", "work", "merged"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        fill(&at("lower"));
        let layers = format!(
            "lowerdir={},upperdir={},workdir={}",
            at("lower").display(),
            at("upper").display(),
            at("work").display()
        );
        let mut command = Command::new("mount");
        command.args(["-t", "overlay", "-o", &layers, "overlay"]);
        output_of(command.arg(at("merged")), "mount");
        Overlay { directory }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("merged").join(name)
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        let point = self.directory.path().join("merged");
        let done = Command::new("umount").arg("-l").arg(&point).output();
        if !done.is_ok_and(|output| output.status.success()) {
            eprintln!("{} stays mounted", point.display());
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if !self.is_mounted.get() {
            return;
        }
        let done = Command::new("umount").arg("-l").arg(&self.point).output();
        if !done.is_ok_and(|output| output.status.success()) {
            eprintln!("{} stays mounted", self.point.display());
        }
    }
}
