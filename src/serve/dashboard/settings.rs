//! The `[dashboard]` section: the address to listen on, and who has access. An address that other machines can reach
//! requires a token.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::serve::dashboard::error::DashboardError;
use crate::serve::http::{Listen, require_strong};
use crate::util::secret::Secret;
use crate::util::units::size;

/// Default address. If its port is in use, the server listens on one of the next ports.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
const LEAST_MEMORY: u64 = 16 << 20;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DashboardSettings {
    /// Address to listen on, by default [`DEFAULT_LISTEN`].
    pub listen: Option<Listen>,
    /// Token that clients must present.
    pub token: Option<Secret>,
    /// Host names, in addition to those of the loopback interface, under which browsers may send requests.
    pub allow_host: Vec<String>,
    /// Memory limit of all queries together.
    #[serde(with = "size")]
    pub memory: u64,
}

impl Default for DashboardSettings {
    fn default() -> Self {
        Self { listen: None, token: None, allow_host: Vec::new(), memory: 256 << 20 }
    }
}

impl DashboardSettings {
    /// Validates the settings.
    ///
    /// # Errors
    /// Other machines could reach the server without a token, the token is too weak, or a host name is invalid.
    pub fn validate(&self) -> Result<(), DashboardError> {
        let refused = |problem: String| Err(DashboardError::Refused(problem));
        let address = self.listen.map_or(DEFAULT_LISTEN, |listen| listen.0);
        match &self.token {
            None if !address.ip().is_loopback() => {
                return refused(format!(
                    "listen on {address}: others reach this address, so a token is needed: set \
                     TICKHOUSE_DASHBOARD_TOKEN or TICKHOUSE_DASHBOARD_TOKEN_FILE, as from `openssl rand -hex 16`"
                ));
            }
            Some(token) => require_strong(token, "dashboard.token").or_else(refused)?,
            None => {}
        }
        for host in &self.allow_host {
            let is_name = |c: char| c.is_ascii_alphanumeric() || ".-:[]_".contains(c);
            if host.is_empty() || !host.chars().all(is_name) {
                return refused(format!(
                    "--allow-host '{host}' is no name: write it as in a URL, without port and path"
                ));
            }
        }
        if self.memory < LEAST_MEMORY {
            return refused("dashboard.memory is less than 16MiB".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(listen: &str, token: Option<&str>, hosts: &[&str]) -> String {
        let settings = DashboardSettings {
            listen: Some(listen.parse().unwrap()),
            token: token.map(Secret::new),
            allow_host: hosts.iter().map(|host| (*host).to_owned()).collect(),
            ..DashboardSettings::default()
        };
        settings.validate().err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn others_need_a_token() {
        let token = Some("0123456789abcdef");
        for (listen, token, hosts, expected) in [
            ("127.0.0.1:8080", None, &[][..], ""),
            ("localhost:0", None, &["dash.example.com"], ""),
            ("[::1]:8080", None, &[], ""),
            ("0.0.0.0:8080", token, &[], ""),
            ("0.0.0.0:8080", None, &[], "TICKHOUSE_DASHBOARD_TOKEN"),
            ("[::]:8080", None, &[], "others reach this address"),
            ("192.168.1.5:80", None, &[], "192.168.1.5:80"),
            ("127.0.0.1:8080", Some("short-secret"), &[], "16 bytes"),
            ("127.0.0.1:8080", Some("with a space in it"), &[], "visible"),
            ("127.0.0.1:8080", None, &["http://x/"], "http://x/"),
        ] {
            let text = refusal(listen, token, hosts);
            assert!(text.contains(expected) && expected.is_empty() == text.is_empty(), "{listen}: {text}");
            assert!(!text.contains("short-secret"));
        }
        for wrong in ["8080", "nowhere:80", "127.0.0.1", ":8080"] {
            assert!(wrong.parse::<Listen>().unwrap_err().contains("127.0.0.1:8080"), "{wrong}");
        }
    }
}
