//! The address reservation: one mapping, made at open, that reaches far beyond the end of the file.

use core::cell::Cell;
use core::ffi::c_void;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::os::fd::RawFd;

use memmap2::{Advice, MmapOptions, MmapRaw, UncheckedAdvice};

use super::access::Access;
use super::sys;
use super::sys::held_off;
use super::{footer, valgrind};
use crate::error::{Error, Result};

/// What a handle reserves if it isn't told otherwise and the process has room enough.
const DEFAULT: u64 = 64 << 30;
/// What a process can address on the architectures we build for.
const ADDRESS_SPACE: u64 = 1 << 47;
/// The part of the address space that all reservations may take together is one half; of what is left of
/// that, a default reservation takes at most one eighth.
const SHARE: u64 = 8;
/// But it takes so much always, as a part of the whole share: even as many mappings as the kernel allows a
/// process (65,530) fit then.
const FLOOR: u64 = 1 << 17;

/// Bytes reserved by all handles of this process.
static TOTAL: AtomicU64 = AtomicU64::new(0);

/// How much address space there is where nobody has set a limit and there is less than there commonly is, as under
/// valgrind and ThreadSanitizer: learnt from what fails. 0 where nothing has failed.
static LEARNT: AtomicU64 = AtomicU64::new(0);

/// How much address space the process may use at this moment, as far as is known.
fn address_space_limit() -> u64 {
    let limit = sys::address_space_limit();
    match LEARNT.load(Relaxed) {
        0 => limit,
        // The process may have got room since.
        learnt if sys::has_address_space(learnt.saturating_mul(2)) => {
            LEARNT.store(0, Relaxed);
            limit
        }
        learnt => limit.min(learnt),
    }
}

/// Whether core dumps of this process take mapped files along, which they don't unless it is asked for. Asked once: that is
/// set before a program is started, and the advice costs a sixth of all else about opening an array.
fn dumps_files() -> bool {
    static ANSWER: AtomicU8 = AtomicU8::new(UNKNOWN);
    const UNKNOWN: u8 = 0;
    const NO: u8 = 1;
    const YES: u8 = 2;
    if ANSWER.load(Relaxed) == UNKNOWN {
        let answer = if sys::core_dumps_take_files() { YES } else { NO };
        ANSWER.store(answer, Relaxed);
    }
    ANSWER.load(Relaxed) == YES
}

/// A mapping whose address never changes.
pub(super) struct Reservation {
    map: MmapRaw,
    bytes: u64,
    writable: bool,
    /// Up to where the mapping has bytes, for valgrind.
    shown: Cell<u64>,
    /// Up to where a core dump takes the mapping along; `None` if it leaves it out as a whole.
    dumped: Cell<Option<u64>>,
    /// Whether the system was told to leave the whole mapping out, whatever becomes of the file's name.
    left_out: Cell<bool>,
}

impl Reservation {
    /// Maps a file of `size` bytes, with room to grow to `wanted` bytes of elements; 0 for the default. A
    /// default shrinks to what there is room for, a wish does not.
    pub fn new(fd: RawFd, size: u64, access: Access, wanted: u64) -> Result<Reservation> {
        let need = size.max(1);
        if access.has_fixed_length() {
            return Reservation::map(fd, need, access);
        }
        if wanted != 0 {
            // The footer lies beyond the elements, at the end of a page.
            let bytes = wanted
                .checked_add(footer::SIZE)
                .and_then(|bytes| bytes.checked_next_multiple_of(footer::GRAIN))
                .ok_or(Error::NO_MEMORY)?;
            if bytes < need {
                return Err(Error::Limit);
            }
            // Valgrind's way to say that there isn't so much.
            let too_large = |error| if error == Error::Os(libc::EINVAL) { Error::NO_MEMORY } else { error };
            return Reservation::map(fd, bytes, access).map_err(too_large);
        }
        // Not a `Once`, which a child forked meanwhile would wait for in vain.
        static DONE: AtomicBool = AtomicBool::new(false);
        if !DONE.swap(true, Relaxed) {
            keep_apart();
        }
        let total = TOTAL.load(Relaxed);
        let mut bytes = default_size(need, total, address_space_limit());
        let mut learnt = None;
        loop {
            match Reservation::map(fd, bytes, access) {
                // EAGAIN comes from mlockall(MCL_FUTURE) and RLIMIT_MEMLOCK, EINVAL from valgrind.
                Err(Error::Os(errno @ (libc::ENOMEM | libc::EAGAIN | libc::EINVAL)))
                    if bytes > least(need) =>
                {
                    let half = (bytes / 2).next_multiple_of(footer::GRAIN).max(least(need));
                    let mut limit = sys::address_space_limit();
                    if errno == libc::EAGAIN {
                        // What is locked counts whether it is used or not, and so does all else that is mapped then.
                        bytes = half.min(default_size(need, total, limit.min(sys::locked_memory_limit())));
                        continue;
                    }
                    if limit >= ADDRESS_SPACE {
                        // Nobody has set a limit, so there is less than there commonly is: valgrind and
                        // ThreadSanitizer leave a program that little.
                        limit = total + bytes;
                        learnt = Some(limit);
                    }
                    bytes = half.min(default_size(need, total, limit));
                }
                result => {
                    // Where nothing fits, it isn't for want of addresses.
                    if let (Ok(_), Some(limit)) = (&result, learnt) {
                        LEARNT.store(limit, Relaxed);
                    }
                    return result;
                }
            }
        }
    }

    fn map(fd: RawFd, bytes: u64, access: Access) -> Result<Reservation> {
        // memmap2 refuses what a slice could not be, without an errno.
        let len = isize::try_from(bytes).map_err(|_| Error::NO_MEMORY)?.unsigned_abs();
        let mut options = MmapOptions::new();
        options.len(len).no_reserve_swap();
        let fd = sys::borrow(fd);
        let map = match access {
            Access::Read | Access::FixedRead => options.map_raw_read_only(&fd),
            Access::Write { .. } | Access::Anonymous | Access::Fixed => options.map_raw(&fd),
            // SAFETY: no slice is made of the map; it is turned into a raw one at once.
            Access::Private => unsafe { options.map_copy(&fd) }.map(MmapRaw::from),
        }
        .map_err(sys::os_error)?;
        TOTAL.fetch_add(bytes, Relaxed);
        let writable = !matches!(access, Access::Read | Access::FixedRead);
        Ok(Reservation {
            map,
            bytes,
            writable,
            shown: Cell::new(bytes),
            dumped: Cell::new(Some(bytes)),
            left_out: Cell::new(false),
        })
    }

    /// Maps another description of the same file in the place of the present one, `former`: at no moment is the range
    /// without a mapping. If it fails the old one stays.
    pub fn map_anew(&self, fd: RawFd, former: RawFd) -> Result<()> {
        let protection = libc::PROT_READ | if self.writable { libc::PROT_WRITE } else { 0 };
        let (at, bytes) = (self.base().cast::<c_void>(), self.bytes as usize);
        // SAFETY: the range is this mapping, of which the library makes no references.
        if let Err(error) = unsafe { sys::map_over(at, bytes, protection, fd, true) } {
            // Older systems may have ended the old mapping by then.
            // SAFETY: as above; it replaces nothing.
            let _ = unsafe { sys::map_over(at, bytes, protection, former, false) };
            return Err(error);
        }
        match self.dumped.get() {
            None if self.left_out.replace(false) => self.leave_out_of_dumps(),
            None => {}
            Some(end) if end < self.bytes => {
                let _ = self.map.advise_range(Advice::DontDump, end as usize, (self.bytes - end) as usize);
            }
            Some(_) => {}
        }
        if valgrind::is_there() {
            // What is mapped anew is all to be seen at first.
            let end = self.shown.replace(self.bytes);
            self.show_up_to(end);
        }
        Ok(())
    }

    /// Leaves the whole mapping of a file that has a name out of core dumps. The system does so by itself as long as the file
    /// keeps a name, unless the process asks for files in its dumps.
    pub fn dump_nothing(&self) {
        self.dumped.set(None);
        if dumps_files() {
            self.leave_out_of_dumps();
        }
    }

    /// Sees to it that a mapping which is left out stays so when the file loses its last name. Called where that is likely, or
    /// where its cost is small beside what is being done.
    pub fn dump_nothing_without_a_name(&self) {
        if self.dumped.get().is_none() {
            self.leave_out_of_dumps();
        }
    }

    fn leave_out_of_dumps(&self) {
        if !self.left_out.replace(true) {
            // An advice that isn't taken leaves a larger core dump, and nothing else.
            let _ = self.map.advise_range(Advice::DontDump, 0, self.bytes as usize);
        }
    }

    pub fn base(&self) -> *mut u8 {
        // Not as_mut_ptr, which insists on a writable map; what may be written is known to the callers.
        self.map.as_ptr().cast_mut()
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The file ends at `end` now: what lies beyond is no business of core dumps, nor of valgrind's.
    pub fn use_up_to(&self, end: u64) {
        if valgrind::is_there() {
            self.show_up_to(end.next_multiple_of(footer::GRAIN).min(self.bytes));
        }
        let Some(old) = self.dumped.get() else { return };
        let end = end.next_multiple_of(footer::GRAIN).min(self.bytes);
        self.dumped.set(Some(end));
        let _ = if end < old {
            self.map.advise_range(Advice::DontDump, end as usize, (old - end) as usize)
        } else if end > old {
            self.map.advise_range(Advice::DoDump, old as usize, (end - old) as usize)
        } else {
            Ok(())
        };
    }

    fn show_up_to(&self, end: u64) {
        let old = self.shown.replace(end);
        let at = |bytes: u64| self.base().addr() + bytes as usize;
        if end < old {
            valgrind::hide(at(end), (old - end) as usize);
        } else {
            valgrind::show(at(old), (end - old) as usize);
        }
    }

    /// Faults in the pages of a range that the file has just come to have, all at once, for reading or for
    /// writing. If it fails they are faulted in one by one, as they are touched.
    pub fn populate(&self, how: Advice, start: u64, end: u64) {
        let _ = self.map.advise_range(how, start as usize, (end - start) as usize);
    }

    pub fn advise(&self, advice: Advice, start: u64, count: u64) -> Result<()> {
        self.map.advise_range(advice, start as usize, count as usize).map_err(sys::os_error)
    }

    /// Drops the pages of a range from this process; the file keeps them.
    pub fn drop_pages(&self, start: u64, count: u64) -> Result<()> {
        // SAFETY: only for shared maps of a file, where the advice loses nothing: the bytes stay in the page
        // cache and come back at the next touch. `Storage::advise` sees to that.
        unsafe { self.map.unchecked_advise_range(UncheckedAdvice::DontNeed, start as usize, count as usize) }
            .map_err(sys::os_error)
    }

    pub fn flush(&self, start: u64, end: u64) -> Result<()> {
        let end = end.min(self.bytes);
        if start >= end {
            return Ok(());
        }
        let (start, bytes) = (start as usize, (end - start) as usize);
        held_off(|| self.map.flush_range(start, bytes)).map_err(sys::os_error)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        TOTAL.fetch_sub(self.bytes, Relaxed);
    }
}

/// The page at the end of a file, which has the footer, mapped by itself: for a handle whose reservation ends before it.
pub(super) struct LastPage(MmapRaw);

impl LastPage {
    /// Of a file of `size` bytes, behind a description that carries no lock: a forked child keeps that alive.
    pub fn map(fd: RawFd, size: u64) -> Result<LastPage> {
        let mut options = MmapOptions::new();
        options.offset(size - footer::GRAIN).len(footer::GRAIN as usize);
        options.map_raw(&sys::borrow(fd)).map(LastPage).map_err(sys::os_error)
    }

    /// Where the footer lies.
    pub fn footer(&self) -> *mut u8 {
        self.0.as_mut_ptr().wrapping_add((footer::GRAIN - footer::SIZE) as usize)
    }
}

/// What one page of the third level of page tables covers, on x86-64 and on aarch64 with small pages.
const TABLE: usize = 1 << 30;

/// Keeps reservations away from the memory that the process uses most.
///
/// The system puts a large mapping directly below the shared libraries, in a range whose page tables they have
/// filled; ending it walks through those, which takes longer than all else about closing a handle. One page
/// without access, put at the next boundary below, leaves the rest of that range to small mappings, and
/// reservations come to lie below it. Nothing depends on it.
fn keep_apart() {
    let page = footer::GRAIN as usize;
    let Some(probe) = sys::map_without_access(page, None) else { return };
    sys::unmap(probe, page);
    let boundary = probe.addr() / TABLE * TABLE;
    if let Some(kept) = sys::map_without_access(page, Some(boundary))
        && kept.addr() != boundary
    {
        sys::unmap(kept, page);
    }
}

/// The least that a growing file's handle can do with: the file and a page for a footer.
fn least(need: u64) -> u64 {
    need.next_multiple_of(footer::GRAIN) + footer::GRAIN
}

/// The default reservation for a file of `need` bytes, when all other handles have `total` and the process
/// may use `limit` bytes of address space.
fn default_size(need: u64, total: u64, limit: u64) -> u64 {
    let share = limit.min(ADDRESS_SPACE) / 2;
    let left = share.saturating_sub(total) / SHARE;
    let bytes = DEFAULT.max(need.saturating_mul(2)).min(left).max(share / FLOOR);
    bytes.checked_next_multiple_of(footer::GRAIN).unwrap_or(bytes).max(least(need))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNLIMITED: u64 = u64::MAX;

    #[test]
    fn a_default_reservation_is_64_gib_or_twice_the_file() {
        assert_eq!(default_size(1, 0, UNLIMITED), DEFAULT);
        assert_eq!(default_size(100 << 30, 0, UNLIMITED), 200 << 30);
        assert_eq!(default_size(1 << 45, 0, UNLIMITED), (1 << 45) + 4096);
    }

    #[test]
    fn as_many_arrays_as_mappings_leave_half_of_the_address_space() {
        for limit in [UNLIMITED, 64 << 30] {
            let mut total = 0;
            for _ in 0..65_530 {
                total += default_size(4096, total, limit);
            }
            let space = limit.min(ADDRESS_SPACE);
            assert!(total <= space * 3 / 4, "{total} of {space}");
        }
    }

    #[test]
    fn a_small_address_space_leaves_room_for_the_rest() {
        assert_eq!(default_size(1, 0, 1 << 30), 64 << 20);
        assert_eq!(default_size(1, 1 << 30, 1 << 30), 8192);
    }
}
