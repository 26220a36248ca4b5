//! A small parser that tells whether markup is well-formed.

/// Elements without an end tag, as HTML has them.
const VOID: [&str; 3] = ["meta", "br", "hr"];

/// Checks that every element is closed in order, every attribute is quoted, and every entity is a known one. Returns the
/// text between the tags.
pub(crate) fn well_formed(markup: &str) -> Result<String, String> {
    let mut open: Vec<&str> = Vec::new();
    let mut text = String::new();
    let mut rest = markup.strip_prefix("<!doctype html>").unwrap_or(markup);
    loop {
        let Some(start) = rest.find('<') else {
            check_text(rest)?;
            text.push_str(rest);
            break;
        };
        check_text(&rest[..start])?;
        text.push_str(&rest[..start]);
        text.push(' ');
        rest = &rest[start + 1..];
        let end = rest.find('>').ok_or("a tag does not end")?;
        let tag = &rest[..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            match open.pop() {
                Some(last) if last == name => {}
                other => return Err(format!("</{name}> closes {other:?}")),
            }
            continue;
        }
        let (tag, closed) = tag.strip_suffix('/').map_or((tag, false), |t| (t, true));
        let name = tag.split_whitespace().next().ok_or("an empty tag")?;
        check_attributes(tag[name.len()..].trim(), name)?;
        if name == "style" && !closed {
            let end = rest.find("</style>").ok_or("style does not end")?;
            rest = &rest[end + 8..];
        } else if !closed && !VOID.contains(&name) {
            open.push(name);
        }
    }
    if open.is_empty() { Ok(text) } else { Err(format!("not closed: {open:?}")) }
}

fn check_attributes(mut rest: &str, element: &str) -> Result<(), String> {
    let mut seen = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("open").filter(|a| a.is_empty() || a.starts_with(' ')) {
            rest = after.trim_start();
            continue;
        }
        let (name, after) = rest.split_once("=\"").ok_or_else(|| format!("an attribute of {element} is not quoted: {rest}"))?;
        let (value, after) = after.split_once('"').ok_or_else(|| format!("an attribute of {element} does not end: {rest}"))?;
        if name.contains(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == ':')) || seen.contains(&name) {
            return Err(format!("{element} has a wrong attribute {name}"));
        }
        check_text(value)?;
        seen.push(name);
        rest = after.trim_start();
    }
    Ok(())
}

fn check_text(text: &str) -> Result<(), String> {
    if text.contains('<') || text.contains('>') && text.contains("]]>") {
        return Err(format!("a raw bracket in {text:?}"));
    }
    for part in text.split('&').skip(1) {
        let entity = part.split(';').next().unwrap_or_default();
        if !["amp", "lt", "gt", "quot", "#39", "nbsp"].contains(&entity) {
            return Err(format!("a raw ampersand before {part:?}"));
        }
    }
    Ok(())
}

#[test]
fn the_parser_tells_good_from_bad() {
    assert_eq!(well_formed("<a b=\"1\"><c/>x &amp; y</a>").unwrap().trim(), "x &amp; y");
    for bad in ["<a>", "<a></b>", "<a b=1></a>", "a & b", "<a b=\"1\" b=\"2\"/>", "<a b=\"<\"/>", "<a"] {
        assert!(well_formed(bad).is_err(), "{bad}");
    }
}
