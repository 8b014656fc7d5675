//! The README is true: its commands and examples run, top to bottom, in one shell, as a reader would type them.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use common::session::Session;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const README: &str = include_str!("../README.md");

#[test]
fn every_command_and_example_runs_and_prints_what_it_says() {
    if common::skipped("readme") {
        return;
    }
    for (program, package) in [
        ("cc", "gcc"),
        ("python3", "python3"),
        ("cmake", "cmake"),
        ("make", "make"),
        ("pkg-config", "pkg-config"),
        ("od", "coreutils"),
        ("sh", "dash"),
    ] {
        let found = Command::new(program).arg("--version").stdin(Stdio::null()).output();
        assert!(found.is_ok(), "the README needs {program}: apt-get install {package}, or MBA_SKIP=readme");
    }
    common::need_cargo_c("readme");
    let session = Session::of(README).unwrap();
    // What the examples need was fetched to build this test.
    let printed = session.run(|command| _ = command.env("CARGO_NET_OFFLINE", "true"));
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
            header.contains(&format!("#define {name} "))
                || header.contains(&format!("#define {name}("))
                || name == "MBA_NO_INCLUDES",
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
fn the_footer_is_that_of_the_source() {
    let source = fs::read_to_string(Path::new(ROOT).join("src/storage/footer.rs")).unwrap();
    let rows: Vec<&str> =
        source.lines().filter_map(|line| line.strip_prefix("//! ")).filter(is_row).collect();
    assert!(rows.len() > 10, "the table in src/storage/footer.rs is gone");
    assert!(
        README.contains(&rows.join("\n")),
        "the README's table of the footer should be:\n{}",
        rows.join("\n")
    );
}

fn is_row(line: &&str) -> bool {
    line.starts_with('|')
}
