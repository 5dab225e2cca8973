//! The recursive kernels against sums over all values before each row, weighted as their definitions say.

use std::num::NonZeroUsize;

use proptest::prelude::*;

use super::*;

type Series = Vec<Option<f64>>;

fn value() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        10 => (1_000..200_000i32).prop_map(|cents| Some(f64::from(cents) / 100.0)),
        4 => Just(Some(100.1)),
        1 => (-50.0..50.0f64).prop_map(Some),
        1 => prop::sample::select(vec![0.0, -0.0, 1e-300, 1e300, -1e300]).prop_map(Some),
        1 => prop::sample::select(vec![f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX]).prop_map(Some),
        1 => Just(None),
    ]
}

fn rows() -> impl Strategy<Value = NonZeroUsize> {
    (1..20usize).prop_map(|rows| NonZeroUsize::new(rows).unwrap())
}

fn numbers(series: &Series) -> Vec<f64> {
    series.iter().copied().flatten().filter(|value| value.abs() <= 1e300).collect()
}

/// Exponential mean of all values, from the plain mean of the first `rows`: each later one counts `factor`, and what
/// was before it the rest.
fn weighted(values: &[f64], rows: usize, factor: f64) -> Option<f64> {
    let (first, later) = values.split_at_checked(rows)?;
    let keep = |times: usize| (1.0 - factor).powi(i32::try_from(times).unwrap());
    let seed = first.iter().map(|value| value / rows as f64).sum::<f64>() * keep(later.len());
    Some(later.iter().rev().enumerate().fold(seed, |sum, (age, value)| sum + factor * keep(age) * value))
}

fn near(found: Option<f64>, expected: Option<f64>, values: &[f64]) -> bool {
    let scale = values.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
    match (found, expected) {
        (Some(found), Some(expected)) => (found - expected).abs() <= 1e-11 * scale,
        (found, expected) => found == expected,
    }
}

fn ema_factor(rows: NonZeroUsize) -> f64 {
    2.0 / (rows.get() as f64 + 1.0)
}

/// What a kernel gives for the last value of each beginning of the series, `None` where that is no number.
fn each<K>(series: &Series, mut kernel: K, push: impl Fn(&mut K, Option<f64>) -> Option<f64>) -> Series {
    series.iter().map(|value| push(&mut kernel, *value)).collect()
}

proptest! {
    #[test]
    fn an_exponential_mean_is_the_weighted_one(series in prop::collection::vec(value(), 0..90), rows in rows()) {
        let found = each(&series, Ema::new(rows), |ema, value| ema.push(value));
        for row in 0..series.len() {
            let before = numbers(&series[..=row].to_vec());
            let is_number = numbers(&vec![series[row]]).len() == 1;
            let expected = is_number.then(|| weighted(&before, rows.get(), ema_factor(rows))).flatten();
            prop_assert!(near(found[row], expected, &before), "row {row}: {:?} is not {expected:?}", found[row]);
        }
    }

    #[test]
    fn convergence_is_the_difference_of_two(
        series in prop::collection::vec(value(), 0..90),
        fast in 1..9usize,
        more in 1..9usize,
        signal in rows(),
    ) {
        let slow = fast + more;
        let rows = |rows: usize| NonZeroUsize::new(rows).unwrap();
        let mut kernel = Macd::new(MacdPeriods { fast: rows(fast), slow: rows(slow), signal });
        let mut lines = Vec::new();
        for row in 0..series.len() {
            let found = kernel.push(series[row]);
            let before = numbers(&series[..=row].to_vec());
            if numbers(&vec![series[row]]).is_empty() {
                prop_assert_eq!(found, None);
                continue;
            }
            // The fast mean begins with its last values before the slow one is full.
            let later = before.get(more..).unwrap_or_default();
            let fast = weighted(later, fast, ema_factor(rows(fast)));
            let slow = weighted(&before, slow, ema_factor(rows(slow)));
            lines.extend(fast.zip(slow).map(|(fast, slow)| fast - slow));
            let expected = weighted(&lines, signal.get(), ema_factor(signal));
            prop_assert!(near(found.map(|found| found.signal), expected, &before), "row {row}: {found:?}");
            let line = expected.and(lines.last().copied());
            prop_assert!(near(found.map(|found| found.macd), line, &before), "row {row}: {found:?}");
            let rest = line.zip(expected).map(|(line, signal)| line - signal);
            prop_assert!(near(found.map(|found| found.histogram), rest, &before), "row {row}: {found:?}");
        }
    }

    #[test]
    fn strength_is_the_part_of_the_rises(series in prop::collection::vec(value(), 0..90), rows in rows()) {
        let found = each(&series, Rsi::new(rows), |rsi, value| rsi.push(value));
        let factor = 1.0 / rows.get() as f64;
        for row in 0..series.len() {
            let before = numbers(&series[..=row].to_vec());
            let changes: Vec<f64> = before.windows(2).map(|pair| pair[1] - pair[0]).collect();
            let parts = |side: f64| changes.iter().map(|change| (side * change).max(0.0)).collect::<Vec<_>>();
            let means = weighted(&parts(1.0), rows.get(), factor).zip(weighted(&parts(-1.0), rows.get(), factor));
            let is_number = numbers(&vec![series[row]]).len() == 1;
            let expected = means.filter(|(rises, falls)| is_number && rises + falls > 0.0);
            let expected = expected.map(|(rises, falls)| 100.0 * (rises / (rises + falls)));
            prop_assert!(near(found[row], expected, &[100.0]), "row {row}: {:?} is not {expected:?}", found[row]);
            prop_assert!(found[row].is_none_or(|found| (0.0..=100.0).contains(&found)));
        }
    }

    #[test]
    fn a_true_range_reaches_from_the_close_before(
        series in prop::collection::vec((value(), value(), value()), 0..90),
        rows in rows(),
    ) {
        let mut atr = Atr::new(rows);
        let (mut ranges, mut seen, mut previous) = (Vec::new(), Vec::new(), None);
        for (high, low, close) in series {
            let found = atr.push(PriceRange { high, low, close });
            let prices = numbers(&vec![high, low, close]);
            let [high, low, close] = prices[..] else {
                prop_assert_eq!(found, None);
                continue;
            };
            seen.extend([high, low, close]);
            ranges.extend(previous.map(|previous: f64| {
                let jumps = [(high - previous).abs(), (low - previous).abs()];
                jumps.into_iter().fold(high - low, f64::max)
            }));
            let expected = previous.and_then(|_| weighted(&ranges, rows.get(), 1.0 / rows.get() as f64));
            prop_assert!(near(found, expected, &seen), "{found:?} is not {expected:?}");
            previous = Some(close);
        }
    }

    /// A row that holds no number changes no other row.
    #[test]
    fn what_is_no_number_leaves_no_trace(series in prop::collection::vec(value(), 0..90), rows in rows()) {
        let clean: Series = numbers(&series).into_iter().map(Some).collect();
        let at: Vec<usize> = (0..series.len()).filter(|row| !numbers(&vec![series[*row]]).is_empty()).collect();
        let bits = |found: &Series| found.iter().map(|value| value.map(f64::to_bits)).collect::<Vec<_>>();
        let kept = |found: Series| at.iter().map(|row| found[*row]).collect::<Series>();
        let ema = |series: &Series| each(series, Ema::new(rows), |ema, value| ema.push(value));
        prop_assert_eq!(bits(&kept(ema(&series))), bits(&ema(&clean)));
        let rsi = |series: &Series| each(series, Rsi::new(rows), |rsi, value| rsi.push(value));
        prop_assert_eq!(bits(&kept(rsi(&series))), bits(&rsi(&clean)));
        for found in ema(&series).into_iter().chain(rsi(&series)).flatten() {
            prop_assert!(found.is_finite());
        }
    }
}
