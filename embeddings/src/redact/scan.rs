//! One pass over a text that finds what is to be replaced.
//!
//! A finding has an anchor: a sign such as `@` or `:`, or the beginning of a word or number. The pass looks at each byte once and
//! asks a recogniser only at anchors, so text with nothing in it costs about as much as reading it.

use std::ops::Range;
use std::sync::LazyLock;

use super::{address, number, secret, token};

/// What a finding is, most important first: of findings that overlap the first kind wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    PrivateKey,
    Credentials,
    Token,
    Secret,
    Email,
    Iban,
    Card,
    Phone,
    Ip,
    Name,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::PrivateKey,
        Self::Credentials,
        Self::Token,
        Self::Secret,
        Self::Email,
        Self::Iban,
        Self::Card,
        Self::Phone,
        Self::Ip,
        Self::Name,
    ];

    /// The word in the pseudonym.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::PrivateKey => "private-key",
            Self::Credentials => "credentials",
            Self::Token => "token",
            Self::Secret => "secret",
            Self::Email => "email",
            Self::Iban => "iban",
            Self::Card => "card",
            Self::Phone => "phone",
            Self::Ip => "ip",
            Self::Name => "name",
        }
    }
}

/// A part of the text that is to be replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub kind: Kind,
    pub range: Range<usize>,
}

/// What to look for at a place, by the byte there and the next one.
struct Looks([u8; 1 << 16]);

/// A word that an issuer's tokens begin with.
const ISSUED: u8 = 1;
/// A word that says what follows.
const SPOKEN: u8 = 2;
/// Two capitals, as an IBAN begins.
const CAPITALS: u8 = 4;
const DIGITS: u8 = 8;
/// A sign, and the bits above only where a word begins.
const SIGN: u8 = 16;
/// A character beyond ASCII.
const WIDE: u8 = 32;

static LOOKS: LazyLock<Box<Looks>> = LazyLock::new(|| {
    let mut table = Box::new(Looks([0; 1 << 16]));
    let mut mark = |first: u8, second: u8, bit: u8| table.0[usize::from(first) << 8 | usize::from(second)] |= bit;
    let mut word = |word: &str, bit: u8| mark(word.as_bytes()[0], word.as_bytes()[1], bit);
    token::prefixes().for_each(|prefix| word(prefix, ISSUED));
    for spoken in secret::SPOKEN_NAMES.iter().chain(&number::PHONE_WORDS).chain(&token::SCHEMES) {
        let (first, rest) = spoken.split_at(1);
        for spelling in [first.to_owned() + rest, first.to_uppercase() + rest, spoken.to_uppercase()] {
            word(&spelling, SPOKEN);
        }
    }
    for (first, second) in (0..=255_u8).flat_map(|first| (0..=255_u8).map(move |second| (first, second))) {
        let letter = second.is_ascii_alphanumeric() || second >= 0x80;
        let bit = match first {
            b'A'..=b'Z' if second.is_ascii_uppercase() => CAPITALS,
            b'0'..=b'9' if second.is_ascii_digit() || matches!(second, b'.' | b'-') => DIGITS,
            b':' | b'=' => SIGN,
            b'@' if letter => SIGN,
            b'+' | b'(' if second.is_ascii_digit() => SIGN,
            b'-' if second == b'-' => SIGN,
            b'<' if second.is_ascii_lowercase() => SIGN,
            0x80.. => WIDE,
            _ => 0,
        };
        mark(first, second, bit);
    }
    table
});

/// What counts after a byte: in a word, nothing that needs the beginning of one.
const COUNTS_AFTER: [u8; 256] = {
    let mut table = [u8::MAX; 256];
    let mut byte = 0;
    while byte < 256 {
        if (byte as u8).is_ascii_alphanumeric() || byte as u8 == b'_' {
            table[byte] = SIGN | WIDE;
        }
        byte += 1;
    }
    table
};

/// The next place from `at` on where there is something to look for. `counts` is what counts at `at`.
fn next_look(bytes: &[u8], looks: &Looks, mut at: usize, mut counts: u8) -> Option<(usize, u8)> {
    while let Some(&byte) = bytes.get(at) {
        let next = bytes.get(at + 1).copied().unwrap_or(0);
        let look = looks.0[usize::from(byte) << 8 | usize::from(next)] & counts;
        if look != 0 {
            return Some((at, look));
        }
        counts = COUNTS_AFTER[usize::from(byte)];
        at += 1;
    }
    None
}

/// All findings, in order, none overlapping another.
pub(super) fn findings(text: &str) -> Vec<Finding> {
    let bytes = text.as_bytes();
    let looks = &**LOOKS;
    let mut found = Vec::new();
    let (mut from, mut counts) = (0, u8::MAX);
    while let Some((at, look)) = next_look(bytes, looks, from, counts) {
        (from, counts) = (at + 1, COUNTS_AFTER[usize::from(bytes[at])]);
        if look & WIDE != 0 {
            let letter = text[at..].chars().next().unwrap_or(' ');
            (from, counts) = (at + letter.len_utf8(), if letter.is_alphanumeric() { SIGN | WIDE } else { u8::MAX });
        } else if look & SIGN != 0 {
            from = sign(text, at, bytes[at], &mut found).unwrap_or(from);
        } else {
            word(text, at, look, &mut found);
        }
    }
    without_overlaps(found)
}

fn push(found: &mut Vec<Finding>, kind: Kind, range: Option<Range<usize>>) {
    found.extend(range.filter(|r| !r.is_empty()).map(|range| Finding { kind, range }));
}

fn word(text: &str, at: usize, look: u8, found: &mut Vec<Finding>) {
    if look & ISSUED != 0 {
        push(found, Kind::Token, token::issued(text, at));
    }
    if look & CAPITALS != 0 {
        push(found, Kind::Iban, number::iban(text, at));
    }
    if look & DIGITS != 0 {
        digits(text, at, found);
    }
    if look & SPOKEN != 0 {
        push(found, Kind::Token, token::after_scheme(text, at));
        push(found, Kind::Secret, secret::spoken(text, at));
        push(found, Kind::Phone, number::named_phone(text, at));
    }
}

fn digits(text: &str, at: usize, found: &mut Vec<Finding>) {
    let bytes = text.as_bytes();
    let length = bytes[at..].iter().take(20).take_while(|b| b.is_ascii_digit()).count();
    match (length, bytes.get(at + length)) {
        (1..=3, Some(b'.' | b'-')) => {
            push(found, Kind::Ip, address::ipv4(text, at));
            push(found, Kind::Phone, number::american_phone(text, at));
        }
        (8..=10, Some(b':')) => push(found, Kind::Token, token::telegram(text, at)),
        (4, Some(b' ' | b'-')) | (13..=16, _) => push(found, Kind::Card, number::card(text, at)),
        _ => {}
    }
}

/// Looks at a sign; where to go on when it is the beginning of something to pass over.
fn sign(text: &str, at: usize, byte: u8, found: &mut Vec<Finding>) -> Option<usize> {
    let bytes = text.as_bytes();
    match byte {
        b'@' => push(found, Kind::Email, address::email(text, at)),
        b':' | b'=' => {
            if byte == b':' && bytes[at..].starts_with(b"://") {
                push(found, Kind::Credentials, address::credentials(text, at));
                return None;
            }
            push(found, Kind::Secret, secret::assigned(text, at));
            if byte == b':' {
                push(found, Kind::Ip, address::ipv6(text, at));
            }
        }
        b'+' => push(found, Kind::Phone, number::international_phone(text, at)),
        b'(' => push(found, Kind::Phone, number::american_phone(text, at)),
        b'-' if bytes.get(at + 1) == Some(&b'-') && (at == 0 || bytes[at - 1] != b'-') => {
            if let Some(block) = secret::private_key(text, at) {
                let end = block.end;
                push(found, Kind::PrivateKey, Some(block));
                return Some(end);
            }
            push(found, Kind::Secret, secret::flag(text, at));
        }
        b'<' => return pseudonym(bytes, at),
        _ => {}
    }
    None
}

/// The end of a pseudonym that begins here: nothing in it is replaced again.
pub(super) fn pseudonym(bytes: &[u8], at: usize) -> Option<usize> {
    let inner = bytes.get(at + 1..)?;
    let colon = inner.iter().take(12).position(|b| *b == b':')?;
    let digits = inner.get(colon + 1..colon + 13)?;
    let known = || Kind::ALL.iter().any(|kind| kind.word().as_bytes() == &inner[..colon]);
    (inner.get(colon + 13) == Some(&b'>') && digits.iter().all(u8::is_ascii_hexdigit) && known()).then_some(at + colon + 15)
}

/// Of findings that overlap, the more important one.
pub(super) fn without_overlaps(mut found: Vec<Finding>) -> Vec<Finding> {
    if found.len() < 2 {
        return found;
    }
    found.sort_by_key(|f| (f.range.start, f.kind));
    let mut kept: Vec<Finding> = Vec::with_capacity(found.len());
    for next in found {
        match kept.last_mut() {
            Some(last) if last.range.end > next.range.start => {
                if next.kind < last.kind {
                    *last = next;
                }
            }
            _ => kept.push(next),
        }
    }
    kept
}

/// Whether the character here is a letter, a digit or `_`.
pub(super) fn glued_after(text: &str, at: usize) -> bool {
    text[at..].chars().next().is_some_and(|c| c.is_alphanumeric() || c == '_')
}

/// The word of ASCII letters that begins here.
pub(super) fn letters(text: &str, at: usize) -> &str {
    let length = text.as_bytes()[at..].iter().take_while(|b| b.is_ascii_alphabetic()).count();
    &text[at..at + length]
}
