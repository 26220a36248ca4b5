//! A table's definition as an Arrow schema and as a Delta schema. Only types that every Delta reader knows.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use deltalake_core::kernel::{ArrayType, DataType as DeltaType, MapType, MetadataValue, StructField};

use crate::tables::{Column, Kind, TableDef};

/// Key of the field metadata that marks a text column as JSON.
pub const KIND_KEY: &str = "bellwether.kind";

fn arrow_type(kind: Kind) -> DataType {
    match kind {
        Kind::Text | Kind::Json => DataType::Utf8,
        Kind::Int => DataType::Int64,
        Kind::Float => DataType::Float64,
        Kind::Bool => DataType::Boolean,
        Kind::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Kind::Date => DataType::Date32,
        Kind::Labels => {
            let entry = Fields::from(vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, false)]);
            DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(entry), false)), false)
        }
        Kind::Vector => DataType::List(Arc::new(Field::new("element", DataType::Float32, false))),
    }
}

fn arrow_field(column: &Column) -> Field {
    let field = Field::new(column.name, arrow_type(column.kind), column.nullable);
    if column.kind == Kind::Json { field.with_metadata([(KIND_KEY.to_owned(), "json".to_owned())].into()) } else { field }
}

/// Whether a column of a batch holds JSON text.
pub fn is_json(field: &Field) -> bool {
    field.metadata().get(KIND_KEY).is_some_and(|kind| kind == "json")
}

/// All columns of a table, those that partition it last.
pub fn arrow_schema(table: &TableDef) -> SchemaRef {
    let (last, first): (Vec<_>, Vec<_>) = table.columns.iter().partition(|c| table.partition_by.contains(&c.name));
    Arc::new(Schema::new(first.into_iter().chain(last).map(arrow_field).collect::<Vec<_>>()))
}

/// The columns that are in the files: all but those that partition the table.
pub fn file_schema(table: &TableDef) -> SchemaRef {
    Arc::new(Schema::new(table.columns.iter().filter(|c| !table.partition_by.contains(&c.name)).map(arrow_field).collect::<Vec<_>>()))
}

/// The columns as the Delta log describes them, with their documentation as comments.
pub(crate) fn delta_fields(table: &TableDef) -> Vec<StructField> {
    table
        .columns
        .iter()
        .map(|c| {
            let kind = match c.kind {
                Kind::Text | Kind::Json => DeltaType::STRING,
                Kind::Int => DeltaType::LONG,
                Kind::Float => DeltaType::DOUBLE,
                Kind::Bool => DeltaType::BOOLEAN,
                Kind::Time => DeltaType::TIMESTAMP,
                Kind::Date => DeltaType::DATE,
                Kind::Labels => MapType::new(DeltaType::STRING, DeltaType::STRING, false).into(),
                Kind::Vector => ArrayType::new(DeltaType::FLOAT, false).into(),
            };
            StructField::new(c.name, kind, c.nullable).with_metadata([("comment", MetadataValue::String(c.doc.to_owned()))])
        })
        .collect()
}
