//! Stores that fail: what is stored stays whole, and what is stored once stays stored once.

use std::fmt;
use std::sync::atomic::AtomicUsize;

use async_trait::async_trait;
use bellwether_model::label::{Label, LabelKind};
use bellwether_model::series::Series;
use bellwether_model::time::Timestamp;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions,
    PutResult, RenameOptions, Result,
};

use super::*;
use crate::tables::{LABELS, SAMPLES};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// The write lands, and its reply is lost.
    ReplyLost,
    /// The write lands, and a retry inside the store hears that it is there already.
    LandedTwice,
    /// The disk is full.
    Full,
    /// The store refuses us.
    Denied,
}

/// A store in memory whose n-th write to a matching path fails.
#[derive(Debug)]
struct Faulty {
    inner: InMemory,
    fault: Fault,
    at: &'static str,
    writes_to_go: AtomicUsize,
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let now = location.as_ref().contains(self.at) && self.writes_to_go.fetch_sub(1, Ordering::SeqCst) == 1;
        let lost = |e: std::io::Error| Error::Generic { store: "Faulty", source: e.into() };
        if !now {
            return self.inner.put_opts(location, payload, opts).await;
        }
        match self.fault {
            Fault::ReplyLost => {
                self.inner.put_opts(location, payload, opts).await?;
                Err(lost(std::io::ErrorKind::TimedOut.into()))
            }
            Fault::LandedTwice => {
                self.inner.put_opts(location, payload, opts).await?;
                Err(Error::AlreadyExists { path: location.to_string(), source: "412".into() })
            }
            Fault::Full => Err(lost(std::io::ErrorKind::StorageFull.into())),
            Fault::Denied => Err(Error::PermissionDenied { path: location.to_string(), source: "403".into() }),
        }
    }
    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }
    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }
    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }
    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }
    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await
    }
}

fn faulty(fault: Fault, at: &'static str, nth: usize, url: &str) -> (Lake, Arc<Faulty>) {
    let store = Arc::new(Faulty { inner: InMemory::new(), fault, at, writes_to_go: AtomicUsize::new(nth) });
    let place = Place { url: url.parse().unwrap(), store: store.clone(), path: Path::from("ledger") };
    (Lake::at(place), store)
}

fn labels(i: i64) -> [Label; 1] {
    [Label {
        subject_id: format!("inc-{i}"),
        label: LabelKind::Incident,
        comment: None,
        actor: "ann".into(),
        recorded_at: Timestamp::from_secs(i),
    }]
}

async fn files(store: &Faulty, suffix: &str) -> usize {
    store
        .inner
        .list(None)
        .try_filter(|m| std::future::ready(m.location.as_ref().ends_with(suffix)))
        .try_collect::<Vec<_>>()
        .await
        .unwrap()
        .len()
}

#[tokio::test]
async fn a_commit_whose_reply_is_lost_is_stored_once() {
    for fault in [Fault::ReplyLost, Fault::LandedTwice] {
        for lanes in [&[][..], &[Lane::new("journal", 1)]] {
            // The third write to the log is the commit of the second batch.
            let (lake, store) = faulty(fault, "/_delta_log/", 3, "s3://bucket/ledger/");
            lake.append_rows(&LABELS, &labels(0), &[]).await.unwrap();
            let appended = lake.append_rows(&LABELS, &labels(1), lanes).await.unwrap();
            assert!(matches!(appended, Appended::Added { rows: 1, .. }), "{fault:?} {lanes:?}: {appended:?}");
            assert_eq!(lake.snapshot().await.unwrap().stat()[0].rows, 2, "{fault:?} {lanes:?}");
            assert_eq!(files(&store, ".parquet").await, 2, "{fault:?} {lanes:?}");
            if !lanes.is_empty() {
                assert_eq!(lake.append_rows(&LABELS, &labels(1), lanes).await.unwrap(), Appended::AlreadyThere);
            }
        }
    }
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_shows_nothing_half_written() {
    for (at, nth) in [("/labels/part-", 2), ("/labels/_delta_log/", 3), ("/labels/_delta_log/", 1)] {
        let (lake, store) = faulty(Fault::Full, at, nth, "memory:///ledger/");
        let mut stored = 0;
        for i in 0..2 {
            match lake.append_rows(&LABELS, &labels(i), &[Lane::new("x", i)]).await {
                Ok(appended) => stored += appended.rows(),
                Err(error) => assert!(matches!(&error, LakeError::DiskFull { .. }) && error.hint().is_some(), "{error:?}"),
            }
        }
        assert_eq!(stored, 1, "{at} {nth}");
        assert_eq!(files(&store, ".parquet").await, stored, "no file is left behind: {at} {nth}");
        for i in 0..2 {
            lake.append_rows(&LABELS, &labels(i), &[Lane::new("x", i)]).await.unwrap();
        }
        let rows = lake.snapshot().await.unwrap().stat()[0].rows;
        assert_eq!(rows, if (at, nth) == ("/labels/_delta_log/", 1) { 1 } else { 2 }, "repeating after the disk has space");
    }
}

#[tokio::test]
async fn samples_of_several_days_are_stored_together_or_not_at_all() {
    let mut samples = Samples::default();
    let day = 86_400_000_000;
    samples.push(Series::new("up", [].into()), &[0, day, 2 * day], &[1.0, 2.0, 3.0]);
    let (lake, store) = faulty(Fault::Full, "/samples/day=", 3, "memory:///ledger/");
    assert!(matches!(lake.append_samples(&samples, &[]).await, Err(LakeError::DiskFull { .. })));
    assert!(lake.snapshot().await.unwrap().files(&SAMPLES).is_empty());
    assert_eq!(files(&store, ".parquet").await, 1, "the series, and no sample");
    assert_eq!(lake.append_samples(&samples, &[]).await.unwrap().rows(), 3);
    assert_eq!(lake.snapshot().await.unwrap().files(&SAMPLES).len(), 3);
}

#[tokio::test]
async fn refusal_by_the_store_is_told_as_such() {
    let (lake, _) = faulty(Fault::Denied, "/labels/part-", 1, "s3://bucket/ledger/");
    assert!(matches!(lake.append_rows(&LABELS, &labels(1), &[]).await, Err(LakeError::Permission { .. })));
}
