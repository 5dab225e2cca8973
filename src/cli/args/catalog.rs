//! Flags of `tickhouse catalog`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::args::{EngineArgs, TableArgs};
use crate::cli::settings::Layers;

const AFTER_HELP: &str = "\
Examples:
  tickhouse catalog duckdb --table ./lake | duckdb lake.duckdb
  tickhouse catalog spark --table s3://bucket/lake -o lake.sql && spark-sql -f lake.sql
  tickhouse catalog glue --table s3://bucket/lake --dry-run
  tickhouse catalog manifest --table s3://bucket/lake";

const GLUE_HELP: &str = "\
Examples:
  tickhouse catalog glue --table s3://bucket/lake --dry-run";

const ATHENA_HELP: &str = "\
Examples:
  tickhouse catalog athena --table s3://bucket/lake --athena-output s3://bucket/results";

const TRINO_HELP: &str = "\
Examples:
  tickhouse catalog trino --table s3://bucket/lake --trino-url https://trino.example.com:8443";

const SPARK_HELP: &str = "\
Examples:
  tickhouse catalog spark --table s3://bucket/lake -o lake.sql && spark-sql -f lake.sql";

const DUCKDB_HELP: &str = "\
Examples:
  tickhouse catalog duckdb --table ./lake | duckdb lake.duckdb";

const CLICKHOUSE_HELP: &str = "\
Examples:
  tickhouse catalog clickhouse --table s3://bucket/lake | clickhouse-client
  tickhouse catalog clickhouse --table s3://bucket/lake --url https://host:8443 --user default";

const MANIFEST_HELP: &str = "\
Examples:
  tickhouse catalog manifest --table s3://bucket/lake";

/// Register tables and views in other engines
#[derive(Debug, Clone, Args)]
#[command(arg_required_else_help = true, after_help = AFTER_HELP)]
pub struct CatalogArgs {
    #[command(subcommand)]
    pub command: CatalogCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum CatalogCommand {
    /// Register the tables in the Glue Data Catalog
    ///
    /// Views of the Glue Data Catalog belong to Athena: `catalog athena` creates them.
    #[command(after_help = GLUE_HELP)]
    Glue(GlueArgs),
    /// Create tables and views in Athena
    ///
    /// A table that exists is not changed. Views return times as TIMESTAMP in UTC, because Athena's views can't hold
    /// time zones, and rows in no order.
    #[command(after_help = ATHENA_HELP)]
    Athena(AthenaCatalogArgs),
    /// Register the tables in Trino's Delta Lake connector, and create views
    ///
    /// The connector needs delta.register-table-procedure.enabled=true. Views return rows in no order.
    #[command(after_help = TRINO_HELP)]
    Trino(TrinoCatalogArgs),
    /// Print a script for spark-sql -f that creates tables and views
    #[command(after_help = SPARK_HELP)]
    Spark(ScriptArgs),
    /// Print a script for DuckDB that creates views of tables and queries
    ///
    /// For a lake on S3 it also creates a secret, which holds no keys.
    #[command(after_help = DUCKDB_HELP)]
    Duckdb(ScriptArgs),
    /// Create tables and views in ClickHouse, or print a script that does
    #[command(after_help = CLICKHOUSE_HELP)]
    Clickhouse(ClickhouseArgs),
    /// Write manifests of the files of each partition, for readers that don't know Delta
    ///
    /// A manifest describes one version: write them again after new commits.
    #[command(after_help = MANIFEST_HELP)]
    Manifest(ManifestArgs),
}

/// Where the tables are, and under which name they become known.
#[derive(Debug, Clone, Args)]
pub struct PlaceArgs {
    /// Schema (database) of the engine that holds the tables and views [default: tickhouse]
    #[arg(long, visible_alias = "database", value_name = "NAME", value_parser = name)]
    pub schema: Option<String>,
    /// Root of the lake as the engine sees it, if that differs from --table: s3a://bucket/lake, local:///lake
    #[arg(long, value_name = "URI")]
    pub location: Option<String>,
    #[command(flatten)]
    pub table: TableArgs,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Views")]
pub struct ViewArgs {
    /// Create no views
    #[arg(long, conflicts_with_all = ["view", "sql_dir"])]
    pub no_views: bool,
    /// Create a view of this query only; can be repeated
    #[arg(long, value_name = "NAME")]
    pub view: Vec<String>,
    /// Folder of NAME.sql files that override and extend the named queries
    #[arg(long, value_name = "DIR")]
    pub sql_dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub struct GlueArgs {
    /// Print the requests as JSON, and send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Change tables of these names that are at another location
    #[arg(long)]
    pub replace: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

#[derive(Debug, Clone, Args)]
pub struct AthenaCatalogArgs {
    /// Print the statements, and run nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub views: ViewArgs,
    #[command(flatten)]
    pub engines: EngineArgs,
}

#[derive(Debug, Clone, Args)]
pub struct TrinoCatalogArgs {
    /// Print the statements, and run nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Unregister tables of these names that are at another location; their files stay
    #[arg(long)]
    pub replace: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub views: ViewArgs,
    #[command(flatten)]
    pub engines: EngineArgs,
}

#[derive(Debug, Clone, Args)]
pub struct ScriptArgs {
    /// Write the script to a file; - is standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Print the script without checking that the lake exists
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub views: ViewArgs,
}

#[derive(Debug, Clone, Args)]
pub struct ClickhouseArgs {
    /// Named collection of the server with access_key_id and secret_access_key of the bucket [default: the server's own
    /// credentials]
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub named_collection: Option<String>,
    /// HTTP interface of the server that runs the statements, as in https://host:8443 [default: print the statements]
    #[arg(long, value_name = "URL", conflicts_with = "output")]
    pub url: Option<String>,
    /// ClickHouse user; the password comes from TICKHOUSE_CLICKHOUSE_PASSWORD or TICKHOUSE_CLICKHOUSE_PASSWORD_FILE
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    #[command(flatten)]
    pub script: ScriptArgs,
}

impl ClickhouseArgs {
    pub fn apply(&self, layers: &mut Layers) {
        layers.flag("clickhouse.url", "--url", self.url.clone());
        layers.flag("clickhouse.user", "--user", self.user.clone());
    }
}

#[derive(Debug, Clone, Args)]
pub struct ManifestArgs {
    /// Root of the lake as the readers see it, if that differs from --table: s3a://bucket/lake
    #[arg(long, value_name = "URI")]
    pub location: Option<String>,
    /// Print which manifests would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub table: TableArgs,
}

fn name(text: &str) -> Result<String, String> {
    let begins = text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    if begins && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-') {
        return Ok(text.to_owned());
    }
    Err("a name holds a-z, 0-9, _ and - and begins with a letter or _".to_owned())
}
