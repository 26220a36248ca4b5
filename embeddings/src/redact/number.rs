//! Payment cards, bank accounts and telephones.

use std::ops::Range;

use super::scan::letters;

/// The card number that begins here: 13 to 19 digits in the grouping and with the first digits of a brand, whose Luhn digit is right.
pub(super) fn card(text: &str, at: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let separator = bytes[at..].iter().find(|b| !b.is_ascii_digit()).copied().filter(|b| matches!(b, b' ' | b'-'));
    let mut ends = Vec::with_capacity(5);
    let mut groups = Vec::with_capacity(5);
    let mut from = at;
    while groups.len() < 5 {
        let length = bytes[from..].iter().take(20).take_while(|b| b.is_ascii_digit()).count();
        if length == 0 {
            break;
        }
        groups.push(length);
        ends.push(from + length);
        from += length + 1;
        if separator.is_none() || bytes.get(from - 1).copied() != separator {
            break;
        }
    }
    (1..=groups.len()).rev().find_map(|n| {
        let range = at..ends[n - 1];
        let grouped = matches!(groups[..n], [4, 4, 4, 4] | [4, 6, 5] | [4, 4, 4, 4, 3] | [4, 6, 4]);
        let digits: Vec<u8> = text[range.clone()].bytes().filter(u8::is_ascii_digit).map(|b| b - b'0').collect();
        ((n == 1 || grouped) && is_brand(&digits, grouped) && luhn(&digits) && stands_alone(text, &range)).then_some(range)
    })
}

/// Whether a brand has numbers of this length and these first digits.
fn is_brand(digits: &[u8], grouped: bool) -> bool {
    if digits.len() < 13 {
        return false;
    }
    let first = |n: usize| digits[..n].iter().fold(0_u32, |v, d| v * 10 + u32::from(*d));
    // Nineteen digits in one piece are ids and nanoseconds far more often than cards.
    match (first(2), first(4)) {
        (34 | 37, _) => digits.len() == 15,
        (36 | 38 | 39, _) | (_, 3000..=3059) => digits.len() == 14,
        (51..=55, _) | (_, 2221..=2720) => digits.len() == 16,
        (40..=49, _) => matches!(digits.len(), 13 | 16) || (digits.len() == 19 && grouped),
        (35 | 62 | 64 | 65, _) | (_, 6011) => digits.len() == 16 || (digits.len() == 19 && grouped),
        _ => false,
    }
}

/// The check digit of ISO/IEC 7812.
fn luhn(digits: &[u8]) -> bool {
    let doubled = |d: u8| if d > 4 { 2 * d - 9 } else { 2 * d };
    let sum: u32 = digits.iter().rev().enumerate().map(|(i, d)| u32::from(if i % 2 == 1 { doubled(*d) } else { *d })).sum();
    sum.is_multiple_of(10)
}

/// How long an IBAN is, by country (the IBAN registry of ISO 13616).
const IBAN_LENGTHS: &str = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24 FI18 FO18 FR27 \
                            GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 \
                            MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SE24 SI19 SK24 SM27 ST25 SV28 TL23 \
                            TN24 TR26 UA29 VA22 VG24 XK20";

/// The IBAN that begins here, in capitals, with spaces after every four letters or none, whose check digits are right.
pub(super) fn iban(text: &str, at: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let head = bytes.get(at..at + 4)?;
    if !(head[..2].iter().all(u8::is_ascii_uppercase) && head[2..].iter().all(u8::is_ascii_digit)) {
        return None;
    }
    let wanted: usize = IBAN_LENGTHS.split(' ').find_map(|row| row.strip_prefix(&text[at..at + 2]))?.parse().ok()?;
    let mut plain = Vec::with_capacity(wanted);
    let mut end = at;
    while plain.len() < wanted {
        match bytes.get(end)? {
            b' ' if plain.len().is_multiple_of(4) && bytes[end - 1] != b' ' => {}
            byte if byte.is_ascii_uppercase() || byte.is_ascii_digit() => plain.push(*byte),
            _ => return None,
        }
        end += 1;
    }
    let ended = !text[end..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
    (ended && remainder(&plain) == 1).then_some(at..end)
}

/// The country and check digits go to the end, letters become 10 to 35, and the number is taken modulo 97 (ISO 7064).
fn remainder(iban: &[u8]) -> u32 {
    iban[4..].iter().chain(&iban[..4]).fold(0, |rest, b| match b {
        b'0'..=b'9' => (rest * 10 + u32::from(b - b'0')) % 97,
        _ => (rest * 100 + u32::from(b - b'A') + 10) % 97,
    })
}

/// The number after the `+` here: 8 to 15 digits, at least 10 when they are in one piece.
pub(super) fn international_phone(text: &str, at: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    if !matches!(bytes.get(at + 1), Some(b'1'..=b'9')) {
        return None;
    }
    let mut end = at + 1;
    while let Some(byte) = bytes.get(end) {
        let joins = matches!(byte, b' ' | b'.' | b'-' | b')') && matches!(bytes.get(end + 1), Some(b'0'..=b'9' | b'('))
            || *byte == b'(' && bytes.get(end + 1).is_some_and(u8::is_ascii_digit)
            || *byte == b')' && matches!(bytes.get(end + 1), Some(b' ' | b'-'));
        if !(byte.is_ascii_digit() || joins) || end - at > 24 {
            break;
        }
        end += 1;
    }
    let candidate = text[at..end].trim_end_matches([' ', '.', '-', '(', ')']);
    let range = at..at + candidate.len();
    let digits = candidate.bytes().filter(u8::is_ascii_digit).count();
    let separators = candidate.bytes().skip(1).filter(|b| !b.is_ascii_digit()).count();
    let plausible = match separators {
        0 => (10..=15).contains(&digits),
        1 => (8..=15).contains(&digits) && !candidate.contains('.'),
        _ => (8..=15).contains(&digits),
    };
    (plausible && stands_alone(text, &range)).then_some(range)
}

/// `(212) 555-0123`, `212-555-0123`, `212.555.0123`, and with `1-` before it.
pub(super) fn american_phone(text: &str, at: usize) -> Option<Range<usize>> {
    let rest = &text.as_bytes()[at..];
    let country = if rest.starts_with(b"1-") || rest.starts_with(b"1.") { 2 } else { 0 };
    let three = |from: usize| rest.get(from..from + 3).is_some_and(|d| matches!(d[0], b'2'..=b'9') && d.iter().all(u8::is_ascii_digit));
    let dash = |from: usize| matches!(rest.get(from), Some(b'-' | b'.'));
    let exchange = if rest.get(country) == Some(&b'(') && three(country + 1) && rest.get(country + 4) == Some(&b')') {
        country + 5 + usize::from(rest.get(country + 5) == Some(&b' '))
    } else if three(country) && dash(country + 3) {
        country + 4
    } else {
        return None;
    };
    let line = rest.get(exchange + 4..exchange + 8)?;
    let range = at..at + exchange + 8;
    (three(exchange) && dash(exchange + 3) && line.iter().all(u8::is_ascii_digit) && stands_alone(text, &range)).then_some(range)
}

/// Words that say that a telephone number follows.
pub(super) const PHONE_WORDS: [&str; 5] = ["phone", "telephone", "tel", "mobile", "fax"];

/// The 7 to 15 digits after `phone`, `tel`, `mobile` or `fax` here.
pub(super) fn named_phone(text: &str, at: usize) -> Option<Range<usize>> {
    let word = letters(text, at);
    PHONE_WORDS.iter().find(|known| known.eq_ignore_ascii_case(word))?;
    let gap = |rest: &str| rest.trim_start_matches([' ', '.', ':', '=', '#', '"', '\'']).len();
    let mut start = text.len() - gap(&text[at + word.len()..]);
    if text[start..].starts_with("number") {
        start = text.len() - gap(&text[start + "number".len()..]);
    }
    let is_letter = |c: char| c.is_ascii_digit() || matches!(c, ' ' | '(' | ')' | '.' | '/' | '-');
    let rest = text[start..].strip_prefix('+').unwrap_or(&text[start..]);
    let plus = text.len() - start - rest.len();
    let length = rest.chars().take(20).take_while(|c| is_letter(*c)).count();
    let candidate = rest[..length].trim_end_matches([' ', '(', ')', '.', '/', '-']);
    let digits = candidate.bytes().filter(u8::is_ascii_digit).count();
    let range = start..start + plus + candidate.len();
    let begins = candidate.starts_with(|c: char| c.is_ascii_digit() || c == '(');
    (begins && (7..=15).contains(&digits) && !is_date(candidate) && stands_alone(text, &range)).then_some(range)
}

fn is_date(candidate: &str) -> bool {
    let parts: Vec<&str> = candidate.split(['-', '.', '/', ' ']).collect();
    parts.len() >= 3 && (parts[0].len() == 4 || parts[2].len() == 4) && parts[1].len() <= 2
}

/// Neither a part of a longer word or number before nor after.
fn stands_alone(text: &str, range: &Range<usize>) -> bool {
    let before = text[..range.start].chars().next_back();
    let mut after = text[range.end..].chars();
    let (next, second) = (after.next(), after.next());
    let glued = |c: char| c.is_alphanumeric() || c == '_';
    !before.is_some_and(|c| glued(c) || matches!(c, '.' | '-' | '+'))
        && !next.is_some_and(|c| glued(c) || c == '-' || (c == '.' && second.is_some_and(|s| s.is_ascii_digit())))
}
