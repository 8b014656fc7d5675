//! No space: a full disk, a quota, a limit on the size of files.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use mmap_backed_array::{Error, MmapArray, OpenOptions};

use crate::campaign::{Cases, Fault, Forked, ending, in_child};
use crate::filesystem::{Kind, Mounted};
use crate::helpers::space::{Small, check, check_closed, fill, number};
use crate::helpers::{Place, fail_always, fail_from, file_size, output_of, writable};

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "full-disk at each step of growth",
        answer: "ENOSPC, all as it was; goes on when there is room",
        cases: steps,
    },
    Fault {
        name: "rewriting a grown array on a full disk",
        answer: "no signal on ext4, xfs, tmpfs; btrfs can send SIGBUS",
        cases: rewriting,
    },
    Fault {
        name: "shorter arrays on a full disk, alone and beside others",
        answer: "alone it works; beside others ENOSPC if there is no footer, and nothing is lost",
        cases: becoming_shorter,
    },
    Fault {
        name: "no-fallocate, and the disk full",
        answer: "zeros are written first; then ENOSPC",
        cases: without_fallocate,
    },
    Fault { name: "quota used up", answer: "EDQUOT, all as it was", cases: quota },
    Fault {
        name: "file-size-limit (RLIMIT_FSIZE)",
        answer: "EFBIG, no SIGXFSZ, and its disposition unchanged",
        cases: size_limit,
    },
];

const FULL: Error = Error::Os(libc::ENOSPC);
const NO_QUOTA: Error = Error::Os(libc::EDQUOT);
const TOO_BIG: Error = Error::Os(libc::EFBIG);

/// Whether stores into reserved blocks are safe for good: btrfs finds a new place for each write of a block.
fn is_safe(kind: Kind) -> bool {
    kind != Kind::Btrfs
}

/// A case in a child that on btrfs may end by SIGBUS. Returns whether it came to its end.
fn attempt(cases: &mut Cases, label: &str, kind: Kind, body: impl FnOnce()) -> bool {
    let (status, text) = in_child(body);
    SEEN[usize::from(status != 0)].fetch_add(usize::from(kind == Kind::Btrfs), Relaxed);
    let sigbus = libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGBUS;
    let well = status == 0 || (sigbus && !is_safe(kind));
    cases.add(1, (!well).then(|| format!("{label}: {}: {}", ending(status), text.trim_end())));
    status == 0
}

/// How many cases on btrfs came to their end, and how many ended by a signal.
static SEEN: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

fn tell_of_btrfs() {
    let [ended, killed] = [0, 1].map(|at| SEEN[at].load(Relaxed));
    println!("    btrfs: SIGBUS in {killed} of {} cases", ended + killed);
}

/// How an array comes to be without space.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Ordinary,
    Exact,
    NoFallocate,
}

fn options(exact: bool) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).exact(exact);
    options
}

/// All that can make an array longer: each is refused, and changes nothing.
fn refuses_all(array: &mut MmapArray<u64>, full: Error, exact: bool, story: &str) {
    let len = array.len();
    // What the last page still has room for is no matter of space; an exact file that ends within one gets another.
    let more = 1024;
    for result in [
        array.extend_from_slice(&[7; 1024]),
        array.resize(len + more),
        array.splice(.., &vec![0; len + more]),
        if exact { Err(full) } else { array.reserve(len + more) },
    ] {
        assert_eq!(result, Err(full), "{story}");
    }
    if !exact {
        assert_eq!(array.capacity(), len, "{story}");
        assert_eq!(array.insert(0, 7), Err(full), "{story}");
        assert_eq!(array.commit(len + 1), Err(Error::Index), "{story}");
    }
    check(array, len, story);
}

/// One array that fills what there is, in a child that must live; then, in another one, the room that comes back.
fn filled(cases: &mut Cases, small: &Small, kind: Kind, how: How, free: u64) {
    let path = small.path("array");
    let label = match how {
        How::Ordinary => format!("{}, {free} bytes free", kind.name()),
        How::Exact => format!("{}, exact, {free} bytes free", kind.name()),
        How::NoFallocate => format!("{}, no fallocate, {free} bytes free", kind.name()),
    };
    std::fs::write(&path, []).unwrap();
    small.leave(free);
    let ended = attempt(cases, &label, kind, || {
        if how == How::NoFallocate && kind != Kind::Ext2 {
            fail_always(libc::SYS_fallocate, libc::EOPNOTSUPP);
        }
        let mut array = MmapArray::<u64>::open_with(&path, &options(how == How::Exact)).unwrap();
        let address = array.as_ptr();
        let mut len = fill(&mut array, FULL);
        check(&array, len, &label);
        // What a file system had set aside for itself comes back to it late.
        for _ in 0..10 {
            small.sync();
            len = fill(&mut array, FULL);
        }
        // Extents and the like take space too, but not much.
        let least = if is_safe(kind) { free.saturating_sub(128 << 10) / 8 } else { 0 };
        assert!(len as u64 >= least, "{label}: {len} elements are less than the space is good for");
        // xfs finds some for a larger piece where it had none for a smaller one.
        if (kind, how) != (Kind::Xfs, How::Exact) {
            refuses_all(&mut array, FULL, how == How::Exact, &label);
        }
        let mut second = MmapArray::<u64>::open(&path).unwrap();
        check(&second, len, &label);
        if is_safe(kind) {
            assert_eq!(array.flush(), Ok(()), "{label}");
        }
        small.give_back();
        for at in len..len + 10_000 {
            array.push(number(at)).unwrap_or_else(|error| panic!("{label}: then room again: {error}"));
        }
        check(&array, len + 10_000, &label);
        assert_eq!(array.as_ptr(), address, "{label}");
        array.close().unwrap();
        second.refresh().unwrap();
        check(&second, len + 10_000, &label);
        check_closed(&path, len + 10_000);
    });
    small.give_back();
    if !ended {
        check_prefix(&path, &label);
    }
    std::fs::remove_file(&path).unwrap();
}

/// What whoever comes after a signal finds.
fn check_prefix(path: &Path, label: &str) {
    let array = MmapArray::<u64>::open(path).unwrap();
    check(&array, array.len(), label);
}

/// How much space is left: from nothing to more than some steps of growth need.
fn amounts(cases: &Cases) -> impl Iterator<Item = u64> + use<> {
    let (pages, most) = cases.scale((70, 600 << 10), (29, 1 << 20), (1, 2 << 20));
    (0..).map(move |round: u64| round * pages * 4096).take_while(move |free| *free < most)
}

fn small(mounted: &Mounted) -> Small {
    Small { directory: mounted.path().to_path_buf() }
}

fn steps(cases: &mut Cases) {
    for kind in Kind::ALL {
        let Some(mounted) = kind.mount(32) else { continue };
        let small = small(&mounted);
        for free in amounts(cases) {
            filled(cases, &small, kind, How::Ordinary, free);
            // Every append of an exact file that crosses a page is a step.
            if free < 300 << 10 {
                filled(cases, &small, kind, How::Exact, free);
            }
        }
        whole_calls(cases, &small, kind);
    }
    tell_of_btrfs();
}

/// One call that asks for too much takes no block and leaves none behind.
fn whole_calls(cases: &mut Cases, small: &Small, kind: Kind) {
    for exact in [false, true] {
        let path = small.path("array");
        let label = format!("{}, one large call, exact: {exact}", kind.name());
        attempt(cases, &label, kind, || {
            let mut array = MmapArray::<u64>::open_with(&path, &options(exact)).unwrap();
            array.extend_from_slice(&(0..5000).map(number).collect::<Vec<_>>()).unwrap();
            array.flush().unwrap();
            small.sync();
            let (size, capacity) = (file_size(&path), array.capacity());
            // More than all, and what only root may take.
            let many = (small.free() / 8 * 5 / 4) as usize + 100_000;
            let blocks = || std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(&path).unwrap());
            let before = blocks();
            assert_eq!(array.extend_from_slice(&vec![0; many]), Err(FULL));
            assert_eq!(array.resize(many), Err(FULL));
            assert_eq!(array.splice(..2500, &vec![0; many]), Err(FULL));
            if !exact {
                assert_eq!(array.reserve(many), Err(FULL));
            }
            check(&array, 5000, "after calls that asked for too much");
            assert_eq!((file_size(&path), array.capacity()), (size, capacity));
            small.sync();
            // One may hold the list of the others, which doesn't become shorter.
            assert!(blocks() <= before + 8, "{} blocks of 512 bytes, {before} before", blocks());
            array.push(number(5000)).unwrap();
            array.close().unwrap();
            check_closed(&path, 5001);
        });
        std::fs::remove_file(&path).unwrap();
    }
}

/// Elements and spare room are stored to on a disk that has filled since, after the system has written them back.
fn rewriting(cases: &mut Cases) {
    let sizes = cases.scale(vec![300_000], vec![100, 30_000, 700_000], (0..40).map(|n| n * 30_011).collect());
    for kind in Kind::ALL {
        let Some(mounted) = kind.mount(64) else { continue };
        let small = small(&mounted);
        for (len, adopted) in sizes.iter().flat_map(|len| [(*len, false), (*len, true)]) {
            let path = small.path("array");
            let label = format!("{}, {len} elements, a second handle's: {adopted}", kind.name());
            std::fs::write(&path, []).unwrap();
            let ended = attempt(cases, &label, kind, || {
                let mut array = MmapArray::<u64>::open_with(&path, &writable()).unwrap();
                for at in 0..len {
                    array.push(number(at)).unwrap();
                }
                array.reserve(len + 50_000).unwrap();
                array.flush().unwrap();
                small.leave(0);
                if adopted {
                    // The spare room that one handle leaves is the next one's.
                    let next = MmapArray::<u64>::open_with(&path, &writable()).unwrap();
                    array.unlock().unwrap();
                    array = next;
                }
                for at in 0..len {
                    array.set(at, !number(at)).unwrap();
                }
                let len = fill(&mut array, FULL);
                assert!(len >= array.capacity(), "the spare room is used");
                array.flush().unwrap();
                small.sync();
                for at in 0..len {
                    array.set(at, number(at)).unwrap();
                }
                array.flush().unwrap();
                check(&array, len, &label);
                array.close().unwrap();
            });
            let array = MmapArray::<u64>::open(&path).unwrap();
            let whole = |at, element| element == number(at) || element == !number(at);
            let wrong = array.iter().enumerate().position(|(at, element)| !whole(at, element));
            cases.case(&label, || {
                assert_eq!(wrong, None, "an element is neither the old nor the new one");
                assert!(array.len() >= len, "{} elements are left", array.len());
                assert!(!ended || adopted || array.len() >= len + 50_000, "the spare room is used");
            });
            drop(array);
            std::fs::remove_file(&path).unwrap();
            small.give_back();
        }
    }
    tell_of_btrfs();
}

/// Who else has the file open when elements are taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beside {
    Nobody,
    AReader,
    AWriter,
    AChild,
}

/// A file without spare room, whose last page is full, on a full disk: there is no place for a footer to publish a shorter
/// length in, and without one nobody else would learn of it.
fn becoming_shorter(cases: &mut Cases) {
    let pages = cases.scale(vec![16], vec![1, 16, 300], vec![1, 2, 16, 100, 300, 1000]);
    for kind in Kind::ALL.into_iter().chain([Kind::Ext2]) {
        let Some(mounted) = kind.mount(32) else { continue };
        let small = small(&mounted);
        for pages in &pages {
            for beside in [Beside::Nobody, Beside::AReader, Beside::AWriter, Beside::AChild] {
                for exact in [false, true] {
                    let path = small.path("array");
                    let len = pages * 512;
                    let bytes: Vec<u8> = (0..len).flat_map(|at| number(at).to_ne_bytes()).collect();
                    std::fs::write(&path, &bytes).unwrap();
                    small.leave(0);
                    let label = format!("{}, {pages} pages, {beside:?}, exact: {exact}", kind.name());
                    attempt(cases, &label, kind, || shortened(&path, len, beside, exact, kind));
                    std::fs::remove_file(&path).unwrap();
                    small.give_back();
                }
            }
        }
    }
}

fn shortened(path: &Path, len: usize, beside: Beside, exact: bool, kind: Kind) {
    let mut array = MmapArray::<u64>::open_with(path, &options(exact)).unwrap();
    let other = match beside {
        Beside::AReader => Some(MmapArray::<u64>::open(path).unwrap()),
        Beside::AWriter => Some(MmapArray::<u64>::open_with(path, &writable()).unwrap()),
        _ => None,
    };
    let child = (beside == Beside::AChild).then(|| {
        Forked::start(|| {
            loop {
                std::thread::park();
            }
        })
    });
    let popped = array.pop();
    let mut left = len;
    // Some file systems find a page more than they said, and this one when it is asked again.
    if popped == Err(FULL) && kind != Kind::Ext2 {
        assert_ne!(beside, Beside::Nobody, "a handle that is alone");
        let others = [
            array.resize(len - 5),
            array.clear(),
            array.remove(3).map(drop),
            array.splice(3..9, &[1]),
            array.insert(0, 7),
            array.push(7),
        ];
        assert_eq!(others, [Err(FULL); 6]);
        assert_eq!(file_size(path), len as u64 * 8, "the file is as it was");
    } else if popped != Err(FULL) {
        assert_eq!(popped, Ok(Some(number(len - 1))));
        left -= 1;
        assert!(beside == Beside::Nobody || kind != Kind::Tmpfs, "there is no page left");
    }
    check(&array, left, "as it is");
    check(&MmapArray::<u64>::open(path).unwrap(), left, "as others see it");
    if let Some(mut other) = other {
        other.refresh().unwrap();
        check(&other, left, "the other one");
        drop(other);
    }
    // When they have gone there is nobody to tell.
    drop(child);
    if popped == Err(FULL) {
        assert_eq!(array.pop(), Ok(Some(number(left - 1))));
        left -= 1;
    }
    array.resize(left - 2).unwrap();
    array.shrink_to_fit().unwrap();
    array.close().unwrap();
    check_closed(path, left - 2);
}

/// ext2 has no fallocate that keeps the size; elsewhere it is made to fail.
fn without_fallocate(cases: &mut Cases) {
    for kind in Kind::ALL.into_iter().chain([Kind::Ext2]) {
        let Some(mounted) = kind.mount(32) else { continue };
        let small = small(&mounted);
        for free in amounts(cases) {
            filled(cases, &small, kind, How::NoFallocate, free);
        }
    }
    tell_of_btrfs();
}

/// A quota of btrfs; on the others `fallocate` fails beyond an offset, as it does with theirs.
fn quota(cases: &mut Cases) {
    if let Some(mounted) = Kind::Btrfs.mount(200) {
        quota_of_btrfs(cases, &mounted);
        tell_of_btrfs();
    }
    let offsets = cases.scale(2, 5, 60);
    for kind in [Kind::Tmpfs, Kind::Ext4, Kind::Xfs] {
        let Some(mounted) = kind.mount(32) else { continue };
        let path = mounted.path().join("array");
        for round in 0..offsets {
            // As an offset, or as the length of one call, so that steps must become smaller.
            for argument in [2, 3] {
                let from = 4096 * if argument == 2 { 1 + round * 7 } else { 1 + round };
                let label = format!("{}, argument {argument} from {from}", kind.name());
                std::fs::write(&path, []).unwrap();
                cases.child(&label, || {
                    fail_from(libc::SYS_fallocate, argument, from as u32, libc::EDQUOT);
                    let mut array = MmapArray::<u64>::open_with(&path, &writable()).unwrap();
                    if argument == 3 && from > 4096 {
                        // A page at a time is enough to go on.
                        for at in 0..50_000 {
                            array.push(number(at)).unwrap();
                        }
                        let size = array.len() + from as usize;
                        assert_eq!(array.reserve(size), Err(NO_QUOTA));
                        check(&array, 50_000, &label);
                    } else {
                        let len = fill(&mut array, NO_QUOTA);
                        refuses_all(&mut array, NO_QUOTA, false, &label);
                        check(&array, len, &label);
                    }
                    array.flush().unwrap();
                    array.close().unwrap();
                });
                cases.case(&label, || {
                    let mut array = MmapArray::<u64>::open_with(&path, &writable()).unwrap();
                    let len = array.len();
                    for at in len..len + 10_000 {
                        array.push(number(at)).unwrap();
                    }
                    array.close().unwrap();
                    check_closed(&path, len + 10_000);
                });
            }
        }
    }
}

fn quota_of_btrfs(cases: &mut Cases, mounted: &Mounted) {
    let btrfs = |arguments: &[&str]| {
        output_of(Command::new("btrfs").args(arguments).arg(mounted.path()), "btrfs-progs");
        small(mounted).sync();
    };
    let path = mounted.path().join("array");
    btrfs(&["quota", "enable"]);
    let rounds = cases.scale(2, 10, 200);
    for round in 0..rounds {
        std::fs::write(&path, []).unwrap();
        let limit = (256 << 10) + round * 52 * 1024;
        btrfs(&["qgroup", "limit", &limit.to_string()]);
        let label = format!("btrfs, a quota of {limit} bytes");
        let ended = attempt(cases, &label, Kind::Btrfs, || {
            let mut array = MmapArray::<u64>::open_with(&path, &writable()).unwrap();
            let len = fill(&mut array, NO_QUOTA);
            assert!(len > 1000, "{len} elements");
            refuses_all(&mut array, NO_QUOTA, false, &label);
            btrfs(&["qgroup", "limit", "none"]);
            for at in len..len + 10_000 {
                array.push(number(at)).unwrap();
            }
            check(&array, len + 10_000, &label);
            array.close().unwrap();
            check_closed(&path, len + 10_000);
        });
        btrfs(&["qgroup", "limit", "none"]);
        if !ended {
            check_prefix(&path, &label);
        }
        std::fs::remove_file(&path).unwrap();
        small(mounted).sync();
    }
}

/// How often the signal of the limit came.
static SIGNALS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count_signal(_: i32) {
    SIGNALS.fetch_add(1, Relaxed);
}

/// Sets the soft limit on the size of files.
fn limit_file_size(bytes: u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is there to be filled, and then to be read.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit), 0);
        limit.rlim_cur = bytes.min(limit.rlim_max);
        assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit), 0);
    }
}

fn disposition() -> libc::sighandler_t {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the call fills the structure that it is given.
    unsafe {
        assert_eq!(libc::sigaction(libc::SIGXFSZ, std::ptr::null(), action.as_mut_ptr()), 0);
        action.assume_init().sa_sigaction
    }
}

/// Runs a body with SIGXFSZ as it is by default, ignored and handled: it must stay so, and never come.
fn without_signal(cases: &mut Cases, label: &str, body: impl Fn()) {
    let handler = count_signal as extern "C" fn(i32) as libc::sighandler_t;
    for (name, action) in [("default", libc::SIG_DFL), ("ignored", libc::SIG_IGN), ("handled", handler)] {
        cases.child(format!("{label}, SIGXFSZ {name}"), || {
            // SAFETY: the handler has the required form, and only counts.
            unsafe { libc::signal(libc::SIGXFSZ, action) };
            body();
            assert_eq!(disposition(), action, "the disposition is another");
            assert_eq!(SIGNALS.load(Relaxed), 0, "a signal came");
        });
    }
}

fn size_limit(cases: &mut Cases) {
    let pages = cases.scale(vec![17], vec![0, 1, 16, 17, 150], (0..100).collect::<Vec<_>>());
    for place in [Place::Disk, Place::Memory] {
        let directory = place.directory();
        let path = directory.path().join("array");
        for page in &pages {
            for beyond in [0, 1, 32, 64, 4095] {
                for exact in [false, true] {
                    let limit = page * 4096 + beyond;
                    let label = format!("{place:?}, a limit of {limit} bytes, exact: {exact}");
                    without_signal(cases, &label, || up_to_limit(&path, limit, exact, &label));
                }
            }
        }
        for exact in [false, true] {
            let label = format!("{place:?}, a limit below the size, exact: {exact}");
            without_signal(cases, &label, || {
                above_limit(|| MmapArray::open_with(&path, &options(exact)), exact, &label);
                assert_eq!(std::fs::read(&path).unwrap(), b"");
            });
        }
    }
    without_signal(cases, "anonymous, a limit below the size", || {
        above_limit(MmapArray::anonymous, false, "anonymous");
    });
}

/// Grows up to the limit, gets an error for more, and goes on when the limit is gone.
fn up_to_limit(path: &Path, limit: u64, exact: bool, label: &str) {
    let mut array = MmapArray::<u64>::open_with(path, &options(exact)).unwrap();
    limit_file_size(limit);
    let len = fill(&mut array, TOO_BIG);
    check(&array, len, label);
    assert!(file_size(path) <= limit, "{label}");
    assert!(len as u64 * 8 + 8192 > limit, "{label}: {len} elements are less than the limit allows");
    refuses_all(&mut array, TOO_BIG, exact, label);
    array.flush().unwrap();
    limit_file_size(libc::RLIM_INFINITY);
    for at in len..len + 3000 {
        array.push(number(at)).unwrap();
    }
    array.close().unwrap();
    check_closed(path, len + 3000);
    std::fs::remove_file(path).unwrap();
}

/// An array that is larger already when the limit comes: it can be used, and become shorter, as before.
fn above_limit(open: impl Fn() -> mmap_backed_array::Result<MmapArray<u64>>, exact: bool, label: &str) {
    let mut array = open().unwrap();
    for at in 0..40_000 {
        array.push(number(at)).unwrap();
    }
    limit_file_size(5000);
    if exact {
        assert_eq!(array.push(1), Err(TOO_BIG), "{label}");
    } else {
        array.reserve(array.capacity()).unwrap();
        assert_eq!(array.reserve(array.capacity() + 1), Err(TOO_BIG), "{label}");
    }
    for left in (39_000..40_000).rev() {
        assert_eq!(array.pop(), Ok(Some(number(left))), "{label}");
    }
    array.resize(38_000).unwrap();
    array.set(5, 5).unwrap();
    array.set(5, number(5)).unwrap();
    let anonymous = label == "anonymous";
    // What tells the next grower that pages are gone stands at the end of the file.
    let shrunk = if anonymous { Err(TOO_BIG) } else { Ok(()) };
    assert_eq!(array.shrink_to_fit(), shrunk, "{label}");
    array.unlock().unwrap();
    check(&array, 38_000, label);
    // What the file's last page has no room for needs more file, or pages that the limit forbids.
    let more = array.extend_from_slice(&vec![0; 200_000]);
    assert_eq!(more, Err(TOO_BIG), "{label}");
    array.flush().unwrap();
    array.pop().unwrap();
    assert_eq!(array.shrink_to_fit(), shrunk, "{label}");
    array.clear().unwrap();
    array.close().unwrap();
}
