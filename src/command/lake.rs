//! `bellwether lake`

use bellwether_lake::maintain::Upkeep;

use crate::cli::{LakeArgs, LakeCommand, Output};
use crate::config::Config;
use crate::failure::{Failure, Kind, chain};
use crate::{open, output};

/// Runs the command.
pub async fn run(config: &Config, args: LakeArgs, output: Output) -> Result<(), Failure> {
    let lake = open::lake(config).await?;
    match args.command {
        LakeCommand::Stat { check } => {
            let snapshot = lake.snapshot().await.map_err(|e| open::lake_failure(&e))?;
            let rows = snapshot.stat().iter().map(output::row).collect::<Result<Vec<_>, _>>()?;
            output::print_rows(output, &rows, &[])?;
            if check {
                let damaged = snapshot.damaged_files().await;
                if !damaged.is_empty() {
                    let list: Vec<String> = damaged.iter().map(|e| chain(e)).collect();
                    return Err(Failure::new(Kind::Upstream, list.join("\n       "))
                        .hint("restore these files from a backup, or ingest their days again"));
                }
                eprintln!("every file is whole");
            }
            Ok(())
        }
        LakeCommand::Maintain => {
            let done = lake.maintain(Upkeep::default(), crate::clock::now()).await.map_err(|e| open::lake_failure(&e))?;
            output::print(output, &done, || {
                format!(
                    "merged {} files into {}, dropped {} duplicate samples, removed {} old files",
                    done.merged, done.written, done.duplicates, done.removed
                )
            })
        }
    }
}
