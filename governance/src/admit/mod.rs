//! Admission: the only maker of [`Admitted`], which is the only thing that is ever executed.

use bellwether_model::decision::{Approval, Reason, Tier};
use bellwether_model::digest::Digest;
use bellwether_model::id::{Actor, PlanId, PlaybookId, ServiceName};
use bellwether_model::plan::Plan;
use bellwether_model::playbook::Operation;
use bellwether_model::time::{Span, Timestamp};

use crate::binding::Governance;
use crate::blueprint::Safety;
use crate::decide::{alternatives, approvers};
use crate::history::{BreakerVerdict, History};
use crate::live::{self, Difference, LiveState};
use crate::playbook::{LoadedPlaybook, ORG_ADMIN};
use crate::rules::Case;

/// By whose word a plan runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authority {
    /// A person approved this very plan. The caller has verified the token behind it.
    Approval(Approval),
    /// The playbook's owner, who set it to run unattended.
    Standing {
        /// The owner as the playbook names it.
        owner: Actor,
    },
}

/// A plan that may be executed now. Only [`admit`] makes one, and nothing can change it afterwards.
#[derive(Clone, Debug, PartialEq)]
pub struct Admitted {
    plan: Plan,
    authority: Authority,
    limits: Safety,
    safety: bool,
    passage: Passage,
    at: Timestamp,
}

/// How an operation passes the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// Within all limits.
    Normal,
    /// As the one operation that an open breaker lets through to try: apply
    /// [`crate::history::BreakerEvent::ProbeStarted`] in the same transaction.
    Probe,
    /// As a safety operation, which waits for nothing: record it as one.
    Safety,
}

impl Admitted {
    /// The plan.
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }
    /// By whose word.
    pub const fn authority(&self) -> &Authority {
        &self.authority
    }
    /// Who answers for it: the approver, or the owner of the standing approval.
    pub const fn approver(&self) -> &Actor {
        match &self.authority {
            Authority::Approval(approval) => &approval.approver,
            Authority::Standing { owner } => owner,
        }
    }
    /// The waits and limits of its service when it was admitted.
    pub const fn limits(&self) -> &Safety {
        &self.limits
    }
    /// How it passed the limits when it was admitted.
    pub const fn passage(&self) -> Passage {
        self.passage
    }
    /// Whether it is a safety operation, which is recorded as such.
    pub const fn is_safety(&self) -> bool {
        self.safety
    }
    /// When it was admitted.
    pub const fn admitted_at(&self) -> Timestamp {
        self.at
    }
    /// Cooldown, rate limit and breaker once more, for the transaction that writes the intent: `history` must be read in it.
    pub fn recheck_limits(&self, history: &History, now: Timestamp) -> Result<Passage, Refusal> {
        pass(&self.plan.body.service, &self.limits, self.safety, history, now)
    }
}

/// Why a plan is not admitted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// Its digest does not fit its content.
    #[error("{plan_id} was altered: its digest does not fit its content")]
    Altered {
        /// The plan.
        plan_id: PlanId,
    },
    /// Its service is not bound any more.
    #[error("service {service} is not bound to a blueprint")]
    UnknownService {
        /// The service.
        service: ServiceName,
    },
    /// The blueprint changed since.
    #[error("the blueprint of {service} changed since the plan was made ({} then, {} now)", planned.short(), current.short())]
    BlueprintChanged {
        /// The service.
        service: ServiceName,
        /// The blueprint's digest in the plan.
        planned: Digest,
        /// Its digest now.
        current: Digest,
    },
    /// The playbook is not loaded any more.
    #[error("playbook {playbook} is not loaded")]
    UnknownPlaybook {
        /// The playbook.
        playbook: PlaybookId,
    },
    /// The playbook's file changed since.
    #[error("playbook {playbook} changed since the plan was made ({} then, {} now)", planned.short(), current.short())]
    PlaybookChanged {
        /// The playbook.
        playbook: PlaybookId,
        /// Its digest in the plan.
        planned: Digest,
        /// Its digest now.
        current: Digest,
    },
    /// Pins are required, and the playbook's digest is not the pinned one.
    #[error("playbook {playbook} is not pinned with SHA-256 {digest}")]
    NotPinned {
        /// The playbook.
        playbook: PlaybookId,
        /// Its digest.
        digest: Digest,
    },
    /// Policy forbids it.
    #[error("forbidden: {}", words(reasons))]
    Forbidden {
        /// Every reason that forbids.
        reasons: Vec<Reason>,
        /// What could be done instead.
        alternatives: Vec<Operation>,
    },
    /// A person must approve first.
    #[error("needs approval by {}: {}", approvers.join(", "), words(reasons))]
    ApprovalNeeded {
        /// Why.
        reasons: Vec<Reason>,
        /// Who is asked.
        approvers: Vec<String>,
    },
    /// There is an approval, but it does not count.
    #[error("the approval does not count: {0}")]
    Approval(#[from] ApprovalProblem),
    /// The object is not what it was when the plan was made.
    #[error("stale: {0}")]
    Stale(#[from] Difference),
    /// The service rests.
    #[error("service {service} rests for another {left}")]
    Cooldown {
        /// The service.
        service: ServiceName,
        /// Time left.
        left: Span,
    },
    /// The hour is full.
    #[error("service {service} had its {limit} operations of the hour; the next is possible in {wait}")]
    RateLimit {
        /// The service.
        service: ServiceName,
        /// Operations an hour.
        limit: u32,
        /// Time until there is room.
        wait: Span,
    },
    /// The breaker is open.
    #[error("the breaker of {service} is open after {failures} failures{}", for_another(*left))]
    Breaker {
        /// The service.
        service: ServiceName,
        /// Failures in a row.
        failures: u32,
        /// Time until one operation may try; zero while one is trying.
        left: Span,
    },
}

/// Why an approval does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalProblem {
    /// It is of another plan, or of another state of this one.
    #[error("it is of another plan ({approved})")]
    OtherPlan {
        /// The plan it is of.
        approved: PlanId,
    },
    /// The approver said no.
    #[error("{approver} rejected the plan")]
    Rejected {
        /// Who.
        approver: Actor,
    },
    /// It names nobody.
    #[error("it names no approver")]
    Nobody,
    /// The role is not enough.
    #[error("role {role:?} may not approve; org-admin may")]
    Role {
        /// The role.
        role: String,
    },
    /// It is over.
    #[error("it expired at {at}")]
    Expired {
        /// When.
        at: Timestamp,
    },
    /// A standing approval of somebody who does not own the playbook.
    #[error("{owner} is not the owner of playbook {playbook}")]
    NotOwner {
        /// Who was named.
        owner: Actor,
        /// The playbook.
        playbook: PlaybookId,
    },
}

/// What kind of no a refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusalKind {
    /// Policy forbids it: nothing helps but another plan.
    Policy,
    /// An approval, or another one, would help.
    ApprovalNeeded,
    /// The world or the rules changed: a new plan would help.
    Stale,
    /// Waiting would help.
    Limit,
    /// Somebody altered something.
    Integrity,
}

impl Refusal {
    /// What kind of no it is.
    pub const fn kind(&self) -> RefusalKind {
        match self {
            Self::Altered { .. } => RefusalKind::Integrity,
            Self::UnknownService { .. } | Self::UnknownPlaybook { .. } | Self::NotPinned { .. } | Self::Forbidden { .. } => {
                RefusalKind::Policy
            }
            Self::ApprovalNeeded { .. } | Self::Approval(_) => RefusalKind::ApprovalNeeded,
            Self::BlueprintChanged { .. } | Self::PlaybookChanged { .. } | Self::Stale(_) => RefusalKind::Stale,
            Self::Cooldown { .. } | Self::RateLimit { .. } | Self::Breaker { .. } => RefusalKind::Limit,
        }
    }
}

/// Admits a plan, or says why not. Binding, where [`crate::decide::decide`] is advisory.
///
/// # Guarantees
/// An admitted plan is intact; rests on the playbook (pinned, where pins are required) and blueprint that are in force; has
/// no forbidden step; carries an unexpired approval of exactly this plan by an `org-admin`, or may run unattended by the
/// word of its playbook's owner; and every object is the same one, with the fields that will change still as they were when
/// the plan was made. Cooldown, rate limit and breaker permit it at `now`.
///
/// # Assumptions
/// `live` was read from the cluster just now, in the order of the plan's steps. `history` is of the plan's service.
pub fn admit(
    governance: &Governance,
    plan: Plan,
    authority: Authority,
    history: &History,
    live: &LiveState,
    now: Timestamp,
) -> Result<Admitted, Refusal> {
    if !plan.is_intact() {
        return Err(Refusal::Altered { plan_id: plan.plan_id });
    }
    let Some(case) = Case::of(governance, &plan, history, now) else {
        return Err(Refusal::UnknownService { service: plan.body.service });
    };
    let loaded = in_force(&case)?;
    let reasons = case.policy();
    let of = |tier| reasons.iter().filter(|r| r.tier == tier).cloned().collect::<Vec<_>>();
    if !of(Tier::Forbidden).is_empty() {
        return Err(Refusal::Forbidden { reasons: of(Tier::Forbidden), alternatives: alternatives(&case) });
    }
    match &authority {
        Authority::Approval(approval) => approved(&plan, approval, now)?,
        Authority::Standing { owner } => {
            let mut needs = of(Tier::Restricted);
            if !loaded.may_run_unattended() {
                needs.extend(reasons.iter().filter(|r| r.rule == "safety_mode").cloned());
            }
            if !needs.is_empty() {
                return Err(Refusal::ApprovalNeeded { reasons: needs, approvers: approvers(&case) });
            }
            if loaded.owner() != Some(owner.as_str()) {
                return Err(ApprovalProblem::NotOwner { owner: owner.clone(), playbook: plan.body.playbook_id.clone() }.into());
            }
        }
    }
    live::unchanged(&plan.body.steps, live)?;
    let (limits, safety) = (*case.safety(), case.is_safety());
    let passage = pass(&plan.body.service, &limits, safety, history, now)?;
    Ok(Admitted { plan, authority, limits, safety, passage, at: now })
}

/// The standing approval of a plan's playbook, where it may run without a person.
pub fn standing(governance: &Governance, plan: &Plan) -> Option<Authority> {
    let loaded = governance.playbook(&plan.body.playbook_id).filter(|p| p.may_run_unattended())?;
    Some(Authority::Standing { owner: Actor::new(loaded.owner()?) })
}

/// The playbook, when it and the blueprint are those that the plan rests on.
fn in_force<'a>(case: &Case<'a>) -> Result<&'a LoadedPlaybook, Refusal> {
    let body = &case.plan.body;
    if body.blueprint_digest != case.service.digest {
        return Err(Refusal::BlueprintChanged {
            service: body.service.clone(),
            planned: body.blueprint_digest,
            current: case.service.digest,
        });
    }
    let Some(loaded) = case.playbook else {
        return Err(Refusal::UnknownPlaybook { playbook: body.playbook_id.clone() });
    };
    if loaded.playbook.digest != body.playbook_digest {
        return Err(Refusal::PlaybookChanged {
            playbook: body.playbook_id.clone(),
            planned: body.playbook_digest,
            current: loaded.playbook.digest,
        });
    }
    match case.governance.pins() {
        Some(pins) if pins.get(&body.playbook_id) != Some(&body.playbook_digest) => {
            Err(Refusal::NotPinned { playbook: body.playbook_id.clone(), digest: body.playbook_digest })
        }
        _ => Ok(loaded),
    }
}

fn approved(plan: &Plan, approval: &Approval, now: Timestamp) -> Result<(), ApprovalProblem> {
    if approval.plan_id != plan.plan_id || approval.plan_digest != plan.digest {
        return Err(ApprovalProblem::OtherPlan { approved: approval.plan_id.clone() });
    }
    if approval.approver.as_str().trim().is_empty() {
        return Err(ApprovalProblem::Nobody);
    }
    if !approval.approved {
        return Err(ApprovalProblem::Rejected { approver: approval.approver.clone() });
    }
    if approval.role != ORG_ADMIN {
        return Err(ApprovalProblem::Role { role: approval.role.clone() });
    }
    if approval.expires_at <= now {
        return Err(ApprovalProblem::Expired { at: approval.expires_at });
    }
    Ok(())
}

/// How an operation passes cooldown, rate limit and breaker.
fn pass(service: &ServiceName, limits: &Safety, safety: bool, history: &History, now: Timestamp) -> Result<Passage, Refusal> {
    let service = service.clone();
    if safety {
        return Ok(Passage::Safety);
    }
    let verdict = history.breaker_verdict(limits, now);
    if let BreakerVerdict::Blocked { left } = verdict {
        return Err(Refusal::Breaker { service, failures: history.consecutive_failures, left });
    }
    let left = history.cooldown_left(limits, now);
    if left > Span::ZERO {
        return Err(Refusal::Cooldown { service, left });
    }
    if history.rate_left(limits, now) == 0 {
        return Err(Refusal::RateLimit { service, limit: limits.max_operations_per_hour, wait: history.rate_wait(limits, now) });
    }
    Ok(if verdict == BreakerVerdict::Probe { Passage::Probe } else { Passage::Normal })
}

fn words(reasons: &[Reason]) -> String {
    reasons.iter().map(|r| r.text.as_str()).collect::<Vec<_>>().join("; ")
}

fn for_another(left: Span) -> String {
    if left == Span::ZERO { ", and one operation is already trying".to_owned() } else { format!(", for another {left}") }
}

#[cfg(test)]
mod tests;
