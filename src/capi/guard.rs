//! The guard against files that are truncated while they are mapped.

use core::ffi::c_int;

use super::run;
use crate::guard;

/// Turns the guard on, for all arrays of the process: those that exist and those to come. Without it,
/// touching elements of a file that somebody has truncated is a SIGBUS, which ends the process. With
/// it a signal handler puts zeros in the place of what is gone, marks the handle, and the thread goes
/// on. A marked handle is of no more use. The call during which it happened may still return
/// `MBA_OK`, but every later one that returns a code returns `MBA_ETRUNCATED`, even for elements that
/// are still there. So does `mba_close`, which releases the handle as always. Calls that return no
/// code (`mba_len`, `mba_data_ptr` and the like) answer as before, and the pointer stays valid. So a
/// program that uses the pointer learns from its next call what it has read. What is stored in the
/// place of lost elements is lost. To go on, close the handle and open the file again.
///
/// A SIGBUS elsewhere goes to the signal handler that was there before, with the signals blocked and
/// everything else as that has asked for. If there was none, it ends the process. Signal handlers
/// that are installed later must pass such signals on, too; where they don't, call this again, which
/// puts the guard's on top. If a run-time system has a signal handler of its own, as the JVM, Go and
/// Python's faulthandler do, let it be installed first. The guard's runs on the alternate signal
/// stack where a thread has one, makes a few system calls, and leaves `errno` alone.
///
/// What the guard can't do: a system call such as read(2) that is given a pointer to lost elements
/// fails with `EFAULT`, and no handle is marked. Lost elements in the page that still has the last
/// bytes of the file are zeros without a fault, and so is what was truncated and then grown again
/// before it was touched. Other handles of the same file are marked when they touch what is lost
/// themselves. Memory of `mba_from_memory` is the caller's affair. A page that the disk can't read,
/// or finds no space for, is replaced too, with the same code.
///
/// Calls are counted: each needs one `mba_guard_disable`. A library that has had the guard on stays
/// loaded for good.
///
/// Errors: `EBUSY` if the guard's signal handler lies below others already eight times; those of
/// sigaction(2).
#[unsafe(no_mangle)]
pub extern "C" fn mba_guard_enable() -> c_int {
    run(guard::enable)
}

/// Takes one `mba_guard_enable` back. With the last one the signal handler that was there before is
/// there again, unless another one was installed since: then the guard's stays where it is, and
/// passes every signal on. Handles that are marked stay so. 0 (`MBA_OK`) also if the guard isn't on.
///
/// Errors: those of sigaction(2).
#[unsafe(no_mangle)]
pub extern "C" fn mba_guard_disable() -> c_int {
    run(guard::disable)
}
