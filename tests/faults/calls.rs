//! Every system call and every allocation of the library, failing.
//!
//! A call of the library runs in a child under `ptrace`. At the entry of its Nth system call the child is made to
//! skip it, and at the exit to believe an error; once for each system call and each error that it can have. After
//! that the child runs on by itself and looks whether all is well: see [`Play::check`].

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Seek};
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use mmap_backed_array::capi::*;
use mmap_backed_array::{Array, Error, MmapArray, OpenOptions, Type};

use crate::campaign::{Cases, Fault, ending, in_child};
use crate::helpers::trace::{Stop, Traced, mark, pause_to_be_traced};
use crate::helpers::{Place, writable};
use crate::scene::{Allowed, Call, Ground, Play, Scene};

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "failing system calls, each once",
        answer: "its error and nothing changed, or success",
        cases: |cases| play_all(cases, 0, |_, at| errors_of(at), How::Fails),
    },
    Fault {
        name: "persistent failure of one kind of call",
        answer: "its error and nothing changed, or success",
        cases: |cases| {
            // What is interrupted for ever would be tried for ever.
            let errors = |_: Ground, at: &At| errors_of(at).filter(|errno| *errno != libc::EINTR);
            play_all(cases, 1, errors, How::Keeps);
        },
    },
    Fault {
        name: "device gone in the midst of a call",
        answer: "EIO and nothing changed, or success",
        cases: |cases| {
            let errors = |_: Ground, at: &At| at.needs_device().then_some(libc::EIO).into_iter();
            play_all(cases, 2, errors, |_| How::Dies);
        },
    },
    Fault {
        name: "short reads and writes",
        answer: "ENOSPC and nothing changed, or success",
        cases: |cases| {
            let errors = |ground, at: &At| at.can_be_short(ground).then_some(libc::ENOSPC).into_iter();
            play_all(cases, 3, errors, |_| How::Short);
        },
    },
    Fault {
        name: "unjust errors of calls that were done",
        answer: "its error and nothing changed, or success",
        cases: |cases| play_all(cases, 4, unjust_errors_of, How::Done),
    },
    Fault {
        name: "no space, and then an error in the truncation",
        answer: "ENOSPC or EIO and nothing changed, or success",
        cases: |cases| {
            let errors =
                |_: Ground, at: &At| (at.call == libc::SYS_fallocate).then_some(libc::EIO).into_iter();
            play_scenes(cases, 0, (1, 1), errors, |_| How::FullThenBroken);
        },
    },
    Fault { name: "allocations that fail", answer: "ENOMEM and nothing changed", cases: allocations },
];

/// A system call that was made, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct At {
    call: libc::c_long,
    count: u64,
}

/// The system calls that can fail, by what they can fail with.
const CALLS: &[(libc::c_long, &str, &[i32])] = {
    use libc::*;
    const IO: &[i32] = &[EIO, EINTR, ENOMEM];
    const WRITING: &[i32] = &[ENOSPC, EIO, EINTR, EDQUOT, ENOMEM];
    &[
        (SYS_openat, "openat", &[EINTR, EMFILE, ENFILE, EACCES, ENOMEM, ENOSPC, EDQUOT, EIO]),
        (SYS_fstat, "fstat", IO),
        (SYS_newfstatat, "fstat", IO),
        (SYS_statx, "statx", IO),
        (SYS_fstatfs, "fstatfs", IO),
        #[cfg(target_arch = "x86_64")]
        (SYS_readlink, "readlink", &[EIO, ENOMEM, EACCES]),
        (SYS_readlinkat, "readlinkat", &[EIO, ENOMEM, EACCES]),
        (SYS_ftruncate, "ftruncate", WRITING),
        (SYS_fallocate, "fallocate", &[ENOSPC, EIO, EINTR, EDQUOT, ENOMEM, EOPNOTSUPP]),
        (SYS_pwrite64, "pwrite", &[ENOSPC, EIO, EINTR, EDQUOT, ENOMEM, EAGAIN]),
        (SYS_pread64, "pread", &[EIO, EINTR, ENOMEM, EAGAIN]),
        (SYS_mmap, "mmap", &[ENOMEM, EACCES]), // EAGAIN is for the room of limits: it makes small reservations
        (SYS_munmap, "munmap", &[ENOMEM]),
        (SYS_msync, "msync", WRITING),
        (SYS_fsync, "fsync", WRITING),
        (SYS_fdatasync, "fdatasync", WRITING),
        (SYS_fcntl, "fcntl", &[EINTR, EIO, ENOMEM, EAGAIN, EACCES, EMFILE, ENOLCK]),
        (SYS_madvise, "madvise", &[ENOMEM, EAGAIN, EIO, EINTR]),
        (SYS_memfd_create, "memfd_create", &[EINTR, EMFILE, ENFILE, ENOMEM]),
        (SYS_dup3, "dup3", &[EINTR, EMFILE, EBUSY]),
        (SYS_utimensat, "utimensat", &[EIO, EPERM, EACCES, EROFS, EINTR, ENOMEM]),
        (SYS_getcwd, "getcwd", &[ENOENT, ENOMEM, EACCES]),
        (SYS_timerfd_create, "timerfd_create", &[EMFILE, ENFILE, ENOMEM]),
        (SYS_prlimit64, "getrlimit", &[EPERM]),
    ]
};

/// System calls that the library and what is below it make and that don't fail, or whose failure is no business of the
/// library's. Any other one must be in a table, or the campaign would pass over it in silence.
const LET_BE: &[libc::c_long] = {
    use libc::*;
    &[
        // Who this is, and what time it is.
        SYS_getpid,
        SYS_gettid,
        SYS_getuid,
        SYS_geteuid,
        SYS_clock_gettime,
        SYS_sched_getaffinity,
        // Waiting, and waking others.
        SYS_futex,
        SYS_clock_nanosleep,
        SYS_nanosleep,
        SYS_sched_yield,
        SYS_timerfd_settime,
        SYS_read, // of a timer's descriptor
        // The allocator's, whose failures are those of allocations.
        SYS_brk,
        SYS_mremap,
        SYS_mprotect,
        SYS_getrandom,
        // Where the library keeps signals away.
        SYS_rt_sigprocmask,
        SYS_rt_sigaction,
    ]
};

/// What close says though it has closed the descriptor, as it always has on Linux.
const CLOSE: (libc::c_long, &str, &[i32]) =
    (libc::SYS_close, "close", &[libc::EINTR, libc::EIO, libc::ENOSPC, libc::EDQUOT]);

impl At {
    fn of(stop: &Stop) -> Option<At> {
        match *stop {
            Stop::Entry { call, arguments } => {
                let known = CALLS.iter().any(|row| row.0 == call) || call == CLOSE.0;
                assert!(known || LET_BE.contains(&call), "the system call {call} is in no table");
                known.then_some(At { call, count: arguments[2] })
            }
            Stop::Exit => None,
        }
    }

    fn name(&self) -> &'static str {
        CALLS.iter().chain([&CLOSE]).find(|row| row.0 == self.call).map_or("", |row| row.1)
    }

    fn needs_device(&self) -> bool {
        self.call != CLOSE.0 && self.call != libc::SYS_munmap
    }

    fn is_about_room(&self) -> bool {
        matches!(self.call, libc::SYS_fallocate | libc::SYS_pwrite64 | libc::SYS_ftruncate)
    }

    /// Whether it may move fewer bytes than it is asked to. The system always reads the few of a magic at once, and
    /// what a short write has done must be possible to undo.
    fn can_be_short(&self, ground: Ground) -> bool {
        let is_write = self.call == libc::SYS_pwrite64 && self.count > 1 && ground.can_undo_writes();
        is_write || (self.call == libc::SYS_pread64 && self.count > 8)
    }
}

fn errors_of(at: &At) -> impl Iterator<Item = i32> + use<> {
    let row = CALLS.iter().find(|row| row.0 == at.call);
    row.map_or(&[][..], |row| row.2).iter().copied()
}

fn unjust_errors_of(ground: Ground, at: &At) -> impl Iterator<Item = i32> + use<> {
    let errors: &[i32] = match at.call {
        libc::SYS_close => CLOSE.2,
        libc::SYS_ftruncate | libc::SYS_fcntl => &[libc::EINTR],
        // As ext4 does on a full disk: it says so, and keeps the blocks that it has found.
        libc::SYS_fallocate => &[libc::EINTR, libc::ENOSPC, libc::EDQUOT, libc::EIO],
        libc::SYS_fsync | libc::SYS_fdatasync => &[libc::EINTR, libc::EIO],
        libc::SYS_pwrite64 if ground.can_undo_writes() => &[libc::EINTR, libc::EIO, libc::ENOSPC],
        libc::SYS_pwrite64 => &[libc::EINTR],
        _ => &[],
    };
    errors.iter().copied()
}

/// In which way it goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// The call fails, without having been done.
    Fails(i32),
    /// So do all later ones of its kind.
    Keeps(i32),
    /// So do all later ones of any kind, with `EIO`: the device is gone.
    Dies,
    /// So do all later ones that ask for room, with `ENOSPC`, and with `EIO` those that truncate.
    FullThenBroken,
    /// Half as much is read or written.
    Short,
    /// The call is done, and says that it has failed.
    Done(i32),
}

impl How {
    /// What the call of the library may return then.
    fn allowed(self, at: &At) -> Allowed {
        let keeps_mapping = at.call == libc::SYS_munmap && self != How::Short;
        let codes = match self {
            // Calls that are interrupted are made again, all but msync.
            How::Fails(libc::EINTR) | How::Done(libc::EINTR) if at.call != libc::SYS_msync => vec![],
            How::Fails(errno @ (libc::EAGAIN | libc::EACCES))
            | How::Keeps(errno @ (libc::EAGAIN | libc::EACCES))
                if at.call == libc::SYS_fcntl =>
            {
                // As if another handle had the lock, also for as long as one waits.
                vec![errno, MBA_ELOCKED, libc::ETIMEDOUT]
            }
            How::Fails(errno) | How::Keeps(errno) | How::Done(errno) => vec![errno],
            How::Dies => vec![libc::EIO],
            How::FullThenBroken => vec![libc::ENOSPC, libc::EIO],
            How::Short => vec![libc::ENOSPC],
        };
        let leaves_room = codes.contains(&MBA_ELOCKED);
        let lacks_locks = codes.contains(&libc::ENOLCK);
        Allowed {
            codes,
            keeps_mapping,
            leaves_room,
            keeps_blocks: matches!(self, How::Dies | How::FullThenBroken),
            lacks_locks,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Injection {
    /// Which of the system calls, counted from 0.
    place: usize,
    how: How,
}

/// Plays all scenes, and lets each of their system calls go wrong in turn.
fn play_all<I: Iterator<Item = i32>>(
    cases: &mut Cases,
    kind: usize,
    errors: impl Fn(Ground, &At) -> I,
    how: impl Fn(i32) -> How,
) {
    // At a smaller scale some scenes, others for each kind of fault, and of these some cases, so that each system
    // call and each error has its turn in one or another.
    let some = cases.scale((5, 17), (1, 7), (1, 1));
    play_scenes(cases, kind, some, errors, how);
}

fn play_scenes<I: Iterator<Item = i32>>(
    cases: &mut Cases,
    kind: usize,
    (some_scenes, some_cases): (usize, usize),
    errors: impl Fn(Ground, &At) -> I,
    how: impl Fn(i32) -> How,
) {
    let (disk, memory) = (Place::Disk.directory(), Place::Memory.directory());
    let mut turn = 0;
    for (at, scene) in Scene::all().into_iter().enumerate() {
        if at % some_scenes != kind % some_scenes {
            continue;
        }
        let directory = if scene.ground.is_on_disk() { disk.path() } else { memory.path() };
        let mut calls = Vec::new();
        cases.case(format!("{scene:?}, nothing fails"), || {
            play(&scene, directory, None, &Allowed::default(), &mut calls);
        });
        for (place, at) in calls.iter().enumerate() {
            for errno in errors(scene.ground, at) {
                turn += 1;
                if turn % some_cases != 0 {
                    continue;
                }
                let how = how(errno);
                let label = format!("{scene:?}, {how:?} at call {place}, {}", at.name());
                cases.case(label, || {
                    let injection = Injection { place, how };
                    let mut allowed = how.allowed(at);
                    if scene.call == Call::Commit {
                        // The room that was left, and is given back if it has no blocks any more.
                        allowed.codes.push(MBA_EINDEX);
                    }
                    play(&scene, directory, Some(injection), &allowed, &mut Vec::new());
                });
            }
        }
        let _ = std::fs::remove_file(scene.path(directory));
    }
}

/// Plays a scene in a child; `calls` get to be the system calls of the library's call.
fn play(
    scene: &Scene,
    directory: &Path,
    injection: Option<Injection>,
    allowed: &Allowed,
    calls: &mut Vec<At>,
) {
    // SAFETY: a name, and a new descriptor that nobody else has.
    let mut errors = unsafe {
        let fd = libc::memfd_create(c"errors".as_ptr(), libc::MFD_CLOEXEC);
        assert!(fd >= 0, "{}", std::io::Error::last_os_error());
        std::fs::File::from_raw_fd(fd)
    };
    let mut child = Traced::start_at_pause(|| {
        // SAFETY: both are descriptors of this process.
        unsafe { libc::dup2(errors.as_raw_fd(), 2) };
        let mut play = Play::prepare(*scene, directory);
        let descriptor = play.descriptor();
        pause_to_be_traced();
        let result = play.act(descriptor);
        mark();
        play.check(result, allowed);
    });
    let said = |errors: &mut std::fs::File| {
        let mut text = String::new();
        let _ = errors.rewind().and_then(|()| errors.read_to_string(&mut text));
        text
    };
    let mut failing: Option<At> = None;
    loop {
        let Some(stop) = child.next_stop() else {
            panic!("the process ended in the call: {}", said(&mut errors));
        };
        if stop.is_mark() {
            break;
        }
        let Some(at) = At::of(&stop) else { continue };
        if let Some(Injection { place, how }) = injection {
            let again = match (how, failing) {
                (How::Keeps(_), Some(first)) => first.call == at.call,
                (How::Dies, Some(_)) => at.needs_device(),
                (How::FullThenBroken, Some(_)) => at.is_about_room(),
                _ => false,
            };
            if calls.len() == place || again {
                failing = failing.or(Some(at));
                go_wrong(&mut child, how, &at);
            }
        }
        calls.push(at);
    }
    let status = child.let_go();
    assert!(status == 0, "{}: {}", ending(status), said(&mut errors).trim_end());
    assert!(injection.is_none() || failing.is_some(), "the call to fail was not made this time");
}

/// At the entry of a system call: lets it go wrong.
fn go_wrong(child: &mut Traced, how: How, at: &At) {
    let errno = match how {
        How::Short => return child.set_count(at.count / 2),
        How::Done(errno) => errno,
        How::Fails(errno) | How::Keeps(errno) => {
            child.skip_call();
            errno
        }
        How::Dies => {
            child.skip_call();
            libc::EIO
        }
        How::FullThenBroken => {
            child.skip_call();
            if at.call == libc::SYS_ftruncate { libc::EIO } else { libc::ENOSPC }
        }
    };
    assert_eq!(child.next_stop(), Some(Stop::Exit));
    child.set_result(-i64::from(errno));
}

/// Hands out the system's memory, until it is told to fail.
struct Failing;

/// How many allocations are still to succeed; less than 0: all.
static LEFT: AtomicI64 = AtomicI64::new(-1);

// SAFETY: it is the system's allocator, or null, which means that there is no memory.
unsafe impl GlobalAlloc for Failing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match LEFT.load(Relaxed) {
            // Once, so that the panic that would be the fault can be told.
            0 => {
                LEFT.store(-1, Relaxed);
                return std::ptr::null_mut();
            }
            1.. => {
                LEFT.fetch_sub(1, Relaxed);
            }
            _ => {}
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Failing = Failing;

/// The status of a child whose body made fewer allocations than were to succeed.
const NO_MORE: i32 = 42;

/// Lets each allocation of `act` fail in turn, until it makes no more; `check` gets what was prepared for it, and
/// what it returns.
fn fail_each_allocation<P, T>(
    cases: &mut Cases,
    label: &str,
    prepare: impl Fn() -> P,
    act: impl Fn(&mut P) -> T,
    check: impl Fn(P, T),
) {
    for place in 0.. {
        let (status, text) = in_child(|| {
            let mut prepared = prepare();
            LEFT.store(place, Relaxed);
            let result = act(&mut prepared);
            let left = LEFT.swap(-1, Relaxed);
            check(prepared, result);
            if left >= 0 {
                // SAFETY: ends the child.
                unsafe { libc::_exit(NO_MORE) };
            }
        });
        let no_more = libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == NO_MORE;
        let is_bad = status != 0 && !no_more;
        let story = format!("{label}, allocation {place}: {}: {}", ending(status), text.trim_end());
        cases.add(1, is_bad.then_some(story));
        if no_more || is_bad {
            return;
        }
    }
}

fn allocations(cases: &mut Cases) {
    let some = cases.scale(3, 1, 1);
    let (disk, memory) = (Place::Disk.directory(), Place::Memory.directory());
    for scene in Scene::all().into_iter().step_by(some) {
        let directory = if scene.ground.is_on_disk() { disk.path() } else { memory.path() };
        let prepare = || {
            let mut play = Play::prepare(scene, directory);
            let descriptor = play.descriptor();
            (play, descriptor)
        };
        let allowed = Allowed { codes: vec![libc::ENOMEM], ..Allowed::default() };
        fail_each_allocation(
            cases,
            &format!("{scene:?}"),
            prepare,
            |(play, descriptor)| play.act(*descriptor),
            |(play, _), result| play.check(result, &allowed),
        );
        let _ = std::fs::remove_file(scene.path(directory));
    }
    in_rust(cases, memory.path());
}

/// What the Rust faces allocate for themselves.
fn in_rust(cases: &mut Cases, directory: &Path) {
    let path = directory.join("rust");
    let ty = Type::from_char('Q').unwrap();
    let fill = || {
        let mut array = MmapArray::<u64>::open_or_create(&path).unwrap();
        array.resize(1000).unwrap();
        array
    };
    drop(fill());
    let is_right = |_: (), len: Result<usize, Error>| match len {
        Ok(len) => assert_eq!(len, 1000),
        Err(error) => assert_eq!(error, Error::Os(libc::ENOMEM)),
    };
    let mut each = |label, act: &dyn Fn() -> Result<usize, Error>| {
        fail_each_allocation(cases, label, || (), |()| act(), is_right);
    };
    each("Array::open", &|| Array::open(&path, ty, &OpenOptions::new()).map(|array| array.len()));
    each("open_with", &|| MmapArray::<u64>::open_with(&path, &writable()).map(|array| array.len()));
    each("open_or_create", &|| MmapArray::<u64>::open_or_create(&path).map(|array| array.len()));
    let array = fill();
    each("to_vec", &|| array.to_vec(..).map(|copy| copy.len()));
}
