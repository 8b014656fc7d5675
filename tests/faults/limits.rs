//! Limits: on address space, memory, mappings, descriptors and locked memory.

use std::io::Read;
use std::path::Path;

use mmap_backed_array::{Error, MmapArray, OpenOptions};

use crate::campaign::{Cases, Fault};
use crate::helpers::Place;
use crate::helpers::limits::{many_at_once, raise_descriptor_limit, set_limit, set_limit_of_this_process};
use crate::helpers::space::{check, number};

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "address-space (RLIMIT_AS) of 64 MiB to 4 GiB",
        answer: "smaller reservations, then ENOMEM; malloc works",
        cases: address_space,
    },
    Fault {
        name: "overcommit mode 2",
        answer: "arrays take no share of the memory that is promised",
        cases: overcommit,
    },
    Fault {
        name: "mappings (vm.max_map_count) used up",
        answer: "ENOMEM; arrays that are there go on; malloc works",
        cases: mappings,
    },
    Fault { name: "many arrays in one process", answer: "all work, and all else too", cases: many },
    Fault {
        name: "descriptors (RLIMIT_NOFILE) used up",
        answer: "EMFILE, or less; none leaks",
        cases: descriptors,
    },
    Fault {
        name: "memlock (RLIMIT_MEMLOCK), mlockall",
        answer: "smaller reservations, then EAGAIN; malloc works",
        cases: locked_memory,
    },
];

/// Appends to an array, which must work up to its own limit, and looks at what it has then.
fn use_array(array: &mut MmapArray<u64>, count: usize) {
    let count = count.min(array.reserved());
    for at in array.len()..count {
        array.push(number(at)).unwrap_or_else(|error| panic!("append {at}: {error}"));
    }
    check(array, count, "under a limit");
}

/// `malloc` gives so many bytes in one piece, and they can be used.
fn malloc_works(bytes: usize) {
    // SAFETY: a block of so many bytes, if there is one; each page is stored to, and it is given back.
    unsafe {
        let block = libc::malloc(bytes).cast::<u8>();
        assert!(!block.is_null(), "malloc of {bytes} bytes: {}", std::io::Error::last_os_error());
        for at in (0..bytes).step_by(4096) {
            block.add(at).write_volatile(1);
        }
        libc::free(block.cast());
    }
}

/// Opens arrays until there is an error or there are so many; returns them and the error.
fn open_many(
    most: usize,
    mut open: impl FnMut(usize) -> mmap_backed_array::Result<MmapArray<u64>>,
) -> (Vec<MmapArray<u64>>, Option<Error>) {
    let mut arrays = Vec::with_capacity(most);
    for at in 0..most {
        match open(at) {
            Ok(array) => arrays.push(array),
            Err(error) => return (arrays, Some(error)),
        }
    }
    (arrays, None)
}

fn numbered(directory: &Path, at: usize) -> mmap_backed_array::Result<MmapArray<u64>> {
    if at.is_multiple_of(2) {
        MmapArray::anonymous()
    } else {
        MmapArray::open_or_create(directory.join(at.to_string()))
    }
}

fn address_space(cases: &mut Cases) {
    let sizes: Vec<u64> = cases.scale(
        vec![1 << 30],
        vec![64 << 20, 256 << 20, 1 << 30, 4 << 30],
        (1..=64).map(|n| n << 26).collect(),
    );
    for size in sizes {
        for most in [1, 10, 1000] {
            cases.child(format!("{size} bytes, {most} arrays"), || {
                let directory = Place::Memory.directory();
                raise_descriptor_limit(most * 2 + 100);
                set_limit(libc::RLIMIT_AS, size);
                let (mut arrays, error) = open_many(most, |at| numbered(directory.path(), at));
                // A gibibyte is enough for all of them.
                assert!(
                    error.is_none() || (error == Some(Error::Os(libc::ENOMEM)) && size < 1 << 30),
                    "{error:?}"
                );
                assert!(!arrays.is_empty());
                assert!(most > 10 || size < 1 << 30 || arrays.iter().all(|array| array.reserved() > 1 << 20));
                malloc_works(size as usize / 4);
                std::thread::spawn(|| {}).join().unwrap();
                for array in &mut arrays {
                    use_array(array, 1000);
                }
                malloc_works(size as usize / 4);
                // A wish that can't be had is an error, and takes nothing.
                let mut wish = OpenOptions::new();
                wish.write(true).create(true).reservation(size);
                let refused = MmapArray::<u64>::open_with(directory.path().join("wish"), &wish);
                assert_eq!(refused.err(), Some(Error::Os(libc::ENOMEM)));
                malloc_works(size as usize / 4);
            });
        }
        cases.child(format!("{size} bytes, and then no limit"), || {
            let limit = set_limit_of_this_process(libc::RLIMIT_AS, size);
            let small = MmapArray::<u64>::anonymous().unwrap().reserved();
            set_limit_of_this_process(libc::RLIMIT_AS, limit);
            let large = MmapArray::<u64>::anonymous().unwrap().reserved();
            assert!(
                small * 8 < size as usize && large * 8 > 1 << 33,
                "{small}, and {large} without the limit"
            );
        });
        // With hardly anything left: an error, or an array that works.
        cases.child(format!("{size} bytes, nearly all taken"), || {
            let directory = Place::Memory.directory();
            set_limit(libc::RLIMIT_AS, size);
            let mut taken = Vec::with_capacity(100_000);
            for piece in [1 << 24, 1 << 20, 1 << 16, 1 << 12] {
                while let Ok(map) = map_pages(piece) {
                    taken.push((map, piece));
                }
            }
            let mut outcomes = [0, 0];
            while let Some((map, piece)) = taken.pop() {
                let array = numbered(directory.path(), taken.len());
                outcomes[usize::from(array.is_ok())] += 1;
                match array {
                    Ok(mut array) => use_array(&mut array, 300),
                    Err(error) => assert_eq!(error, Error::Os(libc::ENOMEM)),
                }
                unmap_pages(map, piece);
                if outcomes[1] > 20 {
                    break;
                }
            }
            assert!(outcomes[0] > 0 && outcomes[1] > 0, "refused and opened: {outcomes:?}");
            taken.drain(..).for_each(|(map, piece)| unmap_pages(map, piece));
            malloc_works(size as usize / 4);
        });
    }
}

/// Maps memory without access.
fn map_pages(bytes: usize) -> std::io::Result<*mut libc::c_void> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping, at an address that the system chooses.
    let map = unsafe { libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_NONE, flags, -1, 0) };
    if map == libc::MAP_FAILED { Err(std::io::Error::last_os_error()) } else { Ok(map) }
}

fn unmap_pages(map: *mut libc::c_void, bytes: usize) {
    // SAFETY: the caller mapped it, and uses it no more.
    assert_eq!(unsafe { libc::munmap(map, bytes) }, 0);
}

/// Settings of the whole machine, put back when the value ends, and also if its process dies: by a child that waits
/// for that.
pub struct Settings {
    alive: Option<std::io::PipeWriter>,
    keeper: libc::pid_t,
}

impl Settings {
    pub fn change(settings: &[(&str, String)]) -> Settings {
        let old: Vec<_> = settings.iter().map(|(path, _)| (*path, read_setting(path))).collect();
        let (mut reader, alive) = std::io::pipe().unwrap();
        // SAFETY: the process has one thread; the child makes plain system calls and ends by _exit.
        let keeper = unsafe { libc::fork() };
        assert!(keeper >= 0, "{}", std::io::Error::last_os_error());
        if keeper == 0 {
            drop(alive);
            // SAFETY: no memory is passed. Neither the end of a session nor ^C is for this process.
            unsafe {
                libc::setsid();
                libc::signal(libc::SIGTERM, libc::SIG_IGN);
            }
            let _ = reader.read(&mut [0]);
            // In the opposite order, so that the strictest goes first.
            let failed =
                old.iter().rev().filter(|(path, value)| std::fs::write(path, value).is_err()).count();
            // SAFETY: ends the child without running the destructors that are the parent's.
            unsafe { libc::_exit(i32::from(failed > 0)) };
        }
        drop(reader);
        let settings_are = Settings { alive: Some(alive), keeper };
        for (path, value) in settings {
            std::fs::write(path, value).unwrap();
        }
        settings_are
    }
}

impl Drop for Settings {
    fn drop(&mut self) {
        self.alive = None;
        let mut status = 0;
        // SAFETY: waits for the child, and stores its status.
        unsafe { libc::waitpid(self.keeper, &raw mut status, 0) };
        assert_eq!(status, 0, "a setting of the machine wasn't put back");
    }
}

fn read_setting(path: &str) -> String {
    std::fs::read_to_string(path).unwrap().trim().to_owned()
}

/// What a line of `/proc/meminfo` says, in KiB.
fn meminfo(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("the line is there");
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
}

/// In mode 2 the system promises no more memory than it has, reservations or not. The whole machine is in it for a
/// moment, with much room for everybody else.
fn overcommit(cases: &mut Cases) {
    let rounds = cases.scale(1, 5, 50);
    for round in 0..rounds {
        let directory = Place::Disk.directory();
        let memory = Place::Memory.directory();
        // Room for 16 GiB more than is promised already: one reservation of 64 GiB that counted wouldn't fit. Setting
        // one of the two ways to say so sets the other to zero.
        let room = meminfo("Committed_AS") + (16 << 20);
        let in_kilobytes = read_setting("/proc/sys/vm/overcommit_kbytes") != "0";
        let settings = [
            if in_kilobytes {
                ("/proc/sys/vm/overcommit_kbytes", room.to_string())
            } else {
                ("/proc/sys/vm/overcommit_ratio", (room * 100 / meminfo("MemTotal") + 1).to_string())
            },
            ("/proc/sys/vm/overcommit_memory", "2".to_owned()),
        ];
        let guard = Settings::change(&settings);
        cases.child(format!("round {round}"), || {
            let before = meminfo("Committed_AS");
            let (mut arrays, error) = open_many(24, |at| {
                let directory = if at % 4 == 1 { directory.path() } else { memory.path() };
                numbered(directory, at)
            });
            assert_eq!(error, None);
            assert!(arrays.iter().all(|array| array.reserved() as u64 * 8 > 1 << 30), "large reservations");
            // Others come and go meanwhile; 24 times a GiB is more than that.
            let after = meminfo("Committed_AS");
            assert!(after < before + (8 << 20), "{before} KiB were promised before, {after} after");
            for array in &mut arrays {
                use_array(array, 50_000);
            }
            malloc_works(64 << 20);
            // A private mapping does count, all of it at once.
            let mut private = OpenOptions::new();
            private.private(true);
            let path = directory.path().join("large");
            std::fs::File::create(&path).unwrap().set_len(64 << 30).unwrap();
            let refused = MmapArray::<u64>::open_with(&path, &private);
            assert_eq!(refused.err(), Some(Error::Os(libc::ENOMEM)));
            malloc_works(64 << 20);
            use_array(&mut arrays[0], 60_000);
        });
        drop(guard);
    }
}

/// All the mappings that a process may have are used but a few.
fn mappings(cases: &mut Cases) {
    let most: usize = read_setting("/proc/sys/vm/max_map_count").parse().unwrap();
    let left = cases.scale(vec![0, 3, 8], (0..24).collect(), (0..64).collect::<Vec<usize>>());
    for left in left {
        cases.child(format!("{left} mappings left"), || {
            let directory = Place::Memory.directory();
            let mut old: Vec<_> = (0..4).map(|at| numbered(directory.path(), at).unwrap()).collect();
            old.iter_mut().for_each(|array| use_array(array, 100));
            // Every other page of a range with another protection is a mapping of its own.
            let bytes = (most + 2) * 4096;
            let range = map_pages(bytes).unwrap();
            let pages: Vec<_> =
                (0..most / 2 + 1).map(|at| range.wrapping_byte_add((2 * at + 1) * 4096)).collect();
            // SAFETY: the page is within the range.
            let protect = |page: &*mut libc::c_void, how| unsafe { libc::mprotect(*page, 4096, how) };
            let used = pages.iter().take_while(|page| protect(page, libc::PROT_READ) == 0).count();
            assert!(used < pages.len(), "the limit is reached");
            // One more may have fitted, where two were asked for.
            for page in pages[..used].iter().rev().take(left.div_ceil(2)) {
                assert_eq!(protect(page, libc::PROT_NONE), 0);
            }
            let mut opened = 0;
            let mut new = Vec::with_capacity(100);
            for at in 4..100 {
                match numbered(directory.path(), at) {
                    Ok(array) => new.push(array),
                    Err(error) => {
                        assert_eq!(error, Error::Os(libc::ENOMEM));
                        opened = at;
                        break;
                    }
                }
            }
            assert!(opened < 100 && new.len() <= left + 4, "{} were opened", new.len());
            for array in old.iter_mut().chain(&mut new) {
                use_array(array, 20_000);
                array.shrink_to_fit().unwrap();
                use_array(array, 40_000);
            }
            malloc_works(10_000);
            drop(new);
            // SAFETY: the range is this case's, and nobody uses it.
            assert_eq!(unsafe { libc::munmap(range, bytes) }, 0);
            malloc_works(64 << 20);
            use_array(&mut numbered(directory.path(), 101).unwrap(), 1000);
        });
    }
}

fn many(cases: &mut Cases) {
    for count in cases.scale(vec![1_000], vec![10_000], vec![100, 1_000, 10_000, 15_000]) {
        cases.child(format!("{count} arrays"), || many_at_once(count));
        cases.add(count as u64 - 1, None);
    }
}

fn open_descriptors() -> usize {
    // But the one that reads the directory.
    std::fs::read_dir("/proc/self/fd").unwrap().count() - 1
}

/// So many descriptors are left when an array is opened, and when it is first appended to.
fn descriptors(cases: &mut Cases) {
    taken(cases);
    for kind in 0..3 {
        for left in 0..cases.scale(5, 8, 12) {
            cases.child(format!("kind {kind}, {left} descriptors left"), || {
                let directory = Place::Disk.directory();
                let path = directory.path().join("array");
                std::fs::write(&path, number(0).to_ne_bytes()).unwrap();
                let before = open_descriptors();
                let highest = (0..1000).filter(|fd| is_open(*fd)).max().unwrap() as u64 + 1;
                // Numbers below the limit that are free already.
                let free = (0..highest as i32).filter(|fd| !is_open(*fd)).count() as u64;
                let fill: Vec<_> = (0..free).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
                set_limit(libc::RLIMIT_NOFILE, highest + left);
                let opened = match kind {
                    0 => MmapArray::<u64>::anonymous(),
                    1 => MmapArray::<u64>::open_or_create(&path),
                    _ => MmapArray::<u64>::open(&path),
                };
                match opened {
                    Err(error) => {
                        assert_eq!(error, Error::Os(libc::EMFILE));
                        // A file that may grow takes two, so that growing needs none.
                        assert_eq!(left, if kind == 1 { left.min(1) } else { 0 });
                    }
                    Ok(mut array) if kind < 2 => {
                        use_array(&mut array, 20_000);
                        // The name of a new file is in a directory that must be opened.
                        if let Err(error) = array.flush() {
                            assert_eq!((error, left), (Error::Os(libc::EMFILE), left.min(2)));
                        }
                        array.shrink_to_fit().unwrap();
                        array.unlock().unwrap();
                        use_array(&mut array, 30_000);
                        array.close().unwrap();
                    }
                    Ok(array) => check(&array, 1, "a reader"),
                }
                set_limit(libc::RLIMIT_NOFILE, highest + 100);
                drop(fill);
                assert_eq!(open_descriptors(), before, "none is left open");
                malloc_works(1 << 20);
            });
        }
    }
}

fn is_open(fd: i32) -> bool {
    // SAFETY: no memory is passed.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}

/// How many descriptors an array takes, so that it can be said how many arrays a process can have.
fn taken(cases: &mut Cases) {
    let directory = Place::Disk.directory();
    let path = directory.path().join("array");
    std::fs::write(&path, number(0).to_ne_bytes()).unwrap();
    let open = |write: bool| MmapArray::<u64>::open_with(&path, OpenOptions::new().write(write)).unwrap();
    type Make<'a> = &'a dyn Fn() -> MmapArray<u64>;
    let kinds: [(&str, usize, Make); 4] = [
        ("anonymous, which nobody shares", 1, &|| MmapArray::anonymous().unwrap()),
        ("for reading", 1, &|| open(false)),
        ("for writing", 2, &|| open(true)),
        ("private", 1, &|| MmapArray::open_with(&path, OpenOptions::new().private(true)).unwrap()),
    ];
    for (label, most, make) in kinds {
        cases.case(format!("descriptors of an array {label}"), || {
            let before = open_descriptors();
            let mut array = make();
            let _ = array.push(1);
            let _ = array.extend_from_slice(&[2; 20_000]);
            let _ = array.resize(3);
            array.refresh().unwrap();
            array.unlock().unwrap();
            let taken = open_descriptors() - before;
            assert!(taken <= most, "{taken} are taken");
            array.close().unwrap();
            assert_eq!(open_descriptors(), before);
        });
    }
}

/// All that is mapped from now on is locked in memory, of which a process without privileges may have so much.
fn locked_memory(cases: &mut Cases) {
    // What a hundred arrays take at the least, and a program around them, must fit.
    let sizes: Vec<u64> =
        cases.scale(vec![8 << 20], vec![4 << 20, 6 << 20, 8 << 20], (16..40).map(|n| n << 18).collect());
    for size in sizes {
        for count in [1, 4, 100] {
            cases.child(format!("{size} bytes, {count} arrays"), || {
                let directory = Place::Memory.directory();
                std::os::unix::fs::chown(directory.path(), Some(NOBODY), Some(NOBODY)).unwrap();
                set_limit(libc::RLIMIT_MEMLOCK, size);
                // SAFETY: no memory is passed.
                unsafe {
                    assert_eq!(libc::setgid(NOBODY), 0);
                    assert_eq!(libc::setuid(NOBODY), 0);
                    assert_eq!(libc::mlockall(libc::MCL_FUTURE), 0, "{}", std::io::Error::last_os_error());
                }
                let (mut arrays, error) = open_many(count, |at| numbered(directory.path(), at));
                assert!(error.is_none() || error == Some(Error::Os(libc::EAGAIN)), "{error:?}");
                assert!(!arrays.is_empty() && (count > 4 || error.is_none()), "{} arrays", arrays.len());
                malloc_works(size as usize / 4);
                for array in &mut arrays {
                    use_array(array, 1000);
                }
                malloc_works(size as usize / 4);
            });
        }
    }
}

/// The user and the group that have no rights.
const NOBODY: u32 = 65_534;
