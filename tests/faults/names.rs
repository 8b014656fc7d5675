//! Names that somebody else has taken, permissions of what is made, and descriptors that must not leak.

use std::collections::HashSet;
use std::ffi::{CString, c_int};
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mmap_backed_array::Type;
use mmap_backed_array::capi::*;

use crate::campaign::{Cases, Fault};
use crate::helpers::footer;
use crate::helpers::raw::Raw;
use crate::helpers::trace::{Stop, Traced};
use crate::helpers::{Place, output_of};

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "squatted names of shared memory",
        answer: "EACCES, EEXIST, ELOOP, EISDIR, ENODEV at once; nothing behind the name is touched",
        cases: squatters,
    },
    Fault {
        name: "bad names of shared memory",
        answer: "EINVAL, ENAMETOOLONG or ENOENT, and nothing is made or removed",
        cases: bad_names,
    },
    Fault {
        name: "permissions of what is made",
        answer: "the mode asked for under the umask; what is there keeps its own",
        cases: permissions,
    },
    Fault {
        name: "descriptors in programs that are started",
        answer: "none: each is close-on-exec from its first moment",
        cases: descriptors,
    },
];

/// A squatter, and another user who doesn't want to be fooled.
const NOBODY: u32 = 65534;
const SOMEBODY: u32 = 65533;

/// A way to ask for named memory.
const ASKED: [u32; 7] = [
    MBA_RDONLY,
    MBA_RDWR,
    MBA_PRIVATE,
    MBA_RDWR | MBA_CREATE,
    MBA_RDWR | MBA_EXACT,
    MBA_RDWR | MBA_CREATE | MBA_EXACT,
    MBA_RDWR | MBA_CREATE | MBA_EXCL,
];

fn uint32() -> Type {
    Type::from_code(MBA_UINT32).unwrap()
}

/// Named memory of this test, removed with the value, whoever has made it.
pub struct Name {
    name: CString,
    path: PathBuf,
}

impl Name {
    pub fn new(word: &str) -> Name {
        let name = format!("mba-faults-{word}-{}", std::process::id());
        Name { path: Path::new("/dev/shm").join(&name), name: CString::new(format!("/{name}")).unwrap() }
    }

    pub fn open(&self, flags: u32) -> Result<Raw, i32> {
        self.open_as(uint32(), flags)
    }

    pub fn open_as(&self, ty: Type, flags: u32) -> Result<Raw, i32> {
        Raw::shared(&self.name, ty, flags)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_dir(&self.path);
    }
}

/// Becomes another user, for the rest of the process.
fn become_user(id: u32) {
    // SAFETY: no memory is passed but an empty list.
    unsafe {
        assert_eq!(libc::setgroups(0, std::ptr::null()), 0, "it takes root to be others");
        assert_eq!(libc::setgid(id), 0);
        assert_eq!(libc::setuid(id), 0);
    }
}

/// What waits for ever kills the child instead.
fn impatient() {
    // SAFETY: no memory is passed.
    unsafe { libc::alarm(20) };
}

/// Everything about a file that a call could have changed.
fn state(path: &Path) -> (u64, u32, u32, u64, u64, i64, Option<Vec<u8>>) {
    let stat = fs::symlink_metadata(path).unwrap();
    let bytes = stat.is_file().then(|| fs::read(path).unwrap());
    (stat.ino(), stat.mode(), stat.uid(), stat.nlink(), stat.size(), stat.ctime_nsec(), bytes)
}

fn squatters(cases: &mut Cases) {
    for flags in ASKED {
        let exclusive = flags & MBA_EXCL != 0;
        let expect = |otherwise: i32| if exclusive { libc::EEXIST } else { otherwise };

        // Memory of another user, which only that one may touch.
        let name = Name::new("private");
        in_order(
            cases,
            flags,
            "another user's memory",
            &name,
            expect(libc::EACCES),
            Some(SOMEBODY),
            |name| {
                become_user(NOBODY);
                fs::write(&name.path, [1; 12]).unwrap();
                fs::set_permissions(&name.path, fs::Permissions::from_mode(0o600)).unwrap();
            },
        );
        // And with an invitation to everybody, and a lie for a footer: it is refused, or what it says is.
        let name = Name::new("open");
        in_order(
            cases,
            flags,
            "a lie for all to open",
            &name,
            expect(MBA_ECORRUPT),
            Some(SOMEBODY),
            |name| {
                become_user(NOBODY);
                let mut page = [0xff; 4096];
                page[4096 - footer::SIZE..][..8].copy_from_slice(&footer::MAGIC);
                fs::write(&name.path, page).unwrap();
                fs::set_permissions(&name.path, fs::Permissions::from_mode(0o666)).unwrap();
            },
        );
        // A link that would lead whoever follows it to a file of their own, or make one for them.
        let directory = Place::Memory.directory();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
        for (what, there) in [("a link to a file", true), ("a link to nothing", false)] {
            let victim = directory.path().join(if there { "victim" } else { "none" });
            if there {
                fs::write(&victim, [2; 12]).unwrap();
            }
            let name = Name::new("link");
            in_order(cases, flags, what, &name, expect(libc::ELOOP), None, |name| {
                become_user(NOBODY);
                symlink(&victim, &name.path).unwrap();
            });
            cases.case(format!("flags {flags}, {what}: its target"), || match there {
                true => assert_eq!(fs::read(&victim).unwrap(), [2; 12]),
                false => assert!(!victim.exists()),
            });
        }
        let name = Name::new("directory");
        in_order(cases, flags, "a directory", &name, expect(libc::EISDIR), None, |name| {
            fs::create_dir(&name.path).unwrap();
        });
        let name = Name::new("fifo");
        in_order(cases, flags, "a FIFO", &name, expect(libc::ENODEV), None, |name| {
            output_of(Command::new("mkfifo").arg(&name.path), "coreutils");
        });
        let name = Name::new("socket");
        in_order(cases, flags, "a socket", &name, expect(libc::ENODEV), None, |name| {
            drop(std::os::unix::net::UnixListener::bind(&name.path).unwrap());
        });
        let name = Name::new("device");
        in_order(cases, flags, "a device", &name, expect(libc::ENODEV), None, |name| {
            output_of(Command::new("mknod").arg(&name.path).args(["c", "1", "5"]), "coreutils");
        });
    }
    // A name of one's own that is somebody else's in the end: what is open stays what it was.
    cases.child("replaced under a handle", || {
        let name = Name::new("replaced");
        let array = name.open(MBA_RDWR | MBA_CREATE | MBA_EXCL).unwrap();
        array.append(&[1; 4]).unwrap();
        fs::remove_file(&name.path).unwrap();
        fs::write(&name.path, [9; 64]).unwrap();
        let before = state(&name.path);
        array.append(&[2; 4]).unwrap();
        array.flush().unwrap();
        array.unlock().unwrap();
        array.append(&[3; 4]).unwrap();
        assert_eq!(array.read(0, 3).unwrap(), [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]);
        array.close().unwrap();
        assert_eq!(state(&name.path), before, "the other file isn't touched");
    });
}

/// One squatter and one caller, each in a child, as the user that it is to be.
fn in_order(
    cases: &mut Cases,
    flags: u32,
    what: &str,
    name: &Name,
    code: i32,
    caller: Option<u32>,
    squat: impl FnOnce(&Name),
) {
    cases.child(format!("{what}: set up"), || squat(name));
    let before = state(&name.path);
    cases.child(format!("flags {flags}, {what}"), || {
        impatient();
        if let Some(user) = caller {
            become_user(user);
        }
        let given = name.open(flags).map(drop);
        // In a directory for all, such as this one, kernels may refuse what others have put there to who would
        // make it. Of a directory's name the C library says EINVAL, but for reading only.
        let guarded = flags & MBA_CREATE != 0 && given == Err(libc::EACCES);
        let guarded = guarded || (code == libc::EISDIR && given == Err(libc::EINVAL));
        assert!(given == Err(code) || guarded, "{given:?}, not {code}");
        if caller.is_some() {
            let removed = mba_unlink(name);
            assert!(matches!(removed, libc::EACCES | libc::EPERM), "unlinking gives {removed}");
        }
    });
    assert_eq!(state(&name.path), before, "{what}, flags {flags}: what has the name is touched");
}

fn mba_unlink(name: &Name) -> i32 {
    // SAFETY: a C string.
    unsafe { mba_shm_unlink(name.name.as_ptr()) }
}

fn bad_names(cases: &mut Cases) {
    let listed = || -> HashSet<String> {
        let entries = fs::read_dir("/dev/shm").unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        names.filter(|name| name.contains("mba-faults-bad") || name.contains("xxxxxxxx")).collect()
    };
    let own = format!("mba-faults-bad-{}", std::process::id());
    let long = |count: usize| format!("/{}", "x".repeat(count));
    let directory = Place::Memory.directory();
    let inside = directory.path().strip_prefix("/dev/shm").unwrap().join("below");
    let names = [
        String::new(),
        "/".into(),
        "//".into(),
        format!("/{own}/"),
        format!("/{own}/below"),
        format!("/../shm/{own}"),
        format!("/../../tmp/{own}"),
        format!("/{}", inside.display()),
        "/.".into(),
        "/..".into(),
        long(256),
        long(400),
        long(4096),
        long(100_000),
    ];
    for name in names {
        let text = CString::new(name.clone()).unwrap();
        for flags in ASKED {
            cases.child(format!("{:.30}, flags {flags}", name), || {
                impatient();
                let before = listed();
                let code = Raw::shared(&text, uint32(), flags).map(drop).expect_err("a bad name opens");
                let dots = [libc::EISDIR, libc::EEXIST, libc::EINVAL];
                let sound = match name.as_str() {
                    "/." | "/.." => dots.contains(&code),
                    _ => matches!(code, libc::EINVAL | libc::ENAMETOOLONG),
                };
                assert!(sound, "the answer {code}");
                assert_eq!(listed(), before);
                assert!(!directory.path().join("below").exists());
            });
        }
        cases.case(format!("{name:.30}, unlinked"), || {
            // SAFETY: a C string.
            let code = unsafe { mba_shm_unlink(text.as_ptr()) };
            assert!(code > 0, "unlinking gives {code}");
            assert!(directory.path().is_dir() && Path::new("/dev/shm").is_dir());
        });
    }
}

fn permissions(cases: &mut Cases) {
    let bits: Vec<u32> = match cases.scale(0, 1, 2) {
        0 => vec![0, 0o022, 0o027, 0o077, 0o177, 0o777],
        1 => (0..0o1000).step_by(9).chain([0o777]).collect(),
        _ => (0..0o1000).collect(),
    };
    let directory = Place::Memory.directory();
    let path = directory.path().join("made");
    let text = CString::new(path.to_str().unwrap()).unwrap();
    let name = Name::new("made");
    let mode_of = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    for mask in &bits {
        // SAFETY: no memory is passed; this process has one thread, and is used for nothing else.
        unsafe { libc::umask(*mask as libc::mode_t) };
        for mode in &bits {
            cases.case(format!("umask {mask:04o}, mode {mode:04o}"), || {
                let asked = if *mode == 0 { 0o666 } else { *mode };
                let options =
                    mba_options { size: size_of::<mba_options>() as u32, mode: *mode, reservation: 1 << 16 };
                let open = |flags| {
                    let mut array = std::ptr::null_mut();
                    // SAFETY: a C string, options, and a place for the handle, which ends here.
                    unsafe {
                        let code = mba_open_with(
                            text.as_ptr(),
                            MBA_UINT32,
                            flags,
                            &raw const options,
                            &raw mut array,
                        );
                        mba_free(array);
                        code
                    }
                };
                assert_eq!(open(MBA_RDWR | MBA_CREATE | MBA_EXCL), MBA_OK);
                assert_eq!(mode_of(&path), asked & !mask);
                // What is there keeps its permissions.
                fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
                assert_eq!(open(MBA_RDWR | MBA_CREATE), MBA_OK);
                assert_eq!(mode_of(&path), 0o604);
                fs::remove_file(&path).unwrap();
            });
        }
        cases.case(format!("umask {mask:04o}, defaults"), || {
            let opened = Raw::open(&path, uint32(), MBA_RDWR | MBA_CREATE).unwrap();
            opened.append(&[1; 4]).unwrap();
            opened.close().unwrap();
            assert_eq!(mode_of(&path), 0o666 & !mask);
            fs::remove_file(&path).unwrap();
            let opened = name.open(MBA_RDWR | MBA_CREATE).unwrap();
            opened.append(&[1; 4]).unwrap();
            opened.close().unwrap();
            assert_eq!(mode_of(&name.path), 0o600 & !mask, "named memory is its maker's alone");
            fs::remove_file(&name.path).unwrap();
        });
    }
    for bit in 12..32 {
        cases.case(format!("mode bit {bit}"), || {
            let options = mba_options { size: 16, mode: 1 << bit, reservation: 0 };
            let (mut array, flags) = (std::ptr::null_mut(), MBA_RDWR | MBA_CREATE);
            // SAFETY: a C string, options, and a place for the handle.
            let code = unsafe {
                mba_open_with(text.as_ptr(), MBA_UINT32, flags, &raw const options, &raw mut array)
            };
            assert_eq!((code, path.exists()), (libc::EINVAL, false));
        });
    }
    // SAFETY: no memory is passed.
    unsafe { libc::umask(0o022) };
}

/// Every way to open an array, by name.
pub const WAYS: [&str; 12] = [
    "read-only",
    "read-write",
    "private",
    "exact",
    "created",
    "anonymous",
    "named",
    "named, read-only",
    "descriptor, read-only",
    "descriptor, read-write",
    "descriptor, private",
    "descriptor of anonymous memory",
];

/// Opens an array in one of the ways, and does what makes it open whatever else it needs.
pub fn open_and_use(way: &str, path: &Path, name: &Name) -> Vec<Raw> {
    let ty = uint32();
    let of_path = |flags| Raw::open(path, ty, flags).unwrap();
    let of_fd = |flags| {
        let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
        Raw::descriptor(file.as_raw_fd(), ty, flags).unwrap()
    };
    let arrays = match way {
        "read-only" => vec![of_path(MBA_RDONLY)],
        "read-write" => vec![of_path(MBA_RDWR)],
        "private" => vec![of_path(MBA_PRIVATE)],
        "exact" => vec![of_path(MBA_RDWR | MBA_EXACT)],
        "created" => {
            let _ = fs::remove_file(path.with_extension("new"));
            vec![Raw::open(&path.with_extension("new"), ty, MBA_RDWR | MBA_CREATE | MBA_EXCL).unwrap()]
        }
        "anonymous" => vec![Raw::anonymous(ty).unwrap()],
        "named" => vec![name.open(MBA_RDWR | MBA_CREATE).unwrap()],
        "named, read-only" => {
            vec![name.open(MBA_RDWR | MBA_CREATE).unwrap(), name.open(MBA_RDONLY).unwrap()]
        }
        "descriptor, read-only" => vec![of_fd(MBA_RDONLY)],
        "descriptor, read-write" => vec![of_fd(MBA_RDWR)],
        "descriptor, private" => vec![of_fd(MBA_PRIVATE)],
        "descriptor of anonymous memory" => {
            let array = Raw::anonymous(ty).unwrap();
            let other = Raw::descriptor(array.fd(), ty, MBA_RDWR).unwrap();
            vec![array, other]
        }
        other => panic!("the way {other}"),
    };
    for array in &arrays {
        let _ = array.append(&[1; 4]);
        let _ = array.flush();
        let _ = array.refresh();
    }
    arrays
}

pub fn open_descriptors() -> Vec<(c_int, PathBuf)> {
    let entries = fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap());
    let number = |entry: &fs::DirEntry| entry.file_name().to_str().unwrap().parse().unwrap();
    // The one that lists them is gone afterwards.
    entries.filter_map(|entry| Some((number(&entry), fs::read_link(entry.path()).ok()?))).collect()
}

fn descriptors(cases: &mut Cases) {
    for way in WAYS {
        for place in [Place::Memory, Place::Disk] {
            let directory = place.directory();
            let path = directory.path().join("mba-faults-array");
            fs::write(&path, [1; 12]).unwrap();
            let name = Name::new("exec");
            cases.child(format!("{place:?}, {way}: in a program that is started"), || {
                let before = open_descriptors();
                let arrays = open_and_use(way, &path, &name);
                let more = open_descriptors().len() - before.len();
                assert!(more >= arrays.len(), "the arrays have descriptors");
                let script = "for fd in /proc/self/fd/*; do readlink $fd; done; true";
                let run = Command::new("sh").args(["-c", script]).stderr(Stdio::null()).output().unwrap();
                let seen = String::from_utf8(run.stdout).unwrap();
                assert!(!seen.is_empty() && !seen.contains("mba-faults"), "{seen}");
                assert!(!seen.contains("memfd:mmap_backed_array") && !seen.contains("mounted"), "{seen}");
                for (fd, target) in open_descriptors() {
                    // SAFETY: no memory is passed.
                    let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
                    let known = before.iter().any(|known| known.0 == fd);
                    assert!(known || flags & libc::FD_CLOEXEC != 0, "{fd}: {}", target.display());
                }
            });
            cases.case(format!("{place:?}, {way}: after each system call"), || {
                after_each_call(way, &path, &name);
            });
        }
    }
}

/// A fork and exec on another thread can come at any moment, so that there must be none with a descriptor that
/// isn't marked yet.
fn after_each_call(way: &str, path: &Path, name: &Name) {
    let mut traced = Traced::start(|| drop(open_and_use(way, path, name)));
    let marked = |id: libc::pid_t| -> Vec<(String, bool)> {
        let entries = fs::read_dir(format!("/proc/{id}/fdinfo")).unwrap();
        let info = entries.filter_map(|entry| {
            let entry = entry.unwrap();
            let text = fs::read_to_string(entry.path()).ok()?;
            let flags = text.lines().find_map(|line| line.strip_prefix("flags:"))?;
            let flags = i32::from_str_radix(flags.trim(), 8).unwrap();
            Some((entry.file_name().into_string().unwrap(), flags & libc::O_CLOEXEC != 0))
        });
        info.collect()
    };
    let before = marked(traced.id());
    let mut most = 0;
    while let Some(stop) = traced.next_stop() {
        if stop != Stop::Exit {
            continue;
        }
        let now = marked(traced.id());
        most = most.max(now.len());
        for (fd, marked) in now {
            let known = before.iter().any(|known| known.0 == fd);
            assert!(known || marked, "descriptor {fd} isn't close-on-exec");
        }
    }
    assert!(most > before.len(), "nothing was opened");
}
