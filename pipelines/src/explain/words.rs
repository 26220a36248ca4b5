//! The words of an explanation.

use bellwether_model::inventory::Entity;
use bellwether_model::signal::Direction;
use bellwether_model::time::Span;
use bellwether_model::unit::Unit;

use super::found::{Cause, ChangedSeries, Compared, Drifted, PrecedingChange, Relation};
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

/// `from 0.12 to 0.52, 4.7 times its line`.
pub fn drifted_by(drifted: &Drifted) -> String {
    let line = format!("{:.1} times its line", drifted.score);
    match (drifted.before, drifted.after) {
        (Some(before), Some(after)) => format!("from {} to {}, {line}", Unit::Number.show(before), Unit::Number.show(after)),
        _ => line,
    }
}

/// The unit that a metric's name says, where its level agrees: a share of one. A plain number otherwise.
pub(super) fn unit_of_name(metric: &str, level: f64) -> Unit {
    let share = ["_ratio", "_utilization", "_utilisation"].iter().any(|end| metric.ends_with(end));
    if share && level <= 1.5 { Unit::Ratio } else { Unit::Number }
}

/// An entity as people say it: `ml/iris`, `pool gpu-a`, `node gpu-3`.
pub fn name(entity: &Entity) -> String {
    match entity {
        Entity::Endpoint(id) => id.to_string(),
        Entity::Pool(name) => format!("pool {name}"),
        Entity::Node(name) => format!("node {name}"),
        Entity::Dataset(id) => format!("dataset {id}"),
        Entity::Other(label, value) => format!("{label} {value}"),
    }
}

/// The likeliest explanation in one sentence.
pub(super) fn headline(
    drifted: &[Drifted],
    changes: &[PrecedingChange],
    causes: &[Cause],
    together: &[ChangedSeries],
    compared: &Compared,
) -> String {
    let change = changes.iter().find(|c| c.kind != DATASET_VERSION).filter(|c| c.score >= TELLING);
    if let Some(change) = change.filter(|_| drifted.is_empty()) {
        return format!("began {}", after(change));
    }
    // What moved only afterwards is no cause.
    let later = |lag: Option<f64>| lag.is_some_and(|lag| lag > 0.0);
    let below = |c: &&Cause| c.path.len() > 1 && c.path.last() == Some(&c.entity);
    if let Some(cause) = causes.first().filter(below).filter(|c| !later(c.lag_seconds)) {
        return format!("rests on {}, which deviates too: {}", name(&cause.entity), cause.evidence);
    }
    if let Some(first) = drifted.first() {
        return drift(first, drifted, changes);
    }
    let above = causes.iter().filter(|c| c.path.len() > 1 && c.path.first() == Some(&c.entity)).count();
    if let Some(root) = causes.first().filter(|c| c.path.len() == 1 && above > 0) {
        let things =
            if above == 1 { "one thing that rests on it deviates".to_owned() } else { format!("{above} things that rest on it deviate") };
        return format!("{} itself: {}; {things} too", name(&root.entity), root.evidence);
    }
    let plain = |t: &&ChangedSeries| t.relation <= Relation::RestsOn && t.effect.abs() >= PLAINLY;
    let first = together.iter().filter(plain).filter(|t| t.lag_seconds.is_some_and(|lag| lag < 0.0));
    if let Some(first) = first.min_by(|a, b| a.lag_seconds.unwrap_or_default().total_cmp(&b.lag_seconds.unwrap_or_default())) {
        return format!("first to move: {} of {}, {}", first.identity.metric, name(&first.entity), moved(first));
    }
    // What has nothing to do with it explains nothing, however far it moved.
    let related = || together.iter().filter(|t| t.relation != Relation::Elsewhere);
    if let Some(plainest) = related().find(|t| t.effect.abs() >= PLAINLY).or_else(|| related().next()) {
        let what = if later(plainest.lag_seconds) { "after" } else { "with" };
        return format!(
            "nothing below it moved before; changed {what} it: {} of {}, {}",
            plainest.identity.metric,
            name(&plainest.entity),
            moved(plainest)
        );
    }
    if compared.compared == 0 {
        return "no data: nothing could be compared, which does not mean that there is no cause".to_owned();
    }
    if !together.is_empty() {
        return format!(
            "nothing found: none of its own series and of what it rests on changed with it ({} elsewhere did), and no change precedes it",
            together.len()
        );
    }
    format!("nothing found: none of {} other series changed with it, and no change precedes it", compared.compared)
}

/// The drift itself, with the version of the dataset that brought it.
fn drift(first: &Drifted, all: &[Drifted], changes: &[PrecedingChange]) -> String {
    let of_it: Vec<&Drifted> = all.iter().filter(|d| d.dataset == first.dataset).collect();
    let mut columns: Vec<String> = of_it.iter().take(3).map(|d| format!("{} {}", d.column, drifted_by(d))).collect();
    if of_it.len() > columns.len() {
        columns.push(format!("{} more columns", of_it.len() - columns.len()));
    }
    let dataset = Entity::Dataset(first.dataset.clone());
    let version = changes.iter().find(|c| c.kind == DATASET_VERSION && c.entity == dataset).map(|c| {
        let written = c.summary.strip_prefix(&first.dataset.to_string()).unwrap_or(&c.summary).trim_start();
        format!("; it {written}, {}", lagging(-c.lead_seconds))
    });
    format!("{} drifted: {}{}", name(&dataset), columns.join("; "), version.unwrap_or_default())
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
        assert!(headline(&[], &[], &[], &[], &none).starts_with("no data"));
        assert_eq!(headline(&[], std::slice::from_ref(&change), &[], &[], &none), "began 6m after revision iris-00041 → iris-00042");
        let some = Compared { compared: 7, ..none.clone() };
        assert!(headline(&[], &[PrecedingChange { score: 0.01, ..change }], &[], &[], &some).starts_with("nothing found: none of 7"));
        let said = notes(&none, false, true, &[], &[]).join("\n");
        assert!(
            said.contains("no samples of the incident's own series")
                && said.contains("not \"no cause\"")
                && said.contains("no change of the fleet")
        );
    }

    #[test]
    fn drifted_data_is_told_before_series_and_what_is_elsewhere_is_never_told() {
        use bellwether_model::series::Series;
        let column = |name: &str, score: f64, levels: Option<(f64, f64)>| Drifted {
            dataset: bellwether_model::dataset::DatasetId::new("s3://features", "events"),
            column: name.into(),
            score,
            opened_at: Timestamp::EPOCH,
            before: levels.map(|l| l.0),
            after: levels.map(|l| l.1),
            hint: String::new(),
            identity: Series::new(name, Default::default()),
        };
        let version = PrecedingChange {
            at: Timestamp::EPOCH,
            lead_seconds: 0.0,
            kind: DATASET_VERSION.into(),
            entity: "dataset:s3://features:events".parse().unwrap(),
            summary: "s3://features:events was written by etl:build as version 7".into(),
            relation: Relation::Own,
            score: 0.5,
        };
        let unrelated = ChangedSeries {
            series: "rate".into(),
            entity: "endpoint:ranking/offers".parse().unwrap(),
            relation: Relation::Elsewhere,
            signalled: false,
            direction: Direction::Up,
            before: 0.3,
            after: 0.6,
            unit: unit_of_name("gpu_utilization", 0.6),
            effect: 40.0,
            volume: None,
            ks: 1.0,
            adjusted_p: 0.0,
            lag_seconds: None,
            correlation: None,
            identity: Series::new("gpu_utilization", Default::default()),
        };
        let (some, list) = (Compared { compared: 9, changed: 1, ..Compared::default() }, std::slice::from_ref(&unrelated));
        let drifted = [column("mood", 4.7, Some((0.121, 0.522))), column("turns", 2.0, None)];
        assert_eq!(
            headline(&drifted, &[version], &[], list, &some),
            "dataset s3://features:events drifted: mood from 0.121 to 0.522, 4.7 times its line; turns 2.0 times its line; \
             it was written by etl:build as version 7, at the same time"
        );
        let said = headline(&[], &[], &[], list, &some);
        assert!(said.starts_with("nothing found: none of its own") && !said.contains("ranking"), "{said}");
        let affected = ChangedSeries { relation: Relation::Own, ..unrelated };
        let said = headline(&[], &[], &[], &[affected], &some);
        assert!(said.ends_with("changed with it: gpu_utilization of ranking/offers, up from 30 % to 60 %, 40.0 deviations"), "{said}");
        assert_eq!((unit_of_name("gpu_utilization", 60.0), unit_of_name("queue_depth", 0.1)), (Unit::Number, Unit::Number));
    }
}
