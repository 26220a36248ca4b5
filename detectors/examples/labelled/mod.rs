//! Labelled series from the folders that public sets come in.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use bellwether_detectors::backtest::{LabelledSeries, layout};
use bellwether_model::time::Timestamp;

/// The series of a folder in NAB's layout (`data/`, `labels/combined_windows.json`) or Microsoft's (`data/<group>/*.csv`), in order of name.
pub(crate) fn read(folder: &Path) -> Result<Vec<LabelledSeries>, Box<dyn Error>> {
    let data = folder.join("data");
    let mut paths = Vec::new();
    walk(&data, &mut paths).map_err(|e| format!("{}: {e}; give a folder in NAB's or Microsoft's layout", data.display()))?;
    paths.sort();
    let labels = folder.join("labels/combined_windows.json");
    let windows: Option<BTreeMap<String, Vec<(Timestamp, Timestamp)>>> =
        if labels.exists() { Some(serde_json::from_str(&fs::read_to_string(labels)?)?) } else { None };
    let series = paths.iter().map(|path| {
        let name = path.strip_prefix(&data)?.to_string_lossy().into_owned();
        let text = fs::read_to_string(path)?;
        Ok(match &windows {
            Some(windows) => layout::nab(&name, &text, windows.get(&name).map_or(&[], Vec::as_slice))?,
            None => layout::microsoft(&name, &text)?,
        })
    });
    series.collect()
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, paths)?;
        } else if path.extension().is_some_and(|e| e == "csv") {
            paths.push(path);
        }
    }
    Ok(())
}
