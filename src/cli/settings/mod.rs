//! Settings, resolved once from flags, environment variables, the file and defaults, in this order of precedence. Only
//! this module reads the environment.

mod check;
mod environment;
mod error;
mod layers;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::decode::{InputSettings, Preset};
use crate::engines::registration::glue::GlueSettings;
use crate::engines::{AthenaSettings, ClickhouseSettings, QueryEngine, TrinoSettings};
use crate::ingest::IngestSettings;
use crate::kafka::{KafkaSettings, Properties};
use crate::lake::{Location, StoreSettings};
use crate::live::LiveSettings;
use crate::market::ExtraSpec;
use crate::serve::dashboard::DashboardSettings;
use crate::serve::metrics::MetricsSettings;
use environment::ENVIRONMENT;
pub use environment::{pager, state_folder};
pub use error::SettingsError;
pub use layers::{Layers, Origin};

/// All settings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Root of the lake, which is a folder or `s3://bucket/prefix`.
    pub table: String,
    pub kafka: KafkaSettings,
    pub store: StoreSettings,
    pub input: InputSettings,
    pub ingest: IngestSettings,
    pub live: LiveSettings,
    /// The engine that runs the statements of `query`.
    pub engine: QueryEngine,
    pub athena: AthenaSettings,
    pub glue: GlueSettings,
    pub clickhouse: ClickhouseSettings,
    pub trino: TrinoSettings,
    pub dashboard: DashboardSettings,
    pub metrics: MetricsSettings,
    /// Extra columns by name, which become part of the input settings.
    #[serde(skip_serializing)]
    pub columns: BTreeMap<String, ExtraSpec>,
}

/// The settings and their origins.
#[derive(Debug)]
pub struct Resolved {
    pub settings: Settings,
    pub layers: Layers,
}

impl Settings {
    /// Reads the file and the environment, and applies the flags on top of them.
    ///
    /// # Errors
    /// The file is missing or unreadable, a key is unknown, or a value is malformed.
    pub fn resolve(config: Option<&Path>, flags: impl FnOnce(&mut Layers)) -> Result<Resolved, SettingsError> {
        Self::resolve_with(config, &environment::read()?, flags)
    }

    fn resolve_with(
        config: Option<&Path>,
        environment: &BTreeMap<String, String>,
        flags: impl FnOnce(&mut Layers),
    ) -> Result<Resolved, SettingsError> {
        environment::require_known(environment)?;
        let mut layers = Layers::default();
        let named = config.map(Path::to_owned).or_else(|| environment.get(environment::CONFIG).map(PathBuf::from));
        if let Some(path) = &named {
            layers.read_file(path)?;
        }
        layers.read_environment(&ENVIRONMENT, |name| environment.get(name).cloned())?;
        layers.read_others(&environment::OF_OTHERS, |name| environment.get(name).cloned());
        flags(&mut layers);
        let mut settings: Settings = layers
            .values
            .clone()
            .try_into()
            .map_err(|error: toml::de::Error| SettingsError::Value(error.to_string().trim().replace('\n', " ")))?;
        settings.complete();
        Ok(Resolved { settings, layers })
    }

    /// Moves the columns into the input settings. If there is neither a preset nor a mapping, messages are canonical.
    fn complete(&mut self) {
        if self.input.preset.is_none() && self.input.is_unmapped() {
            self.input.preset = Some(Preset::Canonical);
        }
        self.input.columns.append(&mut self.columns);
    }

    /// The location of the lake.
    ///
    /// # Errors
    /// No table is configured, or its location is invalid.
    pub fn location(&self) -> Result<Location, SettingsError> {
        if self.table.is_empty() {
            return Err(SettingsError::Value(
                "table: missing; set --table FOLDER or --table s3://bucket/prefix".to_owned(),
            ));
        }
        Ok(Location::parse(&self.table)?)
    }
}

/// A key, its value as TOML (`None` if it is not set), and its origin.
pub type Listed<'a> = (String, Option<String>, Option<&'a Origin>);

/// Words of a command line, and the flags that were left out because their values are secrets, such as `-X
/// ssl.key.password=..`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct GivenFlags {
    pub words: Vec<String>,
    pub left_out: Vec<String>,
}

impl Resolved {
    /// All keys with their values and origins, sorted by key. Secrets are masked, and the origin of a default is
    /// `None`.
    ///
    /// # Errors
    /// A value can't be represented in TOML.
    pub fn listing(&self) -> Result<Vec<Listed<'_>>, SettingsError> {
        let table = self.masked()?;
        let mut leaves = Vec::new();
        layers::collect_leaves("", &table, &mut leaves);
        let value = |key: &str| value_of(&table, key).map(ToString::to_string);
        let origin = |key: &str| {
            let configured = key.strip_prefix("input.columns").map(|rest| format!("columns{rest}"));
            self.layers.origins.get(key).or_else(|| self.layers.origins.get(configured.as_deref()?))
        };
        let settable = ENVIRONMENT.iter().map(|(key, _)| (*key).to_owned());
        let keys: std::collections::BTreeSet<String> = leaves.into_iter().chain(settable).collect();
        Ok(keys.into_iter().map(|key| (key.clone(), value(&key), origin(&key))).collect())
    }

    /// Whether the key was set explicitly, so that its value isn't the default.
    pub fn is_set(&self, key: &str) -> bool {
        self.layers.origins.contains_key(key)
    }

    /// Whether the decoding of messages is configured.
    pub fn has_input(&self) -> bool {
        self.layers.origins.keys().any(|key| key.starts_with("input.") || key.starts_with("columns."))
    }

    /// The given flags for the wanted keys, as words of a command line.
    ///
    /// # Errors
    /// A value can't be represented in TOML.
    pub fn given_flags(&self, wanted: impl Fn(&str) -> bool) -> Result<GivenFlags, SettingsError> {
        let table = self.masked()?;
        let mut given = GivenFlags::default();
        for (key, origin) in self.layers.origins.iter().filter(|(key, _)| wanted(key)) {
            let (Origin::Flag(flag), Some(value)) = (origin, value_of(&table, key)) else { continue };
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let property = key.strip_prefix(PROPERTY);
            if let Some(name) = property.filter(|name| Properties::is_secret(name)) {
                given.left_out.push(format!("{flag} {name}=.."));
                continue;
            }
            given.words.push((*flag).to_owned());
            match property {
                Some(name) => given.words.push(format!("{name}={text}")),
                None if value.is_bool() => {}
                None => given.words.push(text),
            }
        }
        Ok(given)
    }

    /// All values as TOML, including the input settings that are not stored with the table.
    fn masked(&self) -> Result<toml::Table, SettingsError> {
        let no_form = |error: toml::ser::Error| SettingsError::Value(error.to_string());
        let mut table = toml::Table::try_from(&self.settings).map_err(no_form)?;
        let InputSettings { include, exclude, allow_negative, max_message_bytes, .. } = &self.settings.input;
        if let Some(input) = table.get_mut("input").and_then(toml::Value::as_table_mut) {
            for (key, list) in [("include", include), ("exclude", exclude), ("allow_negative", allow_negative)] {
                input.insert(key.to_owned(), list.clone().into());
            }
            let bytes = toml::Value::try_from(max_message_bytes).map_err(no_form)?;
            input.insert("max_message_bytes".to_owned(), bytes);
        }
        Ok(table)
    }
}

/// Prefix of the keys of librdkafka properties.
const PROPERTY: &str = "kafka.properties.";

fn value_of<'a>(table: &'a toml::Table, key: &str) -> Option<&'a toml::Value> {
    // Names of properties may contain dots.
    if let Some(name) = key.strip_prefix(PROPERTY) {
        return table.get("kafka")?.get("properties")?.get(name);
    }
    let (first, rest) = key.split_once('.').map_or((key, None), |(first, rest)| (first, Some(rest)));
    let value = table.get(first)?;
    rest.map_or(Some(value), |rest| rest.split('.').try_fold(value, |value, part| value.get(part)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn resolve(
        file: &str,
        environment: &[(&str, &str)],
        flags: impl FnOnce(&mut Layers),
    ) -> Result<Resolved, SettingsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tickhouse.toml");
        std::fs::write(&path, file).unwrap();
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Settings::resolve_with(Some(&path), &environment, flags)
    }

    #[test]
    fn flags_win_over_environment_over_file() {
        let file = "table = \"a\"\n[kafka]\nbrokers = \"file:1\"\ntopic = \"file\"\ngroup = \"file\"\n";
        let environment = [("TICKHOUSE_KAFKA_TOPIC", "env"), ("TICKHOUSE_KAFKA_BROKERS", "env:1")];
        let resolved =
            resolve(file, &environment, |layers| layers.flag("kafka.brokers", "--brokers", Some("flag:1"))).unwrap();
        let kafka = &resolved.settings.kafka;
        assert_eq!(
            (kafka.brokers.as_str(), kafka.topic.as_str(), kafka.group.as_deref()),
            ("flag:1", "env", Some("file"))
        );
        let listing = resolved.listing().unwrap();
        let origin = |key: &str| listing.iter().find(|line| line.0 == key).unwrap().2.map(ToString::to_string);
        assert_eq!(origin("kafka.brokers").as_deref(), Some("--brokers"));
        assert_eq!(origin("kafka.topic").as_deref(), Some("TICKHOUSE_KAFKA_TOPIC"));
        assert!(origin("kafka.group").unwrap().ends_with("tickhouse.toml"));
        assert_eq!(origin("ingest.flush_rows"), None);
    }

    #[test]
    fn every_key_is_listed() {
        let resolved = resolve("[input]\nexclude = [\"X\"]\n", &[], |_| {}).unwrap();
        let listing = resolved.listing().unwrap();
        let line = |key: &str| listing.iter().find(|line| line.0 == key).unwrap_or_else(|| panic!("no {key}"));
        for (key, _) in ENVIRONMENT {
            line(key);
        }
        assert_eq!(line("input.include").1.as_deref(), Some("[]"));
        assert_eq!(line("input.exclude").1.as_deref(), Some("[\"X\"]"));
        assert!(line("input.exclude").2.is_some() && line("input.include").2.is_none());
        assert_eq!(line("input.max_message_bytes").1.as_deref(), Some("1048576"));
        assert_eq!((&line("kafka.group").1, line("kafka.group").2), (&None, None));
    }

    #[test]
    fn a_file_that_can_t_be_read_does_not_show_its_secrets() {
        for wrong in [
            "[kafka]\npassword = \"hunter2\n",
            "[kafka]\npassword = hunter2\n",
            "[kafka]\npassword = \"x\" hunter2\n",
            "[kafka]\npassword = 70001234\n",
            "[kafka]\npassword = 70001234.5\n",
            "[kafka]\npassword = [\"hunter2\"]\n",
            "[kafka.properties]\n\"sasl.password\" = 70001234.5\n",
            "[kafka.properties]\n\"sasl.password\" = \"hunter2\n",
            "[kafka]\nusername = \"u\"\npassword = \"hunter2\"\nbroker = \"x\"\n",
            "[store]\nsecret_access_key = 70001234\n",
            "[store]\nsecret_access_key = { value = \"hunter2\" }\n",
            "[store]\nsecret_access_key = \"hunter2\"\nsecret_access_key = \"hunter2\"\n",
        ] {
            let error = resolve(wrong, &[], |_| {}).unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(!text.contains("hunter2") && !text.contains("7000"), "{wrong}: {text}");
        }
        let error = resolve("[kafka]\npassword = \"hunter2\n", &[], |_| {}).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
        let properties = "[kafka.properties]\n\"fetch.wait.max.ms\" = 50\n\"check.crcs\" = true\n";
        let kafka = resolve(properties, &[], |_| {}).unwrap().settings.kafka;
        assert_eq!(kafka.properties.0["fetch.wait.max.ms"], "50");
        assert_eq!(kafka.properties.0["check.crcs"], "true");
    }

    #[test]
    fn given_flags_are_words_of_another_command_line() {
        let resolved = resolve("[store]\nregion = \"file\"\n", &[("TICKHOUSE_KAFKA_USERNAME", "env")], |layers| {
            layers.flag("kafka.brokers", "--brokers", Some("a:1"));
            layers.flag("kafka.tls", "--tls", Some(true));
            layers.flag("store.endpoint", "--s3-endpoint", Some("http://b:2"));
            layers.property("client.id", "me", "-X");
            layers.property("ssl.key.password", "hunter2", "-X");
        });
        let given = resolved.unwrap().given_flags(|key| key.starts_with("kafka.")).unwrap();
        assert_eq!(given.words, ["--brokers", "a:1", "-X", "client.id=me", "--tls"]);
        assert_eq!(given.left_out, ["-X ssl.key.password=.."]);
    }

    /// Keys of the documented configuration, including those that are commented out.
    fn documented() -> std::collections::BTreeSet<String> {
        let bare = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || "_.\"".contains(c));
        let mut section = String::new();
        let mut keys = std::collections::BTreeSet::new();
        for line in include_str!("../../../docs/tickhouse.toml").lines() {
            let code = line.strip_prefix("# ").unwrap_or(line);
            if let Some(name) = code.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = format!("{}.", name.trim_matches(['[', ']']));
            } else if let Some((key, _)) = code.split_once(" = ").filter(|(key, _)| bare(key)) {
                keys.insert(format!("{section}{}", key.replace('"', "")));
            }
        }
        keys
    }

    #[test]
    fn the_documented_configuration_changes_nothing_as_it_stands() {
        let documented = resolve(include_str!("../../../docs/tickhouse.toml"), &[], |_| {}).unwrap().settings;
        let defaults = resolve("", &[], |_| {}).unwrap().settings;
        let shown = |settings: &Settings| toml::to_string(settings).unwrap();
        assert_eq!(shown(&documented), shown(&defaults));
    }

    #[test]
    fn the_environment_has_the_documented_keys() {
        let by_file_only = |key: &str| {
            let mapped = ["symbol", "ts", "close", "volume", "trade_id", "source"];
            let field = key.strip_prefix("input.").is_some_and(|key| mapped.contains(&key));
            let live = ["fast", "slow", "anomaly", "change", "kinds"];
            let live = key
                .strip_prefix("live.")
                .is_some_and(|key| live.contains(&key) || key.starts_with("rule.") || key.starts_with("webhook."));
            field || live || key == "store.sse" || key.starts_with("kafka.properties.") || key.starts_with("columns.")
        };
        let keys = documented();
        assert!(keys.len() > ENVIRONMENT.len() && keys.contains("input.trade_id") && keys.contains("kafka.group"));
        let settable: Vec<&str> = ENVIRONMENT.iter().map(|(key, _)| *key).collect();
        let missing: Vec<&String> =
            keys.iter().filter(|key| settable.contains(&key.as_str()) == by_file_only(key)).collect();
        assert!(missing.is_empty(), "neither in the environment nor an exception, or both: {missing:?}");
        let of_store = ["store.access_key_id", "store.secret_access_key", "store.session_token"];
        let secret = [
            &of_store[..],
            &[
                "kafka.password",
                "trino.password",
                "trino.token",
                "clickhouse.password",
                "dashboard.token",
                "metrics.token",
            ],
        ]
        .concat();
        let undocumented: Vec<&&str> =
            settable.iter().filter(|key| !keys.contains(**key) && !secret.contains(key)).collect();
        assert!(undocumented.is_empty(), "{undocumented:?}");
        let environment = [("TICKHOUSE_STORE_CREATE_BUCKET", "true")];
        assert!(resolve("", &environment, |_| {}).unwrap().settings.store.create_bucket);
    }

    #[test]
    fn secrets_come_from_files() {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        std::fs::write(&secret, "hunter2\n").unwrap();
        let environment = [("TICKHOUSE_STORE_SECRET_ACCESS_KEY_FILE", secret.to_str().unwrap())];
        let resolved = resolve("", &environment, |_| {}).unwrap();
        assert_eq!(resolved.settings.store.secret_access_key.unwrap().reveal(), "hunter2");
    }

    #[test]
    fn unknown_keys_and_missing_files_are_errors() {
        let error = resolve("[kafka]\nbroker = \"x\"\n", &[], |_| {}).unwrap_err().to_string();
        assert!(error.contains("broker") && error.contains("brokers"), "{error}");
        let error = Settings::resolve_with(Some(Path::new("/nowhere.toml")), &BTreeMap::new(), |_| {});
        let error = error.unwrap_err().to_string();
        assert!(error.contains("/nowhere.toml"), "{error}");
        let error = resolve("[ingest]\nflush_bytes = \"many\"\n", &[], |_| {}).unwrap_err().to_string();
        assert!(error.contains("64MiB"), "{error}");
    }

    #[test]
    fn columns_belong_to_the_input() {
        let resolved = resolve("[columns.bid]\npath = \"/b\"\ntype = \"double\"\n", &[], |_| {}).unwrap();
        assert_eq!(resolved.settings.input.preset, Some(Preset::Canonical));
        assert!(resolved.settings.input.columns.contains_key("bid"));
        let listing = resolved.listing().unwrap();
        let bid = listing.iter().find(|line| line.0 == "input.columns.bid.path").unwrap();
        assert!(bid.2.is_some());
    }

    #[test]
    fn defaults_are_those_of_the_contract() {
        let ingest = resolve("", &[], |_| {}).unwrap().settings.ingest;
        assert_eq!((ingest.flush_rows, ingest.flush_bytes), (1_000_000, 64 << 20));
        assert_eq!((ingest.flush_interval, ingest.memory), (Duration::from_secs(10), 512 << 20));
    }
}
