//! A local folder as an object store that survives power loss: when a write returns, the file and its folder are on the disk.
//!
//! Every write goes to a staged file beside its target, is synced, gets its name by one atomic link or rename, and then the
//! folder is synced. So a file that can be seen is always whole. Reading, listing and deleting are `object_store`'s own.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::path::{Path as FsPath, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, RenameTargetMode, Result, UploadPart,
};

const STORE: &str = "folder";

/// The local file system, with every write synced.
#[derive(Debug, Clone, Default)]
pub struct DurableFolder {
    inner: std::sync::Arc<LocalFileSystem>,
}

impl DurableFolder {
    /// The whole file system: paths are absolute.
    pub fn new() -> Self {
        Self::default()
    }

    async fn place(&self, location: &Path, payload: PutPayload, create: bool) -> Result<PutResult> {
        let target = self.inner.path_to_filesystem(location)?;
        blocking(move || write_durably(&target, &payload, create)).await?;
        Ok(PutResult { e_tag: None, version: None })
    }
}

impl fmt::Display for DurableFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DurableFolder")
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(stopped) => Err(Error::JoinError { source: stopped }),
    }
}

fn failed(path: &FsPath, source: io::Error) -> Error {
    let path = path.display().to_string();
    match source.kind() {
        ErrorKind::AlreadyExists => Error::AlreadyExists { path, source: source.into() },
        ErrorKind::NotFound => Error::NotFound { path, source: source.into() },
        ErrorKind::PermissionDenied => Error::PermissionDenied { path, source: source.into() },
        _ => Error::Generic { store: STORE, source: source.into() },
    }
}

fn write_durably(target: &FsPath, payload: &PutPayload, create: bool) -> Result<()> {
    let (mut file, staged) = stage(target).map_err(|e| failed(target, e))?;
    let written = payload
        .iter()
        .try_for_each(|part| file.write_all(part))
        .and_then(|()| file.sync_all())
        .and_then(|()| if create { fs::hard_link(&staged, target) } else { fs::rename(&staged, target) });
    drop(file);
    if create || written.is_err() {
        // The staged name is ignored by every reader; removing it is tidiness, not correctness.
        let _ = fs::remove_file(&staged);
    }
    written.and_then(|()| sync_folder(target)).map_err(|e| failed(target, e))
}

/// A new file beside the target, under a name that listings leave out (`#` and digits at its end).
fn stage(target: &FsPath) -> io::Result<(File, PathBuf)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let mut name = target.as_os_str().to_owned();
        name.push(format!("#{}{:06}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        let staged = PathBuf::from(name);
        match OpenOptions::new().write(true).create_new(true).open(&staged) {
            Ok(file) => return Ok((file, staged)),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            Err(e) if e.kind() == ErrorKind::NotFound => make_folder(target.parent().unwrap_or(FsPath::new("/")))?,
            Err(e) => return Err(e),
        }
    }
}

/// Makes a folder and those above it; each new one is on the disk, name and all, when this returns.
pub(crate) fn make_folder(folder: &FsPath) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(above) = folder.parent() {
        make_folder(above)?;
    }
    match fs::create_dir(folder) {
        Ok(()) => sync_folder(folder),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(e),
    }
}

fn sync_folder(of: &FsPath) -> io::Result<()> {
    of.parent().map_or(Ok(()), sync)
}

/// Puts a file's content, or a folder's names, on the disk.
pub(crate) fn sync(path: &FsPath) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[async_trait]
impl ObjectStore for DurableFolder {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        match opts.mode {
            PutMode::Create => self.place(location, payload, true).await,
            PutMode::Overwrite => self.place(location, payload, false).await,
            PutMode::Update(_) => Err(Error::NotImplemented { operation: "conditional update".into(), implementer: self.to_string() }),
        }
    }

    async fn put_multipart_opts(&self, location: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(Upload { folder: self.clone(), location: location.clone(), parts: Vec::new() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let content = PutPayload::from_bytes(self.inner.get_opts(from, GetOptions::default()).await?.bytes().await?);
        self.place(to, content, options.mode == CopyMode::Create).await.map(|_| ())
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let (source, target) = (self.inner.path_to_filesystem(from)?, self.inner.path_to_filesystem(to)?);
        let create = options.target_mode == RenameTargetMode::Create;
        blocking(move || rename_durably(&source, &target, create).map_err(|e| failed(&target, e))).await
    }
}

fn rename_durably(source: &FsPath, target: &FsPath, create: bool) -> io::Result<()> {
    File::open(source)?.sync_all()?;
    if let Some(folder) = target.parent() {
        make_folder(folder)?;
    }
    if create {
        fs::hard_link(source, target)?;
        sync_folder(target)?;
        fs::remove_file(source)?;
    } else {
        fs::rename(source, target)?;
        sync_folder(target)?;
    }
    sync_folder(source)
}

/// A write in parts: kept in memory, and written as one at the end.
#[derive(Debug)]
struct Upload {
    folder: DurableFolder,
    location: Path,
    parts: Vec<PutPayload>,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.parts.push(data);
        Box::pin(std::future::ready(Ok(())))
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let whole: PutPayload = std::mem::take(&mut self.parts).iter().flat_map(|part| part.iter().cloned().collect::<Vec<_>>()).collect();
        self.folder.place(&self.location, whole, false).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.parts.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;
    use object_store::ObjectStoreExt;

    use super::*;

    #[tokio::test]
    async fn what_can_be_seen_is_whole_and_is_never_overwritten_by_a_create() {
        let folder = tempfile::tempdir().unwrap();
        let store = DurableFolder::new();
        let path = Path::from_absolute_path(folder.path()).unwrap().join("a").join("b.json");
        let create = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        store.put_opts(&path, "one".into(), create.clone()).await.unwrap();
        assert!(matches!(store.put_opts(&path, "two".into(), create).await.unwrap_err(), Error::AlreadyExists { .. }));
        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "one");
        store.put(&path, "three".into()).await.unwrap();
        let mut upload = store.put_multipart(&path).await.unwrap();
        upload.put_part("fo".into()).await.unwrap();
        upload.put_part("ur".into()).await.unwrap();
        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "three");
        upload.complete().await.unwrap();
        let moved = Path::from_absolute_path(folder.path()).unwrap().join("c").join("d");
        store.rename_if_not_exists(&path, &moved).await.unwrap();
        assert_eq!(store.get(&moved).await.unwrap().bytes().await.unwrap(), "four");
        assert!(matches!(store.get(&path).await.unwrap_err(), Error::NotFound { .. }));
        let left: Vec<_> = store.list(Some(&Path::from_absolute_path(folder.path()).unwrap())).try_collect().await.unwrap();
        assert_eq!(left.len(), 1);
        assert_eq!(walk(folder.path()), 1, "no staged file is left");
    }

    fn walk(folder: &FsPath) -> usize {
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).map(|p| if p.is_dir() { walk(&p) } else { 1 }).sum()
    }
}
