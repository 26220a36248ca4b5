//! What was usual at each point of a labelled series, to draw it behind the values.

use bellwether_detectors::backtest::fit::Choice;
use bellwether_detectors::backtest::labelled::LabelledSeries;
use bellwether_detectors::backtest::rules;
use bellwether_detectors::preset::{Scorer, judgements};

use super::Detector;
use crate::report::chart::Band;

/// One band for each point, in order; none while the detector had too little to say what is usual. Of several rules the band is the first's.
pub(super) fn bands(detector: &Detector, choice: Option<&Choice>, series: &LabelledSeries) -> Vec<Option<Band>> {
    let of_scorer = |scorer: Scorer| {
        let judged = judgements(scorer, &series.ts, &series.values).into_iter();
        judged.map(|j| j.map(|j| Band { expected: j.expected, lower: j.lower, upper: j.upper })).collect()
    };
    match (detector, choice) {
        (Detector::Preset(preset), _) => of_scorer(Scorer::new(*preset)),
        (Detector::Rules { .. }, _) => match detector.rules_of(series).first() {
            Some(rule) => rules::bands_of(rule, series)
                .into_iter()
                .map(|b| b.map(|b| Band { expected: b.expected, lower: b.lower, upper: b.upper }))
                .collect(),
            None => Vec::new(),
        },
        (Detector::Fit, Some(choice)) => of_scorer(choice.of(series).scorer()),
        (Detector::Fit, None) => Vec::new(),
    }
}
