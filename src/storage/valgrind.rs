//! What valgrind is told: memory that no file is behind needn't be looked through for pointers. Its leak checker would
//! walk whole reservations, page by page and fault by fault, which takes hours.
//!
//! The requests are those of `valgrind.h` and `memcheck.h`: an instruction sequence that does nothing, but under valgrind.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

const RUNNING_ON_VALGRIND: usize = 0x1001;
/// What is requested of the tool memcheck.
const MEMCHECK: usize = (b'M' as usize) << 24 | (b'C' as usize) << 16;
const MAKE_MEM_NOACCESS: usize = MEMCHECK;
const MAKE_MEM_DEFINED: usize = MEMCHECK + 2;

fn request(what: usize, first: usize, second: usize) -> usize {
    let arguments = [what, first, second, 0, 0, 0];
    #[allow(unused_mut)]
    let mut answer = 0usize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: rotates a register by 128 bits in all, and exchanges another one with itself. Valgrind reads the
    // arguments and sets the answer.
    unsafe {
        core::arch::asm!(
            "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
            in("rax") arguments.as_ptr(), inout("rdx") answer,
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above, with other instructions.
    unsafe {
        core::arch::asm!(
            "ror x12, x12, #3", "ror x12, x12, #13", "ror x12, x12, #51", "ror x12, x12, #61", "orr x10, x10, x10",
            in("x4") arguments.as_ptr(), inout("x3") answer,
        );
    }
    let _ = arguments;
    answer
}

/// Whether the process runs under valgrind; asked for once.
pub(super) fn is_there() -> bool {
    static KNOWN: AtomicU8 = AtomicU8::new(0);
    match KNOWN.load(Relaxed) {
        0 => {
            let there = request(RUNNING_ON_VALGRIND, 0, 0) != 0;
            KNOWN.store(1 + u8::from(there), Relaxed);
            there
        }
        known => known == 2,
    }
}

/// Nobody is to touch the range, the leak checker neither.
pub(super) fn hide(start: usize, bytes: usize) {
    request(MAKE_MEM_NOACCESS, start, bytes);
}

/// The range has bytes from now on.
pub(super) fn show(start: usize, bytes: usize) {
    request(MAKE_MEM_DEFINED, start, bytes);
}
