//! What librdkafka's callbacks and error entries leave for the consumer's thread to settle.

use rdkafka::error::RDKafkaErrorCode;

const TRUNCATION: &str = "Partition log truncation detected";

/// What a callback left for the polling thread.
#[derive(Debug)]
pub(in crate::kafka) enum Notice {
    Assign(Vec<i32>),
    /// `lost`: somebody else may already own them.
    Revoke {
        partitions: Vec<i32>,
        lost: bool,
    },
    /// Revoked partitions that had to leave before the owner of the state heard of it.
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

/// While the queue is full nobody settles notices: of errors alike only the newest stays.
pub(in crate::kafka) fn keep(notices: &mut Vec<Notice>, new: Notice) {
    notices.retain(|old| match (old, &new) {
        (Notice::Error { code: old, fatal: false, .. }, Notice::Error { code: new, .. }) => old != new,
        (
            Notice::Message { partition: old, code: old_code, .. },
            Notice::Message { partition: new, code: new_code, .. },
        ) => (old, old_code) != (new, new_code),
        _ => true,
    });
    notices.push(new);
}

/// librdkafka saw that the log it read lost its end, and maybe grew again: an unclean election of a leader. It says so
/// only in the text of a reset.
pub(in crate::kafka) fn tells_truncation(code: RDKafkaErrorCode, text: &str) -> bool {
    code == RDKafkaErrorCode::AutoOffsetReset && text.contains(TRUNCATION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_that_nobody_settles_are_bounded() {
        let error = |number: usize, fatal| Notice::Error {
            code: [RDKafkaErrorCode::AllBrokersDown, RDKafkaErrorCode::Authentication][number % 2],
            text: number.to_string(),
            fatal,
        };
        let message = |number: i32| Notice::Message {
            partition: number % 3,
            code: RDKafkaErrorCode::NotLeaderForPartition,
            text: number.to_string(),
        };
        let mut notices = Vec::new();
        for number in 0..100 {
            keep(&mut notices, error(number as usize, number == 10));
            keep(&mut notices, message(number));
            if number % 25 == 0 {
                keep(&mut notices, Notice::Assign(vec![number]));
                keep(&mut notices, Notice::Revoke { partitions: vec![number], lost: false });
            }
        }
        let count = |kind: fn(&Notice) -> bool| notices.iter().filter(|notice| kind(notice)).count();
        assert_eq!(count(|notice| matches!(notice, Notice::Assign(_))), 4);
        assert_eq!(count(|notice| matches!(notice, Notice::Revoke { .. })), 4);
        assert_eq!(count(|notice| matches!(notice, Notice::Error { fatal: true, .. })), 1);
        assert_eq!(notices.len(), 8 + 1 + 2 + 3, "{notices:?}");
        assert!(matches!(notices.last(), Some(Notice::Message { text, .. }) if text == "99"), "{notices:?}");
    }

    #[test]
    fn a_truncated_log_is_told_from_an_offset_out_of_range() {
        let library = RDKafkaErrorCode::LogTruncation.to_string();
        assert!(library.contains(TRUNCATION), "{library}");
        let reset = RDKafkaErrorCode::AutoOffsetReset;
        assert!(tells_truncation(reset, "No epoch found: Local: Partition log truncation detected (broker 1)"));
        assert!(!tells_truncation(reset, "fetch failed due to requested offset not available on the broker"));
    }
}
