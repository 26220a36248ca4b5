//! What was spent: GPUs × time × rate.

use serde::{Deserialize, Serialize};

use crate::id::{EndpointId, PoolName};
use crate::time::Timestamp;
use crate::unit::MicroUsd;

/// What a share of a pool's cost is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CostKind {
    /// GPUs that an endpoint's replicas held.
    Workload,
    /// GPUs of the pool that nothing held.
    Idle,
    /// GPUs of the pool of which it is not known whether anything held them: no replicas were sampled, and no cluster tells.
    Unknown,
}

/// The cost of one pool for one period, or of one endpoint's part of it. A row of the table `costs`.
///
/// For each pool and period, the rows add up to exactly the pool's cost, in millionths of a dollar. Periods in which neither the pool was
/// looked at nor its use was sampled have no row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Start of the period, an hour.
    pub period_start: Timestamp,
    /// End of the period.
    pub period_end: Timestamp,
    /// The pool.
    pub pool: PoolName,
    /// The endpoint; none for idle and unknown.
    pub endpoint: Option<EndpointId>,
    /// Workload, idle or unknown.
    pub kind: CostKind,
    /// GPU-hours.
    pub gpu_hours: f64,
    /// Price of one GPU-hour then.
    pub usd_per_gpu_hour: MicroUsd,
    /// Cost in millionths of a dollar.
    pub cost_micro_usd: MicroUsd,
    /// When the row was written.
    pub recorded_at: Timestamp,
}
