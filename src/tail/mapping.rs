//! The mapping of the messages of a lake's topic, which ingest stored with the table: with it a reader sees the rows
//! that ingest will write.

use chrono_tz::Tz;

use crate::decode::InputSettings;
use crate::lake::{INPUT, Lake, LakeVersion, MARKET_ZONE};
use crate::market::MarketZone;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read the table property {key}: {problem}; was the table created by a newer tickhouse?")]
pub struct MappingError {
    key: &'static str,
    problem: String,
}

/// The mapping of the table property `tickhouse.input`.
///
/// # Errors
/// The property is missing, or holds something that this version doesn't know.
pub fn lake_input(lake: &Lake) -> Result<InputSettings, MappingError> {
    input_of(lake.property(INPUT))
}

/// The time zone that determines the trade date of ticks.
///
/// # Errors
/// The property is missing, or is no zone that this version knows.
pub fn lake_zone(lake: &Lake) -> Result<MarketZone, MappingError> {
    zone_of(lake.property(MARKET_ZONE))
}

/// Returns the mapping and the zone of one version of the table.
pub(super) fn mapping_of(version: &LakeVersion) -> Result<(InputSettings, MarketZone), MappingError> {
    Ok((input_of(version.input.as_deref())?, zone_of(version.market_zone.as_deref())?))
}

fn input_of(text: Option<&str>) -> Result<InputSettings, MappingError> {
    let problem = |problem: String| MappingError { key: INPUT, problem };
    let text = text.ok_or_else(|| problem("missing".to_owned()))?;
    serde_json::from_str(text).map_err(|error| problem(error.to_string()))
}

fn zone_of(name: Option<&str>) -> Result<MarketZone, MappingError> {
    let problem = |problem: String| MappingError { key: MARKET_ZONE, problem };
    let name = name.ok_or_else(|| problem("missing".to_owned()))?;
    let zone: Tz = name.parse().map_err(|_| problem(format!("'{name}' is no IANA time zone")))?;
    Ok(MarketZone::new(zone))
}
