//! Commands that an operator can paste after the ingest stopped because of data loss or too many dead letters, with the
//! table and flags of this run.

use crate::cli::args::GlobalArgs;
use crate::cli::settings::{GivenFlags, Resolved, SettingsError};
use crate::ingest::{DataLoss, IngestError};
use crate::market::TopicMismatch;

/// A stop that requires a decision, and the possible ways to continue.
#[derive(Debug, thiserror::Error)]
#[error("{stop}\n{ways}")]
pub(in crate::cli::commands) struct DataLossStop {
    stop: IngestError,
    ways: String,
}

/// Adds the possible ways to continue, if there are any.
pub(in crate::cli::commands) fn show(error: IngestError, global: &GlobalArgs, resolved: &Resolved) -> anyhow::Error {
    let ways = match &error {
        IngestError::DataLoss(loss) => ways_out(loss, global, resolved),
        IngestError::TooManyDeadLetters(_) => try_a_mapping(global, resolved),
        _ => return error.into(),
    };
    match ways {
        Ok(ways) => DataLossStop { stop: error, ways }.into(),
        Err(problem) => anyhow::Error::from(error).context(problem),
    }
}

fn ways_out(loss: &DataLoss, global: &GlobalArgs, resolved: &Resolved) -> Result<String, SettingsError> {
    let new_epoch = || ("begin a new epoch: read this topic from its first message on", vec!["--new-epoch".to_owned()]);
    let ((purpose, change), reason) = match loss {
        DataLoss::Truncated { .. } => {
            return Ok(
                "to go on, start ingest once with --on-data-loss earliest: it reads on at the table's next offset, \
                       and what Kafka has written below it is not read; rows of messages that Kafka lost stay"
                    .to_owned(),
            );
        }
        DataLoss::Expired { partition, low, .. } => {
            let change = vec!["--partition".to_owned(), format!("{partition}={low}")];
            (("give these offsets up", change), "Kafka dropped them before they were read")
        }
        DataLoss::Shrunk { .. } => (new_epoch(), "the topic was recreated or truncated"),
        DataLoss::TopicMismatch(TopicMismatch::Recreated { .. }) => (new_epoch(), "the topic was recreated"),
        DataLoss::TopicMismatch(TopicMismatch::Moved { .. }) => (new_epoch(), "the topic moved to another cluster"),
    };
    let gives_up = matches!(loss, DataLoss::Expired { .. });
    let mut words = command(&["offsets", "set"], global);
    words.extend(["--table".to_owned(), resolved.settings.location()?.to_string()]);
    let given = resolved.given_flags(|key| {
        let kafka = key.starts_with("kafka.") && !["kafka.group", "kafka.instance_id"].contains(&key);
        let store = key.starts_with("store.") && key != "store.create_bucket";
        store || kafka
    })?;
    words.extend(given.words.iter().cloned());
    words.extend(change);
    words.extend(["--reason".to_owned(), reason.to_owned()]);
    let words = words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
    let beforehand = if gives_up { "\nor start ingest with --on-data-loss earliest" } else { "" };
    let left_out = left_out(&given);
    Ok(format!("to {purpose} (--dry-run shows it first):\n  {words}{left_out}{beforehand}"))
}

/// The command to try another mapping, for messages that don't fit the current one.
fn try_a_mapping(global: &GlobalArgs, resolved: &Resolved) -> Result<String, SettingsError> {
    let wanted = ["input.preset", "input.zone", "input.ts_format", "input.max_message_bytes", "ingest.start"];
    let given = resolved.given_flags(|key| key.starts_with("kafka.") || wanted.contains(&key))?;
    let mut words = command(&["ingest", "--dry-run"], global);
    words.extend(given.words.iter().cloned());
    let words = words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
    let left_out = left_out(&given);
    Ok(format!(
        "to see what becomes of each message, and try another [input], without writing anything:\n  \
         {words}{left_out}\na corrected [input] is taken with --accept-input-change\nto take the messages as they \
         are: --max-dead-share 1"
    ))
}

fn command(subcommand: &[&str], global: &GlobalArgs) -> Vec<String> {
    let mut words: Vec<String> = ["tickhouse"].iter().chain(subcommand).map(|word| (*word).to_owned()).collect();
    if let Some(config) = &global.config {
        words.extend(["--config".to_owned(), config.to_string_lossy().into_owned()]);
    }
    words
}

fn left_out(given: &GivenFlags) -> String {
    match given.left_out.as_slice() {
        [] => String::new(),
        secrets => format!("\nadd what is not printed: {}", secrets.join(" ")),
    }
}

/// Quotes a word for the shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,@%+".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::settings::Settings;

    fn after(loss: DataLoss) -> String {
        let global = GlobalArgs { config: Some("docs/tickhouse.toml".into()), ..GlobalArgs::default() };
        let resolved = Settings::resolve(global.config.as_deref(), |layers| {
            layers.flag("table", "--table", Some("/data/it's here"));
            layers.flag("store.region", "--s3-region", Some("eu-central-1"));
            layers.flag("store.create_bucket", "--s3-create-bucket", Some(true));
            layers.property("ssl.key.password", "hunter2", "-X");
            layers.flag("kafka.brokers", "--brokers", Some("kafka:9092"));
            layers.flag("kafka.group", "--group", Some("mine"));
            layers.flag("ingest.start", "--start", Some("latest"));
        });
        format!("{:#}", show(loss.into(), &global, &resolved.unwrap()))
    }

    #[test]
    fn the_command_has_the_flags_that_it_needs() {
        let text = after(DataLoss::Expired { partition: 3, next: 10, low: 60 });
        assert_eq!(
            text,
            "data loss: partition 3: the table continues at offset 10, but Kafka's oldest message is 60: 50 offsets \
             are gone\nto give these offsets up (--dry-run shows it first):\n  tickhouse offsets set --config \
             docs/tickhouse.toml --table '/data/it'\\''s here' --brokers kafka:9092 --s3-region eu-central-1 \
             --partition 3=60 --reason 'Kafka dropped them before they were read'\nadd what is not printed: -X \
             ssl.key.password=..\nor start ingest with --on-data-loss earliest"
        );
        let other = TopicMismatch::Recreated { table: "old".to_owned(), kafka: "new".to_owned() };
        let text = after(DataLoss::TopicMismatch(other));
        let command = "--brokers kafka:9092 --s3-region eu-central-1 --new-epoch --reason 'the topic was recreated'";
        let left_out = "\nadd what is not printed: -X ssl.key.password=..";
        assert!(text.ends_with(&format!("{command}{left_out}")), "{text}");
        assert!(text.contains("id old") && text.contains("id new") && !text.contains("hunter2"), "{text}");
        assert_eq!(text.matches("the table continues").count(), 1, "{text}");
    }
}
