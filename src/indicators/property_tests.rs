//! The kernels against a recomputation of every frame, on series that break running sums.

use std::num::NonZeroUsize;

use proptest::prelude::*;

use super::*;

type Series = Vec<Option<f64>>;

fn price() -> impl Strategy<Value = f64> {
    prop_oneof![
        12 => (1_000..200_000i32).prop_map(|cents| f64::from(cents) / 100.0),
        2 => Just(100.0),
        1 => -50.0..50.0f64,
        1 => prop::sample::select(vec![0.0, -0.0, 1e16, -1e16, 1e-300, f64::MIN_POSITIVE]),
        1 => prop::sample::select(vec![f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
    ]
}

fn series() -> impl Strategy<Value = Series> {
    prop::collection::vec(prop_oneof![9 => price().prop_map(Some), 1 => Just(None)], 0..120)
}

fn frame() -> impl Strategy<Value = Frame> {
    let rows = prop_oneof![4 => (1..30usize).prop_map(NonZeroUsize::new), 1 => Just(None)];
    (rows, prop_oneof![3 => Just(0usize), 1 => 1..5usize]).prop_map(|(rows, lag)| Frame { rows, lag })
}

/// Ends of slices: the kernels must not care where they are.
fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1..17usize, 1..40)
}

fn slices(len: usize, cuts: &[usize]) -> Vec<std::ops::Range<usize>> {
    let mut ranges = Vec::new();
    let (mut start, mut cuts) = (0, cuts.iter().cycle());
    while start < len {
        let end = len.min(start + cuts.next().unwrap());
        ranges.push(start..end);
        start = end;
    }
    ranges
}

fn window(series: &Series, frame: Frame, row: usize) -> Vec<f64> {
    let end = (row + 1).saturating_sub(frame.lag);
    let start = frame.rows.map_or(0, |rows| end.saturating_sub(rows.get()));
    series[start..end].iter().copied().flatten().collect()
}

fn folded<F: Fold<Value = f64>>(series: &Series, frame: Frame, cuts: &[usize]) -> Vec<F::State> {
    let mut frames = Frames::<F>::new(frame);
    let mut states = Vec::new();
    for range in slices(series.len(), cuts) {
        let values = &series[range];
        frames.extend(values.len(), |at| values[at].map_or(F::EMPTY, F::of), &mut states);
    }
    states
}

fn same_kind(found: f64, expected: f64) -> bool {
    (found.is_nan() && expected.is_nan()) || found == expected
}

proptest! {
    #[test]
    fn sums_are_those_of_the_frame_alone(series in series(), frame in frame(), cuts in cuts()) {
        for (row, found) in folded::<Sum>(&series, frame, &cuts).into_iter().enumerate() {
            let values = window(&series, frame, row);
            let expected: f64 = values.iter().sum();
            if expected.is_finite() {
                let magnitude: f64 = values.iter().map(|value| value.abs()).sum();
                prop_assert!((found - expected).abs() <= 1e-14 * magnitude, "row {row}: {found} is not {expected}");
            } else {
                prop_assert!(same_kind(found, expected), "row {row}: {found} is not {expected}");
            }
        }
    }

    #[test]
    fn extremes_are_those_of_the_frame_alone(series in series(), frame in frame(), cuts in cuts()) {
        let greatest = folded::<Greatest<f64>>(&series, frame, &cuts);
        let least = folded::<Least<f64>>(&series, frame, &cuts);
        for row in 0..series.len() {
            let mut values = window(&series, frame, row);
            let by_value = |a: &f64, b: &f64| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal);
        values.sort_by(|a, b| a.is_nan().cmp(&b.is_nan()).then(by_value(a, b)));
            let (Some(first), Some(last)) = (values.first(), values.last()) else { continue };
            prop_assert!(same_kind(least[row], *first), "row {row}: {} is not {first}", least[row]);
            prop_assert!(same_kind(greatest[row], *last), "row {row}: {} is not {last}", greatest[row]);
        }
    }

    #[test]
    fn counts_are_those_of_the_frame_alone(series in series(), frame in frame(), cuts in cuts()) {
        let mut counter = NonNullCounter::new(frame);
        let mut counts = Vec::new();
        for range in slices(series.len(), &cuts) {
            let values = &series[range];
            let is_known = values.contains(&None).then_some(|at: usize| values[at].is_some());
            counter.extend(values.len(), is_known, &mut counts);
        }
        let expected: Vec<i64> = (0..series.len()).map(|row| window(&series, frame, row).len() as i64).collect();
        prop_assert_eq!(counts, expected);
    }

    #[test]
    fn moments_leave_no_trace_and_are_alike_in_any_slices(series in series(), frame in frame(), cuts in cuts()) {
        let states = folded::<Moments>(&series, frame, &cuts);
        let whole = folded::<Moments>(&series, frame, &[usize::MAX]);
        for (row, state) in states.iter().enumerate() {
            let values = window(&series, frame, row);
            prop_assert_eq!(state.count, values.len() as f64);
            let (one, other) = (state.sample_variance(), whole[row].sample_variance());
            prop_assert_eq!(one.map(f64::to_bits), other.map(f64::to_bits));
            let clean = values.iter().all(|value| value.is_finite());
            prop_assert_eq!(one.is_some(), values.len() > 1);
            prop_assert_eq!(one.is_none_or(f64::is_finite), clean || values.len() < 2);
        }
    }

    /// Prices in steps of 1/1024 far from zero: their variance is exact in whole numbers.
    #[test]
    fn variances_are_exact_to_twelve_places(
        base in prop::sample::select(vec![0i64, 100 << 10, 1 << 30, 1 << 44]),
        steps in prop::collection::vec(-5_000..5_000i64, 2..150),
        frame in frame(),
        cuts in cuts(),
    ) {
        let series: Series = steps.iter().map(|step| Some((base + step) as f64 / 1024.0)).collect();
        for (row, state) in folded::<Moments>(&series, frame, &cuts).into_iter().enumerate() {
            let end = (row + 1).saturating_sub(frame.lag);
            let start = frame.rows.map_or(0, |rows| end.saturating_sub(rows.get()));
            let whole: Vec<i128> = steps[start..end].iter().map(|step| i128::from(*step)).collect();
            let count = whole.len() as i128;
            let (sum, squares) = (whole.iter().sum::<i128>(), whole.iter().map(|step| step * step).sum::<i128>());
            let spread = (count * squares - sum * sum) as f64 / (1024.0 * 1024.0);
            let expected = (count > 1).then(|| spread / (count * (count - 1)) as f64);
            let found = state.sample_variance();
            let near = match (found, expected) {
                (Some(found), Some(expected)) => (found - expected).abs() <= 1e-12 * expected,
                (found, expected) => found == expected,
            };
            prop_assert!(near, "row {row}: {found:?} is not {expected:?}");
        }
    }

    #[test]
    fn previous_values_are_those_before(series in series(), distance in 0..40usize, cuts in cuts()) {
        let mut previous = LaggedValues::new(distance);
        let mut found = Vec::new();
        for range in slices(series.len(), &cuts) {
            let values = &series[range];
            previous.extend(values.len(), |at| values[at], |value| found.push(value.map(f64::to_bits)));
        }
        let before = |row: usize| series[row.checked_sub(distance)?].map(f64::to_bits);
        prop_assert_eq!(found, (0..series.len()).map(before).collect::<Vec<_>>());
    }

    #[test]
    fn a_z_score_looks_at_the_rows_before(series in series(), rows in 2..12usize) {
        let mut kernel = ZScore::new(NonZeroUsize::new(rows).unwrap());
        for row in 0..series.len() {
            let found = kernel.push(series[row]);
            let before = row.checked_sub(rows).map(|start| &series[start..row]);
            let known = before.and_then(|before| before.iter().copied().collect::<Option<Vec<f64>>>());
            let Some((values, value)) = known.zip(series[row]) else {
                prop_assert_eq!(found, None);
                continue;
            };
            let mean = values.iter().sum::<f64>() / rows as f64;
            let deviation = (values.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / (rows - 1) as f64).sqrt();
            if values.iter().all(|one| one == &values[0]) {
                prop_assert_eq!(found.filter(|score| score.is_finite()), None);
            } else if deviation.is_finite() && value.is_finite() && mean.abs() < 1e6 * deviation {
                let expected = (value - mean) / deviation;
                let found = found.unwrap();
                prop_assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{found} is not {expected}");
            }
        }
    }

    #[test]
    fn the_last_sign_skips_zeros(signs in prop::collection::vec(-1..=1i8, 0..60)) {
        let mut kernel = LastSign::default();
        for row in 0..signs.len() {
            let expected = signs[..row].iter().rev().find(|sign| **sign != 0).copied().unwrap_or(0);
            prop_assert_eq!(kernel.push(signs[row]), expected);
        }
    }
}

#[test]
fn one_huge_tick_and_one_nan_are_forgotten() {
    let mut series: Series = (0..60).map(|n| Some(100.0 + f64::from(n % 7))).collect();
    let clean = series.clone();
    series[20] = Some(1e16);
    series[21] = Some(f64::NAN);
    let frame = Frame { rows: NonZeroUsize::new(9), lag: 0 };
    let (found, expected) = (folded::<Sum>(&series, frame, &[7]), folded::<Sum>(&clean, frame, &[7]));
    assert_eq!(found[..20], expected[..20]);
    assert!(found[20] > 1e15 && found[21].is_nan() && found[29].is_nan());
    assert_eq!(found[30..], expected[30..]);
}

#[test]
fn a_frame_longer_than_the_series_is_all_of_it() {
    let series: Series = vec![Some(1.0), Some(2.0), Some(4.0)];
    let frame = Frame { rows: NonZeroUsize::new(usize::MAX), lag: 0 };
    assert_eq!(folded::<Sum>(&series, frame, &[2]), [1.0, 3.0, 7.0]);
    let later = Frame { rows: NonZeroUsize::new(2), lag: 1 };
    assert_eq!(folded::<Greatest<f64>>(&series, later, &[1]), [f64::NEG_INFINITY, 1.0, 2.0]);
}
