//! Plans which files of a table are merged: pure, from sizes, times and ages alone.
//!
//! A date that still receives files is merged by size tiers, so that a row is rewritten only a few times. A settled
//! date gets files of the target size that don't overlap in time; a late row affects only the files that it overlaps.

use std::collections::BTreeMap;
use std::ops::Range;

const MIB: u64 = 1 << 20;
/// A file of a tier is this many times as large as one of the tier below.
const TIER_GROWTH: u64 = 8;
/// Points in time that represent the rows of a file when an output is cut.
const SAMPLES: i64 = 16;

/// Sizes are those of the files in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompactionLimits {
    /// Files from this size on stay as they are.
    pub done_bytes: u64,
    /// Target size of output files.
    pub target_bytes: u64,
    /// Maximum bytes that one job reads.
    pub job_bytes: u64,
    /// Maximum number of files that one job has open at once.
    pub job_files: usize,
    /// Bytes of memory that one job may take.
    pub memory: u64,
    /// Minimum number of files of a tier for a job.
    pub tier_files: usize,
    /// A date that still receives files is left alone while it has at most this many.
    pub left_files: usize,
    /// A date is settled when its newest file is this old; milliseconds.
    pub settled_ms: i64,
}

impl Default for CompactionLimits {
    fn default() -> Self {
        Self {
            done_bytes: 128 * MIB,
            target_bytes: 256 * MIB,
            job_bytes: 2048 * MIB,
            job_files: 32,
            memory: 128 * MIB,
            tier_files: 8,
            left_files: 0,
            settled_ms: 15 * 60 * 1000,
        }
    }
}

/// A file as the plan sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CompactionCandidate {
    /// Index in the caller's list.
    pub file: usize,
    /// Days since 1970-01-01.
    pub partition_value: i32,
    pub bytes: u64,
    /// First and last time of its rows, microseconds since the epoch.
    pub times: (i64, i64),
    /// When it was added, milliseconds since the epoch.
    pub modified_ms: i64,
}

impl CompactionCandidate {
    fn overlaps(&self, other: &Self) -> bool {
        self.times.0 <= other.times.1 && other.times.0 <= self.times.1
    }
}

/// Files of one partition value that become one file, plus one for each cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompactionJob {
    pub partition_value: i32,
    /// Indices in the caller's list.
    pub files: Vec<usize>,
    pub bytes: u64,
    /// Times that separate the outputs, ascending; a row at the time of a cut goes after it.
    pub cuts: Vec<i64>,
}

impl CompactionJob {
    /// A job for some of its files. `candidates` are those of the plan.
    pub(super) fn of(&self, files: &[usize], candidates: &[CompactionCandidate], limits: &CompactionLimits) -> Self {
        let of = |file: &usize| candidates.iter().find(|candidate| candidate.file == *file).copied();
        job(&files.iter().filter_map(of).collect::<Vec<_>>(), limits)
    }
}

/// Jobs ordered by date. No file is in two of them; their outputs may be planned again.
pub(super) fn plan(files: &[CompactionCandidate], limits: &CompactionLimits, now_ms: i64) -> Vec<CompactionJob> {
    let mut dates: BTreeMap<i32, Vec<CompactionCandidate>> = BTreeMap::new();
    for file in files {
        dates.entry(file.partition_value).or_default().push(*file);
    }
    let mut jobs = Vec::new();
    for (_, mut files) in dates {
        if files.len() < 2 {
            continue;
        }
        files.sort_by_key(|file| (file.times, file.file));
        let newest = files.iter().map(|file| file.modified_ms).max().unwrap_or(i64::MAX);
        match now_ms.saturating_sub(newest) >= limits.settled_ms {
            true => plan_closed_date(&files, limits, &mut jobs),
            false if files.len() > limits.left_files => by_tier(&files, limits, &mut jobs),
            false => {}
        }
    }
    jobs
}

fn tier(bytes: u64) -> u32 {
    (bytes / MIB).checked_ilog(TIER_GROWTH).map_or(0, |tier| tier + 1)
}

fn by_tier(files: &[CompactionCandidate], limits: &CompactionLimits, jobs: &mut Vec<CompactionJob>) {
    let mut tiers: BTreeMap<u32, Vec<CompactionCandidate>> = BTreeMap::new();
    for file in files.iter().filter(|file| file.bytes < limits.done_bytes) {
        tiers.entry(tier(file.bytes)).or_default().push(*file);
    }
    for files in tiers.values() {
        let packs = packs(files, limits).into_iter().map(|pack| &files[pack]);
        jobs.extend(packs.filter(|pack| pack.len() >= limits.tier_files).map(|pack| job(pack, limits)));
    }
}

fn plan_closed_date(files: &[CompactionCandidate], limits: &CompactionLimits, jobs: &mut Vec<CompactionJob>) {
    let (done, small): (Vec<CompactionCandidate>, Vec<CompactionCandidate>) =
        files.iter().partition(|file| file.bytes >= limits.done_bytes);
    let late: u64 = small.iter().filter(|one| done.iter().any(|file| file.overlaps(one))).map(|one| one.bytes).sum();
    let reopened: Vec<CompactionCandidate> =
        done.into_iter().filter(|file| small.iter().any(|one| file.overlaps(one))).collect();
    let reopened_bytes: u64 = reopened.iter().map(|file| file.bytes).sum();
    let mut inputs = small;
    // A small file of late rows that spans a full day stays separate.
    if reopened_bytes <= 2 * limits.target_bytes || late * TIER_GROWTH >= reopened_bytes {
        inputs.extend(reopened);
        inputs.sort_by_key(|file| (file.times, file.file));
    }
    let packs = packs(&inputs, limits);
    // With more than one, what they make is planned again.
    jobs.extend(
        packs.into_iter().map(|pack| &inputs[pack]).filter(|pack| pack.len() > 1).map(|pack| job(pack, limits)),
    );
}

/// Neighbours in time, as many as a job may have.
fn packs(files: &[CompactionCandidate], limits: &CompactionLimits) -> Vec<Range<usize>> {
    let mut packs = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (at, file) in files.iter().enumerate() {
        if at > start && (at - start == limits.job_files || bytes + file.bytes > limits.job_bytes) {
            packs.push(start..at);
            (start, bytes) = (at, 0);
        }
        bytes += file.bytes;
    }
    packs.push(start..files.len());
    packs
}

fn job(files: &[CompactionCandidate], limits: &CompactionLimits) -> CompactionJob {
    let bytes = files.iter().map(|file| file.bytes).sum();
    CompactionJob {
        partition_value: files[0].partition_value,
        files: files.iter().map(|file| file.file).collect(),
        bytes,
        cuts: cuts(files, bytes / limits.target_bytes),
    }
}

/// Times that divide the bytes of the files evenly, assuming that the rows of a file are spread evenly over its time.
fn cuts(files: &[CompactionCandidate], parts: u64) -> Vec<i64> {
    if parts < 2 {
        return Vec::new();
    }
    let sample = |file: &CompactionCandidate, at: i64| {
        let (first, last) = file.times;
        (first + (i128::from(last - first) * i128::from(at) / i128::from(SAMPLES)) as i64, file.bytes)
    };
    let mut samples: Vec<(i64, u64)> =
        files.iter().flat_map(|file| (0..SAMPLES).map(move |at| sample(file, at))).collect();
    samples.sort_unstable();
    let all: u64 = samples.iter().map(|(_, bytes)| bytes).sum();
    let (mut before, mut cuts) = (0, Vec::new());
    for (time, bytes) in samples {
        if before * parts >= all * (cuts.len() as u64 + 1) && cuts.last() != Some(&time) {
            cuts.push(time);
        }
        before += bytes;
    }
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: CompactionLimits = CompactionLimits {
        done_bytes: 128 * MIB,
        target_bytes: 256 * MIB,
        job_bytes: 2048 * MIB,
        job_files: 32,
        memory: 128 * MIB,
        tier_files: 8,
        left_files: 0,
        settled_ms: 1_000,
    };

    fn files(count: usize, bytes: u64, modified_ms: i64) -> Vec<CompactionCandidate> {
        let file = |file: usize| CompactionCandidate {
            file,
            partition_value: 7,
            bytes,
            times: (file as i64 * 100, file as i64 * 100 + 99),
            modified_ms,
        };
        (0..count).map(file).collect()
    }

    #[test]
    fn a_date_that_gets_files_waits_for_enough_of_a_tier() {
        assert!(plan(&files(7, MIB / 2, 0), &LIMITS, 999).is_empty());
        let jobs = plan(&files(9, MIB / 2, 0), &LIMITS, 999);
        assert_eq!(jobs.len(), 1);
        assert_eq!(jobs[0].files, (0..9).collect::<Vec<_>>());
        let mut tiers = files(7, MIB / 2, 0);
        tiers.extend(files(14, 3 * MIB, 0).into_iter().skip(7));
        assert!(plan(&tiers, &LIMITS, 999).is_empty());
        // 32 at once, and 8 more are enough.
        let jobs = plan(&files(40, MIB / 2, 0), &LIMITS, 999);
        assert_eq!(jobs.iter().map(|job| job.files.len()).collect::<Vec<_>>(), [32, 8]);
    }

    #[test]
    fn a_date_with_few_files_is_left_where_the_limits_say_so() {
        let of = |left_files| plan(&files(32, MIB / 4, 0), &CompactionLimits { left_files, ..LIMITS }, 999).len();
        assert_eq!((of(31), of(32)), (1, 0));
    }

    #[test]
    fn a_settled_date_becomes_files_of_the_wanted_size() {
        assert!(plan(&files(1, MIB, 0), &LIMITS, 1_000).is_empty());
        let jobs = plan(&files(2, MIB, 0), &LIMITS, 1_000);
        assert_eq!((jobs.len(), jobs[0].cuts.len()), (1, 0));
        assert!(plan(&files(20, 200 * MIB, 0), &LIMITS, 1_000).is_empty(), "done");
        let jobs = plan(&files(20, 100 * MIB, 0), &LIMITS, 1_000);
        assert_eq!(jobs.len(), 1);
        assert_eq!(jobs[0].cuts.len(), 2000 / 256 - 1);
        assert!(jobs[0].cuts.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", jobs[0].cuts);
        let even = 2000 / jobs[0].cuts.len() as i64;
        assert!(
            jobs[0].cuts.iter().zip(1..).all(|(cut, part)| (cut - part * even * 7 / 8).abs() < even),
            "{:?}",
            jobs[0].cuts
        );
    }

    #[test]
    fn late_rows_reopen_what_they_overlap() {
        let mut day = files(20, 200 * MIB, 0);
        day.push(CompactionCandidate { file: 20, bytes: MIB, times: (450, 460), ..day[0] });
        let jobs = plan(&day, &LIMITS, 1_000);
        assert_eq!(jobs.iter().map(|job| job.files.clone()).collect::<Vec<_>>(), [[4, 20]]);
        // Files that span a full day stay separate, and become one.
        day[20].times = (0, 2_000);
        assert!(plan(&day, &LIMITS, 1_000).is_empty());
        day.push(CompactionCandidate { file: 21, ..day[20] });
        assert_eq!(plan(&day, &LIMITS, 1_000)[0].files, [20, 21]);
        // Many of them are worth it.
        day[20].bytes = 127 * MIB;
        (day[20].times, day[21].times) = ((0, 450), (100, 200));
        let jobs = plan(&day, &LIMITS, 1_000);
        assert_eq!(jobs.iter().map(|job| job.files.clone()).collect::<Vec<_>>(), [[0, 20, 1, 21, 2, 3, 4]]);
    }

    #[test]
    fn rounds_end() {
        for (count, bytes) in [(17_280, 40_000), (3_000, 5 * MIB), (50, 120 * MIB)] {
            let mut day = files(count, bytes, 0);
            for round in 0.. {
                assert!(round < 8, "{count} files of {bytes} bytes: {} are left", day.len());
                let jobs = plan(&day, &LIMITS, 1_000);
                if jobs.is_empty() {
                    break;
                }
                let gone: Vec<usize> = jobs.iter().flat_map(|job| job.files.clone()).collect();
                let mut next: Vec<CompactionCandidate> =
                    day.iter().filter(|file| !gone.contains(&file.file)).copied().collect();
                for job in &jobs {
                    let times = |of: fn(&(i64, i64)) -> i64| {
                        day.iter().filter(|file| job.files.contains(&file.file)).map(move |file| of(&file.times))
                    };
                    let (first, last) = (times(|times| times.0).min().unwrap(), times(|times| times.1).max().unwrap());
                    let ends = job.cuts.iter().copied().chain([last + 1]);
                    let starts = [first].into_iter().chain(job.cuts.iter().copied());
                    let parts = job.cuts.len() as u64 + 1;
                    next.extend(starts.zip(ends).map(|(start, end)| CompactionCandidate {
                        file: 0,
                        partition_value: 7,
                        bytes: job.bytes / parts,
                        times: (start, end - 1),
                        modified_ms: 0,
                    }));
                }
                next.iter_mut().enumerate().for_each(|(at, file)| file.file = at);
                day = next;
            }
            let small = day.iter().filter(|file| file.bytes < LIMITS.done_bytes).count();
            assert!(small <= 1, "{count} files of {bytes} bytes: {small} small ones are left");
        }
    }
}
