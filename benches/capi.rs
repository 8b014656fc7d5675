//! Measures the C interface: builds the programs of `benches/capi/` against the shared library of this very
//! build, runs them topic by topic, and prints one table of ratios.
//!
//! ```text
//! cargo bench --bench capi -- [--quick] [pointer|calls|bulk|append|opening|anonymous|refresh|lock|crowd|push ...]
//! ```

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

mod table;

use table::{Row, print};

const TOPICS: [&str; 10] =
    ["pointer", "calls", "bulk", "append", "opening", "anonymous", "refresh", "lock", "crowd", PUSH];
/// A topic that has programs of its own.
const PUSH: &str = "push";
const SOURCES: [&str; 10] = [
    "main.cpp",
    "pointer.cpp",
    "calls.cpp",
    "bulk.cpp",
    "append.cpp",
    "opening.cpp",
    "anonymous.cpp",
    "refresh.cpp",
    "lock.cpp",
    "crowd.cpp",
];

const SONAME: &str = env!("MBA_SONAME");

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let asked: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |topic: &str| {
        asked.is_empty() || asked.iter().any(|word| topic.contains(word.as_str()) || "capi" == *word)
    };
    let topics: Vec<&str> = TOPICS.into_iter().filter(|topic| wanted(topic)).collect();
    if topics.is_empty() {
        return ExitCode::SUCCESS;
    }

    let scratch = tempfile::tempdir_in(libraries()).expect("the target directory is writable");
    let program = build(scratch.path());
    let memory = tempfile::tempdir_in("/dev/shm").expect("/dev/shm is a tmpfs, and writable");
    let disk = tempfile::tempdir_in(scratch.path()).expect("the scratch directory is writable");
    let mut rows = Vec::new();
    for topic in &topics {
        eprintln!("measuring {topic} ...");
        let scale = if quick { "quick" } else { "full" };
        let commands = if *topic == PUSH {
            push_programs(scratch.path(), scale)
        } else {
            let mut command = Command::new(&program);
            command.args([memory.path(), disk.path(), Path::new(scale)]).arg(topic);
            vec![command]
        };
        for mut command in commands {
            let output = command
                .env("LD_LIBRARY_PATH", scratch.path())
                .stderr(Stdio::inherit())
                .output()
                .expect("the program that was just built can be started");
            let text = String::from_utf8(output.stdout).expect("the program prints plain text");
            rows.extend(text.lines().map(parse));
            if !output.status.success() {
                print(&rows);
                eprintln!("{topic} ended with {}", output.status);
                return ExitCode::FAILURE;
            }
        }
    }
    print(&rows);
    ExitCode::SUCCESS
}

/// Reads a line that the program prints: eight fields between tabs; see `row` in `capi/measure.h`.
fn parse(line: &str) -> Row {
    let fields: Vec<&str> = line.split('\t').collect();
    let [what, unit, numbers @ ..] = fields.as_slice() else { panic!("not a line of results: {line}") };
    let numbers: Vec<f64> = numbers.iter().map(|field| field.parse().expect("a number")).collect();
    let numbers = numbers.try_into().expect("six numbers");
    Row { what: (*what).to_owned(), unit: (*unit).to_owned(), numbers }
}

/// Where cargo has put the shared library of this build: beside this program.
fn libraries() -> PathBuf {
    let program = env::current_exe().expect("a program knows where it is");
    program.parent().expect("a program is in a directory").to_owned()
}

/// Compiles the programs into the scratch directory, with the libraries that they load beside them.
fn build(scratch: &Path) -> PathBuf {
    let library = libraries().join("libmmap_backed_array.so");
    assert!(library.exists(), "{} is missing: run this by cargo bench", library.display());
    let soname = scratch.join(SONAME);
    std::os::unix::fs::symlink(&library, &soname).expect("the scratch directory is writable");

    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = |name: &str| root.join("benches/capi").join(name).into_os_string();
    let peer = scratch.join("libpeer.so");
    compile(false, &["-shared".into(), "-fPIC".into(), source("peer.c")], &peer);

    let program = scratch.join("capi");
    let mut arguments: Vec<OsString> = vec!["-std=c++17".into(), "-rdynamic".into()];
    arguments.push("-I".into());
    arguments.push(root.join("include").into());
    arguments.extend(SOURCES.map(source));
    arguments.extend([soname.into_os_string(), peer.into_os_string()]);
    compile(true, &arguments, &program);
    program
}

/// The programs of the topic that depends on the compiler: one for each there is, and each way to optimize.
fn push_programs(scratch: &Path, scale: &str) -> Vec<Command> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let soname = scratch.join(SONAME);
    let mut commands = Vec::new();
    for compiler in ["g++", "clang++"] {
        if Command::new(compiler).arg("--version").output().is_err() {
            eprintln!("not measured, since it isn't here: {compiler}");
            continue;
        }
        for level in ["-O2", "-O3"] {
            let program = scratch.join(format!("push-{compiler}{level}"));
            let status = Command::new(compiler)
                .args([level, "-std=c++17", "-Wall", "-Wextra", "-Werror", "-I"])
                .arg(root.join("include"))
                .arg("-I")
                .arg(root.join("bindings/cpp"))
                .arg(root.join("benches/capi/push.cpp"))
                .arg(&soname)
                .arg("-o")
                .arg(&program)
                .status();
            assert!(status.is_ok_and(|status| status.success()), "push.cpp can't be compiled by {compiler}");
            let mut command = Command::new(program);
            command.args([scale, &format!("{compiler} {level}")]);
            commands.push(command);
        }
    }
    commands
}

/// Runs the compiler that the `cc` crate finds, as users would for a release.
fn compile(cpp: bool, arguments: &[OsString], output: &Path) {
    let target = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let compiler = cc::Build::new()
        .cargo_metadata(false)
        .cpp(cpp)
        .opt_level(2)
        .debug(false)
        .target(&target)
        .host(&target)
        .get_compiler();
    let status = compiler
        .to_command()
        .args(["-O2", "-Wall", "-Wextra", "-Werror"])
        .args(arguments)
        .arg("-o")
        .arg(output)
        .status()
        .unwrap_or_else(|error| {
            panic!("can't run {}: {error}; install the package g++", compiler.path().display())
        });
    assert!(status.success(), "the programs of benches/capi can't be compiled");
}
