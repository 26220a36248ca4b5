//! Fits the numbers that the ranking ships with, on simulated histories that no evaluation is scored on: `fit_ranking [SEED…]`.
//!
//! The logistic regression's weights are fitted anew for each kernel that is tried; of the kernels the one counts under which what the
//! playbooks would have done is most likely, searched one number at a time. Prints the numbers of `rank::score::SHIPPED`.

use std::error::Error;

use bellwether_embeddings::context::Likeness;
use bellwether_embeddings::rank::score::{Features, Kernel, Model, SHIPPED, Tally, Verdict};
use bellwether_embeddings::rank::{Grounds, counted, fits};
use bellwether_embeddings::{Calibration, Embedder, logistic, trial};
use bellwether_model::outcome::Effect;

/// How often every number is tried.
const PASSES: usize = 2;

/// What is known of one incident, and what each playbook would have done.
struct Case {
    /// Playbook, verdict, similarity, age in days, and likeness of each past run.
    past: Vec<(usize, Verdict, f64, f64, [Likeness; 3])>,
    /// How each playbook's symptoms and words fit.
    fits: Vec<(f64, f64)>,
    effective: Vec<bool>,
    right: Option<usize>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut seeds: Vec<u64> = std::env::args().skip(1).map(|seed| seed.parse()).collect::<Result<_, _>>()?;
    if seeds.is_empty() {
        seeds = vec![9001, 9002, 9003];
    }
    let mut cases = Vec::new();
    for seed in seeds {
        cases.extend(history(seed)?);
    }
    let mut best = SHIPPED;
    let mut lowest = judge(&cases, &mut best);
    println!("{lowest:?} {best:?}");
    for _ in 0..PASSES {
        for step in 0..8 {
            for factor in [0.5, 2.0] {
                let mut model = Model { kernel: moved(best.kernel, step, factor), ..best };
                let loss = judge(&cases, &mut model);
                if loss.0 < lowest.0 {
                    (lowest, best) = (loss, model);
                    println!("{lowest:?} {best:?}");
                }
            }
        }
    }
    println!("for contenders: {:?}", refitted(&cases, &best));
    Ok(())
}

/// The weights fitted again on the three best playbooks of each incident: those whose scores matter.
fn refitted(cases: &[Case], model: &Model) -> Option<Model> {
    let contenders = cases.iter().flat_map(|case| {
        let mut rows: Vec<(Features, bool)> = features(case, &model.kernel).into_iter().zip(case.effective.iter().copied()).collect();
        rows.sort_by(|a, b| model.probability(&b.0).total_cmp(&model.probability(&a.0)));
        rows.into_iter().take(3)
    });
    let (rows, outcomes): (Vec<Features>, Vec<bool>) = contenders.unzip();
    let (intercept, weights) = logistic::fit(&rows, &outcomes, 1.0)?;
    Some(Model { kernel: model.kernel, intercept, weights })
}

/// The kernel with one of its eight numbers multiplied.
fn moved(mut kernel: Kernel, which: usize, factor: f64) -> Kernel {
    let number = match which {
        0 => &mut kernel.power,
        1 => &mut kernel.half_life_days,
        2..5 => &mut kernel.same[which - 2],
        _ => &mut kernel.other[which - 5],
    };
    *number *= factor;
    // Another fleet's services, GPUs and errors say less, but never nothing; and what is the same never says less.
    kernel.power = kernel.power.min(3.0);
    kernel.same = kernel.same.map(|factor| factor.max(1.0));
    kernel.other = kernel.other.map(|factor| factor.clamp(0.2, 1.0));
    kernel
}

/// Every fifth incident of the later half of a history.
fn history(seed: u64) -> Result<Vec<Case>, Box<dyn Error>> {
    let (episodes, books) = (trial::history(seed, 6_000), trial::playbooks());
    let calibration = Calibration::default();
    let mut found = Vec::new();
    trial::walk(&episodes, &Embedder::default(), 3_000, |place, memory, matches, at| {
        if place % 5 != 0 {
            return;
        }
        let episode = &episodes[place];
        let grounds = Grounds { matches, experience: &memory.known, playbooks: &books, exclusions: &[], calibration: &calibration };
        let place_of = |id: &bellwether_model::id::PlaybookId| books.iter().position(|book| book.id == *id);
        let past = counted(&episode.incident, &grounds, at.now);
        found.push(Case {
            past: past.iter().filter_map(|p| Some((place_of(p.playbook_id())?, p.verdict, p.similarity, p.days, p.likeness))).collect(),
            fits: books.iter().map(|book| fits(&episode.incident, book)).collect(),
            effective: books.iter().map(|book| episode.effects.get(&book.id) == Some(&Effect::Effective)).collect(),
            right: episode.right.as_ref().and_then(place_of),
        });
    })?;
    Ok(found)
}

/// Fits the weights, and gives the mean log loss and the share of incidents whose right playbook comes first.
fn judge(cases: &[Case], model: &mut Model) -> (f64, f64) {
    let rows: Vec<Vec<Features>> = cases.iter().map(|case| features(case, &model.kernel)).collect();
    let flat: Vec<Features> = rows.iter().flatten().copied().collect();
    let outcomes: Vec<bool> = cases.iter().flat_map(|case| case.effective.iter().copied()).collect();
    let Some((intercept, weights)) = logistic::fit(&flat, &outcomes, 1.0) else { return (f64::INFINITY, 0.0) };
    // What speaks for a playbook must not lower its score.
    model.intercept = intercept;
    model.weights = weights.map(|w| w.max(0.0));
    let loss: f64 = flat
        .iter()
        .zip(&outcomes)
        .map(|(row, effective)| {
            let p = model.probability(row).clamp(1e-6, 1.0 - 1e-6);
            -(if *effective { p } else { 1.0 - p }).ln()
        })
        .sum();
    let first = |rows: &[Features]| {
        let score = |i: &usize| model.probability(&rows[*i]);
        (0..rows.len()).max_by(|a, b| score(a).total_cmp(&score(b)).then(b.cmp(a)))
    };
    let right = rows.iter().zip(cases).filter(|(rows, case)| case.right.is_some() && first(rows) == case.right).count();
    (loss / flat.len() as f64, right as f64 / cases.iter().filter(|case| case.right.is_some()).count() as f64)
}

fn features(case: &Case, kernel: &Kernel) -> Vec<Features> {
    let mut tallies = vec![Tally::default(); case.fits.len()];
    for (playbook, verdict, similarity, days, likeness) in &case.past {
        tallies[*playbook].count(*verdict, kernel.weight(*similarity, *days, *likeness));
    }
    let all: f64 = tallies.iter().map(|tally| tally.helped).sum();
    tallies.iter().zip(&case.fits).map(|(tally, (symptoms, words))| tally.features(all, *symptoms, *words)).collect()
}
