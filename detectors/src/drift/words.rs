//! A change in words: what a person would say who looks at both distributions.

use std::collections::BTreeMap;

use bellwether_model::unit::Unit;

use crate::drift::shape::{Shape, Steps};

/// Changes of less than this many deviations, or this share of values, are none that need words.
const HARDLY: f64 = 0.02;

/// How numbers moved: up or down in deviations of the reference, wider or narrower, or where their shares differ most. `None` where they
/// hardly did.
pub fn of_numbers(before: &Steps, now: &Steps) -> Option<String> {
    let (was, is) = (before.summary(), now.summary());
    let number = |v: f64| Unit::Number.show(v);
    match (was.low == was.high, is.low == is.high) {
        (true, true) if was.low == is.low => return None,
        (true, true) => return Some(format!("was always {}, is always {}", number(was.low), number(is.low))),
        (true, false) => return Some(format!("was always {}, is {} to {}", number(was.low), number(is.low), number(is.high))),
        (false, true) => return Some(format!("is always {}, was {} to {}", number(is.low), number(was.low), number(was.high))),
        (false, false) => {}
    }
    let apart = apart(before, now);
    let (moved, shift) = (apart.area / was.deviation, (is.mean - was.mean) / was.deviation);
    if !(moved.is_finite() && shift.is_finite()) || moved < HARDLY {
        return None;
    }
    if shift.abs() >= moved / 2.0 {
        let way = if shift > 0.0 { "up" } else { "down" };
        let means = format!("mean {} → {}", number(was.mean), number(is.mean));
        return Some(format!("moved {way} by {} standard deviations ({means})", number((shift.abs() * 100.0).round() / 100.0)));
    }
    let ratio = is.deviation / was.deviation;
    if !(0.87..1.15).contains(&ratio) {
        let way = if ratio > 1.0 { "wider" } else { "narrower" };
        return Some(format!("spreads {way}: standard deviation {} → {}", number(was.deviation), number(is.deviation)));
    }
    let what = format!("the share of values up to {}", number(apart.at));
    Some(format!("{what} {}", went(apart.before, apart.now)))
}

/// Where two distributions differ, and how much.
struct Apart {
    /// The area between them, in the column's unit.
    area: f64,
    /// Where they differ most, and the shares up to there.
    at: f64,
    before: f64,
    now: f64,
}

fn apart(before: &Steps, now: &Steps) -> Apart {
    let mut places: Vec<f64> = before.values().chain(now.values()).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    let mut found = Apart { area: 0.0, at: places.first().copied().unwrap_or_default(), before: 0.0, now: 0.0 };
    for pair in places.windows(2) {
        let (x, y) = (before.upto(pair[0]), now.upto(pair[0]));
        found.area += (x - y).abs() * (pair[1] - pair[0]);
        if (x - y).abs() > (found.before - found.now).abs() {
            (found.at, found.before, found.now) = (pair[0], x, y);
        }
    }
    found
}

/// Which shares of categories changed most: the largest, and the largest in the other direction. `None` where they hardly did.
pub fn of_categories(before: &BTreeMap<String, u64>, now: &BTreeMap<String, u64>) -> Option<String> {
    let (n, m) = (before.values().sum::<u64>(), now.values().sum::<u64>());
    if n == 0 || m == 0 {
        return None;
    }
    let share = |counts: &BTreeMap<String, u64>, name: &String, total: u64| counts.get(name).map_or(0.0, |c| *c as f64 / total as f64);
    let names = before.keys().chain(now.keys().filter(|k| !before.contains_key(*k)));
    shares(names.map(|name| (name.as_str(), share(before, name, n), share(now, name, m))))
}

/// The same of a shape of categories; `None` of numbers, and where a side has no values.
pub fn of_shape(shape: &Shape) -> Option<String> {
    let Shape::Categories { named, .. } = shape else { return None };
    let has_both = named.iter().any(|c| c.before > 0.0) && named.iter().any(|c| c.now > 0.0);
    has_both.then(|| shares(named.iter().map(|c| (c.name.as_str(), c.before, c.now)))).flatten()
}

fn shares<'a>(all: impl Iterator<Item = (&'a str, f64, f64)>) -> Option<String> {
    let mut changed: Vec<(&str, f64, f64)> = all.filter(|(_, was, is)| (is - was).abs() >= HARDLY / 2.0).collect();
    changed.sort_by(|(_, a, b), (_, c, d)| (d - c).abs().total_cmp(&(b - a).abs()));
    let (name, was, is) = changed.first()?;
    let mut words = format!("the share of `{name}` {}", went(*was, *is));
    let other = changed.iter().find(|(_, a, b)| (b > a) != (is > was));
    if let Some((name, was, is)) = other.filter(|_| changed.len() > 2) {
        words.push_str(&format!(", that of `{name}` {}", went(*was, *is)));
    }
    Some(words)
}

/// How the share of nulls changed.
pub fn of_nulls(before: f64, now: f64) -> String {
    format!("the share of nulls {}", went(before, now))
}

/// "fell from 41 % to 12 %".
fn went(was: f64, is: f64) -> String {
    let way = if is > was { "rose" } else { "fell" };
    format!("{way} from {} to {}", percent(was), percent(is))
}

/// A share in hundredths with one digit after the point, which is as much as a person wants to read.
pub fn percent(share: f64) -> String {
    match share {
        0.0 => "0 %".into(),
        s if s < 5e-4 => "< 0.1 %".into(),
        s => Unit::Ratio.show((s * 1e3).round() / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::shape;
    use crate::drift::stream::Stream;

    fn steps(values: &[f64]) -> Steps {
        Steps::of_values(values).unwrap()
    }

    #[test]
    fn numbers_move_spread_or_change_their_form() {
        let mut stream = Stream::new(1);
        let a: Vec<f64> = (0..5_000).map(|_| 50.0 + 10.0 * stream.normal()).collect();
        let say = |change: &dyn Fn(f64) -> f64| of_numbers(&steps(&a), &steps(&a.iter().map(|v| change(*v)).collect::<Vec<_>>()));
        assert_eq!(say(&|v| v), None);
        assert!(say(&|v| v + 4.0).unwrap().starts_with("moved up by 0.4 standard deviations (mean 49.8"), "{:?}", say(&|v| v + 4.0));
        assert!(say(&|v| v - 12.0).unwrap().starts_with("moved down by 1.2 standard deviations"), "{:?}", say(&|v| v - 12.0));
        assert!(say(&|v| 50.0 + (v - 50.0) * 2.0).unwrap().starts_with("spreads wider: standard deviation"));
        assert!(say(&|v| 50.0 + (v - 50.0) / 2.0).unwrap().starts_with("spreads narrower"));
        assert_eq!(say(&|_| 7.0).unwrap(), format!("is always 7, was {} to {}", show(&a, f64::min), show(&a, f64::max)));
        let two_humps = say(&|v| if v < 50.0 { 40.0 + (v - 40.0) / 9.0 } else { 60.0 + (v - 60.0) / 9.0 }).unwrap();
        assert!(two_humps.starts_with("the share of values up to "), "{two_humps}");
        assert_eq!(of_numbers(&steps(&[1.0]), &steps(&[2.0])).unwrap(), "was always 1, is always 2");
        assert_eq!(of_numbers(&steps(&[1.0]), &steps(&[2.0, 3.0])).unwrap(), "was always 1, is 2 to 3");
    }

    fn show(values: &[f64], pick: fn(f64, f64) -> f64) -> String {
        Unit::Number.show(values.iter().copied().reduce(pick).unwrap())
    }

    #[test]
    fn categories_rise_and_fall() {
        let of = |pairs: &[(&str, u64)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect::<BTreeMap<_, _>>();
        let (a, b) = (of(&[("card", 41), ("cash", 20), ("gift", 39)]), of(&[("card", 12), ("cash", 50), ("gift", 38)]));
        assert_eq!(of_categories(&a, &b).unwrap(), "the share of `cash` rose from 20 % to 50 %, that of `card` fell from 41 % to 12 %");
        assert_eq!([0.0, 1e-5, 0.0094, 0.34444, 1.0].map(percent), ["0 %", "< 0.1 %", "0.9 %", "34.4 %", "100 %"]);
        assert_eq!((of_categories(&a, &a), of_categories(&a, &BTreeMap::new())), (None, None));
        let flags = shape::of_numbers(Some(&steps(&[0.0, 0.0, 0.0, 1.0])), Some(&steps(&[0.0, 1.0]))).unwrap();
        assert_eq!(of_shape(&flags).unwrap(), "the share of `0` fell from 75 % to 50 %");
    }
}
