//! What stands between a path and its file: leases, the system's care for other users' files, layers of file systems.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use mmap_backed_array::Type;
use mmap_backed_array::capi::*;

use crate::campaign::{Cases, Fault, Forked, in_child};
use crate::filesystem::Overlay;
use crate::helpers::Place;
use crate::helpers::raw::{Code, Raw};
use crate::limits::Settings;
use crate::names::Name;

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "leases on a file that is opened",
        answer: "the open waits until the lease is given up or taken away",
        cases: leases,
    },
    Fault {
        name: "protected files of others (fs.protected_regular)",
        answer: "what is there opens, whoever has made it",
        cases: protected,
    },
    Fault {
        name: "rights and /proc gone after the open",
        answer: "all works; an idle child doesn't keep the lock",
        cases: without_rights,
    },
    Fault {
        name: "overlay of a lower layer, copied up under a reader",
        answer: "the reader sees what the writer does, at the same address",
        cases: overlay,
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

/// How the holder of a lease answers when somebody else wants the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    GivesUp,
    GivesUpLate,
    NeverDoes,
    IsStopped,
    IsKilled,
}

/// After how many seconds the system takes a lease away.
const PATIENCE: &str = "2";
/// How late one is given up.
const LATE: Duration = Duration::from_millis(300);

static LEASED: AtomicI32 = AtomicI32::new(-1);

extern "C" fn give_up(_: libc::c_int) {
    // SAFETY: no memory is passed.
    unsafe { libc::fcntl(LEASED.load(SeqCst), libc::F_SETLEASE, libc::F_UNLCK) };
}

extern "C" fn ignore(_: libc::c_int) {}

impl Holder {
    /// A process that has a lease of this kind on the file.
    fn start(self, path: &Path, kind: i32) -> Forked {
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        let child = Forked::start(|| {
            let write = kind == libc::F_WRLCK;
            let file = OpenOptions::new().read(true).write(write).open(path).unwrap();
            LEASED.store(file.as_raw_fd(), SeqCst);
            let handler = if self == Holder::GivesUp { give_up } else { ignore };
            // SAFETY: the handlers make one system call, or nothing; no memory is passed.
            unsafe {
                libc::signal(libc::SIGIO, handler as *const () as libc::sighandler_t);
                assert_eq!(libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, kind), 0);
            }
            writer.write_all(&[0]).unwrap();
            loop {
                // Comes back when it was asked for the lease.
                // SAFETY: no memory is passed.
                unsafe { libc::pause() };
                if self == Holder::GivesUpLate {
                    // That it comes late is what is tried here.
                    std::thread::sleep(LATE);
                    give_up(0);
                }
            }
        });
        drop(writer);
        reader.read_exact(&mut [0]).expect("the holder gets its lease");
        if self == Holder::IsStopped {
            child.stop();
        }
        child
    }
}

fn leases(cases: &mut Cases) {
    let _settings = Settings::change(&[("/proc/sys/fs/lease-break-time", PATIENCE.to_owned())]);
    let holders =
        [Holder::GivesUp, Holder::GivesUpLate, Holder::NeverDoes, Holder::IsStopped, Holder::IsKilled];
    let ways = ["read", "write", "create", "exact", "private", "named", "info", "tidy"];
    let directories = [Place::Disk, Place::Memory].map(Place::directory);
    for _ in 0..cases.scale(1, 1, 20) {
        let mut all: Vec<(String, Box<dyn FnOnce()>)> = Vec::new();
        for directory in &directories {
            for holder in holders {
                for kind in [libc::F_RDLCK, libc::F_WRLCK] {
                    for way in ways {
                        let path = directory.path().join(all.len().to_string());
                        let label = format!("{}, {holder:?}, kind {kind}, {way}", directory.path().display());
                        all.push((label, Box::new(move || leased(&path, holder, kind, way))));
                    }
                }
            }
        }
        cases.children(all);
    }
}

fn leased(path: &Path, holder: Holder, kind: i32, way: &str) {
    let name = Name::new(&format!("leased-{holder:?}-{kind}"));
    let path = if way == "named" { name.path() } else { path };
    fs::write(path, bytes_of(0..10)).unwrap();
    let child = holder.start(path, kind);
    let killer = (holder == Holder::IsKilled).then(|| {
        let id = child.id();
        std::thread::spawn(move || {
            std::thread::sleep(LATE);
            // SAFETY: the child isn't waited for before this thread has ended.
            unsafe { libc::kill(id, libc::SIGKILL) };
        })
    });
    let start = Instant::now();
    let opened = match way {
        "read" => open(path, MBA_RDONLY).map(Some),
        "write" => open(path, MBA_RDWR).map(Some),
        "create" => open(path, MBA_RDWR | MBA_CREATE).map(Some),
        "exact" => open(path, MBA_RDWR | MBA_EXACT).map(Some),
        "private" => open(path, MBA_PRIVATE).map(Some),
        "named" => name.open_as(uint64(), MBA_RDWR).map(Some),
        "info" => Raw::info(path).map(|status| {
            assert_eq!(status.file_size, 80);
            None
        }),
        _ => Raw::tidy(path, None, 0).map(|()| None),
    };
    let took = start.elapsed();
    let array = opened.unwrap_or_else(|code| panic!("opening gives {code} after {took:?}"));
    let writes = !matches!(way, "read" | "private" | "info");
    // A lease for reading is in the way of those who may write.
    if kind == libc::F_WRLCK || writes {
        match holder {
            Holder::GivesUpLate | Holder::IsKilled => assert!(took >= LATE / 2, "it took {took:?}"),
            Holder::NeverDoes | Holder::IsStopped => assert!(took.as_secs() >= 1, "it took {took:?}"),
            Holder::GivesUp => {}
        }
    }
    assert!(took.as_secs() < 30, "it took {took:?}");
    if let Some(array) = array {
        assert_eq!(array.read(0, 10), Ok(bytes_of(0..10)));
        if writes {
            array.append(&bytes_of(10..11)).unwrap();
        }
        array.close().unwrap();
    }
    if let Some(killer) = killer {
        killer.join().unwrap();
    }
    drop(child);
    assert_eq!(fs::read(path).unwrap().len() % 8, 0);
}

const OWNER: u32 = 65_534;
const OTHER: u32 = 65_533;

fn protected(cases: &mut Cases) {
    for setting in ["0", "1", "2"] {
        let _settings = Settings::change(&[("/proc/sys/fs/protected_regular", setting.to_owned())]);
        for mode in [0o1777, 0o1775] {
            let directory = Place::Disk.directory();
            let path = directory.path().join("array");
            let name = Name::new("protected");
            // Where everybody may make files, and nobody may remove those of others.
            fs::set_permissions(directory.path(), Permissions::from_mode(mode)).unwrap();
            std::os::unix::fs::chown(directory.path(), Some(0), Some(OTHER)).unwrap();
            for user in [OWNER, OTHER, 0] {
                for flags in [MBA_RDWR | MBA_CREATE, MBA_RDWR | MBA_CREATE | MBA_EXACT, MBA_RDWR] {
                    let _ = fs::remove_file(&path);
                    let _ = fs::remove_file(name.path());
                    for made in [&*path, name.path()] {
                        fs::write(made, bytes_of(0..3)).unwrap();
                        fs::set_permissions(made, Permissions::from_mode(0o666)).unwrap();
                        std::os::unix::fs::chown(made, Some(OWNER), Some(OWNER)).unwrap();
                    }
                    let label = format!("protected_regular {setting}, {mode:o}, user {user}, flags {flags}");
                    cases.child(label, || {
                        become_user(user);
                        for array in [open(&path, flags), name.open_as(uint64(), flags)] {
                            let array = array.unwrap();
                            array.append(&bytes_of(3..4)).unwrap();
                            array.close().unwrap();
                        }
                    });
                    cases.case("both have all elements", || {
                        for made in [&*path, name.path()] {
                            assert_eq!(fs::read(made).unwrap(), bytes_of(0..4));
                        }
                    });
                }
            }
            // What is to be made anew and is there is so for everybody.
            cases.child(format!("protected_regular {setting}, {mode:o}, exclusively"), || {
                become_user(OTHER);
                let flags = MBA_RDWR | MBA_CREATE | MBA_EXCL;
                assert_eq!(open(&path, flags).err(), Some(libc::EEXIST));
                assert_eq!(name.open_as(uint64(), flags).err(), Some(libc::EEXIST));
            });
        }
    }
}

fn become_user(id: u32) {
    // SAFETY: no memory is passed but an empty list.
    unsafe {
        assert_eq!(libc::setgroups(0, std::ptr::null()), 0, "it takes root to be others");
        assert_eq!(libc::setgid(id), 0);
        assert_eq!(libc::setuid(id), 0);
    }
}

/// What a process has lost since it opened its arrays, as daemons do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    /// `chroot` to where there is no `/proc`, before.
    Proc,
    /// `setuid` to a user who may not open the file.
    Rights,
    Both,
}

fn without_rights(cases: &mut Cases) {
    for _ in 0..cases.scale(1, 5, 100) {
        for place in [Place::Disk, Place::Memory] {
            for loss in [Loss::Proc, Loss::Rights, Loss::Both] {
                cases.child(format!("{place:?}, {loss:?}"), || deprived(place, loss));
                cases.child(format!("{place:?}, {loss:?}, anonymous"), || {
                    let jail = place.directory();
                    deprived_of_memory(jail.path(), loss);
                });
            }
        }
    }
}

fn enter(jail: &Path) {
    std::os::unix::fs::chroot(jail).unwrap();
    std::env::set_current_dir("/").unwrap();
}

fn deprived(place: Place, loss: Loss) {
    let jail = place.directory();
    let path = jail.path().join("array");
    let (mut told, mut tell) = std::io::pipe().unwrap();
    let writer = Forked::start(|| {
        let mut path = path.clone();
        if loss != Loss::Rights {
            enter(jail.path());
            path = Path::new("/array").to_owned();
        }
        let array = open(&path, MBA_RDWR | MBA_CREATE).unwrap();
        if loss != Loss::Proc {
            become_user(OWNER);
        }
        array.append(&bytes_of(0..1)).unwrap();
        array.flush().unwrap();
        array.flush().unwrap();
        array.resize(0).unwrap();
        array.shrink_to_fit().unwrap();
        array.extend(&bytes_of(0..10_000)).unwrap();
        array.unlock().unwrap();
        array.append(&bytes_of(10_000..10_001)).unwrap();
        let idle = Forked::start(|| {
            // It outlives its parent.
            // SAFETY: no memory is passed.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, 0) };
            loop {
                std::thread::park();
            }
        });
        tell.write_all(&idle.id().to_ne_bytes()).unwrap();
        loop {
            std::thread::park();
        }
    });
    let mut id = [0; 4];
    // The orphan is this process's to wait for, when its parent is gone.
    // SAFETY: no memory is passed.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) }, 0);
    told.read_exact(&mut id).unwrap();
    let next = open(&path, MBA_RDWR).unwrap();
    assert_eq!(next.lock(0), Err(MBA_ELOCKED));
    // The child stays behind for a moment, and has nothing of the lock.
    drop(writer);
    next.lock(1000).unwrap();
    next.append(&bytes_of(10_001..10_002)).unwrap();
    next.close().unwrap();
    // SAFETY: the orphan isn't waited for yet, so the number is its; its status isn't asked for.
    unsafe {
        libc::kill(i32::from_ne_bytes(id), libc::SIGKILL);
        libc::waitpid(i32::from_ne_bytes(id), std::ptr::null_mut(), 0);
    }
    let alone = open(&path, MBA_RDWR).unwrap();
    alone.close().unwrap();
    assert!(fs::read(&path).unwrap() == bytes_of(0..10_002), "the file is its elements");
}

fn deprived_of_memory(jail: &Path, loss: Loss) {
    if loss != Loss::Rights {
        enter(jail);
    }
    let array = Raw::anonymous(uint64()).unwrap();
    if loss != Loss::Proc {
        become_user(OWNER);
    }
    array.extend(&bytes_of(0..10_000)).unwrap();
    // A child has the elements, and the parent's appends.
    let (status, text) = in_child(|| {
        // Without /proc nothing leads to memory that has no name.
        let code = if loss == Loss::Rights { MBA_ELOCKED } else { libc::ENOENT };
        assert_eq!(array.append(&bytes_of(0..1)), Err(code));
        assert_eq!(array.read(0, 10_000), Ok(bytes_of(0..10_000)));
        array.refresh().unwrap();
    });
    assert_eq!(status, 0, "{text}");
    array.append(&bytes_of(10_000..10_001)).unwrap();
    assert_eq!(array.read(0, array.len()), Ok(bytes_of(0..10_001)));
    array.close().unwrap();
}

fn overlay(cases: &mut Cases) {
    let lens = cases.scale(vec![10], vec![0, 10, 512, 5000], vec![0, 1, 10, 511, 512, 513, 5000, 100_000]);
    for place in [Place::Disk, Place::Memory] {
        for len in &lens {
            for guarded in [false, true] {
                for shortens in [false, true] {
                    let label = format!("{place:?}, {len} elements, guard: {guarded}, shortens: {shortens}");
                    cases.child(label, || copied_up(place, *len, guarded, shortens));
                }
            }
        }
    }
}

/// What a handle that reads finds by its calls, and by its pointer.
fn sees(reader: &Raw, elements: impl IntoIterator<Item = u64>) {
    let expected = bytes_of(elements);
    assert_eq!(reader.read(0, reader.len()).as_ref(), Ok(&expected), "by a call");
    let mut found = vec![0; expected.len()];
    // SAFETY: the handle's elements, which nobody changes now.
    unsafe { found.as_mut_ptr().copy_from(reader.data(), found.len()) };
    assert!(found == expected, "by the pointer");
}

fn copied_up(place: Place, len: u64, guarded: bool, shortens: bool) {
    let directory = place.directory();
    let overlay = Overlay::mount(directory.path(), |lower| {
        fs::write(lower.join("array"), bytes_of(0..len)).unwrap();
    });
    if guarded {
        assert_eq!(mba_guard_enable(), MBA_OK);
    }
    let path = overlay.path("array");
    let reader = open(&path, MBA_RDONLY).unwrap();
    let second = open(&path, MBA_RDONLY).unwrap();
    let address = reader.data();
    sees(&reader, 0..len);
    let writer = open(&path, MBA_RDWR).unwrap();
    for reader in [&reader, &second] {
        reader.refresh().unwrap();
        sees(reader, 0..len);
    }
    writer.extend(&bytes_of(len..len + 1000)).unwrap();
    reader.refresh().unwrap();
    assert_eq!(reader.data(), address, "the address never moves");
    sees(&reader, 0..len + 1000);
    writer.set(0, &bytes_of([42])).unwrap();
    sees(&reader, [42].into_iter().chain(1..len + 1000));
    writer.set(0, &bytes_of([0])).unwrap();
    let mut left = len + 1000;
    if shortens {
        // What the readers have seen stays, on a file system where a mapping alone says nothing.
        left = len / 2 + 1;
        writer.resize(left as usize).unwrap();
        writer.shrink_to_fit().unwrap();
        writer.close().unwrap();
        for at in 0..reader.len() {
            // SAFETY: what the handle takes for an element; that it is mapped still is what is tried here.
            std::hint::black_box(unsafe { reader.data().cast::<u64>().add(at).read_volatile() });
        }
        assert!(fs::metadata(&path).unwrap().len() > (len + 1000) * 8, "they are present");
    } else {
        writer.close().unwrap();
        assert!(fs::read(&path).unwrap() == bytes_of(0..left), "the file is its elements");
    }
    // The second one hasn't looked since the file was copied.
    for reader in [&reader, &second] {
        reader.refresh().unwrap();
        sees(reader, 0..left);
    }
    // A child keeps presence where its parent has let it go.
    let (status, text) = in_child(|| {
        reader.refresh().unwrap();
        sees(&reader, 0..left);
    });
    assert_eq!(status, 0, "{text}");
    reader.close().unwrap();
    second.close().unwrap();
    let next = open(&path, MBA_RDWR).unwrap();
    next.append(&bytes_of(left..left + 1)).unwrap();
    next.close().unwrap();
    assert!(fs::read(&path).unwrap() == bytes_of(0..left + 1), "the file is its elements");
    assert!(File::open(&path).is_ok());
}
