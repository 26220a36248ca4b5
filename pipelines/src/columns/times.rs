//! Days and instants that are written as text.

use super::Content;

/// A column of times: which of them occur says when rows were written, not how what they hold is distributed.
pub(super) fn column() -> Content {
    Content::Other { name: super::TIME.to_owned() }
}

/// Whether a text is a day or an instant as ISO 8601 writes them: `2026-01-31`, `2026-01-31 10:00`, `2026-01-31T10:00:00.5Z`, `…+01:00`.
pub(super) fn is_time(text: &str) -> bool {
    let text = text.trim().as_bytes();
    let (Some(day), rest) = (text.get(..10), text.get(10..).unwrap_or_default()) else { return false };
    is_day(day) && (rest.is_empty() || (matches!(rest[0], b'T' | b't' | b' ') && is_clock(&rest[1..])))
}

fn is_day(day: &[u8]) -> bool {
    let (Some(_), Some(month), Some(of_month)) = (number(&day[..4]), number(&day[5..7]), number(&day[8..])) else { return false };
    day[4] == b'-' && day[7] == b'-' && (1..=12).contains(&month) && (1..=31).contains(&of_month)
}

/// A time of day with an optional zone.
fn is_clock(text: &[u8]) -> bool {
    let end = text.iter().position(|b| matches!(b, b'Z' | b'z' | b'+' | b'-')).unwrap_or(text.len());
    let (clock, zone) = text.split_at(end);
    let is_zone = match zone {
        [] | [b'Z' | b'z'] => true,
        [_, h1, h2] => number(&[*h1, *h2]).is_some(),
        [_, h1, h2, m1, m2] | [_, h1, h2, b':', m1, m2] => number(&[*h1, *h2]).is_some() && number(&[*m1, *m2]).is_some(),
        _ => false,
    };
    let two = |part: &[u8], below: u32| part.len() == 2 && number(part).is_some_and(|n| n < below);
    let (clock, fraction) = clock.iter().position(|b| *b == b'.').map_or((clock, None), |at| (&clock[..at], Some(&clock[at + 1..])));
    let parts: Vec<&[u8]> = clock.split(|b| *b == b':').collect();
    is_zone
        && match parts.as_slice() {
            [h, m] => fraction.is_none() && two(h, 25) && two(m, 60),
            [h, m, s] => two(h, 25) && two(m, 60) && two(s, 61) && fraction.is_none_or(|f| number(f).is_some()),
            _ => false,
        }
}

fn number(digits: &[u8]) -> Option<u32> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| digits.iter().take(9).fold(0, |n, d| n * 10 + u32::from(d - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_instants_are_told_from_other_texts() {
        for text in
            ["2026-01-31", "2026-01-31 10:00", "2026-01-31T10:00:00Z", "2026-01-31T10:00:00.123456+01:00", "2026-01-31T10:00:00-0530"]
        {
            assert!(is_time(text), "{text}");
        }
        for text in [
            "",
            "2026",
            "2026-13-01",
            "2026-01-31x",
            "2026-01-31T",
            "2026-01-31T10",
            "20260131",
            "2026-01-31-02",
            "10:00",
            "2026-01-31T99:00",
        ] {
            assert!(!is_time(text), "{text}");
        }
    }
}
