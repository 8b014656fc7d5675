//! A small file system to fill, and arrays whose elements tell whether they are whole.

use std::ffi::{CStr, CString};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::{io, ptr};

use super::{Place, Process, arguments, part, skipped};
use mmap_backed_array::{Error, MmapArray};

/// A directory of a small file system, which nobody else writes to.
pub struct Small {
    pub directory: PathBuf,
}

/// The pieces in which space is taken: the largest, and the smallest.
const PIECE: i64 = 64 << 20;
const BLOCK: i64 = 4096;

impl Small {
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub fn free(&self) -> u64 {
        let path = CString::new(self.directory.as_os_str().as_bytes()).unwrap();
        let mut stat = std::mem::MaybeUninit::<libc::statvfs>::uninit();
        // SAFETY: statvfs fills the structure that it is given, if it succeeds.
        let stat = unsafe {
            assert_eq!(libc::statvfs(path.as_ptr(), stat.as_mut_ptr()), 0);
            stat.assume_init()
        };
        stat.f_bavail * stat.f_frsize
    }

    /// Takes all the space but about so many bytes; on a tmpfs exactly.
    pub fn leave(&self, free: u64) {
        let hold = self.path("hold");
        let _ = std::fs::remove_file(&hold);
        self.give_back();
        take(&hold, Some(free as i64));
        // Some need space of their own for the list of what is taken, and find a little more the second time.
        for name in ["ballast", "more ballast"] {
            take(&self.path(name), None);
            self.sync();
        }
        std::fs::remove_file(hold).unwrap();
        self.sync();
    }

    pub fn give_back(&self) {
        for name in ["ballast", "more ballast"] {
            let _ = std::fs::remove_file(self.path(name));
        }
        self.sync();
    }

    /// Brings everything to where it ends up, also the space of files that are gone.
    pub fn sync(&self) {
        let directory = File::open(&self.directory).unwrap();
        // SAFETY: no memory is passed.
        assert_eq!(unsafe { libc::syncfs(directory.as_raw_fd()) }, 0);
    }
}

/// Runs a test's body in a process that has a tmpfs of so many bytes, which nobody else sees.
pub fn on_a_small_tmpfs(test: &str, size: u64, body: impl FnOnce(Small)) {
    if let Some(arguments) = arguments(test) {
        return body(Small { directory: PathBuf::from(&arguments[0]) });
    }
    if skipped("no_space") {
        return;
    }
    let directory = Place::Memory.directory();
    let target = CString::new(directory.path().as_os_str().as_bytes()).unwrap();
    let options = CString::new(format!("size={size}")).unwrap();
    // SAFETY: the ids of the process.
    let (user, group) = unsafe { (libc::geteuid(), libc::getegid()) };
    let maps = [format!("0 {user} 1"), format!("0 {group} 1")];
    let mut command = part(test, &[directory.path().to_str().unwrap()]);
    // SAFETY: between fork and exec only system calls are made, on memory that is there already.
    unsafe { command.pre_exec(move || mount_privately(user == 0, &maps, &target, &options)) };
    let status = match Process::try_start(&mut command) {
        Ok(mut child) => child.wait(),
        Err(error) => panic!(
            "a process with a file system of its own can't be made: {error}. It needs root or user namespaces \
             (sysctl kernel.unprivileged_userns_clone=1); MBA_SKIP=no_space skips this test."
        ),
    };
    assert!(status.success(), "{test}, on a small tmpfs: {status}");
}

/// Gives the calling process, which has one thread, a mount namespace and a tmpfs in it.
fn mount_privately(root: bool, maps: &[String; 2], target: &CString, options: &CString) -> io::Result<()> {
    let checked = |result: i32| if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    let namespaces = libc::CLONE_NEWNS | if root { 0 } else { libc::CLONE_NEWUSER };
    // SAFETY: the strings end in NUL, and what mount doesn't need may be null.
    unsafe {
        checked(libc::unshare(namespaces))?;
        if !root {
            write_to(c"/proc/self/setgroups", "deny")?;
            write_to(c"/proc/self/uid_map", &maps[0])?;
            write_to(c"/proc/self/gid_map", &maps[1])?;
        }
        let private = libc::MS_REC | libc::MS_PRIVATE;
        checked(libc::mount(ptr::null(), c"/".as_ptr(), ptr::null(), private, ptr::null()))?;
        let data = options.as_ptr().cast();
        checked(libc::mount(c"tmpfs".as_ptr(), target.as_ptr(), c"tmpfs".as_ptr(), 0, data))
    }
}

fn write_to(path: &CStr, text: &str) -> io::Result<()> {
    // SAFETY: the string ends in NUL, and the text is valid for its length.
    unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if fd < 0 || libc::write(fd, text.as_ptr().cast(), text.len()) < 0 {
            return Err(io::Error::last_os_error());
        }
        libc::close(fd);
    }
    Ok(())
}

/// Makes a file that takes so many bytes, or all that there are.
fn take(path: &Path, bytes: Option<i64>) {
    let mut file = match OpenOptions::new().write(true).create_new(true).open(path) {
        Err(error) if bytes.is_none() && error.raw_os_error() == Some(libc::ENOSPC) => return,
        file => file.unwrap(),
    };
    let (mut taken, mut piece) = (0, PIECE);
    while piece >= BLOCK && bytes.is_none_or(|bytes| taken < bytes) {
        let count = bytes.map_or(piece, |bytes| piece.min(bytes - taken));
        // SAFETY: no memory is passed.
        let result = unsafe { libc::fallocate(file.as_raw_fd(), 0, taken, count) };
        let result = if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
        match result {
            Ok(()) => taken += count,
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
                // Written a block at a time at the end, so that the last one is found.
                let zeros = vec![0xff; count.min(1 << 20) as usize];
                match file.write(&zeros) {
                    Ok(count) => taken += count as i64,
                    Err(_) if piece > BLOCK => piece = BLOCK,
                    Err(_) => break,
                }
            }
            Err(_) => piece /= 2,
        }
    }
    assert!(bytes.is_none_or(|bytes| taken == bytes), "{path:?}: {taken} bytes of {bytes:?}");
}

/// The element at a place. Never 0, which is what spare room holds.
pub fn number(at: usize) -> u64 {
    at as u64 * 0x9e37_79b9 + 1
}

pub fn check(array: &MmapArray<u64>, len: usize, story: &str) {
    assert_eq!(array.len(), len, "{story}");
    // SAFETY: nobody changes the array meanwhile.
    let elements = unsafe { array.as_slice() };
    let wrong = elements.iter().enumerate().position(|(at, element)| *element != number(at));
    assert_eq!(wrong, None, "{story}: an element of {len} is another");
}

pub fn check_closed(path: &Path, len: usize) {
    let expected: Vec<u8> = (0..len).flat_map(|at| number(at).to_ne_bytes()).collect();
    assert!(std::fs::read(path).unwrap() == expected, "the closed file is its {len} elements");
}

/// Appends until there is no room, and returns how many elements there are then.
pub fn fill(array: &mut MmapArray<u64>, full: Error) -> usize {
    loop {
        let len = array.len();
        match array.push(number(len)) {
            Ok(()) => {}
            Err(error) => {
                assert_eq!(error, full);
                return len;
            }
        }
    }
}
