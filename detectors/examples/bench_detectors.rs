//! Times the kernels whose speed is promised, on one thread, in seconds on the processor, and prints one line of JSON:
//! `cargo run --release -p bellwether-detectors --example bench_detectors -- [rolling-z-ewma|robust-z]`

use std::time::Instant;

use bellwether_detectors::kernel::block::{Charts, rolling_z_ewma};
use bellwether_detectors::kernel::robust::robust_z;

const SERIES: usize = 10_000;
const LENGTH: usize = 1_440;
const RUNS: usize = 7;

fn main() {
    let which = std::env::args().nth(1).unwrap_or_else(|| "rolling-z-ewma".to_owned());
    let series = if which == "robust-z" { SERIES / 20 } else { SERIES };
    let length = if which == "robust-z" { LENGTH * 4 } else { LENGTH };
    let values = table(series, length);
    let (mut z, mut ewma) = (vec![0.0; values.len()], vec![0.0; values.len()]);
    let mut seconds: Vec<f64> = (0..=RUNS)
        .map(|_| {
            let (begin, on_cpu_before) = (Instant::now(), on_cpu());
            match which.as_str() {
                "robust-z" => {
                    for (values, z) in values.chunks(length).zip(z.chunks_mut(length)) {
                        robust_z(values, LENGTH, 0.0, 20.0, z);
                    }
                }
                _ => rolling_z_ewma(&values, length, Charts::default(), &mut z, &mut ewma),
            }
            match (on_cpu_before, on_cpu()) {
                (Some(before), Some(after)) => after - before,
                _ => begin.elapsed().as_secs_f64(),
            }
        })
        .skip(1)
        .collect();
    seconds.sort_by(f64::total_cmp);
    let median = seconds[RUNS / 2];
    let (checksum, first): (f64, f64) = (z.iter().chain(&ewma).sum(), z[..length].iter().sum());
    println!(
        "{{\"name\":\"{which}\",\"points\":{},\"seconds\":{median},\"points_per_second\":{},\"best\":{},\"checksum\":{checksum},\"first_series\":{first}}}",
        values.len(),
        values.len() as f64 / median,
        values.len() as f64 / seconds[0],
    );
}

/// Seconds that this thread has been on a processor, where the system says so: other people's work does not count.
fn on_cpu() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(text.split(' ').next()?.parse::<f64>().ok()? / 1e9)
}

/// A daily wave with noise, series after series: the peer's data, from a generator of our own (xorshift, sums of twelve).
fn table(series: usize, length: usize) -> Vec<f64> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut uniform = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut values = Vec::with_capacity(series * length);
    for _ in 0..series {
        for t in 0..length {
            let noise = (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
            values.push(50.0 + 10.0 * (t as f64 / LENGTH as f64 * std::f64::consts::TAU).sin() + noise);
        }
    }
    values
}
