//! Whether the brokers are away, as far as the loop hears: librdkafka tells when they go, and nobody tells when they come
//! back, so they are asked for the topic's id meanwhile.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::kafka::TopicIdAnswer;

/// Between two questions while they are away.
const ASK_EVERY: Duration = Duration::from_secs(2);

pub(in crate::ingest) struct Brokers {
    away: bool,
    ask_at: Instant,
    asked: Option<oneshot::Receiver<TopicIdAnswer>>,
}

impl Brokers {
    pub(in crate::ingest) fn new() -> Self {
        Self { away: false, ask_at: Instant::now(), asked: None }
    }

    pub(in crate::ingest) fn are_away(&self) -> bool {
        self.away
    }

    pub(in crate::ingest) fn have_gone(&mut self, now: Instant) {
        if !self.away {
            self.away = true;
            self.ask_at = now + ASK_EVERY;
        }
    }

    /// Something came that they alone can send.
    pub(in crate::ingest) fn are_back(&mut self) {
        self.away = false;
        self.asked = None;
    }

    /// Where their answer shall go, when it is time to ask. Those before Kafka 2.8, which know no id, are back with
    /// their next message.
    pub(in crate::ingest) fn question(&mut self, now: Instant) -> Option<oneshot::Sender<TopicIdAnswer>> {
        if let Some(Ok(Ok(Some(_)))) = self.asked.as_mut().map(oneshot::Receiver::try_recv) {
            self.are_back();
        }
        if !self.away || now < self.ask_at {
            return None;
        }
        let (answer, asked) = oneshot::channel();
        self.asked = Some(asked);
        self.ask_at = now + ASK_EVERY;
        Some(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_back_when_they_answer() {
        let (mut brokers, mut now) = (Brokers::new(), Instant::now());
        assert!(brokers.question(now).is_none() && !brokers.are_away());
        brokers.have_gone(now);
        assert!(brokers.question(now).is_none(), "not at once");
        now += ASK_EVERY;
        let answer = brokers.question(now).unwrap();
        assert!(brokers.question(now).is_none(), "one question at a time");
        answer.send(Err("timed out".to_owned())).unwrap();
        now += ASK_EVERY;
        let answer = brokers.question(now).unwrap();
        assert!(brokers.are_away());
        answer.send(Ok(Some("id".to_owned()))).unwrap();
        assert!(brokers.question(now).is_none() && !brokers.are_away());
        brokers.have_gone(now);
        brokers.are_back();
        assert!(!brokers.are_away());
    }
}
