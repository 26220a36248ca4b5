//! What a signal began shortly after: said in its hint.

use bellwether_model::inventory::{Change, Inventory};
use bellwether_model::signal::Signal;
use bellwether_model::time::Span;

use crate::relation::{RENEWS, about};

/// How long before a signal a change of the same thing may lie and be told.
const SHORTLY: Span = Span::from_hours(1);
/// Begins the words about a change within a hint.
const WORDS: &str = ", began ";

/// Adds to each hint after which change of the same thing the signal began, where there was one in the hour before: `…, began 6m after
/// revision iris-00041 → iris-00042, for 4m`. A new version (revision, canary, model) is told before a change of another kind, then the
/// newest.
pub fn tell_changes(signals: &mut [Signal], changes: &[Change], inventory: &Inventory) {
    for signal in signals {
        let entity = about(signal, inventory);
        let before = |c: &&Change| c.entity == entity && c.at <= signal.opened_at && signal.opened_at.since(c.at) <= SHORTLY;
        let best = changes.iter().filter(before).max_by_key(|c| (RENEWS.contains(&c.kind.as_str()), c.at, &c.kind, &c.summary));
        let Some(change) = best.filter(|_| !signal.hint.contains(WORDS)) else { continue };
        let what = if change.summary.starts_with(change.kind.as_str()) { String::new() } else { format!("{} ", change.kind) };
        let began = format!("{WORDS}{} after {what}{}", signal.opened_at.since(change.at), change.summary);
        let lasting = Signal::lasting(signal.opened_at, signal.last_at);
        signal.hint = match signal.hint.strip_suffix(lasting.as_str()).filter(|_| !lasting.is_empty()) {
            Some(words) => format!("{words}{began},{lasting}"),
            None => format!("{}{began}", signal.hint),
        };
    }
}

/// A hint without the words about a change: what resembles other troubles.
pub(crate) fn without_change(hint: &str) -> &str {
    hint.split_once(WORDS).map_or(hint, |(words, _)| words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_model::series::Labels;
    use bellwether_model::signal::Subject;
    use bellwether_model::time::Timestamp;

    fn signal(minute: i64, service: &str, hint: &str) -> Signal {
        let labels: Labels = [("namespace", "ml"), ("service", service)].into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        let series = bellwether_model::series::Series::new("latency", labels.clone());
        let subject = Subject::Series { series_id: series.series_id, metric: "latency".into(), labels };
        let at = |m: i64| Timestamp::from_secs(m * 60).to_string();
        let value = serde_json::json!({
            "signal_id": "sig-1", "fingerprint": "fp-1", "rule": "latency", "method": "zscore", "subject": subject, "state": "opened",
            "opened_at": at(minute), "last_at": at(minute + 4), "closed_at": null, "score": 2.0, "value": 1.0, "expected": 0.5, "lower": 0.0,
            "upper": 0.6, "p_value": null, "direction": "up", "severity": "warning", "unit": "seconds", "hint": hint, "round_id": "rnd-1",
            "recorded_at": at(minute + 5),
        });
        serde_json::from_value(value).unwrap()
    }

    fn change(minute: i64, kind: &str, summary: &str) -> Change {
        let at = Timestamp::from_secs(minute * 60);
        Change { at, kind: kind.into(), entity: "endpoint:ml/iris".parse().unwrap(), summary: summary.into(), recorded_at: at }
    }

    #[test]
    fn a_hint_tells_the_change_before_it_and_still_grows_older() {
        let changes = [change(54, "revision", "revision 00041 → 00042"), change(58, "replicas", "3 → 2"), change(61, "revision", "later")];
        let told = |minute, service, hint: &str| {
            let mut signals = [signal(minute, service, hint)];
            tell_changes(&mut signals, &changes, &Inventory::default());
            tell_changes(&mut signals, &changes, &Inventory::default());
            signals[0].clone()
        };
        let found = told(60, "iris", "latency is 1 s for 4m");
        assert_eq!(found.hint, "latency is 1 s, began 6m after revision 00041 → 00042, for 4m");
        assert_eq!(found.hint_at(Timestamp::from_secs(7_200)), "latency is 1 s, began 6m after revision 00041 → 00042, for 1h");
        assert_eq!(without_change(&found.hint), "latency is 1 s");
        assert_eq!(told(60, "iris", "it came back").hint, "it came back, began 6m after revision 00041 → 00042");
        assert_eq!(told(60, "rose", "latency is 1 s for 4m").hint, "latency is 1 s for 4m", "of another endpoint");
        assert_eq!(told(122, "iris", "latency is 1 s for 4m").hint, "latency is 1 s for 4m", "more than an hour before");
    }
}
