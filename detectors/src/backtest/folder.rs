//! The folders that public labelled sets come in. The one place of this crate that reads files: a set is its files, and every
//! program that scores against labels reads them the same way.
//!
//! * NAB's layout: `data/**/*.csv` with `timestamp,value`, and `labels/combined_windows.json` with the windows of each file.
//! * Microsoft's layout: any `*.csv` below `data/`, or below the folder itself, with `TimeStamp,Value,Label`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use bellwether_model::time::Timestamp;
use thiserror::Error;

use super::labelled::LabelledSeries;
use super::layout::{self, LayoutError};

/// NAB's file of labels, below its folder.
const WINDOWS: &str = "labels/combined_windows.json";

/// The labelled windows of each file.
type Windows = BTreeMap<String, Vec<(Timestamp, Timestamp)>>;

/// Why a folder gives no labelled series.
#[derive(Debug, Error)]
pub enum FolderError {
    /// It is one file.
    #[error("{} is a file; give the folder that it is in", .0.display())]
    File(PathBuf),
    /// It, or a file of it, cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no CSV in it.
    #[error("{} has no *.csv in it", .0.display())]
    Empty(PathBuf),
    /// NAB's windows cannot be read.
    #[error("{}:{}: {source}", path.display(), source.line())]
    Windows {
        /// The file of windows.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The header of a CSV names no label, and there are no windows either.
    #[error("{}:1: no column Label, and no {WINDOWS} beside data/: nothing says which points are anomalies", .0.display())]
    Unlabelled(PathBuf),
    /// A row of a CSV.
    #[error("{}/{row}", folder.display())]
    Row {
        /// The folder that the file is in.
        folder: PathBuf,
        /// File, line and what is wrong there.
        row: LayoutError,
    },
}

/// What a folder holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Labelled {
    /// The series, in order of name: the path of their file below `data/`, or below the folder.
    pub series: Vec<LabelledSeries>,
    /// What is odd about it, in words: labels that belong to nothing, times that come twice.
    pub notes: Vec<String>,
}

/// The labelled series of a folder.
///
/// # Errors
/// The first thing that cannot be read, with file and line.
pub fn read(folder: &Path) -> Result<Labelled, FolderError> {
    if folder.is_file() {
        return Err(FolderError::File(folder.to_owned()));
    }
    let data = Some(folder.join("data")).filter(|data| data.is_dir()).unwrap_or_else(|| folder.to_owned());
    let mut paths = Vec::new();
    walk(&data, &mut paths)?;
    paths.sort();
    if paths.is_empty() {
        return Err(FolderError::Empty(data));
    }
    let windows = windows(&folder.join(WINDOWS))?;
    let one = |path: &PathBuf| {
        let name = path.strip_prefix(&data).unwrap_or(path).to_string_lossy().into_owned();
        let text = text(path)?;
        let read = match &windows {
            Some(windows) => layout::nab(&name, &text, windows.get(&name).map_or(&[], Vec::as_slice)),
            None if !names_a_label(&text) => return Err(FolderError::Unlabelled(path.clone())),
            None => layout::microsoft(&name, &text),
        };
        read.map_err(|row| FolderError::Row { folder: data.clone(), row })
    };
    let series: Vec<LabelledSeries> = paths.iter().map(one).collect::<Result<_, _>>()?;
    let notes = windows.iter().flat_map(|windows| astray(windows, &series)).chain(repeated(&series)).collect();
    Ok(Labelled { series, notes })
}

/// Windows of files that are not there, and windows without a point.
fn astray(windows: &Windows, series: &[LabelledSeries]) -> Vec<String> {
    let by_name: BTreeMap<&str, &LabelledSeries> = series.iter().map(|s| (s.name.as_str(), s)).collect();
    let (mut nowhere, mut empty) = (Vec::new(), Vec::new());
    for (name, windows) in windows {
        match by_name.get(name.as_str()) {
            None => nowhere.push(name.as_str()),
            Some(series) => {
                let is_empty = |(from, to): &&(Timestamp, Timestamp)| {
                    let (from, to) = (from.micros(), to.micros());
                    !series.ts.iter().any(|t| (from..=to).contains(t))
                };
                empty.extend(windows.iter().filter(is_empty).map(|(from, to)| format!("{name} from {from} to {to}")));
            }
        }
    }
    let nowhere = nowhere.first().map(|first| format!("{WINDOWS} labels {} files that are not there, such as {first}", nowhere.len()));
    let empty = empty.first().map(|first| format!("{} windows of {WINDOWS} have no point in them, such as {first}", empty.len()));
    nowhere.into_iter().chain(empty).collect()
}

/// Points whose time was there before.
fn repeated(series: &[LabelledSeries]) -> Option<String> {
    let twice = |s: &LabelledSeries| s.ts.windows(2).filter(|pair| pair[0] == pair[1]).count();
    let (points, first) = (series.iter().map(twice).sum::<usize>(), series.iter().find(|s| twice(s) > 0)?);
    Some(format!("{points} points have the time of the one before, such as in {}", first.name))
}

/// Whether the third column of a CSV is called `Label`.
fn names_a_label(csv: &str) -> bool {
    let third = csv.lines().next().and_then(|header| header.split(',').nth(2));
    third.is_some_and(|name| name.trim().trim_matches('"').eq_ignore_ascii_case("label"))
}

/// What NAB's file of labels says; `None` where there is no such file.
fn windows(path: &Path) -> Result<Option<Windows>, FolderError> {
    if !path.exists() {
        return Ok(None);
    }
    let windows = serde_json::from_str(&text(path)?);
    windows.map(Some).map_err(|source| FolderError::Windows { path: path.to_owned(), source })
}

fn text(path: &Path) -> Result<String, FolderError> {
    std::fs::read_to_string(path).map_err(|source| FolderError::Read { path: path.to_owned(), source })
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<(), FolderError> {
    let unreadable = |source| FolderError::Read { path: folder.to_owned(), source };
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            walk(&path, paths)?;
        } else if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv")) {
            paths.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own with these files.
    fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("bellwether-folder-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        for (path, text) in files {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    const CSV: &str = "TimeStamp,Value,Label\n2018-07-03 14:00:00,1,0\n2018-07-03 15:00:00,2,1\n";

    #[test]
    fn both_layouts_are_recognised() {
        let microsoft = folder("ms", &[("data/b/2.csv", CSV), ("data/a/1.csv", CSV), ("README.md", "no data")]);
        let names: Vec<String> = read(&microsoft).unwrap().series.into_iter().map(|s| s.name).collect();
        assert_eq!(names, ["a/1.csv", "b/2.csv"]);
        let plain = folder("plain", &[("mine.csv", CSV)]);
        assert_eq!(read(&plain).unwrap().series[0].events, std::iter::once(1..2).collect::<Vec<_>>());
        let windows =
            r#"{"a/1.csv": [["2018-07-03 14:30:00.000000", "2018-07-03 16:00:00.000000"], ["2019-01-01", "2019-01-02"]], "b.csv": []}"#;
        let nab = folder("nab", &[("data/a/1.csv", "timestamp,value\n2018-07-03 14:00:00,1\n2018-07-03 15:00:00,2\n"), (WINDOWS, windows)]);
        let read_nab = read(&nab).unwrap();
        assert_eq!(read_nab.series[0].events, std::iter::once(1..2).collect::<Vec<_>>());
        let astray = [
            "labels/combined_windows.json labels 1 files that are not there, such as b.csv",
            "1 windows of labels/combined_windows.json have no point in them, such as a/1.csv from 2019-01-01T00:00:00Z to 2019-01-02T00:00:00Z",
        ];
        assert_eq!(read_nab.notes, astray);
        let twice = read(&folder("twice", &[("x.csv", &format!("{CSV}2018-07-03 15:00:00,3,0\n"))])).unwrap();
        assert_eq!(twice.notes, ["1 points have the time of the one before, such as in x.csv"]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let says = |folder: &Path, words: &str| {
            let error = read(folder).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        };
        says(Path::new("/nowhere/at/all"), "/nowhere/at/all cannot be read");
        says(&folder("file", &[("x.csv", CSV)]).join("x.csv"), "is a file; give the folder");
        says(&folder("empty", &[("notes.txt", "")]), "has no *.csv in it");
        says(&folder("unlabelled", &[("data/x.csv", "timestamp,value\n2018-07-03,1\n")]), "x.csv:1: no column Label");
        says(&folder("other", &[("data/x.csv", "time,in,out\n2018-07-03,1,7\n")]), "x.csv:1: no column Label");
        says(&folder("row", &[("data/a/x.csv", &CSV.replace("2,1", "two,1"))]), "data/a/x.csv:3: \"two\" is not a number");
        let nab = folder("windows", &[("data/x.csv", "timestamp,value\n"), (WINDOWS, "{\n\"x.csv\": 1}")]);
        says(&nab, "combined_windows.json:2: ");
    }
}
