//! What helps a person whose query is wrong, on the command line and over the API.

use bellwether_governance::yaml::nearest;
use bellwether_lake::tables;
use bellwether_sql::SqlError;

/// What would be right, where the query names a table that the ledger does not have.
pub fn hint(error: &SqlError) -> Option<String> {
    let message = error.to_string();
    let name = message.split_once("table 'bellwether.public.")?.1.split_once("' not found")?.0;
    Some(tables_like(name))
}

/// The tables that are there, the nearest to this name first.
fn tables_like(name: &str) -> String {
    let known: Vec<String> = tables::ALL.iter().flat_map(|def| [def.name.to_owned(), format!("{}_current", def.name)]).collect();
    let near = nearest(name, known.iter().map(String::as_str)).map(|near| format!("did you mean {near}? ")).unwrap_or_default();
    format!("{near}`SHOW TABLES` lists every table, docs/sql.md describes them")
}
