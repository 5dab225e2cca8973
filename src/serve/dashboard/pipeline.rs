//! The state of the ingest pipeline, as the page shows it.

use serde::Serialize;

use crate::live::LiveProgress;
use crate::serve::dashboard::source::{CachedState, View};

/// The state of an ingest that runs in the same process. Its counts start at zero when the process starts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PipelineView {
    /// Rows that were read, including those that are not committed yet.
    pub ticks: u64,
    /// Messages in Kafka that were not read yet.
    pub lag_messages: Option<i64>,
    /// The current error, if there is one.
    pub trouble: Option<String>,
}

/// The values of the pipeline panel.
#[derive(Debug, Default, Serialize)]
pub(in crate::serve::dashboard) struct PipelineLine {
    /// Ticks per second.
    pub(in crate::serve::dashboard) rate: Option<f64>,
    ticks: Option<u64>,
    late: Option<u64>,
    scattered: Option<u64>,
    lag_messages: Option<i64>,
    /// Seconds from the newest event time to now.
    lag_seconds: Option<f64>,
    /// Milliseconds since the epoch.
    newest_ts: Option<f64>,
    last_commit: Option<i64>,
    table_version: Option<u64>,
    rows: Option<u64>,
    dead_letters: Option<u64>,
    files: Option<usize>,
    events: Option<u64>,
    tabs: usize,
    pub(in crate::serve::dashboard) trouble: Option<String>,
}

impl PipelineLine {
    /// `now` is in milliseconds since the epoch.
    pub(in crate::serve::dashboard) fn of(
        known: &CachedState,
        ingest: Option<&PipelineView>,
        live: Option<&LiveProgress>,
        tabs: usize,
        now: f64,
    ) -> Self {
        let mut line = Self { tabs, ..Self::default() };
        let mut newest_ts = None;
        match known {
            CachedState::There(view) => newest_ts = line.table(view),
            CachedState::Missing(_) => {}
            CachedState::Unreachable(problem) => line.trouble = Some(problem.clone()),
        }
        if let Some(ingest) = ingest {
            line.ticks = Some(ingest.ticks);
            line.lag_messages = ingest.lag_messages;
            line.trouble = ingest.trouble.clone().or(line.trouble);
        }
        if let Some(live) = live {
            line.ticks = Some(live.ticks);
            line.late = Some(live.late);
            line.scattered = Some(live.scattered_symbols);
            line.events = Some(live.events);
            // After an error of the brokers, the lag is outdated or unknown.
            line.lag_messages = live.broker_error.is_none().then_some(live.lag_messages);
            line.trouble = live.broker_error.clone().or(line.trouble);
            newest_ts = newest_ts.max(live.newest_ts);
        }
        line.newest_ts = newest_ts.map(|micros| micros as f64 / 1_000.0);
        // If this machine's clock is behind, the lag must not become negative.
        line.lag_seconds = line.newest_ts.map(|newest| ((now - newest) / 1_000.0).max(0.0));
        line
    }

    fn table(&mut self, view: &View) -> Option<i64> {
        self.last_commit = view.last_commit;
        self.table_version = Some(view.table_version);
        self.rows = view.rows;
        self.dead_letters = view.dead_letters;
        self.files = Some(view.files);
        self.trouble.clone_from(&view.trouble);
        view.times.map(|(_, newest)| newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_numbers_come_before_those_of_the_ingest() {
        let ingest = PipelineView { ticks: 5, lag_messages: Some(7), trouble: Some("slow".to_owned()) };
        let live = LiveProgress { ticks: 9, lag_messages: 3, newest_ts: Some(2_000_500), ..LiveProgress::default() };
        let unreachable = CachedState::Unreachable("unreachable".to_owned());
        let line = PipelineLine::of(&unreachable, Some(&ingest), Some(&live), 2, 1_000.0);
        assert_eq!((line.ticks, line.lag_messages, line.tabs), (Some(9), Some(3), 2));
        assert_eq!((line.newest_ts, line.lag_seconds), (Some(2_000.5), Some(0.0)));
        assert_eq!(line.trouble.as_deref(), Some("slow"));
        let line = PipelineLine::of(&unreachable, None, None, 0, 0.0);
        assert_eq!((line.ticks, line.lag_seconds, line.trouble.as_deref()), (None, None, Some("unreachable")));
    }
}
