//! Random calls on one file: a good one, or anonymous memory.

use std::os::unix::fs::FileExt;

use super::bytes::Bytes;
use super::element::elements;
use super::home::Home;
use super::world::World;

/// The input says the type, what the array begins with, and then each call.
pub fn run(input: &[u8]) {
    let input = &mut Bytes::new(input);
    let ty = input.ty();
    let (kind, count) = (input.byte(), usize::from(input.short() % 3000) / ty.size());
    let mut world = if kind % 8 == 0 {
        World::anonymous(ty)
    } else {
        let home = Home::new(kind % 8 == 1);
        home.file.write_all_at(&elements(u64::from(kind), count, ty), 0).unwrap();
        World::new(home, ty, kind % 8 == 2)
    };
    world.run(input);
    world.finish();
}
