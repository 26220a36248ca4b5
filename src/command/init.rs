//! `bellwether init`

mod example;
mod template;

use std::collections::BTreeMap;
use std::path::Path;

use bellwether_model::time::Timestamp;
use bellwether_pipelines::prometheus::{Prometheus, PrometheusError, PrometheusSettings};
use bellwether_pipelines::rules::packs::{self, Pack};
use futures::StreamExt as _;
use serde::Serialize;

use self::example::Example;
use crate::cli::{InitArgs, Output};
use crate::clock;
use crate::failure::{Failure, Kind};
use crate::output;

/// Questions under way at a time.
const CONCURRENCY: usize = 4;

/// What was found and written.
#[derive(Debug, Serialize)]
struct Found {
    /// The file.
    config: String,
    /// Address of the Prometheus.
    prometheus: String,
    /// Its version, where it says one.
    version: Option<String>,
    /// How many metrics it has.
    metrics: usize,
    /// Whether the address named no scheme, and `http://` was taken.
    assumed_http: bool,
    /// The packs that fit.
    packs: Vec<FoundPack>,
    /// The example of rules; none where a pack knows what the fleet runs.
    example: Option<FoundExample>,
}

/// An example of rules that was written.
#[derive(Debug, Serialize)]
struct FoundExample {
    /// The file.
    file: String,
    /// Its rules.
    rules: Vec<String>,
    /// Whether the configuration has it in force.
    in_force: bool,
}

/// A pack that fits.
#[derive(Debug, Serialize)]
struct FoundPack {
    /// Its name.
    name: String,
    /// What it is for.
    title: String,
    /// Its rules.
    rules: usize,
    /// Those that give series now.
    answering: usize,
    /// The series that they give.
    series: usize,
}

/// Runs the command.
pub async fn run(path: &Path, args: InitArgs, output: Output) -> Result<(), Failure> {
    if path.exists() && !args.force {
        return Err(Failure::user(format!("{} is there already", path.display()))
            .hint("keep it, name another with --config FILE, or overwrite it with --force"));
    }
    let address = args.prom.url;
    if address.password().is_some() {
        return Err(Failure::user("the address holds a password, and secrets do not belong into the configuration")
            .hint("give the address without it, and afterwards set `prometheus: {basic_auth: {username: …, password_file: …}}`"));
    }
    let client = Prometheus::new(PrometheusSettings::at(address.clone())).map_err(|e| Failure::of(Kind::Config, &e))?;
    let metrics = client.metric_names().await.map_err(|e| unreachable(&e, &client))?;
    let version = client.build_info().await.ok().map(|b| b.version);
    let fitting = packs::fitting(&metrics);
    let now = clock::now();
    let series = answering(&client, &fitting, now).await;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    // Only a pack for what the fleet runs makes an example of rules needless.
    let example =
        if fitting.iter().all(|pack| pack.head.name == "prometheus") { example::example(&client, &metrics, now).await } else { None };
    let in_force = example.as_ref().is_some_and(|example| example.tells || fitting.is_empty());
    let text = template::render(&address, &fitting, in_force);
    if let Some(folder) = folder {
        create(folder)?;
    }
    let example = example.map(|example| write_example(folder, example, in_force)).transpose()?;
    std::fs::write(path, text).map_err(|e| Failure::user(format!("cannot write {}: {e}", path.display())))?;
    let found = Found {
        config: path.display().to_string(),
        prometheus: client.address(),
        version,
        metrics: metrics.len(),
        assumed_http: args.prom.assumed_http,
        example,
        packs: fitting.iter().map(|pack| found_pack(pack, &series)).collect(),
    };
    output::print(output, &found, || words(&found))
}

fn create(folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(|e| Failure::user(format!("cannot make the folder {}: {e}", folder.display())))
}

/// Writes the example into the folder of rules beside the configuration. A file that is there already is the user's, and is kept.
fn write_example(beside: Option<&Path>, example: Example, in_force: bool) -> Result<FoundExample, Failure> {
    let folder = beside.unwrap_or(Path::new("")).join("rules");
    create(&folder)?;
    let file = folder.join("example.yaml");
    if !file.exists() {
        std::fs::write(&file, example.text).map_err(|e| Failure::user(format!("cannot write {}: {e}", file.display())))?;
    }
    Ok(FoundExample { file: file.display().to_string(), rules: example.rules, in_force })
}

/// Why nothing could be asked, and what to try.
fn unreachable(error: &PrometheusError, client: &Prometheus) -> Failure {
    let hint = match error {
        PrometheusError::Unreachable { .. } | PrometheusError::Timeout { .. } => {
            format!("is the address right, and reachable from here? Try `curl {}/api/v1/status/buildinfo`", client.address())
        }
        PrometheusError::Upstream { status: 401 | 403, .. } => {
            "it asks for credentials: write the configuration by hand, with `prometheus: {url: …, bearer_token_file: …}`".to_owned()
        }
        _ => "is that a Prometheus? Give its base address, such as http://prometheus:9090, with the path prefix if it has one".to_owned(),
    };
    Failure::of(Kind::Upstream, error).hint(hint)
}

/// How many series each rule of these packs gives now, by pack and rule. A rule that fails gives none: ingest will say why.
async fn answering(client: &Prometheus, packs: &[Pack], now: Timestamp) -> BTreeMap<(String, String), usize> {
    let asks =
        packs.iter().flat_map(|pack| pack.rules.iter().map(|rule| (pack.head.name.clone(), rule.place.to_string(), rule.expr.clone())));
    let answers = futures::stream::iter(asks)
        .map(|(pack, place, expr)| async move { ((pack, place), client.query(&expr, now).await.map_or(0, |found| found.len())) });
    answers.buffered(CONCURRENCY).collect().await
}

fn found_pack(pack: &Pack, series: &BTreeMap<(String, String), usize>) -> FoundPack {
    let own = || series.iter().filter(|((name, _), _)| *name == pack.head.name).map(|(_, n)| *n);
    FoundPack {
        name: pack.head.name.clone(),
        title: pack.head.title.clone(),
        rules: pack.rules.len(),
        answering: own().filter(|n| *n > 0).count(),
        series: own().sum(),
    }
}

fn words(found: &Found) -> String {
    let version = found.version.as_ref().map(|v| format!(" {v}")).unwrap_or_default();
    let mut text = format!("Prometheus{version} at {} has {} metrics.\n", found.prometheus, found.metrics);
    if found.assumed_http {
        text.push_str("The address named no scheme: http:// was taken.\n");
    }
    if found.packs.is_empty() {
        text.push_str("No built-in pack of rules fits them.\n");
    } else {
        text.push_str("Packs of rules that fit:\n");
        for pack in &found.packs {
            text.push_str(&format!(
                "  {:<14} {}: {} of {} rules answer now, {} series\n",
                pack.name, pack.title, pack.answering, pack.rules, pack.series
            ));
        }
    }
    match &found.example {
        Some(example) if example.in_force => text.push_str(&format!(
            "Written: {}, rules from metrics that it has, in force: {}. Make them say what matters to you.\n",
            example.file,
            example.rules.join(", ")
        )),
        Some(example) => text.push_str(&format!(
            "Written: {}, an example of rules of your own: {}. To use it, take the # away before `rules:`.\n",
            example.file,
            example.rules.join(", ")
        )),
        None if found.packs.is_empty() => {
            text.push_str("It has no metric that could be judged yet: what does it scrape, and since when?\n");
        }
        None => {}
    }
    text.push_str(&format!("Written: {}. Nothing is carried out while it says act.mode: plan.\n\nNext:\n", found.config));
    if found.metrics == 0 {
        text.push_str("  once it has scraped something: the same command again, with --force\n");
        return text.trim_end().to_owned();
    }
    let config = if found.config == "bellwether.yaml" { String::new() } else { format!(" --config {}", found.config) };
    for (command, purpose) in [
        ("ingest --backfill 14d", "two weeks of metrics into the ledger"),
        ("round", "judge them"),
        ("report --html", "a page to look at and to share"),
    ] {
        text.push_str(&format!("  {:<44} {purpose}\n", format!("bellwether{config} {command}")));
    }
    text.trim_end().to_owned()
}
