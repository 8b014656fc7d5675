//! Cancellation: no call of the library is a point where `pthread_cancel` can end the thread. A request that is pending
//! stays so until the call has returned.
//!
//! The system's functions that can block are such points, and closing a descriptor is one. To end a thread there would
//! unwind through Rust code that isn't made for it, with the array in the midst of a change.

use core::ffi::c_int;

unsafe extern "C" {
    fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
}

/// `PTHREAD_CANCEL_DISABLE` of glibc and musl.
const DISABLE: c_int = 1;

/// Ends with the state that was there before, also when it is left by a panic.
struct HeldOff {
    before: c_int,
}

impl Drop for HeldOff {
    fn drop(&mut self) {
        let mut ours = 0;
        // SAFETY: the state is one that the function gave, and there is a place for the present one.
        unsafe { pthread_setcancelstate(self.before, &raw mut ours) };
    }
}

/// Does something during which the thread can't be cancelled.
#[inline]
pub fn held_off<T>(f: impl FnOnce() -> T) -> T {
    let mut held = HeldOff { before: 0 };
    // SAFETY: the state is one there is, and there is a place for the former.
    unsafe { pthread_setcancelstate(DISABLE, &raw mut held.before) };
    f()
}
