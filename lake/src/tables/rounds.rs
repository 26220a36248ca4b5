//! The table `rounds`.

use super::TableDef;
use super::column::*;

/// Finished rounds.
pub static ROUNDS: TableDef = TableDef {
    name: "rounds",
    doc: "One row for each finished round of judging, written last. What a round concluded counts only when it is here.",
    columns: &[
        text("round_id", "Hash of versions, time, seed and configuration."),
        time("as_of", "Event time up to which was judged."),
        json("versions", "Version of every table that was read."),
        int("seed", "Seed of everything random."),
        text("config_digest", "Digest of the configuration that was in force."),
        text("result_digest", "Digest of all rows that the round concluded: a replay gives the same."),
        int("series", "Series judged."),
        int("samples", "Samples judged."),
        int("signals", "Signals opened, worsened or closed."),
        int("incidents", "Incidents opened, updated or closed."),
        int("recommendations", "Recommendations made."),
        json("skipped", "Series and columns that were not judged, each once, by reason; under no_series rules without a series."),
        time("started_at", "When the round began on the wall clock."),
        RECORDED_AT,
    ],
    partition_by: &[],
    sort_by: &["as_of"],
    key: &["round_id"],
    newest: &["recorded_at"],
    event_time: Some("as_of"),
};
