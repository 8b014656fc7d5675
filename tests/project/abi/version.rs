//! Which version may change what: programs go on working with every later library of the same soname. So what breaks
//! them wants a new soname, that of a new major version or, before 1.0, of a new minor one; and what is added wants a
//! version to tell it by: a new minor one or, before 1.0, a new patch.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::interface::{Changes, Interface};

/// Major, minor and patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub [u32; 3]);

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Version, String> {
        let numbers: Result<Vec<u32>, _> = text.split('.').map(str::parse).collect();
        let numbers = numbers.ok().and_then(|numbers| numbers.try_into().ok());
        numbers.map(Version).ok_or(format!("{text} isn't of the form 1.2.3"))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, to: &mut std::fmt::Formatter) -> std::fmt::Result {
        let [major, minor, patch] = self.0;
        write!(to, "{major}.{minor}.{patch}")
    }
}

/// The committed interfaces, each under the first version that has it.
pub type Lists = BTreeMap<Version, Interface>;

/// What is to be said of an interface.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the one of the lists.
    Listed,
    /// It isn't, or the version begins a series that has no list; the version may have it once it is listed.
    Listable(Changes),
    /// The version may not have it.
    Forbidden(String),
}

/// Holds the interface that there is now against the lists. A version that is released has what its list says, for
/// ever; what is in work may change as long as the versions before it allow that. Each minor version has a list, even
/// of what was there before: what it has promised under a soname of its own holds for its patches.
pub fn judge(lists: &Lists, version: Version, released: bool, now: &Interface) -> Verdict {
    if let Some((newer, _)) = lists.range(version..).find(|(listed, _)| **listed > version) {
        return Verdict::Forbidden(format!("there is a list for {newer}, and this is {version}"));
    }
    let begun = lists.keys().any(|listed| listed.0[..2] == version.0[..2]);
    if released && !begun {
        return Verdict::Forbidden(format!("{version} is released, and its minor version has no list"));
    }
    let changes = lists.values().next_back().unwrap_or(&Interface::default()).changes(now);
    if released && !changes.is_empty() {
        return Verdict::Forbidden(format!("{version} is released, and stays as it is:\n{changes}"));
    }
    if let Some((&before, old)) = lists.range(..version).next_back() {
        let changes = old.changes(now);
        if !permits(before, version, &changes) {
            return Verdict::Forbidden(format!(
                "{version} may not change the ABI of {before} so:\n{changes}"
            ));
        }
    }
    if begun && changes.is_empty() { Verdict::Listed } else { Verdict::Listable(changes) }
}

/// Whether a version may change so what an earlier one has.
fn permits(before: Version, version: Version, changes: &Changes) -> bool {
    assert!(before < version);
    let [old_major, old_minor, _] = before.0;
    let [major, minor, _] = version.0;
    let new_soname = major > old_major || (major == 0 && minor > old_minor);
    let may_add = new_soname || major == 0 || minor > old_minor;
    (changes.breaking.is_empty() || new_soname) && (changes.adding.is_empty() || may_add)
}

/// Whether the changelog gives a version a date, by a heading such as `## [1.2.3] - 2031-01-31`, and not `Unreleased`.
pub fn is_released(changelog: &str, version: Version) -> Result<bool, String> {
    let start = format!("## [{version}] - ");
    let heading = changelog.lines().find_map(|line| line.strip_prefix(&start));
    heading.map(|date| date.trim() != "Unreleased").ok_or(format!("CHANGELOG.md has no line {start}..."))
}

mod tests {
    use super::*;

    fn interface(things: &[&str]) -> Interface {
        Interface::parse(&things.join("\n"))
    }

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    const FUNCTION: &str = "function a: int (int)";
    const CONSTANT: &str = "constant B: 1";
    const SIZED: &str =
        "struct c: 12 bytes, aligned to 4\n    0 uint32_t size\n    4 uint32_t d\n    8 uint8_t e";
    const PLAIN: &str = "struct f: 16 bytes, aligned to 8\n    0 void *g\n    8 uint32_t h";

    fn base() -> Interface {
        interface(&[FUNCTION, CONSTANT, SIZED, PLAIN])
    }

    /// The base with one text in the place of another.
    fn with(old: &str, new: &str) -> Interface {
        let text = base().to_string();
        assert!(text.contains(old));
        Interface::parse(&text.replacen(old, new, 1))
    }

    fn breaking() -> Vec<Interface> {
        vec![
            interface(&[CONSTANT, SIZED, PLAIN]),
            with("int (int)", "int (long)"),
            with("int (int)", "void (int)"),
            with("function a", "inline a"),
            with("B: 1", "B: 2"),
            interface(&[FUNCTION, SIZED, PLAIN]),
            with("uint32_t d", "int32_t d"),
            with("4 uint32_t d", "4 uint32_t other"),
            with("4 uint32_t d\n    ", ""),
            with("    4 uint32_t d\n    8 uint8_t e", "    4 uint8_t e\n    8 uint32_t d"),
            with("12 bytes, aligned to 4", "16 bytes, aligned to 8"),
            // Into the padding, and behind it, yet with another alignment.
            with("8 uint8_t e", "8 uint8_t e\n    9 uint8_t more"),
            with(
                "12 bytes, aligned to 4\n    0 uint32_t size\n    4 uint32_t d\n    8 uint8_t e",
                "24 bytes, aligned to 8\n    0 uint32_t size\n    4 uint32_t d\n    8 uint8_t e\n    16 uint64_t i",
            ),
            // Without a size of its own, what it can't tell.
            with("16 bytes, aligned to 8", "24 bytes, aligned to 8"),
            with("8 uint32_t h", "8 uint32_t h\n    12 uint32_t more"),
            with(
                "16 bytes, aligned to 8\n    0 void *g\n    8 uint32_t h",
                "24 bytes, aligned to 8\n    0 void *g\n    8 uint32_t h\n    16 void *i",
            ),
        ]
    }

    fn adding() -> Vec<Interface> {
        vec![
            with(FUNCTION, "function a: int (int)\nfunction b: int (void)"),
            with(CONSTANT, "constant B: 1\nconstant C: 1"),
            with(
                "12 bytes, aligned to 4\n    0 uint32_t size\n    4 uint32_t d\n    8 uint8_t e",
                "16 bytes, aligned to 4\n    0 uint32_t size\n    4 uint32_t d\n    8 uint8_t e\n    12 uint32_t f",
            ),
        ]
    }

    /// Whether a new version may turn the base, which an old one has, into this.
    fn may(old: &str, new: &str, now: &Interface) -> bool {
        let lists = Lists::from([(version(old), base())]);
        !matches!(judge(&lists, version(new), false, now), Verdict::Forbidden(_))
    }

    #[test]
    fn what_breaks_programs_wants_a_new_soname() {
        for now in breaking() {
            let changes = base().changes(&now);
            assert!(!changes.breaking.is_empty(), "{now}");
            let allowed = |old, news: [&str; 4]| news.map(|new| may(old, new, &now));
            assert_eq!(
                allowed("0.1.0", ["0.1.1", "0.2.0", "0.2.1", "1.0.0"]),
                [false, true, true, true],
                "{now}"
            );
            assert_eq!(
                allowed("1.2.3", ["1.2.4", "1.3.0", "1.10.0", "2.0.0"]),
                [false, false, false, true],
                "{now}"
            );
        }
    }

    #[test]
    fn what_is_added_wants_a_new_version() {
        for now in adding() {
            let changes = base().changes(&now);
            assert!(changes.breaking.is_empty() && changes.adding.len() == 1, "{now}{changes}");
            let allowed = |old, news: [&str; 3]| news.map(|new| may(old, new, &now));
            assert_eq!(allowed("0.1.0", ["0.1.1", "0.2.0", "1.0.0"]), [true; 3], "{now}");
            assert_eq!(allowed("1.2.3", ["1.2.4", "1.3.0", "2.0.0"]), [false, true, true], "{now}");
        }
    }

    #[test]
    fn a_released_version_stays_as_it_is() {
        let lists = Lists::from([(version("0.1.0"), base())]);
        // Also a patch that needed no list of its own.
        for released in ["0.1.0", "0.1.1"].map(version) {
            assert_eq!(judge(&lists, released, true, &base()), Verdict::Listed);
            for now in breaking().iter().chain(&adding()) {
                let verdict = judge(&lists, released, true, now);
                assert!(
                    matches!(&verdict, Verdict::Forbidden(why) if why.contains("is released")),
                    "{verdict:?}"
                );
            }
        }
    }

    #[test]
    fn what_is_in_work_is_held_against_what_was_before_it() {
        let added = &adding()[0];
        let lists = Lists::from([(version("0.1.0"), base()), (version("0.1.1"), added.clone())]);
        let judge = |now: &Interface| judge(&lists, version("0.1.1"), false, now);
        assert_eq!(judge(added), Verdict::Listed);
        // What it has added may go again, or be another; what it hasn't may not.
        assert!(matches!(judge(&base()), Verdict::Listable(_)));
        let other = with(FUNCTION, "function a: int (int)\nfunction b: long (void)");
        assert!(matches!(judge(&other), Verdict::Listable(_)));
        for now in breaking() {
            assert!(matches!(judge(&now), Verdict::Forbidden(_)), "{now}");
        }
    }

    #[test]
    fn a_first_version_in_work_may_change_but_has_to_be_listed() {
        let lists = Lists::from([(version("0.1.0"), base())]);
        for now in breaking().iter().chain(&adding()) {
            let changes = base().changes(now);
            assert_eq!(judge(&lists, version("0.1.0"), false, now), Verdict::Listable(changes));
        }
        assert!(matches!(judge(&Lists::new(), version("0.1.0"), false, &base()), Verdict::Listable(_)));
    }

    /// Or what a release with the interface of the one before has promised wouldn't be known to its patches.
    #[test]
    fn each_minor_version_has_a_list() {
        for (old, same, patch) in
            [("0.1.0", "0.2.0", "0.2.1"), ("1.2.3", "2.0.0", "2.1.0"), ("1.2.3", "1.3.0", "1.3.1")]
        {
            let mut lists = Lists::from([(version(old), base())]);
            if judge(&lists, version(same), false, &base()) != Verdict::Listed {
                lists.insert(version(same), base());
            }
            assert_eq!(judge(&lists, version(same), true, &base()), Verdict::Listed);
            for now in breaking() {
                assert!(
                    matches!(judge(&lists, version(patch), false, &now), Verdict::Forbidden(_)),
                    "{patch}: {now}"
                );
            }
        }
        let lists = Lists::from([(version("1.2.3"), base()), (version("1.3.0"), base())]);
        for now in adding() {
            assert!(matches!(judge(&lists, version("1.3.1"), false, &now), Verdict::Forbidden(_)), "{now}");
        }
        let unlisted = Lists::from([(version("0.1.0"), base())]);
        assert!(matches!(judge(&unlisted, version("0.2.0"), true, &base()), Verdict::Forbidden(_)));
        assert_eq!(judge(&unlisted, version("0.1.1"), true, &base()), Verdict::Listed);
    }

    #[test]
    fn versions_do_not_go_back() {
        let lists = Lists::from([(version("0.2.0"), base())]);
        for (older, released) in [("0.1.9", false), ("0.1.9", true)] {
            assert!(matches!(judge(&lists, version(older), released, &base()), Verdict::Forbidden(_)));
        }
        assert!(version("0.10.0") > version("0.9.9"));
        assert!("0.1".parse::<Version>().is_err() && "1.0.0-rc.1".parse::<Version>().is_err());
    }

    #[test]
    fn the_changelog_tells_what_is_released() {
        let changelog = "# Changelog\n\n## [0.2.0] - Unreleased\n\n## [0.1.0] - 2031-01-31\n";
        assert_eq!(is_released(changelog, version("0.2.0")), Ok(false));
        assert_eq!(is_released(changelog, version("0.1.0")), Ok(true));
        assert!(is_released(changelog, version("0.1.1")).is_err());
    }

    #[test]
    fn a_list_is_read_as_it_is_written() {
        for interface in breaking().iter().chain(&adding()) {
            assert_eq!(Interface::parse(&interface.to_string()), *interface);
        }
    }
}
