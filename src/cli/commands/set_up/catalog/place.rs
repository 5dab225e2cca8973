//! Where the lake is, and where an engine sees it.

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use crate::cli::args::{GlobalArgs, TableArgs};
use crate::cli::settings::{Layers, Settings};
use crate::engines::registration::{LakeRoot, RootError};
use crate::lake::{Lake, Location};
use crate::query::QueryError;

/// Where an engine without settings of its own keeps the tables.
pub(super) const DEFAULT_SCHEMA: &str = "tickhouse";

/// Where the lake is.
pub(super) struct Place {
    pub(super) settings: Settings,
    pub(super) location: Location,
}

impl Place {
    pub(super) fn of(global: &GlobalArgs, table: &TableArgs) -> anyhow::Result<Self> {
        Self::with(global, table, |_| {})
    }

    /// As [`Self::of`], with the flags of an engine.
    pub(super) fn with(
        global: &GlobalArgs,
        table: &TableArgs,
        flags: impl FnOnce(&mut Layers),
    ) -> anyhow::Result<Self> {
        let layers = |layers: &mut Layers| {
            table.apply(layers);
            flags(layers);
        };
        let settings = Settings::resolve(global.config.as_deref(), layers)?.settings;
        let location = settings.location()?;
        Ok(Self { settings, location })
    }

    /// Opens the lake, which also shows that it is there.
    pub(super) async fn lake(&self, stop: &CancellationToken) -> anyhow::Result<Lake> {
        tokio::select! {
            biased;
            () = stop.cancelled() => Err(QueryError::Cancelled.into()),
            lake = Lake::open(&self.location, &self.settings.store) => lake.context("open the lake"),
        }
    }

    /// Where the engine sees the lake: as the user says, or by the engine's own rule.
    pub(super) fn root(
        &self,
        given: Option<&str>,
        of_engine: impl FnOnce(&Location) -> Result<LakeRoot, RootError>,
    ) -> Result<LakeRoot, RootError> {
        given.map_or_else(|| of_engine(&self.location), LakeRoot::given)
    }
}
