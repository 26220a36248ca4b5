//! Values as SQL spells them: for the queries that this program writes itself.

use bellwether_model::time::Timestamp;

/// A text in quotes, whatever it holds.
pub fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// An instant, to the microsecond in UTC.
pub fn instant(at: Timestamp) -> String {
    format!("arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')", at.micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_spelled_so_that_they_stay_texts() {
        assert_eq!(text("x' OR '1'='1"), "'x'' OR ''1''=''1'");
    }
}
