//! Sleeping until others publish: nobody sleeps on while what it waits for is there.
//!
//! | notifier | waiter |
//! | --- | --- |
//! | length (release) | bell (acquire) |
//! | bell (release) | refresh |
//! | `FUTEX_WAKE` | `FUTEX_WAIT` if the length isn't enough and the bell wasn't moving |
//!
//! `FUTEX_WAIT` says that somebody waits, then looks at the bell once more; `FUTEX_WAKE` looks whether somebody waits.
//! The kernel has full barriers between. A notifier that grows moves the footer: it makes the new one, sets the old
//! bell to "moving", and wakes whoever sleeps there.

use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release, SeqCst};

use super::footer::{File, Known, READING, grow};
use super::machine::{Bad, Explored, Location, Program, Thread, Value};
use super::{assert_needed, assert_sound};

#[derive(Clone, Copy)]
struct Orders {
    length_first: bool,
    ring: Ordering,
    load_bell: Ordering,
    bell_first: bool,
    /// The notifier's fence after it has set the size.
    after_resize: Ordering,
    rings_old_bell: bool,
    grows_first: bool,
}

const CODE: Orders = Orders {
    length_first: true,
    ring: Release,
    load_bell: Acquire,
    bell_first: true,
    after_resize: Release,
    rings_old_bell: true,
    grows_first: true,
};

const MOVING: Value = 255;

/// A bell, and what the kernel knows of who sleeps there.
#[derive(Clone, Copy)]
struct Bell {
    bell: Location,
    waiters: Location,
    woken: Location,
}

impl Bell {
    async fn ring(&self, t: &Thread, value: Value, order: Ordering) {
        t.store(self.bell, value, order).await;
        t.fence(SeqCst).await;
        if t.load(self.waiters, Relaxed).await > 0 {
            t.store(self.woken, 1, Release).await;
        }
    }

    async fn wait(&self, t: &Thread, expected: Value) {
        t.update(self.waiters, AcqRel, |waiters| Some(waiters + 1)).await;
        t.fence(SeqCst).await;
        if t.load(self.bell, Relaxed).await == expected {
            t.wait_until(self.woken, Acquire, |woken| woken == 1).await;
        }
    }
}

/// The file has one element; the waiter wants two.
fn explore(orders: Orders, grows: bool) -> Result<Explored, Bad> {
    let mut program = Program::default();
    let file = File::new(&mut program, 1);
    let old = Bell {
        bell: program.location("old bell", 0),
        waiters: program.location("waiters at the old bell", 0),
        woken: program.location("woken at the old bell", 0),
    };
    let new = Bell {
        bell: program.location("new bell", 0),
        waiters: program.location("waiters at the new bell", 0),
        woken: program.location("woken at the new bell", 0),
    };
    program.thread("notifier", move |t| async move {
        if grows {
            if orders.rings_old_bell && !orders.grows_first {
                old.ring(&t, MOVING, orders.ring).await;
            }
            grow(&t, &file, 2, 1, 1).await;
            t.fence(orders.after_resize).await;
            if orders.rings_old_bell && orders.grows_first {
                old.ring(&t, MOVING, Relaxed).await;
            }
        }
        let (footer, bell) = if grows { (file.footers[1], new) } else { (file.footers[0], old) };
        if orders.length_first {
            t.store(footer.len, 2, Release).await;
            bell.ring(&t, 1, orders.ring).await;
        } else {
            bell.ring(&t, 1, orders.ring).await;
            t.store(footer.len, 2, Release).await;
        }
    });
    program.thread("waiter", move |t| async move {
        // It knows the file already, so that a refresh may be a single look.
        let Some(mut known) = READING.refresh(&t, &file, Known::only(1)).await else { return };
        for _ in 0..6 {
            let place = if known.size == 1 { old } else { new };
            let mut bell = 0;
            if orders.bell_first {
                bell = t.load(place.bell, orders.load_bell).await;
            }
            let Some(now) = READING.refresh(&t, &file, known).await else { continue };
            let moved = now.size != known.size;
            known = now;
            if known.len == 2 {
                t.note(1);
                return;
            }
            if !orders.bell_first {
                bell = t.load(place.bell, orders.load_bell).await;
            }
            if !moved && bell != MOVING {
                place.wait(&t, bell).await;
            }
        }
        t.note(0);
    });
    program.at_end(move |end| {
        if !end.stuck().is_empty() {
            return Err("the waiter sleeps on".into());
        }
        if end.notes(1) == [0] {
            return Err("the waiter looks again and again".into());
        }
        Ok(())
    });
    program.explore()
}

#[test]
fn who_waits_is_woken() {
    for grows in [false, true] {
        assert_sound(explore(CODE, grows));
    }
}

#[test]
fn every_order_is_needed_to_wake() {
    assert_needed(
        |orders| explore(orders, false),
        [
            ("the length comes before the bell", Orders { length_first: false, ..CODE }),
            ("the bell is released", Orders { ring: Relaxed, ..CODE }),
            ("the bell is acquired", Orders { load_bell: Relaxed, ..CODE }),
            ("the bell comes before the refresh", Orders { bell_first: false, ..CODE }),
        ],
    );
    assert_needed(
        |orders| explore(orders, true),
        [
            ("the old bell is rung", Orders { rings_old_bell: false, ..CODE }),
            ("the old bell is rung when the new footer is there", Orders { grows_first: false, ..CODE }),
            ("a fence comes between", Orders { after_resize: Relaxed, ..CODE }),
        ],
    );
}
