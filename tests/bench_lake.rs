//! What `scripts/bench` needs that no command of the binary does: samples made in memory and stored, timed.
//!
//! `bench_lake append FOLDER` stores 5 million samples of 10,000 series, time-major, in batches of 500,000, and prints the seconds from the
//! first to the last append. `bench_lake detect FOLDER` stores 10,000 series of 1,440 points, one a minute, to be judged afterwards.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Instant;

use bellwether_lake::Lake;
use bellwether_model::series::{Labels, Samples, Series};

const SERIES: u32 = 10_000;
/// Points of each series in one batch: 500,000 samples.
const BATCH: i64 = 50;
const MINUTE: i64 = 60_000_000;
/// 2026-06-01T00:00:00Z in microseconds.
const START: i64 = 1_780_272_000_000_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, what, folder] = args.as_slice() else { return Err("usage: bench_lake append|detect FOLDER".into()) };
    let points = match what.as_str() {
        "append" => 500,
        "detect" => 1_440,
        other => return Err(format!("{other}: append or detect").into()),
    };
    let batches = batches(points);
    let samples: usize = batches.iter().map(Samples::len).sum();
    let lake = Lake::open(folder, &BTreeMap::new()).await?;
    let begin = Instant::now();
    for batch in &batches {
        lake.append_samples(batch, &[]).await?;
    }
    let seconds = begin.elapsed().as_secs_f64();
    println!("{}", serde_json::json!({"samples": samples, "seconds": seconds, "samples_per_second": samples as f64 / seconds}));
    Ok(())
}

/// Every series' points up to `points`, in batches, each ordered by time and then by series, as a scrape would give them.
fn batches(points: i64) -> Vec<Samples> {
    let series: Vec<Series> = (0..SERIES).map(|n| Series::new("latency_p95", labels(n))).collect();
    let starts = (0..points).step_by(BATCH as usize);
    starts
        .map(|first| {
            let mut batch = Samples { series: series.clone(), ..Samples::default() };
            for point in first..points.min(first + BATCH) {
                for n in 0..SERIES {
                    batch.index.push(n);
                    batch.ts.push(START + point * MINUTE);
                    batch.values.push(value(n, point));
                }
            }
            batch
        })
        .collect()
}

fn labels(n: u32) -> Labels {
    [("namespace".to_owned(), format!("team-{}", n % 50)), ("service".to_owned(), format!("model-{n}"))].into()
}

/// A daily rhythm with noise that a hash gives; every hundredth series jumps in the last half hour of a day.
fn value(n: u32, point: i64) -> f64 {
    let mixed = (u64::from(n) << 32 ^ point as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let noise = ((mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40) as f64 / (1 << 24) as f64 - 0.5;
    let day = (point as f64 / 1_440.0 * std::f64::consts::TAU).sin();
    let jump = if n.is_multiple_of(100) && point % 1_440 >= 1_410 { 0.5 } else { 0.0 };
    0.2 + 0.02 * day + 0.01 * noise + jump
}
