//! JSONL in parts: whole lines become columns.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::delimited::Kind;
use super::{Content, Table, faults, times};

/// A line that is no JSON object.
#[derive(Debug)]
pub(super) struct NotAnObject {
    /// Where in the bytes it begins.
    pub(super) at: usize,
    /// What is wrong with it.
    pub(super) why: String,
}

/// The columns of the first lines in the order in which they come, and their kinds: numbers or times where all values are. `None` where all are null.
pub(super) fn kinds(bytes: &[u8]) -> Vec<(String, Option<Kind>)> {
    let mut found: Vec<(String, Option<Kind>)> = Vec::new();
    let objects = bytes.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice::<Map<String, Value>>(line).ok());
    for (name, value) in objects.flatten() {
        let place = found.iter().position(|(n, _)| *n == name).unwrap_or_else(|| {
            found.push((name, None));
            found.len() - 1
        });
        let kind = &mut found[place].1;
        *kind = match value {
            Value::Null => *kind,
            Value::Number(_) if *kind != Some(Kind::Times) => kind.or(Some(Kind::Numbers)),
            Value::String(text) if times::is_time(&text) && *kind != Some(Kind::Numbers) => kind.or(Some(Kind::Times)),
            _ => Some(Kind::Categories),
        };
    }
    found
}

/// Reads whole lines into columns. Those that are not among the known ones are added, as categories; what a line lacks is null.
pub(super) fn read(bytes: &[u8], known: &[(String, Kind)]) -> Result<Table, NotAnObject> {
    let mut table = Table { rows: 0, columns: known.iter().map(|(name, kind)| (name.clone(), kind.empty())).collect() };
    let mut places: HashMap<String, usize> = known.iter().enumerate().map(|(i, (name, _))| (name.clone(), i)).collect();
    let mut at = 0;
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        if !line.trim_ascii().is_empty() {
            let object: Map<String, Value> = serde_json::from_slice(line).map_err(|e| NotAnObject { at, why: faults::without_line(&e) })?;
            table.rows += 1;
            for (name, value) in object {
                let place = *places.entry(name).or_insert_with_key(|name| {
                    table.columns.push((name.clone(), Kind::Categories.empty()));
                    table.columns.len() - 1
                });
                add(&mut table.columns[place].1, value);
            }
        }
        at += line.len();
    }
    for (_, content) in &mut table.columns {
        let values = content.values();
        if let Content::Numbers { nulls, .. } | Content::Categories { nulls, .. } = content {
            *nulls = table.rows - values;
        }
    }
    Ok(table)
}

fn add(content: &mut Content, value: Value) {
    match (content, value) {
        (_, Value::Null) => {}
        (content @ (Content::Numbers { .. } | Content::Categories { .. }), Value::Array(_) | Value::Object(_)) => {
            *content = Content::Other { name: "nested".into() };
        }
        (Content::Numbers { values, .. }, value) => values.push(value.as_f64().unwrap_or(f64::NAN)),
        (Content::Categories { counts, .. }, Value::String(text)) => *counts.entry(text).or_default() += 1,
        (Content::Categories { counts, .. }, value) => *counts.entry(value.to_string()).or_default() += 1,
        (Content::Sketched(_) | Content::Nulls { .. } | Content::Other { .. }, _) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_columns() {
        let text = b"{\"n\": 1, \"s\": \"x\"}\n\n{\"n\": \"?\", \"s\": true, \"new\": 4}\n{\"tags\": [1]}";
        let known = [("n".to_owned(), Kind::Numbers), ("s".to_owned(), Kind::Categories)];
        assert_eq!(
            kinds(b"{\"a\": null, \"b\": 1}\n{\"b\": \"x\"}\n{\"c\": 1.5}"),
            [("a".to_owned(), None), ("b".to_owned(), Some(Kind::Categories)), ("c".to_owned(), Some(Kind::Numbers))]
        );
        let found = read(text, &known).unwrap();
        let names: Vec<&str> = found.columns.iter().map(|(n, _)| n.as_str()).collect();
        assert_eq!((found.rows, &names[..]), (3, &["n", "s", "new", "tags"][..]));
        assert!(matches!(found.column("n"), Some(Content::Numbers { values, nulls: 1 }) if values[0] == 1.0 && values[1].is_nan()));
        assert_eq!(
            found.column("s"),
            Some(&Content::Categories { counts: [("true".to_owned(), 1), ("x".to_owned(), 1)].into(), nulls: 1 })
        );
        assert_eq!(found.column("new"), Some(&Content::Categories { counts: [("4".to_owned(), 1)].into(), nulls: 2 }));
        assert_eq!(found.column("tags").unwrap().kind(), "nested");
        let bad = read(b"{}\n[1]\n", &[]).unwrap_err();
        assert!(bad.at == 3 && bad.why.contains("invalid type"), "{bad:?}");
    }
}
