//! A fleet after two eventful weeks: what the tests of every form of the report are made from.

use std::f64::consts::TAU;

use bellwether_model::dataset::DatasetId;
use bellwether_model::decision::{Approval, Decision, Reason, Tier};
use bellwether_model::digest::Digest;
use bellwether_model::execution::{CheckResult, Execution, ExecutionState};
use bellwether_model::id::{EndpointId, IncidentId, RoundId, SignalId};
use bellwether_model::incident::{Incident, IncidentState};
use bellwether_model::label::{Label, LabelKind};
use bellwether_model::outcome::{Effect, Outcome};
use bellwether_model::plan::{ObjectRef, Plan, PlanBody, PlannedCheck, Step, Verification};
use bellwether_model::playbook::Operation;
use bellwether_model::recommendation::{Candidate, Exclusion, Recommendation};
use bellwether_model::series::{Labels, Series};
use bellwether_model::signal::{Direction, Method, Severity, Signal, SignalState, Subject};
use bellwether_model::time::{Span, TimeRange, Timestamp};
use bellwether_model::unit::{MicroUsd, Unit};
use bellwether_model::verdict::Verdict;
use serde_json::json;

use super::chart::{Band, Chart, Mark, MarkKind, Point};
use super::data::{AgainstLabels, Attempt, AuditStanding, CostLine, Fleet, IncidentCard, NextCommand, PastRun, ReportData};

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn round() -> RoundId {
    RoundId::of(&["fixture"])
}

pub(crate) fn label(subject: &str, label: LabelKind) -> Label {
    Label {
        subject_id: subject.into(),
        label,
        comment: Some("planned load test".into()),
        actor: "ann".into(),
        recorded_at: at("2026-11-21T10:00:00Z"),
    }
}

/// The whole report: four incidents, two open.
pub(crate) fn fleet() -> ReportData {
    let as_of = at("2026-11-21T11:40:00Z");
    ReportData {
        title: "recsys-prod".into(),
        generated_at: at("2026-11-21T11:41:12Z"),
        as_of,
        range: TimeRange::before(as_of, Span::from_days(14)),
        fleet: Fleet { has_inventory: true, endpoints: 24, pools: 3, series: 412, judged: 380, samples: 1_612_800 },
        incidents: vec![bad_canary(), sick_node(), traffic_surge(), upstream_drift()],
        costs: vec![
            cost("gpu-a", 2_016.0, 8_265.6, 1_140.2, &[("ml/checkout-ranker", 3_310.4), ("ml/search-embed", 2_480.1)]),
            cost("gpu-c", 672.0, 1_478.4, 1_197.5, &[("ml/ocr", 280.9)]),
            cost("gpu-b", 1_344.0, 1_344.0, 94.1, &[("ml/asr", 820.0), ("ml/tts", 311.5), ("ml/vad", 90.0)]),
        ],
        audit: AuditStanding::Verified { entries: 57, head: Digest::of_bytes(b"head") },
        skipped: [("not_enough_history".to_owned(), 16), ("no_data".to_owned(), 3), ("no_series".to_owned(), 8)].into(),
        rejects: 7,
        against_labels: Some(AgainstLabels {
            faults: vec![
                ("bad canary on ml/checkout-ranker".into(), Some("inc-canary".into())),
                ("traffic surge on ml/search-embed".into(), Some("inc-surge".into())),
                ("sick GPU node gpu-b-07".into(), Some("inc-node".into())),
                ("feature drift in s3://features:orders".into(), Some("inc-drift".into())),
                ("idle pool gpu-c".into(), None),
            ],
            false_incidents: 0,
        }),
        next_commands: [
            ("bellwether approve plan-4f1d2a9c33b0e871", "let the canary be rolled back"),
            ("bellwether incidents show inc-node", "everything known of the node that throttles"),
            ("bellwether sql \"SELECT * FROM incidents_current\"", "ask the ledger yourself"),
        ]
        .map(|(command, purpose)| NextCommand { command: command.into(), purpose: purpose.into() })
        .into(),
        program: crate::program::Program::default(),
    }
}

fn cost(pool: &str, gpu_hours: f64, usd: f64, idle: f64, top: &[(&str, f64)]) -> CostLine {
    let top_endpoints = top.iter().map(|(e, usd)| (e.parse().unwrap(), MicroUsd::from_usd(*usd))).collect();
    CostLine {
        pool: pool.into(),
        gpu_hours,
        cost: MicroUsd::from_usd(usd),
        idle: MicroUsd::from_usd(idle),
        unknown: MicroUsd(0),
        top_endpoints,
    }
}

/// Noise between -1 and 1 that is the same on every machine.
fn noise(i: i64) -> f64 {
    let mut x = (i as u64).wrapping_add(0x9e37_79b9).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 29;
    x = x.wrapping_mul(0x94d0_49bb_1331_11eb);
    ((x >> 11) as f64 / (1u64 << 53) as f64) * 2.0 - 1.0
}

/// Five-minute samples with a daily rhythm; `shift` is added to what is measured and not to what is expected.
pub(crate) fn points(range: TimeRange, level: f64, swing: f64, spread: f64, shift: impl Fn(Timestamp) -> f64) -> Vec<Point> {
    let step = Span::from_mins(5);
    let n = range.length().micros() / step.micros();
    (0..n)
        .map(|i| {
            let t = range.start + step.times(i);
            let expected = level + swing * (TAU * (t.secs() % 86_400) as f64 / 86_400.0 - 2.0).sin();
            let value = (expected + spread * noise(i) + shift(t)).max(0.0);
            Point { at: t, value, band: Some(Band { expected, lower: expected - 2.4 * spread, upper: expected + 2.4 * spread }) }
        })
        .collect()
}

fn between(t: Timestamp, from: &str, to: &str) -> bool {
    at(from) <= t && t < at(to)
}

#[allow(clippy::too_many_arguments)]
fn signal(
    metric: &str,
    labels: &[(&str, &str)],
    unit: Unit,
    opened: &str,
    closed: Option<&str>,
    severity: Severity,
    numbers: [f64; 5],
    hint: &str,
) -> Signal {
    let labels: Labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let series = Series::new(metric, labels);
    let subject = Subject::Series { series_id: series.series_id, metric: series.metric, labels: series.labels };
    of_subject(subject, Method::Zscore, metric, unit, opened, closed, severity, numbers, hint)
}

#[allow(clippy::too_many_arguments)]
fn of_subject(
    subject: Subject,
    method: Method,
    rule: &str,
    unit: Unit,
    opened: &str,
    closed: Option<&str>,
    severity: Severity,
    [score, value, expected, lower, upper]: [f64; 5],
    hint: &str,
) -> Signal {
    let fingerprint = Signal::fingerprint_of(&rule.into(), method, &subject);
    Signal {
        signal_id: Signal::id_of(&fingerprint, at(opened)),
        fingerprint,
        rule: rule.into(),
        method,
        subject,
        state: if closed.is_some() { SignalState::Closed } else { SignalState::Worsened },
        opened_at: at(opened),
        last_at: closed.map_or(at("2026-11-21T11:40:00Z"), at),
        closed_at: closed.map(at),
        score,
        value,
        expected,
        lower,
        upper,
        p_value: None,
        direction: if value > expected { Direction::Up } else { Direction::Down },
        severity,
        unit,
        hint: hint.into(),
        round_id: round(),
        recorded_at: at("2026-11-21T11:40:00Z"),
    }
}

fn incident(id: &str, title: &str, root: &str, entities: &[&str], endpoints: &[&str], preceding: &[&str], signals: &[Signal]) -> Incident {
    let closed_at = signals.iter().map(|s| s.closed_at).collect::<Option<Vec<_>>>().and_then(|c| c.into_iter().max());
    let mut symptoms: Vec<_> = signals.iter().map(|s| s.rule.to_string()).collect();
    symptoms.sort();
    symptoms.dedup();
    Incident {
        incident_id: id.into(),
        state: if closed_at.is_some() { IncidentState::Closed } else { IncidentState::Updated },
        opened_at: signals.iter().map(|s| s.opened_at).min().unwrap(),
        last_at: signals.iter().map(|s| s.last_at).max().unwrap(),
        closed_at,
        severity: signals.iter().map(|s| s.severity).max().unwrap(),
        score: signals.iter().map(|s| s.score).fold(0.0, f64::max),
        title: title.into(),
        summary: signals.iter().map(|s| s.hint.clone()).collect::<Vec<_>>().join("\n"),
        root: Some(root.parse().unwrap()),
        entities: entities.iter().map(|e| e.parse().unwrap()).collect(),
        endpoints: endpoints.iter().map(|e| e.parse::<EndpointId>().unwrap()).collect(),
        signals: signals.iter().map(|s| s.signal_id.clone()).collect::<Vec<SignalId>>(),
        symptoms,
        preceding_changes: preceding.iter().map(|c| (*c).to_owned()).collect(),
        round_id: round(),
        recorded_at: at("2026-11-21T11:40:00Z"),
    }
}

fn candidate(playbook: &str, score: f64, similarity: f64, success: f64, why: &str) -> Candidate {
    Candidate {
        playbook_id: playbook.into(),
        score,
        justification: why.into(),
        similarity,
        success_rate: success,
        evidence: vec!["run-1841".into(), "run-1206".into()],
        reckoning: None,
    }
}

fn recommendation(incident: &str, candidates: Vec<Candidate>, abstained: Option<&str>) -> Recommendation {
    Recommendation {
        recommendation_id: format!("rec-{incident}").as_str().into(),
        incident_id: incident.into(),
        candidates,
        abstained: abstained.map(Into::into),
        near_misses: if abstained.is_some() {
            vec![candidate("refit-features", 0.06, 0.31, 0.2, "one run, weakly similar")]
        } else {
            vec![]
        },
        excluded: vec![Exclusion {
            playbook_id: "restart-pods".into(),
            reason: "canary_percent == 0 does not hold: canary_percent is 20".into(),
        }],
        round_id: round(),
        recorded_at: at("2026-11-21T09:15:00Z"),
    }
}

fn past(id: &str, playbook: &str, outcome: &str, day: &str, similarity: f64, summary: &str) -> PastRun {
    PastRun {
        run_id: id.into(),
        playbook_id: playbook.into(),
        outcome: outcome.into(),
        ran_at: at(day),
        similarity,
        summary: summary.into(),
    }
}

fn plan(incident: &str, playbook: &str, kind: &str, target: &str, operation: Operation, summary: &str, made: &str) -> Plan {
    let object = ObjectRef {
        api_version: "serving.kserve.io/v1beta1".into(),
        kind: kind.into(),
        namespace: (kind == "InferenceService").then(|| "ml".into()),
        name: target.rsplit(['/', ':']).next().unwrap().into(),
        uid: "8d0c6a1e".into(),
        resource_version: "91822".into(),
    };
    let check = |name: &str, target: &str, rollback| PlannedCheck {
        name: name.into(),
        target: target.parse().unwrap(),
        query: "up".into(),
        critical: true,
        rollback_trigger: rollback,
    };
    let body = PlanBody {
        incident_id: incident.into(),
        recommendation_id: format!("rec-{incident}").as_str().into(),
        playbook_id: playbook.into(),
        playbook_digest: Digest::of_bytes(playbook.as_bytes()),
        service: "ranker".into(),
        blueprint_version: "3".into(),
        blueprint_digest: Digest::of_bytes(b"blueprint"),
        target: target.parse().unwrap(),
        steps: vec![Step {
            operation,
            object,
            field_manager: "bellwether/scale".into(),
            patch: json!({"spec": {"x": 1}}),
            before: json!({"spec": {"x": 0}}),
            summary: summary.into(),
        }],
        verification: Verification {
            stabilization: Span::from_mins(1),
            checks: vec![check("latency_p95", "< 300ms", true), check("error_ratio", "< 1%", true)],
            automatic_rollback: true,
        },
        confidence: 0.8,
    };
    Plan::seal(body, round(), at(made)).unwrap()
}

fn decision(plan: &Plan, tier: Tier, reasons: &[(&str, Tier, &str)]) -> Decision {
    Decision {
        decision_id: format!("dec-{}", plan.plan_id).as_str().into(),
        plan_id: plan.plan_id.clone(),
        tier,
        unattended: false,
        reasons: reasons.iter().map(|(rule, tier, text)| Reason { rule: (*rule).into(), tier: *tier, text: (*text).into() }).collect(),
        approvers: if tier == Tier::Restricted { vec!["org-admin".into()] } else { vec![] },
        alternatives: if tier == Tier::Forbidden { vec![Operation::ScaleWithinLimits] } else { vec![] },
        round_id: round(),
        recorded_at: plan.recorded_at,
    }
}

fn transitions(plan: &Plan, states: &[(ExecutionState, &str, &str, &str)]) -> Vec<Execution> {
    let row = |(i, (state, time, actor, detail)): (usize, &(ExecutionState, &str, &str, &str))| Execution {
        execution_id: format!("exe-{}", plan.plan_id).as_str().into(),
        plan_id: plan.plan_id.clone(),
        incident_id: plan.body.incident_id.clone(),
        playbook_id: plan.body.playbook_id.clone(),
        service: plan.body.service.clone(),
        state: *state,
        sequence: i as i64,
        detail: (*detail).into(),
        actor: (*actor).into(),
        checks: vec![],
        recorded_at: at(time),
    };
    states.iter().enumerate().map(row).collect()
}

fn check(name: &str, verdict: Verdict, before: f64, value: f64) -> CheckResult {
    CheckResult { name: name.into(), verdict, value: Some(value), before: Some(before), text: format!("{name} measured") }
}

fn outcome(plan: &Plan, effect: Effect, checks: Vec<CheckResult>, detail: &str, when: &str) -> Outcome {
    Outcome {
        execution_id: format!("exe-{}", plan.plan_id).as_str().into(),
        plan_id: plan.plan_id.clone(),
        incident_id: plan.body.incident_id.clone(),
        playbook_id: plan.body.playbook_id.clone(),
        effect,
        checks,
        summary: String::new(),
        detail: detail.into(),
        recorded_at: at(when),
    }
}

fn approval(plan: &Plan, who: &str, when: &str) -> Approval {
    Approval {
        plan_id: plan.plan_id.clone(),
        plan_digest: plan.digest,
        approver: who.into(),
        role: "org-admin".into(),
        approved: true,
        comment: Some("go".into()),
        expires_at: at(when) + Span::from_hours(1),
        recorded_at: at(when),
    }
}

fn mark(when: &str, kind: MarkKind, text: &str) -> Mark {
    Mark { at: at(when), kind, text: text.into() }
}

fn bad_canary() -> IncidentCard {
    let who = [("namespace", "ml"), ("service", "checkout-ranker")];
    let range = TimeRange::new(at("2026-11-20T00:00:00Z"), at("2026-11-21T11:40:00Z"));
    let latency = signal(
        "latency_p95",
        &who,
        Unit::Seconds,
        "2026-11-21T09:05:00Z",
        None,
        Severity::Critical,
        [3.4, 0.612, 0.181, 0.118, 0.244],
        "p95 latency of ml/checkout-ranker is 612 ms, 3.4 × the expected 181 ms (usual up to 244 ms)",
    );
    let errors = signal(
        "error_ratio",
        &who,
        Unit::Ratio,
        "2026-11-21T09:10:00Z",
        None,
        Severity::Critical,
        [2.1, 0.034, 0.004, 0.0, 0.0095],
        "3.4 % of requests to ml/checkout-ranker fail, where 0.4 % is usual at this hour",
    );
    let queue = signal(
        "queue_depth",
        &who,
        Unit::Number,
        "2026-11-21T09:20:00Z",
        None,
        Severity::Warning,
        [1.6, 38.0, 6.0, 0.0, 20.0],
        "38 requests wait on ml/checkout-ranker, where 6 are usual",
    );
    let marks = vec![
        mark("2026-11-20T16:30:00Z", MarkKind::Change, "ml/checkout-ranker: maxReplicas 6 → 8"),
        mark(
            "2026-11-21T08:58:00Z",
            MarkKind::Change,
            "ml/checkout-ranker: revision checkout-ranker-00041 → checkout-ranker-00042, canary 20 %",
        ),
        mark("2026-11-21T09:31:00Z", MarkKind::Action, "scale-out applied"),
        mark("2026-11-21T09:36:00Z", MarkKind::Undo, "scale-out rolling back"),
    ];
    let open = TimeRange::new(at("2026-11-21T09:05:00Z"), range.end);
    let mut drawn = points(range, 0.18, 0.04, 0.014, |t| {
        if between(t, "2026-11-21T09:31:00Z", "2026-11-21T09:37:00Z") {
            0.42
        } else if t >= at("2026-11-21T09:05:00Z") {
            0.33
        } else {
            0.0
        }
    });
    drawn.retain(|p| !between(p.at, "2026-11-20T05:10:00Z", "2026-11-20T07:40:00Z"));
    let error_points = points(range, 0.004, 0.001, 0.0016, |t| if t >= at("2026-11-21T09:10:00Z") { 0.026 } else { 0.0 });
    let first = plan(
        "inc-canary",
        "scale-out",
        "InferenceService",
        "endpoint:ml/checkout-ranker",
        Operation::ScaleWithinLimits,
        "minReplicas 3 → 5, maxReplicas 8 → 10",
        "2026-11-21T09:20:00Z",
    );
    let second = plan(
        "inc-canary",
        "rollback-canary",
        "InferenceService",
        "endpoint:ml/checkout-ranker",
        Operation::RollbackRelease,
        "canaryTrafficPercent 20 → 0",
        "2026-11-21T09:55:00Z",
    );
    let signals = vec![latency, errors, queue];
    IncidentCard {
        incident: incident(
            "inc-canary",
            "ml/checkout-ranker: p95 latency 3.4 × expected, and 2 more",
            "endpoint:ml/checkout-ranker",
            &["endpoint:ml/checkout-ranker"],
            &["ml/checkout-ranker", "ml/cart-upsell"],
            &[
                "21 Nov 08:58 ml/checkout-ranker: revision checkout-ranker-00041 → checkout-ranker-00042, canary 20 % (7 minutes before)",
                "20 Nov 16:30 ml/checkout-ranker: maxReplicas 6 → 8",
            ],
            &signals,
        ),
        charts: vec![
            Chart {
                title: "latency_p95 of ml/checkout-ranker".into(),
                unit: Unit::Seconds,
                range,
                points: drawn,
                anomalies: vec![open],
                marks: marks.clone(),
            },
            Chart {
                title: "error_ratio of ml/checkout-ranker".into(),
                unit: Unit::Ratio,
                range,
                points: error_points,
                anomalies: vec![TimeRange::new(at("2026-11-21T09:10:00Z"), range.end)],
                marks,
            },
        ],
        signals,
        recommendation: Some(recommendation(
            "inc-canary",
            vec![
                candidate(
                    "rollback-canary",
                    0.82,
                    0.91,
                    0.88,
                    "9 past runs resemble this (nearest run-1841, similarity 0.94): 8 helped, 1 had no effect. Latency and errors rose within ten minutes of a new revision in all of them. scale-out was tried today and made it worse.",
                ),
                candidate("scale-out", 0.21, 0.74, 0.31, "14 past runs, 4 helped; the latest was harmful."),
            ],
            None,
        )),
        attempts: vec![
            Attempt {
                decision: Some(decision(
                    &first,
                    Tier::Allowed,
                    &[
                        ("tier", Tier::Allowed, "scale_within_limits is allowed for ranker; 10 replicas is at most 12"),
                        ("safety_mode", Tier::Allowed, "the playbook says auto and org-admin is among its roles"),
                        ("cooldown", Tier::Allowed, "last operation 4d 2h ago, more than 60s"),
                    ],
                )),
                approvals: vec![],
                transitions: transitions(
                    &first,
                    &[
                        (ExecutionState::Suggested, "2026-11-21T09:20:00Z", "bellwether", "recommended with 0.64"),
                        (ExecutionState::DryRun, "2026-11-21T09:30:00Z", "bellwether", "the API server accepted 1 patch"),
                        (ExecutionState::Approved, "2026-11-21T09:30:30Z", "platform-team", "standing approval of playbook scale-out"),
                        (ExecutionState::Executing, "2026-11-21T09:31:00Z", "bellwether", "minReplicas 3 → 5, maxReplicas 8 → 10"),
                        (ExecutionState::Verifying, "2026-11-21T09:31:05Z", "bellwether", "waiting 1m"),
                        (ExecutionState::RollingBack, "2026-11-21T09:36:00Z", "bellwether", "latency_p95 720 ms is not < 300ms"),
                        (ExecutionState::RolledBack, "2026-11-21T09:36:09Z", "bellwether", "minReplicas 5 → 3, maxReplicas 10 → 8"),
                    ],
                ),
                outcome: Some(outcome(
                    &first,
                    Effect::Harmful,
                    vec![check("latency_p95", Verdict::Fail, 0.512, 0.72), check("error_ratio", Verdict::Fail, 0.03, 0.034)],
                    "New replicas started with the bad revision; p95 latency rose by 41 %. Undone in 9s.",
                    "2026-11-21T09:36:10Z",
                )),
                plan: first,
            },
            Attempt {
                decision: Some(decision(
                    &second,
                    Tier::Restricted,
                    &[
                        ("tier", Tier::Restricted, "rollback_release needs approval for ranker"),
                        ("breaker", Tier::Allowed, "1 failure in a row, fewer than 3"),
                        ("confidence", Tier::Allowed, "0.82 is at least 0.5"),
                    ],
                )),
                approvals: vec![],
                transitions: transitions(
                    &second,
                    &[
                        (ExecutionState::Suggested, "2026-11-21T09:55:00Z", "bellwether", "recommended with 0.82"),
                        (ExecutionState::DryRun, "2026-11-21T09:55:02Z", "bellwether", "the API server accepted 1 patch"),
                        (ExecutionState::AwaitingApproval, "2026-11-21T09:55:02Z", "bellwether", "a person with org-admin must approve"),
                    ],
                ),
                outcome: None,
                plan: second,
            },
        ],
        past: vec![
            past(
                "run-1841",
                "rollback-canary",
                "effective",
                "2026-10-02T11:00:00Z",
                0.94,
                "p95 latency and errors of ml/home-ranker rose after revision 00017",
            ),
            past(
                "run-1206",
                "rollback-canary",
                "effective",
                "2026-08-19T08:00:00Z",
                0.92,
                "errors of ml/checkout-ranker after a canary at 10 %",
            ),
            past("run-1950", "scale-out", "harmful", "2026-10-28T15:00:00Z", 0.81, "latency of ml/cart-upsell after a release"),
            past(
                "run-0871",
                "rollback-canary",
                "ineffective",
                "2026-05-30T22:00:00Z",
                0.77,
                "latency of ml/search-embed, cause was the feature store",
            ),
        ],
        also_changed: vec!["21 Nov 09:12 ml/cart-upsell: replicas 2 → 4".into()],
        lineage_path: Some("s3://models:checkout-ranker/42 → ml/checkout-ranker → ml/cart-upsell".into()),
        label: None,
    }
}

fn sick_node() -> IncidentCard {
    let range = TimeRange::before(at("2026-11-21T11:40:00Z"), Span::from_days(14));
    let throttle = signal(
        "gpu_throttle_ratio",
        &[("node", "gpu-b-07"), ("pool", "gpu-b")],
        Unit::Ratio,
        "2026-11-19T22:00:00Z",
        None,
        Severity::Warning,
        [2.6, 0.41, 0.03, 0.0, 0.12],
        "GPUs of node gpu-b-07 throttle 41 % of the time; 3 % is usual. The other nodes of pool gpu-b do not.",
    );
    let drawn = points(range, 0.03, 0.008, 0.012, |t| if t >= at("2026-11-19T22:00:00Z") { 0.33 } else { 0.0 });
    let made = plan(
        "inc-node",
        "cordon-node",
        "Node",
        "node:gpu-b-07",
        Operation::CordonNode,
        "unschedulable false → true",
        "2026-11-20T00:05:00Z",
    );
    let signals = vec![throttle];
    IncidentCard {
        incident: incident(
            "inc-node",
            "node gpu-b-07: GPU throttling 41 %, expected 3 %",
            "node:gpu-b-07",
            &["node:gpu-b-07", "pool:gpu-b"],
            &["ml/asr", "ml/tts", "ml/vad"],
            &[],
            &signals,
        ),
        charts: vec![Chart {
            title: "gpu_throttle_ratio of node gpu-b-07".into(),
            unit: Unit::Ratio,
            range,
            points: drawn,
            anomalies: vec![TimeRange::new(at("2026-11-19T22:00:00Z"), range.end)],
            marks: vec![],
        }],
        signals,
        recommendation: Some(recommendation(
            "inc-node",
            vec![candidate("cordon-node", 0.71, 0.88, 0.8, "5 past runs resemble this (nearest run-0402, similarity 0.9): 4 helped.")],
            None,
        )),
        attempts: vec![Attempt {
            decision: Some(decision(
                &made,
                Tier::Forbidden,
                &[
                    ("blueprint", Tier::Forbidden, "cordon_node is forbidden for asr: pool gpu-b would keep 1 ready node, fewer than 2"),
                    ("cooldown", Tier::Allowed, "no operation in the last 60s"),
                ],
            )),
            approvals: vec![],
            transitions: transitions(
                &made,
                &[
                    (ExecutionState::Suggested, "2026-11-20T00:05:00Z", "bellwether", "recommended with 0.71"),
                    (ExecutionState::Refused, "2026-11-20T00:05:00Z", "bellwether", "forbidden by the blueprint of asr"),
                ],
            ),
            outcome: None,
            plan: made,
        }],
        past: vec![past("run-0402", "cordon-node", "effective", "2026-07-11T03:00:00Z", 0.9, "throttling of node gpu-b-02, thermal paste")],
        also_changed: vec![],
        lineage_path: None,
        label: None,
    }
}

fn traffic_surge() -> IncidentCard {
    let who = [("namespace", "ml"), ("service", "search-embed")];
    let (from, to) = ("2026-11-18T13:20:00Z", "2026-11-18T14:35:00Z");
    let range = TimeRange::new(at("2026-11-18T02:00:00Z"), at("2026-11-18T22:00:00Z"));
    let latency = signal(
        "latency_p95",
        &who,
        Unit::Seconds,
        from,
        Some(to),
        Severity::Critical,
        [2.9, 1.32, 0.34, 0.2, 0.48],
        "p95 latency of ml/search-embed was 1.32 s, 3.9 × the expected 340 ms, for 1h 15m, while requests tripled.",
    );
    let rate = signal(
        "request_rate",
        &who,
        Unit::PerSecond,
        from,
        Some("2026-11-18T16:00:00Z"),
        Severity::Warning,
        [2.2, 148.0, 52.0, 20.0, 84.0],
        "148 /s reach ml/search-embed; 52 /s are usual.",
    );
    let drawn = points(range, 0.34, 0.05, 0.03, |t| {
        if between(t, from, "2026-11-18T14:05:00Z") {
            0.9
        } else if between(t, "2026-11-18T14:05:00Z", to) {
            0.25
        } else {
            0.0
        }
    });
    let made = plan(
        "inc-surge",
        "scale-out",
        "InferenceService",
        "endpoint:ml/search-embed",
        Operation::ScaleWithinLimits,
        "minReplicas 2 → 4, maxReplicas 4 → 6",
        "2026-11-18T13:40:00Z",
    );
    let signals = vec![latency, rate];
    IncidentCard {
        incident: incident(
            "inc-surge",
            "ml/search-embed: p95 latency 3.9 × expected, and 1 more",
            "endpoint:ml/search-embed",
            &["endpoint:ml/search-embed"],
            &["ml/search-embed"],
            &[],
            &signals,
        ),
        charts: vec![Chart {
            title: "latency_p95 of ml/search-embed".into(),
            unit: Unit::Seconds,
            range,
            points: drawn,
            anomalies: vec![TimeRange::new(at(from), at(to))],
            marks: vec![mark("2026-11-18T14:01:00Z", MarkKind::Action, "scale-out applied")],
        }],
        signals,
        recommendation: Some(recommendation(
            "inc-surge",
            vec![candidate(
                "scale-out",
                0.77,
                0.86,
                0.81,
                "22 past runs resemble this (nearest run-1733, similarity 0.9): 18 helped, 3 had no effect, 1 was harmful.",
            )],
            None,
        )),
        attempts: vec![Attempt {
            decision: Some(decision(
                &made,
                Tier::Restricted,
                &[
                    ("tier", Tier::Restricted, "scale_beyond_limits: 6 replicas is more than 5"),
                    ("rate_limit", Tier::Allowed, "0 operations in the last hour, fewer than 10"),
                ],
            )),
            approvals: vec![approval(&made, "ann", "2026-11-18T14:00:20Z")],
            transitions: transitions(
                &made,
                &[
                    (ExecutionState::Suggested, "2026-11-18T13:40:00Z", "bellwether", "recommended with 0.77"),
                    (ExecutionState::DryRun, "2026-11-18T13:40:01Z", "bellwether", "the API server accepted 1 patch"),
                    (ExecutionState::AwaitingApproval, "2026-11-18T13:40:01Z", "bellwether", "a person with org-admin must approve"),
                    (ExecutionState::Approved, "2026-11-18T14:00:20Z", "ann", "go"),
                    (ExecutionState::Executing, "2026-11-18T14:01:00Z", "bellwether", "minReplicas 2 → 4, maxReplicas 4 → 6"),
                    (ExecutionState::Verifying, "2026-11-18T14:01:02Z", "bellwether", "waiting 1m"),
                    (ExecutionState::Succeeded, "2026-11-18T14:36:00Z", "bellwether", "2 of 2 checks pass"),
                ],
            ),
            outcome: Some(outcome(
                &made,
                Effect::Effective,
                vec![check("latency_p95", Verdict::Pass, 1.32, 0.284), check("error_ratio", Verdict::Pass, 0.012, 0.003)],
                "p95 latency came back within 34 minutes.",
                "2026-11-18T14:36:00Z",
            )),
            plan: made,
        }],
        past: vec![past(
            "run-1733",
            "scale-out",
            "effective",
            "2026-09-24T12:00:00Z",
            0.9,
            "requests to ml/search-embed doubled during a campaign",
        )],
        also_changed: vec!["18 Nov 14:01 ml/search-embed: minReplicas 2 → 4, maxReplicas 4 → 6".into()],
        lineage_path: None,
        label: None,
    }
}

fn upstream_drift() -> IncidentCard {
    let subject = Subject::Column { dataset: DatasetId::new("s3://features", "orders"), column: "amount_eur".into() };
    let drift = of_subject(
        subject,
        Method::Psi,
        "amount_eur",
        Unit::Number,
        "2026-11-14T04:00:00Z",
        Some("2026-11-16T04:00:00Z"),
        Severity::Warning,
        [1.9, 0.38, 0.04, 0.0, 0.2],
        "The values of amount_eur in s3://features:orders moved (PSI 0.38, line at 0.2): their median is 100 × the usual one, as if cents became euros.",
    );
    let signals = vec![drift];
    IncidentCard {
        incident: incident(
            "inc-drift",
            "s3://features:orders: column amount_eur drifted, PSI 0.38",
            "dataset:s3://features:orders",
            &["dataset:s3://features:orders"],
            &["ml/fraud-score", "ml/checkout-ranker"],
            &["14 Nov 03:40 dataset s3://features:orders: new version from etl:features (20 minutes before)"],
            &signals,
        ),
        charts: vec![],
        signals,
        recommendation: Some(recommendation(
            "inc-drift",
            vec![],
            Some("no past run is similar enough: the nearest has 0.31, less than 0.5"),
        )),
        attempts: vec![],
        past: vec![],
        also_changed: vec![],
        lineage_path: Some(
            "s3://raw:orders → etl:features → s3://features:orders → train:fraud → s3://models:fraud/9 → ml/fraud-score".into(),
        ),
        label: None,
    }
}

/// The fixture's first chart with other points.
pub(crate) fn chart_of(points: Vec<Point>) -> Chart {
    Chart { points, ..fleet().incidents.remove(0).charts.remove(0) }
}

/// The id of the fixture's first incident.
pub(crate) fn first_id() -> IncidentId {
    "inc-canary".into()
}
