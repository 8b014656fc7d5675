//! The Rust face against `Vec` and slices: `cargo bench --bench rust`.
//!
//! Criterion samples our side; each sample runs the peer too, in turn with ours, so that what disturbs the
//! machine disturbs both. The table at the end has the ratios of these pairs.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::Criterion;
use mmap_backed_array::MmapArray;

#[path = "../table/mod.rs"]
mod table;

use table::{Row, print};

/// Elements in all arrays: 256 KiB, so that it is not the memory that is measured.
const LEN: usize = 1 << 16;
/// What counts as the same.
const SAME: f64 = 1.05;

/// Runs comparisons, and keeps their rows.
struct Bench {
    criterion: Criterion,
    rows: Vec<Row>,
}

impl Bench {
    /// Samples `ours` and `peer`, each of which handles `LEN` elements a run.
    fn compare(&mut self, what: &str, aim: f64, mut ours: impl FnMut(), mut peer: impl FnMut()) {
        let mut rounds: Vec<[f64; 3]> = Vec::new();
        self.criterion.bench_function(what, |bencher| {
            bencher.iter_custom(|count| {
                let (mut one, mut other) = (Duration::ZERO, Duration::ZERO);
                for turn in 0..count {
                    if turn % 2 == 0 {
                        one += time(&mut ours);
                        other += time(&mut peer);
                    } else {
                        other += time(&mut peer);
                        one += time(&mut ours);
                    }
                }
                let per = count as f64 * LEN as f64 / 1e9;
                let (one_each, other_each) = (one.as_secs_f64() / per, other.as_secs_f64() / per);
                rounds.push([one_each, other_each, one_each / other_each]);
                one
            });
        });
        if rounds.is_empty() {
            return; // the command line asks for others
        }
        let quantile = |column: usize, at: f64| {
            let mut values: Vec<f64> = rounds.iter().map(|round| round[column]).collect();
            values.sort_by(f64::total_cmp);
            values[((values.len() - 1) as f64 * at).round() as usize]
        };
        let numbers =
            [(0, 0.5), (1, 0.5), (2, 0.5), (2, 0.25), (2, 0.75)].map(|(column, at)| quantile(column, at));
        let [ours, peer, ratio, low, high] = numbers;
        self.rows.push(Row {
            what: what.to_owned(),
            unit: "ns".to_owned(),
            numbers: [ours, peer, ratio, low, high, aim],
        });
    }
}

fn time(work: &mut impl FnMut()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn main() {
    let criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(50)
        .configure_from_args();
    let mut bench = Bench { criterion, rows: Vec::new() };
    reading(&mut bench);
    writing(&mut bench);
    growing(&mut bench);
    print(&bench.rows);
}

fn values() -> Vec<u32> {
    (0..LEN as u32).map(|n| n.wrapping_mul(2_654_435_761)).collect()
}

/// An array with all `LEN` values, and the same in a vector.
fn filled() -> (MmapArray<u32>, Vec<u32>) {
    let mut array = MmapArray::anonymous().expect("there is memory");
    array.extend_from_slice(&values()).expect("there is memory");
    (array, values())
}

/// Not inlined, so that both sides go through the very same instructions.
#[inline(never)]
fn sum(values: &[u32]) -> u64 {
    values.iter().copied().map(u64::from).sum()
}

fn reading(bench: &mut Bench) {
    let (array, vec) = filled();
    bench.compare(
        "get : slice get",
        0.0,
        || {
            let array = black_box(&array);
            black_box((0..LEN).map(|at| array.get(black_box(at)).map_or(0, u64::from)).sum::<u64>());
        },
        || {
            let vec = black_box(&vec);
            black_box((0..LEN).map(|at| vec.get(black_box(at)).map_or(0, |n| u64::from(*n))).sum::<u64>());
        },
    );
    bench.compare(
        "iter sum : slice iter sum",
        0.0,
        || {
            black_box(black_box(&array).iter().map(u64::from).sum::<u64>());
        },
        || {
            black_box(sum(black_box(&vec)));
        },
    );
    bench.compare(
        "as_slice sum : slice sum",
        SAME,
        || {
            // SAFETY: nobody else has this array, and it isn't written while the slice exists.
            black_box(sum(unsafe { black_box(&array).as_slice() }));
        },
        || {
            black_box(sum(black_box(&vec)));
        },
    );
    bench.compare(
        "to_vec : slice to_vec",
        SAME,
        || drop(black_box(black_box(&array).to_vec(..))),
        || drop(black_box(black_box(&vec[..]).to_vec())),
    );
}

fn writing(bench: &mut Bench) {
    let (array, mut vec) = filled();
    bench.compare(
        "set : slice get_mut",
        0.0,
        || {
            let array = black_box(&array);
            for at in 0..LEN {
                let _ = array.set(black_box(at), at as u32);
            }
        },
        || {
            let vec = black_box(&mut vec);
            for at in 0..LEN {
                if let Some(place) = vec.get_mut(black_box(at)) {
                    *place = at as u32;
                }
            }
        },
    );
}

/// Into memory that is there and touched, on both sides.
fn growing(bench: &mut Bench) {
    let source = values();
    let (mut array, mut vec) = filled();
    bench.compare(
        "push : Vec push",
        0.0,
        || {
            array.clear().expect("the array can change its length");
            let array = black_box(&mut array);
            for n in 0..LEN {
                array.push(black_box(n as u32)).expect("there is room");
            }
        },
        || {
            vec.clear();
            let vec = black_box(&mut vec);
            for n in 0..LEN {
                vec.push(black_box(n as u32));
            }
        },
    );
    bench.compare(
        "extend_from_slice : Vec extend_from_slice",
        1.0 / 0.95,
        || {
            array.clear().expect("the array can change its length");
            array.extend_from_slice(black_box(&source)).expect("there is room");
        },
        || {
            vec.clear();
            vec.extend_from_slice(black_box(&source));
            black_box(&vec);
        },
    );
    bench.compare(
        "pop : Vec pop",
        0.0,
        || {
            array.extend_from_slice(&source).expect("there is room");
            while let Ok(Some(value)) = array.pop() {
                black_box(value);
            }
        },
        || {
            vec.extend_from_slice(&source);
            while let Some(value) = vec.pop() {
                black_box(value);
            }
        },
    );
}
