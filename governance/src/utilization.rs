//! The simple decision engine: from weighted utilisation to a number of replicas, and from use to the size of one.

use bellwether_model::playbook::Operation;
use bellwether_model::unit::{Bytes, MilliCpu, Ratio, Replicas};

use crate::blueprint::{Range, Spec};

/// What a service uses now. A value that is missing, negative or not a number counts for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// CPU use as a share of what is requested.
    pub cpu: Option<f64>,
    /// Memory use as a share of what is requested.
    pub memory: Option<f64>,
    /// p95 latency in seconds.
    pub latency_p95: Option<f64>,
}

/// How many replicas a service should have.
#[derive(Clone, Debug, PartialEq)]
pub struct Sizing {
    /// The weighted utilisation, a share of one; none when nothing was measured.
    pub utilization: Option<f64>,
    /// The replicas it should have.
    pub desired: Replicas,
    /// What the change amounts to; none when nothing should change.
    pub operation: Option<Operation>,
    /// Each input with its weight, the thresholds, what was decided, and what was rejected.
    pub rationale: Vec<String>,
}

/// How many replicas a service with `current` ones should have.
///
/// Utilisation is the mean of CPU, memory and latency (relative to its target) by the blueprint's weights, over what was
/// measured. Above `scale_up_threshold` the service grows, below `scale_down_threshold` it shrinks, each time to where
/// utilisation would be `target_cpu_utilization`, by one at least. It stays inside its bounds; only when it already has its
/// maximum is more asked for, as `scale_beyond_limits`. It never shrinks while latency misses its target.
pub fn size(spec: &Spec, usage: &Usage, current: Replicas) -> Sizing {
    let s = &spec.scaling;
    let target_latency = spec.performance.latency_target_p95.secs_f64();
    let latency = usable(usage.latency_p95).map(|l| l / target_latency).filter(|l| l.is_finite());
    let inputs = [
        ("cpu", usable(usage.cpu), s.weights.cpu),
        ("memory", usable(usage.memory), s.weights.memory),
        ("latency", latency, s.weights.latency),
    ];
    let mut rationale = Vec::new();
    let (mut sum, mut weights) = (0.0, 0.0);
    for (name, value, weight) in inputs {
        match value {
            Some(value) => {
                (sum, weights) = (sum + value * weight, weights + weight);
                rationale.push(format!("{name} {} × weight {weight}", Ratio(value)));
            }
            None => rationale.push(format!("{name} no data, weight {weight} left out")),
        }
    }
    let hold = |utilization, mut rationale: Vec<String>, why: String| {
        rationale.push(why);
        Sizing { utilization, desired: current, operation: None, rationale }
    };
    let measured = (weights > 0.0).then(|| sum / weights);
    let busy = measured.is_some_and(|u| u > s.scale_up_threshold.0);
    if current < s.min_replicas || (current > s.max_replicas && !busy) {
        let desired = current.clamp(s.min_replicas, s.max_replicas);
        rationale.push(format!("{current} is outside {} to {}: {current} → {desired}", s.min_replicas, s.max_replicas));
        return Sizing { utilization: measured, desired, operation: Some(Operation::ScaleWithinLimits), rationale };
    }
    let Some(utilization) = measured else {
        return hold(None, rationale, format!("nothing was measured: stay at {current}"));
    };
    rationale.push(format!(
        "weighted utilisation {} (up above {}, down below {}, aim {})",
        Ratio(utilization),
        s.scale_up_threshold,
        s.scale_down_threshold,
        s.target_cpu_utilization
    ));
    let wanted = replicas_for(current, utilization, s.target_cpu_utilization.0);
    if busy {
        let wanted = wanted.max(Replicas(current.0.saturating_add(1)));
        if current >= s.max_replicas {
            rationale.push(format!("{current} → {wanted}, beyond max_replicas {}; rejected: staying at {current}", s.max_replicas));
            return Sizing { utilization: Some(utilization), desired: wanted, operation: Some(Operation::ScaleBeyondLimits), rationale };
        }
        let desired = wanted.min(s.max_replicas);
        let cut = if desired < wanted { format!("; rejected: {wanted}, above max_replicas {}", s.max_replicas) } else { String::new() };
        rationale.push(format!("{current} → {desired}{cut}"));
        return Sizing { utilization: Some(utilization), desired, operation: Some(Operation::ScaleWithinLimits), rationale };
    }
    if utilization >= s.scale_down_threshold.0 {
        return hold(Some(utilization), rationale, format!("between the thresholds: stay at {current}"));
    }
    if current <= s.min_replicas {
        return hold(Some(utilization), rationale, format!("already at min_replicas {}: stay at {current}", s.min_replicas));
    }
    if latency.is_some_and(|l| l > 1.0) {
        return hold(Some(utilization), rationale, format!("latency misses its target: stay at {current}; rejected: {wanted}"));
    }
    let desired = wanted.min(Replicas(current.0 - 1)).max(s.min_replicas);
    rationale.push(format!("{current} → {desired}"));
    Sizing { utilization: Some(utilization), desired, operation: Some(Operation::ScaleWithinLimits), rationale }
}

/// The CPU request at which this use would be `aim` of it, inside the blueprint's bounds.
pub fn right_size_cpu(bounds: &Range<MilliCpu>, used: MilliCpu, aim: Ratio) -> MilliCpu {
    MilliCpu(right_size(used.0, aim).clamp(bounds.min.0, bounds.max.0.max(bounds.min.0)))
}

/// The memory request at which this use would be `aim` of it, inside the blueprint's bounds.
pub fn right_size_memory(bounds: &Range<Bytes>, used: Bytes, aim: Ratio) -> Bytes {
    Bytes(right_size(used.0, aim).clamp(bounds.min.0, bounds.max.0.max(bounds.min.0)))
}

fn right_size(used: u64, aim: Ratio) -> u64 {
    if aim.0 > 0.0 { (used as f64 / aim.0 - ROUNDING).ceil().max(0.0) as u64 } else { used }
}

/// Subtracted before rounding up, so that an error in the last digit adds nothing.
const ROUNDING: f64 = 1e-9;

/// The replicas at which utilisation would be `aim`.
fn replicas_for(current: Replicas, utilization: f64, aim: f64) -> Replicas {
    Replicas((f64::from(current.0) * utilization / aim - ROUNDING).ceil().max(0.0) as u32)
}

fn usable(value: Option<f64>) -> Option<f64> {
    value.filter(|v| v.is_finite() && *v >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blueprint::{Blueprint, Draft};

    fn spec(max: u32) -> Spec {
        let text = include_str!("../samples/service.yaml").replace("max_replicas: 10", &format!("max_replicas: {max}"));
        Blueprint::build(&[], &Draft::parse("service.yaml", &text).unwrap()).unwrap().spec
    }

    fn usage(cpu: f64, memory: f64, latency_ms: f64) -> Usage {
        Usage { cpu: Some(cpu), memory: Some(memory), latency_p95: Some(latency_ms / 1e3) }
    }

    const WITHIN: Option<Operation> = Some(Operation::ScaleWithinLimits);
    const BEYOND: Option<Operation> = Some(Operation::ScaleBeyondLimits);

    #[test]
    fn the_ten_reference_decisions() {
        let cpu = |share: f64| Usage { cpu: Some(share), ..Usage::default() };
        let table = [
            (10, cpu(0.85), 2, 3, WITHIN, "a frontend at 85 % grows from 2 to 3"),
            (10, cpu(0.45), 3, 3, None, "a backend at 45 % stays"),
            (5, cpu(0.81), 5, 6, BEYOND, "5 of 5 and still too few: 6 needs a person"),
            (10, cpu(0.30), 3, 2, WITHIN, "3 to 2"),
            (10, cpu(0.80), 4, 4, None, "the threshold itself is not above it"),
            (10, cpu(0.40), 4, 4, None, "nor below it"),
            (10, cpu(0.10), 2, 2, None, "never under the minimum"),
            (10, cpu(2.00), 8, 10, WITHIN, "bounded by the maximum on the way there"),
            (10, usage(0.20, 0.20, 280.0), 3, 3, None, "no shrinking while latency misses its target"),
            (10, Usage::default(), 5, 5, None, "nothing measured, nothing done"),
        ];
        for (max, usage, current, desired, operation, why) in table {
            let sizing = size(&spec(max), &usage, Replicas(current));
            assert_eq!((sizing.desired.0, sizing.operation), (desired, operation), "{why}: {:?}", sizing.rationale);
        }
    }

    #[test]
    fn inputs_count_by_weight_over_what_was_measured() {
        let table = [
            (usage(0.9, 0.9, 180.0), 0.9),
            (usage(1.0, 0.0, 0.0), 0.5),
            (usage(0.0, 1.0, 0.0), 0.3),
            (usage(0.0, 0.0, 200.0), 0.2),
            (Usage { cpu: Some(0.9), memory: None, latency_p95: Some(0.04) }, 0.7),
            (Usage { cpu: Some(f64::NAN), memory: Some(0.6), latency_p95: Some(-1.0) }, 0.6),
        ];
        for (usage, expected) in table {
            let got = size(&spec(10), &usage, Replicas(4)).utilization.unwrap();
            assert!((got - expected).abs() < 1e-12, "{usage:?}: {got}");
        }
    }

    #[test]
    fn the_rationale_names_inputs_weights_thresholds_and_what_was_rejected() {
        let sizing = size(&spec(10), &Usage { cpu: Some(2.0), memory: Some(2.0), latency_p95: None }, Replicas(8));
        let expected = [
            "cpu 200% × weight 0.5",
            "memory 200% × weight 0.3",
            "latency no data, weight 0.2 left out",
            "weighted utilisation 200% (up above 80%, down below 40%, aim 70%)",
            "8 → 10; rejected: 23, above max_replicas 10",
        ];
        assert_eq!(sizing.rationale, expected);
    }

    #[test]
    fn requests_are_sized_inside_their_bounds() {
        let resources = spec(10).resources;
        for (used, request) in [(350, 500), (10, 100), (5_000, 1_000), (0, 100)] {
            assert_eq!(right_size_cpu(&resources.cpu, MilliCpu(used), Ratio(0.7)), MilliCpu(request));
        }
        assert_eq!(right_size_memory(&resources.memory, Bytes(4 << 30), Ratio(0.7)), Bytes(2 << 30));
    }

    proptest::proptest! {
        #[test]
        fn sizes_stay_in_bounds_and_never_contradict(cpu in 0.0f64..3.0, memory in 0.0f64..3.0, latency in 0.0f64..2_000.0, current in 0u32..40) {
            let spec = spec(10);
            let sizing = size(&spec, &usage(cpu, memory, latency), Replicas(current));
            let utilization = sizing.utilization.unwrap();
            match sizing.operation {
                None => proptest::prop_assert_eq!(sizing.desired.0, current),
                Some(Operation::ScaleBeyondLimits) => proptest::prop_assert!(current >= 10 && sizing.desired.0 > current && utilization > 0.8),
                Some(_) => proptest::prop_assert!((2..=10).contains(&sizing.desired.0) && sizing.desired.0 != current),
            }
            proptest::prop_assert_eq!(&size(&spec, &usage(cpu, memory, latency), Replicas(current)), &sizing);
        }
    }
}
