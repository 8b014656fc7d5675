//! Files and peers that lie: footers with any byte changed, and a process that keeps rewriting one.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use mmap_backed_array::Type;
use mmap_backed_array::capi::*;

use crate::campaign::{Cases, Fault, ending, in_child};
use crate::helpers::footer::{self, Footer, PAGE, at};
use crate::helpers::raw::{Code, Raw};
use crate::helpers::{Numbers, Place};

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "footers with any byte changed",
        answer: "MBA_ECORRUPT or MBA_ETYPE, and the file stays as it is until it is tidied; without the magic all is elements",
        cases: bytes,
    },
    Fault {
        name: "forged footers, checksum and all",
        answer: "the same; a length counts only up to the footer",
        cases: forgeries,
    },
    Fault {
        name: "rewriting peer, at random, through its own mapping",
        answer: "codes and lengths within the file; no signal",
        cases: peer,
    },
];

/// Where the footer lies in a file of a page.
const AT: usize = PAGE - footer::SIZE;
const ELEMENTS: [u32; 3] = [1, 2, 3];
type Bytes = [u8; footer::SIZE];

fn uint32() -> Type {
    Type::from_code(MBA_UINT32).unwrap()
}

/// An honest footer of an array of `u32` in a file of so many bytes.
fn honest(file: &File, size: u64, len: u64) -> Footer {
    Footer::of(uint32(), &file.metadata().unwrap(), size, len)
}

/// What the design says of a file of a page that ends in these bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// They are no footer, and the whole page is elements.
    Plain,
    /// So many elements, and spare room.
    Sound(usize),
    Refused(i32),
}

fn verdict(last: &Bytes) -> Verdict {
    match footer::read(PAGE as u64, last, uint32()) {
        Ok(reading) if reading.has_footer => Verdict::Sound(reading.len as usize),
        Ok(_) => Verdict::Plain,
        Err(code) => Verdict::Refused(code),
    }
}

/// A file of a page: three elements, spare room that is no zeros, and a footer.
struct Subject {
    file: File,
    path: std::path::PathBuf,
    good: [u8; PAGE],
    ty: Type,
}

impl Subject {
    fn new(directory: &Path) -> Subject {
        let path = directory.join("array");
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).unwrap();
        let mut good = [0xa5; PAGE];
        for (at, element) in ELEMENTS.iter().enumerate() {
            good[at * 4..at * 4 + 4].copy_from_slice(&element.to_ne_bytes());
        }
        good[AT..].copy_from_slice(&honest(&file, PAGE as u64, 3).encode());
        Subject { file, path, good, ty: uint32() }
    }

    fn put(&self, bytes: &[u8; PAGE]) {
        self.file.write_all_at(bytes, 0).unwrap();
        self.file.set_len(PAGE as u64).unwrap();
    }

    fn holds(&self, bytes: &[u8]) {
        let mut now = [0; 2 * PAGE];
        let count = self.file.read_at(&mut now, 0).unwrap();
        assert_eq!(count, bytes.len(), "the file's size");
        assert!(now[..count] == *bytes, "the file's bytes have changed");
    }

    fn open(&self, flags: u32) -> Code<Raw> {
        Raw::open(&self.path, self.ty, flags)
    }

    /// Every way to meet this footer.
    fn meet(&self, last: &Bytes) {
        let mut bad = self.good;
        bad[AT..].copy_from_slice(last);
        let verdict = verdict(last);
        self.at_open(&bad, verdict);
        self.under_a_reader(&bad, verdict);
        self.under_a_writer(&bad, verdict);
        self.looked_at(&bad, verdict);
        for ty in [None, Some(self.ty)] {
            for flags in [0, MBA_TIDY_FORCE] {
                for beside_a_reader in [false, true] {
                    self.tidied(&bad, verdict, ty, flags, beside_a_reader);
                }
            }
        }
    }

    /// What it says of itself; also of other elements, if it is sound.
    fn looked_at(&self, bad: &[u8; PAGE], verdict: Verdict) {
        self.put(bad);
        let info = Raw::info(&self.path);
        let fields = Footer::decode(bad.last_chunk().unwrap());
        match (verdict, info) {
            (Verdict::Refused(MBA_ECORRUPT), info) => assert_eq!(info.err(), Some(MBA_ECORRUPT)),
            (Verdict::Plain, Ok(info)) => {
                assert_eq!(
                    (info.has_footer, info.file_size, info.epoch, info.holder),
                    (0, PAGE as u64, 0, 0)
                );
            }
            (_, Ok(info)) => {
                assert_eq!((info.has_footer, info.file_size, info.len), (1, PAGE as u64, fields.len));
                assert_eq!((info.holder, info.offset), (fields.holder, fields.offset));
                assert_eq!((info.epoch == 0, info.is_locked, info.is_shared), (fields.epoch == 0, 0, 0));
            }
            (_, info) => panic!("{verdict:?}, and mba_info gives {:?}", info.err()),
        }
        self.holds(bad);
    }

    fn tidied(
        &self,
        bad: &[u8; PAGE],
        verdict: Verdict,
        ty: Option<Type>,
        flags: u32,
        beside_a_reader: bool,
    ) {
        self.put(&self.good);
        let reader = beside_a_reader.then(|| self.open(MBA_RDONLY).unwrap());
        self.put(bad);
        let last = bad.last_chunk().unwrap();
        let fields = Footer::decode(last);
        let file = self.file.metadata().unwrap();
        let is_copy = (fields.device, fields.inode) != (file.dev(), file.ino());
        // What a reader can have seen stays, where the file says that there was more.
        let may_truncate = !beside_a_reader || fields.epoch == 0 || is_copy;
        let whole = PAGE as u64;
        let own_end = fields.offset.wrapping_add(fields.len.wrapping_mul(fields.itemsize.into()));
        let (code, size) = match verdict {
            Verdict::Plain => (Ok(()), whole),
            Verdict::Sound(_) => (Ok(()), if may_truncate { own_end } else { whole }),
            // Sound, and of other elements.
            Verdict::Refused(MBA_ETYPE) if ty.is_some() => (Err(MBA_ETYPE), whole),
            Verdict::Refused(MBA_ETYPE) => (Ok(()), if may_truncate { own_end } else { whole }),
            Verdict::Refused(code) if flags == 0 => (Err(code), whole),
            Verdict::Refused(_) if beside_a_reader => (Err(MBA_ELOCKED), whole),
            Verdict::Refused(_) => (Ok(()), footer::salvage(whole, last, ty.map(|ty| ty.size() as u64))),
        };
        let given = Raw::tidy(&self.path, ty, flags);
        let story = format!("{verdict:?}, {ty:?}, flags {flags}, beside a reader: {beside_a_reader}");
        assert_eq!(given, code, "{story}");
        let size = size as usize;
        if size == PAGE {
            self.holds(bad);
        } else {
            assert_eq!(self.file.metadata().unwrap().len() as usize, size, "{story}");
            self.holds(&bad[..size]);
        }
        if let Some(reader) = reader {
            reader.close().unwrap();
        }
        if code.is_ok() {
            // It is an array of some length now.
            let array = Raw::open(&self.path, Type::from_code(MBA_UINT8).unwrap(), MBA_RDWR | MBA_CREATE);
            let allowed = size == PAGE && matches!(verdict, Verdict::Sound(_) | Verdict::Refused(_));
            assert!(array.is_ok() || (allowed && array.err() == Some(MBA_ETYPE)), "{story}");
        }
    }

    fn at_open(&self, bad: &[u8; PAGE], verdict: Verdict) {
        let by_descriptor = |flags| Raw::descriptor(self.file.as_raw_fd(), self.ty, flags);
        for flags in [MBA_RDONLY, MBA_PRIVATE, MBA_RDWR, MBA_RDWR | MBA_CREATE, MBA_RDWR | MBA_EXACT] {
            for named in [true, false] {
                if !named && flags & MBA_CREATE != 0 {
                    continue;
                }
                self.put(bad);
                let opened = if named { self.open(flags) } else { by_descriptor(flags) };
                match (verdict, opened) {
                    (Verdict::Refused(code), Err(given)) => {
                        assert_eq!(given, code, "flags {flags}");
                        self.holds(bad);
                    }
                    (Verdict::Plain, Ok(array)) => {
                        self.is(&array, bad, PAGE / 4);
                        array.close().unwrap();
                        self.holds(bad);
                    }
                    (Verdict::Sound(len), Ok(array)) => {
                        self.is(&array, bad, len);
                        array.close().unwrap();
                        self.holds(if flags & MBA_RDWR == 0 { bad } else { &bad[..len * 4] });
                    }
                    (_, given) => panic!("flags {flags}: {verdict:?}, and opening gives {:?}", given.err()),
                }
            }
        }
    }

    /// It appears under a handle that reads.
    fn under_a_reader(&self, bad: &[u8; PAGE], verdict: Verdict) {
        self.put(&self.good);
        let reader = self.open(MBA_RDONLY).unwrap();
        self.put(bad);
        let given = reader.refresh();
        self.follows(&reader, bad, verdict, given, "refresh");
        reader.close().unwrap();
        self.holds(bad);
    }

    /// It appears under a handle that may write, in the moment before each call that reads it.
    fn under_a_writer(&self, bad: &[u8; PAGE], verdict: Verdict) {
        for flags in [MBA_RDWR, MBA_RDWR | MBA_EXACT] {
            for call in ["refresh", "lock", "append", "pop", "flush", "close"] {
                self.put(&self.good);
                let array = self.open(flags).unwrap();
                self.put(bad);
                let (mut len, mut bytes) = match verdict {
                    Verdict::Plain => (PAGE / 4, bad.to_vec()),
                    Verdict::Sound(len) => (len, bad[..len * 4].to_vec()),
                    Verdict::Refused(_) => (3, bad.to_vec()),
                };
                let refused = matches!(verdict, Verdict::Refused(_));
                let given = match call {
                    "refresh" => array.refresh(),
                    "lock" => array.lock(0),
                    "append" => array.append(&[7; 4]),
                    "pop" => array.pop().map(drop),
                    // These two look at nothing that the footer says, or leave it alone.
                    "flush" => array.flush(),
                    _ => Ok(()),
                };
                match call {
                    "append" if !refused => {
                        given.unwrap();
                        len += 1;
                        bytes.extend([7; 4]);
                        assert_eq!(array.len(), len);
                    }
                    "pop" if !refused => {
                        assert_eq!(given.err(), (len == 0).then_some(MBA_EEMPTY));
                        len = len.saturating_sub(1);
                        bytes.truncate(len * 4);
                        assert_eq!(array.len(), len);
                    }
                    "flush" | "close" => given.unwrap(),
                    _ => self.follows(&array, bad, verdict, given, call),
                }
                assert!(!refused || !array.has_lock(), "the lock isn't kept");
                array.close().unwrap();
                self.holds(&bytes);
            }
        }
    }

    /// What a call that reads the footer makes of it.
    fn follows(&self, array: &Raw, bad: &[u8; PAGE], verdict: Verdict, given: Code<()>, call: &str) {
        let (code, len) = match verdict {
            Verdict::Plain => (Ok(()), PAGE / 4),
            Verdict::Sound(len) => (Ok(()), len),
            Verdict::Refused(code) => (Err(code), 3),
        };
        assert_eq!(given, code, "{call}");
        self.is(array, bad, len);
        if verdict != Verdict::Plain && !array.has_lock() {
            self.holds(bad);
        }
    }

    fn is(&self, array: &Raw, bytes: &[u8; PAGE], len: usize) {
        assert_eq!(array.len(), len);
        assert!(array.read(0, len).unwrap() == bytes[..len * 4], "other elements");
        assert_eq!(array.get(len).err(), Some(MBA_EINDEX));
    }
}

/// Each of the bytes becomes each of the other values, with the checksum as it was and with one that fits.
fn bytes(cases: &mut Cases) {
    let changes: Vec<u8> = match cases.scale(0, 1, 2) {
        0 => vec![1, 0x80, 0xff],
        1 => (0..8).map(|bit| 1 << bit).chain([0xff]).collect(),
        _ => (1..=255).collect(),
    };
    for place in [Place::Memory, Place::Disk] {
        let directory = place.directory();
        let subject = Subject::new(directory.path());
        // On a disk it is the same code, and slower.
        let some = if place == Place::Disk { changes.len().div_ceil(16) } else { changes.len() };
        let changes = &changes[..some];
        for at in 0..footer::SIZE {
            for change in changes {
                for sworn in [false, true] {
                    let mut last: Bytes = subject.good[AT..].try_into().unwrap();
                    last[at] ^= change;
                    if sworn {
                        footer::seal(&mut last);
                    }
                    cases.case(
                        format!("{place:?}, byte {at} ^ {change:#04x}, a checksum that fits: {sworn}"),
                        || subject.meet(&last),
                    );
                }
            }
        }
    }
}

/// A footer whose fields are what somebody who knows the format would try.
fn forged(file: &File, numbers: &mut Numbers) -> Bytes {
    let mut last = honest(file, PAGE as u64, 3).encode();
    const WORDS: [u64; 16] = [
        0,
        1,
        2,
        3,
        4,
        8,
        AT as u64 / 4,
        AT as u64 / 4 + 1,
        PAGE as u64 / 4,
        PAGE as u64,
        2 * PAGE as u64,
        i64::MAX as u64,
        u64::MAX,
        u64::MAX / 4,
        u64::MAX / 4 + 1,
        u64::MAX / 4 + 4,
    ];
    // How many bytes each has, and how seldom it is changed: the magic and the fields that give a forgery away at
    // once stay right more often than not.
    let fields = [
        (0, 8, 12),
        (at::VERSION, 4, 12),
        (at::KIND, 4, 12),
        (at::ITEMSIZE, 4, 12),
        (at::FORMAT, 8, 12),
        (at::OFFSET, 8, 12),
        (at::FILE_SIZE, 8, 12),
        (at::DEVICE, 8, 7),
        (at::INODE, 8, 7),
        (at::FLAGS, 4, 12),
        (at::ZERO, 4, 12),
        (at::STAMP, 8, 7),
        (at::BELL, 4, 3),
        (at::HOLDER, 8, 3),
        (at::REACH, 8, 3),
        (at::EPOCH, 8, 3),
        (at::LENGTH, 8, 2),
    ];
    for (at, size, seldom) in fields {
        if numbers.below(seldom) != 0 {
            continue;
        }
        let word = match numbers.below(3) {
            0 => WORDS[numbers.below(16) as usize],
            1 => numbers.next(),
            _ => numbers.below(2 * PAGE as u64),
        };
        if at == 0 && numbers.below(2) == 0 {
            last[..8].reverse();
        } else {
            last[at..at + size].copy_from_slice(&word.to_ne_bytes()[..size]);
        }
    }
    if numbers.below(8) != 0 {
        footer::seal(&mut last);
    }
    last
}

fn forgeries(cases: &mut Cases) {
    let rounds = cases.scale(300, 10_000, 500_000);
    let mut numbers = Numbers::any();
    let directory = Place::Memory.directory();
    let subject = Subject::new(directory.path());
    for _ in 0..rounds {
        let last = forged(&subject.file, &mut numbers);
        cases.case(format!("{last:02x?}"), || subject.meet(&last));
    }
}

/// Works on an array whose footer another process keeps rewriting: in its mapping of the file, and by writes
/// that can make the file longer. It never makes it shorter, which is a fault by design.
fn peer(cases: &mut Cases) {
    let (rounds, calls) = cases.scale((15, 2_000), (20, 20_000), (300, 50_000));
    for place in [Place::Memory, Place::Disk] {
        for round in 0..rounds {
            let directory = place.directory();
            let path = directory.path().join("array");
            let seed = Numbers::any().next();
            let (status, text) = in_child(|| beside_a_peer(&path, seed, calls));
            let failure = (status != 0)
                .then(|| format!("{place:?}, round {round}, seed {seed:#x}: {}: {text}", ending(status)));
            cases.add(1, failure);
        }
    }
}

fn beside_a_peer(path: &Path, seed: u64, calls: u64) {
    let mut numbers = Numbers(seed);
    let ty = uint32();
    let array = Raw::open(path, ty, MBA_RDWR | MBA_CREATE).unwrap();
    for value in 0..2000u32 {
        array.append(&value.to_ne_bytes()).unwrap();
    }
    array.unlock().unwrap();
    drop_untrimmed(array);
    let mut rewriter = Rewriter::start(path, seed);
    let like = Raw::anonymous(ty).unwrap();
    like.extend(&[1; 400]).unwrap();
    let mut done = 0;
    while done < calls {
        rewriter.replace_if_dead();
        let flags = [MBA_RDONLY, MBA_RDWR, MBA_RDWR, MBA_RDWR | MBA_EXACT, MBA_PRIVATE];
        let opened = Raw::open(path, ty, flags[numbers.below(5) as usize]);
        done += 1;
        match opened {
            Ok(array) => {
                for _ in 0..numbers.below(200) {
                    one_call(&array, &like, &mut numbers);
                    done += 1;
                }
                sane(array.close());
            }
            Err(code) => sane(Err(code)),
        }
    }
}

/// Ends a handle as a process that is killed would, so that the file keeps its spare room.
fn drop_untrimmed(array: Raw) {
    std::mem::forget(array);
}

/// No answer but these may come of a footer that lies, or of a file that someone else makes longer.
fn sane(result: Code<()>) {
    let allowed = [
        MBA_ECORRUPT,
        MBA_ETYPE,
        MBA_EINDEX,
        MBA_EEMPTY,
        MBA_ENOTFOUND,
        MBA_EREADONLY,
        MBA_EFIXED,
        MBA_ELIMIT,
        MBA_EPARTIAL,
        libc::EBUSY,
    ];
    if let Err(code) = result {
        assert!(allowed.contains(&code), "the answer {code}");
    }
}

fn one_call(array: &Raw, like: &Raw, numbers: &mut Numbers) {
    let len = array.len();
    let size = std::fs::metadata(format!("/proc/self/fd/{}", array.fd())).unwrap().len();
    assert!(len as u64 * 4 <= size, "{len} elements in {size} bytes");
    let value = (numbers.next() as u32).to_ne_bytes();
    let index = numbers.below(len as u64 * 5 / 4 + 2) as usize;
    let count = numbers.below(300) as usize;
    let check = |result: Code<Vec<u8>>, inside: bool| {
        assert_eq!(result.is_ok(), inside, "a bound: {index} and {count} of {len}");
        sane(result.map(drop));
    };
    match numbers.below(20) {
        0 | 1 => sane(array.refresh()),
        2 => sane(array.append(&value)),
        3 => sane(array.extend(&vec![7; count * 4])),
        4 => sane(array.pop().map(drop)),
        5 => check(array.get(index), index < len),
        6 => check(array.read(index, count), index + count <= len),
        7 => sane(array.set(index, &value)),
        8 => sane(array.find(&value, 0, usize::MAX).map(drop)),
        9 => sane(array.count_of(&value).map(drop)),
        10 => sane(array.compare(like).map(drop)),
        11 => sane(array.equal(like).map(drop)),
        12 => sane(array.lock(0)),
        13 => sane(array.unlock()),
        14 => sane(array.insert(index, &value)),
        15 => sane(array.remove(index).map(drop)),
        16 => sane(array.resize(count * 8)),
        17 => sane(array.reserve(count * 8)),
        18 => sane(array.shrink_to_fit()),
        _ => sane(array.flush()),
    }
}

/// A process that rewrites the end of a file. It dies of its own stores when the library has truncated the file, which
/// is what befalls who keeps pointers into the part given up.
struct Rewriter<'a> {
    child: libc::pid_t,
    path: &'a Path,
    seed: u64,
}

impl<'a> Rewriter<'a> {
    fn start(path: &'a Path, seed: u64) -> Rewriter<'a> {
        // SAFETY: the process has one thread; the child rewrites until it is killed.
        let child = unsafe { libc::fork() };
        assert!(child >= 0, "{}", std::io::Error::last_os_error());
        if child == 0 {
            // SAFETY: no memory is passed; the child must not outlive its parent.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            rewrite(path, seed);
        }
        Rewriter { child, path, seed }
    }

    fn replace_if_dead(&mut self) {
        let mut status = 0;
        // SAFETY: asks for the child, and stores its status.
        if unsafe { libc::waitpid(self.child, &raw mut status, libc::WNOHANG) } == self.child {
            assert!(
                libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGBUS,
                "the peer: {}",
                ending(status)
            );
            self.child = 0;
            *self = Rewriter::start(self.path, self.seed.wrapping_add(1));
        }
    }
}

impl Drop for Rewriter<'_> {
    fn drop(&mut self) {
        if self.child > 0 {
            let mut status = 0;
            // SAFETY: the child isn't waited for yet, so the number is its.
            unsafe {
                libc::kill(self.child, libc::SIGKILL);
                libc::waitpid(self.child, &raw mut status, 0);
            }
        }
    }
}

fn rewrite(path: &Path, seed: u64) -> ! {
    let mut numbers = Numbers(seed ^ 0x5555);
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    const REACH: usize = 1 << 20;
    // SAFETY: a new mapping, at an address that the system chooses.
    let map = unsafe {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        libc::mmap(std::ptr::null_mut(), REACH, access, libc::MAP_SHARED, file.as_raw_fd(), 0)
    };
    assert_ne!(map, libc::MAP_FAILED);
    loop {
        let size = file.metadata().unwrap().len();
        if size < PAGE as u64 || size > REACH as u64 {
            let _ = file.write_all_at(&honest(&file, PAGE as u64, 3).encode(), AT as u64);
            std::thread::yield_now();
            continue;
        }
        let end = size as usize / PAGE * PAGE;
        let len = match numbers.below(4) {
            0 => numbers.next(),
            1 => numbers.below(size),
            _ => numbers.below((size - footer::SIZE as u64) / 4 + 1),
        };
        let mut last = honest(&file, end as u64, len).encode();
        match numbers.below(8) {
            0 => last[numbers.below(footer::SIZE as u64) as usize] ^= numbers.next() as u8,
            1 => last[at::DEVICE..at::FLAGS].fill(numbers.next() as u8),
            2 => last[numbers.below(at::FIXED_END as u64) as usize] = numbers.next() as u8,
            3 => last[at::BELL..].fill(numbers.next() as u8),
            4 => last[at::REACH..][..8].copy_from_slice(&numbers.below(size / 3).to_ne_bytes()),
            _ => {}
        }
        if numbers.below(2) == 0 {
            footer::seal(&mut last);
        }
        match numbers.below(8) {
            0 => file.write_all_at(&last, (end - footer::SIZE) as u64).unwrap(),
            // Makes the file longer, with a footer of its own at the new end.
            1 if end + PAGE <= REACH => {
                let longer = honest(&file, (end + PAGE) as u64, len).encode();
                file.write_all_at(&longer, (end + AT) as u64).unwrap();
            }
            2 | 3 => {
                // SAFETY: aligned, and within the mapping; a file that is truncated meanwhile ends this process.
                unsafe { map.byte_add(end - 8).cast::<u64>().write_volatile(len) };
            }
            _ => {
                // SAFETY: within the mapping; a file that is truncated meanwhile ends this process.
                unsafe {
                    std::ptr::copy(last.as_ptr(), map.byte_add(end - footer::SIZE).cast(), footer::SIZE)
                };
            }
        }
    }
}
