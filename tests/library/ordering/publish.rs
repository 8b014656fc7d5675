//! Publishing a length: whoever takes it finds all elements below it.
//!
//! | writer | another process | another thread of the writer's process |
//! | --- | --- | --- |
//! | element (relaxed) | length by `pread` (relaxed) or through its mapping (acquire) | the handle's length (acquire) |
//! | length in the footer (release) | acquire fence, if it was `pread` | elements below it |
//! | the handle's length (release) | elements below it | |

use std::sync::atomic::Ordering::{self, Acquire, Relaxed, Release};

use super::machine::{Bad, Explored, Location, Program, Thread};
use super::{assert_needed, assert_sound};

#[derive(Clone, Copy)]
struct Orders {
    /// The writer's store in the footer, and the one in its handle.
    footer: Ordering,
    handle: Ordering,
    /// The footer comes before the handle.
    footer_first: bool,
    /// The elements come before both.
    elements_first: bool,
    /// The fence after a `pread`.
    after_pread: Ordering,
    /// Loading the length through the mapping.
    load: Ordering,
    /// Loading the handle's length.
    load_handle: Ordering,
}

const CODE: Orders = Orders {
    footer: Release,
    handle: Release,
    footer_first: true,
    elements_first: true,
    after_pread: Acquire,
    load: Acquire,
    load_handle: Acquire,
};

/// How many appends there are.
const APPENDS: usize = 2;

fn explore(orders: Orders) -> Result<Explored, Bad> {
    let mut program = Program::default();
    let elements = [program.location("element 0", 0), program.location("element 1", 0)];
    let footer = program.location("length in the footer", 0);
    let handle = program.location("length in the handle", 0);

    program.thread("writer", move |t| async move {
        for (at, len) in (0..APPENDS).zip(1..) {
            if orders.elements_first {
                t.store(elements[at], len, Relaxed).await;
            }
            if orders.footer_first {
                t.store(footer, len, orders.footer).await;
                t.store(handle, len, orders.handle).await;
            } else {
                t.store(handle, len, orders.handle).await;
                t.store(footer, len, orders.footer).await;
            }
            if !orders.elements_first {
                t.store(elements[at], len, Relaxed).await;
            }
        }
    });
    program.thread("reader by pread", move |t| async move {
        let len = t.load(footer, Relaxed).await;
        t.fence(orders.after_pread).await;
        check_elements(&t, &elements, len.into()).await;
    });
    program.thread("reader by mapping", move |t| async move {
        let len = t.load(footer, orders.load).await;
        check_elements(&t, &elements, len.into()).await;
    });
    program.thread("thread of the writer", move |t| async move {
        let len = t.load(handle, orders.load_handle).await;
        check_elements(&t, &elements, len.into()).await;
        // It may tell other processes of the elements, and they go by the footer.
        let published = t.load(footer, Relaxed).await;
        t.check(published >= len, || format!("the handle says {len}, the footer {published}"));
    });
    program.explore()
}

async fn check_elements(t: &Thread, elements: &[Location], len: usize) {
    for (at, expected) in (0..len).zip(1..) {
        let element = t.load(elements[at], Relaxed).await;
        t.check(element == expected, || format!("element {at} of {len} is {element}"));
    }
    t.note(len as u8);
}

#[test]
fn published_elements_are_there() {
    let explored = assert_sound(explore(CODE));
    for reader in 1..=3 {
        assert!(explored.can(|end| end.notes(reader) == [APPENDS as u8]));
    }
}

#[test]
fn every_order_is_needed_to_publish() {
    assert_needed(
        explore,
        [
            ("the footer's length is released", Orders { footer: Relaxed, ..CODE }),
            ("the handle's length is released", Orders { handle: Relaxed, ..CODE }),
            ("the footer comes before the handle", Orders { footer_first: false, ..CODE }),
            ("elements come before the length", Orders { elements_first: false, ..CODE }),
            ("a fence follows pread", Orders { after_pread: Relaxed, ..CODE }),
            ("a length in the mapping is acquired", Orders { load: Relaxed, ..CODE }),
            ("the handle's length is acquired", Orders { load_handle: Relaxed, ..CODE }),
        ],
    );
}
