//! Statements for Spark with Delta Lake.

use super::quote::{backticked, escaped_string};
use super::{EngineView, LakeRoot, TABLES};

pub fn statements(schema: &str, root: &LakeRoot, views: &[EngineView]) -> Vec<String> {
    let schema = backticked(schema);
    let mut all = vec![format!("CREATE DATABASE IF NOT EXISTS {schema}")];
    for table in TABLES {
        let (name, location) = (backticked(table), escaped_string(&root.table(table)));
        all.push(format!("CREATE TABLE IF NOT EXISTS {schema}.{name} USING DELTA LOCATION {location}"));
    }
    for EngineView { name, body, .. } in views {
        all.push(format!("CREATE OR REPLACE VIEW {schema}.{} AS\n{body}", backticked(name)));
    }
    all
}
