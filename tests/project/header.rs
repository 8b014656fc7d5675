//! The committed C header is the one that the sources make.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::helpers::{binary_directory, output_of, skipped};

const MEND: &str = "MBA_BLESS=1 cargo test --test project header::";

/// Where the build script has left the header, by cargo's messages.
fn output_directory(messages: &str) -> PathBuf {
    let directories = messages
        .lines()
        .filter(|line| line.contains(r#""reason":"build-script-executed""#))
        .filter_map(|line| line.split_once(r#""out_dir":""#)?.1.split_once('"'))
        .map(|(path, _)| PathBuf::from(path));
    let ours = |path: &PathBuf| path.to_string_lossy().contains("/build/mmap_backed_array-");
    directories.into_iter().find(ours).expect("cargo tells where the build script puts things")
}

#[test]
fn the_committed_header_is_the_generated_one() {
    if skipped("header") {
        return;
    }
    let profile = binary_directory().parent().expect("deps is in the profile's directory").to_path_buf();
    let target = profile.parent().expect("the profile is in the target directory").join("header");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["check", "--lib", "--locked", "--quiet", "--features", "header", "--message-format=json"]);
    cargo.arg("--target-dir").arg(target).current_dir(env!("CARGO_MANIFEST_DIR"));
    // What the outer cargo tells this test is not meant for the inner one.
    cargo.env_remove("CARGO_TARGET_DIR").env_remove("CARGO_BUILD_TARGET");
    eprintln!("without a network this needs `cargo fetch` once before");
    let messages = output_of(&mut cargo, "cargo");

    let generated = std::fs::read_to_string(output_directory(&messages).join("mmap_backed_array.h")).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/mmap_backed_array.h");
    if std::env::var_os("MBA_BLESS").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = generated.lines().zip(committed.lines()).position(|(new, old)| new != old);
    let line = differs.unwrap_or(generated.lines().count().min(committed.lines().count())) + 1;
    assert!(
        generated == committed,
        "include/mmap_backed_array.h is not what src/capi makes, from line {line} on:\n\
         generated: {:?}\ncommitted: {:?}\nThis mends it: {MEND}",
        generated.lines().nth(line - 1),
        committed.lines().nth(line - 1),
    );
}
