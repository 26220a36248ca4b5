use std::path::Path as FsPath;

use bellwether_model::label::{Label, LabelKind};
use bellwether_model::series::Labels;
use bellwether_model::time::{Span, TimeRange};
use futures::TryStreamExt;

use bellwether_model::time::Timestamp;

use super::*;
use crate::block::Block;
use crate::maintain::{Upkeep, Upkept};
use crate::scan::{self, SampleQuery};
use crate::tables::LABELS;

async fn lake(folder: &FsPath) -> Lake {
    Lake::open(folder.to_str().unwrap(), &BTreeMap::new()).await.unwrap()
}

fn label(i: usize) -> Label {
    Label {
        subject_id: format!("inc-{i}"),
        label: LabelKind::Incident,
        comment: None,
        actor: "ann".into(),
        recorded_at: Timestamp::from_secs(i as i64),
    }
}

fn series(i: usize) -> Series {
    Series::new("latency_p95", [("service".to_owned(), format!("s{i}"))].into())
}

/// `n` series with a sample a minute, time-major as Prometheus gives them.
fn minutes(n: usize, minutes: std::ops::Range<i64>, value: f64) -> Samples {
    let mut samples = Samples { series: (0..n).map(series).collect(), ..Samples::default() };
    for minute in minutes {
        for i in 0..n {
            samples.index.push(i as u32);
            samples.ts.push(minute * 60_000_000);
            samples.values.push(value + i as f64);
        }
    }
    samples
}

async fn read(lake: &Lake, series: Option<Vec<i64>>, range: TimeRange) -> Block {
    let snapshot = lake.snapshot().await.unwrap();
    let blocks: Vec<Block> =
        scan::samples(&snapshot, SampleQuery { series: series.map(Arc::new), range }).await.unwrap().try_collect().await.unwrap();
    Block::merge(blocks)
}

fn all() -> TimeRange {
    TimeRange::new(Timestamp::EPOCH, Timestamp::from_secs(10_000_000_000))
}

#[tokio::test]
async fn a_batch_offered_twice_is_stored_once_even_by_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let first = lake(folder.path()).await;
    let lanes = |n| [Lane::new("journal", n)];
    assert_eq!(first.sequence(&LABELS, "journal").await.unwrap(), None);
    assert_eq!(first.append_rows(&LABELS, &[label(1), label(2)], &lanes(7)).await.unwrap(), Appended::Added { version: 1, rows: 2 });
    assert_eq!(first.append_rows(&LABELS, &[label(1), label(2)], &lanes(7)).await.unwrap(), Appended::AlreadyThere);
    let second = lake(folder.path()).await;
    assert_eq!(second.sequence(&LABELS, "journal").await.unwrap(), Some(7));
    assert_eq!(second.append_rows(&LABELS, &[label(1)], &lanes(3)).await.unwrap(), Appended::AlreadyThere);
    assert_eq!(second.append_rows(&LABELS, &[label(3)], &lanes(9)).await.unwrap().rows(), 1);
    assert_eq!(
        first.append_rows(&LABELS, &[label(3)], &lanes(9)).await.unwrap(),
        Appended::AlreadyThere,
        "the first process sees what the second stored"
    );
    assert_eq!(first.append_rows::<Label>(&LABELS, &[], &lanes(10)).await.unwrap(), Appended::Empty);
    let half = first.append_rows(&LABELS, &[label(4)], &[Lane::new("journal", 9), Lane::new("other", 1)]).await;
    assert!(matches!(half, Err(LakeError::HalfStored { stored: 1, lanes: 2, .. })));
    assert_eq!(first.snapshot().await.unwrap().stat()[0].rows, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_at_the_same_time_lose_nothing_and_store_each_batch_once() {
    let folder = tempfile::tempdir().unwrap();
    let lakes = [Arc::new(lake(folder.path()).await), Arc::new(lake(folder.path()).await)];
    let mut tasks = Vec::new();
    for lane in ["a", "b", "shared"] {
        for (i, lake) in lakes.iter().enumerate() {
            let (lake, app) = (lake.clone(), if lane == "shared" { lane.to_owned() } else { format!("{lane}{i}") });
            tasks.push(tokio::spawn(async move {
                let mut added = 0;
                for n in 0..8 {
                    added += lake.append_rows(&LABELS, &[label(n)], &[Lane::new(&app, n as i64)]).await.unwrap().rows();
                }
                added
            }));
        }
    }
    let mut added = 0;
    for task in tasks {
        added += task.await.unwrap();
    }
    assert_eq!(added, 5 * 8);
    let snapshot = lake(folder.path()).await.snapshot().await.unwrap();
    assert_eq!(snapshot.stat()[0].rows, 5 * 8);
    assert!(snapshot.damaged_files().await.is_empty());
    assert_eq!(data_files(folder.path(), "labels"), 5 * 8, "files of lost races are removed");
}

fn data_files(folder: &FsPath, table: &str) -> usize {
    fn count(folder: &FsPath) -> usize {
        std::fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().path())
            .map(|p| if p.is_dir() { if p.ends_with("_delta_log") { 0 } else { count(&p) } } else { 1 })
            .sum()
    }
    count(&folder.join(table))
}

#[tokio::test]
async fn tables_are_what_every_reader_of_delta_knows() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path()).await;
    for n in 0..41 {
        lake.append_rows(&LABELS, &[label(n)], &[Lane::new("x", n as i64)]).await.unwrap();
    }
    let log = folder.path().join("labels/_delta_log");
    let first = std::fs::read_to_string(log.join("00000000000000000000.json")).unwrap();
    assert!(first.contains(r#""minReaderVersion":1,"minWriterVersion":2"#), "{first}");
    assert!(first.contains(r#""delta.checkpointInterval":"20""#) && first.contains("Who said so."));
    assert!(!first.contains("setTransactionRetentionDuration"), "lanes must never expire");
    assert!(log.join("00000000000000000019.checkpoint.parquet").is_file() && log.join("_last_checkpoint").is_file());
    let again = self::lake(folder.path()).await;
    assert_eq!(again.sequence(&LABELS, "x").await.unwrap(), Some(40), "lanes survive checkpoints");
    assert_eq!(again.snapshot().await.unwrap().stat()[0].newest, Some(Timestamp::from_secs(40)));
}

#[tokio::test]
async fn samples_come_back_in_order_once_and_with_the_newest_value() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path()).await;
    let day = 24 * 60;
    assert_eq!(lake.append_samples(&minutes(3, day - 5..day + 5, 0.0), &[Lane::new("p", 1)]).await.unwrap().rows(), 30);
    assert_eq!(lake.append_samples(&minutes(3, day - 5..day + 5, 0.0), &[Lane::new("p", 1)]).await.unwrap(), Appended::AlreadyThere);
    assert_eq!(lake.append_samples(&minutes(4, day..day + 8, 100.0), &[Lane::new("p", 2)]).await.unwrap().rows(), 32);
    let block = read(&lake, None, all()).await;
    assert_eq!((block.ids.len(), block.rows()), (4, 3 * 13 + 8));
    assert!(block.ids.is_sorted());
    let wanted = series(2).series_id.0;
    let one =
        read(&lake, Some(vec![wanted]), TimeRange::new(Timestamp::from_secs((day - 1) * 60), Timestamp::from_secs((day + 1) * 60))).await;
    assert_eq!((one.ids, one.values), (vec![wanted], vec![2.0, 102.0]), "the later batch replaced the value");
    assert_eq!(std::fs::read_dir(folder.path().join("samples")).unwrap().count(), 3, "two days and the log");

    let before = lake.snapshot().await.unwrap();
    let now = Timestamp::from_micros(super::wall_clock_micros());
    let eager = Upkeep { min_files: 2, ..Upkeep::default() };
    let done = lake.maintain(eager, now).await.unwrap();
    assert_eq!((done.duplicates, done.removed), (15, 0));
    assert_eq!(read(&lake, None, all()).await, block);
    let old: Vec<Block> = scan::samples(&before, SampleQuery { series: None, range: all() }).await.unwrap().try_collect().await.unwrap();
    assert_eq!(Block::merge(old), block, "a pinned snapshot still reads its files");
    let replay = lake.snapshot_at(&before.versions()).await.unwrap();
    assert_eq!(replay.files(&SAMPLES), before.files(&SAMPLES));
    assert!(matches!(
        lake.snapshot_at(&BTreeMap::from([("samples".to_owned(), 999)])).await,
        Err(LakeError::NoVersion { version: 999, .. })
    ));

    assert!(matches!(
        lake.maintain(Upkeep { retention: Span::from_hours(23), ..eager }, now).await,
        Err(LakeError::Retention { hours: 23 })
    ));
    assert_eq!(lake.maintain(eager, now + Span::from_days(6)).await.unwrap(), Upkept::default());
    assert_eq!(lake.maintain(eager, now + Span::from_days(8)).await.unwrap().removed, done.merged);
    assert_eq!(read(&lake, None, all()).await, block);
    assert!(lake.snapshot().await.unwrap().damaged_files().await.is_empty());
    assert_eq!(before.damaged_files().await.len(), done.merged, "what was replaced eight days ago is gone");
}

#[tokio::test]
async fn many_series_are_read_in_slices_and_single_series_by_their_pages() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path()).await;
    lake.append_samples(&minutes(700, 0..600, 0.0), &[]).await.unwrap();
    lake.append_samples(&minutes(700, 600..700, 0.0), &[]).await.unwrap();
    let snapshot = lake.snapshot().await.unwrap();
    let blocks: Vec<Block> =
        scan::samples(&snapshot, SampleQuery { series: None, range: all() }).await.unwrap().try_collect().await.unwrap();
    assert!(blocks.len() > 1);
    assert_eq!(blocks.iter().map(Block::rows).sum::<usize>(), 700 * 700);
    assert!(blocks.windows(2).all(|w| w[0].ids.last() < w[1].ids.first()));
    for i in [0, 13, 699] {
        let one = read(&lake, Some(vec![series(i).series_id.0]), all()).await;
        assert_eq!(one.rows(), 700);
        assert!(one.values.iter().all(|v| *v == i as f64));
    }
}

#[tokio::test]
async fn two_series_with_one_id_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path()).await;
    lake.append_samples(&minutes(2, 0..1, 0.0), &[]).await.unwrap();
    let twin = Series { metric: "other".into(), labels: Labels::new(), series_id: series(1).series_id };
    let mut samples = Samples::default();
    samples.push(twin, &[1], &[1.0]);
    for lake in [&lake, &self::lake(folder.path()).await] {
        let error = lake.append_samples(&samples, &[]).await.unwrap_err();
        assert!(
            matches!(&error, LakeError::Collision { stored, offered } if stored.metric == "latency_p95" && offered.metric == "other"),
            "{error}"
        );
    }
    assert_eq!(read(&lake, None, all()).await.rows(), 2, "nothing of the batch is stored");
}

#[tokio::test]
async fn a_damaged_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path()).await;
    lake.append_samples(&minutes(50, 0..60, 0.0), &[]).await.unwrap();
    let snapshot = lake.snapshot().await.unwrap();
    let file = folder.path().join("samples").join(&snapshot.files(&SAMPLES)[0].path);
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let damaged = snapshot.damaged_files().await;
    assert_eq!(damaged.len(), 1);
    assert!(damaged[0].to_string().starts_with("samples has a damaged file samples/day=1970-01-01/part-"), "{}", damaged[0]);
    assert!(damaged[0].hint().is_some());
    assert!(matches!(scan::samples(&snapshot, SampleQuery { series: None, range: all() }).await.err(), Some(LakeError::Damaged { .. })));
    std::fs::remove_file(&file).unwrap();
    assert!(matches!(snapshot.damaged_files().await[..], [LakeError::Damaged { .. }]));
}
