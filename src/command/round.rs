//! `bellwether round`

pub mod account;

use std::collections::{BTreeMap, BTreeSet};

use bellwether_model::id::{IncidentId, RoundId};
use bellwether_model::incident::{Incident, IncidentState};
use bellwether_model::signal::Severity;
use bellwether_model::time::Timestamp;
use bellwether_pipelines::freshness::{Silence, silences};
use bellwether_pipelines::ingest::Progress;
use bellwether_pipelines::notify::{Courier, NotifySettings};
use bellwether_pipelines::round::{Judged, last_judged};
use serde_json::json;

use self::account::Account;
use super::incidents::called_none;
use super::ingest::{self, Bar};
use super::{session, sql_failure};
use crate::cli::{Output, RoundArgs, RoundFailOn};
use crate::clock;
use crate::config::Config;
use crate::cycle::Cycle;
use crate::failure::{Failure, Kind, chain};
use crate::{open, output};

/// How often one call looks again at executions that are due at once.
const PASSES: usize = 16;

/// Runs the command.
pub async fn run(config: Config, args: RoundArgs, output: Output) -> Result<(), Failure> {
    let mut cycle = Cycle::open(config).await?;
    if let Some(id) = &args.replay {
        return replay(&cycle, id, output).await;
    }
    let bar = Bar::new();
    let (account, open) = turn(&mut cycle, &args, &|p| bar.show(p)).await?;
    bar.clear();
    output::print(output, &account, || account.text())?;
    end(&account, &open, &args.fail_on)
}

/// One whole round without a word: what the scheduler of `serve` does.
///
/// # Errors
/// What `bellwether round` fails with: also a source or receiver that failed, after everything else was done.
pub async fn once(cycle: &mut Cycle) -> Result<(), Failure> {
    let args = RoundArgs { as_of: None, dry_run: false, replay: None, no_ingest: false, fail_on: Vec::new() };
    let (account, open) = turn(cycle, &args, &|_| {}).await?;
    end(&account, &open, &[])
}

/// One round as the arguments want it: the account, and the incidents that are open after it and that nobody called none.
async fn turn(
    cycle: &mut Cycle,
    args: &RoundArgs,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<(Account, BTreeMap<IncidentId, Incident>), Failure> {
    let now = clock::now();
    let as_of = args.as_of.unwrap_or(now);
    if as_of > now {
        return Err(Failure::user(format!("--as-of {as_of} is in the future; the present is {now}")));
    }
    let mut account = Account::of(args.dry_run, cycle.config.act.mode);
    if args.as_of.is_none() && !args.no_ingest {
        let summary = cycle.ingest(now, None, progress).await;
        account.ingest = Some(ingest::account(&summary));
    }
    if !args.dry_run {
        let newest = session(&cycle.lake, None).await?;
        refuse_the_past(last_judged(&newest).await.map_err(|e| sql_failure(&e))?, as_of)?;
    }
    let before = session(&cycle.lake, Some(as_of)).await?;
    let known = before.evidence().await.map_err(|e| sql_failure(&e))?;
    account.silent = silences(&before, cycle.metric_rules(), as_of).await.map_err(|e| sql_failure(&e))?;
    let judged = cycle.judge(as_of, now, !args.dry_run).await?;
    let before: BTreeSet<IncidentId> = known.open_incidents.iter().map(|i| i.incident_id.clone()).collect();
    let open = open_after(known.open_incidents, &judged);
    account.judged(&judged, &open);
    account.opened = opened(&before, &judged.conclusions.incidents);
    let called_none = called_none(&session(&cycle.lake, None).await?).await?;
    account.open = still_open(&open, &called_none).len();
    if !args.dry_run && args.as_of.is_none() {
        cycle.suggest(&judged, now).await?;
        carry_on(cycle, &mut account).await?;
        if let Some(settings) = cycle.config.notify.clone() {
            account.notify_errors = notify(settings, &open, &judged).await?;
        }
    }
    account.finish(&cycle.journal).await?;
    Ok((account, still_open(&open, &called_none)))
}

/// A time before the last round cannot be judged again: what was concluded since would be contradicted.
fn refuse_the_past(last: Option<Timestamp>, as_of: Timestamp) -> Result<(), Failure> {
    match last {
        Some(last) if as_of < last => Err(Failure::user(format!("{as_of} was judged already: the last round judged up to {last}"))
            .hint("look at it without recording: add --dry-run; or judge a recorded round again: --replay ID")),
        _ => Ok(()),
    }
}

/// The incidents that are open after a round, by id.
fn open_after(before: Vec<Incident>, judged: &Judged) -> BTreeMap<IncidentId, Incident> {
    let mut open: BTreeMap<IncidentId, Incident> = before.into_iter().map(|i| (i.incident_id.clone(), i)).collect();
    for incident in &judged.conclusions.incidents {
        open.insert(incident.incident_id.clone(), incident.clone());
    }
    open.retain(|_, incident| incident.is_open());
    open
}

/// What is open and was not called none by a person.
fn still_open(open: &BTreeMap<IncidentId, Incident>, called_none: &BTreeSet<String>) -> BTreeMap<IncidentId, Incident> {
    open.iter().filter(|(id, _)| !called_none.contains(id.as_str())).map(|(id, incident)| (id.clone(), incident.clone())).collect()
}

/// How many incidents began in a round, those among them that it saw end too. `before` were known already.
fn opened(before: &BTreeSet<IncidentId>, transitions: &[Incident]) -> usize {
    let began = |i: &&Incident| match i.state {
        IncidentState::Opened => true,
        IncidentState::Closed => !before.contains(&i.incident_id),
        IncidentState::Updated => false,
    };
    transitions.iter().filter(began).count()
}

/// Does what can be done now. Waiting belongs to `act`.
async fn carry_on(cycle: &Cycle, account: &mut Account) -> Result<(), Failure> {
    for _ in 0..PASSES {
        let now = clock::now();
        let (acted, outcomes) = cycle.act(now).await?;
        account.acted(&acted, outcomes);
        if acted.next_at.is_none_or(|at| at > now) {
            break;
        }
    }
    Ok(())
}

/// Tells Alertmanager of every open incident and of those that closed, and webhooks of those that opened or closed. Gives what failed.
async fn notify(settings: NotifySettings, open: &BTreeMap<IncidentId, Incident>, judged: &Judged) -> Result<Vec<String>, Failure> {
    let webhooks = settings.webhooks.len();
    let courier = Courier::new(settings).map_err(|e| Failure::of(Kind::Config, &e))?;
    let transitions = &judged.conclusions.incidents;
    let told: Vec<Incident> = open.values().chain(transitions.iter().filter(|i| !i.is_open())).cloned().collect();
    let mut failed = Vec::new();
    if let Err(e) = courier.post_alerts(&told, clock::now()).await {
        failed.push(chain(&e));
    }
    for webhook in 0..webhooks {
        for incident in transitions {
            if let Err(e) = courier.post_webhook(webhook, incident).await {
                failed.push(chain(&e));
            }
        }
    }
    failed.sort();
    failed.dedup();
    Ok(failed)
}

/// Whether an incident of this severity is one to fail on.
fn reaches(line: RoundFailOn, severity: Severity) -> bool {
    match line {
        RoundFailOn::Info => severity >= Severity::Info,
        RoundFailOn::Warning => severity >= Severity::Warning,
        RoundFailOn::Critical => severity >= Severity::Critical,
        RoundFailOn::NoData => false,
    }
}

/// The exit code: a source or receiver that failed comes before findings.
fn end(account: &Account, open: &BTreeMap<IncidentId, Incident>, fail_on: &[RoundFailOn]) -> Result<(), Failure> {
    let ingest = account.ingest.as_ref().and_then(ingest::failure);
    if let Some(failure) = ingest {
        return Err(
            failure.hint("the round judged what the ledger has; mend the cause and run it again: it carries on where the ledger ends")
        );
    }
    if !account.notify_errors.is_empty() {
        return Err(Failure::new(Kind::Upstream, account.notify_errors.join("\n       "))
            .hint("the round is recorded; check `notify` in the configuration"));
    }
    let others = |n: usize| if n == 1 { String::new() } else { format!(", and {} more", n - 1) };
    let found: Vec<&Incident> = open.values().filter(|i| fail_on.iter().any(|line| reaches(*line, i.severity))).collect();
    let worst = found.iter().max_by(|a, b| a.severity.cmp(&b.severity).then(a.score.total_cmp(&b.score)));
    let mut findings: Vec<String> =
        worst.map(|w| format!("open: {} {}{}", w.incident_id, w.title, others(found.len()))).into_iter().collect();
    let silent: Vec<&Silence> = account.silent.iter().filter(|s| s.fell_silent()).collect();
    if let (Some(first), true) = (silent.first(), fail_on.contains(&RoundFailOn::NoData)) {
        findings.push(format!("silent: {}{}", account::silence(first), others(silent.len())));
    }
    if findings.is_empty() { Ok(()) } else { Err(Failure::new(Kind::Findings, findings.join("\n       "))) }
}

/// Judges a recorded round again and says whether the conclusions are the same.
async fn replay(cycle: &Cycle, id: &str, output: Output) -> Result<(), Failure> {
    #[derive(serde::Deserialize)]
    struct Id {
        round_id: String,
    }
    let session = session(&cycle.lake, None).await?;
    let known: Vec<Id> = session.rows("SELECT round_id FROM rounds").await.map_err(|e| sql_failure(&e))?;
    let full = open::pick(id, known.iter().map(|k| k.round_id.as_str()), "round").map_err(|mut f| {
        f.hint = f.hint.map(|_| "list rounds with `bellwether sql \"SELECT round_id, as_of FROM rounds ORDER BY as_of\"`".into());
        f
    })?;
    let (original, judged) = cycle.replay(&RoundId::new(full), clock::now()).await?;
    let again = &judged.round;
    let mut differs = Vec::new();
    let mut compare = |what: &str, then: String, now: String| {
        if then != now {
            differs.push(format!("{what}: {then} then, {now} now"));
        }
    };
    compare("signals", original.signals.to_string(), again.signals.to_string());
    compare("incidents", original.incidents.to_string(), again.incidents.to_string());
    compare("recommendations", original.recommendations.to_string(), again.recommendations.to_string());
    compare("series judged", original.series.to_string(), again.series.to_string());
    compare("samples judged", original.samples.to_string(), again.samples.to_string());
    compare("digest of all conclusions", original.result_digest.to_string(), again.result_digest.to_string());
    let identical = original.result_digest == again.result_digest;
    let same_config = cycle.config_digest() == original.config_digest;
    let value = json!({"round_id": original.round_id, "as_of": original.as_of, "identical": identical, "result_digest": again.result_digest, "same_config": same_config, "differs": differs});
    output::print(output, &value, || {
        if identical {
            format!(
                "round {} as of {}: identical, {} signals, {} incidents, {} recommendations, digest {}",
                original.round_id, original.as_of, again.signals, again.incidents, again.recommendations, again.result_digest
            )
        } else {
            format!("round {} as of {}: differs\n  {}", original.round_id, original.as_of, differs.join("\n  "))
        }
    })?;
    if identical {
        return Ok(());
    }
    let failure = Failure::user(format!("round {} gave other conclusions when it was judged again", original.round_id));
    Err(if same_config {
        failure
            .hint("the same configuration was in force: another version of this program made the round, or this is a bug; please report it")
    } else {
        failure.hint("the configuration changed since: its digest was another when the round was recorded")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_is_not_judged_twice() {
        let t = |h: i64| Timestamp::from_secs(h * 3_600);
        assert!(
            refuse_the_past(None, t(1)).is_ok() && refuse_the_past(Some(t(1)), t(1)).is_ok() && refuse_the_past(Some(t(1)), t(2)).is_ok()
        );
        let failure = refuse_the_past(Some(t(2)), t(1)).unwrap_err();
        assert!(failure.to_string().contains("--dry-run") && failure.message.contains("1970-01-01T02:00:00Z"), "{failure}");
    }

    #[test]
    fn a_metric_that_fell_silent_is_a_finding_when_it_is_asked_for() {
        use bellwether_pipelines::freshness::Since;
        let silent = |since| Silence {
            metric: "latency_p95".into(),
            place: "r.yaml:2".into(),
            entity: Some("endpoint:ml/iris".parse().unwrap()),
            since,
            allowed: bellwether_model::time::Span::from_hours(1),
        };
        let mut account = Account::of(false, crate::config::ActMode::Plan);
        account.silent = vec![silent(Since::Never)];
        assert!(end(&account, &BTreeMap::new(), &[RoundFailOn::NoData]).is_ok(), "what was never there did not fall silent");
        account.silent.push(silent(Since::At(Timestamp::EPOCH)));
        assert!(end(&account, &BTreeMap::new(), &[RoundFailOn::Info]).is_ok());
        let failure = end(&account, &BTreeMap::new(), &[RoundFailOn::Critical, RoundFailOn::NoData]).unwrap_err();
        assert_eq!(
            (failure.kind, failure.message.as_str()),
            (Kind::Findings, "silent: latency_p95 of ml/iris (r.yaml:2): no sample since 1970-01-01T00:00:00Z")
        );
    }

    fn incident(state: IncidentState) -> Incident {
        Incident { state, ..crate::report::fixture::fleet().incidents.remove(0).incident }
    }

    #[test]
    fn what_a_person_called_none_is_no_finding() {
        let one = incident(IncidentState::Opened);
        let open: BTreeMap<IncidentId, Incident> = [(one.incident_id.clone(), one.clone())].into();
        let account = Account::of(false, crate::config::ActMode::Plan);
        let ends = |called_none: &BTreeSet<String>| end(&account, &still_open(&open, called_none), &[RoundFailOn::Info]);
        assert_eq!(ends(&BTreeSet::new()).unwrap_err().kind, Kind::Findings);
        assert!(ends(&[one.incident_id.to_string()].into()).is_ok());
    }

    #[test]
    fn what_began_and_ended_in_one_round_counts_as_both() {
        let ended = incident(IncidentState::Closed);
        let id = ended.incident_id.clone();
        let transitions = [incident(IncidentState::Opened), ended, incident(IncidentState::Updated)];
        assert_eq!(opened(&BTreeSet::new(), &transitions), 2);
        assert_eq!(opened(&[id].into(), &transitions), 1, "what was known before did not begin");
    }

    #[test]
    fn fail_on_takes_the_severity_and_what_is_worse() {
        let table = [
            (RoundFailOn::Info, [true, true, true]),
            (RoundFailOn::Warning, [false, true, true]),
            (RoundFailOn::Critical, [false, false, true]),
            (RoundFailOn::NoData, [false, false, false]),
        ];
        for (line, expected) in table {
            assert_eq!([Severity::Info, Severity::Warning, Severity::Critical].map(|s| reaches(line, s)), expected);
        }
    }
}
