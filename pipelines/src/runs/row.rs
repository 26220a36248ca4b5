//! One row of any run history becomes a run. Columns are known by name; those that are not go to `attributes`.

use bellwether_embeddings::Redactor;
use bellwether_model::id::{PlaybookId, RunId};
use bellwether_model::outcome::Effect;
use bellwether_model::reject::Reject;
use bellwether_model::run::{Run, RunStatus};
use bellwether_model::time::Timestamp;
use serde_json::{Map, Value};

use super::Pulled;

/// Where rows come from, and what they pass through.
pub(super) struct Origin<'a> {
    pub(super) source: &'a str,
    pub(super) redactor: &'a Redactor,
    pub(super) recorded_at: Timestamp,
}

impl Origin<'_> {
    /// Adds the run that `row` describes, or the reason why it describes none.
    pub(super) fn add(&self, row: Map<String, Value>, place: impl Into<String>, to: &mut Pulled) {
        let shown = Value::Object(row.clone());
        match self.run(row) {
            Ok(run) => to.runs.push(run),
            Err(reason) => {
                to.rejects.push(Reject::new(self.source, place, reason, &self.redactor.json(&shown).to_string(), self.recorded_at))
            }
        }
    }

    /// Adds a row that could not even be taken apart.
    pub(super) fn refuse(&self, raw: &str, place: impl Into<String>, reason: impl Into<String>, to: &mut Pulled) {
        to.rejects.push(Reject::new(self.source, place, reason, &self.redactor.text(raw), self.recorded_at));
    }

    fn run(&self, mut row: Map<String, Value>) -> Result<Run, String> {
        let run_id = take_text(&mut row, "run_id").ok_or("run_id is missing")?;
        let workflow_id = take_text(&mut row, "workflow_id");
        let playbook_id = take_text(&mut row, "playbook_id");
        let (started_at, finished_at) = (take_time(&mut row, "started_at")?, take_time(&mut row, "finished_at")?);
        let updated_at = take_time(&mut row, "updated_at")?
            .or(finished_at)
            .or(started_at)
            .ok_or("none of updated_at, finished_at and started_at is there")?;
        if let (Some(start), Some(end)) = (started_at, finished_at)
            && end < start
        {
            return Err(format!("finished_at {end} is before started_at {start}"));
        }
        let source_status = take_text(&mut row, "status").unwrap_or_default();
        let outcome = take_text(&mut row, "outcome").map(|word| Effect::of_word(&word).map_or(word, |effect| effect.name().to_owned()));
        let mut redacted = |column: &str| take_text(&mut row, column).map(|text| self.redactor.text(&text).into_owned());
        let (trigger, target, error) = (redacted("trigger"), redacted("target"), redacted("error"));
        // A history without a symptom column still says what started the run and how it failed.
        let summary = redacted("summary").unwrap_or_else(|| {
            [trigger.as_deref(), target.as_deref(), error.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(". ")
        });
        let actor = take_text(&mut row, "actor").map(|name| self.redactor.pseudonym("name", &name));
        // What this program exported has its attributes in one column.
        if let Some(Value::Object(attributes)) = row.remove("attributes") {
            row.extend(attributes);
        }
        for column in ["source", "source_status", "recorded_at"] {
            row.remove(column);
        }
        row.retain(|_, value| !value.is_null());
        Ok(Run {
            run_id: RunId::new(run_id),
            workflow_id: workflow_id.or_else(|| playbook_id.clone()).unwrap_or_default(),
            playbook_id: playbook_id.map(PlaybookId::new),
            status: RunStatus::of_word(&source_status),
            source_status: self.redactor.text(&source_status).into_owned(),
            started_at,
            finished_at,
            trigger,
            actor,
            target,
            summary,
            outcome: outcome.map(|word| self.redactor.text(&word).into_owned()),
            error,
            attributes: self.redactor.json(&Value::Object(row)),
            updated_at,
            source: self.source.to_owned(),
            recorded_at: self.recorded_at,
        })
    }
}

/// A column as text; none when it is missing, null or blank. Numbers are taken as their digits: ids are often numbers.
fn take_text(row: &mut Map<String, Value>, column: &str) -> Option<String> {
    match row.remove(column)? {
        Value::Null => None,
        Value::String(text) => Some(text).filter(|t| !t.trim().is_empty()),
        other => Some(other.to_string()),
    }
}

/// A column as a time: text, or a number of seconds, milli-, micro- or nanoseconds since the epoch, told apart by magnitude (a number of
/// seconds below 10¹¹ is before the year 5138).
fn take_time(row: &mut Map<String, Value>, column: &str) -> Result<Option<Timestamp>, String> {
    let Some(text) = take_text(row, column) else { return Ok(None) };
    let Ok(number) = text.trim().parse::<f64>() else {
        return text.parse().map(Some).map_err(|e| format!("{column}: {e}"));
    };
    let micros = match number.abs() {
        n if n < 1e11 => number * 1e6,
        n if n < 1e14 => number * 1e3,
        n if n < 1e17 => number,
        n if n < 1e20 => number / 1e3,
        _ => return Err(format!("{column}: {text} is not a time")),
    };
    Ok(Some(Timestamp::from_micros(micros.round() as i64)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pulled(row: Value) -> Pulled {
        let redactor = Redactor::new(b"a key of the tests", &[]).unwrap();
        let mut pulled = Pulled::default();
        let Value::Object(row) = row else { panic!("a row is an object") };
        Origin { source: "test", redactor: &redactor, recorded_at: Timestamp::from_secs(9) }.add(row, "row 1", &mut pulled);
        pulled
    }

    #[test]
    fn known_columns_are_typed_and_the_others_kept() {
        let run = pulled(json!({
            "run_id": 7, "workflow_id": "scale-up", "status": "Success", "started_at": "2026-01-01 00:00:00+00", "finished_at": 1_767_225_660, "updated_at": 1_767_225_660_000_i64,
            "actor": "ann@example.org", "trigger": "p95 too high", "target": "ml/iris", "outcome": "fixed", "inputs": {"replicas": 3}, "logs_ref": null,
        }))
        .runs
        .remove(0);
        assert_eq!(
            (run.run_id.as_str(), run.status, run.source_status.as_str(), run.outcome.as_deref()),
            ("7", RunStatus::Succeeded, "Success", Some("effective"))
        );
        assert_eq!(
            (run.started_at, run.finished_at),
            (Some(Timestamp::from_secs(1_767_225_600)), Some(Timestamp::from_secs(1_767_225_660)))
        );
        assert_eq!(run.updated_at, Timestamp::from_secs(1_767_225_660));
        assert_eq!((run.summary.as_str(), &run.attributes), ("p95 too high. ml/iris", &json!({"inputs": {"replicas": 3}})));
        assert!(!run.actor.unwrap().contains("ann"));
    }

    #[test]
    fn secrets_and_people_do_not_leave() {
        let all = format!(
            "{:?}",
            pulled(
                json!({"run_id": "r", "updated_at": "2026-01-01", "error": "mail bob@example.org", "summary": "asked by bob@example.org", "inputs": {"who": "bob@example.org"}})
            )
        );
        assert!(!all.contains("bob@example.org"), "{all}");
        let all = format!("{:?}", pulled(json!({"error": "mail bob@example.org"})));
        assert!(!all.contains("bob@example.org"), "{all}");
    }

    #[test]
    fn rows_that_describe_no_run_say_why() {
        for (row, reason) in [
            (json!({"updated_at": "2026-01-01"}), "run_id is missing"),
            (json!({"run_id": "r"}), "none of updated_at, finished_at and started_at is there"),
            (
                json!({"run_id": "r", "started_at": "2026-01-02", "finished_at": "2026-01-01"}),
                "finished_at 2026-01-01T00:00:00Z is before started_at 2026-01-02T00:00:00Z",
            ),
            (json!({"run_id": "r", "updated_at": "soon"}), "updated_at: \"soon\" is not a time; write it as 2026-01-31T08:00:00Z"),
        ] {
            assert_eq!(pulled(row).rejects[0].reason, reason);
        }
    }
}
