//! The well-known small programs, which show that the machine does exactly what the memory model allows: for each,
//! the set of all outcomes, no more and no less.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release, SeqCst};

use super::machine::{Location, Program, Value};

/// A program with two locations that are zero at first.
fn program() -> (Program, Location, Location) {
    let mut program = Program::default();
    let (x, y) = (program.location("x", 0), program.location("y", 0));
    (program, x, y)
}

fn outcomes(program: Program) -> BTreeSet<Vec<Value>> {
    program.explore().unwrap_or_else(|bad| panic!("{bad}")).notes()
}

fn set<const N: usize>(outcomes: &[[Value; N]]) -> BTreeSet<Vec<Value>> {
    outcomes.iter().map(|outcome| outcome.to_vec()).collect()
}

const ALL_PAIRS: [[Value; 2]; 4] = [[0, 0], [0, 1], [1, 0], [1, 1]];

/// Each thread stores in its own location, and loads the other's.
fn store_buffering(store: Ordering, fences: [Ordering; 2], load: Ordering) -> BTreeSet<Vec<Value>> {
    let (mut program, x, y) = program();
    for (mine, other, fence) in [(x, y, fences[0]), (y, x, fences[1])] {
        program.thread("thread", move |t| async move {
            t.store(mine, 1, store).await;
            t.fence(fence).await;
            t.note(t.load(other, load).await);
        });
    }
    outcomes(program)
}

#[test]
fn store_buffering_is_seen_unless_both_fences_are_sequentially_consistent() {
    let sound = set(&[[0, 1], [1, 0], [1, 1]]);
    assert_eq!(store_buffering(Relaxed, [SeqCst, SeqCst], Relaxed), sound);
    assert_eq!(store_buffering(SeqCst, [Relaxed, Relaxed], SeqCst), sound);
    for fences in
        [[Relaxed, Relaxed], [SeqCst, Relaxed], [Relaxed, SeqCst], [AcqRel, AcqRel], [SeqCst, AcqRel]]
    {
        assert_eq!(store_buffering(Relaxed, fences, Relaxed), set(&ALL_PAIRS), "{fences:?}");
        assert_eq!(store_buffering(Release, fences, Acquire), set(&ALL_PAIRS), "{fences:?}");
    }
    // A sequentially consistent access on one side is not enough.
    assert_eq!(store_buffering(SeqCst, [Relaxed, Relaxed], Acquire), set(&ALL_PAIRS));
    assert_eq!(store_buffering(Release, [Relaxed, Relaxed], SeqCst), set(&ALL_PAIRS));
}

/// One thread stores data and then a flag, the other loads the flag and then the data.
fn message_passing(
    before_flag: Ordering,
    store_flag: Ordering,
    load_flag: Ordering,
    after_flag: Ordering,
) -> BTreeSet<Vec<Value>> {
    let (mut program, data, flag) = program();
    program.thread("writer", move |t| async move {
        t.store(data, 1, Relaxed).await;
        t.fence(before_flag).await;
        t.store(flag, 1, store_flag).await;
    });
    program.thread("reader", move |t| async move {
        t.note(t.load(flag, load_flag).await);
        t.fence(after_flag).await;
        t.note(t.load(data, Relaxed).await);
    });
    outcomes(program)
}

#[test]
fn a_message_takes_data_along_if_it_is_released_and_acquired() {
    let sound = set(&[[0, 0], [0, 1], [1, 1]]);
    let released =
        [(Relaxed, Release), (Release, Relaxed), (AcqRel, Relaxed), (SeqCst, Relaxed), (Relaxed, SeqCst)];
    let acquired =
        [(Acquire, Relaxed), (Relaxed, Acquire), (Relaxed, AcqRel), (Relaxed, SeqCst), (SeqCst, Relaxed)];
    for (before_flag, store_flag) in released {
        for (load_flag, after_flag) in acquired {
            assert_eq!(message_passing(before_flag, store_flag, load_flag, after_flag), sound);
        }
        for after_flag in [Relaxed, Release] {
            assert_eq!(message_passing(before_flag, store_flag, Relaxed, after_flag), set(&ALL_PAIRS));
        }
    }
    for (load_flag, after_flag) in acquired {
        for before_flag in [Relaxed, Acquire] {
            assert_eq!(message_passing(before_flag, Relaxed, load_flag, after_flag), set(&ALL_PAIRS));
        }
    }
}

/// A release fence counts for what is stored after it, and a release store doesn't.
#[test]
fn a_release_store_says_nothing_of_what_is_stored_after_it() {
    let after = |store: Ordering, fence: Ordering| {
        let (mut program, first, second) = program();
        program.thread("writer", move |t| async move {
            t.store(first, 1, store).await;
            t.fence(fence).await;
            t.store(second, 1, Relaxed).await;
        });
        program.thread("reader", move |t| async move {
            t.note(t.load(second, Acquire).await);
            t.note(t.load(first, Relaxed).await);
        });
        outcomes(program)
    };
    assert_eq!(after(Release, Relaxed), set(&ALL_PAIRS));
    assert_eq!(after(SeqCst, Relaxed), set(&ALL_PAIRS));
    assert_eq!(after(Relaxed, Release), set(&[[0, 0], [0, 1], [1, 1]]));
}

/// What the programs of the storage say of copies: a copy of relaxed loads, or stores, in one order can do all that
/// it could do in another.
#[test]
fn relaxed_copies_have_no_order() {
    let copy = |is_store: bool, reversed: bool| {
        let (mut program, x, y) = program();
        let (first, second) = if reversed { (y, x) } else { (x, y) };
        program.thread("writer", move |t| async move {
            let (first, second) = if is_store { (first, second) } else { (x, y) };
            t.store(first, 1, Relaxed).await;
            t.store(second, 1, Relaxed).await;
        });
        program.thread("reader", move |t| async move {
            let (first, second) = if is_store { (x, y) } else { (first, second) };
            let one = t.load(first, Relaxed).await;
            let two = t.load(second, Relaxed).await;
            t.note(if !is_store && reversed { two } else { one });
            t.note(if !is_store && reversed { one } else { two });
        });
        outcomes(program)
    };
    for is_store in [false, true] {
        assert_eq!(copy(is_store, false), set(&ALL_PAIRS));
        assert_eq!(copy(is_store, true), set(&ALL_PAIRS));
    }
}

/// Each thread loads one location and then stores in the other. Real machines may let both loads give what is stored
/// after them; this one doesn't, as its description says.
#[test]
fn load_buffering_is_left_out() {
    let (mut program, x, y) = program();
    for (from, to) in [(x, y), (y, x)] {
        program.thread("thread", move |t| async move {
            t.note(t.load(from, Relaxed).await);
            t.store(to, 1, Relaxed).await;
        });
    }
    assert_eq!(outcomes(program), set(&[[0, 0], [0, 1], [1, 0]]));
}

#[test]
fn values_of_one_location_are_seen_in_one_order() {
    // Two loads by one thread.
    let (mut program, x, _) = program();
    program.thread("writer", move |t| async move {
        t.store(x, 1, Relaxed).await;
        t.store(x, 2, Relaxed).await;
    });
    program.thread("reader", move |t| async move {
        t.note(t.load(x, Relaxed).await);
        t.note(t.load(x, Relaxed).await);
    });
    assert_eq!(outcomes(program), set(&[[0, 0], [0, 1], [0, 2], [1, 1], [1, 2], [2, 2]]));
}

#[test]
fn readers_agree_on_the_order_of_two_writers() {
    let (mut program, x, _) = program();
    for value in [1, 2] {
        program.thread("writer", move |t| async move { t.store(x, value, Relaxed).await });
    }
    for _ in 0..2 {
        program.thread("reader", move |t| async move {
            let first = t.load(x, Relaxed).await;
            t.note(first * 10 + t.load(x, Relaxed).await);
        });
    }
    let outcomes = outcomes(program);
    assert!(outcomes.contains(&vec![12, 12]) && outcomes.contains(&vec![21, 21]));
    assert!(outcomes.contains(&vec![12, 1]) && outcomes.contains(&vec![20 + 2, 11]));
    assert!(!outcomes.contains(&vec![12, 21]) && !outcomes.contains(&vec![21, 12]));
}

#[test]
fn a_thread_sees_its_own_stores() {
    let (mut program, x, _) = program();
    program.thread("thread", move |t| async move {
        t.store(x, 1, Relaxed).await;
        t.note(t.load(x, Relaxed).await);
    });
    program.thread("other", move |t| async move { t.store(x, 2, Relaxed).await });
    assert_eq!(outcomes(program), set(&[[1], [2]]));
}

/// Two threads store to two locations in opposite orders: what stays at the end.
#[test]
fn relaxed_stores_may_end_in_opposite_orders() {
    let ends = |order: Ordering, fence: Ordering| {
        let (mut program, x, y) = program();
        for (first, second, value) in [(x, y, 1), (y, x, 2)] {
            program.thread("thread", move |t| async move {
                t.store(first, value, order).await;
                t.fence(fence).await;
                t.store(second, value, order).await;
            });
        }
        let explored = program.explore().unwrap_or_else(|bad| panic!("{bad}"));
        explored.ends.iter().map(|end| vec![end.value(x), end.value(y)]).collect::<BTreeSet<_>>()
    };
    // x = 1 and y = 2: both first stores came last.
    let all = set(&[[1, 1], [1, 2], [2, 1], [2, 2]]);
    assert_eq!(ends(Relaxed, Relaxed), all);
    assert_eq!(ends(Release, Relaxed), all);
    let sound = set(&[[1, 1], [2, 1], [2, 2]]);
    assert_eq!(ends(Relaxed, SeqCst), sound);
    assert_eq!(ends(SeqCst, Relaxed), sound);
}

/// A store and a store on one side, a store and a load on the other: if the second store came last, the load sees
/// the first one.
#[test]
fn a_load_after_the_last_store_sees_what_came_before_the_other_one() {
    let ends = |order: Ordering, fence: Ordering| {
        let (mut program, x, y) = program();
        program.thread("first", move |t| async move {
            t.store(x, 1, order).await;
            t.fence(fence).await;
            t.store(y, 1, order).await;
        });
        program.thread("second", move |t| async move {
            t.store(y, 2, order).await;
            t.fence(fence).await;
            t.note(t.load(x, order).await);
        });
        let explored = program.explore().unwrap_or_else(|bad| panic!("{bad}"));
        explored.ends.iter().map(|end| vec![end.value(y), end.notes(1)[0]]).collect::<BTreeSet<_>>()
    };
    let all = set(&[[1, 0], [1, 1], [2, 0], [2, 1]]);
    let sound = set(&[[1, 0], [1, 1], [2, 1]]);
    assert_eq!(ends(Relaxed, Relaxed), all);
    assert_eq!(ends(Relaxed, AcqRel), all);
    assert_eq!(ends(Relaxed, SeqCst), sound);
    assert_eq!(ends(SeqCst, Relaxed), sound);
}

/// Two readers of two independent writers.
#[test]
fn readers_may_disagree_on_independent_writers() {
    let outcomes = |store: Ordering, load: Ordering, fence: Ordering| {
        let (mut program, x, y) = program();
        for location in [x, y] {
            program.thread("writer", move |t| async move { t.store(location, 1, store).await });
        }
        for (first, second) in [(x, y), (y, x)] {
            program.thread("reader", move |t| async move {
                t.note(t.load(first, load).await);
                t.fence(fence).await;
                t.note(t.load(second, load).await);
            });
        }
        outcomes(program)
    };
    let mut all = BTreeSet::new();
    for bits in 0..16 {
        all.insert((0..4).map(|bit| bits >> bit & 1).collect::<Vec<Value>>());
    }
    assert_eq!(outcomes(Relaxed, Relaxed, Relaxed), all);
    assert_eq!(outcomes(Release, Acquire, Relaxed), all);
    assert_eq!(outcomes(Release, Acquire, AcqRel), all);
    all.remove(&vec![1, 0, 1, 0]);
    assert_eq!(outcomes(Relaxed, Relaxed, SeqCst), all);
    assert_eq!(outcomes(SeqCst, SeqCst, Relaxed), all);
}

/// What a thread has acquired it passes on.
#[test]
fn acquired_messages_are_passed_on() {
    let outcomes = |order: Ordering, acquire: Ordering| {
        let (mut program, x, y) = program();
        let z = program.location("z", 0);
        program.thread("first", move |t| async move {
            t.store(x, 1, Relaxed).await;
            t.store(y, 1, order).await;
        });
        program.thread("second", move |t| async move {
            t.note(t.load(y, acquire).await);
            t.store(z, 1, Release).await;
        });
        program.thread("third", move |t| async move {
            t.note(t.load(z, Acquire).await);
            t.note(t.load(x, Relaxed).await);
        });
        outcomes(program)
    };
    assert!(!outcomes(Release, Acquire).contains(&vec![1, 1, 0]));
    assert!(outcomes(Release, Relaxed).contains(&vec![1, 1, 0]));
    assert!(outcomes(Relaxed, Acquire).contains(&vec![1, 1, 0]));
}

/// Updates pass on what they have read, and so keep a message alive; later stores of the same thread don't, since
/// C++20.
#[test]
fn updates_continue_a_release_and_stores_do_not() {
    let outcomes = |by_update: bool| {
        let (mut program, data, flag) = program();
        program.thread("writer", move |t| async move {
            t.store(data, 1, Relaxed).await;
            t.store(flag, 1, Release).await;
            if !by_update {
                t.store(flag, 2, Relaxed).await;
            }
        });
        if by_update {
            program.thread("other", move |t| async move {
                t.update(flag, Relaxed, |value| (value == 1).then_some(2)).await;
            });
        }
        program.thread("reader", move |t| async move {
            if t.load(flag, Acquire).await == 2 {
                t.note(t.load(data, Relaxed).await);
            }
        });
        outcomes(program)
    };
    assert_eq!(outcomes(true), [vec![], vec![1]].into());
    assert_eq!(outcomes(false), [vec![], vec![0], vec![1]].into());
}

/// Two messages of one value are two, if they pass on different things.
#[test]
fn messages_of_one_value_are_not_taken_for_one() {
    let (mut program, data, flag) = program();
    let passed = program.location("passed", 0);
    program.thread("writer", move |t| async move {
        t.store(data, 1, Relaxed).await;
        t.store(flag, 1, Release).await;
        t.store(flag, 1, Relaxed).await;
    });
    program.thread("passer", move |t| async move {
        if t.load(flag, Acquire).await == 1 {
            t.store(passed, 1, Release).await;
        }
    });
    program.thread("reader", move |t| async move {
        if t.load(passed, Acquire).await == 1 {
            t.note(t.load(data, Relaxed).await);
        }
    });
    assert_eq!(outcomes(program), [vec![], vec![0], vec![1]].into());
}

#[test]
fn updates_lose_nothing() {
    let (mut program, x, _) = program();
    for _ in 0..3 {
        program.thread("adder", move |t| async move {
            t.update(x, Relaxed, |value| Some(value + 1)).await;
        });
    }
    program.thread("storer", move |t| async move { t.store(x, 10, Relaxed).await });
    let explored = program.explore().unwrap_or_else(|bad| panic!("{bad}"));
    let ends: BTreeSet<_> = explored.ends.iter().map(|end| end.value(x)).collect();
    // The store comes first, or last, or in between: never between an update's load and its store.
    assert_eq!(ends, [10, 11, 12, 13].into());
}

/// A lock by updates: both threads inside at once would lose one of the additions.
#[test]
fn a_lock_excludes_if_it_acquires_and_releases() {
    let total = |take: Ordering, give: Ordering| {
        let (mut program, lock, total) = program();
        for _ in 0..2 {
            program.thread("thread", move |t| async move {
                if t.update(lock, take, |value| (value == 0).then_some(1)).await == 0 {
                    let value = t.load(total, Relaxed).await;
                    t.store(total, value + 1, Relaxed).await;
                    t.store(lock, 0, give).await;
                    t.note(1);
                }
            });
        }
        program.at_end(move |end| {
            let rounds = end.notes(0).len() + end.notes(1).len();
            if usize::from(end.value(total)) == rounds { Ok(()) } else { Err("an addition is lost".into()) }
        });
        program.explore()
    };
    assert!(total(Acquire, Release).is_ok());
    assert!(total(Relaxed, Release).is_err());
    assert!(total(Acquire, Relaxed).is_err());
}

#[test]
fn who_waits_for_what_never_comes_is_stuck() {
    let (mut program, x, _) = program();
    program.thread("waiter", move |t| async move {
        t.wait_until(x, Relaxed, |value| value == 1).await;
    });
    program.thread("storer", move |t| async move {
        let value = t.choose(2).await;
        t.store(x, value, Relaxed).await;
    });
    let explored = program.explore().unwrap_or_else(|bad| panic!("{bad}"));
    assert!(explored.can(|end| end.stuck() == ["waiter"]) && explored.can(|end| end.stuck().is_empty()));
    assert_eq!(explored.ends.len(), 2);
}

#[test]
fn who_is_killed_stops_before_any_step() {
    let (mut program, x, y) = program();
    let stores = move |t: super::machine::Thread| async move {
        t.store(x, 1, Relaxed).await;
        t.store(y, 1, Relaxed).await;
    };
    program.killable("victim", stores, move |t| async move { t.note(1) });
    let explored = program.explore().unwrap_or_else(|bad| panic!("{bad}"));
    let ends = explored.ends.iter().map(|end| (end.value(x), end.value(y), end.notes(0).len()));
    assert_eq!(ends.collect::<BTreeSet<_>>(), [(0, 0, 1), (1, 0, 1), (1, 1, 0)].into());
}

#[test]
fn what_is_bad_is_told_with_its_steps() {
    let (mut program, x, _) = program();
    program.thread("storer", move |t| async move { t.store(x, 1, Release).await });
    program.thread("loader", move |t| async move {
        let value = t.load(x, Acquire).await;
        t.check(value == 0, || format!("it is {value}"));
    });
    let bad = program.explore().expect_err("it can be 1");
    assert_eq!(bad.to_string(), "it is 1\n    storer stores x = 1 Release\n    loader loads x Acquire: 1\n");
}
