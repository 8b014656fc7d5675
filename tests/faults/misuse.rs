//! The C functions with what they must not be called with: NULL, wrong numbers, values that are their own.
//!
//! All of it goes through the table in `helpers/functions.rs`, which must be the header's.

use std::ffi::CString;
use std::fs;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use mmap_backed_array::Type;
use mmap_backed_array::capi::*;

use crate::campaign::{Cases, Fault};
use crate::helpers::functions::{Class, FUNCTIONS, Function, Goods, Parameter, UNTOUCHED, compare_with};
use crate::helpers::{Numbers, Place};

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "NULL in every pointer of every function",
        answer: "EINVAL, or what the header allows; nothing is touched",
        cases: nulls,
    },
    Fault {
        name: "handles that may not: read-only, fixed, locked ...",
        answer: "the code that the header names; nothing is touched",
        cases: states,
    },
    Fault {
        name: "numbers at their extremes, in every function",
        answer: "MBA_EINDEX, MBA_ELIMIT, EINVAL; nothing is touched",
        cases: numbers,
    },
    Fault {
        name: "types, flags and options that aren't",
        answer: "MBA_ETYPE, EINVAL; nothing is made",
        cases: unknowns,
    },
    Fault {
        name: "aliasing: values and outputs within the array itself",
        answer: "as if they had been copied first",
        cases: aliasing,
    },
    Fault {
        name: "values at the very edge of memory",
        answer: "not a byte beside them is read or written",
        cases: edges,
    },
];

fn open(path: &Path, ty: i32, flags: u32, reservation: u64) -> Result<*mut mba_array, i32> {
    let path = CString::new(path.to_str().unwrap()).unwrap();
    let options = mba_options { size: size_of::<mba_options>() as u32, mode: 0, reservation };
    let mut array = std::ptr::null_mut();
    // SAFETY: a C string, options, and a place for the handle.
    match unsafe { mba_open_with(path.as_ptr(), ty, flags, &raw const options, &raw mut array) } {
        MBA_OK => Ok(array),
        code => Err(code),
    }
}

fn length(array: *const mba_array) -> usize {
    // SAFETY: the callers pass a handle that exists.
    unsafe { mba_len(array) }
}

/// The elements, by the pointer.
fn bytes(array: *const mba_array) -> Vec<u8> {
    // SAFETY: the callers pass a handle that exists, whose elements nobody is changing.
    unsafe {
        let count = mba_len(array) * mba_itemsize(array);
        let mut bytes = vec![0; count];
        std::ptr::copy_nonoverlapping(mba_data_ptr(array).cast(), bytes.as_mut_ptr(), count);
        bytes
    }
}

/// Calls a function of the table with words that it must be able to take.
fn call(function: &Function, words: &[usize]) -> i32 {
    // SAFETY: what the tests pass is good memory, or what the header says is refused.
    unsafe { function.call(words) as i32 }
}

/// What there is to call functions on: an array of the five elements 0 to 4, and a second one.
struct Stage {
    directory: tempfile::TempDir,
    goods: Box<Goods>,
    file: fs::File,
}

impl Stage {
    fn new(place: Place) -> Stage {
        let directory = place.directory();
        let path = directory.path().join("array");
        fs::write(&path, five()).unwrap();
        fs::write(directory.path().join("other"), five()).unwrap();
        let array = open(&path, MBA_UINT32, MBA_RDWR, 1 << 16).unwrap();
        let other = open(&directory.path().join("other"), MBA_UINT32, MBA_RDWR, 1 << 16).unwrap();
        let file = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let made = directory.path().join("made");
        let name = format!("/mba-faults-misuse-{}", std::process::id());
        let goods = Goods::new(array, other, made.to_str().unwrap(), &name, file.as_raw_fd());
        Stage { directory, goods, file }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("array")
    }

    fn nothing_is_made(&self) {
        assert!(!self.directory.path().join("made").exists(), "a file is made");
        let name = Path::new("/dev/shm").join(self.goods.name.to_str().unwrap().trim_start_matches('/'));
        assert!(!name.exists(), "named memory is made");
        assert_eq!(self.goods.outputs(), UNTOUCHED, "an output is written");
    }

    /// Ends the handles, where `ended` says whether the array's is gone, and leaves the files.
    fn end(self, ended: bool) -> tempfile::TempDir {
        // SAFETY: the handles exist, and end here.
        unsafe {
            if !ended {
                mba_free(self.goods.array);
            }
            mba_free(self.goods.other);
        }
        drop(self.file);
        self.directory
    }
}

fn five() -> Vec<u8> {
    (0..5u32).flat_map(u32::to_ne_bytes).collect()
}

fn nulls(cases: &mut Cases) {
    cases.case("the table is the header's", || {
        compare_with(include_str!("../../include/mmap_backed_array.h"));
    });
    for function in FUNCTIONS {
        let pointers: Vec<usize> =
            (0..function.parameters.len()).filter(|at| function.parameters[*at].is_pointer()).collect();
        for subset in 1..1u32 << pointers.len() {
            let missing: Vec<usize> = pointers
                .iter()
                .enumerate()
                .filter(|(bit, _)| subset >> bit & 1 == 1)
                .map(|(_, at)| *at)
                .collect();
            for with_count in [true, false] {
                let what: Vec<_> = missing.iter().map(|at| function.parameters[*at]).collect();
                let label = format!("{} without {what:?}, of some: {with_count}", function.name);
                cases.child(label, || null(function, &missing, with_count));
            }
        }
    }
}

fn null(function: &Function, missing: &[usize], with_count: bool) {
    use Parameter::{
        Buffer, Bytes, Count, Mapping, Memory, Options, PathOrNull, PlaceOrNull, Places, Values,
    };
    let mut stage = Stage::new(Place::Memory);
    let mut words = stage.goods.words(function);
    let counted = function.parameters.iter().any(|parameter| matches!(parameter, Values | Places | Memory));
    for (at, parameter) in function.parameters.iter().enumerate() {
        if missing.contains(&at) {
            words[at] = 0;
        }
        if !with_count && matches!(parameter, Count | Bytes) {
            words[at] = 0;
        }
    }
    let allowed = |parameter: Parameter| match parameter {
        PlaceOrNull | PathOrNull | Mapping | Buffer | Options => true,
        Values | Places | Memory => counted && !with_count,
        _ => false,
    };
    let refused = missing.iter().any(|at| !allowed(function.parameters[*at]));
    // SAFETY: as in `call`; not every answer is a code.
    let answer = unsafe { function.call(&words) };
    let expected = match (function.name, function.class) {
        ("mba_free", _) => 0,
        ("mba_error_text", _) => {
            assert_ne!(answer, 0, "there is always a text");
            answer
        }
        ("mba_fd", _) => -1,
        (_, Class::Ask) => 0,
        _ if refused => libc::EINVAL as isize,
        _ => MBA_OK as isize,
    };
    assert_eq!(answer, expected);
    if !refused && function.class == Class::Open {
        let made = stage.goods.outputs().handle;
        // SAFETY: a handle that the call has made.
        unsafe { mba_free(made) };
        let _ = fs::remove_file(stage.goods.path.to_str().unwrap());
    }
    if refused {
        stage.nothing_is_made();
        assert_eq!(bytes(stage.goods.array), five());
        assert_eq!(bytes(stage.goods.other), five());
        let path = stage.path();
        let _directory = stage.end(false);
        assert_eq!(fs::read(path).unwrap(), five());
    } else {
        stage.end(false);
    }
}

/// A handle on which some calls must fail, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Good,
    ReadOnly,
    Private,
    Memory,
    ReadOnlyMemory,
    /// Another handle of this process has the lock.
    Locked,
    /// Another process has it.
    LockedElsewhere,
    /// The file ends inside an element.
    Partial,
    /// The parent of this process has the lock.
    Forked,
}

impl State {
    const ALL: [State; 9] = [
        State::Good,
        State::ReadOnly,
        State::Private,
        State::Memory,
        State::ReadOnlyMemory,
        State::Locked,
        State::LockedElsewhere,
        State::Partial,
        State::Forked,
    ];

    /// What calls of a class must say.
    fn code(self, class: Class) -> i32 {
        use State::*;
        match (self, class) {
            (ReadOnly | ReadOnlyMemory, Class::Set | Class::Change) => MBA_EREADONLY,
            (Private | Memory, Class::Change) => MBA_EFIXED,
            (Locked | LockedElsewhere | Forked, Class::Change) => MBA_ELOCKED,
            (Partial, Class::Change) => MBA_EPARTIAL,
            _ => MBA_OK,
        }
    }
}

fn states(cases: &mut Cases) {
    let places: &[Place] =
        cases.scale(&[Place::Memory], &[Place::Memory, Place::Disk], &[Place::Memory, Place::Disk]);
    for place in places {
        for state in State::ALL {
            for function in FUNCTIONS.iter().filter(|f| !matches!(f.class, Class::Library | Class::Open)) {
                let label = format!("{place:?}, {state:?}, {}", function.name);
                cases.child(label, || in_state(*place, state, function));
            }
        }
    }
}

fn in_state(place: Place, state: State, function: &Function) {
    let mut stage = Stage::new(place);
    let path = stage.path();
    if state == State::Partial {
        fs::write(&path, [&five()[..], &[9]].concat()).unwrap();
    }
    let mut memory: Vec<u32> = (0..5).collect();
    let size = size_of_val(&memory[..]);
    let view = |data: *mut u32, flags| {
        let mut array = std::ptr::null_mut();
        // SAFETY: the memory lives until the handle is freed.
        assert_eq!(unsafe { mba_from_memory(data.cast(), size, MBA_UINT32, flags, &raw mut array) }, MBA_OK);
        array
    };
    let another = match state {
        State::ReadOnly => open(&path, MBA_UINT32, MBA_RDONLY, 1 << 16).unwrap(),
        State::Private => open(&path, MBA_UINT32, MBA_PRIVATE, 0).unwrap(),
        State::Memory => view(memory.as_mut_ptr(), MBA_RDWR),
        State::ReadOnlyMemory => view(memory.as_mut_ptr(), MBA_RDONLY),
        _ => open(&path, MBA_UINT32, MBA_RDWR, 1 << 16).unwrap(),
    };
    let first = std::mem::replace(&mut stage.goods.array, another);
    let mut child = 0;
    // SAFETY: handles that exist; the child only holds the lock until it is killed.
    unsafe {
        match state {
            State::Locked => assert_eq!(mba_lock(first, 0), MBA_OK),
            State::Forked => {
                // The lock is the parent's, whose copy of the handle this process has.
                assert_eq!(mba_lock(another, 0), MBA_OK);
                child = libc::fork();
                if child > 0 {
                    let mut status = 0;
                    assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
                    libc::_exit(libc::WEXITSTATUS(status) | libc::WTERMSIG(status));
                }
            }
            State::LockedElsewhere => {
                let (mut reader, writer) = std::io::pipe().unwrap();
                child = libc::fork();
                if child == 0 {
                    libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                    let own = open(&path, MBA_UINT32, MBA_RDWR, 1 << 16).unwrap();
                    assert_eq!(mba_lock(own, 0), MBA_OK);
                    std::io::Write::write_all(&mut &writer, &[1]).unwrap();
                    loop {
                        libc::pause();
                    }
                }
                std::io::Read::read_exact(&mut reader, &mut [0]).unwrap();
            }
            _ => {}
        }
    }
    let before = fs::read(&path).unwrap();
    let words = stage.goods.words(function);
    // SAFETY: as in `call`; not every answer is a code.
    let answer = unsafe { function.call(&words) };
    let code = if function.class == Class::Ask { MBA_OK } else { answer as i32 };
    let expected = state.code(function.class);
    assert_eq!(code, expected);
    stage.goods.end_mapping();
    let ended = function.class == Class::End;
    if !ended && (expected != MBA_OK || matches!(function.class, Class::Ask | Class::Read | Class::Tend)) {
        assert_eq!(bytes(another), five());
        assert_eq!(fs::read(&path).unwrap(), before, "the file has changed");
    }
    if expected != MBA_OK {
        assert_eq!(stage.goods.outputs(), UNTOUCHED);
        // SAFETY: the handle exists.
        assert_eq!(unsafe { mba_has_lock(another) }, 0);
    }
    if child > 0 {
        // SAFETY: the child isn't waited for yet.
        unsafe {
            libc::kill(child, libc::SIGKILL);
            libc::waitpid(child, std::ptr::null_mut(), 0);
        }
    }
    // SAFETY: the handle exists, and ends here.
    unsafe { mba_free(first) };
    stage.end(ended);
    if state == State::Forked {
        // SAFETY: ends this process, of which the parent waits to hear.
        unsafe { libc::_exit(0) };
    }
}

/// What a call with these numbers must do: a code and, if that is 0, the length afterwards. Of several codes each
/// is right.
fn by_the_header(
    function: &Function,
    words: &[usize],
    len: usize,
    capacity: usize,
    reserved: usize,
) -> (Vec<i32>, usize) {
    let number = |wanted: Parameter| {
        let at = function.parameters.iter().position(|parameter| *parameter == wanted).unwrap();
        words[at] as u128
    };
    let (longest, most) = (len as u128, reserved as u128);
    let index = || number(Parameter::Index);
    let count = || number(Parameter::Count);
    let inside = |sound: bool| (vec![if sound { MBA_OK } else { MBA_EINDEX }], len);
    let grown = |sound: bool, new: u128| match () {
        () if !sound => (vec![MBA_EINDEX], len),
        () if new > most => (vec![MBA_ELIMIT], len),
        () => (vec![MBA_OK], new as usize),
    };
    match function.name {
        "mba_get" | "mba_set" => inside(index() < longest),
        "mba_swap" => inside(index().max(number(Parameter::Removed)) < longest),
        "mba_read" | "mba_write" | "mba_fill" => inside(index() + count() <= longest),
        "mba_advise" => {
            let mut codes = Vec::new();
            if index() + count() > longest {
                codes.push(MBA_EINDEX);
            }
            if !(0..=4).contains(&(number(Parameter::Advice) as i32)) {
                codes.push(libc::EINVAL);
            }
            (if codes.is_empty() { vec![MBA_OK] } else { codes }, len)
        }
        // The elements are all the same, and the value is theirs.
        "mba_find" => {
            let found = index() < number(Parameter::Stop).min(longest);
            (vec![if found { MBA_OK } else { MBA_ENOTFOUND }], len)
        }
        "mba_insert" => grown(index() <= longest, longest + 1),
        "mba_remove" => grown(index() < longest, longest.saturating_sub(1)),
        "mba_extend" => grown(true, longest + count()),
        "mba_splice" => {
            let removed = number(Parameter::Removed);
            let sound = index() + removed <= longest;
            grown(sound, if sound { longest - removed + count() } else { 0 })
        }
        "mba_resize" => grown(true, number(Parameter::Length)),
        "mba_reserve" => {
            let (codes, _) = grown(true, number(Parameter::Length).max(longest));
            (codes, len)
        }
        "mba_commit" => {
            let new = number(Parameter::Length);
            let sound = (len..=capacity).contains(&usize::try_from(new).unwrap());
            (vec![if sound { MBA_OK } else { MBA_EINDEX }], if sound { new as usize } else { len })
        }
        // Nobody else has the lock, so that there is no wait.
        "mba_lock" => {
            let timeout = number(Parameter::Timeout) as i32;
            (vec![if timeout < -1 { libc::EINVAL } else { MBA_OK }], len)
        }
        name => panic!("what numbers may {name} be called with?"),
    }
}

fn is_number(parameter: Parameter) -> bool {
    use Parameter::{Advice, Count, Index, Length, Removed, Stop, Timeout};
    matches!(parameter, Index | Count | Removed | Stop | Length | Timeout | Advice)
}

fn numbers(cases: &mut Cases) {
    let types: &[i32] = cases.scale(
        &[MBA_UINT32],
        &[MBA_UINT8, MBA_INT16, MBA_UINT32, MBA_FLOAT64, MBA_COMPLEX128],
        &[MBA_UINT8, MBA_INT16, MBA_UINT32, MBA_FLOAT64, MBA_COMPLEX128],
    );
    let lens: &[usize] = cases.scale(&[5], &[0, 5], &[0, 1, 5, 1000]);
    let places: &[Place] = cases.scale(&[Place::Memory], &[Place::Memory], &[Place::Memory, Place::Disk]);
    for place in places {
        for ty in types {
            for flags in [MBA_RDWR, MBA_RDWR | MBA_EXACT] {
                for len in lens {
                    for function in FUNCTIONS.iter().filter(|f| f.parameters.iter().any(|p| is_number(*p))) {
                        let directory = place.directory();
                        numbers_of(cases, function, &directory.path().join("array"), *ty, flags, *len);
                    }
                }
            }
        }
    }
}

fn numbers_of(cases: &mut Cases, function: &Function, path: &Path, ty: i32, flags: u32, len: usize) {
    let item = mba_type_size(ty);
    let array = open(path, ty, flags | MBA_CREATE, 1 << 13).unwrap();
    // SAFETY: the handle exists.
    let reserved = unsafe { mba_reserved(array) };
    // As many values as any call that may succeed can take, all the same.
    let values = vec![0x11u8; (reserved + 2) * item];
    let mut places = vec![0u8; (reserved + 2) * item];
    let mut index = 0usize;
    let max = usize::MAX;
    let mut extremes = vec![0, 1, 2, len.wrapping_sub(1), len, len + 1, reserved - len, reserved - len + 1];
    extremes.extend([
        reserved - 1,
        reserved,
        reserved + 1,
        max,
        max - 1,
        max - len,
        (max - len).wrapping_add(1),
        max / 2,
    ]);
    extremes.extend([
        max / 2 + 1,
        max / item,
        (max / item).wrapping_add(1),
        max / item - 1,
        max / item - len,
    ]);
    extremes.extend([i32::MAX as usize, i32::MIN as usize, 1 << 32, (1 << 32) + 1, max / 2 / item + 1]);
    extremes.sort_unstable();
    extremes.dedup();
    let positions: Vec<usize> =
        (0..function.parameters.len()).filter(|at| is_number(function.parameters[*at])).collect();
    for round in 0..extremes.len().pow(positions.len() as u32) {
        // A fixed state to begin with, in which the capacity is known.
        let fill = |words: &[usize], name| {
            let code = call(Function::named(name), words);
            assert_eq!(code, MBA_OK, "{name}");
        };
        let this = array.expose_provenance();
        let from = values.as_ptr().expose_provenance();
        fill(&[this, len], "mba_resize");
        fill(&[this, 0, len, from], "mba_fill");
        fill(&[this, 0], "mba_lock");
        let mut words: Vec<usize> = function
            .parameters
            .iter()
            .map(|parameter| match parameter {
                Parameter::Array => this,
                Parameter::Value | Parameter::Values => from,
                Parameter::Place | Parameter::PlaceOrNull | Parameter::Places => {
                    places.as_mut_ptr().expose_provenance()
                }
                Parameter::Size => (&raw mut index).expose_provenance(),
                parameter if is_number(*parameter) => 0,
                other => panic!("{}: {other:?}", function.name),
            })
            .collect();
        let mut rest = round;
        for at in &positions {
            words[*at] = extremes[rest % extremes.len()];
            rest /= extremes.len();
        }
        let numbers: Vec<usize> = positions.iter().map(|at| words[*at]).collect();
        // SAFETY: the handle exists.
        let capacity = unsafe { mba_capacity(array) };
        let before = bytes(array);
        cases.case(format!("{}{numbers:?}, type {ty}, flags {flags}, length {len}", function.name), || {
            let (codes, new) = by_the_header(function, &words, len, capacity, reserved);
            let code = call(function, &words);
            assert!(codes.contains(&code), "the code {code}, not {codes:?}");
            assert_eq!(length(array), new);
            if code != MBA_OK {
                assert!(bytes(array) == before, "elements have changed");
            }
        });
    }
    // SAFETY: the handle exists, and ends here.
    unsafe { assert_eq!(mba_close(array), MBA_OK) };
}

/// All functions that take a type, flags or options.
fn unknowns(cases: &mut Cases) {
    let takers = |wanted: Parameter| {
        FUNCTIONS.iter().filter(move |f| f.class == Class::Open && f.parameters.contains(&wanted))
    };
    let stage = std::cell::RefCell::new(Stage::new(Place::Memory));
    let refused = |function: &Function, wanted: Parameter, word: usize, code: i32| {
        let mut stage = stage.borrow_mut();
        let mut words = stage.goods.words(function);
        words[function.parameters.iter().position(|parameter| *parameter == wanted).unwrap()] = word;
        assert_eq!(call(function, &words), code);
        stage.nothing_is_made();
    };

    let known: Vec<i32> = Type::all().map(Type::code).collect();
    let reach = cases.scale(300, 70_000, 2_000_000);
    let mut types: Vec<i32> =
        (-reach..=reach).chain([i32::MIN, i32::MIN + 1, i32::MAX, i32::MAX - 1]).collect();
    types.extend(known.iter().flat_map(|code| (8..32).map(move |bit| code ^ (1i32.wrapping_shl(bit)))));
    // What would be records of no bytes, and of too many.
    let most = Type::record_code(MBA_RECORD_MAX as usize);
    types.extend([most - MBA_RECORD_MAX, most + 1]);
    types.retain(|ty| !known.contains(ty));
    for ty in types {
        cases.case(format!("type {ty}"), || {
            assert_eq!(mba_type_size(ty), 0);
            assert!(mba_type_name(ty).is_null());
            takers(Parameter::Type)
                .for_each(|function| refused(function, Parameter::Type, ty as usize, MBA_ETYPE));
        });
    }

    let all = MBA_RDWR | MBA_CREATE | MBA_EXCL | MBA_PRIVATE | MBA_EXACT;
    let sensible = |flags: u32, allowed: u32| {
        let has = |flag| flags & flag != 0;
        flags & !allowed == 0
            && (!has(MBA_CREATE) || has(MBA_RDWR))
            && (!has(MBA_EXCL) || has(MBA_CREATE))
            && (!has(MBA_EXACT) || has(MBA_RDWR))
            && (!has(MBA_PRIVATE) || flags & !MBA_RDWR == MBA_PRIVATE)
    };
    for function in takers(Parameter::Flags) {
        let allowed = match function.name {
            "mba_from_fd" | "mba_from_fd_with" => MBA_RDWR | MBA_PRIVATE | MBA_EXACT,
            "mba_from_memory" => MBA_RDWR,
            "mba_open" | "mba_open_with" | "mba_shm_open" | "mba_shm_open_with" => all,
            name => panic!("which flags may {name} be called with?"),
        };
        let unknown = (0..32).map(|bit| 1u32 << bit).filter(|flag| flag & all == 0);
        let with_unknown = unknown.flat_map(|flag| (0..=all).map(move |known| known | flag));
        let random = (0..cases.scale(100, 10_000, 1_000_000)).scan(Numbers(1), |n, _| Some(n.next() as u32));
        for flags in (0..=all).chain(with_unknown).chain(random).chain([u32::MAX]) {
            if sensible(flags, allowed) {
                continue;
            }
            cases.case(format!("{}, flags {flags:#x}", function.name), || {
                refused(function, Parameter::Flags, flags as usize, libc::EINVAL);
            });
        }
    }

    for function in takers(Parameter::Options) {
        let mut room = Edge::new();
        let known = size_of::<mba_options>();
        for size in (0..known + 200).chain([4095, 4096, 4097, 5000, 1 << 16, u32::MAX as usize]) {
            // One byte that isn't zero, at each place from the mode on; 0 for none.
            let places = (known..size.min(4096)).step_by(cases.scale(7, 1, 1));
            for bad in [None].into_iter().chain(places.map(Some)) {
                cases.case(format!("{}, options of {size} bytes, {bad:?} isn't zero", function.name), || {
                    // What is beyond the size isn't there at all.
                    let there = size.clamp(4, 4096);
                    let options = room.end(there);
                    options.fill(0);
                    options[..4].copy_from_slice(&(size as u32).to_ne_bytes());
                    if let Some(at) = bad {
                        options[at] = 1;
                    }
                    let word = options.as_ptr().expose_provenance();
                    if bad.is_some() || !(4..=4096).contains(&size) {
                        refused(function, Parameter::Options, word, libc::EINVAL);
                        return;
                    }
                    let mut stage = stage.borrow_mut();
                    let mut words = stage.goods.words(function);
                    let at = function.parameters.iter().position(|p| *p == Parameter::Options).unwrap();
                    words[at] = word;
                    assert_eq!(call(function, &words), MBA_OK);
                    // SAFETY: the call has made it.
                    unsafe { mba_free(stage.goods.outputs().handle) };
                    let _ = fs::remove_file(stage.goods.path.to_str().unwrap());
                    // SAFETY: a C string.
                    unsafe { mba_shm_unlink(stage.goods.name.as_ptr()) };
                });
            }
        }
    }
    stage.into_inner().end(false);
}

/// Pages with nothing before and nothing behind them: who reads or writes there dies.
struct Edge {
    base: *mut u8,
}

impl Edge {
    const PAGE: usize = 4096;
    const ROOM: usize = 2 * Edge::PAGE;

    fn new() -> Edge {
        // SAFETY: a new mapping without access, whose middle is then made accessible.
        unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let whole = Edge::ROOM + 2 * Edge::PAGE;
            let map = libc::mmap(std::ptr::null_mut(), whole, libc::PROT_NONE, flags, -1, 0);
            assert_ne!(map, libc::MAP_FAILED);
            let base = map.cast::<u8>().add(Edge::PAGE);
            assert_eq!(libc::mprotect(base.cast(), Edge::ROOM, libc::PROT_READ | libc::PROT_WRITE), 0);
            Edge { base }
        }
    }

    /// The first so many bytes.
    fn start(&mut self, count: usize) -> &mut [u8] {
        assert!(count <= Edge::ROOM);
        // SAFETY: so many bytes are accessible, and borrowed from this value alone.
        unsafe { std::slice::from_raw_parts_mut(self.base, count) }
    }

    /// The last so many bytes.
    fn end(&mut self, count: usize) -> &mut [u8] {
        assert!(count <= Edge::ROOM);
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.base.add(Edge::ROOM - count), count) }
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's, which ends here.
        unsafe { libc::munmap(self.base.sub(Edge::PAGE).cast(), Edge::ROOM + 2 * Edge::PAGE) };
    }
}

/// Every function with its values and outputs at the beginning and at the end of the memory that there is.
fn edges(cases: &mut Cases) {
    let records = [3, 12, 40].map(|size| Type::record(size).unwrap());
    for ty in Type::all().chain(records) {
        let item = ty.size();
        for function in FUNCTIONS.iter().filter(|function| {
            let elements = |parameter: &Parameter| is_value(*parameter) || is_place(*parameter);
            function.class != Class::Open && function.parameters.iter().any(elements)
        }) {
            for at_end in [true, false] {
                for count in [1, 2, 3, 7, 64] {
                    let several = function.parameters.contains(&Parameter::Count);
                    if !several && count > 1 {
                        continue;
                    }
                    let label =
                        format!("{}, {} of {item}, {count}, at the end: {at_end}", function.name, ty.name());
                    cases.child(label, || edge(function, ty.code(), item, at_end, count));
                }
            }
        }
    }
}

fn is_value(parameter: Parameter) -> bool {
    matches!(parameter, Parameter::Value | Parameter::Values)
}

fn is_place(parameter: Parameter) -> bool {
    matches!(parameter, Parameter::Place | Parameter::PlaceOrNull | Parameter::Places)
}

fn edge(function: &Function, ty: i32, item: usize, at_end: bool, count: usize) {
    let mut array = std::ptr::null_mut();
    // SAFETY: a place for the handle, and then the handle.
    unsafe {
        assert_eq!(mba_anon(ty, &raw mut array), MBA_OK);
        assert_eq!(mba_resize(array, 100), MBA_OK);
    }
    let (mut values, mut places) = (Edge::new(), Edge::new());
    let many = if function.parameters.iter().any(|p| matches!(p, Parameter::Values | Parameter::Places)) {
        count
    } else {
        1
    };
    let mut index = 0usize;
    let words: Vec<usize> = function
        .parameters
        .iter()
        .map(|parameter| match parameter {
            Parameter::Array => array.expose_provenance(),
            parameter if is_value(*parameter) || is_place(*parameter) => {
                let edge = if is_value(*parameter) { &mut values } else { &mut places };
                let slice = if at_end { edge.end(many * item) } else { edge.start(many * item) };
                slice.as_mut_ptr().expose_provenance()
            }
            Parameter::Count => count,
            Parameter::Stop => 100,
            Parameter::Size => (&raw mut index).expose_provenance(),
            Parameter::Index => 3,
            Parameter::Removed => 1,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(call(function, &words), MBA_OK);
    // SAFETY: the handle exists, and ends here.
    unsafe { mba_free(array) };
}

/// Values that lie in the array, overlap it, reach over its end, and outputs that lie in it, against a model that
/// copies the values first and hands out last. By the array's own pointer, and by that of another handle.
fn aliasing(cases: &mut Cases) {
    let rounds = cases.scale(1_500, 40_000, 400_000);
    let mut random = Numbers::any();
    for (place, flags) in
        [(Place::Memory, MBA_RDWR), (Place::Disk, MBA_RDWR), (Place::Memory, MBA_RDWR | MBA_EXACT)]
    {
        let records = Type::record_code(12);
        for ty in [MBA_UINT8, MBA_UINT16, MBA_UINT32, MBA_UINT64, MBA_COMPLEX128, records] {
            let directory = place.directory();
            let path = directory.path().join("array");
            let array = open(&path, ty, flags | MBA_CREATE, 1 << 20).unwrap();
            for _ in 0..rounds / 6 {
                alias(cases, array, None, &mut random);
            }
            // As far into the file as the array itself, and further, and at another address.
            for reservation in [1 << 19, 1 << 22] {
                let other = open(&path, ty, MBA_RDWR, reservation).unwrap();
                for _ in 0..rounds / 12 {
                    alias(cases, array, Some(other), &mut random);
                }
                // SAFETY: the handle exists, and ends here.
                unsafe { assert_eq!(mba_close(other), MBA_OK) };
            }
            for flags in [MBA_RDONLY, MBA_PRIVATE] {
                for _ in 0..rounds / 24 {
                    copy_across(cases, (array, &path, ty, flags), &mut random);
                }
            }
            // SAFETY: the handle exists, and ends here.
            unsafe { assert_eq!(mba_close(array), MBA_OK) };
        }
    }
}

/// Elements are written from a handle that can't write itself, or is a private copy, and read from that to where the array
/// is: in another mapping of the same file, a few elements further on, where what is copied changes under the copy.
fn copy_across(
    cases: &mut Cases,
    (array, path, ty, flags): (*mut mba_array, &std::path::Path, i32, u32),
    random: &mut Numbers,
) {
    // SAFETY: the handle exists.
    let item = unsafe { mba_itemsize(array) };
    let len = 2 + random.below(3000) as usize;
    let elements: Vec<u8> = (0..len * item).map(|at| (at * 31 + at / 251) as u8).collect();
    let this = array.expose_provenance();
    assert_eq!(call(Function::named("mba_clear"), &[this]), MBA_OK);
    let words = [this, elements.as_ptr().expose_provenance(), len];
    assert_eq!(call(Function::named("mba_extend"), &words), MBA_OK);
    let other = open(path, ty, flags, 0).unwrap();
    let (from, to) = (random.below(len as u64) as usize, random.below(len as u64) as usize);
    let count = 1 + random.below((len - from.max(to)) as u64) as usize;
    let mut model = elements;
    model.copy_within(from * item..(from + count) * item, to * item);
    // SAFETY: both handles exist, and have so many elements.
    let place_in = |handle: *mut mba_array, at: usize| unsafe {
        mba_data_ptr(handle).cast::<u8>().wrapping_add(at * item).expose_provenance()
    };
    let splices = random.below(3);
    let (name, words) = match splices {
        0 => ("mba_read", vec![other.expose_provenance(), from, count, place_in(array, to)]),
        1 => ("mba_write", vec![this, to, place_in(other, from), count]),
        _ => ("mba_splice", vec![this, to, count, place_in(other, from), count]),
    };
    cases.case(
        format!("{name} of {count} from {from} to {to} of {len} elements of {item} bytes, {flags}"),
        || {
            assert_eq!(call(Function::named(name), &words), MBA_OK);
            let now = bytes(array);
            let first = (0..now.len()).find(|at| now[*at] != model[*at]);
            assert_eq!(first, None, "the first byte that is wrong");
        },
    );
    // SAFETY: the handle exists, and ends here.
    unsafe { assert_eq!(mba_close(other), MBA_OK) };
}

fn alias(cases: &mut Cases, array: *mut mba_array, other: Option<*mut mba_array>, random: &mut Numbers) {
    let mut below = |end: usize| random.below(end as u64) as usize;
    // SAFETY: the handles exist.
    let (item, data) = unsafe { (mba_itemsize(array), mba_data_ptr(other.unwrap_or(array)).cast::<u8>()) };
    let len = 1 + below(200);
    let seed = below(251);
    let mut model: Vec<u8> = (0..len * item).map(|at| (at * 7 + seed) as u8).collect();
    let this = array.expose_provenance();
    assert_eq!(call(Function::named("mba_clear"), &[this]), MBA_OK);
    let words = [this, model.as_ptr().expose_provenance(), len];
    assert_eq!(call(Function::named("mba_extend"), &words), MBA_OK);

    let (index, count) = (below(len), 1 + below(60));
    let removed = below(len - index + 1);
    let names = [
        "mba_append",
        "mba_insert",
        "mba_set",
        "mba_fill",
        "mba_extend",
        "mba_write",
        "mba_splice",
        "mba_get",
        "mba_read",
        "mba_pop",
        "mba_remove",
        "mba_find",
        "mba_count",
    ];
    let name = names[below(names.len())];
    // By bytes, so that values needn't be whole elements, nor aligned.
    let mut from = below((len - 1) * item + 1);
    if other.is_some() && matches!(name, "mba_set" | "mba_get") {
        // One element is copied without a look at who else has the file: it is another one, or the same.
        from = from / item * item;
    }
    let many = count.min((len * item - from) / item);
    let pointer = data.wrapping_add(from).expose_provenance();
    let one = model[from..from + item].to_vec();
    let values = model[from..from + many * item].to_vec();
    let (start, end) = (index * item, (index + 1) * item);
    let fitting = many.min(len - index);
    let word_at = below(len * item / 8 + 1) * 8;
    let mut words = vec![this];
    match name {
        "mba_append" => {
            words.push(pointer);
            model.extend(&one);
        }
        "mba_insert" => {
            words.extend([index, pointer]);
            model.splice(start..start, one);
        }
        "mba_set" => {
            // One element over another that it overlaps is a store of what was there, as in C.
            words.extend([index, pointer]);
            model[start..end].copy_from_slice(&one);
        }
        "mba_fill" => {
            words.extend([index, fitting, pointer]);
            (0..fitting).for_each(|at| model[start + at * item..][..item].copy_from_slice(&one));
        }
        "mba_extend" => {
            words.extend([pointer, many]);
            model.extend(&values);
        }
        "mba_write" => {
            words.extend([index, pointer, fitting]);
            model[start..start + fitting * item].copy_from_slice(&values[..fitting * item]);
        }
        "mba_splice" => {
            words.extend([index, removed, pointer, many]);
            model.splice(start..start + removed * item, values);
        }
        "mba_get" => {
            words.extend([index, pointer]);
            let element = model[start..end].to_vec();
            model[from..from + item].copy_from_slice(&element);
        }
        "mba_read" => {
            words.extend([index, fitting, pointer]);
            let elements = model[start..start + fitting * item].to_vec();
            model[from..from + fitting * item].copy_from_slice(&elements);
        }
        "mba_pop" | "mba_remove" => {
            let index = if name == "mba_pop" { len - 1 } else { index };
            let element: Vec<u8> = model.splice(index * item..(index + 1) * item, []).collect();
            words.extend((name == "mba_remove").then_some(index));
            // Not over the end that the array then has, which is the spare room's and no element.
            let place = from.min(model.len().saturating_sub(item));
            words.push(if model.is_empty() { 0 } else { data.wrapping_add(place).expose_provenance() });
            if !model.is_empty() {
                model[place..place + item].copy_from_slice(&element);
            }
        }
        _ => {
            // The answer goes where the elements are, and comes when the search is over.
            if word_at + 8 > model.len() {
                return;
            }
            let place = data.wrapping_add(word_at).expose_provenance();
            let same = |at: &usize| model[at * item..(at + 1) * item] == one[..];
            let answer = if name == "mba_find" {
                words.extend([pointer, 0, usize::MAX, place]);
                (0..len).find(same)
            } else {
                words.extend([pointer, place]);
                Some((0..len).filter(same).count())
            };
            // A value that isn't an element may not be there; and of complex numbers bytes say too little.
            // SAFETY: the handle exists.
            let complex = unsafe { mba_typecode(array) } == MBA_COMPLEX128;
            let Some(answer) = answer.filter(|_| !complex) else { return };
            model[word_at..word_at + 8].copy_from_slice(&answer.to_ne_bytes());
        }
    }
    cases.case(format!("{name}{:?} of {len} elements of {item} bytes", &words[1..]), || {
        assert_eq!(call(Function::named(name), &words), MBA_OK);
        assert_eq!(length(array), model.len() / item);
        let now = bytes(array);
        let first = (0..now.len()).find(|at| now[*at] != model[*at]);
        assert_eq!(first, None, "the first byte that is wrong");
    });
}
