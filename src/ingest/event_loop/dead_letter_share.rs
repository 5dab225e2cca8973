//! Monitors the share of messages that become dead letters, to detect a mapping that doesn't fit the topic before it
//! fills a lake.
//!
//! The share is evaluated over windows of messages that are ticks or dead letters; skipped messages don't count.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::decode::{KeySurvey, RejectionReason};
use crate::ingest::batching::batch::{DeadLetter, IngestChunk};

/// The limit if none is configured.
const DEFAULT: f64 = 0.5;
const FIRST_WINDOW: u64 = 1_000;
const WINDOW: u64 = 10_000;
/// A topic that ends within the first window is evaluated only if it has at least this many messages.
const MINIMUM_MESSAGES: u64 = 100;
const SAMPLES: usize = 3;
/// Number of dead letters whose keys are listed in the error.
const SURVEYED_MESSAGES: u64 = 20;

/// A share of messages from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeadLetterShare(f64);

impl Eq for DeadLetterShare {}

impl DeadLetterShare {
    /// # Errors
    /// The share is below 0 or above 1.
    pub fn new(share: f64) -> Result<Self, String> {
        if (0.0..=1.0).contains(&share) {
            Ok(Self(share))
        } else {
            Err("write a share from 0 to 1, as in 0.5".to_owned())
        }
    }

    pub fn value(self) -> f64 {
        self.0
    }
}

impl std::str::FromStr for DeadLetterShare {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::new(text.trim().parse().unwrap_or(f64::NAN))
    }
}

impl Serialize for DeadLetterShare {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}

impl<'de> Deserialize<'de> for DeadLetterShare {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum WrittenShare {
            Number(f64),
            Text(String),
        }
        let share = match WrittenShare::deserialize(deserializer)? {
            WrittenShare::Number(number) => Self::new(number),
            WrittenShare::Text(text) => text.parse(),
        };
        share.map_err(serde::de::Error::custom)
    }
}

/// Decides when too many dead letters end an ingest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ingest) struct DeadLetterShareRule {
    /// The limit of `--max-dead-share`.
    pub configured: Option<DeadLetterShare>,
    pub until_latest: bool,
    /// The lake had no row when it was opened.
    pub is_new: bool,
}

/// A dead letter of a window, without its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
struct DeadLetterSample {
    partition: i32,
    offset: i64,
    reason: RejectionReason,
    /// The detail of the rejection without values of the message.
    detail: String,
}

/// More messages became dead letters than are allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TooManyDeadLetters {
    dead: u64,
    messages: u64,
    limit: DeadLetterShare,
    samples: Vec<DeadLetterSample>,
    keys: KeySurvey,
}

impl fmt::Display for TooManyDeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dead, messages, limit, samples, keys } = self;
        writeln!(
            f,
            "{dead} of {messages} messages became dead letters, more than --max-dead-share {} allows; the batch is not \
             committed",
            limit.0
        )?;
        for DeadLetterSample { partition, offset, reason, detail } in samples {
            writeln!(f, "  partition {partition}, offset {offset}: {reason}: {detail}")?;
        }
        write!(f, "keys of such messages:\n{}", keys.to_string().trim_end())
    }
}

/// Counts the current window and evaluates each full one.
#[derive(Debug)]
pub(in crate::ingest) struct DeadLetterShareMonitor {
    rule: DeadLetterShareRule,
    /// Too many dead letters end the ingest; otherwise they are a warning.
    stops: bool,
    /// The first window isn't full yet.
    is_first: bool,
    dead: u64,
    messages: u64,
    samples: Vec<DeadLetterSample>,
    keys: KeySurvey,
    surveyed: u64,
    /// The share of the last full window.
    last: Option<DeadLetterShare>,
    /// A warning was logged, and the share has stayed above the limit since.
    is_high: bool,
}

impl DeadLetterShareMonitor {
    pub(in crate::ingest) fn new(rule: DeadLetterShareRule) -> Self {
        Self {
            rule,
            stops: rule.configured.is_some() || rule.until_latest || rule.is_new,
            is_first: true,
            dead: 0,
            messages: 0,
            samples: Vec::new(),
            keys: KeySurvey::default(),
            surveyed: 0,
            last: None,
            is_high: false,
        }
    }

    fn limit(&self) -> DeadLetterShare {
        self.rule.configured.unwrap_or(DeadLetterShare(DEFAULT))
    }

    /// The share of the last full window, or of the messages so far if none is full yet.
    pub(in crate::ingest) fn value(&self) -> Option<DeadLetterShare> {
        self.last.or_else(|| (self.messages > 0).then(|| DeadLetterShare(self.dead as f64 / self.messages as f64)))
    }

    /// Counts the messages of a chunk.
    ///
    /// # Errors
    /// The window is full and has too many dead letters.
    pub(in crate::ingest) fn add(&mut self, chunk: &IngestChunk) -> Result<(), Box<TooManyDeadLetters>> {
        self.dead += chunk.counts.dead.unsigned_abs();
        self.messages += (chunk.counts.dead + chunk.counts.stored_offsets).unsigned_abs();
        chunk.dead.iter().for_each(|dead_letter| self.sample(dead_letter));
        let window = if self.is_first { FIRST_WINDOW } else { WINDOW };
        if self.messages >= window { self.evaluate() } else { Ok(()) }
    }

    /// Evaluates a topic that was read to its end within the first window.
    ///
    /// # Errors
    /// The topic ended within the first window of a new lake, and that has too many dead letters.
    pub(in crate::ingest) fn end(&mut self) -> Result<(), Box<TooManyDeadLetters>> {
        let counts = self.rule.configured.is_some() || self.rule.is_new;
        if self.is_first && counts && self.messages >= MINIMUM_MESSAGES { self.evaluate() } else { Ok(()) }
    }

    /// Keeps a sample; one of each reason takes precedence.
    fn sample(&mut self, dead_letter: &DeadLetter) {
        if self.surveyed < SURVEYED_MESSAGES {
            self.surveyed += 1;
            let headers = dead_letter.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
            self.keys.add(Some(&dead_letter.payload), dead_letter.key.as_deref(), headers);
        }
        let reason = dead_letter.rejection.reason;
        let is_new = !self.samples.iter().any(|sample| sample.reason == reason);
        let sample = || DeadLetterSample {
            partition: dead_letter.partition,
            offset: dead_letter.offset,
            reason,
            detail: dead_letter.rejection.masked().to_owned(),
        };
        if self.samples.len() < SAMPLES {
            self.samples.push(sample());
        } else if is_new {
            let has_twin =
                |one: &&DeadLetterSample| self.samples.iter().filter(|sample| sample.reason == one.reason).count() > 1;
            let twin = self.samples.iter().rev().find(has_twin).map(|sample| (sample.partition, sample.offset));
            if let Some(replaced) =
                self.samples.iter_mut().find(|sample| Some((sample.partition, sample.offset)) == twin)
            {
                *replaced = sample();
            }
        }
    }

    fn evaluate(&mut self) -> Result<(), Box<TooManyDeadLetters>> {
        let (dead, messages, limit) = (self.dead, self.messages, self.limit());
        let share = dead as f64 / messages as f64;
        let is_too_high = share > limit.0;
        let samples = std::mem::take(&mut self.samples);
        let keys = std::mem::take(&mut self.keys);
        (self.dead, self.messages, self.surveyed) = (0, 0, 0);
        self.last = Some(DeadLetterShare(share));
        if is_too_high && self.stops {
            return Err(Box::new(TooManyDeadLetters { dead, messages, limit, samples, keys }));
        }
        if is_too_high && !self.is_high {
            let mut reasons: Vec<&str> = samples.iter().map(|sample| sample.reason.as_str()).collect();
            reasons.dedup();
            tracing::warn!(
                dead,
                messages,
                reasons = reasons.join(" "),
                "most messages become dead letters: see `tickhouse dead-letters list`, and `tickhouse ingest \
                 --dry-run` for the keys that messages have"
            );
        }
        self.is_high = is_too_high;
        // A new lake has rows now, so later windows only warn.
        self.is_first = false;
        self.stops = self.rule.configured.is_some() || self.rule.until_latest;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Rejection;
    use crate::market::TickColumns;

    const DAEMON: DeadLetterShareRule = DeadLetterShareRule { configured: None, until_latest: false, is_new: false };

    fn chunk(dead: i64, stored: i64) -> IngestChunk {
        let mut chunk = IngestChunk::empty(0, 0, TickColumns::default(), 0);
        chunk.counts.dead = dead;
        chunk.counts.stored_offsets = stored;
        let dead_letter = |offset: i64| DeadLetter {
            partition: 0,
            offset,
            kafka_ts: None,
            key: None,
            payload: br#"{"pair":"A"}"#.to_vec(),
            payload_bytes: 12,
            sha256: [0; 32],
            headers: Vec::new(),
            rejection: Rejection::new(
                if offset == 9 { RejectionReason::Type } else { RejectionReason::MissingField },
                "close",
            ),
        };
        chunk.dead = (0..dead).map(dead_letter).collect();
        chunk
    }

    #[test]
    fn the_first_thousand_messages_are_evaluated_and_then_every_ten_thousand() {
        let mut share = DeadLetterShareMonitor::new(DeadLetterShareRule { until_latest: true, ..DAEMON });
        share.add(&chunk(600, 300)).unwrap();
        let stop = share.add(&chunk(0, 100)).unwrap_err();
        assert_eq!((stop.dead, stop.messages), (600, 1_000));
        let text = stop.to_string();
        assert!(
            text.starts_with("600 of 1000 messages became dead letters, more than --max-dead-share 0.5 "),
            "{text}"
        );
        assert!(text.contains("partition 0, offset 9: type: close") && text.contains("  /pair  string"), "{text}");
        assert_eq!(text.matches("partition 0").count(), SAMPLES, "{text}");

        let mut share = DeadLetterShareMonitor::new(DeadLetterShareRule { until_latest: true, ..DAEMON });
        share.add(&chunk(500, 500)).unwrap();
        share.add(&chunk(9_000, 999)).unwrap();
        assert_eq!(share.add(&chunk(1, 0)).unwrap_err().messages, 10_000);
    }

    #[test]
    fn a_lake_with_rows_is_warned_about_and_a_new_one_is_stopped() {
        let mut share = DeadLetterShareMonitor::new(DAEMON);
        share.add(&chunk(1_000, 0)).unwrap();
        assert!(share.is_high);
        share.add(&chunk(0, 10_000)).unwrap();
        assert_eq!((share.is_high, share.value()), (false, Some(DeadLetterShare(0.0))));
        let mut share = DeadLetterShareMonitor::new(DeadLetterShareRule { is_new: true, ..DAEMON });
        assert!(share.add(&chunk(1_000, 0)).is_err());
        let mut share = DeadLetterShareMonitor::new(DeadLetterShareRule { is_new: true, ..DAEMON });
        share.add(&chunk(0, 1_000)).unwrap();
        share.add(&chunk(10_000, 0)).unwrap();
    }

    #[test]
    fn a_short_topic_is_evaluated_at_its_end_if_the_lake_is_new() {
        for (rule, dead, stops) in [
            (DeadLetterShareRule { until_latest: true, is_new: true, ..DAEMON }, 100, true),
            (DeadLetterShareRule { until_latest: true, is_new: true, ..DAEMON }, 99, false),
            (DeadLetterShareRule { until_latest: true, ..DAEMON }, 100, false),
            (
                DeadLetterShareRule { until_latest: true, is_new: true, configured: Some(DeadLetterShare(1.0)) },
                100,
                false,
            ),
        ] {
            let mut share = DeadLetterShareMonitor::new(rule);
            share.add(&chunk(dead, 0)).unwrap();
            assert_eq!(share.end().is_err(), stops, "{rule:?}");
        }
    }

    #[test]
    fn shares_are_between_zero_and_one() {
        assert_eq!("0.25".parse(), Ok(DeadLetterShare(0.25)));
        for wrong in ["-0.1", "1.1", "NaN", "half", ""] {
            assert!(wrong.parse::<DeadLetterShare>().is_err(), "{wrong}");
        }
        let read = |text: &str| {
            toml::from_str::<std::collections::BTreeMap<String, DeadLetterShare>>(text).map(|all| all["a"])
        };
        assert_eq!(read("a = 1").unwrap(), DeadLetterShare(1.0));
        assert_eq!(read("a = \"0.5\"").unwrap(), DeadLetterShare(0.5));
        assert!(read("a = 2").is_err());
    }
}
