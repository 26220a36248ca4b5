//! One series in order of time: what opens a signal, what keeps it open, what ends it.
//!
//! * A point is judged against a baseline that ends `n - 1` points before it (`n` of the rule's persistence), so that points
//!   which are about to open a signal do not first widen the band for each other.
//! * A signal opens when `m` of the latest `n` points deviate; it began at the first of them. From then on the baseline is
//!   the one of that moment, and no point feeds it.
//! * It ends after `calm` points in the band one after the other ([`Ending::Calm`]); when the series has no point for
//!   `gap` ([`Ending::Gone`], which says nothing of health); or when it has been open for `accept_after`
//!   ([`Ending::NewNormal`]): then the baseline begins anew where the signal began.
//! * Points of signals that ended feed the baseline only where the rule learns, or where they were accepted.
//!
//! A preset ([`crate::course`]) brings its own baseline: every point feeds it, none is frozen, and nothing has to be accepted.
//!
//! All of that follows from the samples of one lookback and the signals known in it, never from how often the scan ran: a scan that
//! begins in the middle finds what one from the beginning finds.

use bellwether_model::signal::{Signal, SignalState};
use bellwether_model::time::{Span, Timestamp};

use crate::band::{self, Band, Moments, Said};
use crate::bound;
use crate::course::{self, Saved};
use crate::crowd::Company;
use crate::ewma::Decaying;
use crate::past::Past;
use crate::phases::Phases;
use crate::rule::{MethodSpec, Rule, Season};
use crate::zscore::{Rolling, Seasonal};

/// Why a signal ended. It can be read from the times of its last row: see [`Ending::of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The values came back. `closed_at` is the first calm sample, not after `last_at`.
    Calm,
    /// The samples stopped. `closed_at` is `last_at` plus the rule's gap.
    Gone,
    /// It lasted so long that its level is the new normal. `closed_at` is the first sample judged by it, after `last_at`.
    NewNormal,
}

impl Ending {
    /// How a signal ended whose rule has this gap; `None` while it is open.
    pub fn of(signal: &Signal, gap: Span) -> Option<Self> {
        let closed_at = signal.closed_at.filter(|_| signal.state == SignalState::Closed)?;
        Some(match closed_at {
            at if at <= signal.last_at => Self::Calm,
            at if at.since(signal.last_at) < gap => Self::NewNormal,
            _ => Self::Gone,
        })
    }
}

/// A stay outside the band: an open signal, or one that just ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stay {
    /// Time of the first sample outside.
    pub(crate) opened_at: i64,
    /// Time of the latest sample.
    pub(crate) last_at: i64,
    /// The worst of it.
    pub(crate) peak: Peak,
    /// Score of the latest row.
    reported: f64,
    /// Points in the band since the last one outside, and the position of the first of them.
    calm: u32,
    calm_from: usize,
    /// Position of the first sample outside.
    first: usize,
    /// The frozen band; `None` when it varies with the season or the point.
    frozen: Option<Band>,
}

/// A value, the band it was judged by, its score, and its probability without a change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peak {
    /// Time of the value.
    pub(crate) at: i64,
    pub(crate) score: f64,
    pub(crate) value: f64,
    pub(crate) band: Band,
    pub(crate) p_value: Option<f64>,
}

/// What a scan sees, in order.
pub(crate) enum Seen<'a> {
    /// A point was judged by this band.
    Point { position: usize, band: Band, in_signal: bool },
    /// A signal opened.
    Opened(&'a Stay),
    /// An open signal's score rose to at least one and a half times that of its latest row.
    Worsened(&'a Stay),
    /// A signal ended, with its `closed_at`.
    Closed(&'a Stay, Ending, i64),
}

/// How many samples were new, that is in `(since, now]`, and how many of them could be judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) new: usize,
    pub(crate) judged: usize,
    /// Points, new or waiting for those that are, that nothing could judge: neither the series' own past nor its peers.
    pub(crate) unjudged: usize,
}

/// What a scan is lent.
#[derive(Debug, Default)]
pub(crate) struct Room<'a> {
    /// Which samples belong to the baseline; made anew by each scan.
    feeds: Vec<bool>,
    /// For a preset: where to go on; afterwards, the course to save, if any.
    pub(crate) course: Option<Saved>,
    /// For a method that takes several series together: what it says of each sample of this one. Taken by the scan.
    pub(crate) told: Option<Vec<Option<Band>>>,
    /// The peers of the series, where it has some: they judge what its own past cannot. Taken by the scan.
    pub(crate) company: Option<Company<'a>>,
}

/// Scans one series (times, values), whose values are all measurements.
///
/// `known`: the rule's signals on this series that are open, or that closed within the lookback, in order of opening.
/// Samples after `since` are new; samples after `now` do not exist yet. The room may be shared by calls. Points are
/// seen from the first new one on, and those of an open signal from its beginning; without `POINTS`, perhaps not all.
pub(crate) fn scan<const POINTS: bool, S: FnMut(Seen<'_>)>(
    rule: &Rule,
    (ts, values): (&[i64], &[f64]),
    known: &[&Signal],
    (since, now): (i64, i64),
    Room { feeds, course, told, company }: &mut Room<'_>,
    sink: S,
) -> Counts {
    let end = ts.partition_point(|t| *t <= now);
    let (ts, values) = (&ts[..end], &values[..end]);
    let new_from = ts.partition_point(|t| *t <= since);
    feeds.clear();
    feeds.resize(end, true);
    let counts = Counts { new: end - new_from, judged: 0, unjudged: 0 };
    let baseline = match told.take() {
        Some(bands) => Baseline::Scored(bands),
        None => Baseline::new(rule, ts, values, now, course),
    };
    let (threshold, gap, company) = (band::threshold(rule), rule.gap.micros(), company.take());
    let mut scan = Scan::<POINTS, S> {
        rule,
        threshold,
        gap,
        ts,
        values,
        feeds,
        floor: 0,
        new_from,
        baseline,
        company,
        flags: 0,
        open: None,
        counts,
        sink,
    };
    let mut i = scan.recall(known);
    while i < end {
        i = if scan.open.is_some() { scan.step(i) } else { scan.run(i) };
    }
    if let Some(stay) = scan.open {
        let last_at = ts.last().copied().unwrap_or(stay.last_at);
        if now.saturating_sub(last_at) >= gap {
            scan.close(&Stay { last_at, ..stay }, Ending::Gone, last_at.saturating_add(gap));
        }
    }
    scan.counts
}

struct Scan<'a, const POINTS: bool, S> {
    rule: &'a Rule,
    threshold: f64,
    gap: i64,
    ts: &'a [i64],
    values: &'a [f64],
    /// Which samples belong to the baseline.
    feeds: &'a mut [bool],
    /// Where the present normal begins.
    floor: usize,
    new_from: usize,
    baseline: Baseline,
    company: Option<Company<'a>>,
    /// One bit for each of the latest points, the newest lowest: whether it deviated.
    flags: u64,
    open: Option<Stay>,
    counts: Counts,
    sink: S,
}

impl<const POINTS: bool, S: FnMut(Seen<'_>)> Scan<'_, POINTS, S> {
    /// Takes in what is known of the past, and returns the position to begin at.
    fn recall(&mut self, known: &[&Signal]) -> usize {
        let ts = self.ts;
        let position = |t: i64| ts.partition_point(|x| *x < t);
        let mut quiet_until = i64::MIN;
        for signal in known {
            let Some(ending) = Ending::of(signal, self.rule.gap) else { continue };
            let (opened, last) = (position(signal.opened_at.micros()), signal.last_at.micros());
            quiet_until = quiet_until.max(last);
            let kept_out_until = match ending {
                Ending::Calm | Ending::Gone if self.rule.learns => opened,
                Ending::Calm => position(signal.closed_at.map_or(last, Timestamp::micros)),
                Ending::Gone => position(last.saturating_add(1)),
                Ending::NewNormal => {
                    self.floor = self.floor.max(opened);
                    opened
                }
            };
            self.feeds[opened..kept_out_until.max(opened)].fill(false);
        }
        let Some(signal) = known.iter().rev().find(|s| s.is_open()) else {
            let pending = self.new_from.saturating_sub(self.rule.persistence.n() as usize - 1);
            return pending.max(position(quiet_until.saturating_add(1)));
        };
        let (opened_at, first) = (signal.opened_at.micros(), position(signal.opened_at.micros()));
        let begins_here = ts.get(first) == Some(&opened_at);
        let stay = match begins_here.then(|| self.band_at(opened_at, first)).flatten() {
            Some(band) => self.stay(first, opened_at, band),
            None => {
                // The window does not reach back far enough: the row's own band is the frozen one.
                let band = match self.baseline {
                    Baseline::Fixed(band) => band,
                    _ => Band::between(signal.expected, signal.lower, signal.upper),
                };
                let peak = Peak { at: opened_at, score: signal.score, value: signal.value, band, p_value: signal.p_value };
                Stay { last_at: signal.last_at.micros(), peak, ..self.stay(first, opened_at, band) }
            }
        };
        self.open = Some(Stay { reported: signal.score, ..stay });
        first
    }

    /// A stay that begins at this position, with no point taken in yet.
    fn stay(&self, first: usize, opened_at: i64, band: Band) -> Stay {
        let peak = Peak { at: opened_at, score: 0.0, value: band.expected, band, p_value: None };
        let varies = self.rule.is_seasonal() || matches!(self.baseline, Baseline::Scored(_));
        let frozen = (!varies).then_some(band);
        Stay { opened_at, last_at: opened_at, peak, reported: 0.0, calm: 0, calm_from: first, first, frozen }
    }

    /// The band at time `t` for a point at this position: from the samples that are `n` points or more before it.
    fn band_at(&mut self, t: i64, position: usize) -> Option<Band> {
        let end = (position + 1).saturating_sub(self.rule.persistence.n() as usize);
        let past = Past { ts: self.ts, values: self.values, feeds: self.feeds, floor: self.floor };
        let moments = match &mut self.baseline {
            Baseline::Rolling(window) => window.at(&past, t, end),
            Baseline::Seasonal(slots) => slots.at(&past, t, end),
            Baseline::Ewma(memory) => memory.at(&past, t, end),
            Baseline::Fixed(band) => return Some(*band),
            Baseline::Scored(scored) => return scored[position],
        };
        let band = moments
            .map(|m| Band::around(self.rule, self.threshold, m))
            .or_else(|| among(self.company, self.rule, self.threshold, t, &past));
        self.counts.unjudged += usize::from(band.is_none());
        band
    }

    /// Runs from this position on while no signal is open; returns where to go on.
    fn run(&mut self, from: usize) -> usize {
        let (rule, threshold) = (self.rule, self.threshold);
        let past = Past { ts: self.ts, values: self.values, feeds: self.feeds, floor: self.floor };
        let mut run =
            Run { rule, past, gap: self.gap, new_from: self.new_from, flags: self.flags, judged: 0, unjudged: 0, sink: &mut self.sink };
        // One loop for each method, so that nothing is decided for each point; and where nobody draws, no band for a point
        // that is clearly inside.
        let limit = if POINTS { 0.0 } else { threshold * threshold };
        let lag = rule.persistence.n() as usize - 1;
        let company = self.company;
        let around = |m: Option<Moments>, past: &Past<'_>, t: i64| match m {
            Some(m) => Judged::By(Band::around(rule, threshold, m)),
            None => among(company, rule, threshold, t, past).map_or(Judged::Not, Judged::By),
        };
        let stop = match &mut self.baseline {
            Baseline::Rolling(window) => run.over(from, |past, t, i, x| {
                window.advance(past, t, i.saturating_sub(lag));
                if window.is_well_inside(x, limit) { Judged::Inside } else { around(window.moments(), past, t) }
            }),
            Baseline::Seasonal(slots) => run.over(from, |past, t, i, x| {
                slots.advance(past, t, i.saturating_sub(lag));
                if slots.is_well_inside(x, limit) { Judged::Inside } else { around(slots.moments(), past, t) }
            }),
            Baseline::Ewma(memory) => run.over(from, |past, t, i, x| {
                memory.advance(past, t, i.saturating_sub(lag));
                if memory.is_well_inside(x, limit) { Judged::Inside } else { around(memory.moments(), past, t) }
            }),
            Baseline::Fixed(band) => run.over(from, |_, _, _, _| Judged::By(*band)),
            Baseline::Scored(scored) => run.over(from, |_, _, i, _| scored[i].map_or(Judged::Not, Judged::By)),
        };
        self.flags = run.flags;
        self.counts.judged += run.judged;
        self.counts.unjudged += run.unjudged;
        let Some((i, first, band)) = stop else { return self.ts.len() };
        self.begin(first, i, band);
        i + 1
    }

    /// A point while a signal is open, or the gap before it that ends the signal; returns where to go on.
    fn step(&mut self, i: usize) -> usize {
        let Some(stay) = self.open else { return i };
        if i > stay.first && self.ts[i].saturating_sub(self.ts[i - 1]) >= self.gap {
            let last_at = self.ts[i - 1];
            self.feeds[stay.first..i].fill(self.rule.learns);
            self.close(&Stay { last_at, ..stay }, Ending::Gone, last_at.saturating_add(self.gap));
            return i;
        }
        if self.step_in(i, stay) { i + 1 } else { i }
    }

    /// Opens a signal whose first deviating point is `first` and whose confirming one is `i`.
    fn begin(&mut self, first: usize, i: usize, mut latest: Band) {
        let opened_at = self.ts[first];
        let band = self.band_at(opened_at, first).unwrap_or(latest);
        let mut stay = self.stay(first, opened_at, band);
        for j in first..=i {
            self.feeds[j] = false;
            if let Some(band) = self.band_within(&stay, j) {
                stay.take(self.rule, j, self.ts[j], self.values[j], band);
                latest = band;
            }
        }
        (self.sink)(Seen::Point { position: i, band: latest, in_signal: true });
        stay.reported = stay.peak.score;
        (self.sink)(Seen::Opened(&stay));
        self.open = Some(stay);
    }

    /// The band that a point of an open signal is judged by.
    fn band_within(&mut self, stay: &Stay, i: usize) -> Option<Band> {
        if let Baseline::Scored(scored) = &self.baseline {
            // What it cannot judge does not keep a signal open.
            let quiet = Band { preset: Some(Said { score: 0.0, p_value: 1.0 }), ..stay.peak.band };
            return Some(scored[i].unwrap_or(quiet));
        }
        stay.frozen.or_else(|| self.band_at(self.ts[i], stay.first))
    }

    /// A point while a signal is open; false when the signal ended before it, so that the point is judged anew.
    fn step_in(&mut self, i: usize, mut stay: Stay) -> bool {
        let (t, value) = (self.ts[i], self.values[i]);
        self.feeds[i] = false;
        let Some(band) = self.band_within(&stay, i) else { return true };
        let may_be_accepted = !matches!(self.baseline, Baseline::Fixed(_) | Baseline::Scored(_));
        let is_old = may_be_accepted && t.saturating_sub(stay.opened_at) >= self.rule.accept_after.micros();
        if is_old && band.is_out(self.rule.watch, value) {
            let last_at = if i > 0 { self.ts[i - 1] } else { stay.last_at };
            self.close(&Stay { last_at, ..stay }, Ending::NewNormal, t);
            self.floor = self.floor.max(stay.first);
            self.feeds[stay.first..=i].fill(true);
            return false;
        }
        stay.take(self.rule, i, t, value, band);
        self.counts.judged += usize::from(i >= self.new_from);
        (self.sink)(Seen::Point { position: i, band, in_signal: true });
        if stay.calm >= self.rule.calm {
            self.feeds[if self.rule.learns { stay.first } else { stay.calm_from }..=i].fill(true);
            self.close(&stay, Ending::Calm, self.ts[stay.calm_from]);
            return true;
        }
        if stay.peak.score >= 1.5 * stay.reported {
            stay.reported = stay.peak.score;
            (self.sink)(Seen::Worsened(&stay));
        }
        self.open = Some(stay);
        true
    }

    fn close(&mut self, stay: &Stay, ending: Ending, closed_at: i64) {
        (self.open, self.flags) = (None, 0);
        (self.sink)(Seen::Closed(stay, ending, closed_at));
    }
}

/// The band that a series' peers give for time `t`.
fn among(company: Option<Company<'_>>, rule: &Rule, threshold: f64, t: i64, past: &Past<'_>) -> Option<Band> {
    let begins = past.ts.partition_point(|x| *x < t.saturating_sub(rule.lookback.micros()));
    company?.band(rule, threshold, t, past.ts.get(begins).copied().unwrap_or(t).min(t))
}

/// How a point came out.
enum Judged {
    /// Too little history.
    Not,
    /// Clearly inside of its band.
    Inside,
    /// To be held against this band.
    By(Band),
}

/// A stretch of points without an open signal.
struct Run<'a, S> {
    rule: &'a Rule,
    past: Past<'a>,
    gap: i64,
    new_from: usize,
    flags: u64,
    judged: usize,
    unjudged: usize,
    sink: &'a mut S,
}

impl<S: FnMut(Seen<'_>)> Run<'_, S> {
    /// Judges points until one opens a signal: that point, the first one of the signal, and the band.
    #[inline(always)]
    fn over(&mut self, from: usize, mut judge: impl FnMut(&Past<'_>, i64, usize, f64) -> Judged) -> Option<(usize, usize, Band)> {
        let (watch, n, m) = (self.rule.watch, self.rule.persistence.n(), self.rule.persistence.m());
        let latest_n = u64::MAX >> (64 - n);
        for i in from..self.past.ts.len() {
            let t = self.past.ts[i];
            if i > 0 && t.saturating_sub(self.past.ts[i - 1]) >= self.gap {
                self.flags = 0;
            }
            self.flags <<= 1;
            let value = self.past.values[i];
            let band = match judge(&self.past, t, i, value) {
                Judged::Not => {
                    self.unjudged += 1;
                    continue;
                }
                Judged::Inside => {
                    self.judged += usize::from(i >= self.new_from);
                    continue;
                }
                Judged::By(band) => band,
            };
            let out = band.is_out(watch, value);
            self.flags |= u64::from(out);
            if i < self.new_from {
                continue;
            }
            self.judged += 1;
            let latest = self.flags & latest_n;
            if out && latest.count_ones() >= m {
                return Some((i, i - (63 - latest.leading_zeros() as usize), band));
            }
            (self.sink)(Seen::Point { position: i, band, in_signal: false });
        }
        None
    }
}

impl Stay {
    /// Takes a point in.
    fn take(&mut self, rule: &Rule, i: usize, t: i64, value: f64, band: Band) {
        self.last_at = t;
        if band.is_out(rule.watch, value) {
            self.calm = 0;
        } else {
            if self.calm == 0 {
                self.calm_from = i;
            }
            self.calm += 1;
        }
        let score = band.score(rule.watch, value);
        if score > self.peak.score {
            self.peak = Peak { at: t, score, value, band, p_value: band.p_value(rule.watch, value) };
        }
    }
}

/// A baseline of any method, moving along one series.
enum Baseline {
    Rolling(Rolling),
    Seasonal(Seasonal),
    Ewma(Decaying),
    Fixed(Band),
    /// What a detector of its own course says of each sample.
    Scored(Vec<Option<Band>>),
}

impl Baseline {
    /// A preset goes on from where its course was saved, and leaves there the course at another mark that it reached.
    fn new(rule: &Rule, ts: &[i64], values: &[f64], now: i64, course: &mut Option<Saved>) -> Self {
        let min = rule.min_samples as usize;
        match rule.method {
            MethodSpec::Zscore { season: None, .. } => Self::Rolling(Rolling::new(rule.lookback, min)),
            MethodSpec::Zscore { season: Some(Season { cycle, slot }), .. } => {
                Self::Seasonal(Seasonal::new(Phases::new(cycle, rule.calendar.clone(), rule.lookback), slot, min))
            }
            MethodSpec::Ewma { half_life, .. } => Self::Ewma(Decaying::new(half_life, rule.lookback, min)),
            MethodSpec::Bound { above, below } => Self::Fixed(bound::band(above, below, rule.min_deviation)),
            _ => {
                let (bands, reached) = course::along(rule, course.take(), (ts, values), now);
                *course = reached;
                Self::Scored(bands)
            }
        }
    }
}
