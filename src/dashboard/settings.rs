//! `[dashboard]`: where it listens and who may ask. An address that others reach needs a token.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::DashboardError;
use crate::secret::Secret;
use crate::units::size;

/// Where it listens unless it is told; if that is taken, at one of the next ports.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
/// Fewer could be guessed.
const LEAST_TOKEN: usize = 16;
const LEAST_MEMORY: u64 = 16 << 20;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DashboardSettings {
    /// [`DEFAULT_LISTEN`] if there is none.
    pub listen: Option<Listen>,
    /// Who asks has to know it.
    pub token: Option<Secret>,
    /// Names beside those of the loopback under which browsers may ask.
    pub allow_host: Vec<String>,
    /// For all queries together.
    #[serde(with = "size")]
    pub memory: u64,
}

impl Default for DashboardSettings {
    fn default() -> Self {
        Self { listen: None, token: None, allow_host: Vec::new(), memory: 256 << 20 }
    }
}

/// An address and a port; 0 is any free one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen(pub SocketAddr);

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address =
            text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
        let address = address.parse().map(Self);
        address.map_err(|_| format!("'{text}' is no address: write ADDRESS:PORT, as in 127.0.0.1:8080 or [::]:8080"))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Listen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl DashboardSettings {
    /// # Errors
    /// Others could reach it without a token, the token is a weak one, a name is none.
    pub fn validate(&self) -> Result<(), DashboardError> {
        let refused = |problem: String| Err(DashboardError::Refused(problem));
        let address = self.listen.map_or(DEFAULT_LISTEN, |listen| listen.0);
        match &self.token {
            None if !address.ip().is_loopback() => {
                return refused(format!(
                    "listen on {address}: others reach this address, so a token is needed: set TICKHOUSE_DASHBOARD_TOKEN \
                     or TICKHOUSE_DASHBOARD_TOKEN_FILE, as from `openssl rand -hex 16`"
                ));
            }
            Some(token) if token.reveal().len() < LEAST_TOKEN => {
                return refused(format!(
                    "the token (dashboard.token) is shorter than {LEAST_TOKEN} bytes: use one from `openssl rand -hex 16`"
                ));
            }
            Some(token) if !token.reveal().bytes().all(|byte| byte.is_ascii_graphic()) => {
                return refused("the token (dashboard.token) holds more than visible ASCII characters".to_owned());
            }
            _ => {}
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
        for (listen, token, hosts, told) in [
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
            assert!(text.contains(told) && told.is_empty() == text.is_empty(), "{listen}: {text}");
            assert!(!text.contains("short-secret"));
        }
        for wrong in ["8080", "nowhere:80", "127.0.0.1", ":8080"] {
            assert!(wrong.parse::<Listen>().unwrap_err().contains("127.0.0.1:8080"), "{wrong}");
        }
    }
}
