//! What rules, as a fleet is judged by, would have said of labelled series.
//!
//! A point's score is that of the rule by which it deviates most. While a rule has no open signal on the series its score stays just
//! below the decision line, because nobody is told of a deviation that does not persist.

use bellwether_model::series::{Labels, Series, SeriesSlice};

use super::labelled::LabelledSeries;
use crate::bands::{BandPoint, bands};
use crate::rule::Rule;

/// The highest score without a signal.
const UNTOLD: f64 = 0.999_999;

/// The scores of a series by some rules, whichever metric they are for: one for each of its values, 0 for what none of them can
/// judge.
pub fn scores(rules: &[Rule], series: &LabelledSeries) -> Vec<f64> {
    let mut scores = vec![0.0; series.values.len()];
    for rule in rules {
        for (score, point) in scores.iter_mut().zip(bands_of(rule, series)) {
            let own = point.map_or(0.0, |p| if p.in_signal { p.score } else { p.score.min(UNTOLD) });
            *score = f64::max(*score, own);
        }
    }
    scores
}

/// What a rule, whichever metric it is for, says of each value of a series; `None` where it says nothing.
pub fn bands_of(rule: &Rule, series: &LabelledSeries) -> Vec<Option<BandPoint>> {
    let named = Series::new(rule.metric.clone(), Labels::from([("file".to_owned(), series.name.clone())]));
    let mut points = vec![None; series.values.len()];
    let mut at = 0;
    for point in bands(rule, SeriesSlice { series: &named, ts: &series.ts, values: &series.values }) {
        while series.ts[at] != point.ts.micros() || series.values[at] != point.value {
            at += 1;
        }
        points[at] = Some(point);
        at += 1;
    }
    points
}

#[cfg(test)]
mod tests {
    use bellwether_model::unit::Unit;

    use super::*;

    #[test]
    fn only_what_persists_is_an_alarm() {
        let mut values: Vec<f64> = (0..300).map(|i| f64::from(i * 37 % 11)).collect();
        values[200] = 90.0;
        values[250..254].fill(90.0);
        values[100] = f64::NAN;
        let series = LabelledSeries { name: "a".into(), ts: (0..300).map(|t| t * 60_000_000).collect(), values, events: Vec::new() };
        let scores = scores(&[Rule::new("r", "m", Unit::Number)], &series);
        let alarms: Vec<usize> = (0..300).filter(|i| scores[*i] >= 1.0).collect();
        assert_eq!(alarms, [251, 252, 253]);
        assert_eq!((scores[200], scores[250], scores[100], scores[0]), (UNTOLD, UNTOLD, 0.0, 0.0));
        let usual = bands_of(&Rule::new("r", "m", Unit::Number), &series);
        assert!(usual[0].is_none() && usual[100].is_none() && usual[150].is_some_and(|b| b.lower < 5.0 && b.upper > 5.0 && b.upper < 90.0));
        assert!(super::scores(&[], &series).iter().all(|s| *s == 0.0));
    }
}
