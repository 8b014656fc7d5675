//! The gate of the fast path: `room` is more than 0 while the handle may append without asking.
//!
//! One thread at a time appends and opens the gate. Another one, or a signal handler, may find at any moment that the
//! handle must refuse all work: it says so and shuts the gate. However the two meet, the gate must stay shut.
//!
//! | the thread that appends | the other one |
//! | --- | --- |
//! | opens the gate | says that the handle refuses |
//! | looks whether the handle refuses | shuts the gate |
//! | shuts the gate if it does | |
//!
//! All of these are sequentially consistent. Where to publish is stored by the thread that appends, and by nobody else,
//! so that it needs no order: an append that was on its way publishes once more, in a footer that is still mapped.

use std::sync::atomic::Ordering::{self, Acquire, Relaxed, Release, SeqCst};

use super::machine::{Bad, Explored, Program, Value};
use super::{assert_needed, assert_sound};

#[derive(Clone, Copy)]
struct Orders {
    /// The owner opens the gate, and then looks whether the handle works.
    open: Ordering,
    look: Ordering,
    looks_afterwards: bool,
    /// The other one says that it doesn't, and then shuts the gate.
    refuse: Ordering,
    shut: Ordering,
    refuses_first: bool,
}

const CODE: Orders = Orders {
    open: SeqCst,
    look: SeqCst,
    looks_afterwards: true,
    refuse: SeqCst,
    shut: SeqCst,
    refuses_first: true,
};

const WORKS: Value = 0;
const REFUSES: Value = 1;

fn explore(orders: Orders) -> Result<Explored, Bad> {
    let mut program = Program::default();
    let state = program.location("state", WORKS);
    let room = program.location("room", 0);

    program.thread("owner", move |t| async move {
        for capacity in 1..=2 {
            let mut works = orders.looks_afterwards || t.load(state, orders.look).await == WORKS;
            if works {
                t.store(room, capacity, orders.open).await;
            }
            if orders.looks_afterwards {
                works = t.load(state, orders.look).await == WORKS;
            }
            if !works {
                t.store(room, 0, Relaxed).await;
            }
        }
        t.note(t.load(room, Relaxed).await);
    });
    program.thread("guard", move |t| async move {
        if orders.refuses_first {
            t.store(state, REFUSES, orders.refuse).await;
            t.store(room, 0, orders.shut).await;
        } else {
            t.store(room, 0, orders.shut).await;
            t.store(state, REFUSES, orders.refuse).await;
        }
    });
    program.at_end(move |end| {
        if end.value(room) == 0 {
            Ok(())
        } else {
            Err("the gate is open, and the handle refuses all work".into())
        }
    });
    program.explore()
}

#[test]
fn the_gate_stays_shut() {
    let explored = assert_sound(explore(CODE));
    assert!(explored.can(|end| end.notes(0) == [2]) && explored.can(|end| end.notes(0) == [0]));
}

#[test]
fn every_order_is_needed_to_shut_the_gate() {
    assert_needed(
        explore,
        [
            ("the gate is opened in the one order of all", Orders { open: Release, ..CODE }),
            ("the state is looked at in that order", Orders { look: Acquire, ..CODE }),
            ("the look comes after the gate is open", Orders { looks_afterwards: false, ..CODE }),
            ("the state is set in that order", Orders { refuse: Release, ..CODE }),
            ("the gate is shut in that order", Orders { shut: Release, ..CODE }),
            ("the state comes before the gate", Orders { refuses_first: false, ..CODE }),
        ],
    );
}
