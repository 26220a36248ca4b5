//! Environment variables: whether they are set, never what they hold.

use super::Item;

/// Variables that this program or its neighbours read, and what each is for.
const VARIABLES: [(&str, &str); 8] = [
    ("POSTGRES_DSN", "address of the run history, in place of runs.postgres.dsn"),
    ("PROM_URL", "address of Prometheus, in place of prometheus.url"),
    ("VAULT_ADDR", "a Vault or OpenBao; keys are in files without it"),
    ("VAULT_ROLE", "the role under which Vault is asked; keys are in files without it"),
    ("VECTOR_DB_URL", "a vector database; past runs are searched in memory without it"),
    ("OPENAI_KEY", "an embedding service; texts are embedded by hashing without it"),
    ("GITHUB_TOKEN", "a GitHub account; nothing is proposed there without it"),
    ("S3_BUCKET", "a bucket; the ledger lies where lake.url says"),
];

/// One item for each variable.
pub fn items() -> Vec<Item> {
    VARIABLES.iter().map(|(name, purpose)| item(name, purpose, std::env::var_os(name).is_some_and(|v| !v.is_empty()))).collect()
}

fn item(name: &str, purpose: &str, is_set: bool) -> Item {
    let in_force = matches!(name, "POSTGRES_DSN" | "PROM_URL");
    let found = match (is_set, in_force) {
        (true, true) => Ok(format!("set, and in force: {purpose}")),
        (true, false) => Ok(format!("set, and nothing in the configuration uses it: {purpose}")),
        (false, _) => Err(format!("not set: {purpose}")),
    };
    Item::optional(name, "environment", found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_named_and_its_value_is_not() {
        let set = item("POSTGRES_DSN", "x", true);
        assert!(set.present && !set.required && set.detail.starts_with("set, and in force"));
        assert!(item("OPENAI_KEY", "x", true).detail.contains("nothing in the configuration uses it"));
        assert!(!item("S3_BUCKET", "x", false).present);
        assert_eq!(items().len(), VARIABLES.len());
    }
}
