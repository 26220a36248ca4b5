//! A signal in words: what, where, how much, compared with what, for how long.

use bellwether_model::inventory::Entity;
use bellwether_model::series::Labels;
use bellwether_model::signal::{Direction, Signal};
use bellwether_model::time::{Span, Timestamp};
use bellwether_model::unit::Unit;

use crate::band::Band;
use crate::crowd::Among;
use crate::rule::{MethodSpec, Rule};
use crate::scan::{Ending, Peak, Stay};

/// What the labels are about, as a person would name it: `ml/iris`, `node gpu-3`; all labels where nothing is known;
/// nothing where there are none.
pub fn place(labels: &Labels) -> String {
    match Entity::of_labels(labels).into_iter().next() {
        Some(Entity::Endpoint(id)) => id.to_string(),
        Some(Entity::Node(name)) => format!("node {name}"),
        Some(Entity::Pool(name)) => format!("pool {name}"),
        Some(Entity::Dataset(id)) => id.to_string(),
        Some(Entity::Other(label, value)) => format!("{label} {value}"),
        None => labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", "),
    }
}

fn subject(metric: &str, labels: &Labels) -> String {
    let place = place(labels);
    if place.is_empty() { metric.to_owned() } else { format!("{metric} of {place}") }
}

/// A value against its band: `640 ms, 3.4 x its expected 188 ms (usual up to 240 ms)`.
fn against(rule: &Rule, at: i64, value: f64, band: &Band) -> String {
    let show = |v: f64| rule.unit.show(v);
    let direction = band.direction(rule.watch, value);
    if let MethodSpec::Bound { .. } = rule.method {
        let (side, bound) = if direction == Direction::Up { ("above", band.upper) } else { ("below", band.lower) };
        let word = if band.is_out(rule.watch, value) { side } else { "within" };
        return format!("{}, {word} its bound of {}", show(value), show(bound));
    }
    let expected = match rule.cycle() {
        Some(cycle) => {
            format!("its usual for {}, {}", rule.calendar.phase(cycle, Timestamp::from_micros(at)), show(band.expected))
        }
        None if matches!(rule.method, MethodSpec::Peers { .. }) => format!("what its peers explain, {}", show(band.expected)),
        None => format!("its expected {}", show(band.expected)),
    };
    if band.preset.is_some() && band.is_out(rule.watch, value) && (band.lower..=band.upper).contains(&value) {
        let range = format!("expected {}, so far between {} and {}", show(band.expected), show(band.lower), show(band.upper));
        return format!("{}; its latest values are spread as they were not before ({range})", show(value));
    }
    let (word, usual) = match direction {
        Direction::Up => ("above", format!("usual up to {}", show(band.upper))),
        _ => ("below", format!("usual at least {}", show(band.lower))),
    };
    let factor = value / band.expected;
    let compared = if value > 0.0 && factor.is_finite() && factor >= 1.2 {
        format!("{} x", Unit::Number.show((factor * 10.0).round() / 10.0))
    } else {
        word.to_owned()
    };
    if let Some(Among { peers, history }) = band.among {
        let own = Span::from_secs(history / 1_000_000);
        let than = if band.is_out(rule.watch, value) { format!("{compared} that") } else { "in the band".to_owned() };
        return format!(
            "{}, {than} of the {peers} series like it, {} ({usual}; its own history is {own})",
            show(value),
            show(band.expected)
        );
    }
    if band.is_out(rule.watch, value) {
        format!("{}, {compared} {expected} ({usual})", show(value))
    } else {
        format!("{}, in its band around {} ({usual})", show(value), expected.trim_start_matches("its "))
    }
}

fn lasting(from: i64, to: i64) -> String {
    Signal::lasting(Timestamp::from_micros(from), Timestamp::from_micros(to))
}

/// The hint of a value that was judged on its own.
pub(crate) fn of_value(rule: &Rule, metric: &str, labels: &Labels, at: i64, value: f64, band: &Band) -> String {
    format!("{} is {}", subject(metric, labels), against(rule, at, value, band))
}

/// The hint of a signal that opened or worsened.
pub(crate) fn of_open(rule: &Rule, metric: &str, labels: &Labels, stay: &Stay) -> String {
    let Peak { at, value, band, .. } = &stay.peak;
    format!("{} is {}{}", subject(metric, labels), against(rule, *at, *value, band), lasting(stay.opened_at, stay.last_at))
}

/// The hint of a signal that ended.
pub(crate) fn of_end(rule: &Rule, metric: &str, labels: &Labels, stay: &Stay, ending: Ending, closed_at: i64) -> String {
    let (subject, worst) = (subject(metric, labels), against(rule, stay.peak.at, stay.peak.value, &stay.peak.band));
    match ending {
        Ending::Calm => {
            let after = lasting(stay.opened_at, closed_at).replace(" for ", " after ");
            format!("{subject} is back in its band{after}; at worst it was {worst}")
        }
        Ending::Gone => format!(
            "{subject} has no data since {}, and nothing is known of how it is now; at worst it was {worst}",
            Timestamp::from_micros(stay.last_at)
        ),
        Ending::NewNormal => format!(
            "{subject} has stayed where it is{}, and that level now counts as normal; at worst it was {worst}",
            lasting(stay.opened_at, closed_at)
        ),
    }
}
