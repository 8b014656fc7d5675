//! Plays one case after the other, each in a process of its own, and makes one that fails short.

use std::cell::Cell;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::at_once::{self, NAMES, Scene};
use super::board::{Board, COUNTS};
use super::lead::{Lead, ending};
use super::steps::Case;
use super::talk::Channel;
use super::worker::PROCESSES;
use crate::helpers::{Numbers, Place};

/// How long a test goes on.
pub fn duration() -> Duration {
    if let Some(seconds) = number("MBA_HANDLES_SECONDS") {
        return Duration::from_secs(seconds);
    }
    match std::env::var("MBA_HANDLES").as_deref() {
        Err(_) | Ok("" | "quick") => Duration::from_secs(12),
        Ok("ci") => Duration::from_secs(100),
        Ok("full") => Duration::from_secs(2 * 3600),
        Ok(other) => panic!("MBA_HANDLES must be quick, ci or full, not {other}"),
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} must be a number, not {text}")))
}

/// Plays cases for as long as the scale says, or the one whose seed `MBA_HANDLES_SEED` names.
pub fn run(test: &str, play: impl Fn(&Stage, u64)) {
    let stage = Stage::new(test);
    if let Some(seed) = number("MBA_HANDLES_SEED") {
        return play(&stage, seed);
    }
    let duration = duration();
    let mut seeds = Numbers::any();
    let mut count = 0;
    while stage.start.elapsed() < duration {
        play(&stage, seeds.next() >> 16);
        count += 1;
    }
    eprintln!("{test}: {count} cases, {:.1} seconds", stage.start.elapsed().as_secs_f64());
    let counts = stage.counts.get();
    if counts.iter().any(|count| *count > 0) {
        let counts: Vec<String> =
            counts.iter().zip(NAMES).map(|(count, name)| format!("{count} {name}")).collect();
        eprintln!("{test}: {}", counts.join(", "));
    }
}

/// How long a case is made shorter.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Stage {
    test: String,
    board: Board,
    start: Instant,
    /// How often things have happened in scenes.
    counts: Cell<[u64; NAMES.len()]>,
}

/// What went wrong, and the story up to there.
struct Failure {
    message: String,
    story: String,
}

impl Stage {
    fn new(test: &str) -> Stage {
        // Orphans of cases are this process's to wait for.
        // SAFETY: no memory is passed.
        assert_eq!(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }, 0);
        Stage { test: test.to_owned(), board: Board::new(), start: Instant::now(), counts: Cell::default() }
    }

    /// A scene, in which processes act at once.
    pub fn try_scene(&self, seed: u64, scene: &Scene) {
        if let Some(failure) =
            self.apart(scene.place, |directory| at_once::play(self.board, directory, scene))
        {
            self.fail(seed, &failure);
        }
        let mut counts = self.counts.get();
        for (at, count) in counts.iter_mut().enumerate() {
            *count += self.board.word(COUNTS + at).load(Relaxed);
        }
        self.counts.set(counts);
    }

    /// A case, step by step.
    pub fn try_case(&self, seed: u64, case: &Case) {
        let Some(mut failure) = self.play(case) else { return };
        let seconds = self.start.elapsed().as_secs_f64();
        eprintln!("{}: seed {seed} fails after {seconds:.1} seconds: {}", self.test, failure.message);
        let mut shortest = case.clone();
        let start = Instant::now();
        let mut piece = (shortest.steps.len() / 2).max(1);
        'shorter: loop {
            let mut at = 0;
            let mut found = false;
            while at < shortest.steps.len() {
                if start.elapsed() > PATIENCE {
                    break 'shorter;
                }
                let mut shorter = shortest.clone();
                shorter.steps.drain(at..(at + piece).min(shorter.steps.len()));
                // What depends on the moment may need some tries.
                match (0..3).find_map(|_| self.play(&shorter)) {
                    Some(other) => {
                        (failure, shortest, found) = (other, shorter, true);
                    }
                    None => at += piece,
                }
            }
            match piece {
                1 if !found => break,
                1 => {}
                _ => piece /= 2,
            }
        }
        self.fail(seed, &failure);
    }

    fn fail(&self, seed: u64, failure: &Failure) -> ! {
        let Failure { message, story } = failure;
        let seconds = self.start.elapsed().as_secs_f64();
        let again = format!("MBA_HANDLES_SEED={seed} cargo test --test handles {}", self.test);
        panic!("seed {seed}, after {seconds:.1} seconds; again by {again}\n{story}{message}\n");
    }

    fn play(&self, case: &Case) -> Option<Failure> {
        self.apart(case.place, |directory| {
            let channels: Vec<Channel> = (0..PROCESSES).map(|_| Channel::new()).collect();
            Lead::new(self.board, &channels, directory, case).play(case)
        })
    }

    /// Plays in a process of its own, and ends whatever that leaves.
    fn apart(&self, place: Place, play: impl FnOnce(&Path) -> Result<(), String>) -> Option<Failure> {
        self.board.wipe();
        let directory = place.directory();
        // SAFETY: the process has one thread that does anything; the child plays and ends by _exit.
        let lead = unsafe { libc::fork() };
        assert!(lead >= 0, "{}", std::io::Error::last_os_error());
        if lead == 0 {
            self.lead(|| play(directory.path()));
        }
        // Whoever comes first.
        // SAFETY: the child isn't waited for yet, so the number is its.
        unsafe { libc::setpgid(lead, lead) };
        let status = wait(lead);
        // What is left of the case: the processes of its groups. Their numbers can't be others' while there are some, or
        // while nobody has waited for the last one.
        for group in self.board.groups().into_iter().chain([lead]) {
            let mut other = 0;
            // SAFETY: no memory is passed; and waits for children that have ended or were killed.
            unsafe {
                libc::kill(-group, libc::SIGKILL);
                while libc::waitpid(-group, &raw mut other, 0) > 0 {}
            }
        }
        if status == Some(0) {
            return None;
        }
        let message = self.board.complaint().unwrap_or_default();
        let how = status.map_or("doesn't end".to_owned(), ending);
        Some(Failure {
            message: format!("{message} (the process that plays {how})"),
            story: self.board.story(),
        })
    }

    fn lead(&self, play: impl FnOnce() -> Result<(), String>) -> ! {
        // SAFETY: no memory is passed.
        unsafe {
            libc::setpgid(0, 0);
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
            libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        }
        let board = self.board;
        std::panic::set_hook(Box::new(move |panic| {
            board.complain(&format!("process {}: {panic}", std::process::id()));
            // SAFETY: ends the process.
            unsafe { libc::_exit(101) };
        }));
        let result = play();
        if let Err(message) = &result {
            board.complain(message);
        }
        // SAFETY: ends the process without running destructors, which are the test's.
        unsafe { libc::_exit(i32::from(result.is_err())) }
    }
}

/// Waits for a child's end; `None` if that doesn't come in minutes.
fn wait(child: libc::pid_t) -> Option<i32> {
    // SAFETY: the child isn't waited for yet, so the number is its; the descriptor is new.
    let end = unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, child, 0) as i32;
        assert!(fd >= 0, "{}", std::io::Error::last_os_error());
        OwnedFd::from_raw_fd(fd)
    };
    let mut poll = libc::pollfd { fd: end.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one structure, which is there to be read and filled.
    if unsafe { libc::poll(&raw mut poll, 1, 120_000) } != 1 {
        return None;
    }
    let mut status = 0;
    // SAFETY: waits for the child, which has ended, and stores its status.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    Some(status)
}
