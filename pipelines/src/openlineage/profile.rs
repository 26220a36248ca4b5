//! Column profiles from `dataQualityMetrics` facets: what drift is judged on where the data itself is out of reach.

use std::collections::BTreeMap;

use bellwether_model::dataset::ColumnProfile;
use bellwether_model::time::Timestamp;
use serde_json::Value;

use super::facet;

/// The event that profiles come from.
pub(super) struct Origin<'a> {
    pub(super) event_id: &'a str,
    pub(super) event_time: Timestamp,
    pub(super) recorded_at: Timestamp,
}

/// The profiles that one dataset of an event carries, as a dataset facet or, more specific to this run, as an input facet. Measures that
/// are no finite number are left out; quantiles whose key is not between 0 and 1 too.
pub(super) fn of_dataset(dataset: &Value, namespace: &str, name: &str, origin: &Origin<'_>) -> Vec<ColumnProfile> {
    let input = dataset.get("inputFacets").and_then(|f| f.get("dataQualityMetrics"));
    let mut columns: BTreeMap<&String, (&Value, Option<i64>)> = BTreeMap::new();
    for metrics in [facet(dataset, "dataQualityMetrics"), input].into_iter().flatten() {
        let rows = metrics.get("rowCount").and_then(whole);
        for (column, measures) in metrics.get("columnMetrics").and_then(Value::as_object).into_iter().flatten() {
            columns.insert(column, (measures, rows));
        }
    }
    columns
        .into_iter()
        .map(|(column, (measures, rows))| {
            let number = |key: &str| measures.get(key).and_then(finite);
            let null_count = measures.get("nullCount").and_then(whole).unwrap_or(0);
            let quantiles = measures.get("quantiles").and_then(Value::as_object).into_iter().flatten();
            ColumnProfile {
                dataset_namespace: namespace.to_owned(),
                dataset_name: name.to_owned(),
                column: column.clone(),
                event_time: origin.event_time,
                count: measures.get("count").and_then(whole).or(rows.map(|r| r - null_count)).unwrap_or(0).max(0),
                null_count,
                distinct_count: measures.get("distinctCount").and_then(whole),
                min: number("min"),
                max: number("max"),
                sum: number("sum"),
                quantiles: quantiles
                    .filter(|(key, _)| key.parse::<f64>().is_ok_and(|q| (0.0..=1.0).contains(&q)))
                    .filter_map(|(key, v)| Some((key.clone(), finite(v)?)))
                    .collect(),
                event_id: origin.event_id.to_owned(),
                recorded_at: origin.recorded_at,
            }
        })
        .collect()
}

fn finite(value: &Value) -> Option<f64> {
    value.as_f64().filter(|v| v.is_finite())
}

/// A count; some clients write `3.0`.
fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| finite(value).map(|v| v.round() as i64)).filter(|n| *n >= 0)
}
