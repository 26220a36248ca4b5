//! The comparison as one self-contained page, worth sending to a colleague: no script, no request to anywhere, light and dark, wide and
//! narrow, and on paper.

use std::fmt::Write as _;

use bellwether_detectors::drift::words::percent;
use bellwether_model::verdict::Verdict;

use super::account::{Account, Row, Side};
use super::predictions::{self, Predictions, Standing};
use super::{bars, text};
use crate::report::escape::esc;
use crate::report::html::{badge, prose};

/// The comparison as an HTML document. Everything that came from outside is escaped.
pub(crate) fn page(account: &Account) -> String {
    let sections = [
        header(account),
        "<main>".into(),
        tiles(account),
        account.predictions.as_ref().map(predictions_section).unwrap_or_default(),
        columns(account),
        "</main>".into(),
        footer(account),
    ];
    format!(
        r#"<!doctype html><html lang="en"><head><meta charset="utf-8"/><meta name="viewport" content="width=device-width, initial-scale=1"/><meta name="color-scheme" content="light dark"/><title>Drift of {} · Bellwether</title><style>{}{}{}</style></head><body>{}</body></html>"#,
        esc(&account.current.name),
        include_str!("../report/chart.css"),
        include_str!("../report/style.css"),
        include_str!("page.css"),
        sections.concat(),
    )
}

fn header(account: &Account) -> String {
    format!(
        r#"<header class="top"><p class="name"><span>Bellwether · drift</span></p><h1>{}</h1><p class="soft">{} compared with {}</p></header>"#,
        esc(&text::headline(account)),
        side(&account.current),
        side(&account.reference),
    )
}

fn side(side: &Side) -> String {
    let model = side.model.as_ref().map(|m| format!(" (the profile of {})", esc(m))).unwrap_or_default();
    format!("<code>{}</code>{model}", esc(&side.name))
}

fn tiles(account: &Account) -> String {
    let count = |verdict: Verdict| account.columns.iter().filter(|r| r.verdict == verdict).count();
    let (pass, unknown) = (count(Verdict::Pass), count(Verdict::NoData) + count(Verdict::Inconclusive));
    let tile = |class: &str, name: &str, value: String, more: String| {
        format!(r#"<dl class="tile {class}"><dt>{name}</dt><dd>{}</dd><dd>{}</dd></dl>"#, esc(&value), esc(&more))
    };
    let rows = |n: u64| if n == 1 { "1 row".to_owned() } else { format!("{} rows", text::grouped(n)) };
    let mut rest = format!("{pass} did not");
    if unknown > 0 {
        let _ = write!(rest, "; of {unknown} nothing can be said");
    }
    let drifted = if account.drifted > 0 { "warning" } else { "good" };
    let whole = if account.verdict == Verdict::Fail { "warning" } else { "" };
    [
        r#"<section class="tiles">"#.to_owned(),
        tile(drifted, "Columns that drifted", account.drifted.to_string(), rest),
        tile(whole, "Share of the whole", percent(account.share), format!("{} is the line", percent(account.share_line))),
        tile("", "Reference", rows(account.reference.rows), account.reference.name.clone()),
        tile("", "Now", rows(account.current.rows), account.current.name.clone()),
        "</section>".to_owned(),
    ]
    .concat()
}

fn columns(account: &Account) -> String {
    let (compared, others): (Vec<&Row>, Vec<&Row>) = account.columns.iter().partition(|r| r.shape.is_some() || r.verdict == Verdict::Fail);
    let mut html = String::new();
    if !compared.is_empty() {
        html.push_str(r#"<h2>Columns, most drifted first</h2><p class="key"><span>reference</span><span class="now">now</span><span class="mean">means</span></p><div class="cols">"#);
        compared.iter().for_each(|row| html.push_str(&card(row)));
        html.push_str("</div>");
    }
    if !others.is_empty() {
        html.push_str(r#"<h2>Not compared</h2><div class="panel"><ul class="lines">"#);
        for row in others {
            let _ = write!(html, "<li><code>{}</code> · {}: {}</li>", esc(&row.column), esc(&row.r#type), esc(&row.findings.join("; ")));
        }
        html.push_str("</ul></div>");
    }
    html
}

fn card(row: &Row) -> String {
    let class = match row.verdict {
        Verdict::Fail => "warning",
        Verdict::Pass => "good",
        Verdict::NoData | Verdict::Inconclusive => "",
    };
    let hardly = || if row.shape.is_some() && row.findings.is_empty() { "as before".to_owned() } else { String::new() };
    let change = row.change.clone().unwrap_or_else(hardly);
    let mut html =
        format!(r#"<article class="col"><header><h3>{}</h3>{}</header>"#, esc(&row.column), badge(class, &text::verdict(row.verdict)));
    if !change.is_empty() {
        let _ = write!(html, r#"<p class="change">{}</p>"#, prose(&capital(&change)));
    }
    if !row.findings.is_empty() {
        let items: String = row.findings.iter().map(|f| format!("<li>{}</li>", esc(&capital(f)))).collect();
        let _ = write!(html, r#"<ul class="lines">{items}</ul>"#);
    }
    if let Some(shape) = &row.shape {
        let _ = write!(html, "<figure>{}</figure>", bars::draw(shape));
    }
    let mut fine = vec![format!("{} · {} values, were {}", row.r#type, text::grouped(row.n_cur), text::grouped(row.n_ref))];
    if let (Some(measure), Some(p)) = (row.measure, row.p) {
        fine.push(format!("{} ({})", text::effect(row), measure.unit()));
        fine.push(format!("p {}", text::p_value(p)));
    }
    let _ = write!(html, r#"<p class="fine">{}</p></article>"#, esc(&fine.join(" · ")));
    html
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn predictions_section(found: &Predictions) -> String {
    let mut html = String::new();
    if let Some(standing) = &found.performance {
        let (was, is) = (predictions::figures(Standing::known(&standing.before)), &standing.now);
        let rows: String = (was.into_iter().zip(predictions::figures(&is.estimated)).zip(predictions::figures(&is.realised)))
            .map(|(((name, was), (_, estimated)), (_, truth))| {
                let cell = |what: &str, f| format!(r#"<td data-is="{what}">{}</td>"#, predictions::interval(f));
                format!(
                    "<tr><td class=\"full\">{name}</td>{}{}{}</tr>",
                    cell("reference", was),
                    cell("estimated", estimated),
                    cell("true", truth)
                )
            })
            .collect();
        let _ = write!(
            html,
            r#"<h2>Performance</h2><div class="panel"><p>{}</p><table class="fold"><thead><tr><th></th><th>reference</th><th>now, estimated</th><th>now, true</th></tr></thead><tbody>{rows}</tbody></table></div>"#,
            esc(&text::performance_words(standing))
        );
    }
    if let Some(fairness) = &found.fairness {
        let (shown, more) = predictions::largest(fairness);
        let rows: String = shown
            .into_iter()
            .map(|(name, rates)| {
                let cell = |what: &str, f| format!(r#"<td data-is="{what}">{}</td>"#, predictions::interval(f));
                let few = if rates.is_compared { "" } else { " (too few to compare)" };
                format!(
                    "<tr><td class=\"full\">{}</td><td data-is=\"rows\">{}{few}</td>{}{}{}</tr>",
                    esc(name),
                    rates.rows,
                    cell("chosen", rates.selection),
                    cell("of the positive", rates.true_positive),
                    cell("of the negative", rates.false_positive)
                )
            })
            .collect();
        let words: String = text::fairness_words(fairness)
            .iter()
            .chain(&text::more_groups(more))
            .map(|w| format!("<li>{}</li>", esc(&capital(w))))
            .collect();
        let _ = write!(
            html,
            r#"<h2>Groups</h2><div class="panel"><ul class="lines">{words}</ul><table class="fold"><thead><tr><th>group</th><th>rows</th><th>chosen</th><th>of the positive</th><th>of the negative</th></tr></thead><tbody>{rows}</tbody></table></div>"#
        );
    }
    html
}

fn footer(account: &Account) -> String {
    let chance = percent(account.family_p);
    format!(
        r#"<footer class="foot"><p>{} If nothing had changed at all, at least one column would look this changed with a probability of {}. Shares in the drawings are of values, nulls not counted; the outermost bars hold what lies beyond.</p></footer>"#,
        esc(&text::how(account)),
        if account.family_p < 1e-4 { "less than 0.01 %".to_owned() } else { esc(&chance) },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::account::{Question, tests::account};
    use crate::drift::predictions::{Logged, judge};
    use crate::report::xml::well_formed;

    #[test]
    fn the_page_stands_alone() {
        let mut found = account(&Question { bins: 10, ..Question::default() });
        let now = Logged {
            probabilities: (0..90).map(|i| f64::from(i) / 90.0).collect(),
            groups: (0..90).map(|i| Some(if i % 2 == 0 { "<a>" } else { "b" }.to_owned())).collect(),
            ..Logged::default()
        };
        found.predictions = Some(judge(&Logged::default(), &now, 0.5));
        let html = page(&found);
        let words = well_formed(&html).unwrap();
        for wanted in ["pay&lt;ment&gt;", "Moved up by 1.14", "Not compared", "Performance", "Groups", "&lt;a&gt;", "The type changed"] {
            assert!(words.contains(wanted), "{wanted} is not in the page");
        }
        assert!(!html.contains("http") && !html.contains("<script") && !html.contains("NaN") && !html.contains("<a>"));
        assert_eq!(html, page(&found), "equal data gives equal bytes");
        assert!(html.find("<h3>moved").unwrap() < html.find("<h3>same").unwrap(), "the most drifted comes first");
    }
}
