//! Events to webhooks: one task each, so that one that hangs holds up nothing.
//!
//! Delivery is at least once, with the identity of every event in it. What can't be delivered is kept in
//! `_tickhouse/undelivered/NAME/` of the lake, and counted.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backon::Retryable;
use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;

use crate::live::event::{Event, EventKind, Severity};
use crate::live::settings::{WebhookFormat, WebhookSettings};
use crate::live::sinks::encode::EventJson;
use crate::util::backoff;
use crate::util::throttle::LogThrottle;

/// Events that may wait for one webhook. Those beyond are kept in the lake.
const QUEUE_EVENTS: usize = 10_000;
/// The most events in one request.
const BATCH_EVENTS: usize = 100;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// First and longest pause between two attempts, unless the server names another.
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
        let mut is_first = true;
        let posted = (|| self.post(body.clone()))
            .retry(backoff::exponential(BACKOFF.0, BACKOFF.1))
            .when(|problem| problem.is_retryable && begun.elapsed() <= RETRY_FOR)
            // A server that asks for more than that gets one more attempt then.
            .adjust(|problem, pause| Some(backoff::no_earlier_than(problem.retry_after, pause?).min(RETRY_FOR)))
            .notify(|problem, _| {
                if std::mem::take(&mut is_first) {
                    tracing::warn!(webhook = self.settings.name, "{}; trying again", problem.text);
                }
            })
            .await;
        if let Err(problem) = posted {
            self.store_undelivered(events, &problem.text).await;
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
            WebhookError { text, is_retryable: true, retry_after: None }
        })?;
        let status = sent.status();
        if status.is_success() {
            return Ok(());
        }
        let slow = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
        let text = format!("webhook '{}' answers {status}", self.settings.name);
        let header = sent.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = header.and_then(|text| backoff::retry_after(text, chrono::Utc::now()));
        Err(WebhookError { text, is_retryable: slow || status.is_server_error(), retry_after })
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
    /// How long the server asks its clients to wait.
    retry_after: Option<Duration>,
}

/// Slack's markup: what symbols and names hold is text.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use axum::Router;
    use axum::http::HeaderMap;
    use axum::routing::post;
    use futures::TryStreamExt;
    use object_store::memory::InMemory;

    use super::*;
    use crate::live::event::TickId;
    use crate::util::secret::Secret;

    /// Status and `Retry-After`.
    type Answer = (u16, Option<&'static str>);

    /// Delivers one event to a server that gives these answers; when its requests came, and the files that were kept.
    async fn deliver(answers: &[Answer]) -> (Vec<Instant>, Vec<String>) {
        let script = Arc::new(Mutex::new((VecDeque::from_iter(answers.to_vec()), Vec::new())));
        let answering = Arc::clone(&script);
        let answer = move || async move {
            let mut script = answering.lock().unwrap();
            script.1.push(Instant::now());
            let (status, wait) = script.0.pop_front().expect("one answer a request");
            let headers: HeaderMap = wait.into_iter().map(|wait| (RETRY_AFTER, wait.parse().unwrap())).collect();
            (StatusCode::from_u16(status).unwrap(), headers)
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let server = tokio::spawn(async { axum::serve(listener, Router::new().route("/hook", post(answer))).await });
        let store = Arc::new(InMemory::new());
        let (_handle, stop) = watch::channel(None);
        let task = WebhookTask {
            client: Client::new(),
            settings: WebhookSettings {
                name: "desk".to_owned(),
                url: Secret::new(&url),
                format: WebhookFormat::Json,
                kinds: vec![EventKind::Rule],
                rules: Vec::new(),
                least_severity: Severity::Info,
            },
            store: Arc::<InMemory>::clone(&store),
            settled: Arc::default(),
            stop,
        };
        let event = Event {
            kind: EventKind::Rule,
            name: "spike".into(),
            symbol: "AAPL".into(),
            ts: 1_795_185_000_123_000,
            trade_date: 20_777,
            side: None,
            confirmed: None,
            severity: Severity::Info,
            close: 101.25,
            volume: 1.0,
            value: f64::NAN,
            tick: TickId { epoch: 0, partition: 0, offset: 7, index: 0 },
        };
        task.deliver(&[Arc::new(event)]).await;
        server.abort();
        let mut kept = Vec::new();
        for file in store.list(None).try_collect::<Vec<_>>().await.unwrap() {
            let bytes = store.get(&file.location).await.unwrap().bytes().await.unwrap();
            kept.push(String::from_utf8(bytes.to_vec()).unwrap());
        }
        let requests = script.lock().unwrap().1.clone();
        (requests, kept)
    }

    #[tokio::test]
    async fn a_busy_server_is_left_alone_for_as_long_as_it_asks() {
        let (requests, kept) = deliver(&[(429, Some("1")), (503, None), (204, None)]).await;
        assert_eq!((requests.len(), kept), (3, Vec::new()));
        assert!(requests[1] - requests[0] >= Duration::from_secs(1), "{requests:?}");
    }

    #[tokio::test]
    async fn what_is_refused_is_kept_at_once() {
        let (requests, kept) = deliver(&[(400, Some("1"))]).await;
        assert_eq!((requests.len(), kept.len()), (1, 1));
        assert!(kept[0].contains("0-0-7-0-rule-spike"), "{kept:?}");
    }
}
