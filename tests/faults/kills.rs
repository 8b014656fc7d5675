//! Writers that are killed, on each file system that the promises name: before and after every system call, and at
//! random moments.
//!
//! What was done is there, nothing else is, and the next one who grows the array gets in within a second.

use crate::campaign::{Cases, Fault};
use crate::common::moments::kill_at_system_calls;
use crate::common::writer::{change_for_ever, pattern, round};
use crate::common::{self, Numbers};
use crate::filesystem::Kind;

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "kill at a system call",
        answer: "each change wholly or not at all, next in < 1 s",
        cases: at_system_calls,
    },
    Fault {
        name: "sudden kill at a random moment",
        answer: "each change wholly or not at all, next in < 1 s",
        cases: at_random,
    },
];

/// MiB of each file system: room for the array as it is and as it becomes.
const SIZE: u64 = 64;

/// All kinds of changes, killed at each stop in turn; at a smaller scale at some of them, others in each run.
fn at_system_calls(cases: &mut Cases) {
    let step = cases.scale(61, 7, 1);
    // The last of them can't reserve blocks, so that spare room comes by writing zeros.
    for kind in Kind::ALL.into_iter().chain([Kind::Ext2]) {
        let Some(mounted) = kind.mount(SIZE) else { continue };
        for exact in [false, true] {
            let first = Numbers::any().below(step) as usize;
            let mut times = 1;
            cases.case(format!("{:?}", mounted.kind), || {
                times = kill_at_system_calls(mounted.path(), exact, || {}, (first, step as usize));
            });
            cases.add(times - 1, None);
        }
    }
}

/// The name under which this binary plays the writer.
const WRITER: &str = "writer";

/// Plays the writer, until it is killed, if this process was started for that.
pub fn write_if_told_to() {
    if let Some(arguments) = common::arguments(WRITER) {
        change_for_ever(&arguments);
    }
}

fn at_random(cases: &mut Cases) {
    let rounds = cases.scale(10, 200, 2000);
    let pattern = pattern();
    for kind in Kind::ALL {
        let Some(mounted) = kind.mount(SIZE) else { continue };
        let mut seeds = Numbers::any();
        let mut fruitful = 0;
        for _ in 0..rounds {
            let seed = seeds.next();
            cases.case(format!("{kind:?}, seed {seed}"), || {
                let changes = round(WRITER, mounted.path(), seed, &pattern);
                fruitful += u64::from(changes > 0);
            });
        }
        // Else the kills came too early to prove anything.
        let too_early = fruitful < rounds / 4;
        let story = format!("{kind:?}: only {fruitful} writers of {rounds} came to change anything");
        cases.add(0, too_early.then_some(story));
    }
}
