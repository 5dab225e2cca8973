//! `tickhouse doctor`.

use clap::Args;

use crate::cli::args::{FormatChoice, InputArgs, KafkaArgs, TableArgs};
use crate::cli::settings::Layers;

/// Check everything that a lake stands on (configuration, store, log, files, Kafka), and say how to mend what is wrong;
/// exit code 4 with findings
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    pub table: TableArgs,
    #[command(flatten)]
    pub kafka: KafkaArgs,
    #[command(flatten)]
    pub input: InputArgs,
    /// Mend what is safe, after a copy of it under _tickhouse/doctor/: a newest commit that is empty or torn, checkpoints
    /// that can't be read and aren't needed, temporary files of killed processes
    #[arg(long)]
    pub fix: bool,
    /// Format; json adds what was not checked; auto is a table on a terminal and csv in a pipe
    #[arg(long, value_enum, default_value = "auto")]
    pub format: FormatChoice,
}

impl DoctorArgs {
    pub fn apply(&self, layers: &mut Layers) {
        self.table.apply(layers);
        self.kafka.apply(layers);
        self.input.apply(layers);
    }
}
