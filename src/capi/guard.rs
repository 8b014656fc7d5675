//! The guard against files that are truncated while they are mapped.

use core::ffi::c_int;

use super::run;
use crate::guard;

/// Turns the guard on, for all arrays of the process: those that exist and those to come. Without it,
/// touching elements of a file that somebody has made shorter is a SIGBUS, which ends the process.
/// With it a handler for that signal puts memory of zeros in the place of what is gone, and the
/// thread goes on. The handle is then of no more use: the call during which it happened may still say
/// that all is well, but every later one that gives a code gives `MBA_ETRUNCATED`, be it for elements
/// that are still there, and so does `mba_close`, which releases the handle as always. What gives no
/// code (`mba_len`, `mba_data_ptr` and the like) answers as before, and the pointer stays valid, so
/// that a program that uses it learns from its next call what it has read. What is stored in the
/// place of lost elements is lost. To go on, close the handle and open the file again.
///
/// A SIGBUS that is none of ours goes to the handler that was there before, with the signals blocked
/// and everything else as that has asked for, or ends the process, if there was none. Handlers that
/// are installed later must do the same with ours; where they don't, call this again, which puts ours
/// on top. If a run-time system has a handler of its own, as the JVM, Go and Python's faulthandler
/// do, let it be installed first. Ours runs on the alternate stack of signals where a thread has one,
/// makes a few system calls, and leaves `errno` alone.
///
/// What the guard can't do: a system call such as read(2) that is given a pointer to lost elements
/// says `EFAULT`, and nobody is marked. Cut elements in the page that still has the last bytes of the
/// file are zeros without a fault, and so is what was truncated and then grown again before it was touched.
/// Other handles of the same file are marked when they meet it themselves. Memory of
/// `mba_from_memory` is the caller's. A page that the disk can't read, or finds no space for, is
/// replaced too, with the same code.
///
/// Calls are counted: each wants one `mba_guard_disable`. The library then stays loaded for good.
///
/// Errors: `EBUSY` if ours lies below the handlers of others eight times already; those of
/// sigaction(2).
#[unsafe(no_mangle)]
pub extern "C" fn mba_guard_enable() -> c_int {
    run(guard::enable)
}

/// Takes one `mba_guard_enable` back. With the last one the handler that was there before is there
/// again, unless another one was installed since: then ours stays where it is, and passes every
/// signal on. Handles that are marked stay so. 0 (`MBA_OK`) also if the guard isn't on.
///
/// Errors: those of sigaction(2).
#[unsafe(no_mangle)]
pub extern "C" fn mba_guard_disable() -> c_int {
    run(guard::disable)
}
