//! The text of labelled series, as two public sets write it: NAB's and Microsoft's cloud monitoring dataset.

use std::str::FromStr;

use bellwether_model::time::Timestamp;
use thiserror::Error;

use super::labelled::LabelledSeries;

/// What is wrong with a labelled file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LayoutError {
    /// A row has too few cells.
    #[error("{file}:{line}: {cells} cells where {wanted} were expected")]
    Cells {
        /// The file's name.
        file: String,
        /// Its line, from 1.
        line: usize,
        /// Cells there are.
        cells: usize,
        /// Cells there should be.
        wanted: usize,
    },
    /// A cell is not what its column says.
    #[error("{file}:{line}: {text:?} is not a {wanted}")]
    Cell {
        /// The file's name.
        file: String,
        /// Its line, from 1.
        line: usize,
        /// The cell.
        text: String,
        /// What it should be.
        wanted: &'static str,
    },
}

/// NAB's layout: `timestamp,value` below a header; the windows are those of `combined_windows.json`. An empty value is NaN.
///
/// # Errors
/// The first row that cannot be read.
pub fn nab(name: &str, csv: &str, windows: &[(Timestamp, Timestamp)]) -> Result<LabelledSeries, LayoutError> {
    let rows = rows::<2>(name, csv)?;
    let (ts, values) = rows.into_iter().map(|(t, v, _)| (t, v)).unzip();
    let windows: Vec<(i64, i64)> = windows.iter().map(|(from, to)| (from.micros(), to.micros())).collect();
    Ok(LabelledSeries::with_intervals(name.to_owned(), ts, values, &windows))
}

/// Microsoft's layout: `TimeStamp,Value,Label` below a header, label 1 for an anomaly. An empty value is NaN.
///
/// # Errors
/// The first row that cannot be read.
pub fn microsoft(name: &str, csv: &str) -> Result<LabelledSeries, LayoutError> {
    let rows = rows::<3>(name, csv)?;
    let flags: Vec<bool> = rows.iter().map(|r| r.2).collect();
    let (ts, values) = rows.into_iter().map(|(t, v, _)| (t, v)).unzip();
    Ok(LabelledSeries::with_flags(name.to_owned(), ts, values, &flags))
}

fn rows<const CELLS: usize>(file: &str, csv: &str) -> Result<Vec<(i64, f64, bool)>, LayoutError> {
    let mut rows = Vec::new();
    for (line, text) in csv.lines().enumerate().skip(1).filter(|(_, text)| !text.trim().is_empty()) {
        let line = line + 1;
        let cells: Vec<&str> = text.split(',').map(|c| c.trim().trim_matches('"')).collect();
        if cells.len() < CELLS {
            return Err(LayoutError::Cells { file: file.to_owned(), line, cells: cells.len(), wanted: CELLS });
        }
        let wrong = |text: &str, wanted| LayoutError::Cell { file: file.to_owned(), line, text: text.to_owned(), wanted };
        let t = Timestamp::from_str(cells[0]).map_err(|_| wrong(cells[0], "time"))?;
        let value = if cells[1].is_empty() { f64::NAN } else { cells[1].parse().map_err(|_| wrong(cells[1], "number"))? };
        let label = match cells.get(2).filter(|_| CELLS > 2) {
            None | Some(&"0" | &"0.0" | &"") => false,
            Some(&"1" | &"1.0") => true,
            Some(other) => return Err(wrong(other, "label, 0 or 1")),
        };
        rows.push((t.micros(), value, label));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_layouts() {
        let csv = "TimeStamp,Value,Label\n\"2018-07-03 14:00:00\",1,0\n\"2018-07-03T15:00:00Z\",,1\n\"2018-07-03 16:00:00\",2.5,1\n";
        let series = microsoft("m", csv).unwrap();
        assert_eq!((series.events.len(), series.events[0].clone()), (1, 1..3));
        assert_eq!((series.values[2], series.ts[1] - series.ts[0]), (2.5, 3_600_000_000));
        assert!(series.values[1].is_nan());
        let window = ("2018-07-03 15:00:00.000000".parse().unwrap(), "2018-07-04".parse().unwrap());
        assert_eq!(nab("n", csv, &[window]).unwrap().events, series.events);
        assert_eq!(microsoft("m", "h\n2018-07-03,1,2").unwrap_err().to_string(), "m:2: \"2\" is not a label, 0 or 1");
        assert_eq!(nab("n", "h\n2018-07-03", &[]).unwrap_err().to_string(), "n:2: 1 cells where 2 were expected");
    }
}
