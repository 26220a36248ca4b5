//! Labels that people gave with `bellwether label`, as labelled series: the series of the ledger on which a signal was called real or
//! false. What was called an incident is an event; what was called none is not, and neither is what nobody labelled.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_detectors::backtest::labelled::LabelledSeries;
use bellwether_detectors::hint;
use bellwether_model::id::SeriesId;
use bellwether_model::incident::Incident;
use bellwether_model::label::{Label, LabelKind};
use bellwether_model::series::Window;
use bellwether_model::signal::{Signal, Subject};
use bellwether_model::time::{TimeRange, Timestamp};
use bellwether_sql::{WindowSpec, windows};
use futures::TryStreamExt as _;

use super::super::{session, sql_failure};
use crate::config::Config;
use crate::failure::Failure;
use crate::{clock, open};

/// The stretches of time that were called real, by series; a series that was only called false has none.
type Events = BTreeMap<SeriesId, Vec<(i64, i64)>>;

/// The labelled series of the ledger, in order of name.
pub(super) async fn series(config: &Config) -> Result<Vec<LabelledSeries>, Failure> {
    let lake = open::lake(config).await?;
    let session = session(&lake, None).await?;
    let labels: Vec<Label> = session.rows("SELECT * FROM labels_current").await.map_err(|e| sql_failure(&e))?;
    let signals: Vec<Signal> = session.rows("SELECT * FROM signals_current").await.map_err(|e| sql_failure(&e))?;
    let incidents: Vec<Incident> = session.rows("SELECT * FROM incidents_current").await.map_err(|e| sql_failure(&e))?;
    let events = events(&labels, &incidents, &signals);
    if events.is_empty() {
        return Err(Failure::user("nobody has labelled a signal or incident on a series")
            .hint("say what an incident was: bellwether label ID incident, or bellwether label ID not-an-incident"));
    }
    let metrics: BTreeSet<String> = signals
        .iter()
        .filter_map(|s| match &s.subject {
            Subject::Series { series_id, metric, .. } if events.contains_key(series_id) => Some(metric.clone()),
            _ => None,
        })
        .collect();
    let range = TimeRange::new(Timestamp::from_micros(0), clock::now());
    let spec = WindowSpec { metrics: Some(metrics.into_iter().collect()), series: windows::Which::All, range };
    let stream = windows::windows(&session, &spec).await.map_err(|e| sql_failure(&e))?;
    let mut found = Vec::new();
    let mut stream = std::pin::pin!(stream);
    while let Some(window) = stream.try_next().await.map_err(|e| sql_failure(&e))? {
        found.extend(labelled(&window, &events));
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// What was said of each series. A word on a signal wins over one on its incident.
fn events(labels: &[Label], incidents: &[Incident], signals: &[Signal]) -> Events {
    let words: BTreeMap<&str, LabelKind> = labels.iter().map(|l| (l.subject_id.as_str(), l.label)).collect();
    let mut said: BTreeMap<&str, LabelKind> = BTreeMap::new();
    for incident in incidents {
        if let Some(word) = words.get(incident.incident_id.as_str()) {
            said.extend(incident.signals.iter().map(|id| (id.as_str(), *word)));
        }
    }
    said.extend(&words);
    let mut events = Events::new();
    for signal in signals {
        let (Subject::Series { series_id, .. }, Some(word)) = (&signal.subject, said.get(signal.signal_id.as_str())) else { continue };
        let of_series = events.entry(*series_id).or_default();
        if *word == LabelKind::Incident {
            let last = signal.last_at.micros();
            // A calm ending is the first sample that was back in the band.
            let to = signal.closed_at.map(Timestamp::micros).filter(|closed| *closed <= last).map_or(last, |closed| closed - 1);
            of_series.push((signal.opened_at.micros(), to));
        }
    }
    events
}

/// The series of a window that were spoken of.
fn labelled<'a>(window: &'a Window, events: &'a Events) -> impl Iterator<Item = LabelledSeries> + 'a {
    window.iter().filter_map(|slice| {
        let of_series = events.get(&slice.series.series_id)?;
        let name = format!("{}/{}", slice.series.metric, hint::place(&slice.series.labels));
        Some(LabelledSeries::with_intervals(name, slice.ts.to_vec(), slice.values.to_vec(), of_series))
    })
}

#[cfg(test)]
mod tests {
    use bellwether_model::id::Actor;
    use bellwether_model::series::Series;

    use super::*;
    use crate::report::fixture;

    #[test]
    fn words_on_incidents_and_signals_become_events() {
        let data = fixture::fleet();
        let card = data.incidents.iter().find(|c| c.signals.iter().any(|s| matches!(s.subject, Subject::Series { .. }))).unwrap();
        let signals = &card.signals;
        let label = |id: &str, label| Label {
            subject_id: id.to_owned(),
            label,
            comment: None,
            actor: Actor::new("a"),
            recorded_at: Timestamp::from_secs(0),
        };
        let incidents = [Incident { signals: signals.iter().map(|s| s.signal_id.clone()).collect(), ..card.incident.clone() }];
        assert!(events(&[], &incidents, signals).is_empty());
        let real = label(card.incident.incident_id.as_str(), LabelKind::Incident);
        let all = events(std::slice::from_ref(&real), &incidents, signals);
        assert!(!all.is_empty() && all.values().all(|e| !e.is_empty() && e.iter().all(|(from, to)| from <= to)));
        let one = signals.iter().find(|s| matches!(s.subject, Subject::Series { .. })).unwrap();
        let not = label(one.signal_id.as_str(), LabelKind::NotAnIncident);
        let without = events(&[not, real], &incidents, signals);
        let count = |events: &Events| events.values().map(Vec::len).sum::<usize>();
        assert_eq!((without.len(), count(&without)), (all.len(), count(&all) - 1));
        let mut window = Window::new();
        window.push(Series::new("other", Default::default()), &[1], &[1.0]);
        assert_eq!(labelled(&window, &all).count(), 0);
    }
}
