//! How often the drift decision is wrong, and what it finds: 200 columns of normal, lognormal and gamma values, 20 of them shifted by a tenth
//! of a deviation, 200 repeats (or as many as the first argument says). Prints one line of JSON a sample size.

use bellwether_detectors::drift::column::Column;
use bellwether_detectors::drift::correction::adjusted;
use bellwether_detectors::drift::dataset::{ColumnDecision, DatasetRule, decide};
use bellwether_detectors::drift::examine::{Settings, examine};
use bellwether_detectors::drift::ks;
use bellwether_detectors::drift::order::sorted;
use bellwether_detectors::drift::stream::Stream;
use bellwether_model::verdict::Verdict;
use serde_json::json;

const COLUMNS: usize = 200;
const SHIFTED: usize = 20;

/// Shares of wrong and of found columns, summed over repeats.
#[derive(Default)]
struct Tally {
    false_share: f64,
    recall: f64,
}

impl Tally {
    fn count(&mut self, flagged: &[bool]) {
        let (right, all) = (flagged[..SHIFTED].iter().filter(|f| **f).count(), flagged.iter().filter(|f| **f).count());
        self.false_share += (all - right) as f64 / all.max(1) as f64;
        self.recall += right as f64 / SHIFTED as f64;
    }

    fn mean(&self, repeats: usize) -> serde_json::Value {
        json!({"fdr": self.false_share / repeats as f64, "recall": self.recall / repeats as f64})
    }
}

fn main() {
    let repeats: usize = std::env::args().nth(1).map_or(200, |a| a.parse().expect("the argument is a number of repeats"));
    let rule = DatasetRule::default();
    for n in [300, 1_000, 5_000, 20_000] {
        let mut stream = Stream::new(n as u64);
        let (mut flag, mut drifted, mut peer) = (Tally::default(), Tally::default(), Tally::default());
        for _ in 0..repeats {
            let (mut found, mut p_values) = (Vec::new(), Vec::new());
            for column in 0..COLUMNS {
                let a = sample(&mut stream, column, n, 0.0);
                let b = sample(&mut stream, column, n, if column < SHIFTED { 0.1 } else { 0.0 });
                let of = |values| Column::Numbers { values, nulls: 0 };
                found.push(examine(of(&a), of(&b), &Settings::default()));
                let distance = ks::of_sorted(&sorted(&a), &sorted(&b)).expect("samples are not empty");
                p_values.push(ks::p_value_asymptotic(distance, n as f64, n as f64));
            }
            let decision = decide(&found, &[], &rule);
            let all = |f: fn(&ColumnDecision) -> bool| decision.columns.iter().map(f).collect::<Vec<bool>>();
            flag.count(&all(|c| c.significant));
            drifted.count(&all(|c| c.verdict == Verdict::Fail));
            peer.count(&adjusted(&p_values).iter().map(|p| *p <= rule.q).collect::<Vec<bool>>());
        }
        let line = json!({"row": "drift-fdr", "n": n, "repeats": repeats, "flag": flag.mean(repeats), "ks_bh": peer.mean(repeats), "drifted": drifted.mean(repeats)});
        println!("{line}");
    }
}

/// Values of one of three distributions; the shift is in deviations of it.
fn sample(stream: &mut Stream, column: usize, n: usize, shift: f64) -> Vec<f64> {
    let mut value: Box<dyn FnMut() -> f64> = match column % 3 {
        0 => Box::new(|| stream.normal() + shift),
        1 => {
            let deviation = (0.49_f64.exp() * (0.49_f64.exp() - 1.0)).sqrt();
            Box::new(move || (0.7 * stream.normal()).exp() + shift * deviation)
        }
        _ => Box::new(|| -(stream.share() * stream.share()).ln() + shift * 2.0_f64.sqrt()),
    };
    (0..n).map(|_| value()).collect()
}
