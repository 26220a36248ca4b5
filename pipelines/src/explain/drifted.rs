//! The incident's own drifted columns, with what their profiles say of before and of then.

use bellwether_model::dataset::ColumnProfile;
use bellwether_model::series::{Labels, Series, Window};
use bellwether_model::signal::{Signal, Subject};
use bellwether_model::time::TimeRange;
use bellwether_sql::literal::{instant, text};
use bellwether_sql::{Session, SqlError};

use super::found::Drifted;
use super::{DRAWN, Scene};

impl Scene<'_> {
    /// The columns that the incident's signals are about, the one that drifted furthest first, and the medians of their profiles in the
    /// range as series to be drawn: of no more than [`DRAWN`], whose profiles are read.
    pub(super) async fn drifted(&self, session: &Session, range: TimeRange, window: TimeRange) -> Result<(Vec<Drifted>, Window), SqlError> {
        let mut signals: Vec<&Signal> = self.signals.iter().filter(|s| matches!(s.subject, Subject::Column { .. })).collect();
        signals.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.signal_id.cmp(&b.signal_id)));
        let (mut found, mut drawn): (Vec<Drifted>, Window) = (Vec::new(), Window::new());
        for signal in signals {
            let Subject::Column { dataset, column } = &signal.subject else { continue };
            if found.iter().any(|d| d.dataset == *dataset && d.column == *column) {
                continue;
            }
            let mut one = Drifted {
                dataset: dataset.clone(),
                column: column.clone(),
                score: signal.score,
                opened_at: signal.opened_at,
                before: None,
                after: None,
                hint: signal.hint.clone(),
                identity: Series::new(column, Labels::from([("dataset".to_owned(), dataset.to_string())])),
            };
            if found.len() < DRAWN {
                let profiles: Vec<ColumnProfile> = session
                    .rows(&format!(
                        "SELECT * FROM column_profiles_current WHERE dataset_namespace = {} AND dataset_name = {} AND \"column\" = {} \
                         AND event_time BETWEEN {} AND {} ORDER BY event_time, event_id",
                        text(&dataset.namespace),
                        text(&dataset.name),
                        text(column),
                        instant(range.start),
                        instant(range.end)
                    ))
                    .await?;
                let points: Vec<(i64, f64)> = profiles.iter().filter_map(|p| Some((p.event_time.micros(), level(p)?))).collect();
                let within =
                    |from: i64, to: i64| middle(points.iter().filter(|(at, _)| from <= *at && *at < to).map(|(_, v)| *v).collect());
                one.before = within(i64::MIN, window.start.micros());
                one.after = within(window.start.micros(), window.end.micros());
                let (ts, values): (Vec<i64>, Vec<f64>) = points.into_iter().unzip();
                if !ts.is_empty() {
                    drawn.push(one.identity.clone(), &ts, &values);
                }
            }
            found.push(one);
        }
        Ok((found, drawn))
    }
}

/// The median that a profile tells, or else the mean.
fn level(profile: &ColumnProfile) -> Option<f64> {
    let median = profile.quantiles.iter().find(|(share, _)| share.parse() == Ok(0.5)).map(|(_, value)| *value);
    let mean = || profile.sum.filter(|_| profile.count > 0).map(|sum| sum / profile.count as f64);
    median.or_else(mean).filter(|v| v.is_finite())
}

fn middle(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
