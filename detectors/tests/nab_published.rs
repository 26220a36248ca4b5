//! The published scores of NAB's detectors, scored by us, give the published figures. Needs `BELLWETHER_DATA`, a folder
//! with `nab/` in it; without it there is nothing to compare and the test says so.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::path::Path;

use bellwether_detectors::backtest::folder;
use bellwether_detectors::backtest::nab::{PROFILES, fit, normalised, raw};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use serde_json::Value;

type Scores = BTreeMap<String, Vec<f64>>;

fn scores(path: &Path) -> Result<Scores, Box<dyn Error>> {
    let mut scores = Scores::new();
    for row in SerializedFileReader::new(File::open(path)?)?.get_row_iter(None)? {
        let row = row?;
        let of_file = scores.entry(row.get_string(0)?.clone()).or_default();
        assert_eq!(usize::try_from(row.get_int(1)?)?, of_file.len());
        of_file.push(row.get_double(2)?);
    }
    Ok(scores)
}

#[test]
fn published_figures_are_reproduced() {
    let Ok(data) = std::env::var("BELLWETHER_DATA") else {
        eprintln!("skipped: set BELLWETHER_DATA to a folder with nab/ (github.com/numenta/NAB: data, labels, and results as Parquet)");
        return;
    };
    let nab = Path::new(&data).join("nab");
    let series = folder::read(&nab).unwrap().series;
    let series: Vec<_> = series.iter().collect();
    let expected: BTreeMap<String, Value> = serde_json::from_reader(File::open(nab.join("results/EXPECTED.json")).unwrap()).unwrap();
    assert!(expected.len() >= 8);
    for (detector, expected) in expected {
        let scores = scores(&nab.join(format!("results/{detector}.parquet"))).unwrap();
        let scores: Vec<&[f64]> = series.iter().map(|s| scores[&s.name].as_slice()).collect();
        assert!(series.iter().zip(&scores).all(|(series, scores)| series.values.len() == scores.len()));
        for profile in &PROFILES {
            let published = &expected["these_files"][profile.name];
            let (score, threshold) = (published["score"].as_f64().unwrap(), published["threshold"].as_f64().unwrap());
            let fitted = fit(&series, &scores, profile);
            assert!((fitted.score - score).abs() <= 0.01, "{detector}, {}: {} and not {score}", profile.name, fitted.score);
            let (sum, windows) = raw(&series, &scores, profile, fitted.threshold);
            assert!((normalised(sum, windows, profile) - fitted.score).abs() < 1e-9);
            println!("{detector:18} {:19} {:6.2} at {} (published {score} at {threshold})", profile.name, fitted.score, fitted.threshold);
        }
    }
}
