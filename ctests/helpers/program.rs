//! Compiling a program against the library of this very build, and running it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::SystemTime;

use tempfile::TempDir;

use crate::place::Place;
use crate::wire::Wire;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const SONAME: &str = env!("MBA_SONAME");

const WARNINGS: [&str; 5] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wshadow"];

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Language {
    C,
    Cpp,
}

impl Language {
    fn of(source: &str) -> Language {
        if source.ends_with(".cpp") { Language::Cpp } else { Language::C }
    }

    /// A source file's name.
    pub fn file(self, stem: &str) -> String {
        format!("{stem}.{}", if self == Language::C { "c" } else { "cpp" })
    }

    fn flags(self) -> &'static [&'static str] {
        match self {
            Language::C => &["-std=c99", "-Wconversion", "-Wstrict-prototypes", "-Wmissing-prototypes"],
            Language::Cpp => &["-std=c++17", "-Wold-style-cast"],
        }
    }

    fn package(self) -> &'static str {
        if self == Language::C { "gcc" } else { "g++" }
    }
}

/// Which library a program gets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Link {
    Shared,
    Static,
    /// By the program itself, while it runs.
    Loaded,
    Nothing,
}

/// A compiled program, in a directory of its own with its own copy of the library.
pub struct Program {
    directory: TempDir,
    name: String,
    link: Link,
}

impl Program {
    /// Compiles and links a source file of `ctests/`.
    pub fn build(source: &str, link: Link) -> Program {
        let directory = Place::Disk.scratch();
        let program = Program { name: source.replace(['/', '.'], "_"), link, directory };
        let path = program.path();
        let folder = Path::new(ROOT).join("ctests");
        let mut arguments = vec!["-pthread".into(), "-o".into(), path.into_os_string()];
        arguments.extend(["-I".into(), folder.join("helpers").into_os_string()]);
        match link {
            Link::Shared => arguments.extend(shared_library(program.directory.path())),
            Link::Static => {
                arguments.push(built("libmmap_backed_array.a").into_os_string());
                // What rustc says that its static libraries need.
                arguments
                    .extend(["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl", "-lc"].map(Into::into));
            }
            Link::Loaded => {
                shared_library(program.directory.path());
                arguments.push("-ldl".into());
            }
            Link::Nothing => {}
        }
        let arguments: Vec<&OsStr> = arguments.iter().map(AsRef::as_ref).collect();
        compile(Language::of(source), &folder.join(source), &arguments);
        program
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join(&self.name)
    }

    pub fn library(&self) -> PathBuf {
        self.directory.path().join(SONAME)
    }

    /// Runs the program on a scratch directory, and panics if it doesn't end well.
    pub fn run(&self, scratch: &Path, more: &[&OsStr]) {
        let output = self.command(scratch, more).stdin(Stdio::null()).output().expect("the program starts");
        self.check(&output, scratch);
    }

    /// Runs a program that must end badly, and complain of this.
    pub fn fails(&self, scratch: &Path, more: &[&OsStr], complaint: &str) {
        let output = self.command(scratch, more).stdin(Stdio::null()).output().expect("the program starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && errors.contains(complaint),
            "{}: {}, where \"{complaint}\" was to be seen\n{errors}",
            self.name,
            output.status
        );
    }

    /// Runs the program with a wire on its standard input, while `f` has the other end.
    pub fn run_with(&self, scratch: &Path, more: &[&OsStr], f: impl FnOnce(Wire)) {
        let (wire, end): (Wire, OwnedFd) = Wire::pair();
        let child = self
            .command(scratch, more)
            .stdin(end)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        // If `f` panics what the program has to say explains it, and the wire's end ends the program.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| f(wire)));
        let output = child.wait_with_output().expect("the program ends");
        self.check(&output, scratch);
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    }

    /// Runs the program under a command of its own, such as valgrind, in the place of `MBA_CTEST_RUNNER`.
    pub fn output_under(&self, runner: &str, scratch: &Path) -> Output {
        self.command_under(runner, scratch, &[]).stdin(Stdio::null()).output().expect("the program starts")
    }

    fn command(&self, scratch: &Path, more: &[&OsStr]) -> Command {
        self.command_under(&std::env::var("MBA_CTEST_RUNNER").unwrap_or_default(), scratch, more)
    }

    fn command_under(&self, runner: &str, scratch: &Path, more: &[&OsStr]) -> Command {
        let mut words = runner.split_whitespace();
        let mut command = match words.next() {
            Some(runner) => {
                let mut command = Command::new(runner);
                command.args(words).arg(self.path());
                command
            }
            None => Command::new(self.path()),
        };
        command.arg(scratch).args(more);
        // The rpath alone must lead to the library.
        command
            .env_remove("LD_LIBRARY_PATH")
            .env_remove("MBA_CTEST_LIBRARY")
            .env_remove("MBA_CTEST_VALGRIND");
        if runner.contains("valgrind") {
            command.env("MBA_CTEST_VALGRIND", "1");
        }
        if self.link == Link::Shared {
            command.env("MBA_CTEST_LIBRARY", self.library());
        }
        command
    }

    fn check(&self, output: &Output, scratch: &Path) {
        assert!(
            output.status.success(),
            "{} in {}: {}\n{}{}",
            self.name,
            scratch.display(),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
    }
}

/// Puts the shared library of this very build into a directory, and tells how a program is linked to it there.
pub fn shared_library(directory: &Path) -> Vec<OsString> {
    fs::copy(built("libmmap_backed_array.so"), directory.join(SONAME)).expect("the library can be copied");
    std::os::unix::fs::symlink(SONAME, directory.join("libmmap_backed_array.so"))
        .expect("a link to the library");
    let options = ["-L", "-Wl,-rpath,"].map(|start| {
        let mut option = OsString::from(start);
        option.push(directory);
        option
    });
    options.into_iter().chain(["-lmmap_backed_array".into()]).collect()
}

/// Runs the compiler with all warnings as errors, and returns what it prints.
pub fn compile(language: Language, source: &Path, arguments: &[&OsStr]) -> String {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let compiler = cc::Build::new()
        .opt_level(1)
        .debug(true)
        .target(&target)
        .host(&target)
        .cpp(language == Language::Cpp)
        .cargo_metadata(false)
        .get_compiler();
    let mut command = compiler.to_command();
    command.args(WARNINGS).args(language.flags()).arg("-I").arg(Path::new(ROOT).join("include"));
    command.args(std::env::var("MBA_CTEST_CFLAGS").unwrap_or_default().split_whitespace());
    command.arg(source).args(arguments);
    let output = command.output().unwrap_or_else(|error| {
        panic!("{}: {error}; install the package {}", compiler.path().display(), language.package())
    });
    let errors = String::from_utf8_lossy(&output.stderr);
    let arguments: Vec<&OsStr> = command.get_args().collect();
    assert!(output.status.success(), "{:?} {arguments:?}\n{errors}", command.get_program());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A library of this very build: cargo puts it beside the test, and leaves older ones elsewhere. Or the one of
/// another build, which must be as new.
fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let path = match std::env::var_os("MBA_CTEST_LIBRARIES") {
        Some(directory) => Path::new(ROOT).join(directory).join(name),
        None => test.parent().expect("a file is in a directory").join(name),
    };
    let time = modified(&path);
    for source in sources(&Path::new(ROOT).join("src")) {
        assert!(modified(&source) <= time, "{} is older than {}", path.display(), source.display());
    }
    path
}

fn modified(path: &Path) -> SystemTime {
    fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("the sources are there") {
        let path = entry.expect("the sources are there").path();
        if path.is_dir() { found.extend(sources(&path)) } else { found.push(path) }
    }
    found
}
