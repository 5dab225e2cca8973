//! Flags for the location of the lake and the connection to its store.

use clap::Args;

use crate::cli::settings::Layers;

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Table")]
pub struct TableArgs {
    /// Root of the lake: a folder or s3://bucket/prefix
    #[arg(long, value_name = "ROOT")]
    pub table: Option<String>,
    /// URL of an S3-compatible server; keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
    #[arg(long, value_name = "URL")]
    pub s3_endpoint: Option<String>,
    #[arg(long, value_name = "NAME", help = "Region of the bucket")]
    pub s3_region: Option<String>,
    /// Allow an S3 endpoint without TLS
    #[arg(long)]
    pub s3_allow_http: bool,
}

impl TableArgs {
    pub fn apply(&self, layers: &mut Layers) {
        layers.flag("table", "--table", self.table.clone());
        layers.flag("store.endpoint", "--s3-endpoint", self.s3_endpoint.clone());
        layers.flag("store.region", "--s3-region", self.s3_region.clone());
        layers.flag("store.allow_http", "--s3-allow-http", self.s3_allow_http.then_some(true));
    }
}
