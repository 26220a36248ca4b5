//! The past: runs of the fleet's playbooks before its metrics begin, as rows of a `workflow_runs` table.
//!
//! People wrote the summaries: wordings differ, words are missing or misspelt, addresses slipped in. The right playbook
//! for a situation mostly worked, another one mostly did not, and a few outcomes are simply wrong.

use bellwether_model::time::{Span, Timestamp};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::cast::Cast;

/// How many runs there are.
pub const RUNS: usize = 2_000;
/// How far back they go.
const DAYS: i64 = 200;

/// What a run was about.
#[derive(Clone, Copy)]
enum About {
    Endpoint,
    Node,
    Pool,
    Dataset,
}

/// A kind of trouble, how people word it, and what helps.
struct Situation {
    about: About,
    /// How often, relative to the others.
    weight: u32,
    /// The playbook that helps.
    right: &'static str,
    /// Playbooks that people try instead.
    wrong: &'static [&'static str],
    /// Openings; `@` is the target.
    what: &'static [&'static str],
    /// Observations: each run has one to three of them. `#` is a number.
    seen: &'static [&'static str],
}

const SITUATIONS: [Situation; 12] = [
    Situation {
        about: About::Endpoint,
        weight: 19,
        right: "scale-out-endpoint",
        wrong: &["raise-queue-limit", "rollback-canary", "grow-pool"],
        what: &[
            "@: p95 latency far above normal during a traffic surge",
            "@ slow, request rate jumped and replicas are at max",
            "traffic spike on @, latency_p95 up, queue growing",
            "@ overloaded: more requests than maxReplicas can answer",
            "users report timeouts on @, request_rate doubled",
            "@ latency p95 and queue depth rising with load",
        ],
        seen: &[
            "latency_p95 # times expected",
            "request_rate # x the usual for this hour",
            "queue_depth at # and rising",
            "gpu_utilization close to 100 %",
            "replicas_ready at maxReplicas, autoscaler cannot add more",
            "error_ratio a little up from timeouts (503)",
        ],
    },
    Situation {
        about: About::Endpoint,
        weight: 15,
        right: "rollback-canary",
        wrong: &["scale-out-endpoint", "retrain-model", "renew-endpoint-certificate"],
        what: &[
            "@: error ratio up right after a new revision",
            "canary of @ fails, errors and latency above the stable revision",
            "bad release on @, error_ratio jumped with the rollout",
            "@ new model version returns 5xx for part of the traffic",
            "regression after deploy of @: errors, slow answers",
        ],
        seen: &[
            "error_ratio # %",
            "latency_p95 # times expected since the rollout",
            "canaryTrafficPercent #",
            "request_rate as usual, so not load",
            "revision changed minutes before",
            "stable revision healthy, only the canary fails",
        ],
    },
    Situation {
        about: About::Node,
        weight: 12,
        right: "cordon-gpu-node",
        wrong: &["scale-out-endpoint", "grow-pool", "rollback-canary"],
        what: &[
            "@: GPU XID errors and throttling",
            "node @ sick, gpu_xid_errors climbing, endpoints on it slow",
            "GPU on @ throttles, latency of its endpoints up",
            "hardware fault suspected on @ (xid)",
            "@ thermal throttling, pods on this node answer late",
        ],
        seen: &[
            "gpu_xid_errors # in five minutes",
            "gpu_throttle_ratio # %",
            "latency_p95 of several endpoints in the pool # times expected",
            "only replicas on this node are slow",
            "request_rate as usual",
            "XID 79 in the kernel log, GPU fell off the bus",
        ],
    },
    Situation {
        about: About::Pool,
        weight: 10,
        right: "shrink-idle-pool",
        wrong: &["grow-pool", "requeue-job", "scale-in-endpoint"],
        what: &[
            "@ idle: pool_gpu_utilization near zero while all GPUs stay paid",
            "pool @ does nothing, batch jobs gone, cost unchanged",
            "GPU pool @ almost unused",
            "paying for idle GPUs in @",
        ],
        seen: &[
            "pool_gpu_utilization # %",
            "no batch jobs since hours",
            "cost per hour unchanged",
            "utilisation fell far below the usual level",
            "limit far above what is in use",
        ],
    },
    Situation {
        about: About::Pool,
        weight: 8,
        right: "grow-pool",
        wrong: &["scale-out-endpoint", "shrink-idle-pool", "requeue-job"],
        what: &[
            "@ full: pods pending for GPUs",
            "no GPUs left in pool @",
            "pool @ saturated, new replicas do not start",
            "pending pods in @, limit reached",
        ],
        seen: &[
            "pool_gpu_utilization # %",
            "# pods pending",
            "replicas_ready below desired",
            "karpenter: limit exceeded for nvidia.com/gpu",
            "endpoints cannot scale out",
        ],
    },
    Situation {
        about: About::Dataset,
        weight: 10,
        right: "retrain-model",
        wrong: &["rollback-canary", "restart-feature-pipeline", "scale-out-endpoint"],
        what: &[
            "feature drift in @",
            "distribution of columns in @ shifted, model upstream data changed",
            "@: PSI above threshold for several hours",
            "drift upstream of a model: @ no longer looks like training data",
            "input distribution of @ moved, predictions degrade",
        ],
        seen: &[
            "psi # on one column",
            "ks statistic high, quantiles moved",
            "median shifted by about one standard deviation",
            "new customer segment since a campaign",
            "offline accuracy down # %",
            "schema unchanged, volume as usual",
        ],
    },
    Situation {
        about: About::Dataset,
        weight: 6,
        right: "restart-feature-pipeline",
        wrong: &["retrain-model", "requeue-job", "rollback-canary"],
        what: &[
            "@ stale: no new features",
            "feature pipeline for @ stuck",
            "nulls in @ after a broken job",
            "@ has not been written since hours",
        ],
        seen: &[
            "null count # times usual",
            "last COMPLETE event # hours ago",
            "row count dropped to # %",
            "airflow task retries exhausted",
            "freshness check failed",
        ],
    },
    Situation {
        about: About::Pool,
        weight: 5,
        right: "requeue-job",
        wrong: &["grow-pool", "shrink-idle-pool"],
        what: &["batch job on @ preempted", "training job failed on @", "job on @ lost its node and did not come back"],
        seen: &["exit code 137", "spot capacity reclaimed", "job attempt # of 3", "checkpoint is there", "queue otherwise healthy"],
    },
    Situation {
        about: About::Dataset,
        weight: 4,
        right: "backup-verify",
        wrong: &["requeue-job"],
        what: &["backup of @ missing", "nightly backup of @ did not finish", "restore test of @ failed"],
        seen: &["last backup # days old", "checksum mismatch", "bucket quota reached", "snapshot size # % of usual"],
    },
    Situation {
        about: About::Endpoint,
        weight: 5,
        right: "raise-queue-limit",
        wrong: &["scale-out-endpoint", "rollback-canary"],
        what: &[
            "@ rejects requests although GPUs are idle",
            "queue limit reached on @ with bursts",
            "@: short bursts rejected, capacity is free",
        ],
        seen: &[
            "queue_depth at its limit of #",
            "gpu_utilization only # %",
            "error_ratio from 429s",
            "bursts of a few seconds",
            "batching window too short",
        ],
    },
    Situation {
        about: About::Endpoint,
        weight: 3,
        right: "scale-in-endpoint",
        wrong: &["shrink-idle-pool", "rollback-canary"],
        what: &["@ over-provisioned for weeks", "@ holds GPUs it does not need", "minReplicas of @ far too high"],
        seen: &["gpu_utilization # %", "replicas_ready never below minReplicas", "request_rate down since the campaign ended"],
    },
    Situation {
        about: About::Endpoint,
        weight: 3,
        right: "renew-endpoint-certificate",
        wrong: &["rollback-canary", "scale-out-endpoint"],
        what: &["TLS errors on @", "@: clients fail with certificate expired", "handshake failures on @"],
        seen: &[
            "error_ratio 100 % for new connections",
            "latency as usual",
            "certificate expired # hours ago",
            "no deploy, no load change",
        ],
    },
];

const PEOPLE: [&str; 9] =
    ["mira.olsen", "j.park", "tomas.weber", "a.rahman", "lena.kovac", "sam.okafor", "d.silva", "yuki.tanaka", "oncall"];
const ASIDES: [&str; 10] = [
    "see INC-#",
    "paged by {mail}",
    "second time this week",
    "checked with {mail}",
    "client 10.3.#.17 complained first",
    "dashboard in the wiki",
    "handover from the night shift",
    "same as last month?",
    "status page updated",
    "call {mail} before touching it",
];

/// The past of a fleet whose metrics begin at `start`: rows of `workflow_runs`, in order of `(updated_at, run_id)`.
pub(crate) fn past_runs(seed: u64, cast: &Cast, start: Timestamp) -> Vec<Value> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x0041_5157);
    let weights: u32 = SITUATIONS.iter().map(|s| s.weight).sum();
    let mut runs: Vec<(Timestamp, String, Value)> = (0..RUNS)
        .map(|n| {
            let mut draw = rng.random_range(0..weights);
            let situation = SITUATIONS.iter().find(|s| take(&mut draw, s.weight)).unwrap_or(&SITUATIONS[0]);
            let started = start - Span::from_secs(rng.random_range(3_600..DAYS * 86_400));
            run(&mut rng, cast, situation, format!("run-{n:05}"), started)
        })
        .collect();
    runs.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    runs.into_iter().map(|(_, _, row)| row).collect()
}

fn take(draw: &mut u32, weight: u32) -> bool {
    let here = *draw < weight;
    *draw = draw.saturating_sub(weight);
    here
}

fn one<'a>(rng: &mut impl Rng, from: &[&'a str]) -> &'a str {
    from[rng.random_range(0..from.len())]
}

fn run(rng: &mut ChaCha8Rng, cast: &Cast, situation: &Situation, run_id: String, started: Timestamp) -> (Timestamp, String, Value) {
    let target = match situation.about {
        About::Endpoint => cast.endpoints[rng.random_range(0..cast.endpoints.len())].id.to_string(),
        About::Node => cast.nodes[rng.random_range(0..cast.nodes.len())].name.to_string(),
        About::Pool => cast.pools[rng.random_range(0..cast.pools.len())].name.to_string(),
        About::Dataset => format!("s3://features/{}/events", super::cast::DOMAINS[rng.random_range(0..6)]),
    };
    let right = rng.random_bool(0.78);
    let playbook = if right { situation.right } else { one(rng, situation.wrong) };
    let luck = rng.random_range(0.0..1.0);
    let mut outcome = match (right, luck) {
        (true, l) if l < 0.86 => "effective",
        (true, l) if l < 0.97 => "ineffective",
        (true, _) => "harmful",
        (false, l) if l < 0.1 => "effective",
        (false, l) if l < 0.84 => "ineffective",
        (false, _) => "harmful",
    };
    if rng.random_bool(0.02) {
        outcome = one(rng, &["effective", "ineffective", "harmful"]);
    }
    let status = match rng.random_range(0..100) {
        0..3 => "failed",
        3..5 => "cancelled",
        _ => "succeeded",
    };
    let finished = started + Span::from_secs(rng.random_range(40..2_700));
    // Some rows are committed hours after the run, and rows of one batch share their time to the second.
    let late = match rng.random_range(0..20) {
        0 => Span::from_secs(rng.random_range(600..20_000)),
        _ => Span::from_secs(rng.random_range(1..30)),
    };
    let updated = (finished + late).floor(Span::from_secs(if rng.random_bool(0.2) { 60 } else { 1 }));
    let person = one(rng, &PEOPLE);
    let trigger = one(rng, &["alert", "alert", "manual", "schedule", "chatops"]);
    let row = json!({
        "run_id": run_id, "workflow_id": format!("wpk/{playbook}"), "playbook_id": playbook, "status": status,
        "started_at": started.to_string(), "finished_at": finished.to_string(), "trigger": trigger,
        "actor": format!("{person}@example.com"), "target": target, "summary": summary(rng, situation, &target),
        "outcome": if status != "succeeded" || rng.random_bool(0.03) { Value::Null } else { outcome.into() },
        "error": if status == "failed" { json!("step 1: context deadline exceeded") } else { Value::Null },
        "updated_at": updated.to_string(),
    });
    (updated, run_id, row)
}

/// A summary as a tired person writes it.
fn summary(rng: &mut ChaCha8Rng, situation: &Situation, target: &str) -> String {
    let mut parts = vec![one(rng, situation.what).replace('@', target)];
    let n = rng.random_range(1..=3).min(situation.seen.len());
    let first = rng.random_range(0..situation.seen.len());
    for i in 0..n {
        let seen = situation.seen[(first + i) % situation.seen.len()];
        parts.push(seen.replace('#', &number(rng, seen)));
    }
    if rng.random_bool(0.25) {
        let mail = format!("{}@example.com", one(rng, &PEOPLE));
        parts.push(one(rng, &ASIDES).replace("{mail}", &mail).replace('#', &rng.random_range(2..250).to_string()));
    }
    let glue = one(rng, &[". ", "; ", ", ", " - "]);
    let mut text = parts.join(glue);
    if rng.random_bool(0.12) {
        text = misspell(rng, &text);
    }
    text
}

fn number(rng: &mut impl Rng, phrase: &str) -> String {
    if phrase.contains('%') {
        return rng.random_range(2..60).to_string();
    }
    if phrase.starts_with("psi") {
        return format!("0.{}", rng.random_range(26..95));
    }
    if phrase.contains("times") || phrase.contains(" x ") {
        format!("{:.1}", rng.random_range(1.8..7.0))
    } else {
        rng.random_range(2..90).to_string()
    }
}

/// Swaps two neighbouring letters somewhere.
fn misspell(rng: &mut impl Rng, text: &str) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    let spots: Vec<usize> =
        (1..letters.len()).filter(|i| letters[*i].is_ascii_lowercase() && letters[*i - 1].is_ascii_lowercase()).collect();
    if !spots.is_empty() {
        let i = spots[rng.random_range(0..spots.len())];
        letters.swap(i - 1, i);
    }
    letters.into_iter().collect()
}
