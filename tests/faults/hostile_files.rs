//! Files of arbitrary bytes, and random calls: the inputs that the fuzzer has found, and random ones.

use std::path::Path;

use crate::campaign::{Cases, Fault, ending, in_child};
use crate::fuzzed::{calls, open};
use crate::helpers::Numbers;

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "arbitrary bytes as a file",
        answer: "reads as its bytes, or is refused and left as it was",
        cases: arbitrary_bytes,
    },
    Fault {
        name: "interleaved random calls of three handles",
        answer: "each answers as the manual says, and leaves what it says",
        cases: random_calls,
    },
];

fn arbitrary_bytes(cases: &mut Cases) {
    let kept = kept("open");
    let random = random(cases.scale(1_000, 40_000, 2_000_000));
    let inputs = || kept.iter().cloned().chain(random.clone());
    try_all(cases, inputs(), |input| {
        open::run(input);
        1
    });
    // Each file as every type and in every way, with the calls that its input says.
    let every = cases.scale(37, 1, 1);
    try_all(cases, kept.iter().cloned().step_by(every), open::run_every_way);
}

fn random_calls(cases: &mut Cases) {
    let random = random(cases.scale(300, 25_000, 1_000_000));
    try_all(cases, kept("calls").into_iter().chain(random), |input| {
        calls::run(input);
        1
    });
}

/// An input and its name.
type Input = (String, Vec<u8>);

/// The inputs that are kept with the fuzzer; they aren't in the published package.
fn kept(target: &str) -> Vec<Input> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    if !fuzz.exists() {
        return Vec::new();
    }
    let entries = std::fs::read_dir(fuzz.join("corpus").join(target)).expect("the fuzzer's corpus is there");
    let mut inputs: Vec<Input> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().display().to_string(), std::fs::read(&path).unwrap()))
        .collect();
    inputs.sort();
    assert!(!inputs.is_empty());
    inputs
}

/// Inputs of random length that differ from run to run.
fn random(count: u64) -> impl Iterator<Item = Input> + Clone {
    let mut numbers = Numbers::any();
    (0..count).map(move |_| {
        let length = 1 << numbers.below(7);
        let bytes: Vec<u8> = (0..length).flat_map(|_| numbers.next().to_ne_bytes()).collect();
        ("random".to_owned(), bytes)
    })
}

/// Runs inputs in children, many in each. What goes wrong there is looked for by running each alone.
fn try_all(cases: &mut Cases, inputs: impl Iterator<Item = Input>, body: fn(&[u8]) -> u64) {
    let mut inputs = inputs.peekable();
    while inputs.peek().is_some() {
        let batch: Vec<Input> = inputs.by_ref().take(500).collect();
        let (mut reader, writer) = std::io::pipe().unwrap();
        let (status, text) = in_child(|| {
            let times: u64 = batch.iter().map(|(_, input)| body(input)).sum();
            std::io::Write::write_all(&mut &writer, &times.to_ne_bytes()).unwrap();
        });
        drop(writer);
        if status == 0 {
            let mut times = [0; 8];
            std::io::Read::read_exact(&mut reader, &mut times).unwrap();
            cases.add(u64::from_ne_bytes(times), None);
            continue;
        }
        let mut failures: Vec<String> = batch
            .iter()
            .filter_map(|(name, input)| {
                let (status, text) = in_child(|| {
                    body(input);
                });
                let failure = format!("{}: {}", ending(status), text.trim_end());
                (status != 0).then(|| format!("{name}, {failure}\n{}", hexadecimal(input)))
            })
            .collect();
        if failures.is_empty() {
            failures.push(format!(
                "one of {} in a row, {}: {}",
                batch.len(),
                ending(status),
                text.trim_end()
            ));
        }
        cases.add(batch.len() as u64, failures);
    }
}

/// As `xxd -r -p` reads it back.
fn hexadecimal(input: &[u8]) -> String {
    input.iter().map(|byte| format!("{byte:02x}")).collect()
}
