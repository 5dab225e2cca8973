//! Why brokers refuse a client, with the fix.
//!
//! librdkafka reports the cause in texts for its own users (`verify that ssl.ca.location is ..`), and from a port that
//! speaks another protocol it only sees a closed connection. A cause that is derived from that is a guess: a proxy
//! whose broker is down closes connections in the same way. The texts are those of librdkafka 2.12 against Apache Kafka
//! 4.3, and `.ci/lanes/security.sh` meets each refusal but [`BrokerRefusal::Tls`] on a real broker.

use std::sync::Mutex;

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// The librdkafka property that names the SASL mechanism.
pub(in crate::kafka) const MECHANISM: &str = "sasl.mechanisms";

const PASSWORD: &str = "the password comes from TICKHOUSE_KAFKA_PASSWORD or TICKHOUSE_KAFKA_PASSWORD_FILE";

/// A broker that requires a login closes a connection without one at the first request; a broker that shuts down closes
/// it later.
const FIRST_REQUEST_MS: u64 = 2_000;

/// librdkafka's message about a response that begins with `HTTP`: it reads these four bytes as the size.
const HTTP_SIZE: &str = "size 1213486160";

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerRefusal {
    #[error(
        "user '{user}' can't log in with {mechanism}: {detail}; correct --username, the password or --mechanism \
         ({PASSWORD})"
    )]
    Credentials { user: String, mechanism: String, detail: String },
    #[error("they don't know the SASL mechanism {mechanism}; set --mechanism to one that they know: {known}")]
    Mechanism { mechanism: String, known: String },
    #[error("their port takes no SASL log-in; use their SASL port, or remove --username and the password")]
    NoSasl,
    #[error(
        "their certificate can't be verified: {detail}; set --ca to the PEM file of the authority that signed it, and \
         name the brokers as the certificate does"
    )]
    Certificate { detail: String },
    #[error(
        "they refuse the client's certificate, or miss one: {detail}; set --certificate and --key to a pair that they \
         trust"
    )]
    ClientCertificate { detail: String },
    #[error("the TLS handshake failed: {detail}; check --tls, --ca and the versions of TLS on both sides")]
    Tls { detail: String },
    #[error("their port speaks HTTP, not Kafka; give --brokers the port of a Kafka listener, often 9092")]
    Http,
    #[error("they close the connection unasked, as a port with TLS does; set --tls or --ca, or use a port without TLS")]
    NeedsTls,
    #[error(
        "they close the connection in the TLS handshake, as a port without TLS does; use their TLS port, or remove \
         --tls, --ca and --certificate"
    )]
    NeedsNoTls,
    #[error("they close the connection at the first request, as a port with SASL does; set --username ({PASSWORD})")]
    NeedsSasl,
}

impl BrokerRefusal {
    /// Returns false if the refusal is a guess that may pass by itself.
    pub fn is_certain(&self) -> bool {
        !matches!(self, Self::NeedsTls | Self::NeedsNoTls | Self::NeedsSasl)
    }
}

/// The security settings of a client that brokers check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::kafka) struct ClientSecurity {
    user: String,
    mechanism: String,
    tls: bool,
    sasl: bool,
}

impl ClientSecurity {
    pub(in crate::kafka) fn of(config: &ClientConfig) -> Self {
        let text = |name: &str| config.get(name).unwrap_or_default().to_owned();
        let protocol = text("security.protocol").to_lowercase();
        Self {
            user: text("sasl.username"),
            mechanism: text(MECHANISM),
            tls: protocol.ends_with("ssl"),
            sasl: protocol.starts_with("sasl"),
        }
    }

    /// Returns `None` if the brokers are unreachable, or if the error is no refusal.
    pub(in crate::kafka) fn refusal(&self, code: RDKafkaErrorCode, reason: &str) -> Option<BrokerRefusal> {
        let has = |words: &[&str]| words.iter().any(|word| reason.contains(word));
        let detail = brief(reason).to_owned();
        if code == RDKafkaErrorCode::Authentication {
            let mechanism = self.mechanism.clone();
            return Some(match reason.split_once("supported mechanisms:") {
                Some((_, rest)) => match brief(rest).trim() {
                    "" => BrokerRefusal::NoSasl,
                    known => BrokerRefusal::Mechanism { mechanism, known: known.to_owned() },
                },
                None => BrokerRefusal::Credentials { user: self.user.clone(), mechanism, detail },
            });
        }
        if has(&[HTTP_SIZE]) {
            return Some(BrokerRefusal::Http);
        }
        let closed = is_closed(reason);
        if has(&["certificate verify failed"]) {
            let detail = "it is signed by an authority that is not trusted, is out of date, or is for another host";
            Some(BrokerRefusal::Certificate { detail: detail.to_owned() })
        } else if has(&["wrong version number", "packet length too long", "PLAINTEXT broker listener"]) {
            Some(BrokerRefusal::NeedsNoTls)
        } else if has(&["alert bad certificate", "alert certificate", "alert unknown ca", "client SSL authentication"])
        {
            Some(BrokerRefusal::ClientCertificate { detail })
        } else if code == RDKafkaErrorCode::SSL {
            Some(BrokerRefusal::Tls { detail })
        } else if closed && self.tls && has(&["in state SSL_HANDSHAKE"]) {
            Some(BrokerRefusal::NeedsNoTls)
        } else if closed && !self.tls && has(&["in state APIVERSION_QUERY"]) {
            Some(BrokerRefusal::NeedsTls)
        } else if closed && !self.sasl && millis_up(reason).is_some_and(|millis| millis < FIRST_REQUEST_MS) {
            Some(BrokerRefusal::NeedsSasl)
        } else {
            None
        }
    }
}

fn is_closed(reason: &str) -> bool {
    ["Disconnected", "Connection reset by peer", "Broken pipe"].iter().any(|words| reason.contains(words))
}

/// Milliseconds for which the connection had been open for requests.
fn millis_up(reason: &str) -> Option<u64> {
    let (_, after) = reason.rsplit_once(" (after ")?;
    after.split_once("ms in state UP")?.0.parse().ok()
}

/// Strips the names of the broker before the text and the state of the connection after it.
pub(in crate::kafka) fn brief(reason: &str) -> &str {
    let mut text = reason;
    while let Some((_, rest)) = text.split_once(": ").filter(|(name, _)| !name.contains(' ')) {
        text = rest;
    }
    text.rfind(" (after ").map_or(text, |end| &text[..end]).trim()
}

/// Describes a configuration that librdkafka rejects, without the value, which may be a secret.
pub(in crate::kafka) fn configuration_problem(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, description, key, _) if description.contains(key) => description.clone(),
        KafkaError::ClientConfig(_, description, key, _) => format!("{key}: {description}"),
        KafkaError::ClientCreation(text) => {
            let files = [
                ("ssl.ca.location failed", "--ca can't be used"),
                ("ssl.certificate.location failed", "--certificate can't be used"),
                ("ssl.key.location failed", "--key can't be used"),
            ];
            let named = files.into_iter().find(|(theirs, _)| text.contains(theirs));
            named.map_or_else(|| text.clone(), |(theirs, ours)| text.replace(theirs, ours))
        }
        other => other.to_string(),
    }
}

/// Collects the errors that librdkafka reports through its callbacks.
#[derive(Default)]
pub(in crate::kafka) struct BrokerErrors {
    access: ClientSecurity,
    last: Mutex<LastBrokerError>,
}

/// The newest error that has a cause, and the newest refusal.
#[derive(Debug, Clone, Default)]
pub(in crate::kafka) struct LastBrokerError {
    pub(in crate::kafka) reason: Option<String>,
    pub(in crate::kafka) refusal: Option<BrokerRefusal>,
}

impl BrokerErrors {
    pub(in crate::kafka) fn new(config: &ClientConfig) -> Self {
        Self { access: ClientSecurity::of(config), last: Mutex::default() }
    }

    pub(in crate::kafka) fn reported(&self) -> LastBrokerError {
        self.last.lock().expect("nobody panics with the lock").clone()
    }

    pub(in crate::kafka) fn report(&self, error: &KafkaError, reason: &str) {
        let Some(code) = error.rdkafka_error_code() else { return };
        // This code only follows the error that has the cause.
        if code == RDKafkaErrorCode::AllBrokersDown {
            return;
        }
        self.keep(self.access.refusal(code, reason), reason);
    }

    fn keep(&self, refusal: Option<BrokerRefusal>, reason: &str) {
        let mut last = self.last.lock().expect("nobody panics with the lock");
        // After a connection that was closed without a reason librdkafka retries in other ways, which are closed as
        // well.
        let stays = |last: &BrokerRefusal| last.is_certain() || (refusal.is_none() && is_closed(reason));
        last.refusal = last.refusal.take().filter(stays).or(refusal);
        last.reason = Some(last.refusal.as_ref().map_or_else(|| brief(reason).to_owned(), BrokerRefusal::to_string));
    }
}

impl ClientContext for BrokerErrors {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        tracing::trace!(target: "librdkafka", ?level, facility, "{text}");
        // librdkafka logs most closed connections and reports no error.
        let refusal = self.access.refusal(RDKafkaErrorCode::BrokerTransportFailure, text);
        if let Some(refusal) = refusal.filter(|refusal| facility == "FAIL" && !refusal.is_certain()) {
            self.keep(Some(refusal), text);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.report(&error, reason);
    }
}

impl ConsumerContext for BrokerErrors {}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(protocol: &str) -> ClientSecurity {
        let mut config = ClientConfig::new();
        config.set("security.protocol", protocol).set("sasl.username", "tick").set("sasl.mechanisms", "PLAIN");
        ClientSecurity::of(&config)
    }

    #[test]
    fn each_refusal_is_recognised() {
        let of = |protocol: &str, code, text: &str| {
            let reason = format!("{protocol}://127.0.0.1:9093/bootstrap: {text}");
            access(protocol).refusal(code, &reason)
        };
        let (login, tls, unreachable) =
            (RDKafkaErrorCode::Authentication, RDKafkaErrorCode::SSL, RDKafkaErrorCode::BrokerTransportFailure);
        let text = "SASL authentication error: no such user (after 305ms in state AUTH_REQ)";
        let refusal = of("sasl_ssl", login, text).unwrap();
        assert!(refusal.is_certain());
        let words = "user 'tick' can't log in with PLAIN: SASL authentication error: no such user; correct --username";
        assert!(refusal.to_string().starts_with(words), "{refusal}");
        let text = "SASL PLAIN mechanism handshake failed: Broker: Unsupported SASL mechanism: broker's supported \
                    mechanisms: SCRAM-SHA-512,SCRAM-SHA-256 (after 301ms in state AUTH_HANDSHAKE)";
        let known = "SCRAM-SHA-512,SCRAM-SHA-256".to_owned();
        assert_eq!(
            of("sasl_ssl", login, text),
            Some(BrokerRefusal::Mechanism { mechanism: "PLAIN".to_owned(), known })
        );
        let text = "SASL PLAIN mechanism handshake failed: Broker: Request not valid in current SASL state: broker's \
                    supported mechanisms:  (after 2ms in state AUTH_HANDSHAKE)";
        assert_eq!(of("sasl_plaintext", login, text), Some(BrokerRefusal::NoSasl));
        let text = "SSL handshake failed: ssl/statem/statem_clnt.c:2125:tls_post_process_server_certificate \
                    error:0A000086:SSL routines::certificate verify failed: broker certificate could not be verified";
        assert!(matches!(of("ssl", tls, text), Some(BrokerRefusal::Certificate { .. })));
        let text = "Receive failed: error:0A000412:SSL routines::ssl/tls alert bad certificate: SSL alert number 42";
        assert!(matches!(of("ssl", unreachable, text), Some(BrokerRefusal::ClientCertificate { .. })));
        let text = "SSL handshake failed: Disconnected: connecting to a PLAINTEXT broker listener?";
        assert_eq!(of("ssl", unreachable, text), Some(BrokerRefusal::NeedsNoTls));
        let closed = "Disconnected: connection closed by peer: receive 0 after POLLIN";
        let text = format!("{closed} (after 0ms in state APIVERSION_QUERY)");
        assert_eq!(of("plaintext", unreachable, &text), Some(BrokerRefusal::NeedsTls));
        assert_eq!(of("ssl", unreachable, &text), None);
        let text = format!("{closed} (after 0ms in state UP, 1 identical error(s) suppressed)");
        assert_eq!(of("ssl", unreachable, &text), Some(BrokerRefusal::NeedsSasl));
        assert_eq!(of("sasl_ssl", unreachable, &text), None);
        assert_eq!(of("ssl", unreachable, &format!("{closed} (after 60000ms in state UP)")), None);
        assert_eq!(i32::from_be_bytes(*b"HTTP"), 1_213_486_160);
        let text =
            "Receive failed: Invalid response size 1213486160 (0..100000000): increase receive.message.max.bytes";
        assert_eq!(of("plaintext", RDKafkaErrorCode::BadMessage, text), Some(BrokerRefusal::Http));
        assert!(BrokerRefusal::Http.is_certain());
        let text = "Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)";
        assert_eq!(of("plaintext", unreachable, text), None);
        let reason = format!("GroupCoordinator: 127.0.0.1:9093: {text}");
        assert_eq!(brief(&reason), "Connect to ipv4#127.0.0.1:1 failed: Connection refused");
    }

    #[test]
    fn a_guess_ends_with_another_error() {
        let broker_errors = BrokerErrors { access: access("plaintext"), ..BrokerErrors::default() };
        let report = |reason: &str| {
            broker_errors.report(&KafkaError::Global(RDKafkaErrorCode::BrokerTransportFailure), reason);
            broker_errors.reported().refusal
        };
        assert_eq!(report("Disconnected (after 0ms in state APIVERSION_QUERY)"), Some(BrokerRefusal::NeedsTls));
        assert_eq!(report("Disconnected (after 0ms in state CONNECT)"), Some(BrokerRefusal::NeedsTls));
        assert_eq!(report("Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)"), None);
        broker_errors.report(&KafkaError::Global(RDKafkaErrorCode::Authentication), "no such user");
        assert!(matches!(report("Disconnected (after 0ms in state UP)"), Some(BrokerRefusal::Credentials { .. })));
    }

    #[test]
    fn values_of_properties_are_not_repeated() {
        let mut config = ClientConfig::new();
        config.set("ssl.keypassword", "hunter2");
        let error = config.create_native_config().err().unwrap();
        let problem = configuration_problem(&error);
        assert!(problem.contains("ssl.keypassword") && !problem.contains("hunter2"), "{problem}");
        let mut config = ClientConfig::new();
        config.set("socket.timeout.ms", "hunter2");
        let problem = configuration_problem(&config.create_native_config().err().unwrap());
        assert!(problem.contains("socket.timeout.ms") && !problem.contains("hunter2"), "{problem}");
    }
}
