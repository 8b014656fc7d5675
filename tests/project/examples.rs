//! The examples in C compile by the command at their top, without a warning, and do what they say.

use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::helpers::{Place, binary_directory, output_of};
use tempfile::TempDir;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A directory that looks like a checkout after `cargo build --release`, with the library of this very build
/// in the place of the released one, and the compiled examples.
struct Checkout(TempDir);

impl Checkout {
    /// `None` if the examples are skipped.
    fn with(examples: &[&str]) -> Option<Checkout> {
        if crate::helpers::skipped("examples") {
            return None;
        }
        let checkout = Checkout(Place::Disk.directory());
        for name in ["include", "examples"] {
            symlink(Path::new(ROOT).join(name), checkout.path(name)).unwrap();
        }
        fs::create_dir_all(checkout.path("target/release")).unwrap();
        let library = binary_directory().join("libmmap_backed_array.a");
        symlink(library, checkout.path("target/release/libmmap_backed_array.a")).unwrap();
        for name in examples {
            checkout.compile(name);
        }
        Some(checkout)
    }

    /// Compiles an example by the command in the comment at its top.
    fn compile(&self, name: &str) {
        let source = fs::read_to_string(self.path(&format!("examples/c/{name}.c"))).unwrap();
        let lines = source.lines().skip_while(|line| !line.starts_with(" *     cc "));
        let mut command = String::new();
        for line in lines.map_while(|line| line.strip_prefix(" * ")) {
            command += line.trim().trim_end_matches('\\');
            if !line.ends_with('\\') {
                break;
            }
        }
        for flag in ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"] {
            assert!(command.contains(flag), "{name}.c should be compiled with {flag}: {command}");
        }
        let mut words = command.split_whitespace();
        let mut compiler = Command::new(words.next().unwrap());
        output_of(compiler.args(words).current_dir(self.path("")), "gcc");
        assert!(self.path(name).is_file(), "the command in {name}.c doesn't make {name}: {command}");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, name: &str, arguments: &[&str]) -> Command {
        // A program that hangs is a failure, not a test without an end.
        let mut command = Command::new("timeout");
        command.arg("60").arg(self.path(name)).args(arguments).current_dir(self.path(""));
        command
    }

    /// Whether a program succeeds, and what it prints, errors after the rest.
    fn run(&self, name: &str, arguments: &[&str]) -> (bool, String) {
        let output = self.command(name, arguments).stdin(Stdio::null()).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    }
}

/// A running program, its input and its output.
struct Running {
    process: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(mut command: Command) -> Running {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        Running { process, input, output }
    }

    fn write(&mut self, text: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(text.as_bytes()).unwrap();
    }

    /// Reads lines up to one that is `line`.
    fn read_until(&mut self, line: &str) {
        let mut lines = Vec::new();
        for read in self.output.by_ref() {
            lines.push(read.unwrap());
            if lines.last().is_some_and(|last| last == line) {
                return;
            }
        }
        panic!("it never printed {line:?}, only {lines:?}");
    }

    /// Closes the input, and waits for the end.
    fn succeeds(mut self) -> bool {
        drop(self.input.take());
        self.process.wait().unwrap().success()
    }
}

#[test]
fn every_example_is_warning_free() {
    let Some(checkout) = Checkout::with(&[]) else { return };
    let mut number = 0;
    for entry in fs::read_dir(checkout.path("examples/c")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "c") {
            checkout.compile(path.file_stem().unwrap().to_str().unwrap());
            number += 1;
        }
    }
    assert!(number >= 4, "only {number} examples");
    let mut compiler = Command::new("cc");
    compiler.args(["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Iinclude", "-fsyntax-only"]);
    output_of(compiler.arg("examples/quickstart/quickstart.c").current_dir(ROOT), "gcc");
}

#[test]
fn create_makes_a_flat_table_and_lookup_finds_in_it() {
    let Some(checkout) = Checkout::with(&["create", "lookup"]) else { return };
    assert_eq!(checkout.run("create", &["squares.u64", "100001"]), (true, "100001 squares\n".to_owned()));
    let squares: Vec<u8> = (0..100_001u64).flat_map(|n| (n * n).to_ne_bytes()).collect();
    assert!(fs::read(checkout.path("squares.u64")).unwrap() == squares, "the file isn't the squares");

    for n in [0u64, 1, 12, 99_999, 100_000] {
        let found = checkout.run("lookup", &["squares.u64", &(n * n).to_string()]);
        assert_eq!(found, (true, format!("element {n}\n")));
    }
    for number in ["2", "143", "10000000001"] {
        assert_eq!(checkout.run("lookup", &["squares.u64", number]), (false, "not there\n".to_owned()));
    }
    assert!(fs::read(checkout.path("squares.u64")).unwrap() == squares, "looking up changed the file");

    let again = checkout.run("create", &["squares.u64", "1"]);
    assert_eq!(again, (false, "squares.u64: File exists\n".to_owned()));
    let nowhere = checkout.run("lookup", &["nowhere", "1"]);
    assert_eq!(nowhere, (false, "nowhere: No such file or directory\n".to_owned()));
}

#[test]
fn a_consumer_follows_a_producer_in_another_process() {
    let Some(checkout) = Checkout::with(&["producer", "consumer"]) else { return };
    let mut consumer = Running::start(checkout.command("consumer", &["readings.f64", "100003"]));
    let mut producer = Running::start(checkout.command("producer", &["readings.f64"]));
    producer.write("1.5\n2.5\n");
    consumer.read_until("2 readings, mean 2");
    producer.write("5\n");
    consumer.read_until("3 readings, mean 3");

    let other =
        checkout.command("producer", &["readings.f64"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut other = other.unwrap();
    other.stdin.take().unwrap().write_all(b"7\n").unwrap();
    let refused = other.wait_with_output().unwrap();
    assert!(!refused.status.success());
    assert_eq!(
        String::from_utf8_lossy(&refused.stderr),
        "append: The array is locked by another handle or program\n"
    );

    producer.write(&"3\n".repeat(100_000));
    consumer.read_until("100003 readings, mean 3");
    assert!(consumer.succeeds());
    assert!(producer.succeeds());
    assert_eq!(fs::metadata(checkout.path("readings.f64")).unwrap().len(), 100_003 * 8);
}
