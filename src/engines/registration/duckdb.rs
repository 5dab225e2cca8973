//! Statements for DuckDB with its `delta` extension. Tables are registered as views, too, so that queries read the
//! newest version.

use url::Url;

use super::quote::{double_quoted, standard_string};
use super::{EngineView, LakeRoot, TABLES};
use crate::lake::S3Access;

pub fn statements(schema: &str, root: &LakeRoot, access: &S3Access, views: &[EngineView]) -> Vec<String> {
    let mut all: Vec<String> = ["INSTALL delta", "LOAD delta"].map(str::to_owned).to_vec();
    if root.as_str().starts_with("s3://") {
        all.extend(["INSTALL httpfs", "LOAD httpfs", "INSTALL aws", "LOAD aws"].map(str::to_owned));
        all.push(secret(schema, root, access));
    }
    let schema = double_quoted(schema);
    all.push(format!("CREATE SCHEMA IF NOT EXISTS {schema}"));
    for table in TABLES {
        let (name, location) = (double_quoted(table), standard_string(&root.table(table)));
        all.push(format!("CREATE OR REPLACE VIEW {schema}.{name} AS\nSELECT * FROM delta_scan({location})"));
    }
    for EngineView { name, body, .. } in views {
        all.push(format!("CREATE OR REPLACE VIEW {schema}.{} AS\n{body}", double_quoted(name)));
    }
    all
}

/// A secret without credentials: DuckDB finds them where the AWS tools do, so they are not part of the statement.
fn secret(schema: &str, root: &LakeRoot, access: &S3Access) -> String {
    let mut options = vec!["TYPE s3, PROVIDER credential_chain".to_owned()];
    options.push(format!("SCOPE {}", standard_string(root.as_str())));
    if let Some(region) = &access.region {
        options.push(format!("REGION {}", standard_string(region)));
    }
    if let Some(url) = access.endpoint.as_deref().and_then(|endpoint| Url::parse(endpoint).ok()) {
        let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
        let host = format!("{}{port}", url.host_str().unwrap_or_default());
        options.push(format!("ENDPOINT {}, URL_STYLE 'path'", standard_string(&host)));
        if url.scheme() == "http" {
            options.push("USE_SSL false".to_owned());
        }
    }
    format!("CREATE OR REPLACE SECRET {} ({})", double_quoted(schema), options.join(", "))
}
