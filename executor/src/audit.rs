//! The audit chain as text: one entry a line, for archives and for verifiers that are not this program.

use bellwether_model::audit::{AuditEntry, BrokenChain, verify};
use bellwether_model::digest::{CanonicalError, Digest, canonical};

use crate::journal::audit::Head;

/// Lines do not hold a whole chain.
#[derive(Debug, thiserror::Error)]
pub enum LinesError {
    /// A line is no audit entry.
    #[error("line {line} is no audit entry")]
    Unreadable {
        /// Counted from 1.
        line: usize,
        /// Where it goes wrong.
        #[source]
        source: serde_json::Error,
    },
    /// The chain does not hold.
    #[error("the audit chain is broken")]
    Broken(#[from] BrokenChain),
}

/// Entries as lines of canonical JSON (RFC 8785), each ended by a newline. The digest of an entry is the SHA-256 over the
/// canonical JSON of its fields without `digest`.
pub fn lines(entries: &[AuditEntry]) -> Result<String, CanonicalError> {
    let mut text = String::new();
    for entry in entries {
        text += &String::from_utf8_lossy(&canonical(entry)?);
        text.push('\n');
    }
    Ok(text)
}

/// Checks lines that hold a chain from its first entry, and gives its end.
pub fn verify_lines(text: &str) -> Result<Head, LinesError> {
    let mut last = (0, Digest::ZERO);
    for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let entry: AuditEntry = serde_json::from_str(line).map_err(|source| LinesError::Unreadable { line: i + 1, source })?;
        last = verify(last, [&entry])?;
    }
    Ok(Head { sequence: last.0, digest: last.1 })
}

#[cfg(test)]
mod tests {
    use bellwether_model::time::Timestamp;
    use serde_json::json;

    use super::*;

    #[test]
    fn exported_lines_verify_and_an_edited_line_is_found() {
        let mut last = (0, Digest::ZERO);
        let entries: Vec<AuditEntry> = (0..5)
            .map(|i| {
                let entry = AuditEntry::following(
                    last,
                    Timestamp::from_secs(i),
                    "ann".into(),
                    "approve",
                    "exe-1",
                    json!({"i": i, "share": 0.1 + 0.2}),
                )
                .unwrap();
                last = (entry.sequence, entry.digest);
                entry
            })
            .collect();
        let text = lines(&entries).unwrap();
        assert_eq!(verify_lines(&text).unwrap(), Head { sequence: 5, digest: last.1 });
        let edited = text.replace("\"i\":2", "\"i\":7");
        assert!(matches!(verify_lines(&edited), Err(LinesError::Broken(BrokenChain { sequence: 3, .. }))));
        assert!(matches!(verify_lines("{}"), Err(LinesError::Unreadable { line: 1, .. })));
    }
}
