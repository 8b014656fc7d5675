//! A page as a shell session: its commands and examples run, top to bottom, in one shell, as a reader would type
//! them.
//!
//! The first word after a fence is the language, and what may follow is for the tests:
//! - `c`, `cpp`, `rust`, `python` and `cmake` blocks are saved under the name that follows, and a later command must use
//!   it; those of a project by CMake are used by `cmake`;
//! - `sh` blocks are run as they are, the first of them in the checkout, up to the `cd` that the page asks for;
//! - lines of `text output` blocks must appear, in order, in what the commands before them print; so must those
//!   of `text like` blocks, where words with a digit in them may differ; plain `text` is not looked at.
//!
//! Commands that would start the tests again or take long are not run, but checked: `cargo test` and `cargo bench`
//! for the targets that they need, scripts of the checkout for being there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A page as one shell script, and what it must print.
pub struct Session {
    page: String,
    pub script: String,
    expected: Vec<Expected>,
}

struct Expected {
    place: usize,
    line: String,
    alike: fn(&str, &str) -> bool,
}

impl Session {
    pub fn of(page: &str, text: &str) -> Result<Session, String> {
        let mut session = Session { page: page.to_owned(), script: String::new(), expected: Vec::new() };
        let blocks = blocks(text).map_err(|error| format!("{page}, {error}"))?;
        let projects: Vec<String> = blocks
            .iter()
            .filter(|block| block.language == "cmake")
            .map(|block| block.lines.join("\n"))
            .collect();
        for (at, block) in blocks.iter().enumerate() {
            let place = format!("{page}, line {}", block.place);
            session.script += &format!("echo '==> {place}' >&2\n");
            match (block.language, block.rest) {
                ("sh", "") => {
                    for line in &block.lines {
                        session.script += stand_in(line).map_err(|error| format!("{place}: {error}"))?;
                        session.script += "\n";
                    }
                }
                ("c" | "cpp" | "rust" | "python" | "cmake", "") => {
                    return Err(format!("{place}: the block needs a file name"));
                }
                ("c" | "cpp" | "rust" | "python" | "cmake", name) => {
                    // A crate's file is used by commands that name the crate.
                    let used = name.split_inclusive('/').next().unwrap_or(name);
                    let in_project =
                        projects.iter().any(|text| text.contains(name)) || block.language == "cmake";
                    let used = if in_project { "cmake " } else { used };
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

    /// Runs it in the checkout, with a directory for what it makes that is then gone, and looks at what it prints;
    /// returns that.
    pub fn run(&self, prepare: impl FnOnce(&mut Command)) -> String {
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("readme.sh");
        fs::write(&script, &self.script).unwrap();
        let mut command = Command::new("sh");
        command
            .arg("-eu")
            .arg(&script)
            .current_dir(ROOT)
            .env("TMPDIR", directory.path())
            .stdin(Stdio::null());
        // Cargo's own, which a reader's shell has not: the library's path leads to a library of another build.
        command.env_remove("LD_LIBRARY_PATH").env_remove("CARGO_TARGET_DIR");
        prepare(&mut command);
        let output = command.output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}\n--- printed\n{printed}\n--- errors\n{errors}", output.status);
        self.check(&printed)
            .unwrap_or_else(|error| panic!("{error}\n--- printed\n{printed}\n--- errors\n{errors}"));
        printed
    }

    pub fn check(&self, printed: &str) -> Result<(), String> {
        let mut lines = printed.lines();
        for expected in &self.expected {
            if !lines.any(|line| (expected.alike)(&expected.line, line)) {
                return Err(format!(
                    "{}, line {}: not printed: {}",
                    self.page, expected.place, expected.line
                ));
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
                return Err(format!("line {}: use the other fence", at + 1));
            }
            (None, None) if line.starts_with("    ") || line.starts_with('\t') => {
                return Err(format!("line {}: an indented block; fence it", at + 1));
            }
            (None, None) => {}
        }
    }
    match open {
        Some(block) => Err(format!("line {}: the fence is never closed", block.place)),
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
                let folder = match pair[0] {
                    "--test" => root.join("tests"),
                    "--bench" => root.join("benches"),
                    _ => continue,
                };
                let source = folder.join(format!("{}.rs", pair[1]));
                let is_there = source.is_file() || folder.join(pair[1]).join("main.rs").is_file();
                let named = fs::read_to_string(root.join("Cargo.toml")).unwrap();
                if !is_there && !named.contains(&format!("\nname = \"{}\"\n", pair[1])) {
                    return Err(format!("{command}: there is no {}", source.display()));
                }
            }
            if words[1] == "bench" && !root.join("benches").is_dir() {
                return Err(format!("{command}: there is nothing to measure"));
            }
            Ok(":")
        }
        ["python", "-m", "pytest", path] | ["python", path, ..] if path.starts_with("\"$MBA/") => {
            let path = root.join(path.trim_matches('"').trim_start_matches("$MBA/"));
            if path.exists() { Ok(":") } else { Err(format!("{command}: there is no {}", path.display())) }
        }
        [script @ (".ci/run" | ".ci/setup" | ".ci/fuzz" | ".ci/sanitized"), ..] => {
            match fs::metadata(root.join(script)) {
                Ok(file) if file.permissions().mode() & 0o111 != 0 => Ok(":"),
                _ => Err(format!("{command}: not there, or not a program")),
            }
        }
        _ => Ok(line),
    }
}
