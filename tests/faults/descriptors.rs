//! Descriptors that the application takes care of in its own way: the standard streams closed, all closed and their
//! numbers used for other files, flags set on what it was handed.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use mmap_backed_array::Type;
use mmap_backed_array::capi::*;

use crate::campaign::{Cases, Fault, in_child};
use crate::helpers::raw::{Code, Raw, code};
use crate::helpers::{Numbers, Place};
use crate::names::{Name, WAYS, open_and_use, open_descriptors};

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "standard streams closed",
        answer: "their numbers are never an array's",
        cases: closed_streams,
    },
    Fault {
        name: "numbers of closed descriptors used for other files",
        answer: "EBADF, or it works; the other file keeps bytes, size and locks",
        cases: reused_numbers,
    },
    Fault { name: "flags set on a descriptor: O_DIRECT, O_APPEND ...", answer: "it works", cases: flags_set },
];

fn uint32() -> Type {
    Type::from_code(MBA_UINT32).unwrap()
}

fn numbers(range: std::ops::Range<u32>) -> Vec<u8> {
    range.flat_map(u32::to_ne_bytes).collect()
}

fn is_open(fd: RawFd) -> bool {
    // SAFETY: no memory is passed.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}

/// Each set of standard streams closed, and each way to open an array.
fn closed_streams(cases: &mut Cases) {
    let directory = Place::Disk.directory();
    let path = directory.path().join("array");
    let name = Name::new("streams");
    for closed in 1..8 {
        for way in WAYS {
            fs::write(&path, numbers(0..3)).unwrap();
            cases.case(format!("closed: {closed:#05b}, {way}"), || {
                // A child's standard error is what it says goes wrong by; here it may be closed.
                let (mut reader, writer) = std::io::pipe().unwrap();
                let (status, text) = in_child(|| {
                    let outcome = std::panic::catch_unwind(|| without_streams(closed, way, &path, &name));
                    if let Err(panic) = outcome {
                        let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                        (&writer).write_all(text.as_bytes()).unwrap();
                        panic!();
                    }
                });
                drop(writer);
                let mut said = String::new();
                reader.read_to_string(&mut said).unwrap();
                assert_eq!(status, 0, "{said} {text}");
            });
        }
    }
}

fn without_streams(closed: u32, way: &str, path: &Path, name: &Name) {
    // What goes wrong must not be printed: where it goes isn't there any more.
    std::panic::set_hook(Box::new(|_| {}));
    // What the test itself needs is there before the numbers are free.
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    let streams: Vec<RawFd> = (0..3).filter(|fd| closed >> fd & 1 == 1).collect();
    for fd in &streams {
        // SAFETY: the child makes no other use of the descriptor.
        unsafe { libc::close(*fd) };
    }
    let check = |when: &str| {
        for fd in &streams {
            assert!(!is_open(*fd), "{when}: {fd} is open");
        }
    };
    let arrays = open_and_use(way, path, name);
    check("opened and appended to");
    let array = &arrays[0];
    let does = |result: Code<()>| {
        let refused = [MBA_EREADONLY, MBA_EFIXED, MBA_ELOCKED, MBA_EEMPTY];
        assert!(result.is_ok() || refused.contains(&result.unwrap_err()), "{result:?}");
    };
    array.fd();
    check("a descriptor handed out");
    does(array.extend(&numbers(0..100_000)));
    check("grown");
    does(array.resize(50_000));
    does(array.shrink_to_fit());
    check("made shorter, alone");
    // A child has the description too, so that there must be another one to see whether others have it.
    // SAFETY: the process has one thread; the child ends by _exit.
    let child = unsafe { libc::fork() };
    if child == 0 {
        drop(writer);
        let _ = reader.read(&mut [0]);
        let outcome = std::panic::catch_unwind(|| {
            does(array.append(&[7; 4]));
            does(array.refresh());
            check("appended to in a child");
        });
        // SAFETY: ends the child.
        unsafe { libc::_exit(outcome.is_err().into()) };
    }
    does(array.resize(20_000));
    does(array.shrink_to_fit());
    check("made shorter, beside a child");
    does(array.flush());
    does(array.unlock());
    does(array.lock(10));
    does(array.unlock());
    check("flushed, unlocked and locked");
    writer.write_all(&[0]).unwrap();
    let mut status = 0;
    // SAFETY: waits for the child, and stores its status.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0, "the child");
    for array in arrays {
        does(array.close());
    }
    check("closed");
}

/// A file of the application's, with something in it and a lock on all of it.
struct Victim {
    file: File,
    bytes: Vec<u8>,
}

impl Victim {
    fn new(path: &Path) -> Victim {
        // As long as a file in spare room is, so that nothing is refused for its size alone.
        let bytes: Vec<u8> = (0..65_536u32).map(|at| (at % 251) as u8).collect();
        fs::write(path, &bytes).unwrap();
        let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
        Victim { file, bytes }
    }

    /// Locks all of it, in the name of the process and of the description that has this number.
    fn lock(&self, number: RawFd) {
        let lock = |kind: i32| libc::flock {
            l_type: kind as i16,
            l_whence: libc::SEEK_SET as i16,
            l_start: 0,
            l_len: 0,
            l_pid: 0,
        };
        // Shared with each other, and with nobody else.
        let lock = lock(libc::F_RDLCK);
        for command in [libc::F_SETLK, libc::F_OFD_SETLK] {
            // SAFETY: the structure is read only.
            assert_eq!(unsafe { libc::fcntl(number, command, &raw const lock) }, 0);
        }
    }

    /// Both locks are there still, on all of the file.
    fn is_locked(&self) {
        let inode = format!(":{} ", self.file.metadata().unwrap().ino());
        let whole = |line: &&str| line.contains(&inode) && line.ends_with(" 0 EOF");
        let mut kinds = BTreeSet::new();
        // The system's list can miss a line while others come and go.
        for _ in 0..20 {
            let locks = fs::read_to_string("/proc/locks").unwrap();
            let found = locks.lines().filter(whole).filter_map(|line| line.split_whitespace().nth(1));
            kinds.extend(found.map(str::to_owned));
            if kinds.len() == 2 {
                return;
            }
        }
        panic!("the other file's locks: {kinds:?}");
    }

    fn is_as_it_was(&self, number: RawFd) {
        // By its own descriptor: to close another one would end the lock of the process.
        let mut bytes = vec![0; self.bytes.len() + 1];
        let count = self.file.read_at(&mut bytes, 0).unwrap();
        assert!(bytes[..count] == self.bytes, "the other file's bytes");
        assert!(is_open(number), "the other file's descriptor is closed");
        let own = fs::metadata(format!("/proc/self/fd/{number}")).unwrap();
        let file = self.file.metadata().unwrap();
        assert_eq!((own.dev(), own.ino()), (file.dev(), file.ino()), "the number names another file");
    }
}

/// A handle whose descriptors are taken away.
const HANDLES: [&str; 8] =
    ["path", "reader", "exact", "private", "anonymous", "named", "descriptor", "descriptor, read-only"];

/// In which state they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Fresh,
    /// It has the lock and spare room.
    Growing,
    /// It had them.
    Unlocked,
}

const CALLS: [&str; 21] = [
    "append",
    "much",
    "pop",
    "clear",
    "insert",
    "remove",
    "resize",
    "reserve",
    "shrink_to_fit",
    "commit",
    "flush",
    "refresh",
    "lock",
    "unlock",
    "set",
    "get",
    "fd",
    "info",
    "is_replaced",
    "close",
    "fork",
];

fn call(name: &str, array: Raw) -> Code<()> {
    let value = [7; 4];
    let result = match name {
        "append" => array.append(&value),
        "much" => array.extend(&numbers(0..50_000)),
        "pop" => array.pop().map(drop),
        "clear" => array.clear(),
        "insert" => array.insert(0, &value),
        "remove" => array.remove(0).map(drop),
        "resize" => array.resize(100_000),
        "reserve" => array.reserve(200_000),
        "shrink_to_fit" => array.shrink_to_fit(),
        "commit" => array.commit(array.len()),
        "flush" => array.flush(),
        "refresh" => array.refresh(),
        "lock" => array.lock(20),
        "unlock" => array.unlock(),
        "set" => array.set(0, &value),
        "get" => array.get(0).map(drop),
        "fd" => {
            array.fd();
            Ok(())
        }
        "info" => {
            // SAFETY: a structure of numbers, which may all be zero; a handle that exists, and the structure.
            unsafe {
                let mut status: mba_status = std::mem::zeroed();
                status.size = size_of::<mba_status>() as u32;
                code(mba_array_info(array.as_ptr(), &raw mut status))
            }
        }
        "is_replaced" => {
            let mut replaced = 0;
            // SAFETY: a handle that exists, and a place for the answer.
            code(unsafe { mba_is_replaced(array.as_ptr(), &raw mut replaced) })
        }
        "close" => return array.close(),
        "fork" => {
            let (status, text) = in_child(|| {
                match array.append(&value) {
                    // The parent has the lock, by a descriptor that is its own still.
                    Err(MBA_ELOCKED) => {}
                    result => allowed("append in a child", result),
                }
                allowed("refresh in a child", array.refresh());
                // SAFETY: ends the child, whose panics the parent learns of.
                unsafe { libc::_exit(0) };
            });
            assert_eq!(status, 0, "{text}");
            Ok(())
        }
        other => panic!("the call {other}"),
    };
    // What follows may be refused, too, and does no harm either.
    allowed("append", array.append(&value));
    allowed("unlock", array.unlock());
    allowed("close", array.close());
    result
}

fn allowed(what: &str, result: Code<()>) {
    // Besides success. A handle that can't change the length says so first.
    let codes = [libc::EBADF, MBA_EREADONLY, MBA_EFIXED, MBA_EEMPTY, MBA_EINDEX];
    if let Err(code) = result {
        assert!(codes.contains(&code), "{what} gives {code}");
    }
}

fn reused_numbers(cases: &mut Cases) {
    let places: &[Place] =
        cases.scale(&[Place::Disk], &[Place::Disk, Place::Memory], &[Place::Disk, Place::Memory]);
    // Some of them at a smaller scale, others in each run.
    let some = cases.scale(24, 3, 1);
    let mut numbers = Numbers::any();
    let mut all: Vec<(String, Box<dyn FnOnce()>)> = Vec::new();
    for place in places {
        for handle in HANDLES {
            for state in [State::Fresh, State::Growing, State::Unlocked] {
                for call in CALLS {
                    // One descriptor after the other, and all of them.
                    for which in [Some(0), Some(1), None] {
                        if numbers.below(some) == 0 {
                            let label =
                                format!("{place:?}, {handle}, {state:?}, {call}, descriptor {which:?}");
                            let place = *place;
                            all.push((
                                label,
                                Box::new(move || one_reused(place, handle, state, call, which)),
                            ));
                        }
                    }
                }
            }
        }
    }
    cases.children(all);
}

fn one_reused(place: Place, handle: &str, state: State, name: &str, which: Option<usize>) {
    let directory = place.directory();
    let [path, other] = ["array", "other"].map(|name| directory.path().join(name));
    fs::write(&path, numbers(0..1000)).unwrap();
    let shared = Name::new(&format!("reused-{}", directory.path().file_name().unwrap().display()));
    let victim = Victim::new(&other);
    let ways = [MBA_RDWR, MBA_RDWR, MBA_RDONLY];
    let known: BTreeSet<RawFd> = open_descriptors().into_iter().map(|(fd, _)| fd).collect();
    let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let array = match handle {
        "path" => Raw::open(&path, uint32(), ways[0]),
        "reader" => Raw::open(&path, uint32(), ways[2]),
        "exact" => Raw::open(&path, uint32(), MBA_RDWR | MBA_EXACT),
        "private" => Raw::open(&path, uint32(), MBA_PRIVATE),
        "anonymous" => Raw::anonymous(uint32()),
        "named" => shared.open(MBA_RDWR | MBA_CREATE),
        "descriptor" => Raw::descriptor(file.as_raw_fd(), uint32(), MBA_RDWR),
        _ => Raw::descriptor(file.as_raw_fd(), uint32(), MBA_RDONLY),
    }
    .unwrap();
    drop(file);
    if state != State::Fresh {
        let _ = array.extend(&numbers(1000..2000));
    }
    if state == State::Unlocked {
        array.unlock().unwrap();
    }
    let own: Vec<RawFd> =
        open_descriptors().into_iter().map(|(fd, _)| fd).filter(|fd| !known.contains(fd)).collect();
    let taken: Vec<RawFd> = match which {
        Some(at) => own.get(at).copied().into_iter().collect(),
        None => own,
    };
    for fd in &taken {
        // SAFETY: the number gets another description; what was there is closed, which is what is tried here.
        assert_eq!(unsafe { libc::dup3(victim.file.as_raw_fd(), *fd, libc::O_CLOEXEC) }, *fd);
    }
    if let Some(fd) = taken.first() {
        victim.lock(*fd);
    }
    allowed(name, call(name, array));
    for fd in &taken {
        victim.is_as_it_was(*fd);
    }
    if !taken.is_empty() {
        victim.is_locked();
    }
}

/// Flags that a peer can set by `fcntl` on a description that it shares.
const FLAGS: [(&str, i32); 4] = [
    ("O_DIRECT", libc::O_DIRECT),
    ("O_APPEND", libc::O_APPEND),
    ("O_NONBLOCK", libc::O_NONBLOCK),
    ("all", libc::O_DIRECT | libc::O_APPEND | libc::O_NONBLOCK),
];

fn flags_set(cases: &mut Cases) {
    for place in [Place::Disk, Place::Memory] {
        for (name, flag) in FLAGS {
            let directory = place.directory();
            let path = directory.path().join("array");
            for len in [3, 1024, 2048, 5000] {
                cases.child(format!("{place:?}, {name}, {len} elements, given"), || {
                    given_with_flags(&path, flag, len);
                });
                cases.child(format!("{place:?}, {name}, {len} elements, set by a peer"), || {
                    set_by_a_peer(&path, flag, len);
                });
            }
        }
    }
}

/// Descriptors with a flag that are given to the library.
fn given_with_flags(path: &Path, flag: i32, len: u32) {
    fs::write(path, numbers(0..len)).unwrap();
    let open = |write: bool| OpenOptions::new().read(true).write(write).custom_flags(flag).open(path);
    // File systems may refuse the flag.
    let Ok(file) = open(false) else { return };
    let reader = Raw::descriptor(file.as_raw_fd(), uint32(), MBA_RDONLY).unwrap();
    let private = Raw::descriptor(file.as_raw_fd(), uint32(), MBA_PRIVATE).unwrap();
    assert_eq!(private.read(0, len as usize), Ok(numbers(0..len)));
    drop(file);
    let file = open(true).unwrap();
    let writer = Raw::descriptor(file.as_raw_fd(), uint32(), MBA_RDWR).unwrap();
    drop(file);
    goes_on(path, writer, &reader, len);
}

fn set_by_a_peer(path: &Path, flag: i32, len: u32) {
    fs::write(path, numbers(0..len)).unwrap();
    let reader = Raw::open(path, uint32(), MBA_RDONLY).unwrap();
    let writer = Raw::open(path, uint32(), MBA_RDWR).unwrap();
    for array in [&reader, &writer] {
        // SAFETY: no memory is passed.
        let set = unsafe { libc::fcntl(array.fd(), libc::F_SETFL, flag) };
        if set != 0 {
            return;
        }
    }
    goes_on(path, writer, &reader, len);
}

/// All that a writer does, followed by a reader.
fn goes_on(path: &Path, writer: Raw, reader: &Raw, len: u32) {
    let follow = |len: u32| {
        reader.refresh().unwrap();
        assert_eq!(reader.read(0, reader.len()), Ok(numbers(0..len)), "{len} elements");
    };
    follow(len);
    writer.refresh().unwrap();
    writer.extend(&numbers(len..len + 40_000)).unwrap();
    follow(len + 40_000);
    writer.unlock().unwrap();
    writer.refresh().unwrap();
    writer.append(&numbers(len + 40_000..len + 40_001)).unwrap();
    follow(len + 40_001);
    writer.resize(len as usize + 1).unwrap();
    writer.shrink_to_fit().unwrap();
    follow(len + 1);
    writer.pop().unwrap();
    writer.flush().unwrap();
    follow(len);
    let mut bytes = vec![0; len as usize * 4];
    File::open(path).unwrap().read_exact_at(&mut bytes, 0).unwrap();
    assert!(bytes == numbers(0..len), "the file as others read it");
    writer.close().unwrap();
    follow(len);
    let next = Raw::open(path, uint32(), MBA_RDWR).unwrap();
    next.set(0, &numbers(0..1)).unwrap();
    next.close().unwrap();
}
