//! What the tests share: places for files, other processes, and memory to talk to them.

// Every test file compiles this one, and uses its part of it.
#![allow(dead_code, unused_imports)]

pub mod footer;
pub mod functions;
pub mod limits;
pub mod moments;
mod numbers;
pub mod raw;
pub mod session;
pub mod space;
pub mod trace;
pub mod writer;

use std::fs::{File, OpenOptions};
use std::ops::Deref;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;

pub use numbers::Numbers;
use tempfile::TempDir;

/// A file system that tests run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// That of the target directory.
    Disk,
    /// The tmpfs at `/dev/shm`.
    Memory,
}

impl Place {
    /// A new directory, gone with the value.
    pub fn directory(self) -> TempDir {
        let parent = match self {
            Place::Disk => env!("CARGO_TARGET_TMPDIR"),
            Place::Memory => "/dev/shm",
        };
        tempfile::Builder::new()
            .prefix("mba-test-")
            .tempdir_in(parent)
            .unwrap_or_else(|error| panic!("the tests need a writable directory {parent}: {error}"))
    }
}

/// For reading and writing, of a file that is there.
pub fn writable() -> mmap_backed_array::OpenOptions {
    let mut options = mmap_backed_array::OpenOptions::new();
    options.write(true);
    options
}

/// New memory, which can be sealed.
pub fn sealable_memory() -> OwnedFd {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: the name is a string; the descriptor is new.
    unsafe { OwnedFd::from_raw_fd(libc::memfd_create(c"sealed".as_ptr(), flags)) }
}

/// Adds seals to it: `F_SEAL_...`.
pub fn seal(memory: &impl AsRawFd, seals: i32) {
    // SAFETY: no memory is passed.
    assert_eq!(unsafe { libc::fcntl(memory.as_raw_fd(), libc::F_ADD_SEALS, seals) }, 0);
}

pub fn file_size(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().len()
}

/// Whether `MBA_SKIP` names this test, which it then says on standard error.
pub fn skipped(name: &str) -> bool {
    let skip = std::env::var("MBA_SKIP").unwrap_or_default().split(',').any(|skip| skip == name);
    if skip {
        eprintln!("SKIPPED: MBA_SKIP names {name}");
    }
    skip
}

/// The output of a tool that must succeed; `package` is what to install where the tool is missing.
pub fn output_of(command: &mut Command, package: &str) -> String {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{command:?} can't be started: {error}. Install the package {package}.");
    });
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{errors}", output.status);
    String::from_utf8(output.stdout).expect("tools write UTF-8")
}

/// Fails unless cargo-c is installed; `skip` is the word for `MBA_SKIP` that does without.
pub fn need_cargo_c(skip: &str) {
    let found = Command::new("cargo").args(["cinstall", "--version"]).output();
    assert!(
        found.is_ok_and(|output| output.status.success()),
        "cargo cinstall is missing: cargo install cargo-c@0.10.24 --locked, or set MBA_SKIP={skip}"
    );
}

/// The directory of this test's binary, where cargo also puts the shared library of this very build.
pub fn binary_directory() -> PathBuf {
    let binary = std::env::current_exe().expect("a process knows its binary");
    binary.parent().expect("a binary is in a directory").to_path_buf()
}

const PART: &str = "MBA_TEST_PART";
const ARGUMENTS: &str = "MBA_TEST_ARGUMENTS";

/// A command that runs one test of this binary, by its function's name, in a process of its own, where [`arguments`] tells
/// it that it is to play a part.
pub fn part(test: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a process knows its binary"));
    command.args([path_of(test), "--exact", "--nocapture", "--test-threads=1"]);
    command.env(PART, test).env(ARGUMENTS, arguments.join("\n")).stdout(std::process::Stdio::null());
    command
}

/// The path of a test in this binary, by its function's name; the name itself where the binary has a harness of its own.
fn path_of(test: &str) -> &str {
    static PATHS: OnceLock<Vec<String>> = OnceLock::new();
    let paths = PATHS.get_or_init(|| {
        let binary = std::env::current_exe().expect("a process knows its binary");
        let list = Command::new(binary).args(["--list", "--format", "terse"]).output();
        let list = String::from_utf8(list.expect("it starts again").stdout).expect("names are UTF-8");
        list.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect()
    });
    let is_it = |path: &&String| path.rsplit("::").next() == Some(test);
    assert!(paths.iter().filter(is_it).count() <= 1, "{test} must be one test's name");
    paths.iter().find(is_it).map_or(test, String::as_str)
}

/// What a process that was started by [`part`] for this test is to do; `None` in the test itself.
pub fn arguments(test: &str) -> Option<Vec<String>> {
    if std::env::var(PART).ok()? != test {
        return None;
    }
    Some(std::env::var(ARGUMENTS).ok()?.lines().map(str::to_owned).collect())
}

/// Runs a test's body in a process where nothing else happens.
pub fn alone(test: &str, body: impl FnOnce()) {
    if arguments(test).is_some() {
        return body();
    }
    let status = Process::start(&mut part(test, &[])).wait();
    assert!(status.success(), "{test}, in a process of its own: {status}");
}

/// Makes a system call fail from now on, in this thread and its children.
pub fn fail_always(call: libc::c_long, errno: i32) {
    fail_from(call, 0, 0, errno);
}

/// As [`fail_always`], where the number `argument` of the call, counted from 0, is at least `from`.
pub fn fail_from(call: libc::c_long, argument: u32, from: u32, errno: i32) {
    fail_between(call, argument, (from, u32::MAX), errno);
}

/// Makes all locks of open file descriptions fail from now on, in this thread and its children, as on a file system
/// without such locks.
pub fn fail_locks(errno: i32) {
    fail_between(libc::SYS_fcntl, 1, (libc::F_OFD_GETLK as u32, libc::F_OFD_SETLKW as u32), errno);
}

/// As [`fail_from`], where the argument is at least `from` and at most `to`.
fn fail_between(call: libc::c_long, argument: u32, (from, to): (u32, u32), errno: i32) {
    let step = |code: u32, yes, no, k| libc::sock_filter { code: code as u16, jt: yes, jf: no, k };
    let load = |at| step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, at);
    let answer = |k| step(libc::BPF_RET | libc::BPF_K, 0, 0, k);
    let arguments = std::mem::offset_of!(libc::seccomp_data, args) as u32;
    let mut program = [
        load(std::mem::offset_of!(libc::seccomp_data, nr) as u32),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 4, call as u32),
        // The lower half of the argument, on machines that put it first.
        load(arguments + argument * 8),
        step(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 2, from),
        step(libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K, 1, 0, to),
        answer(libc::SECCOMP_RET_ERRNO | errno as u32),
        answer(libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the filter is one, and is there during the call, which copies it.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let mode = libc::SECCOMP_MODE_FILTER;
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const filter), 0);
    }
}

/// How long a process of a test may take, on the slowest machine; `MBA_EMULATED` says that that is slower still.
fn patience_ms() -> i32 {
    if std::env::var_os("MBA_EMULATED").is_some() { 600_000 } else { 120_000 }
}

/// A child process, which doesn't outlive the value.
pub struct Process(Child);

impl Process {
    pub fn start(command: &mut Command) -> Process {
        Process::try_start(command).unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    pub fn try_start(command: &mut Command) -> std::io::Result<Process> {
        command.spawn().map(Process)
    }

    /// Waits for the end, and panics if that doesn't come in minutes: then something waits for ever.
    pub fn wait(&mut self) -> ExitStatus {
        // SAFETY: the child isn't waited for yet, so the number is its; the descriptor is new.
        let mut end = unsafe {
            let fd = libc::syscall(libc::SYS_pidfd_open, self.0.id(), 0) as i32;
            assert!(fd >= 0, "{}", std::io::Error::last_os_error());
            (OwnedFd::from_raw_fd(fd), libc::pollfd { fd, events: libc::POLLIN, revents: 0 })
        };
        // SAFETY: one structure, which is there to be read and filled.
        while unsafe { libc::poll(&raw mut end.1, 1, patience_ms()) } < 0 {}
        assert_ne!(end.1.revents, 0, "a process hasn't ended after {} ms", patience_ms());
        self.0.wait().expect("a child can be waited for")
    }

    /// The status of a process that has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().expect("a child can be asked for")
    }

    /// `kill -9`, at once.
    pub fn kill(&mut self) -> ExitStatus {
        self.0.kill().expect("a child can be killed");
        self.0.wait().expect("a child can be waited for")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Numbers in a file that processes share, apart from the library under test.
pub struct Words {
    words: *const AtomicU64,
    count: usize,
}

// SAFETY: atomics may be used from any thread; the mapping lives as long as the value.
unsafe impl Send for Words {}
// SAFETY: as above.
unsafe impl Sync for Words {}

impl Words {
    pub fn create(path: &Path, count: usize) -> Words {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path).unwrap();
        file.set_len((count * 8) as u64).unwrap();
        Words::map(&file, count)
    }

    pub fn open(path: &Path) -> Words {
        let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
        let count = file.metadata().unwrap().len() as usize / 8;
        Words::map(&file, count)
    }

    fn map(file: &File, count: usize) -> Words {
        // SAFETY: a new mapping, at an address that the system chooses.
        let map = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                count * 8,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        assert_ne!(map, libc::MAP_FAILED, "{}", std::io::Error::last_os_error());
        Words { words: map.cast(), count }
    }
}

impl Deref for Words {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: the mapping has so many words, page-aligned, and lives as long as the value.
        unsafe { std::slice::from_raw_parts(self.words, self.count) }
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's, which ends here.
        unsafe { libc::munmap(self.words.cast_mut().cast(), self.count * 8) };
    }
}
