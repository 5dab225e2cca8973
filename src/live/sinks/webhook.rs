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
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;

use crate::live::event::{Event, EventKind, Severity};
use crate::live::settings::{WebhookFormat, WebhookSettings};
use crate::live::sinks::encode::EventJson;
use crate::util::throttle::LogThrottle;

/// Events that may wait for one webhook. Those beyond are kept in the lake.
const QUEUE_EVENTS: usize = 10_000;
/// The most events in one request.
const BATCH_EVENTS: usize = 100;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// A batch that could not be delivered within this time is stored in the lake.
const RETRY_FOR: Duration = Duration::from_secs(300);
/// The resolution of the times at which events were sent.
const ENTRY_MICROS: i64 = 10_000;
/// How long a stop delivers queued events; the rest is stored in the lake.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a stop waits for the store.
const STORE_TIMEOUT: Duration = Duration::from_secs(3);

/// Events of one webhook that are settled, since the start: delivered, or kept in the lake, or given up with an error.
#[derive(Debug, Default)]
struct SettledCounts {
    queued: AtomicU64,
    overflowed: AtomicU64,
}

/// When events were queued, in their order, for those that may not be settled yet.
#[derive(Default)]
struct SendLedger {
    sent: u64,
    /// The last number of each time.
    unsettled: VecDeque<(u64, i64)>,
}

impl SendLedger {
    fn add(&mut self, count: usize, now: i64) {
        if count == 0 {
            return;
        }
        self.sent += count as u64;
        match self.unsettled.back_mut() {
            // So many entries a second at most: the queue is bounded, and so is this.
            Some((number, since)) if now - *since < ENTRY_MICROS => *number = self.sent,
            _ => self.unsettled.push_back((self.sent, now)),
        }
    }

    fn since(&mut self, settled: &AtomicU64) -> Option<i64> {
        let settled = settled.load(Ordering::Acquire);
        while self.unsettled.front().is_some_and(|(number, _)| *number <= settled) {
            self.unsettled.pop_front();
        }
        self.unsettled.front().map(|(_, since)| *since)
    }
}

/// The handle of a webhook task.
pub(in crate::live) struct Webhook {
    settings: WebhookSettings,
    events: mpsc::Sender<Arc<Event>>,
    /// Events that found no room, for the task to keep.
    overflow: mpsc::Sender<Vec<Arc<Event>>>,
    settled: Arc<SettledCounts>,
    task: JoinHandle<()>,
    stop: watch::Sender<Option<Instant>>,
    throttle: LogThrottle,
    queued: SendLedger,
    overflowed: SendLedger,
}

struct WebhookTask {
    client: Client,
    settings: WebhookSettings,
    store: Arc<dyn ObjectStore>,
    settled: Arc<SettledCounts>,
    /// The deadline for deliveries, once the task is stopped.
    stop: watch::Receiver<Option<Instant>>,
}

impl Webhook {
    /// `store` begins at `_tickhouse` of the lake.
    ///
    /// # Errors
    /// The HTTP client can't be set up.
    pub(in crate::live) fn start(settings: &WebhookSettings, store: Arc<dyn ObjectStore>) -> Result<Self, String> {
        let client = Client::builder().timeout(REQUEST_TIMEOUT).redirect(reqwest::redirect::Policy::none()).build();
        let client = client.map_err(|error| format!("webhook '{}': {error}", settings.name))?;
        let (settled, (stop, stopped)) = (Arc::<SettledCounts>::default(), watch::channel(None));
        let (events, queue) = mpsc::channel(QUEUE_EVENTS);
        let (overflow, overflowed) = mpsc::channel(4);
        let sending =
            WebhookTask { client, settings: settings.clone(), store, settled: Arc::clone(&settled), stop: stopped };
        let task = tokio::spawn(sending.run(queue, overflowed));
        Ok(Self {
            settings: settings.clone(),
            events,
            overflow,
            settled,
            task,
            stop,
            throttle: LogThrottle::default(),
            queued: SendLedger::default(),
            overflowed: SendLedger::default(),
        })
    }

    /// When the oldest of the events that are neither delivered nor kept was sent; microseconds since the epoch, UTC.
    pub(in crate::live) fn unsettled_since(&mut self) -> Option<i64> {
        let queued = self.queued.since(&self.settled.queued);
        let overflowed = self.overflowed.since(&self.settled.overflowed);
        queued.into_iter().chain(overflowed).min()
    }

    /// Never waits.
    pub(in crate::live) fn send(&mut self, events: &[Arc<Event>]) {
        let mut left = Vec::new();
        let takes = |event: &Event| self.settings.takes(event.kind, &event.name, event.severity);
        let wanted: Vec<&Arc<Event>> = events.iter().filter(|event| takes(event)).collect();
        if wanted.is_empty() {
            return;
        }
        let now = chrono::Utc::now().timestamp_micros();
        for event in &wanted {
            if self.events.try_send(Arc::clone(event)).is_err() {
                left.push(Arc::clone(event));
            }
        }
        self.queued.add(wanted.len() - left.len(), now);
        self.overflowed.add(left.len(), now);
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
            self.settled.overflowed.fetch_add(left.len() as u64, Ordering::Release);
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
    pub(in crate::live) async fn stop(self) {
        let Self { settings, events, overflow, mut task, stop, .. } = self;
        stop.send_replace(Some(Instant::now() + DRAIN_TIMEOUT));
        drop((events, overflow));
        match tokio::time::timeout(DRAIN_TIMEOUT + STORE_TIMEOUT, &mut task).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(webhook = settings.name, %error, "the webhook's task failed"),
            Err(_) => {
                task.abort();
                tracing::error!(webhook = settings.name, "events were not delivered; the next start sends them again");
            }
        }
    }
}

impl WebhookSettings {
    /// Whether it is sent events of this kind, name and severity.
    pub fn takes(&self, kind: EventKind, name: &str, severity: Severity) -> bool {
        let is_meant = kind != EventKind::Rule || self.rules.is_empty() || self.rules.iter().any(|rule| rule == name);
        is_meant && self.kinds.contains(&kind) && severity >= self.least_severity
    }
}

impl WebhookTask {
    async fn run(self, mut queue: mpsc::Receiver<Arc<Event>>, mut overflowed: mpsc::Receiver<Vec<Arc<Event>>>) {
        let mut batch = Vec::with_capacity(BATCH_EVENTS);
        loop {
            tokio::select! {
                biased;
                Some(events) = overflowed.recv() => self.store_overflow(&events).await,
                count = queue.recv_many(&mut batch, BATCH_EVENTS) => {
                    if count == 0 {
                        break;
                    }
                    self.deliver(&batch).await;
                    self.settled.queued.fetch_add(batch.len() as u64, Ordering::Release);
                    batch.clear();
                }
            }
        }
        while let Some(events) = overflowed.recv().await {
            self.store_overflow(&events).await;
        }
    }

    async fn store_overflow(&self, events: &[Arc<Event>]) {
        self.store_undelivered(events, "its queue was full").await;
        self.settled.overflowed.fetch_add(events.len() as u64, Ordering::Release);
    }

    /// Keeps what is not delivered in time after a stop.
    async fn deliver(&self, events: &[Arc<Event>]) {
        let mut stop = self.stop.clone();
        let late = async {
            // Otherwise the handle was dropped without a stop.
            if let Ok(Some(deadline)) = stop.wait_for(Option::is_some).await.map(|deadline| *deadline) {
                tokio::time::sleep_until(deadline).await;
            }
        };
        tokio::select! {
            biased;
            () = self.attempt(events) => {}
            () = late => self.store_undelivered(events, "it was stopped").await,
        }
    }

    async fn attempt(&self, events: &[Arc<Event>]) {
        let body = self.body(events).to_string();
        let begun = Instant::now();
        for attempt in 0.. {
            let Err(problem) = self.post(body.clone()).await else { return };
            if !problem.is_retryable || begun.elapsed() > RETRY_FOR {
                self.store_undelivered(events, &problem.text).await;
                return;
            }
            if attempt == 0 {
                tracing::warn!(webhook = self.settings.name, "{}; trying again", problem.text);
            }
            let bound = BACKOFF.0.saturating_mul(1 << attempt.min(16)).min(BACKOFF.1);
            let pause = bound.mul_f64(rand::rng().random());
            tokio::time::sleep(pause).await;
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

    async fn post(&self, body: String) -> Result<(), WebhookError> {
        let request =
            self.client.post(self.settings.url.reveal()).header("content-type", "application/json").body(body);
        // The address may hold a secret.
        let sent = request.send().await.map_err(|error| {
            let name = &self.settings.name;
            let text = match error.is_timeout() {
                true => format!("webhook '{name}' gave no answer within {} s", REQUEST_TIMEOUT.as_secs()),
                false => format!("webhook '{name}': {}", error.without_url()),
            };
            WebhookError { text, is_retryable: true }
        })?;
        let status = sent.status();
        if status.is_success() {
            return Ok(());
        }
        let slow = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
        let text = format!("webhook '{}' answers {status}", self.settings.name);
        Err(WebhookError { text, is_retryable: slow || status.is_server_error() })
    }

    /// Stores undelivered events in the lake.
    async fn store_undelivered(&self, events: &[Arc<Event>], why: &str) {
        let lines = events.iter().map(|event| json!(EventJson::from(&**event)).to_string() + "\n").collect::<String>();
        let now = chrono::Utc::now().format("%Y%m%dT%H%M%S");
        let path = format!("undelivered/{}/{now}-{}.ndjson", self.settings.name, Uuid::new_v4());
        let (webhook, count) = (&self.settings.name, events.len());
        match self.store.put(&Path::from(path.as_str()), Bytes::from(lines).into()).await {
            Ok(_) => tracing::error!(webhook, events = count, file = path, "not delivered: {why}"),
            Err(error) => tracing::error!(webhook, events = count, %error, "neither delivered nor kept: {why}"),
        }
    }
}

struct WebhookError {
    text: String,
    /// Another attempt can help.
    is_retryable: bool,
}

/// Slack's markup: what symbols and names hold is text.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
