//! Flags of `tickhouse doctor`.

use clap::Args;

use crate::cli::args::{FormatChoice, InputArgs, KafkaArgs, TableArgs};
use crate::cli::settings::Layers;

const AFTER_HELP: &str = "\
Examples:
  tickhouse doctor --table ./lake --brokers localhost:9092 --topic ticks
  tickhouse doctor --config tickhouse.toml --format json
  tickhouse doctor --table ./lake --fix";

/// Check configuration, store, log, files and Kafka
///
/// Findings are listed with their repair, and the exit code is 4 if there are any.
#[derive(Debug, Clone, Args)]
#[command(after_help = AFTER_HELP)]
pub struct DoctorArgs {
    /// Repair what is safe to repair, after a copy to _tickhouse/doctor/
    ///
    /// That is a newest commit that is empty or torn, checkpoints that can't be read and aren't needed, and temporary
    /// files of killed processes.
    #[arg(long)]
    pub fix: bool,
    /// Format of the findings; json adds what was not checked; auto is a table on a terminal and csv in a pipe
    #[arg(long, value_enum, default_value = "auto")]
    pub format: FormatChoice,
    #[command(flatten)]
    pub table: TableArgs,
    #[command(flatten)]
    pub kafka: KafkaArgs,
    #[command(flatten)]
    pub input: InputArgs,
}

impl DoctorArgs {
    pub fn apply(&self, layers: &mut Layers) {
        self.table.apply(layers);
        self.kafka.apply(layers);
        self.input.apply(layers);
    }
}
