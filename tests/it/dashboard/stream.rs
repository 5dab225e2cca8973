//! The event stream, with live updates of ours.

use std::collections::VecDeque;

use tickhouse::live::{Event, EventKind, LiveProgress, SecondBar, Severity, SymbolState, TickId, VALUES};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use super::*;

/// What a browser makes of the stream.
struct Events {
    response: Response,
    text: String,
    events: VecDeque<(String, Value)>,
}

impl Events {
    async fn open(server: &Running, path: &str) -> Self {
        let response = server.get(path).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Self { response, text: String::new(), events: VecDeque::new() }
    }

    /// `None` at the end.
    async fn next(&mut self) -> Option<(String, Value)> {
        while self.events.is_empty() {
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await.unwrap().unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                if !event.starts_with(':') {
                    let (name, data) = event.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
                    self.events.push_back((name.to_owned(), serde_json::from_str(data).unwrap()));
                }
                self.text = rest.to_owned();
            }
        }
        self.events.pop_front()
    }

    /// Data of the next event of this name.
    async fn until(&mut self, name: &str) -> Value {
        loop {
            let (found, data) = self.next().await.unwrap_or_else(|| panic!("the stream ended before {name}"));
            if found == name {
                return data;
            }
        }
    }
}

fn state(symbol: &str, close: f64) -> SymbolState {
    let mut values = [f64::NAN; VALUES];
    values[0] = close;
    SymbolState { symbol: Arc::from(symbol), ts: 1_767_621_899_000_250, values, signal: "Buy" }
}

fn update(close: f64) -> LiveUpdate {
    let bar = |symbol: &str| SecondBar {
        symbol: Arc::from(symbol),
        second: 1_767_621_899,
        open: 1.0,
        high: 2.0,
        low: 0.5,
        close,
        volume: 3.0,
        trades: 4,
    };
    let event = Event {
        kind: EventKind::Anomaly,
        name: Arc::from("zscore_anomalies"),
        symbol: Arc::from(EMOJI),
        ts: 1_767_621_899_000_250,
        trade_date: 20_458,
        side: Some("High"),
        confirmed: None,
        severity: Severity::Warning,
        close,
        volume: f64::NAN,
        value: 2.5,
        tick: TickId { epoch: 0, partition: 1, offset: 42, index: 0 },
    };
    LiveUpdate {
        states: vec![state("AAPL", close), state("<script>", close)],
        bars: vec![bar("AAPL"), bar("<script>")],
        events: vec![Arc::new(event)],
        progress: LiveProgress { ticks: 12, late: 1, lag_messages: 7, ..LiveProgress::default() },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn live_updates_reach_every_tab() {
    let (place, (live, receiver)) = (lake().await, broadcast::channel(16));
    let server = start(&place, Options { live: Some(receiver), ..Options::default() }).await;
    assert_eq!(server.json("/api/meta").await["mode"], "live");
    let path = format!("/api/stream?symbol={}", encode("<script>"));
    let (mut one, mut other) = (Events::open(&server, &path).await, Events::open(&server, "/api/stream").await);
    let hello = one.next().await.unwrap();
    assert_eq!(
        (hello.0.as_str(), &hello.1["mode"], &hello.1["columns"][0]),
        ("hello", &"live".into(), &"close".into())
    );
    other.until("hello").await;
    live.send(Arc::new(update(101.5))).unwrap();
    for tab in [&mut one, &mut other] {
        let tiles = tab.until("tiles").await;
        assert_eq!(tiles["symbol"], serde_json::json!(["<script>", "AAPL"]));
        assert_eq!(tiles["ts"][0], Value::from(1_767_621_899_000.25));
        assert_eq!((&tiles["values"][0][1], &tiles["values"][1][1]), (&Value::from(101.5), &Value::Null));
    }
    let bars = one.until("bars").await;
    assert_eq!(bars, serde_json::json!([["<script>", 1_767_621_899_000_i64, 1.0, 2.0, 0.5, 101.5, 3.0, 4]]));
    for tab in [&mut one, &mut other] {
        let events = tab.until("events").await;
        assert_eq!((&events[0]["id"], &events[0]["kind"]), (&"0-1-42-0-anomaly".into(), &"anomaly".into()));
        assert_eq!((&events[0]["symbol"], &events[0]["volume"]), (&EMOJI.into(), &Value::Null));
    }
    let mut pipeline = one.until("pipeline").await;
    while pipeline["rows"].is_null() {
        pipeline = one.until("pipeline").await;
    }
    for (key, value) in [("ticks", 12), ("late", 1), ("lag_messages", 7), ("rows", ROWS as u64), ("tabs", 2)] {
        assert_eq!(pipeline[key], value, "{key}: {pipeline}");
    }
    assert!(pipeline["last_commit"].is_number() && pipeline["trouble"].is_null(), "{pipeline}");
    // Who comes later has all of it at once.
    let mut late = Events::open(&server, "/api/stream?symbol=AAPL").await;
    assert_eq!(late.until("tiles").await["full"], true);
    assert_eq!(late.until("bars").await[0][0], "AAPL");
    server.stop.cancel();
    while one.next().await.is_some() {}
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_live_task_the_stream_tells_of_the_table() {
    let place = lake().await;
    let (pipeline, receiver) = watch::channel(PipelineView::default());
    let server = start(&place, Options { pipeline: Some(receiver), ..Options::default() }).await;
    let mut tab = Events::open(&server, "/api/stream?symbol=AAPL").await;
    assert_eq!(tab.until("hello").await["mode"], "snapshot");
    pipeline.send_replace(PipelineView { ticks: 5, lag_messages: Some(3), trouble: Some("no brokers".to_owned()) });
    let mut line = Value::Null;
    while line["rows"].is_null() || line["ticks"] != 5 {
        let (name, data) = tab.next().await.unwrap();
        assert_eq!(name, "pipeline");
        line = data;
    }
    assert_eq!((&line["rows"], &line["dead_letters"]), (&ROWS.into(), &0.into()));
    assert_eq!((&line["lag_messages"], &line["trouble"]), (&3.into(), &"no brokers".into()));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tab_begins_again_after_a_lag() {
    let (place, (live, receiver)) = (Place::folder(), broadcast::channel(2));
    let server = start(&place, Options { live: Some(receiver), ..Options::default() }).await;
    let mut tab = Events::open(&server, "/api/stream").await;
    tab.until("hello").await;
    // More at once than the channel holds.
    for close in 0..1_000 {
        live.send(Arc::new(update(f64::from(close)))).unwrap();
    }
    tab.until("resync").await;
    let (name, tiles) = tab.next().await.unwrap();
    assert_eq!((name.as_str(), &tiles["full"]), ("tiles", &true.into()));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_tab_holds_nobody_up_and_is_brought_up_to_date() {
    let (place, (live, receiver)) = (Place::folder(), broadcast::channel(16));
    let server = start(&place, Options { live: Some(receiver), ..Options::default() }).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    let address = server.url.trim_start_matches("http://").trim_end_matches('/');
    let mut slow = socket.connect(address.parse().unwrap()).await.unwrap();
    slow.write_all(b"GET /api/stream HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut quick = Events::open(&server, "/api/stream").await;
    quick.until("hello").await;
    let states = |close: f64| (0..2_000).map(|n| state(&format!("SYMBOL-{n:05}"), close)).collect();
    // Some hundred kilobytes each: the buffers of the kernel are full soon, then the queue.
    for close in 1..=16 {
        live.send(Arc::new(LiveUpdate { states: states(f64::from(close)), ..LiveUpdate::default() })).unwrap();
        assert_eq!(quick.until("tiles").await["values"][0][0], f64::from(close));
    }
    let (mut all, mut piece) = (Vec::new(), vec![0; 64 * 1024]);
    let resync = b"event: resync\ndata: {}\n\n";
    while !all.windows(resync.len()).any(|window| window == resync) {
        // What was searched before can't hold it, but for its end.
        let searched = all.len().saturating_sub(resync.len());
        all.drain(..searched);
        let read = tokio::time::timeout(PATIENCE, slow.read(&mut piece)).await.unwrap().unwrap();
        assert!(read > 0, "the stream ended");
        all.extend_from_slice(&piece[..read]);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tabs_have_a_limit() {
    let place = Place::folder();
    let limits = Some(Limits { tabs: 2, ..Limits::default() });
    let server = start(&place, Options { limits, ..Options::default() }).await;
    let (one, _other) = (Events::open(&server, "/api/stream").await, Events::open(&server, "/api/stream").await);
    server.problem("/api/stream", StatusCode::SERVICE_UNAVAILABLE).await;
    drop(one);
    let begun = Instant::now();
    while server.get("/api/stream").await.status() != StatusCode::OK {
        assert!(begun.elapsed() < PATIENCE);
    }
    server.stop().await;
}
