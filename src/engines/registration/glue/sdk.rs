//! The Glue client, based on the AWS SDK.

use std::fmt;

use aws_sdk_glue::Client;
use aws_sdk_glue::config::timeout::TimeoutConfig;
use aws_sdk_glue::config::{BehaviorVersion, Region};
use aws_sdk_glue::error::{BuildError, DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_glue::types::{Column, DatabaseInput, SerDeInfo, StorageDescriptor, Table, TableInput};

use super::{
    GlueColumn, GlueSettings, GlueTable, INPUT_FORMAT, OUTPUT_FORMAT, PARAMETERS, RegistrationOutcome, SERDE,
    TABLE_TYPE,
};
use crate::engines::EngineError;
use crate::engines::aws::{CALL_TIMEOUT, access_of, is_log_in};
use crate::lake::StoreSettings;

const GLUE: &str = "Glue";
const LOG_IN_FIX: &str = "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the session token, and that they may use \
    Glue (infra/glue-register-policy.json)";

/// A client for the Data Catalog of one region.
pub struct GlueClient {
    client: Client,
}

impl fmt::Debug for GlueClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GlueClient")
    }
}

impl GlueClient {
    /// Creates the client.
    ///
    /// # Errors
    /// No region is configured, or there are no credentials.
    pub async fn new(settings: &GlueSettings, store: &StoreSettings) -> Result<Self, EngineError> {
        let (credentials, region) = access_of(GLUE, store).await?;
        let mut config = aws_sdk_glue::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region))
            .timeout_config(TimeoutConfig::builder().operation_timeout(CALL_TIMEOUT).build())
            .credentials_provider(credentials);
        config.set_endpoint_url(settings.endpoint.clone());
        Ok(Self { client: Client::from_conf(config.build()) })
    }

    /// Creates the database and the tables. Nothing is changed until all tables were checked.
    ///
    /// # Errors
    /// A table of the same name has another location and must not be replaced, or Glue can't be reached or rejects the
    /// request.
    pub async fn register(
        &self,
        database: &str,
        tables: &[GlueTable],
        replace: bool,
    ) -> Result<Vec<RegistrationOutcome>, EngineError> {
        let present = self.known(database, tables, replace).await?;
        self.create_database(database).await?;
        let mut outcomes = Vec::with_capacity(tables.len());
        for (table, known) in tables.iter().zip(present) {
            outcomes.push(match known {
                Some(known) if is_same(table, &known) => RegistrationOutcome::Unchanged,
                Some(known) => {
                    let input = input(table, Some(&known))?;
                    let update = self.client.update_table().database_name(database).table_input(input);
                    update.send().await.map_err(|error| failed("update the table", &error))?;
                    RegistrationOutcome::Updated
                }
                None => {
                    let create = self.client.create_table().database_name(database).table_input(input(table, None)?);
                    create.send().await.map_err(|error| failed("create the table", &error))?;
                    RegistrationOutcome::Created
                }
            });
        }
        Ok(outcomes)
    }

    /// Checks that no table of the same name has another location.
    ///
    /// # Errors
    /// A table of the same name has another location, or Glue can't be reached or rejects the request.
    pub async fn require_free(&self, database: &str, tables: &[GlueTable]) -> Result<(), EngineError> {
        self.known(database, tables, false).await.map(drop)
    }

    async fn known(
        &self,
        database: &str,
        tables: &[GlueTable],
        replace: bool,
    ) -> Result<Vec<Option<Table>>, EngineError> {
        let mut all = Vec::with_capacity(tables.len());
        for table in tables {
            let known = self.table(database, &table.name).await?;
            if let Some(known) = known.as_ref().filter(|_| !replace) {
                require_same_location(database, table, known)?;
            }
            all.push(known);
        }
        Ok(all)
    }

    async fn create_database(&self, database: &str) -> Result<(), EngineError> {
        match self.client.get_database().name(database).send().await {
            Ok(_) => return Ok(()),
            Err(SdkError::ServiceError(error)) if error.err().is_entity_not_found_exception() => {}
            Err(error) => return Err(failed("look for the database", &error)),
        }
        let described = DatabaseInput::builder().name(database).build().map_err(incomplete)?;
        match self.client.create_database().database_input(described).send().await {
            Ok(_) => Ok(()),
            // Another client created the database in the meantime.
            Err(SdkError::ServiceError(error)) if error.err().is_already_exists_exception() => Ok(()),
            Err(error) => Err(failed("create the database", &error)),
        }
    }

    async fn table(&self, database: &str, name: &str) -> Result<Option<Table>, EngineError> {
        match self.client.get_table().database_name(database).name(name).send().await {
            Ok(found) => Ok(found.table),
            Err(SdkError::ServiceError(error)) if error.err().is_entity_not_found_exception() => Ok(None),
            Err(error) => Err(failed("look for the table", &error)),
        }
    }
}

fn location_of(table: &Table) -> &str {
    table.storage_descriptor().and_then(StorageDescriptor::location).unwrap_or_default()
}

fn require_same_location(database: &str, table: &GlueTable, known: &Table) -> Result<(), EngineError> {
    let (here, there) = (table.location.trim_end_matches('/'), location_of(known).trim_end_matches('/'));
    if here == there {
        return Ok(());
    }
    let there = if there.is_empty() { "no location, as a view is" } else { there };
    Err(EngineError::Usage(format!(
        "{database}.{} is known to Glue and is at {there}, not at {here}: choose another --database, or move it by \
         `catalog glue --replace`",
        table.name
    )))
}

fn is_same(table: &GlueTable, known: &Table) -> bool {
    let same_columns = |ours: &[GlueColumn], theirs: &[Column]| {
        let same = |(one, other): (&GlueColumn, &Column)| {
            one.name == other.name() && other.r#type() == Some(one.kind.as_str())
        };
        ours.len() == theirs.len() && ours.iter().zip(theirs).all(same)
    };
    let parameters = known.parameters();
    location_of(known) == table.location
        && known.table_type() == Some(TABLE_TYPE)
        && PARAMETERS
            .iter()
            .all(|(key, value)| parameters.and_then(|known| known.get(*key)).is_some_and(|known| known == value))
        && same_columns(&table.columns, known.storage_descriptor().map_or(&[], StorageDescriptor::columns))
        && same_columns(&table.partition_keys, known.partition_keys())
}

/// The `TableInput` of a table, which keeps the comments and parameters that others added to it.
fn input(table: &GlueTable, known: Option<&Table>) -> Result<TableInput, EngineError> {
    let known_columns = || {
        let stored = known.and_then(Table::storage_descriptor).map_or(&[][..], StorageDescriptor::columns);
        stored.iter().chain(known.map_or(&[][..], Table::partition_keys))
    };
    let columns = |columns: &[GlueColumn]| -> Result<Vec<Column>, EngineError> {
        let column = |column: &GlueColumn| {
            let comment = known_columns().find(|known| known.name() == column.name).and_then(Column::comment);
            let comment = comment.map(str::to_owned);
            Column::builder().name(&column.name).r#type(&column.kind).set_comment(comment).build()
        };
        columns.iter().map(|one| column(one).map_err(incomplete)).collect()
    };
    let serde = SerDeInfo::builder()
        .serialization_library(SERDE)
        .parameters("serialization.format", "1")
        .parameters("path", &table.location);
    let storage = StorageDescriptor::builder()
        .set_columns(Some(columns(&table.columns)?))
        .location(&table.location)
        .input_format(INPUT_FORMAT)
        .output_format(OUTPUT_FORMAT)
        .serde_info(serde.build());
    let mut input = TableInput::builder()
        .name(&table.name)
        .table_type(TABLE_TYPE)
        .set_description(known.and_then(Table::description).map(str::to_owned))
        .set_owner(known.and_then(Table::owner).map(str::to_owned))
        .set_parameters(known.and_then(Table::parameters).cloned())
        .set_partition_keys(Some(columns(&table.partition_keys)?))
        .storage_descriptor(storage.build());
    for (key, value) in PARAMETERS {
        input = input.parameters(key, value);
    }
    input.build().map_err(incomplete)
}

fn incomplete(error: BuildError) -> EngineError {
    EngineError::Usage(format!("describe the table to Glue: {error}"))
}

fn failed<E>(action: &str, error: &SdkError<E>) -> EngineError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let status = error.raw_response().map(|response| response.status().as_u16());
    let message = error.message().unwrap_or("no reason is given");
    match (error.code(), status) {
        (Some(code), _) if is_log_in(code) => {
            EngineError::LogIn { engine: GLUE, detail: format!("{action}: {message} ({code})"), fix: LOG_IN_FIX }
        }
        (None, Some(401 | 403)) => EngineError::LogIn { engine: GLUE, detail: action.to_owned(), fix: LOG_IN_FIX },
        (Some(code), _) => EngineError::Protocol { engine: GLUE, detail: format!("{action}: {message} ({code})") },
        (None, _) => {
            let detail = DisplayErrorContext(error).to_string();
            EngineError::Unreachable { engine: GLUE, address: action.to_owned(), detail }
        }
    }
}
