//! Values that are secret because of the name before them, and private keys.

use std::ops::Range;

use super::scan::letters;
use super::token::bits;

/// How much a name says about what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strength {
    /// Always a secret, numbers and words too.
    Password,
    /// A secret, but a number is a count, and a word after a colon tells about one (`token: expired`).
    Secret,
    /// As `Secret`, in structured data only; in text the scheme before the value decides.
    Field,
    /// Only when the value looks like one.
    Weak,
}

use Strength::{Field, Password, Secret, Weak};

/// What names of secrets end in, without signs between words and in small letters. Weak ones must be a whole word of the name.
const NAMES: [(&str, Strength); 27] = [
    ("password", Password),
    ("passwd", Password),
    ("pwd", Password),
    ("passphrase", Password),
    ("secret", Secret),
    ("token", Secret),
    ("apikey", Secret),
    ("accesskey", Secret),
    ("accesskeyid", Secret),
    ("accountkey", Secret),
    ("encryptionkey", Secret),
    ("masterkey", Secret),
    ("privatekey", Secret),
    ("secretkey", Secret),
    ("signingkey", Secret),
    ("credential", Secret),
    ("credentials", Secret),
    ("cookie", Secret),
    ("setcookie", Secret),
    ("amzsignature", Secret),
    ("authorization", Field),
    ("bearer", Field),
    ("pass", Weak),
    ("pw", Weak),
    ("auth", Weak),
    ("sig", Weak),
    ("sid", Weak),
];

/// Which of the names end in a letter, a bit a name: most other names are told apart by it.
const BY_LAST: [u32; 128] = {
    let mut table = [0; 128];
    let mut i = 0;
    while i < NAMES.len() {
        let name = NAMES[i].0.as_bytes();
        table[name[name.len() - 1] as usize] |= 1 << i;
        i += 1;
    }
    table
};

/// What the name says; none when it names no secret.
pub(super) fn strength(name: &str) -> Option<Strength> {
    let bytes = name.as_bytes();
    let last = bytes.iter().rev().find(|b| b.is_ascii_alphanumeric())?.to_ascii_lowercase();
    let candidates = BY_LAST[usize::from(last)];
    let named = |(ending, strength): &(&str, Strength)| ends(bytes, ending, *strength == Weak);
    (candidates.trailing_zeros() as usize..NAMES.len())
        .filter(|i| candidates >> i & 1 == 1)
        .map(|i| NAMES[i])
        .find(named)
        .map(|(_, strength)| strength)
}

/// Whether the name ends so, signs and case set aside.
fn ends(name: &[u8], ending: &str, whole_word: bool) -> bool {
    let mut at = name.len();
    for wanted in ending.bytes().rev() {
        while at > 0 && !name[at - 1].is_ascii_alphanumeric() && !whole_word {
            at -= 1;
        }
        if at == 0 || name[at - 1].to_ascii_lowercase() != wanted {
            return false;
        }
        at -= 1;
    }
    !whole_word || at == 0 || !name[at - 1].is_ascii_alphanumeric()
}

/// Values that hide nothing: empty, masked, a variable, a word for nothing, a placeholder in brackets, or already a pseudonym.
pub(super) fn is_harmless(value: &str) -> bool {
    let value = value.trim();
    let bracketed = (value.starts_with('<') && value.ends_with('>')) || (value.starts_with('[') && value.ends_with(']'));
    value.is_empty()
        || value.starts_with('$')
        || value.starts_with("{{")
        || (bracketed && !value.contains(char::is_whitespace))
        || (value.len() >= 3 && value.chars().all(|c| matches!(c, '*' | '.' | '•' | 'x' | 'X' | '?' | '-')))
        || ["null", "none", "nil", "true", "false", "undefined", "redacted"].iter().any(|word| word.eq_ignore_ascii_case(value))
}

/// Letters of one case, possibly capitalised, possibly with hyphens or a full stop.
pub(super) fn reads_as_word(value: &str) -> bool {
    let letters = value.trim_end_matches(['.', ',', ':', ';', '!', '?']);
    letters.len() < 24
        && letters.chars().all(|c| c.is_alphabetic() || c == '-' || c == '_')
        && (letters.chars().skip(1).all(|c| !c.is_uppercase()) || letters.chars().all(|c| !c.is_lowercase()))
}

/// Whether a value of a weak name looks like a secret: at least eight letters, some of them digits.
pub(super) fn looks_secret(value: &str) -> bool {
    value.len() >= 8
        && value.parse::<f64>().is_err()
        && value.bytes().any(|b| b.is_ascii_digit())
        && value.bytes().any(|b| b.is_ascii_alphabetic())
}

/// The value after the `:` or `=` here, when the name before it is a secret's.
pub(super) fn assigned(text: &str, at: usize) -> Option<Range<usize>> {
    let before = text[..at].trim_end_matches([' ', '\t']);
    let before = before.strip_suffix(['"', '\'']).unwrap_or(before);
    let strength = strength(name_at_end(before.strip_suffix('\\').unwrap_or(before))).filter(|s| *s != Field)?;
    let sign = text.as_bytes()[at];
    let rest = &text[at + 1..];
    let rest = rest.strip_prefix(['=', '>']).unwrap_or(rest).trim_start_matches([' ', '\t']);
    let (range, quoted) = value(text, text.len() - rest.len())?;
    accepted(text, range, strength, sign == b'=' || quoted)
}

fn name_at_end(text: &str) -> &str {
    let length = text.bytes().rev().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-')).count();
    &text[text.len() - length..]
}

/// The value after a flag such as `--password` here.
pub(super) fn flag(text: &str, at: usize) -> Option<Range<usize>> {
    let rest = &text[at + 2..];
    let length = rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'-').count();
    let strength = strength(&rest[..length]).filter(|s| matches!(s, Password | Secret))?;
    let value = rest[length..].trim_start();
    let start = text.len() - value.len();
    if start == at + 2 + length || value.starts_with(['-', '<']) {
        return None;
    }
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
    let (from, to) = match quote {
        Some(quote) => (1, 1 + value[1..].find(quote)?),
        None => (0, value.find(char::is_whitespace).unwrap_or(value.len())),
    };
    accepted(text, start + from..start + to, strength, quote.is_some())
}

/// The range where its content is a secret. `strict`: no word after this sign tells about a secret, all are one.
fn accepted(text: &str, range: Range<usize>, strength: Strength, strict: bool) -> Option<Range<usize>> {
    let content = &text[range.clone()];
    let stays = match strength {
        Password => false,
        Secret | Field => content.parse::<f64>().is_ok() || (!strict && reads_as_word(content)),
        Weak => !looks_secret(content),
    };
    (!stays && !is_harmless(content)).then_some(range)
}

/// No longer quotation is read as one value.
const LONGEST_QUOTED: usize = 4096;

/// The value that begins here, without its quotes, and whether it had any.
fn value(text: &str, start: usize) -> Option<(Range<usize>, bool)> {
    let rest = &text[start..];
    let near = &rest[..rest.floor_char_boundary(LONGEST_QUOTED)];
    if let Some(inner) = near.strip_prefix("\\\"") {
        let length = inner.find(['"', '\\']).filter(|end| inner[*end..].starts_with("\\\""))?;
        return Some((start + 2..start + 2 + length, true));
    }
    if let Some(inner) = near.strip_prefix('"') {
        let mut escaped = false;
        let length = inner.bytes().position(|b| {
            let ends = b == b'"' && !escaped;
            escaped = b == b'\\' && !escaped;
            ends
        })?;
        return Some((start + 1..start + 1 + length, true));
    }
    if let Some(inner) = near.strip_prefix('\'') {
        return Some((start + 1..start + 1 + inner.find('\'')?, true));
    }
    let ends =
        |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '&' | '"' | '\'' | '<' | '>' | '(' | ')' | '{' | '}' | '[' | ']' | '|');
    let length = rest.find(ends).unwrap_or(rest.len());
    (length > 0).then_some((start..start + length, false))
}

/// Names of secrets in running text.
pub(super) const SPOKEN_NAMES: [&str; 6] = ["password", "passwd", "passphrase", "token", "secret", "key"];

/// The value in `the password is hunter2`, and an opaque one in `token 9fXk…` or `api key 0a1b…`.
pub(super) fn spoken(text: &str, at: usize) -> Option<Range<usize>> {
    let word = letters(text, at);
    let name = SPOKEN_NAMES.iter().find(|name| name.eq_ignore_ascii_case(word))?;
    let before = text[..at].trim_end_matches([' ', '-', '_']);
    if *name == "key" && !["api", "access", "secret"].iter().any(|first| ends(before.as_bytes(), first, false)) {
        return None;
    }
    let rest = text[at + word.len()..].strip_prefix(' ')?;
    let linked = ["is ", "was "].iter().find_map(|link| rest.strip_prefix(link));
    let rest = linked.unwrap_or(rest);
    let start = text.len() - rest.len();
    let ends_value = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '"' | '\'' | '(' | ')' | '<' | '>');
    let value = rest[..rest.find(ends_value).unwrap_or(rest.len())].trim_end_matches(['.', ':', '?']);
    let secret = if strength(name) == Some(Password) { linked.is_some() && looks_secret(value) } else { is_opaque(value) };
    secret.then(|| start..start + value.len())
}

/// Whether a value says nothing to a person: at least 16 letters of both cases and digits with 3.3 bits a letter, or at least 32
/// hexadecimal digits.
fn is_opaque(value: &str) -> bool {
    let has = |what: fn(&u8) -> bool| value.bytes().any(|b| what(&b));
    let plain = value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'+' | b'/' | b'=' | b'-'));
    let mixed = has(u8::is_ascii_digit) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    let hex = value.len() >= 32 && has(u8::is_ascii_digit) && value.bytes().all(|b| b.is_ascii_hexdigit());
    plain && (hex || (mixed && value.len() >= 16 && bits(value) >= 3.3))
}

/// The PEM block of a private key (RFC 7468) that begins here, also one that is cut off.
pub(super) fn private_key(text: &str, at: usize) -> Option<Range<usize>> {
    let is_private = |label: &str| label.ends_with("PRIVATE KEY") || label.ends_with("PRIVATE KEY BLOCK");
    let rest = text[at..].strip_prefix("-----BEGIN ")?;
    let (label, mut body) = rest.split_once("-----")?;
    if !is_private(label) || label.len() > 64 {
        return None;
    }
    while let Some((_, after)) = body.split_once("-----END ") {
        body = after;
        if let Some((label, after)) = body.split_once("-----")
            && is_private(label)
        {
            return Some(at..text.len() - after.len());
        }
    }
    Some(at..text.len())
}
