//! Queries the state of a consumer group without joining it.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::kafka::client::KafkaSettings;
use crate::kafka::refusal::{BrokerErrors, configuration_problem};
use crate::kafka::topic::TopicError;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupInfo {
    /// As the brokers name it: `Stable`, `Empty`, `PreparingRebalance`, `Dead` ..
    pub state: String,
    pub members: usize,
}

/// Returns `None` if no broker knows the group. Blocks.
///
/// # Errors
/// The brokers don't answer in time.
pub fn group_info(settings: &KafkaSettings, group: &str, patience: Duration) -> Result<Option<GroupInfo>, TopicError> {
    let config = settings.client_config();
    let consumer: BaseConsumer<BrokerErrors> = config
        .create_with_context(BrokerErrors::new(&config))
        .map_err(|error| TopicError::Configuration(configuration_problem(&error)))?;
    let listed = consumer.fetch_group_list(Some(group), patience).map_err(|error| TopicError::Unreachable {
        brokers: settings.brokers.clone(),
        detail: format!("ask for group '{group}': {error}"),
    })?;
    let found = listed.groups().iter().find(|found| found.name() == group);
    Ok(found.map(|found| GroupInfo { state: found.state().to_owned(), members: found.members().len() }))
}
