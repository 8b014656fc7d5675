//! Runs kinds of faults, each in a process of its own, and prints the table.

use std::collections::VecDeque;
use std::fmt::Display;
use std::io::{PipeReader, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use crate::helpers::skipped;

/// How much is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Some seconds for each kind of fault.
    Quick,
    /// About five minutes in all, on a machine with two cores.
    Ci,
    /// As long as it takes.
    Full,
}

/// A kind of fault: a row of the table.
pub struct Fault {
    /// In a few words; the first of them is what `MBA_SKIP` names.
    pub name: &'static str,
    /// What the library does then.
    pub answer: &'static str,
    /// Tries it.
    pub cases: fn(&mut Cases),
}

/// The cases of one kind of fault.
pub struct Cases {
    scale: Scale,
    run: u64,
    failures: Vec<String>,
}

impl Cases {
    /// How many, or how long, at this scale.
    pub fn scale<T>(&self, quick: T, ci: T, full: T) -> T {
        match self.scale {
            Scale::Quick => quick,
            Scale::Ci => ci,
            Scale::Full => full,
        }
    }

    /// A case in this process: all is well if the body doesn't panic.
    pub fn case(&mut self, label: impl Display, body: impl FnOnce()) {
        let outcome = catch_unwind(AssertUnwindSafe(body)).map_err(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
        });
        self.count(label, outcome.err());
    }

    /// Many cases that were counted elsewhere, such as rounds in other processes, with what went wrong in them.
    pub fn add(&mut self, run: u64, failures: impl IntoIterator<Item = String>) {
        self.run += run;
        self.failures.extend(failures);
    }

    /// A case in a forked child: all is well if the body doesn't panic there, and the child ends by itself.
    pub fn child(&mut self, label: impl Display, body: impl FnOnce()) {
        let (status, text) = in_child(body);
        let failure = (status != 0).then(|| format!("{}: {}", ending(status), text.trim_end()));
        self.count(label, failure);
    }

    /// Many cases in forked children that mostly wait, so many of them at a time.
    pub fn children(&mut self, cases: impl IntoIterator<Item = (String, Box<dyn FnOnce()>)>) {
        const AT_A_TIME: usize = 24;
        let mut running = VecDeque::new();
        for (label, body) in cases {
            if running.len() == AT_A_TIME {
                let (label, child) = running.pop_front().expect("a child");
                self.join(label, child);
            }
            running.push_back((label, start_child(body)));
        }
        for (label, child) in running {
            self.join(label, child);
        }
    }

    fn join(&mut self, label: String, child: (libc::pid_t, PipeReader)) {
        let (status, text) = join_child(child);
        let failure = (status != 0).then(|| format!("{}: {}", ending(status), text.trim_end()));
        self.count(label, failure);
    }

    fn count(&mut self, label: impl Display, failure: Option<String>) {
        self.run += 1;
        self.failures.extend(failure.map(|text| format!("{label}: {text}")));
    }
}

/// How a process ended, for people.
pub fn ending(status: i32) -> String {
    if libc::WIFSIGNALED(status) {
        // SAFETY: the description is a static string, or made in memory that nobody else uses in this thread.
        let name = unsafe { std::ffi::CStr::from_ptr(libc::strsignal(libc::WTERMSIG(status))) };
        format!("killed by signal {} ({})", libc::WTERMSIG(status), name.to_string_lossy())
    } else {
        format!("exit status {}", libc::WEXITSTATUS(status))
    }
}

/// Runs a body in a forked child, whose status and standard error it returns. A panic is exit status 101.
pub fn in_child(body: impl FnOnce()) -> (i32, String) {
    join_child(start_child(body))
}

fn start_child(body: impl FnOnce()) -> (libc::pid_t, PipeReader) {
    let (reader, writer) = std::io::pipe().unwrap();
    // SAFETY: the process has one thread; the child runs the body and ends by _exit.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "{}", std::io::Error::last_os_error());
    if child == 0 {
        drop(reader);
        // SAFETY: both are descriptors of this process.
        unsafe { libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&writer), 2) };
        drop(writer);
        let result = catch_unwind(AssertUnwindSafe(body));
        // SAFETY: ends the child without running the destructors that are the parent's.
        unsafe { libc::_exit(if result.is_err() { 101 } else { 0 }) };
    }
    (child, reader)
}

fn join_child((child, mut reader): (libc::pid_t, PipeReader)) -> (i32, String) {
    let mut text = Vec::new();
    reader.read_to_end(&mut text).unwrap();
    let mut status = 0;
    // SAFETY: waits for the child, and stores its status.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    (status, String::from_utf8_lossy(&text).into_owned())
}

/// A forked child that runs a body beside what the parent does, and is killed if the value goes first.
pub struct Forked(libc::pid_t);

impl Forked {
    pub fn start(body: impl FnOnce()) -> Forked {
        // SAFETY: the process has one thread; the child runs the body and ends by _exit.
        let child = unsafe { libc::fork() };
        assert!(child >= 0, "{}", std::io::Error::last_os_error());
        if child == 0 {
            // SAFETY: no memory is passed. The child must not outlive its parent.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            let result = catch_unwind(AssertUnwindSafe(body));
            // SAFETY: ends the child without running the destructors that are the parent's.
            unsafe { libc::_exit(if result.is_err() { 101 } else { 0 }) };
        }
        Forked(child)
    }

    pub fn id(&self) -> libc::pid_t {
        self.0
    }

    pub fn has_ended(&self) -> bool {
        let how = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
        // SAFETY: the structure may be zero, stays so if the child hasn't ended, and is filled else.
        unsafe {
            assert_eq!(libc::waitid(libc::P_PID, self.0 as libc::id_t, info.as_mut_ptr(), how), 0);
            info.assume_init().si_pid() != 0
        }
    }

    /// Waits for the end, which must be a good one.
    pub fn end_well(self) {
        let child = std::mem::ManuallyDrop::new(self);
        let mut status = 0;
        // SAFETY: waits for the child, and stores its status.
        assert_eq!(unsafe { libc::waitpid(child.0, &raw mut status, 0) }, child.0);
        assert_eq!(status, 0, "{}", ending(status));
    }

    /// Stops it where it is, and comes back when it has stopped.
    pub fn stop(&self) {
        let mut status = 0;
        // SAFETY: the child isn't waited for yet, so the number is its; its status is stored.
        unsafe {
            assert_eq!(libc::kill(self.0, libc::SIGSTOP), 0);
            assert_eq!(libc::waitpid(self.0, &raw mut status, libc::WUNTRACED), self.0);
        }
        assert!(libc::WIFSTOPPED(status), "{}", ending(status));
    }
}

impl Drop for Forked {
    fn drop(&mut self) {
        // SAFETY: the child isn't waited for yet, so the number is its.
        unsafe {
            libc::kill(self.0, libc::SIGKILL);
            libc::waitpid(self.0, std::ptr::null_mut(), 0);
        }
    }
}

/// Runs what the command line asks for.
pub fn run(rooms: &[&[Fault]]) -> ExitCode {
    let scale = match std::env::var("MBA_FAULTS").as_deref() {
        Err(_) | Ok("" | "quick") => Scale::Quick,
        Ok("ci") => Scale::Ci,
        Ok("full") => Scale::Full,
        Ok(other) => panic!("MBA_FAULTS must be quick, ci or full, not {other}"),
    };
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let chosen =
        |fault: &&Fault| words.is_empty() || words.iter().any(|word| fault.name.contains(word.as_str()));
    let all = || rooms.iter().flat_map(|room| room.iter());
    let faults: Vec<&Fault> = all().filter(chosen).collect();
    // Who asks for a kind that there isn't must not believe that it was tried.
    let unknown = words.iter().filter(|word| !all().any(|fault| fault.name.contains(word.as_str())));
    let unknown: Vec<&str> = unknown.map(String::as_str).collect();
    if !unknown.is_empty() {
        eprintln!("no kind of fault has this in its name: {}", unknown.join(", "));
        return ExitCode::FAILURE;
    }
    if std::env::args().any(|word| word == "--list") {
        faults.iter().for_each(|fault| println!("{}: test", fault.name));
        return ExitCode::SUCCESS;
    }
    println!("{:<44} {:>9} {:>9} {:>8}   then", "fault", "cases", "survived", "seconds");
    let mut passed = 0;
    let mut failed = 0;
    for fault in faults {
        if skipped(fault.name.split(' ').next().unwrap_or_default()) {
            continue;
        }
        let start = Instant::now();
        let cases = apart(fault, scale);
        let survived = cases.run - (cases.failures.len() as u64).min(cases.run);
        let seconds = start.elapsed().as_secs_f64();
        println!("{:<44} {:>9} {survived:>9} {seconds:>8.1}   {}", fault.name, cases.run, fault.answer);
        for failure in cases.failures.iter().take(20) {
            println!("    FAILED: {}", failure.replace('\n', "\n    "));
        }
        if cases.failures.is_empty() && cases.run > 0 {
            passed += 1;
        } else {
            failed += 1;
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Tries one kind of fault in a child, so that what it does to its process stays there.
fn apart(fault: &Fault, scale: Scale) -> Cases {
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    std::io::stdout().flush().unwrap();
    // SAFETY: the process has one thread; the child tries the fault and ends by _exit.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "{}", std::io::Error::last_os_error());
    if child == 0 {
        drop(reader);
        let mut cases = Cases { scale, run: 0, failures: Vec::new() };
        let outcome = catch_unwind(AssertUnwindSafe(|| (fault.cases)(&mut cases)));
        if outcome.is_err() {
            cases.count("the campaign itself", Some("a panic, said above".to_owned()));
        }
        let text: String = cases.failures.iter().map(|failure| format!("{failure}\0")).collect();
        let done = writer.write_all(format!("{}\0{text}", cases.run).as_bytes()).is_ok();
        // SAFETY: ends the child without running the destructors that are the parent's.
        unsafe { libc::_exit(i32::from(!done)) };
    }
    drop(writer);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    let mut status = 0;
    // SAFETY: waits for the child, and stores its status.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    let mut parts = text.split_terminator('\0');
    let run = parts.next().and_then(|number| number.parse().ok()).unwrap_or(0);
    let mut cases = Cases { scale, run, failures: parts.map(str::to_owned).collect() };
    if status != 0 {
        cases.count("the campaign itself", Some(ending(status)));
    }
    cases
}
