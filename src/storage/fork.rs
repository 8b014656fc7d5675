//! What becomes of handles in a child process.
//!
//! A child keeps the mapping and the description that is mapped, and neither the growth lock nor the description that
//! carries it, so that an idle child can't keep a dead writer's lock. What says that a handle has the lock lies in
//! memory that the system clears in every kind of child (see `registry.rs`); the descriptors are closed here, in children
//! by `fork()`. Others, by `_Fork()` and `clone()`, close theirs when they first use the array.
//!
//! Nothing here waits, and no lock is held, so that a fork can happen at any moment, in a signal handler too.

use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::SeqCst;
use std::sync::Once;

use super::{guard, registry};
use crate::error::Result;

/// How many forks have begun in this process, and how many of them have ended.
static BEGUN: AtomicUsize = AtomicUsize::new(0);
static ENDED: AtomicUsize = AtomicUsize::new(0);

/// Has the C library call the three functions below at each fork.
extern "C" fn watch_forks() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the three functions have the required form, and stay loaded as long as this code: the C
        // library takes them off its list when a shared library is unloaded. It fails for lack of memory
        // only; then children keep a shared description until they use the array.
        unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
    });
}

/// Runs when the library is loaded, so that a program's own handlers come later: in the child ours run first, so that no
/// handler of the program's meets an array that still has its parent's descriptor.
#[used]
#[unsafe(link_section = ".init_array")]
static AT_LOAD: extern "C" fn() = watch_forks;

extern "C" fn before() {
    BEGUN.fetch_add(1, SeqCst);
}

extern "C" fn in_parent() {
    ENDED.fetch_add(1, SeqCst);
}

extern "C" fn in_child() {
    ENDED.store(BEGUN.load(SeqCst), SeqCst);
    registry::disown_all();
    guard::begin_anew();
}

/// A linker that was given an archive may have left the above out.
pub(super) fn watch() {
    watch_forks();
}

/// How often a fork beside is stood aside for. A fork takes far less time than so many tries, unless the machine is busy.
const TRIES: usize = 1000;

/// Makes a descriptor and puts it where a child finds it, such that no child by a fork of this moment has the one and
/// not the other. If the program forks all the time the last try counts: such a child keeps the description until it
/// ends.
pub(super) fn unseen<T>(mut make: impl FnMut() -> Result<T>) -> Result<T> {
    watch();
    for _ in 0..TRIES {
        let begun = BEGUN.load(SeqCst);
        if begun != ENDED.load(SeqCst) {
            std::thread::yield_now();
            continue;
        }
        let made = make()?;
        if BEGUN.load(SeqCst) == begun {
            return Ok(made);
        }
    }
    make()
}

/// Waits until no fork is under way, if one is. The system copies a process's descriptors before its
/// memory: a child that gets to know of a handle must have the handle's descriptors, so that a handle is told of only after
/// this. It is not waited for without end: a program's own handler can make a handle while a fork is under way.
pub(super) fn let_pass() {
    for _ in 0..TRIES {
        if BEGUN.load(SeqCst) == ENDED.load(SeqCst) {
            return;
        }
        std::thread::yield_now();
    }
}

/// How many forks have begun: whoever was there before can be in a child, if it is another number now.
pub(super) fn begun() -> usize {
    BEGUN.load(SeqCst)
}
