//! Chooses how much is fetched and read at a time, by the decompressed size of the last messages. Pure.
//!
//! librdkafka decompresses a complete response on its own thread before any of it can be counted, and its limits are
//! those of the compressed bytes. A broker answers with one record batch at least, whatever the limit. So:
//! - a request never asks for more than [`LARGEST`]: with the strongest compression of gzip, 1:1032, that is 200 MB;
//! - the first request asks for [`FIRST`], and each next one for more only while responses stay small: repeated text
//!   unpacks to ten thousand times its size with zstd;
//! - responses that unpack to more than [`UNPACKED`] make the requests smaller, down to one record batch.

use rdkafka::config::ClientConfig;

/// Compressed bytes; more than this doesn't make a broker in the same region faster.
const LARGEST: i32 = 192 << 10;
const FIRST: i32 = 8 << 10;
const LEAST: i32 = 1 << 10;
/// Unpacked bytes of messages that wait at once, beyond which requests get smaller; below a quarter they grow.
const UNPACKED: usize = 16 << 20;
/// Unpacked bytes of messages that are taken at once.
const TAKEN: usize = 8 << 20;

/// The property that an operator may set: the largest request.
const PROPERTY: &str = "fetch.max.bytes";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kafka) struct FetchSize {
    /// Compressed bytes of the next request.
    bytes: i32,
    largest: i32,
    /// Messages that the next batch call takes.
    messages: usize,
    most: usize,
}

impl FetchSize {
    /// `most` messages are taken at once where they are small.
    pub(in crate::kafka) fn of(config: &ClientConfig, most: usize) -> Self {
        let largest = config.get(PROPERTY).and_then(|text| text.parse().ok()).unwrap_or(LARGEST);
        Self { bytes: FIRST.min(largest), largest, messages: most, most }
    }

    pub(in crate::kafka) fn bytes(&self) -> i32 {
        self.bytes
    }

    pub(in crate::kafka) fn messages(&self) -> usize {
        self.messages
    }

    /// A batch call took so many messages of so many bytes, and so many messages wait behind them.
    pub(in crate::kafka) fn taken(&mut self, count: usize, bytes: usize, waiting: usize) {
        if count == 0 {
            return;
        }
        let of_each = bytes / count + 1;
        let unpacked = bytes + waiting * of_each;
        if unpacked > UNPACKED {
            let share = UNPACKED as f64 / 2.0 / unpacked as f64;
            self.bytes = ((f64::from(self.bytes) * share) as i32).max(LEAST.min(self.largest));
        } else if unpacked < UNPACKED / 4 {
            self.bytes = self.bytes.saturating_mul(2).min(self.largest);
        }
        self.messages = (TAKEN / of_each).min(self.messages.saturating_mul(2)).clamp(1, self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> FetchSize {
        FetchSize::of(&ClientConfig::new(), 8_192)
    }

    #[test]
    fn small_messages_are_fetched_in_large_responses_after_a_few() {
        let mut size = fresh();
        assert_eq!(size.bytes(), FIRST);
        (0..5).for_each(|_| size.taken(1_000, 150_000, 0));
        assert_eq!((size.bytes(), size.messages()), (LARGEST, 8_192));
        size.taken(8_192, 1_228_800, 20_000);
        assert_eq!((size.bytes(), size.messages()), (LARGEST, 8_192));
    }

    #[test]
    fn responses_that_unpack_to_much_are_followed_by_smaller_ones() {
        let mut size = fresh();
        // 1 MiB each, of a thousandth on the wire.
        let wire = |size: &FetchSize| (size.bytes() as usize / 1_049).max(1);
        for _ in 0..50 {
            let unpacked = wire(&size) << 20;
            assert!(unpacked <= UNPACKED, "{unpacked} bytes by {size:?}");
            size.taken(wire(&size), unpacked, 0);
        }
        assert_eq!(size.messages(), 7);
        size.taken(1, 90 << 20, 10);
        assert_eq!((size.bytes(), size.messages()), (LEAST, 1));
        (0..20).for_each(|_| size.taken(10, 1_500, 0));
        assert_eq!((size.bytes(), size.messages()), (LARGEST, 8_192));
    }

    #[test]
    fn the_operator_says_what_is_the_largest() {
        let mut config = ClientConfig::new();
        config.set(PROPERTY, "4000000");
        let mut size = FetchSize::of(&config, 8_192);
        (0..20).for_each(|_| size.taken(1, 100, 0));
        assert_eq!(size.bytes(), 4_000_000);
    }
}
