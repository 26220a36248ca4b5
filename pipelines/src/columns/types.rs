//! Types that have no distribution, in a word.

use arrow::datatypes::DataType;
use polars::prelude::DataType as PolarsType;

use super::TIME;

/// Of Parquet and of tables.
pub(super) fn of_arrow(kind: &DataType) -> String {
    let word = match kind {
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 | DataType::Time32(_) | DataType::Time64(_) => TIME,
        DataType::Duration(_) | DataType::Interval(_) => "duration",
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) | DataType::ListView(_) | DataType::LargeListView(_) => {
            "list"
        }
        DataType::Struct(_) => "struct",
        DataType::Map(..) => "map",
        DataType::Union(..) => "union",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => "binary",
        other => return other.to_string(),
    };
    word.to_owned()
}

/// Of text files.
pub(super) fn of_polars(kind: &PolarsType) -> String {
    let words = kind.to_string();
    match words.split('[').next().unwrap_or_default() {
        "date" | "datetime" | "time" => TIME.to_owned(),
        word => word.to_owned(),
    }
}
