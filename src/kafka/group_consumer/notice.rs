//! Notices that librdkafka's callbacks and error entries leave for the consumer thread.

use rdkafka::error::RDKafkaErrorCode;

const TRUNCATION: &str = "Partition log truncation detected";

/// A notice of a callback for the consumer thread.
#[derive(Debug)]
pub(in crate::kafka) enum ConsumerNotice {
    Assign(Vec<i32>),
    /// `lost`: another member may already own them.
    Revoke {
        partitions: Vec<i32>,
        lost: bool,
    },
    /// Revoked partitions that were released before the owner of the state was notified.
    HandedOver {
        partitions: Vec<i32>,
    },
    Error {
        code: RDKafkaErrorCode,
        text: String,
        fatal: bool,
    },
    /// An error in place of a message.
    Message {
        partition: i32,
        code: RDKafkaErrorCode,
        text: String,
    },
}

/// Adds a notice. While the queue is full notices are not processed, so only the newest of similar errors is kept.
pub(in crate::kafka) fn keep(notices: &mut Vec<ConsumerNotice>, new: ConsumerNotice) {
    notices.retain(|old| match (old, &new) {
        (ConsumerNotice::Error { code: old, fatal: false, .. }, ConsumerNotice::Error { code: new, .. }) => old != new,
        (
            ConsumerNotice::Message { partition: old, code: old_code, .. },
            ConsumerNotice::Message { partition: new, code: new_code, .. },
        ) => (old, old_code) != (new, new_code),
        _ => true,
    });
    notices.push(new);
}

/// Returns true if librdkafka detected that a log was truncated, as after an unclean leader election. It reports that
/// only in the text of an offset reset.
pub(in crate::kafka) fn is_truncation(code: RDKafkaErrorCode, text: &str) -> bool {
    code == RDKafkaErrorCode::AutoOffsetReset && text.contains(TRUNCATION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_that_are_not_processed_are_bounded() {
        let error = |number: usize, fatal| ConsumerNotice::Error {
            code: [RDKafkaErrorCode::AllBrokersDown, RDKafkaErrorCode::Authentication][number % 2],
            text: number.to_string(),
            fatal,
        };
        let message = |number: i32| ConsumerNotice::Message {
            partition: number % 3,
            code: RDKafkaErrorCode::NotLeaderForPartition,
            text: number.to_string(),
        };
        let mut notices = Vec::new();
        for number in 0..100 {
            keep(&mut notices, error(number as usize, number == 10));
            keep(&mut notices, message(number));
            if number % 25 == 0 {
                keep(&mut notices, ConsumerNotice::Assign(vec![number]));
                keep(&mut notices, ConsumerNotice::Revoke { partitions: vec![number], lost: false });
            }
        }
        let count = |kind: fn(&ConsumerNotice) -> bool| notices.iter().filter(|notice| kind(notice)).count();
        assert_eq!(count(|notice| matches!(notice, ConsumerNotice::Assign(_))), 4);
        assert_eq!(count(|notice| matches!(notice, ConsumerNotice::Revoke { .. })), 4);
        assert_eq!(count(|notice| matches!(notice, ConsumerNotice::Error { fatal: true, .. })), 1);
        assert_eq!(notices.len(), 8 + 1 + 2 + 3, "{notices:?}");
        assert!(matches!(notices.last(), Some(ConsumerNotice::Message { text, .. }) if text == "99"), "{notices:?}");
    }

    #[test]
    fn a_truncated_log_is_told_from_an_offset_out_of_range() {
        let library = RDKafkaErrorCode::LogTruncation.to_string();
        assert!(library.contains(TRUNCATION), "{library}");
        let reset = RDKafkaErrorCode::AutoOffsetReset;
        assert!(is_truncation(reset, "No epoch found: Local: Partition log truncation detected (broker 1)"));
        assert!(!is_truncation(reset, "fetch failed due to requested offset not available on the broker"));
    }
}
