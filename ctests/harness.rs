//! Builds and runs the C and C++ programs in this folder, each as a test of its name. They lie in folders by topic,
//! which are modules here: `cargo test --test ctests forks::` runs those about forks. A topic of one program has no
//! folder. In `helpers/` are no tests.
//!
//! A program is compiled with all warnings as errors and linked against the shared library of this very build.
//! It gets a scratch directory as its argument, and fails by saying where. Each runs twice, with its files on
//! the disk and in shared memory.
//!
//! - `MBA_CTEST_CFLAGS` adds compiler flags, such as `-fsanitize=address,undefined`.
//! - `MBA_CTEST_LIBRARIES` is a directory with another build of the library, such as one that a sanitizer looks into;
//!   see `.ci/sanitized`.
//! - `MBA_CTEST_RUNNER` runs the programs under a command, such as
//!   `valgrind -q --error-exitcode=99 --leak-check=no --vex-iropt-register-updates=allregs-at-mem-access`. The last
//!   option is for guard.c, in which an instruction is done again after a fault. Valgrind's own search for leaks is
//!   tried by `leaks`; the address sanitizer looks for leaks in all of them. Valgrind holds up all threads while one
//!   waits for a lock, so that `lock` lets a thread ask again and again there.
//! - `MBA_SKIP=full_disk,open` skips what it names; `ctests` stands for all.

#[path = "helpers/exchange.rs"]
mod exchange;
#[path = "helpers/place.rs"]
mod place;
#[path = "helpers/program.rs"]
mod program;
#[path = "helpers/wire.rs"]
mod wire;

use place::Place;
use program::{Language, Link, Program};

/// A test for each program that does everything itself, in the folder of the module's name.
macro_rules! programs {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            $crate::run_in_each_place(module_path!(), stringify!($name));
        }
    )*};
}

programs! { full_disk guard }

/// Builds a program of C that lies in the folder of the module's name, and runs it in each place.
fn run_in_each_place(module: &str, name: &str) {
    if skipped(name) {
        return;
    }
    let source = match module.split_once("::") {
        Some((_, topic)) => format!("{topic}/{name}.c"),
        None => format!("{name}.c"),
    };
    let program = Program::build(&source, Link::Shared);
    for place in Place::ALL {
        let scratch = place.scratch();
        program.run(scratch.path(), &[]);
    }
}

/// Whether `MBA_SKIP` names this test; a skipped one says so.
fn skipped(name: &str) -> bool {
    let list = std::env::var("MBA_SKIP").unwrap_or_default();
    let skip = list.split(',').any(|word| word.trim() == name || word.trim() == "ctests");
    if skip {
        println!("MBA_SKIP: {name} was not run");
    }
    skip
}

/// What is compiled against the library: the header, the static library, sanitizers.
mod building {
    use std::fs;

    use super::{Language, Link, Place, Program, program, skipped};

    /// The header is C++17 too, and a C++ program uses what it declares.
    #[test]
    fn header_cpp() {
        if skipped("header_cpp") {
            return;
        }
        let program = Program::build("building/header_cpp.cpp", Link::Shared);
        let scratch = Place::Disk.scratch();
        program.run(scratch.path(), &[]);
    }

    /// The header is complete in itself, in C99 and in C++17; and for parsers it has a form without includes.
    #[test]
    fn header_alone() {
        if skipped("header_alone") {
            return;
        }
        let scratch = Place::Disk.scratch();
        for language in [Language::C, Language::Cpp] {
            let source = scratch.path().join(language.file("alone"));
            fs::write(&source, "#include \"mmap_backed_array.h\"\n#include \"mmap_backed_array.h\"\n")
                .unwrap();
            program::compile(language, &source, &["-fsyntax-only".as_ref()]);
        }
        let source = scratch.path().join("declarations.c");
        fs::write(&source, "#include \"mmap_backed_array.h\"\n").unwrap();
        let text = program::compile(
            Language::C,
            &source,
            &["-E".as_ref(), "-P".as_ref(), "-DMBA_NO_INCLUDES".as_ref()],
        );
        assert!(text.contains("mba_append") && text.contains("typedef struct mba_options"), "{text}");
        assert!(
            !text.contains('#') && !text.contains("__attribute__") && !text.contains("uint_fast8_t"),
            "{text}"
        );
    }

    /// The static library does what the shared one does.
    #[test]
    fn linked_statically() {
        if skipped("linked_statically") {
            return;
        }
        for source in ["length/length.c", "forks/fork.c"] {
            let scratch = Place::Memory.scratch();
            Program::build(source, Link::Static).run(scratch.path(), &[]);
        }
    }

    /// With a sanitizer, or under valgrind: it sees the mistakes that it is there for.
    #[test]
    fn mistakes_are_seen() {
        let flags = std::env::var("MBA_CTEST_CFLAGS").unwrap_or_default();
        let runner = std::env::var("MBA_CTEST_RUNNER").unwrap_or_default();
        let (mistake, complaint) = if flags.contains("thread") {
            ("race", "data race")
        } else if flags.contains("address") {
            ("overrun", "heap-buffer-overflow")
        } else if runner.contains("valgrind") {
            ("overrun", "Invalid write")
        } else {
            return;
        };
        if skipped("mistakes_are_seen") {
            return;
        }
        let program = Program::build("building/mistakes.c", Link::Shared);
        let scratch = Place::Memory.scratch();
        program.fails(scratch.path(), &[mistake.as_ref()], complaint);
    }
}

/// What elements are, and work on them in place.
mod elements {
    programs! { algorithms elements records types }
}

/// What the codes mean, for programs and for people.
mod errors {
    programs! { strings texts }
}

/// How an array is opened, and what its file looks like.
mod files {
    programs! { descriptor footer named_memory open options private }
}

/// What becomes of handles in forked children.
mod forks {
    use super::{Link, Place, Program, skipped};

    programs! { fork fork_idle }

    /// Handlers around fork that are older than the library, which the program loads itself.
    #[test]
    fn atfork() {
        if skipped("atfork") {
            return;
        }
        let program = Program::build("forks/atfork.c", Link::Loaded);
        for place in Place::ALL {
            let scratch = place.scratch();
            program.run(scratch.path(), &[program.library().as_os_str()]);
        }
    }
}

/// Calls that change the length, and the size of the file.
mod length {
    programs! { exact grow length push }
}

/// The growth lock, and processes that take turns by it.
mod lock {
    use std::fs;

    use mmap_backed_array::MmapArray;

    use super::{Link, Place, Program, exchange, skipped};

    programs! { lock shared_memory }

    /// knows nothing of the library, finds it flat.
    #[test]
    fn shared_file() {
        if skipped("shared_file") {
            return;
        }
        let follower = Program::build("lock/shared_file.c", Link::Shared);
        let same_bytes = Program::build("helpers/same_bytes.c", Link::Nothing);
        for place in Place::ALL {
            let scratch = place.scratch();
            let path = scratch.path().join("shared.u32");
            let mut array = exchange::begin(MmapArray::open_or_create(&path));
            follower.run_with(scratch.path(), &[], |wire| exchange::lead(&mut array, &wire));
            // Elements were taken away, and this process has seen them: the file may be longer as long as it
            // has it open.
            let expected = scratch.path().join("expected.u32");
            fs::write(&expected, exchange::all_bytes()).unwrap();
            assert!(fs::read(&path).unwrap().starts_with(&exchange::all_bytes()));
            array.close().unwrap();
            same_bytes.run(&path, &[expected.as_os_str()]);
        }
    }

    /// memory by its name.
    #[test]
    fn shared_memory_with_rust() {
        if skipped("shared_memory_with_rust") {
            return;
        }
        let follower = Program::build("lock/shared_memory.c", Link::Shared);
        let scratch = Place::Memory.scratch();
        follower.run_with(scratch.path(), &["give".as_ref()], exchange::lead_what_comes);
        follower.run_with(scratch.path(), &["take".as_ref()], exchange::lead_what_goes);
        let name = format!("/mba-ctest-rust-{}", std::process::id());
        let mut array = exchange::named(&name);
        let arguments = ["named".as_ref(), name.as_ref()];
        follower.run_with(scratch.path(), &arguments, |wire| exchange::lead(&mut array, &wire));
        exchange::unlink(&name);
    }
}

/// Memory and address space: whose they are, and how much of them an array takes.
mod memory {
    use super::{Link, Place, Program, skipped};

    programs! { address_space detach from_memory }

    /// takes it minutes for each; it is killed after one.
    #[test]
    fn leaks() {
        // A program with a sanitizer doesn't run under valgrind.
        if skipped("leaks") || std::env::var("MBA_CTEST_CFLAGS").is_ok_and(|flags| flags.contains("sanitize"))
        {
            return;
        }
        let valgrind = std::process::Command::new("valgrind").arg("--version").output();
        assert!(valgrind.is_ok(), "valgrind searches for leaks: apt-get install valgrind, or MBA_SKIP=leaks");
        let program = Program::build("memory/leaks.c", Link::Shared);
        for place in Place::ALL {
            let scratch = place.scratch();
            let runner = "timeout --signal=KILL 60 valgrind --leak-check=full --error-exitcode=99";
            let output = program.output_under(runner, scratch.path());
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}, of which 137 is the kill\n{told}", output.status);
            assert!(told.contains("LEAK SUMMARY"), "it has searched: {told}");
        }
    }
}

/// Threads that read and follow while elements are appended.
mod ordering {
    programs! { follow threads }
}
