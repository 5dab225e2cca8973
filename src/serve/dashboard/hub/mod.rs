//! The event stream: one task receives the updates of the live task and sends them to every tab, a few times per
//! second.
//!
//! Events for all tabs are serialized once. Each tab has a short queue. A tab whose queue was full receives the newest
//! state of everything as soon as there is room again; if a tab reads nothing at all, its connection is closed.

mod board;
mod message;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::live::LiveUpdate;
use crate::serve::dashboard::mode::Mode;
use crate::serve::dashboard::pipeline::{PipelineLine, PipelineView};
use crate::serve::dashboard::source::{CachedState, Source};
use crate::serve::http::Problem;
use board::Board;

/// Interval between broadcasts, which people perceive as continuous.
const BROADCAST_EVERY: Duration = Duration::from_millis(250);
/// Number of broadcasts between two pipeline events, which is one second.
const PIPELINE_EVERY: u64 = 4;
/// Number of broadcasts between two keep-alive comments, which is ten seconds.
const ALIVE_EVERY: u64 = 40;
/// Capacity of a tab's queue in broadcasts, which is two seconds.
const QUEUE: usize = 8;
/// Capacity of the queue of tabs that are waiting to be added.
const COMMANDS: usize = 64;

/// Events that are sent together.
pub(in crate::serve::dashboard) type Message = Vec<Bytes>;

/// The handle for opening streams.
#[derive(Clone)]
pub(in crate::serve::dashboard) struct Hub {
    commands: mpsc::Sender<Subscribe>,
}

struct Subscribe {
    symbols: Vec<String>,
    /// Receives the queue of the tab, or `None` if the maximum number of tabs is reached.
    queue: oneshot::Sender<Option<mpsc::Receiver<Message>>>,
}

impl Hub {
    /// Opens a stream for a new tab. It ends when the server stops.
    ///
    /// # Errors
    /// The maximum number of tabs is reached, or the server is stopping.
    pub(in crate::serve::dashboard) async fn subscribe(
        &self,
        symbols: Vec<String>,
    ) -> Result<mpsc::Receiver<Message>, Problem> {
        let (queue, answer) = oneshot::channel();
        let subscribe = Subscribe { symbols, queue };
        self.commands.send(subscribe).await.map_err(|_| Problem::stopping())?;
        let queue = answer.await.map_err(|_| Problem::stopping())?;
        queue.ok_or_else(|| Problem::unavailable("as many tabs are open as may be").hint("close one of them"))
    }
}

struct Subscriber {
    symbols: Vec<String>,
    queue: mpsc::Sender<Message>,
    /// Whether the queue was full at the last broadcast.
    is_behind: bool,
}

/// The broadcasting task: the state that is sent, and the tabs that receive it.
pub(in crate::serve::dashboard) struct Broadcaster {
    commands: mpsc::Receiver<Subscribe>,
    live: Option<broadcast::Receiver<Arc<LiveUpdate>>>,
    ingest: Option<watch::Receiver<PipelineView>>,
    source: Source,
    mode: Mode,
    most_tabs: usize,
    every: Duration,
    board: Board,
    tabs: Vec<Subscriber>,
    /// Whether updates were missed, so that all tabs need the complete state.
    resync: bool,
    live_ended: bool,
    generation: Option<u64>,
    broadcasts: u64,
    /// Time and tick count of the last measurement of the rate.
    counted: Option<(Instant, u64)>,
    rate: Option<f64>,
    pipeline: Bytes,
}

pub(in crate::serve::dashboard) fn hub(
    source: Source,
    live: Option<broadcast::Receiver<Arc<LiveUpdate>>>,
    ingest: Option<watch::Receiver<PipelineView>>,
    mode: Mode,
    most_tabs: usize,
) -> (Hub, Broadcaster) {
    let (commands, receiver) = mpsc::channel(COMMANDS);
    let broadcaster = Broadcaster {
        commands: receiver,
        live,
        ingest,
        source,
        mode,
        most_tabs,
        every: BROADCAST_EVERY,
        board: Board::default(),
        tabs: Vec::new(),
        resync: false,
        live_ended: false,
        generation: None,
        broadcasts: 0,
        counted: None,
        rate: None,
        pipeline: Bytes::new(),
    };
    (Hub { commands }, broadcaster)
}

fn now() -> f64 {
    Utc::now().timestamp_micros() as f64 / 1_000.0
}

/// Returns the next update. Without a live task it waits forever.
async fn next(live: &mut Option<broadcast::Receiver<Arc<LiveUpdate>>>) -> Result<Arc<LiveUpdate>, RecvError> {
    match live {
        Some(live) => live.recv().await,
        None => std::future::pending().await,
    }
}

impl Broadcaster {
    pub(in crate::serve::dashboard) async fn run(mut self, stop: CancellationToken) {
        let mut interval = tokio::time::interval(self.every);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = interval.tick() => self.broadcast(),
                command = self.commands.recv() => match command {
                    Some(subscribe) => self.let_in(subscribe),
                    None => return,
                },
                update = next(&mut self.live) => self.take(update),
            }
        }
    }

    fn take(&mut self, update: Result<Arc<LiveUpdate>, RecvError>) {
        match update {
            Ok(update) => self.board.take(&update),
            Err(RecvError::Lagged(missed)) => {
                tracing::debug!(missed, "the dashboard missed live updates");
                self.resync = true;
            }
            Err(RecvError::Closed) => {
                self.live = None;
                self.live_ended = true;
            }
        }
    }

    fn let_in(&mut self, subscribe: Subscribe) {
        let Subscribe { symbols, queue } = subscribe;
        self.tabs.retain(|tab| !tab.queue.is_closed());
        if self.tabs.len() >= self.most_tabs {
            // The request may have been cancelled in the meantime.
            let (Ok(()) | Err(_)) = queue.send(None);
            return;
        }
        let (sender, receiver) = mpsc::channel(QUEUE);
        if self.tabs.is_empty() {
            self.write_pipeline();
        }
        let mut first = vec![message::hello(now(), self.mode.name())];
        first.extend(self.board.all_tiles(now()));
        first.extend(self.recent_bars(&symbols));
        first.push(self.pipeline.clone());
        let tab = Subscriber { symbols, queue: sender, is_behind: false };
        if queue.send(Some(receiver)).is_ok() && tab.queue.try_send(first).is_ok() {
            self.tabs.push(tab);
        }
    }

    fn recent_bars(&self, symbols: &[String]) -> Option<Bytes> {
        let bars: Vec<Vec<u8>> = symbols.iter().filter_map(|symbol| self.board.recent_bars(symbol)).collect();
        message::bars(&bars)
    }

    fn broadcast(&mut self) {
        self.broadcasts += 1;
        let is_second = self.broadcasts.is_multiple_of(PIPELINE_EVERY);
        if is_second {
            self.measure_rate();
        }
        self.tabs.retain(|tab| !tab.queue.is_closed());
        if self.tabs.is_empty() {
            self.resync = false;
            return self.board.forget_changes();
        }
        let mut all = Message::new();
        if is_second {
            self.write_pipeline();
            all.push(self.pipeline.clone());
        }
        if self.broadcasts.is_multiple_of(ALIVE_EVERY) {
            all.push(message::ALIVE);
        }
        all.extend(self.board.new_events());
        let tiles = self.board.changed_tiles(now());
        let wanted: HashSet<&str> = self.tabs.iter().flat_map(|tab| &tab.symbols).map(String::as_str).collect();
        let bars = self.board.changed_bars(|symbol| wanted.contains(symbol));
        let resync = std::mem::take(&mut self.resync);
        let mut all_tiles = None;
        for at in 0..self.tabs.len() {
            let tab = &self.tabs[at];
            if tab.queue.capacity() == 0 {
                self.tabs[at].is_behind = true;
                continue;
            }
            let mut outgoing = Message::new();
            if resync || tab.is_behind {
                outgoing.push(message::RESYNC);
                outgoing.extend(all_tiles.get_or_insert_with(|| self.board.all_tiles(now())).clone());
                outgoing.extend(self.recent_bars(&tab.symbols));
            } else {
                outgoing.extend(tiles.clone());
                outgoing.extend(message::bars(tab.symbols.iter().filter_map(|symbol| bars.get(symbol.as_str()))));
            }
            outgoing.extend(all.iter().cloned());
            let is_behind = !outgoing.is_empty() && tab.queue.try_send(outgoing).is_err();
            self.tabs[at].is_behind = is_behind;
        }
    }

    fn measure_rate(&mut self) {
        let ticks = match (self.mode, &self.ingest) {
            (Mode::Live, _) => self.board.progress.ticks,
            (Mode::Snapshot, Some(ingest)) => ingest.borrow().ticks,
            (Mode::Snapshot, None) => return,
        };
        let at = Instant::now();
        let before = self.counted.replace((at, ticks));
        self.rate = before.map(|(then, before)| {
            ticks.saturating_sub(before) as f64 / (at - then).as_secs_f64().max(self.every.as_secs_f64())
        });
    }

    fn write_pipeline(&mut self) {
        let known = self.source.latest();
        if let CachedState::There(view) = &known {
            let before = self.generation.replace(view.generation);
            self.resync |= before.is_some_and(|before| before != view.generation);
        }
        let ingest = self.ingest.as_ref().map(|ingest| ingest.borrow().clone());
        let live = (self.mode == Mode::Live).then_some(&self.board.progress);
        let mut line = PipelineLine::of(&known, ingest.as_ref(), live, self.tabs.len(), now());
        line.rate = self.rate;
        if self.live_ended {
            line.trouble = Some("the live task has ended".to_owned());
        }
        self.pipeline = message::of("pipeline", &line);
    }
}

#[cfg(test)]
mod tests;
