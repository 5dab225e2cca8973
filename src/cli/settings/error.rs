//! Errors of the configuration.

use std::path::PathBuf;

use crate::decode::InputError;
use crate::kafka::KafkaSettingsError;
use crate::lake::LocationError;

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("read configuration {}: {problem}", path.display())]
    File { path: PathBuf, problem: String },
    #[error("{name} {problem}")]
    Environment { name: String, problem: String },
    #[error("ingest refuses this configuration:\n  {}", .0.join("\n  "))]
    Refused(Vec<String>),
    #[error("configuration: {0}")]
    Value(String),
    #[error(transparent)]
    Kafka(#[from] KafkaSettingsError),
    #[error(transparent)]
    Input(#[from] InputError),
    #[error(transparent)]
    Location(#[from] LocationError),
}
