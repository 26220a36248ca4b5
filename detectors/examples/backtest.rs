//! Backtests a preset on a folder in NAB's or Microsoft's layout, and prints the report as JSON:
//! `cargo run --release -p bellwether-detectors --example backtest -- DIR [novelty|telemetry|auto]`

use std::error::Error;
use std::path::Path;

use bellwether_detectors::backtest::{self, folder};
use bellwether_detectors::preset::Preset;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().ok_or("which folder? give one in NAB's or Microsoft's layout")?;
    let preset: Preset = args.next().as_deref().unwrap_or("auto").parse()?;
    let series = folder::read(Path::new(&dir))?;
    println!("{}", serde_json::to_string_pretty(&backtest::run(&series, preset))?);
    Ok(())
}
