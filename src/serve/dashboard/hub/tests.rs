//! Tests of the hub with a broadcast channel of the test, fifty times as fast as in production.

use super::*;
use crate::lake::{Location, StoreSettings};
use crate::live::{LiveProgress, SecondBar, SymbolState, VALUES};
use crate::serve::dashboard::source::source;
use crate::serve::dashboard::source_spec::SourceSpec;

struct Running {
    hub: Hub,
    live: broadcast::Sender<Arc<LiveUpdate>>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

fn start(capacity: usize, most_tabs: usize) -> Running {
    let spec = SourceSpec {
        location: Location::parse("/nowhere/lake").unwrap(),
        store: StoreSettings::default(),
        topic: None,
        memory_bytes: 16 << 20,
        beyond: None,
    };
    let (source, _) = source(spec);
    let (live, receiver) = broadcast::channel(capacity);
    let (hub, mut broadcaster) = hub(source, Some(receiver), None, Mode::Live, most_tabs);
    broadcaster.every = BROADCAST_EVERY / 50;
    let stop = CancellationToken::new();
    let task = tokio::spawn(broadcaster.run(stop.clone()));
    Running { hub, live, stop, task }
}

fn update(symbols: &[(&str, f64)]) -> Arc<LiveUpdate> {
    let state = |(symbol, close): &(&str, f64)| {
        let mut values = [f64::NAN; VALUES];
        values[0] = *close;
        SymbolState { symbol: Arc::from(*symbol), ts: 1, values, signal: "Hold" }
    };
    let bar = |(symbol, close): &(&str, f64)| {
        let (symbol, close) = (Arc::from(*symbol), *close);
        SecondBar { symbol, second: 7, open: close, high: close, low: close, close, volume: 1.0, trades: 1 }
    };
    let (states, bars) = (symbols.iter().map(state).collect(), symbols.iter().map(bar).collect());
    let progress = LiveProgress { ticks: 10, ..LiveProgress::default() };
    Arc::new(LiveUpdate { states, bars, progress, ..LiveUpdate::default() })
}

impl Running {
    async fn subscribe(&self, symbols: &[&str]) -> mpsc::Receiver<Message> {
        self.hub.subscribe(symbols.iter().map(|symbol| (*symbol).to_owned()).collect()).await.unwrap()
    }

    async fn send(&self, update: Arc<LiveUpdate>) {
        self.live.send(update).unwrap();
        // Wait until the hub has received it.
        while !self.live.is_empty() {
            tokio::task::yield_now().await;
        }
    }
}

/// The next message that contains more than the pipeline event.
async fn next_text(queue: &mut mpsc::Receiver<Message>) -> String {
    loop {
        let text = String::from_utf8(queue.recv().await.unwrap().concat()).unwrap();
        if text.replace("event: pipeline", "").contains("event: ") {
            return text;
        }
    }
}

#[tokio::test]
async fn a_tab_gets_everything_first_and_then_what_changes() {
    let running = start(16, 9);
    running.send(update(&[("B", 2.0), ("A", 1.0)])).await;
    let mut tab = running.subscribe(&["A"]).await;
    let first = next_text(&mut tab).await;
    assert!(first.starts_with("event: hello\ndata: {\"server_time\":"), "{first}");
    assert!(first.contains("\"full\":true,\"symbol\":[\"A\",\"B\"]"), "{first}");
    assert!(first.contains("event: bars\ndata: [[\"A\",7000,1.0,1.0,1.0,1.0,1.0,1]]"), "{first}");
    assert!(first.contains("event: pipeline\ndata: {\"rate\":"), "{first}");
    // This update was received before the tab was opened, so it is part of the first message.
    next_text(&mut tab).await;
    running.send(update(&[("B", 3.0)])).await;
    running.send(update(&[("B", 4.0)])).await;
    let message = next_text(&mut tab).await;
    assert!(message.contains("\"full\":false,\"symbol\":[\"B\"]") && message.contains("[4.0]"), "{message}");
    // Skips the timestamp, which may contain any digits.
    let (_, tiles) = message.lines().find_map(|line| line.split_once("\"full\":")).unwrap();
    assert!(!tiles.contains("3.0") && !message.contains("event: bars"), "{message}");
    running.stop.cancel();
    running.task.await.unwrap();
    assert!(tab.recv().await.is_none());
}

#[tokio::test]
async fn signs_of_life_and_the_pipeline_come_without_ticks() {
    let running = start(16, 9);
    let mut tab = running.subscribe(&[]).await;
    let (mut lines, mut alive) = (0, 0);
    while alive < 2 {
        let text = String::from_utf8(tab.recv().await.unwrap().concat()).unwrap();
        lines += text.matches("event: pipeline").count();
        alive += text.matches(": alive\n\n").count();
        assert!(!text.contains("event: tiles") && !text.contains("event: bars"), "{text}");
    }
    let each = (ALIVE_EVERY / PIPELINE_EVERY) as usize;
    assert!((each + 1..=2 * each + 1).contains(&lines), "{lines}");
}

#[tokio::test]
async fn a_lag_makes_all_begin_again() {
    let running = start(2, 9);
    let mut tab = running.subscribe(&["A"]).await;
    next_text(&mut tab).await;
    for close in 0..20 {
        running.live.send(update(&[("A", f64::from(close))])).unwrap();
    }
    let message = next_text(&mut tab).await;
    assert!(message.starts_with("event: resync\ndata: {}\n\nevent: tiles"), "{message}");
    assert!(
        message.contains("\"full\":true") && message.contains("19.0") && message.contains("event: bars"),
        "{message}"
    );
    running.send(update(&[("A", 5.0)])).await;
    assert!(!next_text(&mut tab).await.contains("resync"));
}

#[tokio::test]
async fn a_slow_tab_is_brought_up_to_date_and_holds_nobody_up() {
    let running = start(16, 9);
    let (mut slow, mut quick) = (running.subscribe(&["A"]).await, running.subscribe(&["A"]).await);
    next_text(&mut quick).await;
    for close in 1..=3 * QUEUE as i32 {
        running.send(update(&[("A", f64::from(close)), ("B", 0.0)])).await;
        let message = next_text(&mut quick).await;
        assert!(message.contains(&format!("[[{close}.0,0.0]")) && !message.contains("resync"), "{message}");
    }
    let mut waiting = Vec::new();
    while let Ok(message) = slow.try_recv() {
        waiting.push(String::from_utf8(message.concat()).unwrap());
    }
    assert_eq!(waiting.len(), QUEUE);
    assert!(waiting.iter().all(|text| !text.contains("resync")));
    let message = next_text(&mut slow).await;
    assert!(
        message.starts_with("event: resync") && message.contains("\"full\":true,\"symbol\":[\"A\",\"B\"]"),
        "{message}"
    );
    assert!(message.contains(&format!("[[{}.0,0.0]", 3 * QUEUE)), "{message}");
    running.send(update(&[("A", 1.0)])).await;
    assert!(!next_text(&mut slow).await.contains("resync"));
}

#[tokio::test]
async fn tabs_are_bounded_and_make_room_when_they_go() {
    let running = start(16, 2);
    let (first, _second) = (running.subscribe(&[]).await, running.subscribe(&[]).await);
    let problem = running.hub.subscribe(Vec::new()).await.unwrap_err();
    assert_eq!(problem.status, axum::http::StatusCode::SERVICE_UNAVAILABLE);
    drop(first);
    running.subscribe(&[]).await;
}

#[tokio::test]
async fn the_end_of_the_live_task_is_told() {
    let running = start(16, 2);
    let mut tab = running.subscribe(&[]).await;
    drop(running.live);
    let mut text = String::new();
    while !text.contains("the live task has ended") {
        text = String::from_utf8(tab.recv().await.unwrap().concat()).unwrap();
    }
}
