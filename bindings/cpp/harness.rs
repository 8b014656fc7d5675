//! The C++ class, by its own programs: each in `tests/` is built with all warnings as errors, and runs with its files on
//! the disk and in shared memory.
//!
//! A program is built by gcc and clang, as C++17 and as C++20, plain and with AddressSanitizer and
//! UndefinedBehaviorSanitizer: three of the eight combinations as a rule, in which each of these occurs, and all with
//! `MBA_CPP=all`. `MBA_SKIP=random` and so on skips one program, `MBA_SKIP=cpp` all.

#[path = "../../tests/helpers/mod.rs"]
mod helpers;
#[allow(dead_code)]
#[path = "../../ctests/helpers/place.rs"]
mod place;
#[allow(dead_code)]
#[path = "../../ctests/helpers/program.rs"]
mod program;
#[allow(dead_code)]
#[path = "../../ctests/helpers/wire.rs"]
mod wire;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use helpers::session::Session;
use helpers::{output_of, skipped};
use mmap_backed_array::{Element, MmapArray, Type};
use place::Place;
use tempfile::TempDir;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bindings/cpp");

const WARNINGS: [&str; 9] = [
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wshadow",
    "-Wconversion",
    "-Wsign-conversion",
    "-Wold-style-cast",
    "-Wcast-qual",
    "-Werror",
];

/// How a program is built.
#[derive(Clone, Copy)]
struct Variant {
    compiler: &'static str,
    standard: &'static str,
    sanitized: bool,
}

fn variants() -> Vec<Variant> {
    let mut all = Vec::new();
    for compiler in ["g++", "clang++"] {
        for standard in ["c++17", "c++20"] {
            for sanitized in [false, true] {
                all.push(Variant { compiler, standard, sanitized });
            }
        }
    }
    if std::env::var("MBA_CPP").is_ok_and(|wanted| wanted == "all") {
        return all;
    }
    let usual = [("g++", "c++17", false), ("clang++", "c++20", false), ("g++", "c++20", true)];
    all.retain(|one| usual.contains(&(one.compiler, one.standard, one.sanitized)));
    all
}

/// A program, in a directory of its own with its own copy of the library.
struct Program {
    directory: TempDir,
    variant: Variant,
}

impl Program {
    /// Builds a source file of `bindings/cpp`.
    fn build(source: &str, variant: Variant, more: &[&str]) -> Program {
        let program = Program { directory: Place::Disk.scratch(), variant };
        let package = if variant.compiler == "g++" { "g++" } else { "clang and libclang-rt-14-dev" };
        let mut compile = Command::new(variant.compiler);
        compile.args(WARNINGS).arg(format!("-std={}", variant.standard)).args(["-O1", "-g", "-pthread"]);
        if variant.sanitized {
            compile.args(["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]);
        }
        compile.arg(format!("-I{FOLDER}")).arg(format!("-I{ROOT}/include"));
        compile.arg(format!("{FOLDER}/{source}")).arg("-o").arg(program.path());
        let library: Vec<OsString> = program::shared_library(program.directory.path());
        output_of(compile.args(library).args(more), package);
        program
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("program")
    }

    fn command(&self, scratch: &Path) -> Command {
        let mut command = Command::new(self.path());
        command.arg(scratch).env_remove("LD_LIBRARY_PATH");
        command
    }

    /// Runs it on a scratch directory; it must end well.
    fn run(&self, scratch: &Path) {
        let Variant { compiler, standard, sanitized } = self.variant;
        let output = self.command(scratch).output().expect("the program starts");
        assert!(
            output.status.success(),
            "by {compiler} as {standard}, sanitized: {sanitized}, in {}: {}\n{}{}",
            scratch.display(),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
    }
}

/// What the class can't be compiled with is one error, which says so, and no hundred that follow from it.
#[test]
fn an_older_standard_is_one_error() {
    if skipped("an_older_standard_is_one_error") || skipped("cpp") {
        return;
    }
    let directory = Place::Disk.scratch();
    let source = directory.path().join("program.cpp");
    fs::write(&source, "#include \"mmap_backed_array.hpp\"\n").unwrap();
    for compiler in ["g++", "clang++"] {
        for (flag, complaint) in
            [("-std=c++14", "is for C++17 and later"), ("-DMBA_NO_INLINE", "MBA_NO_INLINE")]
        {
            let mut command = Command::new(compiler);
            command.args(["-std=c++17", flag, "-fsyntax-only"]).arg(&source);
            command.arg(format!("-I{FOLDER}")).arg(format!("-I{ROOT}/include"));
            let told = String::from_utf8_lossy(&command.output().unwrap().stderr).into_owned();
            assert!(told.contains(complaint), "{compiler} {flag}: {told}");
            assert_eq!(told.matches("error:").count(), 1, "{compiler} {flag}: {told}");
        }
    }
}

/// Without exceptions, without run-time type information, and without both.
#[test]
fn quiet() {
    if skipped("quiet") || skipped("cpp") {
        return;
    }
    for variant in variants() {
        for flags in [
            &["-fno-exceptions", "-DMUST_HAVE_NO_EXCEPTIONS"][..],
            &["-fno-rtti"],
            &["-fno-exceptions", "-fno-rtti", "-DMUST_HAVE_NO_EXCEPTIONS"],
        ] {
            // Its check of virtual calls needs the information.
            let flags = if variant.sanitized && flags.contains(&"-fno-rtti") {
                [flags, &["-fno-sanitize=vptr"]].concat()
            } else {
                flags.to_vec()
            };
            let program = Program::build("tests/quiet.cpp", variant, &flags);
            for place in Place::ALL {
                program.run(place.scratch().path());
            }
        }
    }
}

/// What clang warns of with -Weverything, but for these.
#[test]
fn every_warning() {
    if skipped("every_warning") || skipped("cpp") {
        return;
    }
    let no_fault = [
        // They tell what an older standard doesn't have.
        "-Wno-c++98-compat",
        "-Wno-c++98-compat-pedantic",
        "-Wno-pre-c++14-compat",
        "-Wno-pre-c++17-compat",
        "-Wno-pre-c++20-compat",
        // A class in a header has no source file that its virtual table could be in.
        "-Wno-weak-vtables",
        // Padding that is meant, in options.
        "-Wno-padded",
        // Elements are reached by pointers. Not known before clang 16.
        "-Wno-unsafe-buffer-usage",
        "-Wno-unknown-warning-option",
    ];
    for more in [&["-std=c++17"][..], &["-std=c++20"], &["-std=c++17", "-fno-exceptions", "-fno-rtti"]] {
        let mut command = Command::new("clang++");
        command.args(["-Weverything", "-Werror", "-fsyntax-only"]).args(no_fault).args(more);
        command.arg(format!("-I{FOLDER}")).arg(format!("-I{ROOT}/include"));
        output_of(command.arg(format!("{FOLDER}/tests/instances.cpp")), "clang");
    }
}

fn try_everywhere(name: &str, more: &[&str]) {
    if skipped(name) || skipped("cpp") {
        return;
    }
    for variant in variants() {
        let program = Program::build(&format!("tests/{name}.cpp"), variant, more);
        for place in Place::ALL {
            program.run(place.scratch().path());
        }
    }
}

/// What the inline functions store is what is read, also where compilers go by types as far as they can.
#[test]
fn aliasing() {
    if skipped("aliasing") || skipped("cpp") {
        return;
    }
    for compiler in ["g++", "clang++"] {
        for level in ["-O2", "-O3"] {
            let variant = Variant { compiler, standard: "c++17", sanitized: false };
            let program = Program::build("tests/aliasing.cpp", variant, &[level]);
            program.run(Place::Memory.scratch().path());
        }
    }
}

/// A test for each program.
macro_rules! programs {
    ($($name:ident $(($library:literal))?)*) => {$(
        #[test]
        fn $name() {
            try_everywhere(stringify!($name), &[$($library)?]);
        }
    )*};
}

programs! { algorithms("-ltbb") container errors growth locking random status turns types }

/// A structure that Rust and C++ know alike.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
struct Reading {
    time: u64,
    value: f64,
    sensor: u32,
    flags: u32,
}

// SAFETY: 24 bytes without padding, which take any bits; aligned to eight.
unsafe impl Element for Reading {
    const CODE: i32 = Type::record_code(size_of::<Reading>());
}

fn reading(time: u64) -> Reading {
    Reading { time, value: time as f64 / 2.0, sensor: 7, flags: !0 }
}

/// A process in Rust, which is this one, and one in C++ append to the same file of records in turn.
#[test]
fn records_from_rust() {
    if skipped("records_from_rust") || skipped("cpp") {
        return;
    }
    for variant in variants() {
        let program = Program::build("tests/records.cpp", variant, &[]);
        for place in Place::ALL {
            let scratch = place.scratch();
            let mut readings = MmapArray::<Reading>::open_or_create(scratch.path().join("readings")).unwrap();
            let address = readings.as_ptr();
            for round in 1..=3 {
                for _ in 0..1000 {
                    readings.push(reading(readings.len() as u64)).unwrap();
                }
                readings.unlock().unwrap();
                program.run(scratch.path());
                readings.refresh().unwrap();
                assert_eq!(readings.len(), 2000 * round);
                assert!((0..readings.len()).all(|at| readings.get(at) == Some(reading(at as u64))));
                assert_eq!(readings.as_ptr(), address);
            }
        }
    }
}

/// The example by Boost.Interprocess and ours do the same.
#[test]
fn examples() {
    if skipped("examples") || skipped("cpp") {
        return;
    }
    assert!(
        Path::new("/usr/include/boost/interprocess").is_dir(),
        "Boost.Interprocess is missing: apt-get install libboost-dev, or MBA_SKIP=examples"
    );
    for variant in variants() {
        let programs = ["with_boost", "with_mba"].map(|name| {
            // Boost's own headers aren't ours to judge.
            let options = if name == "with_boost" { &["-w"][..] } else { &[] };
            Program::build(&format!("examples/{name}.cpp"), variant, options)
        });
        let scratch = Place::Memory.scratch();
        for count in ["10000", "90000"] {
            let printed = [0, 1].map(|which| {
                let path = scratch.path().join(which.to_string());
                output_of(programs[which].command(&path).arg(count), "what this test has just built")
            });
            assert!(printed[0] == printed[1] && printed[0].contains("0000 readings, mean "), "{printed:?}");
        }
        assert_eq!(std::fs::metadata(scratch.path().join("1")).unwrap().len(), 100_000 * 16);
    }
}

/// Instructions that the function under measurement takes, by callgrind.
fn instructions(program: &Path, arguments: [&str; 3]) -> f64 {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*measured_*"]);
    let output = valgrind.arg(program).args(arguments).env_remove("LD_LIBRARY_PATH").output();
    let output = output.expect("valgrind counts instructions: apt-get install valgrind, or MBA_SKIP=loops");
    let told = String::from_utf8_lossy(&output.stderr);
    let count = told.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    count.unwrap_or_else(|| panic!("valgrind doesn't tell: {told}"))
}

/// Loops over the class are the instructions of loops over a vector: no more than 2 % of them more.
#[test]
fn loops() {
    if skipped("loops") || skipped("cpp") {
        return;
    }
    let all = std::env::var("MBA_CPP").is_ok_and(|wanted| wanted == "all");
    let types = if all { &["u8", "u32", "u64", "ull", "f64"][..] } else { &["ull", "f64"] };
    for compiler in ["g++", "clang++"] {
        for level in ["-O2", "-O3"] {
            let variant = Variant { compiler, standard: "c++17", sanitized: false };
            let program = Program::build("bench/loops.cpp", variant, &[level]);
            for ty in types {
                for measured in ["iterate", "index", "store", "sort", "accumulate"] {
                    let [vector, array] = ["vector", "array"]
                        .map(|container| instructions(&program.path(), [container, measured, ty]));
                    assert!(vector > 1_000.0, "{measured} was measured");
                    assert!(
                        array <= vector * 1.02,
                        "{measured} over {ty} by {compiler} {level}: {array} instructions, over a vector {vector}"
                    );
                }
                // Appending has a length more to store, and where to is to be read; a call would be several times
                // as many.
                let [vector, array] = ["vector", "array"]
                    .map(|container| instructions(&program.path(), [container, "push", ty]));
                assert!(
                    array <= vector * 1.75,
                    "push_back by {compiler} {level}: {array}, a vector's {vector}"
                );
            }
        }
    }
}

#[test]
fn its_readme_is_true() {
    if skipped("cpp") {
        return;
    }
    let readme = std::fs::read_to_string(format!("{FOLDER}/README.md")).unwrap();
    // What it needs was fetched to build this test.
    Session::of("README.md", &readme).unwrap().run(|command| _ = command.env("CARGO_NET_OFFLINE", "true"));
}

/// With a sanitizer, a program that writes beyond its memory is stopped: it looks.
#[test]
fn the_sanitizers_see() {
    if skipped("cpp") {
        return;
    }
    for variant in variants().into_iter().filter(|variant| variant.sanitized) {
        let program = Program::build("tests/overrun.cpp", variant, &[]);
        let output = program.command(Path::new("/")).output().expect("the program starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && errors.contains("heap-buffer-overflow"), "{errors}");
    }
}
