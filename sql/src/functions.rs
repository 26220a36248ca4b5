//! SQL functions of our own: reading JSON columns, and a clock that stands still.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, ListBuilder, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Field, TimeUnit};
use bellwether_model::time::Timestamp;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use serde_json::Value;

use crate::pruning::time;

/// Functions of DataFusion that make a value as large as an argument says: one call could take all memory, past every limit of a session.
pub(crate) const BLOWN_UP: [&str; 7] = ["repeat", "lpad", "rpad", "array_repeat", "list_repeat", "array_resize", "list_resize"];

/// All of them, for one session.
pub(crate) fn all(now: Timestamp) -> Vec<ScalarUDF> {
    vec![json_get(), json_list(), now_is(now), today_is(now)]
}

/// `json_get(text, path)`: what lies at `path` in JSON text, as text; null where there is nothing.
///
/// A path is names and positions joined by dots: `target`, `steps.0.summary`. Text comes without quotes, everything else as JSON.
fn json_get() -> ScalarUDF {
    let run = |args: &[ColumnarValue]| {
        let (texts, paths) = two_texts(args)?;
        let (texts, paths) = (texts.as_string::<i32>(), paths.as_string::<i32>());
        let found: StringArray = texts.iter().zip(paths).map(|(text, path)| as_text(&at(text?, path?)?)).collect();
        Ok(ColumnarValue::Array(Arc::new(found) as ArrayRef))
    };
    create_udf("json_get", vec![DataType::Utf8, DataType::Utf8], DataType::Utf8, Volatility::Immutable, Arc::new(run))
}

/// `json_list(text, path)`: the list at `path` in JSON text as a list of texts, for `unnest`; an empty path means all of the text.
fn json_list() -> ScalarUDF {
    let run = |args: &[ColumnarValue]| {
        let (texts, paths) = two_texts(args)?;
        let mut lists = ListBuilder::new(StringBuilder::new());
        for (text, path) in texts.as_string::<i32>().iter().zip(paths.as_string::<i32>()) {
            match text.zip(path).and_then(|(text, path)| at(text, path)) {
                Some(Value::Array(items)) => {
                    for item in &items {
                        lists.values().append_option(as_text(item));
                    }
                    lists.append(true);
                }
                _ => lists.append(false),
            }
        }
        Ok(ColumnarValue::Array(Arc::new(lists.finish()) as ArrayRef))
    };
    let list = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
    create_udf("json_list", vec![DataType::Utf8, DataType::Utf8], list, Volatility::Immutable, Arc::new(run))
}

/// `now()` and `current_timestamp`: the session's own time, so that a query asked twice answers the same.
fn now_is(now: Timestamp) -> ScalarUDF {
    let kind = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let value: ScalarValue = time(now.micros());
    create_udf("now", vec![], kind, Volatility::Stable, Arc::new(move |_| Ok(ColumnarValue::Scalar(value.clone()))))
        .with_aliases(["current_timestamp"])
}

/// `current_date` and `today()`: the day of the session's own time in UTC.
fn today_is(now: Timestamp) -> ScalarUDF {
    let value = ScalarValue::Date32(Some(now.day()));
    create_udf("current_date", vec![], DataType::Date32, Volatility::Stable, Arc::new(move |_| Ok(ColumnarValue::Scalar(value.clone()))))
        .with_aliases(["today"])
}

fn two_texts(args: &[ColumnarValue]) -> Result<(ArrayRef, ArrayRef)> {
    let arrays = ColumnarValue::values_to_arrays(args)?;
    match <[ArrayRef; 2]>::try_from(arrays) {
        Ok([texts, paths]) => Ok((texts, paths)),
        Err(given) => datafusion::common::plan_err!("two arguments are wanted, {} were given", given.len()),
    }
}

fn at(text: &str, path: &str) -> Option<Value> {
    let mut value: Value = serde_json::from_str(text).ok()?;
    for step in path.split('.').filter(|s| !s.is_empty()) {
        value = match (&mut value, step.parse::<usize>()) {
            (Value::Array(items), Ok(i)) => items.get_mut(i)?.take(),
            (Value::Object(fields), _) => fields.get_mut(step)?.take(),
            _ => return None,
        };
    }
    Some(value)
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_into_objects_and_lists() {
        let text = r#"{"kind":"series","n":[1,{"a":"x"}],"none":null,"1":true}"#;
        for (path, found) in [
            ("kind", Some("series")),
            ("n.1.a", Some("x")),
            ("n.0", Some("1")),
            ("n", Some(r#"[1,{"a":"x"}]"#)),
            ("none", None),
            ("n.7", None),
            ("kind.x", None),
            ("1", Some("true")),
        ] {
            assert_eq!(at(text, path).as_ref().and_then(as_text).as_deref(), found, "{path}");
        }
        assert_eq!(at("not json", "a"), None);
    }
}
