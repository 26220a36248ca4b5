//! Personal data and secrets become pseudonyms, before anything is stored.
//!
//! A finding is replaced by `<kind:digits>`, where the digits are the first 48 bits of an HMAC-SHA-256 over kind and value
//! with the ledger's key: equal values get equal pseudonyms, so that rows still join, and nobody without the key can check a
//! guess. What counts as equal: e-mails, names and IP addresses without case, card and phone numbers and IBANs without spaces.
//!
//! Exactly this is replaced in text:
//!
//! | kind | what |
//! |---|---|
//! | `private-key` | a PEM block `-----BEGIN … PRIVATE KEY-----`, also one that is cut off |
//! | `credentials` | `user:password` before the `@` of a URL |
//! | `token` | a JWT; keys of AWS, GitHub, GitLab, Slack (also webhook URLs), OpenAI and Anthropic (`sk-…` with capitals), Hugging Face, Google, Stripe, npm, NVIDIA, PyPI, Vault; what follows `Bearer` or `Basic` and does not read as a word |
//! | `secret` | the value after a name that ends in `password`, `passwd`, `pwd`, `passphrase`, `secret`, `token`, `api key`, `access key`, `private key` or `credentials` and `=` or `:`, or after such a `--flag`. After `token`, `secret` and keys, numbers stay, and after `:` plain words too (`token: expired`) |
//! | `email` | an e-mail address, but not `git@host` |
//! | `iban` | an IBAN in capitals whose check digits are right |
//! | `card` | 13 to 19 digits in the grouping and with the first digits of a card brand, whose Luhn digit is right |
//! | `phone` | `+` and 8 to 15 digits; `(212) 555-0123`, `212-555-0123`, `212.555.0123`; digits after `phone`, `tel`, `mobile` or `fax` |
//! | `ip` | an IPv4 or IPv6 address other than loopback and unspecified; not where it reads as a version (`v1.2.3.4`, `pkg-1.2.3.4`, `==1.2.3.4`) |
//! | `name` | a configured name, as whole words, in any case and spacing |
//!
//! Left alone on purpose: image digests, UUIDs, commit hashes, pod names, versions, times, numbers, MAC addresses, host names.
//! Metric labels are not free text: the caller does not redact them, because addresses in them join series.

use std::borrow::Cow;

use hmac::{Hmac, KeyInit, Mac};
use regex::{Regex, RegexSet};
use serde_json::{Map, Value};
use sha2::Sha256;

mod pattern;

use pattern::{Accept, PATTERNS};

/// Replaces personal data and secrets by pseudonyms. See the module's table for what is replaced.
#[derive(Debug)]
pub struct Redactor {
    mac: Hmac<Sha256>,
    /// One pass that says which of `regexes` have anything to do: most texts have nothing.
    set: RegexSet,
    /// In order of [`PATTERNS`], and the configured names last.
    regexes: Vec<Regex>,
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
        let mut sources: Vec<String> = PATTERNS.iter().map(|p| p.regex.to_owned()).collect();
        sources.extend(names_regex(names));
        let wrong = |source| RedactError::Names { count: names.len(), source: Box::new(source) };
        let regexes = sources.iter().map(|s| Regex::new(s)).collect::<Result<_, _>>().map_err(wrong)?;
        let set = RegexSet::new(&sources).map_err(wrong)?;
        Ok(Self { mac, set, regexes })
    }

    /// The text with everything of the module's table replaced; borrowed when there is nothing. Redacting twice changes nothing more.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut result = Cow::Borrowed(text);
        // What is left beside a replacement can be a match of its own; each round hides more, so this ends.
        for _ in 0..MOST_ROUNDS {
            let mut changed = false;
            for i in &self.set.matches(&result) {
                if let Some(replaced) = self.replace(i, &result) {
                    changed |= replaced != *result;
                    result = Cow::Owned(replaced);
                }
            }
            if !changed {
                break;
            }
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
                let named = ["name", "key"].iter().find_map(|k| fields.get(*k)?.as_str()).filter(|name| pattern::is_secret_name(name));
                let field = |(key, value): (&String, &Value)| {
                    let secret = if pattern::is_secret_name(key) { Some(key.as_str()) } else { named.filter(|_| key == "value") };
                    let redacted = secret.map_or_else(|| self.json(value), |name| self.secret(name, value));
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
        let mut mac = self.mac.clone();
        mac.update(kind.as_bytes());
        mac.update(&[0]);
        mac.update(pattern::canonical(kind, value).as_bytes());
        format!("<{kind}:{}>", hex::encode(&mac.finalize().into_bytes()[..6]))
    }

    fn secret(&self, name: &str, value: &Value) -> Value {
        match value {
            Value::String(text) if pattern::is_harmless(text) => value.clone(),
            Value::String(text) => Value::String(self.pseudonym("secret", text)),
            Value::Number(number) if pattern::is_password_name(name) => Value::String(self.pseudonym("secret", &number.to_string())),
            Value::Array(items) => Value::Array(items.iter().map(|item| self.secret(name, item)).collect()),
            Value::Object(_) | Value::Number(_) | Value::Bool(_) | Value::Null => self.json(value),
        }
    }

    /// The text with the findings of one pattern replaced; none when it finds nothing.
    fn replace(&self, pattern: usize, text: &str) -> Option<String> {
        let regex = &self.regexes[pattern];
        let (kind, accept): (_, Accept) = PATTERNS.get(pattern).map_or(("name", pattern::whole_name), |p| (p.kind, p.accept));
        let mut result = String::new();
        let (mut copied, mut from) = (0, 0);
        while let Some(found) = regex.captures_at(text, from) {
            let end = found.get(0).map_or(text.len(), |m| m.end());
            if let Some(range) = accept(text, &found).filter(|r| !r.is_empty() && !pattern::in_pseudonym(text, r)) {
                result.push_str(&text[copied..range.start]);
                result.push_str(&self.pseudonym(kind, &text[range.clone()]));
                (copied, from) = (range.end, range.end);
            } else {
                from = end;
            }
        }
        (copied > 0).then(|| result + &text[copied..])
    }
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
