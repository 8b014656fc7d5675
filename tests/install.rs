//! The library is installed like any other C library: `cargo cinstall` puts it under a prefix, and programs in C and
//! C++ find it there by pkg-config and by CMake; or CMake builds it along with theirs. The programs are those of
//! `tests/install`, built by gcc and clang, linked to the shared library and to the static one, and run.

mod common;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use common::{output_of, skipped};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/install");

/// A compiler for each language.
struct Compilers {
    c: &'static str,
    cpp: &'static str,
    package: &'static str,
}

const COMPILERS: [Compilers; 2] = [
    Compilers { c: "gcc", cpp: "g++", package: "g++" },
    Compilers { c: "clang", cpp: "clang++", package: "clang" },
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Link {
    Shared,
    Static,
}

/// Where all that is built here is kept, so that a second run is quick.
fn workshop() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("install")
}

/// A command without what cargo tells this test, and without paths that would help a program to its library.
fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for name in
        ["LD_LIBRARY_PATH", "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET", "RUSTFLAGS", "CFLAGS", "CXXFLAGS"]
    {
        command.env_remove(name);
    }
    command
}

/// Installs the library, with more arguments.
fn install(arguments: &[&OsStr]) {
    let there = command(env!("CARGO")).args(["cinstall", "--version"]).output();
    assert!(
        there.is_ok_and(|output| output.status.success()),
        "cargo cinstall is missing: cargo install cargo-c@0.10.24 --locked, or MBA_SKIP=install"
    );
    let mut cargo = command(env!("CARGO"));
    cargo.args(["cinstall", "--release", "--locked", "--target-dir"]).arg(workshop().join("cargo-c"));
    output_of(cargo.args(arguments).current_dir(ROOT), "cargo-c");
}

/// A prefix with everything, and one with the static library only.
struct Prefixes {
    whole: PathBuf,
    only_static: PathBuf,
}

fn prefixes() -> &'static Prefixes {
    static PREFIXES: OnceLock<Prefixes> = OnceLock::new();
    PREFIXES.get_or_init(|| {
        let prefixes = Prefixes { whole: workshop().join("prefix"), only_static: workshop().join("static") };
        for prefix in [&prefixes.whole, &prefixes.only_static] {
            _ = fs::remove_dir_all(prefix);
        }
        install(&["--prefix".as_ref(), prefixes.whole.as_os_str()]);
        let kind = ["--library-type", "staticlib", "--prefix"].map(OsStr::new);
        install(&[kind[0], kind[1], kind[2], prefixes.only_static.as_os_str()]);
        prefixes
    })
}

/// The library's directory under a prefix: cargo-c knows Debian's.
fn libraries(prefix: &Path) -> PathBuf {
    let debians = prefix.join(format!("lib/{}-linux-gnu", std::env::consts::ARCH));
    if debians.is_dir() { debians } else { prefix.join("lib") }
}

/// Runs the programs in turn on one file, and looks at what they are linked to.
fn try_out(directory: &Path, link: Link) {
    let file = directory.join("readings");
    _ = fs::remove_file(&file);
    for (round, language) in ["c", "cpp", "c"].into_iter().enumerate() {
        let program = directory.join(format!("consumer-{language}"));
        let printed = output_of(command(&program).arg(&file), "what this test has just built");
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(printed.trim(), format!("{}000 readings, version {version} of {version}", round + 1));
        let needed = output_of(command("readelf").arg("--dynamic").arg(&program), "binutils");
        let ours: Vec<&str> = needed.lines().filter(|line| line.contains("libmmap_backed_array")).collect();
        match link {
            Link::Static => assert_eq!(ours, [""; 0], "{}", program.display()),
            Link::Shared => {
                assert!(
                    ours.len() == 1 && ours[0].contains(concat!("[", env!("MBA_SONAME"), "]")),
                    "{ours:?}"
                );
            }
        }
    }
    assert_eq!(fs::metadata(&file).unwrap().len(), 3000 * 12);
}

#[test]
fn by_pkg_config() {
    if skipped("install") {
        return;
    }
    for (link, prefix) in [(Link::Shared, &prefixes().whole), (Link::Static, &prefixes().only_static)] {
        let config = |arguments: &[&str]| {
            let mut tool = command("pkg-config");
            tool.env("PKG_CONFIG_PATH", libraries(prefix).join("pkgconfig"));
            output_of(tool.args(arguments).arg("mmap_backed_array"), "pkg-config")
        };
        let flags = match link {
            Link::Shared => {
                let libdir = config(&["--variable=libdir"]);
                config(&["--cflags", "--libs"]) + &format!("-Wl,-rpath,{libdir}")
            }
            Link::Static => config(&["--cflags", "--libs", "--static"]),
        };
        assert_eq!(config(&["--modversion"]).trim(), env!("CARGO_PKG_VERSION"));
        for compilers in &COMPILERS {
            let directory = workshop().join(format!("pkg-config-{}-{}", compilers.c, link as u8));
            fs::create_dir_all(&directory).unwrap();
            for (compiler, language) in [(compilers.c, "c"), (compilers.cpp, "cpp")] {
                let mut compile = command(compiler);
                compile.args(["-O2", "-Wall", "-Wextra", "-Werror"]);
                if language == "cpp" {
                    compile.arg("-std=c++17");
                }
                compile.arg(format!("{SOURCES}/consumer.{language}")).args(flags.split_whitespace());
                compile.arg("-o").arg(directory.join(format!("consumer-{language}")));
                output_of(&mut compile, compilers.package);
            }
            try_out(&directory, link);
        }
    }
}

/// Builds the project of `tests/install` by CMake, and tries it out.
fn by_cmake(way: &str, generator: &str, compilers: &Compilers, link: Link, settings: &[String]) -> String {
    let directory = workshop().join(format!("{way}-{}-{}", compilers.c, link as u8));
    _ = fs::remove_dir_all(&directory);
    let mut configure = command("cmake");
    configure.args(["-G", generator, "-S", SOURCES, "-B"]).arg(&directory).arg(format!("-DWAY={way}"));
    configure.arg(format!("-DCMAKE_C_COMPILER={}", compilers.c));
    configure.arg(format!("-DCMAKE_CXX_COMPILER={}", compilers.cpp));
    if link == Link::Static {
        configure.arg("-Dmmap_backed_array_USE_STATIC_LIBS=ON");
    }
    let told = output_of(configure.args(settings), "cmake and ninja-build");
    output_of(command("cmake").arg("--build").arg(&directory), "cmake and ninja-build");
    try_out(&directory, link);
    told
}

/// Every second combination by the other generator.
fn every_combination(mut f: impl FnMut(&str, &Compilers, Link)) {
    for (at, compilers) in COMPILERS.iter().enumerate() {
        for (more, link) in [Link::Shared, Link::Static].into_iter().enumerate() {
            f(if (at + more) % 2 == 0 { "Ninja" } else { "Unix Makefiles" }, compilers, link);
        }
    }
}

#[test]
fn by_find_package() {
    if skipped("install") {
        return;
    }
    every_combination(|generator, compilers, link| {
        let prefix = format!("-DCMAKE_PREFIX_PATH={}", prefixes().whole.display());
        let told = by_cmake("find_package", generator, compilers, link, &[prefix]);
        assert!(told.contains(concat!("found version ", env!("CARGO_PKG_VERSION"))), "{told}");
    });
}

/// Where to find the source, and where cargo may build it.
fn source() -> [String; 2] {
    [
        format!("-DSOURCE_OF_THE_LIBRARY={ROOT}"),
        format!("-DMMAP_BACKED_ARRAY_CARGO_TARGET_DIR={}", workshop().join("cargo").display()),
    ]
}

#[test]
fn by_add_subdirectory_and_fetch_content() {
    if skipped("install") {
        return;
    }
    every_combination(|generator, compilers, link| {
        by_cmake("add_subdirectory", generator, compilers, link, &source());
    });
    by_cmake("FetchContent", "Ninja", &COMPILERS[0], Link::Shared, &source());
}

/// As a package is made: into a directory that isn't the prefix, and moved to its place later; with the libraries
/// where they please.
#[test]
fn staged_and_moved() {
    if skipped("install") {
        return;
    }
    let (stage, place) = (workshop().join("stage"), workshop().join("place"));
    for libdir in ["/usr/lib", "/usr/lib64", "/usr/lib/somewhere"] {
        for directory in [&stage, &place] {
            _ = fs::remove_dir_all(directory);
        }
        let words = ["--prefix", "/usr", "--libdir", libdir, "--destdir"].map(OsStr::new);
        install(&[&words[..], &[stage.as_os_str()]].concat());
        // Nothing but what was asked for.
        let files =
            output_of(command("find").arg(&stage).args(["!", "-type", "d", "-printf", "/%P\n"]), "findutils");
        let mut files: Vec<&str> = files.lines().collect();
        files.sort_unstable();
        let soname = env!("MBA_SONAME");
        let mut expected = vec![
            "/usr/include/mmap_backed_array.h".to_owned(),
            "/usr/include/mmap_backed_array.hpp".to_owned(),
            format!("{libdir}/libmmap_backed_array.a"),
            format!("{libdir}/libmmap_backed_array.so"),
            format!("{libdir}/{soname}"),
            format!("{libdir}/libmmap_backed_array.so.{}", env!("CARGO_PKG_VERSION")),
            format!("{libdir}/pkgconfig/mmap_backed_array.pc"),
        ];
        for name in ["config", "config-version", "targets"] {
            expected.push(format!("/usr/share/mmap_backed_array/mmap_backed_array-{name}.cmake"));
        }
        expected.sort_unstable();
        assert_eq!(files, expected);
        // The record of where it will be is not where it is now.
        let record =
            fs::read_to_string(stage.join(&libdir[1..]).join("pkgconfig/mmap_backed_array.pc")).unwrap();
        assert!(record.starts_with("prefix=/usr\n") && !record.contains("stage"), "{record}");
        fs::rename(stage.join("usr"), &place).unwrap();
        let prefix = format!("-DCMAKE_PREFIX_PATH={}", place.display());
        by_cmake("find_package", "Ninja", &COMPILERS[0], Link::Shared, &[prefix]);
    }
}

/// A version that isn't there is refused, and so is one that may be another ABI.
#[test]
fn other_versions_are_refused() {
    if skipped("install") {
        return;
    }
    let [major, minor, patch] = ["MAJOR", "MINOR", "PATCH"].map(|part| {
        let header = fs::read_to_string(prefixes().whole.join("include/mmap_backed_array.h")).unwrap();
        let line = format!("#define MBA_VERSION_{part} ");
        let number = header.lines().find_map(|text| text.strip_prefix(&line)).unwrap();
        number.parse::<u32>().unwrap()
    });
    assert_eq!(format!("{major}.{minor}.{patch}"), env!("CARGO_PKG_VERSION"));
    let directory = workshop().join("versions");
    fs::create_dir_all(&directory).unwrap();
    let found = |version: &str| {
        let text = format!(
            "cmake_minimum_required(VERSION 3.19)\nproject(asks LANGUAGES C)\n\
             find_package(mmap_backed_array {version} CONFIG QUIET)\nmessage(STATUS \"FOUND=${{mmap_backed_array_FOUND}}\")\n"
        );
        fs::write(directory.join("CMakeLists.txt"), text).unwrap();
        let mut cmake = command("cmake");
        cmake.arg("-S").arg(&directory).arg("-B").arg(directory.join("build"));
        cmake.arg(format!("-DCMAKE_PREFIX_PATH={}", prefixes().whole.display()));
        let told = output_of(&mut cmake, "cmake");
        told.contains("FOUND=1") || told.contains("FOUND=TRUE")
    };
    assert!(major == 0, "what follows is for the versions before 1.0");
    let exact = format!("{major}.{minor}.{patch} EXACT");
    for version in
        ["", "0", &format!("0.{minor}"), &format!("0.{minor}.{patch}"), &exact, &format!("0.{minor}...0.99")]
    {
        assert!(found(version), "{version}");
    }
    let (newer, next, other) =
        (format!("0.{minor}.{}", patch + 1), format!("0.{}", minor + 1), format!("0.{minor}.99 EXACT"));
    for version in [&newer, &next, &other, "1", "0.0.1", "1.0...2.0"] {
        assert!(!found(version), "{version}");
    }
}
