//! `bellwether recommend`

use serde_json::json;

use super::incidents::{self, card, open_cards};
use super::{session, why};
use crate::cli::{Output, RecommendArgs};
use crate::config::Config;
use crate::failure::Failure;
use crate::{open, output};

/// Runs the command: what the last rounds recommended.
pub async fn run(config: &Config, args: RecommendArgs, output: Output) -> Result<(), Failure> {
    if args.top == 0 {
        return Err(Failure::user("--top 0 asks for nothing; ask for at least 1"));
    }
    let lake = open::lake(config).await?;
    let session = session(&lake, None).await?;
    let cards = match &args.incident {
        Some(id) => vec![card(&session, &incidents::pick(&session, id).await?).await?],
        None => open_cards(&session).await?,
    };
    let cut = |mut r: bellwether_model::recommendation::Recommendation| {
        r.candidates.truncate(args.top);
        r
    };
    let found: Vec<_> = cards.into_iter().map(|c| (c.incident, c.recommendation.map(cut))).collect();
    let value: Vec<_> = found.iter().map(|(incident, recommendation)| json!({"incident_id": incident.incident_id, "title": incident.title, "recommendation": recommendation})).collect();
    output::print(output, &value, || {
        if found.is_empty() {
            return "no incident is open, so there is nothing to recommend; `bellwether recommend ID --why` shows what was recommended for one that is over"
                .to_owned();
        }
        let mut blocks = Vec::new();
        for (incident, recommendation) in &found {
            let lines = match recommendation {
                Some(r) if args.why => incidents::recommended(r, args.top).into_iter().chain(why::lines(r, args.top)).collect(),
                Some(r) => incidents::recommended(r, args.top),
                None => vec!["nothing yet; `bellwether round` recommends for incidents that open or grow".to_owned()],
            };
            blocks.push(format!("{}  [{}]  {}\n  {}", incident.incident_id, incident.severity, incident.title, lines.join("\n  ")));
        }
        blocks.join("\n\n")
    })
}
