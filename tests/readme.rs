//! The README is true: its commands and examples run, top to bottom, in one shell, as a reader would type them.
//!
//! The first word after a fence is the language, and what may follow is for this test:
//! - `c`, `rust` and `python` blocks are saved under the name that follows, and a later command must use it;
//! - `sh` blocks are run as they are, the first of them in the checkout, up to the `cd` that the README asks for;
//! - lines of `text output` blocks must appear, in order, in what the commands before them print; so must those
//!   of `text like` blocks, where words with a digit in them may differ; plain `text` is not looked at.
//!
//! Commands that would start this very test again are not run, but checked: `cargo test` and `cargo bench` for
//! the targets that they need, `.ci/run` for being there and a program.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const README: &str = include_str!("../README.md");

#[test]
fn every_command_and_example_runs_and_prints_what_it_says() {
    if common::skipped("readme") {
        return;
    }
    for (program, package) in [("cc", "gcc"), ("python3", "python3"), ("od", "coreutils"), ("sh", "dash")] {
        let found = Command::new(program).arg("--version").stdin(Stdio::null()).output();
        assert!(found.is_ok(), "the README needs {program}: apt-get install {package}, or MBA_SKIP=readme");
    }
    let session = Session::of(README).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("readme.sh");
    fs::write(&script, &session.script).unwrap();
    let output = Command::new("sh")
        .arg("-eu")
        .arg(&script)
        .current_dir(ROOT)
        .env("TMPDIR", directory.path())
        .env("CARGO_NET_OFFLINE", "true") // What the examples need was fetched to build this test.
        // Cargo's own, which a reader's shell has not: the library's path leads to a library of another build.
        .env_remove("LD_LIBRARY_PATH")
        .env_remove("CARGO_TARGET_DIR")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n--- printed\n{printed}\n--- errors\n{errors}", output.status);
    session
        .check(&printed)
        .unwrap_or_else(|error| panic!("{error}\n--- printed\n{printed}\n--- errors\n{errors}"));
    // What varies from run to run aside, the two processes of the quickstart saw the same.
    for line in [
        "elements                   664,579         664,579",
        "Rust refreshes: 664,580 elements, 10,000,019 the last, the same address",
        "Rust sets element 0 to 2 again          C reads 2 there, without any call",
    ] {
        assert!(printed.contains(line), "the quickstart should print: {line}\n--- printed\n{printed}");
    }
}

#[test]
fn a_block_that_nobody_runs_is_refused() {
    let refused = |readme: &str| Session::of(readme).err().unwrap_or_else(|| panic!("accepted: {readme}"));
    assert!(refused("```console\nls\n```").contains("console"));
    assert!(refused("```\nls\n```").contains("language"));
    assert!(refused("```c\nint x;\n```").contains("name"));
    assert!(refused("```c a.c\nint x;\n```\n```sh\ncc b.c\n```").contains("a.c"));
    assert!(refused("```sh\ncc a.c\n```\n```c a.c\nint x;\n```").contains("a.c"));
    assert!(refused("```sh\nls").contains("fence"));
    assert!(refused("~~~\nls\n~~~").contains("fence"));
    assert!(refused("Indented:\n\n    ls\n").contains("indented"));
    assert!(refused("```text outpt\nx\n```").contains("outpt"));
    assert!(refused("```sh\ncargo test --test no_such_test\n```").contains("no_such_test"));
    assert!(Session::of("```c a.c\nint x;\n```\n```sh\ncc -c a.c\ncargo test\n```").is_ok());
}

#[test]
fn what_the_readme_says_is_printed_must_be_printed() {
    let session = Session::of("```text output\nalpha\nbeta\n```\n```text like\n1 ms  gamma\n```").unwrap();
    assert_eq!(session.check("alpha\nomega\nbeta\n23.5 ms gamma\n"), Ok(()));
    assert!(session.check("beta\nalpha\n2 ms gamma\n").is_err());
    assert!(session.check("alpha\nbeta beta\n2 ms gamma\n").is_err());
    assert!(session.check("alpha\nbeta\n2 s gamma\n").is_err());
}

#[test]
fn the_table_of_functions_is_that_of_the_header() {
    let header = fs::read_to_string(Path::new(ROOT).join("include/mmap_backed_array.h")).unwrap();
    let declared = header.lines().filter_map(|line| {
        let (before, _) = line.split_once('(')?;
        let name = before.rsplit([' ', '*']).next()?;
        (name.starts_with("mba_") && before.len() > name.len() && !line.starts_with([' ', '#']))
            .then_some(name)
    });
    let (_, table) = README.split_once("\n## The API at a glance\n").unwrap();
    let rows = table.lines().filter(|line| line.starts_with('|'));
    let listed: Vec<&str> = rows.flat_map(|row| row.split('`').skip(1).step_by(2)).collect();
    let mut number = 0;
    for name in declared {
        number += 1;
        assert!(listed.contains(&name), "the README's table lacks {name}");
    }
    assert!(number > 40, "only {number} functions found in the header");
    for name in listed.iter().filter(|name| name.starts_with("mba_")) {
        assert!(header.contains(&format!("{name}(")), "the README's table has {name}, the header hasn't");
    }
}

#[test]
fn every_name_of_a_constant_is_in_the_header() {
    let header = fs::read_to_string(Path::new(ROOT).join("include/mmap_backed_array.h")).unwrap();
    let words = README.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let own = ["MBA_SKIP", "MBA_BLESS"]; // Variables of the tests.
    for name in words.filter(|word| word.starts_with("MBA_") && !own.contains(word)) {
        assert!(
            header.contains(&format!("#define {name} ")) || name == "MBA_NO_INCLUDES",
            "no {name} in the header"
        );
    }
    let types = header.lines().skip_while(|line| !line.contains("#define MBA_CHAR "));
    let types = types.take_while(|line| !line.contains("#define MBA_OK "));
    for name in types.filter_map(|line| line.strip_prefix("#define ")?.split(' ').next()) {
        assert!(README.contains(&format!("`{name}`")), "the README lacks the type {name}");
    }
}

#[test]
fn the_tail_record_is_that_of_the_source() {
    let source = fs::read_to_string(Path::new(ROOT).join("src/storage/tail.rs")).unwrap();
    let rows: Vec<&str> =
        source.lines().filter_map(|line| line.strip_prefix("//! ")).filter(is_row).collect();
    assert!(rows.len() > 10, "the table in src/storage/tail.rs is gone");
    assert!(
        README.contains(&rows.join("\n")),
        "the README's table of the tail record should be:\n{}",
        rows.join("\n")
    );
}

fn is_row(line: &&str) -> bool {
    line.starts_with('|')
}

/// The README as one shell script, and what it must print.
struct Session {
    script: String,
    expected: Vec<Expected>,
}

struct Expected {
    place: usize,
    line: String,
    alike: fn(&str, &str) -> bool,
}

impl Session {
    fn of(readme: &str) -> Result<Session, String> {
        let mut session = Session { script: String::new(), expected: Vec::new() };
        let blocks = blocks(readme)?;
        for (at, block) in blocks.iter().enumerate() {
            let place = format!("README.md, line {}", block.place);
            session.script += &format!("echo '==> {place}' >&2\n");
            match (block.language, block.rest) {
                ("sh", "") => {
                    for line in &block.lines {
                        session.script += stand_in(line).map_err(|error| format!("{place}: {error}"))?;
                        session.script += "\n";
                    }
                }
                ("c" | "rust" | "python", "") => return Err(format!("{place}: the block needs a file name")),
                ("c" | "rust" | "python", name) => {
                    // A crate's file is used by commands that name the crate.
                    let used = name.split_inclusive('/').next().unwrap_or(name);
                    let mut later = blocks[at..].iter().filter(|block| block.language == "sh");
                    if !later.any(|block| block.lines.iter().any(|line| line.contains(used))) {
                        return Err(format!("{place}: no command after it uses {name}"));
                    }
                    let text = block.lines.join("\n");
                    session.script += &format!("cat > {name} <<'END OF BLOCK'\n{text}\nEND OF BLOCK\n");
                }
                ("text", "") => {}
                ("text", kind) => {
                    let alike: fn(&str, &str) -> bool = match kind {
                        "output" => |a, b| a.trim_end() == b.trim_end(),
                        "like" => |a, b| without_numbers(a) == without_numbers(b),
                        _ => return Err(format!("{place}: unknown kind of text: {kind}")),
                    };
                    let lines = block.lines.iter().enumerate();
                    session.expected.extend(lines.map(|(below, line)| Expected {
                        place: block.place + 1 + below,
                        line: (*line).to_owned(),
                        alike,
                    }));
                }
                ("", _) => return Err(format!("{place}: a block without a language")),
                (other, _) => return Err(format!("{place}: nobody runs {other} blocks; mark it text")),
            }
        }
        Ok(session)
    }

    fn check(&self, printed: &str) -> Result<(), String> {
        let mut lines = printed.lines();
        for expected in &self.expected {
            if !lines.any(|line| (expected.alike)(&expected.line, line)) {
                return Err(format!("README.md, line {}: not printed: {}", expected.place, expected.line));
            }
        }
        Ok(())
    }
}

/// A line with its words separated by one blank each, and `#` for every word with a digit in it.
fn without_numbers(line: &str) -> String {
    let words = line
        .split_whitespace()
        .map(|word| if word.contains(|c: char| c.is_ascii_digit()) { "#" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// A fenced block: where it begins, what stands behind the fence, and its lines.
struct Block<'a> {
    place: usize,
    language: &'a str,
    rest: &'a str,
    lines: Vec<&'a str>,
}

fn blocks(readme: &str) -> Result<Vec<Block<'_>>, String> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (at, line) in readme.lines().enumerate() {
        let fence = line.trim_start().strip_prefix("```");
        match (&mut open, fence) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => block.lines.push(line),
            (None, Some(info)) => {
                let (language, rest) = info.trim().split_once(' ').unwrap_or((info.trim(), ""));
                open = Some(Block { place: at + 1, language, rest, lines: Vec::new() });
            }
            (None, None) if line.trim_start().starts_with("~~~") => {
                return Err(format!("README.md, line {}: use the other fence", at + 1));
            }
            (None, None) if line.starts_with("    ") || line.starts_with('\t') => {
                return Err(format!("README.md, line {}: an indented block; fence it", at + 1));
            }
            (None, None) => {}
        }
    }
    match open {
        Some(block) => Err(format!("README.md, line {}: the fence is never closed", block.place)),
        None => Ok(blocks),
    }
}

/// What is run for a line of a shell block: the line itself, but for those that would run this test again.
fn stand_in(line: &str) -> Result<&str, String> {
    let command = line.split(" #").next().unwrap_or_default();
    let words: Vec<&str> = command.split_whitespace().skip_while(|word| word.contains('=')).collect();
    let root = Path::new(ROOT);
    match words[..] {
        ["cargo", "test", ..] | ["cargo", "bench", ..] => {
            for pair in words.windows(2) {
                let source = match pair[0] {
                    "--test" => root.join(format!("tests/{}.rs", pair[1])),
                    "--bench" => root.join(format!("benches/{}.rs", pair[1])),
                    _ => continue,
                };
                if !source.is_file() {
                    return Err(format!("{command}: there is no {}", source.display()));
                }
            }
            if words[1] == "bench" && !root.join("benches").is_dir() {
                return Err(format!("{command}: there is nothing to measure"));
            }
            Ok(":")
        }
        [".ci/run"] => match fs::metadata(root.join(".ci/run")) {
            Ok(file) if file.permissions().mode() & 0o111 != 0 => Ok(":"),
            _ => Err(format!("{command}: not there, or not a program")),
        },
        _ => Ok(line),
    }
}
