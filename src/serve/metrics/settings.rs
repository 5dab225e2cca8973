//! The `[metrics]` section: the address of the health checks and metrics. An address that other machines can reach
//! requires a token for the metrics.

use serde::{Deserialize, Serialize};

use crate::serve::http::{Listen, require_strong};
use crate::util::secret::Secret;

/// Default address of `--metrics-listen`.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:9464";

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsSettings {
    /// Address to listen on. If it is missing, no metrics are served.
    pub listen: Option<Listen>,
    /// Token that clients must present for `/metrics` and `/status`.
    pub token: Option<Secret>,
}

impl MetricsSettings {
    /// Validates the settings.
    ///
    /// # Errors
    /// Other machines could read the metrics without a token, or the token is too weak.
    pub fn validate(&self) -> Result<(), String> {
        if let Some(token) = &self.token {
            require_strong(token, "metrics.token")?;
        }
        match self.listen {
            Some(Listen(address)) if !address.ip().is_loopback() && self.token.is_none() => Err(format!(
                "--metrics-listen {address}: others reach this address, so /metrics and /status need a token: set \
                 TICKHOUSE_METRICS_TOKEN or TICKHOUSE_METRICS_TOKEN_FILE, as from `openssl rand -hex 16`"
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_need_a_token() {
        let check = |listen: Option<&str>, token: Option<&str>| {
            let listen = listen.map(|text| text.parse().unwrap());
            MetricsSettings { listen, token: token.map(Secret::new) }.validate().err().unwrap_or_default()
        };
        let token = Some("0123456789abcdef");
        for (listen, token, expected) in [
            (None, None, ""),
            (Some(DEFAULT_LISTEN), None, ""),
            (Some("[::1]:0"), None, ""),
            (Some("0.0.0.0:9464"), token, ""),
            (Some("0.0.0.0:9464"), None, "TICKHOUSE_METRICS_TOKEN_FILE"),
            (Some("192.168.1.5:9464"), None, "192.168.1.5:9464"),
            (None, Some("short-secret"), "metrics.token"),
        ] {
            let text = check(listen, token);
            assert!(text.contains(expected) && expected.is_empty() == text.is_empty(), "{listen:?}: {text}");
            assert!(!text.contains("short-secret"));
        }
    }
}
