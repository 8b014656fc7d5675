//! Projects and programs that use the library: built in a directory of their own, run, and looked into.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::trees::Installed;
use crate::helpers::{Place, output_of};

pub const WARNINGS: [&str; 3] = ["-Wall", "-Wextra", "-Werror"];

#[derive(Clone, Copy)]
pub struct Compiler {
    pub c: &'static str,
    pub cpp: &'static str,
    pub package: &'static str,
}

impl Compiler {
    /// Builds the program of a language, with all warnings as errors, by the words of pkg-config and others.
    pub fn build(&self, language: &str, program: &Path, words: &[String], more: &[&str]) {
        let (command, standard) =
            if language == "c" { (self.c, "-std=c99") } else { (self.cpp, "-std=c++17") };
        let mut cc = Command::new(command);
        cc.arg(standard).args(WARNINGS).arg(source(language)).arg("-o").arg(program);
        output_of(cc.args(words).args(more), self.package);
    }
}

pub const GCC: Compiler = Compiler { c: "gcc", cpp: "g++", package: "g++" };
pub const CLANG: Compiler = Compiler { c: "clang", cpp: "clang++", package: "clang" };

/// The program's source in a language, `c` or `cpp`.
pub fn source(language: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/project/install/consumer.{language}"))
}

/// The CMake project in this folder, on its way to programs.
pub struct Project {
    way: &'static str,
    compiler: Compiler,
    generator: &'static str,
    directory: TempDir,
}

impl Project {
    pub fn new(way: &'static str, compiler: Compiler, generator: &'static str) -> Project {
        Project { way, compiler, generator, directory: Place::Disk.directory() }
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Says what CMake says.
    pub fn configure(&self, settings: &[String]) -> String {
        output_of(&mut self.cmake(settings), "cmake")
    }

    /// Is not configured, and says why not.
    pub fn refuses(&self, settings: &[String]) -> String {
        let output = self.cmake(settings).output().unwrap();
        assert!(!output.status.success(), "configured with {settings:?}");
        // CMake breaks its lines.
        words(&output.stderr)
    }

    fn cmake(&self, settings: &[String]) -> Command {
        let mut command = Command::new("cmake");
        command.arg("-S").arg(source("c").parent().unwrap()).arg("-B").arg(self.directory());
        command.args(["-G", self.generator]).arg(format!("-DWAY={}", self.way)).args(settings);
        command.arg(format!("-DCMAKE_C_COMPILER={}", self.compiler.c));
        command.arg(format!("-DCMAKE_CXX_COMPILER={}", self.compiler.cpp));
        let warnings = WARNINGS.join(" ");
        command.arg(format!("-DCMAKE_C_FLAGS={warnings}")).arg(format!("-DCMAKE_CXX_FLAGS={warnings}"));
        as_users(&mut command);
        command
    }

    pub fn build(&self) {
        let mut command = Command::new("cmake");
        command.arg("--build").arg(self.directory()).arg("--parallel");
        if self.generator.contains("Multi") {
            command.args(["--config", "Debug"]);
        }
        as_users(&mut command);
        // What cargo needs was fetched to build this test.
        output_of(command.env("CARGO_NET_OFFLINE", "true"), "cmake");
    }

    pub fn program(&self, name: &str) -> PathBuf {
        let directory = if self.generator.contains("Multi") { "Debug" } else { "" };
        self.directory().join(directory).join(name)
    }

    /// Runs and looks at all programs; those that don't say which library they want should have this kind.
    pub fn check_all(&self, default: &str) {
        for language in ["c", "cpp"] {
            for kind in ["shared", "static"] {
                check(&self.program(&format!("{language}_{kind}")), kind);
            }
            check(&self.program(&format!("{language}_mmap_backed_array")), default);
        }
    }
}

/// Whether CMake finds the library in a tree for who asks for this version.
pub fn finds(tree: &Installed, request: &str) -> bool {
    let scratch = Place::Disk.directory();
    std::fs::write(
        scratch.path().join("CMakeLists.txt"),
        "cmake_minimum_required(VERSION 3.21)\nproject(request LANGUAGES NONE)\n\
         find_package(mmap_backed_array ${REQUEST} CONFIG)\n\
         message(STATUS \"found: ${mmap_backed_array_FOUND}\")\n",
    )
    .unwrap();
    let mut command = Command::new("cmake");
    command.arg("-S").arg(scratch.path()).arg("-B").arg(scratch.path().join("build")).args(["-G", "Ninja"]);
    command.arg(tree.for_cmake()).arg(format!("-DREQUEST={request}"));
    let said = output_of(&mut command, "cmake");
    match said.lines().find_map(|line| line.strip_prefix("-- found: ")) {
        Some("1" | "TRUE") => true,
        Some("0" | "FALSE") => false,
        other => panic!("{other:?} for {request:?}\n{said}"),
    }
}

/// Runs a program on a new file, and looks at which library it is linked to: the shared or the static one.
pub fn check(program: &Path, kind: &str) {
    let said = run(program);
    assert!(said.contains(": 100001 elements, "), "{}: {said}", program.display());
    let mut needed = dynamic(program, "(NEEDED)");
    needed.retain(|name| name.starts_with("libmmap_backed_array"));
    let expected: &[&str] = if kind == "shared" { &[env!("MBA_SONAME")] } else { &[] };
    assert_eq!(needed, expected, "{}, which should be {kind}", program.display());
}

/// What a program prints, which runs on a new file and must succeed.
pub fn run(program: &Path) -> String {
    let scratch = Place::Disk.directory();
    let mut command = Command::new(program);
    as_users(&mut command);
    output_of(command.arg(scratch.path().join("array")), "of the C library")
}

/// Names in a file's dynamic section.
pub fn dynamic(file: &Path, kind: &str) -> Vec<String> {
    let output = output_of(Command::new("readelf").args(["--dynamic", "--wide"]).arg(file), "binutils");
    let lines = output.lines().filter(|line| line.contains(kind));
    lines.filter_map(|line| Some(line.split_once('[')?.1.split_once(']')?.0.to_owned())).collect()
}

/// Without what cargo sets for tests: its path for libraries leads to one of another build.
fn as_users(command: &mut Command) {
    command.env_remove("LD_LIBRARY_PATH").env_remove("CARGO_TARGET_DIR");
}

fn words(text: &[u8]) -> String {
    String::from_utf8_lossy(text).split_whitespace().collect::<Vec<_>>().join(" ")
}
