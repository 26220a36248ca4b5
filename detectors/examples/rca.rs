//! Ranks the causes of issues in the layout of the PetShop set, beside two baselines, and prints the trial as JSON:
//! `cargo run --release -p bellwether-detectors --example rca -- DIR`

use std::error::Error;
use std::path::Path;

use bellwether_detectors::cause::{issue, trial::trial};

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args().nth(1).ok_or("which folder? give one with graph.csv in the folder of each scenario")?;
    let issues = issue::read(Path::new(&dir))?;
    let trial = trial(&issues.issues).ok_or("no issue can be used")?;
    println!("{}", serde_json::to_string_pretty(&trial)?);
    Ok(())
}
