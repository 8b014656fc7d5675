//! The interface that a header declares, as the C compiler understands it.
//!
//! The names and types are read in what the preprocessor makes of the header, and the compiler has to agree that each
//! function is of the type that was read. Values and offsets come from a program that prints them. How parameters are
//! called is left out, for no program depends on it; so two of the same type that change places aren't noticed. Macros
//! whose names end in `_` are the header's own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::interface::{Interface, Layout};
use crate::helpers::{Place, output_of};

/// What macros with parameters are tried on.
const SAMPLES: [u32; 6] = [0, 1, 255, 65_535, 16_777_215, 16_777_216];

pub fn interface(header: &Path) -> Interface {
    let directory = Place::Disk.directory();
    let source = directory.path().join("include.c");
    let include = format!("#include \"{}\"\n", header.display());
    fs::write(&source, &include).unwrap();
    let preprocessed = output_of(Command::new("cc").args(["-E", "-dD"]).arg(&source), "gcc");
    let (macros, declarations) = of_file(&preprocessed, header);

    let mut declared = Declared::default();
    declared.read_all(&declarations);
    let Declared { mut interface, structures, asserts } = declared;

    let mut questions = Questions::default();
    for (name, definition) in &macros {
        match name.split_once('(') {
            Some((name, parameters)) => {
                let count = parameters.split(',').count();
                for sample in SAMPLES {
                    let arguments = vec![sample.to_string(); count].join(", ");
                    questions.ask(format!("{name}({arguments})"));
                }
            }
            // With each version another.
            None if name.starts_with("MBA_VERSION") => {
                interface.insert("constant", name, "of the version".to_owned());
            }
            None if definition.is_empty() => interface.insert("constant", name, "defined".to_owned()),
            None => questions.ask(name.clone()),
        }
    }
    for (name, members) in &structures {
        questions.ask(format!("sizeof(struct {name})"));
        questions.ask(format!("_Alignof(struct {name})"));
        members.iter().for_each(|member| questions.ask(format!("offsetof(struct {name}, {})", member.name)));
    }

    let program = directory.path().join("ask");
    let text = format!("{include}#include <stddef.h>\n#include <stdio.h>\n{asserts}{}", questions.program());
    let source = directory.path().join("ask.c");
    fs::write(&source, text).unwrap();
    let mut compiler = Command::new("cc");
    compiler.args(["-std=gnu11", "-Wall", "-Werror", "-o"]).arg(&program).arg(&source);
    output_of(&mut compiler, "gcc");
    let answers = output_of(&mut Command::new(&program), "gcc");
    let mut answers = answers.lines();
    let mut next = || answers.next().expect("an answer to each question").to_owned();

    for (name, definition) in &macros {
        if name.contains('(') {
            let values = SAMPLES.map(|sample| format!("{} of {sample}", next()));
            interface.insert("macro", name, values.join(", "));
        } else if !name.starts_with("MBA_VERSION") && !definition.is_empty() {
            interface.insert("constant", name, next());
        }
    }
    for (name, members) in structures {
        let mut number = || next().parse().expect("sizes and offsets are numbers");
        let (size, alignment) = (number(), number());
        let members = members.into_iter().map(|member| (number(), member.declaration)).collect();
        interface.insert_structure(&name, &Layout { size, alignment, members });
    }
    interface
}

/// The macros and the declarations of one of the files that the preprocessor has put together.
fn of_file(preprocessed: &str, file: &Path) -> (BTreeMap<String, String>, String) {
    let (mut macros, mut declarations, mut inside) = (BTreeMap::new(), String::new(), false);
    for line in preprocessed.lines() {
        if let Some(place) = line.strip_prefix("# ") {
            // Such as `# 12 "file.h" 2`.
            inside = place.split('"').nth(1).is_some_and(|name| Path::new(name) == file);
        } else if !inside {
        } else if let Some(definition) = line.strip_prefix("#define ") {
            // The parameters belong to the name.
            let end = definition.find([' ', '(']).unwrap_or(definition.len());
            let parameters = definition[end..].starts_with('(').then(|| definition.find(')')).flatten();
            let (name, value) = definition.split_at(parameters.map_or(end, |at| at + 1));
            if name.starts_with("MBA_") && !definition[..end].ends_with('_') {
                macros.insert(name.to_owned(), one_line(value));
            }
        } else if let Some(name) = line.strip_prefix("#undef ") {
            macros.retain(|defined, _| defined.split('(').next() != Some(name.trim()));
        } else {
            declarations += line;
            declarations += "\n";
        }
    }
    (macros, declarations)
}

#[derive(Default)]
struct Declared {
    interface: Interface,
    structures: Vec<(String, Vec<Member>)>,
    /// C by which the compiler says whether the types of functions were understood.
    asserts: String,
}

struct Member {
    name: String,
    declaration: String,
}

impl Declared {
    fn read_all(&mut self, text: &str) {
        let mut rest = text.trim_start();
        while let Some(end) = rest.find([';', '{']) {
            let (head, tail) = (one_line(&rest[..end]), &rest[end + 1..]);
            rest = if rest[end..].starts_with(';') {
                self.read_declaration(&head);
                tail
            } else {
                let (body, behind) = block(tail);
                self.read_block(&head, body, behind)
            }
            .trim_start();
        }
        assert_eq!(rest, "", "a declaration without an end");
    }

    fn read_declaration(&mut self, declaration: &str) {
        match declaration.strip_prefix("typedef ") {
            Some(definition) => {
                // How compilers may optimize is no part of a type's meaning.
                let (name, meaning) = named(&definition.replace("__attribute__((__may_alias__)) ", ""));
                self.interface.insert("type", &name, meaning);
            }
            None => self.read_function("function", declaration),
        }
    }

    fn read_block<'a>(&mut self, head: &str, body: &str, behind: &'a str) -> &'a str {
        if let Some(prototype) = head.strip_prefix("static inline ") {
            self.read_function("inline", prototype);
            return behind;
        }
        let name = head.trim_start_matches("typedef ").strip_prefix("struct ");
        let name = name.unwrap_or_else(|| panic!("{head} {{ is neither a structure nor an inline function"));
        let (alias, behind) = behind.split_once(';').expect("a structure ends in a semicolon");
        let members = body.split(';').map(one_line).filter(|member| !member.is_empty());
        let members = members.map(|member| {
            let (name, _) = named(&member);
            Member { name, declaration: without_tag(&member) }
        });
        self.structures.push((name.to_owned(), members.collect()));
        if head.starts_with("typedef ") {
            self.read_declaration(&format!("typedef struct {name} {}", alias.trim()));
        }
        behind
    }

    fn read_function(&mut self, kind: &str, prototype: &str) {
        let (before, parameters) = prototype
            .split_once('(')
            .and_then(|(before, behind)| Some((before, behind.strip_suffix(')')?)))
            .unwrap_or_else(|| panic!("{prototype} isn't a function"));
        let (name, result) = named(before);
        let types: Vec<String> = parameters.split(',').map(|parameter| named(parameter.trim()).1).collect();
        let meaning = without_tag(&format!("{result} ({})", types.join(", ")));
        self.asserts += &format!(
            "_Static_assert(__builtin_types_compatible_p(__typeof__({name}), {meaning}), \"{name}: {meaning}\");\n"
        );
        self.interface.insert(kind, &name, meaning);
    }
}

/// What is up to the brace that closes a block, and what is behind it.
fn block(text: &str) -> (&str, &str) {
    let mut depth = 1;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (&text[..at], &text[at + 1..]);
        }
    }
    panic!("a block without an end: {text}");
}

/// The name that is declared, the last word but for array bounds, and the type, which is all the rest; a single word is
/// a type without a name.
fn named(declaration: &str) -> (String, String) {
    assert!(
        !declaration.contains(['(', ',']),
        "{declaration}: one name and no pointer to a function can be read"
    );
    let bounds = declaration.find('[').unwrap_or(declaration.len());
    let (declarator, bounds) = declaration.split_at(bounds);
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let start = declarator.trim_end_matches(is_name).len();
    let (kind, name) = declarator.split_at(start);
    let kind = if kind.is_empty() { name } else { kind };
    (name.to_owned(), format!("{}{bounds}", kind.trim_end()))
}

/// A structure's name and `struct` before it mean the same.
fn without_tag(kind: &str) -> String {
    kind.replace("struct ", "")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whole numbers that the compiler knows.
#[derive(Default)]
struct Questions(Vec<String>);

impl Questions {
    fn ask(&mut self, constant: String) {
        self.0.push(constant);
    }

    /// A program that prints a line for each. They must be constants: what isn't a number doesn't compile.
    fn program(&self) -> String {
        format!(
            "static const long long answers[] = {{\n{}\n}};\n\
             int main(void)\n{{\n\
             for (size_t at = 0; at < sizeof answers / sizeof *answers; at++) printf(\"%lld\\n\", answers[at]);\n\
             return 0;\n}}\n",
            self.0.join(",\n")
        )
    }
}
