//! The ABI stays as it is, unless the version says otherwise.
//!
//! `include/abi/` has a list of it for each minor version, and for each patch that brought another: functions and their
//! types, the layouts of structures, the values of constants, what is compiled into programs, which are inline
//! functions and macros, and the version of the footer. The list of the present version has to be what there is,
//! and must be what that version may have, by those of the versions before it. A change is shown by
//! `git diff --no-index include/abi/0.1.0.txt include/abi/0.2.0.txt`.
//!
//! The lists are made of the header and not, by libabigail, of the library's debug information. There are no constants
//! in it, no macros and inline functions, no structure that only these use, and no const. That the header is the one
//! that the sources make is for `tests/project/header.rs`; that the library exports its functions and no others, for a test
//! here.

mod beside;
mod header;
mod interface;
mod version;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::helpers::{Place, binary_directory, output_of};
use interface::Interface;
use mmap_backed_array::MmapArray;
use version::{Lists, Verdict, Version, is_released, judge};

const MEND: &str = "MBA_BLESS=1 cargo test --test project abi::";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn header_path() -> PathBuf {
    root().join("include/mmap_backed_array.h")
}

/// The interface that there is now.
fn interface_now() -> Interface {
    let mut now = header::interface(&header_path());
    now.insert("file", "footer", footer());
    now
}

/// What a footer begins with, in a file that is being grown: processes with different libraries may share it.
fn footer() -> String {
    let directory = Place::Disk.directory();
    let path = directory.path().join("array");
    let mut array = MmapArray::<u8>::open_or_create(&path).unwrap();
    array.push(1).unwrap();
    let bytes = fs::read(&path).unwrap();
    let footer = &bytes[bytes.len() - crate::helpers::footer::SIZE..];
    let version = u32::from_ne_bytes(footer[8..12].try_into().unwrap());
    format!("{}, version {version}", footer[..8].escape_ascii())
}

/// The committed lists.
fn lists(directory: &Path) -> Lists {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let list = |path: PathBuf| {
        let version = path.file_stem().and_then(|name| name.to_str()).expect("a version names the file");
        let version = version.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (version, Interface::parse(&fs::read_to_string(&path).unwrap()))
    };
    entries.map(|entry| list(entry.unwrap().path())).collect()
}

#[test]
fn the_header_has_the_listed_abi_and_the_version_allows_it() {
    let directory = root().join("include/abi");
    let version: Version = env!("CARGO_PKG_VERSION").parse().unwrap();
    let changelog = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    let released = is_released(&changelog, version).unwrap();
    let now = interface_now();
    match judge(&lists(&directory), version, released, &now) {
        Verdict::Listed => {}
        Verdict::Listable(changes) if std::env::var_os("MBA_BLESS").is_some() => {
            eprintln!("the ABI of {version} is now listed with these changes:\n{changes}");
            fs::write(directory.join(format!("{version}.txt")), now.to_string()).unwrap();
        }
        Verdict::Listable(changes) => panic!(
            "{version} has an ABI that isn't listed, which it may. If that is meant, list it by {MEND}\n{changes}"
        ),
        Verdict::Forbidden(why) => panic!("{why}"),
    }
}

#[test]
fn the_library_exports_the_functions_of_the_header_and_nothing_else() {
    let library = binary_directory().join("libmmap_backed_array.so");
    let output = output_of(Command::new("nm").args(["-D", "--defined-only"]).arg(library), "binutils");
    let exported: BTreeSet<&str> = output.lines().filter_map(|line| line.split_whitespace().last()).collect();
    let header = header::interface(&header_path());
    let declared: BTreeSet<&str> = header.names("function").collect();
    assert!(declared.len() > 40, "the header was read: {declared:?}");
    assert_eq!(exported, declared);
}

/// Each kind of thing that a header can have, and each change of it.
#[test]
fn a_header_is_read_wholly() {
    const HEADER: &str = "
#ifndef GUARD
#define GUARD
#include <stddef.h>
#include <stdint.h>
/* int mba_not(int a); */
#define MBA_VERSION 7
#define MBA_MINUS (-3)
#define MBA_SUM (MBA_MINUS + 5)
#define MBA_OWN_ 9
#define MBA_GONE 9
#undef MBA_GONE
#define MBA_TWICE(n) (2 * (n))
typedef struct mba_thing mba_thing;
typedef int32_t mba_kind;
typedef struct mba_pair { uint8_t first; const char *names[2]; struct mba_thing *thing; } mba_pair;
int mba_call(const struct mba_thing *thing, mba_kind
             kind, size_t *out);
void mba_nothing(void);
const char *mba_text(int);
static inline size_t mba_short(mba_pair *pair) { if (pair) { return sizeof *pair; } return 0; }
#endif
";
    const INTERFACE: &str = "\
constant MBA_MINUS: -3
constant MBA_SUM: 2
constant MBA_VERSION: of the version
function mba_call: int (const mba_thing *, mba_kind, size_t *)
function mba_nothing: void (void)
function mba_text: const char * (int)
inline mba_short: size_t (mba_pair *)
macro MBA_TWICE(n): 0 of 0, 2 of 1, 510 of 255, 131070 of 65535, 33554430 of 16777215, 33554432 of 16777216
struct mba_pair: 32 bytes, aligned to 8
    0 uint8_t first
    8 const char *names[2]
    24 mba_thing *thing
type mba_kind: int32_t
type mba_pair: struct mba_pair
type mba_thing: struct mba_thing
";
    let directory = Place::Disk.directory();
    let path = directory.path().join("a.h");
    let read = |text: &str| {
        fs::write(&path, text).unwrap();
        header::interface(&path)
    };
    let before = read(HEADER);
    assert_eq!(before.to_string(), INTERFACE);
    let now = |old: &str, new: &str| {
        assert!(HEADER.contains(old));
        before.changes(&read(&HEADER.replacen(old, new, 1)))
    };
    for (old, new) in [
        ("void mba_nothing(void);", ""),
        ("size_t *out", "int *out"),
        ("const struct mba_thing", "struct mba_thing"),
        ("void mba_nothing", "int mba_nothing"),
        ("mba_text(int)", "mba_text(long)"),
        ("void mba_nothing(void);", "static inline void mba_nothing(void) {}"),
        ("mba_short(mba_pair *pair)", "mba_short(const mba_pair *pair)"),
        ("MBA_MINUS (-3)", "MBA_MINUS (-4)"),
        ("2 * (n)", "3 * (n)"),
        ("#define MBA_VERSION 7", ""),
        ("int32_t mba_kind", "int64_t mba_kind"),
        ("uint8_t first", "int8_t first"),
        ("names[2]", "names[3]"),
        ("uint8_t first;", "uint8_t first; uint8_t second;"),
    ] {
        assert!(!now(old, new).breaking.is_empty(), "{old} is now {new}");
    }
    let added = now("int mba_call", "int mba_new(void); int mba_call");
    assert!(added.breaking.is_empty() && added.adding.len() == 1, "{added}");
    for (old, new) in [
        ("size_t *out", "size_t *result"),
        ("MBA_OWN_ 9", "MBA_OWN_ 10"),
        ("MBA_VERSION 7", "MBA_VERSION 8"),
        ("(MBA_MINUS + 5)", "2"),
        ("(2 * (n))", "((n) + (n))"),
        ("const struct mba_thing *thing", "const mba_thing *thing"),
        ("/* int mba_not(int a); */", ""),
    ] {
        let changes = now(old, new);
        assert!(changes.is_empty(), "{old} is now {new}:\n{changes}");
    }
}
