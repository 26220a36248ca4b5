//! Issues with a known cause, as the PetShop set writes them (Hardt et al. 2024): one folder a scenario, with `graph.csv` (who calls whom),
//! `noissue/metrics.csv` (how it usually is) and, one or two folders below, `issue_*/metrics.csv` and `target.json`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use bellwether_model::time::Timestamp;
use serde::Deserialize;
use thiserror::Error;

/// Why a folder gives no issues.
#[derive(Debug, Error)]
pub enum IssueError {
    /// It, or a file of it, cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no scenario in it.
    #[error("{} has no folder with a graph.csv in it", .0.display())]
    Empty(PathBuf),
    /// A target cannot be read.
    #[error("{}:{}: {source}", path.display(), source.line())]
    Target {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A row of a table.
    #[error("{}:{line}: {what}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// What is wrong there.
        what: String,
    },
}

/// One service in one issue: the metric that somebody complained about, of this service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// Its values when nothing was wrong.
    pub normal: Vec<f64>,
    /// Its values around the issue, in order of time.
    pub values: Vec<(Timestamp, f64)>,
}

/// One issue whose cause is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Issue {
    /// `scenario/split/issue`, as its folders are called.
    pub name: String,
    /// The scenario: issues of one share the services and what is usual.
    pub scenario: String,
    /// The services.
    pub nodes: Vec<String>,
    /// Who calls whom: places in `nodes`.
    pub calls: Vec<(usize, usize)>,
    /// What was seen of each service, in the same order.
    pub seen: Vec<Seen>,
    /// The times at which values were taken around the issue.
    pub times: Vec<Timestamp>,
    /// The service that somebody complained about.
    pub target: usize,
    /// The metric and its statistic, as in `latency Average`.
    pub metric: String,
    /// When.
    pub at: Timestamp,
    /// The service at fault.
    pub cause: usize,
}

/// Issues, and those that cannot be used.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Issues {
    /// Usable ones, by name.
    pub issues: Vec<Issue>,
    /// Names of the others, and why.
    pub unusable: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct Target {
    target: Complaint,
    root_cause: Culprit,
}

#[derive(Deserialize)]
struct Complaint {
    node: String,
    metric: String,
    agg: String,
    timestamp: i64,
}

#[derive(Deserialize)]
struct Culprit {
    node: String,
}

/// Values of one column in order of time.
type Column = Vec<(Timestamp, f64)>;

/// A table of metrics: the columns by metric and statistic, and of those by service.
#[derive(Default)]
struct Metrics {
    times: Vec<Timestamp>,
    columns: BTreeMap<(String, String), BTreeMap<String, Column>>,
}

/// Services, and who calls whom.
type Calls = (Vec<String>, Vec<(usize, usize)>);

/// The issues of a folder, or of the folder `dataset` in it. Issues of a scenario without `noissue/metrics.csv` are unusable.
///
/// # Errors
/// The first thing that cannot be read, with file and line.
pub fn read(folder: &Path) -> Result<Issues, IssueError> {
    let inner = folder.join("dataset");
    let folder = if inner.is_dir() { inner } else { folder.to_owned() };
    let mut found = Issues::default();
    let scenarios: Vec<PathBuf> = folders(&folder)?.into_iter().filter(|f| f.join("graph.csv").is_file()).collect();
    if scenarios.is_empty() {
        return Err(IssueError::Empty(folder));
    }
    for scenario in scenarios {
        let (nodes, calls) = graph(&scenario.join("graph.csv"))?;
        let normal = Some(scenario.join("noissue/metrics.csv")).filter(|path| path.is_file()).map(|path| metrics(&path)).transpose()?;
        let mut paths = Vec::new();
        for outer in folders(&scenario)? {
            paths.extend(folders(&outer)?.into_iter().filter(|f| f.join("target.json").is_file()));
        }
        for path in paths {
            let name = path.strip_prefix(&folder).unwrap_or(&path).to_string_lossy().into_owned();
            let Some(normal) = &normal else {
                found.unusable.push((name, "its scenario has no noissue/metrics.csv: nothing says how it usually is".to_owned()));
                continue;
            };
            match issue(&path, &name, &nodes, &calls, normal)? {
                Ok(issue) => found.issues.push(issue),
                Err(why) => found.unusable.push((name, why)),
            }
        }
    }
    Ok(found)
}

/// One issue, or why it cannot be used.
fn issue(
    path: &Path,
    name: &str,
    nodes: &[String],
    calls: &[(usize, usize)],
    normal: &Metrics,
) -> Result<Result<Issue, String>, IssueError> {
    let file = path.join("target.json");
    let Target { target, root_cause } = serde_json::from_str(&text(&file)?).map_err(|source| IssueError::Target { path: file, source })?;
    let around = metrics(&path.join("metrics.csv"))?;
    let place = |node: &str| nodes.iter().position(|n| n == node);
    let (Some(place_of_target), Some(cause)) = (place(&target.node), place(&root_cause.node)) else {
        return Ok(Err(format!("{} or {} is not in graph.csv", target.node, root_cause.node)));
    };
    let key = (target.metric.clone(), target.agg.clone());
    let of = |metrics: &Metrics, node: &String| metrics.columns.get(&key).and_then(|m| m.get(node)).cloned().unwrap_or_default();
    let seen: Vec<Seen> = nodes
        .iter()
        .map(|node| Seen { normal: of(normal, node).into_iter().map(|(_, v)| v).collect(), values: of(&around, node) })
        .collect();
    Ok(Ok(Issue {
        name: name.to_owned(),
        scenario: name.split('/').next().unwrap_or_default().to_owned(),
        nodes: nodes.to_vec(),
        calls: calls.to_vec(),
        seen,
        times: around.times,
        target: place_of_target,
        metric: format!("{} {}", target.metric, target.agg),
        at: Timestamp::from_secs(target.timestamp),
        cause,
    }))
}

/// Who calls whom: a square table of 0 and 1, the caller at the left.
fn graph(path: &Path) -> Result<Calls, IssueError> {
    let text = text(path)?;
    let mut lines = text.lines();
    let nodes: Vec<String> = lines.next().unwrap_or_default().split(',').skip(1).map(str::to_owned).collect();
    let mut calls = Vec::new();
    for (row, line) in lines.enumerate() {
        let wrong = |what: String| IssueError::Row { path: path.to_owned(), line: row + 2, what };
        let mut cells = line.split(',');
        let caller = cells.next().unwrap_or_default();
        let caller = nodes.iter().position(|n| n == caller).ok_or_else(|| wrong(format!("{caller:?} is not a column")))?;
        for (callee, cell) in cells.enumerate() {
            let number: f64 = cell.trim().parse().map_err(|_| wrong(format!("{cell:?} is not a number")))?;
            if number > 0.0 && callee < nodes.len() {
                calls.push((caller, callee));
            }
        }
    }
    Ok((nodes, calls))
}

/// Three lines of headers (service, metric, statistic), one with the name of the first column, then seconds since the epoch and values;
/// an empty cell is no measurement.
fn metrics(path: &Path) -> Result<Metrics, IssueError> {
    let text = text(path)?;
    let mut lines = text.lines();
    let mut header = || lines.next().unwrap_or_default().split(',').skip(1).map(str::to_owned).collect::<Vec<_>>();
    let (services, names, statistics) = (header(), header(), header());
    let mut found = Metrics::default();
    for (row, line) in lines.enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |what: String| IssueError::Row { path: path.to_owned(), line: row + 4, what };
        let (time, cells) = line.split_once(',').unwrap_or((line, ""));
        if time == "unix_timestamp" {
            continue;
        }
        let at: f64 = time.parse().map_err(|_| wrong(format!("{time:?} is not a time in seconds")))?;
        let at = Timestamp::from_micros((at * 1e6) as i64);
        found.times.push(at);
        for (column, cell) in cells.split(',').enumerate().filter(|(_, cell)| !cell.is_empty()) {
            let value: f64 = cell.trim().parse().map_err(|_| wrong(format!("{cell:?} is not a number")))?;
            let (Some(service), Some(name), Some(statistic)) = (services.get(column), names.get(column), statistics.get(column)) else {
                return Err(wrong(format!("{} cells, but {} columns", column + 2, services.len() + 1)));
            };
            if value.is_finite() {
                let of = found.columns.entry((name.clone(), statistic.clone())).or_default();
                of.entry(service.clone()).or_default().push((at, value));
            }
        }
    }
    Ok(found)
}

fn text(path: &Path) -> Result<String, IssueError> {
    std::fs::read_to_string(path).map_err(|source| IssueError::Read { path: path.to_owned(), source })
}

fn folders(folder: &Path) -> Result<Vec<PathBuf>, IssueError> {
    let unreadable = |source| IssueError::Read { path: folder.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRAPH: &str = ",shop,search\nshop,0.0,1.0\nsearch,0.0,0.0\n";
    const METRICS: &str = "microservice,shop,search,shop\nmetric,latency,latency,requests\nstatistic,Average,Average,Sum\nunix_timestamp,,,\n\
                           1681350000.0,0.5,,7\n1681350300.0,0.75,0.25,8\n";
    const TARGET: &str = r#"{"target": {"node": "shop", "metric": "latency", "agg": "Average", "timestamp": 1681350200},
                             "root_cause": {"node": "search", "metric": null}}"#;

    fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("bellwether-issue-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        for (path, text) in files {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn an_issue_is_read_and_one_without_a_past_is_named() {
        let issues = read(&folder(
            "good",
            &[
                ("dataset/low/graph.csv", GRAPH),
                ("dataset/low/noissue/metrics.csv", METRICS),
                ("dataset/low/train/issue_0/metrics.csv", METRICS),
                ("dataset/low/train/issue_0/target.json", TARGET),
                ("dataset/odd/graph.csv", GRAPH),
                ("dataset/odd/train/issue_3/target.json", TARGET),
            ],
        ))
        .unwrap();
        assert_eq!(issues.unusable.len(), 1);
        assert!(issues.unusable[0].0 == "odd/train/issue_3" && issues.unusable[0].1.contains("no noissue/metrics.csv"));
        let [issue] = issues.issues.as_slice() else { panic!("{issues:?}") };
        assert_eq!((issue.name.as_str(), issue.scenario.as_str(), issue.metric.as_str()), ("low/train/issue_0", "low", "latency Average"));
        assert_eq!((issue.target, issue.cause, issue.calls.as_slice()), (0, 1, [(0, 1)].as_slice()));
        assert_eq!(issue.seen[0].normal, [0.5, 0.75]);
        assert_eq!(issue.seen[1].values, [(Timestamp::from_secs(1_681_350_300), 0.25)]);
        assert_eq!(issue.times.len(), 2);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let says = |folder: &Path, words: &str| {
            let error = read(folder).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        };
        says(Path::new("/nowhere/at/all"), "/nowhere/at/all cannot be read");
        says(&folder("none", &[("a/b.txt", "")]), "has no folder with a graph.csv");
        says(&folder("graph", &[("low/graph.csv", ",shop\nsearch,0\n")]), "graph.csv:2: \"search\" is not a column");
        let normal = |metrics: &str| folder("cell", &[("low/graph.csv", GRAPH), ("low/noissue/metrics.csv", metrics)]);
        says(&normal(&METRICS.replace("0.25", "x")), "metrics.csv:6: \"x\" is not a number");
        says(&normal(&METRICS.replace("1681350000.0", "noon")), "metrics.csv:5: \"noon\" is not a time");
        says(&normal(&format!("{METRICS}1,2,3,4,5\n")), "metrics.csv:7: 5 cells, but 4 columns");
        let target =
            [("low/graph.csv", GRAPH), ("low/noissue/metrics.csv", METRICS), ("low/train/issue_0/target.json", "{\n\"target\": 1}")];
        says(&folder("target", &target), "target.json:2: ");
    }
}
