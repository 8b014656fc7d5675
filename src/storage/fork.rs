//! Whether a fork is under way, and descriptors that are made beside one.
//!
//! Nothing here waits for long, and no lock is held, so that a fork can happen at any moment, in a signal handler too.

use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use super::sys;
use crate::error::Result;

/// How many forks have begun in this process, and how many of them have ended.
static BEGUN: AtomicUsize = AtomicUsize::new(0);
static ENDED: AtomicUsize = AtomicUsize::new(0);
/// How often this process is a child by `fork()`.
static GENERATION: AtomicUsize = AtomicUsize::new(0);
/// The thread that has begun the latest one.
static FORKER: AtomicUsize = AtomicUsize::new(0);

/// How long a fork is waited for: it takes far less, also on a busy machine. But a program whose threads fork all the time may
/// have no moment without one.
const LONGEST: Duration = Duration::from_millis(200);
/// For which number of forks the wait was given up: it is not waited for again. A program's handlers may hold up a fork for a lock
/// that this thread has, and a child by `_Fork` never learns that a fork of another thread's has ended.
static GIVEN_UP: AtomicUsize = AtomicUsize::new(0);
/// How often a descriptor is made anew because of a fork meanwhile.
const TRIES: usize = 100;

/// Waits until no fork is under way, if one is.
///
/// The system copies a process's descriptors before its memory. So a child that gets to know of a handle must have its
/// descriptors too, and nobody is told of a handle before this has returned. `false` if the wait was given up.
pub(super) fn let_pass() -> bool {
    let mut started = None;
    while BEGUN.load(SeqCst) != ENDED.load(SeqCst) {
        // A program's own handler of forks, in the thread that forks, has nothing to wait for.
        let is_own = FORKER.load(SeqCst) == sys::this_thread();
        let begun = BEGUN.load(SeqCst);
        if is_own || GIVEN_UP.load(SeqCst) == begun {
            return false;
        }
        if started.get_or_insert_with(Instant::now).elapsed() > LONGEST {
            GIVEN_UP.store(begun, SeqCst);
            return false;
        }
        sys::sleep(Duration::from_micros(20));
    }
    true
}

/// Makes a descriptor and puts it where a child finds it, such that no child by a fork of this moment has the one and
/// not the other. A child of an earlier try keeps what that had made. If the program forks all the time the last try counts: such a
/// child keeps the description until it ends.
pub(super) fn unseen<T>(mut make: impl FnMut() -> Result<T>) -> Result<T> {
    for _ in 0..TRIES {
        let has_passed = let_pass();
        let ended = ENDED.load(SeqCst);
        let made = make()?;
        // If the wait was given up, another one won't help.
        if BEGUN.load(SeqCst) == ended || !has_passed {
            return Ok(made);
        }
    }
    make()
}

/// A moment, for [`has_begun_since`].
pub(super) fn now() -> usize {
    // One that is under way counts as one to come: it may not have copied anything yet.
    ENDED.load(SeqCst)
}

/// Whether a fork was under way at that moment or has begun since: what was there then can be in a child.
pub(super) fn has_begun_since(moment: usize) -> bool {
    BEGUN.load(SeqCst) != moment
}

/// How many forks lie between this process and the one that loaded the library: a child tells by it that it is one.
pub(super) fn generation() -> usize {
    GENERATION.load(SeqCst)
}

/// To be called before each fork.
pub(super) extern "C" fn begins() {
    FORKER.store(sys::this_thread(), SeqCst);
    BEGUN.fetch_add(1, SeqCst);
}

/// To be called in the parent after each fork.
pub(super) extern "C" fn ends() {
    ENDED.fetch_add(1, SeqCst);
}

/// To be called in the child of each fork, where no other is under way.
pub(super) fn ends_in_child() {
    GENERATION.fetch_add(1, SeqCst);
    ENDED.store(BEGUN.load(SeqCst), SeqCst);
}
