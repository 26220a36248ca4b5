//! What lies on disk or in a bucket: the ledger, the journal, keys, files that are read.

use std::path::Path;

use super::{Item, words};
use crate::auth::local_public_key;
use crate::command::audit;
use crate::config::Config;
use crate::failure::chain;
use crate::open;

/// The ledger, the journal, keys, and files of runs and lineage.
pub async fn items(config: &Config) -> Vec<Item> {
    let mut items = vec![Item::needed("lake", "store", "everything", ledger(config).await)];
    items.extend(journal(config).await);
    items.push(redaction_key(config));
    items.push(approvals(config));
    let files = config
        .runs
        .files
        .iter()
        .map(|p| ("runs.files", "ingest runs", p))
        .chain(config.lineage.files.iter().map(|p| ("lineage.files", "ingest lineage", p)));
    items.extend(files.map(|(name, blocks, path)| Item::needed(name, "file", blocks, readable(path))));
    if let Some(prometheus) = &config.prometheus {
        let secrets = prometheus.bearer_token_file.iter().chain(prometheus.basic_auth.iter().map(|b| &b.password_file));
        items.extend(secrets.map(|path| Item::needed("prometheus credentials", "key", "ingest prometheus", readable(path))));
    }
    items
}

async fn ledger(config: &Config) -> Result<String, String> {
    let lake = open::lake(config).await.map_err(|f| words(&f))?;
    let snapshot = lake.snapshot().await.map_err(|e| words(&open::lake_failure(&e)))?;
    if let Ok(folder) = lake.place().url.to_file_path() {
        writable(&folder)?;
    }
    let stat = snapshot.stat();
    let rows: i64 = stat.iter().map(|t| t.rows).sum();
    let bytes: u64 = stat.iter().map(|t| t.bytes).sum();
    Ok(format!("{}: {} tables, {rows} rows, {:.1} MB", config.lake.url, stat.len(), bytes as f64 / 1e6))
}

async fn journal(config: &Config) -> Vec<Item> {
    const BLOCKS: &str = "round, approve, act";
    let path = &config.journal.path;
    if !path.exists() {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let found = writable(folder).map(|()| format!("{} will be made by the first round", path.display()));
        return vec![Item::needed("journal", "store", BLOCKS, found)];
    }
    let journal = match open::journal(config).await {
        Ok(journal) => journal,
        Err(failure) => return vec![Item::needed("journal", "store", BLOCKS, Err(words(&failure)))],
    };
    let open = journal
        .open_executions()
        .await
        .map(|open| format!("{}: {} executions are open", path.display(), open.len()))
        .map_err(|e| chain(&e));
    let chain_holds =
        audit::verify(&journal).await.map(|s| format!("{} entries, each follows from the one before", s.entries)).map_err(|f| words(&f));
    vec![Item::needed("journal", "store", BLOCKS, open), Item::needed("audit chain", "integrity", "trust in the journal", chain_holds)]
}

fn redaction_key(config: &Config) -> Item {
    let path = &config.redaction.key_file;
    if !path.exists() {
        return Item::optional("redaction.key_file", "key", Err(format!("{} will be made by the first ingest", path.display())));
    }
    let found = open::redactor(config).map(|_| format!("{} is there, readable by its owner alone", path.display())).map_err(|f| words(&f));
    Item::needed("redaction.key_file", "key", "ingest", found)
}

/// What tokens of approvers are checked with.
fn approvals(config: &Config) -> Item {
    let serve = &config.serve;
    let made = serve.public_key_file.is_some() || serve.issuer.is_some() || !matches!(local_public_key(&serve.key_file), Ok(None));
    if !made {
        let why = format!("{} is not there: `bellwether token issue` makes it; nobody can approve until then", serve.key_file.display());
        return Item::optional("serve.key_file", "key", Err(why));
    }
    let found = open::verifier(config)
        .map(|_| {
            serve.issuer.as_ref().map_or_else(|| "tokens of the local key count".to_owned(), |issuer| format!("tokens of {issuer} count"))
        })
        .map_err(|f| words(&f));
    Item::needed("serve.key_file", "key", "approve, serve", found)
}

fn readable(path: &Path) -> Result<String, String> {
    match std::fs::File::open(path).and_then(|f| f.metadata()) {
        Ok(metadata) if metadata.is_dir() => Err(format!("{} is a folder", path.display())),
        Ok(metadata) => Ok(format!("{}: {} bytes", path.display(), metadata.len())),
        Err(e) => Err(format!("{} cannot be read: {e}", path.display())),
    }
}

fn writable(folder: &Path) -> Result<(), String> {
    tempfile::NamedTempFile::new_in(folder).map(drop).map_err(|e| format!("the folder {} cannot be written: {e}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_folders_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        assert!(writable(dir.path()).is_ok() && writable(&dir.path().join("none")).unwrap_err().contains("none"));
        assert!(readable(dir.path()).unwrap_err().contains("is a folder"));
        let path = dir.path().join("a");
        std::fs::write(&path, "x").unwrap();
        assert!(readable(&path).unwrap().ends_with("1 bytes"));
    }
}
