//! OpenLineage events (<https://openlineage.io/spec/2-0-2/OpenLineage.json>): what ran, what it read and wrote, and what it saw of the
//! columns.
//!
//! Lenient where real clients are: times without a zone are UTC, a missing or unknown `eventType` is `OTHER`, unknown facets and versions
//! are kept as they are. An event that cannot be placed (no time, no job, no run id) is refused with the JSON pointer of what is wrong.
//! Events may come twice and in any order: [`LineageEvent::event_id`] is a digest of the content.

mod profile;

use std::collections::BTreeSet;
use std::path::Path;

use bellwether_embeddings::Redactor;
use bellwether_model::dataset::{ColumnProfile, Flow, LineageEvent, RunIo};
use bellwether_model::digest::Digest;
use bellwether_model::reject::Reject;
use bellwether_model::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What one event says, redacted. Its JSON is what waits in the journal's inbox between the post and the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parsed {
    /// The event itself.
    pub event: LineageEvent,
    /// Each dataset that its run, or its job, reads or writes.
    pub io: Vec<RunIo>,
    /// What it says of columns.
    pub profiles: Vec<ColumnProfile>,
}

/// An event that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {problem}")]
pub struct InvalidEvent {
    /// JSON pointer (RFC 6901) of what is wrong; empty for the whole event.
    pub pointer: String,
    /// What is wrong, and what would be right.
    pub problem: String,
}

fn invalid(pointer: &str, problem: impl Into<String>) -> InvalidEvent {
    InvalidEvent { pointer: pointer.to_owned(), problem: problem.into() }
}

/// Reads one event.
///
/// Everything in the result is taken from the redacted event; only `event_id` is a digest of the event as it came, so that the same event
/// keeps its id when redaction changes. Names of namespaces, jobs and datasets pass through the same redaction, and so stay joinable.
pub fn parse(event: &Value, redactor: &Redactor, recorded_at: Timestamp) -> Result<Parsed, InvalidEvent> {
    if !event.is_object() {
        return Err(invalid("", "an event is a JSON object"));
    }
    let event_id = Digest::of(event).map_err(|e| invalid("", e.to_string()))?.to_string();
    let redacted = redactor.json(event);
    let event = &redacted;
    let event_time: Timestamp = match event.get("eventTime") {
        Some(Value::String(text)) => text.parse().map_err(|e| invalid("/eventTime", format!("{e}")))?,
        Some(_) => return Err(invalid("/eventTime", "must be text, as 2026-01-31T08:00:00Z")),
        None => return Err(invalid("/eventTime", "is missing")),
    };
    let (is_run, is_dataset) = (event.get("run").is_some(), event.get("dataset").is_some());
    let run_id = if is_run { text(event, "/run/runId")? } else { String::new() };
    let (job_namespace, job_name) = match event.get("job") {
        Some(_) => (text(event, "/job/namespace")?, text(event, "/job/name")?),
        None if is_run => return Err(invalid("/job", "is missing: a run belongs to a job")),
        None if is_dataset => Default::default(),
        None => return Err(invalid("", "none of run, job and dataset is there: this is no OpenLineage event")),
    };
    let event_type = match (is_run, is_dataset) {
        (true, _) => run_event_type(event),
        (false, true) => "DATASET",
        (false, false) => "JOB",
    };
    let origin = profile::Origin { event_id: &event_id, event_time, recorded_at };
    let mut io = Vec::new();
    let mut profiles = Vec::new();
    for (list, flow) in [("inputs", Flow::Input), ("outputs", Flow::Output)] {
        for (i, dataset) in items(event, list)?.iter().enumerate() {
            let at = format!("/{list}/{i}");
            let (namespace, name) = (text_at(dataset, &at, "namespace")?, text_at(dataset, &at, "name")?);
            profiles.extend(profile::of_dataset(dataset, &namespace, &name, &origin));
            io.push(RunIo {
                run_id: run_id.clone(),
                job_namespace: job_namespace.clone(),
                job_name: job_name.clone(),
                flow,
                dataset_version: facet(dataset, "version").and_then(|f| f.get("datasetVersion")).and_then(Value::as_str).map(str::to_owned),
                dataset_namespace: namespace,
                dataset_name: name,
                event_time,
                event_id: event_id.clone(),
                recorded_at,
            });
        }
    }
    if let Some(dataset) = event.get("dataset") {
        let (namespace, name) = (text(event, "/dataset/namespace")?, text(event, "/dataset/name")?);
        profiles.extend(profile::of_dataset(dataset, &namespace, &name, &origin));
    }
    let event = LineageEvent {
        event_id: event_id.clone(),
        event_type: event_type.to_owned(),
        event_time,
        run_id,
        job_namespace,
        job_name,
        producer: event.get("producer").and_then(Value::as_str).unwrap_or_default().to_owned(),
        body: event.to_string(),
        recorded_at,
    };
    Ok(Parsed { event, io, profiles })
}

fn run_event_type(event: &Value) -> &'static str {
    let word = event.get("eventType").and_then(Value::as_str).unwrap_or_default().to_ascii_uppercase();
    ["START", "RUNNING", "COMPLETE", "ABORT", "FAIL"].into_iter().find(|known| *known == word).unwrap_or("OTHER")
}

/// A facet of a dataset, unless the event deletes it.
fn facet<'a>(dataset: &'a Value, name: &str) -> Option<&'a Value> {
    dataset.get("facets")?.get(name).filter(|f| f.get("_deleted") != Some(&Value::Bool(true)))
}

fn items<'a>(event: &'a Value, list: &str) -> Result<&'a [Value], InvalidEvent> {
    match event.get(list) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err(invalid(&format!("/{list}"), "must be a list of datasets")),
    }
}

fn text(event: &Value, pointer: &str) -> Result<String, InvalidEvent> {
    required(event.pointer(pointer), pointer)
}

fn text_at(value: &Value, parent: &str, name: &str) -> Result<String, InvalidEvent> {
    required(value.get(name), &format!("{parent}/{name}"))
}

fn required(value: Option<&Value>, pointer: &str) -> Result<String, InvalidEvent> {
    match value {
        Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
        Some(Value::String(_)) => Err(invalid(pointer, "is empty")),
        None | Some(Value::Null) => Err(invalid(pointer, "is missing")),
        Some(_) => Err(invalid(pointer, "must be text")),
    }
}

/// Events of one batch or file: those that could be read, and the others with the reason.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Events {
    /// What could be read, in the order it came; each event once.
    pub parsed: Vec<Parsed>,
    /// What could not.
    pub rejects: Vec<Reject>,
    seen: BTreeSet<String>,
}

impl Events {
    /// Reads one more event, or notes why not. `source` and `place` say where it came from.
    pub fn add(&mut self, event: &Value, source: &str, place: &str, redactor: &Redactor, recorded_at: Timestamp) {
        match parse(event, redactor, recorded_at) {
            Ok(parsed) if !self.seen.insert(parsed.event.event_id.clone()) => drop(parsed),
            Ok(parsed) => self.parsed.push(parsed),
            Err(error) => self.rejects.push(Reject::new(source, place, error.to_string(), &redactor.json(event).to_string(), recorded_at)),
        }
    }
}

/// The name in the ledger of a file of events: the file's name alone, so that a file that was moved is the same source.
pub fn source(path: &Path) -> String {
    format!("openlineage:{}", path.file_name().unwrap_or_default().to_string_lossy())
}

/// Reads a file of events: one JSON object, a JSON list, or one object a line. Rejects name the file with line or position.
pub fn read_file(path: &Path, redactor: &Redactor, recorded_at: Timestamp) -> std::io::Result<Events> {
    let content = std::fs::read_to_string(path)?;
    let source = source(path);
    let mut events = Events::default();
    match serde_json::from_str::<Value>(&content) {
        Ok(Value::Array(list)) => {
            for (i, event) in list.iter().enumerate() {
                events.add(event, &source, &format!("{}, event {}", path.display(), i + 1), redactor, recorded_at);
            }
        }
        Ok(event) => events.add(&event, &source, &path.display().to_string(), redactor, recorded_at),
        Err(_) => {
            for (i, line) in content.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
                let place = format!("{}:{}", path.display(), i + 1);
                match serde_json::from_str(line) {
                    Ok(event) => events.add(&event, &source, &place, redactor, recorded_at),
                    Err(error) => {
                        events.rejects.push(Reject::new(&source, place, format!("not JSON: {error}"), &redactor.text(line), recorded_at))
                    }
                }
            }
        }
    }
    Ok(events)
}

#[cfg(test)]
mod tests;
