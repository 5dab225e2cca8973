//! Places where a process can be told to die, for the fault harness (`tests/faults`).
//!
//! Only a build with the feature `faults` can: `TICKHOUSE_TEST_CRASH=ticks-uploaded:3` kills it, as SIGKILL does, when
//! it comes to that place for the third time. Without the feature a place costs nothing.

/// A place between two steps that another process can see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashPoint {
    /// The data files of a flush are in the store; nothing names them.
    TicksUploaded,
    /// The dead letters of a flush are committed, its ticks aren't.
    LettersCommitted,
    /// The commit of ticks is the next request.
    TicksCommitting,
    /// The commit of ticks is in the store; nobody was told.
    TicksCommitted,
    /// Before the offsets go to Kafka, for lag tools.
    OffsetsCommitting,
    /// Compacted files are in the store; nothing names them.
    Compacted,
    /// The commit that puts files in the place of others is the next request.
    Replacing,
    /// That commit is in the store; nobody was told.
    Replaced,
    /// Some of the files that no version needs are deleted.
    Vacuuming,
    /// The data files of a replay of dead letters are in the store; nothing names them.
    ReplayUploaded,
    /// The commit of a replay is in the store; nobody was told.
    ReplayCommitted,
}

impl CrashPoint {
    pub const ALL: [Self; 11] = [
        Self::TicksUploaded,
        Self::LettersCommitted,
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

    /// As `TICKHOUSE_TEST_CRASH` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::TicksUploaded => "ticks-uploaded",
            Self::LettersCommitted => "letters-committed",
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

/// Dies here if this process was told to.
#[cfg(feature = "faults")]
pub(crate) fn at(point: CrashPoint) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static ORDER: LazyLock<Option<(String, u64)>> = LazyLock::new(|| {
        let order = std::env::var("TICKHOUSE_TEST_CRASH").ok()?;
        let (name, times) = order.split_once(':').unwrap_or((&order, "1"));
        assert!(CrashPoint::ALL.iter().any(|point| point.name() == name), "no crash point {name}");
        Some((name.to_owned(), times.parse().expect("a number of times")))
    });
    static SEEN: AtomicU64 = AtomicU64::new(0);

    let Some((name, times)) = ORDER.as_ref().filter(|(name, _)| name == point.name()) else { return };
    if SEEN.fetch_add(1, Ordering::Relaxed) + 1 == *times {
        tracing::error!(point = name, "crash point");
        let killed = nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::Signal::SIGKILL);
        unreachable!("SIGKILL came back with {killed:?}");
    }
}

#[cfg(not(feature = "faults"))]
pub(crate) fn at(_: CrashPoint) {}
