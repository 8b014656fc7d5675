//! The trees that the tests look at: the sources as cargo packages them, and what `cmake --install` and
//! `cargo cinstall` make of them.

use std::fs;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use crate::helpers::{need_cargo_c, output_of};

pub struct Trees {
    /// The package, unpacked.
    pub sources: PathBuf,
    /// Installed by cargo-c to where it is, for debugging.
    pub plain: Installed,
    /// Staged by cargo-c for `/usr`, with Debian's directory for libraries, and then moved elsewhere.
    pub moved: Installed,
    /// Installed by CMake, as it is without settings, to where it is.
    pub by_cmake: Installed,
    /// Staged by CMake for `/usr`, with Debian's directory for libraries, and then moved elsewhere.
    pub moved_by_cmake: Installed,
    /// Where cargo builds, kept from one run to the next.
    target: PathBuf,
    /// Keeps other runs of these tests out of the directory until the process ends.
    _lock: fs::File,
}

impl Trees {
    /// Made by the first test that asks.
    pub fn get() -> &'static Trees {
        static TREES: LazyLock<Trees> = LazyLock::new(Trees::make);
        &TREES
    }

    fn make() -> Trees {
        for (program, package) in [
            ("cmake", "cmake"),
            ("ninja", "ninja-build"),
            ("make", "make"),
            ("pkg-config", "pkg-config"),
            ("gcc", "gcc"),
            ("g++", "g++"),
            ("clang", "clang"),
            ("clang++", "clang"),
            ("readelf", "binutils"),
            ("tar", "tar"),
        ] {
            output_of(Command::new(program).arg("--version"), &format!("{package}, or set MBA_SKIP=install"));
        }
        need_cargo_c("install");

        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("install");
        fs::create_dir_all(&directory).unwrap();
        let lock = fs::File::create(directory.join("lock")).unwrap();
        // SAFETY: the descriptor is open, and the call takes nothing else.
        assert_eq!(unsafe { libc::flock(lock.as_raw_fd(), libc::LOCK_EX) }, 0);
        let fresh = |name: &str| {
            let path = directory.join(name);
            if path.exists() {
                fs::remove_dir_all(&path).unwrap();
            }
            path
        };
        let target = directory.join("target");

        let sources = fresh("sources");
        fs::create_dir(&sources).unwrap();
        output_of(
            cargo("package", &target)
                .args(["--package", env!("CARGO_PKG_NAME"), "--no-verify", "--allow-dirty", "--quiet"])
                .current_dir(env!("CARGO_MANIFEST_DIR")),
            "cargo",
        );
        let package = concat!("package/", env!("CARGO_PKG_NAME"), "-", env!("CARGO_PKG_VERSION"), ".crate");
        let mut unpack = Command::new("tar");
        // Cargo packages files as being old, and builds only what is newer than what it has built.
        unpack
            .args(["--touch", "--strip-components=1", "-xzf"])
            .arg(target.join(package))
            .arg("-C")
            .arg(&sources);
        output_of(&mut unpack, "tar");

        let install = |arguments: &[&str]| {
            let mut command = cargo("cinstall", &target);
            command.args(["--locked", "--profile", "dev"]).args(arguments).current_dir(&sources);
            output_of(&mut command, "cargo");
        };
        let plain = Installed { prefix: fresh("plain"), libdir: "lib" };
        install(&[&format!("--prefix={}", plain.prefix.display()), "--libdir=lib"]);

        let staged = fresh("staged");
        let moved = Installed { prefix: fresh("moved"), libdir: "lib/x86_64-linux-gnu" };
        install(&[
            "--prefix=/usr",
            &format!("--libdir={}", moved.libdir),
            &format!("--destdir={}", staged.display()),
        ]);
        fs::rename(staged.join("usr"), &moved.prefix).unwrap();

        let built = fresh("built");
        let by_cmake = Installed { prefix: fresh("by_cmake"), libdir: "lib" };
        let cmake = |configure: &mut Command| {
            configure.arg("-S").arg(&sources).arg("-B").arg(&built);
            configure.arg(format!("-Dmmap_backed_array_CARGO_TARGET_DIR={}", target.display()));
            output_of(configure, "cmake");
            let mut build = Command::new("cmake");
            build.arg("--build").arg(&built).env("CARGO_NET_OFFLINE", "true");
            output_of(build.env_remove("CARGO_TARGET_DIR").env_remove("LD_LIBRARY_PATH"), "cmake");
        };
        let cmake_install = || {
            let mut command = Command::new("cmake");
            command.arg("--install").arg(&built);
            command
        };
        // The prefix may come late.
        cmake(Command::new("cmake").arg("-DCMAKE_INSTALL_LIBDIR=lib"));
        output_of(cmake_install().arg("--prefix").arg(&by_cmake.prefix), "cmake");

        let staged = fresh("staged_by_cmake");
        let moved_by_cmake = Installed { prefix: fresh("moved_by_cmake"), libdir: "lib/x86_64-linux-gnu" };
        let libdir = format!("-DCMAKE_INSTALL_LIBDIR={}", moved_by_cmake.libdir);
        cmake(Command::new("cmake").arg("-DCMAKE_INSTALL_PREFIX=/usr").arg(libdir));
        output_of(cmake_install().env("DESTDIR", &staged), "cmake");
        fs::rename(staged.join("usr"), &moved_by_cmake.prefix).unwrap();

        Trees { sources, plain, moved, by_cmake, moved_by_cmake, target, _lock: lock }
    }

    /// All that are installed.
    pub fn installed(&self) -> [&Installed; 4] {
        [&self.plain, &self.moved, &self.by_cmake, &self.moved_by_cmake]
    }

    /// Settings for a project that builds the library, all in one directory: it is the same one.
    pub fn sources_for_cmake(&self) -> Vec<String> {
        vec![
            format!("-DSOURCE={}", self.sources.display()),
            format!("-Dmmap_backed_array_CARGO_TARGET_DIR={}", self.target.display()),
        ]
    }
}

fn cargo(subcommand: &str, target: &Path) -> Command {
    let mut command = Command::new("cargo");
    // What it needs was fetched to build this test.
    command.arg(subcommand).arg("--target-dir").arg(target).env("CARGO_NET_OFFLINE", "true");
    command
}

/// An installed library.
pub struct Installed {
    pub prefix: PathBuf,
    pub libdir: &'static str,
}

impl Installed {
    pub fn libraries(&self) -> PathBuf {
        self.prefix.join(self.libdir)
    }

    pub fn for_cmake(&self) -> String {
        format!("-DCMAKE_PREFIX_PATH={}", self.prefix.display())
    }

    /// Asks pkg-config, which is told where the tree is now.
    pub fn pkg_config(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("pkg-config");
        command.env("PKG_CONFIG_PATH", self.libraries().join("pkgconfig"));
        command.arg(format!("--define-variable=prefix={}", self.prefix.display()));
        output_of(command.args(arguments).arg("mmap_backed_array"), "pkg-config")
    }

    /// The same in words.
    pub fn words(&self, arguments: &[&str]) -> Vec<String> {
        self.pkg_config(arguments).split_whitespace().map(str::to_owned).collect()
    }

    /// Another tree, with the files whose names are wanted.
    pub fn copy(&self, to: &Path, wanted: impl Fn(&str) -> bool) -> Installed {
        copy(&self.prefix, to, &wanted);
        Installed { prefix: to.to_owned(), libdir: self.libdir }
    }
}

/// Copies a directory, links as links, with the files whose names are wanted.
pub fn copy(from: &Path, to: &Path, wanted: &dyn Fn(&str) -> bool) {
    for name in files(from) {
        let (source, copy) = (from.join(&name), to.join(&name));
        if wanted(&name) {
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            match fs::read_link(&source) {
                Ok(link) => std::os::unix::fs::symlink(link, copy).unwrap(),
                Err(_) => _ = fs::copy(source, copy).unwrap(),
            }
        }
    }
}

/// The files in a directory and below, by their paths from there.
pub fn files(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            } else {
                let path = entry.path();
                found.push(path.strip_prefix(directory).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found
}
