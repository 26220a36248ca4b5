//! Asking the ledger: sessions and pages.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bellwether_lake::Lake;
use bellwether_model::incident::Incident;
use bellwether_model::signal::Signal;
use bellwether_model::time::Timestamp;
use bellwether_sql::literal::{instant, text};
use bellwether_sql::{Session, SessionOptions};

use super::body::Params;
use super::problem::Problem;

/// Rows of a page when nothing else is asked for.
const PAGE: usize = 100;
/// Most rows of a page.
const LARGEST_PAGE: usize = 1_000;

/// A session over the newest state of the ledger.
pub async fn session(lake: &Lake, now: Timestamp) -> Result<Session, Problem> {
    Ok(Session::open(&lake.snapshot().await?, SessionOptions::at(now)).await?)
}

/// The incident of this id in its newest state.
pub async fn incident(session: &Session, id: &str) -> Result<Incident, Problem> {
    let found: Vec<Incident> = session.rows(&format!("SELECT * FROM incidents_current WHERE incident_id = {}", text(id))).await?;
    found.into_iter().next().ok_or_else(|| Problem::missing("incident", id).hint("GET /incidents lists them"))
}

/// The signal of this id in its newest state.
pub async fn signal(session: &Session, id: &str) -> Result<Signal, Problem> {
    let found: Vec<Signal> = session.rows(&format!("SELECT * FROM signals_current WHERE signal_id = {}", text(id))).await?;
    found.into_iter().next().ok_or_else(|| Problem::missing("signal", id).hint("GET /signals lists them"))
}

/// The newest incident that this signal belongs to.
pub async fn incident_of_signal(session: &Session, id: &str) -> Result<Option<Incident>, Problem> {
    let sql = format!(
        "SELECT i.* FROM incidents_current i JOIN incident_signals s ON s.incident_id = i.incident_id WHERE s.signal_id = {} ORDER BY i.opened_at DESC, i.incident_id",
        text(id)
    );
    Ok(session.rows::<Incident>(&sql).await?.into_iter().next())
}

/// What part of a list is wanted: newest first, and where to go on. Pages are stable: what opens meanwhile comes before the first page.
#[derive(Debug)]
pub struct PageQuery {
    /// SQL conditions, all of which must hold.
    pub conditions: Vec<String>,
    /// Rows of the page.
    pub limit: usize,
}

impl PageQuery {
    /// Reads what signals and incidents are filtered by: `since`, `until`, `severity`, `status`, `limit` and `cursor`. `id` is the column
    /// that names a row.
    pub fn read(params: &mut Params, id: &str) -> Result<Self, Problem> {
        let mut conditions = Vec::new();
        if let Some(since) = params.time("since")? {
            conditions.push(format!("last_at >= {}", instant(since)));
        }
        if let Some(until) = params.time("until")? {
            conditions.push(format!("opened_at < {}", instant(until)));
        }
        let severities = params.one("severity", |words| {
            words.split(',').map(|word| known(word.trim(), &["info", "warning", "critical"])).collect::<Result<Vec<_>, _>>()
        })?;
        if let Some(severities) = severities {
            conditions.push(format!("severity IN ({})", severities.iter().map(|s| text(s)).collect::<Vec<_>>().join(", ")));
        }
        match params.one("status", |word| known(word, &["open", "closed"]))?.as_deref() {
            Some("open") => conditions.push("state <> 'closed'".into()),
            Some(_) => conditions.push("state = 'closed'".into()),
            None => {}
        }
        if let Some((at, last)) = params.one("cursor", cursor)? {
            let (at, last) = (instant(at), text(&last));
            conditions.push(format!("(opened_at < {at} OR (opened_at = {at} AND {id} < {last}))"));
        }
        let limit = params.one("limit", |n| {
            n.parse()
                .ok()
                .filter(|n| (1..=LARGEST_PAGE).contains(n))
                .ok_or_else(|| format!("{n:?} is not a number from 1 to {LARGEST_PAGE}"))
        })?;
        Ok(Self { conditions, limit: limit.unwrap_or(PAGE) })
    }

    /// The query for this page of a view, with one row more than the page has: it tells whether there is another page.
    pub fn sql(&self, view: &str, id: &str) -> String {
        let filter = if self.conditions.is_empty() { String::new() } else { format!(" WHERE {}", self.conditions.join(" AND ")) };
        format!("SELECT * FROM {view}{filter} ORDER BY opened_at DESC, {id} DESC LIMIT {}", self.limit + 1)
    }

    /// Cuts the rows to the page, and gives the cursor of the next page where there is one.
    pub fn cut<T>(&self, rows: &mut Vec<T>, place: impl Fn(&T) -> (Timestamp, String)) -> Option<String> {
        if rows.len() <= self.limit {
            return None;
        }
        rows.truncate(self.limit);
        rows.last().map(place).map(|(at, id)| BASE64_URL_SAFE_NO_PAD.encode(format!("{}:{id}", at.micros())))
    }
}

fn cursor(text: &str) -> Result<(Timestamp, String), String> {
    let decoded = BASE64_URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let parts = decoded
        .as_deref()
        .and_then(|t| t.split_once(':'))
        .and_then(|(at, id)| Some((Timestamp::from_micros(at.parse().ok()?), id.to_owned())));
    parts.ok_or_else(|| "this is not a cursor of an answer's `next`".to_owned())
}

fn known(word: &str, words: &[&str]) -> Result<String, String> {
    if words.contains(&word) { Ok(word.to_owned()) } else { Err(format!("{word:?} is none of {}", words.join(", "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_to_where_the_page_ended() {
        let query = PageQuery { conditions: vec![], limit: 2 };
        let mut rows = vec![3, 2, 1];
        let next = query.cut(&mut rows, |n| (Timestamp::from_secs(*n), format!("sig:{n}"))).unwrap();
        assert_eq!(rows, [3, 2]);
        assert_eq!(cursor(&next), Ok((Timestamp::from_secs(2), "sig:2".to_owned())));
        assert_eq!(query.cut(&mut rows, |_| unreachable!()), None);
        assert!(cursor("not a cursor").is_err());
    }
}
