//! What would have fired: signals that are kept and not told, and why.

use bellwether_model::suppression::{Suppression, SuppressionState};
use bellwether_model::time::Timestamp;

use crate::output;
use crate::output::{Cell, Table};
use crate::report::words::{many, when_in_full};

/// Suppressions as a table with a line below it; `present` is the time they are told for.
pub fn text(suppressions: &[Suppression], present: Timestamp) -> String {
    let count = |state| suppressions.iter().filter(|s| s.state == state).count() as i64;
    let held = many(count(SuppressionState::Silenced), "signal");
    let below = format!(
        "{held} open and silenced, {} ended without being told, {} told later, as of {} UTC",
        count(SuppressionState::Ended),
        count(SuppressionState::Told),
        when_in_full(present)
    );
    if suppressions.is_empty() {
        return format!("nothing is silenced, as of {} UTC", when_in_full(present));
    }
    let mut table = Table::new(&["signal", "severity", "score", "state", "by", "since", "until", "what", "why"]);
    for s in suppressions {
        table.row(vec![
            Cell::word(s.signal_id.as_str()),
            Cell::word(s.severity.to_string()),
            Cell::score(s.score),
            Cell::word(s.state.to_string()),
            Cell::word(s.kind.to_string()),
            Cell::time(s.since),
            s.until.map_or(Cell::word("it is calmer"), Cell::time),
            Cell::prose(&s.hint),
            Cell::prose(&s.detail),
        ]);
    }
    format!("{}\n\n{below}", table.render(output::width()))
}

/// One suppression in a line: by what, until when.
pub fn line(s: &Suppression) -> String {
    let at = |t: Timestamp| format!("{} UTC", when_in_full(t));
    match (s.state, s.until) {
        (SuppressionState::Silenced, Some(until)) => format!("{} until {}: {}", s.kind, at(until), s.detail),
        (SuppressionState::Silenced, None) => format!("{}, as long as it is open: {}", s.kind, s.detail),
        (SuppressionState::Told, until) => format!("{} until it was told at {}: {}", s.kind, at(until.unwrap_or(s.recorded_at)), s.detail),
        (SuppressionState::Ended, _) => format!("{}, and it ended without being told: {}", s.kind, s.detail),
    }
}

#[cfg(test)]
mod tests {
    use bellwether_model::suppression::SuppressionKind;

    use super::*;
    use crate::report::fixture;

    #[test]
    fn what_would_have_fired_is_told_with_its_cause_and_end() {
        let signal = fixture::fleet().incidents[0].signals[0].clone();
        let until = Timestamp::from_secs(1_780_000_000);
        let row = |state, kind, until| Suppression { state, ..Suppression::of(&signal, kind, "w".into(), "because".into(), until) };
        let all = [
            row(SuppressionState::Silenced, SuppressionKind::Maintenance, Some(until)),
            row(SuppressionState::Silenced, SuppressionKind::AutoSilence, None),
            row(SuppressionState::Ended, SuppressionKind::Flapping, Some(until)),
        ];
        let told = text(&all, until);
        assert!(told.contains("2 signals open and silenced, 1 ended without being told, 0 told later"), "{told}");
        assert!(told.contains("maintenance") && told.contains("it is calmer"), "{told}");
        assert_eq!(line(&all[1]), "auto_silence, as long as it is open: because");
        assert!(line(&all[0]).starts_with("maintenance until 28 May 2026") && line(&all[2]).contains("without being told"));
        assert!(text(&[], until).starts_with("nothing is silenced"));
    }
}
