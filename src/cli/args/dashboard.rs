//! Flags of `tickhouse dashboard`.

use clap::Args;

use crate::cli::args::{KafkaArgs, TableArgs};
use crate::cli::settings::Layers;
use crate::serve::http::Listen;

const AFTER_HELP: &str = "\
Examples:
  tickhouse dashboard --table ./lake
  tickhouse dashboard --table ./lake --brokers localhost:9092
  TICKHOUSE_DASHBOARD_TOKEN_FILE=token tickhouse dashboard --table s3://bucket/lake \\
      --listen 0.0.0.0:8080 --allow-host dash.example.com";

/// Serve a live page of a lake: candles, signals, alerts
///
/// With brokers the page is live; without them it shows what is in the table.
#[derive(Debug, Clone, Args)]
#[command(after_help = AFTER_HELP)]
pub struct DashboardArgs {
    #[command(flatten)]
    pub serve: ServeArgs,
    #[command(flatten)]
    pub table: TableArgs,
    #[command(flatten)]
    pub kafka: KafkaArgs,
}

/// Where the page is, and who may see it.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Dashboard")]
pub struct ServeArgs {
    /// Address and port to listen on [default: 127.0.0.1:8080, or one of the next ports if that is in use]
    ///
    /// An address that other machines reach needs a token.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<Listen>,
    /// Token that clients of the page must present, at least 16 bytes
    ///
    /// TICKHOUSE_DASHBOARD_TOKEN and TICKHOUSE_DASHBOARD_TOKEN_FILE are safer: other users of the machine can read the
    /// arguments of a process.
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,
    /// Host name under which browsers reach the page, besides localhost; can be repeated
    #[arg(long, value_name = "NAME")]
    pub allow_host: Vec<String>,
}

impl ServeArgs {
    pub fn apply(&self, layers: &mut Layers) {
        layers.flag("dashboard.listen", "--listen", self.listen.map(|listen| listen.to_string()));
        layers.flag("dashboard.token", "--token", self.token.clone());
        let hosts = (!self.allow_host.is_empty()).then(|| self.allow_host.clone());
        layers.flag("dashboard.allow_host", "--allow-host", hosts);
    }
}

impl DashboardArgs {
    pub fn apply(&self, layers: &mut Layers) {
        self.table.apply(layers);
        self.kafka.apply(layers);
        self.serve.apply(layers);
    }
}
