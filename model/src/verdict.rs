//! The four-valued verdict. "No data" is never "healthy" and never "broken".

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is said of anything that is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Measured, and as it should be.
    Pass,
    /// Measured, and not as it should be.
    Fail,
    /// Nothing was measured.
    NoData,
    /// Something was measured, but it decides nothing: too few samples, not a number, stale.
    Inconclusive,
}

impl Verdict {
    /// The verdict on several things together: any failure fails, then missing data, then doubt; nothing judged is no data.
    pub fn all(verdicts: impl IntoIterator<Item = Self>) -> Self {
        let mut seen = [false; 4];
        for v in verdicts {
            seen[v as usize] = true;
        }
        [Self::Fail, Self::NoData, Self::Inconclusive, Self::Pass].into_iter().find(|v| seen[*v as usize]).unwrap_or(Self::NoData)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::NoData => "no_data",
            Self::Inconclusive => "inconclusive",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::*;
    use super::*;

    #[test]
    fn silence_is_not_health() {
        assert_eq!(Verdict::all([]), NoData);
        assert_eq!(Verdict::all([Pass, NoData]), NoData);
        assert_eq!(Verdict::all([Pass, Inconclusive]), Inconclusive);
        assert_eq!(Verdict::all([NoData, Fail, Pass]), Fail);
        assert_eq!(Verdict::all([Pass, Pass]), Pass);
    }
}
