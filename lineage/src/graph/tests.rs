use std::time::Instant;

use bellwether_model::unit::Replicas;

use super::*;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn io(run: &str, job: &str, flow: Flow, dataset: &str, secs: i64) -> RunIo {
    let (namespace, name) = dataset.rsplit_once(':').unwrap();
    RunIo {
        run_id: run.into(),
        job_namespace: "etl".into(),
        job_name: job.into(),
        flow,
        dataset_namespace: namespace.into(),
        dataset_name: name.into(),
        dataset_version: None,
        event_time: at(secs),
        event_id: format!("{run}-{secs}"),
        recorded_at: at(secs),
    }
}

fn endpoint(name: &str, model: Option<&str>, secs: i64) -> Endpoint {
    Endpoint {
        endpoint: EndpointId::new("ml", name),
        uid: String::new(),
        resource_version: String::new(),
        labels: BTreeMap::new(),
        runtime: String::new(),
        model_uri: model.map(str::to_owned),
        min_replicas: Replicas(1),
        max_replicas: Replicas(4),
        ready_replicas: None,
        canary_percent: None,
        revision: None,
        gpus_per_replica: 1.0,
        pool: None,
        ready: None,
        recorded_at: at(secs),
    }
}

fn vertex(text: &str) -> Vertex {
    text.parse().unwrap()
}

fn names(hops: &[Hop]) -> Vec<String> {
    hops.iter().map(|h| format!("{} {}", h.depth, h.vertex)).collect()
}

/// raw → features (job) → features → train → model → iris; the training run names its output only when it completes.
fn small() -> (Vec<RunIo>, Vec<Endpoint>) {
    let rows = vec![
        io("r1", "features", Flow::Input, "s3://raw:orders", 10),
        io("r1", "features", Flow::Output, "s3://features:orders", 10),
        io("r2", "train", Flow::Input, "s3://features:orders", 20),
        io("r2", "train", Flow::Output, "s3://models:iris/3", 30),
        io("r3", "features", Flow::Input, "s3://raw:orders", 40),
    ];
    (rows, vec![endpoint("iris", Some("s3://models/iris/3"), 35), endpoint("rose", None, 35)])
}

#[test]
fn walks_from_raw_data_to_the_live_endpoint_and_back() {
    let (rows, endpoints) = small();
    let graph = Graph::build(&rows, &endpoints);
    let raw = vertex("dataset:s3://raw:orders");
    let down = graph.downstream(&raw, usize::MAX, Graph::LATEST);
    assert_eq!(
        names(&down),
        ["1 job:etl:features", "2 dataset:s3://features:orders", "3 job:etl:train", "4 dataset:s3://models:iris/3", "5 endpoint:ml/iris"]
    );
    assert_eq!(down[4].via, vertex("dataset:s3://models:iris/3"));
    assert_eq!((down[0].first, down[0].last), (at(10), at(40)));
    assert_eq!(names(&graph.downstream(&raw, 2, Graph::LATEST)).len(), 2);
    let up = graph.upstream(&vertex("endpoint:ml/iris"), usize::MAX, Graph::LATEST);
    assert_eq!(up.last().unwrap().vertex, raw);
    assert_eq!(graph.impact(&DatasetId::new("s3://raw", "orders"), Graph::LATEST), [EndpointId::new("ml", "iris")]);
    assert_eq!(
        graph.paths(&raw, Graph::LATEST),
        ["s3://raw:orders -> job etl:features -> s3://features:orders -> job etl:train -> s3://models:iris/3 -> endpoint ml/iris"]
    );
    assert_eq!(graph.path(&raw, &vertex("job:etl:train"), Graph::LATEST).unwrap().len(), 4);
    assert_eq!(graph.path(&vertex("endpoint:ml/iris"), &raw, Graph::LATEST), None);
    assert!(graph.downstream(&vertex("dataset:s3://no:where"), 9, Graph::LATEST).is_empty());
    assert_eq!(graph.find("ml/iris"), [&vertex("endpoint:ml/iris")]);
    assert_eq!(graph.find("dataset:s3://raw:orders"), [&raw]);
    assert!(graph.find("orders").is_empty());
    assert_eq!(graph.ending("iris"), [&vertex("endpoint:ml/iris")]);
    assert_eq!(graph.ending("orders"), [&vertex("dataset:s3://features:orders"), &raw]);
    assert!(graph.ending("rders").is_empty());
}

#[test]
fn the_past_is_walked_as_it_was() {
    let (rows, endpoints) = small();
    let graph = Graph::build(&rows, &endpoints);
    let raw = vertex("dataset:s3://raw:orders");
    assert_eq!(names(&graph.downstream(&raw, 9, at(5))), [""; 0]);
    assert_eq!(names(&graph.downstream(&raw, 9, at(20))).last().unwrap(), "3 job:etl:train");
    assert!(graph.impact(&DatasetId::new("s3://raw", "orders"), at(34)).is_empty());
    assert_eq!(graph.edges(at(20)).len(), 3);
}

#[test]
fn an_endpoint_leaves_its_old_model_when_it_takes_a_new_one() {
    let rows = [
        endpoint("iris", Some("s3://models/iris/3"), 10),
        endpoint("iris", Some("s3://models/iris/3"), 20),
        endpoint("iris", Some("s3://models/iris/4"), 30),
        endpoint("iris", Some("s3://models/iris/3"), 40),
    ];
    let graph = Graph::build(&[], &rows);
    let three = DatasetId::from_uri("s3://models/iris/3");
    let serves = |t| !graph.impact(&three, at(t)).is_empty();
    assert_eq!([5, 10, 29, 30, 39, 40, 99].map(serves), [false, true, true, false, false, true, true]);
    assert_eq!(graph.edges(at(25))[0].last, at(20));
}

#[test]
fn cycles_end_and_order_of_rows_does_not_matter() {
    let mut rows = vec![
        io("r1", "a", Flow::Input, "s3://x:one", 1),
        io("r1", "a", Flow::Output, "s3://x:two", 1),
        io("r2", "b", Flow::Input, "s3://x:two", 2),
        io("r2", "b", Flow::Output, "s3://x:one", 2),
        io("r2", "b", Flow::Input, "s3://x:two", 2),
    ];
    let start = vertex("dataset:s3://x:one");
    let there = Graph::build(&rows, &[]).downstream(&start, usize::MAX, Graph::LATEST);
    assert_eq!(names(&there), ["1 job:etl:a", "2 dataset:s3://x:two", "3 job:etl:b"]);
    rows.reverse();
    assert_eq!(Graph::build(&rows, &[]).downstream(&start, usize::MAX, Graph::LATEST), there);
}

#[test]
fn a_hundred_thousand_edges_are_built_and_walked_quickly() {
    let mut random = 7_u64;
    let mut next = |n: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % n
    };
    let mut rows = Vec::new();
    for job in 0..20_000 {
        for _ in 0..3 {
            rows.push(io("r", &format!("job{job}"), Flow::Input, &format!("s3://lake:table{}", next(20_000)), 1));
        }
        for _ in 0..2 {
            rows.push(io("r", &format!("job{job}"), Flow::Output, &format!("s3://lake:table{}", next(20_000)), 1));
        }
    }
    let endpoints: Vec<_> = (0..1_000).map(|i| endpoint(&format!("e{i}"), Some(&format!("s3://lake/table{i}")), 1)).collect();
    let start = Instant::now();
    let graph = Graph::build(&rows, &endpoints);
    let impact = graph.impact(&DatasetId::new("s3://lake", "table5"), Graph::LATEST);
    let spent = start.elapsed();
    assert!(graph.edges(Graph::LATEST).len() > 100_000);
    assert!(impact.len() > 500, "{}", impact.len());
    assert!(spent.as_secs() < 5, "{spent:?} without optimisation on a busy machine");
}
