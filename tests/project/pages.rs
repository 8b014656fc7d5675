//! The pages are true: the README's commands and examples run, top to bottom, in one shell, as a reader would type them,
//! the program of the page about the file format reads files that are in use, and links lead somewhere.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::helpers::session::Session;
use crate::helpers::{Numbers, Place, writable};
use mmap_backed_array::MmapArray;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const C_API: &str = include_str!("../../docs/c-api.md");
const FORMAT: &str = include_str!("../../docs/file-format.md");

/// Runs a page's commands; what they need is named by MBA_SKIP or there.
fn run(page: &str) -> Option<String> {
    if crate::helpers::skipped("pages") {
        return None;
    }
    for (program, package) in [
        ("cc", "gcc"),
        ("c++", "g++"),
        ("python3", "python3"),
        ("cmake", "cmake"),
        ("make", "make"),
        ("pkg-config", "pkg-config"),
        ("od", "coreutils"),
        ("sh", "dash"),
    ] {
        let found = Command::new(program).arg("--version").stdin(Stdio::null()).output();
        assert!(found.is_ok(), "the pages need {program}: apt-get install {package}, or MBA_SKIP=pages");
    }
    let text = fs::read_to_string(Path::new(ROOT).join(page)).unwrap();
    let session = Session::of(page, &text).unwrap();
    // What the examples need of crates was fetched to build this test.
    Some(session.run(|command| _ = command.env("CARGO_NET_OFFLINE", "true")))
}

#[test]
fn every_command_of_the_readme_prints_what_it_says() {
    let Some(printed) = run("README.md") else { return };
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
fn every_command_about_building_prints_what_it_says() {
    run("docs/building.md");
}

#[test]
fn every_command_about_the_c_api_prints_what_it_says() {
    run("docs/c-api.md");
}

#[test]
fn every_command_for_contributors_is_there() {
    run("CONTRIBUTING.md");
}

#[test]
fn a_block_that_nobody_runs_is_refused() {
    let refused =
        |readme: &str| Session::of("page", readme).err().unwrap_or_else(|| panic!("accepted: {readme}"));
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
    assert!(Session::of("page", "```c a.c\nint x;\n```\n```sh\ncc -c a.c\ncargo test\n```").is_ok());
}

#[test]
fn what_the_readme_says_is_printed_must_be_printed() {
    let session =
        Session::of("page", "```text output\nalpha\nbeta\n```\n```text like\n1 ms  gamma\n```").unwrap();
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
    let (table, _) = C_API.split_once("\n## Types\n").unwrap();
    let rows = table.lines().filter(|line| line.starts_with('|'));
    let listed: Vec<&str> = rows.flat_map(|row| row.split('`').skip(1).step_by(2)).collect();
    let mut number = 0;
    for name in declared {
        number += 1;
        assert!(listed.contains(&name), "the page's table lacks {name}");
    }
    assert!(number > 40, "only {number} functions found in the header");
    for name in listed.iter().filter(|name| name.starts_with("mba_")) {
        assert!(header.contains(&format!("{name}(")), "the page's table has {name}, the header hasn't");
    }
}

#[test]
fn every_name_of_a_constant_is_in_the_header() {
    let header = fs::read_to_string(Path::new(ROOT).join("include/mmap_backed_array.h")).unwrap();
    // Variables of the tests, and what the header asks for.
    let own = [
        "MBA_SKIP",
        "MBA_BLESS",
        "MBA_CPP",
        "MBA_FAULTS",
        "MBA_HANDLES",
        "MBA_PARTS",
        "MBA_PLATFORM",
        "MBA_NO_INCLUDES",
        "MBA_TIDY_",
    ];
    for page in pages().iter().filter(|page| !page.contains('/') || page.starts_with("docs/")) {
        let text = fs::read_to_string(Path::new(ROOT).join(page)).unwrap();
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for name in words.filter(|word| word.starts_with("MBA_") && !own.contains(word)) {
            let is_there =
                header.contains(&format!("#define {name} ")) || header.contains(&format!("#define {name}("));
            assert!(is_there, "{page}: no {name} in the header");
        }
    }
}

#[test]
fn the_footer_is_that_of_the_source() {
    let source = fs::read_to_string(Path::new(ROOT).join("src/storage/footer.rs")).unwrap();
    let rows: Vec<&str> =
        source.lines().filter_map(|line| line.strip_prefix("//! ")).filter(is_row).collect();
    assert!(rows.len() > 10, "the table in src/storage/footer.rs is gone");
    assert!(
        FORMAT.contains(&rows.join("\n")),
        "the page's table of the footer should be:\n{}",
        rows.join("\n")
    );
}

fn is_row(line: &&str) -> bool {
    line.starts_with('|')
}

/// The program of the page about the file format, and what it says of a file of elements of 4 bytes.
struct Peek {
    directory: tempfile::TempDir,
}

impl Peek {
    fn new() -> Peek {
        let (_, rest) = FORMAT.split_once("```python peek.py\n").expect("the page has a program");
        let (program, _) = rest.split_once("```").expect("it ends");
        let directory = Place::Disk.directory();
        fs::write(directory.path().join("peek.py"), program).unwrap();
        Peek { directory }
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        let program = self.directory.path().join("peek.py");
        let output = Command::new("python3").arg(program).arg(path).arg("4").output();
        let output = output.expect("the test needs python3: apt-get install python3");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(output.stdout) } else { Err(errors) }
    }
}

fn bytes_of(elements: &[u32]) -> Vec<u8> {
    elements.iter().flat_map(|element| element.to_ne_bytes()).collect()
}

#[test]
fn the_program_of_the_format_page_reads_files_in_use() {
    let peek = Peek::new();
    let path = peek.directory.path().join("array");
    let mut numbers = Numbers::any();
    let mut model: Vec<u32> = Vec::new();
    let mut array = MmapArray::<u32>::open_with(&path, writable().create(true)).unwrap();
    let mut reader = None;
    for step in 0..60 {
        let value = numbers.next() as u32;
        match numbers.below(6) {
            0 => {
                let many = vec![value; 1 + numbers.below(3000) as usize];
                array.extend_from_slice(&many).unwrap();
                model.extend(many);
            }
            1 => {
                let len = numbers.below(model.len() as u64 + 1) as usize;
                array.resize(len).unwrap();
                model.truncate(len);
            }
            2 => {
                assert_eq!(array.pop(), Ok(model.pop()));
            }
            3 => {
                array.insert(model.len() / 2, value).unwrap();
                model.insert(model.len() / 2, value);
            }
            4 => reader = MmapArray::<u32>::open(&path).ok(),
            _ => {
                array.close().unwrap();
                array = MmapArray::open_with(&path, &writable()).unwrap();
            }
        }
        assert_eq!(peek.read(&path), Ok(bytes_of(&model)), "after step {step}");
    }
    drop(reader);
    let copy = peek.directory.path().join("copy");
    array.push(7).unwrap();
    model.push(7);
    fs::copy(&path, &copy).unwrap();
    assert_eq!(peek.read(&copy), Ok(bytes_of(&model)), "a copy");
    // What the library refuses, it refuses.
    let mut damaged = fs::read(&copy).unwrap();
    let at = damaged.len() - 128 + numbers.below(80) as usize;
    damaged[at] ^= 1;
    fs::write(&copy, &damaged).unwrap();
    let refused = peek.read(&copy).is_err();
    let is_elements = at < damaged.len() - 120;
    assert!(refused || is_elements, "byte {at} of {} is wrong", damaged.len());
}

#[test]
fn the_program_of_the_format_page_reads_beside_a_writer() {
    let peek = Peek::new();
    let path = peek.directory.path().join("array");
    let array = MmapArray::<u32>::open_with(&path, writable().create(true)).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut array = array;
            let mut next = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) && next < 3_000_000 {
                array.push(next).unwrap();
                next += 1;
            }
        });
        let mut last = 0;
        for _ in 0..10 {
            let found = peek.read(&path).unwrap();
            assert!(found.len() >= last);
            last = found.len();
            let right =
                found.chunks_exact(4).enumerate().all(|(at, bytes)| bytes == (at as u32).to_ne_bytes());
            assert!(right, "an element below the length is another");
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

/// The file is flat between the calls that empty it and fill it anew, so that nothing in it tells of them.
#[test]
fn the_program_of_the_format_page_mixes_nothing() {
    let peek = Peek::new();
    let path = peek.directory.path().join("array");
    std::fs::write(&path, []).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut numbers = Numbers::any();
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let mut array = MmapArray::<u32>::open_with(&path, &writable()).unwrap();
                array.clear().unwrap();
                let many = vec![numbers.next() as u32; 1000 + numbers.below(100_000) as usize];
                array.extend_from_slice(&many).unwrap();
                array.close().unwrap();
            }
        });
        for _ in 0..30 {
            let found = peek.read(&path).unwrap();
            let all_alike = found.chunks_exact(4).all(|element| element == &found[..4]);
            assert!(all_alike, "elements of two arrays");
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

/// The pages, by their paths from the top.
fn pages() -> Vec<String> {
    let mut command = Command::new("git");
    command.args(["ls-files", "--cached", "--others", "--exclude-standard", "*.md"]).current_dir(ROOT);
    crate::helpers::output_of(&mut command, "git").lines().map(str::to_owned).collect()
}

/// The name by which a heading can be linked to.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn links_lead_somewhere() {
    let pages = pages();
    assert!(pages.len() > 8, "{pages:?}");
    for page in pages {
        let text = fs::read_to_string(Path::new(ROOT).join(&page)).unwrap();
        // What stands between fences is code.
        let prose = text.split("\n```").step_by(2).collect::<String>();
        for link in prose.split("](").skip(1).map(|rest| rest.split(')').next().unwrap_or_default()) {
            if link.contains("://") || link.is_empty() {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let here = Path::new(ROOT).join(&page);
            let there =
                if file.is_empty() { here } else { here.parent().expect("it is in a folder").join(file) };
            assert!(there.exists(), "{page}: the link to {link} leads nowhere");
            if !heading.is_empty() {
                let text = fs::read_to_string(&there).unwrap();
                let found = text.lines().any(|line| line.starts_with('#') && anchor(line) == heading);
                assert!(found, "{page}: there is no heading for {link}");
            }
        }
    }
}
