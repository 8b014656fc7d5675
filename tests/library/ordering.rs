//! The order in which the storage loads and stores what processes share, as abstract programs of which everything
//! that they can do under weak memory is looked at. x86 hides most mistakes of this kind, and emulation all of them.
//!
//! Each program has its steps in the order of the code, with the memory order of each. It must be sound as it is,
//! and must break if any one of these orders is weakened: so each is shown to be needed.

mod alone;
mod closing;
mod footer;
mod gate;
mod grow;
mod litmus;
mod machine;
mod publish;
mod refresh;
mod shorten;
mod waiting;

use machine::{Bad, Explored};

/// The program never does anything bad.
fn assert_sound(explored: Result<Explored, Bad>) -> Explored {
    let explored = explored.unwrap_or_else(|bad| panic!("{bad}"));
    println!("Nothing bad in {} states.", explored.states);
    explored
}

/// Without any of these the program does something bad.
fn assert_needed<T, const N: usize>(explore: impl Fn(T) -> Result<Explored, Bad>, weaker: [(&str, T); N]) {
    for (order, without) in weaker {
        match explore(without) {
            Ok(_) => panic!("nothing bad comes of it without: {order}"),
            Err(bad) => println!("Without \"{order}\": {bad}"),
        }
    }
}
