//! `bellwether backtest`

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;

use bellwether_detectors::backtest::fit::{self, Both, Choice, Fitted};
use bellwether_detectors::backtest::folder::{self, FolderError, Labelled};
use bellwether_detectors::backtest::labelled::LabelledSeries;
use bellwether_detectors::backtest::{Report, evaluate, rules};
use bellwether_detectors::preset::{self, Preset};
use bellwether_detectors::rule::Rule;
use futures::{StreamExt as _, TryStreamExt as _};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::cli::{BacktestArgs, Output, PresetName};
use crate::config::Config;
use crate::failure::{Failure, Kind};
use crate::report::chart::Band;
use crate::{open, output};

mod feedback;
mod figures;
mod settings;
mod usual;

use settings::Rules;

/// Series that are scored side by side.
const THREADS: usize = 2;

/// What scores the series.
#[derive(Clone, Debug)]
enum Detector {
    /// A ready-made one.
    Preset(Preset),
    /// Rules, and whether each judges its own metric only.
    Rules { rules: Arc<Rules>, by_metric: bool },
    /// Whatever the labels speak for.
    Fit,
}

/// What a series was scored with.
enum Scored {
    Scores(Vec<f64>),
    Both(Both),
}

/// What the backtest found.
#[derive(Debug, Serialize)]
struct Account {
    /// Where the series came from.
    source: String,
    /// What scored them.
    detector: String,
    #[serde(flatten)]
    report: Report,
    /// What labels chose, with `--fit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    choice: Option<Choice>,
    /// What to keep in mind.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

/// Runs the command. `config` is asked for only where the ledger or its rules are.
pub async fn run(config: impl FnOnce() -> Result<Config, Failure>, args: BacktestArgs, output: Output) -> Result<(), Failure> {
    if let Some(bar) = args.fail_below.filter(|bar| !(0.0..=1.0).contains(bar)) {
        return Err(Failure::user(format!("--fail-below {bar}: F1 is a number from 0 to 1")).hint("for 60 % write 0.6"));
    }
    let config = if args.feedback { Some(config()?) } else { None };
    let detector = detector(&args, config.as_ref())?;
    let mut notes = Vec::new();
    let (source, series) = match (&config, &args.dir) {
        (Some(config), _) => {
            notes.push("what nobody labelled counts as normal".to_owned());
            ("feedback in the ledger".to_owned(), feedback::series(config).await?)
        }
        (None, Some(dir)) => {
            let Labelled { series, notes: odd } = read(dir)?;
            notes.extend(odd);
            (dir.display().to_string(), series)
        }
        (None, None) => return Err(Failure::user("neither a folder nor --feedback was given")),
    };
    if let Detector::Rules { rules, .. } = &detector {
        notes.extend(settings::rare_points(&rules.all, &series));
    }
    let series = Arc::new(series);
    let scored = score(&detector, &series).await?;
    let judged = Arc::clone(&series);
    let judging = tokio::task::spawn_blocking(move || judge(&judged, scored));
    let (report, choice) = judging.await.map_err(|e| Failure::new(Kind::Internal, format!("judging stopped unexpectedly: {e}")))?;
    let account = Account { source, detector: detector.words(), report, choice, notes };
    if let (Some(path), Some(choice)) = (&args.fit, &account.choice) {
        settings::save(path, &settings::text(&account.source, choice, &account.report, settings::gap(&series)))?;
    }
    draw(&args, &detector, &account, &series)?;
    output::print(output, &account, || figures::text(&account))?;
    let Some(bar) = args.fail_below else { return Ok(()) };
    match account.report.eventwise {
        None => Err(Failure::new(Kind::Findings, "nothing is labelled as an event, so event F1 is not known")),
        Some(quality) if quality.f1 < bar => Err(Failure::new(Kind::Findings, format!("event F1 is {:.3}, below {bar}", quality.f1))),
        Some(_) => Ok(()),
    }
}

fn detector(args: &BacktestArgs, config: Option<&Config>) -> Result<Detector, Failure> {
    let detector = match (&args.rules, args.preset, config) {
        _ if args.fit.is_some() => Detector::Fit,
        (Some(path), ..) => Detector::Rules { rules: Arc::new(settings::read(path)?), by_metric: false },
        (None, Some(preset), _) => Detector::Preset(match preset {
            PresetName::Novelty => Preset::Novelty,
            PresetName::Telemetry => Preset::Telemetry,
            PresetName::Auto => Preset::Auto,
        }),
        (None, None, Some(config)) => {
            let all = open::detection(&open::rules(config)?)?;
            Detector::Rules { rules: Arc::new(Rules { all, ..Rules::default() }), by_metric: true }
        }
        (None, None, None) => Detector::Preset(Preset::Auto),
    };
    match &detector {
        Detector::Rules { rules, .. } if rules.all.is_empty() => {
            Err(Failure::config("there is no rule to judge by").hint("give a file with a detect block to --rules, or choose a --preset"))
        }
        _ => Ok(detector),
    }
}

impl Detector {
    fn words(&self) -> String {
        match self {
            Self::Preset(preset) => format!("preset {}", bellwether_model::signal::Method::from(*preset)),
            Self::Rules { rules, by_metric } => {
                let rules = &rules.all;
                let names: Vec<&str> = rules.iter().take(4).map(|r| r.name.as_str()).collect();
                let more = if rules.len() > 4 { format!(" and {} more", rules.len() - 4) } else { String::new() };
                let whose = if *by_metric { ", each for its metric" } else { "" };
                format!("rules {}{more}{whose}", names.join(", "))
            }
            Self::Fit => "what the labels of the other series choose".to_owned(),
        }
    }

    fn score(&self, series: &LabelledSeries) -> Scored {
        Scored::Scores(match self {
            Self::Preset(preset) => preset::scores(*preset, &series.ts, &series.values),
            Self::Rules { .. } => rules::scores(&self.rules_of(series), series),
            Self::Fit => return Scored::Both(Both::of(series)),
        })
    }
}

impl Detector {
    /// The rules that judge a series: those of its group or metric, where that counts.
    fn rules_of(&self, series: &LabelledSeries) -> Vec<Rule> {
        match self {
            Self::Rules { rules, by_metric: true } => rules.all.iter().filter(|r| r.metric == series.group()).cloned().collect(),
            Self::Rules { rules, by_metric: false } => rules.groups.get(series.group()).unwrap_or(&rules.all).clone(),
            Self::Preset(_) | Self::Fit => Vec::new(),
        }
    }
}

/// The labelled series of a folder; where there are none, what would be.
fn read(dir: &Path) -> Result<Labelled, Failure> {
    const LAYOUTS: &str = "NAB's layout is data/**/*.csv with timestamp,value and labels/combined_windows.json; \
                           Microsoft's is any *.csv with TimeStamp,Value,Label, where the label is 0 or 1";
    folder::read(dir).map_err(|e| {
        let failure = Failure::of(Kind::User, &e);
        match e {
            FolderError::File(_) | FolderError::Row { .. } | FolderError::Windows { .. } => failure,
            FolderError::Read { .. } | FolderError::Empty(_) | FolderError::Unlabelled(_) => failure.hint(LAYOUTS),
        }
    })
}

/// Scores every series, some side by side, with a bar on a terminal.
async fn score(detector: &Detector, series: &Arc<Vec<LabelledSeries>>) -> Result<Vec<Scored>, Failure> {
    let bar = bar(series.len());
    let scoring = futures::stream::iter(0..series.len()).map(|k| {
        let (detector, series, bar) = (detector.clone(), Arc::clone(series), bar.clone());
        async move {
            let scored = tokio::task::spawn_blocking(move || detector.score(&series[k])).await;
            bar.inc(1);
            scored.map_err(|e| Failure::new(Kind::Internal, format!("scoring stopped unexpectedly: {e}")))
        }
    });
    let scored = scoring.buffered(THREADS).try_collect().await;
    bar.finish_and_clear();
    scored
}

fn bar(series: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("scoring series {bar:30} {pos}/{len} {elapsed}").unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(series as u64).with_style(style)
}

fn judge(series: &[LabelledSeries], scored: Vec<Scored>) -> (Report, Option<Choice>) {
    let (mut scores, mut both) = (Vec::new(), Vec::new());
    for one in scored {
        match one {
            Scored::Scores(of_series) => scores.push(of_series),
            Scored::Both(of_series) => both.push(of_series),
        }
    }
    if both.is_empty() {
        return (evaluate(series, &scores), None);
    }
    let Fitted { choice, report } = fit::fit(series, &both);
    (report, Some(choice))
}

/// Writes the page and the pictures that were asked for.
fn draw(args: &BacktestArgs, detector: &Detector, account: &Account, series: &[LabelledSeries]) -> Result<(), Failure> {
    use crate::report::backtest::{page, picture};
    if args.html.is_none() && args.svg.is_none() {
        return Ok(());
    }
    let bands: Vec<Vec<Option<Band>>> = series.iter().map(|s| usual::bands(detector, account.choice.as_ref(), s)).collect();
    if let Some(path) = &args.html {
        let (columns, rows) = figures::rows(account);
        let totals = figures::totals(account);
        write(path, &page((&account.source, &account.detector), &totals, (columns, &rows), (series, &bands), &account.report))?;
    }
    if let Some(dir) = &args.svg {
        std::fs::create_dir_all(dir).map_err(|e| Failure::user(format!("cannot make the folder {}: {e}", dir.display())))?;
        let mut names = BTreeSet::new();
        for ((series, bands), outcome) in series.iter().zip(&bands).zip(&account.report.series) {
            let plain: String = series.name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect();
            let mut name = plain.strip_suffix(".csv").unwrap_or(&plain).to_owned();
            // a/b.csv and a-b.csv
            while !names.insert(name.clone()) {
                name.push_str("-2");
            }
            write(&dir.join(format!("{name}.svg")), &picture(&account.detector, (series, bands), outcome))?;
        }
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|e| Failure::user(format!("cannot write {}: {e}", path.display())))
}
