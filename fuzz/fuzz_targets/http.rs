//! A request of any bytes to the dashboard: an HTTP answer or a closed connection, never a 500, and the server lives on.
//! The first line of the data is the target of a GET; what follows are more headers and a body.

#![no_main]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use tickhouse::serve::dashboard::{DashboardSettings, Server, SourceSpec};
use tickhouse::lake::{Lake, LakeSpec, Location, StoreSettings};
use tickhouse::market::{PartitionBy, TopicIdentity};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

struct Served {
    address: SocketAddr,
    _lake: TempDir,
    _runtime: Runtime,
}

static SERVED: LazyLock<Served> = LazyLock::new(|| {
    let runtime = Runtime::new().expect("a runtime");
    let lake = tempfile::tempdir().expect("a folder");
    let location = Location::parse(lake.path().join("lake").to_str().expect("a name")).expect("a location");
    let store = StoreSettings::default();
    let spec = LakeSpec {
        topic: "ticks".to_owned(),
        identity: TopicIdentity { cluster_id: "fuzz".to_owned(), topic_id: None },
        market_zone: "UTC".to_owned(),
        partition_by: PartitionBy::Day,
        input: "{}".to_owned(),
        extras: Vec::new(),
        accept_input_change: false,
    };
    let server = runtime.block_on(async {
        // libFuzzer's main doesn't ignore it, as Rust's does: a connection that is closed early would end the process.
        drop(signal(SignalKind::pipe()).expect("a handler, which stays"));
        Lake::open_or_create(&location, &store, &spec).await.expect("a lake");
        let settings =
            DashboardSettings { listen: Some("127.0.0.1:0".parse().expect("an address")), ..Default::default() };
        let source = SourceSpec { location, store, topic: None, memory_bytes: 64 << 20, beyond: None };
        Server::bind(&settings, source, None, None).await.expect("a server")
    });
    let address = server.address();
    runtime.spawn(server.run(CancellationToken::new()));
    Served { address, _lake: lake, _runtime: runtime }
});

fuzz_target!(|data: &[u8]| {
    let (target, rest) = data.split_at(data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len()));
    let mut stream = TcpStream::connect(SERVED.address).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let mut request = b"GET /".to_vec();
    request.extend(target.iter().filter(|byte| !byte.is_ascii_whitespace() && !byte.is_ascii_control()));
    request.extend(format!(" HTTP/1.1\r\nHost: {}\r\nConnection: close", SERVED.address).bytes());
    request.extend(rest);
    request.extend(b"\r\n\r\n");
    // The server may close while it is written.
    let written = stream.write_all(&request);
    let is_stream = target.starts_with(b"api/stream");
    let mut answer = [0u8; 4096];
    let mut read = 0;
    while read < 12 {
        match stream.read(&mut answer[read..]) {
            Ok(0) => break,
            Ok(bytes) => read += bytes,
            Err(error) if written.is_err() || is_stream => drop(error),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("no answer: {error}"),
        }
        if written.is_err() || is_stream {
            break;
        }
    }
    let answer = String::from_utf8_lossy(&answer[..read]);
    assert!(read == 0 || answer.starts_with("HTTP/1."), "{answer}");
    assert!(!answer.starts_with("HTTP/1.1 500"), "{answer}");
});
