//! `bellwether lineage`

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
    let start = Vertex::of_entity(&args.entity).ok_or_else(|| {
        Failure::user(format!("{} is not in lineage: only datasets, jobs and endpoints are", args.entity))
            .hint("write endpoint:namespace/name or dataset:namespace:name")
    })?;
    if !graph.vertices().contains(&start) {
        let near: Vec<String> = graph.find(&start.to_string()).iter().take(5).map(ToString::to_string).collect();
        let failure = Failure::user(format!("nothing is known of {start}"));
        return Err(if near.is_empty() {
            failure.hint("`bellwether sql \"SELECT DISTINCT dataset_namespace, dataset_name FROM run_io\"` lists datasets")
        } else {
            failure.hint(format!("did you mean {}?", near.join(" or ")))
        });
    }
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
