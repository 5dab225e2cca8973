//! Amazon Athena: settings, prices and the client. The client needs the AWS SDK, which the feature `aws` enables.

#[cfg(not(feature = "aws"))]
mod absent;
#[cfg(feature = "aws")]
mod answer;
#[cfg(feature = "aws")]
mod calls;
#[cfg(feature = "aws")]
mod sdk;

use std::fmt;

use serde::{Deserialize, Serialize};

#[cfg(not(feature = "aws"))]
pub use absent::{AthenaAnswer, AthenaClient};
#[cfg(feature = "aws")]
pub use answer::AthenaAnswer;
#[cfg(feature = "aws")]
pub use sdk::AthenaClient;

/// The `[athena]` section. The region and the credentials are those of `[store]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AthenaSettings {
    /// Database of the Glue catalog that contains the tables.
    pub database: String,
    pub workgroup: String,
    /// Output location for results, such as `s3://bucket/prefix`, for workgroups that don't define one.
    pub output: Option<String>,
    /// An endpoint URL that replaces the default one of the region.
    pub endpoint: Option<String>,
}

impl Default for AthenaSettings {
    fn default() -> Self {
        Self { database: "tickhouse".to_owned(), workgroup: "primary".to_owned(), output: None, endpoint: None }
    }
}

/// The bytes that a statement scanned, which determine its cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScannedBytes {
    pub bytes: u64,
}

/// Price in US dollars per terabyte scanned, in most regions as of 2026.
const USD_PER_TB: f64 = 5.0;
const TB: f64 = (1_u64 << 40) as f64;
const MB: u64 = 1 << 20;
const LEAST_MB: u64 = 10;

impl ScannedBytes {
    pub fn about_usd(self) -> f64 {
        let charged = self.bytes.div_ceil(MB).max(LEAST_MB) * MB;
        charged as f64 / TB * USD_PER_TB
    }
}

impl fmt::Display for ScannedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (megabytes, usd) = (self.bytes as f64 / MB as f64, self.about_usd());
        write!(f, "Athena scanned {megabytes:.1} MB: about USD {usd:.5} (at USD 5 per TB, 10 MB at least)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_megabytes_are_the_least_that_is_charged() {
        assert_eq!(ScannedBytes { bytes: 0 }.about_usd(), ScannedBytes { bytes: 10 << 20 }.about_usd());
        assert_eq!(ScannedBytes { bytes: 1 << 40 }.about_usd(), 5.0);
        assert!(ScannedBytes { bytes: (10 << 20) + 1 }.about_usd() > ScannedBytes { bytes: 10 << 20 }.about_usd());
        let text = ScannedBytes { bytes: 1 << 20 }.to_string();
        assert_eq!(text, "Athena scanned 1.0 MB: about USD 0.00005 (at USD 5 per TB, 10 MB at least)");
    }
}
