//! `bellwether eval rca`

use std::fmt::Write as _;
use std::path::PathBuf;

use bellwether_detectors::cause::issue::{self, IssueError};
use bellwether_detectors::cause::trial::{Ranked, Standing, Trial, trial};
use serde::Serialize;

use crate::cli::{EvalRcaArgs, Output};
use crate::failure::{Failure, Kind};
use crate::output::{self, Cell, Table};

/// The folder of the PetShop set below `BELLWETHER_DATA`.
const FOLDER: &str = "petshop-rca";
const LAYOUT: &str = "a scenario is a folder with graph.csv, noissue/metrics.csv and issues such as train/issue_0/{metrics.csv,target.json}, as in \
                      github.com/amazon-science/petshop-root-cause-analysis";

/// What the evaluation found.
#[derive(Debug, Serialize)]
struct Account {
    /// Where the issues came from.
    source: String,
    #[serde(flatten)]
    trial: Trial,
    /// Issues that could not be used.
    unusable: Vec<Unusable>,
}

/// An issue that could not be used.
#[derive(Debug, Serialize)]
struct Unusable {
    issue: String,
    reason: String,
}

/// Runs the command.
pub async fn run(args: EvalRcaArgs, output: Output) -> Result<(), Failure> {
    let dir = args.dir.or_else(|| std::env::var_os("BELLWETHER_DATA").map(|data| PathBuf::from(data).join(FOLDER)));
    let Some(dir) = dir else {
        return Err(Failure::user("no folder of issues was given")
            .hint(format!("give one, or set BELLWETHER_DATA to a folder with {FOLDER}/ in it; {LAYOUT}")));
    };
    let source = dir.display().to_string();
    let judging = tokio::task::spawn_blocking(move || issue::read(&dir).map(|read| (trial(&read.issues), read.unusable)));
    let (trial, unusable) =
        judging.await.map_err(|e| Failure::new(Kind::Internal, format!("judging stopped unexpectedly: {e}")))?.map_err(|e| failure(&e))?;
    let unusable: Vec<Unusable> = unusable.into_iter().map(|(issue, reason)| Unusable { issue, reason }).collect();
    let Some(trial) = trial else {
        let why = unusable.first().map(|u| format!(": {}: {}", u.issue, u.reason)).unwrap_or_default();
        return Err(Failure::user(format!("{source} has no usable issue{why}")).hint(LAYOUT));
    };
    let account = Account { source, trial, unusable };
    output::print(output, &account, || text(&account))
}

fn failure(error: &IssueError) -> Failure {
    let failure = Failure::of(Kind::User, error);
    match error {
        IssueError::Read { .. } | IssueError::Empty(_) => failure.hint(LAYOUT),
        IssueError::Target { .. } | IssueError::Row { .. } => failure,
    }
}

fn text(account: &Account) -> String {
    let trial = &account.trial;
    let mut issues = Table::new(&["issue", "metric", "cause", "ours", "traversal", "plain z", "named first"]);
    for Ranked { issue, metric, cause, named, blame, traversal, plain, .. } in &trial.ranked {
        let at = |position: &Option<usize>| Cell::word(position.map_or_else(|| "–".to_owned(), |at| at.to_string()));
        let first = named.first().map(String::as_str).unwrap_or_default();
        issues.row(vec![
            Cell::word(issue),
            Cell::word(metric),
            Cell::prose(cause),
            at(blame),
            at(traversal),
            at(plain),
            Cell::prose(first),
        ]);
    }
    let mut methods = Table::new(&["method", "top-1", "95 %", "top-3", "95 %"]);
    for (name, Standing { top1, top3 }) in
        [("bellwether", &trial.blame), ("traversal (the set's own baseline)", &trial.traversal), ("plain ranking by |z|", &trial.plain)]
    {
        let share = |v: f64| Cell::word(format!("{v:.3}"));
        let between = |low: f64, high: f64| Cell::word(format!("{low:.2} – {high:.2}"));
        let cells =
            vec![Cell::prose(name), share(top1.value), between(top1.lower, top1.upper), share(top3.value), between(top3.lower, top3.upper)];
        methods.row(cells);
    }
    let mut out = format!("{}\n\n{}\n", issues.render(output::width()), methods.render(output::width()));
    let _ = writeln!(
        out,
        "\n{}: {} issues; the limits of each are chosen on issues of other scenarios. Ties count for the baselines and against us.",
        account.source, trial.issues
    );
    for Unusable { issue, reason } in &account.unusable {
        let _ = writeln!(out, "not used: {issue}: {reason}");
    }
    out
}
