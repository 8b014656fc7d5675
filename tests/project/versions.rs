//! What the pages and programs say of versions: the oldest Rust that is enough, and the cargo-c that is tested.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Each line of a text file in the repository, with its place.
fn lines() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(root);
    let mut lines = Vec::new();
    for file in crate::helpers::output_of(&mut git, "git").lines() {
        // What isn't text has no such lines, and what has been removed is listed still.
        let Ok(text) = fs::read_to_string(root.join(file)) else { continue };
        let number = 1..;
        lines.extend(text.lines().zip(number).map(|(line, at)| (format!("{file}:{at}"), line.to_owned())));
    }
    lines
}

/// The version that follows a word in a line.
fn version_after<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    let rest = line.split_once(word)?.1;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    rest[..end].contains('.').then(|| rest[..end].trim_end_matches('.'))
}

#[test]
fn one_oldest_rust_is_named_everywhere() {
    let mut named = 0;
    for (place, line) in lines() {
        if let Some(version) = version_after(&line, "Rust ") {
            named += 1;
            assert_eq!(version, env!("CARGO_PKG_RUST_VERSION"), "{place}: {line}");
        }
    }
    assert!(named > 5, "only {named} places name it");
}

#[test]
fn one_cargo_c_is_named_everywhere() {
    let mut all = Vec::new();
    for (place, line) in lines() {
        all.extend(version_after(&line, "cargo-c@").map(|version| (version.to_owned(), place)));
    }
    assert!(all.len() > 2, "only {all:?} name it");
    assert!(all.iter().all(|(version, _)| *version == all[0].0), "{all:?}");
}
