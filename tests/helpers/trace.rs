//! A child process that stops before and after each of its system calls.

use libc::pid_t;

/// What the system says of a stop. Declared here, since the libc crate has it for some C libraries only.
#[repr(C)]
struct Info {
    op: u8,
    arch: u32,
    instruction_pointer: u64,
    stack_pointer: u64,
    /// At an entry.
    call: u64,
    arguments: [u64; 6],
    /// What other stops may fill.
    more: [u64; 2],
}

const GET_SYSCALL_INFO: libc::c_int = 0x420e;
const ENTRY: u8 = 1;

/// Where the child has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    Entry { call: libc::c_long, arguments: [u64; 6] },
    Exit,
}

/// A forked child under `ptrace`, which doesn't outlive the value. It must be used by the thread that made it.
pub struct Traced {
    child: pid_t,
    has_ended: bool,
}

impl Traced {
    /// Runs `body` in the child, up to its first system call.
    pub fn start(body: impl FnOnce()) -> Traced {
        Traced::start_at_pause(|| {
            pause_to_be_traced();
            body();
        })
    }

    /// Runs `body` in the child up to where it calls [`pause_to_be_traced`]; until then it isn't traced.
    pub fn start_at_pause(body: impl FnOnce()) -> Traced {
        // SAFETY: the child runs the body, and ends by _exit.
        let child = unsafe { libc::fork() };
        assert!(child >= 0, "{}", std::io::Error::last_os_error());
        if child == 0 {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
            // SAFETY: ends the child without running the destructors that are the parent's.
            unsafe { libc::_exit(result.is_err().into()) };
        }
        let mut traced = Traced { child, has_ended: false };
        let status = traced.wait();
        assert!(
            libc::WIFSTOPPED(status) && libc::WSTOPSIG(status) == libc::SIGSTOP,
            "a child doesn't come to be traced: {status:#x}"
        );
        let options = libc::PTRACE_O_EXITKILL | libc::PTRACE_O_TRACESYSGOOD;
        // SAFETY: no memory is passed.
        let result = unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, child, 0, options) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
        traced
    }

    pub fn id(&self) -> pid_t {
        self.child
    }

    /// Whether the child has come to its end by itself.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    fn wait(&mut self) -> i32 {
        let mut status = 0;
        // SAFETY: waits for the child, and stores its status.
        let child = unsafe { libc::waitpid(self.child, &raw mut status, 0) };
        assert_eq!(child, self.child, "{}", std::io::Error::last_os_error());
        status
    }

    /// Lets the child run to its next stop; `None` if it has ended, which must be well.
    pub fn next_stop(&mut self) -> Option<Stop> {
        if self.has_ended {
            return None;
        }
        // SAFETY: no memory is passed.
        let result = unsafe { libc::ptrace(libc::PTRACE_SYSCALL, self.child, 0, 0) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
        let status = self.wait();
        if !libc::WIFSTOPPED(status) {
            self.has_ended = true;
            assert_eq!(status, 0, "a traced child ended badly");
            return None;
        }
        let signal = libc::WSTOPSIG(status);
        assert_eq!(signal, libc::SIGTRAP | 0x80, "a traced child got signal {signal}");
        let mut info = std::mem::MaybeUninit::<Info>::zeroed();
        let size = size_of::<Info>();
        // SAFETY: the system fills up to so many bytes; all fields may be zero.
        let info = unsafe {
            let filled = libc::ptrace(GET_SYSCALL_INFO as _, self.child, size, info.as_mut_ptr());
            assert!(filled > 0, "{}", std::io::Error::last_os_error());
            info.assume_init()
        };
        if info.op != ENTRY {
            return Some(Stop::Exit);
        }
        Some(Stop::Entry { call: info.call as libc::c_long, arguments: info.arguments })
    }

    /// At an entry: the call isn't made. What it seems to have returned is to be set at the exit.
    pub fn skip_call(&self) {
        self.change_registers(|registers| registers.set_call(-1));
        #[cfg(target_arch = "aarch64")]
        {
            // There the number of the call is not among the registers.
            const NT_ARM_SYSTEM_CALL: libc::c_long = 0x404;
            let mut none = -1i32;
            let mut part = libc::iovec { iov_base: (&raw mut none).cast(), iov_len: size_of::<i32>() };
            // SAFETY: the structure names a number that is there to be read.
            let result = unsafe {
                libc::ptrace(libc::PTRACE_SETREGSET, self.child, NT_ARM_SYSTEM_CALL, &raw mut part)
            };
            assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
        }
    }

    /// At an entry: the third argument, which is the count of a read or a write.
    pub fn set_count(&self, count: u64) {
        self.change_registers(|registers| registers.set_third(count));
    }

    /// At an exit: what the call has returned, an error as its negative number.
    pub fn set_result(&self, result: i64) {
        self.change_registers(|registers| registers.set_result(result));
    }

    fn change_registers(&self, change: impl FnOnce(&mut libc::user_regs_struct)) {
        const NT_PRSTATUS: libc::c_long = 1;
        let mut registers = std::mem::MaybeUninit::<libc::user_regs_struct>::zeroed();
        let mut part = libc::iovec {
            iov_base: registers.as_mut_ptr().cast(),
            iov_len: size_of::<libc::user_regs_struct>(),
        };
        // SAFETY: the structure names the registers, which are there to be filled and then read; they may be zero.
        unsafe {
            let request = libc::PTRACE_GETREGSET;
            assert_eq!(libc::ptrace(request, self.child, NT_PRSTATUS, &raw mut part), 0);
            change(registers.assume_init_mut());
            let request = libc::PTRACE_SETREGSET;
            assert_eq!(libc::ptrace(request, self.child, NT_PRSTATUS, &raw mut part), 0);
        }
    }

    /// Lets the child run on untraced, and returns how it ends.
    pub fn let_go(mut self) -> i32 {
        if self.has_ended {
            return 0;
        }
        // SAFETY: no memory is passed.
        let result = unsafe { libc::ptrace(libc::PTRACE_DETACH, self.child, 0, 0) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
        let status = self.wait();
        self.has_ended = true;
        status
    }
}

/// Where the processor keeps what a system call is made of.
trait Registers {
    fn set_call(&mut self, call: i64);
    fn set_third(&mut self, value: u64);
    fn set_result(&mut self, value: i64);
}

#[cfg(target_arch = "x86_64")]
impl Registers for libc::user_regs_struct {
    fn set_call(&mut self, call: i64) {
        self.orig_rax = call as u64;
    }

    fn set_third(&mut self, value: u64) {
        self.rdx = value;
    }

    fn set_result(&mut self, value: i64) {
        self.rax = value as u64;
    }
}

#[cfg(target_arch = "aarch64")]
impl Registers for libc::user_regs_struct {
    fn set_call(&mut self, call: i64) {
        self.regs[8] = call as u64;
    }

    fn set_third(&mut self, value: u64) {
        self.regs[2] = value;
    }

    fn set_result(&mut self, value: i64) {
        self.regs[0] = value as u64;
    }
}

/// In the child: waits for the parent to go on, stop by stop.
pub fn pause_to_be_traced() {
    // SAFETY: no memory is passed; the parent is there to trace and to go on.
    unsafe {
        assert_eq!(libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0), 0);
        libc::raise(libc::SIGSTOP);
    }
}

/// The call by which a traced child says that it has come to the beginning or the end of what is looked at, and its
/// argument.
const MARK: (libc::c_long, u64) = (libc::SYS_getpgid, 0x7fff_fff1);

/// In the child: says that it has come to the beginning or the end of what is looked at.
pub fn mark() {
    // SAFETY: asks for the group of a process that can't be.
    unsafe { libc::syscall(MARK.0, MARK.1) };
}

impl Stop {
    /// Whether it is [`mark`] that is being called.
    pub fn is_mark(&self) -> bool {
        matches!(self, Stop::Entry { call, arguments } if (*call, arguments[0]) == MARK)
    }
}

impl Traced {
    /// Lets the child run up to a [`mark`], and past it. Panics if it ends before.
    pub fn run_to_mark(&mut self) {
        while !self.next_stop().expect("the child comes to its mark").is_mark() {}
        assert_eq!(self.next_stop(), Some(Stop::Exit));
    }

    /// Kills it where it is.
    pub fn kill(&mut self) {
        self.end_now();
    }

    fn end_now(&mut self) {
        if !self.has_ended {
            self.has_ended = true;
            // SAFETY: the child isn't waited for yet, so the number is its.
            unsafe { libc::kill(self.child, libc::SIGKILL) };
            self.wait();
        }
    }

    /// Lets the child run for one instruction, or one system call; `false` if it has ended, which must be well.
    pub fn step(&mut self) -> bool {
        if self.has_ended {
            return false;
        }
        // SAFETY: no memory is passed.
        let result = unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, self.child, 0, 0) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
        let status = self.wait();
        if !libc::WIFSTOPPED(status) {
            self.has_ended = true;
            assert_eq!(status, 0, "a traced child ended badly");
            return false;
        }
        assert_eq!(libc::WSTOPSIG(status), libc::SIGTRAP, "a traced child got a signal");
        true
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        self.end_now();
    }
}
