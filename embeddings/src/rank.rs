//! Which playbook to recommend for an incident, how sure, and why; or why none.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_model::id::RecommendationId;
use bellwether_model::incident::Incident;
use bellwether_model::outcome::Effect;
use bellwether_model::playbook::Playbook;
use bellwether_model::recommendation::{Candidate, Exclusion, Match, Recommendation};
use bellwether_model::time::Timestamp;

use crate::embed::words;
pub use crate::neighbours::Moment;

/// The lowest score that is recommended.
pub const LEAST_SCORE: f64 = 0.1;
/// The lowest similarity at which a past run counts at all.
pub const LEAST_SIMILARITY: f64 = 0.25;
/// The highest score without experience.
pub const COLD_START: f64 = 0.35;
/// After this many days a past run counts half.
const HALF_LIFE_DAYS: f64 = 180.0;
/// How much more a harmful outcome counts than an ineffective one.
const HARM: f64 = 2.0;
/// One-sided 90 % confidence of the Wilson bound.
const Z: f64 = 1.2816;
/// How many near misses are told.
const NEAR_MISSES: usize = 3;

/// Ranks the playbooks for an incident.
///
/// Past runs count by `similarity² × ½^(age / 180 days)`; runs without a known outcome, less than 0.25 similar, of unknown
/// playbooks or after `at.now` do not count. The score of experience is `t × success`, where `success` is the lower end of the
/// Wilson interval (Wilson 1927, one-sided 90 %) of the effective runs that are at least `t` similar against all ineffective ones and
/// twice the harmful ones, and `t` is the similarity at which that is highest. So one more effective run never lowers a playbook's
/// score, and one more ineffective or harmful run never raises it.
///
/// Without experience a playbook scores up to 0.35 by how well its symptoms, and the words of its description and tags, fit the
/// incident; failures take that away too. It abstains, with the reason and the nearest misses, when nothing reaches 0.1.
///
/// `top` candidates at most, at least one. The order of the arguments' rows does not matter.
pub fn rank(
    incident: &Incident,
    matches: &[Match],
    playbooks: &[Playbook],
    exclusions: &[Exclusion],
    at: &Moment,
    top: usize,
) -> Recommendation {
    let excluded: BTreeMap<_, _> = exclusions.iter().map(|e| (&e.playbook_id, &e.reason)).collect();
    let applicable: BTreeMap<_, &Playbook> = playbooks.iter().map(|p| (&p.id, p)).filter(|(id, _)| !excluded.contains_key(id)).collect();
    let past = counted(incident, matches, at.now);
    let mut found: Vec<Candidate> = applicable
        .values()
        .map(|playbook| {
            let own: Vec<Past<'_>> = past.iter().filter(|p| p.run.playbook_id == playbook.id).copied().collect();
            candidate(incident, playbook, &own, at.now)
        })
        .collect();
    found.sort_by(|a, b| {
        b.score.total_cmp(&a.score).then(b.success_rate.total_cmp(&a.success_rate)).then_with(|| a.playbook_id.cmp(&b.playbook_id))
    });
    let good = found.iter().take_while(|c| c.score >= LEAST_SCORE).count();
    let abstained = (good == 0).then(|| reason(found.first(), applicable.len(), excluded.len()));
    let near_misses: Vec<Candidate> =
        found.split_off(good).into_iter().filter(|c| c.score > 0.0 || !c.evidence.is_empty()).take(NEAR_MISSES).collect();
    found.truncate(top.max(1));
    Recommendation {
        recommendation_id: id(incident, &found, matches),
        incident_id: incident.incident_id.clone(),
        candidates: found,
        abstained,
        near_misses,
        excluded: excluded.into_iter().map(|(id, reason)| Exclusion { playbook_id: id.clone(), reason: reason.clone() }).collect(),
        round_id: at.round_id.clone(),
        recorded_at: at.now,
    }
}

/// A past run that counts.
#[derive(Clone, Copy)]
struct Past<'a> {
    run: &'a Match,
    effect: Effect,
    similarity: f64,
    weight: f64,
}

/// The runs that count, each once, most similar first.
fn counted<'a>(incident: &Incident, matches: &'a [Match], now: Timestamp) -> Vec<Past<'a>> {
    let mut newest: BTreeMap<(&str, &str), &Match> = BTreeMap::new();
    for row in matches.iter().filter(|m| m.incident_id == incident.incident_id && m.ran_at <= now && m.similarity.is_finite()) {
        let slot = newest.entry((row.run_id.as_str(), row.playbook_id.as_str())).or_insert(row);
        let age = |m: &Match| (m.recorded_at, m.similarity.max(0.0).to_bits(), m.outcome.clone());
        if age(row) > age(slot) {
            *slot = row;
        }
    }
    let mut past: Vec<Past<'_>> = newest
        .into_values()
        .filter_map(|run| {
            let effect = Effect::of_word(&run.outcome).filter(|e| *e != Effect::NoData)?;
            let similarity = run.similarity.clamp(0.0, 1.0);
            let days = now.since(run.ran_at).hours_f64() / 24.0;
            let weight = similarity * similarity * 0.5_f64.powf(days / HALF_LIFE_DAYS);
            (similarity >= LEAST_SIMILARITY).then_some(Past { run, effect, similarity, weight })
        })
        .collect();
    past.sort_by(|a, b| b.similarity.total_cmp(&a.similarity).then_with(|| a.run.run_id.cmp(&b.run.run_id)));
    past
}

fn candidate(incident: &Incident, playbook: &Playbook, past: &[Past<'_>], now: Timestamp) -> Candidate {
    let failures: f64 = past
        .iter()
        .map(|p| match p.effect {
            Effect::Harmful => HARM * p.weight,
            Effect::Ineffective => p.weight,
            Effect::Effective | Effect::NoData => 0.0,
        })
        .sum();
    let (mut successes, mut experience, mut success_rate) = (0.0, 0.0, 0.0);
    for one in past.iter().filter(|p| p.effect == Effect::Effective) {
        successes += one.weight;
        let success = wilson(successes, failures);
        if one.similarity * success > experience {
            (experience, success_rate) = (one.similarity * success, success);
        }
    }
    let treated = treated(incident, playbook);
    let cold = COLD_START * fit(incident, playbook, &treated) / (1.0 + failures);
    let weight: f64 = past.iter().map(|p| p.weight).sum();
    let similarity = if weight > 0.0 { past.iter().map(|p| p.weight * p.similarity).sum::<f64>() / weight } else { 0.0 };
    Candidate {
        playbook_id: playbook.id.clone(),
        score: experience.max(cold).clamp(0.0, 1.0),
        justification: justification(past, similarity, &treated, now),
        similarity,
        success_rate,
        evidence: past.iter().map(|p| p.run.run_id.clone()).collect(),
    }
}

/// The lower end of the Wilson score interval for `successes` of `successes + failures`; 0 without any.
fn wilson(successes: f64, failures: f64) -> f64 {
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

/// How well a playbook's own words fit the incident, 0 to 1: the balance (F1) of how many of the incident's symptoms it names and
/// how many of those it names are there, and half the share of its description and tags that the incident's summary has.
fn fit(incident: &Incident, playbook: &Playbook, treated: &[&str]) -> f64 {
    let share = |part: usize, whole: usize| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    let present = playbook.symptoms.iter().filter(|pattern| treated.iter().any(|s| names(pattern, s))).count();
    let (recall, precision) = (share(treated.len(), incident.symptoms.len()), share(present, playbook.symptoms.len()));
    let symptoms = if recall + precision > 0.0 { 2.0 * recall * precision / (recall + precision) } else { 0.0 };
    let told: BTreeSet<String> = words(&incident.summary).into_iter().collect();
    let own: BTreeSet<String> = words(&format!("{} {}", playbook.description, playbook.tags.join(" "))).into_iter().collect();
    (symptoms + share(own.intersection(&told).count(), own.len()) / 2.0).min(1.0)
}

/// `worked in 14 of 16 similar past incidents (run-812, run-455, run-33, …; similarity 0.81); matches latency_p95; last used 3d ago`.
fn justification(past: &[Past<'_>], similarity: f64, treated: &[&str], now: Timestamp) -> String {
    let mut parts = Vec::new();
    if past.is_empty() {
        parts.push("no past run of it resembles this".to_owned());
    } else {
        let of = |effect: Effect| past.iter().filter(|p| p.effect == effect).count();
        let mut runs: Vec<String> = past.iter().take(3).map(|p| p.run.run_id.to_string()).collect();
        if past.len() > 3 {
            runs.push("…".into());
        }
        let incidents = if past.len() == 1 { "incident" } else { "incidents" };
        let (worked, all) = (of(Effect::Effective), past.len());
        parts.push(format!("worked in {worked} of {all} similar past {incidents} ({}; similarity {similarity:.2})", runs.join(", ")));
        if of(Effect::Harmful) > 0 {
            parts.push(format!("made things worse in {}", of(Effect::Harmful)));
        }
    }
    if !treated.is_empty() {
        parts.push(format!("matches {}", treated.join(", ")));
    }
    if let Some(last) = past.iter().map(|p| p.run.ran_at).max() {
        parts.push(format!("last used {} ago", now.since(last)));
    }
    parts.join("; ")
}

fn reason(best: Option<&Candidate>, applicable: usize, excluded: usize) -> String {
    match best {
        None if excluded > 0 => format!("none of the {excluded} playbooks applies"),
        None => "there are no playbooks to choose from (docs/playbooks.md)".to_owned(),
        Some(best) if best.score > 0.0 || !best.evidence.is_empty() => {
            format!("the best of {applicable} playbooks, {}, scores {:.2}; {LEAST_SCORE:.2} is needed", best.playbook_id, best.score)
        }
        Some(_) => {
            format!(
                "nothing like this is known: no past run is at least {LEAST_SIMILARITY:.2} similar, and none of {applicable} playbooks names its symptoms"
            )
        }
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
