//! Layers of settings: flags override environment variables, which override the file and the defaults. The origin of
//! each value is recorded.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::error::SettingsError;

/// The origin of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    File(PathBuf),
    Environment(String),
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => f.write_str(name),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// How to parse the text of an environment variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// A text that can also be read from the file that the variable `NAME_FILE` names.
    Secret,
    Number,
    Switch,
    /// Texts separated by commas.
    List,
}

/// Values by dotted key, such as `kafka.brokers`.
#[derive(Debug, Default)]
pub struct Layers {
    pub(super) values: Table,
    pub(super) origins: BTreeMap<String, Origin>,
}

impl Layers {
    /// Sets a value. Later calls override earlier ones.
    pub fn set(&mut self, key: &str, value: impl Into<Value>, origin: Origin) {
        let mut table = &mut self.values;
        let mut parts = key.split('.').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                table.insert(part.to_owned(), value.into());
                break;
            }
            let entry = table.entry(part).or_insert_with(|| Value::Table(Table::new()));
            if !entry.is_table() {
                *entry = Value::Table(Table::new());
            }
            let Value::Table(next) = entry else { break };
            table = next;
        }
        self.origins.insert(key.to_owned(), origin);
    }

    /// Sets the value of a flag, if the flag was given.
    pub fn flag(&mut self, key: &str, flag: &'static str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.set(key, value, Origin::Flag(flag));
        }
    }

    /// Sets a librdkafka property. Its name may contain dots.
    pub fn property(&mut self, name: &str, value: &str, flag: &'static str) {
        let mut properties = match self.values.get("kafka").and_then(|kafka| kafka.get("properties")) {
            Some(Value::Table(table)) => table.clone(),
            _ => Table::new(),
        };
        properties.insert(name.to_owned(), Value::String(value.to_owned()));
        let kafka = self.values.entry("kafka").or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(kafka) = kafka {
            kafka.insert("properties".to_owned(), Value::Table(properties));
        }
        self.origins.insert(format!("kafka.properties.{name}"), Origin::Flag(flag));
    }

    pub(super) fn read_file(&mut self, path: &Path) -> Result<(), SettingsError> {
        let text = std::fs::read_to_string(path).map_err(|error| SettingsError::File {
            path: path.to_owned(),
            problem: match error.kind() {
                std::io::ErrorKind::NotFound => "there is no such file; correct --config".to_owned(),
                _ => error.to_string(),
            },
        })?;
        let table: Table = toml::from_str(&text)
            .map_err(|error| SettingsError::File { path: path.to_owned(), problem: syntax_problem(&text, &error) })?;
        let mut leaves = Vec::new();
        collect_leaves("", &table, &mut leaves);
        for key in leaves {
            self.origins.insert(key, Origin::File(path.to_owned()));
        }
        self.values = table;
        Ok(())
    }

    pub(super) fn read_environment(
        &mut self,
        keys: &[(&str, Kind)],
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<(), SettingsError> {
        for (key, kind) in keys {
            let name = format!("TICKHOUSE_{}", key.replace('.', "_").to_uppercase());
            let wrong = |problem: &str| SettingsError::Environment { name: name.clone(), problem: problem.to_owned() };
            let Some(text) = variable(&name) else {
                if *kind == Kind::Secret {
                    self.read_secret_file(key, &format!("{name}_FILE"), &variable)?;
                }
                continue;
            };
            let value = match kind {
                Kind::Text | Kind::Secret => Value::String(text),
                Kind::Number => Value::Integer(text.trim().parse().map_err(|_| wrong("is no whole number"))?),
                Kind::Switch => Value::Boolean(text.trim().parse().map_err(|_| wrong("is neither true nor false"))?),
                Kind::List => {
                    text.split(',').map(|part| Value::String(part.trim().to_owned())).collect::<Vec<_>>().into()
                }
            };
            self.set(key, value, Origin::Environment(name));
        }
        Ok(())
    }

    /// Reads variables of other tools, for keys that nothing else sets.
    pub(super) fn read_others(&mut self, keys: &[(&str, &str)], variable: impl Fn(&str) -> Option<String>) {
        for (key, name) in keys {
            if let Some(text) = variable(name).filter(|text| !text.is_empty() && !self.origins.contains_key(*key)) {
                self.set(key, text, Origin::Environment((*name).to_owned()));
            }
        }
    }

    fn read_secret_file(
        &mut self,
        key: &str,
        name: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<(), SettingsError> {
        let Some(path) = variable(name) else { return Ok(()) };
        let text = std::fs::read_to_string(&path).map_err(|error| SettingsError::Environment {
            name: name.to_owned(),
            problem: format!("read {path}: {error}"),
        })?;
        self.set(key, text.trim_end_matches(['\r', '\n']), Origin::Environment(name.to_owned()));
        Ok(())
    }
}

/// The position and the message of a syntax error, without the line itself, which may contain a password.
fn syntax_problem(text: &str, error: &toml::de::Error) -> String {
    let Some(before) = error.span().and_then(|span| text.get(..span.start)) else { return error.message().to_owned() };
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}: {}", error.message())
}

/// Dotted keys of all values that are not tables, sorted.
pub(super) fn collect_leaves(prefix: &str, table: &Table, leaves: &mut Vec<String>) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Table(inner) if !inner.is_empty() => collect_leaves(&key, inner, leaves),
            _ => leaves.push(key),
        }
    }
}
