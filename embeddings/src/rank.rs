//! Which playbook to recommend for an incident, how sure, and why; or why none.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_model::id::{PlaybookId, RecommendationId};
use bellwether_model::incident::Incident;
use bellwether_model::outcome::Effect;
use bellwether_model::playbook::Playbook;
use bellwether_model::recommendation::{Candidate, Cited, Exclusion, Match, Reckoning, Recommendation, Term};
use bellwether_model::time::Timestamp;

use crate::calibration::Calibration;
use crate::context::{Context, Likeness};
use crate::embed::words;
use crate::experience::Runs;
pub use crate::neighbours::Moment;

pub mod score;

use score::{FEATURES, Kernel, Model, SHIPPED, Tally, Verdict};

/// How many past runs are looked at for one incident: of all, and again of those about the same thing.
pub const NEIGHBOURS: usize = 60;
/// The lowest score that is recommended.
pub const LEAST_SCORE: f64 = 0.1;
/// The lowest similarity at which a past run counts at all.
pub const LEAST_SIMILARITY: f64 = 0.25;
/// The highest score without a run that helped.
pub const COLD_START: f64 = 0.35;
/// One-sided 90 % confidence of the Wilson bound.
const Z: f64 = 1.2816;
/// How many near misses are told.
const NEAR_MISSES: usize = 3;
/// How many past runs are told of one playbook.
const CITED: usize = 10;

/// What a recommendation rests on.
#[derive(Clone, Copy)]
pub struct Grounds<'a> {
    /// The past runs that resemble the incident.
    pub matches: &'a [Match],
    /// The same by id: what each was about.
    pub experience: &'a Runs,
    /// What there is to choose from.
    pub playbooks: &'a [Playbook],
    /// Playbooks that do not apply, and why.
    pub exclusions: &'a [Exclusion],
    /// How stated scores came true so far.
    pub calibration: &'a Calibration,
}

/// Ranks the playbooks for an incident by the probability that they help.
///
/// Past runs weigh by similarity, age and what else they have in common with the incident: the same endpoint or node, GPU model, class of
/// error ([`score::Kernel`]). Runs without a known outcome, less than 0.25 similar or after `at.now` do not count; a person's rejection
/// counts half a failure, and a person's choice half a success. The weights for and against a playbook, its part of all that helped, its
/// nearest success, and how well its own words and symptoms fit become a probability ([`score::Model`]), which the calibration corrects
/// by how such scores came true here. So one more effective run never lowers a playbook's score, and one more ineffective or harmful run
/// never raises it. Without a run that helped a playbook scores at most 0.35, by how well its symptoms and words fit. It abstains, with the reason and the nearest misses, when nothing
/// reaches 0.1.
///
/// `top` candidates at most, at least one. The order of the grounds' rows does not matter.
pub fn rank(incident: &Incident, grounds: &Grounds<'_>, at: &Moment, top: usize) -> Recommendation {
    let excluded: BTreeMap<_, _> = grounds.exclusions.iter().map(|e| (&e.playbook_id, &e.reason)).collect();
    let applicable: Vec<&Playbook> = grounds.playbooks.iter().filter(|p| !excluded.contains_key(&p.id)).collect();
    let past = counted(incident, grounds, at.now);
    let seen = tallies(&past, &SHIPPED.kernel);
    let all: f64 = seen.values().map(|tally| tally.helped).sum();
    let mut found: Vec<Candidate> =
        applicable.iter().map(|playbook| candidate(incident, playbook, &past, &seen, all, grounds, at.now)).collect();
    found.sort_by(|a, b| {
        b.score.total_cmp(&a.score).then(b.success_rate.total_cmp(&a.success_rate)).then_with(|| a.playbook_id.cmp(&b.playbook_id))
    });
    let good = found.iter().take_while(|c| c.score >= LEAST_SCORE).count();
    let abstained = (good == 0).then(|| {
        let shut =
            |p: &&Playbook| excluded.get(&p.id).map(|why| (candidate(incident, p, &past, &seen, all, grounds, at.now), why.as_str()));
        let best_shut = grounds.playbooks.iter().filter_map(|p| shut(&p)).max_by(|a, b| a.0.score.total_cmp(&b.0.score));
        let best_shut = best_shut.filter(|(candidate, _)| candidate.score >= LEAST_SCORE);
        reason(found.first(), past.is_empty(), (applicable.len(), excluded.len()), best_shut.as_ref().map(|(c, why)| (c, *why)))
    });
    let near_misses: Vec<Candidate> = found.split_off(good).into_iter().filter(is_near).take(NEAR_MISSES).collect();
    found.truncate(top.max(1));
    Recommendation {
        recommendation_id: id(incident, &found, grounds.matches),
        incident_id: incident.incident_id.clone(),
        candidates: found,
        abstained,
        near_misses,
        excluded: excluded.into_iter().map(|(id, reason)| Exclusion { playbook_id: id.clone(), reason: reason.clone() }).collect(),
        round_id: at.round_id.clone(),
        recorded_at: at.now,
    }
}

/// Whether anything at all speaks for it, or it was tried.
fn is_near(candidate: &Candidate) -> bool {
    let fits = |term: &Term| ["symptoms", "words"].contains(&term.feature.as_str()) && term.value > 0.0;
    !candidate.evidence.is_empty() || candidate.reckoning.as_ref().is_some_and(|r| r.terms.iter().any(fits))
}

/// A past run that counts.
#[derive(Clone)]
pub struct Past<'a> {
    /// The run.
    run: &'a Match,
    /// What it says of its playbook.
    pub verdict: Verdict,
    /// Its similarity, 0 to 1.
    pub similarity: f64,
    /// Its age in days.
    pub days: f64,
    /// What it has in common with the incident beside words.
    pub likeness: [Likeness; 3],
    /// The same in words.
    same: Vec<String>,
}

impl Past<'_> {
    /// The playbook that it ran.
    pub fn playbook_id(&self) -> &PlaybookId {
        &self.run.playbook_id
    }

    fn weight(&self, kernel: &Kernel) -> f64 {
        kernel.weight(self.similarity, self.days, self.likeness)
    }
}

/// The runs that count, each once, most similar first.
pub fn counted<'a>(incident: &Incident, grounds: &Grounds<'a>, now: Timestamp) -> Vec<Past<'a>> {
    let mut newest: BTreeMap<(&str, &str), &Match> = BTreeMap::new();
    for row in grounds.matches.iter().filter(|m| m.incident_id == incident.incident_id && m.ran_at <= now && m.similarity.is_finite()) {
        let slot = newest.entry((row.run_id.as_str(), row.playbook_id.as_str())).or_insert(row);
        let age = |m: &Match| (m.recorded_at, m.similarity.max(0.0).to_bits(), m.outcome.clone());
        if age(row) > age(slot) {
            *slot = row;
        }
    }
    let here = Context::of_incident(incident);
    let nothing = Context::default();
    let mut past: Vec<Past<'_>> = newest
        .into_values()
        .filter_map(|run| {
            let verdict = Verdict::of_word(&run.outcome)?;
            let similarity = run.similarity.clamp(0.0, 1.0);
            let there = grounds.experience.get(&run.run_id).map_or(&nothing, |one| &one.context);
            let days = now.since(run.ran_at).hours_f64() / 24.0;
            let past = Past { run, verdict, similarity, days, likeness: here.compare(there), same: here.shared(there) };
            (similarity >= LEAST_SIMILARITY).then_some(past)
        })
        .collect();
    past.sort_by(|a, b| b.similarity.total_cmp(&a.similarity).then_with(|| a.run.run_id.cmp(&b.run.run_id)));
    past
}

/// What all runs of each playbook come to.
pub fn tallies<'a>(past: &'a [Past<'_>], kernel: &Kernel) -> BTreeMap<&'a PlaybookId, Tally> {
    let mut found: BTreeMap<&PlaybookId, Tally> = BTreeMap::new();
    for one in past {
        found.entry(one.playbook_id()).or_default().count(one.verdict, one.weight(kernel));
    }
    found
}

fn candidate(
    incident: &Incident,
    playbook: &Playbook,
    past: &[Past<'_>],
    seen: &BTreeMap<&PlaybookId, Tally>,
    all: f64,
    grounds: &Grounds<'_>,
    now: Timestamp,
) -> Candidate {
    const MODEL: &Model = &SHIPPED;
    let mut own: Vec<(&Past<'_>, f64)> =
        past.iter().filter(|p| p.playbook_id() == &playbook.id).map(|p| (p, p.weight(&MODEL.kernel))).collect();
    let tally = seen.get(&playbook.id).copied().unwrap_or_default();
    let treated = treated(incident, playbook);
    let (symptoms, words) = fits(incident, playbook);
    let features = tally.features(all, symptoms, words);
    let before = MODEL.probability(&features);
    let calibrated = grounds.calibration.apply(before);
    let score = if tally.helped > 0.0 { calibrated } else { calibrated.min(COLD_START * (symptoms + words / 2.0).min(1.0)) };
    let weight: f64 = own.iter().map(|(_, weight)| weight).sum();
    let similarity = if weight > 0.0 { own.iter().map(|(p, weight)| weight * p.similarity).sum::<f64>() / weight } else { 0.0 };
    let justification = justification(&own, similarity, &treated, now);
    let evidence = own.iter().map(|(p, _)| p.run.run_id.clone()).collect();
    own.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.run.run_id.cmp(&b.0.run.run_id)));
    let cited = |(one, weight): &(&Past<'_>, f64)| Cited {
        run_id: one.run.run_id.clone(),
        outcome: one.run.outcome.clone(),
        ran_at: one.run.ran_at,
        similarity: one.similarity,
        weight: *weight,
        same: one.same.clone(),
    };
    let terms = FEATURES.iter().zip(features).zip(MODEL.terms(&features));
    Candidate {
        playbook_id: playbook.id.clone(),
        score: score.clamp(0.0, 1.0),
        justification,
        similarity,
        success_rate: wilson(tally.helped, tally.failed),
        evidence,
        reckoning: Some(Reckoning {
            before,
            calibration: grounds.calibration.basis(),
            intercept: MODEL.intercept,
            terms: terms.map(|((name, value), adds)| Term { feature: (*name).to_owned(), value, adds }).collect(),
            helped: tally.helped,
            failed: tally.failed,
            cited: own.iter().take(CITED).map(cited).collect(),
        }),
    }
}

/// The lower end of the Wilson score interval for `successes` of `successes + failures`; 0 without any.
pub(crate) fn wilson(successes: f64, failures: f64) -> f64 {
    let n = successes + failures;
    if n <= 0.0 {
        return 0.0;
    }
    let (p, z2) = (successes / n, Z * Z);
    let spread = Z * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    ((p + z2 / (2.0 * n) - spread) / (1.0 + z2 / n)).clamp(0.0, 1.0)
}

/// The incident's symptoms that the playbook names.
fn treated<'a>(incident: &'a Incident, playbook: &Playbook) -> Vec<&'a str> {
    incident.symptoms.iter().map(String::as_str).filter(|s| playbook.symptoms.iter().any(|pattern| names(pattern, s))).collect()
}

fn names(pattern: &str, symptom: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == symptom, |beginning| symptom.starts_with(beginning))
}

/// How well the symptoms that a playbook names, and its words, fit an incident, each 0 to 1.
pub fn fits(incident: &Incident, playbook: &Playbook) -> (f64, f64) {
    (names_fit(incident, playbook, &treated(incident, playbook)), words_fit(incident, playbook))
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// How well the symptoms that a playbook names fit the incident, 0 to 1: the balance (F1) of how many of the incident's it names and how many
/// of those it names are there.
fn names_fit(incident: &Incident, playbook: &Playbook, treated: &[&str]) -> f64 {
    let present = playbook.symptoms.iter().filter(|pattern| treated.iter().any(|s| names(pattern, s))).count();
    let (recall, precision) = (share(treated.len(), incident.symptoms.len()), share(present, playbook.symptoms.len()));
    if recall + precision > 0.0 { 2.0 * recall * precision / (recall + precision) } else { 0.0 }
}

/// The share of a playbook's description and tags that the incident's summary has, 0 to 1.
fn words_fit(incident: &Incident, playbook: &Playbook) -> f64 {
    let told: BTreeSet<String> = words(&incident.summary).into_iter().collect();
    let own: BTreeSet<String> = words(&format!("{} {}", playbook.description, playbook.tags.join(" "))).into_iter().collect();
    share(own.intersection(&told).count(), own.len())
}

/// `worked in 14 of 16 similar past incidents (run-812, run-455, run-33, …; similarity 0.81); also on ml/iris in 9; matches latency_p95;
/// last used 3d ago`.
fn justification(past: &[(&Past<'_>, f64)], similarity: f64, treated: &[&str], now: Timestamp) -> String {
    let mut parts = Vec::new();
    let of = |verdict: Verdict| past.iter().filter(|(p, _)| p.verdict == verdict).count();
    let (chosen, rejected) = (of(Verdict::Chosen), of(Verdict::Rejected));
    let ran: Vec<&Past<'_>> = past.iter().map(|(p, _)| *p).filter(|p| matches!(p.verdict, Verdict::Known(_))).collect();
    if ran.is_empty() {
        parts.push("no past run of it resembles this".to_owned());
    } else {
        let mut runs: Vec<String> = ran.iter().take(3).map(|p| p.run.run_id.to_string()).collect();
        if ran.len() > 3 {
            runs.push("…".into());
        }
        let incidents = if ran.len() == 1 { "incident" } else { "incidents" };
        let (worked, all) = (of(Verdict::Known(Effect::Effective)), ran.len());
        parts.push(format!("worked in {worked} of {all} similar past {incidents} ({}; similarity {similarity:.2})", runs.join(", ")));
        if of(Verdict::Known(Effect::Harmful)) > 0 {
            parts.push(format!("made things worse in {}", of(Verdict::Known(Effect::Harmful))));
        }
    }
    let times = |n: usize| if n == 1 { "once".to_owned() } else { format!("{n} times") };
    if chosen > 0 {
        parts.push(format!("a person chose it over another {}", times(chosen)));
    }
    if rejected > 0 {
        parts.push(format!("a person turned it down {}", times(rejected)));
    }
    let mut same: BTreeMap<&str, usize> = BTreeMap::new();
    ran.iter().flat_map(|p| &p.same).for_each(|what| *same.entry(what).or_default() += 1);
    if !same.is_empty() {
        let told: Vec<String> = same.iter().map(|(what, n)| format!("{what} in {n}")).collect();
        parts.push(format!("the same {}", told.join(", ")));
    }
    if !treated.is_empty() {
        parts.push(format!("matches {}", treated.join(", ")));
    }
    if let Some(last) = ran.iter().map(|p| p.run.ran_at).max() {
        parts.push(format!("last used {} ago", now.since(last)));
    }
    parts.join("; ")
}

/// Why nothing is recommended: what came nearest of those that apply, and what would have fitted and does not apply.
fn reason(best: Option<&Candidate>, is_new: bool, (applicable, excluded): (usize, usize), shut: Option<(&Candidate, &str)>) -> String {
    let those = if excluded > 0 { format!("{applicable} playbooks that apply") } else { format!("{applicable} playbooks") };
    let why = match best {
        None if excluded > 0 => format!("none of the {excluded} playbooks applies"),
        None => "there are no playbooks to choose from (docs/playbooks.md)".to_owned(),
        Some(best) if is_near(best) => {
            // Not rounded up to what is needed.
            let score = (best.score * 100.0).floor() / 100.0;
            format!("the best of {those}, {}, scores {score:.2}; {LEAST_SCORE:.2} is needed", best.playbook_id)
        }
        Some(_) if is_new => {
            format!(
                "nothing like this is known: no past run is at least {LEAST_SIMILARITY:.2} similar, and none of {those} names its symptoms"
            )
        }
        Some(_) => format!("none of {those} was run in anything like this or names its symptoms"),
    };
    match shut {
        Some((candidate, reason)) => format!("{why}; {} would score {:.2}, but {reason}", candidate.playbook_id, candidate.score),
        None => why,
    }
}

fn id(incident: &Incident, candidates: &[Candidate], matches: &[Match]) -> RecommendationId {
    let embedders: BTreeSet<&str> =
        matches.iter().filter(|m| m.incident_id == incident.incident_id).map(|m| m.embedder_id.as_str()).collect();
    let scored: Vec<String> = candidates.iter().map(|c| format!("{}={:.6}", c.playbook_id, c.score)).collect();
    let mut parts = vec![incident.incident_id.as_str()];
    parts.extend(scored.iter().map(String::as_str));
    parts.push("by");
    parts.extend(embedders);
    RecommendationId::of(&parts)
}

#[cfg(test)]
pub(crate) mod tests;
