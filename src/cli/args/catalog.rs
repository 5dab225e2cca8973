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

/// Make other engines know the tables of a lake, and the named queries as views
#[derive(Debug, Clone, Args)]
#[command(arg_required_else_help = true, after_help = AFTER_HELP)]
pub struct CatalogArgs {
    #[command(subcommand)]
    pub command: CatalogCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum CatalogCommand {
    /// Register the tables in the Glue Data Catalog; views there are Athena's: `catalog athena` makes them
    Glue(GlueArgs),
    /// Create tables and views in Athena
    ///
    /// A table that is there stays as it is. Views give times as TIMESTAMP in UTC, because Athena keeps no zones in
    /// them, and in no order.
    Athena(AthenaCatalogArgs),
    /// Register the tables in Trino's Delta Lake connector, and create views
    ///
    /// The connector needs delta.register-table-procedure.enabled=true. Its views keep no order.
    Trino(TrinoCatalogArgs),
    /// Print a script for spark-sql -f: tables and views
    Spark(ScriptArgs),
    /// Print a script for DuckDB: views, those of the tables included, and a secret for S3 that holds no keys
    Duckdb(ScriptArgs),
    /// Create tables and views in ClickHouse, or print a script for it
    Clickhouse(ClickhouseArgs),
    /// Write manifests, which list the files of each partition for readers that don't know Delta
    ///
    /// They are those of one version: write them again after new commits.
    Manifest(ManifestArgs),
}

/// Where the tables are, and under which name they become known.
#[derive(Debug, Clone, Args)]
pub struct PlaceArgs {
    /// Schema (database) of the engine that holds the tables and views [default: tickhouse]
    #[arg(long, visible_alias = "database", value_name = "NAME", value_parser = name)]
    pub schema: Option<String>,
    /// Root of the lake as the engine sees it, where that differs from --table: s3a://bucket/lake, local:///lake
    #[arg(long, value_name = "URI")]
    pub location: Option<String>,
    #[command(flatten)]
    pub table: TableArgs,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Views")]
pub struct ViewArgs {
    /// Make no views
    #[arg(long, conflicts_with_all = ["view", "sql_dir"])]
    pub no_views: bool,
    /// Make a view of this query only; can be repeated
    #[arg(long, value_name = "NAME")]
    pub view: Vec<String>,
    /// Folder of NAME.sql files that override and extend the named queries
    #[arg(long, value_name = "DIR")]
    pub sql_dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub struct GlueArgs {
    /// Print the requests as JSON instead of sending them
    #[arg(long)]
    pub dry_run: bool,
    /// Change tables of these names that are elsewhere
    #[arg(long)]
    pub replace: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

#[derive(Debug, Clone, Args)]
pub struct AthenaCatalogArgs {
    /// Print the statements instead of running them
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
    /// Print the statements instead of running them
    #[arg(long)]
    pub dry_run: bool,
    /// Take the names away from tables that are elsewhere; their files stay
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
    /// Print the script without a look whether the lake is there
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub views: ViewArgs,
}

#[derive(Debug, Clone, Args)]
pub struct ClickhouseArgs {
    /// Named collection of the server that holds access_key_id and secret_access_key of the bucket; without one the
    /// server's own credentials are used
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub named_collection: Option<String>,
    /// HTTP interface of a server that is to run the statements, as in https://host:8443; without one they are printed
    #[arg(long, value_name = "URL", conflicts_with = "output")]
    pub url: Option<String>,
    /// User there; the password comes from TICKHOUSE_CLICKHOUSE_PASSWORD or _PASSWORD_FILE
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
    /// Root of the lake as the readers see it, where that differs from --table: s3a://bucket/lake
    #[arg(long, value_name = "URI")]
    pub location: Option<String>,
    /// Print which manifests would be written, with their files
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
