//! Closing: of handles that close at the same time, the last one brings the file down to its elements.
//!
//! A handle lets its presence go and looks then who else is there. One that must not truncate because of another gives the
//! growth lock up and looks once more: the other may have closed meanwhile, and found the lock taken. A handle that
//! doesn't hold the growth lock takes the tidying byte first; who finds that taken leaves the work to the other one,
//! who therefore looks once more too, also if it could not get the growth lock.

use std::sync::atomic::Ordering::{AcqRel, Relaxed};

use super::machine::{Bad, Explored, Kept, Location, Program, Thread, Value};
use super::{assert_needed, assert_sound};

#[derive(Clone, Copy)]
struct Orders {
    gone_first: bool,
    /// Who has had the growth lock looks once more after giving it back.
    looks_after_growth: bool,
    /// Who has had the tidying byte only looks once more whether the growth lock is free.
    looks_after_tidying: bool,
}

const CODE: Orders = Orders { gone_first: true, looks_after_growth: true, looks_after_tidying: true };

/// The list of locks, which the kernel changes under its spin lock: each handle's presence, the growth lock, and the
/// tidying byte.
const PRESENCE: [Value; 3] = [1, 2, 4];
const ALL_PRESENT: Value = 7;
const GROWTH: Value = 8;
const TIDYING: Value = 16;

/// One of the handles that close, of a file whose footer says that elements were taken away.
#[derive(Clone, Copy)]
struct Handle {
    presence: Value,
    locks: Location,
    trimmed: Location,
}

/// What a handle keeps between its rounds: whether it holds the growth lock, held it before, or never did. The last
/// trims only if it is alone; so do all in a second round.
const HOLDS: Value = 0;
const LED: Value = 1;
const NEITHER: Value = 2;

impl Handle {
    async fn close(self, t: Thread, kept: Kept, first: Value, orders: Orders) -> Option<Kept> {
        let Some(at) = kept.first() else {
            if orders.gone_first {
                self.release(&t, self.presence).await;
            }
            return Some(vec![first]);
        };
        if self.try_to_trim(&t, *at, orders).await {
            return Some(vec![NEITHER]);
        }
        if !orders.gone_first {
            self.release(&t, self.presence).await;
        }
        None
    }

    /// Whether it should look once more.
    async fn try_to_trim(&self, t: &Thread, at: Value, orders: Orders) -> bool {
        if at != HOLDS {
            if t.load(self.trimmed, Relaxed).await == 1 || (at != LED && !self.is_alone(t).await) {
                return false;
            }
            if !self.take(t, TIDYING).await {
                return false;
            }
            if !self.take(t, GROWTH).await {
                self.release(t, TIDYING).await;
                return orders.looks_after_tidying && t.load(self.locks, Relaxed).await & GROWTH == 0;
            }
        }
        if self.is_alone(t).await {
            t.store(self.trimmed, 1, Relaxed).await;
        }
        self.release(t, GROWTH).await;
        if at != HOLDS {
            self.release(t, TIDYING).await;
        }
        orders.looks_after_growth
    }

    async fn take(&self, t: &Thread, lock: Value) -> bool {
        let if_free = move |locks| (locks & lock == 0).then_some(locks | lock);
        t.update(self.locks, AcqRel, if_free).await & lock == 0
    }

    async fn release(&self, t: &Thread, lock: Value) {
        t.update(self.locks, AcqRel, move |locks| Some(locks & !lock)).await;
    }

    async fn is_alone(&self, t: &Thread) -> bool {
        t.load(self.locks, Relaxed).await & ALL_PRESENT & !self.presence == 0
    }
}

/// One that holds the growth lock, one that held it before, and one that never did.
fn explore(orders: Orders) -> Result<Explored, Bad> {
    let mut program = Program::default();
    let locks = program.location("locks", ALL_PRESENT | GROWTH);
    let trimmed = program.location("trimmed", 0);
    for (presence, (name, at)) in
        PRESENCE.into_iter().zip([("holder", HOLDS), ("former holder", LED), ("setter", NEITHER)])
    {
        let handle = Handle { presence, locks, trimmed };
        program.rounds(name, move |t, kept| handle.close(t, kept, at, orders));
    }
    program.at_end(move |end| {
        if end.value(trimmed) == 1 { Ok(()) } else { Err("all have closed, and nobody has trimmed".into()) }
    });
    program.explore()
}

#[test]
fn the_last_one_trims() {
    assert_sound(explore(CODE));
}

#[test]
fn every_look_is_needed_to_close() {
    assert_needed(
        explore,
        [
            ("presence goes before the first look", Orders { gone_first: false, ..CODE }),
            ("a look follows the growth lock's end", Orders { looks_after_growth: false, ..CODE }),
            ("a look follows the tidying byte's end", Orders { looks_after_tidying: false, ..CODE }),
        ],
    );
}
