//! A table for people: columns under their heads, numbers to the right, no rules between rows. Ids and names are never broken;
//! where a terminal is too narrow, sentences are wrapped between words and JSON is cut.

use bellwether_model::time::Timestamp;
use serde_json::{Map, Value};

use crate::report::words;

/// Spaces between columns.
const GAP: usize = 2;
/// Narrower than this nothing is made.
const NARROW: usize = 16;

/// One cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    text: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Word,
    Number,
    Prose,
    Json,
}

impl Cell {
    /// An id, a name, a state: stays whole.
    pub fn word(text: impl AsRef<str>) -> Self {
        Self { text: plain(text.as_ref()), kind: Kind::Word }
    }
    /// A sentence: may be wrapped between words.
    pub fn prose(text: impl AsRef<str>) -> Self {
        Self { text: plain(text.as_ref()), kind: Kind::Prose }
    }
    /// A score: to the hundredth.
    pub fn score(score: f64) -> Self {
        Self { text: words::score(score), kind: Kind::Number }
    }
    /// An instant to the minute, in UTC.
    pub fn time(at: Timestamp) -> Self {
        Self::word(at.utc().format("%Y-%m-%d %H:%M").to_string())
    }
    /// Any value: text without quotes, numbers as people write them, nothing for null.
    fn of(value: &Value) -> Self {
        let (text, kind) = match value {
            Value::Null => (String::new(), Kind::Word),
            Value::Number(n) => (n.as_f64().filter(|_| n.is_f64()).map_or_else(|| n.to_string(), figure), Kind::Number),
            Value::String(text) if text.parse::<f64>().is_ok() => (text.clone(), Kind::Number),
            Value::String(text) => (plain(text), if text.contains(char::is_whitespace) { Kind::Prose } else { Kind::Word }),
            Value::Array(_) | Value::Object(_) => (plain(&value.to_string()), Kind::Json),
            Value::Bool(_) => (value.to_string(), Kind::Word),
        };
        Self { text, kind }
    }
    fn width(&self) -> usize {
        self.text.chars().count()
    }
    /// How narrow its column may become for it.
    fn floor(&self) -> usize {
        match self.kind {
            Kind::Word | Kind::Number => self.width(),
            Kind::Prose => self.text.split(' ').map(|word| word.chars().count()).max().unwrap_or(0).max(NARROW.min(self.width())),
            Kind::Json => NARROW.min(self.width()),
        }
    }
    /// Its lines in a column of this width.
    fn lines(&self, width: usize) -> Vec<String> {
        match self.kind {
            Kind::Prose => wrapped(&self.text, width),
            Kind::Json if self.width() > width => vec![self.text.chars().take(width.saturating_sub(1)).chain(['…']).collect()],
            _ => vec![self.text.clone()],
        }
    }
}

/// Text without control characters, in one line: what came from outside cannot move the cursor or change colours.
pub fn plain(text: &str) -> String {
    let hidden = |c: char| c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if hidden(c) { ' ' } else { c }).collect()
}

/// Text in lines of at most `width` characters, broken between words only. There is always a line.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            lines.push(String::new());
            used = 0;
        }
        let line = lines.last_mut().expect("there is always a line");
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        line.push_str(word);
        used += length;
    }
    lines
}

/// A number as people write it: two digits after the point, three digits that tell something below one, no zeros at the end.
fn figure(v: f64) -> String {
    if v == 0.0 {
        return "0".into();
    }
    if v.abs() < 1e-4 {
        return format!("{v:.2e}");
    }
    let digits = if v.abs() >= 1.0 { 2 } else { (2 - v.abs().log10().floor() as i32).max(2) as usize };
    let text = format!("{v:.digits$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Heads and rows.
#[derive(Clone, Debug)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// Without a row yet.
    pub fn new(head: &[&str]) -> Self {
        Self { head: head.iter().map(|h| plain(h)).collect(), rows: Vec::new() }
    }

    /// These columns of rows of any kind. Times stand to the minute, or as exactly as one of the column needs.
    pub fn of(rows: &[Map<String, Value>], columns: &[&str]) -> Self {
        let mut table = Self::new(columns);
        table.rows = rows.iter().map(|row| columns.iter().map(|c| row.get(*c).map_or(Cell::word(""), Cell::of)).collect()).collect();
        for column in 0..columns.len() {
            if let Some(times) = times(table.rows.iter().map(|row| &row[column])) {
                table.rows.iter_mut().zip(times).for_each(|(row, time)| row[column] = Cell::word(time));
            }
        }
        table
    }

    /// Adds a row: one cell for each head.
    pub fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// The table as text without a line break at its end, at most `width` wide where its words allow that; as wide as it is without.
    pub fn render(&self, width: Option<usize>) -> String {
        let widths = self.widths(width);
        let right: Vec<bool> = (0..self.head.len()).map(|c| self.is_numeric(c)).collect();
        let mut lines = vec![line(&self.head, &widths, &right)];
        lines.push(line(&widths.iter().map(|w| "─".repeat(*w)).collect::<Vec<_>>(), &widths, &right));
        for row in &self.rows {
            let cells: Vec<Vec<String>> = row.iter().zip(&widths).map(|(cell, width)| cell.lines(*width)).collect();
            for i in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
                let parts: Vec<String> = cells.iter().map(|lines| lines.get(i).cloned().unwrap_or_default()).collect();
                lines.push(line(&parts, &widths, &right));
            }
        }
        lines.join("\n")
    }

    fn column(&self, column: usize) -> impl Iterator<Item = &Cell> {
        self.rows.iter().filter_map(move |row| row.get(column))
    }

    fn is_numeric(&self, column: usize) -> bool {
        let mut told = self.column(column).filter(|c| !c.text.is_empty()).peekable();
        told.peek().is_some() && told.all(|c| c.kind == Kind::Number)
    }

    /// As wide as the cells are; where that is too wide for the room, the widest columns that may be narrower are made so.
    fn widths(&self, room: Option<usize>) -> Vec<usize> {
        let columns = self.head.len();
        let head = |c: usize| self.head[c].chars().count();
        let mut widths: Vec<usize> = (0..columns).map(|c| self.column(c).map(Cell::width).fold(head(c), usize::max)).collect();
        let Some(room) = room else { return widths };
        let floors: Vec<usize> = (0..columns).map(|c| self.column(c).map(Cell::floor).fold(head(c), usize::max)).collect();
        let room = room.saturating_sub(GAP * columns.saturating_sub(1));
        for (width, floor) in widths.iter_mut().zip(&floors) {
            *width = (*width).min(room.max(*floor));
        }
        while widths.iter().sum::<usize>() > room {
            let Some(widest) = (0..columns).filter(|c| widths[*c] > floors[*c]).max_by_key(|c| widths[*c]) else { break };
            widths[widest] -= 1;
        }
        widths
    }
}

fn line(parts: &[String], widths: &[usize], right: &[bool]) -> String {
    let mut out = String::new();
    for (c, part) in parts.iter().enumerate() {
        let pad = " ".repeat(widths[c].saturating_sub(part.chars().count()));
        let cell = if right[c] { format!("{pad}{part}") } else { format!("{part}{pad}") };
        out += &cell;
        out += &" ".repeat(GAP);
    }
    out.trim_end().to_owned()
}

/// Times as short as all of a column can be told; none where something else is among them.
fn times<'a>(cells: impl Iterator<Item = &'a Cell>) -> Option<Vec<String>> {
    let texts: Vec<&str> = cells.map(|c| c.text.as_str()).collect();
    let is_time = |t: &&str| t.len() >= 20 && t.as_bytes()[10] == b'T' && t.ends_with('Z');
    if !texts.iter().all(|t| t.is_empty() || is_time(t)) {
        return None;
    }
    let parsed: Vec<Option<Timestamp>> = texts.iter().map(|t| t.parse().ok()).collect();
    let finest =
        parsed.iter().flatten().map(|t| if t.micros() % 60_000_000 == 0 { 0 } else { 1 + i32::from(t.micros() % 1_000_000 != 0) }).max()?;
    let format = ["%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S%.3f"][finest as usize];
    Some(parsed.into_iter().map(|t| t.map_or_else(String::new, |t| t.utc().format(format).to_string())).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows(values: &[Value]) -> Vec<Map<String, Value>> {
        values.iter().map(|v| v.as_object().unwrap().clone()).collect()
    }

    #[test]
    fn ids_stay_whole_and_sentences_wrap_between_words() {
        let rows = rows(&[
            json!({"signal": "sig-0123456789abcdef", "opened": "2026-11-21T09:05:00Z", "score": 1.2345678, "hint": "latency_p95 of ml/iris is 640 ms, 3.4 x its expected 188 ms"}),
            json!({"signal": "sig-fedcba9876543210", "opened": "2026-11-21T10:00:00Z", "score": 12.5, "hint": "gone"}),
        ]);
        let table = Table::of(&rows, &["signal", "opened", "score", "hint"]);
        let expected = [
            "signal                opened            score  hint",
            "────────────────────  ────────────────  ─────  ───────────────────────────────────",
            "sig-0123456789abcdef  2026-11-21 09:05   1.23  latency_p95 of ml/iris is 640 ms,",
            "                                               3.4 x its expected 188 ms",
            "sig-fedcba9876543210  2026-11-21 10:00   12.5  gone",
        ];
        assert_eq!(table.render(Some(82)), expected.join("\n"));
        assert_eq!(table.render(None).lines().count(), 4, "nothing wraps where there is no terminal");
        assert!(table.render(Some(20)).contains("sig-0123456789abcdef"), "{}", table.render(Some(20)));
    }

    #[test]
    fn json_is_cut_only_where_there_is_no_room() {
        let rows = rows(&[json!({"labels": {"namespace": "ml", "service": "checkout-ranker"}, "n": 3})]);
        let table = Table::of(&rows, &["labels", "n"]);
        assert!(table.render(Some(40)).contains('…') && table.render(Some(40)).lines().all(|l| l.chars().count() <= 40));
        assert!(table.render(None).contains(r#""service":"checkout-ranker"}"#));
    }

    #[test]
    fn times_are_as_short_as_their_column_can_be() {
        let told = |times: &[&str]| {
            let rows = rows(&times.iter().map(|t| json!({"t": t})).collect::<Vec<_>>());
            Table::of(&rows, &["t"]).rows.into_iter().map(|mut r| r.remove(0).text).collect::<Vec<_>>()
        };
        assert_eq!(told(&["2026-11-21T09:05:00Z", ""]), ["2026-11-21 09:05", ""]);
        assert_eq!(told(&["2026-11-21T09:05:00Z", "2026-11-21T09:05:30Z"]), ["2026-11-21 09:05:00", "2026-11-21 09:05:30"]);
        assert_eq!(told(&["2026-11-21T09:05:00.250Z"]), ["2026-11-21 09:05:00.250"]);
        assert_eq!(told(&["2026-11-21T09:05:00Z", "soon"]), ["2026-11-21T09:05:00Z", "soon"]);
    }

    #[test]
    fn numbers_are_for_people_and_nothing_drives_the_terminal() {
        assert_eq!(
            [0.0, 1.2345678, 123.0, 1_234_567.891, 0.187342, 0.99987, 0.000012345, -2.5].map(figure),
            ["0", "1.23", "123", "1234567.89", "0.187", "1", "1.23e-5", "-2.5"]
        );
        assert_eq!(Cell::of(&json!("a\u{1b}[2J\nb")).text, "a [2J b");
        assert_eq!(Cell::score(f64::NAN).text, "–");
    }
}
