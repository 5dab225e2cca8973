//! Warns of optional paths of the mapping that never match: a wrong path fills a column with NULL and causes no dead
//! letter.
//!
//! A path is no longer checked after its first value, and no path is checked after the warnings were logged.

use crate::decode::{InputSettings, KeySurvey, NeverMatched, OptionalPaths};
use crate::ingest::batching::batch::IngestChunk;

/// Messages that a running ingest must have read before it warns. At its end it warns after any number.
const MINIMUM_MESSAGES: u64 = 100;
/// Number of accepted messages whose keys are kept for the warning.
pub(in crate::ingest) const SURVEYED_MESSAGES: u32 = 20;

#[derive(Debug, Default)]
pub(in crate::ingest) struct OptionalPathMonitor {
    /// `None` after the warnings were logged, or if no optional path is configured.
    paths: Option<OptionalPaths>,
    /// Messages that became rows.
    messages: u64,
    /// Keys of the first of these messages.
    pub keys: KeySurvey,
}

impl OptionalPathMonitor {
    pub(in crate::ingest) fn new(input: &InputSettings) -> Self {
        let paths = OptionalPaths::of(input);
        Self { paths: (!paths.is_empty()).then_some(paths), messages: 0, keys: KeySurvey::default() }
    }

    /// Returns the number of messages whose keys are needed.
    pub(in crate::ingest) fn to_survey(&self) -> u32 {
        if self.paths.is_some() { SURVEYED_MESSAGES } else { 0 }
    }

    pub(in crate::ingest) fn add(&mut self, chunk: &IngestChunk) {
        if let Some(paths) = &mut self.paths {
            paths.add(&chunk.rows);
            self.messages += chunk.counts.stored_offsets.unsigned_abs();
        }
    }

    /// After a commit: warns once of the paths that never matched, as soon as enough messages were read.
    pub(in crate::ingest) fn committed(&mut self) {
        self.warn(MINIMUM_MESSAGES);
    }

    /// At the end of the ingest: warns of the paths that never matched.
    pub(in crate::ingest) fn end(&mut self) {
        self.warn(1);
    }

    fn warn(&mut self, least: u64) {
        for never in self.evaluate(least) {
            tracing::warn!(
                column = never.column,
                path = never.source,
                messages = self.messages,
                "{never}; `tickhouse ingest --dry-run` shows the keys that messages have"
            );
        }
    }

    fn evaluate(&mut self, least: u64) -> Vec<NeverMatched> {
        let paths = self.paths.take_if(|_| self.messages >= least);
        paths.map(|paths| paths.never_matched(self.messages, &self.keys)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{FieldSource, Preset};
    use crate::market::{Tick, TickColumns};

    fn chunk(messages: i64, volume: Option<f64>) -> IngestChunk {
        let mut rows = TickColumns::default();
        for offset in 0..messages {
            let tick = Tick {
                symbol: "A",
                ts: 0,
                open: None,
                high: None,
                low: None,
                close: 1.0,
                volume,
                trade_id: None,
                source: None,
            };
            rows.push(&tick, 0, offset, 0, None);
        }
        let mut chunk = IngestChunk::empty(0, 0, rows, 0);
        chunk.counts.stored_offsets = messages;
        chunk
    }

    fn watch() -> OptionalPathMonitor {
        let volume = Some(FieldSource::Pointer("/size".to_owned()));
        OptionalPathMonitor::new(&InputSettings { volume, ..InputSettings::default() })
    }

    #[test]
    fn a_path_is_reported_once_and_after_enough_messages() {
        let mut never = watch();
        assert_eq!(never.to_survey(), SURVEYED_MESSAGES);
        never.add(&chunk(99, None));
        assert_eq!(never.evaluate(MINIMUM_MESSAGES), []);
        never.add(&chunk(1, None));
        never.keys.add(Some(br#"{"siz":1}"#), None, std::iter::empty());
        let reported_paths = never.evaluate(MINIMUM_MESSAGES);
        assert_eq!(reported_paths.len(), 1);
        let expected = "volume is NULL in the first 100 messages of this run: no accepted one has a value at /size; \
            did you mean '/siz'?";
        assert_eq!(reported_paths[0].to_string(), expected);
        assert_eq!((never.evaluate(1), never.messages), (Vec::new(), 100));

        let mut seldom = watch();
        seldom.add(&chunk(100, None));
        seldom.add(&chunk(1, Some(1.0)));
        assert_eq!(seldom.evaluate(MINIMUM_MESSAGES), []);
        let preset = OptionalPathMonitor::new(&InputSettings::preset(Preset::Canonical));
        assert_eq!(preset.to_survey(), 0, "nobody configured a path");
    }
}
