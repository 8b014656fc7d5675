//! The ABI stays as it is, unless the version says otherwise.
//!
//! `include/abi.txt` lists what programs are compiled against: functions with their types, the layouts of structures,
//! the values of constants, the inline functions and macros. It is made of the header, as a compiler understands it;
//! that the header is what the sources make, and that the library exports its functions and nothing else, are tests of
//! their own. Constants and inline functions are why it isn't made of the library's debug information, by a tool that
//! compares libraries: these don't show there.
//!
//! A change of the list is a change of the ABI. `MBA_BLESS=1 cargo test --test abi` writes it anew, if the version in
//! Cargo.toml allows the change: see [`allowed`].

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use common::output_of;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const MEND: &str = "If the version in Cargo.toml says so, this mends it: MBA_BLESS=1 cargo test --test abi";

fn header() -> String {
    fs::read_to_string(format!("{ROOT}/include/mmap_backed_array.h")).unwrap()
}

/// Runs the C compiler on a source that includes the header.
fn compile(source: &Path, arguments: &[&str]) -> String {
    let mut compiler = Command::new("cc");
    compiler.args(arguments).args(["-std=c99", "-I"]).arg(format!("{ROOT}/include")).arg(source);
    output_of(&mut compiler, "gcc")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The ABI, each part by its name.
type Abi = BTreeMap<String, String>;

fn abi() -> Abi {
    let directory = tempfile::tempdir().unwrap();
    let includes = directory.path().join("includes.c");
    fs::write(&includes, "#include \"mmap_backed_array.h\"\n").unwrap();
    let mut abi = Abi::new();
    let mut questions = String::new();

    let text = compile(&includes, &["-E", "-P", "-DMBA_NO_INCLUDES"]);
    let (mut rest, mut structures) = (one_line(&text), Vec::new());
    while let Some((before, behind)) = rest.split_once(" {") {
        let name = before.rsplit(' ').next().unwrap().to_owned();
        let (fields, behind) = behind.split_once('}').expect("a structure ends");
        structures.push((name.clone(), fields.to_owned()));
        let kept = before.trim_end_matches(&format!("typedef struct {name}"));
        rest = format!("{kept} {}", behind.split_once(';').expect("a name follows").1);
    }
    for declaration in rest.split(';').map(str::trim).filter(|text| !text.is_empty()) {
        if let Some(definition) = declaration.strip_prefix("typedef ") {
            abi.insert(format!("type {}", definition.rsplit(' ').next().unwrap()), definition.to_owned());
        } else {
            let (before, _) = declaration.split_once('(').expect("a function");
            let name = before.rsplit([' ', '*']).next().unwrap();
            abi.insert(format!("function {name}"), declaration.to_owned());
        }
    }
    for (name, fields) in &structures {
        // One that tells its own size may grow at its end.
        if !fields.contains(" size;") {
            questions += &format!("printf(\"struct {name}\\t%zu bytes\\n\", sizeof(struct {name}));\n");
        }
        for field in fields.split(';').map(str::trim).filter(|field| !field.is_empty()) {
            let member = field.rsplit([' ', '*']).next().unwrap();
            questions += &format!(
                "printf(\"struct {name}.{member}\\t{field}, at %zu\\n\", offsetof(struct {name}, {member}));\n"
            );
        }
    }
    for line in compile(&includes, &["-E", "-dM"]).lines() {
        let Some(macro_) = line.strip_prefix("#define ").filter(|text| text.starts_with("MBA_")) else {
            continue;
        };
        let (name, value) = macro_.split_once(' ').unwrap_or((macro_, ""));
        // The version changes with every version; what ends in a line is for the header alone.
        if name.starts_with("MBA_VERSION") || name.contains("_(") {
            continue;
        }
        if name.contains('(') {
            abi.insert(format!("macro {name}"), one_line(value));
        } else {
            questions += &format!("printf(\"constant {name}\\t%lld\\n\", (long long)({name}));\n");
        }
    }
    for function in header().split("\nstatic inline ").skip(1) {
        let (prototype, _) = function.split_once("\n{").expect("a function has a body");
        let name = prototype.split_once('(').unwrap().0.rsplit([' ', '*']).next().unwrap();
        abi.insert(format!("inline {name}"), one_line(prototype));
    }

    let asks = directory.path().join("asks.c");
    let program = directory.path().join("asks");
    fs::write(
        &asks,
        format!("#include \"mmap_backed_array.h\"\n#include <stdio.h>\nint main(void)\n{{\n{questions}return 0;\n}}\n"),
    )
    .unwrap();
    compile(&asks, &["-Wall", "-Werror", "-o", program.to_str().unwrap()]);
    for line in output_of(&mut Command::new(program), "gcc").lines() {
        let (name, value) = line.split_once('\t').unwrap();
        abi.insert(name.to_owned(), value.to_owned());
    }
    abi
}

fn write(version: &str, abi: &Abi) -> String {
    let lines = abi.iter().map(|(name, value)| format!("{name}: {value}\n"));
    format!("version: {version}\n{}", lines.collect::<String>())
}

fn read(text: &str) -> (String, Abi) {
    let mut lines = text.lines().map(|line| line.split_once(": ").expect("a name and a value"));
    let (_, version) = lines.next().expect("the version comes first");
    (version.to_owned(), lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// What changed from one ABI to another: what is gone or means something else, and what is new.
fn changes(old: &Abi, new: &Abi) -> (BTreeSet<String>, BTreeSet<String>) {
    let broken = old.iter().filter(|(name, value)| new.get(*name) != Some(*value));
    let added = new.keys().filter(|name| !old.contains_key(*name));
    (broken.map(|(name, _)| name.clone()).collect(), added.cloned().collect())
}

/// Whether a version may change the ABI of another, which has been released, so: programs must go on working with every
/// later library of the same soname. So what breaks them wants a new soname, which is that of a new major version, or
/// before 1.0 of a new minor one; and what is new wants a version by which to tell: a new minor one, or before 1.0 any.
fn allowed(old_version: &str, old: &Abi, new_version: &str, new: &Abi) -> Result<(), String> {
    let numbers = |version: &str| -> [u64; 3] {
        let numbers: Vec<u64> = version.split('.').map(|part| part.parse().unwrap()).collect();
        numbers.try_into().expect("three numbers")
    };
    let ([old_major, old_minor, old_patch], [major, minor, patch]) =
        (numbers(old_version), numbers(new_version));
    let (broken, added) = changes(old, new);
    let newer = (major, minor, patch) > (old_major, old_minor, old_patch);
    let may_break = newer && (major > old_major || (major == 0 && minor > old_minor));
    let may_add = may_break || (newer && (major == 0 || minor > old_minor));
    if !broken.is_empty() && !may_break {
        return Err(format!("version {new_version} may not break the ABI of {old_version}: {broken:?}"));
    }
    if !added.is_empty() && !may_add {
        return Err(format!("version {new_version} may not add to the ABI of {old_version}: {added:?}"));
    }
    Ok(())
}

/// Whether the changelog says that a version has been released.
fn is_released(version: &str) -> bool {
    let changelog = fs::read_to_string(format!("{ROOT}/CHANGELOG.md")).unwrap();
    let heading = changelog.lines().find(|line| line.starts_with(&format!("## [{version}]")));
    !heading.unwrap_or_else(|| panic!("CHANGELOG.md has no version {version}")).ends_with("Unreleased")
}

#[test]
fn the_abi_is_the_one_of_the_list() {
    let path = format!("{ROOT}/include/abi.txt");
    let (version, new) = (env!("CARGO_PKG_VERSION"), abi());
    let committed = fs::read_to_string(&path).unwrap_or_else(|_| write(version, &Abi::new()));
    let (old_version, old) = read(&committed);
    if std::env::var_os("MBA_BLESS").is_some() {
        if is_released(&old_version) {
            allowed(&old_version, &old, version, &new).unwrap();
        }
        fs::write(&path, write(version, &new)).unwrap();
        return;
    }
    let (broken, added) = changes(&old, &new);
    assert!(broken.is_empty() && added.is_empty(), "the ABI has changed: {broken:?}, new {added:?}\n{MEND}");
    assert_eq!(old_version, version, "include/abi.txt is another version's. {MEND}");
    assert_eq!(committed, write(version, &new), "{MEND}");
}

#[test]
fn the_list_has_all_there_is() {
    let abi = abi();
    let count = |kind: &str| abi.keys().filter(|name| name.starts_with(kind)).count();
    let header = header();
    assert!(count("function mba_") > 45, "{abi:?}");
    assert_eq!(count("inline "), header.matches("\nstatic inline ").count());
    assert_eq!(count("struct "), 3 + 1 + 5, "the members of two structures, of which one can't grow");
    let constants = header.lines().filter(|line| {
        line.starts_with("#define MBA_") && line.split_whitespace().count() == 3 && !line.contains("VERSION")
    });
    assert_eq!(
        count("constant "),
        constants.filter(|line| !line.contains('(') || line.contains("(-")).count()
    );
    assert_eq!(abi["constant MBA_ENOTFOUND"], "-104");
    assert_eq!(abi["struct mba_options.reservation"], "uint64_t reservation, at 8");
    assert_eq!(abi["function mba_len"], "size_t mba_len(const struct mba_array *array)");
    assert!(abi.contains_key("macro MBA_RECORD(size)") && abi.contains_key("type mba_type"));
}

#[test]
fn versions_say_what_changes() {
    let of = |parts: &[(&str, &str)]| -> Abi {
        parts.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let base = of(&[("function a", "int a(void)"), ("constant B", "1")]);
    let removed = of(&[("constant B", "1")]);
    let signature = of(&[("function a", "int a(int)"), ("constant B", "1")]);
    let value = of(&[("function a", "int a(void)"), ("constant B", "2")]);
    let more = of(&[("function a", "int a(void)"), ("constant B", "1"), ("function c", "int c(void)")]);
    let may = |old: &str, new: &str, abi: &Abi| allowed(old, &base, new, abi).is_ok();
    for abi in [&base, &removed, &signature, &value, &more] {
        let same = abi == &base;
        let adds = abi == &more;
        // What the version may be: the same, a later patch, a later minor one, a later major one.
        assert_eq!(
            ["0.1.0", "0.1.1", "0.2.0", "1.0.0"].map(|new| may("0.1.0", new, abi)),
            [same, same || adds, true, true]
        );
        assert_eq!(
            ["1.2.0", "1.2.1", "1.3.0", "2.0.0"].map(|new| may("1.2.0", new, abi)),
            [same, same, same || adds, true]
        );
        // Never back.
        assert_eq!(["0.1.0", "1.1.9"].map(|new| may("1.2.0", new, abi)), [same, same]);
    }
}
