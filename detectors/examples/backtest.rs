//! Backtests a preset or a rule on a folder in NAB's or Microsoft's layout, and prints the report as JSON:
//! `cargo run --release -p bellwether-detectors --example backtest -- DIR [novelty|telemetry|auto|RULE]`, where a rule is JSON such as
//! `{"name": "r", "method": "seasonal", "gap": "6h"}`.

use std::error::Error;
use std::path::Path;

use bellwether_detectors::backtest::{self, folder, rules};
use bellwether_detectors::preset::Preset;
use bellwether_detectors::rule::Rule;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().ok_or("which folder? give one in NAB's or Microsoft's layout")?;
    let detector = args.next().unwrap_or_else(|| "auto".to_owned());
    let series = folder::read(Path::new(&dir))?.series;
    let report = if detector.starts_with('{') {
        let rule: [Rule; 1] = [serde_json::from_str(&detector)?];
        let scores: Vec<Vec<f64>> = series.iter().map(|s| rules::scores(&rule, s)).collect();
        backtest::evaluate(&series, &scores)
    } else {
        let preset: Preset = detector.parse()?;
        backtest::run(&series, preset)
    };
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}
