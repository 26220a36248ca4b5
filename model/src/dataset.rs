//! Datasets, the runs that read and write them, and what is known of their columns.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// A dataset by its OpenLineage name. Text form `namespace:name`, for instance `s3://raw:orders/2026`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DatasetId {
    /// OpenLineage namespace, such as `s3://raw`.
    pub namespace: String,
    /// OpenLineage name, such as `orders/2026`.
    pub name: String,
}

impl DatasetId {
    /// From its two parts.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The dataset that a storage URI names: `s3://models/iris/3` is `iris/3` in `s3://models`; a plain path is in `file`.
    pub fn from_uri(uri: &str) -> Self {
        match uri.split_once("://") {
            Some(("file", path)) => Self::new("file", path),
            Some((scheme, rest)) => {
                let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
                Self::new(format!("{scheme}://{host}"), path.trim_end_matches('/'))
            }
            None => Self::new("file", uri),
        }
    }
}

impl fmt::Display for DatasetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.namespace, self.name)
    }
}

/// A job by its OpenLineage name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobId {
    /// OpenLineage namespace.
    pub namespace: String,
    /// OpenLineage name.
    pub name: String,
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.namespace, self.name)
    }
}

/// One accepted OpenLineage event, whole. A row of the table `lineage_events`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LineageEvent {
    /// Digest of the event's canonical JSON: sending it twice stores it once.
    pub event_id: String,
    /// `START`, `RUNNING`, `COMPLETE`, `ABORT`, `FAIL` or `OTHER`; `DATASET` or `JOB` for events without a run.
    pub event_type: String,
    /// When it happened.
    pub event_time: Timestamp,
    /// OpenLineage run id; empty for events without a run.
    pub run_id: String,
    /// Namespace of the job; empty for dataset events.
    pub job_namespace: String,
    /// Name of the job; empty for dataset events.
    pub job_name: String,
    /// The tool that sent it.
    pub producer: String,
    /// The event's JSON, redacted, with every facet kept.
    pub body: String,
    /// When the row was written.
    pub recorded_at: Timestamp,
}

/// Which way data flows between a run and a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flow {
    /// The run read the dataset.
    Input,
    /// The run wrote the dataset.
    Output,
}

/// One dataset of one run. A row of the table `run_io`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunIo {
    /// OpenLineage run id.
    pub run_id: String,
    /// Namespace of the job.
    pub job_namespace: String,
    /// Name of the job.
    pub job_name: String,
    /// Read or written.
    pub flow: Flow,
    /// Namespace of the dataset.
    pub dataset_namespace: String,
    /// Name of the dataset.
    pub dataset_name: String,
    /// The dataset's version, where the event gave one.
    pub dataset_version: Option<String>,
    /// Time of the event.
    pub event_time: Timestamp,
    /// The event it came from.
    pub event_id: String,
    /// When the row was written.
    pub recorded_at: Timestamp,
}

impl RunIo {
    /// The dataset.
    pub fn dataset(&self) -> DatasetId {
        DatasetId::new(&self.dataset_namespace, &self.dataset_name)
    }
    /// The job.
    pub fn job(&self) -> JobId {
        JobId { namespace: self.job_namespace.clone(), name: self.job_name.clone() }
    }
}

/// What one run saw of one column (OpenLineage `dataQualityMetrics`). A row of the table `column_profiles`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnProfile {
    /// Namespace of the dataset.
    pub dataset_namespace: String,
    /// Name of the dataset.
    pub dataset_name: String,
    /// Name of the column.
    pub column: String,
    /// Time of the event.
    pub event_time: Timestamp,
    /// Values seen, nulls not counted; 0 when the event does not say.
    pub count: i64,
    /// Nulls seen.
    pub null_count: i64,
    /// Distinct values seen, where given.
    pub distinct_count: Option<i64>,
    /// Smallest value.
    pub min: Option<f64>,
    /// Largest value.
    pub max: Option<f64>,
    /// Sum of the values.
    pub sum: Option<f64>,
    /// Values by quantile, `{"0.25": 1.0}`: keys between 0 and 1.
    pub quantiles: BTreeMap<String, f64>,
    /// The event it came from.
    pub event_id: String,
    /// When the row was written.
    pub recorded_at: Timestamp,
}

impl ColumnProfile {
    /// The dataset.
    pub fn dataset(&self) -> DatasetId {
        DatasetId::new(&self.dataset_namespace, &self.dataset_name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_storage_uri_is_a_dataset_name() {
        assert_eq!(DatasetId::from_uri("s3://models/iris/3").to_string(), "s3://models:iris/3");
        assert_eq!(DatasetId::from_uri("/data/x.parquet").to_string(), "file:/data/x.parquet");
        assert_eq!(DatasetId::from_uri("gs://bucket").to_string(), "gs://bucket:");
    }
}
