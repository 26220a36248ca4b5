//! The metrics: whether each rule still has samples.

use std::collections::BTreeSet;

use bellwether_model::time::Timestamp;
use bellwether_pipelines::freshness::{Silence, silences};

use super::{Item, words};
use crate::command::ingest::newest_sample;
use crate::command::round::account::silence;
use crate::config::Config;
use crate::failure::Failure;
use crate::{command, open};

/// Silent metrics named at most.
const NAMED: usize = 5;

/// Whether every rule has had samples lately; nothing where no rule is in force, or what it needs cannot be opened: other items say so.
pub async fn item(config: &Config, now: Timestamp) -> Option<Item> {
    let rules = open::rules(config).ok().filter(|rules| !rules.is_empty())?;
    let lake = open::lake(config).await.ok()?;
    let looked = async {
        let newest = lake.snapshot().await.map_err(|e| open::lake_failure(&e)).map(|snapshot| newest_sample(&snapshot))?;
        let Some(newest) = newest else { return Ok(Err("none yet: `bellwether ingest` reads them".to_owned())) };
        let session = command::session(&lake, None).await?;
        let silent = silences(&session, &rules, now).await.map_err(|e| open::upstream(&e))?;
        let metrics: BTreeSet<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
        Ok::<_, Failure>(told(newest, metrics.len(), &silent))
    };
    Some(Item::optional("samples", "samples", looked.await.unwrap_or_else(|failure| Err(words(&failure)))))
}

/// What of so many metrics fell silent, and what never had a sample.
fn told(newest: Timestamp, metrics: usize, silences: &[Silence]) -> Result<String, String> {
    if silences.iter().filter(|s| s.entity.is_none()).count() == metrics {
        return Err(format!("no sample of any rule since {newest}: `bellwether ingest` reads what is new"));
    }
    let (fell, never): (Vec<&Silence>, Vec<&Silence>) = silences.iter().partition(|s| s.fell_silent());
    let named = |of: &[&Silence], name: fn(&Silence) -> String| {
        let more = if of.len() > NAMED { format!(" and {} more", of.len() - NAMED) } else { String::new() };
        format!("{}{more}", of.iter().take(NAMED).map(|s| name(s)).collect::<Vec<_>>().join("; "))
    };
    let never = if never.is_empty() { String::new() } else { format!("; never had a sample: {}", named(&never, |s| s.metric.clone())) };
    match fell.as_slice() {
        [] => Ok(format!("the newest is of {newest}{never}")),
        fell => Err(format!("{}{never}", named(fell, silence))),
    }
}

#[cfg(test)]
mod tests {
    use bellwether_model::time::Span;
    use bellwether_pipelines::freshness::Since;

    use super::*;

    #[test]
    fn silent_rules_are_named_with_the_time_of_their_last_sample() {
        let silence = |metric: &str, since| Silence {
            metric: metric.into(),
            place: "pack kserve:7".into(),
            entity: None,
            since,
            allowed: Span::from_hours(1),
        };
        let never = silence("cache", Since::Never);
        let told = |silences: &[Silence]| told(Timestamp::EPOCH, 3, silences);
        assert_eq!(told(std::slice::from_ref(&never)).unwrap(), "the newest is of 1970-01-01T00:00:00Z; never had a sample: cache");
        assert_eq!(
            told(&[never, silence("latency_p95", Since::At(Timestamp::EPOCH))]).unwrap_err(),
            "latency_p95 (pack kserve:7): no sample since 1970-01-01T00:00:00Z; never had a sample: cache"
        );
    }
}
