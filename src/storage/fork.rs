//! What becomes of handles in a forked child: it keeps the mapping and the description that is mapped, and
//! neither the lock nor the description that carries it, so that an idle child can't keep a dead writer's lock.

use core::cell::UnsafeCell;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use super::Storage;
use crate::error::{Error, Result};

/// A handle that may change the length of a file.
struct Entry(*const Storage);

// SAFETY: the pointer is only followed in a forked child, by its one thread; until then it is a number.
unsafe impl Send for Entry {}

static HANDLES: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

/// The list's guard while a fork is under way.
struct DuringFork(UnsafeCell<Option<MutexGuard<'static, Vec<Entry>>>>);

// SAFETY: `before` fills the cell when it has the mutex, and `after` empties it before it lets go of it, so
// that only the thread that has the mutex, which is the one that forks, touches the cell.
unsafe impl Sync for DuringFork {}

static DURING_FORK: DuringFork = DuringFork(UnsafeCell::new(None));

fn handles() -> MutexGuard<'static, Vec<Entry>> {
    HANDLES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps other threads from forking until the guard is dropped.
pub(super) fn hold_off() -> impl Drop {
    handles()
}

/// Has the C library call the three functions below at each fork.
extern "C" fn watch_forks() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the three functions have the required form, and stay loaded as long as this code: the C
        // library takes them off its list when a shared library is unloaded. It fails for lack of memory
        // only; then children keep a shared description, which costs them what this file is about.
        unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
    });
}

/// Runs when the library is loaded, so that a program's own handlers come later: before a fork ours run after
/// them and take the mutex last, and in the child they run first, so that no handler of the program's meets an array
/// that still takes itself for the parent's.
#[used]
#[unsafe(link_section = ".init_array")]
static AT_LOAD: extern "C" fn() = watch_forks;

/// Puts a handle on the list. It must stay where it is until [`unregister`].
pub(super) fn register(storage: *const Storage) -> Result<()> {
    // A linker that was given an archive may have left the above out.
    watch_forks();
    let mut handles = handles();
    handles.try_reserve(1).map_err(|_| Error::NO_MEMORY)?;
    handles.push(Entry(storage));
    Ok(())
}

pub(super) fn unregister(storage: *const Storage) {
    let mut handles = handles();
    if let Some(at) = handles.iter().rposition(|entry| entry.0 == storage) {
        handles.swap_remove(at);
    }
}

/// Takes the list's mutex, so that the child finds the list whole.
extern "C" fn before() {
    let guard = handles();
    // SAFETY: this thread has the mutex; see `DuringFork`.
    unsafe { *DURING_FORK.0.get() = Some(guard) };
}

extern "C" fn in_parent() {
    // SAFETY: this thread has had the mutex since `before`.
    drop(unsafe { (*DURING_FORK.0.get()).take() });
}

extern "C" fn in_child() {
    // SAFETY: this is the copy of the thread that has had the mutex since `before`.
    let guard = unsafe { (*DURING_FORK.0.get()).take() };
    if let Some(handles) = guard {
        for entry in handles.iter() {
            // SAFETY: a handle is on the list only while it exists.
            unsafe { (*entry.0).disown_after_fork() };
        }
    }
}
