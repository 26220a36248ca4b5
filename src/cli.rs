//! The command line: what can be said to `bellwether`.

use std::path::PathBuf;

use bellwether_detectors::drift::measure::{Measure, UnknownMeasure};
use bellwether_model::time::{Since, Span, Timestamp};
use bellwether_model::unit::Ratio;
use clap::{Args, Parser, Subcommand, ValueEnum};

/// One ledger of everything an ML fleet does: it keeps metrics, runs, lineage, cost and its own decisions, judges them
/// in rounds, and acts on what it finds under governance.
#[derive(Debug, Parser)]
#[command(
    name = "bellwether",
    version,
    max_term_width = 110,
    after_help = "First steps:\n  bellwether demo                          see all of it on a simulated fleet, nothing needed\n  bellwether init --prom http://HOST:9090  write a configuration that fits your Prometheus\n  bellwether ingest --backfill 14d && bellwether round && bellwether report --html\n\nExit codes: 0 done, 1 failed, 2 usage, 3 findings (with --fail-on), 4 refused by policy, 5 approval needed."
)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Common options")]
pub struct Global {
    /// The configuration file.
    #[arg(
        long,
        short,
        global = true,
        env = "BELLWETHER_CONFIG",
        hide_env_values = true,
        default_value = "bellwether.yaml",
        value_name = "FILE"
    )]
    pub config: PathBuf,
    /// How to print results: table or json.
    #[arg(long, short, global = true, value_enum, default_value_t = Output::Table, hide_possible_values = true, hide_default_value = true)]
    pub output: Output,
    /// More log lines on stderr; twice for still more.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// How to print log lines: text or json.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, hide_possible_values = true, hide_default_value = true)]
    pub log_format: LogFormat,
}

/// How to print results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Tables and sentences for people.
    Table,
    /// One JSON document.
    Json,
}

/// How to print log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Ask a Prometheus what it has and write a commented configuration that fits.
    Init(InitArgs),
    /// Check the configuration and everything it names: reachable, permitted, complete.
    Doctor(DoctorArgs),
    /// Run the whole job on a simulated fleet. Needs nothing but this binary.
    Demo(DemoArgs),
    /// Bring metrics, run history, lineage and inventory into the ledger. Repeating it adds nothing.
    Ingest(IngestArgs),
    /// Judge the metrics in the ledger and print what deviates, without recording it.
    Detect(DetectArgs),
    /// Compare two states of a dataset column by column: which columns drifted, by how much, and how sure that is.
    Drift(Box<DriftArgs>),
    /// Say how good a detector is on labelled series: what it finds, what it invents, how soon.
    Backtest(BacktestArgs),
    /// Measure how good the program's own judgement is, on data with known answers.
    Eval(EvalArgs),
    /// List signals: deviations of single series and columns, each once, as it stands now; or show one.
    Signals(SignalsArgs),
    /// List incidents, or show one with all that is known of it.
    Incidents(IncidentsArgs),
    /// Say what may have caused an incident: series that changed with it, changes before it, what it rests on.
    Explain(ExplainArgs),
    /// Say what an incident or signal really was; future recommendations and reports take it into account.
    Label(LabelArgs),
    /// Say which playbook fits an incident, and why.
    Recommend(RecommendArgs),
    /// Show the plan for an incident: exact patches, undo, digest, and what governance says of it.
    Plan(PlanArgs),
    /// Approve or reject a plan, with a token that carries the role org-admin.
    Approve(ApproveArgs),
    /// Carry out what may be carried out: dry-run, execute, verify, roll back.
    Act(ActArgs),
    /// Do all of it once: ingest, judge, record, act.
    Round(RoundArgs),
    /// Print what was found, recommended and done; --html writes a page to share.
    Report(ReportArgs),
    /// Serve the HTTP API and run the jobs of the schedule.
    Serve(ServeArgs),
    /// Query the ledger in SQL, read-only.
    Sql(SqlArgs),
    /// What a dataset, model or endpoint is made from, and what depends on it.
    Lineage(LineageArgs),
    /// Make keys and tokens for the API and for approvals.
    Token(TokenArgs),
    /// The audit chain.
    Audit(AuditArgs),
    /// The ledger's tables.
    Lake(LakeArgs),
    /// Vectors of what is in the ledger, by which past incidents are compared.
    Embeddings(EmbeddingsArgs),
    /// Sentence models that make these vectors.
    Models(ModelsArgs),
    /// Print a completion script for a shell.
    Completions(CompletionsArgs),
}

/// `bellwether init`
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Address of the Prometheus to ask; `http://` is taken where it names no scheme.
    #[arg(long, env = "PROM_URL", value_name = "URL", value_parser = bellwether_pipelines::prometheus::address::lenient)]
    pub prom: bellwether_pipelines::prometheus::address::Address,
    /// Overwrite a configuration that is already there.
    #[arg(long)]
    pub force: bool,
}

/// `bellwether doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Also write the findings as JSON to this file.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

/// `bellwether demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Seed of the simulated fleet: the same seed gives the same fleet, faults and findings.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Where to put the ledger and the report.
    #[arg(long, default_value = "bellwether-demo", value_name = "DIR")]
    pub dir: PathBuf,
    /// Leave the API up afterwards, and the simulated fleet with it, until Ctrl-C.
    #[arg(long)]
    pub serve: bool,
    /// Address that the API listens on.
    #[arg(long, value_name = "ADDRESS", requires = "serve", default_value = "127.0.0.1:8000")]
    pub listen: std::net::SocketAddr,
}

/// `bellwether ingest`
#[derive(Debug, Args)]
pub struct IngestArgs {
    /// Only this source; all of the configuration when absent.
    #[arg(value_enum)]
    pub source: Option<IngestSource>,
    /// Read the whole of this span again, and add what the ledger does not have.
    ///
    /// Without it, ingest carries on where the ledger ends, and begins as far back as `prometheus.backfill` says (14d) where it has nothing.
    #[arg(long, value_name = "SPAN")]
    pub backfill: Option<Span>,
    /// Up to which time; now when absent.
    #[arg(long, value_name = "TIME")]
    pub until: Option<Timestamp>,
    /// For runs: also write all stored runs, redacted, to this file as JSONL.
    #[arg(long, value_name = "FILE")]
    pub export: Option<PathBuf>,
    /// For runs and lineage: read these files instead of what the configuration names.
    #[arg(long = "file", value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// What can be ingested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum IngestSource {
    /// Metrics from Prometheus.
    Prometheus,
    /// Run history from PostgreSQL or files.
    Runs,
    /// OpenLineage events from files and from the inbox of the API.
    Lineage,
    /// Endpoints, pools and nodes from Kubernetes or the configuration.
    Inventory,
}

/// `bellwether detect`
#[derive(Debug, Args)]
pub struct DetectArgs {
    /// How far back to judge.
    #[arg(long, value_name = "SPAN", default_value = "1d")]
    pub last: Span,
    /// Up to which time; the newest sample when absent.
    #[arg(long, value_name = "TIME")]
    pub as_of: Option<Timestamp>,
    /// Only this metric; may be given several times.
    #[arg(long = "metric", value_name = "NAME")]
    pub metrics: Vec<String>,
    /// Judge by these methods with their defaults instead of the configured rules; may be given several times.
    #[arg(long = "method", value_name = "zscore|ewma|seasonal|mstl|peers|novelty|telemetry|auto")]
    pub methods: Vec<String>,
    /// Exit with code 3 when a signal of this severity or worse is found that would be told.
    #[arg(long, value_enum, value_name = "SEVERITY")]
    pub fail_on: Option<FailOn>,
    /// Say which of these signals a round would not tell, and why: maintenance windows, auto-silence, flap damping.
    #[arg(long)]
    pub explain_silence: bool,
}

/// The severity from which on findings make the exit code 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Any.
    Info,
    /// Warning or critical.
    Warning,
    /// Critical.
    Critical,
}

/// `bellwether drift`
#[derive(Debug, Args)]
pub struct DriftArgs {
    /// The reference: CSV, TSV, JSONL, JSON or Parquet, or a profile that was kept with --save-profile.
    #[arg(required_unless_present_any = ["table", "model"])]
    pub reference: Option<PathBuf>,
    /// The current data: CSV, TSV, JSONL, JSON or Parquet, or a profile.
    #[arg(required_unless_present_any = ["table", "save_profile", "model"])]
    pub current: Option<PathBuf>,
    /// Compare a table or view of the ledger with itself, before and after.
    #[arg(long, value_name = "NAME", conflicts_with = "reference", requires = "before", requires = "after")]
    pub table: Option<String>,
    /// The stretch of time that is the reference, as FROM..TO.
    #[arg(long, value_name = "FROM..TO", requires = "table")]
    pub before: Option<Stretch>,
    /// The stretch of time that is compared with it, as FROM..TO.
    #[arg(long, value_name = "FROM..TO", requires = "table")]
    pub after: Option<Stretch>,
    /// The table's column of time. Default: when the row happened.
    #[arg(long, value_name = "NAME", requires = "table")]
    pub time: Option<String>,
    /// Only these columns.
    #[arg(long = "column", value_name = "NAME")]
    pub columns: Vec<String>,
    /// Measure with this statistic, or one column with it: kolmogorov_smirnov, wasserstein, energy, cramer_von_mises, psi, jensen_shannon,
    /// hellinger, kullback_leibler, chi_square, g or z. Default: by type and size.
    #[arg(long = "measure", value_name = "[COLUMN=]STATISTIC", value_parser = measure)]
    pub measures: Vec<(Option<String>, Measure)>,
    /// How much a column counts for the whole, such as its importance to a model. Default 1.
    #[arg(long = "weight", value_name = "COLUMN=NUMBER", value_parser = weight)]
    pub weights: Vec<(String, f64)>,
    /// The share of drifted columns from which the whole has drifted, above 0.
    #[arg(long, default_value = "50%")]
    pub share: Ratio,
    /// Write the comparison as a page with all distributions drawn.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "bellwether-drift.html")]
    pub html: Option<PathBuf>,
    /// Exit with code 3 when any of these is found.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT")]
    pub fail_on: Vec<DriftFailOn>,
    /// Keep the reference as a profile: a small file that stands for it from now on.
    #[arg(long, value_name = "FILE", conflicts_with = "table")]
    pub save_profile: Option<PathBuf>,
    /// Say how the data that feeds this model or endpoint stands, by the profiles that its jobs report. With --save-profile: the model version
    /// that was trained on the reference, to be kept in the profile.
    #[arg(long, value_name = "NAME", conflicts_with = "table")]
    pub model: Option<String>,
    /// What a classifier said of each row.
    #[command(flatten)]
    pub predictions: PredictionArgs,
}

/// The columns of logged predictions.
#[derive(Debug, Args)]
#[command(next_help_heading = "Logged predictions (of --table also members of a JSON column: attributes.score)")]
pub struct PredictionArgs {
    /// The column with the probability of "positive", 0 to 1: shows performance, estimated where there are no labels.
    #[arg(long, value_name = "COLUMN")]
    pub probability: Option<String>,
    /// The column with the decision. Default: the probability is at or above --threshold.
    #[arg(long, value_name = "COLUMN")]
    pub prediction: Option<String>,
    /// The column with the truth, which a side may not have yet.
    #[arg(long, value_name = "COLUMN")]
    pub label: Option<String>,
    /// The column with the group of each row: shows whether groups are treated alike.
    #[arg(long, value_name = "COLUMN")]
    pub group: Option<String>,
    /// The value of labels and decisions that means "positive", beside 1, true and yes.
    #[arg(long, value_name = "VALUE")]
    pub positive: Option<String>,
    /// The probability from which a row is decided positive.
    #[arg(long, default_value_t = 0.5, value_name = "PROBABILITY")]
    pub threshold: f64,
}

/// What `drift` may end with exit code 3 for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DriftFailOn {
    /// At least one column drifted.
    Column,
    /// The whole drifted: as many columns as --share says.
    Dataset,
    /// The classifier does worse than on the reference.
    Performance,
    /// Groups are not treated alike.
    Fairness,
}

/// FROM..TO, each an instant or a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// From this instant.
    pub from: Timestamp,
    /// Until just before this one.
    pub until: Timestamp,
}

impl std::str::FromStr for Stretch {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (from, until) = text.split_once("..").ok_or("write it as FROM..TO, such as 2026-11-01..2026-11-08")?;
        let instant = |text: &str| text.parse::<Timestamp>().or_else(|_| format!("{text}T00:00:00Z").parse()).map_err(|e| e.to_string());
        let (from, until) = (instant(from)?, instant(until)?);
        if from < until { Ok(Self { from, until }) } else { Err(format!("{from} is not before {until}")) }
    }
}

fn measure(text: &str) -> Result<(Option<String>, Measure), String> {
    let (column, name) = text.rsplit_once('=').map_or((None, text), |(column, name)| (Some(column.to_owned()), name));
    let known = || Measure::ALL.map(|m| m.to_string()).join(", ");
    name.parse().map(|m| (column, m)).map_err(|e: UnknownMeasure| format!("{e}; there are {}", known()))
}

fn weight(text: &str) -> Result<(String, f64), String> {
    let weight = |number: &str| number.parse::<f64>().ok().filter(|w| w.is_finite() && *w >= 0.0);
    let both = text.rsplit_once('=').and_then(|(column, number)| Some((column.to_owned(), weight(number)?)));
    both.ok_or_else(|| "write it as COLUMN=NUMBER with a number that is not negative".into())
}

/// `bellwether backtest`
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("labels").required(true).args(["dir", "feedback"])))]
pub struct BacktestArgs {
    /// A folder of labelled series, in NAB's layout or Microsoft's (any *.csv with TimeStamp,Value,Label).
    pub dir: Option<PathBuf>,
    /// Take the series of the ledger, and what `bellwether label` was told of their signals.
    #[arg(long)]
    pub feedback: bool,
    /// Judge by this ready-made detector; auto when absent, with --feedback the configured rules.
    #[arg(long, value_enum, value_name = "PRESET")]
    pub preset: Option<PresetName>,
    /// Judge by the rules of this file: metric rules, or a list `detect` alone. On a folder every rule judges every series.
    #[arg(long, value_name = "FILE", conflicts_with = "preset")]
    pub rules: Option<PathBuf>,
    /// Let the labels choose how much of each detector is in the score, and its line, and write that to this file.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["preset", "rules"])]
    pub fit: Option<PathBuf>,
    /// Write a self-contained page with every series drawn to this file.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write a picture of each series into this folder.
    #[arg(long, value_name = "DIR")]
    pub svg: Option<PathBuf>,
    /// Exit with code 3 when the F1 of events is below this.
    #[arg(long, value_name = "F1")]
    pub fail_below: Option<f64>,
}

/// `bellwether eval recommend`
#[derive(Debug, Args)]
pub struct EvalRecommendArgs {
    /// The simulated history's seed: another seed is another fleet.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Incidents of the simulated history, of which the last two fifths are asked about; at least 100.
    #[arg(long, default_value_t = 8_000, value_name = "N", value_parser = clap::value_parser!(u32).range(100..=200_000))]
    pub incidents: u32,
    /// A folder with prom-runbooks, openshift-runbooks and kube-prometheus-rules/retrieval_queries.json: how well alerts find their pages.
    #[arg(long, env = "BELLWETHER_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Draw the reliability and abstention curves into this file.
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

/// A ready-made detector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PresetName {
    /// Distributions that were not seen before: wide events.
    Novelty,
    /// Values far from four weeks' usual: short spikes.
    Telemetry,
    /// One of the two, by the typical step of each series.
    Auto,
}

/// `bellwether signals`
#[derive(Debug, Args)]
pub struct SignalsArgs {
    /// List or show.
    #[command(subcommand)]
    pub command: Option<SignalsCommand>,
    /// Only those that made no incident because they were silenced: what would have fired, by what it is held back, and until when.
    #[arg(long)]
    pub explain_silence: bool,
    /// What to list.
    #[command(flatten)]
    pub list: ListArgs,
}

/// `bellwether signals …`
#[derive(Debug, Subcommand)]
pub enum SignalsCommand {
    /// Show one signal: how it went, what was expected, and which incident it belongs to.
    Show {
        /// Its id, or the beginning of it.
        id: String,
    },
}

/// Which signals or incidents are listed.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only those that are still open.
    #[arg(long)]
    pub open: bool,
    /// Only those that were open at this time or later: so long before the newest sample, or a time.
    #[arg(long, value_name = "SPAN|TIME")]
    pub since: Option<Since>,
    /// At most so many, newest first.
    #[arg(long, default_value_t = 50)]
    pub limit: usize,
}

/// `bellwether incidents`
#[derive(Debug, Args)]
pub struct IncidentsArgs {
    /// List or show.
    #[command(subcommand)]
    pub command: Option<IncidentsCommand>,
    /// What to list.
    #[command(flatten)]
    pub list: ListArgs,
}

/// `bellwether incidents …`
#[derive(Debug, Subcommand)]
pub enum IncidentsCommand {
    /// Show one incident with its signals, recommendation, plan, decision, execution and outcome.
    Show {
        /// Its id, or the beginning of it.
        id: String,
    },
}

/// `bellwether explain`
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Id of the incident, or the beginning of it.
    pub incident: String,
    /// Write a picture of it to this file.
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// At most so many lines of each list.
    #[arg(long, default_value_t = 10)]
    pub top: usize,
    /// With what was known at this time.
    #[arg(long, value_name = "TIME")]
    pub as_of: Option<Timestamp>,
}

/// `bellwether eval`
#[derive(Debug, Args)]
pub struct EvalArgs {
    /// What to evaluate.
    #[command(subcommand)]
    pub command: EvalCommand,
}

/// `bellwether eval …`
#[derive(Debug, Subcommand)]
pub enum EvalCommand {
    /// Recommendations: a simulated history with held-out time, and public runbooks where --data has them.
    Recommend(EvalRecommendArgs),
    /// How often the cause of an issue is named first, or among the first three, beside two baselines.
    Rca(EvalRcaArgs),
}

/// `bellwether eval rca`
#[derive(Debug, Args)]
pub struct EvalRcaArgs {
    /// A folder of issues in the layout of the PetShop set; petshop-rca in the folder that BELLWETHER_DATA names when absent.
    pub dir: Option<PathBuf>,
}

/// `bellwether label`
#[derive(Debug, Args)]
pub struct LabelArgs {
    /// Id of an incident or signal.
    pub id: String,
    /// What it was.
    #[arg(value_enum)]
    pub label: LabelWord,
    /// Why, in your words.
    #[arg(long)]
    pub comment: Option<String>,
    /// Who says so; the login name (USER) when absent.
    #[arg(long)]
    pub actor: Option<String>,
}

/// What an incident was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LabelWord {
    /// It was real.
    Incident,
    /// It was a false alarm.
    NotAnIncident,
}

/// `bellwether recommend`
#[derive(Debug, Args)]
pub struct RecommendArgs {
    /// Id of an incident; every open incident when absent.
    pub incident: Option<String>,
    /// At most so many playbooks for each.
    #[arg(long, default_value_t = 3)]
    pub top: usize,
    /// Say how each score came about: features, past runs with their outcomes, and what the calibration rests on.
    #[arg(long)]
    pub why: bool,
}

/// `bellwether plan`
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Id of an incident or plan; the plans of all open incidents when absent.
    pub id: Option<String>,
    /// Bind this playbook to the incident instead of the recommended one.
    #[arg(long, value_name = "ID", requires = "id")]
    pub playbook: Option<String>,
}

/// `bellwether approve`
#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// Id of the plan.
    pub plan: String,
    /// File that holds the approver's token.
    #[arg(long, env = "BELLWETHER_TOKEN_FILE", value_name = "FILE")]
    pub token_file: PathBuf,
    /// Reject instead of approving.
    #[arg(long)]
    pub reject: bool,
    /// Why, in your words.
    #[arg(long)]
    pub comment: Option<String>,
}

/// `bellwether act`
#[derive(Debug, Args)]
pub struct ActArgs {
    /// Stop when everything that can be done now is done, instead of waiting for verification.
    #[arg(long)]
    pub no_wait: bool,
    /// Only this plan.
    #[arg(long, value_name = "ID")]
    pub plan: Option<String>,
}

/// `bellwether round`
#[derive(Debug, Args)]
pub struct RoundArgs {
    /// Judge the ledger as of this time instead of now; nothing is ingested and nothing is carried out.
    #[arg(long, value_name = "TIME")]
    pub as_of: Option<Timestamp>,
    /// Judge and print, but record nothing and carry nothing out.
    #[arg(long)]
    pub dry_run: bool,
    /// Judge again what this round judged, and compare.
    #[arg(long, value_name = "ID", conflicts_with_all = ["as_of", "dry_run"])]
    pub replay: Option<String>,
    /// Judge only what is already in the ledger.
    #[arg(long)]
    pub no_ingest: bool,
    /// Exit with code 3 when an incident of this severity or worse is open, or, with `no-data`, when a rule or endpoint fell silent.
    #[arg(long, value_enum, value_name = "WHAT", value_delimiter = ',')]
    pub fail_on: Vec<RoundFailOn>,
}

/// What makes the exit code of `round` 3. Several may be given: `--fail-on critical,no-data`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RoundFailOn {
    /// An open incident of any severity.
    Info,
    /// An open incident that is a warning or critical.
    Warning,
    /// An open incident that is critical.
    Critical,
    /// A rule or endpoint that had samples and has none any more.
    NoData,
}

/// `bellwether report`
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Write a self-contained page to this file.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "bellwether-report.html")]
    pub html: Option<PathBuf>,
    /// How far back to look.
    #[arg(long, value_name = "SPAN", default_value = "7d")]
    pub last: Span,
    /// As of which time; the newest sample when absent.
    #[arg(long, value_name = "TIME")]
    pub as_of: Option<Timestamp>,
}

/// `bellwether serve`
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Address to listen on.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<std::net::SocketAddr>,
    /// Serve on the port that this role has in the source documents: insight 8002, recommend 8003, orchestrate 8004.
    #[arg(long, value_enum, conflicts_with = "listen")]
    pub role: Option<Role>,
}

/// A role of the source documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Port 8002.
    Insight,
    /// Port 8003.
    Recommend,
    /// Port 8004.
    Orchestrate,
}

/// `bellwether sql`
#[derive(Debug, Args)]
pub struct SqlArgs {
    /// The query; read from standard input when absent.
    pub query: Option<String>,
    /// Read the query from this file.
    #[arg(long, short, value_name = "FILE", conflicts_with = "query")]
    pub file: Option<PathBuf>,
    /// See only what had happened by this time.
    #[arg(long, value_name = "TIME")]
    pub as_of: Option<Timestamp>,
    /// At most so many rows.
    #[arg(long, default_value_t = 1_000)]
    pub limit: usize,
}

/// `bellwether lineage`
#[derive(Debug, Args)]
pub struct LineageArgs {
    /// Where to begin: `endpoint:namespace/name`, `dataset:namespace:name` or `job:namespace:name`; the kind, and what comes before the
    /// name, may be left out where only one is meant.
    #[arg(value_name = "NAME")]
    pub start: String,
    /// How many steps to follow.
    #[arg(long, default_value_t = 20)]
    pub depth: usize,
    /// Only what it is made from.
    #[arg(long, conflicts_with = "downstream")]
    pub upstream: bool,
    /// Only what depends on it.
    #[arg(long)]
    pub downstream: bool,
    /// The graph as it was at this time.
    #[arg(long, value_name = "TIME")]
    pub as_of: Option<Timestamp>,
}

/// `bellwether token`
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// What to make.
    #[command(subcommand)]
    pub command: TokenCommand,
}

/// `bellwether token …`
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Sign a token with the local key; the key is made on first use, readable by you alone.
    Issue {
        /// Whom it is for.
        #[arg(long)]
        subject: String,
        /// A role it carries: viewer, operator, admin, org-admin. May be given several times.
        #[arg(long = "role", required = true)]
        roles: Vec<String>,
        /// How long it is valid, at most 30d.
        #[arg(long, default_value = "8h")]
        ttl: Span,
    },
}

/// `bellwether audit`
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: AuditCommand,
}

/// `bellwether audit …`
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check the whole chain, in the journal and in the ledger.
    Verify,
    /// Print the newest entries.
    Log {
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
}

/// `bellwether lake`
#[derive(Debug, Args)]
pub struct LakeArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: LakeCommand,
}

/// `bellwether lake …`
#[derive(Debug, Subcommand)]
pub enum LakeCommand {
    /// Versions, files, rows and bytes of every table.
    Stat {
        /// Also open every file and check that it is whole.
        #[arg(long)]
        check: bool,
    },
    /// Merge small files and drop what is no longer needed.
    Maintain,
}

/// `bellwether embeddings`
#[derive(Debug, Args)]
pub struct EmbeddingsArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: EmbeddingsCommand,
}

/// `bellwether embeddings …`
#[derive(Debug, Subcommand)]
pub enum EmbeddingsCommand {
    /// Embed what has no vector yet, and store it in the ledger and in Qdrant. Repeating it writes nothing.
    Sync,
    /// Make the index anew from the ledger's vectors: the collection in Qdrant, or the one in memory.
    Rebuild,
}

/// `bellwether models`
#[derive(Debug, Args)]
pub struct ModelsArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ModelsCommand,
}

/// `bellwether models …`
#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// Check a model's folder and the runtime, copy it beside the configuration, and name it there.
    Add(ModelsAddArgs),
    /// The models beside the configuration, and which one is in use.
    List,
}

/// `bellwether models add`
#[derive(Debug, Args)]
pub struct ModelsAddArgs {
    /// Folder with model.onnx (or onnx/model.onnx) and tokenizer.json.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Library of ONNX Runtime, 1.24 or newer; libonnxruntime.so in the folder, or what ORT_DYLIB_PATH names, when absent.
    #[arg(long, value_name = "FILE")]
    pub runtime: Option<PathBuf>,
    /// Another name for it; the folder's own when absent. It is a part of the embedder's id.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

/// `bellwether completions`
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}
