//! Events to webhooks: one task each, so that one that hangs holds up nothing.
//!
//! Delivery is at least once, with the identity of every event in it. What can't be delivered is kept in
//! `_tickhouse/undelivered/NAME/` of the lake, and counted.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use rand::Rng;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::encode::EventJson;
use super::event::Event;
use super::settings::{WebhookFormat, WebhookSettings};
use crate::throttle::Throttle;

/// Events that may wait for one webhook. Those beyond are kept in the lake.
const QUEUE: usize = 10_000;
/// In one request.
const BATCH: usize = 100;
const ANSWER: Duration = Duration::from_secs(10);
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// After this, a batch is kept in the lake.
const PATIENCE: Duration = Duration::from_secs(300);
/// Times of sending that are told apart.
const ENTRY_MICROS: i64 = 10_000;
/// At the stop, for what is queued.
const LAST: Duration = Duration::from_secs(5);

/// Events of one webhook since the start.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub delivered: AtomicU64,
    /// Kept in the lake.
    pub undelivered: AtomicU64,
}

/// Owner's side of the task.
pub(super) struct Webhook {
    settings: WebhookSettings,
    events: mpsc::Sender<Arc<Event>>,
    /// Events that found no room, for the task to keep.
    overflow: mpsc::Sender<Vec<Arc<Event>>>,
    pub(super) counts: Arc<Counts>,
    task: JoinHandle<()>,
    throttle: Throttle,
    /// Events that were sent, and of each time of sending that may not be settled, its last number.
    sent: u64,
    unsettled: VecDeque<(u64, i64)>,
}

struct Sending {
    client: Client,
    settings: WebhookSettings,
    store: Arc<dyn ObjectStore>,
    counts: Arc<Counts>,
    stop: CancellationToken,
}

impl Webhook {
    /// `store` begins at `_tickhouse` of the lake.
    ///
    /// # Errors
    /// The HTTP client can't be set up.
    pub(super) fn start(
        settings: &WebhookSettings,
        store: Arc<dyn ObjectStore>,
        stop: CancellationToken,
    ) -> Result<Self, String> {
        let client = Client::builder().timeout(ANSWER).redirect(reqwest::redirect::Policy::none()).build();
        let client = client.map_err(|error| format!("webhook '{}': {error}", settings.name))?;
        let counts = Arc::<Counts>::default();
        let (events, queue) = mpsc::channel(QUEUE);
        let (overflow, overflown) = mpsc::channel(4);
        let sending = Sending { client, settings: settings.clone(), store, counts: Arc::clone(&counts), stop };
        let task = tokio::spawn(sending.run(queue, overflown));
        Ok(Self {
            settings: settings.clone(),
            events,
            overflow,
            counts,
            task,
            throttle: Throttle::default(),
            sent: 0,
            unsettled: VecDeque::new(),
        })
    }

    /// When the oldest of the events that are neither delivered nor kept was sent; microseconds since the epoch, UTC.
    pub(super) fn unsettled_since(&mut self) -> Option<i64> {
        let settled = self.counts.delivered.load(Ordering::Relaxed) + self.counts.undelivered.load(Ordering::Relaxed);
        while self.unsettled.front().is_some_and(|(number, _)| *number <= settled) {
            self.unsettled.pop_front();
        }
        self.unsettled.front().map(|(_, since)| *since)
    }

    /// Never waits.
    pub(super) fn send(&mut self, events: &[Arc<Event>]) {
        let mut left = Vec::new();
        let wanted: Vec<&Arc<Event>> = events.iter().filter(|event| self.settings.takes(event)).collect();
        if wanted.is_empty() {
            return;
        }
        self.sent += wanted.len() as u64;
        let now = chrono::Utc::now().timestamp_micros();
        match self.unsettled.back_mut() {
            // One entry a millisecond at most: the queue is bounded, and so is this.
            Some((number, since)) if now - *since < ENTRY_MICROS => *number = self.sent,
            _ => self.unsettled.push_back((self.sent, now)),
        }
        for event in wanted {
            if self.events.try_send(Arc::clone(event)).is_err() {
                left.push(Arc::clone(event));
            }
        }
        let (name, count) = (&self.settings.name, left.len());
        if count == 0 {
            return;
        }
        if self.throttle.is_due() {
            tracing::warn!(webhook = name, events = count, "the webhook is too slow: events beyond its queue are kept");
        }
        if let Err(mpsc::error::TrySendError::Full(left) | mpsc::error::TrySendError::Closed(left)) =
            self.overflow.try_send(left)
        {
            self.counts.undelivered.fetch_add(left.len() as u64, Ordering::Relaxed);
            let (first, last) = (left[0].id().to_string(), left[left.len() - 1].id().to_string());
            tracing::error!(
                webhook = name,
                first,
                last,
                "events were neither delivered nor kept; see the table signals"
            );
        }
    }

    /// Delivers or keeps what is queued, within a bound.
    pub(super) async fn stop(self) {
        drop((self.events, self.overflow));
        if let Err(error) = self.task.await {
            tracing::error!(webhook = self.settings.name, %error, "the webhook's task failed");
        }
    }
}

impl WebhookSettings {
    pub(super) fn takes(&self, event: &Event) -> bool {
        let is_rule = event.kind == super::event::Kind::Rule;
        self.kinds.contains(&event.kind)
            && event.severity >= self.least_severity
            && (!is_rule || self.rules.is_empty() || self.rules.iter().any(|name| **name == *event.name))
    }
}

impl Sending {
    async fn run(self, mut queue: mpsc::Receiver<Arc<Event>>, mut overflown: mpsc::Receiver<Vec<Arc<Event>>>) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                biased;
                Some(events) = overflown.recv() => self.keep(&events, "its queue was full").await,
                count = queue.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        break;
                    }
                    self.deliver(&batch).await;
                    batch.clear();
                }
            }
        }
        while let Some(events) = overflown.recv().await {
            self.keep(&events, "its queue was full").await;
        }
    }

    async fn deliver(&self, events: &[Arc<Event>]) {
        let body = self.body(events).to_string();
        let begun = Instant::now();
        for attempt in 0.. {
            let problem = match self.post(body.clone()).await {
                Ok(()) => {
                    self.counts.delivered.fetch_add(events.len() as u64, Ordering::Relaxed);
                    return;
                }
                Err(problem) => problem,
            };
            let patience = if self.stop.is_cancelled() { LAST } else { PATIENCE };
            if !problem.may_pass || begun.elapsed() > patience {
                self.keep(events, &problem.text).await;
                return;
            }
            if attempt == 0 {
                tracing::warn!(webhook = self.settings.name, "{}; trying again", problem.text);
            }
            let bound = BACKOFF.0.saturating_mul(1 << attempt.min(16)).min(BACKOFF.1);
            let pause = bound.mul_f64(rand::rng().random());
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stop.cancelled(), if !self.stop.is_cancelled() => {}
            }
        }
    }

    fn body(&self, events: &[Arc<Event>]) -> Value {
        match self.settings.format {
            WebhookFormat::Json => {
                json!({ "events": events.iter().map(|event| EventJson::from(&**event)).collect::<Vec<_>>() })
            }
            WebhookFormat::Slack => {
                let lines: Vec<String> = events.iter().map(|event| escaped(&event.line())).collect();
                json!({ "text": lines.join("\n") })
            }
        }
    }

    async fn post(&self, body: String) -> Result<(), Problem> {
        let request =
            self.client.post(self.settings.url.reveal()).header("content-type", "application/json").body(body);
        // The address may hold a secret.
        let sent = request.send().await.map_err(|error| Problem {
            text: format!("webhook '{}': {}", self.settings.name, error.without_url()),
            may_pass: true,
        })?;
        let status = sent.status();
        if status.is_success() {
            return Ok(());
        }
        let slow = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
        let text = format!("webhook '{}' answers {status}", self.settings.name);
        Err(Problem { text, may_pass: slow || status.is_server_error() })
    }

    /// Puts events where somebody finds them.
    async fn keep(&self, events: &[Arc<Event>], why: &str) {
        let lines = events.iter().map(|event| json!(EventJson::from(&**event)).to_string() + "\n").collect::<String>();
        let now = chrono::Utc::now().format("%Y%m%dT%H%M%S");
        let path = format!("undelivered/{}/{now}-{}.ndjson", self.settings.name, Uuid::new_v4());
        let (webhook, count) = (&self.settings.name, events.len());
        self.counts.undelivered.fetch_add(count as u64, Ordering::Relaxed);
        match self.store.put(&Path::from(path.as_str()), Bytes::from(lines).into()).await {
            Ok(_) => tracing::error!(webhook, events = count, file = path, "not delivered: {why}"),
            Err(error) => tracing::error!(webhook, events = count, %error, "neither delivered nor kept: {why}"),
        }
    }
}

struct Problem {
    text: String,
    /// Another attempt can help.
    may_pass: bool,
}

/// Slack's markup: what symbols and names hold is text.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
