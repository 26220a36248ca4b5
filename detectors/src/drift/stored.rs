//! What was stored and is read back: a sketch that cannot have been made is refused, not believed.

/// A stored sketch that contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stored {sketch} is damaged: {what}")]
pub struct Damaged {
    /// What kind of sketch.
    pub sketch: &'static str,
    /// What cannot be.
    pub what: &'static str,
}

impl Damaged {
    /// Whether something holds that must, or what is wrong.
    pub(crate) fn unless(fine: bool, sketch: &'static str, what: &'static str) -> Result<(), Self> {
        if fine { Ok(()) } else { Err(Self { sketch, what }) }
    }
}

#[cfg(test)]
mod tests {
    use crate::drift::distinct::Distinct;
    use crate::drift::frequent::Frequent;
    use crate::drift::histogram::{Grid, Histogram};
    use crate::drift::quantiles::{Quantiles, SMALLEST};
    use serde::Serialize;
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    /// What reading says after one change of what was stored.
    fn changed<T: Serialize + DeserializeOwned>(stored: &T, change: impl Fn(&mut Value)) -> Option<String> {
        let mut value = serde_json::to_value(stored).unwrap();
        change(&mut value);
        serde_json::from_value::<T>(value).err().map(|e| e.to_string())
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let mut histogram = Histogram::new(Grid::new(0.0, 4.0, 4).unwrap());
        histogram.add(&[1.0, 2.0]);
        let mut quantiles = Quantiles::new(SMALLEST, 1);
        quantiles.add(&[1.0, 2.0]);
        let mut frequent = Frequent::new(3);
        frequent.add("x", 2);
        for (found, expected) in [
            (changed(&histogram, |_| ()), None),
            (
                changed(&histogram, |v| v["counts"] = json!([1])),
                Some("a stored histogram is damaged: it has another number of cells than its grid"),
            ),
            (changed(&histogram, |v| v["grid"]["high"] = json!(-1.0)), Some("a grid from 0 to -1 has no width")),
            (changed(&quantiles, |_| ()), None),
            (
                changed(&quantiles, |v| v["levels"] = json!([])),
                Some("a stored quantile sketch is damaged: its levels do not add up to its count"),
            ),
            (changed(&quantiles, |v| v["k"] = json!(3)), Some("a stored quantile sketch is damaged: k is too small")),
            (
                changed(&quantiles, |v| v["count"] = json!(3)),
                Some("a stored quantile sketch is damaged: its levels do not add up to its count"),
            ),
            (changed(&frequent, |_| ()), None),
            (
                changed(&frequent, |v| v["total"] = json!(1)),
                Some("a stored table of categories is damaged: its counts are more than the total"),
            ),
            (
                changed(&Distinct::default(), |v| *v = json!({"many": [1, 2]})),
                Some("a stored count of different values is damaged: it has another number of registers"),
            ),
        ] {
            assert_eq!(found.as_deref(), expected);
        }
    }
}
