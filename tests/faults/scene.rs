//! One call of the library with everything around it: the file or memory, the state before, what must hold after.
//!
//! Whatever goes wrong in the call, the same is asked of it: it has happened or it hasn't, and says which; nothing
//! has leaked; and the next calls, where nothing goes wrong, work.

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use mmap_backed_array::Type;
use mmap_backed_array::capi::*;

use crate::helpers::footer;
use crate::helpers::raw::{Code, Raw};

/// What lies behind the array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    Disk,
    Memory,
    ExactDisk,
    ExactMemory,
    Anonymous,
    Named,
}

impl Ground {
    pub const ALL: [Ground; 6] = [
        Ground::Disk,
        Ground::Memory,
        Ground::ExactDisk,
        Ground::ExactMemory,
        Ground::Anonymous,
        Ground::Named,
    ];

    pub fn is_on_disk(self) -> bool {
        matches!(self, Ground::Disk | Ground::ExactDisk)
    }

    /// Whether what a write has done by half can be undone. Memory that is sealed can't become shorter; there, a
    /// footer is written to a page that was reserved, and is whole or not there.
    pub fn can_undo_writes(self) -> bool {
        self != Ground::Anonymous
    }

    fn is_exact(self) -> bool {
        matches!(self, Ground::ExactDisk | Ground::ExactMemory)
    }
}

/// How the array is before the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// There is none yet.
    Nothing,
    /// Just opened, and the file is its elements.
    Opened,
    /// Made and filled by the handle, which has the lock.
    Grown,
    /// As grown, and the next append needs more room.
    Full,
    /// Just opened, with spare room that somebody else has left, and nobody has the lock.
    Left,
    /// As left, and that one has appended since the handle was opened.
    Stale,
    /// As grown, and the elements at the end would read as a footer.
    Alike,
}

impl Before {
    pub const ALL: [Before; 7] = [
        Before::Nothing,
        Before::Opened,
        Before::Grown,
        Before::Full,
        Before::Left,
        Before::Stale,
        Before::Alike,
    ];
}

/// A call of the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Open,
    OpenReadOnly,
    Create,
    OpenWithReservation,
    Anonymous,
    FromDescriptor,
    Append,
    Extend,
    ExtendByMuch,
    Insert,
    SpliceLonger,
    SpliceShorter,
    SpliceOwn,
    Remove,
    Pop,
    ResizeLonger,
    ResizeShorter,
    Commit,
    Clear,
    Reserve,
    ShrinkToFit,
    Flush,
    Refresh,
    Lock,
    LockWithin,
    Unlock,
    Close,
    Free,
}

use Call::*;

impl Call {
    pub const ALL: [Call; 28] = [
        Open,
        OpenReadOnly,
        Create,
        OpenWithReservation,
        Anonymous,
        FromDescriptor,
        Append,
        Extend,
        ExtendByMuch,
        Insert,
        SpliceLonger,
        SpliceShorter,
        SpliceOwn,
        Remove,
        Pop,
        ResizeLonger,
        ResizeShorter,
        Commit,
        Clear,
        Reserve,
        ShrinkToFit,
        Flush,
        Refresh,
        Lock,
        LockWithin,
        Unlock,
        Close,
        Free,
    ];

    /// Whether it makes a handle.
    fn makes(self) -> bool {
        matches!(self, Open | OpenReadOnly | Create | OpenWithReservation | Anonymous | FromDescriptor)
    }

    /// Whether it ends the handle, also if it fails.
    fn ends(self) -> bool {
        matches!(self, Close | Free)
    }

    /// What the array's elements are after it.
    fn after(self, mut elements: Vec<u64>) -> Vec<u64> {
        let len = elements.len();
        match self {
            Append => elements.push(number(len)),
            Extend => elements.extend((len..len + FEW).map(number)),
            ExtendByMuch => elements.extend((len..len + MANY).map(number)),
            Insert => elements.insert(AT, number(len)),
            SpliceLonger => drop(elements.splice(AT..AT + 5, (0..FEW).map(number))),
            SpliceShorter => drop(elements.splice(AT..AT + FEW, (0..5).map(number))),
            SpliceOwn => {
                let own = elements[100..100 + FEW].to_vec();
                drop(elements.splice(AT..AT, own));
            }
            Remove => drop(elements.remove(AT)),
            Pop => drop(elements.pop()),
            ResizeLonger => elements.resize(len + MANY, 0),
            ResizeShorter => elements.truncate(SHORT),
            Commit => elements.extend((len..len + 5).map(number)),
            Clear => elements.clear(),
            _ => {}
        }
        elements
    }
}

const START: usize = 700;
const FEW: usize = 300;
/// More than the first step of growth.
const MANY: usize = 20_000;
const AT: usize = 10;
const SHORT: usize = 200;
/// With so many elements, a footer at the end of their page would begin at element `ALIKE - FOOTER`.
const ALIKE: usize = footer::PAGE / 8;
const FOOTER: usize = footer::SIZE / 8;
/// What begins a footer.
const MAGIC: u64 = u64::from_ne_bytes(footer::MAGIC);

fn number(at: usize) -> u64 {
    at as u64 * 0x9e37_79b9 + 1
}

fn bytes_of(elements: &[u64]) -> Vec<u8> {
    elements.iter().flat_map(|element| element.to_ne_bytes()).collect()
}

/// A call in a state, on some ground.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    pub ground: Ground,
    pub before: Before,
    pub call: Call,
}

impl Scene {
    /// All that can be played.
    pub fn all() -> Vec<Scene> {
        let mut scenes = Vec::new();
        for ground in Ground::ALL {
            for before in Before::ALL {
                scenes.extend(Call::ALL.map(|call| Scene { ground, before, call }));
            }
        }
        scenes.retain(Scene::can_be);
        scenes
    }

    fn can_be(&self) -> bool {
        let anonymous = self.ground == Ground::Anonymous;
        let suits_state = match self.before {
            Before::Nothing => matches!(self.call, Create | Anonymous),
            // The handles that it makes look at one state each; a handle that exists isn't made.
            Before::Opened | Before::Left => !matches!(self.call, Create | Anonymous),
            Before::Grown | Before::Full | Before::Stale | Before::Alike => !self.call.makes(),
        };
        let suits_ground = match self.call {
            Anonymous => anonymous,
            Open | OpenReadOnly | Create => !anonymous,
            OpenWithReservation => !anonymous && self.ground != Ground::Named,
            FromDescriptor => self.ground != Ground::Named,
            // To publish what was stored there must be room to store it in.
            Commit => !self.ground.is_exact() && matches!(self.before, Before::Grown | Before::Left),
            _ => true,
        };
        let exists = match self.before {
            // Anonymous memory that somebody has filled has spare room always.
            Before::Opened => !anonymous,
            Before::Full => !self.ground.is_exact(),
            _ => true,
        };
        suits_state && suits_ground && exists
    }

    /// A place for its file in a directory, or a name of shared memory.
    pub fn path(&self, directory: &Path) -> PathBuf {
        match self.ground {
            Ground::Named => {
                let name = directory.file_name().expect("a directory has a name").to_string_lossy();
                Path::new("/dev/shm").join(format!("{name}-named"))
            }
            _ => directory.join("array"),
        }
    }
}

/// What may come of a call in which something goes wrong.
#[derive(Clone, Debug, Default)]
pub struct Allowed {
    /// The codes that it may return, besides success.
    pub codes: Vec<i32>,
    /// Whether its mapping may stay, since the system refused to end it.
    pub keeps_mapping: bool,
    /// Whether closing may leave spare room, since somebody else seemed to have the lock.
    pub leaves_room: bool,
    /// Whether blocks may stay behind the end, since the system refused to take them back.
    pub keeps_blocks: bool,
    /// Whether a new handle may take the file system for one without locks, which it says when it is to change the
    /// length.
    pub lacks_locks: bool,
}

/// A scene that is being played, in a process of its own.
pub struct Play {
    scene: Scene,
    path: PathBuf,
    name: CString,
    ty: Type,
    /// The one who has left spare room, and keeps anonymous memory.
    keeper: Option<Raw>,
    array: Option<Raw>,
    /// What the handle sees, and what there is.
    view: Vec<u64>,
    truth: Vec<u64>,
    values: Vec<u8>,
    popped: [u8; 8],
    held: Held,
    /// What the file takes on the disk or in memory.
    blocks: u64,
}

/// Descriptors and mappings of this process.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    descriptors: Vec<String>,
    mappings: Vec<String>,
}

impl Held {
    fn now() -> Held {
        let mut descriptors: Vec<String> = std::fs::read_dir("/proc/self/fd")
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| {
                format!("{} {}", path.display(), std::fs::read_link(&path).unwrap_or_default().display())
            })
            // The one that is being read.
            .filter(|line| !line.contains(&format!("/proc/{}/fd", std::process::id())))
            .collect();
        descriptors.sort();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let ours = |line: &&str| line.contains("/mba-test-") || line.contains("memfd:mmap_backed_array");
        let mappings = maps.lines().filter(ours).map(str::to_owned).collect();
        Held { descriptors, mappings }
    }
}

impl Play {
    /// Comes to the state before the call.
    pub fn prepare(scene: Scene, directory: &Path) -> Play {
        let path = scene.path(directory);
        let name = match scene.ground {
            Ground::Named => {
                CString::new(format!("/{}", path.file_name().unwrap().to_string_lossy())).unwrap()
            }
            _ => CString::new(path.as_os_str().as_bytes()).unwrap(),
        };
        let _ = std::fs::remove_file(&path);
        let mut play = Play {
            scene,
            path,
            name,
            ty: Type::from_char('Q').unwrap(),
            keeper: None,
            array: None,
            view: Vec::new(),
            truth: Vec::new(),
            values: Vec::new(),
            popped: [0xaa; 8],
            held: Held { descriptors: Vec::new(), mappings: Vec::new() },
            blocks: 0,
        };
        play.take_up_state();
        play.blocks = play.blocks();
        play.values = bytes_of(&(0..play.truth.len() + MANY).map(number).collect::<Vec<_>>());
        play
    }

    fn take_up_state(&mut self) {
        if self.scene.before == Before::Nothing {
            self.held = Held::now();
            return;
        }
        let start: Vec<u64> = (0..START).map(number).collect();
        let is_anonymous = self.scene.ground == Ground::Anonymous;
        if matches!(self.scene.before, Before::Left | Before::Stale) || is_anonymous {
            let keeper = if is_anonymous {
                Raw::anonymous(self.ty).unwrap()
            } else {
                self.make(MBA_RDWR | MBA_CREATE).unwrap()
            };
            self.keeper = Some(keeper);
        } else if self.scene.before == Before::Opened {
            std::fs::write(&self.path, bytes_of(&start)).unwrap();
        }
        if matches!(self.scene.before, Before::Left | Before::Stale) {
            self.keeper().extend(&bytes_of(&start)).unwrap();
            self.keeper().unlock().unwrap();
        }
        if is_anonymous {
            // Asked for, the descriptor is there until the end.
            self.keeper().fd();
        }
        self.held = Held::now();
        if self.scene.call.makes() {
            self.view = start.clone();
            self.truth = start;
            return;
        }
        let create = if is_anonymous { 0 } else { MBA_CREATE };
        let array = self.make(self.flags() | create).unwrap();
        self.view = start;
        match self.scene.before {
            Before::Grown => array.extend(&bytes_of(&self.view)).unwrap(),
            Before::Full => {
                array.extend(&bytes_of(&self.view)).unwrap();
                let more: Vec<u64> = (START..array.capacity()).map(number).collect();
                array.extend(&bytes_of(&more)).unwrap();
                self.view.extend(more);
            }
            Before::Alike => {
                self.view.truncate(ALIKE);
                self.view[ALIKE - FOOTER] = MAGIC;
                array.extend(&bytes_of(&self.view)).unwrap();
            }
            _ => {}
        }
        self.truth = self.view.clone();
        if self.scene.before == Before::Stale {
            let more: Vec<u64> = (START..START + FEW).map(number).collect();
            self.keeper().extend(&bytes_of(&more)).unwrap();
            self.keeper().unlock().unwrap();
            self.truth.extend(more);
        }
        if self.scene.call == Commit {
            for at in self.truth.len()..self.truth.len() + 5 {
                // SAFETY: the file has spare room there, behind the elements, and nobody else uses it.
                unsafe { array.data().cast::<u64>().add(at).write(number(at)) };
            }
        }
        self.array = Some(array);
    }

    fn blocks(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |file| file.blocks())
    }

    fn keeper(&self) -> &Raw {
        self.keeper.as_ref().unwrap()
    }

    fn flags(&self) -> u32 {
        if self.scene.ground.is_exact() { MBA_RDWR | MBA_EXACT } else { MBA_RDWR }
    }

    /// A handle, in the way of the ground.
    fn make(&self, flags: u32) -> Code<Raw> {
        let name: &CStr = &self.name;
        match self.scene.ground {
            Ground::Anonymous => Raw::descriptor(self.keeper().fd(), self.ty, flags),
            Ground::Named => Raw::shared(name, self.ty, flags),
            _ => Raw::open_c(name, self.ty, flags),
        }
    }

    /// Makes the call, and nothing besides: no allocation, no system call of the test's own.
    pub fn act(&mut self, descriptor: i32) -> Code<()> {
        let len = self.truth.len();
        let values = &self.values;
        let at = |at: usize| at * 8;
        if self.scene.call.makes() {
            let options =
                mba_options { size: size_of::<mba_options>() as u32, mode: 0o600, reservation: 1 << 20 };
            let flags = self.flags();
            self.array = Some(match self.scene.call {
                OpenReadOnly => self.make(MBA_RDONLY),
                Create => self.make(flags | MBA_CREATE),
                OpenWithReservation => Raw::open_with(&self.name, self.ty, flags, &options),
                Anonymous => Raw::anonymous(self.ty),
                FromDescriptor => Raw::descriptor(descriptor, self.ty, flags),
                _ => self.make(flags),
            }?);
            return Ok(());
        }
        if self.scene.call.ends() {
            let array = self.array.take().unwrap();
            if self.scene.call == Close {
                return array.close();
            }
            drop(array);
            return Ok(());
        }
        let array = self.array.as_ref().unwrap();
        match self.scene.call {
            // The values begin with those of element 0.
            Append => array.append(&values[at(len)..at(len + 1)]),
            Extend => array.extend(&values[at(len)..at(len + FEW)]),
            ExtendByMuch => array.extend(&values[at(len)..at(len + MANY)]),
            Insert => array.insert(AT, &values[at(len)..at(len + 1)]),
            SpliceLonger => array.splice(AT, 5, &values[..at(FEW)]),
            SpliceShorter => array.splice(AT, FEW, &values[..at(5)]),
            SpliceOwn => array.splice_from_itself(AT, 0, 100, FEW),
            Remove => array.remove_to(AT, &mut self.popped),
            Pop => array.pop_to(&mut self.popped),
            ResizeLonger => array.resize(len + MANY),
            ResizeShorter => array.resize(SHORT),
            Commit => array.commit(len + 5),
            Clear => array.clear(),
            Reserve => array.reserve(len + MANY),
            ShrinkToFit => array.shrink_to_fit(),
            Flush => array.flush(),
            Refresh => array.refresh(),
            Lock => array.lock(0),
            LockWithin => array.lock(50),
            Unlock => array.unlock(),
            _ => unreachable!("makes or ends a handle"),
        }
    }

    /// A descriptor of the file for a call that takes one, made before the call; -1 if it takes none.
    pub fn descriptor(&mut self) -> i32 {
        if self.scene.call != FromDescriptor {
            return -1;
        }
        // The caller keeps it, so it is among what is held before and after.
        let fd = match &self.keeper {
            Some(keeper) => keeper.fd(),
            None => {
                let file = std::fs::OpenOptions::new().read(true).write(true).open(&self.path).unwrap();
                std::os::fd::IntoRawFd::into_raw_fd(file)
            }
        };
        self.held = Held::now();
        fd
    }

    /// What must hold after the call, whatever went wrong in it.
    pub fn check(mut self, result: Code<()>, allowed: &Allowed) {
        let call = self.scene.call;
        if let Err(code) = result {
            assert!(
                allowed.codes.contains(&code),
                "the call returned {code}, not one of {:?}",
                allowed.codes
            );
        }
        let old = (self.view.clone(), self.truth.clone());
        if result.is_ok() {
            let last = match call {
                Pop => self.truth.last().copied(),
                Remove => Some(self.truth[AT]),
                _ => None,
            };
            assert_eq!(u64::from_ne_bytes(self.popped), last.unwrap_or(u64::from_ne_bytes([0xaa; 8])));
            self.truth = call.after(std::mem::take(&mut self.truth));
        } else {
            assert_eq!(self.popped, [0xaa; 8], "a failed call gave out an element");
            let (before, after) = (self.blocks, self.blocks());
            // The smallest step of growth takes 128 blocks of 512 bytes; a page more is the file system's own affair.
            assert!(allowed.keeps_blocks || after <= before + 16, "{before} blocks before, {after} after");
        }
        if self.array.is_none() {
            self.check_released(allowed);
            if call == Anonymous || (call == Create && !self.path.exists()) {
                return;
            }
            // A handle that has changed nothing leaves all as it is if it isn't alone.
            if call == Close && result.is_ok() && !allowed.leaves_room && self.keeper.is_none() {
                self.check_flat();
            }
        } else if call == Anonymous {
            self.keeper = self.array.take();
        }
        if call == OpenReadOnly
            && let Some(array) = self.array.take()
        {
            assert_eq!(contents(&array), self.truth);
        }
        let array = match self.array.take() {
            Some(array) => {
                // A failed call may have taken up what others had published, and nothing else.
                let seen = contents(&array);
                let may_be_old = result.is_err() || matches!(call, Flush | Unlock);
                assert!(
                    seen == self.truth || (may_be_old && (seen == old.0 || seen == old.1)),
                    "{} elements after {result:?}, {} before, {} in all",
                    seen.len(),
                    old.0.len(),
                    self.truth.len()
                );
                array
            }
            None => self.make(self.flags()).unwrap(),
        };
        let array = if call.makes() && allowed.lacks_locks && array.lock(0) == Err(libc::ENOLCK) {
            array.close().unwrap_or_else(|code| panic!("closing without locks gets {code}"));
            self.make(self.flags()).unwrap()
        } else {
            array
        };
        let other = self.make(MBA_RDWR).unwrap();
        assert_eq!(contents(&other).len(), self.truth.len(), "another handle sees another length");
        assert!(contents(&other) == self.truth, "another handle sees other elements");
        match other.lock(0) {
            Ok(()) => assert!(!array.has_lock(), "two handles have the lock"),
            Err(code) => assert!(array.has_lock(), "nobody has the lock, and another handle gets {code}"),
        }
        drop(other);
        let value = [7; 8];
        array.append(&value).unwrap_or_else(|code| panic!("an append afterwards gets {code}"));
        assert_eq!(array.pop().unwrap(), value, "a pop afterwards");
        array.append(&value).unwrap();
        if call.makes() {
            assert!(!child_has_lock(&array), "a forked child takes itself for the one that has the lock");
        }
        self.truth.push(u64::from_ne_bytes(value));
        assert!(contents(&array) == self.truth, "an append afterwards went wrong");
        array.close().unwrap_or_else(|code| panic!("closing afterwards gets {code}"));
        if call == Anonymous {
            return;
        }
        self.check_released(allowed);
        if allowed.keeps_mapping {
            // It keeps presence too, so that nobody is alone any more.
            return;
        }
        if self.scene.ground != Ground::Anonymous
            && let Some(keeper) = self.keeper.take()
        {
            // Elements were taken away, so that the file is just what is left when the last one goes.
            keeper.close().unwrap_or_else(|code| panic!("the last close gets {code}"));
        }
        self.check_flat();
        let next = self.make(self.flags()).unwrap();
        next.lock(0).unwrap_or_else(|code| panic!("the next grower gets {code}"));
        assert!(contents(&next) == self.truth, "the next grower sees other elements");
    }

    fn check_released(&self, allowed: &Allowed) {
        let mut now = Held::now();
        if allowed.keeps_mapping {
            now.mappings.clone_from(&self.held.mappings);
        }
        assert_eq!(now, self.held, "something leaked");
    }

    /// The file is its elements.
    fn check_flat(&self) {
        // The one exception: elements that would read as a footer have spare room behind them.
        let len = self.truth.len();
        let alike = len > 0 && len.is_multiple_of(ALIKE) && self.truth[len - FOOTER] == MAGIC;
        if self.scene.ground != Ground::Anonymous && !alike {
            assert!(
                std::fs::read(&self.path).unwrap() == bytes_of(&self.truth),
                "the closed file isn't its elements: {} bytes for {} elements",
                std::fs::metadata(&self.path).unwrap().len(),
                self.truth.len()
            );
        }
    }
}

fn child_has_lock(array: &Raw) -> bool {
    // SAFETY: the process has one thread; the child asks, and ends by _exit.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            libc::_exit(array.has_lock().into());
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
        status != 0
    }
}

fn contents(array: &Raw) -> Vec<u64> {
    let bytes = array.read(0, array.len()).unwrap();
    bytes.chunks_exact(8).map(|bytes| u64::from_ne_bytes(bytes.try_into().unwrap())).collect()
}
