//! The patterns of redaction: a regex that proposes, and a check that accepts.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use regex::Captures;

/// The part of a proposal to replace, where it is what it looks like.
pub(super) type Accept = fn(&str, &Captures<'_>) -> Option<Range<usize>>;

/// One kind of finding.
pub(super) struct Pattern {
    /// The word in the pseudonym.
    pub kind: &'static str,
    /// Proposes.
    pub regex: &'static str,
    /// Disposes.
    pub accept: Accept,
}

/// In order of application: what contains others comes first.
pub(super) const PATTERNS: [Pattern; 14] = [
    Pattern {
        kind: "private-key",
        regex: r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)",
        accept: all,
    },
    Pattern { kind: "credentials", regex: r"(?i)[a-z][a-z0-9+.-]*://([^\s/@:<>?#]*:[^\s/<>?#]+)@", accept: group },
    Pattern { kind: "token", regex: r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*", accept: all },
    Pattern {
        kind: "token",
        regex: r"(?x)https://hooks\.slack\.com/services/[A-Za-z0-9/_-]+ | \b(?:
            (?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}\b | gh[pousr]_[A-Za-z0-9]{36,} | github_pat_[A-Za-z0-9_]{22,}
            | gl(?:pat|oas|dt|rt|cbt|ptt|ft|imt|agent|soat)-[A-Za-z0-9_-]{20,} | xox[abeoprs]-[A-Za-z0-9-]{10,} | xapp-[0-9]-[A-Za-z0-9-]{10,}
            | hf_[A-Za-z0-9]{30,} | AIza[0-9A-Za-z_-]{35} | [rs]k_(?:live|test)_[A-Za-z0-9]{16,} | npm_[A-Za-z0-9]{36}
            | nvapi-[A-Za-z0-9_-]{20,} | pypi-[A-Za-z0-9_-]{50,} | hv[sbr]\.[A-Za-z0-9_-]{24,} )",
        accept: all,
    },
    Pattern { kind: "token", regex: r"\bsk-[A-Za-z0-9_-]{20,}", accept: mixed_case },
    Pattern { kind: "token", regex: r"(?i)\b(?:bearer|basic)\s+([A-Za-z0-9._~+/=-]{12,})", accept: unlike_a_word },
    Pattern {
        kind: "secret",
        regex: r#"(?ix)([a-z0-9_.-]*(?:password|passwd|pwd|passphrase|secret|token|api[_-]?key|access[_-]?key(?:[_-]?id)?|secret[_-]?key|private[_-]?key|credentials?))
            \\?["']?\s*(:|=)[=>]?\s*(\\"[^"\\]*\\" | "(?:[^"\\]|\\.)*" | '[^']*' | [^\s,;&"'<>(){}\[\]|]+)"#,
        accept: assigned,
    },
    Pattern {
        kind: "secret",
        regex: r"(?i)--([a-z0-9-]*(?:password|passwd|passphrase|secret|token|api-key|access-key))(\s)\s*([^\s<-]\S*)",
        accept: assigned,
    },
    Pattern {
        kind: "email",
        regex: r"[\p{L}\p{N}._%+'-]*[\p{L}\p{N}_%+]@[\p{L}\p{N}](?:[\p{L}\p{N}-]*[\p{L}\p{N}])?(?:\.[\p{L}\p{N}-]+)*\.\p{L}{2,24}\b",
        accept: email,
    },
    Pattern { kind: "iban", regex: r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b", accept: iban },
    Pattern { kind: "card", regex: r"\b[2-6][0-9]{3}(?:[ -]?[0-9]{3,6}){2,4}\b", accept: card },
    Pattern {
        kind: "phone",
        regex: r"(?ix)\+[1-9][0-9]{0,2}(?:[\x20.-]?\(?[0-9]{1,5}\)?){2,6} | (?:1[.-])?(?:\([2-9][0-9]{2}\)\x20?|[2-9][0-9]{2}[.-])[2-9][0-9]{2}[.-][0-9]{4}
            | \b(?:phone|telephone|tel|mobile|fax)\b[\x20.:=\#]*(\+?[0-9(][0-9\x20()./-]{5,18}[0-9])",
        accept: phone,
    },
    Pattern { kind: "ip", regex: r"[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:(?:\.[0-9]{1,3}){3})?", accept: ipv6 },
    Pattern { kind: "ip", regex: r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b", accept: ipv4 },
];

/// Values that are brought to one spelling before they are hashed.
pub(super) fn canonical(kind: &str, value: &str) -> String {
    match kind {
        "email" => value.to_lowercase(),
        "name" => value.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase(),
        "ip" => value.parse::<Ipv6Addr>().map_or_else(|_| value.to_owned(), |ip| ip.to_string()),
        "card" | "iban" => value.chars().filter(char::is_ascii_alphanumeric).collect(),
        "phone" => value.chars().filter(char::is_ascii_digit).collect(),
        _ => value.to_owned(),
    }
}

const PASSWORDS: [&str; 4] = ["password", "passwd", "pwd", "passphrase"];
const SECRETS: [&str; 13] = [
    "secret",
    "token",
    "apikey",
    "accesskey",
    "accesskeyid",
    "secretkey",
    "privatekey",
    "credential",
    "credentials",
    "authorization",
    "cookie",
    "setcookie",
    "bearer",
];

/// Whether what such a name holds is always a secret, numbers too.
pub(super) fn is_password_name(name: &str) -> bool {
    let plain = plain(name);
    PASSWORDS.iter().any(|p| plain.ends_with(p))
}

/// Whether what a field of this name holds is a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    let plain = plain(name);
    PASSWORDS.iter().chain(&SECRETS).any(|s| plain.ends_with(s))
}

fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase()
}

/// Values that hide nothing: empty, masked, a variable, a word for nothing, or already a pseudonym.
pub(super) fn is_harmless(value: &str) -> bool {
    let value = value.trim();
    value.is_empty()
        || value.starts_with('$')
        || value.starts_with("{{")
        || (value.len() >= 3 && value.chars().all(|c| matches!(c, '*' | '.' | '•' | 'x' | 'X' | '?' | '-')))
        || is_pseudonym(value)
        || ["null", "none", "nil", "true", "false", "undefined", "redacted"].contains(&value.to_ascii_lowercase().as_str())
}

fn is_pseudonym(value: &str) -> bool {
    value.strip_prefix('<').and_then(|v| v.strip_suffix('>')).and_then(|v| v.split_once(':')).is_some_and(|(kind, digits)| {
        (kind == "name" || PATTERNS.iter().any(|p| p.kind == kind)) && digits.len() == 12 && digits.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

fn all(_: &str, found: &Captures<'_>) -> Option<Range<usize>> {
    found.get(0).map(|m| m.range())
}

fn group(_: &str, found: &Captures<'_>) -> Option<Range<usize>> {
    found.get(1).map(|m| m.range())
}

fn mixed_case(text: &str, found: &Captures<'_>) -> Option<Range<usize>> {
    all(text, found)
        .filter(|r| text[r.clone()].bytes().any(|b| b.is_ascii_uppercase()) && text[r.clone()].bytes().any(|b| b.is_ascii_digit()))
}

fn unlike_a_word(text: &str, found: &Captures<'_>) -> Option<Range<usize>> {
    group(text, found).filter(|r| !reads_as_word(&text[r.clone()]))
}

/// Letters of one case, possibly capitalised, possibly with hyphens or a full stop.
fn reads_as_word(value: &str) -> bool {
    let letters = value.trim_end_matches(['.', ',', ':', ';', '!', '?']);
    letters.len() < 24
        && letters.chars().all(|c| c.is_alphabetic() || c == '-' || c == '_')
        && (letters.chars().skip(1).all(|c| !c.is_uppercase()) || letters.chars().all(|c| !c.is_lowercase()))
}

fn assigned(text: &str, found: &Captures<'_>) -> Option<Range<usize>> {
    let (name, sign, value) = (found.get(1)?, found.get(2)?, found.get(3)?);
    let mut range = value.range();
    let quoted = ["\\\"", "\"", "'"].into_iter().find(|q| value.as_str().starts_with(q) && value.as_str().len() >= 2 * q.len());
    if let Some(quote) = quoted {
        range = range.start + quote.len()..range.end - quote.len();
    }
    let content = &text[range.clone()];
    let stays = !is_password_name(name.as_str())
        && (content.parse::<f64>().is_ok() || (quoted.is_none() && sign.as_str() != "=" && reads_as_word(content)));
    (!is_harmless(content) && !stays).then_some(range)
}

fn email(text: &str, found: &Captures<'_>) -> Option<Range<usize>> {
    all(text, found).filter(|r| !text[r.clone()].starts_with("git@"))
}

/// ISO 13616: the country and check digits go to the end, letters become 10 to 35, and the number modulo 97 is 1. Words after
/// the IBAN may look like a part of it: the longest beginning that checks counts.
fn iban(text: &str, found: &Captures<'_>) -> Option<Range<usize>> {
    let range = all(text, found)?;
    let candidate = &text[range.clone()];
    let ends = candidate.match_indices(' ').map(|(i, _)| i).chain([candidate.len()]);
    ends.filter(|end| checks(&candidate[..*end])).max().map(|end| range.start..range.start + end)
}

fn checks(iban: &str) -> bool {
    let plain: Vec<u8> = iban.bytes().filter(|b| *b != b' ').collect();
    if !(15..=34).contains(&plain.len()) {
        return false;
    }
    let remainder = plain[4..].iter().chain(&plain[..4]).fold(0_u32, |rest, b| match b {
        b'0'..=b'9' => (rest * 10 + u32::from(b - b'0')) % 97,
        _ => (rest * 100 + u32::from(b - b'A') + 10) % 97,
    });
    remainder == 1
}

fn card(text: &str, found: &Captures<'_>) -> Option<Range<usize>> {
    let range = all(text, found)?;
    let candidate = &text[range.clone()];
    let separators: Vec<u8> = candidate.bytes().filter(|b| !b.is_ascii_digit()).collect();
    let groups: Vec<usize> = candidate.split([' ', '-']).map(str::len).collect();
    let grouped =
        matches!(groups[..], [4, 4, 4, 4] | [4, 6, 5] | [4, 4, 4, 4, 3] | [4, 6, 4]) && separators.windows(2).all(|w| w[0] == w[1]);
    let digits: Vec<u8> = candidate.bytes().filter(u8::is_ascii_digit).map(|b| b - b'0').collect();
    let first = |n: usize| digits[..n].iter().fold(0_u32, |v, d| v * 10 + u32::from(*d));
    // Nineteen digits in one piece are ids and nanoseconds far more often than cards.
    let length = match (first(2), first(4)) {
        (34 | 37, _) => digits.len() == 15,
        (36 | 38 | 39, _) | (_, 3000..=3059) => digits.len() == 14,
        (51..=55, _) | (_, 2221..=2720) => digits.len() == 16,
        (40..=49, _) => matches!(digits.len(), 13 | 16) || (digits.len() == 19 && grouped),
        (35 | 62 | 64 | 65, _) | (_, 6011) => digits.len() == 16 || (digits.len() == 19 && grouped),
        _ => false,
    };
    (length && (separators.is_empty() || grouped) && luhn(&digits) && stands_alone(text, &range)).then_some(range)
}

fn luhn(digits: &[u8]) -> bool {
    let doubled = |d: u8| if d > 4 { 2 * d - 9 } else { 2 * d };
    let sum: u32 = digits.iter().rev().enumerate().map(|(i, d)| u32::from(if i % 2 == 1 { doubled(*d) } else { *d })).sum();
    sum.is_multiple_of(10)
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

fn phone(text: &str, found: &Captures<'_>) -> Option<Range<usize>> {
    let named = found.get(1);
    let range = named.or_else(|| found.get(0))?.range();
    let candidate = text[range.clone()].trim_end_matches(['(', ' ', '.', '-']);
    let range = range.start..range.start + candidate.len();
    let digits = candidate.bytes().filter(u8::is_ascii_digit).count();
    let separators = candidate.bytes().skip(1).filter(|b| !b.is_ascii_digit()).count();
    let plausible = match (named, candidate.starts_with('+')) {
        (Some(_), _) => (7..=15).contains(&digits) && !is_date(candidate),
        (None, true) if separators == 0 => (10..=15).contains(&digits),
        (None, true) => (8..=15).contains(&digits) && (separators > 1 || !candidate.contains('.')),
        (None, false) => true,
    };
    (plausible && stands_alone(text, &range)).then_some(range)
}

fn is_date(candidate: &str) -> bool {
    let parts: Vec<&str> = candidate.split(['-', '.', '/', ' ']).collect();
    parts.len() >= 3 && (parts[0].len() == 4 || parts[2].len() == 4) && parts[1].len() <= 2
}

fn ipv4(text: &str, found: &Captures<'_>) -> Option<Range<usize>> {
    let range = all(text, found)?;
    let address: Ipv4Addr = text[range.clone()].parse().ok()?;
    let before = &text[..range.start];
    let version = before.ends_with(['.', '-', '_']) || before.ends_with("==") || before.ends_with("version ");
    let longer = text[range.end..].strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    (!version && !longer && !address.is_loopback() && !address.is_unspecified() && !address.is_broadcast()).then_some(range)
}

fn ipv6(text: &str, found: &Captures<'_>) -> Option<Range<usize>> {
    let range = all(text, found)?;
    let trimmed = text[range.clone()].trim_end_matches(':');
    let candidate = if text[range.clone()].ends_with("::") { &text[range.clone()] } else { trimmed };
    let range = range.start..range.start + candidate.len();
    let address: Ipv6Addr = candidate.parse().ok()?;
    let glued = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':');
    let alone = !text[..range.start].ends_with(glued) && !text[range.end..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
    // `dead::beef` is as likely a path in some language.
    let sure = candidate.bytes().any(|b| b.is_ascii_digit());
    (alone && sure && !address.is_loopback() && !address.is_unspecified()).then_some(range)
}

/// A configured name that is not a part of a longer word.
pub(super) fn whole_name(text: &str, found: &Captures<'_>) -> Option<Range<usize>> {
    all(text, found).filter(|r| !text[..r.start].ends_with(char::is_alphanumeric) && !text[r.end..].starts_with(char::is_alphanumeric))
}

/// Whether the range lies in a pseudonym, of which nothing is replaced again.
pub(super) fn in_pseudonym(text: &str, range: &Range<usize>) -> bool {
    const LONGEST: usize = 40;
    let from = text.floor_char_boundary(range.start.saturating_sub(LONGEST));
    let to = text.ceil_char_boundary(range.end.saturating_add(LONGEST).min(text.len()));
    let (Some(begin), Some(end)) = (text[from..range.start].rfind('<'), text[range.end..to].find('>')) else { return false };
    is_pseudonym(&text[from + begin..range.end + end + 1])
}
