//! A small ledger with one whole story in it. Time zero is 2026-01-01T00:00:00Z.

use std::collections::BTreeMap;
use std::path::Path;

use bellwether_lake::{Lake, Snapshot, tables};
use bellwether_model::audit::AuditEntry;
use bellwether_model::cost::{Cost, CostKind};
use bellwether_model::dataset::{Flow, RunIo};
use bellwether_model::decision::{Approval, Decision, Reason, Tier};
use bellwether_model::digest::Digest;
use bellwether_model::execution::{Execution, ExecutionState};
use bellwether_model::id::EndpointId;
use bellwether_model::incident::{Incident, IncidentState};
use bellwether_model::inventory::{Endpoint, Entity};
use bellwether_model::outcome::{Effect, Outcome};
use bellwether_model::plan::{Plan, PlanBody, Verification};
use bellwether_model::recommendation::{Candidate, Recommendation};
use bellwether_model::round::Round;
use bellwether_model::series::{Labels, Samples, Series};
use bellwether_model::signal::{Direction, Method, Severity, Signal, SignalState, Subject};
use bellwether_model::time::{Span, Timestamp};
use bellwether_model::unit::{MicroUsd, Replicas, Unit};
use bellwether_sql::SessionOptions;

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_secs(1_767_225_600 + minutes * 60)
}

/// Two hours after time zero.
pub(crate) fn options() -> SessionOptions {
    SessionOptions::at(at(120))
}

fn latency(service: &str) -> Series {
    Series::new("latency_p95", Labels::from([("namespace".to_owned(), "ml".to_owned()), ("service".to_owned(), service.to_owned())]))
}

fn signal(id: &str, service: &str, state: SignalState, last: i64, score: f64) -> Signal {
    let Series { series_id, metric, labels } = latency(service);
    Signal {
        signal_id: id.into(),
        fingerprint: "fp-1".into(),
        rule: "latency_p95".into(),
        method: Method::Zscore,
        subject: Subject::Series { series_id, metric, labels },
        state,
        opened_at: at(30),
        last_at: at(last),
        closed_at: (state == SignalState::Closed).then_some(at(last)),
        score,
        value: 0.9,
        expected: 0.1,
        lower: 0.05,
        upper: 0.2,
        p_value: None,
        direction: Direction::Up,
        severity: Severity::Critical,
        unit: Unit::Seconds,
        hint: format!("p95 latency of {service} 9 × expected"),
        round_id: "rnd-1".into(),
        recorded_at: at(60),
    }
}

fn plan() -> Plan {
    let body = PlanBody {
        incident_id: "inc-1".into(),
        recommendation_id: "rec-1".into(),
        playbook_id: "scale-out".into(),
        playbook_digest: Digest::ZERO,
        service: "iris".into(),
        blueprint_version: "1".into(),
        blueprint_digest: Digest::ZERO,
        target: Entity::Endpoint(EndpointId::new("ml", "iris")),
        steps: Vec::new(),
        verification: Verification { stabilization: Span::from_secs(60), checks: Vec::new(), automatic_rollback: true },
        confidence: 0.8,
    };
    Plan::seal(body, "rnd-1".into(), at(61)).unwrap()
}

/// Writes the ledger and pins it.
pub(crate) async fn make(folder: &Path) -> Snapshot {
    let lake = Lake::open(folder.to_str().unwrap(), &BTreeMap::new()).await.unwrap();
    for (from, to) in [(0, 40), (35, 60)] {
        let mut samples = Samples::default();
        for service in ["iris", "rose"] {
            let ts: Vec<_> = (from..to).map(|m| at(m).micros()).collect();
            let values: Vec<_> = (from..to).map(|m| if m >= 30 { 0.9 } else { 0.1 }).collect();
            samples.push(latency(service), &ts, &values);
        }
        lake.append_samples(&samples, &[]).await.unwrap();
    }
    let signals = [
        signal("sig-1", "iris", SignalState::Opened, 30, 1.5),
        signal("sig-1", "iris", SignalState::Worsened, 40, 4.0),
        signal("sig-2", "rose", SignalState::Opened, 31, 2.0),
        signal("sig-2", "rose", SignalState::Closed, 50, 2.0),
        Signal { round_id: "rnd-crashed".into(), ..signal("sig-3", "iris", SignalState::Opened, 55, 9.0) },
    ];
    lake.append_rows(&tables::SIGNALS, &signals, &[]).await.unwrap();
    let incident = Incident {
        incident_id: "inc-1".into(),
        state: IncidentState::Opened,
        opened_at: at(30),
        last_at: at(50),
        closed_at: None,
        severity: Severity::Critical,
        score: 4.0,
        title: "ml/iris: p95 latency 9 × expected, and 1 more".into(),
        summary: "p95 latency of iris and rose".into(),
        root: Some(Entity::Endpoint(EndpointId::new("ml", "iris"))),
        entities: vec![Entity::Endpoint(EndpointId::new("ml", "iris")), Entity::Endpoint(EndpointId::new("ml", "rose"))],
        endpoints: vec![EndpointId::new("ml", "iris")],
        signals: vec!["sig-1".into(), "sig-2".into()],
        symptoms: vec!["latency_p95".into()],
        preceding_changes: Vec::new(),
        round_id: "rnd-1".into(),
        recorded_at: at(60),
    };
    lake.append_rows(&tables::INCIDENTS, &[incident], &[]).await.unwrap();
    let candidate = Candidate {
        playbook_id: "scale-out".into(),
        score: 0.8,
        justification: "4 of 5 like it".into(),
        similarity: 0.9,
        success_rate: 0.8,
        evidence: vec!["run-1".into()],
        reckoning: None,
    };
    let recommendation = Recommendation {
        recommendation_id: "rec-1".into(),
        incident_id: "inc-1".into(),
        candidates: vec![candidate],
        abstained: None,
        near_misses: Vec::new(),
        excluded: Vec::new(),
        round_id: "rnd-1".into(),
        recorded_at: at(60),
    };
    lake.append_rows(&tables::RECOMMENDATIONS, &[recommendation], &[]).await.unwrap();
    let plan = plan();
    let decision = Decision {
        decision_id: "dec-1".into(),
        plan_id: plan.plan_id.clone(),
        tier: Tier::Restricted,
        unattended: false,
        reasons: vec![Reason { rule: "safety_mode".into(), tier: Tier::Restricted, text: "the playbook asks for a person".into() }],
        approvers: vec!["org-admin".into()],
        alternatives: Vec::new(),
        round_id: "rnd-1".into(),
        recorded_at: at(61),
    };
    let approval = Approval {
        plan_id: plan.plan_id.clone(),
        plan_digest: plan.digest,
        approver: "ann".into(),
        role: "org-admin".into(),
        approved: true,
        comment: None,
        expires_at: at(120),
        recorded_at: at(62),
    };
    let execution = |sequence, state| Execution {
        execution_id: "exe-1".into(),
        plan_id: plan.plan_id.clone(),
        incident_id: "inc-1".into(),
        playbook_id: "scale-out".into(),
        service: "iris".into(),
        state,
        sequence,
        detail: String::new(),
        actor: "bellwether".into(),
        checks: Vec::new(),
        recorded_at: at(63),
    };
    let outcome = Outcome {
        execution_id: "exe-1".into(),
        plan_id: plan.plan_id.clone(),
        incident_id: "inc-1".into(),
        playbook_id: "scale-out".into(),
        effect: Effect::Effective,
        checks: Vec::new(),
        summary: "p95 latency of iris and rose".into(),
        detail: "p95 back at 0.1 s".into(),
        recorded_at: at(70),
    };
    lake.append_rows(
        &tables::EXECUTIONS,
        &[execution(0, ExecutionState::Approved), execution(1, ExecutionState::Executing), execution(2, ExecutionState::Succeeded)],
        &[],
    )
    .await
    .unwrap();
    lake.append_rows(&tables::PLANS, &[plan], &[]).await.unwrap();
    lake.append_rows(&tables::DECISIONS, &[decision], &[]).await.unwrap();
    lake.append_rows(&tables::APPROVALS, &[approval], &[]).await.unwrap();
    lake.append_rows(&tables::OUTCOMES, &[outcome], &[]).await.unwrap();
    let endpoint = |name: &str, model: &str| Endpoint {
        endpoint: EndpointId::new("ml", name),
        uid: String::new(),
        resource_version: String::new(),
        labels: Labels::new(),
        runtime: String::new(),
        model_uri: Some(model.into()),
        min_replicas: Replicas(1),
        max_replicas: Replicas(4),
        ready_replicas: Some(Replicas(2)),
        canary_percent: None,
        revision: None,
        gpus_per_replica: 1.0,
        pool: Some("gpu-a".into()),
        ready: Some(true),
        recorded_at: at(0),
    };
    lake.append_rows(&tables::ENDPOINTS, &[endpoint("iris", "s3://models/iris/3"), endpoint("rose", "s3://models/rose/1")], &[])
        .await
        .unwrap();
    let io = |flow, namespace: &str, name: &str| RunIo {
        run_id: "run-7".into(),
        job_namespace: "etl".into(),
        job_name: "train-iris".into(),
        flow,
        dataset_namespace: namespace.into(),
        dataset_name: name.into(),
        dataset_version: None,
        event_time: at(-60),
        event_id: "e-1".into(),
        recorded_at: at(0),
    };
    lake.append_rows(&tables::RUN_IO, &[io(Flow::Input, "s3://raw", "flowers"), io(Flow::Output, "s3://models", "iris/3")], &[])
        .await
        .unwrap();
    let cost = |endpoint: Option<&str>, kind, usd| Cost {
        period_start: at(0),
        period_end: at(60),
        pool: "gpu-a".into(),
        endpoint: endpoint.map(|e| EndpointId::new("ml", e)),
        kind,
        gpu_hours: 2.0,
        usd_per_gpu_hour: MicroUsd::from_usd(2.5),
        cost_micro_usd: MicroUsd::from_usd(usd),
        recorded_at: at(60),
    };
    lake.append_rows(
        &tables::COSTS,
        &[cost(Some("iris"), CostKind::Workload, 5.0), cost(Some("rose"), CostKind::Workload, 5.0), cost(None, CostKind::Idle, 10.0)],
        &[],
    )
    .await
    .unwrap();
    let mut last = (0, Digest::ZERO);
    let mut entries = Vec::new();
    for (i, action) in ["plan", "approve", "execute", "verify"].into_iter().enumerate() {
        let entry = AuditEntry::following(last, at(61 + i as i64), "ann".into(), action, "exe-1", serde_json::json!({"step": i})).unwrap();
        last = (entry.sequence, entry.digest);
        entries.push(entry);
    }
    lake.append_rows(&tables::AUDIT, &entries, &[]).await.unwrap();
    let round = Round {
        round_id: "rnd-1".into(),
        as_of: at(60),
        versions: BTreeMap::new(),
        seed: 1,
        config_digest: Digest::ZERO,
        result_digest: Digest::ZERO,
        series: 2,
        samples: 120,
        signals: 4,
        incidents: 1,
        recommendations: 1,
        skipped: BTreeMap::new(),
        started_at: at(60),
        recorded_at: at(61),
    };
    lake.append_rows(&tables::ROUNDS, &[round], &[]).await.unwrap();
    lake.snapshot().await.unwrap()
}
