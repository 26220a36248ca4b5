//! Where errors become words for people: a kind, a message, a hint, an exit code.

use std::error::Error;
use std::fmt::Write as _;

/// Whose turn it is to do something about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What was asked for cannot be: a wrong id, a wrong query.
    User,
    /// The configuration or a file it names is wrong.
    Config,
    /// Another system is unreachable or refuses.
    Upstream,
    /// Governance says no.
    Refused,
    /// A person must approve first.
    ApprovalNeeded,
    /// Findings that `--fail-on` asked to fail on.
    Findings,
    /// Our own bug.
    Internal,
}

impl Kind {
    /// The exit code of the process.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::User | Self::Config | Self::Upstream | Self::Internal => 1,
            Self::Findings => 3,
            Self::Refused => 4,
            Self::ApprovalNeeded => 5,
        }
    }
}

/// A failure as a person sees it.
#[derive(Debug)]
pub struct Failure {
    /// Whose turn it is.
    pub kind: Kind,
    /// What went wrong, and where.
    pub message: String,
    /// What would be right.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }
    /// What was asked for cannot be.
    pub fn user(message: impl Into<String>) -> Self {
        Self::new(Kind::User, message)
    }
    /// The configuration is wrong.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(Kind::Config, message)
    }
    /// A failure with an error's whole chain of sources as its message.
    pub fn of(kind: Kind, error: &dyn Error) -> Self {
        Self::new(kind, chain(error))
    }
    /// The failure as JSON: `{"error": {"kind", "message", "hint"}}`.
    pub fn json(&self) -> serde_json::Value {
        let kind = match self.kind {
            Kind::User => "user",
            Kind::Config => "config",
            Kind::Upstream => "upstream",
            Kind::Refused => "refused",
            Kind::ApprovalNeeded => "approval_needed",
            Kind::Findings => "findings",
            Kind::Internal => "internal",
        };
        serde_json::json!({"error": {"kind": kind, "message": self.message, "hint": self.hint}})
    }
    /// The same failure with a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "error: {}", self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        if self.kind == Kind::Internal {
            write!(f, "\nhint: this is a bug in bellwether; please report it with the line above")?;
        }
        Ok(())
    }
}

/// An error's message followed by those of its sources, each once: `cannot read the rules: no such file`.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let words = inner.to_string();
        if !text.contains(&words) {
            let _ = write!(text, ": {words}");
        }
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read the rules")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn a_failure_names_every_level_once_and_hints() {
        let error = Outer(std::io::Error::new(std::io::ErrorKind::NotFound, "no such file"));
        let failure = Failure::of(Kind::Config, &error).hint("run `bellwether init`");
        assert_eq!(failure.to_string(), "error: cannot read the rules: no such file\nhint: run `bellwether init`");
        assert_eq!(failure.kind.exit_code(), 1);
    }
}
