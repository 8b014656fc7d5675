//! Raising the capacity: from then on, other threads of the writer's process may store elements where the old footer
//! was, through the pointer, to be published later.
//!
//! | writer | another thread of its process |
//! | --- | --- |
//! | new footer and size (`pwrite`) | capacity (acquire) |
//! | "moving" in the old bell | release fence |
//! | capacity (release) | elements below the capacity (relaxed) |
//!
//! The old bell must not ring on an element, and no reader take one for a length.

use std::sync::atomic::Ordering::{self, Acquire, Relaxed, Release};

use super::footer::{File, Known, READING, grow};
use super::machine::{Bad, Explored, Program, Value};
use super::{assert_needed, assert_sound};

#[derive(Clone, Copy)]
struct Orders {
    bell_first: bool,
    raise: Ordering,
    load: Ordering,
    /// A thread's own stores are ordered behind what it has seen by a fence of its own only.
    after_load: Ordering,
}

const CODE: Orders = Orders { bell_first: true, raise: Release, load: Acquire, after_load: Release };

const MOVING: Value = 255;
/// An element that would be taken for a length.
const ELEMENT: Value = 3;

/// The file has one element, and gets room for four.
fn explore(orders: Orders) -> Result<Explored, Bad> {
    let mut program = Program::default();
    let file = File::new(&mut program, 1);
    let [old, new] = file.footers;
    let bell = program.location("old bell", 0);
    let capacity = program.location("capacity", 1);
    let filled = program.location("filled", 0);

    program.thread("writer", move |t| async move {
        grow(&t, &file, 2, 1, 1).await;
        if orders.bell_first {
            t.store(bell, MOVING, Relaxed).await;
        }
        t.store(capacity, 4, orders.raise).await;
        if !orders.bell_first {
            t.store(bell, MOVING, Relaxed).await;
        }
        // The program's own threads tell each other when all is stored.
        t.wait_until(filled, Acquire, |filled| filled == 1).await;
        t.store(new.len, 4, Release).await;
    });
    program.thread("filler", move |t| async move {
        t.wait_until(capacity, orders.load, |capacity| capacity == 4).await;
        t.fence(orders.after_load).await;
        t.store(old.len, ELEMENT, Relaxed).await;
        t.store(bell, ELEMENT, Relaxed).await;
        t.store(filled, 1, Release).await;
    });
    program.thread("reader", move |t| async move {
        let Some(known) = READING.refresh(&t, &file, Known::only(1)).await else { return };
        t.check(matches!(known.len, 1 | 4), || format!("takes {} for the length", known.len));
        t.note(known.len);
        if known.len == 4 {
            let element = t.load(bell, Relaxed).await;
            t.check(element == ELEMENT, || format!("the element where the bell was is {element}"));
        }
    });
    program.at_end(move |end| {
        let element = end.value(bell);
        if element == ELEMENT { Ok(()) } else { Err(format!("the element where the bell was is {element}")) }
    });
    program.explore()
}

#[test]
fn elements_up_to_the_capacity_are_safe() {
    let explored = assert_sound(explore(CODE));
    assert!(explored.can(|end| end.notes(2) == [1]) && explored.can(|end| end.notes(2) == [4]));
}

#[test]
fn every_order_is_needed_to_raise_the_capacity() {
    assert_needed(
        explore,
        [
            ("the bell rings before the capacity is raised", Orders { bell_first: false, ..CODE }),
            ("the capacity is released", Orders { raise: Relaxed, ..CODE }),
            ("the capacity is acquired", Orders { load: Relaxed, ..CODE }),
            ("a fence follows the capacity", Orders { after_load: Relaxed, ..CODE }),
        ],
    );
}
