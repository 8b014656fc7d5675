//! Power: what was flushed is there after the power has gone.
//!
//! A file system that is shut down keeps what it has written to its device, and no more: that is a disk which writes
//! everything at once. To be a disk that loses what is still in its own memory, the device is an image on another file
//! system, and it is this one that is shut down: it keeps what the device was told to flush.

use std::path::Path;
use std::sync::atomic::Ordering::{Acquire, Release, SeqCst};
use std::time::Duration;

use mmap_backed_array::{MmapArray, OpenOptions};

use crate::campaign::{Cases, Fault};
use crate::filesystem::{Kind, Mounted};
use crate::helpers::space::{Small, number};
use crate::helpers::{Numbers, Place, Words, footer, writable};

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "power-file-system shut down",
        answer: "all up to the last flush is there",
        cases: file_system_shut_down,
    },
    Fault {
        name: "power-device loses its cache",
        answer: "all up to the last flush is there",
        cases: device_loses_cache,
    },
];

/// What the writer tells: how often it has flushed, and the shortest that the array was since the last time.
const FLUSHES: usize = 0;
const FLOOR: usize = 1;
/// The longest that it ever was, and how many changes there were.
const HIGH: usize = 2;
const CHANGES: usize = 3;
/// Whether the power is being cut.
const CUT: usize = 4;
/// The last changes: the number of each in [`write`], and the length afterwards.
const LAST: usize = 5;
const KEPT: usize = 24;

/// The array is made shorter again at about so many elements.
const LARGE: usize = 200_000;

/// The writer: changes an array and flushes it now and then, until all fails or it is killed.
fn write(path: &Path, words: &Words, seed: u64, exact: bool) -> mmap_backed_array::Result<()> {
    let mut numbers = Numbers(seed);
    let mut options = OpenOptions::new();
    options.write(true).create(true).exact(exact);
    let mut array = MmapArray::<u64>::open_with(path, &options)?;
    let shorten = |len: usize| {
        let floor = words[FLOOR].load(Acquire);
        words[FLOOR].store(floor.min(len as u64), Release);
    };
    loop {
        let len = array.len();
        let most = if numbers.below(4) == 0 { 20_000 } else { 600 };
        let count = numbers.below(most) as usize;
        let change = numbers.below(18);
        match change {
            0..3 => {
                array.flush()?;
                // One that ends while a file system is being shut down may succeed all the same, as none does that
                // loses its power.
                if words[CUT].load(SeqCst) == 0 {
                    words[FLOOR].store(len as u64, Release);
                    words[FLUSHES].fetch_add(1, Release);
                }
            }
            3..8 => {
                let many = if exact { count.min(50) } else { count };
                for at in len..len + many {
                    array.push(number(at))?;
                }
            }
            8..11 => array.extend_from_slice(&(len..len + count).map(number).collect::<Vec<_>>())?,
            11 if !exact => {
                array.reserve(len + count)?;
                for at in len..len + count {
                    // SAFETY: this handle has the lock, and room for so many elements behind its length.
                    unsafe { array.as_ptr().add(at).write(number(at)) };
                }
                array.commit(len + count)?;
            }
            12..14 => {
                let many = count.min(len).min(50);
                shorten(len - many);
                for _ in 0..many {
                    array.pop()?;
                }
            }
            14 => {
                let many = count.min(len);
                shorten(len - many);
                array.resize(len - many)?;
            }
            15 => {
                array.close()?;
                array = MmapArray::open_with(path, &options)?;
            }
            16 => array.shrink_to_fit()?,
            _ => array.unlock()?,
        }
        if array.len() > LARGE {
            let len = numbers.below(LARGE as u64) as usize;
            shorten(len);
            array.resize(len)?;
        }
        words[HIGH].fetch_max(array.len() as u64, Release);
        let done = words[CHANGES].load(Acquire);
        words[LAST + done as usize % KEPT].store(change << 32 | array.len() as u64, Release);
        words[CHANGES].store(done + 1, Release);
    }
}

/// A forked writer, which doesn't outlive the value.
struct Writer(libc::pid_t);

impl Writer {
    fn start(body: impl FnOnce()) -> Writer {
        // SAFETY: the process has one thread; the child runs the body and ends by _exit.
        let child = unsafe { libc::fork() };
        assert!(child >= 0, "{}", std::io::Error::last_os_error());
        if child == 0 {
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
            // SAFETY: ends the child without running the destructors that are the parent's.
            unsafe { libc::_exit(0) };
        }
        Writer(child)
    }

    fn has_ended(&self) -> bool {
        // SAFETY: asks about a child that isn't waited for, and leaves it so.
        unsafe {
            let mut info = std::mem::zeroed::<libc::siginfo_t>();
            let how = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
            libc::waitid(libc::P_PID, self.0 as u32, &raw mut info, how) == 0 && info.si_pid() == self.0
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // SAFETY: the child isn't waited for yet, so the number is its.
        unsafe {
            libc::kill(self.0, libc::SIGKILL);
            libc::waitpid(self.0, std::ptr::null_mut(), 0);
        }
    }
}

/// Lets a writer flush some times and a little longer, then cuts the power.
fn interrupted(path: &Path, cut: impl FnOnce()) -> Words {
    let memory = Place::Memory.directory();
    let words = Words::create(&memory.path().join("words"), LAST + KEPT);
    let mut moment = Numbers::any();
    let (seed, exact) = (moment.next(), moment.below(4) == 0);
    let writer = Writer::start(|| _ = write(path, &words, seed, exact));
    let flushes = moment.below(12);
    while words[FLUSHES].load(Acquire) < flushes && !writer.has_ended() {
        std::thread::yield_now();
    }
    assert!(!writer.has_ended(), "the writer, seed {seed}, exact: {exact}, ended by itself");
    // The moment is what is random here.
    std::thread::sleep(Duration::from_micros(moment.below(20_000)));
    words[CUT].store(1, SeqCst);
    cut();
    drop(writer);
    words
}

/// What must be there when the power is back.
fn check(path: &Path, words: &Words) {
    let [flushes, floor, high, changes] =
        [FLUSHES, FLOOR, HIGH, CHANGES].map(|at| words[at].load(Acquire) as usize);
    let last: Vec<_> = (changes.saturating_sub(KEPT)..changes)
        .map(|at| words[LAST + at % KEPT].load(Acquire))
        .map(|word| (word >> 32, word & 0xffff_ffff))
        .collect();
    let story = format!(
        "{flushes} flushes, {floor} elements since, never more than {high}, {changes} changes, last {last:?}, {} bytes",
        std::fs::metadata(path).map_or(0, |file| file.len())
    );
    if !path.exists() {
        assert_eq!(flushes, 0, "{story}: the file is gone");
        return;
    }
    let array = MmapArray::<u64>::open(path).unwrap_or_else(|error| panic!("{story}: {error}"));
    let len = array.len();
    assert!(len >= floor, "{story}: {len} elements");
    let wrong = (0..floor).find(|at| array.get(*at) != Some(number(*at)));
    assert_eq!(wrong, None, "{story}: an element that was flushed is another");
    // Elements that were appended over a footer needn't be on the disk where it was, or all of them: the rest of it
    // is there still.
    let footer = |at: usize| at % (footer::PAGE / 8) >= (footer::PAGE - footer::SIZE) / 8;
    let odd =
        |at: &usize| array.get(*at).is_none_or(|found| found != number(*at) && found != 0) && !footer(*at);
    let excess = (floor..len).find(odd);
    assert_eq!(excess, None, "{story}: an element of {len} behind them is neither what was stored nor 0");
    drop(array);
    let mut next = MmapArray::<u64>::open_with(path, &writable()).unwrap();
    next.push(7).unwrap_or_else(|error| panic!("{story}: the next grower: {error}"));
    next.close().unwrap();
    assert_eq!(std::fs::metadata(path).unwrap().len() as usize, (len + 1) * 8, "{story}");
}

/// One round on a file system, whose way to lose power and come back is given.
fn round(cases: &mut Cases, label: &str, mounted: &Mounted, cut: impl FnOnce(), back: impl FnOnce()) {
    let path = mounted.path().join("array");
    let words = interrupted(&path, cut);
    back();
    cases.case(label, || check(&path, &words));
    let _ = std::fs::remove_file(&path);
}

fn file_system_shut_down(cases: &mut Cases) {
    let rounds = cases.scale(8, 150, 2000);
    for kind in [Kind::Ext4, Kind::Xfs] {
        let Some(mounted) = kind.mount(64) else { continue };
        for at in 0..rounds {
            let back = || {
                mounted.unmount();
                mounted.mount();
            };
            round(cases, &format!("{}, round {at}", kind.name()), &mounted, || mounted.shut_down(), back);
        }
    }
}

fn device_loses_cache(cases: &mut Cases) {
    let rounds = cases.scale(4, 80, 1000);
    let Some(host) = Kind::Xfs.mount(2048) else { return };
    for kind in [Kind::Ext4, Kind::Xfs, Kind::Btrfs] {
        let Some(mounted) = kind.mount_in(Some(host.path()), 64) else { continue };
        Small { directory: host.path().to_path_buf() }.sync();
        for at in 0..rounds {
            let back = || {
                mounted.unmount();
                host.unmount();
                host.mount();
                mounted.mount();
            };
            round(cases, &format!("{}, round {at}", kind.name()), &mounted, || host.shut_down(), back);
        }
        mounted.unmount();
        std::fs::remove_file(host.path().join("image")).unwrap();
    }
}
