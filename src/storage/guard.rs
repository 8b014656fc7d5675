//! The guard: a handler for SIGBUS that keeps a process alive when a file is truncated under its mapping.
//!
//! Touching a page that the file no longer has is a SIGBUS. The handler puts memory of zeros in the place of what
//! is gone, marks the handle, so that its calls say so from then on, and lets the instruction be done again. A
//! SIGBUS elsewhere goes to the handler that was there before.
//!
//! Everything that the handler calls may run at any moment of any thread: it makes system calls and uses atomics,
//! and neither waits, allocates nor panics.

use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, AtomicUsize};
use core::sync::atomic::{Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

use super::sys::held_off;
use super::{File, Storage, registry, sys};
use crate::error::{Error, Result};

type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

/// How often the handler can be installed on top of handlers that came after it. Each time it is another function,
/// which knows what was there before it: one function for all would pass a signal to a handler that passes it back.
const LAYERS: usize = 8;
const HANDLERS: [Handler; LAYERS] =
    [handle::<0>, handle::<1>, handle::<2>, handle::<3>, handle::<4>, handle::<5>, handle::<6>, handle::<7>];

/// What was there before a layer.
struct Former {
    /// A function, `SIG_DFL` or `SIG_IGN`.
    handler: AtomicUsize,
    flags: AtomicI32,
    /// The signals blocked meanwhile; the kernel has 64 of them.
    mask: AtomicU64,
    /// Whether the layer is installed, or was and may still be known to a handler above it.
    in_use: AtomicI32,
}

static FORMER: [Former; LAYERS] = [const {
    Former {
        handler: AtomicUsize::new(libc::SIG_DFL),
        flags: AtomicI32::new(0),
        mask: AtomicU64::new(0),
        in_use: AtomicI32::new(0),
    }
}; LAYERS];

/// How often the guard was enabled without being disabled since. Without any, the layers that could not be taken
/// away pass everything on.
static ENABLED: AtomicU32 = AtomicU32::new(0);
/// Bytes in a page of the system's.
static PAGE: AtomicUsize = AtomicUsize::new(4096);

/// Turns the guard on, for all arrays of the process: those that exist and those to come.
///
/// Calls are counted: each wants one [`disable`]. If another handler was installed since, ours goes on top of it
/// again.
///
/// # Errors
/// `EBUSY` if ours lies below the handlers of others eight times already; those of `sigaction(2)`.
pub fn enable() -> Result<()> {
    stay_loaded();
    let _alone = Alone::wait();
    PAGE.store(sys::page_size(), Relaxed);
    let mut current = action()?;
    if layer(&current).is_none() {
        let unused = FORMER.iter().position(|former| former.in_use.load(Relaxed) == 0);
        let at = unused.ok_or(Error::Os(libc::EBUSY))?;
        // Before the handler is there, which asks for it.
        remember(&FORMER[at], &current);
        let mut ours = empty_action();
        ours.sa_sigaction = HANDLERS[at] as usize;
        ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
        // Another signal's handler could jump away, or take its time.
        // SAFETY: fills the set that it is given.
        unsafe { libc::sigfillset(&raw mut ours.sa_mask) };
        // Before, for a child that is forked in between.
        FORMER[at].in_use.store(1, Relaxed);
        // SAFETY: the handler has the form that the flags say, and stays loaded.
        if unsafe { libc::sigaction(libc::SIGBUS, &raw const ours, &raw mut current) } != 0 {
            FORMER[at].in_use.store(0, Relaxed);
            return Err(sys::last_error());
        }
        // Somebody may have been quicker.
        remember(&FORMER[at], &current);
    }
    ENABLED.fetch_add(1, Release);
    Ok(())
}

/// Takes one [`enable`] back. With the last one the handler that was there before is there again, unless somebody
/// has installed another one since: then ours stays below it, and passes everything on. Without `enable` it does
/// nothing.
///
/// # Errors
/// Those of `sigaction(2)`.
pub fn disable() -> Result<()> {
    let _alone = Alone::wait();
    match ENABLED.load(Relaxed) {
        0 => return Ok(()),
        1 => {}
        more => {
            ENABLED.store(more - 1, Relaxed);
            return Ok(());
        }
    }
    let current = action()?;
    if let Some(at) = layer(&current) {
        let former = &FORMER[at];
        let mut action = empty_action();
        action.sa_sigaction = former.handler.load(Relaxed);
        action.sa_flags = former.flags.load(Relaxed);
        set_mask(&mut action.sa_mask, former.mask.load(Relaxed));
        // SAFETY: the action is what was installed before.
        if unsafe { libc::sigaction(libc::SIGBUS, &raw const action, core::ptr::null_mut()) } != 0 {
            return Err(sys::last_error());
        }
        former.in_use.store(0, Relaxed);
    }
    ENABLED.store(0, Relaxed);
    Ok(())
}

/// Whether a thread is turning the guard on or off.
static CHANGING: AtomicBool = AtomicBool::new(false);

/// Keeps other threads from turning the guard on or off meanwhile.
///
/// Not a mutex: in a child that is forked meanwhile nobody is left to give it back.
struct Alone;

impl Alone {
    fn wait() -> Alone {
        while CHANGING.swap(true, Acquire) {
            std::thread::yield_now();
        }
        Alone
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        CHANGING.store(false, Release);
    }
}

/// Runs in a forked child, whose only thread this is.
pub(super) fn begin_anew() {
    CHANGING.store(false, Release);
}

/// Keeps the library loaded for good: a handler that is gone would be called all the same.
fn stay_loaded() {
    let address = enable as fn() -> Result<()> as *const c_void;
    let mut info = core::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: dladdr fills the structure if it knows the address; the name in it is a C string. A library that
    // is loaded already is only marked. In a program without shared libraries, or if the code is the program's own,
    // it fails, and there is nothing to do.
    unsafe {
        if libc::dladdr(address, info.as_mut_ptr()) != 0 && !info.assume_init_ref().dli_fname.is_null() {
            let flags = libc::RTLD_LAZY | libc::RTLD_NOLOAD | libc::RTLD_NODELETE;
            held_off(|| libc::dlopen(info.assume_init_ref().dli_fname, flags));
        }
    }
}

fn empty_action() -> libc::sigaction {
    // SAFETY: all fields may be zero: the default action, no flags, no signal blocked.
    unsafe { core::mem::zeroed() }
}

/// What a SIGBUS does now.
fn action() -> Result<libc::sigaction> {
    let mut action = empty_action();
    // SAFETY: fills the structure that it is given.
    match unsafe { libc::sigaction(libc::SIGBUS, core::ptr::null(), &raw mut action) } {
        0 => Ok(action),
        _ => Err(sys::last_error()),
    }
}

/// Which layer of ours an action is.
fn layer(action: &libc::sigaction) -> Option<usize> {
    HANDLERS.iter().position(|handler| *handler as usize == action.sa_sigaction)
}

fn remember(former: &Former, action: &libc::sigaction) {
    former.flags.store(action.sa_flags, Relaxed);
    former.mask.store(get_mask(&action.sa_mask), Relaxed);
    former.handler.store(action.sa_sigaction, Release);
}

/// The part of a set that the kernel knows; the C library's type has room for more.
fn get_mask(set: &libc::sigset_t) -> u64 {
    // SAFETY: a set is larger than 64 bits, any of which may be set, and aligned for a word.
    unsafe { core::ptr::from_ref(set).cast::<u64>().read() }
}

fn set_mask(set: &mut libc::sigset_t, mask: u64) {
    // SAFETY: as above.
    unsafe { core::ptr::from_mut(set).cast::<u64>().write(mask) };
}

const fn bit_of(signal: c_int) -> u64 {
    1 << (signal - 1)
}

/// What the kernel's number for a fault beyond the end of a file is; also of one that the disk or its space failed.
const BUS_ADRERR: c_int = 2;

/// The handler of a layer.
extern "C" fn handle<const LAYER: usize>(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: each thread has its errno.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let kept = unsafe { errno.read() };
    // SAFETY: the kernel, or a handler that passes it on, gives the signal's information.
    let (code, address) = unsafe { ((*info).si_code, (*info).si_addr().addr()) };
    let survived = ENABLED.load(Acquire) > 0
        && code == BUS_ADRERR
        && registry::find(address).is_some_and(|storage| {
            // SAFETY: the storage exists, since somebody is using its memory.
            unsafe { (*storage).lose(address) }
        });
    if !survived {
        // SAFETY: these are what this handler was given.
        unsafe { pass_on(&FORMER[LAYER], signal, info, context) };
    }
    // SAFETY: as above.
    unsafe { errno.write(kept) };
}

/// Does what would have been done without this layer.
///
/// # Safety
/// The arguments must be those of a handler for SIGBUS with `SA_SIGINFO`.
unsafe fn pass_on(former: &Former, signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let flags = former.flags.load(Relaxed);
    let handler = if flags & libc::SA_RESETHAND == 0 {
        former.handler.load(Acquire)
    } else {
        // Good for one signal.
        former.handler.swap(libc::SIG_DFL, AcqRel)
    };
    // SAFETY: the caller promises the information.
    let sent = unsafe { (*info).si_code } <= 0;
    match handler {
        libc::SIG_IGN if sent => return,
        // The kernel doesn't let a fault be ignored either.
        libc::SIG_DFL | libc::SIG_IGN => return die(signal, sent),
        _ => {}
    }
    let mut mask = former.mask.load(Relaxed);
    if flags & libc::SA_NODEFER == 0 {
        mask |= bit_of(signal);
    }
    if !context.is_null() {
        // SAFETY: the third argument is the context, which holds the mask that the thread had.
        mask |= get_mask(unsafe { &(*context.cast::<libc::ucontext_t>()).uc_sigmask });
    }
    // SAFETY: the kernel reads so many bytes of the mask. The thread gets its own back when the outermost handler
    // returns.
    unsafe {
        let none = core::ptr::null_mut::<u64>();
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask, none, size_of::<u64>());
    }
    // SAFETY: who installed the handler has said by the flags which of both forms it has.
    unsafe {
        if flags & libc::SA_SIGINFO != 0 {
            core::mem::transmute::<usize, Handler>(handler)(signal, info, context);
        } else {
            core::mem::transmute::<usize, extern "C" fn(c_int)>(handler)(signal);
        }
    }
}

/// Ends the process by the signal, as if nobody handled it.
fn die(signal: c_int, sent: bool) {
    let default = empty_action();
    // SAFETY: the default action needs nothing. A fault happens again when the handler returns, so that a core dump
    // shows it as it was; a signal that was sent is sent to this thread once more, and comes then.
    unsafe {
        libc::sigaction(signal, &raw const default, core::ptr::null_mut());
        if sent {
            libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::syscall(libc::SYS_gettid), signal);
        }
    }
}

impl Storage {
    /// Puts zeros in the place of what is gone, after a fault at an address in the mapping, and marks the handle.
    /// `false` if that can't be done. For the signal handler.
    fn lose(&self, address: usize) -> bool {
        let Some(file) = &self.file else { return false };
        // First, so that whoever sees a zero can know.
        self.mark_truncated();
        let page = PAGE.load(Relaxed);
        let up = |bytes: usize| bytes.wrapping_add(page).wrapping_sub(1) & !page.wrapping_sub(1);
        let base = file.mapping.reservation.base().addr();
        let limit = base.wrapping_add(up(file.mapping.reservation.bytes() as usize));
        let first = address & !page.wrapping_sub(1);
        let next = first.wrapping_add(page);
        let replace = |start, stop| self.replace(file, start, stop);
        let end = end_of_file(file).map(|size| base.wrapping_add(up(size)));
        if let Some(end) = end.filter(|end| *end <= first) {
            // All that is gone, in one go: page by page would take a signal, and a mapping, for each. As far as
            // anybody could know of elements; and if someone goes further, twice as far, for the same reason. Not
            // the whole reservation, which could be more memory than may be promised, or locked.
            let known = self.layout.offset as usize;
            let known = known.wrapping_add(self.known_elements().wrapping_mul(self.layout.itemsize));
            let twice = next.wrapping_sub(end).wrapping_mul(2).wrapping_add(end);
            let stop = base.wrapping_add(up(known)).max(twice).min(limit);
            if replace(end, stop) {
                return true;
            }
        }
        // The file still has the page, or has it again: the disk can't read it, or has no space to write it. The
        // rest may be good. Where the process can't have another mapping, all of this one must go.
        replace(first, next) || replace(base, limit)
    }

    /// How many elements the handle knows of, as far as the handler can tell: no length is too large for it.
    fn known_elements(&self) -> usize {
        let most = (isize::MAX as usize) / 2;
        self.capacity().min(most.checked_div(self.layout.itemsize).unwrap_or(0))
    }

    /// Puts memory of zeros in the place of a range of pages.
    fn replace(&self, file: &File, start: usize, stop: usize) -> bool {
        let protection = libc::PROT_READ | if self.can_write() { libc::PROT_WRITE } else { 0 };
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED;
        // A system call wants whole registers.
        let (protection, flags) = (i64::from(protection), i64::from(flags));
        let at = file.mapping.reservation.base().with_addr(start).cast::<c_void>();
        // Not the C library's function, which tools replace by some that aren't for signal handlers.
        // SAFETY: the range lies in the mapping, which is this handle's.
        let result = unsafe {
            libc::syscall(libc::SYS_mmap, at, stop.wrapping_sub(start), protection, flags, -1i64, 0i64)
        };
        result != -1
    }
}

/// The size of a file, asked in a way that a signal handler may.
fn end_of_file(file: &File) -> Option<usize> {
    let mut stat = core::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: fstat fills the structure that it is given, which is the kernel's own on 64-bit systems and may be zero.
    unsafe {
        match libc::syscall(libc::SYS_fstat, i64::from(file.mapping.fd()), stat.as_mut_ptr()) {
            0 => Some(stat.assume_init_ref().st_size as usize),
            _ => None,
        }
    }
}
