//! Keys and tokens that show by their shape who issued them.

use std::ops::Range;

use super::scan::{glued_after, letters};
use super::secret::reads_as_word;

/// The letters of a token's body.
#[derive(Clone, Copy)]
enum Alphabet {
    Hex,
    /// Digits and capitals.
    Upper,
    Alphanumeric,
    /// With `_`.
    Word,
    /// With `-`.
    Dashed,
    /// With `_` and `-`: base64 for URLs.
    Url,
    /// With `_`, `-`, `.` and `=`.
    Dotted,
}

impl Alphabet {
    fn has(self, byte: u8) -> bool {
        match self {
            Self::Hex => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            Self::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Alphanumeric => byte.is_ascii_alphanumeric(),
            Self::Word => byte.is_ascii_alphanumeric() || byte == b'_',
            Self::Dashed => byte.is_ascii_alphanumeric() || byte == b'-',
            Self::Url => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
            Self::Dotted => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'='),
        }
    }
}

/// One shape: what it begins with, and the letters and length of what follows.
struct Shape {
    prefixes: &'static [&'static str],
    alphabet: Alphabet,
    least: usize,
    most: usize,
}

const fn shape(prefixes: &'static [&'static str], alphabet: Alphabet, least: usize, most: usize) -> Shape {
    Shape { prefixes, alphabet, least, most }
}

const LONG: usize = 4096;

/// As the issuers document them, or as their published examples look.
const SHAPES: [Shape; 38] = [
    // Amazon Web Services: access key ids, also temporary ones, and ids of roles and users
    shape(&["AKIA", "ASIA", "AROA", "AIDA"], Alphabet::Upper, 16, 16),
    // GitHub
    shape(&["ghp_", "gho_", "ghu_", "ghs_", "ghr_"], Alphabet::Alphanumeric, 36, 255),
    shape(&["github_pat_"], Alphabet::Word, 22, 255),
    // GitLab
    shape(&["glpat-", "gloas-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glimt-", "glagent-", "glsoat-"], Alphabet::Url, 20, LONG),
    // Slack
    shape(&["xoxa-", "xoxb-", "xoxe-", "xoxo-", "xoxp-", "xoxr-", "xoxs-", "xapp-"], Alphabet::Dashed, 10, LONG),
    // Hugging Face
    shape(&["hf_"], Alphabet::Alphanumeric, 30, 64),
    // Google: API keys, OAuth tokens
    shape(&["AIza"], Alphabet::Url, 35, 35),
    shape(&["ya29."], Alphabet::Url, 30, LONG),
    // Stripe
    shape(&["sk_live_", "sk_test_", "rk_live_", "rk_test_"], Alphabet::Alphanumeric, 16, 255),
    // OpenAI, Anthropic and others like them: with capitals and digits, see `mixed`
    shape(&["sk-"], Alphabet::Url, 20, LONG),
    // npm, PyPI, Docker Hub
    shape(&["npm_"], Alphabet::Alphanumeric, 36, 36),
    shape(&["pypi-"], Alphabet::Url, 50, LONG),
    shape(&["dckr_pat_"], Alphabet::Url, 20, 64),
    // NVIDIA
    shape(&["nvapi-"], Alphabet::Url, 20, LONG),
    // HashiCorp Vault and OpenBao
    shape(&["hvs.", "hvb.", "hvr."], Alphabet::Url, 24, LONG),
    // SendGrid
    shape(&["SG."], Alphabet::Dotted, 60, 80),
    // Databricks
    shape(&["dapi"], Alphabet::Hex, 32, 32),
    // DigitalOcean
    shape(&["dop_v1_", "doo_v1_", "dor_v1_"], Alphabet::Hex, 64, 64),
    // Grafana
    shape(&["glsa_"], Alphabet::Word, 40, 64),
    shape(&["glc_"], Alphabet::Dotted, 40, LONG),
    // Shopify
    shape(&["shpat_", "shpss_", "shpca_", "shppa_"], Alphabet::Hex, 32, 32),
    // Linear
    shape(&["lin_api_"], Alphabet::Alphanumeric, 32, 64),
    // Replicate, Groq, Perplexity, xAI
    shape(&["r8_"], Alphabet::Alphanumeric, 37, 37),
    shape(&["gsk_"], Alphabet::Alphanumeric, 40, 64),
    shape(&["pplx-"], Alphabet::Alphanumeric, 40, 64),
    shape(&["xai-"], Alphabet::Alphanumeric, 60, 100),
    // Atlassian
    shape(&["ATATT3"], Alphabet::Dotted, 60, LONG),
    // New Relic
    shape(&["NRAK-"], Alphabet::Upper, 27, 27),
    // age
    shape(&["AGE-SECRET-KEY-1"], Alphabet::Upper, 58, 58),
    // Postman
    shape(&["PMAK-"], Alphabet::Dashed, 50, 64),
    // HubSpot
    shape(&["pat-na1-", "pat-eu1-"], Alphabet::Dashed, 36, 36),
    // Sentry
    shape(&["sntrys_", "sntryu_"], Alphabet::Dotted, 40, LONG),
    // Pulumi
    shape(&["pul-"], Alphabet::Hex, 40, 40),
    // Square
    shape(&["EAAA"], Alphabet::Url, 50, 255),
    // Mailgun
    shape(&["key-"], Alphabet::Hex, 32, 32),
    // Twilio
    shape(&["SK"], Alphabet::Hex, 32, 32),
    // Webhooks of Slack
    shape(&["https://hooks.slack.com/services/"], Alphabet::Url, 1, 64),
    // JSON Web Tokens: see `web_token`
    shape(&["eyJ"], Alphabet::Dotted, 14, usize::MAX),
];

/// What any token begins with.
pub(super) fn prefixes() -> impl Iterator<Item = &'static str> {
    SHAPES.iter().flat_map(|shape| shape.prefixes).copied()
}

/// The token of a known issuer that begins here. Placeholders such as `AKIAXXXXXXXXXXXXXXXX` are not random enough.
pub(super) fn issued(text: &str, at: usize) -> Option<Range<usize>> {
    let rest = &text[at..];
    // Two letters tell most of them apart.
    let begins = |prefix: &str| rest.as_bytes().get(..2) == prefix.as_bytes().get(..2) && rest.starts_with(prefix);
    SHAPES.iter().find_map(|shape| {
        let prefix = shape.prefixes.iter().find(|prefix| begins(prefix))?;
        if prefix.starts_with("https:") {
            let length = rest[prefix.len()..].bytes().take_while(|b| *b == b'/' || Alphabet::Url.has(*b)).count();
            return (length > 0).then(|| at..at + prefix.len() + length);
        }
        if *prefix == "eyJ" {
            return web_token(rest).map(|length| at..at + length);
        }
        let start = at + prefix.len();
        let length = rest[prefix.len()..].bytes().take_while(|b| shape.alphabet.has(*b)).count();
        let body = text[start..start + length].trim_end_matches(['.', '-']);
        let enough = (shape.least..=shape.most).contains(&body.len()) && !glued_after(text, start + length);
        let shaped = if *prefix == "sk-" { mixed(body) } else { is_random(body) };
        (enough && shaped).then(|| at..start + body.len())
    })
}

/// The length of a JSON Web Token (RFC 7519): three parts in base64 for URLs, of which the last may be empty.
fn web_token(text: &str) -> Option<usize> {
    let part = |from: usize| text[from..].bytes().take_while(|b| Alphabet::Url.has(*b)).count();
    let header = part(0);
    let payload = text[header..].strip_prefix('.').map(|_| part(header + 1))?;
    let signature = header + 1 + payload;
    text[signature..].strip_prefix('.')?;
    (header >= 11 && payload >= 4).then(|| signature + 1 + part(signature + 1))
}

/// What comes before a token in an `Authorization` header.
pub(super) const SCHEMES: [&str; 2] = ["bearer", "basic"];

/// What follows `Bearer` or `Basic` here and does not read as a word.
pub(super) fn after_scheme(text: &str, at: usize) -> Option<Range<usize>> {
    let word = letters(text, at);
    SCHEMES.iter().find(|scheme| scheme.eq_ignore_ascii_case(word))?;
    let rest = &text[at + word.len()..];
    let value = rest.trim_start();
    let start = text.len() - value.len();
    let length = value.bytes().take_while(|b| Alphabet::Dotted.has(*b) || matches!(b, b'~' | b'+' | b'/')).count();
    let value = &value[..length];
    (rest.len() > value.len() && rest.starts_with(char::is_whitespace) && length >= 12 && !reads_as_word(value))
        .then(|| start..start + length)
}

/// A Telegram bot's token: its number, a colon, and 35 letters of which the first two are `AA`.
pub(super) fn telegram(text: &str, at: usize) -> Option<Range<usize>> {
    let colon = at + text[at..].bytes().take_while(u8::is_ascii_digit).count();
    let body = text[colon..].strip_prefix(":AA")?;
    let length = body.bytes().take_while(|b| Alphabet::Url.has(*b)).count();
    (length == 33).then(|| at..colon + 3 + length)
}

fn mixed(body: &str) -> bool {
    body.bytes().any(|b| b.is_ascii_uppercase()) && body.bytes().any(|b| b.is_ascii_digit())
}

/// Whether letters look drawn at random: digits or both cases, and at least 2.5 bits a letter (Shannon, 1948).
pub(super) fn is_random(body: &str) -> bool {
    let has = |what: fn(&u8) -> bool| body.bytes().any(|b| what(&b));
    let classes = has(u8::is_ascii_digit) || (has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase));
    classes && bits(body) >= 2.5
}

/// Bits a letter, by how often each occurs in the text itself.
pub(super) fn bits(body: &str) -> f64 {
    let mut counts = [0_u32; 256];
    body.bytes().for_each(|b| counts[usize::from(b)] += 1);
    let n = body.len().max(1) as f64;
    counts.iter().filter(|c| **c > 0).map(|c| f64::from(*c) / n).map(|p| -p * p.log2()).sum()
}
