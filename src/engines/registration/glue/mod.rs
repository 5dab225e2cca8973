//! Tables of the Glue Data Catalog, in the form that Athena, EMR, Redshift and Glue jobs expect.

#[cfg(not(feature = "aws"))]
mod absent;
#[cfg(feature = "aws")]
mod sdk;

use arrow::datatypes::{DataType, Field};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[cfg(not(feature = "aws"))]
pub use absent::GlueClient;
#[cfg(feature = "aws")]
pub use sdk::GlueClient;

use super::LakeRoot;
use crate::lake::TableView;

/// The `[glue]` section. The region and the credentials are those of `[store]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GlueSettings {
    /// An endpoint URL that replaces the default one of the region.
    pub endpoint: Option<String>,
}

/// The definition of a table in Glue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlueTable {
    pub name: String,
    pub location: String,
    pub columns: Vec<GlueColumn>,
    pub partition_keys: Vec<GlueColumn>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlueColumn {
    pub name: String,
    /// The Hive type of the column.
    pub kind: String,
}

/// The outcome of registering a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistrationOutcome {
    Created,
    Updated,
    /// The table was already registered with the same definition.
    Unchanged,
}

const TABLE_TYPE: &str = "EXTERNAL_TABLE";
/// Table parameters that mark a Delta table, so that engines list its files from the Delta log.
const PARAMETERS: [(&str, &str); 3] =
    [("EXTERNAL", "TRUE"), ("spark.sql.sources.provider", "delta"), ("table_type", "delta")];
/// Delta readers ignore these formats, but the Glue tools expect the ones that Glue crawlers write.
const INPUT_FORMAT: &str = "org.apache.hadoop.mapred.SequenceFileInputFormat";
const OUTPUT_FORMAT: &str = "org.apache.hadoop.hive.ql.io.HiveSequenceFileOutputFormat";
const SERDE: &str = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe";

impl GlueTable {
    pub fn of(name: &str, root: &LakeRoot, view: &TableView) -> Self {
        let column = |field: &Field| GlueColumn { name: field.name().clone(), kind: hive_type(field.data_type()) };
        let all = view.schema.fields().iter().map(|field| column(field));
        let (partition_keys, columns) = all.partition(|column| column.name == view.partition_column);
        Self { name: name.to_owned(), location: format!("{}/", root.table(name)), columns, partition_keys }
    }

    /// The `TableInput` of the `CreateTable` and `UpdateTable` requests.
    fn input(&self) -> Value {
        let columns = |columns: &[GlueColumn]| -> Vec<Value> {
            columns.iter().map(|column| json!({ "Name": column.name, "Type": column.kind })).collect()
        };
        json!({
            "Name": self.name,
            "TableType": TABLE_TYPE,
            "Parameters": PARAMETERS.iter().copied().collect::<std::collections::BTreeMap<_, _>>(),
            "PartitionKeys": columns(&self.partition_keys),
            "StorageDescriptor": {
                "Columns": columns(&self.columns),
                "Location": self.location,
                "InputFormat": INPUT_FORMAT,
                "OutputFormat": OUTPUT_FORMAT,
                "SerdeInfo": {
                    "SerializationLibrary": SERDE,
                    "Parameters": { "serialization.format": "1", "path": self.location },
                },
            },
        })
    }
}

/// The requests that create a database and its tables, for users who send them with their own tools.
pub fn requests(database: &str, tables: &[GlueTable]) -> Value {
    let mut all = vec![json!({ "CreateDatabase": { "DatabaseInput": { "Name": database } } })];
    let create =
        |table: &GlueTable| json!({ "CreateTable": { "DatabaseName": database, "TableInput": table.input() } });
    all.extend(tables.iter().map(create));
    Value::Array(all)
}

fn hive_type(kind: &DataType) -> String {
    match kind {
        DataType::Utf8 => "string".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Int32 => "int".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Timestamp(..) => "timestamp".to_owned(),
        DataType::Binary => "binary".to_owned(),
        DataType::List(item) => format!("array<{}>", hive_type(item.data_type())),
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|field| format!("{}:{}", field.name(), hive_type(field.data_type())));
            format!("struct<{}>", fields.collect::<Vec<_>>().join(","))
        }
        // A lake has no columns of other types.
        other => other.to_string().to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::{dead_letters_schema, ticks_schema};
    use crate::market::PartitionBy;

    #[test]
    fn requests_are_those_of_a_native_delta_table() {
        let view = |schema, partition_column: &str| TableView {
            schema,
            partition_column: partition_column.to_owned(),
            files: Vec::new(),
            store: std::sync::Arc::new(object_store::memory::InMemory::new()),
            table_url: url::Url::parse("s3://bucket/lake/ticks/").unwrap(),
        };
        let root = LakeRoot::given("s3://bucket/it's").unwrap();
        let ticks = GlueTable::of("ticks", &root, &view(ticks_schema(PartitionBy::Month, &[]), "trade_month"));
        let dead = GlueTable::of("dead_letters", &root, &view(dead_letters_schema(), "dead_date"));
        assert_eq!(dead.columns.len() + dead.partition_keys.len(), dead_letters_schema().fields().len());
        let headers = dead.columns.iter().find(|column| column.name == "headers").unwrap();
        assert_eq!(headers.kind, "array<struct<key:string,value:binary>>");
        let shown = requests("lake", &[ticks]);
        let text = serde_json::to_string(&shown).unwrap();
        let start = r#"[{"CreateDatabase":{"DatabaseInput":{"Name":"lake"}}},{"CreateTable":{"DatabaseName":"lake","TableInput":{"Name":"ticks","Parameters":{"EXTERNAL":"TRUE","spark.sql.sources.provider":"delta","table_type":"delta"},"PartitionKeys":[{"Name":"trade_month","Type":"date"}],"StorageDescriptor":{"Columns":[{"Name":"symbol","Type":"string"},{"Name":"ts","Type":"timestamp"},{"Name":"open","Type":"double"},"#;
        assert!(text.starts_with(start), "{text}");
        let end = r#"{"Name":"trade_date","Type":"date"}],"InputFormat":"org.apache.hadoop.mapred.SequenceFileInputFormat","Location":"s3://bucket/it's/ticks/","OutputFormat":"org.apache.hadoop.hive.ql.io.HiveSequenceFileOutputFormat","SerdeInfo":{"Parameters":{"path":"s3://bucket/it's/ticks/","serialization.format":"1"},"SerializationLibrary":"org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"}},"TableType":"EXTERNAL_TABLE"}}}]"#;
        assert!(text.ends_with(end), "{text}");
    }
}
