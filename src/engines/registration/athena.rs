//! Statements for Athena: table definitions use the Hive dialect, and views use the Trino dialect.

use super::quote::{backticked, double_quoted, escaped_string};
use super::{EngineView, LakeRoot, TABLES};
use crate::query::{ColumnType, OutputColumn};

pub fn statements(database: &str, root: &LakeRoot, views: &[EngineView]) -> Vec<String> {
    let mut all = vec![format!("CREATE DATABASE IF NOT EXISTS {}", backticked(database))];
    for table in TABLES {
        let name = format!("{}.{}", backticked(database), backticked(table));
        let location = escaped_string(&format!("{}/", root.table(table)));
        // Athena reads the columns from the log of the table, and rejects a definition that lists columns or other
        // properties.
        all.push(format!(
            "CREATE EXTERNAL TABLE IF NOT EXISTS {name} LOCATION {location} TBLPROPERTIES ('table_type' = 'DELTA')"
        ));
    }
    for view in views {
        let name = format!("{}.{}", double_quoted(database), double_quoted(&view.name));
        all.push(format!("CREATE OR REPLACE VIEW {name} AS\n{}", body(view)));
    }
    all
}

/// Casts timestamps to UTC without a zone: Glue stores the columns of a view with Hive types, which have no timestamp
/// with a time zone.
fn body(view: &EngineView) -> String {
    if !view.columns.iter().any(|column| column.kind == ColumnType::Timestamp) {
        return view.body.clone();
    }
    let column = |column: &OutputColumn| {
        let name = double_quoted(&column.name);
        match column.kind {
            ColumnType::Timestamp => format!("CAST({name} AT TIME ZONE 'UTC' AS TIMESTAMP) AS {name}"),
            _ => name,
        }
    };
    let columns: Vec<String> = view.columns.iter().map(column).collect();
    format!("SELECT\n  {}\nFROM (\n{}\n)", columns.join(",\n  "), view.body)
}
