//! What can lie behind an array: a file, anonymous or named shared memory, somebody's descriptor.

use core::ffi::CStr;
use core::sync::atomic::Ordering::Relaxed;
use std::os::fd::{IntoRawFd, RawFd};

use super::access::Access;
use super::filesystem::{is_hugetlbfs, is_sealed};
use super::footer::{Bytes, end_without_footer};
use super::presence::{self, Presence};
use super::registry::{Place, Slot};
use super::sys::{self, Descriptor, Identity, Stat};
use super::{children, fork};
use crate::error::{Argument, Error, Result};
use crate::options::{CREATE, EXACT, EXCLUSIVE, OpenOptions, PRIVATE, WRITE};

/// A file ready to be mapped, through descriptions that this handle made for itself.
pub(super) struct Backing {
    /// Holds the descriptor that is to be mapped and, of a file whose length may be changed, the one for the lock.
    pub place: Place,
    pub stat: Stat,
    /// The last bytes, where they have been read, aren't a footer, and the file had the same size before and after.
    pub bytes: Option<Bytes>,
    pub access: Access,
    pub presence: Presence,
    /// The path by which it was opened, from the root on; `None` for what has none.
    pub path: Option<Box<CStr>>,
    /// The directory of a file that may have been made just now, so that its name is not on the disk yet.
    pub new_in: Option<Directory>,
}

/// Where the names of shared memory are.
pub(super) const SHARED_MEMORY: &[u8] = b"/dev/shm";

/// The directory that held a file when it was made.
#[derive(Clone, Copy)]
pub(super) struct Directory(Option<Identity>);

/// Block sizes up to this are those of ordinary file systems, which need no closer look.
const ORDINARY_BLOCK: i64 = 65536;

impl Backing {
    pub fn path(path: &CStr, options: &OpenOptions) -> Result<Backing> {
        options.check(WRITE | CREATE | EXCLUSIVE | PRIVATE | EXACT)?;
        let mode = if options.mode == 0 { 0o666 } else { options.mode };
        // With O_CREAT the system refuses a directory with EISDIR, and a FIFO opens.
        let open = || open_or_create(options, |flags| sys::open(path, flags, mode));
        let mut backing = Backing::regular(open, options, from_root(path)?)?;
        if options.has(CREATE) && backing.stat.size == 0 {
            backing.new_in = Some(Directory::of(backing.path.as_deref()));
        }
        Ok(backing)
    }

    pub fn shared_memory(name: &CStr, options: &OpenOptions) -> Result<Backing> {
        options.check(WRITE | CREATE | EXCLUSIVE | PRIVATE | EXACT)?;
        let mode = if options.mode == 0 { 0o600 } else { options.mode };
        let open = || open_or_create(options, |flags| sys::shm_open(name, flags, mode));
        let bytes = name.to_bytes();
        let first = bytes.iter().position(|byte| *byte != b'/').unwrap_or(bytes.len());
        Backing::regular(open, options, Some(joined(SHARED_MEMORY, &bytes[first..])?))
    }

    pub fn anonymous(options: &OpenOptions) -> Result<Backing> {
        options.check(0)?;
        children::watch();
        let place = Place::take()?;
        // One description for all: to be mapped, to carry the lock, and to write through.
        place.forks.store(fork::now(), Relaxed);
        place.lock_fd.store(sys::memfd()?.into_raw_fd(), Relaxed);
        place.is_mapped_one.store(true, Relaxed);
        let stat = sys::stat(place.any())?;
        let (access, presence) = (Access::Anonymous, Presence::NotNeeded);
        Ok(Backing { place, stat, bytes: None, access, presence, path: None, new_in: None })
    }

    /// Takes a descriptor of its own; the caller's stays the caller's.
    pub fn descriptor(fd: RawFd, options: &OpenOptions) -> Result<Backing> {
        options.check(WRITE | PRIVATE | EXACT)?;
        let flags = sys::status_flags(fd)?;
        if flags & libc::O_PATH != 0 {
            return Err(Error::Os(libc::EBADF));
        }
        let mode = flags & libc::O_ACCMODE;
        let allowed = if options.has(WRITE) { mode == libc::O_RDWR } else { mode != libc::O_WRONLY };
        if !allowed {
            return Err(Error::Os(libc::EACCES));
        }
        sys::regular_file(fd)?;
        let open = || match sys::reopen(fd, if options.has(WRITE) { libc::O_RDWR } else { libc::O_RDONLY }) {
            // The permission to open the file anew may be lacking, and /proc. A reader takes no lock for itself and
            // reads at offsets, so it may share the caller's description.
            Err(_) if !options.has(WRITE) => sys::duplicate(fd),
            own => own,
        };
        Backing::regular(open, options, None)
    }

    fn regular(
        open: impl FnOnce() -> Result<Descriptor>,
        options: &OpenOptions,
        path: Option<Box<CStr>>,
    ) -> Result<Backing> {
        children::watch();
        let place = Place::take()?;
        let moment = fork::now();
        place.fd.store(open()?.into_raw_fd(), Relaxed);
        if fork::has_begun_since(moment) {
            // A child may have this descriptor, and would keep its presence without knowing of it. To open the file anew can be
            // forbidden; then that is so.
            let _ = fork::unseen(|| {
                let identity = sys::stat(place.plain())?.identity;
                let flags = Access::of(options).open_flags();
                let (own, _) = sys::open_anew(path.as_deref(), place.plain(), identity, flags)?;
                sys::close(place.fd.swap(own.into_raw_fd(), Relaxed));
                Ok(())
            });
        }
        let fd = place.plain();
        let mut presence = presence::take(fd);
        // What the size was before doesn't count: somebody may have truncated the file, who was alone then.
        let stat = sys::regular_file(fd)?;
        let mut access = Access::of(options);
        if stat.block_size > ORDINARY_BLOCK && is_hugetlbfs(fd)? {
            // Such files take no pwrite, and a writable map of more than the file lengthens it.
            if stat.size == 0 {
                return Err(Error::Fixed);
            }
            access = match access {
                Access::Write { .. } => Access::Fixed,
                Access::Read => Access::FixedRead,
                other => other,
            };
        }
        // Only memory without a name can be sealed.
        let sealed = stat.names == 0 && is_sealed(fd)?;
        if options.has(EXACT) && sealed {
            return Err(Error::Invalid(Argument::ExactSealed));
        }
        if sealed || matches!(access, Access::Fixed | Access::FixedRead) {
            presence = Ok(Presence::NotNeeded);
        }
        let presence = presence?;
        let mut bytes = None;
        if access.can_change_length() {
            bytes = end_without_footer(fd, stat.size)?;
            // Now, while the process still has the right to.
            Slot::open(&place.lock_fd, || {
                let (own, later) = sys::open_anew(path.as_deref(), fd, stat.identity, access.open_flags())?;
                if later.size != stat.size {
                    bytes = None;
                }
                Ok(own)
            })?;
        }
        Ok(Backing { place, stat, bytes, access, presence, path, new_in: None })
    }
}

impl Directory {
    fn of(path: Option<&CStr>) -> Directory {
        let stat = path.and_then(|path| parent(path).ok()).and_then(|path| sys::stat_path(&path).ok());
        Directory(stat.map(|stat| stat.identity))
    }

    /// Its path, as the file's tells, and which one it was.
    pub fn known(self, path: Option<&CStr>) -> Option<(Box<CStr>, Identity)> {
        Some((parent(path?).ok()?, self.0?))
    }
}

/// Opens a file that is there, or makes it if that is asked for. What is there is opened without the flag to make it:
/// systems can refuse that one for other users' files (fs.protected_regular).
fn open_or_create(options: &OpenOptions, open: impl Fn(i32) -> Result<Descriptor>) -> Result<Descriptor> {
    let flags = if options.has(WRITE) { libc::O_RDWR } else { libc::O_RDONLY };
    let fd = if options.has(EXCLUSIVE) {
        open(flags | libc::O_CREAT | libc::O_EXCL)
    } else {
        match open(flags) {
            Err(Error::Os(libc::ENOENT)) if options.has(CREATE) => open(flags | libc::O_CREAT),
            fd => fd,
        }
    };
    // ENXIO is what O_NONBLOCK makes of a socket, and of a device that isn't there.
    fd.map_err(|error| if error == Error::Os(libc::ENXIO) { Error::Os(libc::ENODEV) } else { error })
}

/// A path from the root on, so that it leads to the same place from every directory. `None` where the system can't tell the
/// present one.
fn from_root(path: &CStr) -> Result<Option<Box<CStr>>> {
    if path.to_bytes().first() == Some(&b'/') {
        return joined(b"", path.to_bytes()).map(Some);
    }
    let mut directory = [0u8; libc::PATH_MAX as usize];
    let Ok(count) = sys::current_directory(&mut directory) else { return Ok(None) };
    joined(&directory[..count], path.to_bytes()).map(Some)
}

/// A directory and a name in it; an empty one adds nothing.
fn joined(directory: &[u8], name: &[u8]) -> Result<Box<CStr>> {
    let slash: &[u8] = if directory.is_empty() { b"" } else { b"/" };
    string_of(&[directory, slash, name])
}

/// The directory that a path's last name is in.
fn parent(path: &CStr) -> Result<Box<CStr>> {
    let path = path.to_bytes();
    let slash = path.iter().rposition(|byte| *byte == b'/').ok_or(Error::Invalid(Argument::Path))?;
    string_of(&[&path[..slash.max(1)]])
}

fn string_of(parts: &[&[u8]]) -> Result<Box<CStr>> {
    let mut bytes = Vec::new();
    let count = parts.iter().map(|part| part.len()).sum::<usize>() + 1;
    bytes.try_reserve_exact(count).map_err(|_| Error::NO_MEMORY)?;
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes.push(0);
    std::ffi::CString::from_vec_with_nul(bytes).map(Into::into).map_err(|_| Error::Invalid(Argument::Path))
}
