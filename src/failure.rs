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

/// What carries an error and says nothing beside its cause.
const CARRIERS: [&str; 7] = [
    "error sending request",
    "client error (",
    "tcp connect error",
    "error trying to connect",
    "connection error",
    "HyperError",
    "ServiceError",
];

/// An error's message followed by those of its sources, each once, the cause at the end: `cannot read the rules: no such file`. What
/// only carried the error over the network is left out.
pub fn chain(error: &dyn Error) -> String {
    let mut levels: Vec<String> = Vec::new();
    let mut source = Some(error);
    while let Some(inner) = source {
        let words = inner.to_string();
        if !levels.iter().any(|known| known.contains(&words)) {
            // Some errors repeat their source's words and add to them.
            levels.retain(|known| !words.starts_with(known.as_str()));
            levels.push(words);
        }
        source = inner.source();
    }
    let cause = levels.pop().unwrap_or_default();
    let mut text = String::new();
    for level in levels.iter().filter(|level| !CARRIERS.iter().any(|carrier| level.starts_with(carrier))) {
        let _ = write!(text, "{level}: ");
    }
    text + &cause
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

    /// An error of several levels, outermost first.
    #[derive(Debug)]
    struct Levels(&'static str, Option<Box<Levels>>);

    impl std::fmt::Display for Levels {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Levels {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|inner| inner as _)
        }
    }

    #[test]
    fn a_chain_says_each_thing_once_and_ends_with_the_cause() {
        let table: [(&[&'static str], &str); 6] = [
            (&["one"], "one"),
            (
                &[
                    "no Prometheus answers at http://p",
                    "error sending request",
                    "client error (Connect)",
                    "tcp connect error",
                    "Connection refused (os error 111)",
                ],
                "no Prometheus answers at http://p: Connection refused (os error 111)",
            ),
            (&["error sending request", "error sending request for url (http://p/)", "dns error: no such host"], "dns error: no such host"),
            (&["the database says: no route", "no route"], "the database says: no route"),
            (&["a", "a: b", "b"], "a: b"),
            (&["outer", "tcp connect error"], "outer: tcp connect error"),
        ];
        for (levels, expected) in table {
            let error = levels.iter().rev().fold(None, |inner, words| Some(Box::new(Levels(words, inner)))).unwrap();
            assert_eq!(chain(error.as_ref()), expected);
        }
    }
}
