//! The words of an explanation.

use bellwether_model::signal::Direction;
use bellwether_model::time::Span;

use super::found::{Cause, ChangedSeries, Compared, PrecedingChange, Relation};
use super::{DATASET_VERSION, MOST_SERIES, TELLING};

/// A series that moved before the incident is named in the headline from this effect on.
const PLAINLY: f64 = 3.0;

/// `up from 12 to 40, 6.1 deviations, 4m before`.
pub fn moved(changed: &ChangedSeries) -> String {
    let unit = changed.unit;
    let levels = format!("from {} to {}", unit.show(changed.before), unit.show(changed.after));
    let way = match changed.direction {
        Direction::Up => format!("up {levels}"),
        Direction::Down => format!("down {levels}"),
        Direction::Shape => format!("changed its shape around {}", unit.show(changed.after)),
    };
    let effect =
        if changed.effect.abs() > 1000.0 { "over 1,000 deviations".to_owned() } else { format!("{:.1} deviations", changed.effect.abs()) };
    let lag = changed.lag_seconds.map(|lag| format!(", {}", lagging(lag))).unwrap_or_default();
    format!("{way}, {effect}{lag}")
}

/// `6m before`, `2m after`, `at the same time`.
pub fn lagging(seconds: f64) -> String {
    let span = Span::from_micros((seconds.abs() * 1e6) as i64);
    match seconds {
        s if s < 0.0 => format!("{span} before"),
        s if s > 0.0 => format!("{span} after"),
        _ => "at the same time".to_owned(),
    }
}

/// How a change preceded: `6m after revision iris-00041 → iris-00042`, or `with` it.
pub(super) fn after(change: &PrecedingChange) -> String {
    let what = if change.summary.starts_with(change.kind.as_str()) || change.kind == DATASET_VERSION {
        change.summary.clone()
    } else {
        format!("{} {}", change.kind, change.summary)
    };
    match Span::from_micros((change.lead_seconds * 1e6) as i64) {
        Span::ZERO => format!("with {what}"),
        lead => format!("{lead} after {what}"),
    }
}

/// The likeliest explanation in one sentence.
pub(super) fn headline(changes: &[PrecedingChange], causes: &[Cause], together: &[ChangedSeries], compared: &Compared) -> String {
    if let Some(change) = changes.iter().find(|c| c.kind != DATASET_VERSION).filter(|c| c.score >= TELLING) {
        return format!("began {}", after(change));
    }
    // What moved only afterwards is no cause.
    let later = |c: &Cause| together.iter().find(|t| t.entity == c.entity).and_then(|t| t.lag_seconds).is_some_and(|lag| lag > 0.0);
    if let Some(cause) = causes.first().filter(|c| c.path.len() > 1 && !later(c)) {
        return format!("rests on {}, which deviates too: {}", cause.entity, cause.evidence);
    }
    let plain = |t: &&ChangedSeries| t.relation != Relation::Elsewhere && t.effect.abs() >= PLAINLY;
    let first = together.iter().filter(plain).filter(|t| t.lag_seconds.is_some_and(|lag| lag < 0.0));
    if let Some(first) = first.min_by(|a, b| a.lag_seconds.unwrap_or_default().total_cmp(&b.lag_seconds.unwrap_or_default())) {
        return format!("first to move: {} of {}, {}", first.identity.metric, first.entity, moved(first));
    }
    if let Some(plainest) = together.first() {
        return format!(
            "nothing below it moved before; changed with it: {} of {}, {}",
            plainest.identity.metric,
            plainest.entity,
            moved(plainest)
        );
    }
    if compared.compared == 0 {
        return "no data: nothing could be compared, which does not mean that there is no cause".to_owned();
    }
    format!("nothing found: none of {} other series changed with it, and no change precedes it", compared.compared)
}

/// What was not found or could not be looked at.
pub(super) fn notes(
    compared: &Compared,
    has_samples: bool,
    has_series: bool,
    together: &[ChangedSeries],
    changes: &[PrecedingChange],
) -> Vec<String> {
    let mut notes = Vec::new();
    if !has_series {
        notes.push("the incident is about columns of data alone: series are compared with the time before it, without a lag".to_owned());
    } else if !has_samples {
        notes.push("the ledger has no samples of the incident's own series any more: lags cannot be told".to_owned());
    }
    if compared.compared == 0 {
        notes.push(format!(
            "no data: of {} series none has enough samples before and during the incident; that is not \"no cause\"",
            compared.thin
        ));
    } else if together.is_empty() {
        notes.push(format!("none of {} series that were compared changed", compared.compared));
    }
    if !compared.silent.is_empty() {
        notes.push(format!("{} series had samples before and none during it, such as {}", compared.silent.len(), compared.silent[0]));
    }
    if compared.left_out > 0 {
        notes.push(format!("{} series further away were not read: at most {MOST_SERIES} are", compared.left_out));
    }
    if changes.is_empty() {
        notes.push("no change of the fleet in the two hours before, and no new version of its data in the day before, is known".to_owned());
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_model::time::Timestamp;

    #[test]
    fn leads_and_lags_are_told_as_people_say_them() {
        assert_eq!((lagging(-360.0), lagging(120.0), lagging(0.0)), ("6m before".into(), "2m after".into(), "at the same time".into()));
        let change = PrecedingChange {
            at: Timestamp::EPOCH,
            lead_seconds: 360.0,
            kind: "revision".into(),
            entity: "endpoint:ml/iris".parse().unwrap(),
            summary: "revision iris-00041 → iris-00042".into(),
            relation: Relation::Own,
            score: 0.9,
        };
        assert_eq!(after(&change), "6m after revision iris-00041 → iris-00042");
        assert_eq!(
            after(&PrecedingChange { kind: "replicas".into(), summary: "2 → 1".into(), ..change.clone() }),
            "6m after replicas 2 → 1"
        );
        let none = Compared::default();
        assert!(headline(&[], &[], &[], &none).starts_with("no data"));
        assert_eq!(headline(std::slice::from_ref(&change), &[], &[], &none), "began 6m after revision iris-00041 → iris-00042");
        let some = Compared { compared: 7, ..none.clone() };
        assert!(headline(&[PrecedingChange { score: 0.01, ..change }], &[], &[], &some).starts_with("nothing found: none of 7"));
        let said = notes(&none, false, true, &[], &[]).join("\n");
        assert!(
            said.contains("no samples of the incident's own series")
                && said.contains("not \"no cause\"")
                && said.contains("no change of the fleet")
        );
    }
}
