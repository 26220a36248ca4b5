//! The table `endpoints`.

use super::TableDef;
use super::column::*;

/// Model endpoints as they were seen.
pub static ENDPOINTS: TableDef = TableDef {
    name: "endpoints",
    doc: "One row for each state in which a model endpoint was seen.",
    columns: &[
        text("endpoint", "Namespace and name of the InferenceService, as namespace/name."),
        text("uid", "Kubernetes UID; empty when declared in the configuration."),
        text("resource_version", "Kubernetes resource version; empty when declared in the configuration."),
        labels("labels", "Labels of the object."),
        text("runtime", "Serving runtime; empty when unknown."),
        text("model_uri", "Storage URI of the model: the OpenLineage dataset that joins the endpoint to lineage.").or_null(),
        int("min_replicas", "Fewest replicas."),
        int("max_replicas", "Most replicas."),
        int("ready_replicas", "Replicas that are ready, where known.").or_null(),
        int("canary_percent", "Share of traffic of the newest revision during a canary, in percent.").or_null(),
        text("revision", "Newest ready revision, where known.").or_null(),
        float("gpus_per_replica", "GPUs that one replica asks for."),
        text("pool", "The pool its pods run on, where known.").or_null(),
        boolean("ready", "Whether its Ready condition is true, where known.").or_null(),
        RECORDED_AT,
    ],
    partition_by: &[],
    sort_by: &["recorded_at", "endpoint"],
    key: &["endpoint"],
    newest: &["recorded_at"],
    event_time: Some("recorded_at"),
};
