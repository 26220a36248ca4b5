//! The tables of the ledger, one a file. A table is added in one new file and one line of the list below.
//!
//! The documentation here is the source of the SQL reference and of the comments that other engines show.

mod column;

pub use column::{Column, Kind};

/// A table of the ledger.
#[derive(Debug)]
pub struct TableDef {
    /// Its name: the folder in the ledger, and the table in SQL.
    pub name: &'static str,
    /// What a row is.
    pub doc: &'static str,
    /// Its columns in order. The first ones carry per-file statistics that other engines prune by.
    pub columns: &'static [Column],
    /// Columns whose values name the folders of the files; empty for most tables.
    pub partition_by: &'static [&'static str],
    /// Order of the rows in each file.
    pub sort_by: &'static [&'static str],
    /// Columns that name one fact; of the rows with equal key, the newest is the fact's present state.
    pub key: &'static [&'static str],
    /// What makes a row newer than another of the same key: compared in this order, greater is newer, null is oldest.
    pub newest: &'static [&'static str],
    /// Column that says when it happened in the fleet: what `as_of` cuts. None where rows have no time.
    pub event_time: Option<&'static str>,
}

impl TableDef {
    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&'static Column> {
        self.columns.iter().find(|c| c.name == name)
    }
    /// Whether rows are conclusions of a round, which count only once the round is finished.
    pub fn is_judged(&self) -> bool {
        self.name != "rounds" && self.column("round_id").is_some()
    }
    /// The table of this name.
    pub fn of_name(name: &str) -> Option<&'static Self> {
        ALL.iter().copied().find(|t| t.name == name)
    }
}

impl PartialEq for TableDef {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

macro_rules! tables {
    ($($file:ident $table:ident),* $(,)?) => {
        $(mod $file; pub use $file::$table;)*
        /// Every table, in order of the story they tell.
        pub static ALL: &[&TableDef] = &[$(&$table),*];
    };
}

tables! {
    series SERIES,
    samples SAMPLES,
    rejects REJECTS,
    runs RUNS,
    lineage_events LINEAGE_EVENTS,
    run_io RUN_IO,
    column_profiles COLUMN_PROFILES,
    endpoints ENDPOINTS,
    pools POOLS,
    nodes NODES,
    changes CHANGES,
    costs COSTS,
    detector_states DETECTOR_STATES,
    signals SIGNALS,
    suppressions SUPPRESSIONS,
    incidents INCIDENTS,
    matches MATCHES,
    recommendations RECOMMENDATIONS,
    plans PLANS,
    decisions DECISIONS,
    approvals APPROVALS,
    executions EXECUTIONS,
    outcomes OUTCOMES,
    audit AUDIT,
    labels LABELS,
    rounds ROUNDS,
    embeddings EMBEDDINGS,
}

pub use embeddings::StoredVector;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn definitions_name_columns_that_exist() {
        let names: BTreeSet<_> = ALL.iter().map(|t| t.name).collect();
        assert_eq!(names.len(), ALL.len(), "table names are unique");
        for table in ALL {
            let named = [table.partition_by, table.sort_by, table.key, table.newest].concat();
            for name in named.iter().copied().chain(table.event_time) {
                assert!(table.column(name).is_some(), "{}.{name}", table.name);
            }
            let columns: BTreeSet<_> = table.columns.iter().map(|c| c.name).collect();
            assert_eq!(columns.len(), table.columns.len(), "{}", table.name);
            assert!(!table.doc.is_empty() && table.columns.iter().all(|c| !c.doc.is_empty()));
            assert!(table.columns.iter().all(|c| c.name.chars().all(|c| c.is_ascii_lowercase() || c == '_')), "{}", table.name);
        }
    }
}
