//! `bellwether models`

use std::fs;
use std::path::{Path, PathBuf};

use bellwether_embeddings::OnnxEmbedder;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::cli::{ModelsAddArgs, ModelsArgs, ModelsCommand, Output};
use crate::config::{self, Config};
use crate::failure::Failure;
use crate::open::vectors::RUNTIME;
use crate::{open, output};

/// Where models lie, beside the configuration.
const FOLDER: &str = "models";
/// What is taken of a model's folder, and where it is looked for.
const FILES: [(&str, &[&str], bool); 5] = [
    ("model.onnx", &["model.onnx", "onnx/model.onnx"], true),
    ("tokenizer.json", &["tokenizer.json"], true),
    ("config.json", &["config.json"], false),
    ("special_tokens_map.json", &["special_tokens_map.json"], false),
    ("tokenizer_config.json", &["tokenizer_config.json"], false),
];

/// A model that was added.
#[derive(Debug, Serialize)]
struct Added {
    name: String,
    embedder_id: String,
    dimensions: usize,
    folder: PathBuf,
    /// Whether the configuration names it now.
    configured: bool,
    /// What the configuration says, or is to say.
    setting: String,
}

/// Runs the command.
pub fn run(path: &Path, config: &Config, args: ModelsArgs, output: Output) -> Result<(), Failure> {
    let models = path.parent().map_or_else(PathBuf::new, Path::to_owned).join(FOLDER);
    match args.command {
        ModelsCommand::Add(args) => {
            let added = add(path, &models, config, &args)?;
            output::print(output, &added, || {
                let begin =
                    format!("{} makes vectors of {} numbers; it lies in {}", added.embedder_id, added.dimensions, added.folder.display());
                let lines = added.setting.trim_end().replace('\n', "\n  ");
                if added.configured {
                    format!("{begin}\n{} says:\n  {lines}\nrun `bellwether embeddings sync` to embed what is in the ledger", path.display())
                } else {
                    format!("{begin}\nto use it, let {} say:\n  {lines}\nthen run `bellwether embeddings sync`", path.display())
                }
            })
        }
        ModelsCommand::List => output::print_rows(output, &list(&models, config), &[]),
    }
}

/// Checks a model by using it, and takes it beside the configuration: it is there whole or not at all.
fn add(path: &Path, models: &Path, config: &Config, args: &ModelsAddArgs) -> Result<Added, Failure> {
    let from = &args.folder;
    if !from.is_dir() {
        return Err(
            Failure::user(format!("{} is no folder", from.display())).hint("name the folder that holds model.onnx and tokenizer.json")
        );
    }
    let named = args.name.clone().or_else(|| Some(from.canonicalize().ok()?.file_name()?.to_string_lossy().into_owned()));
    let name = named.filter(|n| !n.is_empty() && !n.starts_with('.') && !n.contains(['/', '\\']));
    let name = name.ok_or_else(|| Failure::user("the model needs a name that can be a folder's").hint("give it one with --name"))?;
    let runtime = args.runtime.as_deref().or(config.embeddings.runtime.as_deref());
    open::vectors::model(from, runtime)?;
    let folder = models.join(&name);
    let new = models.join(format!(".{name}.{}.new", std::process::id()));
    let kept = take(from, runtime, &new).and_then(|()| place(&new, &folder));
    if new.exists() {
        let _ = fs::remove_dir_all(&new);
    }
    kept?;
    let model = open::vectors::model(&folder, runtime.filter(|_| !folder.join(RUNTIME).is_file()))?;
    let setting = format!("embeddings:\n  model: {FOLDER}/{name}\n");
    let configured = configure(path, config, &folder, &setting)?;
    Ok(Added { name, embedder_id: model.id().to_owned(), dimensions: model.dimensions(), folder, configured, setting })
}

/// Copies what a model consists of.
fn take(from: &Path, runtime: Option<&Path>, to: &Path) -> Result<(), Failure> {
    let failure = |path: &Path, e: std::io::Error| Failure::user(format!("cannot copy the model to {}: {e}", path.display()));
    fs::create_dir_all(to).map_err(|e| failure(to, e))?;
    for (name, places, needed) in FILES {
        match places.iter().map(|place| from.join(place)).find(|path| path.is_file()) {
            Some(path) => drop(fs::copy(path, to.join(name)).map_err(|e| failure(&to.join(name), e))?),
            None if needed => return Err(Failure::user(format!("{} has no {name}", from.display()))),
            None => {}
        }
    }
    let beside = from.join(RUNTIME);
    if let Some(library) = runtime.or_else(|| beside.is_file().then_some(beside.as_path())) {
        fs::copy(library, to.join(RUNTIME)).map_err(|e| failure(&to.join(RUNTIME), e))?;
    }
    Ok(())
}

/// Puts the new folder in its place; one that is there already must be the same model.
fn place(new: &Path, folder: &Path) -> Result<(), Failure> {
    if !folder.exists() {
        return fs::rename(new, folder).map_err(|e| Failure::user(format!("cannot make {}: {e}", folder.display())));
    }
    for (name, _, _) in FILES {
        if fs::read(new.join(name)).ok() != fs::read(folder.join(name)).ok() {
            return Err(Failure::user(format!("{} holds another model: its {name} differs", folder.display()))
                .hint("give the new one another name with --name, or remove the folder"));
        }
    }
    Ok(())
}

/// Names the model in a configuration that has no such section: whether it names it now.
fn configure(path: &Path, config: &Config, folder: &Path, setting: &str) -> Result<bool, Failure> {
    if config.embeddings.model.as_deref() == Some(folder) {
        return Ok(true);
    }
    let name = path.display().to_string();
    let failure = |e: std::io::Error| Failure::config(format!("cannot write {name}: {e}"));
    let text = fs::read_to_string(path).map_err(failure)?;
    let whole = format!("{}\n{setting}", text.trim_end_matches('\n'));
    // A section that is there already is left to the person who wrote it.
    if config::read(&name, &whole, std::iter::empty()).is_err() {
        return Ok(false);
    }
    let mut file =
        tempfile::NamedTempFile::new_in(path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))).map_err(failure)?;
    std::io::Write::write_all(&mut file, whole.as_bytes()).map_err(failure)?;
    if let Ok(old) = fs::metadata(path) {
        fs::set_permissions(file.path(), old.permissions()).map_err(failure)?;
    }
    file.persist(path).map(|_| true).map_err(|e| failure(e.error))
}

/// The models beside the configuration, and what is in use.
fn list(models: &Path, config: &Config) -> Vec<Map<String, Value>> {
    let in_use = config.embeddings.model.as_deref();
    let mut folders: Vec<PathBuf> =
        fs::read_dir(models).map(|listing| listing.filter_map(|entry| entry.ok().map(|e| e.path())).collect()).unwrap_or_default();
    folders.retain(|path| path.is_dir() && !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')));
    folders.extend(in_use.map(Path::to_owned));
    folders.sort();
    folders.dedup();
    let row = |name: String, is_used: bool, model: Result<(String, usize), String>| {
        let (embedder_id, dimensions, problem) = match model {
            Ok((id, dimensions)) => (json!(id), json!(dimensions), Value::Null),
            Err(why) => (Value::Null, Value::Null, json!(why)),
        };
        let pairs = [
            ("model", json!(name)),
            ("in_use", json!(is_used)),
            ("embedder_id", embedder_id),
            ("dimensions", dimensions),
            ("problem", problem),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value)).into_iter().collect::<Map<_, _>>()
    };
    let hashing = bellwether_embeddings::Embedder::default();
    let is_default = in_use.is_none() && config.embeddings.endpoint.is_none();
    let mut rows = vec![row("built in".into(), is_default, Ok((hashing.id(), hashing.dimensions())))];
    if let Some(endpoint) = &config.embeddings.endpoint {
        rows.push(row(
            endpoint.url.host_str().unwrap_or("endpoint").to_owned(),
            in_use.is_none(),
            Ok((format!("{}-{}", endpoint.model, endpoint.dimensions), endpoint.dimensions)),
        ));
    }
    for folder in folders {
        let model = open::vectors::model(&folder, config.embeddings.runtime.as_deref());
        let told = |model: OnnxEmbedder| (model.id().to_owned(), model.dimensions());
        rows.push(row(folder.display().to_string(), in_use == Some(folder.as_path()), model.map(told).map_err(|e| e.message)));
    }
    rows
}
