//! What people rely on: nothing illegal, nothing twice, nothing unrecorded, nothing lost.

use std::path::{Path, PathBuf};

use bellwether_model::decision::{Approval, Decision, Tier};
use bellwether_model::digest::Digest;
use bellwether_model::execution::ExecutionState::{self, *};
use bellwether_model::id::{Actor, CheckName, DecisionId, EndpointId, ExecutionId, RoundId};
use bellwether_model::inventory::Entity;
use bellwether_model::outcome::{Effect, Outcome};
use bellwether_model::plan::{ObjectRef, Plan, PlanBody, PlannedCheck, Step, Verification};
use bellwether_model::playbook::Operation;
use bellwether_model::time::{Span, Timestamp};
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;

use super::audit::AuditError;
use super::inbox::{INBOX_LIMIT, InboxError};
use super::outbox::{Kind, Rows};
use super::record::Position;
use super::transition::{Move, TransitionError, advance};
use super::{Journal, StoreError};
use crate::drivers::DryRun;

pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_770_000_000);

/// A plan that takes `ml/<name>` from 2..4 replicas to 3..6, verified by p95 latency and error ratio after a minute.
pub(crate) fn plan(name: &str, uid: &str) -> Plan {
    let check = |name: &str, target: &str| PlannedCheck {
        name: CheckName::new(name),
        target: target.parse().unwrap(),
        query: format!("{name}()"),
        critical: true,
        rollback_trigger: true,
    };
    let body = PlanBody {
        incident_id: "inc-1".into(),
        recommendation_id: "rec-1".into(),
        playbook_id: "scale-out".into(),
        playbook_digest: Digest::of_bytes(b"playbook"),
        service: name.into(),
        blueprint_version: "1".into(),
        blueprint_digest: Digest::of_bytes(b"blueprint"),
        target: Entity::Endpoint(EndpointId::new("ml", name)),
        steps: vec![Step {
            operation: Operation::ScaleWithinLimits,
            object: ObjectRef {
                api_version: "serving.kserve.io/v1beta1".into(),
                kind: "InferenceService".into(),
                namespace: Some("ml".into()),
                name: name.into(),
                uid: uid.into(),
                resource_version: "1".into(),
            },
            field_manager: "bellwether/scale".into(),
            patch: json!({"spec": {"predictor": {"minReplicas": 3, "maxReplicas": 6}}}),
            before: json!({"spec": {"predictor": {"minReplicas": 2, "maxReplicas": 4}}}),
            summary: "minReplicas 2 → 3, maxReplicas 4 → 6".into(),
        }],
        verification: Verification {
            stabilization: Span::from_secs(60),
            checks: vec![check("latency_p95", "< 200ms"), check("error_ratio", "< 1%")],
            automatic_rollback: true,
        },
        confidence: 0.1 + 0.2,
    };
    Plan::seal(body, RoundId::new("rnd-1"), NOW).unwrap()
}

pub(crate) fn decision(plan: &Plan) -> Decision {
    Decision {
        decision_id: DecisionId::new("dec-1"),
        plan_id: plan.plan_id.clone(),
        tier: Tier::Restricted,
        unattended: false,
        reasons: Vec::new(),
        approvers: vec!["org-admin".into()],
        alternatives: Vec::new(),
        round_id: RoundId::new("rnd-1"),
        recorded_at: NOW,
    }
}

pub(crate) fn approval(plan: &Plan, approved: bool) -> Approval {
    Approval {
        plan_id: plan.plan_id.clone(),
        plan_digest: plan.digest,
        approver: "ann".into(),
        role: "org-admin".into(),
        approved,
        comment: None,
        expires_at: NOW + Span::from_hours(1),
        recorded_at: NOW,
    }
}

/// A journal in a folder of its own, which goes when the test ends.
pub(crate) struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("journal.db")
    }
    pub(crate) async fn open(&self) -> Journal {
        Journal::open(&self.path()).await.unwrap()
    }
}

/// Runs SQL on the file from outside, as someone with the file could.
pub(crate) async fn outside(path: &Path, sql: &'static str) {
    let mut connection = sqlx::ConnectOptions::connect(&SqliteConnectOptions::new().filename(path)).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
}

/// A plan that a person approved and this session claimed, past admission.
pub(crate) async fn claimed(journal: &Journal, plan: &Plan) -> ExecutionId {
    let id = journal.suggest(plan, &decision(plan), NOW).await.unwrap();
    journal.record_dry_run(&id, &DryRun::default(), NOW).await.unwrap();
    journal.await_approval(&id, "restricted", NOW).await.unwrap();
    journal.approve(&id, &approval(plan, true), NOW).await.unwrap();
    claim(journal, &id, NOW).await;
    id
}

/// Claims without admission.
pub(crate) async fn claim(journal: &Journal, id: &ExecutionId, now: Timestamp) {
    let mut tx = journal.write().await.unwrap();
    let record = super::record::expect(&mut tx, id).await.unwrap();
    super::claim::take(&mut tx, &record, journal.session(), "a test".into(), json!({}), now).await.unwrap();
    tx.commit().await.unwrap();
}

async fn put(journal: &Journal, id: &ExecutionId, state: ExecutionState) {
    sqlx::query("UPDATE executions SET state = ? WHERE execution_id = ?")
        .bind(state.name())
        .bind(id.as_str())
        .execute(&journal.pool)
        .await
        .unwrap();
}

async fn footprint(journal: &Journal, id: &ExecutionId) -> (ExecutionState, i64, usize, i64) {
    let record = journal.get(id).await.unwrap().unwrap();
    (record.state, record.sequence, journal.transitions(id).await.unwrap().len(), journal.audit_head().await.unwrap().sequence)
}

#[tokio::test]
async fn every_event_in_every_state_moves_legally_or_changes_nothing() {
    let scratch = Scratch::new();
    let journal = scratch.open().await;
    let plan = plan("iris", "u");
    let id = journal.suggest(&plan, &decision(&plan), NOW).await.unwrap();
    let events = [DryRun_, Await, Approve, Reject, Refuse];
    for from in ExecutionState::ALL {
        for event in events {
            put(&journal, &id, from).await;
            sqlx::query("DELETE FROM approvals").execute(&journal.pool).await.unwrap();
            let before = footprint(&journal, &id).await;
            let (to, outcome) = event.send(&journal, &id, &plan).await;
            let after = footprint(&journal, &id).await;
            if from.may_become(to) {
                outcome.unwrap();
                assert_eq!(after, (to, before.1 + 1, before.2 + 1, before.3 + 1), "{from} {event:?}");
            } else {
                assert!(matches!(outcome, Err(TransitionError::Illegal { .. })), "{from} {event:?} {outcome:?}");
                assert_eq!(after, before, "{from} {event:?}");
            }
        }
        // And every move that the steps make, wherever they may want to go.
        for to in ExecutionState::ALL {
            put(&journal, &id, from).await;
            let before = footprint(&journal, &id).await;
            let moved = go(&journal, &plan, Position { execution_id: id.clone(), state: from, sequence: before.1 }, to).await;
            assert_eq!(moved.is_ok(), from.may_become(to), "{from} → {to}");
            assert_eq!(footprint(&journal, &id).await.0, if from.may_become(to) { to } else { from });
        }
    }
    journal.verify_audit().await.unwrap();
}

#[derive(Clone, Copy, Debug)]
enum Event {
    DryRun_,
    Await,
    Approve,
    Reject,
    Refuse,
}
use Event::*;

impl Event {
    async fn send(self, journal: &Journal, id: &ExecutionId, plan: &Plan) -> (ExecutionState, Result<(), TransitionError>) {
        match self {
            DryRun_ => (DryRun, journal.record_dry_run(id, &crate::drivers::DryRun::default(), NOW).await),
            Await => (AwaitingApproval, journal.await_approval(id, "restricted", NOW).await),
            Approve => (Approved, journal.approve(id, &approval(plan, true), NOW).await),
            Reject => (Refused, journal.approve(id, &approval(plan, false), NOW).await),
            Refuse => (Refused, journal.refuse(id, &Actor::new("ann"), "no", NOW).await),
        }
    }
}

async fn go(journal: &Journal, plan: &Plan, from: Position, to: ExecutionState) -> Result<Position, TransitionError> {
    let actor = Actor::new("bellwether");
    let mut tx = journal.write().await?;
    let step = Move { to, actor: &actor, detail: String::new(), checks: Vec::new(), particulars: serde_json::Value::Null };
    let position = advance(&mut tx, &from, plan, &step, NOW).await?;
    tx.commit().await?;
    Ok(position)
}

#[tokio::test]
async fn of_many_who_move_an_execution_at_once_one_wins() {
    let scratch = Scratch::new();
    let (one, other) = (scratch.open().await, scratch.open().await);
    let plan = plan("iris", "u");
    let id = one.suggest(&plan, &decision(&plan), NOW).await.unwrap();
    one.record_dry_run(&id, &DryRun::default(), NOW).await.unwrap();
    one.await_approval(&id, "restricted", NOW).await.unwrap();
    let from = one.get(&id).await.unwrap().unwrap().position();

    let attempts = (0..20).map(|i| {
        let (journal, plan, from, id) = (if i % 2 == 0 { one.clone() } else { other.clone() }, plan.clone(), from.clone(), id.clone());
        tokio::spawn(async move {
            match i % 4 {
                0 | 1 => journal.approve(&id, &approval(&plan, i % 4 == 0), NOW).await.is_ok(),
                _ => go(&journal, &plan, from, Failed).await.is_ok(),
            }
        })
    });
    let won = futures::future::join_all(attempts).await.into_iter().filter(|won| *won.as_ref().unwrap()).count();
    assert_eq!(won, 1);
    assert_eq!(one.transitions(&id).await.unwrap().len(), 4);
    one.verify_audit().await.unwrap();
}

#[tokio::test]
async fn a_plan_is_suggested_once_and_only_intact() {
    let scratch = Scratch::new();
    let journal = scratch.open().await;
    let plan = plan("iris", "u");
    let id = journal.suggest(&plan, &decision(&plan), NOW).await.unwrap();
    journal.refuse(&id, &Actor::new("ann"), "no", NOW).await.unwrap();
    assert_eq!(journal.suggest(&plan, &decision(&plan), NOW).await.unwrap(), id);
    let record = journal.get(&id).await.unwrap().unwrap();
    assert_eq!((record.state, &record.plan), (Refused, &plan));
    assert!(record.plan.is_intact(), "floats survive storage");

    let mut tampered = plan.clone();
    tampered.body.steps[0].patch = json!({"spec": {"predictor": {"minReplicas": 30}}});
    assert!(matches!(journal.suggest(&tampered, &decision(&plan), NOW).await, Err(TransitionError::Tampered { .. })));
    assert!(journal.open_executions().await.unwrap().is_empty());
    assert_eq!(journal.list(10).await.unwrap().len(), 1);
    assert_eq!(journal.of_plan(&plan.plan_id).await.unwrap().unwrap().execution_id, id);
    for state in ExecutionState::ALL {
        put(&journal, &id, state).await;
        assert_eq!(journal.open_executions().await.unwrap().is_empty(), state.is_terminal(), "{state}");
    }
}

#[tokio::test]
async fn an_approval_counts_for_its_plan_and_time_only() {
    let scratch = Scratch::new();
    let journal = scratch.open().await;
    let (plan, other) = (plan("iris", "u"), plan("wine", "v"));
    let id = journal.suggest(&plan, &decision(&plan), NOW).await.unwrap();
    journal.record_dry_run(&id, &DryRun::default(), NOW).await.unwrap();
    journal.await_approval(&id, "restricted", NOW).await.unwrap();
    let mut edited = approval(&plan, true);
    edited.plan_digest = other.digest;
    for foreign in [approval(&other, true), edited] {
        assert!(matches!(journal.approve(&id, &foreign, NOW).await, Err(TransitionError::OtherPlan { .. })));
    }
    assert!(matches!(journal.approve(&id, &approval(&plan, true), NOW + Span::from_hours(1)).await, Err(TransitionError::Expired { .. })));
    journal.approve(&id, &approval(&plan, true), NOW).await.unwrap();
    assert!(matches!(journal.approve(&id, &approval(&plan, true), NOW).await, Err(TransitionError::Illegal { .. })));
    let Some(batch) = journal.pending(Kind::Approvals, 10).await.unwrap() else { panic!("no approval to relay") };
    assert_eq!(batch.rows, Rows::Approvals(vec![approval(&plan, true)]));
}

#[tokio::test]
async fn tampering_with_the_file_is_found() {
    const FREE: &str = "DROP TRIGGER audit_is_never_edited; DROP TRIGGER audit_is_never_cut;";
    let cases: [(&str, &str, i64); 8] = [
        ("edit", "UPDATE audit SET actor = 'eve' WHERE sequence = 5", 5),
        ("edit of detail", "UPDATE audit SET detail = json_set(detail, '$.i', 99) WHERE sequence = 5", 5),
        ("nonsense", "UPDATE audit SET detail = 'nonsense' WHERE sequence = 5", 1),
        ("removal", "DELETE FROM audit WHERE sequence = 5", 5),
        (
            "removal, closed up",
            "DELETE FROM audit WHERE sequence = 5; UPDATE audit SET sequence = -sequence WHERE sequence > 5; UPDATE audit SET sequence = -sequence - 1 WHERE sequence < 0",
            5,
        ),
        (
            "insertion",
            "INSERT INTO audit SELECT sequence + 100, at, actor, action, subject, detail, previous, digest FROM audit WHERE sequence = 10",
            11,
        ),
        (
            "reorder",
            "UPDATE audit SET sequence = -5 WHERE sequence = 5; UPDATE audit SET sequence = 5 WHERE sequence = 6; UPDATE audit SET sequence = 6 WHERE sequence = -5",
            5,
        ),
        ("cut tail", "DELETE FROM audit WHERE sequence > 8", 9),
    ];
    for (name, sql, sequence) in cases {
        let scratch = Scratch::new();
        let journal = scratch.open().await;
        for i in 0..10 {
            journal.record(&Actor::new("ann"), "approve", "plan-1", json!({"i": i}), NOW).await.unwrap();
        }
        assert_eq!(journal.verify_audit().await.unwrap(), journal.audit_head().await.unwrap());
        outside(&scratch.path(), FREE).await;
        outside(&scratch.path(), sql).await;
        match journal.verify_audit().await {
            Err(AuditError::Broken(broken)) => assert_eq!(broken.sequence, sequence, "{name}: {broken}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn the_audit_table_refuses_edits_while_its_triggers_stand() {
    let scratch = Scratch::new();
    let journal = scratch.open().await;
    journal.record(&Actor::new("ann"), "approve", "plan-1", json!({}), NOW).await.unwrap();
    for sql in ["UPDATE audit SET actor = 'eve'", "DELETE FROM audit"] {
        assert!(sqlx::query(sql).execute(&journal.pool).await.unwrap_err().to_string().contains("append-only"));
    }
}

#[tokio::test]
async fn what_cannot_be_recorded_does_not_happen() {
    let plan = plan("iris", "u");
    // The audit entry is refused, and so is the transition.
    let scratch = Scratch::new();
    let journal = scratch.open().await;
    let id = journal.suggest(&plan, &decision(&plan), NOW).await.unwrap();
    let before = footprint(&journal, &id).await;
    outside(&scratch.path(), "CREATE TRIGGER broken BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no'); END").await;
    for event in [DryRun_, Refuse] {
        assert!(matches!(event.send(&journal, &id, &plan).await.1, Err(TransitionError::Store(StoreError::Database(_)))));
    }
    assert_eq!(footprint(&journal, &id).await, before);

    // The disk is full: writes fail and say so, reads work, and writing works again once there is room.
    let path = scratch.path();
    let full = Journal::connect(SqliteConnectOptions::new().filename(&path).pragma("max_page_count", "1")).await.unwrap();
    outside(&path, "DROP TRIGGER broken").await;
    let error = loop {
        if let Err(InboxError::Store(e)) = full.receive("openlineage", &vec!["x".repeat(1_000); 20], NOW).await {
            break e;
        }
    };
    assert!(error.is_full_or_read_only(), "{error:?}");
    assert_eq!(footprint(&full, &id).await, before);
    journal.record_dry_run(&id, &DryRun::default(), NOW).await.unwrap();

    // The file may only be read.
    let frozen = Journal::connect(SqliteConnectOptions::new().filename(&path).pragma("query_only", "1")).await.unwrap();
    let error = frozen.await_approval(&id, "restricted", NOW).await.unwrap_err();
    assert!(matches!(&error, TransitionError::Store(e) if e.is_full_or_read_only()), "{error:?}");
    assert_eq!(frozen.get(&id).await.unwrap().unwrap().state, DryRun);
    journal.verify_audit().await.unwrap();
}

#[tokio::test]
async fn the_inbox_keeps_what_was_acknowledged_in_order() {
    let scratch = Scratch::new();
    let journal = scratch.open().await;
    journal.receive("openlineage", &["a".into(), "b".into()], NOW).await.unwrap();
    journal.close().await;
    let journal = scratch.open().await;
    let last = journal.receive("openlineage", &["c".into()], NOW).await.unwrap();
    let waiting = journal.waiting(10).await.unwrap();
    assert_eq!(waiting.iter().map(|item| item.content.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!((waiting[2].sequence, waiting[2].received_at), (last, NOW));
    journal.drained(last).await.unwrap();
    assert!(journal.waiting(10).await.unwrap().is_empty());
    assert_eq!(journal.receive("openlineage", &["d".into()], NOW).await.unwrap(), last + 1, "no sequence is used twice");
    let many = vec![String::new(); INBOX_LIMIT as usize];
    assert!(matches!(journal.receive("openlineage", &many, NOW).await, Err(InboxError::Full { waiting: 1 })));
}

#[tokio::test]
async fn the_outbox_offers_every_row_until_it_is_relayed() {
    let scratch = Scratch::new();
    let journal = scratch.open().await;
    let plan = plan("iris", "u");
    let id = journal.suggest(&plan, &decision(&plan), NOW).await.unwrap();
    journal.refuse(&id, &Actor::new("ann"), "no", NOW).await.unwrap();
    let outcome = Outcome {
        execution_id: id.clone(),
        plan_id: plan.plan_id.clone(),
        incident_id: plan.body.incident_id.clone(),
        playbook_id: plan.body.playbook_id.clone(),
        effect: Effect::NoData,
        checks: Vec::new(),
        summary: String::new(),
        detail: "refused".into(),
        recorded_at: NOW,
    };
    assert!(journal.record_outcome(&outcome, NOW).await.unwrap());
    assert!(!journal.record_outcome(&outcome, NOW).await.unwrap());
    for (kind, rows) in [(Kind::Executions, 2), (Kind::Audit, 3), (Kind::Outcomes, 1), (Kind::Approvals, 0)] {
        let mut taken = 0;
        while let Some(batch) = journal.pending(kind, 1).await.unwrap() {
            assert_eq!(journal.pending(kind, 1).await.unwrap().as_ref(), Some(&batch), "offered again until relayed");
            journal.relayed(kind, batch.upto).await.unwrap();
            journal.relayed(kind, 0).await.unwrap();
            taken += 1;
        }
        assert_eq!(taken, rows, "{kind:?}");
    }
}

#[tokio::test]
async fn a_job_has_one_holder() {
    let scratch = Scratch::new();
    let (one, other) = (scratch.open().await, scratch.open().await);
    let (minute, at) = (Span::from_mins(1), |secs| NOW + Span::from_secs(secs));
    let mut held = one.lease("round", "a", minute, at(0)).await.unwrap().unwrap();
    assert!(other.lease("round", "b", minute, at(59)).await.unwrap().is_none());
    assert!(other.lease("ingest", "b", minute, at(59)).await.unwrap().is_some());
    assert!(one.heartbeat(&mut held, minute, at(59)).await.unwrap());
    assert!(other.lease("round", "b", minute, at(118)).await.unwrap().is_none());
    let taken = other.lease("round", "b", minute, at(119)).await.unwrap().unwrap();
    assert_eq!(taken.term, 2);
    assert!(!one.heartbeat(&mut held, minute, at(120)).await.unwrap(), "the old holder learns that it lost the job");
    one.release(&held).await.unwrap();
    assert!(one.lease("round", "a", minute, at(121)).await.unwrap().is_none());
    other.release(&taken).await.unwrap();
    assert!(one.lease("round", "a", minute, at(121)).await.unwrap().is_some());
    assert_eq!(one.leases().await.unwrap().len(), 2);
}

#[tokio::test]
async fn the_file_is_private_and_a_newer_one_is_left_alone() {
    let scratch = Scratch::new();
    let journal = scratch.open().await;
    let again = scratch.open().await;
    assert_eq!(journal.id(), again.id());
    assert_ne!(journal.session(), again.session());
    #[cfg(unix)]
    for file in ["journal.db", "journal.db-wal"] {
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(scratch.folder.path().join(file)).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    outside(&scratch.path(), "PRAGMA user_version = 9").await;
    assert!(matches!(Journal::open(&scratch.path()).await, Err(StoreError::NewerSchema { found: 9 })));
    assert!(matches!(Journal::open(Path::new("/nowhere/journal.db")).await, Err(StoreError::File { .. })));
}
