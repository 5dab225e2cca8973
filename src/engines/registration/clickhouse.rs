//! Statements for ClickHouse. They never contain credentials: these come from a named collection of the server, or from
//! the server's own credential chain.

use super::quote::{backticked, escaped_string};
use super::{EngineView, LakeRoot, TABLES};

pub fn statements(schema: &str, root: &LakeRoot, collection: Option<&str>, views: &[EngineView]) -> Vec<String> {
    let schema = backticked(schema);
    let mut all = vec![format!("CREATE DATABASE IF NOT EXISTS {schema}")];
    for table in TABLES {
        let engine = engine(root, collection, table);
        // The table is replaced, because an existing one keeps the columns that it had when it was created.
        all.push(format!("CREATE OR REPLACE TABLE {schema}.{} ENGINE = {engine}", backticked(table)));
    }
    for EngineView { name, body, .. } in views {
        all.push(format!("CREATE OR REPLACE VIEW {schema}.{} AS\n{body}", backticked(name)));
    }
    all
}

fn engine(root: &LakeRoot, collection: Option<&str>, table: &str) -> String {
    let location = root.table(table);
    if root.is_path() {
        return format!("DeltaLakeLocal({})", escaped_string(&location));
    }
    let url = escaped_string(&format!("{location}/"));
    match collection {
        Some(name) => format!("DeltaLake({}, url = {url})", backticked(name)),
        None => format!("DeltaLake({url})"),
    }
}
