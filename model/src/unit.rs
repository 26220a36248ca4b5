//! Quantities with their unit in the type, parsed from the text that people write in blueprints.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The text is not a quantity of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {wanted}")]
pub struct ParseUnitError {
    /// What was written.
    pub text: String,
    /// What would be right, as "a percentage such as 70%".
    pub wanted: &'static str,
}

fn number(text: &str, wanted: &'static str, original: &str) -> Result<f64, ParseUnitError> {
    match text.trim().parse::<f64>() {
        Ok(n) if n.is_finite() => Ok(n),
        _ => Err(ParseUnitError { text: original.to_owned(), wanted }),
    }
}

/// A share of one: 0.7 is 70 %. Text form `70%` or `0.7`. Not bounded above, because a utilisation may pass 100 %.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Ratio(pub f64);

impl FromStr for Ratio {
    type Err = ParseUnitError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        const WANTED: &str = "a ratio; write it as 70% or 0.7";
        let value = match s.trim().strip_suffix('%') {
            Some(percent) => number(percent, WANTED, s)? / 100.0,
            None => number(s, WANTED, s)?,
        };
        if value < 0.0 { Err(ParseUnitError { text: s.to_owned(), wanted: WANTED }) } else { Ok(Self(value)) }
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = (self.0 * 1e6).round() / 1e4;
        write!(f, "{percent}%")
    }
}

/// A number of replicas, or of GPUs where the object is a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Replicas(pub u32);

impl fmt::Display for Replicas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Money in millionths of a US dollar, so that sums are exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MicroUsd(pub i64);

impl MicroUsd {
    /// From dollars, rounded to the nearest millionth.
    pub fn from_usd(usd: f64) -> Self {
        Self((usd * 1e6).round() as i64)
    }
    /// In dollars.
    pub fn usd(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl std::ops::Add for MicroUsd {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl std::iter::Sum for MicroUsd {
    fn sum<I: Iterator<Item = Self>>(items: I) -> Self {
        items.fold(Self::default(), std::ops::Add::add)
    }
}

impl fmt::Display for MicroUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${:.2}", self.usd())
    }
}

/// A Kubernetes CPU quantity in thousandths of a core. Text form `500m` or `2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MilliCpu(pub u64);

impl FromStr for MilliCpu {
    type Err = ParseUnitError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        const WANTED: &str = "a CPU quantity; write it as 500m or 2";
        let milli = match s.trim().strip_suffix('m') {
            Some(milli) => number(milli, WANTED, s)?,
            None => number(s, WANTED, s)? * 1e3,
        };
        if milli < 0.0 { Err(ParseUnitError { text: s.to_owned(), wanted: WANTED }) } else { Ok(Self(milli.round() as u64)) }
    }
}

impl fmt::Display for MilliCpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}m", self.0)
    }
}

/// A Kubernetes memory quantity in bytes. Text form `512Mi`, `2Gi` or plain bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

impl FromStr for Bytes {
    type Err = ParseUnitError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        const WANTED: &str = "a memory quantity; write it as 512Mi or 2Gi";
        let text = s.trim();
        let suffixes =
            [("Ki", 1u64 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30), ("Ti", 1 << 40), ("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000)];
        let (digits, unit) = suffixes.iter().find_map(|(suffix, unit)| text.strip_suffix(suffix).map(|d| (d, *unit))).unwrap_or((text, 1));
        let value = number(digits, WANTED, s)? * unit as f64;
        if value < 0.0 { Err(ParseUnitError { text: s.to_owned(), wanted: WANTED }) } else { Ok(Self(value.round() as u64)) }
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            b if b >= 1 << 30 && b % (1 << 30) == 0 => write!(f, "{}Gi", b >> 30),
            b if b >= 1 << 20 && b % (1 << 20) == 0 => write!(f, "{}Mi", b >> 20),
            b => write!(f, "{b}"),
        }
    }
}

macro_rules! serde_as_text {
    ($($name:ident),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a quantity")
                    }
                    fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<$name, E> {
                        v.parse().map_err(E::custom)
                    }
                    fn visit_f64<E: serde::de::Error>(self, v: f64) -> Result<$name, E> {
                        v.to_string().parse().map_err(E::custom)
                    }
                    fn visit_u64<E: serde::de::Error>(self, v: u64) -> Result<$name, E> {
                        v.to_string().parse().map_err(E::custom)
                    }
                    fn visit_i64<E: serde::de::Error>(self, v: i64) -> Result<$name, E> {
                        v.to_string().parse().map_err(E::custom)
                    }
                }
                d.deserialize_any(Text)
            }
        }
    )*};
}
serde_as_text!(Ratio, MilliCpu, Bytes, Threshold);

/// The unit in which a metric or a threshold is given. Values are always in the base unit: seconds, bytes, a share of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A plain number.
    #[default]
    Number,
    /// Seconds.
    Seconds,
    /// A share of one, shown as a percentage.
    Ratio,
    /// Bytes.
    Bytes,
    /// Events a second.
    PerSecond,
    /// US dollars an hour.
    UsdPerHour,
}

impl Unit {
    /// A value of this unit as a person would write it: `280 ms`, `3.4 %`, `1.2 GiB`, `52 /s`.
    pub fn show(self, value: f64) -> String {
        fn digits(v: f64) -> String {
            let magnitude = v.abs();
            let places = if magnitude >= 100.0 || magnitude == 0.0 {
                0
            } else if magnitude >= 10.0 {
                1
            } else if magnitude >= 1.0 {
                2
            } else {
                3
            };
            let text = format!("{v:.places$}");
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
        }
        match self {
            Self::Number => digits(value),
            Self::Seconds if value.abs() < 1e-3 && value != 0.0 => format!("{} µs", digits(value * 1e6)),
            Self::Seconds if value.abs() < 1.0 => format!("{} ms", digits(value * 1e3)),
            Self::Seconds if value.abs() >= 120.0 => format!("{} min", digits(value / 60.0)),
            Self::Seconds => format!("{} s", digits(value)),
            Self::Ratio => format!("{} %", digits(value * 100.0)),
            Self::Bytes => {
                let (scale, name) = [(1u64 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")]
                    .into_iter()
                    .find(|(s, _)| value.abs() >= *s as f64)
                    .unwrap_or((1, "B"));
                format!("{} {name}", digits(value / scale as f64))
            }
            Self::PerSecond => format!("{} /s", digits(value)),
            Self::UsdPerHour => format!("${value:.2}/h"),
        }
    }
}

/// How a measurement must compare with a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Comparison {
    /// Below.
    #[serde(rename = "<")]
    Below,
    /// At most.
    #[serde(rename = "<=")]
    AtMost,
    /// Above.
    #[serde(rename = ">")]
    Above,
    /// At least.
    #[serde(rename = ">=")]
    AtLeast,
}

/// A bound on a measurement, as blueprints write it: `< 200ms`, `< 1%`, `>= 0.5`, `<= 2Gi`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// How the measurement must compare with the bound.
    pub comparison: Comparison,
    /// The bound in the base unit (seconds, share of one, bytes).
    pub bound: f64,
    /// The unit the bound was written in.
    pub unit: Unit,
}

impl Threshold {
    /// Whether `value`, in the base unit, satisfies the bound. NaN never does.
    pub fn holds(&self, value: f64) -> bool {
        match self.comparison {
            Comparison::Below => value < self.bound,
            Comparison::AtMost => value <= self.bound,
            Comparison::Above => value > self.bound,
            Comparison::AtLeast => value >= self.bound,
        }
    }
}

impl FromStr for Threshold {
    type Err = ParseUnitError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        const WANTED: &str = "a bound; write it as \"< 200ms\", \"< 1%\" or \">= 0.5\"";
        let wrong = || ParseUnitError { text: s.to_owned(), wanted: WANTED };
        let text = s.trim();
        let operators = [("<=", Comparison::AtMost), (">=", Comparison::AtLeast), ("<", Comparison::Below), (">", Comparison::Above)];
        let (rest, comparison) = operators.iter().find_map(|(op, c)| text.strip_prefix(op).map(|r| (r.trim(), *c))).ok_or_else(wrong)?;
        let (bound, unit) = if let Ok(plain) = rest.parse::<f64>() {
            (plain, Unit::Number)
        } else if rest.ends_with('%') {
            (rest.parse::<Ratio>().map_err(|_| wrong())?.0, Unit::Ratio)
        } else if let Ok(span) = rest.parse::<crate::time::Span>() {
            (span.secs_f64(), Unit::Seconds)
        } else {
            (rest.parse::<Bytes>().map_err(|_| wrong())?.0 as f64, Unit::Bytes)
        };
        if bound.is_finite() { Ok(Self { comparison, bound, unit }) } else { Err(wrong()) }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = match self.comparison {
            Comparison::Below => "<",
            Comparison::AtMost => "<=",
            Comparison::Above => ">",
            Comparison::AtLeast => ">=",
        };
        match self.unit {
            Unit::Ratio => write!(f, "{op} {}", Ratio(self.bound)),
            Unit::Seconds if self.bound < 1.0 => write!(f, "{op} {}ms", (self.bound * 1e6).round() / 1e3),
            Unit::Seconds => write!(f, "{op} {}s", self.bound),
            Unit::Bytes => write!(f, "{op} {}", Bytes(self.bound as u64)),
            _ => write!(f, "{op} {}", self.bound),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blueprint_text_becomes_quantities() {
        assert_eq!("70%".parse::<Ratio>().unwrap(), Ratio(0.7));
        assert_eq!("500m".parse::<MilliCpu>().unwrap(), MilliCpu(500));
        assert_eq!("2Gi".parse::<Bytes>().unwrap(), Bytes(2 << 30));
        let t: Threshold = "< 200ms".parse().unwrap();
        assert_eq!((t.bound, t.unit, t.to_string().as_str()), (0.2, Unit::Seconds, "< 200ms"));
        assert!(t.holds(0.125) && !t.holds(0.28) && !t.holds(f64::NAN));
        assert_eq!("< 1%".parse::<Threshold>().unwrap().bound, 0.01);
        for text in ["", "200ms", "< fast", "-70%", "< NaN"] {
            assert!(text.parse::<Threshold>().is_err(), "{text}");
        }
        assert!("seventy".parse::<Ratio>().is_err());
    }

    #[test]
    fn values_are_shown_with_their_unit() {
        assert_eq!(Unit::Seconds.show(0.28), "280 ms");
        assert_eq!(Unit::Ratio.show(0.034), "3.4 %");
        assert_eq!(Unit::Bytes.show(1.5 * (1u64 << 30) as f64), "1.5 GiB");
        assert_eq!(Unit::Number.show(100.0), "100");
    }
}
