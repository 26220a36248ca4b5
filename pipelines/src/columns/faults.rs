//! What is wrong with a text file that cannot be read as its name promises, and in which line.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use polars::prelude::PolarsError;
use serde::de::IgnoredAny;

use super::{delimited, sketched};
use crate::file::{FileError, Format};

/// Bytes of the beginning that are looked at before anything is read. A header that is longer is taken as it is.
const HEAD: u64 = 1 << 20;

/// Refuses by its beginning what would be read, but not as it was meant: binary data, a header whose cells are separated by something else,
/// or in which two columns have one name.
pub(super) fn refuse(path: &Path, format: Format) -> Result<(), FileError> {
    if format == Format::Parquet {
        return Ok(());
    }
    let mut head = Vec::new();
    File::open(path).and_then(|file| file.take(HEAD).read_to_end(&mut head)).map_err(FileError::read(path))?;
    let why = match (head.iter().position(|b| *b == 0), format) {
        (Some(at), _) => Some(format!("it is not text: its byte {} is zero", at + 1)),
        (None, Format::Delimited(separator)) => of_header(&head, separator),
        (None, _) => None,
    };
    match why {
        Some(why) => Err(FileError::Text { path: path.to_owned(), format: format.name(), why }),
        None => Ok(()),
    }
}

fn of_header(head: &[u8], separator: u8) -> Option<String> {
    let (names, end) = delimited::header(head, separator);
    let other = if names.len() == 1 { other_separator(&head[..end], separator) } else { None };
    if let Some(other) = other {
        let or = if other == b'\t' { "or call it .tsv" } else { "or quote the name if it is that of one column" };
        let [is, should] = [other, separator].map(|byte| char::from(byte).escape_default().to_string());
        return Some(format!("its cells look separated by \"{is}\" and must be by \"{should}\"; write it so, {or}"));
    }
    let mut known = BTreeSet::new();
    names.iter().find(|name| !known.insert(name.as_str())).map(|name| format!("two of its columns are named {name:?}"))
}

/// What may separate cells instead, where it stands in a line outside of quotes.
fn other_separator(line: &[u8], separator: u8) -> Option<u8> {
    let mut is_quoted = false;
    line.iter().copied().find(|byte| {
        is_quoted ^= *byte == b'"';
        !is_quoted && *byte != separator && matches!(byte, b';' | b'\t' | b'|')
    })
}

/// The error of the first line that cannot be read, which is looked for only now; without one, what Polars found.
pub(super) fn located(path: &Path, format: Format) -> impl Fn(PolarsError) -> FileError + Copy + '_ {
    move |error| {
        let found = not_utf8(path).or_else(|| match format {
            Format::Json => not_json(path),
            _ => sketched::sketch(path, None, 0).err().filter(|e| matches!(e, FileError::Line { .. })),
        });
        found.unwrap_or_else(|| FileError::text(path, format)(error))
    }
}

fn not_utf8(path: &Path) -> Option<FileError> {
    let mut file = BufReader::new(File::open(path).ok()?);
    let (mut bytes, mut line) = (Vec::new(), 0);
    while file.read_until(b'\n', &mut bytes).ok()? > 0 {
        line += 1;
        if let Err(wrong) = std::str::from_utf8(&bytes) {
            let why = format!("byte {} of this line is not UTF-8; save the file as UTF-8", wrong.valid_up_to() + 1);
            return Some(FileError::Line { path: path.to_owned(), line, why });
        }
        bytes.clear();
    }
    None
}

fn not_json(path: &Path) -> Option<FileError> {
    let wrong = serde_json::from_reader::<_, IgnoredAny>(BufReader::new(File::open(path).ok()?)).err()?;
    Some(FileError::Line { path: path.to_owned(), line: wrong.line() as u64, why: format!("not JSON: {}", without_line(&wrong)) })
}

/// What is wrong with a stretch of JSON whose line is told elsewhere.
pub(super) fn without_line(error: &serde_json::Error) -> String {
    let words = error.to_string();
    match (words.rsplit_once(" at line "), error.column()) {
        (Some((why, _)), 0) => why.to_owned(),
        (Some((why, _)), column) => format!("{why} at column {column}"),
        (None, _) => words,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{cells, read};

    /// Whichever way a file is read, what is wrong with it is said with its place.
    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let cases: [(&str, &[u8], &str); 13] = [
            ("a.csv", b"a,b\n1,2\n1,2,3\n", "a.csv:3: found more cells than the 2 of the first line"),
            ("b.jsonl", b"{\"a\": 1}\n{\"a\": 2\n", "b.jsonl:2: not a JSON object: EOF while parsing an object"),
            ("c.json", b"[{\"a\": 1},\n{\"a\": }]\n", "c.json:2: not JSON: expected value at column 7"),
            ("d.csv", b"a,b\n1,2\n1,\xe9\n", "d.csv:3: byte 3 of this line is not UTF-8"),
            ("e.jsonl", b"{\"a\": 1}\n{\"a\": \"\xe9\"}\n", "e.jsonl:2: byte 8 of this line is not UTF-8"),
            ("f.csv", b"a,b\n1,\0\n", "not a CSV file that can be read: it is not text: its byte 7 is zero"),
            ("g.jsonl", b"\0{", "it is not text"),
            ("h.csv", b"a;b\n1;2\n", "its cells look separated by \";\" and must be by \",\""),
            ("i.csv", b"\"a\"\t\"b\"\n1\t2\n", "by \"\\t\" and must be by \",\"; write it so, or call it .tsv"),
            ("j.tsv", b"a|b\n1|2\n", "by \"|\" and must be by \"\\t\""),
            ("k.csv", b"x,y,x\n1,2,3\n", "two of its columns are named \"x\""),
            ("l.csv", b"x, x \n1,2\n", "two of its columns are named \"x\""),
            ("m.csv", b"\"a;b\"\n1\n", ""),
        ];
        for (name, content, words) in cases {
            let path = dir.path().join(name);
            std::fs::write(&path, content).unwrap();
            let all = [read(&path).err(), cells::read(&path, &["a"]).err()].map(|e| e.map(|e| e.to_string()).unwrap_or_default());
            if words.is_empty() {
                assert_eq!(all[0], "", "a name in quotes may hold anything");
                continue;
            }
            assert!(all.iter().all(|found| found.contains(words)), "{name}: {words:?} is not in {all:?}");
        }
    }
}
