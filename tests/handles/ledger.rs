//! What processes that act at once keep of the array, in memory of their own: whoever has the growth lock writes it.
//!
//! An element's words say at which index it was stored, so that anything else in its place shows, whoever looks, at any
//! moment. Elements whose index is 3 more than a multiple of 4 can be set by anybody at any time; the others stay as they
//! were appended.

use std::path::Path;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::helpers::Words;

/// The most elements.
pub const MOST: usize = 1 << 15;
/// The most actors of a scene, children each for themselves, and those that come after one that was killed.
pub const ACTORS: usize = 4096;
/// In the place of the first nonce: all elements are zero.
pub const ZEROS: u64 = u64::MAX;

/// Words with a meaning.
pub const STAGE: usize = 0;
pub const GATHERED: usize = 1;
const LEN: usize = 2;
const NONCE: usize = 3;
const NEXT: usize = 4;
/// How often things have happened, to show that something did.
pub const COUNTS: usize = 8;
/// Four for each actor: how many elements it is about to append, the first one's nonce, the length that it is about to
/// cut to, and 1, and whether it is dead.
const INTENTS: usize = 32;
const WORDS: usize = 4;
/// One for each element: its name; 0 if it is zero.
const ELEMENTS: usize = INTENTS + WORDS * ACTORS;

pub struct Ledger(Words);

/// A nonce's bits, and those of an index.
const NONCE_BITS: u32 = 14;

fn mix(number: u64) -> u32 {
    let number = (number ^ (number >> 15)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (number >> 32) as u32
}

/// The name of an element that is stored at an index, the more so of one among many: the nonces count up from the first.
pub fn name(index: usize, first: u64, at: usize) -> u64 {
    if first == ZEROS {
        return 0;
    }
    let nonce = (first + at as u64) % ((1 << NONCE_BITS) - 1) + 1;
    ((index + at) as u64) << NONCE_BITS | nonce
}

/// Word `at` of an element.
pub fn word(name: u64, at: usize) -> u64 {
    if name == 0 { 0 } else { name << 32 | u64::from(mix(name | (at as u64) << 32)) }
}

/// Whether a word is one that was stored as one of an element's; and in this place, unless elements are moved.
pub fn is_word(index: Option<usize>, at: usize, found: u64) -> bool {
    let name = found >> 32;
    found == word(name, at) && (found == 0 || index.is_none_or(|index| name >> NONCE_BITS == index as u64))
}

/// Whether a word has its first bytes from one word that was stored in this place, and the others from another: the processor
/// copies byte by byte, and may be taken from a thread anywhere.
pub fn is_torn(index: usize, at: usize, found: u64) -> bool {
    let words: Vec<u64> = std::iter::once(0)
        .chain((1..1 << NONCE_BITS).map(|nonce| word((index as u64) << NONCE_BITS | nonce, at)))
        .collect();
    (1..8).any(|bytes| {
        let first = (1u64 << (8 * bytes)) - 1;
        let is_there = |mask: u64| words.iter().any(|word| (word ^ found) & mask == 0);
        is_there(first) && is_there(!first)
    })
}

/// Whether anybody may set the element.
pub fn is_anybodys(index: usize) -> bool {
    index % 4 == 3
}

impl Ledger {
    pub fn create(path: &Path) -> Ledger {
        Ledger(Words::create(path, ELEMENTS + MOST))
    }

    pub fn word(&self, at: usize) -> &std::sync::atomic::AtomicU64 {
        &self.0[at]
    }

    pub fn count(&self, what: usize) {
        self.0[COUNTS + what].fetch_add(1, Relaxed);
    }

    pub fn len(&self) -> usize {
        self.0[LEN].load(Acquire) as usize
    }

    /// Nonces for so many elements: the first one.
    pub fn nonces(&self, count: usize) -> u64 {
        self.0[NONCE].fetch_add(count as u64, Relaxed)
    }

    /// The name of an element.
    pub fn name_at(&self, index: usize) -> u64 {
        self.0[ELEMENTS + index].load(Relaxed)
    }

    /// Says what an actor is about to do, in case that it is killed.
    pub fn is_about_to_append(&self, actor: usize, first: u64, count: usize) {
        self.0[INTENTS + WORDS * actor + 1].store(first, Relaxed);
        self.0[INTENTS + WORDS * actor].store(count as u64, Release);
    }

    pub fn is_about_to_truncate(&self, actor: usize, len: usize) {
        self.0[INTENTS + WORDS * actor + 2].store(len as u64 + 1, Release);
    }

    pub fn has_intended(&self, actor: usize) {
        self.0[INTENTS + WORDS * actor].store(0, Relaxed);
        self.0[INTENTS + WORDS * actor + 2].store(0, Relaxed);
    }

    /// A number that no other actor has.
    pub fn new_actor(&self) -> usize {
        let number = self.0[NEXT].fetch_add(1, Relaxed) as usize;
        assert!(number < ACTORS, "so many actors");
        number
    }

    /// An actor has ended: what it was about to do shows in the file by now, or never will.
    pub fn is_dead(&self, actor: usize) {
        self.0[INTENTS + WORDS * actor + 3].store(1, Release);
    }

    /// Whoever has the lock has appended elements.
    pub fn append(&self, first: u64, count: usize) {
        let len = self.len();
        for at in 0..count {
            self.0[ELEMENTS + len + at].store(name(len, first, at), Relaxed);
        }
        self.0[LEN].store((len + count) as u64, Release);
    }

    /// Whoever has the lock has replaced a range by elements with these names.
    pub fn splice(&self, start: usize, removed: usize, names: &[u64]) {
        let mut all: Vec<u64> = (0..self.len()).map(|index| self.name_at(index)).collect();
        all.splice(start..start + removed, names.iter().copied());
        for (index, name) in all.iter().enumerate() {
            self.0[ELEMENTS + index].store(*name, Relaxed);
        }
        self.0[LEN].store(all.len() as u64, Release);
    }

    pub fn cut(&self, len: usize) {
        assert!(len <= self.len());
        self.0[LEN].store(len as u64, Release);
    }

    /// Who takes the lock finds so many elements: what a killed process was about to do explains it, if it isn't what
    /// the ledger says. `found` gives the first word of an element.
    pub fn reconcile(&self, len: usize, found: impl Fn(usize) -> u64) -> Result<(), String> {
        let dead: Vec<usize> =
            (0..ACTORS).filter(|actor| self.0[INTENTS + WORDS * actor + 3].load(Acquire) == 1).collect();
        self.explain(len, found)?;
        dead.into_iter().for_each(|actor| self.has_intended(actor));
        Ok(())
    }

    fn explain(&self, len: usize, found: impl Fn(usize) -> u64) -> Result<(), String> {
        let known = self.len();
        if len == known {
            return Ok(());
        }
        let intents: Vec<Intent> = (0..ACTORS)
            .map(|actor| [0, 1, 2].map(|at| self.0[INTENTS + WORDS * actor + at].load(Acquire)))
            .filter(|[count, _, cut]| *count > 0 || *cut > 0)
            .map(|[count, first, cut]| Intent { count: count as usize, first, cut: cut as usize })
            .collect();
        let names: Vec<u64> = (0..known).map(|index| self.name_at(index)).collect();
        // Elements that anybody may set say nothing.
        let fits =
            |index: usize, name: u64| index < len && (is_anybodys(index) || found(index) == word(name, 0));
        if let Some(names) = after_some(&names, 0, &intents, len, &fits, 3) {
            self.splice(0, known, &names);
            return Ok(());
        }
        let told: Vec<String> = (0..ACTORS)
            .map(|actor| [0, 1, 2, 3].map(|at| self.0[INTENTS + WORDS * actor + at].load(Acquire)))
            .enumerate()
            .filter(|(_, [count, _, cut, _])| *count > 0 || *cut > 0)
            .map(|(actor, [count, first, cut, dead])| {
                format!("actor {actor} (dead: {dead}): to append {count} from nonce {first:x}, to truncate to {cut} - 1")
            })
            .collect();
        let seen: Vec<String> = (known..len.min(known + 40)).map(|at| format!("{:x}", found(at))).collect();
        Err(format!(
            "{len} elements, where {known} were acknowledged, and nobody was about to change that: {told:?}, {seen:?}"
        ))
    }
}

/// What a killed actor was about to do.
#[derive(Clone, Copy)]
struct Intent {
    count: usize,
    first: u64,
    /// The length, and 1; or 0.
    cut: usize,
}

/// The names of elements after some of the intents, such that they are the `len` that were found: one killed actor can have
/// come after another before anybody saw to it. The first `good` names fit.
fn after_some(
    names: &[u64],
    mut good: usize,
    intents: &[Intent],
    len: usize,
    fits: &impl Fn(usize, u64) -> bool,
    most: usize,
) -> Option<Vec<u64>> {
    while good < names.len() && fits(good, names[good]) {
        good += 1;
    }
    if good == len && names.len() == len {
        return Some(names.to_vec());
    }
    // What doesn't fit must be truncated again.
    if most == 0 || good < names.len() && !intents.iter().any(|intent| intent.cuts_to(good)) {
        return None;
    }
    for (at, intent) in intents.iter().enumerate() {
        let others = [&intents[..at], &intents[at + 1..]].concat();
        if intent.cut > 0 && intent.cut <= names.len() {
            let next = &names[..intent.cut - 1];
            if let Some(found) = after_some(next, good.min(next.len()), &others, len, fits, most - 1) {
                return Some(found);
            }
            continue;
        }
        // One by one, it may have come to some of them only; the last one to come to as many as were found.
        let mut next = names.to_vec();
        for element in 0..intent.count {
            next.push(name(names.len(), intent.first, element));
            if most == 1 && next.len() != len {
                continue;
            }
            if let Some(found) = after_some(&next, good, &others, len, fits, most - 1) {
                return Some(found);
            }
        }
    }
    None
}

impl Intent {
    fn cuts_to(&self, len: usize) -> bool {
        self.cut > 0 && self.cut - 1 <= len
    }
}
