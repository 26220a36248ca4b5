//! Opening what the configuration names. Every command opens only what it uses.

pub mod vectors;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use bellwether_detectors::rule::Rule;
use bellwether_embeddings::Redactor;
use bellwether_executor::{Cluster, Journal};
use bellwether_governance::binding::{Governance, Parts};
use bellwether_governance::blueprint::Draft;
use bellwether_governance::checks::CheckMap;
use bellwether_governance::playbook;
use bellwether_governance::yaml::{self, LoadError, LoadErrors};
use bellwether_lake::{Lake, LakeError};
use bellwether_pipelines::ingest::{Metrics, Sources};
use bellwether_pipelines::prometheus::Prometheus;
use bellwether_pipelines::rules::{self, MetricRule, packs};
use kube::config::{KubeConfigOptions, Kubeconfig};
use rand::TryRng as _;

use crate::auth::{LOCAL_ISSUER, Verifier, local_public_key};
use crate::config::{ActMode, Config};
use crate::failure::{Failure, Kind, chain};

/// The ledger.
pub async fn lake(config: &Config) -> Result<Lake, Failure> {
    Lake::open(&config.lake.url, &config.lake.options).await.map_err(|e| lake_failure(&e))
}

/// A ledger's error in words.
pub fn lake_failure(error: &LakeError) -> Failure {
    let kind = if matches!(error, LakeError::Bug(_)) {
        Kind::Internal
    } else if error.is_upstream() {
        Kind::Upstream
    } else {
        Kind::User
    };
    Failure { hint: error.hint().map(str::to_owned), ..Failure::of(kind, error) }
}

/// The journal.
pub async fn journal(config: &Config) -> Result<Journal, Failure> {
    Journal::open(&config.journal.path).await.map_err(|e| Failure::of(Kind::Upstream, &e))
}

/// The Prometheus of the configuration.
pub fn prometheus(config: &Config) -> Result<Prometheus, Failure> {
    let settings = config.prometheus.clone().ok_or_else(|| {
        Failure::config("no Prometheus is configured").hint("set `prometheus: {url: http://HOST:9090}`, or PROM_URL in the environment")
    })?;
    Prometheus::new(settings).map_err(|e| Failure::of(Kind::Config, &e))
}

/// The cluster, where one is configured.
pub async fn cluster(config: &Config) -> Result<Cluster, Failure> {
    let Some(settings) = &config.kubernetes else { return Ok(Cluster::None) };
    let failure = |e: &dyn std::error::Error| {
        Failure::of(Kind::Config, e).hint("check `kubernetes` in the configuration, and the kubeconfig that it names")
    };
    let options = KubeConfigOptions { context: settings.context.clone(), ..KubeConfigOptions::default() };
    let client_config = match &settings.kubeconfig {
        Some(path) => {
            let file = Kubeconfig::read_from(path).map_err(|e| failure(&e))?;
            kube::Config::from_custom_kubeconfig(file, &options).await.map_err(|e| failure(&e))?
        }
        None if settings.context.is_some() => kube::Config::from_kubeconfig(&options).await.map_err(|e| failure(&e))?,
        None => kube::Config::infer().await.map_err(|e| failure(&e))?,
    };
    Ok(Cluster::Kubernetes(kube::Client::try_from(client_config).map_err(|e| failure(&e))?))
}

/// The metric rules of the configuration: packs and files.
pub fn rules(config: &Config) -> Result<Vec<MetricRule>, Failure> {
    let Some(prometheus) = &config.prometheus else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for name in &prometheus.packs {
        let pack = packs::named(name)
            .ok_or_else(|| Failure::config(format!("there is no pack {name:?}")).hint(yaml::suggestion(name, packs::NAMES)))?;
        all.extend(pack.rules);
    }
    all.extend(rules::load(&prometheus.rules).map_err(|e| Failure::of(Kind::Config, &e))?);
    Ok(all)
}

/// How those metrics are judged.
pub fn detection(metrics: &[MetricRule]) -> Result<Vec<Rule>, Failure> {
    rules::detection(metrics).map_err(|e| Failure::of(Kind::Config, &e))
}

/// Everything that ingest pulls from.
pub async fn sources(config: &Config, metrics: Vec<MetricRule>) -> Result<Sources, Failure> {
    let prometheus = match &config.prometheus {
        Some(settings) => Some(Metrics { client: prometheus(config)?, settings: settings.clone(), rules: metrics }),
        None => None,
    };
    Ok(Sources {
        prometheus,
        postgres: config.runs.postgres.clone(),
        run_files: config.runs.files.clone(),
        lineage_files: config.lineage.files.clone(),
        endpoints: config.endpoints.clone(),
        pools: config.pools.clone(),
        cluster: cluster(config).await?,
    })
}

/// What is wrong with files that people wrote.
pub fn load_failure(errors: LoadErrors) -> Failure {
    let hint = errors.0.iter().find_map(|e| e.hint.clone());
    let lines: Vec<String> = errors.0.iter().map(|e| format!("{}: {}", e.place, e.message)).collect();
    Failure { kind: Kind::Config, message: lines.join("\n       "), hint }
}

/// Blueprints, playbooks, checks and bindings.
pub fn governance(config: &Config) -> Result<Governance, Failure> {
    let settings = &config.governance;
    let mut parts = Parts { services: settings.services.clone(), ..Parts::default() };
    let mut errors: Vec<LoadError> = Vec::new();
    if let Some(folder) = &settings.blueprints {
        let global = folder.join("global");
        if global.is_dir() {
            parts.global = each_yaml(&global, &mut errors, |name, text| Draft::parse(name, text).map_err(|e| LoadErrors(vec![e])))?;
        }
        parts.blueprints = each_yaml(folder, &mut errors, |name, text| Draft::parse(name, text).map_err(|e| LoadErrors(vec![e])))?;
    }
    if let Some(folder) = &settings.playbooks {
        parts.playbooks = each_yaml(folder, &mut errors, playbook::load)?;
    }
    parts.checks = match &settings.checks {
        Some(path) => match CheckMap::parse(&path.display().to_string(), &read(path)?) {
            Ok(checks) => checks,
            Err(found) => {
                errors.extend(found.0);
                CheckMap::default()
            }
        },
        None => CheckMap::builtin(),
    };
    // On a real cluster only pinned playbooks run.
    let executes = config.act.mode == ActMode::Execute && config.kubernetes.is_some();
    parts.pins = (executes || !settings.pins.is_empty()).then(|| settings.pins.clone());
    LoadErrors::check(errors).map_err(load_failure)?;
    Governance::assemble(parts).map_err(load_failure)
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|e| Failure::config(format!("cannot read {}: {e}", path.display())))
}

/// Reads every YAML file directly in a folder, by name.
fn each_yaml<T>(
    folder: &Path,
    errors: &mut Vec<LoadError>,
    parse: impl Fn(&str, &str) -> Result<T, LoadErrors>,
) -> Result<Vec<T>, Failure> {
    let listing = fs::read_dir(folder).map_err(|e| Failure::config(format!("cannot read the folder {}: {e}", folder.display())))?;
    let mut paths: Vec<_> = listing
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|p| p.extension().is_some_and(|x| x == "yaml" || x == "yml"))
        .collect();
    paths.sort();
    let mut parsed = Vec::new();
    for path in paths {
        match parse(&path.display().to_string(), &read(&path)?) {
            Ok(one) => parsed.push(one),
            Err(found) => errors.extend(found.0),
        }
    }
    Ok(parsed)
}

/// What hides personal data and secrets. Its key is made on first use, readable by its owner alone.
pub fn redactor(config: &Config) -> Result<Redactor, Failure> {
    let path = &config.redaction.key_file;
    let failure = |e: std::io::Error| Failure::config(format!("cannot use the redaction key {}: {e}", path.display()));
    let key = if path.exists() {
        let mode = fs::metadata(path).map_err(failure)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(Failure::config(format!("the redaction key {} can be read by others (mode {mode:o})", path.display()))
                .hint(format!("run `chmod 600 {}`", path.display())));
        }
        fs::read(path).map_err(failure)?
    } else {
        let mut key = vec![0u8; 32];
        rand::rngs::SysRng
            .try_fill_bytes(&mut key)
            .map_err(|e| Failure::new(Kind::Upstream, format!("the operating system gave no randomness: {e}")))?;
        if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(failure)?;
        }
        // It appears whole or not at all, and of several processes that begin at once the first one's key counts.
        let own = path.with_extension(format!("{}.new", std::process::id()));
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&own).map_err(failure)?;
        file.write_all(&key).and_then(|()| file.sync_all()).map_err(failure)?;
        let linked = fs::hard_link(&own, path);
        fs::remove_file(&own).map_err(failure)?;
        match linked {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => fs::read(path).map_err(failure)?,
            linked => linked.map(|()| key).map_err(failure)?,
        }
    };
    Redactor::new(&key, &config.redaction.names).map_err(|e| Failure::of(Kind::Config, &e))
}

/// Who may ask and approve: the identity provider of the configuration, or else the local key.
pub fn verifier(config: &Config) -> Result<Verifier, Failure> {
    let serve = &config.serve;
    let (issuer, pem) = match (&serve.issuer, &serve.public_key_file) {
        (Some(issuer), Some(path)) => (issuer.clone(), read(path)?),
        (None, None) => {
            let pem = local_public_key(&serve.key_file).map_err(|e| Failure::of(Kind::Config, &e))?;
            let pem = pem.ok_or_else(|| {
                Failure::config(format!("there is no key at {} to check tokens with", serve.key_file.display()))
                    .hint("make one with `bellwether token issue --subject YOU --role org-admin`")
            })?;
            (LOCAL_ISSUER.to_owned(), pem)
        }
        _ => return Err(Failure::config("serve.issuer and serve.public_key_file belong together: set both or neither")),
    };
    Verifier::new(issuer, &pem).map_err(|e| Failure::of(Kind::Config, &e))
}

/// An id that was given in full or by its beginning.
pub fn pick<'a>(wanted: &str, ids: impl Iterator<Item = &'a str>, what: &str) -> Result<String, Failure> {
    let mut found: Vec<&str> = ids.filter(|id| id.starts_with(wanted)).collect();
    found.sort_unstable();
    found.dedup();
    match found.as_slice() {
        [] => Err(Failure::user(format!("there is no {what} {wanted:?}")).hint(format!("list them with `bellwether {what}s`"))),
        [one] => Ok((*one).to_owned()),
        _ if found.contains(&wanted) => Ok(wanted.to_owned()),
        many => Err(Failure::user(format!("{wanted:?} is the beginning of {} {what}s: {}", many.len(), many.join(", ")))),
    }
}

/// Any other error of another system.
pub fn upstream(error: &dyn std::error::Error) -> Failure {
    Failure::new(Kind::Upstream, chain(error))
}
