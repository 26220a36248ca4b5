//! Personal data and secrets become pseudonyms, before anything is stored.
//!
//! A finding is replaced by `<kind:digits>`, where the digits are the first 48 bits of an HMAC-SHA-256 over kind and value
//! with the ledger's key: equal values get equal pseudonyms, so that rows still join, and nobody without the key can check a
//! guess. What counts as equal: e-mails, names and IP addresses without case, card and phone numbers and IBANs without spaces.
//!
//! Exactly this is replaced in text; of findings that overlap, the one further up:
//!
//! | kind | what |
//! |---|---|
//! | `private-key` | a PEM block `-----BEGIN … PRIVATE KEY-----`, also one that is cut off |
//! | `credentials` | `user:password` before the `@` of a URL |
//! | `token` | a JWT; keys and tokens of the issuers that `token.rs` lists, where they look random; a Telegram bot's token; a Slack webhook URL; what follows `Bearer` or `Basic` and does not read as a word |
//! | `secret` | the value after a name that ends in `password`, `passwd`, `pwd`, `passphrase`, `secret`, `token`, `credentials`, `cookie`, `X-Amz-Signature`, or in `key` after `api`, `access`, `account`, `encryption`, `master`, `private`, `secret` or `signing`, and `=` or `:`, or after such a `--flag`. After all but passwords, numbers stay, and after `:` plain words too (`token: expired`). After a last word `pass`, `pw`, `auth`, `sig` or `sid`: eight letters and more with digits among them. In running text: what follows `password is`, with digits, and what follows `token`, `secret` or `api key` and is opaque: 16 letters of both cases and digits, or 32 hexadecimal ones |
//! | `email` | an e-mail address, but not `git@host`, nor the user of a URL |
//! | `iban` | an IBAN in capitals of its country's length whose check digits are right |
//! | `card` | 13 to 19 digits in the grouping and with the first digits of a card brand, whose Luhn digit is right |
//! | `phone` | `+` and 8 to 15 digits, 10 at least in one piece; `(212) 555-0123`, `212-555-0123`, `212.555.0123`; digits after `phone`, `tel`, `mobile` or `fax` |
//! | `ip` | an IPv4 or IPv6 address other than loopback, unspecified and broadcast; not where it reads as a version (`v1.2.3.4`, `pkg-1.2.3.4`, `==1.2.3.4`, shortly after `version`, `upgrade` or `section`) |
//! | `name` | a configured name, as whole words, in any case and spacing |
//!
//! Left alone on purpose: image digests, UUIDs, commit hashes, pod names, versions, times, numbers, MAC addresses, host names.
//! Metric labels are not free text: the caller does not redact them, because addresses in them join series.
//!
//! `tests/redaction/corpus.txt` holds labelled cases of each kind and of what only looks like it.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use hmac::{Hmac, KeyInit, Mac};
use regex::Regex;
use serde_json::{Map, Value};
use sha2::Sha256;

mod address;
mod number;
mod scan;
mod secret;
mod token;

use scan::{Finding, Kind};
use secret::Strength;

/// Replaces personal data and secrets by pseudonyms. See the module's table for what is replaced.
#[derive(Debug)]
pub struct Redactor {
    mac: Hmac<Sha256>,
    /// Finds the configured names; none when there are none.
    names: Option<Regex>,
}

/// No redactor can be made.
#[derive(Debug, thiserror::Error)]
pub enum RedactError {
    /// With an empty key anybody can check a guess.
    #[error("the key of the pseudonyms is empty")]
    EmptyKey,
    /// Too many or too long names.
    #[error("the {count} configured names are too long to search for")]
    Names {
        /// How many there are.
        count: usize,
        /// What the regex compiler says.
        #[source]
        source: Box<regex::Error>,
    },
}

/// More than any text needs: a second round finds what the first uncovered, a third what the second did.
const MOST_ROUNDS: usize = 8;

impl Redactor {
    /// A redactor with this key, of any length but zero, that also replaces these names; empty names are passed over.
    pub fn new(key: &[u8], names: &[String]) -> Result<Self, RedactError> {
        if key.is_empty() {
            return Err(RedactError::EmptyKey);
        }
        let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
        let wrong = |source| RedactError::Names { count: names.len(), source: Box::new(source) };
        let names = names_regex(names).map(|source| Regex::new(&source)).transpose().map_err(wrong)?;
        Ok(Self { mac, names })
    }

    /// The text with everything of the module's table replaced; borrowed when there is nothing. Redacting twice changes nothing more.
    ///
    /// Takes time in proportion to the text's length.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut result = Cow::Borrowed(text);
        // What is left beside a replacement can be a finding of its own; each round hides more, so this ends.
        for _ in 0..MOST_ROUNDS {
            let found = self.findings(&result);
            if found.is_empty() {
                break;
            }
            result = Cow::Owned(self.replaced(&result, &found));
        }
        result
    }

    /// The value with all strings and keys redacted as by [`Redactor::text`], and the whole string under a key such as
    /// `password` or `api_key` (also `{"name": "DB_PASSWORD", "value": …}`) replaced. A number under a password's key becomes a
    /// pseudonym too; all other numbers stay.
    pub fn json(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text).into_owned()),
            Value::Array(items) => Value::Array(items.iter().map(|item| self.json(item)).collect()),
            Value::Object(fields) => {
                let named = ["name", "key"].iter().find_map(|k| secret::strength(fields.get(*k)?.as_str()?));
                let field = |(key, value): (&String, &Value)| {
                    let strength = secret::strength(key).or_else(|| named.filter(|_| key == "value"));
                    let redacted = strength.map_or_else(|| self.json(value), |strength| self.secret(strength, value));
                    (self.text(key).into_owned(), redacted)
                };
                Value::Object(fields.iter().map(field).collect::<Map<_, _>>())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    /// The pseudonym of a value: what [`Redactor::text`] puts in its place. For fields whose whole content is known to be
    /// personal, such as an actor.
    pub fn pseudonym(&self, kind: &str, value: &str) -> String {
        let mut result = String::new();
        self.write_pseudonym(kind, value, &mut result);
        result
    }

    fn write_pseudonym(&self, kind: &str, value: &str, into: &mut String) {
        let mut mac = self.mac.clone();
        mac.update(kind.as_bytes());
        mac.update(&[0]);
        mac.update(canonical(kind, value).as_bytes());
        let mut digits = [0; 12];
        hex::encode_to_slice(&mac.finalize().into_bytes()[..6], &mut digits).expect("six bytes are twelve digits");
        into.push('<');
        into.push_str(kind);
        into.push(':');
        into.push_str(str::from_utf8(&digits).expect("hexadecimal digits are ASCII"));
        into.push('>');
    }

    fn secret(&self, strength: Strength, value: &Value) -> Value {
        match value {
            Value::String(text) if secret::is_harmless(text) => value.clone(),
            Value::String(text) if strength == Strength::Weak && !secret::looks_secret(text) => self.json(value),
            Value::String(text) => Value::String(self.pseudonym("secret", text)),
            Value::Number(number) if strength == Strength::Password => Value::String(self.pseudonym("secret", &number.to_string())),
            Value::Array(items) => Value::Array(items.iter().map(|item| self.secret(strength, item)).collect()),
            Value::Object(_) | Value::Number(_) | Value::Bool(_) | Value::Null => self.json(value),
        }
    }

    /// What is to be replaced, in order, none overlapping another.
    fn findings(&self, text: &str) -> Vec<Finding> {
        let mut found = scan::findings(text);
        let Some(names) = &self.names else { return found };
        let before = found.len();
        let mut from = 0;
        while let Some(name) = names.find_at(text, from) {
            from = name.end();
            let alone = !text[..name.start()].ends_with(char::is_alphanumeric) && !text[from..].starts_with(char::is_alphanumeric);
            if alone && !in_pseudonym(text, name.start()) {
                found.push(Finding { kind: Kind::Name, range: name.range() });
            }
        }
        if found.len() > before { scan::without_overlaps(found) } else { found }
    }

    fn replaced(&self, text: &str, found: &[Finding]) -> String {
        let mut result = String::with_capacity(text.len() + 8 * found.len());
        let mut copied = 0;
        for Finding { kind, range } in found {
            result.push_str(&text[copied..range.start]);
            self.write_pseudonym(kind.word(), &text[range.clone()], &mut result);
            copied = range.end;
        }
        result.push_str(&text[copied..]);
        result
    }
}

/// Values that are brought to one spelling before they are hashed.
fn canonical<'a>(kind: &str, value: &'a str) -> Cow<'a, str> {
    match kind {
        "email" => value.to_lowercase().into(),
        "name" => value.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase().into(),
        "ip" => value.parse::<Ipv6Addr>().map_or(Cow::Borrowed(value), |ip| ip.to_string().into()),
        "card" | "iban" => value.chars().filter(char::is_ascii_alphanumeric).collect::<String>().into(),
        "phone" => value.chars().filter(char::is_ascii_digit).collect::<String>().into(),
        _ => value.into(),
    }
}

/// Whether a place lies in a pseudonym, of which nothing is replaced again.
fn in_pseudonym(text: &str, at: usize) -> bool {
    let near = text.floor_char_boundary(at.saturating_sub(40));
    text[near..at].rfind('<').is_some_and(|begin| scan::pseudonym(text.as_bytes(), near + begin).is_some_and(|end| end > at))
}

/// Finds any of the names as whole words; none when there is no name.
fn names_regex(names: &[String]) -> Option<String> {
    let mut words: Vec<String> = names
        .iter()
        .map(|name| name.split_whitespace().map(regex::escape).collect::<Vec<_>>().join(r"\s+"))
        .filter(|name| !name.is_empty())
        .collect();
    // Of two names the longer one is tried first: "Anna Smith" before "Anna".
    words.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    (!words.is_empty()).then(|| format!(r"(?i)(?:{})", words.join("|")))
}

#[cfg(test)]
mod tests;
