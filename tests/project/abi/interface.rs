//! What programs are compiled against, as text: one thing a line, by its kind and name, and the members of a
//! structure below it.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter, Result};

/// Functions, structures, constants and so on, such as `function mba_fd` with `int (const mba_array *)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface(pub BTreeMap<String, String>);

const ABOVE_MEMBER: &str = "\n    ";

impl Interface {
    pub fn parse(text: &str) -> Interface {
        let mut all = BTreeMap::new();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let (name, meaning) = line.split_once(": ").unwrap_or_else(|| panic!("no name in {line:?}"));
            let mut meaning = meaning.to_owned();
            while let Some(member) = lines.next_if(|line| line.starts_with("    ")) {
                meaning += "\n";
                meaning += member;
            }
            all.insert(name.to_owned(), meaning);
        }
        Interface(all)
    }

    pub fn insert(&mut self, kind: &str, name: &str, meaning: String) {
        let before = self.0.insert(format!("{kind} {name}"), meaning);
        assert_eq!(before, None, "{kind} {name} is there twice");
    }

    pub fn insert_structure(&mut self, name: &str, layout: &Layout) {
        self.insert("struct", name, layout.to_string());
    }

    /// The names of all of a kind.
    pub fn names<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.keys().filter_map(move |key| key.strip_prefix(kind)?.strip_prefix(' '))
    }

    /// What is different in a later interface.
    pub fn changes(&self, later: &Interface) -> Changes {
        let mut changes = Changes::default();
        for (name, old) in &self.0 {
            match later.0.get(name) {
                None => changes.breaking.push(format!("gone: {name}: {old}")),
                Some(new) if new == old => {}
                Some(new) if Layout::grows(old, new) => changes.adding.push(format!("grown: {name}: {new}")),
                Some(new) => changes.breaking.push(format!("changed: {name}: {old}\n    is now: {new}")),
            }
        }
        let new = later.0.iter().filter(|(name, _)| !self.0.contains_key(*name));
        changes.adding.extend(new.map(|(name, meaning)| format!("new: {name}: {meaning}")));
        changes
    }
}

impl Display for Interface {
    fn fmt(&self, to: &mut Formatter) -> Result {
        self.0.iter().try_for_each(|(name, meaning)| writeln!(to, "{name}: {meaning}"))
    }
}

/// Differences, by what they do to programs that were compiled before.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// What can make a program fail to compile, to start or to be right.
    pub breaking: Vec<String>,
    /// What such a program can't notice.
    pub adding: Vec<String>,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.breaking.is_empty() && self.adding.is_empty()
    }
}

impl Display for Changes {
    fn fmt(&self, to: &mut Formatter) -> Result {
        self.breaking.iter().chain(&self.adding).try_for_each(|change| writeln!(to, "  {change}"))
    }
}

/// Where the members of a structure are.
#[derive(PartialEq, Eq)]
pub struct Layout {
    pub size: usize,
    pub alignment: usize,
    /// The offset and the declaration of each.
    pub members: Vec<(usize, String)>,
}

impl Layout {
    fn parse(text: &str) -> Option<Layout> {
        let (head, members) = text.split_once(ABOVE_MEMBER)?;
        let (size, alignment) = head.split_once(" bytes, aligned to ")?;
        let member = |line: &str| {
            let (offset, declaration) = line.split_once(' ')?;
            Some((offset.parse().ok()?, declaration.to_owned()))
        };
        Some(Layout {
            size: size.parse().ok()?,
            alignment: alignment.parse().ok()?,
            members: members.split(ABOVE_MEMBER).map(member).collect::<Option<_>>()?,
        })
    }

    /// Whether a structure that begins with its own size, for the library to know how much of it there is, has only
    /// got more members at its end. Not in what was padding, which is counted in the size and may hold anything.
    fn grows(old: &str, new: &str) -> bool {
        let (Some(old), Some(new)) = (Layout::parse(old), Layout::parse(new)) else {
            return false;
        };
        let tells_size = old.members.first().is_some_and(|first| *first == (0, "uint32_t size".to_owned()));
        let Some(more) = new.members.strip_prefix(&old.members[..]) else {
            return false;
        };
        tells_size
            && new.alignment == old.alignment
            && !more.is_empty()
            && more.iter().all(|(offset, _)| *offset >= old.size)
    }
}

impl Display for Layout {
    fn fmt(&self, to: &mut Formatter) -> Result {
        write!(to, "{} bytes, aligned to {}", self.size, self.alignment)?;
        self.members
            .iter()
            .try_for_each(|(offset, declaration)| write!(to, "{ABOVE_MEMBER}{offset} {declaration}"))
    }
}
