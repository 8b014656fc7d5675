//! One table, two processes, two languages: `cargo run --release --example quickstart [FILE]`.
//!
//! This process, in Rust, writes the primes up to ten million into a file by appending them. While it still
//! has the file mapped it compiles `quickstart.c` and starts it: a process in C that maps the same file
//! through the shared library. What is printed is what each of them saw. With `FILE` the table is made there
//! and stays; without, it is made in a temporary directory.

use std::collections::HashMap;
use std::env;
use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use mmap_backed_array::{MmapArray, OpenOptions};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const LIMIT: usize = 10_000_000;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let directory = tempfile::Builder::new().prefix("quickstart-").tempdir()?;
    let program = compile(directory.path())?;
    let path = env::args_os().nth(1).map_or_else(|| directory.path().join("primes.u32"), PathBuf::from);

    let (mut primes, time) = build(&path)?;
    let path = path.canonicalize()?;
    primes.unlock()?; // Others may append now; the map stays.
    let mut other = Other::start(&program, &path)?;
    println!("Two processes have one file of primes mapped, {}, as uint32.\n", path.display());
    show_both(&primes, time, &mut other, &path)?;
    println!();
    exchange(&mut primes, &mut other)?;
    other.end()?;
    primes.close()?;
    println!();
    show_file(&path)
}

/// Builds the table by appending to a new file.
fn build(path: &Path) -> Result<(MmapArray<u32>, Duration)> {
    let is_prime = sieve();
    let start = Instant::now();
    let mut primes = MmapArray::open_with(path, OpenOptions::new().write(true).create_new(true))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    for number in (0..).zip(is_prime).filter_map(|(number, is_prime)| is_prime.then_some(number)) {
        primes.push(number)?;
    }
    Ok((primes, start.elapsed()))
}

/// Lets the C process map the table and look numbers up, and shows what each of both sees.
fn show_both(primes: &MmapArray<u32>, time: Duration, other: &mut Other, path: &Path) -> Result<()> {
    let seen = other.step()?;
    let number = |name: &str| seen[name].parse().map(grouped);
    let milliseconds = |name: &str| seen[name].parse::<f64>().map(|ns| format!("{:.2} ms", ns / 1e6));
    let len = primes.len() as u64;
    let (ours, theirs) = (shared_kib("self", path)?, shared_kib(&seen["pid"], path)?);

    row("", "Rust process", "C process", "");
    row("process id", &std::process::id().to_string(), &seen["pid"], "");
    row(
        "element 0 at",
        &format!("{:p}", primes.as_ptr()),
        &seen["address"],
        "mapped: nothing is read or copied",
    );
    row("elements", &grouped(len), &number("elements")?, "");
    row("bytes", &grouped(len * 4), &number("bytes")?, "");
    row("memory shared", &kib(ours), &kib(theirs), "the same pages: one copy for both");
    row("time to append", &format!("{:.2} ms", time.as_secs_f64() * 1e3), "", "one push for each element");
    row("time to open", "", &milliseconds("open_ns")?, "");
    let note = format!("{} binary searches through the pointer", number("lookups")?);
    row("time to look up", "", &milliseconds("lookups_ns")?, &note);
    Ok(())
}

/// Shows that each sees what the other stores, through the pointers that they have had all along.
fn exchange(primes: &mut MmapArray<u32>, other: &mut Other) -> Result<()> {
    let address = primes.as_ptr();
    let seen = other.step()?;
    // SAFETY: the array has elements, so element 0 is mapped and aligned; others may store to it.
    let first = unsafe { address.read_volatile() };
    event("C stores its process id as element 0", &format!("Rust reads {first} there, without any call"));

    primes.refresh()?;
    let (len, last) = (grouped(primes.len() as u64), primes.last().unwrap_or_default());
    let place = if primes.as_ptr() == address { "the same" } else { "another" };
    let effect =
        format!("Rust refreshes: {len} elements, {} the last, {place} address", grouped(last.into()));
    event(&format!("C appends the next prime, {}", grouped(seen["appended"].parse()?)), &effect);

    primes.set(0, 2)?;
    let seen = other.step()?;
    event("Rust sets element 0 to 2 again", &format!("C reads {} there, without any call", seen["first"]));
    Ok(())
}

/// Shows that the closed file is its elements and nothing else.
fn show_file(path: &Path) -> Result<()> {
    let bytes = grouped(fs::metadata(path)?.len());
    let od = ["-A", "n", "-t", "u4", "-w24", "-N", "24"];
    let output =
        Command::new("od").args(od).arg(path).output().map_err(|error| missing("od", "coreutils", error))?;
    println!("Both have closed it: {bytes} bytes, 4 for each element, no header. Any tool can read it:");
    print!("$ od {} primes.u32\n{}", od.join(" "), String::from_utf8_lossy(&output.stdout));
    Ok(())
}

/// For each number up to the limit, whether it is prime.
fn sieve() -> Vec<bool> {
    let mut is_prime = vec![true; LIMIT + 1];
    is_prime[..2].fill(false);
    for number in 2..=LIMIT.isqrt() {
        if is_prime[number] {
            for multiple in (number * number..=LIMIT).step_by(number) {
                is_prime[multiple] = false;
            }
        }
    }
    is_prime
}

/// Compiles the C process into `directory`, linked to the shared library of this very build.
fn compile(directory: &Path) -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = directory.join("quickstart");
    // Cargo gives the library no name with a version; the loader wants the one that the library calls itself.
    let library = directory.join(soname());
    symlink(shared_library()?, &library)?;
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let mut words = compiler.split_whitespace();
    let status = Command::new(words.next().unwrap_or("cc"))
        .args(words)
        .args(["-std=c99", "-O2", "-Wall", "-Wextra", "-I"])
        .arg(here.join("../../include"))
        .arg(here.join("quickstart.c"))
        .arg(&library)
        .arg(format!("-Wl,-rpath,{}", directory.display()))
        .arg("-o")
        .arg(&program)
        .status()
        .map_err(|error| missing(&format!("the C compiler {compiler}"), "gcc libc6-dev", error))?;
    if !status.success() {
        return Err(format!("{compiler} could not compile quickstart.c").into());
    }
    Ok(program)
}

/// The shared library that was built together with this program. Cargo puts it among the dependencies, and
/// only `cargo build` links it one directory higher, where an older one may lie.
fn shared_library() -> Result<PathBuf> {
    let program = env::current_exe()?;
    let profile =
        program.parent().and_then(Path::parent).ok_or("this program lies in no target directory")?;
    let library = profile.join("deps/libmmap_backed_array.so");
    if !library.exists() {
        let path = library.display();
        return Err(format!("no {path}: run me by cargo run --release --example quickstart").into());
    }
    Ok(library)
}

/// The name that the library calls itself: with the major version, or with both while that is 0.
fn soname() -> String {
    let version = mmap_backed_array::capi::mba_version();
    match (version >> 16, version >> 8 & 0xff) {
        (0, minor) => format!("libmmap_backed_array.so.0.{minor}"),
        (major, _) => format!("libmmap_backed_array.so.{major}"),
    }
}

fn missing(what: &str, packages: &str, error: std::io::Error) -> String {
    format!("{what}: {error}. Install it (Debian, Ubuntu: apt-get install {packages})")
}

/// The C process, which does one step after another.
struct Other {
    process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Other {
    fn start(program: &Path, table: &Path) -> Result<Other> {
        let mut process = Command::new(program)
            .arg(table)
            .env_remove("LD_LIBRARY_PATH") // Cargo's, which can lead to an older library.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = process.stdin.take().ok_or("no pipe to the C process")?;
        let output = process.stdout.take().ok_or("no pipe from the C process")?;
        Ok(Other { process, input, output: BufReader::new(output).lines() })
    }

    /// Lets the C process do its next step, and takes what it saw.
    fn step(&mut self) -> Result<HashMap<String, String>> {
        self.input.write_all(b"\n")?;
        let mut seen = HashMap::new();
        for line in &mut self.output {
            match line?.split_once(' ') {
                Some((name, value)) => seen.insert(name.to_owned(), value.to_owned()),
                None => return Ok(seen),
            };
        }
        Err("the C process ended early".into())
    }

    fn end(mut self) -> Result<()> {
        let status = self.process.wait()?;
        if status.success() { Ok(()) } else { Err(format!("the C process failed: {status}").into()) }
    }
}

/// How much of the memory at which a process maps the file is shared with other processes.
fn shared_kib(pid: &str, file: &Path) -> Result<u64> {
    let maps = fs::read_to_string(format!("/proc/{pid}/smaps"))?;
    let file = file.to_str().ok_or("the file's name is not UTF-8")?;
    let mut ours = false;
    let mut kib = 0;
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("Shared_Clean:" | "Shared_Dirty:"), Some(number)) if ours => {
                kib += number.parse::<u64>()?
            }
            (Some(field), _) if !field.ends_with(':') => ours = line.ends_with(file),
            _ => {}
        }
    }
    Ok(kib)
}

fn row(name: &str, rust: &str, c: &str, note: &str) {
    println!("{}", format!("{name:18}{rust:>16}{c:>16}   {note}").trim_end());
}

fn kib(number: u64) -> String {
    format!("{} KiB", grouped(number))
}

fn event(cause: &str, effect: &str) {
    println!("{cause:40}{effect}");
}

/// A number with a comma before every three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
