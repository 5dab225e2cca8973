//! Follows a topic from given offsets outside of any group, for as long as its owner likes: brokers restart, fall
//! silent and come back, and partitions are added meanwhile.
//!
//! Invariants:
//! - Records of a partition come in the order of their offsets, each once. [`Following::positions`] is the offset
//!   below which everything was delivered; records that nobody sees, such as transaction markers, included.
//! - What Kafka doesn't hold ends the partition with [`News::Gap`]; the others go on.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;

use crate::kafka::client::KafkaSettings;
use crate::kafka::events::{Assigned, Record};
use crate::kafka::group_consumer::notice::{Notice, tells_truncation};
use crate::kafka::raw::{Position, RawConsumer, RawError, TopicIdQuery};
use crate::kafka::refusal::{Access, Refusal, brief};
use crate::kafka::topic::{TopicError, TopicInfo, topic_info};
use crate::kafka::topic_reader::ends::all_ends;
use crate::market::TopicIdentity;

const BATCH_MESSAGES: usize = 8_192;
/// The batch call waits for a full batch or this long: it bounds the latency of everything here.
const BATCH_WAIT: Duration = Duration::from_millis(5);
/// One question while records flow: nothing is polled meanwhile.
const SHORT_ANSWER: Duration = Duration::from_millis(300);
const TOPIC_ID_ANSWER: Duration = Duration::from_secs(5);
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// New partitions, and a topic that was made anew.
const LOOK_EVERY: Duration = Duration::from_secs(20);
/// librdkafka wants a name even where no group is joined.
const NO_GROUP: &str = "tickhouse-tail";

/// What happened beside records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Kafka doesn't hold the offset `asked`, or lost the end of its log and may have written others to the same
    /// offsets. The partition is not read any more.
    Gap { partition: i32, asked: i64, low: i64, high: i64 },
    /// Something is wrong with the brokers; librdkafka goes on trying. Said once per text.
    Trouble(String),
    /// Every partition was heard again.
    Recovered,
    /// The topic has another id now: it was deleted and made anew.
    Recreated { id: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// `proven`: its position is of this assignment.
    Reads {
        proven: bool,
    },
    /// Not assigned: an error came in place of a record.
    Waits {
        truncated: bool,
    },
    Lost,
}

#[derive(Debug)]
struct Place {
    next: i64,
    standing: Standing,
    heard: Instant,
}

/// Dropped in this order: the query before the client that answers it.
pub struct Following {
    topic_id: Option<TopicIdQuery>,
    raw: RawConsumer,
    access: Access,
    topic: String,
    identity: TopicIdentity,
    opened: Vec<Assigned>,
    places: BTreeMap<i32, Place>,
    news: Vec<News>,
    trouble: Option<(String, Instant)>,
    ask_at: Instant,
    look_at: Instant,
}

impl Following {
    /// Waits up to `patience` for the brokers and asks for the ends of the partitions. Blocks.
    ///
    /// # Errors
    /// See [`topic_info`]; or a broker doesn't tell the ends.
    pub fn open(settings: &KafkaSettings, patience: Duration) -> Result<Self, TopicError> {
        let until = Instant::now() + patience;
        let TopicInfo { identity, .. } = topic_info(settings, patience)?;
        let config = settings.consumer_config(NO_GROUP);
        let raw = RawConsumer::new(&config, &settings.topic, BATCH_MESSAGES).map_err(TopicError::Configuration)?;
        let opened = all_ends(&raw, settings, until)?;
        let topic = settings.topic.clone();
        Ok(Self {
            topic_id: None,
            raw,
            access: Access::of(&config),
            topic,
            identity,
            opened,
            places: BTreeMap::new(),
            news: Vec::new(),
            trouble: None,
            ask_at: Instant::now(),
            look_at: Instant::now() + LOOK_EVERY,
        })
    }

    pub fn identity(&self) -> &TopicIdentity {
        &self.identity
    }

    /// First offset and end of each partition when it was opened.
    pub fn opened(&self) -> &[Assigned] {
        &self.opened
    }

    /// Begins at these (partition, offset); partitions of the topic that are not named begin at their first offset.
    ///
    /// # Errors
    /// librdkafka refuses the partitions.
    pub fn start(&mut self, starts: &[(i32, i64)]) -> Result<(), TopicError> {
        for at in self.opened.clone() {
            let named = starts.iter().find(|(partition, _)| *partition == at.partition);
            self.place(at, named.map_or(at.low, |(_, offset)| *offset));
        }
        self.assign().map_err(|error| failed(&self.topic, &error))
    }

    /// One batch of at most 8,192 records, or what came in 5 ms.
    ///
    /// # Errors
    /// librdkafka can't go on.
    pub fn turn(&mut self, mut on_record: impl FnMut(&Record<'_>)) -> Result<(), TopicError> {
        let now = Instant::now();
        let mut wrong = Vec::new();
        match self.raw.batch(BATCH_WAIT) {
            Err(error) => return Err(failed(&self.topic, &error)),
            Ok(batch) => {
                for message in batch.iter() {
                    let partition = message.partition();
                    let place = self.places.get_mut(&partition).filter(|_| message.is_of_partition());
                    match (message.error(), place) {
                        (None, Some(place)) => {
                            let reads = matches!(place.standing, Standing::Reads { .. });
                            // What was fetched before a partition was set aside comes again.
                            if reads && message.offset() >= place.next {
                                place.next = message.offset() + 1;
                                place.standing = Standing::Reads { proven: true };
                                place.heard = now;
                                on_record(&Record::new(&message));
                            }
                        }
                        (None, None) => {}
                        (Some(code), place) => {
                            let text = message.payload().map(String::from_utf8_lossy).unwrap_or_default().into_owned();
                            // An error moves librdkafka's position past its offset, and what follows may be beyond a
                            // gap.
                            if let Some(place) = place
                                && matches!(place.standing, Standing::Reads { .. })
                            {
                                place.standing = Standing::Waits { truncated: tells_truncation(code, &text) };
                                wrong.push(partition);
                            }
                            // What became of the offset shows when the partition is taken up again.
                            if code != RDKafkaErrorCode::AutoOffsetReset {
                                say(&mut self.news, &mut self.trouble, format!("{code}: {}", brief(&text)));
                            }
                        }
                    }
                }
            }
        }
        if !wrong.is_empty() {
            self.raw.incremental_unassign(&wrong).map_err(|error| failed(&self.topic, &error))?;
            self.ask_at = now;
        }
        self.hear()?;
        self.advance()?;
        self.take_up(now)?;
        self.look(now)
    }

    /// What happened since it was asked last.
    pub fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// (partition, offset below which everything was delivered).
    pub fn positions(&self) -> impl Iterator<Item = (i32, i64)> {
        self.places.iter().map(|(partition, place)| (*partition, place.next))
    }

    /// Attempts to connect so far.
    #[cfg(test)]
    pub(in crate::kafka) fn connects(&self) -> u32 {
        self.raw.connects()
    }

    /// Records that are known to be in Kafka and were not delivered yet; `None` while the end of a partition isn't
    /// known. Partitions with a gap don't count.
    pub fn lag(&self) -> Option<i64> {
        let mut lag = 0;
        for (partition, place) in self.places.iter().filter(|(_, place)| place.standing != Standing::Lost) {
            lag += (self.raw.known_end(*partition)? - place.next).max(0);
        }
        Some(lag)
    }

    fn place(&mut self, at: Assigned, next: i64) {
        let Assigned { partition, low, high } = at;
        let held = (low..=high).contains(&next);
        if !held {
            self.news.push(News::Gap { partition, asked: next, low, high });
        }
        let standing = if held { Standing::Reads { proven: true } } else { Standing::Lost };
        self.places.insert(partition, Place { next, standing, heard: Instant::now() });
    }

    fn assign(&self) -> Result<(), RawError> {
        let reads = self.places.iter().filter(|(_, place)| matches!(place.standing, Standing::Reads { .. }));
        let starts: Vec<Position> = reads.map(|(partition, place)| from(*partition, place.next)).collect();
        self.raw.incremental_assign(&starts)
    }

    /// Records that nobody sees move the position, too.
    fn advance(&mut self) -> Result<(), TopicError> {
        let proven = |place: &Place| place.standing == Standing::Reads { proven: true };
        let reading = self.places.iter().filter(|(_, place)| proven(place)).map(|(partition, _)| *partition).collect();
        for Position { partition, offset, .. } in
            self.raw.positions(&reading).map_err(|error| failed(&self.topic, &error))?
        {
            if let Some(place) = self.places.get_mut(&partition)
                && offset > place.next
            {
                place.next = offset;
                place.heard = Instant::now();
            }
        }
        Ok(())
    }

    /// What librdkafka reports beside records.
    fn hear(&mut self) -> Result<(), TopicError> {
        for notice in self.raw.take_notices() {
            let Notice::Error { code, text, fatal } = notice else { continue };
            if fatal {
                let detail = format!("{code}: {text}");
                return Err(TopicError::Read { topic: self.topic.clone(), detail });
            }
            // It follows the error that says why.
            if code != RDKafkaErrorCode::AllBrokersDown {
                let refusal = self.access.refusal(code, &text).filter(Refusal::is_certain);
                let text = refusal.map_or_else(|| brief(&text).to_owned(), |refusal| refusal.to_string());
                say(&mut self.news, &mut self.trouble, text);
            }
        }
        Ok(())
    }

    /// Once a second: partitions that were set aside begin again, and a trouble is over when all are heard again.
    fn take_up(&mut self, now: Instant) -> Result<(), TopicError> {
        let since = self.trouble.as_ref().map(|(_, since)| *since);
        let waits = |place: &Place| matches!(place.standing, Standing::Waits { .. });
        let silent = |place: &Place| {
            waits(place) || (place.standing != Standing::Lost && since.is_some_and(|since| place.heard <= since))
        };
        if now < self.ask_at || (since.is_none() && !self.places.values().any(waits)) {
            return Ok(());
        }
        self.ask_at = now + ASK_AGAIN;
        // The one that was silent longest: a broker that is away costs the others one short question a second.
        let longest = self.places.iter().filter(|(_, place)| silent(place)).min_by_key(|(_, place)| place.heard);
        let Some((&partition, _)) = longest else {
            self.trouble = None;
            self.news.push(News::Recovered);
            return Ok(());
        };
        let asked = self.raw.watermarks(partition, SHORT_ANSWER);
        let Some(place) = self.places.get_mut(&partition) else { return Ok(()) };
        let (low, high) = match asked {
            Ok(found) => found,
            Err(error) => {
                say(&mut self.news, &mut self.trouble, format!("partition {partition}: {error}"));
                return Ok(());
            }
        };
        place.heard = Instant::now();
        self.ask_at = now;
        let Standing::Waits { truncated } = place.standing else { return Ok(()) };
        let asked = place.next;
        if truncated || !(low..=high).contains(&asked) {
            place.standing = Standing::Lost;
            self.news.push(News::Gap { partition, asked, low, high });
            return Ok(());
        }
        // librdkafka may tell the position of the earlier assignment for a moment.
        place.standing = Standing::Reads { proven: false };
        self.raw.incremental_assign(&[from(partition, asked)]).map_err(|error| failed(&self.topic, &error))
    }

    /// New partitions begin at their first offset; a topic with another id is another topic.
    fn look(&mut self, now: Instant) -> Result<(), TopicError> {
        if let Some(answer) = self.topic_id.as_ref().and_then(|query| query.answer(Duration::ZERO)) {
            self.topic_id = None;
            if let Ok(Some(id)) = answer
                && self.identity.topic_id.as_ref().is_some_and(|known| *known != id)
            {
                self.identity.topic_id = Some(id.clone());
                self.news.push(News::Recreated { id });
            }
        }
        if now < self.look_at {
            return Ok(());
        }
        self.look_at = now + LOOK_EVERY;
        if self.identity.topic_id.is_some() && self.topic_id.is_none() {
            self.topic_id = Some(self.raw.query_topic_id(TOPIC_ID_ANSWER));
        }
        let partitions = match self.raw.partitions(SHORT_ANSWER) {
            Ok(partitions) => partitions,
            Err(error) => {
                tracing::debug!("{error}");
                return Ok(());
            }
        };
        for partition in partitions.into_keys() {
            if self.places.contains_key(&partition) {
                continue;
            }
            match self.raw.watermarks(partition, SHORT_ANSWER) {
                Ok((low, high)) => {
                    self.place(Assigned { partition, low, high }, low);
                    self.raw
                        .incremental_assign(&[from(partition, low)])
                        .map_err(|error| failed(&self.topic, &error))?;
                }
                // It may have no leader yet.
                Err(_) => self.look_at = now + ASK_AGAIN,
            }
        }
        Ok(())
    }
}

/// Readers of the tail know no leader epoch before their first record.
fn from(partition: i32, offset: i64) -> Position {
    Position { partition, offset, leader_epoch: None }
}

fn failed(topic: &str, error: &RawError) -> TopicError {
    TopicError::Read { topic: topic.to_owned(), detail: error.to_string() }
}

fn say(news: &mut Vec<News>, trouble: &mut Option<(String, Instant)>, text: String) {
    let is_new = trouble.as_ref().is_none_or(|(said, _)| *said != text);
    *trouble = Some((text.clone(), Instant::now()));
    if is_new {
        news.push(News::Trouble(text));
    }
}
