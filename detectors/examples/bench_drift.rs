//! Measures the speed of drift statistics on one thread and prints one line of JSON a row, with the seconds of
//! processor time of each run.
//!
//! `bench_drift FOLDER` reads pairs of columns as little-endian f64 from `FOLDER/ref-<i>.f64` and `FOLDER/cur-<i>.f64`, so that
//! another program can be measured on the same values (`scripts/bench drift-exact`).

use std::path::Path;
use std::time::Instant;

use bellwether_detectors::drift::histogram::{Grid, Histogram};
use bellwether_detectors::drift::order::{Scratch, sort};
use bellwether_detectors::drift::quantiles::SMALLEST;
use bellwether_detectors::drift::sketch::Sketch;
use bellwether_detectors::drift::{between, psi};
use serde_json::json;

const RUNS: usize = 5;

fn main() {
    let folder = std::env::args().nth(1).expect("usage: bench_drift FOLDER");
    let folder = Path::new(&folder);
    let mut pairs = Vec::new();
    while let (Some(a), Some(b)) =
        (read(&folder.join(format!("ref-{}.f64", pairs.len()))), read(&folder.join(format!("cur-{}.f64", pairs.len()))))
    {
        pairs.push((a, b));
    }
    let values: usize = pairs.iter().map(|(a, b)| a.len() + b.len()).sum();
    let mut scratch = Scratch::default();
    let mut results = Vec::new();
    let seconds = timed(|| {
        results.clear();
        for (a, b) in &pairs {
            let (mut a, mut b) = (a.clone(), b.clone());
            sort(&mut a, &mut scratch);
            sort(&mut b, &mut scratch);
            let found = between::distances(&a, &b).expect("columns are not empty");
            let edges = psi::edges(&a, 10);
            let index = psi::of_shares(&psi::shares(&psi::counts_sorted(&edges, &a)), &psi::shares(&psi::counts_sorted(&edges, &b)));
            results.push([found.ks, found.wasserstein, index]);
        }
    });
    println!("{}", json!({"row": "drift-exact", "values": values, "seconds": seconds, "results": results}));
    let grid = Grid::new(-5.0, 105.0, 4_096).expect("105 is above -5");
    let mut counted = 0;
    let seconds = timed(|| {
        counted = 0;
        for (a, b) in &pairs {
            for column in [a, b] {
                let mut histogram = Histogram::new(grid);
                histogram.add(column);
                counted += histogram.count();
            }
        }
    });
    println!("{}", json!({"row": "histogram", "values": counted, "seconds": seconds}));
    let seconds = timed(|| {
        for (seed, (a, b)) in pairs.iter().enumerate() {
            for column in [a, b] {
                let mut sketch = Sketch::of_numbers(grid, SMALLEST, seed as u64);
                sketch.add_numbers(column).expect("it is a sketch of numbers");
            }
        }
    });
    println!("{}", json!({"row": "sketch", "values": values, "seconds": seconds}));
}

fn read(path: &Path) -> Option<Vec<f64>> {
    let bytes = std::fs::read(path).ok()?;
    Some(bytes.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().expect("a chunk has 8 bytes"))).collect())
}

/// Seconds of processor time of each run, so that other work on the machine counts as little as can be.
fn timed(mut run: impl FnMut()) -> Vec<f64> {
    let begin = Instant::now();
    let now = || on_processor().unwrap_or_else(|| begin.elapsed().as_secs_f64());
    let once = |_| {
        let from = now();
        run();
        now() - from
    };
    (0..RUNS).map(once).collect()
}

/// Seconds that this thread has run; `None` where the kernel does not tell.
fn on_processor() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(text.split_whitespace().next()?.parse::<f64>().ok()? / 1e9)
}
