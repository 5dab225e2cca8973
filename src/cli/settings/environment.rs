//! Environment variables that are settings, and variables whose names only resemble one.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use super::error::SettingsError;
use super::layers::Kind;
use crate::util::suggest::closest;

/// Path of the configuration file, like `--config`.
pub(super) const CONFIG: &str = "TICKHOUSE_CONFIG";
const PREFIX: &str = "TICKHOUSE_";
/// Prefixes of variables for the tests and their servers.
const NO_SETTINGS: [&str; 3] = ["TICKHOUSE_TEST_", "TICKHOUSE_BINARY", "TICKHOUSE_CACHE"];
/// Parts of the names of variables that Kubernetes and Docker add for a service or container named tickhouse.
const OF_SERVICES: [&str; 3] = ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT"];

/// Keys that can be set by environment variables. The name of the variable is `TICKHOUSE_` and the key in upper case,
/// with `_` instead of dots.
pub(super) const ENVIRONMENT: [(&str, Kind); 66] = [
    ("table", Kind::Text),
    ("kafka.brokers", Kind::Text),
    ("kafka.topic", Kind::Text),
    ("kafka.group", Kind::Text),
    ("kafka.instance_id", Kind::Text),
    ("kafka.tls", Kind::Switch),
    ("kafka.ca", Kind::Text),
    ("kafka.certificate", Kind::Text),
    ("kafka.key", Kind::Text),
    ("kafka.username", Kind::Text),
    ("kafka.password", Kind::Secret),
    ("kafka.mechanism", Kind::Text),
    ("store.endpoint", Kind::Text),
    ("store.region", Kind::Text),
    ("store.access_key_id", Kind::Secret),
    ("store.secret_access_key", Kind::Secret),
    ("store.session_token", Kind::Secret),
    ("store.allow_http", Kind::Switch),
    ("store.create_bucket", Kind::Switch),
    ("input.preset", Kind::Text),
    ("input.zone", Kind::Text),
    ("input.time_unit", Kind::Text),
    ("input.ts_format", Kind::Text),
    ("input.include", Kind::List),
    ("input.exclude", Kind::List),
    ("input.allow_negative", Kind::List),
    ("input.max_message_bytes", Kind::Number),
    ("ingest.market_zone", Kind::Text),
    ("ingest.partition_by", Kind::Text),
    ("ingest.must_exist", Kind::Switch),
    ("ingest.start", Kind::Text),
    ("ingest.on_data_loss", Kind::Text),
    ("ingest.max_dead_share", Kind::Text),
    ("ingest.flush_rows", Kind::Number),
    ("ingest.flush_bytes", Kind::Text),
    ("ingest.flush_interval", Kind::Text),
    ("ingest.idle_commit_interval", Kind::Text),
    ("ingest.memory", Kind::Text),
    ("ingest.checkpoint_commits", Kind::Number),
    ("ingest.stop_timeout", Kind::Text),
    ("ingest.maintain", Kind::Text),
    ("live.topic", Kind::Text),
    ("live.reorder", Kind::Text),
    ("live.commit_interval", Kind::Text),
    ("live.print", Kind::Switch),
    ("engine", Kind::Text),
    ("trino.url", Kind::Text),
    ("trino.user", Kind::Text),
    ("trino.password", Kind::Secret),
    ("trino.token", Kind::Secret),
    ("trino.catalog", Kind::Text),
    ("trino.schema", Kind::Text),
    ("athena.database", Kind::Text),
    ("athena.workgroup", Kind::Text),
    ("athena.output", Kind::Text),
    ("athena.endpoint", Kind::Text),
    ("glue.endpoint", Kind::Text),
    ("clickhouse.url", Kind::Text),
    ("clickhouse.user", Kind::Text),
    ("clickhouse.password", Kind::Secret),
    ("dashboard.listen", Kind::Text),
    ("dashboard.token", Kind::Secret),
    ("dashboard.allow_host", Kind::List),
    ("dashboard.memory", Kind::Text),
    ("metrics.listen", Kind::Text),
    ("metrics.token", Kind::Secret),
];

/// Keys that fall back to a variable of the AWS tools if nothing else sets them.
pub(super) const OF_OTHERS: [(&str, &str); 2] =
    [("athena.endpoint", "AWS_ENDPOINT_URL_ATHENA"), ("glue.endpoint", "AWS_ENDPOINT_URL_GLUE")];

/// Folder for state that commands may lose, such as the history of the prompt. `None` if neither `XDG_STATE_HOME` nor a
/// home folder is known.
pub fn state_folder() -> Option<PathBuf> {
    let absolute = |text: OsString| Some(PathBuf::from(text)).filter(|path| path.is_absolute());
    let state = std::env::var_os("XDG_STATE_HOME").and_then(absolute);
    let state = state.or_else(|| std::env::home_dir().map(|home| home.join(".local/state")));
    state.map(|state| state.join("tickhouse"))
}

/// The command that displays long results, run by the shell.
pub fn pager() -> String {
    std::env::var("PAGER").ok().filter(|pager| !pager.trim().is_empty()).unwrap_or_else(|| "less -S".to_owned())
}

/// All variables that may be settings.
///
/// # Errors
/// A value is not valid UTF-8.
pub(super) fn read() -> Result<BTreeMap<String, String>, SettingsError> {
    let named = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let is_of_others = |name: &str| OF_OTHERS.iter().any(|(_, other)| *other == name);
    let is_ours = |name: &str| name.starts_with(PREFIX) && !is_no_setting(name);
    let ours = named.filter(|(name, _)| is_ours(name) || is_of_others(name));
    let text = ours.map(|(name, value)| match value.into_string() {
        Ok(value) => Ok((name, value)),
        Err(_) => Err(SettingsError::Environment { name, problem: "is not UTF-8".to_owned() }),
    });
    text.collect()
}

fn is_no_setting(name: &str) -> bool {
    NO_SETTINGS.iter().any(|other| name.starts_with(other)) || OF_SERVICES.iter().any(|part| name.contains(part))
}

/// Checks that every variable is a known setting.
///
/// # Errors
/// A variable is not a known setting; the error suggests a similar one.
pub(super) fn require_known(environment: &BTreeMap<String, String>) -> Result<(), SettingsError> {
    let mut known = vec!["CONFIG".to_owned()];
    for (key, kind) in ENVIRONMENT {
        let name = key.replace('.', "_").to_uppercase();
        if kind == Kind::Secret {
            known.push(format!("{name}_FILE"));
        }
        known.push(name);
    }
    for name in environment.keys() {
        let Some(rest) = name.strip_prefix(PREFIX).filter(|rest| !known.iter().any(|known| known == rest)) else {
            continue;
        };
        let fix = match closest(rest, known.iter().map(String::as_str)) {
            Some(meant) => format!("did you mean {PREFIX}{meant}?"),
            None => "unset it; `tickhouse config show` lists the keys, as in kafka.brokers for TICKHOUSE_KAFKA_BROKERS"
                .to_owned(),
        };
        return Err(SettingsError::Environment { name: name.clone(), problem: format!("is no setting: {fix}") });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_are_no_settings_are_errors() {
        let check = |name: &str| require_known(&BTreeMap::from([(name.to_owned(), "x".to_owned())]));
        for known in ["CONFIG", "TABLE", "KAFKA_BROKERS", "KAFKA_PASSWORD_FILE", "STORE_SESSION_TOKEN"] {
            check(&format!("{PREFIX}{known}")).unwrap();
        }
        for (wrong, expected) in [
            ("TICKHOUSE_KAFKA_BROKER", "TICKHOUSE_KAFKA_BROKER is no setting: did you mean TICKHOUSE_KAFKA_BROKERS?"),
            ("TICKHOUSE_KAFKA_GROUP_FILE", "TICKHOUSE_KAFKA_GROUP_FILE is no setting"),
            ("TICKHOUSE_X", "TICKHOUSE_X is no setting: unset it"),
        ] {
            let error = check(wrong).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn tests_and_services_have_variables_of_their_own() {
        for name in ["TICKHOUSE_TEST_BROKERS", "TICKHOUSE_SERVICE_HOST", "TICKHOUSE_PORT_8080_TCP", "TICKHOUSE_PORT"] {
            assert!(is_no_setting(name), "{name}");
        }
        for (key, _) in ENVIRONMENT {
            let name = format!("{PREFIX}{}", key.replace('.', "_").to_uppercase());
            assert!(!is_no_setting(&name), "{name}");
        }
    }
}
