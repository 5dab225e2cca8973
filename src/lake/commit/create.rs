//! Creating the tables, and checking that existing ones are what the configuration says.

use std::collections::HashMap;

use deltalake::kernel::{Action, MetadataExt, Protocol, StructField, new_metadata};
use deltalake::protocol::{DeltaOperation, SaveMode};
use serde_json::{Value, json};

use crate::lake::error::{LakeError, SpecDifference};
use crate::lake::log::input_change::input_changes;
use crate::lake::log::newer_version::has_version;
use crate::lake::log::properties::{CLUSTER_ID, INPUT, MARKET_ZONE, PARTITION_BY, TOPIC, TOPIC_ID};
use crate::lake::log::record::CommitRecord;
use crate::lake::log::schema::{
    DEAD_DATE, TRADE_DATE, TableColumn, dead_letters_columns, delta_schema, signals_columns, ticks_columns,
    with_new_extras,
};
use crate::lake::log::table::Table;
use crate::lake::store::location::Location;
use crate::market::{ExtraSpec, PartitionBy, TopicIdentity};

const ACCEPT_INPUT: &str = "take it with --accept-input-change";

/// Attempts to change the schema or a property while other workers win every race.
const METADATA_ATTEMPTS: usize = 20;

/// What a lake holds. It is fixed at creation, except for the input, new extra columns, and the identity, which changes
/// with the epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LakeSpec {
    pub topic: String,
    pub identity: TopicIdentity,
    /// IANA name.
    pub market_zone: String,
    pub partition_by: PartitionBy,
    /// The mapping of messages to ticks, as JSON.
    pub input: String,
    /// Extra columns in the order of the configuration.
    pub extras: Vec<(String, ExtraSpec)>,
    /// Accepts an input that differs from the lake's.
    pub accept_input_change: bool,
    /// A lake that doesn't exist is an error.
    pub must_exist: bool,
}

/// How messages become rows; fixed when a writer starts.
#[derive(Debug, Clone)]
pub(in crate::lake) struct InputMapping {
    input: Option<String>,
    columns: Vec<TableColumn>,
}

impl InputMapping {
    /// The mapping of the newest version that the handle knows.
    pub(in crate::lake) fn of(ticks: &Table) -> Result<Self, LakeError> {
        Ok(Self { input: ticks.property(INPUT).map(str::to_owned), columns: ticks.columns()? })
    }

    /// # Errors
    /// Another worker changed the mapping: rows that were decoded with the old one must not be added.
    pub(in crate::lake) fn require(&self, ticks: &Table) -> Result<(), LakeError> {
        let same_input = match (&self.input, ticks.property(INPUT)) {
            (Some(known), Some(now)) => same_json(known, now),
            (known, now) => known.as_deref() == now,
        };
        match same_input && self.columns == ticks.columns()? {
            true => Ok(()),
            false => Err(LakeError::MappingChanged { table: ticks.name.clone() }),
        }
    }
}

impl LakeSpec {
    fn properties(&self) -> [(&'static str, String); 4] {
        [
            (TOPIC, self.topic.clone()),
            (MARKET_ZONE, self.market_zone.clone()),
            (PARTITION_BY, self.partition_by.to_string()),
            (INPUT, self.input.clone()),
        ]
    }
}

/// An unknown id removes the property.
pub(in crate::lake) fn identity_properties(identity: &TopicIdentity) -> [(&'static str, Option<String>); 2] {
    [(CLUSTER_ID, Some(identity.cluster_id.clone())), (TOPIC_ID, identity.topic_id.clone())]
}

pub(in crate::lake) fn identity_of(ticks: &Table) -> TopicIdentity {
    let property = |key| ticks.property(key).map(str::to_owned);
    TopicIdentity { cluster_id: property(CLUSTER_ID).unwrap_or_default(), topic_id: property(TOPIC_ID) }
}

/// How long the log and removed files stay readable, and the columns that have statistics for pruning.
fn delta_properties(statistics: &str) -> [(&'static str, String); 3] {
    [
        ("delta.logRetentionDuration", "interval 7 days".to_owned()),
        ("delta.deletedFileRetentionDuration", "interval 7 days".to_owned()),
        ("delta.dataSkippingStatsColumns", statistics.to_owned()),
    ]
}

/// Loads both tables, creating missing ones.
pub(in crate::lake) async fn create_or_check(
    location: &Location,
    ticks: &mut Table,
    dead_letters: &mut Table,
    spec: &LakeSpec,
) -> Result<(), LakeError> {
    if let Some(error @ LakeError::TableGone { .. }) = incomplete(location, ticks, dead_letters).await? {
        return Err(error);
    }
    let columns = ticks_columns(spec.partition_by, &spec.extras);
    let identity = identity_properties(&spec.identity).into_iter().filter_map(|(key, value)| Some((key, value?)));
    let properties = spec.properties().into_iter().chain(delta_properties("symbol,ts,close,kafka_offset"));
    create(ticks, &columns, spec.partition_by.column(), properties.chain(identity).collect()).await?;
    check_ticks(location, ticks, &columns, spec).await?;

    let columns = dead_letters_columns();
    let properties = delta_properties("kafka_partition,kafka_offset,ingested_at");
    create(dead_letters, &columns, DEAD_DATE, properties.into_iter().collect()).await?;
    let differences = compare_columns("dead_letters", &dead_letters.columns()?, &columns).differences;
    refuse(location, differences)
}

/// The error for an incomplete lake. A missing table is never recreated next to an existing one: its lost rows would go
/// unnoticed.
///
/// # Errors
/// The store doesn't answer.
pub(in crate::lake) async fn incomplete(
    location: &Location,
    ticks: &Table,
    dead_letters: &Table,
) -> Result<Option<LakeError>, LakeError> {
    // The order matters: `ticks` is created first.
    let has_dead_letters = exists(dead_letters).await?;
    let has_ticks = exists(ticks).await?;
    let gone =
        |table: &Table, other: &Table| LakeError::TableGone { table: table.name.clone(), other: other.name.clone() };
    Ok(match (has_ticks, has_dead_letters) {
        (true, true) => None,
        (false, true) => Some(gone(ticks, dead_letters)),
        // Without a first commit the lake is still being created.
        (true, false) if has_version(ticks, 1).await? || !has_version(ticks, 0).await? => {
            Some(gone(dead_letters, ticks))
        }
        _ => Some(LakeError::NoTable { location: location.to_string() }),
    })
}

/// Checks more than the list of files, which may lag behind.
async fn exists(table: &Table) -> Result<bool, LakeError> {
    Ok(table.exists().await? || has_version(table, 0).await?)
}

/// Loads `signals`, creating it if it doesn't exist.
pub(in crate::lake) async fn open_or_create_signals(location: &Location, signals: &mut Table) -> Result<(), LakeError> {
    let columns = signals_columns();
    let properties = delta_properties("symbol,ts,kind,kafka_offset");
    create(signals, &columns, TRADE_DATE, properties.into_iter().collect()).await?;
    refuse(location, compare_columns("signals", &signals.columns()?, &columns).differences)
}

/// Writes version 0 unless there is one, then loads the table. Any number of workers may do it at once.
async fn create(
    table: &mut Table,
    columns: &[TableColumn],
    partition_column: &str,
    properties: HashMap<&'static str, String>,
) -> Result<(), LakeError> {
    // S3 answers 409 to concurrent puts of the same key, and then the table may not exist yet.
    for _ in 0..METADATA_ATTEMPTS {
        if table.exists().await? {
            break;
        }
        let schema = delta_schema(columns).map_err(|error| table.error("create", error))?;
        let metadata = new_metadata(&schema, [partition_column], properties.clone());
        let metadata = metadata.map_err(|error| table.error("create", error))?;
        let protocol: Protocol = serde_json::from_value(json!({"minReaderVersion": 1, "minWriterVersion": 2}))
            .expect("this is a protocol action");
        let operation = DeltaOperation::Create {
            mode: SaveMode::ErrorIfExists,
            location: table.url.clone(),
            protocol: protocol.clone(),
            metadata: metadata.clone(),
        };
        let actions = vec![Action::Protocol(protocol), Action::Metadata(metadata)];
        let created = table.put_next(actions, operation, None, Vec::new()).await;
        if let Err(error) = created {
            // The table may exist although the response was lost.
            if !table.exists().await? {
                return Err(error);
            }
        }
    }
    table.load().await
}

async fn check_ticks(
    location: &Location,
    ticks: &mut Table,
    columns: &[TableColumn],
    spec: &LakeSpec,
) -> Result<(), LakeError> {
    for _ in 0..METADATA_ATTEMPTS {
        let mut differences = compare_properties(ticks, spec)?;
        let present = ticks.columns()?;
        let comparison = compare_columns("ticks", &present, columns);
        differences.extend(comparison.differences);
        refuse(location, differences)?;
        identity_of(ticks).require(&spec.identity)?;

        let input = ticks.property(INPUT).is_none_or(|input| !same_json(input, &spec.input));
        if comparison.new.is_empty() && !input {
            return Ok(());
        }

        let mut metadata = ticks.metadata().clone();
        if input {
            metadata = metadata
                .add_config_key(INPUT.to_owned(), spec.input.clone())
                .map_err(|error| ticks.error("change the schema", error))?;
        }
        let schema = delta_schema(&with_new_extras(&present, &comparison.new))
            .map_err(|error| ticks.error("change the schema", error))?;
        metadata = metadata.with_schema(&schema).map_err(|error| ticks.error("change the schema", error))?;
        let operation = match comparison.new.is_empty() {
            true => DeltaOperation::SetTableProperties {
                properties: HashMap::from([(INPUT.to_owned(), spec.input.clone())]),
            },
            false => {
                let is_new = |field: &&StructField| comparison.new.iter().any(|new| new.name == *field.name());
                DeltaOperation::AddColumn { fields: schema.fields().filter(is_new).cloned().collect() }
            }
        };
        let record = ticks.remember_record().await?.map(CommitRecord::without_reason);
        ticks.put_next(vec![Action::Metadata(metadata)], operation, record.as_ref(), Vec::new()).await?;
        ticks.load().await?;
        if !comparison.new.is_empty() {
            let columns: Vec<&str> = comparison.new.iter().map(|column| column.name.as_str()).collect();
            tracing::info!(columns = columns.join(" "), "added columns to ticks: NULL in the rows that are there");
        }
    }
    Err(LakeError::Table {
        action: "change the schema",
        table: ticks.name.clone(),
        detail: format!("{METADATA_ATTEMPTS} attempts were lost to other workers: start again"),
    })
}

fn refuse(location: &Location, differences: Vec<SpecDifference>) -> Result<(), LakeError> {
    if differences.is_empty() {
        return Ok(());
    }
    Err(LakeError::Differs { location: location.to_string(), differences })
}

fn same_json(one: &str, other: &str) -> bool {
    match (serde_json::from_str::<Value>(one), serde_json::from_str::<Value>(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

fn compare_properties(ticks: &Table, spec: &LakeSpec) -> Result<Vec<SpecDifference>, LakeError> {
    let mut differences = Vec::new();
    for (key, configured) in spec.properties() {
        let in_lake = ticks.property(key);
        if key == INPUT && spec.accept_input_change || in_lake == Some(configured.as_str()) {
            continue;
        }
        if let (INPUT, Some(in_lake)) = (key, in_lake) {
            let nothing = || "nothing".to_owned();
            differences.extend(input_changes(in_lake, &configured).into_iter().map(|change| SpecDifference {
                what: change.key,
                in_lake: change.in_lake.unwrap_or_else(nothing),
                configured: change.configured.unwrap_or_else(nothing),
                fix: ACCEPT_INPUT,
            }));
            continue;
        }
        let fix = match key {
            TOPIC => "one lake holds one topic: give another --table",
            MARKET_ZONE => {
                "take the lake's value, or give all rows new trade dates: tickhouse table rezone --market-zone ZONE"
            }
            PARTITION_BY => "fixed at creation: take the lake's value or give another --table",
            _ => ACCEPT_INPUT,
        };
        let in_lake = in_lake.map_or_else(|| "nothing".to_owned(), |value| format!("'{value}'"));
        differences.push(SpecDifference { what: key.to_owned(), in_lake, configured: format!("'{configured}'"), fix });
    }
    Ok(differences)
}

struct SpecComparison {
    differences: Vec<SpecDifference>,
    /// Extra columns that the table doesn't have yet.
    new: Vec<TableColumn>,
}

fn compare_columns(table: &str, present: &[TableColumn], configured: &[TableColumn]) -> SpecComparison {
    let mut comparison = SpecComparison { differences: Vec::new(), new: Vec::new() };
    let core: Vec<TableColumn> = match table {
        "ticks" => ticks_columns(PartitionBy::Day, &[]),
        _ => configured.to_vec(),
    };
    let mut differ = |column: &str, in_lake: String, configured: String, fix| {
        let what = format!("column {table}.{column}");
        comparison.differences.push(SpecDifference { what, in_lake, configured, fix });
    };
    for column in configured {
        match present.iter().find(|other| other.name == column.name) {
            Some(other) if other == column => {}
            Some(other) => differ(&column.name, other.to_string(), column.to_string(), "take the lake's type"),
            None if core.iter().any(|other| other.name == column.name) || !column.nullable => {
                differ(&column.name, "no such column".to_owned(), column.to_string(), "give another --table");
            }
            None => comparison.new.push(column.clone()),
        }
    }
    for column in present {
        if !configured.iter().any(|other| other.name == column.name) {
            let fix = "add it to [columns] or give another --table";
            differ(&column.name, column.to_string(), "no such column".to_owned(), fix);
        }
    }
    comparison
}
