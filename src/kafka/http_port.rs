//! Detects a port that speaks HTTP instead of Kafka: a common mistake, and librdkafka waits for such a port as for a
//! slow broker.
//!
//! A Kafka broker reads the HTTP request as one that is too large and closes the connection.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

const WAIT: Duration = Duration::from_millis(500);
/// Number of brokers that are probed; the others belong to the same cluster.
const BROKERS: usize = 2;
const KAFKA_PORT: &str = ":9092";

/// Returns true if one of the brokers answers in HTTP. Blocks for up to a second for each broker, plus name resolution.
pub(in crate::kafka) fn speaks_http(brokers: &str) -> bool {
    brokers.split(',').take(BROKERS).any(|broker| answers_http(broker.trim()))
}

fn answers_http(broker: &str) -> bool {
    let address = broker.rsplit("://").next().unwrap_or(broker);
    let has_port = address.rsplit(']').next().is_some_and(|rest| rest.contains(':'));
    let address = if has_port { address.to_owned() } else { format!("{address}{KAFKA_PORT}") };
    let Ok(mut addresses) = address.to_socket_addrs() else { return false };
    let Some(address) = addresses.next() else { return false };
    let asked = TcpStream::connect_timeout(&address, WAIT).and_then(|mut stream| {
        stream.set_read_timeout(Some(WAIT))?;
        stream.set_write_timeout(Some(WAIT))?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut start = [0; 5];
        stream.read_exact(&mut start)?;
        Ok(start)
    });
    asked.is_ok_and(|start| &start == b"HTTP/")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn port_that_answers(answer: &'static [u8]) -> (String, std::thread::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 18];
            stream.read_exact(&mut request).unwrap();
            stream.write_all(answer).unwrap();
        });
        (address, serving)
    }

    #[test]
    fn only_an_http_answer_counts() {
        for (answer, http) in [(&b"HTTP/1.1 404 Not Found\r\n"[..], true), (b"\0\0\0\x10", false), (b"", false)] {
            let (address, serving) = port_that_answers(answer);
            assert_eq!(speaks_http(&format!("PLAINTEXT://{address}")), http);
            serving.join().unwrap();
        }
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(!speaks_http(&closed.to_string()));
    }
}
