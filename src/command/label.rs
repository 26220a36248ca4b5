//! `bellwether label`

use bellwether_lake::tables;
use bellwether_model::label::{Label, LabelKind};
use serde::Deserialize;

use super::{session, sql_failure};
use crate::actor::actor;
use crate::cli::{LabelArgs, LabelWord};
use crate::clock::now;
use crate::config::Config;
use crate::failure::Failure;
use crate::open;

#[derive(Deserialize)]
struct Id {
    id: String,
}

/// Runs the command.
pub async fn run(config: &Config, args: LabelArgs) -> Result<(), Failure> {
    let lake = open::lake(config).await?;
    let session = session(&lake, None).await?;
    let known: Vec<Id> = session
        .rows("SELECT incident_id AS id FROM incidents_current UNION ALL SELECT signal_id AS id FROM signals_current")
        .await
        .map_err(|e| sql_failure(&e))?;
    let subject_id = open::pick(&args.id, known.iter().map(|k| k.id.as_str()), "incident")?;
    let redactor = open::redactor(config)?;
    let label = Label {
        subject_id: subject_id.clone(),
        label: match args.label {
            LabelWord::Incident => LabelKind::Incident,
            LabelWord::NotAnIncident => LabelKind::NotAnIncident,
        },
        comment: args.comment.map(|c| redactor.text(&c).into_owned()),
        actor: actor(args.actor.as_deref())?,
        recorded_at: now(),
    };
    lake.append_rows(&tables::LABELS, &[label], &[]).await.map_err(|e| open::lake_failure(&e))?;
    println!("noted: {subject_id} is {}", if args.label == LabelWord::Incident { "an incident" } else { "not an incident" });
    Ok(())
}
