//! Conditions in CEL, compiled when a file loads and evaluated against a documented set of variables.
//!
//! Whole numbers are always bound as CEL `int`: bound as `uint`, any arithmetic with a literal would fail.

mod keys;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use cel::{Context, Program};
use serde::{Serialize, Serializer};

use self::keys::Keys;
use crate::yaml::suggestion;

/// The longest condition that loads, in bytes: far above any sensible one, far below what could exhaust the parser.
pub const MAX_LENGTH: usize = 2_000;

/// The value of a variable.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A whole number.
    Int(i64),
    /// A number with a fraction. CEL does not mix it with whole numbers in arithmetic: write `double(n) * 1.5`.
    Double(f64),
    /// Yes or no.
    Bool(bool),
    /// Text.
    Text(String),
    /// Texts by name, as labels are: `labels.pool`. A name that is not there reads as the empty text, unless the condition asks
    /// `has()` for it.
    Texts(BTreeMap<String, String>),
}

/// Variables by name.
pub type Variables = BTreeMap<&'static str, Value>;

/// A variable that conditions may use.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it stands for.
    pub meaning: &'static str,
    /// A value of its type, for the evaluation that proves a condition when it loads.
    pub sample: Sample,
}

/// A value of each type, for trying a condition.
#[derive(Clone, Copy, Debug)]
pub enum Sample {
    /// Tried with 1 and 10.
    Int,
    /// Tried with 0.25 and 1.5.
    Double,
    /// Tried with true and false.
    Bool,
    /// Tried with two words.
    Text,
    /// Tried with these words under every name that the condition reads.
    Texts,
}

impl Sample {
    fn value(self, second: bool, keys: impl Iterator<Item = String>) -> Value {
        match (self, second) {
            (Self::Texts, second) => {
                let word = if second { "standard" } else { "ml" };
                Value::Texts(keys.map(|key| (key, word.to_owned())).collect())
            }
            (Self::Int, false) => Value::Int(1),
            (Self::Int, true) => Value::Int(10),
            (Self::Double, false) => Value::Double(0.25),
            (Self::Double, true) => Value::Double(1.5),
            (Self::Bool, second) => Value::Bool(second),
            (Self::Text, false) => Value::Text("ml".into()),
            (Self::Text, true) => Value::Text("standard".into()),
        }
    }
}

/// A condition that compiled, refers only to known variables, and gives true or false.
#[derive(Clone)]
pub struct Condition {
    text: String,
    program: Arc<Program>,
    keys: Keys,
}

/// Why a condition does not load.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// It is not CEL.
    #[error("{text:?} is not a condition: {reason}")]
    Syntax {
        /// What was written.
        text: String,
        /// What the compiler says, with the column.
        reason: String,
    },
    /// It uses a variable that does not exist here.
    #[error("{text:?} uses {name}, which is not a variable here")]
    UnknownVariable {
        /// What was written.
        text: String,
        /// The variable.
        name: String,
        /// The variables that exist.
        hint: String,
    },
    /// It fails, or gives something else than true or false, for ordinary values.
    #[error("{text:?} cannot be evaluated: {reason}")]
    Evaluation {
        /// What was written.
        text: String,
        /// Why.
        reason: String,
    },
    /// It is longer than [`MAX_LENGTH`].
    #[error("a condition of {length} bytes is longer than {MAX_LENGTH}")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
}

impl ConditionError {
    /// What would be right, where that can be said.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownVariable { hint, .. } => Some(hint.clone()),
            Self::Evaluation { .. } => Some("whole numbers and fractions do not mix: write double(n) * 1.5".into()),
            Self::Syntax { .. } | Self::TooLong { .. } => None,
        }
    }
}

/// Why a condition gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EvaluationError(pub String);

impl Condition {
    /// Compiles `text` and tries it on sample values of `variables`.
    pub fn compile(text: &str, variables: &[Variable]) -> Result<Self, ConditionError> {
        let text = text.trim().to_owned();
        if text.len() > MAX_LENGTH {
            return Err(ConditionError::TooLong { length: text.len() });
        }
        let program = match Program::compile(&text) {
            Ok(program) => program,
            Err(errors) => {
                let reason = errors.errors.first().map_or_else(|| "it is empty".to_owned(), |e| format!("{} (column {})", e.msg, e.pos.1));
                return Err(ConditionError::Syntax { text, reason });
            }
        };
        let mut used: Vec<String> = program.references().variables().iter().map(|v| (*v).to_owned()).collect();
        used.sort();
        if let Some(name) = used.into_iter().find(|name| variables.iter().all(|v| v.name != name)) {
            let hint = suggestion(&name, variables.iter().map(|v| v.name));
            return Err(ConditionError::UnknownVariable { text, name, hint });
        }
        let keys = Keys::of(&program.expression().expr);
        let condition = Self { text, program: Arc::new(program), keys };
        for second in [false, true] {
            let sample = |v: &Variable| v.sample.value(second, condition.keys.read(v.name).map(str::to_owned));
            let samples = variables.iter().map(|v| (v.name, sample(v))).collect();
            condition.holds(&samples).map_err(|e| ConditionError::Evaluation { text: condition.text.clone(), reason: e.0 })?;
        }
        Ok(condition)
    }

    /// Whether it holds for these values. A variable without a value, a failing operation, or a result that is neither
    /// true nor false is an error: callers treat it as the stricter answer.
    pub fn holds(&self, variables: &Variables) -> Result<bool, EvaluationError> {
        let mut context = Context::default();
        for (name, value) in variables {
            match value {
                Value::Int(n) => context.add_variable_from_value(*name, *n),
                Value::Double(n) => context.add_variable_from_value(*name, *n),
                Value::Bool(b) => context.add_variable_from_value(*name, *b),
                Value::Text(t) => context.add_variable_from_value(*name, t.as_str()),
                Value::Texts(texts) => {
                    let absent = self.keys.needed(name).map(|key| (key.to_owned(), String::new()));
                    let present = texts.iter().map(|(key, text)| (key.clone(), text.clone()));
                    context.add_variable_from_value(*name, absent.chain(present).collect::<HashMap<String, String>>());
                }
            }
        }
        match self.program.execute(&context) {
            Ok(cel::Value::Bool(answer)) => Ok(answer),
            Ok(other) => Err(EvaluationError(format!("it gives {}, not true or false", other.type_of()))),
            Err(cel::ExecutionError::UndeclaredReference(name)) => Err(EvaluationError(format!("{name} is not known"))),
            Err(error) => Err(EvaluationError(error.to_string())),
        }
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// As it was written, followed by the values of the variables that it uses:
    /// `target_replicas > max_replicas (max_replicas = 5, target_replicas = 6)`.
    pub fn with_values(&self, variables: &Variables) -> String {
        let references = self.program.references();
        let mut used = references.variables();
        used.sort_unstable();
        let values: Vec<String> = used.iter().filter_map(|name| variables.get(name).map(|v| format!("{name} = {v}"))).collect();
        if values.is_empty() { self.text.clone() } else { format!("{} ({})", self.text, values.join(", ")) }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(n) => n.fmt(f),
            Self::Double(n) => n.fmt(f),
            Self::Bool(b) => b.fmt(f),
            Self::Text(t) => write!(f, "{t:?}"),
            Self::Texts(texts) => write!(f, "{texts:?}"),
        }
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Condition({:?})", self.text)
    }
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Serialize for Condition {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Variable] = &[
        Variable { name: "target_replicas", meaning: "", sample: Sample::Int },
        Variable { name: "max_replicas", meaning: "", sample: Sample::Int },
        Variable { name: "confidence", meaning: "", sample: Sample::Double },
        Variable { name: "service", meaning: "", sample: Sample::Text },
    ];

    fn values(target: i64, max: i64) -> Variables {
        [
            ("target_replicas", Value::Int(target)),
            ("max_replicas", Value::Int(max)),
            ("confidence", Value::Double(0.6)),
            ("service", Value::Text("ml".into())),
        ]
        .into()
    }

    #[test]
    fn conditions_give_the_known_answers() {
        let table = [
            ("target_replicas > max_replicas", 6, 5, true),
            ("target_replicas > max_replicas", 5, 5, false),
            ("target_replicas - 20 < 0 && target_replicas * 2 > 10", 6, 5, true),
            ("double(target_replicas) * 1.5 > 8.0", 6, 5, true),
            ("target_replicas in [5, 10]", 10, 5, true),
            ("confidence >= 0.5 && service == 'ml'", 0, 0, true),
        ];
        for (text, target, max, expected) in table {
            let condition = Condition::compile(text, KNOWN).unwrap();
            assert_eq!(condition.holds(&values(target, max)), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_judged_does_not_load() {
        let message = |text: &str| Condition::compile(text, KNOWN).unwrap_err().to_string();
        assert!(message("target_replicas >").contains("is not a condition"));
        assert!(message("").contains("is not a condition"));
        assert!(message("target_replicas + 1").contains("gives int"));
        assert!(message("target_replicas * 1.5 > 2.0").contains("cannot be evaluated"));
        assert!(matches!(Condition::compile(&"1 == 1 && ".repeat(400), KNOWN), Err(ConditionError::TooLong { .. })));
        let unknown = Condition::compile("target_replica > 5", KNOWN).unwrap_err();
        assert!(unknown.hint().unwrap().starts_with("did you mean target_replicas?"));
    }

    #[test]
    fn a_missing_value_is_an_error_and_never_an_answer() {
        let condition = Condition::compile("target_replicas > max_replicas", KNOWN).unwrap();
        assert_eq!(condition.holds(&Variables::new()), Err(EvaluationError("target_replicas is not known".into())));
        assert_eq!(condition.with_values(&values(6, 5)), "target_replicas > max_replicas (max_replicas = 5, target_replicas = 6)");
    }

    #[test]
    fn a_label_that_is_not_there_reads_as_empty() {
        let known = &[Variable { name: "labels", meaning: "", sample: Sample::Texts }];
        let labels = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let holds = |text: &str, pairs: &[(&str, &str)]| {
            Condition::compile(text, known).unwrap().holds(&[("labels", Value::Texts(labels(pairs)))].into())
        };
        let table = [
            ("labels.pool == 'a100'", true, false),
            ("labels['pool'] == 'a100' && labels.node == ''", true, false),
            ("labels.pool != 'a100'", false, true),
            ("labels.pool.startsWith('a') && labels.pool.endsWith('0')", true, false),
            ("has(labels.pool)", true, false),
            ("!has(labels.pool) || labels.pool == 'h100'", false, true),
            ("labels.pool in ['a100', 'h100']", true, false),
        ];
        for (text, there, absent) in table {
            assert_eq!((holds(text, &[("pool", "a100")]), holds(text, &[])), (Ok(there), Ok(absent)), "{text}");
        }
        assert!(Condition::compile("labels.pool + 1 == 2", known).unwrap_err().to_string().contains("cannot be evaluated"));
        assert!(Condition::compile("labels", known).unwrap_err().to_string().contains("not true or false"));
    }

    #[test]
    fn conditions_may_cross_threads() {
        fn sendable<T: Send + Sync>() {}
        sendable::<Condition>();
    }
}
