//! Children of every kind, made beside a thread that appends all the time: what they do is in `children.c`.
//!
//! What can't be mended, and the design says so: a child that a signal handler makes and that returns into the append
//! which was interrupted, and a child by `_Fork` or `clone` that does nothing and keeps a killed parent's lock until it
//! ends or uses the array. The first isn't tried; the second is, as it is.

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mmap_backed_array::capi::*;
use mmap_backed_array::{Type, Wait};
use tempfile::TempDir;

use crate::campaign::{Cases, Fault, Forked};
use crate::helpers::moments::GETS_IN;
use crate::helpers::raw::Raw;
use crate::helpers::{Place, binary_directory, output_of, writable};

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "children of every kind beside a thread that appends",
        answer: "all appends of all are there, once; nobody hangs",
        cases: beside_a_thread,
    },
    Fault {
        name: "orphans by _Fork and clone of a killed writer",
        answer: "the lock stays as long as they idle, not when they use the array",
        cases: orphans,
    },
];

/// The program, with the library of this build beside it.
struct Program {
    directory: TempDir,
    library: PathBuf,
}

impl Program {
    fn build() -> Program {
        let directory = Place::Disk.directory();
        let library = directory.path().join(env!("MBA_SONAME"));
        std::fs::copy(binary_directory().join("libmmap_backed_array.so"), &library).unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut cc = Command::new("cc");
        cc.args(["-std=gnu11", "-O1", "-g", "-pthread", "-Wall", "-Wextra", "-Werror"]);
        for directory in ["include", "ctests/helpers"] {
            cc.arg("-I").arg(root.join(directory));
        }
        cc.arg("-o").arg(directory.path().join("children"));
        cc.arg(root.join("tests/faults/children.c")).arg(&library).arg("-Wl,-rpath,$ORIGIN");
        output_of(&mut cc, "gcc");
        Program { directory, library }
    }

    fn run(&self, scratch: &Path, words: [&str; 3], rounds: u64) {
        let mut command = Command::new(self.directory.path().join("children"));
        command.arg(scratch).args(words).arg(rounds.to_string());
        // Its own way to the library, and no other.
        command.env_remove("LD_LIBRARY_PATH").env("MBA_CTEST_LIBRARY", &self.library);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {errors}", output.status);
    }
}

/// Each kind of child, and what it can do with its life.
const KINDS: [(&str, &[&str]); 7] = [
    ("fork", &["exits", "idles", "closes", "reads", "pushes", "pushes and closes"]),
    ("_Fork", &["exits", "idles", "closes", "reads", "pushes", "pushes and closes"]),
    ("clone", &["exits", "idles", "closes", "reads", "pushes", "pushes and closes"]),
    ("vfork", &["exits"]),
    ("posix_spawn", &["exits"]),
    ("fork in a handler", &["exits", "closes", "reads", "pushes", "pushes and closes"]),
    ("_Fork in a handler", &["exits", "closes", "reads", "pushes", "pushes and closes"]),
];

fn beside_a_thread(cases: &mut Cases) {
    let rounds = cases.scale(60, 2_000, 200_000);
    let program = Program::build();
    for (at, (kind, habits)) in KINDS.into_iter().enumerate() {
        let rounds = rounds / habits.len() as u64 / 2;
        for (turn, habit) in habits.iter().enumerate() {
            for (other, manner) in ["holds", "turns"].into_iter().enumerate() {
                let place = if (at + turn + other) % 2 == 0 { Place::Memory } else { Place::Disk };
                let scratch = place.directory();
                let words = [kind, *habit, manner];
                cases.case(format!("{place:?}, {words:?}"), || program.run(scratch.path(), words, rounds));
                cases.add(rounds - 1, None);
            }
        }
    }
}

/// Makes a child as `_Fork` does, which runs no handlers.
fn raw_fork() -> libc::pid_t {
    // SAFETY: as fork, without the C library's knowledge; the process has one thread.
    let child = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
    assert!(child >= 0, "{}", std::io::Error::last_os_error());
    child as libc::pid_t
}

fn pipe() -> (std::fs::File, OwnedFd) {
    let mut ends = [0; 2];
    // SAFETY: the call fills two descriptors, which are new.
    unsafe {
        assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
        (OwnedFd::from_raw_fd(ends[0]).into(), OwnedFd::from_raw_fd(ends[1]))
    }
}

/// What the orphan does before it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Orphan {
    Idles,
    Appends,
}

fn orphans(cases: &mut Cases) {
    let rounds = cases.scale(3, 50, 1_000);
    for place in [Place::Memory, Place::Disk] {
        for orphan in [Orphan::Idles, Orphan::Appends] {
            for round in 0..rounds {
                cases.child(format!("{place:?}, {orphan:?}, round {round}"), || {
                    let directory = place.directory();
                    left_by_a_killed_writer(&directory.path().join("array"), orphan);
                });
            }
        }
    }
}

fn left_by_a_killed_writer(path: &Path, orphan: Orphan) {
    let ty = Type::from_code(MBA_UINT64).unwrap();
    // The orphan is this process's to wait for, when its parent is gone.
    // SAFETY: no memory is passed.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) }, 0);
    let (mut told, tell) = pipe();
    let (mut orders, order) = pipe();
    let writer = Forked::start(|| {
        let array = Raw::open(path, ty, MBA_RDWR | MBA_CREATE).unwrap();
        array.append(&1u64.to_ne_bytes()).unwrap();
        let mut tell = std::fs::File::from(tell.try_clone().unwrap());
        let child = raw_fork();
        if child == 0 {
            // SAFETY: as above; it has outlived its parent's end, and mustn't go with it.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, 0) };
            tell.write_all(&[1]).unwrap();
            orders.read_exact(&mut [0]).unwrap();
            if orphan == Orphan::Appends {
                array.append(&2u64.to_ne_bytes()).unwrap();
                array.unlock().unwrap();
                tell.write_all(&[2]).unwrap();
                orders.read_exact(&mut [0]).unwrap();
            }
            // SAFETY: ends the child.
            unsafe { libc::_exit(0) };
        }
        loop {
            std::thread::park();
        }
    });
    told.read_exact(&mut [0]).unwrap();
    drop(writer);
    let mut next = mmap_backed_array::MmapArray::<u64>::open_with(path, &writable()).unwrap();
    assert_eq!(next.lock(Wait::No), Err(mmap_backed_array::Error::Locked), "the child has the description");
    let mut order = std::fs::File::from(order);
    order.write_all(&[1]).unwrap();
    let mut expected = vec![1];
    if orphan == Orphan::Appends {
        told.read_exact(&mut [0]).unwrap();
        expected.push(2);
    }
    next.lock(GETS_IN).unwrap();
    next.push(3).unwrap();
    expected.push(3);
    assert_eq!(next.to_vec(..), Ok(expected.clone()));
    if orphan == Orphan::Appends {
        order.write_all(&[1]).unwrap();
    }
    let mut status = 0;
    // SAFETY: waits for the orphan, whose reaper this process is.
    assert!(unsafe { libc::waitpid(-1, &raw mut status, 0) } > 0);
    assert_eq!(status, 0);
    next.close().unwrap();
    assert_eq!(
        std::fs::read(path).unwrap(),
        expected.into_iter().flat_map(u64::to_ne_bytes).collect::<Vec<_>>()
    );
    assert!(tell.as_raw_fd() > 2);
}
