//! A listening socket: its address, its options, and the connections that it accepts.

use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use axum::Router;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::connection::{ConnectionTimeouts, serve};

/// Maximum number of connections that wait to be accepted.
const BACKLOG: u32 = 256;
/// Size of the send buffer in the operating system. It is small so that a slow client doesn't receive outdated events.
const SEND_BUFFER_BYTES: u32 = 256 * 1024;
/// Pause after a connection could not be accepted, for example because no file descriptors are left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// An address and a port. Port 0 stands for any free port.
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

/// Listens on an address.
///
/// # Errors
/// The address can't be bound; the kind is `AddrInUse` if another process uses it.
pub fn listen_at(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    // Accepted connections inherit the size from the listener.
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts connections until `stop` is cancelled, at most `most` at a time, and joins their tasks.
pub async fn accept(listener: TcpListener, routes: Router, most: usize, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(most));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((place, listener.accept().await?.0))
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(ended) = connections.join_next() => log_panic(ended),
            accepted = accepted => match accepted {
                Ok((place, stream)) => {
                    let (Ok(()) | Err(_)) = stream.set_nodelay(true);
                    let (routes, stop) = (routes.clone(), stop.clone());
                    connections.spawn(async move {
                        serve(stream, routes, stop, ConnectionTimeouts::default()).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the server can't accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    while let Some(ended) = connections.join_next().await {
        log_panic(ended);
    }
}

fn log_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection ended");
    }
}
