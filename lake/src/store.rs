//! Where a ledger lies: a folder, or a bucket by URL. Opens the object store and Delta's log store over it.
//!
//! Stores are passed by hand, never looked up in a process-wide registry, so two ledgers in one process cannot mix.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use deltalake_core::logstore::{LogStoreRef, StorageConfig, default_logstore};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ClientConfigKey, ObjectStore};
use url::Url;

use crate::durable::{DurableFolder, make_folder, sync};
use crate::error::LakeError;

/// An open place: the store of the whole folder tree or bucket, and the ledger's path in it.
#[derive(Clone, Debug)]
pub struct Place {
    /// Address of the ledger, with a slash at its end.
    pub url: Url,
    /// The store; paths begin at its root.
    pub store: Arc<dyn ObjectStore>,
    /// The ledger's path in the store.
    pub path: Path,
}

impl Place {
    /// Opens a folder (made when it is missing) or a URL: `file://`, `s3://`, `memory://`.
    ///
    /// Options are those of `object_store` for the scheme (`aws_region`, `aws_endpoint_url`, `aws_access_key_id`, …); the
    /// environment variables `AWS_*` count where an option is not given.
    pub fn open(location: &str, options: &BTreeMap<String, String>) -> Result<Self, LakeError> {
        let wrong = |reason: String| LakeError::Location { location: location.to_owned(), reason };
        let url = match Url::parse(location) {
            Ok(url) if url.scheme().len() > 1 => url,
            _ => return Self::folder(location, PathBuf::from(location)),
        };
        match url.scheme() {
            "file" => Self::folder(location, url.to_file_path().map_err(|()| wrong("the path is not absolute".into()))?),
            "memory" => Self::at(url, Arc::new(InMemory::new())).map_err(wrong),
            "s3" | "s3a" => {
                let store = s3(&url, options).map_err(|e| wrong(e.to_string()))?;
                Self::at(url, store).map_err(wrong)
            }
            other => Err(wrong(format!("unknown scheme {other:?}; known are file, s3 and memory"))),
        }
    }

    fn folder(location: &str, path: PathBuf) -> Result<Self, LakeError> {
        let wrong = |reason: &str| LakeError::Location { location: location.to_owned(), reason: reason.to_owned() };
        if location.trim().is_empty() {
            return Err(wrong("it is empty"));
        }
        let path = std::path::absolute(&path).map_err(|e| LakeError::store(location, e))?;
        if path.is_file() {
            return Err(wrong("it is a file, not a folder"));
        }
        make_folder(&path).map_err(|e| LakeError::store(path.display().to_string(), e))?;
        let path = path.canonicalize().map_err(|e| LakeError::store(path.display().to_string(), e))?;
        let url = Url::from_directory_path(&path).map_err(|()| wrong("the path is not absolute"))?;
        Self::at(url, Arc::new(DurableFolder::new())).map_err(|reason| wrong(&reason))
    }

    fn at(mut url: Url, store: Arc<dyn ObjectStore>) -> Result<Self, String> {
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        let path = Path::from_url_path(url.path()).map_err(|e| e.to_string())?;
        Ok(Self { url, store, path })
    }

    /// The path of a file that lies at `relative` below the ledger.
    pub fn resolve(&self, relative: &str) -> Path {
        relative.split('/').filter(|part| !part.is_empty()).fold(self.path.clone(), |path, part| path.join(part))
    }

    /// Whether a commit with this outcome is known not to have landed, now and for good. A bucket's error leaves that open.
    pub(crate) fn is_settled(&self, outcome: &Result<Option<i64>, LakeError>) -> bool {
        match outcome {
            Ok(landed) => landed.is_none(),
            Err(LakeError::Busy { .. }) => true,
            Err(_) => matches!(self.url.scheme(), "file" | "memory"),
        }
    }

    /// Makes sure that a commit which was found to have landed is on the disk: its own error may have been that of the sync.
    pub(crate) fn sync_log(&self, table: &str) -> Result<(), LakeError> {
        match self.url.to_file_path() {
            Ok(folder) if self.url.scheme() == "file" => {
                sync(&folder.join(table).join("_delta_log")).map_err(|e| LakeError::store(format!("table {table}"), e))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn log_store(&self, table: &str) -> Result<LogStoreRef, LakeError> {
        let bug = |e: url::ParseError| LakeError::Bug(format!("address of table {table}: {e}"));
        let url = self.url.join(&format!("{table}/")).map_err(bug)?;
        let prefixed = Arc::new(PrefixStore::new(self.store.clone(), self.path.clone().join(table)));
        Ok(default_logstore(prefixed, self.store.clone(), &url, &StorageConfig::default()))
    }
}

fn s3(url: &Url, options: &BTreeMap<String, String>) -> Result<Arc<dyn ObjectStore>, object_store::Error> {
    let mut builder = AmazonS3Builder::from_env().with_url(url.as_str().replacen("s3a://", "s3://", 1));
    for (name, value) in options {
        let value = if name.ends_with("url") { value.trim_end_matches('/') } else { value.as_str() };
        if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() {
            builder = builder.with_config(key, value);
        } else if let Ok(key) = name.to_ascii_lowercase().parse::<ClientConfigKey>() {
            builder = builder.with_config(AmazonS3ConfigKey::Client(key), value);
        } else {
            return Err(object_store::Error::Generic { store: "S3", source: format!("unknown option {name:?}").into() });
        }
    }
    Ok(Arc::new(builder.build()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_folders_and_known_urls() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("a b/ledger");
        let place = Place::open(inside.to_str().unwrap(), &BTreeMap::new()).unwrap();
        assert!(inside.is_dir() && place.url.as_str().ends_with("/a%20b/ledger/"));
        assert!(place.resolve("samples/day=2026-01-01/x.parquet").as_ref().ends_with("a b/ledger/samples/day=2026-01-01/x.parquet"));
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        for wrong in ["", "ftp://host/x", file.to_str().unwrap()] {
            assert!(matches!(Place::open(wrong, &BTreeMap::new()), Err(LakeError::Location { .. })), "{wrong}");
        }
    }

    #[test]
    fn buckets_take_options_and_refuse_unknown_ones() {
        let options = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<BTreeMap<_, _>>();
        let known = options(&[
            ("aws_region", "eu-1"),
            ("aws_endpoint_url", "http://127.0.0.1:1/"),
            ("allow_http", "true"),
            ("aws_access_key_id", "a"),
            ("aws_secret_access_key", "b"),
        ]);
        let place = Place::open("s3://bucket/deep/ledger", &known).unwrap();
        assert_eq!(place.resolve("runs").as_ref(), "deep/ledger/runs");
        let error = Place::open("s3://bucket/ledger", &options(&[("aws_regoin", "eu-1")])).unwrap_err();
        assert!(error.to_string().contains("aws_regoin"), "{error}");
    }
}
