//! Reading YAML so that every error names file, line and column, and what was probably meant.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_saphyr::{Error, MessageFormatter, Spanned};

/// Where something was written. Text form `blueprints/iris.yaml:14:7`; without the numbers where a whole file or
/// setting is meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Name of the file, as the caller gave it, or of the setting.
    pub file: String,
    /// Line, from 1; 0 where the whole file is meant.
    pub line: u64,
    /// Column in characters, from 1; 0 where the whole file is meant.
    pub column: u64,
}

impl Place {
    /// A whole file or setting.
    pub fn whole(file: impl Into<String>) -> Self {
        Self { file: file.into(), line: 0, column: 0 }
    }
    /// Where a value of this file was written.
    pub fn of<T>(file: &str, value: &Spanned<T>) -> Self {
        Self { file: file.to_owned(), line: value.referenced.line(), column: value.referenced.column() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 { write!(f, ":{}:{}", self.line, self.column) } else { Ok(()) }
    }
}

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct LoadError {
    /// Where.
    pub place: Place,
    /// What is wrong, with the values.
    pub message: String,
    /// What would be right, where that can be said.
    pub hint: Option<String>,
}

impl LoadError {
    /// An error without a hint.
    pub fn new(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into(), hint: None }
    }
    /// The same error with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Everything that is wrong with a set of files: at least one error, in the order of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadErrors(pub Vec<LoadError>);

impl LoadErrors {
    /// Nothing when there is no error; all of them otherwise.
    pub fn check(errors: Vec<LoadError>) -> Result<(), Self> {
        if errors.is_empty() { Ok(()) } else { Err(Self(errors)) }
    }
}

impl From<LoadError> for LoadErrors {
    fn from(error: LoadError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for LoadErrors {
    /// One line for each error, and one for each hint.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
            if let Some(hint) = &error.hint {
                write!(f, "\nhint: {hint}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for LoadErrors {}

/// Reads one YAML document. `file` is only a name for messages.
///
/// Unknown keys and words are named together with the nearest known one; duplicate keys are refused.
pub fn parse<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, LoadError> {
    serde_saphyr::from_str(text).map_err(|error| explain(file, &error))
}

/// The word of `known` that `word` most resembles, when one is close enough to be a slip of the pen.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut best: Option<(f64, &str)> = None;
    for candidate in known {
        let likeness = strsim::normalized_damerau_levenshtein(&word.to_lowercase(), &candidate.to_lowercase());
        if likeness >= 0.5 && best.is_none_or(|(b, _)| likeness > b) {
            best = Some((likeness, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// "did you mean x? known: …", or only the list when nothing is near.
pub fn suggestion<'a>(word: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    let list = known.clone().into_iter().collect::<Vec<_>>().join(", ");
    match nearest(word, known) {
        Some(near) => format!("did you mean {near}? known: {list}"),
        None => format!("known: {list}"),
    }
}

fn explain(file: &str, error: &Error) -> LoadError {
    let error = error.without_snippet();
    let place = match error.location() {
        Some(at) => Place { file: file.to_owned(), line: at.line(), column: at.column() },
        None => Place::whole(file),
    };
    match error {
        Error::SerdeUnknownField { field, expected, .. } => {
            LoadError::new(place, format!("unknown key {field:?}")).hint(suggestion(field, expected.iter().copied()))
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            LoadError::new(place, format!("{variant:?} is not known here")).hint(suggestion(variant, expected.iter().copied()))
        }
        Error::SerdeMissingField { field, .. } => LoadError::new(place, format!("{field} is missing")),
        Error::InvalidScalar { ty, .. } => LoadError::new(place, format!("this is not {}", in_words(ty))),
        Error::DuplicateMappingKey { key, .. } => {
            LoadError::new(place, format!("key {:?} is written twice", key.as_deref().unwrap_or("?")))
        }
        other => {
            let message = serde_saphyr::DefaultMessageFormatter.format_message(other).escape_debug().to_string();
            LoadError::new(place, in_plain_words(&message.replace("\\\"", "\"").replace("\\'", "'")))
        }
    }
}

/// What the parser says, to a person.
fn in_plain_words(message: &str) -> String {
    match message {
        "expected sequence start" => "a list is expected here: [a, b], or lines that begin with -".to_owned(),
        "expected mapping start" => "keys are expected here, each with a value: `key: value`".to_owned(),
        "unexpected end of input" => "there is nothing here".to_owned(),
        other => other.to_owned(),
    }
}

/// What a type of the parser is to a person.
fn in_words(kind: &str) -> &str {
    match kind {
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" => "a whole number from 0 up",
        "i64" => "a whole number",
        "floating point" => "a number",
        "boolean" => "true or false",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bellwether_model::playbook::Operation;
    use bellwether_model::unit::Ratio;
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Sample {
        scale_up_threshold: Option<Spanned<Ratio>>,
        #[serde(default)]
        operations: Vec<Spanned<Operation>>,
        #[serde(default)]
        rest: Option<BTreeMap<String, String>>,
        replicas: Option<u32>,
    }

    #[test]
    fn errors_name_the_place_and_what_was_meant() {
        let table = [
            ("scale_up_treshold: 80%", "f.yaml:1:1: unknown key \"scale_up_treshold\"", "did you mean scale_up_threshold?"),
            (
                "operations:\n  - scale_within_limit\n",
                "f.yaml:2:5: \"scale_within_limit\" is not known here",
                "did you mean scale_within_limits?",
            ),
            ("operations: []\nscale_up_threshold: high", "f.yaml:2:21: \"high\" is not a ratio; write it as 70% or 0.7", ""),
            ("operations: [restart_pods\n", "f.yaml:", ""),
            ("replicas: many", "f.yaml:1:11: this is not a whole number from 0 to 4294967295", ""),
            ("operations: []\noperations: []", "f.yaml:2:1: key \"operations\" is written twice", ""),
        ];
        for (text, message, hint) in table {
            let error = parse::<Sample>("f.yaml", text).unwrap_err();
            assert!(error.to_string().starts_with(message), "{error}");
            assert!(error.hint.clone().unwrap_or_default().starts_with(hint), "{error:?}");
        }
    }

    #[test]
    fn values_know_where_they_were_written() {
        let sample: Sample = parse("f.yaml", "operations:\n  - restart_pods\nscale_up_threshold: 80%\n").unwrap();
        assert_eq!(Place::of("f.yaml", &sample.operations[0]).to_string(), "f.yaml:2:5");
        assert_eq!(Place::of("f.yaml", &sample.scale_up_threshold.unwrap()).to_string(), "f.yaml:3:21");
    }

    #[test]
    fn only_near_words_are_suggested() {
        assert_eq!(nearest("scale_endpont", ["scale_pool", "scale_endpoint"]), Some("scale_endpoint"));
        assert_eq!(nearest("zebra", ["scale_pool", "scale_endpoint"]), None);
    }
}
