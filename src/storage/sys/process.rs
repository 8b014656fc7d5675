//! The process: its number, its limits, its directory, and its time.

use std::os::fd::AsRawFd;
use std::time::Duration;

use super::descriptors::own;
use super::{Descriptor, held_off, last_error, retry};
use crate::error::{Error, Result};

/// This process, as the system numbers them.
pub fn process_id() -> u64 {
    u64::from(std::process::id())
}

/// This thread; the same number in a child that it forks.
pub fn this_thread() -> usize {
    // SAFETY: asks for a number.
    unsafe { libc::pthread_self() as usize }
}

/// A number that no one has had before: the time, as exactly as the clock tells it.
pub fn fresh_number() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: clock_gettime fills the structure that it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut now) };
    (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64).max(1)
}

/// The directory that relative paths start from.
pub fn current_directory(path: &mut [u8]) -> Result<usize> {
    // SAFETY: the buffer is valid for writes of its length.
    if unsafe { libc::getcwd(path.as_mut_ptr().cast(), path.len()) }.is_null() {
        return Err(last_error());
    }
    path.iter().position(|byte| *byte == 0).ok_or(Error::Os(libc::ERANGE))
}

/// The largest size that this process may give a file; beyond it the system would send a signal.
pub fn file_size_limit() -> u64 {
    resource_limit(libc::RLIMIT_FSIZE)
}

/// How much address space this process may use.
pub fn address_space_limit() -> u64 {
    resource_limit(libc::RLIMIT_AS)
}

/// How much this process may have locked in memory.
pub fn locked_memory_limit() -> u64 {
    resource_limit(libc::RLIMIT_MEMLOCK)
}

// The C libraries don't agree.
#[cfg(target_env = "musl")]
type Resource = libc::c_int;
#[cfg(not(target_env = "musl"))]
type Resource = libc::__rlimit_resource_t;

fn resource_limit(resource: Resource) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: getrlimit fills the structure that it is given.
    match unsafe { libc::getrlimit(resource, &raw mut limit) } {
        0 => limit.rlim_cur,
        _ => u64::MAX,
    }
}

/// Sleeps so long, whatever signals come.
pub fn sleep(time: Duration) {
    held_off(|| std::thread::sleep(time));
}

/// A clock that a thread can sleep by, in a way that a signal handler ends unless it was installed with `SA_RESTART`.
pub struct Alarm(Option<Descriptor>);

impl Alarm {
    pub fn new() -> Alarm {
        // SAFETY: no memory is passed.
        let fd = retry(|| unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC) });
        Alarm(fd.and_then(own).ok())
    }

    /// Sleeps so long, or until a signal handler has run: `EINTR`.
    pub fn sleep(&self, time: Duration) -> Result<()> {
        let time = libc::timespec {
            tv_sec: time.as_secs().try_into().unwrap_or(libc::c_long::MAX),
            tv_nsec: i64::from(time.subsec_nanos().max(1)),
        };
        let none = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let result = held_off(|| match &self.0 {
            Some(fd) => {
                let once = libc::itimerspec { it_interval: none, it_value: time };
                let mut expirations = 0u64;
                // SAFETY: the structure is read only, and there is room for the 8 bytes that the descriptor gives.
                unsafe {
                    libc::timerfd_settime(fd.as_raw_fd(), 0, &raw const once, core::ptr::null_mut());
                    libc::read(fd.as_raw_fd(), (&raw mut expirations).cast(), 8) == 8
                }
            }
            // Without a descriptor every handler ends it.
            // SAFETY: the structure is read only.
            None => unsafe { libc::nanosleep(&raw const time, core::ptr::null_mut()) == 0 },
        });
        if result { Ok(()) } else { Err(last_error()) }
    }
}
