//! Taking elements away or moving them, while others follow the array.
//!
//! The epoch is odd while a writer does so, and a fresh even number when it is done. Somebody who follows the array
//! copies elements, refreshes, and uses the copy only if the epoch is even and what it was before; else it begins
//! anew. Whatever it uses must have been the array, or its beginning, within that epoch, and in the end it must have
//! the array. Whoever gets the growth lock after a writer that was killed makes an odd epoch even.
//!
//! | writer | follower |
//! | --- | --- |
//! | odd epoch (relaxed) | copies elements (relaxed) |
//! | release fence, if elements move; they do (relaxed) | acquire fence |
//! | reach (relaxed), shorter length (relaxed), if it is one | epoch and length by `pread` (relaxed, in any order) |
//! | even epoch (release) | acquire fence |
//! | release fence | again, if the epoch is another one |
//! | later elements (relaxed), longer length (release) | |
//!
//! The reach must cover every length that a handle still has, whenever the writer is killed.

use std::sync::atomic::Ordering::{self, Acquire, Relaxed, Release};

use super::footer::{File, Known, READING, Reading};
use super::machine::{Bad, Explored, Kept, Location, Program, Thread, Value};
use super::{assert_needed, assert_sound};

#[derive(Clone, Copy)]
struct Orders {
    /// The epoch is odd before anything changes; and the fence after that.
    is_odd_first: bool,
    after_odd: Ordering,
    /// The reach is stored before the length.
    reach_first: bool,
    /// The length is shorter before the epoch is even again.
    shorter_first: bool,
    /// The store of the even epoch, and the fence after it.
    even: Ordering,
    after_even: Ordering,
    /// The length that is published when elements have been added.
    publish: Ordering,
    /// Whoever gets the lock makes an odd epoch even; and the fence after that, or after finding it even.
    repairs: bool,
    after_lock: Ordering,
    /// An odd epoch is never the same as before.
    odd_is_new: bool,
    /// The follower's fence between its copy and its refresh.
    before_refresh: Ordering,
    reading: Reading,
    /// Loading the handle's epoch, and after it the length.
    load_epoch: Ordering,
    epoch_first: bool,
}

const CODE: Orders = Orders {
    is_odd_first: true,
    after_odd: Release,
    reach_first: true,
    shorter_first: true,
    even: Release,
    after_even: Release,
    publish: Release,
    repairs: true,
    after_lock: Release,
    odd_is_new: true,
    before_refresh: Acquire,
    reading: READING,
    load_epoch: Acquire,
    epoch_first: true,
};

#[derive(Clone, Copy)]
struct Array {
    file: File,
    epoch: Location,
    len: Location,
    reach: Location,
    elements: [Location; 3],
    /// The growth lock: 1 while it is held, 2 when all writers are done.
    lock: Location,
}

const HELD: Value = 1;
const FREE: Value = 0;
const DONE: Value = 2;

/// Two elements, 1 and 2; there is room for a third one.
fn array(program: &mut Program) -> Array {
    let file = File::still(program, 2, 2);
    Array {
        file,
        epoch: file.footers[0].epoch,
        len: file.footers[0].len,
        reach: program.location("reach", 0),
        elements: [
            program.location("element 0", 1),
            program.location("element 1", 2),
            program.location("element 2", 0),
        ],
        lock: program.location("lock", HELD),
    }
}

/// Takes the last element away, and appends 3.
async fn pop_and_append(t: &Thread, array: &Array, orders: &Orders) {
    if orders.is_odd_first {
        t.store(array.epoch, 3, Relaxed).await;
    }
    if orders.reach_first {
        t.store(array.reach, 2, Relaxed).await;
    }
    if orders.shorter_first {
        t.store(array.len, 1, Relaxed).await;
    }
    if !orders.reach_first {
        t.store(array.reach, 2, Relaxed).await;
    }
    t.store(array.epoch, 4, orders.even).await;
    t.fence(orders.after_even).await;
    if !orders.shorter_first {
        t.store(array.len, 1, Release).await;
    }
    t.store(array.elements[1], 3, Relaxed).await;
    t.store(array.len, 2, orders.publish).await;
}

/// Inserts 3 before the first element.
async fn insert(t: &Thread, array: &Array, orders: &Orders) {
    if orders.is_odd_first {
        t.store(array.epoch, 3, Relaxed).await;
    }
    t.fence(orders.after_odd).await;
    t.store(array.elements[2], 2, Relaxed).await;
    t.store(array.elements[1], 1, Relaxed).await;
    t.store(array.elements[0], 3, Relaxed).await;
    t.store(array.epoch, 4, orders.even).await;
    t.fence(orders.after_even).await;
    t.store(array.len, 3, orders.publish).await;
}

#[derive(Clone, Copy, PartialEq)]
enum Change {
    Pop,
    Insert,
}

async fn apply(t: &Thread, array: &Array, orders: &Orders, change: Change) {
    match change {
        Change::Pop => pop_and_append(t, array, orders).await,
        Change::Insert => insert(t, array, orders).await,
    }
}

/// Where a follower looks for epoch and length.
#[derive(Clone, Copy, PartialEq)]
enum Source {
    /// In the footer, by `pread`: it is a handle of its own.
    Footer,
    /// In the writer's handle, where they are stored in the same order: it is a thread beside.
    Handle,
}

impl Source {
    async fn look(self, t: &Thread, array: &Array, known: Known, orders: &Orders) -> Option<Known> {
        if self == Source::Footer {
            return orders.reading.refresh(t, &array.file, known).await;
        }
        let mut now = Known::only(1);
        if !orders.epoch_first {
            now.len = t.load(array.len, Acquire).await;
        }
        now.epoch = t.load(array.epoch, orders.load_epoch).await;
        if orders.epoch_first {
            now.len = t.load(array.len, Acquire).await;
        }
        Some(now)
    }
}

/// What a follower has between its rounds.
struct Follower {
    round: Value,
    known: Known,
    /// The largest length it has known before the last writer was done.
    largest: Value,
    copy: Vec<Value>,
}

impl Follower {
    fn from_kept(kept: &[Value]) -> Option<Follower> {
        let (known, rest) = kept.split_first_chunk()?;
        let [round, largest, copy @ ..] = rest else { return None };
        Some(Follower {
            round: *round,
            known: Known::from_kept(*known),
            largest: *largest,
            copy: copy.into(),
        })
    }

    fn to_kept(&self) -> Kept {
        [&self.known.to_kept()[..], &[self.round, self.largest], &self.copy].concat()
    }
}

/// How often the follower looks while the writers are at work, and how often it does so afterwards.
const ROUNDS: Value = 2;
const ROUNDS_AFTER: Value = 2;

/// A round of somebody who follows the array. `states` are what it can be in each even epoch; where there are none,
/// only the end counts. Notes the largest length it has known before the last writer was done, and what it has then.
async fn follow(
    t: Thread,
    kept: Kept,
    array: Array,
    source: Source,
    orders: Orders,
    states: &[(Value, &[Value])],
) -> Option<Kept> {
    let Some(mut it) = Follower::from_kept(&kept) else {
        let known = source.look(&t, &array, Known::only(1), &orders).await?;
        return Some(Follower { round: 0, known, largest: known.len, copy: Vec::new() }.to_kept());
    };
    if it.round == ROUNDS {
        t.wait_until(array.lock, Acquire, |lock| lock == DONE).await;
    }
    let mut longer = it.copy.clone();
    for at in it.copy.len()..it.known.len.into() {
        longer.push(t.load(array.elements[at], Relaxed).await);
    }
    t.fence(orders.before_refresh).await;
    let now = source.look(&t, &array, it.known, &orders).await?;
    if now.epoch == it.known.epoch && !(orders.odd_is_new && now.epoch % 2 == 1) {
        let mut possible = states.iter().filter(|(epoch, _)| *epoch == now.epoch);
        let is_sound = states.is_empty() || possible.any(|(_, state)| state.starts_with(&longer));
        t.check(is_sound, || format!("uses {longer:?} in epoch {}", now.epoch));
        it.copy = longer;
    } else {
        it.copy.clear();
    }
    it.known = now;
    it.round += 1;
    if it.round <= ROUNDS {
        it.largest = it.largest.max(now.len);
    }
    if it.round < ROUNDS + ROUNDS_AFTER {
        return Some(it.to_kept());
    }
    t.check(it.copy.len() == now.len.into(), || format!("has {:?} in the end, of {}", it.copy, now.len));
    for (at, mine) in it.copy.iter().enumerate() {
        let element = t.load(array.elements[at], Relaxed).await;
        t.check(*mine == element, || {
            format!("has {:?} in the end, while element {at} is {element}", it.copy)
        });
    }
    t.note(it.largest);
    it.copy.iter().for_each(|element| t.note(*element));
    None
}

fn explore(orders: Orders, change: Change, source: Source) -> Result<Explored, Bad> {
    let mut program = Program::default();
    let array = array(&mut program);
    program.thread("writer", move |t| async move {
        apply(&t, &array, &orders, change).await;
        t.store(array.lock, DONE, Release).await;
    });
    let states: &[(Value, &[Value])] = match change {
        Change::Pop => &[(2, &[1, 2]), (4, &[1, 3])],
        Change::Insert => &[(2, &[1, 2]), (4, &[3, 1, 2])],
    };
    program.rounds("follower", move |t, kept| follow(t, kept, array, source, orders, states));
    program.explore()
}

/// The same with a writer that may be killed. The next one appends 9, or truncates the file to what the reach says.
fn explore_killed(orders: Orders, change: Change) -> Result<Explored, Bad> {
    let states: &[(Value, &[Value])] = match change {
        Change::Pop => &[(2, &[1, 2, 9]), (4, &[1, 3, 9]), (4, &[1, 9]), (4, &[1, 2, 9])],
        // What was half moved is anything.
        Change::Insert => &[],
    };
    let mut program = Program::default();
    let array = array(&mut program);
    program.killable(
        "writer",
        move |t| async move {
            apply(&t, &array, &orders, change).await;
            t.store(array.lock, FREE, Release).await;
        },
        move |t| async move { t.store(array.lock, FREE, Release).await },
    );
    program.thread("next writer", move |t| async move {
        t.wait_until(array.lock, Acquire, |lock| lock == FREE).await;
        let len = t.load(array.len, Relaxed).await;
        let reach = t.load(array.reach, Relaxed).await;
        let epoch = t.load(array.epoch, Relaxed).await;
        if orders.repairs && epoch % 2 == 1 {
            t.store(array.epoch, epoch + 1, Release).await;
        }
        t.fence(orders.after_lock).await;
        if t.choose(2).await == 1 {
            t.note(len.max(reach));
            t.store(array.lock, DONE, Release).await;
            return;
        }
        if let Some(next) = array.elements.get(usize::from(len)) {
            t.store(*next, 9, Relaxed).await;
            t.store(array.len, len + 1, Release).await;
        }
        t.store(array.lock, DONE, Release).await;
    });
    program.rounds("follower", move |t, kept| follow(t, kept, array, Source::Footer, orders, states));
    program.at_end(move |end| match (end.notes(1), end.notes(2)) {
        ([reach], [largest, ..]) if largest > reach => {
            Err(format!("the file is truncated to {reach} elements, and a handle has {largest}"))
        }
        _ => Ok(()),
    });
    program.explore()
}

#[test]
fn followers_use_nothing_that_was_not_the_array() {
    for (change, states) in
        [(Change::Pop, [&[2, 1, 3][..], &[2, 1, 3]]), (Change::Insert, [&[2, 3, 1, 2], &[3, 3, 1, 2]])]
    {
        for source in [Source::Footer, Source::Handle] {
            let explored = assert_sound(explore(CODE, change, source));
            for notes in states {
                assert!(explored.can(|end| end.notes(1) == notes), "{notes:?} is never seen");
            }
        }
    }
}

#[test]
fn followers_survive_a_writer_that_is_killed() {
    for change in [Change::Pop, Change::Insert] {
        assert_sound(explore_killed(CODE, change));
    }
}

const fn reading(reading: Reading) -> Orders {
    Orders { reading, ..CODE }
}

#[test]
fn every_order_is_needed_to_make_an_array_shorter() {
    assert_needed(
        |orders| explore(orders, Change::Pop, Source::Footer),
        [
            ("the shorter length comes before the even epoch", Orders { shorter_first: false, ..CODE }),
            ("the even epoch is released", Orders { even: Relaxed, ..CODE }),
            ("a fence follows the even epoch", Orders { after_even: Relaxed, ..CODE }),
            ("the length is released", Orders { publish: Relaxed, ..CODE }),
            ("a fence precedes the refresh", Orders { before_refresh: Relaxed, ..CODE }),
            ("a fence follows pread", reading(Reading { fence: Relaxed, ..READING })),
            ("the epoch was known before", reading(Reading { same_epoch: false, ..READING })),
        ],
    );
    assert_needed(
        |orders| explore_killed(orders, Change::Pop),
        [
            ("the reach comes before the shorter length", Orders { reach_first: false, ..CODE }),
            ("the epoch is odd before the shorter length", Orders { is_odd_first: false, ..CODE }),
            ("an odd epoch is made even", Orders { repairs: false, ..CODE }),
            ("a fence follows the lock", Orders { after_lock: Relaxed, ..CODE }),
        ],
    );
}

#[test]
fn every_order_is_needed_to_insert() {
    assert_needed(
        |orders| explore(orders, Change::Insert, Source::Footer),
        [
            ("the epoch is odd first", Orders { is_odd_first: false, ..CODE }),
            ("an odd epoch is never the same", Orders { odd_is_new: false, ..CODE }),
            ("a fence follows the odd epoch", Orders { after_odd: Relaxed, ..CODE }),
            ("the even epoch is released", Orders { even: Relaxed, ..CODE }),
            ("a fence precedes the refresh", Orders { before_refresh: Relaxed, ..CODE }),
            ("a fence follows pread", reading(Reading { fence: Relaxed, ..READING })),
        ],
    );
    assert_needed(
        |orders| explore_killed(orders, Change::Insert),
        [("an odd epoch is made even", Orders { repairs: false, ..CODE })],
    );
}

#[test]
fn every_order_is_needed_in_the_handle() {
    let weaker = || {
        [
            ("a fence precedes the look", Orders { before_refresh: Relaxed, ..CODE }),
            ("the epoch is acquired", Orders { load_epoch: Relaxed, ..CODE }),
            ("the even epoch is released", Orders { even: Relaxed, ..CODE }),
        ]
    };
    assert_needed(|orders| explore(orders, Change::Pop, Source::Handle), weaker());
    assert_needed(|orders| explore(orders, Change::Insert, Source::Handle), weaker());
    assert_needed(
        |orders| explore(orders, Change::Pop, Source::Handle),
        [
            ("the epoch is loaded before the length", Orders { epoch_first: false, ..CODE }),
            ("the shorter length comes before the even epoch", Orders { shorter_first: false, ..CODE }),
            ("a fence follows the even epoch", Orders { after_even: Relaxed, ..CODE }),
        ],
    );
}
