//! The ledger's rows as the API shows them: their JSON is the model's own, and their description comes from the tables' definitions, so
//! that neither is written twice.

use bellwether_lake::tables::{self, Kind, TableDef};
use utoipa::openapi::schema::{AdditionalProperties, ArrayBuilder, KnownFormat, Object, ObjectBuilder, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// The description of a table's rows.
fn row_schema(table: &TableDef) -> Schema {
    let object = ObjectBuilder::new().description(Some(table.doc));
    let described = table.columns.iter().fold(object, |object, column| {
        let object = object.property(column.name, kind_schema(column.kind, column.doc, column.nullable));
        if column.nullable { object } else { object.required(column.name) }
    });
    described.build().into()
}

fn kind_schema(kind: Kind, doc: &str, nullable: bool) -> RefOr<Schema> {
    let one = |kind: Type| {
        let kinds = if nullable { SchemaType::from_iter([kind, Type::Null]) } else { SchemaType::Type(kind) };
        ObjectBuilder::new().schema_type(kinds).description(Some(doc))
    };
    let schema: Schema = match kind {
        Kind::Text => one(Type::String).into(),
        Kind::Int => one(Type::Integer).format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64))).into(),
        Kind::Float => one(Type::Number).format(Some(SchemaFormat::KnownFormat(KnownFormat::Double))).into(),
        Kind::Bool => one(Type::Boolean).into(),
        Kind::Time => one(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))).into(),
        Kind::Date => one(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::Date))).into(),
        // Nested: an object or a list, by its documentation.
        Kind::Json => ObjectBuilder::new().schema_type(SchemaType::AnyValue).description(Some(doc)).into(),
        Kind::Labels => one(Type::Object)
            .additional_properties(Some(AdditionalProperties::RefOr(RefOr::T(Object::with_type(Type::String).into()))))
            .into(),
        Kind::Vector => ArrayBuilder::new().items(Object::with_type(Type::Number)).description(Some(doc)).into(),
    };
    schema.into()
}

macro_rules! rows {
    ($($row:ident $name:literal $table:ident;)*) => {$(
        #[doc = concat!("A row of the ledger, shown as `", $name, "`.")]
        #[derive(Debug)]
        pub struct $row;

        impl PartialSchema for $row {
            fn schema() -> RefOr<Schema> {
                row_schema(&tables::$table).into()
            }
        }

        impl ToSchema for $row {
            fn name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }
        }
    )*};
}

rows! {
    SignalRow "Signal" SIGNALS;
    SuppressionRow "Suppression" SUPPRESSIONS;
    IncidentRow "Incident" INCIDENTS;
    RecommendationRow "Recommendation" RECOMMENDATIONS;
    MatchRow "Match" MATCHES;
    PlanRow "Plan" PLANS;
    DecisionRow "Decision" DECISIONS;
    ApprovalRow "Approval" APPROVALS;
    ExecutionRow "Execution" EXECUTIONS;
    OutcomeRow "Outcome" OUTCOMES;
    LabelRow "Label" LABELS;
}
