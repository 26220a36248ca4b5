//! What can be wrong in the simulated fleet, how it shows, how people word it, and what mends it.

/// A kind of trouble.
pub(super) struct Cause {
    /// The playbook that mends it, mostly.
    pub playbook: &'static str,
    /// Causes of one family look alike; which of them it is depends more on the service than on the words.
    pub family: usize,
    /// How often the right playbook works.
    pub mended: f64,
    /// How often it happens, beside the others of its family, on each of [`GPUS`].
    pub on: [f64; 5],
    /// Metrics that deviate, with direction, and how often each does.
    pub symptoms: &'static [(&'static str, &'static str, f64)],
    /// What only this cause is told with.
    pub told: &'static [&'static str],
    /// What logs say.
    pub logs: &'static [&'static str],
    /// What the playbook says of itself.
    pub description: &'static str,
}

/// How a whole family of causes is told.
pub(super) struct Family {
    /// How often, relative to the others.
    pub weight: f64,
    /// Openings; `@` is the target.
    pub what: &'static [&'static str],
    /// Observations; `#` is a number.
    pub seen: &'static [&'static str],
    /// Changes that precede it at times.
    pub changes: &'static [&'static str],
}

/// GPU models of the simulated fleet.
pub(super) const GPUS: [&str; 5] = ["A100", "H100", "L4", "T4", "A10"];

pub(super) const FAMILIES: [Family; 5] = [
    Family {
        weight: 30.0,
        what: &[
            "@ answers late",
            "p95 latency of @ far above normal",
            "users say @ is slow today",
            "latency alert on @, queue growing",
            "@: slow answers, timeouts at clients",
            "response times of @ doubled",
        ],
        seen: &[
            "latency_p95 # times expected",
            "queue_depth at # and rising",
            "some clients retry",
            "no release today",
            "worse at the full hour",
            "replicas_ready as configured",
            "started # minutes ago",
        ],
        changes: &["replicas"],
    },
    Family {
        weight: 24.0,
        what: &[
            "@ returns errors",
            "error ratio of @ up",
            "clients of @ complain about failures",
            "errors on @ since a while",
            "@: part of the requests fails",
        ],
        seen: &[
            "error_ratio # %",
            "only some clients are affected",
            "latency mostly fine",
            "dashboard red since # minutes",
            "retries help at times",
            "health checks still pass",
        ],
        changes: &["revision", "canary"],
    },
    Family {
        weight: 14.0,
        what: &[
            "GPU trouble on @",
            "@: gpu_xid_errors reported",
            "one GPU of @ acts up",
            "replicas of @ on one machine are slow, GPU errors",
            "hardware alarm for @",
        ],
        seen: &[
            "gpu_xid_errors # in five minutes",
            "latency of one replica # times the others",
            "temperature # degrees",
            "other nodes fine",
            "request_rate as usual",
        ],
        changes: &["cordon"],
    },
    Family {
        weight: 16.0,
        what: &[
            "memory of @ full",
            "@: replicas restart again and again",
            "gpu_memory_used of @ at its top",
            "pods of @ die and come back",
            "@ loses replicas, memory alarm",
        ],
        seen: &[
            "gpu_memory_used # %",
            "# restarts in an hour",
            "replicas_ready below desired",
            "long prompts lately",
            "comes back after minutes",
            "exit code 137",
        ],
        changes: &["model_uri", "revision"],
    },
    Family {
        weight: 16.0,
        what: &[
            "predictions of @ look odd",
            "drift upstream of @",
            "features of @ moved",
            "@: input data not as in training",
            "model quality of @ degrades",
        ],
        seen: &[
            "psi 0.# on one column",
            "null share # %",
            "offline accuracy down # %",
            "volume as usual",
            "began with last night's batch",
            "business asks why scores changed",
        ],
        changes: &["model_uri"],
    },
];

pub(super) const CAUSES: [Cause; 12] = [
    Cause {
        playbook: "scale-out-endpoint",
        family: 0,
        mended: 0.93,
        on: [3.0, 3.0, 1.0, 1.0, 1.0],
        symptoms: &[("latency_p95", "up", 0.9), ("queue_depth", "up", 0.7), ("request_rate", "up", 0.7), ("gpu_utilization", "up", 0.6)],
        told: &["request rate doubled, replicas at max", "traffic surge since the campaign", "autoscaler cannot add more replicas"],
        logs: &["upstream request timeout", "504 gateway timeout after 30s"],
        description: "More requests than the endpoint's replicas can answer. Raises the number of replicas.",
    },
    Cause {
        playbook: "widen-batching-window",
        family: 0,
        mended: 0.86,
        on: [1.0, 1.0, 3.0, 3.0, 1.0],
        symptoms: &[("latency_p95", "up", 0.9), ("queue_depth", "up", 0.8), ("gpu_utilization", "down", 0.5), ("request_rate", "up", 0.3)],
        told: &["GPU half idle while the queue grows", "batches of one, batching window too short", "throughput poor for this hardware"],
        logs: &["batch size 1 for 240 steps", "upstream request timeout"],
        description: "Requests queue although GPUs are not busy: batches are too small. Lengthens the batching window.",
    },
    Cause {
        playbook: "warm-model-cache",
        family: 0,
        mended: 0.88,
        on: [1.0, 1.0, 1.0, 1.0, 3.0],
        symptoms: &[
            ("latency_p95", "up", 0.8),
            ("startup_seconds", "up", 0.6),
            ("queue_depth", "up", 0.5),
            ("replicas_ready", "down", 0.3),
        ],
        told: &[
            "new replicas take minutes until they answer",
            "weights are pulled again at every start",
            "cold starts after scale to zero",
        ],
        logs: &["Back-off pulling image, ImagePullBackOff", "downloading shard 3 of 8"],
        description: "New replicas are slow to start because weights and images are fetched each time. Warms the cache of the pool.",
    },
    Cause {
        playbook: "rollback-canary",
        family: 1,
        mended: 0.94,
        on: [1.0, 1.0, 1.0, 1.0, 1.0],
        symptoms: &[("error_ratio", "up", 0.95), ("latency_p95", "up", 0.5), ("canary_error_ratio", "up", 0.4)],
        told: &["right after the new revision", "only the canary fails, stable is healthy", "bad release"],
        logs: &["HTTP 500 internal server error", "KeyError in preprocess()"],
        description: "A new revision fails where the stable one does not. Takes all traffic off the canary.",
    },
    Cause {
        playbook: "renew-endpoint-certificate",
        family: 1,
        mended: 0.95,
        on: [1.0, 1.0, 1.0, 1.0, 1.0],
        symptoms: &[("error_ratio", "up", 0.95), ("request_rate", "down", 0.4)],
        told: &["handshakes fail for new connections", "certificate ran out", "TLS errors in the gateway"],
        logs: &["x509: certificate has expired or is not yet valid", "tls: handshake failure"],
        description: "Clients cannot connect because the endpoint's certificate ran out. Issues a new one.",
    },
    Cause {
        playbook: "raise-queue-limit",
        family: 1,
        mended: 0.85,
        on: [1.0, 1.0, 1.0, 1.0, 1.0],
        symptoms: &[("error_ratio", "up", 0.9), ("queue_depth", "up", 0.6), ("gpu_utilization", "down", 0.3)],
        told: &["short bursts rejected, GPUs idle", "queue at its limit", "rejections come in waves of seconds"],
        logs: &["429 too many requests", "queue full, request rejected"],
        description: "Short bursts are rejected although capacity is free. Raises the queue's limit.",
    },
    Cause {
        playbook: "cordon-gpu-node",
        family: 2,
        mended: 0.92,
        on: [2.0, 1.0, 1.0, 3.0, 1.0],
        symptoms: &[("gpu_xid_errors", "up", 0.9), ("gpu_throttle_ratio", "up", 0.5), ("latency_p95", "up", 0.5)],
        told: &["GPU fell off the bus", "machine throttles from heat", "needs hardware support"],
        logs: &["NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus", "NVRM: Xid (PCI:0000:af:00): 48, double bit ECC error"],
        description: "A node's GPU is broken or throttles. Keeps new pods off the node, and those on it move.",
    },
    Cause {
        playbook: "reset-gpu-driver",
        family: 2,
        mended: 0.84,
        on: [1.0, 3.0, 2.0, 1.0, 1.0],
        symptoms: &[("gpu_xid_errors", "up", 0.9), ("gpu_utilization", "down", 0.5), ("latency_p95", "up", 0.4)],
        told: &["GPU hangs until the process is killed", "driver stuck after an update", "came back after a reset last time"],
        logs: &["NVRM: Xid (PCI:0000:3b:00): 31, MMU fault", "NVRM: Xid (PCI:0000:5e:00): 13, graphics exception"],
        description: "A GPU hangs in software and its driver does not recover. Resets it without taking the node out.",
    },
    Cause {
        playbook: "lower-batch-tokens",
        family: 3,
        mended: 0.87,
        on: [1.0, 1.0, 3.0, 3.0, 2.0],
        symptoms: &[("gpu_memory_used", "up", 0.8), ("error_ratio", "up", 0.6), ("replicas_ready", "down", 0.4)],
        told: &["long prompts do not fit the GPU", "KV cache full", "fails on the largest requests only"],
        logs: &["torch.cuda.OutOfMemoryError: CUDA out of memory", "no free blocks in KV cache"],
        description: "Requests need more GPU memory than there is. Lowers the largest batch in tokens.",
    },
    Cause {
        playbook: "restart-replicas",
        family: 3,
        mended: 0.9,
        on: [2.0, 2.0, 1.0, 1.0, 1.0],
        symptoms: &[
            ("gpu_memory_used", "up", 0.5),
            ("memory_used", "up", 0.7),
            ("replicas_ready", "down", 0.6),
            ("latency_p95", "up", 0.4),
        ],
        told: &["memory grows steadily since the last start", "a leak, again", "fine for days after a restart"],
        logs: &["OOMKilled: container exceeded its memory limit", "Liveness probe failed: connection refused"],
        description: "Memory grows until replicas die. Restarts them one after the other.",
    },
    Cause {
        playbook: "retrain-model",
        family: 4,
        mended: 0.83,
        on: [1.0, 1.0, 1.0, 1.0, 1.0],
        symptoms: &[("column_drift", "up", 0.9), ("accuracy", "down", 0.6), ("error_ratio", "up", 0.2)],
        told: &["new customer segment since a campaign", "distribution moved for good", "median shifted by one deviation"],
        logs: &["psi above threshold for 3 windows"],
        description: "Inputs moved away from what the model was trained on. Trains it on recent data.",
    },
    Cause {
        playbook: "restart-feature-pipeline",
        family: 4,
        mended: 0.91,
        on: [1.0, 1.0, 1.0, 1.0, 1.0],
        symptoms: &[("column_drift", "up", 0.7), ("null_ratio", "up", 0.7), ("freshness_hours", "up", 0.6)],
        told: &["last good batch hours ago", "columns full of nulls after a broken job", "pipeline stuck, retries exhausted"],
        logs: &["airflow: task failed, retries exhausted", "schema mismatch: column amount is null"],
        description: "The job that writes the features is stuck or wrote nulls. Starts it again from its last good state.",
    },
];

pub(super) const SERVICES: [&str; 24] = [
    "ml/iris",
    "ml/rose",
    "ml/tulip",
    "ml/fraud",
    "search/rank",
    "search/embed",
    "shop/basket",
    "shop/upsell",
    "pay/risk",
    "pay/limits",
    "chat/small",
    "chat/large",
    "chat/code",
    "vision/ocr",
    "vision/faces",
    "vision/scenes",
    "voice/stt",
    "voice/tts",
    "ads/bids",
    "ads/clicks",
    "maps/eta",
    "maps/route",
    "mail/spam",
    "mail/reply",
];

pub(super) const ASIDES: [&str; 10] = [
    "see the ticket",
    "second time this week",
    "handover from the night shift",
    "same as last month?",
    "status page updated",
    "call the owner before touching it",
    "dashboard in the wiki",
    "the usual",
    "customer call at noon",
    "unrelated deploy of the billing job at the same time",
];
