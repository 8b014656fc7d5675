//! What becomes of handles in a child process.
//!
//! A child keeps the mapping and the description that is mapped, and neither the growth lock nor the description that
//! carries it, so that an idle child can't keep a dead writer's lock. What says that a handle has the lock lies in
//! memory that the system clears in every kind of child (see `registry.rs`); the descriptors are closed here, in children
//! by `fork()`. Others, by `_Fork()` and `clone()`, close theirs when they first use the array.

use core::ffi::c_void;
use core::sync::atomic::{AtomicI32, Ordering::Relaxed, Ordering::SeqCst};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::sync::Once;

use super::registry::{self, CLOSED, Gate, HANDED_OUT, Slot};
use super::{fork, guard, sys, valgrind};
use crate::error::{Error, Result};

/// Has the C library call three functions at each fork.
extern "C" fn watch_forks() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the three functions have the required form, and stay loaded as long as this code: the C
        // library takes them off its list when a shared library is unloaded. It fails for lack of memory
        // only; then children keep a shared description until they use the array.
        unsafe { libc::pthread_atfork(Some(fork::begins), Some(fork::ends), Some(in_child)) };
    });
}

/// Runs when the library is loaded, so that a program's own handlers come later: in the child ours run first, so that no
/// handler of the program's meets an array that still has its parent's descriptor.
#[used]
#[unsafe(link_section = ".init_array")]
static AT_LOAD: extern "C" fn() = watch_forks;

extern "C" fn in_child() {
    fork::ends_in_child();
    disown_all();
    guard::begin_anew();
}

/// A linker that was given an archive may have left the above out.
pub(super) fn watch() {
    watch_forks();
}

/// Lets go of the parent's locks in a forked child, where only calls that a signal handler may make are safe.
fn disown_all() {
    for (slot, gate) in registry::all() {
        if was_used_here(gate) {
            continue;
        }
        // The system has done so already, unless it is too old.
        gate.room.store(0, Relaxed);
        gate.held.store(false, Relaxed);
        gate.own.store(false, Relaxed);
        // This thread was interrupted by the signal handler that has forked, and may go on.
        let is_busy = slot.busy.load(Relaxed) == sys::this_thread();
        if !is_busy {
            close_here(slot, &slot.fresh);
        }
        // Else another thread of the parent's was making or ending it: nobody in the child will.
        let has_handle = is_busy || !slot.storage.load(Relaxed).is_null();
        if !slot.is_mapped_one.load(Relaxed) || !has_handle {
            close_here(slot, &slot.lock_fd);
        }
        if !has_handle {
            close_here(slot, &slot.fd);
        }
    }
    // When descriptors have become free.
    for (slot, gate) in registry::all() {
        if slot.is_mapped_one.load(Relaxed)
            && slot.is_held_on_mapped_one.load(Relaxed)
            && !was_used_here(gate)
        {
            // Where that fails, for want of /proc, the parent's lock lives on until this child ends or uses the array.
            gate.own.store(slot.leave_parent().is_ok(), Relaxed);
            slot.is_held_on_mapped_one.store(false, Relaxed);
        }
    }
}

/// Whether a handle has been used in this process already: by a handler of the program's that ran before.
fn was_used_here(gate: &Gate) -> bool {
    registry::are_gates_wiped() && gate.own.load(Relaxed)
}

/// Closes a descriptor of the child's, and not what a number has come to be since.
fn close_here(slot: &Slot, place: &AtomicI32) {
    let fd = place.load(Relaxed);
    // The parent was about to give the lock a description of its own, and the child needs the plain one.
    let is_plain = fd == slot.plain() && !core::ptr::eq(place, &slot.fd);
    if fd != CLOSED && (is_plain || slot.is_reused(fd & !HANDED_OUT)) {
        place.store(CLOSED, Relaxed);
    }
    Slot::close(place);
}

/// No architecture that we build for has larger pages.
const LARGEST_PAGE: usize = 1 << 16;

impl Slot {
    /// Gives anonymous memory that came by a fork a description of its own in the place of the parent's, which is mapped
    /// and may carry the parent's lock. Makes only calls that a signal handler may make.
    pub fn leave_parent(&self) -> Result<()> {
        let (base, bytes) = (self.base.load(Relaxed), self.bytes.load(Relaxed));
        let former = self.lock_fd.load(Relaxed);
        if former == CLOSED {
            return Err(Error::Os(libc::EBADF));
        }
        let moment = fork::now();
        let own = sys::reopen(former, libc::O_RDWR)?;
        if bytes > 0 {
            let at = core::ptr::with_exposed_provenance_mut::<c_void>(base);
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            // SAFETY: the range is the handle's mapping, of which the library makes no references.
            unsafe { sys::map_over(at, bytes, protection, own.as_raw_fd(), true)? };
            // As much as the parent had advised: what lies beyond the end, from the next page on.
            let end = sys::stat(own.as_raw_fd()).map_or(0, |stat| stat.size as usize).min(bytes);
            let next = end.next_multiple_of(LARGEST_PAGE).min(bytes);
            sys::dump_nothing(at.wrapping_byte_add(next), bytes - next);
            if valgrind::is_there() {
                valgrind::hide(base + end, bytes - end);
            }
        }
        self.forks.store(moment, Relaxed);
        // The parent may have been about to make it the plain one.
        if self.fd.load(SeqCst) == former {
            self.fd.store(CLOSED, SeqCst);
        }
        if self.plain() == former {
            // One that was handed out stays.
            self.lock_fd.store(own.into_raw_fd(), SeqCst);
        } else {
            // By the number of the former: a new one could be one that an interrupted call has just lost.
            sys::replace(former, own)?;
        }
        Ok(())
    }
}
