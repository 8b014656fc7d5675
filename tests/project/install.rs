//! The library is one that C and C++ projects install and find as any other: `cmake --install` and `cargo cinstall` with a
//! prefix or staged, pkg-config, CMake's find_package, and add_subdirectory and FetchContent on the sources.
//!
//! Everything starts from the package that cargo makes of the sources, so that it is complete for that too. The two
//! programs here, in C and C++, are built in every way, with gcc and clang, against the shared library and the static
//! one, and run where only what the way itself promises leads to the library.

mod consumer;
mod trees;

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::helpers::output_of;
use consumer::{CLANG, Compiler, GCC, Project};
use trees::{Installed, Trees};

/// Whether `MBA_SKIP` says so.
fn skipped() -> bool {
    crate::helpers::skipped("install")
}

#[test]
fn what_is_installed_is_what_c_users_expect() {
    if skipped() {
        return;
    }
    let version = env!("CARGO_PKG_VERSION");
    for tree in Trees::get().installed() {
        let libraries = tree.libraries();
        let real = format!("libmmap_backed_array.so.{version}");
        for link in [env!("MBA_SONAME"), "libmmap_backed_array.so"] {
            assert_eq!(fs::read_link(libraries.join(link)).unwrap(), Path::new(&real), "{link}");
        }
        assert_eq!(consumer::dynamic(&libraries.join(&real), "(SONAME)"), [env!("MBA_SONAME")]);
        let mut files: Vec<String> = trees::files(&tree.prefix);
        files.sort();
        let lib = tree.libdir;
        let mut expected = [
            "include/mmap_backed_array.h".to_owned(),
            "include/mmap_backed_array.hpp".to_owned(),
            format!("{lib}/libmmap_backed_array.a"),
            format!("{lib}/libmmap_backed_array.so"),
            format!("{lib}/{}", env!("MBA_SONAME")),
            format!("{lib}/{real}"),
            format!("{lib}/pkgconfig/mmap_backed_array.pc"),
            "share/cmake/mmap_backed_array/mmap_backed_arrayConfig.cmake".to_owned(),
            "share/cmake/mmap_backed_array/mmap_backed_arrayConfigVersion.cmake".to_owned(),
            "share/cmake/mmap_backed_array/mmap_backed_arrayTargets.cmake".to_owned(),
            "share/cmake/mmap_backed_array/mmap_backed_arrayVersionOf.cmake".to_owned(),
            "share/doc/mmap_backed_array/LICENSE-APACHE".to_owned(),
            "share/doc/mmap_backed_array/LICENSE-MIT".to_owned(),
        ];
        expected.sort();
        assert_eq!(files, expected);
    }
}

/// Cargo.toml, the header, the library (which the programs ask), pkg-config and CMake all say the same one.
#[test]
fn there_is_one_version() {
    if skipped() {
        return;
    }
    let tree = &Trees::get().plain;
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(tree.pkg_config(&["--modversion"]).trim(), version);
    let header = fs::read_to_string(tree.prefix.join("include/mmap_backed_array.h")).unwrap();
    let parts = ["MAJOR", "MINOR", "PATCH"].map(|part| {
        let start = format!("#define MBA_VERSION_{part} ");
        header.lines().find_map(|line| line.strip_prefix(&start)).expect("the header says its version")
    });
    assert_eq!(parts.join("."), version);
    let project = Project::new("find_package", GCC, "Ninja");
    let said = project.configure(&[tree.for_cmake()]);
    assert!(said.contains(&format!("version: {version}\n")), "{said}");
    project.build();
    assert!(consumer::run(&project.program("c_shared")).starts_with(&format!("{version}: ")));
}

#[test]
fn by_pkg_config() {
    if skipped() {
        return;
    }
    for (tree, compiler) in Trees::get().installed().into_iter().zip([GCC, CLANG, GCC, CLANG]) {
        pkg_config(tree, compiler);
    }
}

/// A program of which nothing is missing, by the usual line.
#[test]
fn by_pkg_config_without_any_shared_library() {
    if skipped() {
        return;
    }
    for (tree, compiler) in [(&Trees::get().by_cmake, GCC), (&Trees::get().moved_by_cmake, CLANG)] {
        for language in ["c", "cpp"] {
            let scratch = crate::helpers::Place::Disk.directory();
            let program = scratch.path().join("program");
            compiler.build(
                language,
                &program,
                &tree.words(&["--static", "--cflags", "--libs"]),
                &["-static"],
            );
            consumer::check(&program, "static");
            assert_eq!(consumer::dynamic(&program, "(NEEDED)"), [""; 0], "needs shared libraries");
        }
    }
}

fn pkg_config(tree: &Installed, compiler: Compiler) {
    let scratch = crate::helpers::Place::Disk.directory();
    let usual = tree.words(&["--cflags", "--libs"]);
    let path = format!("-Wl,-rpath,{}", tree.pkg_config(&["--variable=libdir"]).trim());
    let mut statically = vec!["-Wl,-Bstatic".to_owned()];
    statically.extend(usual.iter().cloned());
    statically.push("-Wl,-Bdynamic".to_owned());
    for (kind, words, more) in [("shared", &usual, path.as_str()), ("static", &statically, "-pthread")] {
        for language in ["c", "cpp"] {
            let program = scratch.path().join(format!("{language}_{kind}"));
            compiler.build(language, &program, words, &[more]);
            consumer::check(&program, kind);
        }
    }
}

/// Beside another static library of Rust's, of which each has its own standard library.
#[test]
fn beside_another_static_library_of_rust() {
    if skipped() {
        return;
    }
    let scratch = crate::helpers::Place::Disk.directory();
    let other = scratch.path().join("other.rs");
    fs::write(
        &other,
        "#[unsafe(no_mangle)] pub extern \"C\" fn other() -> usize { std::env::args().count() }\n",
    )
    .unwrap();
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition=2024", "--crate-type=staticlib", "-Clto", "-Cpanic=abort"]).arg(&other);
    output_of(rustc.arg("-o").arg(scratch.path().join("libother.a")), "rustc");
    let main = scratch.path().join("main.c");
    let text = "#include <mmap_backed_array.h>\n#include <stdio.h>\nextern size_t other(void);\n\
                int main(void) { printf(\"%d %d\\n\", (int)other(), mba_version() == MBA_VERSION); return 0; }\n";
    fs::write(&main, text).unwrap();
    for compiler in [GCC, CLANG] {
        let program = scratch.path().join("program");
        let mut cc = Command::new(compiler.c);
        cc.arg(&main).arg("-o").arg(&program).arg(scratch.path().join("libother.a"));
        cc.args(["-Wl,-Bstatic"])
            .args(Trees::get().by_cmake.words(&["--cflags", "--libs"]))
            .arg("-Wl,-Bdynamic");
        output_of(&mut cc, compiler.package);
        assert_eq!(output_of(&mut Command::new(&program), "of the C library"), "1 1\n");
    }
}

/// The library that CMake installs has nothing in it that a program doesn't need.
#[test]
fn the_static_library_is_small() {
    if skipped() {
        return;
    }
    let tree = &Trees::get().by_cmake;
    let scratch = crate::helpers::Place::Disk.directory();
    let size = |path: &Path| fs::metadata(path).unwrap().len();
    let library = size(&tree.libraries().join("libmmap_backed_array.a"));
    assert!(library < 2 << 20, "the static library has {library} bytes");
    for (way, limit) in [("-Wl,-Bdynamic", 1 << 20), ("-static", 2 << 20)] {
        let program = scratch.path().join("program");
        let library = tree.libraries().join("libmmap_backed_array.a");
        let words = [tree.words(&["--cflags"]), vec![library.to_str().unwrap().to_owned()]].concat();
        GCC.build("c", &program, &words, &[way]);
        assert!(size(&program) < limit, "a small program ({way}) has {} bytes", size(&program));
    }
}

#[test]
fn by_find_package() {
    if skipped() {
        return;
    }
    let trees = Trees::get();
    let scratch = crate::helpers::Place::Disk.directory();
    let blank = trees.moved.copy(&scratch.path().join("with a blank"), |_| true);
    for (tree, compiler, generator) in [
        (&trees.plain, GCC, "Unix Makefiles"),
        (&trees.moved, CLANG, "Ninja"),
        (&blank, GCC, "Ninja"),
        (&trees.by_cmake, GCC, "Ninja"),
        (&trees.moved_by_cmake, CLANG, "Ninja"),
    ] {
        let project = Project::new("find_package", compiler, generator);
        project.configure(&[tree.for_cmake(), "-DREQUEST=0.1".to_owned()]);
        project.build();
        project.check_all("shared");
    }
}

/// The target without a kind is the shared library, unless a variable says no or there is none.
#[test]
fn which_library_is_a_choice() {
    if skipped() {
        return;
    }
    let trees = Trees::get();
    for (settings, kind) in [
        (&[][..], "shared"),
        (&["-DBUILD_SHARED_LIBS=OFF"], "static"),
        (&["-DBUILD_SHARED_LIBS=OFF", "-Dmmap_backed_array_SHARED_LIBS=ON"], "shared"),
        (&["-Dmmap_backed_array_SHARED_LIBS=OFF"], "static"),
    ] {
        let project = Project::new("find_package", GCC, "Ninja");
        let mut all = vec![trees.plain.for_cmake()];
        all.extend(settings.iter().map(|&setting| setting.to_owned()));
        project.configure(&all);
        project.build();
        consumer::check(&project.program("c_mmap_backed_array"), kind);
    }
    let scratch = crate::helpers::Place::Disk.directory();
    let only = trees.plain.copy(&scratch.path().join("static only"), |name| !name.contains(".so"));
    let project = Project::new("find_package", GCC, "Ninja");
    project.configure(&[only.for_cmake(), "-DCOMPONENTS=static".to_owned()]);
    project.build();
    consumer::check(&project.program("c_mmap_backed_array"), "static");
    let project = Project::new("find_package", GCC, "Ninja");
    let said = project.refuses(&[only.for_cmake(), "-DCOMPONENTS=shared".to_owned()]);
    assert!(said.contains("there is no shared library of mmap_backed_array under"), "{said}");
    let nothing = trees.plain.copy(&scratch.path().join("nothing"), |name| !name.contains("libmmap"));
    let project = Project::new("find_package", GCC, "Ninja");
    let said = project.refuses(&[nothing.for_cmake()]);
    assert!(said.contains("mmap_backed_array_LIBRARY_DIR"), "{said}");
    let libraries = trees.plain.libraries();
    let named = format!("-Dmmap_backed_array_LIBRARY_DIR={}", libraries.display());
    let project = Project::new("find_package", GCC, "Ninja");
    project.configure(&[nothing.for_cmake(), named]);
}

/// While the major version is 0, who asks for another minor version gets none.
#[test]
fn another_version_is_refused() {
    if skipped() {
        return;
    }
    let scratch = crate::helpers::Place::Disk.directory();
    let tree = &Trees::get().plain;
    // A tree per version, by its header alone: what CMake says depends on nothing else.
    let cases: [(&str, &[&str], &[&str]); 3] = [
        (
            "0.1.0",
            &["0", "0.1", "0.1.0", "0.1...<0.3", "0.1.0...1"],
            &["0.0", "0.1.1", "0.2", "1", "0.2...3", "0.0...<0.1"],
        ),
        ("0.10.3", &["0.10", "0.10.2", "0.10.3", ""], &["0.1", "0.9", "0.10.4", "0.11", "1"]),
        ("12.3.4", &["12", "12.1", "12.3.4"], &["0.1", "1", "1.2", "11", "12.4", "13"]),
    ];
    for (version, suits, others) in cases {
        let copy = tree.copy(&scratch.path().join(version), |_| true);
        let header = copy.prefix.join("include/mmap_backed_array.h");
        let mut text = String::new();
        for line in fs::read_to_string(&header).unwrap().lines() {
            let parts = ["MAJOR", "MINOR", "PATCH"].into_iter().zip(version.split('.'));
            let own = parts.map(|(part, number)| (format!("#define MBA_VERSION_{part} "), number));
            match own.into_iter().find(|(start, _)| line.starts_with(start.as_str())) {
                Some((start, number)) => text += &(start + number),
                None => text += line,
            }
            text.push('\n');
        }
        fs::write(&header, text).unwrap();
        for (requests, good) in [(suits, true), (others, false)] {
            for request in requests {
                let found = consumer::finds(&copy, request);
                assert_eq!(found, good, "{version} for who asks for {request:?}");
            }
        }
    }
}

#[test]
fn by_add_subdirectory() {
    if skipped() {
        return;
    }
    for (compiler, generator, build_type) in [(GCC, "Unix Makefiles", "Debug"), (CLANG, "Ninja", "Debug")] {
        let project = Project::new("add_subdirectory", compiler, generator);
        let mut settings = Trees::get().sources_for_cmake();
        settings.push(format!("-DCMAKE_BUILD_TYPE={build_type}"));
        project.configure(&settings);
        project.build();
        project.check_all("shared");
    }
}

/// With a generator that leaves the build type to the build.
#[test]
fn by_fetch_content() {
    if skipped() {
        return;
    }
    let project = Project::new("FetchContent", CLANG, "Ninja Multi-Config");
    project.configure(&Trees::get().sources_for_cmake());
    project.build();
    project.check_all("shared");
}

/// What is installed of a project that builds the library too runs where it was moved to.
#[test]
fn a_project_installs_the_library_beside_its_program() {
    if skipped() {
        return;
    }
    for way in ["add_subdirectory", "find_package"] {
        let project = Project::new(way, GCC, "Ninja");
        let mut settings = Trees::get().sources_for_cmake();
        settings.push(Trees::get().plain.for_cmake());
        settings.push("-DCMAKE_BUILD_TYPE=Debug".to_owned());
        settings.push("-DCMAKE_INSTALL_LIBDIR=lib".to_owned());
        project.configure(&settings);
        project.build();
        let scratch = crate::helpers::Place::Disk.directory();
        let staged = scratch.path().join("staged");
        output_of(
            Command::new("cmake").arg("--install").arg(project.directory()).arg("--prefix").arg(&staged),
            "cmake",
        );
        let moved = scratch.path().join("moved");
        fs::rename(&staged, &moved).unwrap();
        consumer::check(&moved.join("bin/c_mmap_backed_array"), "shared");
    }
}

/// A change in the library's sources is in the programs after the next build; and without one nothing is linked anew.
#[test]
fn a_change_in_the_sources_is_built() {
    if skipped() {
        return;
    }
    let scratch = crate::helpers::Place::Disk.directory();
    let sources = scratch.path().join("sources");
    trees::copy(&Trees::get().sources, &sources, &|_| true);
    for generator in ["Ninja", "Unix Makefiles"] {
        let error = sources.join("src/error.rs");
        let text = fs::read_to_string(&error).unwrap();
        let project = Project::new("add_subdirectory", GCC, generator);
        let target = scratch.path().join("target");
        project.configure(&[
            format!("-DSOURCE={}", sources.display()),
            format!("-Dmmap_backed_array_CARGO_TARGET_DIR={}", target.display()),
            "-DCMAKE_BUILD_TYPE=Debug".to_owned(),
        ]);
        project.build();
        let programs = ["c_shared", "c_static"].map(|name| project.program(name));
        let times = || programs.each_ref().map(|program| fs::metadata(program).unwrap().modified().unwrap());
        let before = times();
        project.build();
        assert_eq!(times(), before, "linked again without need");
        let word = format!("changed for {generator}");
        assert!(!consumer::run(&programs[0]).contains(&word));
        let old = "Success";
        let changed = text.replacen(&format!("c\"{old}"), &format!("c\"{word}, {old}"), 1);
        assert_ne!(text, changed, "src/error.rs has no text for MBA_OK");
        fs::write(&error, changed).unwrap();
        project.build();
        for program in &programs {
            assert!(consumer::run(program).contains(&word), "{} is old", program.display());
        }
        fs::write(&error, text).unwrap();
    }
}

/// The static library needs of the system what rustc says that it does, but for gcc_s: compilers add that by themselves in
/// the form that the program wants, and there is none for a program without any shared library.
#[test]
fn cmake_and_pkg_config_agree_on_what_the_static_library_needs() {
    if skipped() {
        return;
    }
    let trees = Trees::get();
    let said_by_rustc = trees.plain.words(&["--static", "--libs-only-l"]);
    let mut expected: Vec<&str> = said_by_rustc.iter().map(String::as_str).collect();
    expected.retain(|&word| word != "-lgcc_s");
    assert_eq!(trees.by_cmake.words(&["--static", "--libs-only-l"]), expected);
    let targets = trees.plain.prefix.join("share/cmake/mmap_backed_array/mmap_backed_arrayTargets.cmake");
    let targets = fs::read_to_string(targets).unwrap();
    let (_, list) =
        targets.split_once("set(_mmap_backed_array_system_libraries ").expect("the list is there");
    let list: Vec<String> =
        list.split(')').next().unwrap().split_whitespace().map(|name| format!("-l{name}")).collect();
    assert_eq!(list, expected[1..]);
}

/// What pkg-config says is the same, whoever has installed.
#[test]
fn both_ways_to_install_tell_pkg_config_the_same() {
    if skipped() {
        return;
    }
    let trees = Trees::get();
    for (one, other) in [(&trees.plain, &trees.by_cmake), (&trees.moved, &trees.moved_by_cmake)] {
        let text = |tree: &Installed| {
            let text = fs::read_to_string(tree.libraries().join("pkgconfig/mmap_backed_array.pc")).unwrap();
            let lines = text.lines().map(|line| line.replace(tree.prefix.to_str().unwrap(), "PREFIX"));
            lines.map(|line| line.replace("-lgcc_s ", "") + "\n").collect::<String>()
        };
        assert_eq!(text(one), text(other));
    }
}
