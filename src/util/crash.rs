//! Points where a process can be made to crash, for the fault harness (`tests/faults`).
//!
//! They exist in development builds, and in a release build only with the feature `faults`:
//! `TICKHOUSE_TEST_CRASH=ticks-uploaded:3` kills the process with SIGKILL when it reaches that point for the third
//! time. Elsewhere a point costs nothing.

/// A point between two steps that are visible to other processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashPoint {
    /// The data files of a flush are in the store; nothing references them.
    TicksUploaded,
    /// The dead letters of a flush are committed, its ticks aren't.
    DeadLettersCommitted,
    /// The commit of ticks is the next request.
    TicksCommitting,
    /// The commit of ticks is in the store, but not reported yet.
    TicksCommitted,
    /// Before the offsets are committed to Kafka, for lag tools.
    OffsetsCommitting,
    /// Compacted files are in the store; nothing references them.
    Compacted,
    /// The commit that replaces files is the next request.
    Replacing,
    /// That commit is in the store, but not reported yet.
    Replaced,
    /// Some of the files that no version needs are deleted.
    Vacuuming,
    /// The data files of a replay of dead letters are in the store; nothing references them.
    ReplayUploaded,
    /// The commit of a replay is in the store, but not reported yet.
    ReplayCommitted,
}

impl CrashPoint {
    pub const ALL: [Self; 11] = [
        Self::TicksUploaded,
        Self::DeadLettersCommitted,
        Self::TicksCommitting,
        Self::TicksCommitted,
        Self::OffsetsCommitting,
        Self::Compacted,
        Self::Replacing,
        Self::Replaced,
        Self::Vacuuming,
        Self::ReplayUploaded,
        Self::ReplayCommitted,
    ];

    /// Name for `TICKHOUSE_TEST_CRASH`.
    pub fn name(self) -> &'static str {
        match self {
            Self::TicksUploaded => "ticks-uploaded",
            Self::DeadLettersCommitted => "letters-committed",
            Self::TicksCommitting => "ticks-committing",
            Self::TicksCommitted => "ticks-committed",
            Self::OffsetsCommitting => "offsets-committing",
            Self::Compacted => "compacted",
            Self::Replacing => "replacing",
            Self::Replaced => "replaced",
            Self::Vacuuming => "vacuuming",
            Self::ReplayUploaded => "replay-uploaded",
            Self::ReplayCommitted => "replay-committed",
        }
    }
}

/// Kills this process if it was told to crash here.
#[cfg(any(debug_assertions, feature = "faults"))]
pub(crate) fn at(point: CrashPoint) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static TARGET: LazyLock<Option<(String, u64)>> = LazyLock::new(|| {
        let target = std::env::var("TICKHOUSE_TEST_CRASH").ok()?;
        let (name, times) = target.split_once(':').unwrap_or((&target, "1"));
        assert!(CrashPoint::ALL.iter().any(|point| point.name() == name), "no crash point {name}");
        Some((name.to_owned(), times.parse().expect("a number of times")))
    });
    static PASSES: AtomicU64 = AtomicU64::new(0);

    let Some((name, times)) = TARGET.as_ref().filter(|(name, _)| name == point.name()) else { return };
    if PASSES.fetch_add(1, Ordering::Relaxed) + 1 == *times {
        tracing::error!(point = name, "crash point");
        let killed = nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::Signal::SIGKILL);
        unreachable!("SIGKILL came back with {killed:?}");
    }
}

#[cfg(not(any(debug_assertions, feature = "faults")))]
pub(crate) fn at(_: CrashPoint) {}
