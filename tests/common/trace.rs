//! A child process that stops before and after each of its system calls.

use libc::{pid_t, ptrace_syscall_info};

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
        // SAFETY: the child runs the body, and ends by _exit.
        let child = unsafe { libc::fork() };
        assert!(child >= 0, "{}", std::io::Error::last_os_error());
        if child == 0 {
            let body = || {
                // SAFETY: no memory is passed; the parent is there to trace and to go on.
                unsafe {
                    assert_eq!(libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0), 0);
                    libc::raise(libc::SIGSTOP);
                }
                body();
            };
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
            // SAFETY: ends the child without running the destructors that are the parent's.
            unsafe { libc::_exit(result.is_err().into()) };
        }
        let mut traced = Traced { child, has_ended: false };
        let status = traced.wait();
        assert!(
            libc::WIFSTOPPED(status) && libc::WSTOPSIG(status) == libc::SIGSTOP,
            "a child can't be traced: {status:#x}"
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
        assert_eq!(libc::WSTOPSIG(status), libc::SIGTRAP | 0x80, "a traced child got a signal");
        let mut info = std::mem::MaybeUninit::<ptrace_syscall_info>::zeroed();
        let size = size_of::<ptrace_syscall_info>();
        // SAFETY: the system fills up to so many bytes; all fields may be zero.
        let info = unsafe {
            let request = libc::PTRACE_GET_SYSCALL_INFO;
            let filled = libc::ptrace(request, self.child, size, info.as_mut_ptr());
            assert!(filled > 0, "{}", std::io::Error::last_os_error());
            info.assume_init()
        };
        if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
            return Some(Stop::Exit);
        }
        // SAFETY: this is the field that is filled at an entry.
        let entry = unsafe { info.u.entry };
        Some(Stop::Entry { call: entry.nr as libc::c_long, arguments: entry.args })
    }
}

impl Traced {
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
        if !self.has_ended {
            // SAFETY: the child isn't waited for yet, so the number is its.
            unsafe { libc::kill(self.child, libc::SIGKILL) };
            self.wait();
        }
    }
}
