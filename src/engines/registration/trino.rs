//! Statements for Trino's Delta Lake connector.

use super::quote::{double_quoted, standard_string};
use super::{EngineView, LakeRoot, TABLES};

/// The statements that register one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRegistration {
    pub table: &'static str,
    pub location: String,
    /// Registers the table; fails if a table of this name already exists.
    pub register: String,
    /// Removes the table from the catalog, and keeps its files.
    pub unregister: String,
    /// Shows the location of the table.
    pub show: String,
}

impl TableRegistration {
    /// Whether the output of `show` has this location.
    pub fn is_in(&self, shown: &str) -> bool {
        let names = |location: &str| shown.contains(&format!("location = {}", standard_string(location)));
        names(&self.location) || names(&format!("{}/", self.location))
    }

    pub fn all(catalog: &str, schema: &str, root: &LakeRoot) -> [Self; 2] {
        TABLES.map(|table| {
            let location = root.table(table);
            let call = format!("CALL {}.system", double_quoted(catalog));
            let name = format!("schema_name => {}, table_name => {}", standard_string(schema), standard_string(table));
            Self {
                table,
                register: format!("{call}.register_table({name}, table_location => {})", standard_string(&location)),
                unregister: format!("{call}.unregister_table({name})"),
                show: format!("SHOW CREATE TABLE {}", path(catalog, schema, table)),
                location,
            }
        })
    }
}

pub fn create_schema(catalog: &str, schema: &str) -> String {
    format!("CREATE SCHEMA IF NOT EXISTS {}.{}", double_quoted(catalog), double_quoted(schema))
}

pub fn create_view(catalog: &str, schema: &str, view: &EngineView) -> String {
    format!("CREATE OR REPLACE VIEW {} AS\n{}", path(catalog, schema, &view.name), view.body)
}

pub fn statements(catalog: &str, schema: &str, root: &LakeRoot, views: &[EngineView]) -> Vec<String> {
    let mut all = vec![create_schema(catalog, schema)];
    all.extend(TableRegistration::all(catalog, schema, root).map(|registration| registration.register));
    all.extend(views.iter().map(|view| create_view(catalog, schema, view)));
    all
}

fn path(catalog: &str, schema: &str, name: &str) -> String {
    [catalog, schema, name].map(double_quoted).join(".")
}
