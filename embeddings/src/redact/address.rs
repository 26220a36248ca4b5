//! E-mail addresses, IP addresses, and user and password in a URL.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::scan::glued_after;

/// The e-mail address around the `@` here, but not `git@host`, nor the user of a URL.
pub(super) fn email(text: &str, at: usize) -> Option<Range<usize>> {
    let local_letter = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '\'' | '-');
    let before = &text[..at];
    let local = &before[before.trim_end_matches(local_letter).len()..];
    if local.is_empty() || local.ends_with(['.', '\'', '-']) {
        return None;
    }
    let local = local.trim_start_matches(['.', '\'', '-', '%', '+']);
    let start = at - local.len();
    if local.is_empty() || local == "git" || text[..start].ends_with("://") {
        return None;
    }
    let rest = &text[at + 1..];
    let domain = &rest[..rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-'))).unwrap_or(rest.len())];
    let mut domain = domain.trim_end_matches(['.', '-']);
    // `ops@example.com.5` ends at `com`.
    loop {
        let (front, last) = domain.rsplit_once('.')?;
        let letters = last.chars().count();
        if (2..=24).contains(&letters) && last.chars().all(char::is_alphabetic) && front.starts_with(char::is_alphanumeric) {
            return (!glued_after(rest, domain.len())).then(|| start..at + 1 + domain.len());
        }
        domain = front.trim_end_matches(['.', '-']);
    }
}

/// `user:password` between the `://` here and an `@`.
pub(super) fn credentials(text: &str, at: usize) -> Option<Range<usize>> {
    if !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '-')) {
        return None;
    }
    let start = at + 3;
    let rest = &text[start..];
    let authority = &rest[..rest.find(|c: char| c.is_whitespace() || matches!(c, '/' | '<' | '>' | '?' | '#')).unwrap_or(rest.len())];
    let (colon, host) = (authority.find(':')?, authority.rfind('@')?);
    (host > colon + 1 && !authority[..colon].contains('@')).then(|| start..start + host)
}

/// The IPv4 address that begins here, unless it reads as a version.
pub(super) fn ipv4(text: &str, at: usize) -> Option<Range<usize>> {
    let rest = &text[at..];
    let length = rest.bytes().take(16).take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    let candidate = rest[..length].trim_end_matches('.');
    let address: Ipv4Addr = candidate.parse().ok()?;
    let end = at + candidate.len();
    let before = &text[text.floor_char_boundary(at.saturating_sub(32))..at];
    let joined = before.ends_with(['.', '-', '_']) || before.ends_with("==") || before.ends_with("~> ");
    let told = || ["version", "upgrade", "section"].iter().any(|word| before.to_ascii_lowercase().contains(word));
    let special = address.is_loopback() || address.is_unspecified() || address.is_broadcast();
    (!special && !joined && !glued_after(text, end) && !told()).then_some(at..end)
}

/// The IPv6 address of which the colon here is the first.
pub(super) fn ipv6(text: &str, at: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let start = at - bytes[..at].iter().rev().take(5).take_while(|b| b.is_ascii_hexdigit()).count();
    let before = text[..start].chars().next_back();
    if at - start > 4 || before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':')) {
        return None;
    }
    let run = bytes[start..].iter().take(46).take_while(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.')).count();
    let run = text[start..start + run].trim_end_matches('.');
    let candidate = if run.ends_with("::") { run } else { run.trim_end_matches(':') };
    if candidate.bytes().filter(|b| *b == b':').count() < 2 || candidate.split(':').all(|group| group.len() == 2) {
        return None; // a time, or a hardware address of six or eight groups
    }
    let address: Ipv6Addr = candidate.parse().ok()?;
    // `dead::beef` is as likely a path in some language.
    let sure = candidate.bytes().any(|b| b.is_ascii_digit());
    let end = start + candidate.len();
    (sure && !glued_after(text, end) && !address.is_loopback() && !address.is_unspecified()).then_some(start..end)
}
