//! Files that somebody else makes shorter under handles.

use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use mmap_backed_array::capi::*;
use mmap_backed_array::{Error, MmapArray, OpenOptions, Type, guard};

use crate::campaign::{Cases, Fault};
use crate::filesystem::Kind;
use crate::helpers::raw::Raw;
use crate::helpers::{Numbers, Place, binary_directory, file_size, output_of, writable};

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "truncated file, found by calls",
        answer: "MBA_ETRUNCATED, and nothing is touched; a reader's refresh follows",
        cases: noticed,
    },
    Fault { name: "sealed memory, truncated by others", answer: "the system refuses it", cases: sealed },
    Fault {
        name: "guarded process, files truncated at random",
        answer: "zeros, and MBA_ETRUNCATED from then on",
        cases: guarded,
    },
    Fault {
        name: "crowded process, no mapping left for the guard",
        answer: "the whole array reads as zeros",
        cases: crowded,
    },
    Fault {
        name: "python with faulthandler, files truncated",
        answer: "the same; other faults are faulthandler's",
        cases: python,
    },
    Fault {
        name: "jvm with the library, files truncated",
        answer: "the same; its own files give its InternalError",
        cases: jvm,
    },
];

const PAGE: u64 = 4096;

fn file_systems() -> impl Iterator<Item = Kind> {
    Kind::ALL.into_iter().chain([Kind::Ext2])
}

fn truncate(path: &Path, size: u64) {
    std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(size).unwrap();
}

/// A closed file of elements 1, 2, 3 ...
fn make(path: &Path, len: u32) {
    let bytes: Vec<u8> = (1..=len).flat_map(u32::to_ne_bytes).collect();
    std::fs::write(path, bytes).unwrap();
}

fn number(value: u32) -> [u8; 4] {
    value.to_ne_bytes()
}

fn uint32() -> Type {
    Type::from_code(MBA_UINT32).unwrap()
}

/// Every call that looks at the file notices, and touches nothing.
fn noticed(cases: &mut Cases) {
    type Call = (&'static str, fn(&Raw) -> Result<(), i32>);
    // What looks at the file while there is spare room.
    const WITH_ROOM: [Call; 8] = [
        ("append beyond the room", |array| {
            array.extend(&[number(1)].repeat(array.capacity() - array.len() + 1).concat())
        }),
        ("insert beyond the room", |array| {
            array.splice(0, 0, &[number(1)].repeat(array.capacity() - array.len() + 1).concat())
        }),
        ("resize", |array| array.resize(array.capacity() + 1)),
        ("reserve", |array| array.reserve(array.capacity() + 1)),
        ("shrink_to_fit", Raw::shrink_to_fit),
        ("refresh", Raw::refresh),
        ("flush", Raw::flush),
        ("lock, then refresh", |array| array.lock(0).and_then(|()| array.refresh())),
    ];
    // Without it, each change does.
    const EXACT: [Call; 13] = [
        ("append", |array| array.append(&number(1))),
        ("pop", |array| array.pop().map(drop)),
        ("insert", |array| array.insert(0, &number(1))),
        ("remove", |array| array.remove(array.len() - 1).map(drop)),
        ("remove the first", |array| array.remove(0).map(drop)),
        ("extend", |array| array.extend(&[0; 4096])),
        ("splice", |array| array.splice(array.len() - 2, 2, &number(1))),
        ("resize", |array| array.resize(array.len() + 1)),
        ("resize to less", |array| array.resize(1)),
        ("clear", Raw::clear),
        ("shrink_to_fit", Raw::shrink_to_fit),
        ("refresh", Raw::refresh),
        ("flush", Raw::flush),
    ];
    for kind in file_systems() {
        let Some(place) = kind.mount(1) else { continue };
        let path = place.path().join("array");
        for (flags, calls) in [(MBA_RDWR, &WITH_ROOM[..]), (MBA_RDWR | MBA_EXACT, &EXACT[..])] {
            for (name, call) in calls {
                for lost in [1, 4, PAGE, 3 * PAGE + 4, u64::MAX] {
                    let label = format!("{}: {lost} bytes less, {name}, flags {flags}", place.kind.name());
                    cases.child(label, || {
                        make(&path, 5000);
                        let array = Raw::open(&path, uint32(), flags).unwrap();
                        array.append(&number(5001)).unwrap();
                        let (size, len) = (file_size(&path).saturating_sub(lost), array.len());
                        truncate(&path, size);
                        let left = std::fs::read(&path).unwrap();
                        assert_eq!(call(&array), Err(MBA_ETRUNCATED));
                        assert_eq!(array.len(), len);
                        assert_eq!(array.close(), Err(MBA_ETRUNCATED), "close");
                        assert!(std::fs::read(&path).unwrap() == left, "the file was touched");
                        let array = Raw::open(&path, uint32(), MBA_RDWR);
                        assert_eq!(array.map(|array| array.len()).unwrap(), left.len() / 4, "it opens again");
                    });
                }
            }
        }
        // Who doesn't hold the lock follows.
        for flags in [MBA_RDONLY, MBA_RDWR] {
            for len in [0u64, 1, 1024, 2500, 4999] {
                cases.child(format!("{}: a handle follows to {len}", place.kind.name()), || {
                    make(&path, 5000);
                    let array = Raw::open(&path, uint32(), flags).unwrap();
                    truncate(&path, 4 * len);
                    array.refresh().unwrap();
                    assert_eq!(array.len() as u64, len);
                    let last = (len as usize).checked_sub(1);
                    assert_eq!(
                        last.map(|at| array.get(at)),
                        last.map(|at| Ok(number(at as u32 + 1).to_vec()))
                    );
                    assert_eq!(array.get(len as usize), Err(MBA_EINDEX));
                    array.flush().unwrap();
                    array.close().unwrap();
                });
            }
        }
    }
}

/// Nobody can make anonymous memory shorter, by whatever descriptor.
fn sealed(cases: &mut Cases) {
    let lens = cases.scale(20, 200, 2000);
    let mut numbers = Numbers::any();
    for round in 0..lens {
        let len = if round == 0 { 1 } else { numbers.below(200_000) as u32 + 1 };
        cases.child(format!("{len} elements"), || {
            let array = Raw::anonymous(uint32()).unwrap();
            let values: Vec<u8> = (1..=len).flat_map(u32::to_ne_bytes).collect();
            array.extend(&values).unwrap();
            let reader = Raw::descriptor(array.fd(), uint32(), MBA_RDONLY).unwrap();
            let size = |fd| {
                let link = std::fs::metadata(format!("/proc/self/fd/{fd}"));
                link.unwrap().len()
            };
            let full = size(array.fd());
            // SAFETY: no memory is passed.
            let seals = unsafe { libc::fcntl(array.fd(), libc::F_GET_SEALS) };
            assert_eq!(seals & libc::F_SEAL_SHRINK, libc::F_SEAL_SHRINK);
            let anew = format!("/proc/self/fd/{}", array.fd());
            let anew = std::fs::OpenOptions::new().write(true).open(anew).unwrap();
            // The reader's is a description of its own, by which nothing can be changed at all.
            let all =
                [(array.fd(), libc::EPERM), (reader.fd(), libc::EINVAL), (anew.as_raw_fd(), libc::EPERM)];
            for (fd, errno) in all {
                for size in [0, full / 2, full - 1] {
                    // SAFETY: no memory is passed.
                    let result = unsafe { libc::ftruncate(fd, size as i64) };
                    let error = std::io::Error::last_os_error().raw_os_error();
                    assert_eq!((result, error), (-1, Some(errno)));
                }
            }
            let mut again = std::fs::OpenOptions::new();
            let _ = again.write(true).truncate(true).open(format!("/proc/self/fd/{}", array.fd()));
            assert_eq!(size(array.fd()), full, "O_TRUNC is no way round it");
            assert!(array.read(0, len as usize).unwrap() == values);
            assert!(reader.read(0, len as usize).unwrap() == values);
            // Nor does the library: it gives back memory, and the size stays.
            array.resize(1).unwrap();
            array.shrink_to_fit().unwrap();
            array.close().unwrap();
            assert_eq!(size(reader.fd()), full);
            assert_eq!(reader.get(len as usize - 1).map(|_| ()), Ok(()), "no fault by an old length");
        });
    }
}

/// Several threads read and store anywhere in arrays that a process truncates, and lengthens, at any moment.
fn guarded(cases: &mut Cases) {
    let rounds = cases.scale(12, 300, 5000);
    let mut numbers = Numbers::any();
    for kind in file_systems() {
        let Some(place) = kind.mount(4) else { continue };
        let path = place.path().join("array");
        for round in 0..rounds {
            let seed = numbers.next();
            let grows = round % 3 == 0;
            cases.child(format!("{}: seed {seed}", place.kind.name()), || guarded_round(&path, seed, grows));
        }
    }
}

fn guarded_round(path: &Path, seed: u64, grows: bool) {
    const LEN: u32 = 100_000;
    let mut numbers = Numbers(seed);
    make(path, LEN);
    let mut options = OpenOptions::new();
    match numbers.below(4) {
        0 => {}
        1 => drop(options.write(true)),
        2 => drop(options.write(true).exact(true)),
        _ => drop(options.private(true)),
    }
    let late = numbers.below(2) == 0;
    let open = || MmapArray::<u32>::open_with(path, &options).unwrap();
    let mut early = None;
    if late {
        early = Some(open());
    }
    guard::enable().unwrap();
    let mut array = early.unwrap_or_else(open);
    let smallest = AtomicU32::new(LEN);
    // All sizes that the file is given, each before it has it.
    let sizes = [const { AtomicU64::new(0) }; 10];
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let mut numbers = Numbers(numbers.next());
            let (array, sizes) = (&array, &sizes);
            scope.spawn(move || {
                for _ in 0..2000 {
                    let at = numbers.below(u64::from(LEN)) as usize;
                    let value = array.get(at).unwrap();
                    if value == 0 {
                        // Part of a page is zero without a fault, and so is what is there again.
                        let ends_here = |size: &AtomicU64| size.load(Relaxed) / PAGE == at as u64 * 4 / PAGE;
                        if !grows && !sizes.iter().any(ends_here) {
                            assert_eq!(array.to_vec(0..1), Err(Error::Truncated), "a zero before it is told");
                        }
                    } else {
                        assert_eq!(value, at as u32 + 1);
                    }
                    if numbers.below(4) == 0 && !array.is_readonly() {
                        array.set(at, at as u32 + 1).unwrap();
                    }
                }
            });
        }
        let mut cutter = Numbers(numbers.next());
        let (smallest, sizes) = (&smallest, &sizes);
        scope.spawn(move || {
            let mut size = u64::from(LEN) * 4;
            for place in sizes {
                size = cutter.below(if grows { u64::from(LEN) } else { size / 4 + 1 }) * 4;
                place.store(size, Relaxed);
                truncate(path, size);
                smallest.fetch_min((size / 4) as u32, Relaxed);
            }
        });
    });
    let smallest = smallest.into_inner() as usize;
    if !grows && file_size(path) <= u64::from(LEN - 2048) * 4 {
        // What was set there since is there, and nowhere else.
        assert!(matches!(array.get(LEN as usize - 1), Some(0 | LEN)));
        assert!(array.is_truncated());
    }
    if array.is_truncated() {
        assert!(smallest < LEN as usize);
        assert_eq!(array.push(1), Err(Error::Truncated));
        assert_eq!(array.refresh(), Err(Error::Truncated));
        assert_eq!(array.close(), Err(Error::Truncated));
    } else {
        assert!(grows || smallest >= LEN as usize - 2048, "{smallest} were left, and nobody noticed");
    }
    guard::disable().unwrap();
    // The rest is what a new handle has; in part zeros, where it was truncated and lengthened.
    let size = file_size(path);
    let mut array = MmapArray::<u32>::open_with(path, &writable()).unwrap();
    assert_eq!(array.len() as u64, size / 4);
    assert!(array.iter().zip(1..).all(|(value, right)| value == right || (grows && value == 0)));
    array.push(7).unwrap();
    array.close().unwrap();
}

/// With as many mappings as the system allows a process, the guard can't split one: it takes the whole.
fn crowded(cases: &mut Cases) {
    let place = Place::Disk;
    for writes in [false, true] {
        cases.child(format!("writable: {writes}"), || {
            let directory = place.directory();
            let path = directory.path().join("array");
            make(&path, 100_000);
            let array = MmapArray::<u32>::open_with(&path, OpenOptions::new().write(writes)).unwrap();
            guard::enable().unwrap();
            truncate(&path, 10 * PAGE);
            // Every other page without access: no two of them become one mapping.
            const MANY: usize = 70_000;
            let page = PAGE as usize;
            // SAFETY: a new mapping, parts of which are changed, as far as the system allows.
            let full = unsafe {
                let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
                let map = libc::mmap(std::ptr::null_mut(), 2 * MANY * page, libc::PROT_READ, flags, -1, 0);
                assert_ne!(map, libc::MAP_FAILED);
                let page_at = |at: usize| map.byte_add(2 * at * page);
                (0..MANY).any(|at| libc::mprotect(page_at(at), page, libc::PROT_NONE) != 0)
            };
            assert!(full, "the system allows more mappings than this");
            assert_eq!(array.get(99_999), Some(0));
            assert_eq!(array.get(0), Some(0), "what was left is gone too");
            assert!(array.is_truncated());
            assert_eq!(array.to_vec(..), Err(Error::Truncated));
            assert_eq!(array.close(), Err(Error::Truncated));
            assert_eq!(file_size(&path), 10 * PAGE);
        });
    }
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults").join(name)
}

fn python(cases: &mut Cases) {
    let library = binary_directory().join("libmmap_backed_array.so");
    for round in 0..cases.scale(1, 5, 100) {
        for place in [Place::Disk, Place::Memory] {
            // What faulthandler says, if it is there, when the process comes to its end by a map of Python's own.
            for (scenario, dumps) in [
                ("guard-after", true),
                ("guard-again", true),
                ("unloaded", true),
                ("disabled", true),
                ("faulthandler-off", false),
            ] {
                cases.case(format!("{scenario}, {place:?}, round {round}"), || {
                    let directory = place.directory();
                    let output = Command::new("python3")
                        .arg(source("guard.py"))
                        .args([library.as_path(), directory.path()])
                        .arg(scenario)
                        .stdin(Stdio::null())
                        .output()
                        .unwrap_or_else(|error| panic!("python3: {error}; install the package python3"));
                    let printed = String::from_utf8_lossy(&output.stdout);
                    let errors = String::from_utf8_lossy(&output.stderr);
                    assert_eq!(printed, "now\n", "{}\n{errors}", output.status);
                    assert_eq!(output.status.signal(), Some(libc::SIGBUS), "{errors}");
                    let dumped =
                        errors.contains("Fatal Python error: Bus error") && errors.contains("elsewhere");
                    assert_eq!(dumped, dumps, "{errors}");
                });
            }
        }
    }
}

fn jvm(cases: &mut Cases) {
    const PACKAGE: &str = "openjdk-17-jdk-headless";
    let scratch = Place::Disk.directory();
    let at = |name: &str| scratch.path().join(name);
    let sources = source("jvm");
    let compiler = output_of(Command::new("sh").args(["-c", "command -v javac"]), PACKAGE);
    let compiler = std::fs::canonicalize(compiler.trim()).unwrap();
    let home = compiler.ancestors().nth(2).expect("javac is in a directory of its JDK");
    output_of(Command::new(&compiler).arg("-d").arg(scratch.path()).arg(sources.join("Guard.java")), PACKAGE);
    let library = binary_directory();
    let glue = at("libglue.so");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&glue);
    for directory in [home.join("include"), home.join("include/linux"), source("../../include")] {
        cc.arg("-I").arg(directory);
    }
    // The glue finds the library of this build by its soname, in the directory of its own.
    let soname = env!("MBA_SONAME");
    std::fs::copy(library.join("libmmap_backed_array.so"), at(soname)).unwrap();
    cc.arg(sources.join("glue.c")).arg(at(soname)).arg("-Wl,-rpath,$ORIGIN");
    output_of(&mut cc, "gcc");
    let rounds = cases.scale(20, 40, 1000);
    // All code compiled, some of it, none of it, which is slow; with one collector or the other.
    for (options, rounds) in [
        (&["-XX:+UseSerialGC"][..], rounds),
        (&["-XX:TieredStopAtLevel=1"], rounds),
        (&["-XX:+UseG1GC", "-Xcomp"], cases.scale(0, 5, 50)),
        (&["-Xint"], cases.scale(0, 5, 50)),
    ] {
        for place in [Place::Disk, Place::Memory].into_iter().filter(|_| rounds > 0) {
            cases.case(format!("{options:?}, {place:?}"), || {
                let directory = place.directory();
                let mut java = Command::new(home.join("bin/java"));
                java.args(options).args(["-Xmx256m", "-cp"]).arg(scratch.path()).arg("Guard").arg(&glue);
                java.arg(directory.path()).arg(rounds.to_string()).current_dir(scratch.path());
                let output = java.stdin(Stdio::null()).output().unwrap();
                let printed = String::from_utf8_lossy(&output.stdout);
                let errors = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{}\n{printed}{errors}", output.status);
                assert_eq!(printed, "all is well\n");
            });
        }
    }
}
