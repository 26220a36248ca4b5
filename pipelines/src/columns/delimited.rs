//! CSV and TSV in parts: a stretch of whole records becomes columns.
//!
//! As RFC 4180 has it: a cell may be in double quotes and then hold separators, line breaks, and quotes that are doubled.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{Content, NO_VALUE, Table, times};

/// What a column of a text file is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Numbers; a text among them counts as a value that is no number.
    Numbers,
    /// Categories.
    Categories,
    /// Days or instants, which are not compared.
    Times,
}

impl Kind {
    /// A column of this kind without rows.
    pub(super) fn empty(self) -> Content {
        match self {
            Self::Numbers => Content::Numbers { values: Vec::new(), nulls: 0 },
            Self::Categories => Content::Categories { counts: BTreeMap::new(), nulls: 0 },
            Self::Times => times::column(),
        }
    }
}

/// A record with more cells than there are columns.
#[derive(Debug, PartialEq)]
pub(super) struct TooMany {
    /// Where in the bytes the record begins.
    pub(super) at: usize,
}

/// The kinds of columns by the first records: numbers or times where all that is there can be read as one. `None` where nothing is there.
pub(super) fn kinds(bytes: &[u8], separator: u8, names: &[String]) -> Result<Vec<Option<Kind>>, TooMany> {
    let texts: Vec<(String, Kind)> = names.iter().map(|name| (name.clone(), Kind::Categories)).collect();
    let of = |content: &Content| match content {
        Content::Categories { counts, .. } if counts.is_empty() => None,
        Content::Categories { counts, .. } if counts.keys().all(|k| number(k.as_bytes()).is_some()) => Some(Kind::Numbers),
        Content::Categories { counts, .. } if counts.keys().all(|k| times::is_time(k)) => Some(Kind::Times),
        _ => Some(Kind::Categories),
    };
    Ok(read(bytes, separator, &texts)?.columns.iter().map(|(_, content)| of(content)).collect())
}

/// Reads whole records into columns of these kinds. Cells that a record lacks are nulls; lines without anything are passed over.
pub(super) fn read(bytes: &[u8], separator: u8, columns: &[(String, Kind)]) -> Result<Table, TooMany> {
    let table = Table { rows: 0, columns: columns.iter().map(|(name, kind)| (name.clone(), kind.empty())).collect() };
    let mut records = Records { table, column: 0, record: 0 };
    if bytes.contains(&b'"') {
        let mut cells = Cells::new(bytes, separator);
        while let Some((cell, is_last)) = cells.next() {
            records.add(&cell, is_last, cells.at)?;
        }
    } else {
        // One walk over the bytes: most files have no quotes, and this is where the time goes.
        let (mut at, mut begin) = (0, 0);
        while at < bytes.len() {
            if bytes[at] == separator || bytes[at] == b'\n' {
                records.add(without_return(&bytes[begin..at]), bytes[at] == b'\n', at + 1)?;
                begin = at + 1;
            }
            at += 1;
        }
        if begin < bytes.len() || records.column > 0 {
            records.add(without_return(&bytes[begin..]), true, bytes.len())?;
        }
    }
    Ok(records.table)
}

fn without_return(cell: &[u8]) -> &[u8] {
    if let [text @ .., b'\r'] = cell { text } else { cell }
}

/// Records in the making.
struct Records {
    table: Table,
    /// Which column the next cell belongs to.
    column: usize,
    /// Where the present record begins.
    record: usize,
}

impl Records {
    fn add(&mut self, cell: &[u8], is_last: bool, next: usize) -> Result<(), TooMany> {
        let columns = &mut self.table.columns;
        if is_last && self.column == 0 && cell.is_empty() && columns.len() > 1 {
            self.record = next;
            return Ok(());
        }
        let Some((_, content)) = columns.get_mut(self.column) else { return Err(TooMany { at: self.record }) };
        add(content, cell);
        self.column += 1;
        if is_last {
            for (_, content) in &mut columns[self.column..] {
                add(content, &[]);
            }
            self.table.rows += 1;
            (self.column, self.record) = (0, next);
        }
        Ok(())
    }
}

/// The cells of the first record, and where the next one begins.
pub(super) fn header(bytes: &[u8], separator: u8) -> (Vec<String>, usize) {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").map_or((bytes, 0), |rest| (rest, 3));
    let mut cells = Cells::new(bytes.0, separator);
    let mut names = Vec::new();
    while let Some((cell, is_last)) = cells.next() {
        names.push(String::from_utf8_lossy(&cell).trim().to_owned());
        if is_last {
            break;
        }
    }
    (names, bytes.1 + cells.at.min(bytes.0.len()))
}

/// Where the last whole record ends: after its line break. 0 when there is none. The bytes begin with a record.
pub(super) fn whole(bytes: &[u8]) -> usize {
    if !bytes.contains(&b'"') {
        return bytes.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    }
    let (mut is_quoted, mut end) = (false, 0);
    for (i, byte) in bytes.iter().enumerate() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\n' if !is_quoted => end = i + 1,
            _ => {}
        }
    }
    end
}

/// Adds one cell.
pub(super) fn add(content: &mut Content, cell: &[u8]) {
    match content {
        Content::Numbers { nulls, .. } | Content::Categories { nulls, .. } if is_nothing(cell) => *nulls += 1,
        Content::Numbers { values, .. } => values.push(number(cell).unwrap_or(f64::NAN)),
        Content::Categories { counts, .. } => {
            let text = String::from_utf8_lossy(cell);
            match counts.get_mut(&*text) {
                Some(count) => *count += 1,
                None => {
                    counts.insert(text.into_owned(), 1);
                }
            }
        }
        Content::Sketched(_) | Content::Nulls { .. } | Content::Other { .. } => {}
    }
}

/// A cell as a number.
pub(super) fn number(cell: &[u8]) -> Option<f64> {
    short_number(cell).or_else(|| std::str::from_utf8(cell.trim_ascii()).ok()?.parse().ok())
}

/// A number of at most 15 digits without exponent: both the digits and the power of ten are exact, so their quotient is rounded once (Clinger,
/// 1990), as any correct parser does it.
fn short_number(cell: &[u8]) -> Option<f64> {
    const TENS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    let (mut at, mut whole, mut digits, mut point) = (0, 0_u64, 0, usize::MAX);
    let is_negative = at < cell.len() && cell[at] == b'-';
    if is_negative {
        at += 1;
    }
    while at < cell.len() {
        let byte = cell[at];
        if byte.is_ascii_digit() {
            whole = whole * 10 + (byte - b'0') as u64;
            digits += 1;
        } else if byte == b'.' && point == usize::MAX {
            point = digits;
        } else {
            return None;
        }
        if digits > 15 {
            return None;
        }
        at += 1;
    }
    if digits == 0 {
        return None;
    }
    let fraction = if point == usize::MAX { 0 } else { digits - point };
    let value = whole as f64 / TENS[fraction];
    Some(if is_negative { -value } else { value })
}

fn is_nothing(cell: &[u8]) -> bool {
    cell.is_empty() || matches!(cell[0], b'N' | b'n') && NO_VALUE.iter().any(|n| n.as_bytes() == cell)
}

/// The cells of records, one after the other.
struct Cells<'a> {
    bytes: &'a [u8],
    separator: u8,
    /// Where the next cell begins.
    at: usize,
    /// The last cell was followed by a separator, so there is one more.
    has_more: bool,
}

impl<'a> Cells<'a> {
    fn new(bytes: &'a [u8], separator: u8) -> Self {
        Self { bytes, separator, at: 0, has_more: false }
    }

    /// The next cell, and whether it is the last of its record.
    fn next(&mut self) -> Option<(Cow<'a, [u8]>, bool)> {
        let rest = self.bytes.get(self.at..).filter(|rest| !rest.is_empty() || self.has_more)?;
        let (cell, length) = if rest.first() == Some(&b'"') { self.quoted(rest) } else { self.plain(rest) };
        let is_last = rest.get(length).is_none_or(|b| *b == b'\n');
        self.has_more = !is_last;
        self.at += length + 1;
        Some((cell, is_last))
    }

    fn plain(&self, rest: &'a [u8]) -> (Cow<'a, [u8]>, usize) {
        let length = rest.iter().position(|b| *b == self.separator || *b == b'\n').unwrap_or(rest.len());
        (Cow::Borrowed(without_return(&rest[..length])), length)
    }

    fn quoted(&self, rest: &'a [u8]) -> (Cow<'a, [u8]>, usize) {
        let mut text: Cow<'a, [u8]> = Cow::Borrowed(&[]);
        let mut at = 1;
        loop {
            let close = rest[at..].iter().position(|b| *b == b'"').map_or(rest.len(), |i| at + i);
            if text.is_empty() {
                text = Cow::Borrowed(&rest[at..close]);
            } else {
                text.to_mut().extend_from_slice(&rest[at..close]);
            }
            if rest.get(close + 1) != Some(&b'"') {
                // What stands between the closing quote and the separator belongs to no one.
                let end = rest.get(close + 1..).unwrap_or_default().iter().position(|b| *b == self.separator || *b == b'\n');
                return (text, end.map_or(rest.len(), |i| close + 1 + i));
            }
            text.to_mut().push(b'"');
            at = close + 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(text: &str, kinds: &[Kind]) -> Result<Table, TooMany> {
        let columns: Vec<(String, Kind)> = kinds.iter().enumerate().map(|(i, k)| (format!("c{i}"), *k)).collect();
        read(text.as_bytes(), b',', &columns)
    }

    #[test]
    fn cells_are_what_the_standard_says() {
        let found = table("1,\"a, \"\"b\"\"\n\"\r\nx,NA\n\n2.5\n3,", &[Kind::Numbers, Kind::Categories]).unwrap();
        assert_eq!(found.rows, 4);
        let Content::Numbers { values, nulls: 0 } = &found.columns[0].1 else { panic!("{found:?}") };
        assert!(values[0] == 1.0 && values[1].is_nan() && values[2..] == [2.5, 3.0], "{values:?}");
        assert_eq!(found.columns[1].1, Content::Categories { counts: [("a, \"b\"\n".to_owned(), 1)].into(), nulls: 3 });
        assert_eq!(table("1,2\n3,4,5\n", &[Kind::Numbers; 2]), Err(TooMany { at: 4 }));
        assert_eq!(header(b"\xef\xbb\xbf id ,\"na\"\"me\"\r\n1,2", b','), (vec!["id".to_owned(), "na\"me".to_owned()], 18));
        assert_eq!((whole(b"a\nb"), whole(b"a,\"\n\",b"), whole(b"a,\"\n\"\nb\"")), (2, 0, 6));
        assert_eq!(table("\"open", &[Kind::Categories]).unwrap().rows, 1);
    }

    proptest! {
        /// The short way gives what the standard library gives, bit by bit.
        #[test]
        fn numbers_are_rounded_once(text in prop_oneof!["-?[0-9]{0,9}[.]?[0-9]{0,9}", "-?[0-9]{1,3}[.][0-9]{1,4}(e-?[0-9])?"]) {
            let standard = text.parse::<f64>().ok().map(f64::to_bits);
            prop_assert_eq!(number(text.as_bytes()).map(f64::to_bits), standard);
        }

        /// Quoted or not, the same cells are the same columns.
        #[test]
        fn both_ways_of_reading_agree(text in "[12,\n\r]{0,40}") {
            let columns: Vec<(String, Kind)> = (0..41).map(|i| (i.to_string(), Kind::Numbers)).collect();
            let mut quoted = Records { table: read(b"", b',', &columns).unwrap(), column: 0, record: 0 };
            let mut cells = Cells::new(text.as_bytes(), b',');
            while let Some((cell, is_last)) = cells.next() {
                quoted.add(&cell, is_last, cells.at).unwrap();
            }
            // As words, for what is no number equals nothing, itself included.
            prop_assert_eq!(format!("{:?}", read(text.as_bytes(), b',', &columns)), format!("{:?}", Ok::<_, TooMany>(quoted.table)));
        }

        /// Whatever is written comes back, wherever the file is cut.
        #[test]
        fn cells_survive(rows in prop::collection::vec(prop::collection::vec("[a-c,\"\n ]{1,4}", 3), 1..12), cut in 0.0..1.0f64) {
            let quoted = |cell: &String| format!("\"{}\"", cell.replace('"', "\"\""));
            let text: String = rows.iter().map(|r| r.iter().map(quoted).collect::<Vec<_>>().join(",") + "\n").collect();
            let found = table(&text, &[Kind::Categories; 3]).unwrap();
            for (i, (_, content)) in found.columns.iter().enumerate() {
                let mut counts = BTreeMap::new();
                rows.iter().for_each(|r| *counts.entry(r[i].clone()).or_default() += 1);
                prop_assert_eq!(content, &Content::Categories { counts, nulls: 0 });
            }
            let end = whole(&text.as_bytes()[..(text.len() as f64 * cut) as usize]);
            let parts = [&text[..end], &text[end..]].map(|t| table(t, &[Kind::Categories; 3]).unwrap().rows);
            prop_assert_eq!(parts[0] + parts[1], rows.len() as u64);
        }

        #[test]
        fn any_bytes_can_be_read(bytes in prop::collection::vec(prop_oneof![Just(b','), Just(b'"'), Just(b'\n'), Just(b'1'), Just(b'\r')], 0..40)) {
            let columns: Vec<(String, Kind)> = (0..60).map(|i| (i.to_string(), Kind::Numbers)).collect();
            prop_assert!(read(&bytes, b',', &columns).is_ok() && whole(&bytes) <= bytes.len() && header(&bytes, b',').1 <= bytes.len());
        }
    }
}
