//! Tracks whether the brokers are reachable. librdkafka reports when they become unreachable, but not when they
//! recover, so they are probed with a query of the topic's id meanwhile.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::kafka::TopicIdAnswer;

/// Interval of probes while the brokers are unreachable.
const PROBE_INTERVAL: Duration = Duration::from_secs(2);

pub(in crate::ingest) struct BrokerAvailability {
    unreachable: bool,
    probe_at: Instant,
    probe: Option<oneshot::Receiver<TopicIdAnswer>>,
}

impl BrokerAvailability {
    pub(in crate::ingest) fn new() -> Self {
        Self { unreachable: false, probe_at: Instant::now(), probe: None }
    }

    pub(in crate::ingest) fn are_unreachable(&self) -> bool {
        self.unreachable
    }

    pub(in crate::ingest) fn mark_unreachable(&mut self, now: Instant) {
        if !self.unreachable {
            self.unreachable = true;
            self.probe_at = now + PROBE_INTERVAL;
        }
    }

    /// The brokers have sent data or an answer.
    pub(in crate::ingest) fn mark_reachable(&mut self) {
        self.unreachable = false;
        self.probe = None;
    }

    /// Returns the sender for the answer if a probe is due. Brokers before Kafka 2.8 report no topic id; they count as
    /// reachable after their next message.
    pub(in crate::ingest) fn next_probe(&mut self, now: Instant) -> Option<oneshot::Sender<TopicIdAnswer>> {
        if let Some(Ok(Ok(Some(_)))) = self.probe.as_mut().map(oneshot::Receiver::try_recv) {
            self.mark_reachable();
        }
        if !self.unreachable || now < self.probe_at {
            return None;
        }
        let (answer, probe) = oneshot::channel();
        self.probe = Some(probe);
        self.probe_at = now + PROBE_INTERVAL;
        Some(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_reachable_when_they_answer() {
        let (mut brokers, mut now) = (BrokerAvailability::new(), Instant::now());
        assert!(brokers.next_probe(now).is_none() && !brokers.are_unreachable());
        brokers.mark_unreachable(now);
        assert!(brokers.next_probe(now).is_none(), "not at once");
        now += PROBE_INTERVAL;
        let answer = brokers.next_probe(now).unwrap();
        assert!(brokers.next_probe(now).is_none(), "one probe at a time");
        answer.send(Err("timed out".to_owned())).unwrap();
        now += PROBE_INTERVAL;
        let answer = brokers.next_probe(now).unwrap();
        assert!(brokers.are_unreachable());
        answer.send(Ok(Some("id".to_owned()))).unwrap();
        assert!(brokers.next_probe(now).is_none() && !brokers.are_unreachable());
        brokers.mark_unreachable(now);
        brokers.mark_reachable();
        assert!(!brokers.are_unreachable());
    }
}
