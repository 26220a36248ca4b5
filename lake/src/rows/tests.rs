use std::collections::BTreeMap;

use bellwether_model::audit::AuditEntry;
use bellwether_model::cost::{Cost, CostKind};
use bellwether_model::dataset::{ColumnProfile, DatasetId, Flow, LineageEvent, RunIo};
use bellwether_model::decision::{Approval, Decision, Reason, Tier};
use bellwether_model::digest::Digest;
use bellwether_model::execution::{CheckResult, Execution, ExecutionState};
use bellwether_model::id::{EndpointId, SeriesId};
use bellwether_model::incident::{Incident, IncidentState};
use bellwether_model::inventory::{Change, Endpoint, Entity, Node, Pool};
use bellwether_model::label::{Label, LabelKind};
use bellwether_model::outcome::{Effect, Outcome};
use bellwether_model::plan::{ObjectRef, Plan, PlanBody, PlannedCheck, Step, Verification};
use bellwether_model::playbook::Operation;
use bellwether_model::recommendation::{Candidate, Exclusion, Match, Recommendation};
use bellwether_model::reject::Reject;
use bellwether_model::round::Round;
use bellwether_model::run::{Run, RunStatus};
use bellwether_model::series::{Labels, Series};
use bellwether_model::signal::{Direction, Method, Severity, Signal, SignalState, Subject};
use bellwether_model::time::{Span, Timestamp};
use bellwether_model::unit::{MicroUsd, Replicas, Unit};
use bellwether_model::verdict::Verdict;
use serde_json::json;

use super::*;
use crate::tables::{self, StoredVector};

const AT: Timestamp = Timestamp::from_micros(1_767_225_600_123_456);

fn labels() -> Labels {
    [("namespace", "ml"), ("service", "iris \"2\"\n")].map(|(k, v)| (k.to_owned(), v.to_owned())).into()
}

fn returns<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(table: &TableDef, rows: &[T]) {
    let batch = encode(table, rows).unwrap_or_else(|e| panic!("{}: {e:?}", table.name));
    assert_eq!(batch.num_rows(), rows.len(), "{}", table.name);
    assert_eq!(batch.num_columns(), table.columns.len() - table.partition_by.len(), "{}", table.name);
    let back: Vec<T> = decode(&[batch]).unwrap_or_else(|e| panic!("{}: {e:?}", table.name));
    assert_eq!(back, rows, "{}", table.name);
}

fn signal(subject: Subject, closed_at: Option<Timestamp>) -> Signal {
    Signal {
        signal_id: "sig-1".into(),
        fingerprint: "fp-1".into(),
        rule: "latency_p95".into(),
        method: Method::Zscore,
        subject,
        state: SignalState::Opened,
        opened_at: AT,
        last_at: AT + Span::from_secs(60),
        closed_at,
        score: 1.5,
        value: 0.1 + 0.2,
        expected: -0.0,
        lower: f64::MIN_POSITIVE,
        upper: f64::MAX,
        p_value: closed_at.map(|_| 1e-12),
        direction: Direction::Up,
        severity: Severity::Critical,
        unit: Unit::Seconds,
        hint: "p95 latency 3 × expected".into(),
        round_id: "rnd-1".into(),
        recorded_at: AT,
    }
}

fn plan() -> Plan {
    let step = Step {
        operation: Operation::ScaleWithinLimits,
        object: ObjectRef {
            api_version: "v1".into(),
            kind: "InferenceService".into(),
            namespace: Some("ml".into()),
            name: "iris".into(),
            uid: "u".into(),
            resource_version: "7".into(),
        },
        field_manager: "bellwether/scale".into(),
        patch: json!({"spec": {"minReplicas": 3}}),
        before: json!(null),
        summary: "minReplicas 2 → 3".into(),
    };
    let check = PlannedCheck {
        name: "latency_p95".into(),
        target: "< 200ms".parse().unwrap(),
        query: "up".into(),
        critical: true,
        rollback_trigger: false,
    };
    let body = PlanBody {
        incident_id: "inc-1".into(),
        recommendation_id: "rec-1".into(),
        playbook_id: "pb-1".into(),
        playbook_digest: Digest::ZERO,
        service: "iris".into(),
        blueprint_version: "1".into(),
        blueprint_digest: Digest::of_bytes(b"x"),
        target: "endpoint:ml/iris".parse().unwrap(),
        steps: vec![step],
        verification: Verification { stabilization: Span::from_secs(60), checks: vec![check], automatic_rollback: true },
        confidence: 0.75,
    };
    Plan::seal(body, "rnd-1".into(), AT).unwrap()
}

#[test]
fn every_row_type_returns_as_it_was() {
    let check =
        CheckResult { name: "latency_p95".into(), verdict: Verdict::NoData, value: None, before: Some(0.25), text: "nothing".into() };
    let candidate = Candidate {
        playbook_id: "pb-1".into(),
        score: 0.5,
        justification: "2 of 3".into(),
        similarity: 0.9,
        success_rate: 0.6,
        evidence: vec!["run-1".into()],
        reckoning: None,
    };
    let dataset = || DatasetId::new("s3://raw", "orders/2026");
    let run_io = |flow, version: Option<&str>| RunIo {
        run_id: "r".into(),
        job_namespace: "etl".into(),
        job_name: "features".into(),
        flow,
        dataset_namespace: dataset().namespace,
        dataset_name: dataset().name,
        dataset_version: version.map(str::to_owned),
        event_time: AT,
        event_id: "e".into(),
        recorded_at: AT,
    };

    returns(
        &tables::SERIES,
        &[Series::new("up", labels()), Series { series_id: SeriesId(i64::MIN), metric: String::new(), labels: Labels::new() }],
    );
    returns(&tables::REJECTS, &[Reject::new("prometheus", "line 3", "not a number", "NaN", AT)]);
    let run = Run {
        run_id: "run-1".into(),
        workflow_id: "restart".into(),
        playbook_id: None,
        status: RunStatus::Succeeded,
        source_status: "ok".into(),
        started_at: Some(AT),
        finished_at: None,
        trigger: None,
        actor: Some("actor-1".into()),
        target: None,
        summary: "slow".into(),
        outcome: Some("effective".into()),
        error: None,
        attributes: json!({"a": [1, 2.5, null], "b": "x"}),
        updated_at: AT,
        source: "pg".into(),
        recorded_at: AT,
    };
    returns(&tables::RUNS, &[run.clone(), Run { attributes: json!(null), playbook_id: Some("pb".into()), ..run }]);
    let event = LineageEvent {
        event_id: "e".into(),
        event_type: "COMPLETE".into(),
        event_time: AT,
        run_id: "r".into(),
        job_namespace: "etl".into(),
        job_name: "features".into(),
        producer: "airflow".into(),
        body: r#"{"run":{"facets":{}}}"#.into(),
        recorded_at: AT,
    };
    returns(&tables::LINEAGE_EVENTS, &[event]);
    returns(&tables::RUN_IO, &[run_io(Flow::Input, None), run_io(Flow::Output, Some("7"))]);
    let profile = ColumnProfile {
        dataset_namespace: dataset().namespace,
        dataset_name: dataset().name,
        column: "price".into(),
        event_time: AT,
        count: 1_000,
        null_count: 1,
        distinct_count: None,
        min: Some(-1.5),
        max: None,
        sum: Some(1e300),
        quantiles: BTreeMap::from([("0.25".into(), 1.0), ("0.5".into(), 2.5)]),
        event_id: "e".into(),
        recorded_at: AT,
    };
    returns(&tables::COLUMN_PROFILES, &[profile.clone(), ColumnProfile { quantiles: BTreeMap::new(), distinct_count: Some(3), ..profile }]);
    let endpoint = Endpoint {
        endpoint: EndpointId::new("ml", "iris"),
        uid: String::new(),
        resource_version: String::new(),
        labels: labels(),
        runtime: "kserve-vllmserver".into(),
        model_uri: Some("s3://models/iris/3".into()),
        min_replicas: Replicas(1),
        max_replicas: Replicas(u32::MAX),
        ready_replicas: None,
        canary_percent: Some(10),
        revision: None,
        gpus_per_replica: 0.5,
        pool: Some("gpu-a".into()),
        ready: Some(false),
        recorded_at: AT,
    };
    returns(
        &tables::ENDPOINTS,
        &[
            endpoint.clone(),
            Endpoint { labels: Labels::new(), ready: None, canary_percent: None, ready_replicas: Some(Replicas(0)), ..endpoint },
        ],
    );
    let pool = Pool {
        pool: "gpu-a".into(),
        uid: "u".into(),
        resource_version: "1".into(),
        labels: labels(),
        gpu_model: "A100".into(),
        gpu_limit: Some(Replicas(8)),
        gpus: Replicas(4),
        usd_per_gpu_hour: MicroUsd::from_usd(2.5),
        recorded_at: AT,
    };
    returns(&tables::POOLS, &[pool.clone(), Pool { gpu_limit: None, ..pool }]);
    returns(
        &tables::NODES,
        &[Node {
            node: "gpu-3".into(),
            uid: "u".into(),
            resource_version: "1".into(),
            pool: None,
            gpus: Replicas(8),
            cordoned: true,
            recorded_at: AT,
        }],
    );
    returns(
        &tables::CHANGES,
        &[Change {
            at: AT,
            kind: "revision".into(),
            entity: Entity::Endpoint(EndpointId::new("ml", "iris")),
            summary: "41 → 42".into(),
            recorded_at: AT,
        }],
    );
    let cost = Cost {
        period_start: AT,
        period_end: AT + Span::from_hours(1),
        pool: "gpu-a".into(),
        endpoint: Some(EndpointId::new("ml", "iris")),
        kind: CostKind::Workload,
        gpu_hours: 1.25,
        usd_per_gpu_hour: MicroUsd(2_500_000),
        cost_micro_usd: MicroUsd(i64::MAX),
        recorded_at: AT,
    };
    returns(&tables::COSTS, &[cost.clone(), Cost { endpoint: None, kind: CostKind::Idle, ..cost }]);
    let series = Subject::Series { series_id: SeriesId(-42), metric: "latency_p95".into(), labels: labels() };
    returns(&tables::SIGNALS, &[signal(series, None), signal(Subject::Column { dataset: dataset(), column: "price".into() }, Some(AT))]);
    let incident = Incident {
        incident_id: "inc-1".into(),
        state: IncidentState::Updated,
        opened_at: AT,
        last_at: AT,
        closed_at: None,
        severity: Severity::Warning,
        score: 2.0,
        title: "ml/iris: slow".into(),
        summary: "slow".into(),
        root: Some(Entity::Dataset(dataset())),
        entities: vec![Entity::Pool("gpu-a".into()), Entity::Other("job".into(), "x".into())],
        endpoints: vec![EndpointId::new("ml", "iris")],
        signals: vec!["sig-1".into()],
        symptoms: vec!["latency_p95".into()],
        preceding_changes: Vec::new(),
        round_id: "rnd-1".into(),
        recorded_at: AT,
    };
    returns(&tables::INCIDENTS, &[incident.clone(), Incident { root: None, closed_at: Some(AT), ..incident }]);
    let found = Match {
        incident_id: "inc-1".into(),
        run_id: "run-1".into(),
        playbook_id: "pb-1".into(),
        similarity: 0.875,
        outcome: String::new(),
        ran_at: AT,
        embedder_id: "hash-256".into(),
        round_id: "rnd-1".into(),
        recorded_at: AT,
    };
    returns(&tables::MATCHES, &[found]);
    let recommendation = Recommendation {
        recommendation_id: "rec-1".into(),
        incident_id: "inc-1".into(),
        candidates: vec![candidate.clone()],
        abstained: None,
        near_misses: Vec::new(),
        excluded: vec![Exclusion { playbook_id: "pb-2".into(), reason: "max_replicas < 20".into() }],
        round_id: "rnd-1".into(),
        recorded_at: AT,
    };
    returns(
        &tables::RECOMMENDATIONS,
        &[
            recommendation.clone(),
            Recommendation {
                candidates: Vec::new(),
                abstained: Some("nothing alike".into()),
                near_misses: vec![candidate],
                ..recommendation
            },
        ],
    );
    returns(&tables::PLANS, &[plan()]);
    let decision = Decision {
        decision_id: "dec-1".into(),
        plan_id: "plan-1".into(),
        tier: Tier::Restricted,
        unattended: false,
        reasons: vec![Reason { rule: "tier".into(), tier: Tier::Allowed, text: "within limits".into() }],
        approvers: vec!["org-admin".into()],
        alternatives: vec![Operation::ScaleWithinLimits],
        round_id: "rnd-1".into(),
        recorded_at: AT,
    };
    returns(&tables::DECISIONS, &[decision]);
    let approval = Approval {
        plan_id: "plan-1".into(),
        plan_digest: Digest::of_bytes(b"p"),
        approver: "ann".into(),
        role: "org-admin".into(),
        approved: true,
        comment: None,
        expires_at: AT,
        recorded_at: AT,
    };
    returns(&tables::APPROVALS, &[approval]);
    let execution = Execution {
        execution_id: "exe-1".into(),
        plan_id: "plan-1".into(),
        incident_id: "inc-1".into(),
        playbook_id: "pb-1".into(),
        service: "iris".into(),
        state: ExecutionState::RollingBack,
        sequence: 5,
        detail: "worse".into(),
        actor: "bellwether".into(),
        checks: vec![check.clone()],
        recorded_at: AT,
    };
    returns(&tables::EXECUTIONS, &[execution]);
    let outcome = Outcome {
        execution_id: "exe-1".into(),
        plan_id: "plan-1".into(),
        incident_id: "inc-1".into(),
        playbook_id: "pb-1".into(),
        effect: Effect::NoData,
        checks: vec![check],
        summary: "slow".into(),
        detail: "nothing measured".into(),
        recorded_at: AT,
    };
    returns(&tables::OUTCOMES, &[outcome]);
    let entry =
        AuditEntry::following((0, Digest::ZERO), AT, "ann".into(), "approve", "plan-1", json!({"role": "org-admin", "n": [1, 2]})).unwrap();
    returns(&tables::AUDIT, std::slice::from_ref(&entry));
    let stored: Vec<AuditEntry> = decode(&[encode(&tables::AUDIT, &[entry]).unwrap()]).unwrap();
    assert_eq!(stored[0].computed().unwrap(), stored[0].digest, "the chain holds after storage");
    returns(
        &tables::LABELS,
        &[Label {
            subject_id: "inc-1".into(),
            label: LabelKind::NotAnIncident,
            comment: Some("ünïcode".into()),
            actor: "ann".into(),
            recorded_at: AT,
        }],
    );
    let round = Round {
        round_id: "rnd-1".into(),
        as_of: AT,
        versions: BTreeMap::from([("samples".into(), 7)]),
        seed: i64::MIN,
        config_digest: Digest::ZERO,
        result_digest: Digest::ZERO,
        series: 1,
        samples: 2,
        signals: 3,
        incidents: 4,
        recommendations: 5,
        skipped: BTreeMap::from([("constant".into(), 6)]),
        started_at: AT,
        recorded_at: AT,
    };
    returns(&tables::ROUNDS, &[round]);
    let vector = StoredVector {
        subject_id: "run-1".into(),
        kind: "run".into(),
        embedder_id: "hash-4".into(),
        text_digest: "d".into(),
        vector: vec![0.1, -0.7, f32::MIN_POSITIVE, 1.0 / 3.0],
        recorded_at: AT,
    };
    returns(&tables::EMBEDDINGS, &[vector]);
}

#[test]
fn rows_that_do_not_fit_are_refused_by_table_row_and_column() {
    let good = signal(Subject::Column { dataset: DatasetId::new("a", "b"), column: "c".into() }, None);
    let bad = Signal { upper: f64::INFINITY, ..good.clone() };
    assert_eq!(
        encode(&tables::SIGNALS, &[good, bad]).unwrap_err().to_string(),
        "row 1 of signals has nothing in upper, which must hold a value (NaN and infinity are none)"
    );
    let error = encode(&tables::SERIES, &[json!({"series_id": 1, "metric": "m", "labels": {}, "colour": "red"})]).unwrap_err();
    assert!(matches!(error, RowError::Unknown { row: 0, field, .. } if field == "colour"));
    assert!(matches!(encode(&tables::SERIES, &[json!({"series_id": "x", "metric": "m", "labels": {}})]), Err(RowError::Columns { .. })));
    assert!(matches!(encode(&tables::SERIES, &[3]), Err(RowError::NotAStruct { .. })));
    assert_eq!(encode::<Signal>(&tables::SIGNALS, &[]).unwrap().num_rows(), 0);
}
