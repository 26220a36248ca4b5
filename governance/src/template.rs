//! PromQL templates whose substituted values cannot change the query.
//!
//! `$namespace`, `$service`, `$pool` and `$node` stand inside double-quoted strings only. There a value is escaped for the
//! string and, behind `=~` or `!~`, for the regular expression too, so that a name matches itself and nothing else.
//! `$window` is a length of time and stands anywhere.

use bellwether_model::time::Span;

use crate::yaml::suggestion;

/// A template that parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Window,
    Name { variable: Variable, regex: bool },
}

/// A variable that stands for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    /// `$namespace`
    Namespace,
    /// `$service`
    Service,
    /// `$pool`
    Pool,
    /// `$node`
    Node,
}

/// The names of an object that a query is about; `None` where it has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Names<'a> {
    /// Kubernetes namespace.
    pub namespace: Option<&'a str>,
    /// Name of the InferenceService.
    pub service: Option<&'a str>,
    /// Name of the pool.
    pub pool: Option<&'a str>,
    /// Name of the node.
    pub node: Option<&'a str>,
}

/// Why a template does not load.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// There is no such variable.
    #[error("${name} is not a variable of checks")]
    Unknown {
        /// As written, without `$`.
        name: String,
        /// What exists.
        hint: String,
    },
    /// A name outside double quotes could become part of the query.
    #[error("${name} must stand inside double quotes")]
    Unquoted {
        /// As written, without `$`.
        name: String,
    },
    /// A string does not end.
    #[error("a quoted string does not end")]
    Unterminated,
}

impl Variable {
    const ALL: [Self; 4] = [Self::Namespace, Self::Service, Self::Pool, Self::Node];

    /// The name without `$`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Namespace => "namespace",
            Self::Service => "service",
            Self::Pool => "pool",
            Self::Node => "node",
        }
    }

    const fn of<'a>(self, names: &Names<'a>) -> Option<&'a str> {
        match self {
            Self::Namespace => names.namespace,
            Self::Service => names.service,
            Self::Pool => names.pool,
            Self::Node => names.node,
        }
    }
}

impl Template {
    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut quote: Option<char> = None;
        let mut regex = false;
        let mut rest = text.trim();
        while let Some(c) = rest.chars().next() {
            let after = &rest[c.len_utf8()..];
            let length = if c == '$' { after.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(after.len()) } else { 0 };
            if length > 0 {
                let name = &after[..length];
                if !literal.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut literal)));
                }
                parts.push(variable(name, quote, regex)?);
                rest = &after[length..];
                continue;
            }
            literal.push(c);
            match quote {
                None if matches!(c, '"' | '\'' | '`') => {
                    quote = Some(c);
                    let before = literal[..literal.len() - 1].trim_end();
                    regex = before.ends_with("=~") || before.ends_with("!~");
                }
                Some(q) if c == q => quote = None,
                Some('"' | '\'') if c == '\\' => {
                    if let Some(escaped) = after.chars().next() {
                        literal.push(escaped);
                        rest = &after[escaped.len_utf8()..];
                        continue;
                    }
                }
                _ => {}
            }
            rest = after;
        }
        if quote.is_some() {
            return Err(TemplateError::Unterminated);
        }
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self { parts })
    }

    /// The query for these names. `Err` is the first variable for which there is no name.
    pub fn render(&self, names: &Names<'_>, window: Span) -> Result<String, Variable> {
        let mut query = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => query.push_str(text),
                Part::Window => query.push_str(&duration(window)),
                Part::Name { variable, regex } => {
                    let name = variable.of(names).filter(|n| !n.is_empty()).ok_or(*variable)?;
                    escape(name, *regex, &mut query);
                }
            }
        }
        Ok(query)
    }
}

fn variable(name: &str, quote: Option<char>, regex: bool) -> Result<Part, TemplateError> {
    if name == "window" {
        return Ok(Part::Window);
    }
    let Some(variable) = Variable::ALL.into_iter().find(|v| v.name() == name) else {
        let hint = suggestion(name, ["namespace", "service", "pool", "node", "window"]);
        return Err(TemplateError::Unknown { name: name.to_owned(), hint });
    };
    if quote == Some('"') { Ok(Part::Name { variable, regex }) } else { Err(TemplateError::Unquoted { name: name.to_owned() }) }
}

/// As Prometheus writes it, at least a millisecond.
fn duration(span: Span) -> String {
    let millis = (span.micros() / 1_000).max(1);
    if millis % 1_000 == 0 { format!("{}s", millis / 1_000) } else { format!("{millis}ms") }
}

/// Appends a value so that it means itself inside a double-quoted PromQL string, and inside a regular expression there.
fn escape(value: &str, regex: bool, into: &mut String) {
    for c in value.chars() {
        if regex && "\\.+*?()|[]{}^$".contains(c) {
            into.push_str("\\\\");
        }
        match c {
            '\\' => into.push_str("\\\\"),
            '"' => into.push_str("\\\""),
            '\n' => into.push_str("\\n"),
            '\r' => into.push_str("\\r"),
            c => into.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names<'a>(namespace: &'a str, service: &'a str) -> Names<'a> {
        Names { namespace: Some(namespace), service: Some(service), ..Names::default() }
    }

    #[test]
    fn names_are_filled_in_where_they_stand() {
        let t = Template::parse(r#"rate(x{namespace="$namespace",pod=~"$service-predictor-.*"}[$window])"#).unwrap();
        let query = t.render(&names("ml", "iris.v2"), Span::from_secs(60)).unwrap();
        assert_eq!(query, r#"rate(x{namespace="ml",pod=~"iris\\.v2-predictor-.*"}[60s])"#);
        assert_eq!(t.render(&Names { namespace: Some("ml"), ..Names::default() }, Span::from_secs(60)), Err(Variable::Service));
    }

    #[test]
    fn values_cannot_leave_their_string() {
        let t = Template::parse(r#"x{a="$namespace",b=~"$service"}"#).unwrap();
        let query = t.render(&names("\"} or vector(0) #", ".*\"} or up{a=\"\\"), Span::ZERO).unwrap();
        assert!(!unquoted(&query).contains("vector") && !unquoted(&query).contains("up"));
    }

    #[test]
    fn wrong_templates_do_not_load() {
        assert!(
            matches!(Template::parse(r#"x{a="$nmespace"}"#), Err(TemplateError::Unknown { hint, .. }) if hint.starts_with("did you mean namespace?"))
        );
        for text in ["$service", "x{a='$service'}", "x{a=`$service`}", r#"x{a="b"} + $node"#] {
            assert!(matches!(Template::parse(text), Err(TemplateError::Unquoted { .. })), "{text}");
        }
        assert_eq!(Template::parse(r#"x{a="$service}"#), Err(TemplateError::Unterminated));
        assert!(Template::parse(r#"x{a=~"foo$", b="\"$service"}"#).is_ok(), "a dollar that ends an expression is no variable");
    }

    /// What stands outside double-quoted strings.
    fn unquoted(query: &str) -> String {
        let (mut out, mut inside, mut escaped) = (String::new(), false, false);
        for c in query.chars() {
            match (inside, escaped, c) {
                (true, true, _) => escaped = false,
                (true, false, '\\') => escaped = true,
                (_, _, '"') => inside = !inside,
                (false, _, c) => out.push(c),
                _ => {}
            }
        }
        out
    }

    proptest::proptest! {
        #[test]
        fn no_value_changes_what_is_outside_its_string(value in "\\PC{1,30}", tail in "[\"\\\\`'{}$.*\n]{0,8}") {
            let value = format!("{value}{tail}");
            let t = Template::parse(r#"sum(x{a="$service",b=~"$service-.*",c!~"$service"}[$window])"#).unwrap();
            let query = t.render(&names("ml", &value), Span::from_secs(1)).unwrap();
            proptest::prop_assert_eq!(unquoted(&query), "sum(x{a=,b=~,c!~}[1s])");
        }
    }
}
