//! Taking up the length that others have published, while the footer moves.
//!
//! A writer may let the file grow and store elements over the footer's old place, or truncate the file. A reader must never
//! take a length that is made of such bytes, nor take the whole file for elements.

use std::sync::atomic::Ordering::{self, Relaxed, Release};

use super::footer::{File, Known, NO_MAGIC, READING, Reading, cut, fixed, grow};
use super::machine::{Bad, Explored, Program, Thread, Value};
use super::{assert_needed, assert_sound};

#[derive(Clone, Copy)]
struct Orders {
    /// The writer's fence after it has set the size, before it stores where a footer was.
    after_resize: Ordering,
    /// The writer's store of a length.
    publish: Ordering,
    /// Each footer that is written has a fresh number in its fixed part.
    fresh: bool,
    reading: Reading,
}

const CODE: Orders = Orders { after_resize: Release, publish: Release, fresh: true, reading: READING };

/// Notes of a reader.
const GAVE_UP: Value = 200;

/// A reader that opens the file and then refreshes. `check` is what it does with a length.
fn add_reader<F>(
    program: &mut Program,
    file: File,
    orders: Orders,
    check: impl Fn(Thread, Value) -> F + Copy + 'static,
) where
    F: Future<Output = ()> + 'static,
{
    program.thread("reader", move |t| async move {
        let mut known = Known::only(1);
        for _ in 0..2 {
            let Some(now) = orders.reading.refresh(&t, &file, known).await else {
                t.note(GAVE_UP);
                return;
            };
            if now.size > 0 {
                t.check(now.fixed != Some(NO_MAGIC), || "takes the whole file for elements".into());
                check(t.clone(), now.len).await;
            }
            known = now;
            t.note(known.len);
        }
    });
}

/// What the element is that lies over the old footer's length: as a length it would fit too.
const ELEMENT: Value = 3;

/// The file has one element. The writer appends a second one, grows, and appends two more over the old footer, of
/// which the first is `over_fixed`.
fn explore_growing(orders: Orders, over_fixed: Value) -> Result<Explored, Bad> {
    let mut program = Program::default();
    let file = File::new(&mut program, 1);
    let second = program.location("element 1", 0);
    let [old, new] = file.footers;

    program.thread("writer", move |t| async move {
        t.store(second, 1, Relaxed).await;
        t.store(old.len, 2, orders.publish).await;
        grow(&t, &file, 2, 1, 2).await;
        t.fence(orders.after_resize).await;
        t.store(old.fixed, over_fixed, Relaxed).await;
        t.store(old.len, ELEMENT, Relaxed).await;
        t.store(new.len, 4, orders.publish).await;
    });
    add_reader(&mut program, file, orders, move |t, len| async move {
        t.check(matches!(len, 1 | 2 | 4), || format!("takes {len} for the length"));
        for (at, place, expected) in [(1, second, 1), (2, old.fixed, over_fixed), (3, old.len, ELEMENT)] {
            if at < len {
                let element = t.load(place, Relaxed).await;
                t.check(element == expected, || format!("element {at} of {len} is {element}"));
            }
        }
    });
    program.explore()
}

/// With an element that reads as the first words of the old footer, and with one that doesn't.
fn explore_growing_over_anything(orders: Orders) -> Result<Explored, Bad> {
    explore_growing(orders, 50)?;
    explore_growing(orders, fixed(1, 0))
}

#[test]
fn a_length_is_never_made_of_elements() {
    let explored = assert_sound(explore_growing_over_anything(CODE));
    for notes in [[1, 1], [1, 2], [1, 4], [2, 2], [2, 4], [4, 4]] {
        assert!(explored.can(|end| end.notes(1) == notes), "{notes:?} is never seen");
    }
}

#[test]
fn every_order_is_needed_while_the_footer_moves() {
    let reading = |reading| Orders { reading, ..CODE };
    assert_needed(
        explore_growing_over_anything,
        [
            ("a fence comes between the new footer and elements", Orders { after_resize: Relaxed, ..CODE }),
            ("the length is released", Orders { publish: Relaxed, ..CODE }),
            ("a fence follows pread", reading(Reading { fence: Relaxed, ..READING })),
            ("the footer is read again", reading(Reading { again: false, ..READING })),
        ],
    );
}

/// The writer truncates the file to its one element.
fn explore_cutting(orders: Orders) -> Result<Explored, Bad> {
    let mut program = Program::default();
    let file = File::new(&mut program, 1);
    program.thread("writer", move |t| async move { cut(&t, &file).await });
    add_reader(&mut program, file, orders, |t, len| async move {
        t.check(len == 1, || format!("takes {len} for the length"));
    });
    program.explore()
}

#[test]
fn a_footer_that_is_being_cut_is_no_end_of_elements() {
    let explored = assert_sound(explore_cutting(CODE));
    assert!(explored.can(|end| end.notes(1) == [1, 1]) && explored.can(|end| end.notes(1) == [1, 0]));
}

#[test]
fn every_order_is_needed_while_the_file_is_cut() {
    let reading = |reading| Orders { reading, ..CODE };
    assert_needed(
        explore_cutting,
        [
            ("a fence follows pread", reading(Reading { fence: Relaxed, ..READING })),
            ("the footer is read again", reading(Reading { again: false, ..READING })),
        ],
    );
}

/// The writer truncates the file to its element, and lets it grow to the size it had, to append a second one.
fn explore_growing_again(orders: Orders) -> Result<Explored, Bad> {
    let mut program = Program::default();
    let file = File::new(&mut program, 1);
    program.thread("writer", move |t| async move {
        cut(&t, &file).await;
        grow(&t, &file, 1, orders.fresh.into(), 1).await;
        t.store(file.footers[0].len, 2, orders.publish).await;
    });
    add_reader(&mut program, file, orders, |t, len| async move {
        t.check(matches!(len, 1 | 2), || format!("takes {len} for the length"));
    });
    program.explore()
}

#[test]
fn a_footer_at_the_same_place_is_another_footer() {
    let explored = assert_sound(explore_growing_again(CODE));
    assert!(explored.can(|end| end.notes(1) == [1, 2]) && explored.can(|end| end.notes(1) == [2, 2]));
}

#[test]
fn every_order_is_needed_where_the_size_comes_back() {
    let reading = |reading| Orders { reading, ..CODE };
    assert_needed(
        explore_growing_again,
        [
            ("each footer has a fresh number", Orders { fresh: false, ..CODE }),
            ("a fence follows pread", reading(Reading { fence: Relaxed, ..READING })),
            ("the footer is read again", reading(Reading { again: false, ..READING })),
            ("the fixed part is the same afterwards", reading(Reading { same_after: false, ..READING })),
            ("the fixed part was known before", reading(Reading { same_before: false, ..READING })),
        ],
    );
}
