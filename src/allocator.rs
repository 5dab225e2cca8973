//! The C library's allocator, tuned for an ingest that runs for months.
//!
//! glibc gives every thread an arena. Messages are allocated on librdkafka's threads and freed on the consumer's, so
//! each arena keeps its own peak: 300 MiB instead of 210 in the benchmark.
//!
//! It gives back what is free at the end of the heap alone. What lives long between what comes and goes with every query
//! then keeps 200 MiB where 35 are used, and more with each day: so the pages in between are given back now and then.
#![allow(unsafe_code, reason = "mallopt and malloc_trim have no safe wrapper")]

use std::time::{Duration, Instant};

/// Between two times of giving pages back, which takes some milliseconds.
const GIVE_BACK_EVERY: Duration = Duration::from_secs(30);

/// Threads that start from now on share the arenas that exist; to be called before any starts. Costs a few percent
/// of speed.
pub fn share_arenas() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt takes glibc's own lock and only changes a limit.
    let taken = unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) } == 1;
    #[cfg(target_env = "gnu")]
    tracing::debug!(taken, "limit the allocator's arenas");
}

/// Gives free pages back to the system now and then, for as long as it is polled.
pub async fn give_back() {
    let mut every = tokio::time::interval(GIVE_BACK_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        if let Err(error) = tokio::task::spawn_blocking(trim).await {
            tracing::debug!(%error, "free memory was not given back");
        }
    }
}

fn trim() {
    let begun = Instant::now();
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes glibc's own locks, and touches free memory alone.
    let gave = unsafe { libc::malloc_trim(0) } == 1;
    #[cfg(not(target_env = "gnu"))]
    let gave = false;
    let (used, free) = in_use();
    tracing::trace!(gave, used, free, micros = begun.elapsed().as_micros() as u64, "free memory");
}

/// Bytes that are allocated, and those that glibc keeps free between them.
fn in_use() -> (usize, usize) {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: mallinfo2 takes glibc's own locks and only counts.
        let told = unsafe { libc::mallinfo2() };
        (told.uordblks + told.hblkhd, told.fordblks)
    }
    #[cfg(not(target_env = "gnu"))]
    (0, 0)
}
