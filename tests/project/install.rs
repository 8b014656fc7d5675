//! The library is one that C and C++ projects install and find as any other: `cargo cinstall` with a prefix or staged,
//! pkg-config, CMake's find_package, and add_subdirectory and FetchContent on the sources.
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
    for tree in [&Trees::get().plain, &Trees::get().moved] {
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
    for (tree, compiler) in [(&Trees::get().plain, GCC), (&Trees::get().moved, CLANG)] {
        pkg_config(tree, compiler);
    }
    pkg_config(&Trees::get().moved, GCC);
    pkg_config(&Trees::get().plain, CLANG);
}

fn pkg_config(tree: &Installed, compiler: Compiler) {
    let scratch = crate::helpers::Place::Disk.directory();
    let words = |text: String| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
    let libdir = tree.pkg_config(&["--variable=libdir"]).trim().to_owned();
    let mut shared = words(tree.pkg_config(&["--libs"]));
    shared.push(format!("-Wl,-rpath,{libdir}"));
    let static_library = words(
        tree.pkg_config(&["--static", "--libs"])
            .replace("-lmmap_backed_array ", "-l:libmmap_backed_array.a "),
    );
    for (kind, libraries) in [("shared", &shared), ("static", &static_library)] {
        for (language, command, standard) in
            [("c", compiler.c, "-std=c99"), ("cpp", compiler.cpp, "-std=c++17")]
        {
            let program = scratch.path().join(format!("{language}_{kind}"));
            let mut cc = Command::new(command);
            cc.arg(standard).args(consumer::WARNINGS).arg(consumer::source(language)).arg("-o").arg(&program);
            cc.args(words(tree.pkg_config(&["--cflags"]))).args(libraries);
            output_of(&mut cc, compiler.package);
            consumer::check(&program, kind);
        }
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
    for (tree, compiler, generator) in
        [(&trees.plain, GCC, "Unix Makefiles"), (&trees.moved, CLANG, "Ninja"), (&blank, GCC, "Ninja")]
    {
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

/// The static library needs of the system what rustc says that it does.
#[test]
fn cmake_and_pkg_config_agree_on_what_the_static_library_needs() {
    if skipped() {
        return;
    }
    let tree = &Trees::get().plain;
    let words = tree.pkg_config(&["--static", "--libs-only-l"]);
    let mut private: Vec<&str> =
        words.split_whitespace().filter_map(|word| word.strip_prefix("-l")).collect();
    // The compiler adds gcc_s by itself.
    private.retain(|&word| word != "mmap_backed_array" && word != "gcc_s");
    let targets = tree.prefix.join("share/cmake/mmap_backed_array/mmap_backed_arrayTargets.cmake");
    let targets = fs::read_to_string(targets).unwrap();
    let (_, list) =
        targets.split_once("set(_mmap_backed_array_system_libraries ").expect("the list is there");
    let list: Vec<&str> = list.split(')').next().unwrap().split_whitespace().collect();
    assert_eq!(list, private);
}
