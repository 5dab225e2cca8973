//! The `[live]` section.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::live::event::{EventKind, Severity};
use crate::util::secret::Secret;
use crate::util::units;

/// Longest window of a mean.
const MAX_WINDOW: usize = 1_000;
/// Ticks may wait this long in the re-order buffer.
const MAX_REORDER: Duration = Duration::from_secs(600);
const MAX_RULES: usize = 1_000;
const MAX_NAME: usize = 64;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LiveSettings {
    /// Rows of the fast and of the slow mean.
    pub fast: usize,
    pub slow: usize,
    /// Standard deviations from the mean of the 20 closes before, from which a close is an anomaly.
    pub anomaly: f64,
    /// Percent of the close before, from which a change is an alert.
    pub change: f64,
    /// Kinds of events that are emitted.
    pub kinds: Vec<EventKind>,
    /// How long a tick waits for older ones of its symbol, in event time. 0: none is waited for.
    #[serde(with = "units::duration")]
    pub reorder: Duration,
    /// How often what happened is committed to the table `signals`.
    #[serde(with = "units::duration")]
    pub commit_interval: Duration,
    /// Topic for events, on the same brokers.
    pub topic: Option<String>,
    /// Prints events on the terminal.
    pub print: bool,
    #[serde(rename = "rule")]
    pub rules: Vec<RuleSettings>,
    #[serde(rename = "webhook")]
    pub webhooks: Vec<WebhookSettings>,
}

impl Default for LiveSettings {
    fn default() -> Self {
        Self {
            fast: 9,
            slow: 21,
            anomaly: 2.0,
            change: 1.0,
            kinds: EventKind::ALL.to_vec(),
            reorder: Duration::ZERO,
            commit_interval: Duration::from_secs(5),
            topic: None,
            print: false,
            rules: Vec::new(),
            webhooks: Vec::new(),
        }
    }
}

impl LiveSettings {
    /// # Errors
    /// Events would land among the ticks, as ticks.
    pub fn require_own_topic(&self, ticks: &str) -> Result<(), String> {
        match &self.topic {
            Some(topic) if topic == ticks => {
                Err(format!("live.topic: '{topic}' is the topic of the ticks; name another one for events"))
            }
            _ => Ok(()),
        }
    }

    /// Conditions of rules are checked by [`crate::live::Rules::plan`].
    ///
    /// # Errors
    /// The first setting that can't work, with its key and what would.
    pub fn validate(&self) -> Result<(), String> {
        if self.fast == 0 || self.slow <= self.fast || self.slow > MAX_WINDOW {
            return Err(format!("live.fast, live.slow: use 0 < fast < slow <= {MAX_WINDOW}"));
        }
        for (key, value) in [("anomaly", self.anomaly), ("change", self.change)] {
            if !value.is_finite() || value <= 0.0 {
                return Err(format!("live.{key}: use a number above 0"));
            }
        }
        if self.reorder > MAX_REORDER {
            return Err(format!("live.reorder: use at most {} s", MAX_REORDER.as_secs()));
        }
        if self.commit_interval < Duration::from_millis(100) {
            return Err("live.commit_interval: use at least 100ms".to_owned());
        }
        if self.topic.as_ref().is_some_and(String::is_empty) {
            return Err("live.topic: empty; name a topic, or leave it out".to_owned());
        }
        if self.rules.len() > MAX_RULES {
            return Err(format!("live.rule: there are {}; {MAX_RULES} are possible", self.rules.len()));
        }
        unique("live.rule", self.rules.iter().map(|rule| rule.name.as_str()))?;
        unique("live.webhook", self.webhooks.iter().map(|hook| hook.name.as_str()))?;
        for hook in &self.webhooks {
            let url = url::Url::parse(hook.url.reveal());
            if !url.is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
                return Err(format!("live.webhook '{}': url is no http:// or https:// address", hook.name));
            }
            if let Some(name) = hook.rules.iter().find(|name| self.rules.iter().all(|rule| rule.name != **name)) {
                return Err(format!("live.webhook '{}': there is no rule '{name}'", hook.name));
            }
        }
        Ok(())
    }
}

/// Names are part of the identity of events, and of metrics and files.
fn unique<'a>(key: &str, names: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        let is_word = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '.');
        if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(is_word) {
            return Err(format!("{key}: '{name}' is no name; use 1 to {MAX_NAME} of letters, digits, _ - ."));
        }
        if !seen.insert(name) {
            return Err(format!("{key}: '{name}' is there twice"));
        }
    }
    Ok(())
}

/// `[[live.rule]]`: an event is emitted when `when` becomes true for a symbol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSettings {
    pub name: String,
    /// Symbols, `*` for any characters: `"*"`, `"BTC*"`.
    #[serde(default = "any_symbol")]
    pub symbols: Vec<String>,
    /// A condition on the live values in SQL: `change_pct > 1 AND volume > 2 * volume_avg_10`.
    pub when: String,
    /// The rule can fire again after this is true [default: when `when` is not].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Fires no more often than this for a symbol, in event time.
    #[serde(default, with = "units::duration")]
    pub cool_down: Duration,
    #[serde(default = "warning")]
    pub severity: Severity,
}

/// `[[live.webhook]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    pub name: String,
    pub url: Secret,
    #[serde(default)]
    pub format: WebhookFormat,
    /// Kinds of events that are sent.
    #[serde(default = "alerts")]
    pub kinds: Vec<EventKind>,
    /// Names of the rules that are sent [default: all].
    #[serde(default)]
    pub rules: Vec<String>,
    #[serde(default = "info")]
    pub least_severity: Severity,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebhookFormat {
    /// `{"events":[..]}`, each as in the topic.
    #[default]
    Json,
    /// `{"text":".."}`, as Slack and Mattermost take it.
    Slack,
}

impl RuleSettings {
    /// A rule for all symbols.
    pub fn new(name: &str, when: &str) -> Self {
        Self {
            name: name.to_owned(),
            symbols: any_symbol(),
            when: when.to_owned(),
            until: None,
            cool_down: Duration::ZERO,
            severity: warning(),
        }
    }
}

fn any_symbol() -> Vec<String> {
    vec!["*".to_owned()]
}

fn warning() -> Severity {
    Severity::Warning
}

fn info() -> Severity {
    Severity::Info
}

fn alerts() -> Vec<EventKind> {
    vec![EventKind::PriceAlert, EventKind::Rule]
}
