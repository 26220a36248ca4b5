//! Series of one metric against each other: which one departs from what its peers explain.
//!
//! Peers are series of a group (the rule's `group_by`) that behave alike ([`crate::kernel::alike`]). From one stretch of time, as long as the
//! lookback, is learned how they go together ([`crate::kernel::principal`]), and by that the next stretch is judged: stretches begin at
//! multiples of the lookback since the epoch, so that it does not matter when rounds ran, and nothing later than a sample has a say in it.
//!
//! At the time of a sample the latest values of all peers are a row. Where the row's squared prediction error is beyond its line, the series
//! whose reconstruction lowers it most is named and put at what the others explain, and so on while the error is beyond the line and
//! fewer than half are named: a departure of one does not count against the others. A named series scores its departure in robust standard deviations
//! of its own departures while learning, 1.0 at the threshold; any other at most 1.0. Its p-value is conformal: the share of rows that were
//! learned from with as large a departure.
//!
//! A group of fewer than three alike series, one with fewer common moments than `min_samples`, and a series with gaps over more than half of the
//! stretch are not judged: that is "not enough history". Cost: width² for each sample's time; memory: all series of the metric at once.

use std::collections::BTreeMap;

use bellwether_model::series::Labels;

use crate::band::Band;
use crate::course::band;
use crate::kernel::alike::alike;
use crate::kernel::ordered::Ordered;
use crate::kernel::principal::Principal;
use crate::kernel::robust::NORMAL;
use crate::preset::Judgement;
use crate::rule::{MethodSpec, Rule};

/// No more series are compared with each other; more are taken in parts, in order.
const MOST: usize = 200;
/// Fewer peers cannot say which one departs.
const FEWEST: usize = 3;
/// The most moments that are learned from.
const MOMENTS: i64 = 2_016;
/// Fewer moments teach nothing.
const LEAST: usize = 32;
/// The scale is no less than this share of the distance between the quantiles .02 and .98.
const FLOOR: f64 = 0.2;
/// No value that is learned from counts for more robust standard deviations.
const CAP: f64 = 6.0;

/// A series of measurements in order of time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member<'a> {
    /// Its labels.
    pub(crate) labels: &'a Labels,
    /// Times in microseconds.
    pub(crate) ts: &'a [i64],
    /// Values.
    pub(crate) values: &'a [f64],
}

/// What a rule says of each sample of each of these series.
pub(crate) fn along(rule: &Rule, members: &[Member<'_>]) -> Vec<Vec<Option<Band>>> {
    let mut bands: Vec<Vec<Option<Band>>> = members.iter().map(|m| vec![None; m.ts.len()]).collect();
    let mut groups: BTreeMap<Vec<Option<&str>>, Vec<usize>> = BTreeMap::new();
    for (i, member) in members.iter().enumerate() {
        let key = rule.group_by.iter().map(|label| member.labels.get(label).map(String::as_str)).collect();
        groups.entry(key).or_default().push(i);
    }
    for group in groups.into_values() {
        let mut group = group;
        group.sort_by(|a, b| members[*a].labels.cmp(members[*b].labels));
        for part in group.chunks(MOST).filter(|part| part.len() >= FEWEST) {
            judge(rule, members, part, &mut bands);
        }
    }
    bands
}

fn judge(rule: &Rule, members: &[Member<'_>], group: &[usize], bands: &mut [Vec<Option<Band>>]) {
    let length = rule.lookback.micros().max(1);
    let mut times: Vec<i64> = group.iter().flat_map(|i| members[*i].ts).copied().collect();
    times.sort_unstable();
    times.dedup();
    for stretch in times.chunk_by(|a, b| a.div_euclid(length) == b.div_euclid(length)) {
        let begins = stretch[0].div_euclid(length).saturating_mul(length);
        for cluster in clusters(rule, members, group, begins.saturating_sub(length), begins) {
            let mut at = vec![0; cluster.peers.len()];
            for t in stretch {
                cluster.judge(rule, members, *t, &mut at, bands);
            }
        }
    }
}

/// Series that behave alike, and how.
struct Cluster {
    peers: Vec<Peer>,
    model: Principal,
    /// A value that is older says nothing of now.
    fresh: i64,
}

/// One series of a cluster.
struct Peer {
    member: usize,
    median: f64,
    scale: f64,
    /// A robust standard deviation of its departures, and their sizes in order.
    deviation: f64,
    departures: Ordered,
}

/// The latest value at `t` that is fresh. `at` is where the search went last.
fn latest(member: &Member<'_>, t: i64, fresh: i64, at: &mut usize) -> Option<f64> {
    while member.ts.get(*at).is_some_and(|x| *x <= t) {
        *at += 1;
    }
    let i = at.checked_sub(1)?;
    (t.saturating_sub(member.ts[i]) < fresh).then(|| member.values[i])
}

/// Median and robust standard deviation with a floor; `None` where values do not vary.
fn usual(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let mut ordered = Ordered::with_capacity(sorted.len());
    sorted.iter().for_each(|x| ordered.insert(*x));
    let median = ordered.median()?;
    let scale = (NORMAL * ordered.mad(median)?).max(FLOOR * (ordered.quantile(0.98)? - ordered.quantile(0.02)?));
    (scale.is_finite() && scale > 1e-9 * median.abs()).then_some((median, scale))
}

/// What the stretch `[from, to)` teaches of a group.
fn clusters(rule: &Rule, members: &[Member<'_>], group: &[usize], from: i64, to: i64) -> Vec<Cluster> {
    // A member's samples of the stretch alone, whatever else the window has.
    let cut = |i: usize| -> Member<'_> {
        let m = members[i];
        let (low, high) = (m.ts.partition_point(|t| *t < from), m.ts.partition_point(|t| *t < to));
        Member { labels: m.labels, ts: &m.ts[low..high], values: &m.values[low..high] }
    };
    let cuts: Vec<Member<'_>> = group.iter().map(|i| cut(*i)).collect();
    let mut steps: Vec<i64> = cuts.iter().flat_map(|m| m.ts.windows(2).map(|w| w[1] - w[0])).filter(|s| *s > 0).collect();
    steps.sort_unstable();
    let Some(step) = steps.get(steps.len() / 2).copied() else { return Vec::new() };
    let cell = step.max((to - from) / MOMENTS);
    let fresh = cell.saturating_mul(2);
    let moments = (to - from) / cell;
    let columns: Vec<Vec<Option<f64>>> = cuts
        .iter()
        .map(|m| {
            let mut at = 0;
            (1..=moments).map(|n| latest(m, from + n * cell - 1, fresh, &mut at)).collect()
        })
        .collect();
    // Of the moments with any value, those of a member that is there for at most half of them would leave none in common.
    let any = (0..moments as usize).filter(|n| columns.iter().any(|c| c[*n].is_some())).count();
    let mut standard: Vec<(usize, f64, f64)> = Vec::new();
    for (k, column) in columns.iter().enumerate() {
        let there = column.iter().flatten().count();
        if there * 2 > any
            && let Some((median, scale)) = usual(column.iter().flatten().copied())
        {
            standard.push((k, median, scale));
        }
    }
    let width = standard.len();
    let full = |n: usize| standard.iter().all(|(k, ..)| columns[*k][n].is_some());
    let moment = |n: usize| {
        let columns = &columns;
        standard.iter().filter_map(move |(k, median, scale)| columns[*k][n].map(|x| ((x - median) / scale).clamp(-CAP, CAP)))
    };
    let rows: Vec<f64> = (0..moments as usize).filter(|n| full(*n)).flat_map(moment).collect();
    if width < FEWEST || rows.len() / width < LEAST.max(rule.min_samples as usize) {
        return Vec::new();
    }
    let cluster = |columns: Vec<usize>| {
        let part: Vec<f64> = rows.chunks(width).flat_map(|row| columns.iter().map(|c| row[*c])).collect();
        let model = Principal::learn(&part, columns.len())?;
        let peer = |(k, column): (usize, &usize)| {
            let (cut, median, scale) = standard[*column];
            let sizes: Vec<f64> = part.chunks(columns.len()).map(|row| model.departure(row, k)).collect();
            let (_, deviation) = usual(sizes.iter().copied())?;
            let mut departures = Ordered::with_capacity(sizes.len());
            sizes.iter().for_each(|d| departures.insert(d.abs()));
            Some(Peer { member: group[cut], median, scale, deviation, departures })
        };
        let peers: Option<Vec<Peer>> = columns.iter().enumerate().map(peer).collect();
        Some(Cluster { peers: peers?, model, fresh })
    };
    alike(&rows, width).into_iter().filter(|c| c.len() >= FEWEST).filter_map(cluster).collect()
}

impl Cluster {
    /// Judges the samples of this very time.
    fn judge(&self, rule: &Rule, members: &[Member<'_>], t: i64, at: &mut [usize], bands: &mut [Vec<Option<Band>>]) {
        let MethodSpec::Peers { threshold } = rule.method else { return };
        let width = self.peers.len();
        let seen: Vec<Option<f64>> = self
            .peers
            .iter()
            .zip(at.iter_mut())
            .map(|(p, at)| Some((latest(&members[p.member], t, self.fresh, at)? - p.median) / p.scale).filter(|z| z.is_finite()))
            .collect();
        let mut unknown: Vec<usize> = (0..width).filter(|k| seen[*k].is_none()).collect();
        let here = width - unknown.len();
        if here < FEWEST || here * 2 < width {
            return;
        }
        // No value is so far off that the others' part in the row is lost to rounding.
        let mut row: Vec<f64> = seen.iter().map(|z| z.unwrap_or_default().clamp(-1e9, 1e9)).collect();
        self.model.fill(&mut row, &unknown);
        let mut named: Vec<usize> = Vec::new();
        while self.model.error(&row) > self.model.line() && named.len() < (here - 1) / 2 {
            let candidates = (0..width).filter(|k| !unknown.contains(k));
            let Some(worst) = candidates.max_by(|a, b| self.model.share(&row, *a).total_cmp(&self.model.share(&row, *b))) else { break };
            named.push(worst);
            unknown.push(worst);
            self.model.fill(&mut row, &unknown);
        }
        for (k, peer) in self.peers.iter().enumerate() {
            let (Some(z), member) = (seen[k], &members[peer.member]) else { continue };
            let Some(position) = at[k].checked_sub(1).filter(|i| member.ts[*i] == t) else { continue };
            let is_named = named.contains(&k);
            let explained = if is_named { row[k] } else { z - self.model.departure(&row, k) };
            let departure = (z - explained).abs();
            let score = departure / (threshold * peer.deviation);
            let (expected, reach) = (peer.median + explained * peer.scale, threshold * peer.deviation * peer.scale);
            let p_value = (1 + peer.departures.at_least(departure)) as f64 / (1 + peer.departures.len()) as f64;
            let judgement = Judgement {
                score,
                alone: if is_named { score } else { score.min(1.0) },
                expected,
                lower: expected - reach,
                upper: expected + reach,
            };
            if [expected, reach, score].iter().all(|x| x.is_finite()) {
                bands[peer.member][position] = Some(band(rule, member.values[position], judgement, p_value));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bellwether_model::id::RoundId;
    use bellwether_model::series::{Series, Window};
    use bellwether_model::signal::{Signal, SignalState};
    use bellwether_model::time::Timestamp;

    use super::*;
    use crate::detect::{Evaluation, Findings, SkipReason, detect, reaches_back_to};
    use crate::drift::stream::Stream;

    const STEP: i64 = 300_000_000;
    const DAY: i64 = 288;
    /// The beginning of a stretch of two days.
    const START: i64 = 20_000 * 86_400_000_000;

    fn rule(more: serde_json::Value) -> Rule {
        let mut text = serde_json::json!({"name": "odd", "metric": "load", "method": "peers", "lookback": "2d", "group_by": ["pool"]});
        more.as_object().unwrap().iter().for_each(|(k, v)| text[k] = v.clone());
        serde_json::from_value(text).unwrap()
    }

    /// Four days of a pool's nodes: a wave of the day and a wandering level that all share, and noise of each.
    fn pool(name: &str, nodes: usize, seed: u64) -> Vec<(Series, Vec<f64>)> {
        let mut stream = Stream::new(seed);
        let common: Vec<f64> = (0..4 * DAY)
            .map(|i| (i as f64 / DAY as f64 * std::f64::consts::TAU * seed as f64).sin() + if stream.share() < 0.05 { 1.5 } else { 0.0 })
            .collect();
        let node = |n: usize| {
            let labels = [("pool", name.to_owned()), ("node", format!("{name}-{n}"))].map(|(k, v)| (k.to_owned(), v)).into();
            let mut own = Stream::new(seed * 1_000 + n as u64);
            let values = common.iter().map(|c| 100.0 + n as f64 + 10.0 * c + own.normal()).collect();
            (Series::new("load", labels), values)
        };
        (0..nodes).map(node).collect()
    }

    fn window(series: &[(Series, Vec<f64>)], from: i64, to: i64) -> Window {
        let mut window = Window::new();
        for (series, values) in series {
            let kept: Vec<usize> =
                (0..values.len()).filter(|i| (from..=to).contains(&(START + *i as i64 * STEP)) && values[*i].is_finite()).collect();
            let ts: Vec<i64> = kept.iter().map(|i| START + *i as i64 * STEP).collect();
            window.push(series.clone(), &ts, &kept.iter().map(|i| values[*i]).collect::<Vec<_>>());
        }
        window
    }

    fn at(since: i64, now: i64) -> Evaluation {
        Evaluation { round_id: RoundId::new("rnd"), since: Timestamp::from_micros(since), now: Timestamp::from_micros(now) }
    }

    const END: i64 = START + (4 * DAY - 1) * STEP;

    fn judged(rule: &Rule, series: &[(Series, Vec<f64>)]) -> Findings {
        detect(std::slice::from_ref(rule), &[], &window(series, START, END), &at(START, END))
    }

    fn opened(found: &Findings) -> Vec<(String, i64)> {
        let opened = found.signals.iter().filter(|s| s.state == SignalState::Opened);
        opened.map(|s| (s.subject.label("node").unwrap_or_default().to_owned(), (s.opened_at.micros() - START) / STEP)).collect()
    }

    #[test]
    fn the_one_that_leaves_its_peers_is_named_and_what_all_do_is_nothing() {
        let mut series = pool("a", 5, 1);
        series.extend(pool("b", 4, 3));
        assert_eq!(opened(&judged(&rule(serde_json::json!({})), &series)), []);
        // All of one pool rise, one falls less far than it usually varies: only the others tell.
        series[..5].iter_mut().for_each(|(_, v)| v[900..940].iter_mut().for_each(|x| *x += 25.0));
        series[7].1[1_000..1_012].iter_mut().for_each(|x| *x -= 9.0);
        let found = judged(&rule(serde_json::json!({})), &series);
        assert_eq!(opened(&found), [("b-2".to_owned(), 1_000)]);
        let signal = &found.signals[0];
        assert!(signal.hint.contains("below what its peers explain, 10") && signal.hint.contains("usual at least"), "{}", signal.hint);
        assert!(signal.score > 1.0 && signal.p_value.unwrap() < 0.01 && signal.value < signal.lower, "{signal:?}");
        // Without the label both pools are one group, and what they do is still told apart.
        let found = judged(&rule(serde_json::json!({"group_by": []})), &series);
        assert_eq!(opened(&found), [("b-2".to_owned(), 1_000)]);
    }

    #[test]
    fn what_has_no_peers_is_not_judged_and_says_so() {
        let mut series = pool("a", 4, 1);
        series.extend(pool("alone", 2, 3));
        series.push((
            Series::new("load", [("pool", "a"), ("node", "still")].map(|(k, v)| (k.to_owned(), v.to_owned())).into()),
            vec![7.0; 1_152],
        ));
        series[3].1[200..].fill(f64::NAN);
        let found = judged(&rule(serde_json::json!({})), &series);
        assert_eq!((found.series, found.signals.len()), (3, 0));
        let reasons: BTreeMap<String, i64> = [("not_enough_history".to_owned(), 4)].into();
        assert_eq!(found.skipped_by_reason(), reasons);
        assert!(found.skipped.iter().all(|s| s.reason == SkipReason::NotEnoughHistory));
        assert_eq!(judged(&rule(serde_json::json!({})), &pool("a", 2, 1)).series, 0);
        // Values that are far off are numbers all the same.
        let mut wild = pool("a", 5, 1);
        wild[0].1.iter_mut().step_by(7).for_each(|x| *x = 1e119);
        wild[1].1[1_000] = -1e119;
        for signal in judged(&rule(serde_json::json!({})), &wild).signals {
            assert!([signal.score, signal.expected, signal.lower, signal.upper].iter().all(|x| x.is_finite()));
        }
    }

    #[test]
    fn rounds_find_what_one_call_finds() {
        let mut series = pool("a", 5, 1);
        series[2].1[700..730].iter_mut().for_each(|x| *x += 12.0);
        series[4].1[1_000..1_100].iter_mut().for_each(|x| *x -= 12.0);
        let rule = rule(serde_json::json!({}));
        let rules = std::slice::from_ref(&rule);
        let once = judged(&rule, &series).signals;
        let (mut rows, mut current, mut since) = (Vec::new(), BTreeMap::<_, Signal>::new(), START);
        for n in [100, 577, 590, 701, 702, 728, 731, 900, 1_004, 1_151] {
            let now = START + n * STEP;
            let open: Vec<Signal> = current.values().filter(|s: &&Signal| s.is_open()).cloned().collect();
            let from = reaches_back_to(rules, &open, Timestamp::from_micros(since)).micros();
            let known: Vec<Signal> = current.values().filter(|s| s.closed_at.is_none_or(|t| t.micros() >= from)).cloned().collect();
            for row in detect(rules, &known, &window(&series, from, now), &at(since, now)).signals {
                current.insert(row.signal_id.clone(), row.clone());
                rows.push(row);
            }
            since = now;
        }
        let key = |s: &Signal| (s.signal_id.clone(), s.state, s.opened_at, s.closed_at, format!("{:.9}", s.score), s.hint.clone());
        let sorted = |rows: &[Signal]| {
            let mut keys: Vec<_> = rows.iter().map(key).collect();
            keys.sort_by(|a, b| (a.2, a.3, &a.4).partial_cmp(&(b.2, b.3, &b.4)).unwrap());
            keys
        };
        assert!(once.len() >= 4);
        assert_eq!(sorted(&once), sorted(&rows));
    }
}
