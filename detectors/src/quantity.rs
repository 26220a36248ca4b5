//! Numbers of a rule, as people write them: `0.5`, `20ms`, `70%`, `2Gi`.

use std::fmt;

use bellwether_model::unit::Threshold;
use serde::de::{Deserializer, Error, Visitor};

/// The number that `text` means, in the base unit (seconds, bytes, a share of one); `None` when it means none.
///
/// Plain numbers may be negative. Numbers with a unit are read as blueprints read them.
pub fn parse(text: &str) -> Option<f64> {
    let text = text.trim();
    let value = text.parse().ok().or_else(|| format!("<= {text}").parse::<Threshold>().ok().map(|t| t.bound))?;
    f64::is_finite(value).then_some(value)
}

/// Reads a plain number or a text with a unit, for `#[serde(deserialize_with)]`.
pub(crate) fn read<'de, D: Deserializer<'de>>(d: D) -> Result<Option<f64>, D::Error> {
    struct Quantity;
    impl Visitor<'_> for Quantity {
        type Value = Option<f64>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number, or one with a unit such as 20ms, 70% or 2Gi")
        }
        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            parse(text).map(Some).ok_or_else(|| E::custom(format_args!("{text:?} is not a quantity; write it as 0.5, 20ms, 70% or 2Gi")))
        }
        fn visit_f64<E: Error>(self, v: f64) -> Result<Self::Value, E> {
            if v.is_finite() { Ok(Some(v)) } else { Err(E::custom("a rule's numbers must be finite")) }
        }
        fn visit_i64<E: Error>(self, v: i64) -> Result<Self::Value, E> {
            Ok(Some(v as f64))
        }
        fn visit_u64<E: Error>(self, v: u64) -> Result<Self::Value, E> {
            Ok(Some(v as f64))
        }
        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
    }
    d.deserialize_any(Quantity)
}

#[cfg(test)]
mod tests {
    #[test]
    fn quantities_are_in_the_base_unit() {
        for (text, value) in [("0.5", 0.5), ("-3", -3.0), ("20ms", 0.02), ("70%", 0.7), ("2Ki", 2048.0)] {
            assert_eq!(super::parse(text), Some(value), "{text}");
        }
        for text in ["", "fast", "nan", "inf", "5 parsecs"] {
            assert_eq!(super::parse(text), None, "{text}");
        }
    }
}
