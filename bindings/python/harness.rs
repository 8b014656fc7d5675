//! The Python package, by Python's own runners: its wheel is built once, and tested on every CPython from 3.11 on that
//! is found on the PATH: `python3`, which there must be, and `python3.11` and so on, those without a GIL too.
//!
//! What the tests need is installed in virtual environments in the target directory, the first time from PyPI.

#[path = "../../tests/helpers/mod.rs"]
mod helpers;

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};

use helpers::session::Session;
use helpers::{output_of, skipped};

const PACKAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bindings/python");

/// Held by who builds, since that leaves files among the sources.
static BUILDING: Mutex<()> = Mutex::new(());

/// An interpreter.
struct Python {
    program: PathBuf,
    /// As in `3.13.0`, with a `t` behind it if there is no GIL.
    version: String,
}

impl Python {
    /// The one of this name on the PATH, if it is there and runs and is new enough.
    fn named(name: &str) -> Option<Python> {
        let tell = "import sys, sysconfig; print(sys.executable, '.'.join(map(str, sys.version_info[:3])) + \
                    't' * bool(sysconfig.get_config_var('Py_GIL_DISABLED')), sys.version_info >= (3, 11))";
        let output =
            Command::new(name).args(["-c", tell]).output().ok().filter(|out| out.status.success())?;
        let words: Vec<String> =
            String::from_utf8(output.stdout).ok()?.split_whitespace().map(str::to_owned).collect();
        let [program, version, new] = words.try_into().ok()?;
        (new == "True").then(|| Python { program: program.into(), version })
    }

    /// The one that everybody means, which there must be.
    fn of_the_machine() -> Python {
        Python::named("python3").expect(
            "the tests of the Python package need Python 3.11 or later as python3: apt-get install python3, or \
             MBA_SKIP=python",
        )
    }

    /// All others, each version once.
    fn others() -> Vec<Python> {
        let mut found = vec![Python::of_the_machine()];
        for minor in 11..20 {
            for suffix in ["", "t", "td"] {
                if let Some(python) = Python::named(&format!("python3.{minor}{suffix}"))
                    && found.iter().all(|other| other.version != python.version)
                {
                    found.push(python);
                }
            }
        }
        found.split_off(1)
    }

    fn has_gil(&self) -> bool {
        !self.version.ends_with('t')
    }

    /// A virtual environment with these requirements, made anew if they have changed.
    fn environment(&self, purpose: &str, requirements: &str) -> Environment {
        let directory =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("python-{}-{purpose}", self.version));
        let stamp = directory.join("requirements.txt");
        let environment = Environment { directory };
        // Several tests use one.
        static MAKING: Mutex<()> = Mutex::new(());
        let _guard = MAKING.lock();
        if fs::read_to_string(&stamp).is_ok_and(|present| present == requirements) {
            return environment;
        }
        _ = fs::remove_dir_all(&environment.directory);
        output_of(
            Command::new(&self.program).args(["-m", "venv"]).arg(&environment.directory),
            "python3-venv",
        );
        let list = environment.directory.join("wanted.txt");
        fs::write(&list, requirements).unwrap();
        // No releases but those that are built, since building takes what a machine may not have, and minutes.
        let options = ["install", "--only-binary", ":all:", "--requirement"].map(OsStr::new);
        environment.pip(options.into_iter().chain([list.as_os_str()]));
        fs::rename(list, stamp).unwrap();
        environment
    }
}

/// A virtual environment.
struct Environment {
    directory: PathBuf,
}

impl Environment {
    fn python(&self) -> Command {
        let mut command = Command::new(self.directory.join("bin/python"));
        // Cargo's own, which leads to the library of another build.
        command.env_remove("LD_LIBRARY_PATH").env_remove("CARGO_TARGET_DIR").current_dir(PACKAGE);
        command
    }

    fn pip<'a>(&self, arguments: impl IntoIterator<Item = &'a OsStr>) {
        let mut command = self.python();
        command.args(["-m", "pip", "--quiet", "--disable-pip-version-check"]).args(arguments);
        output_of(&mut command, "python3-pip");
    }

    /// Puts a wheel in.
    fn install(&self, wheel: &Path) {
        let options = ["install", "--force-reinstall", "--no-deps"].map(OsStr::new);
        self.pip(options.into_iter().chain([wheel.as_os_str()]));
    }

    /// Builds the package into a wheel of its own directory, with warnings as errors.
    fn wheel(&self) -> PathBuf {
        let _guard = BUILDING.lock();
        let directory = self.directory.join("wheel");
        _ = fs::remove_dir_all(&directory);
        let mut command = self.python();
        command.args(["-m", "pip", "--quiet", "--disable-pip-version-check", "wheel", "--no-deps"]);
        command.args(["--no-build-isolation", "--wheel-dir"]).arg(&directory).arg(".").env("MBA_WERROR", "1");
        output_of(&mut command, "python3-pip");
        fs::read_dir(&directory).unwrap().next().expect("pip makes a wheel").unwrap().path()
    }

    /// Runs the package's tests, and the interpreter's own of array.array; `examples` is how many random ones each
    /// test tries.
    fn test(&self, examples: &str, skip: &str) {
        self.run(self.python().args(["tests/cpython.py"]));
        let mut tests = self.python();
        tests.args(["-X", "dev", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]);
        self.run(tests.env("MBA_HYPOTHESIS_EXAMPLES", examples).env("MBA_SKIP", skip));
    }

    /// Runs a tool, whose output is shown if it fails, and otherwise its last line.
    fn run(&self, command: &mut Command) {
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {}\n{text}\n{errors}", output.status);
        println!("{}: {}", self.directory.display(), text.trim_end().lines().next_back().unwrap_or_default());
    }
}

fn requirements() -> String {
    fs::read_to_string(format!("{PACKAGE}/tests/requirements.txt")).unwrap()
}

/// A wheel for all interpreters that have the stable ABI, made by one of them.
fn stable_wheel(maker: &Python) -> PathBuf {
    let wheel = maker.environment("tests", &requirements()).wheel();
    let name = wheel.file_name().unwrap().to_str().unwrap();
    assert!(name.contains("-cp311-abi3-"), "{name} isn't for the stable ABI of 3.11");
    wheel
}

/// The one that the interpreter of the machine makes.
fn usual_wheel() -> &'static Path {
    static WHEEL: OnceLock<PathBuf> = OnceLock::new();
    WHEEL.get_or_init(|| stable_wheel(&Python::of_the_machine()))
}

fn test_on(python: &Python, examples: &str) {
    let mut wanted = requirements();
    let mut skip = "";
    if !python.has_gil() {
        // These have no release for every interpreter without a GIL.
        skip = "cffi,mypy,pandas,pyarrow";
        wanted = wanted
            .lines()
            .filter(|line| !skip.split(',').any(|name| line.starts_with(name)))
            .fold(String::new(), |all, line| all + line + "\n");
    }
    let environment = python.environment("tests", &wanted);
    let wheel = if python.has_gil() { usual_wheel().to_path_buf() } else { environment.wheel() };
    environment.install(&wheel);
    environment.test(examples, skip);
}

/// Calls between the C files go one way, in the order in which core.h lists them.
#[test]
fn a_c_file_uses_only_those_above_it_in_core_h() {
    let directory = Path::new(PACKAGE).join("src/core");
    let header = fs::read_to_string(directory.join("core.h")).unwrap();
    let order: Vec<&str> = header
        .lines()
        .filter_map(|line| line.strip_prefix(" *     ")?.split_whitespace().next())
        .filter(|name| name.ends_with(".c"))
        .collect();
    let mut listed = order.clone();
    listed.sort_unstable();
    let mut present: Vec<String> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".c"))
        .collect();
    present.sort_unstable();
    assert_eq!(listed, present, "core.h lists each file once");

    // Where a name is declared, each file has a section of its own.
    let names = |text: &str| -> Vec<String> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        words.filter(|word| word.starts_with("mbapy_")).map(str::to_owned).collect()
    };
    let mut place_of = HashMap::new();
    let mut section = 0;
    for line in header.lines() {
        let file = line.strip_prefix("/* ").and_then(|rest| rest.strip_suffix(" */"));
        if let Some(place) = file.and_then(|file| order.iter().position(|other| *other == file)) {
            assert!(place >= section, "the section of {} is out of order", order[place]);
            section = place;
        }
        for name in names(line) {
            place_of.entry(name).or_insert(section);
        }
    }
    for (place, file) in order.iter().enumerate() {
        for name in names(&fs::read_to_string(directory.join(file)).unwrap()) {
            if let Some(&home) = place_of.get(&name) {
                assert!(home <= place, "{file} uses {name}, which is in {}, below it", order[home]);
            }
        }
    }
}

#[test]
fn on_the_python_of_this_machine() {
    if !skipped("python") {
        test_on(&Python::of_the_machine(), "40");
    }
}

#[test]
fn on_all_other_pythons_of_this_machine() {
    if skipped("python") {
        return;
    }
    for python in Python::others() {
        println!("Python {}", python.version);
        test_on(&python, "10");
    }
}

/// What newer headers make must suit older interpreters, too.
#[test]
fn a_wheel_made_on_the_newest_runs_on_that_of_the_machine() {
    if skipped("python") {
        return;
    }
    let Some(newest) = Python::others().into_iter().rfind(Python::has_gil) else { return };
    let environment = Python::of_the_machine().environment("newest", &requirements());
    environment.install(&stable_wheel(&newest));
    environment.test("5", "");
}

#[test]
fn its_readme_is_true() {
    if skipped("python") {
        return;
    }
    let readme = fs::read_to_string(format!("{PACKAGE}/README.md")).unwrap();
    let session = Session::of("README.md", &readme).unwrap();
    let environment = Python::of_the_machine().environment("readme", "");
    let mut path = OsString::from(environment.directory.join("bin"));
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    let _guard = BUILDING.lock();
    session.run(|command| _ = command.env("PATH", path));
}
