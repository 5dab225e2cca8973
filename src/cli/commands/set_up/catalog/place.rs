//! The location of the lake, and its location as seen by an engine.

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use crate::cli::args::{GlobalArgs, TableArgs};
use crate::cli::settings::{Layers, Settings};
use crate::engines::registration::{LakeRoot, RootError};
use crate::lake::{Lake, Location};
use crate::query::QueryError;

/// Default schema for engines that have no section in the settings.
pub(super) const DEFAULT_SCHEMA: &str = "tickhouse";

/// The location of the lake, with the settings.
pub(super) struct Place {
    pub(super) settings: Settings,
    pub(super) location: Location,
}

impl Place {
    pub(super) fn of(global: &GlobalArgs, table: &TableArgs) -> anyhow::Result<Self> {
        Self::with(global, table, |_| {})
    }

    /// Like [`Self::of`], with additional flags of an engine.
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

    /// Opens the lake, which also checks that it exists.
    pub(super) async fn lake(&self, stop: &CancellationToken) -> anyhow::Result<Lake> {
        tokio::select! {
            biased;
            () = stop.cancelled() => Err(QueryError::Cancelled.into()),
            lake = Lake::open(&self.location, &self.settings.store) => lake.context("open the lake"),
        }
    }

    /// The root of the lake as seen by the engine: the one that the user passed, or else the default of the engine.
    pub(super) fn root(
        &self,
        given: Option<&str>,
        of_engine: impl FnOnce(&Location) -> Result<LakeRoot, RootError>,
    ) -> Result<LakeRoot, RootError> {
        given.map_or_else(|| of_engine(&self.location), LakeRoot::given)
    }
}
