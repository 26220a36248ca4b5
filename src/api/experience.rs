//! Past runs by text, kept between requests: making the index anew for each would be most of the work.

use std::collections::BTreeMap;
use std::sync::Arc;

use bellwether_embeddings::{Calibration, Embedder, Experience, Index};
use bellwether_lake::tables::{APPROVALS, OUTCOMES, PLANS, RECOMMENDATIONS, RUNS};
use bellwether_model::id::RunId;
use bellwether_model::outcome::Outcome;
use bellwether_model::run::Run;
use bellwether_pipelines::experience::{calibration, experience};
use bellwether_sql::Session;
use tokio::sync::Mutex;

use super::problem::{Kind, Problem};

/// What past runs say.
#[derive(Debug)]
pub struct Past {
    /// The runs' summaries by text.
    pub index: Index,
    /// The runs by id.
    pub runs: BTreeMap<RunId, Experience>,
    /// How stated scores came true so far.
    pub calibration: Calibration,
}

/// The versions of the tables that an index was made of.
type Versions = [Option<i64>; 5];

/// The index over the newest rows that were asked for. Leaving it out changes no answer.
#[derive(Debug, Default)]
pub struct Remembered(Mutex<Option<(Versions, Arc<Past>)>>);

impl Remembered {
    /// What the past runs of this session say.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn past(&self, embedder: &Embedder, session: &Session) -> Result<Arc<Past>, Problem> {
        let versions =
            [&RUNS, &OUTCOMES, &RECOMMENDATIONS, &PLANS, &APPROVALS].map(|table| session.snapshot().table(table).map(|t| t.version));
        // Held while the index is made, so that requests that come together make it once.
        let mut kept = self.0.lock().await;
        if let Some((of, past)) = kept.as_ref()
            && *of == versions
        {
            return Ok(past.clone());
        }
        let runs: Vec<Run> = session.rows("SELECT * FROM runs_current ORDER BY updated_at, source, run_id").await?;
        let outcomes: Vec<Outcome> = session.rows("SELECT * FROM outcomes_current ORDER BY recorded_at, execution_id").await?;
        let all = experience(session, &runs, &outcomes).await?;
        let calibration = calibration(session, &outcomes).await?;
        let embedder = embedder.clone();
        let made = tokio::task::spawn_blocking(move || Experience::index(&embedder, all));
        let (index, runs) = made.await.map_err(|e| Problem::of(Kind::Internal, &e))?.map_err(|e| Problem::of(Kind::Internal, &e))?;
        let past = Arc::new(Past { index, runs, calibration });
        *kept = Some((versions, past.clone()));
        Ok(past)
    }
}
