//! Flags for the connection to other engines.

use clap::Args;

use crate::cli::settings::Layers;

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Engines")]
pub struct EngineArgs {
    /// URL of a Trino server, as in https://trino.example.com:8443
    #[arg(long, value_name = "URL")]
    pub trino_url: Option<String>,
    /// Trino user; the password comes from TICKHOUSE_TRINO_PASSWORD or TICKHOUSE_TRINO_PASSWORD_FILE
    ///
    /// A token, which replaces the password, comes from TICKHOUSE_TRINO_TOKEN or TICKHOUSE_TRINO_TOKEN_FILE.
    #[arg(long, value_name = "USER")]
    pub trino_user: Option<String>,
    /// Trino catalog of the Delta Lake connector [default: delta]
    #[arg(long, value_name = "NAME")]
    pub trino_catalog: Option<String>,
    /// Trino schema of the tables [default: tickhouse]
    #[arg(long, value_name = "NAME")]
    pub trino_schema: Option<String>,
    /// Glue database of the tables [default: tickhouse]
    #[arg(long, value_name = "NAME")]
    pub athena_database: Option<String>,
    /// Athena workgroup [default: primary]
    #[arg(long, value_name = "NAME")]
    pub athena_workgroup: Option<String>,
    /// Where Athena writes results, as in s3://bucket/prefix [default: the setting of the workgroup]
    #[arg(long, value_name = "URL")]
    pub athena_output: Option<String>,
}

impl EngineArgs {
    pub fn apply(&self, layers: &mut Layers) {
        layers.flag("trino.url", "--trino-url", self.trino_url.clone());
        layers.flag("trino.user", "--trino-user", self.trino_user.clone());
        layers.flag("trino.catalog", "--trino-catalog", self.trino_catalog.clone());
        layers.flag("trino.schema", "--trino-schema", self.trino_schema.clone());
        layers.flag("athena.database", "--athena-database", self.athena_database.clone());
        layers.flag("athena.workgroup", "--athena-workgroup", self.athena_workgroup.clone());
        layers.flag("athena.output", "--athena-output", self.athena_output.clone());
    }
}
