//! `bellwether lineage`

use bellwether_governance::yaml::nearest;
use bellwether_lineage::{Graph, graph::Hop, vertex::Vertex};
use serde_json::json;

use super::{session, sql_failure};
use crate::cli::{LineageArgs, Output};
use crate::config::Config;
use crate::failure::Failure;
use crate::{open, output};

/// Runs the command.
pub async fn run(config: &Config, args: LineageArgs, output: Output) -> Result<(), Failure> {
    let lake = open::lake(config).await?;
    let session = session(&lake, None).await?;
    let known = session.evidence().await.map_err(|e| sql_failure(&e))?;
    let graph = Graph::build(&known.run_io, &known.inventory.endpoints);
    let start = start(&graph, &args.start)?;
    let as_of = args.as_of.unwrap_or(Graph::LATEST);
    let upstream = if args.downstream { Vec::new() } else { graph.upstream(&start, args.depth, as_of) };
    let downstream = if args.upstream { Vec::new() } else { graph.downstream(&start, args.depth, as_of) };
    let list = |hops: &[Hop]| {
        hops.iter()
            .map(|h| json!({"vertex": h.vertex, "depth": h.depth, "via": h.via, "first": h.first, "last": h.last}))
            .collect::<Vec<_>>()
    };
    let value = json!({"start": start, "upstream": list(&upstream), "downstream": list(&downstream)});
    output::print(output, &value, || {
        let tree = |title: &str, hops: &[Hop]| -> String {
            if hops.is_empty() {
                return format!("{title}: nothing\n");
            }
            let lines: Vec<String> = hops.iter().map(|h| format!("{}{}", "  ".repeat(h.depth), h.vertex)).collect();
            format!("{title}:\n{}\n", lines.join("\n"))
        };
        let mut text = format!("{start}\n");
        if !args.downstream {
            text.push_str(&tree("made from", &upstream));
        }
        if !args.upstream {
            text.push_str(&tree("feeds", &downstream));
        }
        text
    })
}

/// The vertex that a person means.
fn start(graph: &Graph, text: &str) -> Result<Vertex, Failure> {
    let found = match graph.find(text) {
        exact if !exact.is_empty() => exact,
        _ => graph.ending(text),
    };
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(Failure::user(format!("nothing is known of {text}")).hint(known(graph, text))),
        many => {
            let list: Vec<String> = many.iter().take(5).map(ToString::to_string).collect();
            let rest = if many.len() > list.len() { format!(" or {} more", many.len() - list.len()) } else { String::new() };
            Err(Failure::user(format!("{text} names several: {}{rest}", list.join(", "))).hint("write one of them whole"))
        }
    }
}

/// What would be right instead.
fn known(graph: &Graph, text: &str) -> String {
    let names: Vec<String> = graph.vertices().iter().map(ToString::to_string).collect();
    if names.is_empty() {
        return "the ledger has no lineage yet: send OpenLineage events to `bellwether serve`, or ingest files of them (docs/configuration.md)"
            .into();
    }
    let bare = |name: &str| name.split_once(':').map_or(name, |(_, rest)| rest).to_owned();
    let near = nearest(text, names.iter().map(String::as_str))
        .map(str::to_owned)
        .or_else(|| names.iter().find(|n| nearest(text, [bare(n).as_str()]).is_some()).cloned());
    near.map_or_else(
        || "datasets, jobs and endpoints have lineage; `bellwether sql \"SELECT DISTINCT dataset_namespace, dataset_name FROM run_io\"` lists datasets".into(),
        |near| format!("did you mean {near}?"),
    )
}
