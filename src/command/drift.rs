//! `bellwether drift`

use std::path::{Path, PathBuf};

use bellwether_detectors::drift::DriftRule;
use bellwether_detectors::drift::dataset::DatasetRule;
use bellwether_governance::yaml::suggestion;
use bellwether_lake::tables::TableDef;
use bellwether_model::verdict::Verdict;
use bellwether_pipelines::columns::profile::{self, Origin, ProfileError, is_profile};
use bellwether_pipelines::columns::{self, Table, cells, sketched};
use bellwether_pipelines::file::{FileError, Format};

use super::{session, sql_failure};
use crate::cli::{DriftArgs, DriftFailOn, Output, PredictionArgs, Stretch};
use crate::config::Config;
use crate::drift::account::{Account, Question, Side, compare};
use crate::drift::predictions::{Logged, fairness_verdict, judge};
use crate::drift::{page, text};
use crate::failure::{Failure, Kind};
use crate::query::tables_like;
use crate::{open, output};

/// Files of up to so many bytes together are compared exactly; larger ones are read in one pass into profiles.
const EXACT: u64 = 128 << 20;
/// A byte of Parquet holds about so many of text.
const PACKED: u64 = 4;
/// The seeds of the sketches of both sides.
const SEEDS: [u64; 2] = [0x0D21_F700, 0x0D21_F7FF];

/// Runs the command on files, which needs no ledger; where there is a configuration, its rule of drift counts.
pub async fn run(rule: DriftRule, args: DriftArgs, output: Output) -> Result<(), Failure> {
    let DriftArgs { reference: Some(reference), current, .. } = &args else {
        return Err(Failure::new(Kind::Internal, "neither files nor a table were named"));
    };
    let question = question(rule, &args)?;
    let exact = is_exact(reference, current.as_deref());
    let before = read(reference, None, exact, SEEDS[0]).await?;
    if let Some(path) = &args.save_profile {
        keep(path, &before, args.model.clone())?;
    }
    let Some(current) = current else { return Ok(()) };
    let like = (!exact).then(|| before.table.clone());
    let now = read(current, like, exact, SEEDS[1]).await?;
    let mut account = judged(before, now, &question)?;
    let told = &args.predictions;
    if told.probability.is_some() || told.prediction.is_some() || told.group.is_some() {
        if !(0.0..=1.0).contains(&told.threshold) {
            return Err(Failure::user(format!("the threshold is {}, but a probability is 0 to 1", told.threshold)));
        }
        let now = logged(current, told).await?;
        let before = if is_profile(reference) { Logged::default() } else { logged(reference, told).await? };
        account.predictions = Some(judge(&before, &now, told.threshold));
    }
    tell(&account, &args, output)
}

/// Runs the command on a table or view of the ledger, before and after.
pub async fn run_on_table(config: &Config, args: DriftArgs, output: Output) -> Result<(), Failure> {
    let (Some(name), Some(before), Some(after)) = (&args.table, args.before, args.after) else {
        return Err(Failure::new(Kind::Internal, "a table without both stretches of time was let through"));
    };
    let question = question(config.judge.drift.clone(), &args)?;
    let lake = open::lake(config).await?;
    let session = session(&lake, None).await?;
    let base = name.strip_suffix("_current").unwrap_or(name);
    let known = TableDef::of_name(base).and_then(|def| def.event_time);
    let Some(time) = args.time.as_deref().or(known) else {
        return Err(match TableDef::of_name(base) {
            Some(_) => Failure::user(format!("rows of {name} have no time of their own")).hint("name a column of time with --time"),
            None => Failure::user(format!("the ledger has no table {name}")).hint(tables_like(name)),
        });
    };
    let quoted = |word: &str| format!("\"{}\"", word.replace('"', "\"\""));
    let side = async |stretch: Stretch| {
        let sql = format!(
            "SELECT * FROM {} WHERE {time} >= TIMESTAMP '{}' AND {time} < TIMESTAMP '{}'",
            quoted(name),
            stretch.from,
            stretch.until,
            time = quoted(time)
        );
        let (schema, batches) = session.all(&sql).await.map_err(|e| sql_failure(&e))?;
        let mut table = Table::of_schema(&schema);
        batches.iter().try_for_each(|b| table.add(b)).map_err(|e| Failure::of(Kind::Internal, &e))?;
        let table = table.finished();
        let side =
            Side { name: format!("{name} {} .. {}", stretch.from, stretch.until), rows: table.rows, is_sketched: false, model: None };
        Ok::<Known, Failure>(Known { side, table })
    };
    let account = judged(side(before).await?, side(after).await?, &question)?;
    tell(&account, &args, output)
}

/// A side that was read.
struct Known {
    side: Side,
    table: Table,
}

fn question(rule: DriftRule, args: &DriftArgs) -> Result<Question, Failure> {
    rule.validate().map_err(|e| Failure::config(format!("judge.drift: {e}")))?;
    Ok(Question {
        columns: args.columns.clone(),
        measures: args.measures.clone(),
        weights: args.weights.clone(),
        bins: rule.bins,
        rule: DatasetRule { q: rule.q, share: args.share.0 },
    })
}

fn judged(before: Known, now: Known, question: &Question) -> Result<Account, Failure> {
    let all = before.table.columns.iter().chain(&now.table.columns).map(|(n, _)| n.as_str());
    let asked = question
        .columns
        .iter()
        .chain(question.measures.iter().filter_map(|(c, _)| c.as_ref()))
        .chain(question.weights.iter().map(|(c, _)| c));
    for name in asked {
        if !all.clone().any(|known| known == name) {
            return Err(Failure::user(format!("neither side has a column {name:?}")).hint(suggestion(name, all)));
        }
    }
    Ok(compare((before.side, &before.table), (now.side, &now.table), question))
}

/// Whether both files fit into memory together. A profile stands for a file of any size, so what is compared with one is read as one.
fn is_exact(reference: &Path, current: Option<&Path>) -> bool {
    let size = |path: &Path| {
        let bytes = std::fs::metadata(path).map_or(0, |m| m.len());
        if matches!(Format::of(path), Ok(Format::Parquet)) { bytes.saturating_mul(PACKED) } else { bytes }
    };
    let files = [Some(reference), current].into_iter().flatten();
    !files.clone().any(is_profile) && files.map(size).sum::<u64>() <= EXACT
}

async fn read(path: &Path, like: Option<Table>, exact: bool, seed: u64) -> Result<Known, Failure> {
    let owned = path.to_owned();
    let read = move || -> Result<(Table, Origin), ProfileError> {
        match () {
            () if is_profile(&owned) => profile::load(&owned),
            () if exact => Ok((columns::read(&owned)?, Origin::default())),
            () => Ok((sketched::sketch(&owned, like.as_ref(), seed)?, Origin::default())),
        }
    };
    let (table, origin) = blocking(read).await?.map_err(|e| Failure::of(Kind::User, &e))?;
    let side = Side { name: path.display().to_string(), rows: table.rows, is_sketched: !exact, model: origin.model };
    Ok(Known { side, table })
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| Failure::new(Kind::Internal, format!("reading a file stopped unexpectedly: {e}")))
}

fn keep(path: &Path, known: &Known, model: Option<String>) -> Result<(), Failure> {
    let origin = Origin { made_of: known.side.name.clone(), model: model.or_else(|| known.side.model.clone()) };
    profile::save(path, &known.table, &origin, SEEDS[0]).map_err(|e| Failure::of(Kind::User, &e))?;
    let size = std::fs::metadata(path).map_or(0, |m| m.len());
    eprintln!(
        "{} written: {} columns and {} rows in {} KiB",
        path.display(),
        known.table.columns.len(),
        known.side.rows,
        size.div_ceil(1_024)
    );
    Ok(())
}

/// The logged predictions of a file; columns that it does not have are empty.
async fn logged(path: &Path, told: &PredictionArgs) -> Result<Logged, Failure> {
    let column = async |name: &Option<String>| -> Result<Vec<Option<String>>, Failure> {
        let Some(name) = name.clone() else { return Ok(Vec::new()) };
        let path: PathBuf = path.to_owned();
        match blocking(move || cells::read(&path, &[&name])).await? {
            Ok(mut columns) => Ok(columns.pop().unwrap_or_default()),
            Err(FileError::NoColumn { .. }) => Ok(Vec::new()),
            Err(error) => Err(Failure::of(Kind::User, &error)),
        }
    };
    let is_positive = |cell: &Option<String>| cell.as_ref().map(|c| told.positive.as_ref() == Some(c) || is_yes(c));
    let probability = |cell: &Option<String>| cell.as_ref().and_then(|c| c.trim().parse().ok()).unwrap_or(f64::NAN);
    Ok(Logged {
        probabilities: column(&told.probability).await?.iter().map(probability).collect(),
        decisions: column(&told.prediction).await?.iter().map(is_positive).collect(),
        labels: column(&told.label).await?.iter().map(is_positive).collect(),
        groups: column(&told.group).await?,
    })
}

fn is_yes(cell: &str) -> bool {
    ["1", "1.0", "true", "True", "TRUE", "yes"].contains(&cell.trim())
}

/// Prints and writes what was found, and fails where that was asked for.
fn tell(account: &Account, args: &DriftArgs, output: Output) -> Result<(), Failure> {
    if let Some(path) = &args.html {
        let html = page::page(account);
        std::fs::write(path, &html).map_err(|e| Failure::user(format!("cannot write the page to {}: {e}", path.display())))?;
        eprintln!("{} written ({} KiB)", path.display(), html.len().div_ceil(1_024));
    }
    output::print(output, account, || text::render(account))?;
    let found = |what: &DriftFailOn| match what {
        DriftFailOn::Column if account.drifted > 0 => Some(format!("{} of {} columns drifted", account.drifted, account.columns.len())),
        DriftFailOn::Dataset if account.verdict == Verdict::Fail => Some("the whole has drifted".to_owned()),
        DriftFailOn::Performance if performs_worse(account) => Some("the classifier does worse than on the reference".to_owned()),
        DriftFailOn::Fairness if is_unfair(account) => Some("groups are not treated alike".to_owned()),
        _ => None,
    };
    match args.fail_on.iter().find_map(found) {
        Some(words) => Err(Failure::new(Kind::Findings, words)),
        None => Ok(()),
    }
}

fn performs_worse(account: &Account) -> bool {
    account.predictions.as_ref().and_then(|p| p.performance.as_ref()).is_some_and(|s| s.verdict == Verdict::Fail)
}

fn is_unfair(account: &Account) -> bool {
    account.predictions.as_ref().and_then(|p| p.fairness.as_ref()).is_some_and(|f| fairness_verdict(f) == Verdict::Fail)
}
