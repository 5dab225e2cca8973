//! What ingests of this process log: one that warns of something that its test doesn't expect fails the test.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, Once};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Span, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use super::setting;

/// WARN and ERROR lines by the number of the ingest.
static LINES: LazyLock<Mutex<HashMap<u64, Vec<String>>>> = LazyLock::new(Mutex::default);
static NEXT: AtomicU64 = AtomicU64::new(0);

/// The log of one ingest; when it is dropped, it has held no unexpected line.
pub struct Log {
    number: u64,
    pub span: Span,
    expected: &'static [&'static str],
}

impl Log {
    /// Lines that hold one of these texts are all right.
    pub fn new(expected: &'static [&'static str]) -> Self {
        listen();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { number, span: tracing::error_span!("ingest", number), expected }
    }

    pub fn expect(&mut self, expected: &'static [&'static str]) {
        self.expected = expected;
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let lines = LINES.lock().unwrap().remove(&self.number).unwrap_or_default();
        if std::thread::panicking() {
            return;
        }
        let is_expected = |line: &&String| !self.expected.iter().any(|text| line.contains(text));
        let unexpected: Vec<&String> = lines.iter().filter(is_expected).collect();
        assert!(unexpected.is_empty(), "unexpected: {unexpected:#?}");
    }
}

/// Everything of the process goes to standard error as well, with TICKHOUSE_TEST_LOG=debug.
pub fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let shown = setting("TICKHOUSE_TEST_LOG")
            .map(|filter| tracing_subscriber::fmt::layer().with_test_writer().with_filter(EnvFilter::new(filter)));
        tracing_subscriber::registry().with(Collector.with_filter(LevelFilter::WARN)).with(shown).init();
    });
}

struct Collector;

/// Of the ingest that a span belongs to.
struct Number(u64);

impl Visit for Number {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "number" {
            self.0 = value;
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Collector {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().target().ends_with("support::log") {
            let mut number = Number(u64::MAX);
            attributes.record(&mut number);
            context.span(id).unwrap().extensions_mut().insert(number);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut spans = context.event_scope(event).into_iter().flatten();
        let Some(number) = spans.find_map(|span| span.extensions().get::<Number>().map(|number| number.0)) else {
            return;
        };
        let mut line = Line(format!("{} {}", event.metadata().level(), event.metadata().target()));
        event.record(&mut line);
        LINES.lock().unwrap().entry(number).or_default().push(line.0);
    }
}

#[test]
fn an_unexpected_warning_fails_the_test() {
    let warned = |expected: &'static [&'static str]| {
        std::panic::catch_unwind(|| {
            let log = Log::new(expected);
            log.span.in_scope(|| tracing::warn!(table = "t", "the store is away"));
        })
    };
    assert!(warned(&[]).is_err() && warned(&["another"]).is_err());
    assert!(warned(&["store is away"]).is_ok());
}
