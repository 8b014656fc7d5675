//! Truncating elements off a file, which only a handle that is alone may do: nobody may have them who isn't done with
//! them.
//!
//! | the handle that truncates | a handle that opens |
//! | --- | --- |
//! | shorter length in the footer | presence lock |
//! | sequentially consistent fence | sequentially consistent fence |
//! | asks for others' presence (`F_OFD_GETLK`) | size and length |
//! | cuts the file if there is none | |
//!
//! The kernel looks at the list of locks without taking its spin lock if it seems to be empty: that is a relaxed load.
//! Each side stores one thing and loads the other's, so that one of them sees the other.

use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, SeqCst};

use super::footer::{File, Known, READING, cut};
use super::machine::{Bad, Explored, Program};
use super::{assert_needed, assert_sound};

#[derive(Clone, Copy)]
struct Orders {
    shorter_first: bool,
    before_asking: Ordering,
    presence_first: bool,
    after_presence: Ordering,
}

const CODE: Orders =
    Orders { shorter_first: true, before_asking: SeqCst, presence_first: true, after_presence: SeqCst };

/// Two elements, of which one goes.
fn explore(orders: Orders) -> Result<Explored, Bad> {
    let mut program = Program::default();
    let file = File::new(&mut program, 2);
    let len = file.footers[0].len;
    let presence = program.location("presence of others", 0);

    program.thread("shortens", move |t| async move {
        if orders.shorter_first {
            t.store(len, 1, Relaxed).await;
        }
        t.fence(orders.before_asking).await;
        let is_alone = t.load(presence, Relaxed).await == 0;
        if !orders.shorter_first {
            t.store(len, 1, Relaxed).await;
        }
        if is_alone {
            cut(&t, &file).await;
        }
    });
    program.thread("opens", move |t| async move {
        if orders.presence_first {
            t.update(presence, AcqRel, |_| Some(1)).await;
        }
        t.fence(orders.after_presence).await;
        let Some(known) = READING.refresh(&t, &file, Known::only(1)).await else { return };
        if !orders.presence_first {
            t.update(presence, AcqRel, |_| Some(1)).await;
        }
        t.note(if known.size == 0 { 1 } else { known.len });
    });
    program.at_end(move |end| {
        let was_truncated = end.value(file.size) == 0;
        if was_truncated && end.notes(1) == [2] {
            Err("a handle has an element that is truncated".into())
        } else {
            Ok(())
        }
    });
    program.explore()
}

#[test]
fn nobody_has_what_is_cut() {
    let explored = assert_sound(explore(CODE));
    assert!(explored.can(|end| end.notes(1) == [1]) && explored.can(|end| end.notes(1) == [2]));
}

#[test]
fn every_order_is_needed_to_be_alone() {
    assert_needed(
        explore,
        [
            ("the shorter length comes before the question", Orders { shorter_first: false, ..CODE }),
            ("a fence comes between them", Orders { before_asking: Relaxed, ..CODE }),
            ("it is sequentially consistent", Orders { before_asking: AcqRel, ..CODE }),
            ("presence comes before the length is read", Orders { presence_first: false, ..CODE }),
            ("a fence comes between those", Orders { after_presence: Relaxed, ..CODE }),
            ("that is sequentially consistent", Orders { after_presence: AcqRel, ..CODE }),
        ],
    );
}

/// A file without a footer has no place for a shorter length but its size: who asks first and truncates then may be
/// overtaken. `exclusive`: it turns its own presence into a write lock for that time, and who opens tries again.
fn explore_without_footer(exclusive: bool) -> Result<Explored, Bad> {
    const WRITE_LOCK: u8 = 9;
    let mut program = Program::default();
    let size = program.location("size in elements", 2);
    let presence = program.location("presence of others", 0);

    program.thread("shortens", move |t| async move {
        if exclusive {
            if t.update(presence, AcqRel, |others| (others == 0).then_some(WRITE_LOCK)).await == 0 {
                t.store(size, 1, Relaxed).await;
                t.update(presence, AcqRel, |_| Some(0)).await;
            }
            return;
        }
        t.fence(SeqCst).await;
        if t.load(presence, Relaxed).await == 0 {
            t.store(size, 1, Relaxed).await;
        }
    });
    program.thread("opens", move |t| async move {
        while t.update(presence, AcqRel, |lock| (lock != WRITE_LOCK).then_some(1)).await == WRITE_LOCK {
            t.wait_until(presence, Acquire, |lock| lock != WRITE_LOCK).await;
        }
        t.fence(SeqCst).await;
        t.note(t.load(size, Acquire).await);
    });
    program.at_end(move |end| {
        let lost = end.value(size) < end.notes(1)[0];
        if lost { Err("a handle has an element that is truncated".into()) } else { Ok(()) }
    });
    program.explore()
}

#[test]
fn without_a_footer_it_takes_a_write_lock() {
    let explored = assert_sound(explore_without_footer(true));
    assert!(explored.can(|end| end.notes(1) == [1]) && explored.can(|end| end.notes(1) == [2]));
    assert_needed(explore_without_footer, [("the lock excludes others", false)]);
}
