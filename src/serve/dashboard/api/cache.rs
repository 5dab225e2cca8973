//! A cache of responses. Concurrent requests for the same response share one computation, and the response is kept
//! until the lake changes.
//!
//! A computation runs as long as at least one request waits for it. When all of them are gone, it is cancelled.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared, WeakShared};

use crate::serve::http::Problem;

/// Maximum size of all cached responses, in bytes.
const MOST_BYTES: usize = 64 << 20;

/// The request, and the version of the lake that it reads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::serve::dashboard) struct Key {
    pub(in crate::serve::dashboard) view: u64,
    pub(in crate::serve::dashboard) question: String,
}

type Outcome = Result<Bytes, Problem>;
type InFlight = BoxFuture<'static, Outcome>;

enum Entry {
    InFlight(WeakShared<InFlight>),
    Made { answer: Bytes, used: u64 },
}

#[derive(Default)]
struct Entries {
    by_key: HashMap<Key, Entry>,
    bytes: usize,
    /// Counter of uses, to find the least recently used response.
    clock: u64,
}

#[derive(Clone)]
pub(in crate::serve::dashboard) struct Cache {
    entries: Arc<Mutex<Entries>>,
    most_bytes: usize,
}

impl Cache {
    pub(in crate::serve::dashboard) fn new() -> Self {
        Self::with_capacity(MOST_BYTES)
    }

    fn with_capacity(most_bytes: usize) -> Self {
        Self { entries: Arc::default(), most_bytes }
    }

    /// Returns the response for `key`. It is computed by `make`, unless it is cached or already being computed.
    /// Failures are not cached.
    pub(in crate::serve::dashboard) async fn get(&self, key: Key, make: impl FnOnce() -> InFlight) -> Outcome {
        let making = match self.find_or_make(key, make) {
            CacheLookup::Made(answer) => return Ok(answer),
            CacheLookup::InFlight(making) => making,
        };
        making.await
    }

    fn find_or_make(&self, key: Key, make: impl FnOnce() -> InFlight) -> CacheLookup {
        let mut entries = self.entries();
        entries.clock += 1;
        let now = entries.clock;
        match entries.by_key.get_mut(&key) {
            Some(Entry::Made { answer, used }) => {
                *used = now;
                return CacheLookup::Made(answer.clone());
            }
            Some(Entry::InFlight(making)) => {
                if let Some(making) = making.upgrade() {
                    return CacheLookup::InFlight(making);
                }
            }
            None => {}
        }
        let (made, cache, of) = (make(), self.clone(), key.clone());
        let making = async move {
            let outcome = made.await;
            cache.keep(of, &outcome);
            outcome
        };
        let making = making.boxed().shared();
        entries.by_key.retain(|_, entry| !matches!(entry, Entry::InFlight(making) if making.upgrade().is_none()));
        if let Some(weak) = making.downgrade() {
            entries.by_key.insert(key, Entry::InFlight(weak));
        }
        CacheLookup::InFlight(making)
    }

    fn keep(&self, key: Key, outcome: &Outcome) {
        let mut entries = self.entries();
        let view = key.view;
        entries.by_key.remove(&key);
        let Ok(answer) = outcome else { return };
        let older = |key: &Key, entry: &Entry| key.view < view && matches!(entry, Entry::Made { .. });
        entries.by_key.retain(|key, entry| !older(key, entry));
        let used = entries.clock;
        entries.by_key.insert(key, Entry::Made { answer: answer.clone(), used });
        entries.bytes = entries.by_key.values().map(Entry::bytes).sum();
        while entries.bytes > self.most_bytes {
            let made = entries.by_key.iter().filter_map(|(key, entry)| Some((entry.used()?, key.clone())));
            let Some((_, oldest)) = made.min_by_key(|(used, _)| *used) else { break };
            let removed = entries.by_key.remove(&oldest).map_or(0, |entry| entry.bytes());
            entries.bytes -= removed;
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum CacheLookup {
    Made(Bytes),
    InFlight(Shared<InFlight>),
}

impl Entry {
    fn bytes(&self) -> usize {
        match self {
            Self::InFlight(_) => 0,
            Self::Made { answer, .. } => answer.len(),
        }
    }

    fn used(&self) -> Option<u64> {
        match self {
            Self::InFlight(_) => None,
            Self::Made { used, .. } => Some(*used),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    fn key(view: u64, question: &str) -> Key {
        Key { view, question: question.to_owned() }
    }

    fn made(bytes: usize) -> impl FnOnce() -> InFlight {
        move || async move { Ok(Bytes::from(vec![b'x'; bytes])) }.boxed()
    }

    fn never() -> InFlight {
        panic!("it is there already")
    }

    #[tokio::test]
    async fn one_makes_what_many_ask_for() {
        let (cache, made) = (Cache::new(), Arc::new(AtomicUsize::new(0)));
        let (send, receive) = oneshot::channel::<()>();
        let mut receive = Some(receive);
        let asks: Vec<_> = (0..50)
            .map(|_| {
                let made = Arc::clone(&made);
                let receive = receive.take();
                let make = move || {
                    async move {
                        made.fetch_add(1, Ordering::Relaxed);
                        receive.expect("the first one makes it").await.unwrap();
                        Ok(Bytes::from_static(b"answer"))
                    }
                    .boxed()
                };
                let cache = cache.clone();
                async move { cache.get(key(1, "q"), make).await }
            })
            .collect();
        let asking = tokio::spawn(futures::future::join_all(asks));
        while made.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        send.send(()).unwrap();
        assert!(asking.await.unwrap().into_iter().all(|answer| answer.unwrap() == "answer"));
        assert_eq!(made.load(Ordering::Relaxed), 1);
        assert_eq!(cache.get(key(1, "q"), never).await.unwrap(), "answer");
    }

    #[tokio::test]
    async fn what_nobody_waits_for_stops() {
        struct Dropped(Arc<AtomicUsize>);
        impl Drop for Dropped {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let (cache, dropped) = (Cache::new(), Arc::new(AtomicUsize::new(0)));
        let guard = Dropped(Arc::clone(&dropped));
        let make = move || {
            async move {
                let _guard = guard;
                futures::future::pending().await
            }
            .boxed()
        };
        let mut first = cache.get(key(1, "q"), make).boxed();
        let mut second = cache.get(key(1, "q"), never).boxed();
        assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());
        drop(first);
        assert_eq!(dropped.load(Ordering::Relaxed), 0);
        drop(second);
        assert_eq!(dropped.load(Ordering::Relaxed), 1);
        assert_eq!(cache.get(key(1, "q"), made(1)).await.unwrap(), "x");
    }

    #[tokio::test]
    async fn what_is_kept_is_bounded_and_of_the_newest_view() {
        let cache = Cache::with_capacity(100);
        for question in ["a", "b", "c"] {
            cache.get(key(1, question), made(30)).await.unwrap();
        }
        cache.get(key(1, "a"), never).await.unwrap();
        cache.get(key(1, "d"), made(30)).await.unwrap();
        cache.get(key(1, "a"), never).await.unwrap();
        cache.get(key(1, "b"), made(1)).await.unwrap();
        cache.get(key(1, "too large"), made(101)).await.unwrap();
        assert!(cache.entries().bytes <= 100);
        cache.get(key(2, "a"), made(30)).await.unwrap();
        assert_eq!(cache.entries().by_key.len(), 1);
        let problem = || async { Err(Problem::wrong("no")) }.boxed();
        assert!(cache.get(key(2, "e"), problem).await.is_err());
        assert!(cache.get(key(2, "e"), made(1)).await.is_ok());
    }
}
