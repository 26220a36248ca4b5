//! `bellwether act`

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bellwether_executor::Journal;
use bellwether_executor::journal::record::Record;
use bellwether_model::execution::ExecutionState;
use bellwether_model::id::{ExecutionId, IncidentId, PlanId, PlaybookId};
use bellwether_model::outcome::Outcome;
use bellwether_model::time::{Span, Timestamp};
use serde::Serialize;

use crate::cli::{ActArgs, Output};
use crate::clock;
use crate::config::{ActMode, Config};
use crate::cycle::Cycle;
use crate::failure::{Failure, Kind};
use crate::{open, output};

/// The longest wait between two looks, so that what others did to the journal is seen.
const LONGEST: Span = Span::from_secs(30);
/// The shortest wait between two looks.
const SHORTEST: Span = Span::from_micros(200_000);

/// A longer wait is told of.
const PATIENCE: Span = Span::from_secs(1);

/// What was done.
#[derive(Debug, Serialize)]
struct Account {
    act_mode: ActMode,
    executions: Vec<Moved>,
    outcomes: Vec<Outcome>,
    next_at: Option<Timestamp>,
}

/// An execution that was looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Moved {
    execution_id: ExecutionId,
    plan_id: PlanId,
    incident_id: IncidentId,
    playbook_id: PlaybookId,
    /// Where it stood before; where it stands now.
    from: ExecutionState,
    state: ExecutionState,
    /// What the last transition says, or what holds it back.
    detail: String,
    held: bool,
}

/// Runs the command.
pub async fn run(config: Config, args: ActArgs, output: Output) -> Result<(), Failure> {
    let cycle = Cycle::open(config).await?;
    let before = cycle.journal.open_executions().await.map_err(|e| open::upstream(&e))?;
    let only = match &args.plan {
        Some(wanted) => Some(PlanId::new(open::pick(wanted, before.iter().map(|r| r.plan.plan_id.as_str()), "plan").map_err(|f| {
            if f.message.starts_with("there is no") {
                Failure { message: format!("no plan {wanted:?} is open"), ..f }
                    .hint("list the plans of open incidents with `bellwether plan`")
            } else {
                f
            }
        })?)),
        None => None,
    };
    let mine: Vec<Record> = before.into_iter().filter(|r| only.as_ref().is_none_or(|id| r.plan.plan_id == *id)).collect();
    let mut account = Account { act_mode: cycle.config.act.mode, executions: Vec::new(), outcomes: Vec::new(), next_at: None };
    let mut told: BTreeMap<ExecutionId, ExecutionState> = mine.iter().map(|r| (r.execution_id.clone(), r.state)).collect();
    let mut held: BTreeMap<ExecutionId, String>;
    let mut waits_until = None;
    loop {
        let now = clock::now();
        let (acted, outcomes) = cycle.act_on(only.as_ref(), now).await?;
        account.outcomes.extend(outcomes);
        account.next_at = acted.next_at;
        held = acted.held.into_iter().collect();
        tell(&cycle.journal, &mut told, &acted.executions, output).await?;
        // What a limit holds back may be held back for an hour: that is not waited for.
        let under_way = acted
            .executions
            .iter()
            .any(|(_, s)| matches!(s, ExecutionState::Executing | ExecutionState::Verifying | ExecutionState::RollingBack));
        let Some(next) = acted.next_at.filter(|_| under_way && !args.no_wait) else { break };
        let wait = next.since(clock::now()).max(SHORTEST).min(LONGEST);
        if output == Output::Table && waits_until.replace(next) != Some(next) && wait > PATIENCE {
            eprintln!("waiting until {next}, when the change is looked at again; Ctrl-C is safe, and `bellwether act` goes on");
        }
        tokio::time::sleep(wait.to_std()).await;
    }
    for record in mine {
        account.executions.push(moved(&cycle.journal, record, &held).await?);
    }
    output::print(output, &account, || text(&account))?;
    end(&account.executions)
}

/// Says on stderr what moved, while it moves.
async fn tell(
    journal: &Journal,
    told: &mut BTreeMap<ExecutionId, ExecutionState>,
    seen: &[(ExecutionId, ExecutionState)],
    output: Output,
) -> Result<(), Failure> {
    for (id, state) in seen {
        if told.insert(id.clone(), *state) != Some(*state) && output == Output::Table {
            let last = journal.transitions(id).await.map_err(|e| open::upstream(&e))?.pop();
            eprintln!("{id}  {state}  {}", last.map(|t| t.detail).unwrap_or_default());
        }
    }
    Ok(())
}

async fn moved(journal: &Journal, before: Record, held: &BTreeMap<ExecutionId, String>) -> Result<Moved, Failure> {
    let id = before.execution_id;
    let state = journal.get(&id).await.map_err(|e| open::upstream(&e))?.map_or(before.state, |r| r.state);
    let last = journal.transitions(&id).await.map_err(|e| open::upstream(&e))?.pop();
    let holds = held.get(&id);
    Ok(Moved {
        plan_id: before.plan.plan_id,
        incident_id: before.plan.body.incident_id,
        playbook_id: before.plan.body.playbook_id,
        from: before.state,
        state,
        detail: holds.cloned().or(last.map(|t| t.detail)).unwrap_or_default(),
        held: holds.is_some(),
        execution_id: id,
    })
}

fn text(account: &Account) -> String {
    if account.executions.is_empty() {
        return "nothing is open: there is no plan to carry out".to_owned();
    }
    let mut out = String::new();
    for e in &account.executions {
        let change = if e.from == e.state { e.state.to_string() } else { format!("{} → {}", e.from, e.state) };
        let _ = writeln!(out, "{}  {}  {change}\n  {}{}", e.plan_id, e.playbook_id, if e.held { "held back: " } else { "" }, e.detail);
        let hint = match (e.state, account.act_mode) {
            (ExecutionState::Suggested, ActMode::Plan) => Some("act.mode is plan: nothing is carried out".to_owned()),
            (ExecutionState::Suggested, _) if !e.held => {
                Some("no cluster is configured under `kubernetes`: nothing is carried out".to_owned())
            }
            (ExecutionState::DryRun, ActMode::DryRun) => {
                Some("act.mode is dry_run: the cluster would accept it, and nothing was changed".to_owned())
            }
            (ExecutionState::AwaitingApproval, _) => {
                Some(format!("next: `bellwether approve {} --token-file FILE`, then `bellwether act`", e.plan_id))
            }
            _ => None,
        };
        if let Some(hint) = hint {
            let _ = writeln!(out, "  {hint}");
        }
    }
    for outcome in &account.outcomes {
        let _ = writeln!(out, "outcome of {}: {}. {}", outcome.plan_id, outcome.effect, outcome.detail);
    }
    if let Some(at) = account.next_at {
        let _ = writeln!(out, "something is due at {at}: run `bellwether act` again");
    }
    out.trim_end().to_owned()
}

/// The exit code: failures, refusals, then approvals that are needed where nothing else was done.
fn end(executions: &[Moved]) -> Result<(), Failure> {
    let of = |state: ExecutionState| executions.iter().filter(move |e| e.state == state);
    let words = |e: &Moved| format!("{}: {}", e.plan_id, e.detail);
    if let Some(e) = of(ExecutionState::Failed).chain(of(ExecutionState::NeedsHuman)).next() {
        return Err(Failure::new(Kind::Upstream, format!("{} is {}: {}", e.plan_id, e.state, e.detail)));
    }
    let refused: Vec<String> = of(ExecutionState::Refused).map(words).collect();
    if !refused.is_empty() {
        return Err(Failure::new(Kind::Refused, format!("refused: {}", refused.join("\n       "))));
    }
    let waiting: Vec<String> = of(ExecutionState::AwaitingApproval).map(words).collect();
    let did =
        executions.iter().any(|e| e.from != e.state && e.state != ExecutionState::AwaitingApproval && e.state != ExecutionState::DryRun);
    if !waiting.is_empty() && !did {
        return Err(Failure::new(Kind::ApprovalNeeded, format!("approval is needed: {}", waiting.join("\n       "))));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ExecutionState as S;

    fn moved(from: S, state: S) -> Moved {
        Moved {
            execution_id: "exe-1".into(),
            plan_id: "plan-1".into(),
            incident_id: "inc-1".into(),
            playbook_id: "scale-out".into(),
            from,
            state,
            detail: "why".into(),
            held: false,
        }
    }

    #[test]
    fn the_exit_code_says_what_is_left_to_do() {
        let code = |moves: &[(S, S)]| {
            end(&moves.iter().map(|(a, b)| moved(*a, *b)).collect::<Vec<_>>()).map_or_else(|f| f.kind.exit_code(), |()| 0)
        };
        let table: [(&[(S, S)], u8); 7] = [
            (&[], 0),
            (&[(S::Suggested, S::AwaitingApproval)], 5),
            (&[(S::AwaitingApproval, S::AwaitingApproval), (S::Approved, S::Succeeded)], 0),
            (&[(S::Suggested, S::Refused), (S::Suggested, S::AwaitingApproval)], 4),
            (&[(S::Approved, S::Failed), (S::Suggested, S::Refused)], 1),
            (&[(S::Verifying, S::RolledBack)], 0),
            (&[(S::Suggested, S::Suggested)], 0),
        ];
        for (moves, expected) in table {
            assert_eq!(code(moves), expected, "{moves:?}");
        }
    }

    #[test]
    fn a_waiting_plan_names_the_next_command() {
        let account = Account {
            act_mode: ActMode::Execute,
            executions: vec![moved(S::DryRun, S::AwaitingApproval)],
            outcomes: vec![],
            next_at: None,
        };
        let text = text(&account);
        assert!(text.contains("dry_run → awaiting_approval") && text.contains("bellwether approve plan-1"), "{text}");
    }
}
