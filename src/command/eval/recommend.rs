//! `bellwether eval recommend`

use bellwether_embeddings::Embedder;
use bellwether_embeddings::runbooks::{self, Runbooks};
use bellwether_embeddings::trial::{self, Trial};
use serde::Serialize;

use crate::cli::{EvalRecommendArgs, Output};
use crate::failure::{Failure, Kind, chain};
use crate::output::{self, Cell, Table};
use crate::report::reliability;

/// What was measured.
#[derive(Debug, Serialize)]
struct Account {
    simulated: Trial,
    /// Public runbooks, where there is a folder of them.
    runbooks: Option<Runbooks>,
}

/// Runs the command.
pub async fn run(args: EvalRecommendArgs, output: Output) -> Result<(), Failure> {
    let EvalRecommendArgs { seed, incidents, data, svg } = args;
    let measuring = tokio::task::spawn_blocking(move || {
        let runbooks = data.map(|data| runbooks::evaluate(&data, None)).transpose().map_err(|e| {
            let hint = "--data (or BELLWETHER_DATA) names a folder with prom-runbooks, openshift-runbooks and kube-prometheus-rules";
            Failure::user(chain(&e)).hint(hint)
        })?;
        let simulated = trial::run(seed, incidents as usize, &Embedder::default()).map_err(|e| Failure::of(Kind::Internal, &e))?;
        Ok(Account { simulated, runbooks })
    });
    let account: Account = measuring.await.map_err(|e| Failure::new(Kind::Internal, format!("measuring stopped unexpectedly: {e}")))??;
    if let Some(path) = &svg {
        std::fs::write(path, reliability::picture(&account.simulated))
            .map_err(|e| Failure::user(format!("cannot write {}: {e}", path.display())))?;
    }
    output::print(output, &account, || text(&account))
}

fn text(account: &Account) -> String {
    let trial = &account.simulated;
    let mut blocks = vec![
        format!(
            "A simulated history of {} incidents (seed {}): {} to learn from, {} to calibrate by, {} held out, all in order of time",
            trial.incidents, trial.seed, trial.learned, trial.calibrated, trial.held_out
        ),
        methods(trial),
    ];
    if let Some(ranking) = trial.methods.first() {
        let mut bins = Table::new(&["stated", "recommendations", "came true"]);
        for bin in &ranking.measured.reliability {
            bins.row(vec![share(bin.stated), Cell::word(bin.count.to_string()), share(bin.realised)]);
        }
        let mut levels = Table::new(&["answered", "score at least", "right", "helped"]);
        for level in &ranking.measured.abstention {
            levels.row(vec![share(level.coverage), share(level.least), share(level.right), share(level.helped)]);
        }
        blocks.push(format!("Reliability: what the ranking stated, and what came true\n{}", bins.render(output::width())));
        blocks.push(format!("Abstention: what is left when only the surest are answered\n{}", levels.render(output::width())));
    }
    match &account.runbooks {
        Some(runbooks) => {
            let mut table = Table::new(&["method", "top 1", "top 3", "MRR"]);
            for (name, quality) in &runbooks.methods {
                table.row(vec![Cell::word(name), share(quality.hit_at_1), share(quality.hit_at_3), share(quality.mrr)]);
            }
            let told = format!("Public runbooks: {} alerts, {} pages, names and titles masked", runbooks.questions, runbooks.pages);
            blocks.push(format!("{told}\n{}", table.render(output::width())));
        }
        None => blocks.push("Public runbooks: not measured; --data names a folder that has them (docs/benchmarks.md)".to_owned()),
    }
    blocks.join("\n\n")
}

fn methods(trial: &Trial) -> String {
    let mut table = Table::new(&["method", "top 1", "top 3", "MRR", "answered", "helped", "calibration error"]);
    for tried in &trial.methods {
        let m = &tried.measured;
        table.row(vec![
            Cell::word(tried.method),
            share(m.top_1),
            share(m.top_3),
            share(m.mrr),
            share(m.answered),
            share(m.helped),
            share(m.ece),
        ]);
    }
    table.render(output::width())
}

fn share(value: f64) -> Cell {
    Cell::word(format!("{value:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_and_both_curves_are_told() {
        let simulated = trial::run(3, 400, &Embedder::default()).unwrap();
        let text = text(&Account { simulated, runbooks: None });
        for method in trial::Method::ALL {
            assert!(text.contains(method.name()), "{text}");
        }
        assert!(
            text.contains("160 held out") && text.contains("Reliability") && text.contains("Abstention") && text.contains("--data"),
            "{text}"
        );
    }
}
