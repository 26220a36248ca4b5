//! `bellwether drift`

mod logged;
pub mod model;
mod retyped;
pub mod table;

use std::collections::BTreeSet;
use std::path::Path;

use bellwether_detectors::drift::DriftRule;
use bellwether_detectors::drift::dataset::DatasetRule;
use bellwether_governance::yaml::suggestion;
use bellwether_model::verdict::Verdict;
use bellwether_pipelines::columns::profile::{self, Origin, ProfileError, is_profile};
use bellwether_pipelines::columns::{self, Table, sketched};
use bellwether_pipelines::file::Format;

use crate::cli::{DriftArgs, DriftFailOn, Output};
use crate::drift::account::{Account, Question, Side, compare};
use crate::drift::predictions::fairness_verdict;
use crate::drift::{page, text};
use crate::failure::{Failure, Kind};
use crate::output;
use logged::{Cells, asked, predictions, usable};

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
    if current.is_none() && (args.html.is_some() || !args.fail_on.is_empty()) {
        return Err(Failure::user("--html and --fail-on need something to compare with").hint("name the current data too"));
    }
    let exact = is_exact(reference, current.as_deref());
    let before = read(reference, None, exact, SEEDS[0]).await?;
    if let Some(path) = &args.save_profile {
        keep(path, &before, args.model.clone())?;
    }
    let Some(current) = current else { return Ok(()) };
    let like = (!exact).then(|| before.table.clone());
    let now = read(current, like, exact, SEEDS[1]).await?;
    let told = &args.predictions;
    if is_profile(current) && asked(told).next().is_some() {
        return Err(Failure::user(format!("{} is a profile, but predictions are judged row by row", current.display())));
    }
    let was = if is_profile(reference) { Cells::default() } else { Cells::of_file(reference, told).await? };
    let is = Cells::of_file(current, told).await?;
    let found = predictions(&was, &is, told, &now.table.columns.iter().map(|(n, _)| n.as_str()).collect())?;
    let mut account = judged(before, now, &question)?;
    account.predictions = found;
    retyped::name_strays(&mut account, reference, current).await?;
    tell(&account, &args, output)
}

/// A side that was read.
struct Known {
    side: Side,
    table: Table,
}

fn question(rule: DriftRule, args: &DriftArgs) -> Result<Question, Failure> {
    let told = &args.predictions;
    if args.fail_on.contains(&DriftFailOn::Performance) && told.probability.is_none() {
        return Err(Failure::user("--fail-on performance needs --probability COLUMN"));
    }
    if args.fail_on.contains(&DriftFailOn::Fairness) && (told.group.is_none() || (told.prediction.is_none() && told.probability.is_none()))
    {
        return Err(Failure::user("--fail-on fairness needs --group COLUMN, and --prediction or --probability COLUMN"));
    }
    usable(told)?;
    if !(args.share.0 > 0.0 && args.share.0 <= 1.0) {
        let wrong = format!("--share is {}, but the share from which the whole has drifted is above 0 and at most 1 (100%)", args.share.0);
        return Err(Failure::user(wrong));
    }
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
    let names: BTreeSet<&str> = before.table.columns.iter().chain(&now.table.columns).map(|(n, _)| n.as_str()).collect();
    let all = names.iter().copied();
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
    spare(path, origin.model.as_deref())?;
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

/// Refuses to write a profile over anything but a profile of the same model.
fn spare(path: &Path, model: Option<&str>) -> Result<(), Failure> {
    if !path.exists() {
        return Ok(());
    }
    let of = |model: Option<&str>| model.map_or_else(|| "a profile without --model".to_owned(), |m| format!("the profile of {m}"));
    let is = match profile::load(path) {
        Ok((_, old)) if old.model.as_deref() == model => return Ok(()),
        Ok((_, old)) => format!("{}, not {}", of(old.model.as_deref()), of(model)),
        Err(_) if is_profile(path) => "a profile that cannot be read".to_owned(),
        Err(_) => "not a profile".to_owned(),
    };
    let wrong = format!("--save-profile: {} is there already and is {is}", path.display());
    Err(Failure::user(wrong).hint("name another file, or delete this one first"))
}

/// Prints and writes what was found, and fails where that was asked for.
fn tell(account: &Account, args: &DriftArgs, output: Output) -> Result<(), Failure> {
    if let Some(path) = &args.html {
        let html = page::page(account);
        std::fs::write(path, &html).map_err(|e| Failure::user(format!("cannot write the page to {}: {e}", path.display())))?;
        eprintln!("{} written ({} KiB)", path.display(), html.len().div_ceil(1_024));
    }
    output::print(output, account, || text::render(account))?;
    let judged = account.columns.iter().filter(|r| matches!(r.verdict, Verdict::Pass | Verdict::Fail)).count();
    let found = |what: &DriftFailOn| match what {
        DriftFailOn::Column if account.drifted > 0 => Some(format!("{} of {judged} columns drifted", account.drifted)),
        DriftFailOn::Column => (judged == 0).then(|| "no column could be judged".to_owned()),
        DriftFailOn::Dataset => match account.verdict {
            Verdict::Pass => None,
            Verdict::Fail => Some("the whole has drifted".to_owned()),
            Verdict::NoData | Verdict::Inconclusive => Some("of the whole nothing can be said".to_owned()),
        },
        DriftFailOn::Performance => {
            let standing = account.predictions.as_ref().and_then(|p| p.performance.as_ref());
            unless_pass(
                standing.map_or(Verdict::NoData, |s| s.verdict),
                "judged by accuracy, the classifier does worse than on the reference",
                "performance",
            )
        }
        DriftFailOn::Fairness => {
            let fairness = account.predictions.as_ref().and_then(|p| p.fairness.as_ref());
            unless_pass(fairness.map_or(Verdict::NoData, fairness_verdict), "groups are not treated alike", "fairness")
        }
    };
    match args.fail_on.iter().find_map(found) {
        Some(words) => Err(Failure::new(Kind::Findings, words)),
        None => Ok(()),
    }
}

/// What is to be said of a verdict that is not `pass`: that nothing could be judged is no reason to pass.
fn unless_pass(verdict: Verdict, wrong: &str, what: &str) -> Option<String> {
    match verdict {
        Verdict::Pass => None,
        Verdict::Fail => Some(wrong.to_owned()),
        Verdict::NoData => Some(format!("{what} could not be judged: no data to compare")),
        Verdict::Inconclusive => Some(format!("{what} could not be judged for certain: inconclusive")),
    }
}
