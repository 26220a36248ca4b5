//! What a column is, and the short words with which table files describe one.

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8 text.
    Text,
    /// A 64-bit signed integer.
    Int,
    /// A 64-bit floating-point number, always finite.
    Float,
    /// True or false.
    Bool,
    /// An instant: microseconds in UTC.
    Time,
    /// A calendar day in UTC.
    Date,
    /// Anything nested, as JSON text.
    Json,
    /// A map from text to text.
    Labels,
    /// A list of 32-bit floating-point numbers.
    Vector,
}

/// One column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name: the serde field of the row's type.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it may hold nothing.
    pub nullable: bool,
    /// What it means, for the SQL reference.
    pub doc: &'static str,
}

impl Column {
    /// The same column, which may hold nothing.
    pub(super) const fn or_null(mut self) -> Self {
        self.nullable = true;
        self
    }
}

const fn column(name: &'static str, kind: Kind, doc: &'static str) -> Column {
    Column { name, kind, nullable: false, doc }
}

pub(super) const fn text(name: &'static str, doc: &'static str) -> Column {
    column(name, Kind::Text, doc)
}

pub(super) const fn int(name: &'static str, doc: &'static str) -> Column {
    column(name, Kind::Int, doc)
}

pub(super) const fn float(name: &'static str, doc: &'static str) -> Column {
    column(name, Kind::Float, doc)
}

pub(super) const fn boolean(name: &'static str, doc: &'static str) -> Column {
    column(name, Kind::Bool, doc)
}

pub(super) const fn time(name: &'static str, doc: &'static str) -> Column {
    column(name, Kind::Time, doc)
}

pub(super) const fn date(name: &'static str, doc: &'static str) -> Column {
    column(name, Kind::Date, doc)
}

pub(super) const fn json(name: &'static str, doc: &'static str) -> Column {
    column(name, Kind::Json, doc)
}

pub(super) const fn labels(name: &'static str, doc: &'static str) -> Column {
    column(name, Kind::Labels, doc)
}

pub(super) const fn vector(name: &'static str, doc: &'static str) -> Column {
    column(name, Kind::Vector, doc)
}

/// When the row was written: the last column of most tables.
pub(super) const RECORDED_AT: Column = time("recorded_at", "When the row was written.");

/// The round that concluded the row.
pub(super) const ROUND_ID: Column = text("round_id", "The round that concluded it.");
