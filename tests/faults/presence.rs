//! Who else has the file open or locked: strangers that lock what they should not, file systems without locks, and a
//! crowd of readers.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::{Duration, Instant};

use mmap_backed_array::Type;
use mmap_backed_array::capi::*;

use crate::campaign::{Cases, Fault, Forked, in_child};
use crate::helpers::limits::raise_descriptor_limit;
use crate::helpers::raw::{Code, Raw};
use crate::helpers::{Numbers, Place, fail_locks};

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "strangers that lock the bytes of the library's locks",
        answer: "MBA_ELOCKED after a moment where a lock is in the way; nothing hangs",
        cases: strangers,
    },
    Fault {
        name: "lock-less file system",
        answer: "reading works; the first change of the length says its errno",
        cases: without_locks,
    },
    Fault {
        name: "readers by the thousand, beside a writer",
        answer: "all work, and the file is exact once they have gone",
        cases: crowd,
    },
];

fn uint64() -> Type {
    Type::from_code(MBA_UINT64).unwrap()
}

fn open(path: &Path, flags: u32) -> Code<Raw> {
    Raw::open(path, uint64(), flags)
}

fn bytes_of(elements: impl IntoIterator<Item = u64>) -> Vec<u8> {
    elements.into_iter().flat_map(u64::to_ne_bytes).collect()
}

const LEN: u64 = 100;

/// The bytes that the library locks, and what a stranger locks in the belief that nobody else locks this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bytes {
    Growth,
    Presence,
    Queue,
    Tidying,
    /// From the beginning to the end that a file may ever have.
    Whole,
}

const BYTES: [Bytes; 5] = [Bytes::Growth, Bytes::Presence, Bytes::Queue, Bytes::Tidying, Bytes::Whole];

impl Bytes {
    fn range(self) -> (i64, i64) {
        match self {
            Bytes::Growth => (i64::MAX - 1, 1),
            Bytes::Presence => (i64::MAX - 2, 1),
            Bytes::Queue => (i64::MAX - 3, 1),
            Bytes::Tidying => (i64::MAX - 4, 1),
            Bytes::Whole => (0, 0),
        }
    }
}

/// How a stranger locks.
#[derive(Clone, Copy, Debug)]
struct Lock {
    bytes: Bytes,
    /// For itself, or shared.
    excludes: bool,
    /// With the description, or with the process.
    by_description: bool,
    /// The process is stopped afterwards.
    is_stopped: bool,
}

impl Lock {
    fn all() -> Vec<Lock> {
        let mut all = Vec::new();
        for bytes in BYTES {
            for bits in 0..8 {
                all.push(Lock {
                    bytes,
                    excludes: bits & 1 != 0,
                    by_description: bits & 2 != 0,
                    is_stopped: bits & 4 != 0,
                });
            }
        }
        all
    }

    fn take(self, file: &File) -> bool {
        let (start, len) = self.bytes.range();
        let kind = if self.excludes { libc::F_WRLCK } else { libc::F_RDLCK };
        let lock = libc::flock {
            l_type: kind as i16,
            l_whence: libc::SEEK_SET as i16,
            l_start: start,
            l_len: len,
            l_pid: 0,
        };
        let command = if self.by_description { libc::F_OFD_SETLK } else { libc::F_SETLK };
        // SAFETY: the structure is read only.
        unsafe { libc::fcntl(file.as_raw_fd(), command, &raw const lock) == 0 }
    }

    /// Whether it is in the way of those who open.
    fn bars_opening(self) -> bool {
        self.excludes && matches!(self.bytes, Bytes::Presence | Bytes::Whole)
    }

    fn bars_growth(self) -> bool {
        matches!(self.bytes, Bytes::Growth | Bytes::Whole)
    }
}

/// A stranger that has the lock until it goes; `None` if it can't have it.
fn stranger(path: &Path, lock: Lock) -> Option<Forked> {
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    let stranger = Forked::start(|| {
        let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
        writer.write_all(&[lock.take(&file).into()]).unwrap();
        loop {
            std::thread::park();
        }
    });
    drop(writer);
    let mut has_lock = [0];
    reader.read_exact(&mut has_lock).unwrap();
    if has_lock == [0] {
        return None;
    }
    if lock.is_stopped {
        stranger.stop();
    }
    Some(stranger)
}

/// No call takes so long, whatever stands in its way.
const A_MOMENT: Duration = Duration::from_secs(5);

fn soon<T>(what: &str, call: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let answer = call();
    let took = start.elapsed();
    assert!(took < A_MOMENT, "{what} took {took:?}");
    answer
}

fn strangers(cases: &mut Cases) {
    let places: &[Place] =
        cases.scale(&[Place::Memory], &[Place::Memory, Place::Disk], &[Place::Memory, Place::Disk]);
    let rounds = cases.scale(1, 1, 20);
    // Some of them at a smaller scale, others in each run.
    let some = cases.scale(6, 2, 1);
    let mut numbers = Numbers::any();
    for _ in 0..rounds {
        for place in places {
            let directory = place.directory();
            let mut all: Vec<(String, Box<dyn FnOnce()>)> = Vec::new();
            for lock in Lock::all() {
                for came_first in [true, false] {
                    if numbers.below(some) != 0 {
                        continue;
                    }
                    let path = directory.path().join(all.len().to_string());
                    let body = move || {
                        if came_first { opened_after(&path, lock) } else { opened_before(&path, lock) }
                    };
                    all.push((format!("{place:?}, {lock:?}, before us: {came_first}"), Box::new(body)));
                }
            }
            cases.children(all);
        }
    }
}

/// The file, with spare room that a killed process has left.
fn leave_behind(path: &Path) {
    let (status, text) = in_child(|| {
        let array = open(path, MBA_RDWR | MBA_CREATE).unwrap();
        array.extend(&bytes_of(0..LEN + 1)).unwrap();
        array.pop().unwrap();
        std::mem::forget(array);
    });
    assert_eq!(status, 0, "{text}");
}

fn opened_after(path: &Path, lock: Lock) {
    leave_behind(path);
    let stranger = stranger(path, lock).expect("nobody else has a lock");
    let before = fs::read(path).unwrap();
    let info = soon("mba_info", || Raw::info(path)).unwrap();
    assert_eq!((info.len, info.is_locked), (LEN, u32::from(lock.bars_growth())));
    let bars = lock.bars_opening().then_some(MBA_ELOCKED);
    for flags in [MBA_RDONLY, MBA_PRIVATE, MBA_RDWR, MBA_RDWR | MBA_EXACT] {
        let opened = soon("opening", || open(path, flags));
        if flags == MBA_PRIVATE && opened.is_ok() {
            continue;
        }
        assert_eq!(opened.as_ref().err().copied(), bars, "opening with flags {flags}");
        let Ok(array) = opened else { continue };
        assert_eq!(array.read(0, LEN as usize), Ok(bytes_of(0..LEN)));
        // A handle that has changed nothing, and isn't alone or can't have the lock, changes nothing when it goes.
        soon("closing", || array.close()).unwrap();
        let is_trimmed = fs::read(path).unwrap() != before;
        let may_trim = flags & MBA_RDWR != 0 && lock.bytes == Bytes::Queue;
        assert!(!is_trimmed || may_trim, "flags {flags}");
    }
    let tidied = soon("mba_tidy", || Raw::tidy(path, None, 0));
    let bars_tidying = lock.bars_growth() || lock.bytes == Bytes::Tidying;
    assert_eq!(tidied.err(), bars_tidying.then_some(MBA_ELOCKED));
    if bars.is_none() {
        let array = soon("opening", || open(path, MBA_RDWR)).unwrap();
        changes(&array, lock);
        soon("closing", || array.close()).unwrap();
    }
    drop(stranger);
    ends_exact(path);
}

fn opened_before(path: &Path, lock: Lock) {
    leave_behind(path);
    let array = open(path, MBA_RDWR).unwrap();
    let reader = open(path, MBA_RDONLY).unwrap();
    let Some(stranger) = stranger(path, lock) else {
        // Who has the file open says so.
        assert!(lock.bars_opening(), "nobody else has this lock");
        return;
    };
    assert!(!lock.bars_opening(), "whoever has a file open has a lock on it");
    changes(&array, lock);
    soon("refresh", || reader.refresh()).unwrap();
    assert_eq!(reader.read(0, LEN as usize), Ok(bytes_of(0..LEN)));
    soon("closing", || reader.close()).unwrap();
    soon("closing", || array.close()).unwrap();
    drop(stranger);
    ends_exact(path);
}

/// Calls of all kinds, whose answers say whether the lock can be had; the elements are what they were at the end.
fn changes(array: &Raw, lock: Lock) {
    let code = if lock.bars_growth() { Err(MBA_ELOCKED) } else { Ok(()) };
    let value = 7u64.to_ne_bytes();
    let last = bytes_of([LEN - 1]);
    // Twice, since a handle that has had the lock lets others have it first.
    for _ in 0..2 {
        assert_eq!(soon("refresh", || array.refresh()), Ok(()));
        assert_eq!(soon("get", || array.get(0)), Ok(bytes_of([0])));
        assert_eq!(soon("set", || array.set(0, &bytes_of([0]))), Ok(()));
        assert_eq!(soon("append", || array.append(&value)), code);
        let popped = soon("pop", || array.pop());
        assert_eq!(popped, code.map(|()| value.to_vec()));
        assert_eq!(soon("pop", || array.pop().map(drop)), code);
        assert_eq!(soon("insert", || array.insert(LEN as usize - 1, &last).map(drop)), code);
        assert_eq!(soon("shrink_to_fit", || array.shrink_to_fit()), code);
        assert_eq!(soon("flush", || array.flush()), Ok(()));
        assert_eq!(soon("unlock", || array.unlock()), Ok(()));
        assert_eq!(soon("lock", || array.lock(0)), code);
        assert_eq!(soon("unlock", || array.unlock()), Ok(()));
        let timed = soon("lock within", || array.lock(50));
        assert_eq!(timed, code.map_err(|_| libc::ETIMEDOUT));
        if code.is_ok() {
            assert_eq!(soon("lock for ever", || array.lock(-1)), Ok(()));
        }
        assert_eq!(soon("unlock", || array.unlock()), Ok(()));
    }
}

fn ends_exact(path: &Path) {
    let array = open(path, MBA_RDWR).unwrap();
    assert_eq!(array.read(0, array.len()), Ok(bytes_of(0..LEN)));
    array.close().unwrap();
    assert!(fs::read(path).unwrap() == bytes_of(0..LEN), "the file is its elements");
}

fn without_locks(cases: &mut Cases) {
    // What file systems say that have no locks of this kind: NFS without its daemon, FUSE, old kernels.
    for errno in [libc::ENOLCK, libc::EINVAL, libc::EOPNOTSUPP, libc::ENOSYS] {
        for place in [Place::Memory, Place::Disk] {
            for has_spare_room in [false, true] {
                let directory = place.directory();
                let path = directory.path().join("array");
                leave_behind(&path);
                if !has_spare_room {
                    Raw::tidy(&path, None, 0).unwrap();
                }
                cases.child(format!("{place:?}, errno {errno}, spare room: {has_spare_room}"), || {
                    fail_locks(errno);
                    lockless(&path, errno);
                });
            }
        }
        cases.child(format!("anonymous, errno {errno}"), || {
            fail_locks(errno);
            let array = Raw::anonymous(uint64()).unwrap();
            assert_eq!(array.append(&[7; 8]), Err(errno));
            assert_eq!(array.lock(-1), Err(errno));
            assert_eq!((array.len(), array.refresh()), (0, Ok(())));
            array.close().unwrap();
        });
    }
}

fn lockless(path: &Path, errno: i32) {
    let before = fs::read(path).unwrap();
    for flags in [MBA_RDONLY, MBA_PRIVATE, MBA_RDWR, MBA_RDWR | MBA_EXACT, MBA_RDWR | MBA_CREATE] {
        let array = open(path, flags).unwrap();
        let elements = || array.read(0, array.len());
        assert_eq!(elements(), Ok(bytes_of(0..LEN)), "flags {flags}");
        array.refresh().unwrap();
        if flags & MBA_RDWR != 0 {
            // What is there can be changed in place.
            array.set(3, &bytes_of([33])).unwrap();
            array.set(3, &bytes_of([3])).unwrap();
            for result in [
                array.append(&[7; 8]),
                array.extend(&[7; 8_000]),
                array.pop().map(drop),
                array.insert(0, &[7; 8]),
                array.remove(0).map(drop),
                array.resize(3),
                array.clear(),
                array.reserve(100_000),
                array.shrink_to_fit(),
                array.lock(0),
                array.lock(20),
                array.lock(-1),
            ] {
                assert_eq!(result, Err(errno), "flags {flags}");
            }
            assert!(!array.has_lock());
            array.unlock().unwrap();
            array.flush().unwrap();
        }
        assert_eq!(elements(), Ok(bytes_of(0..LEN)), "flags {flags}");
        array.close().unwrap();
    }
    assert!(fs::read(path).unwrap() == before, "nothing is changed, and nothing trimmed");
    let tidied = Raw::tidy(path, None, 0);
    assert_eq!(tidied, Err(errno));
    assert!(fs::read(path).unwrap() == before);
}

fn crowd(cases: &mut Cases) {
    let count = cases.scale(300, 10_000, 10_000);
    for place in [Place::Memory, Place::Disk] {
        cases.child(format!("{place:?}, {count} readers"), || beside_a_crowd(place, count));
        cases.add(count as u64 - 1, None);
    }
}

const PROCESSES: usize = 4;

fn beside_a_crowd(place: Place, count: usize) {
    let directory = place.directory();
    let path = directory.path().join("array");
    fs::write(&path, bytes_of(0..LEN)).unwrap();
    let mut wires = Vec::new();
    let crowd: Vec<Forked> = (0..PROCESSES)
        .map(|_| {
            let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
            let child = Forked::start(|| be_many(&path, count / PROCESSES, &theirs));
            wires.push(ours);
            child
        })
        .collect();
    let hear = |wires: &[std::os::unix::net::UnixStream]| {
        wires.iter().for_each(|mut wire| wire.read_exact(&mut [0]).unwrap());
    };
    let say = |wires: &[std::os::unix::net::UnixStream]| {
        wires.iter().for_each(|mut wire| wire.write_all(&[0]).unwrap());
    };
    hear(&wires);
    let start = Instant::now();
    let array = open(&path, MBA_RDWR).unwrap();
    let opened = start.elapsed();
    array.resize(LEN as usize / 2).unwrap();
    array.extend(&bytes_of(LEN / 2..LEN * 3 / 4)).unwrap();
    array.shrink_to_fit().unwrap();
    let changed = start.elapsed();
    array.close().unwrap();
    eprintln!(
        "{count} readers: opened in {opened:?}, changed by {changed:?}, closed by {:?}",
        start.elapsed()
    );
    assert!(fs::metadata(&path).unwrap().len() > LEN * 8, "what they have seen stays");
    say(&wires);
    hear(&wires);
    say(&wires);
    crowd.into_iter().for_each(Forked::end_well);
    let left = LEN * 3 / 4;
    let array = open(&path, MBA_RDWR).unwrap();
    assert_eq!(array.read(0, array.len()), Ok(bytes_of(0..left)));
    array.close().unwrap();
    assert!(fs::read(&path).unwrap() == bytes_of(0..left), "the file is its elements");
}

fn be_many(path: &Path, count: usize, mut wire: &std::os::unix::net::UnixStream) {
    raise_descriptor_limit(count + 100);
    let reader = || Raw::open_reserving(path, uint64(), MBA_RDONLY, 1 << 16).unwrap();
    let readers: Vec<Raw> = (0..count).map(|_| reader()).collect();
    wire.write_all(&[0]).unwrap();
    wire.read_exact(&mut [0]).unwrap();
    for reader in &readers {
        assert_eq!(reader.len() as u64, LEN);
        for at in 0..LEN as usize {
            // SAFETY: what the handle takes for an element; that it is mapped still is what is tried here.
            std::hint::black_box(unsafe { reader.data().cast::<u64>().add(at).read_volatile() });
        }
        reader.refresh().unwrap();
        assert_eq!(reader.read(0, reader.len()), Ok(bytes_of(0..LEN * 3 / 4)));
    }
    wire.write_all(&[0]).unwrap();
    wire.read_exact(&mut [0]).unwrap();
}
