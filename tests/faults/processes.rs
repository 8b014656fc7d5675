//! Other processes: that grow the same array in turns.

use mmap_backed_array::{MmapArray, Wait};

use crate::campaign::{Cases, Fault};
use crate::common::Place;

pub const FAULTS: &[Fault] = &[Fault {
    name: "turns of two growing processes",
    answer: "all appends of both are there, once",
    cases: turns,
}];

/// A parent and its child append to one file, each under the lock, thousands of times.
fn turns(cases: &mut Cases) {
    let rounds = cases.scale(2_000, 20_000, 100_000);
    for place in [Place::Disk, Place::Memory] {
        let directory = place.directory();
        let path = directory.path().join("array");
        drop(MmapArray::<u64>::open_or_create(&path).unwrap());
        let append = |who: u64| {
            let mut array = MmapArray::<u64>::open_or_create(&path).unwrap();
            for round in 0..rounds {
                array.lock(Wait::Forever).unwrap();
                array.push(who << 32 | round).unwrap();
                array.unlock().unwrap();
            }
        };
        // SAFETY: the process has one thread; the child runs the closure and ends by _exit.
        let child = unsafe { libc::fork() };
        if child == 0 {
            append(1);
            // SAFETY: ends the child without running the destructors that are the parent's.
            unsafe { libc::_exit(0) };
        }
        append(0);
        let mut status = 0;
        // SAFETY: waits for the child, and stores its status.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        cases.case(format!("{place:?}"), || {
            assert_eq!(status, 0);
            let array = MmapArray::<u64>::open(&path).unwrap();
            let mut next = [0; 2];
            for element in array.iter() {
                let who = (element >> 32) as usize;
                assert_eq!(element & 0xffff_ffff, next[who], "an append of {who} is missing or twice there");
                next[who] += 1;
            }
            assert_eq!(next, [rounds; 2]);
        });
        cases.add(2 * rounds - 1, None);
    }
}
