use bellwether_model::decision::Tier;

use super::*;
use crate::condition::{Value, Variables};

const SERVICE: &str = include_str!("../../samples/service.yaml");
const QUICKSTART: &str = include_str!("../../samples/quickstart.yaml");
const GLOBAL: &str = include_str!("../../samples/global.yaml");
const OBJECT: &str = include_str!("../../samples/object.yaml");

fn build(global: &[(&str, &str)], text: &str) -> Result<Blueprint, crate::yaml::LoadErrors> {
    let global: Vec<Draft> = global.iter().map(|(file, text)| Draft::parse(file, text).unwrap()).collect();
    Blueprint::build(&global, &Draft::parse("blueprints/iris.yaml", text)?)
}

fn scaling(target: i64, max: i64) -> Variables {
    [("target_replicas", Value::Int(target)), ("max_replicas", Value::Int(max))].into()
}

#[test]
fn the_22_requirements_are_read_each_with_its_place() {
    let blueprint = build(&[], SERVICE).unwrap();
    let expected = [
        ("metadata.name", 2),
        ("metadata.version", 3),
        ("metadata.priority", 4),
        ("metadata.criticality", 5),
        ("spec.scaling.min_replicas", 9),
        ("spec.scaling.max_replicas", 10),
        ("spec.scaling.target_cpu_utilization", 11),
        ("spec.scaling.scale_up_threshold", 12),
        ("spec.scaling.scale_down_threshold", 13),
        ("spec.resources.cpu.min", 17),
        ("spec.resources.cpu.max", 18),
        ("spec.resources.cpu.target", 19),
        ("spec.resources.memory.min", 21),
        ("spec.resources.memory.max", 22),
        ("spec.resources.memory.target", 23),
        ("spec.performance.latency_target_p95", 26),
        ("spec.performance.error_rate_threshold", 27),
        ("governance.agent_authority.allowed_operations", 32),
        ("governance.agent_authority.requires_approval", 37),
        ("governance.agent_authority.forbidden_operations", 42),
        ("verification.checks", 50),
        ("verification.rollback.trigger_on_critical_failure", 65),
    ];
    assert_eq!(expected.len(), 22);
    for (path, line) in expected {
        assert_eq!(blueprint.places.get(path).line, line, "{path}");
    }
}

#[test]
fn the_text_becomes_quantities() {
    let b = build(&[], SERVICE).unwrap();
    assert_eq!((b.spec.scaling.min_replicas.0, b.spec.scaling.max_replicas.0), (2, 10));
    assert_eq!(
        (b.spec.scaling.target_cpu_utilization.0, b.spec.scaling.scale_up_threshold.0, b.spec.scaling.scale_down_threshold.0),
        (0.7, 0.8, 0.4)
    );
    assert_eq!(b.spec.resources.cpu, Range { min: MilliCpu(100), max: MilliCpu(1_000), target: MilliCpu(500) });
    assert_eq!(b.spec.resources.memory, Range { min: Bytes(128 << 20), max: Bytes(2 << 30), target: Bytes(512 << 20) });
    assert_eq!(b.spec.performance.latency_target_p95, Span::from_micros(200_000));
    assert_eq!(b.verification.stabilization_period, Span::from_secs(60));
    assert_eq!(b.verification.checks[0].target.to_string(), "< 200ms");
    assert_eq!(b.safety, Safety::default());
    assert_eq!(
        (b.metadata.priority, b.metadata.criticality),
        (Priority::Medium, Criticality::Standard),
        "a template's list chooses nothing"
    );
}

#[test]
fn what_is_left_out_gets_the_defaults() {
    let (quick, full) = (build(&[], QUICKSTART).unwrap(), build(&[], SERVICE).unwrap());
    assert_eq!(quick.spec, full.spec);
    assert_eq!(quick.verification, full.verification);
    let minimal = build(&[], "metadata: {name: a, version: 1}").unwrap();
    assert_eq!(minimal.spec, full.spec);
    assert_eq!(minimal.governance, Authority::default(), "no authority is given by silence");
}

#[test]
fn the_object_form_is_the_same_blueprint() {
    let b = build(&[], OBJECT).unwrap();
    assert_eq!((b.metadata.name.as_str(), b.metadata.priority, b.spec.scaling.max_replicas.0), ("iris", Priority::High, 5));
    let renamed = OBJECT.replacen("name: iris", "name: rose", 1);
    assert!(build(&[], &renamed).unwrap_err().to_string().contains("is not the object's name"));
    let foreign = OBJECT.replace("kind: Blueprint", "kind: Deployment");
    assert_eq!(build(&[], &foreign).unwrap_err().to_string(), "blueprints/iris.yaml:2:7: kind \"Deployment\" is not Blueprint");
}

#[test]
fn tiers_are_placed_as_listed_and_silence_forbids() {
    let authority = build(&[], SERVICE).unwrap().governance;
    let tier = |op, target| authority.place(op, &scaling(target, 5)).tier;
    assert_eq!(tier(Operation::ScaleWithinLimits, 5), Tier::Allowed);
    assert_eq!(tier(Operation::ScaleBeyondLimits, 6), Tier::Restricted);
    assert_eq!(tier(Operation::ScaleBeyondLimits, 5), Tier::Forbidden, "its condition does not hold and nothing else lists it");
    assert_eq!(tier(Operation::DeleteDeployment, 5), Tier::Forbidden);
    assert_eq!(tier(Operation::DisableIngress, 5), Tier::Forbidden);
    let placed = authority.place(Operation::ScaleBeyondLimits, &scaling(6, 5));
    assert_eq!(
        placed.text,
        "scale_beyond_limits requires approval because target_replicas > max_replicas (max_replicas = 5, target_replicas = 6)"
    );
    assert_eq!(placed.approvers, ["devops-team"]);
    let blind = authority.place(Operation::ScaleBeyondLimits, &Variables::new());
    assert_eq!((blind.tier, blind.text.contains("cannot be evaluated")), (Tier::Restricted, true));
}

#[test]
fn mistakes_are_named_with_line_and_hint() {
    let table = [
        (
            SERVICE
                .replace("scale_up_threshold: 80%", "scale_up_threshold: 40%")
                .replace("scale_down_threshold: 40%", "scale_down_threshold: 60%"),
            "blueprints/iris.yaml:12:25: scale_up_threshold (40%) must be above scale_down_threshold (60%)\nhint: the defaults are 80% and 40%",
        ),
        (
            SERVICE.replace("min_replicas: 2", "min_replicas: 12"),
            "blueprints/iris.yaml:9:19: min_replicas (12) must not be above max_replicas (10)",
        ),
        (
            SERVICE.replace("scale_up_threshold: 80%", "scale_up_threshold: 80"),
            "blueprints/iris.yaml:12:25: scale_up_threshold (8000%) must be above 0% and at most 100%\nhint: write it with its sign: 80%",
        ),
        (
            SERVICE.replace("target_cpu_utilization: 70%", "target_cpu_utilization: 90%"),
            "blueprints/iris.yaml:11:29: target_cpu_utilization (90%) must lie between",
        ),
        (
            SERVICE.replace("scale_within_limits", "scale_within_limit"),
            "blueprints/iris.yaml:32:9: \"scale_within_limit\" is not known here\nhint: did you mean scale_within_limits?",
        ),
        (
            SERVICE.replace("min_replicas:", "minimum_replicas:"),
            "blueprints/iris.yaml:9:5: unknown key \"minimum_replicas\"\nhint: did you mean min_replicas?",
        ),
        (
            SERVICE.replace("> max_replicas", "> maximum"),
            "blueprints/iris.yaml:38:20: \"target_replicas > maximum\" uses maximum, which is not a variable here",
        ),
        (SERVICE.replace("> max_replicas", ">"), "blueprints/iris.yaml:38:20: \"target_replicas >\" is not a condition"),
        (
            SERVICE.replace("latency_target_p95: 200ms", "latency_target_p95: quick"),
            "blueprints/iris.yaml:26:25: \"quick\" is not a duration",
        ),
        (SERVICE.replace("\"< 200ms\"", "200ms"), "blueprints/iris.yaml:52:15: \"200ms\" is not a bound"),
        (
            SERVICE.replace("max: 1000m", "max: 400m"),
            "blueprints/iris.yaml:19:15: cpu.target (500m) must lie between cpu.min (100m) and cpu.max (400m)",
        ),
        (SERVICE.replace("name: error_rate", "name: latency_p95"), "blueprints/iris.yaml:56:13: check latency_p95 is listed twice"),
        (
            SERVICE.replace("      - change_rbac", "      - restart_pods"),
            "blueprints/iris.yaml:44:9: restart_pods is forbidden here and permitted at blueprints/iris.yaml:34:9",
        ),
        (SERVICE.replace("  version: 1.0.0\n", ""), "blueprints/iris.yaml:4:3: version is missing"),
        (SERVICE.replace("enabled: true\n  stab", "enabled: perhaps\n  stab"), "blueprints/iris.yaml:47:12: "),
        ("spec: {}".to_owned(), "blueprints/iris.yaml:1:1: metadata is missing"),
        (format!("{SERVICE}\nsafety: {{max_objects: 0, min_confidence: 3}}"), "blueprints/iris.yaml:67:23: max_objects must be at least 1"),
    ];
    for (text, expected) in table {
        let errors = build(&[], &text).unwrap_err().to_string();
        assert!(errors.starts_with(expected), "wanted {expected}\n   got {errors}");
    }
}

#[test]
fn a_service_may_tighten_and_never_loosen() {
    let global = [("global.yaml", GLOBAL)];
    let own = |text: &str| build(&global, &format!("metadata: {{name: a, version: 1}}\n{text}"));
    let tight = own(
        "spec: {scaling: {max_replicas: 4}}\nsafety: {cooldown: 5m}\ngovernance: {agent_authority: {forbidden_operations: [cordon_node]}}",
    )
    .unwrap();
    assert_eq!((tight.spec.scaling.max_replicas.0, tight.safety.cooldown.secs()), (4, 300));
    assert_eq!(tight.governance.place(Operation::CordonNode, &Variables::new()).tier, Tier::Forbidden);
    let silent = own("").unwrap();
    assert_eq!(silent.spec.scaling.max_replicas.0, 20, "the global rule is the default");
    assert_eq!(silent.governance.place(Operation::CordonNode, &Variables::new()).tier, Tier::Restricted);
    let table = [
        (
            "spec: {scaling: {max_replicas: 30}}",
            "a.yaml:2:32: max_replicas (30) loosens the global rule of global.yaml:4:19: it must be at most 20",
        ),
        ("safety: {cooldown: 5s}", "a.yaml:2:20: cooldown (5s) loosens the global rule of global.yaml:19:13: it must be at least 1m"),
        (
            "governance: {agent_authority: {allowed_operations: [cordon_node]}}",
            "a.yaml:2:53: cordon_node is allowed here but restricted by the global rule of global.yaml:11:20",
        ),
        (
            "governance: {agent_authority: {allowed_operations: [change_rbac]}}",
            "a.yaml:2:53: change_rbac is allowed here but forbidden by the global rule of global.yaml:16:9",
        ),
        (
            "governance: {agent_authority: {requires_approval: [{operation: modify_namespace}]}}",
            "a.yaml:2:64: modify_namespace is restricted here but forbidden by",
        ),
    ];
    for (text, expected) in table {
        let errors = own(text).unwrap_err().to_string().replace("blueprints/iris.yaml", "a.yaml");
        assert!(errors.starts_with(expected), "wanted {expected}\n   got {errors}");
    }
}

#[test]
fn global_checks_stay_and_may_only_become_stricter() {
    let global = [("global.yaml", "verification: {checks: [{name: latency_p95, target: '< 300ms', critical: true}]}")];
    let own = |check: &str| build(&global, &format!("metadata: {{name: a, version: 1}}\nverification: {{checks: [{check}]}}"));
    let merged = own("{name: error_rate, target: '< 1%'}").unwrap();
    assert_eq!(merged.verification.checks.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["latency_p95", "error_rate"]);
    assert_eq!(own("{name: latency_p95, target: '< 200ms', critical: true}").unwrap().verification.checks[0].target.bound, 0.2);
    for looser in [
        "{name: latency_p95, target: '< 400ms', critical: true}",
        "{name: latency_p95, target: '< 200ms'}",
        "{name: latency_p95, target: '> 1ms', critical: true}",
    ] {
        assert!(own(looser).unwrap_err().to_string().contains("loosens the global rule of global.yaml:1:53"), "{looser}");
    }
}

#[test]
fn the_digest_is_of_the_content_alone() {
    let digest = |text: &str| build(&[], text).unwrap().digest().unwrap();
    assert_eq!(digest(SERVICE), digest(&format!("# a comment\n{SERVICE}")));
    assert_ne!(digest(SERVICE), digest(&SERVICE.replace("max_replicas: 10", "max_replicas: 11")));
    assert_ne!(digest(SERVICE), digest(&SERVICE.replace("target_replicas > max", "target_replicas >= max")));
}

proptest::proptest! {
    #[test]
    fn no_file_makes_loading_panic(text in "[ -~\n]{0,200}", cut in 0usize..1_400) {
        let _ = Draft::parse("f", &text);
        let _ = build(&[], SERVICE.get(..cut).unwrap_or(SERVICE));
    }

    #[test]
    fn a_stricter_tier_of_a_global_file_always_holds(global in 0u8..4, own in 0u8..4) {
        let lists = |tier| match tier {
            0 => "{}",
            1 => "{allowed_operations: [restart_pods]}",
            2 => "{requires_approval: [{operation: restart_pods}]}",
            _ => "{forbidden_operations: [restart_pods]}",
        };
        let file = format!("governance: {{agent_authority: {}}}", lists(global));
        let built = build(&[("g.yaml", &file)], &format!("metadata: {{name: a, version: 1}}\ngovernance: {{agent_authority: {}}}", lists(own)));
        proptest::prop_assert_eq!(built.is_err(), own != 0 && own < global);
        if let Ok(b) = built {
            let tier = b.governance.place(Operation::RestartPods, &Variables::new()).tier;
            let expected = match (global, own) { (0, 0) => 3, (g, 0) => g, (_, o) => o };
            proptest::prop_assert_eq!(tier as u8 + 1, expected);
        }
    }
}
