//! The judgement of the latest sample of one series, for a question asked outside of any round.

use bellwether_model::series::SeriesSlice;
use bellwether_model::signal::{Direction, Method};
use bellwether_model::time::Span;
use bellwether_model::verdict::Verdict;
use serde::{Deserialize, Serialize};

use crate::band::is_measurement;
use crate::ewma::Decaying;
use crate::hint;
use crate::past::{Past, measurements};
use crate::rule::{MethodSpec, Rule};
use crate::scan::{Seen, scan};

/// What is to say of a series' latest sample. Numbers that cannot be known are absent, never NaN.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Analysis {
    /// Score of the latest sample; 1.0 is the decision line. 0 when nothing could be judged.
    pub score: f64,
    /// The rule's method.
    pub method: Method,
    /// Standard deviations between the sample and what was expected.
    pub z: Option<f64>,
    /// Exponentially weighted mean of the samples before it, by the rule's half-life or one of 30 minutes.
    pub ewma: Option<f64>,
    /// What was expected.
    pub expected: Option<f64>,
    /// Lower bound of the band.
    pub lower: Option<f64>,
    /// Upper bound of the band.
    pub upper: Option<f64>,
    /// Probability of such a value without a change.
    pub p_value: Option<f64>,
    /// Which way it lies from what was expected.
    pub direction: Option<Direction>,
    /// `fail` while a signal is open; `inconclusive` when the sample deviates but not enough of its neighbours do, when there
    /// is too little history, or when it is no number; `no_data` without samples; otherwise `pass`.
    pub verdict: Verdict,
    /// All of that in words.
    pub hint: String,
}

/// Judges the latest sample of a series by the same scan that [`crate::detect::detect`] runs.
pub fn analyze(rule: &Rule, slice: SeriesSlice<'_>) -> Analysis {
    let (ts, values) = measurements(slice.ts, slice.values);
    let mut latest = None;
    scan::<true, _>(
        rule,
        (&ts, &values),
        &[],
        (i64::MIN, ts.last().copied().unwrap_or_default()),
        None,
        &mut Vec::new(),
        |seen| match seen {
            Seen::Point { position, band, in_signal } => latest = Some((position, band, in_signal)),
            Seen::Closed(..) => latest = latest.map(|(position, band, _)| (position, band, false)),
            Seen::Opened(_) | Seen::Worsened(_) => {}
        },
    );
    let nothing = |verdict, hint: String| Analysis {
        score: 0.0,
        method: rule.method_name(),
        z: None,
        ewma: ewma(rule, &ts, &values),
        expected: None,
        lower: None,
        upper: None,
        p_value: None,
        direction: None,
        verdict,
        hint,
    };
    let (metric, labels) = (&slice.series.metric, &slice.series.labels);
    let Some(last) = slice.values.last() else { return nothing(Verdict::NoData, format!("{metric} has no data")) };
    if !is_measurement(*last) {
        return nothing(Verdict::Inconclusive, format!("the latest sample of {metric} is not a number"));
    }
    let Some((_, band, in_signal)) = latest.filter(|(position, ..)| position + 1 == values.len()) else {
        let hint = format!("{metric} has too little history before its latest sample: {} of it are needed", rule.min_samples);
        return nothing(Verdict::Inconclusive, hint);
    };
    let mut hint = hint::of_value(rule, metric, labels, *last, &band);
    let is_out = band.is_out(rule.watch, *last);
    let verdict = match (in_signal, is_out) {
        (true, _) => Verdict::Fail,
        (false, true) => {
            hint += &format!("; a signal takes {} points", rule.persistence);
            Verdict::Inconclusive
        }
        (false, false) => Verdict::Pass,
    };
    Analysis {
        score: band.score(rule.watch, *last),
        z: band.z(*last),
        expected: Some(band.expected),
        lower: Some(band.lower),
        upper: Some(band.upper),
        p_value: band.p_value(rule.watch, *last),
        direction: Some(band.direction(rule.watch, *last)),
        ..nothing(verdict, hint)
    }
}

fn ewma(rule: &Rule, ts: &[i64], values: &[f64]) -> Option<f64> {
    let half_life = match rule.method {
        MethodSpec::Ewma { half_life, .. } => half_life,
        _ => Span::from_mins(30),
    };
    let last = ts.len().checked_sub(1)?;
    let past = Past { ts, values, feeds: &vec![true; ts.len()], floor: 0 };
    Some(Decaying::new(half_life, rule.lookback, 2).at(&past, ts[last], last)?.mean)
}
