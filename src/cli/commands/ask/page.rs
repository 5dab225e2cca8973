//! The dashboard page: the lake that it shows, and its address.

use std::time::Duration;

use anyhow::Context;

use crate::cli::settings::Settings;
use crate::serve::dashboard::{DEFAULT_LISTEN, DashboardSettings, Server, SourceSpec};
use crate::tail::UnionSettings;

/// How long to wait for brokers before the page shows only the table.
const BROKERS_PATIENCE: Duration = Duration::from_secs(3);

/// The lake of these settings.
///
/// # Errors
/// No lake is configured.
pub(in crate::cli::commands) fn source_of(settings: &Settings) -> anyhow::Result<SourceSpec> {
    let union = || UnionSettings {
        patience: BROKERS_PATIENCE,
        wait_for_brokers: true,
        ..UnionSettings::of(Some(settings.kafka.clone()))
    };
    Ok(SourceSpec {
        location: settings.location()?,
        store: settings.store.clone(),
        topic: Some(settings.kafka.topic.clone()).filter(|topic| !topic.is_empty()),
        memory_bytes: usize::try_from(settings.dashboard.memory).context("use dashboard.memory")?,
        beyond: (!settings.kafka.brokers.is_empty()).then(union),
    })
}

/// The message with the address of the page.
pub(in crate::cli::commands) fn place(server: &Server, settings: &DashboardSettings) -> String {
    let mut text = String::new();
    if server.has_moved(settings) {
        text.push_str(&format!("port {} is taken\n", DEFAULT_LISTEN.port()));
    }
    text.push_str(&format!("dashboard at {}", server.url()));
    text.push_str(if server.has_token() { "?token=.. (with the token, once)\n" } else { "\n" });
    text
}
