//! The functions by name, and what their arguments must be.

use std::num::NonZeroUsize;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use super::running::{Indicator, MacdPart};
use crate::indicators::MacdPeriods;

/// As many rows as the parameter of a named query may say.
const MAX_PERIOD: usize = 1_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum IndicatorFunction {
    Ema,
    Rsi,
    Macd(MacdPart),
    Atr,
}

impl IndicatorFunction {
    pub(super) const ALL: [Self; 6] = [
        Self::Ema,
        Self::Rsi,
        Self::Macd(MacdPart::Macd),
        Self::Macd(MacdPart::Signal),
        Self::Macd(MacdPart::Histogram),
        Self::Atr,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ema => "ema",
            Self::Rsi => "rsi",
            Self::Macd(MacdPart::Macd) => "macd",
            Self::Macd(MacdPart::Signal) => "macd_signal",
            Self::Macd(MacdPart::Histogram) => "macd_histogram",
            Self::Atr => "atr",
        }
    }

    /// The arguments that are columns.
    pub(super) const fn inputs(self) -> &'static [&'static str] {
        match self {
            Self::Ema | Self::Rsi | Self::Macd(_) => &["value"],
            Self::Atr => &["high", "low", "close"],
        }
    }

    /// The arguments after them.
    const fn periods(self) -> &'static [&'static str] {
        match self {
            Self::Ema | Self::Rsi | Self::Atr => &["period"],
            Self::Macd(_) => &["fast", "slow", "signal"],
        }
    }

    fn example(self) -> String {
        let arguments = match self {
            Self::Ema => "close, 12",
            Self::Rsi => "close, 14",
            Self::Macd(_) => "close, 12, 26, 9",
            Self::Atr => "high, low, close, 14",
        };
        format!("{}({arguments})", self.name())
    }

    fn usage(self) -> String {
        let names: Vec<&str> = self.inputs().iter().chain(self.periods()).copied().collect();
        format!("{} takes ({}), as in {}", self.name(), names.join(", "), self.example())
    }

    /// # Errors
    /// There are too many or too few arguments, or one is of another type.
    pub(super) fn check_types(self, types: &[&DataType]) -> Result<(), String> {
        let inputs = self.inputs();
        if types.len() != inputs.len() + self.periods().len() {
            return Err(format!("{}; here are {} arguments", self.usage(), types.len()));
        }
        let (columns, periods) = types.split_at(inputs.len());
        for (name, kind) in inputs.iter().zip(columns) {
            if !kind.is_numeric() && !kind.is_null() {
                return Err(format!("{}: {name} must be a number and is of type {kind}", self.usage()));
            }
        }
        match self.periods().iter().zip(periods).find(|(_, kind)| !kind.is_integer()) {
            Some((name, _)) => Err(self.no_period(name)),
            None => Ok(()),
        }
    }

    fn no_period(self, name: &str) -> String {
        format!("{}: {name} must be a whole number from 1 to {MAX_PERIOD}, written in the statement", self.usage())
    }

    pub(super) fn needs_order(self) -> String {
        format!(
            "{name} goes through the rows in an order, and its window has none: write {} OVER (PARTITION BY symbol \
             ORDER BY ts, kafka_partition, kafka_offset, kafka_index)",
            self.example(),
            name = self.name(),
        )
    }

    /// The function with its periods; `None` is an argument that is no literal.
    ///
    /// # Errors
    /// A period is no whole number of rows that a window may have, or the two of MACD are not fast and slow.
    pub(super) fn with_periods(self, literals: &[Option<&ScalarValue>]) -> Result<Indicator, String> {
        let mut rows = Vec::new();
        for (name, literal) in self.periods().iter().zip(literals) {
            rows.push(literal.and_then(period).ok_or_else(|| self.no_period(name))?);
        }
        match (self, &rows[..]) {
            (Self::Ema, [rows]) => Ok(Indicator::Ema(*rows)),
            (Self::Rsi, [rows]) => Ok(Indicator::Rsi(*rows)),
            (Self::Atr, [rows]) => Ok(Indicator::Atr(*rows)),
            (Self::Macd(_), [fast, slow, _]) if fast >= slow => {
                Err(format!("{}: fast must be less than slow, here are {fast} and {slow}", self.usage()))
            }
            (Self::Macd(part), [fast, slow, signal]) => {
                Ok(Indicator::Macd(part, MacdPeriods { fast: *fast, slow: *slow, signal: *signal }))
            }
            _ => Err(self.usage()),
        }
    }
}

fn period(literal: &ScalarValue) -> Option<NonZeroUsize> {
    let whole = match literal.cast_to(&DataType::Int64).ok()? {
        ScalarValue::Int64(Some(whole)) => usize::try_from(whole).ok()?,
        _ => return None,
    };
    NonZeroUsize::new(whole).filter(|whole| whole.get() <= MAX_PERIOD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_a_whole_number_of_rows() {
        let of = |value: i64| IndicatorFunction::Ema.with_periods(&[Some(&ScalarValue::Int64(Some(value)))]);
        assert_eq!(of(12), Ok(Indicator::Ema(NonZeroUsize::new(12).unwrap())));
        assert!(of(1).is_ok() && of(1_000_000).is_ok());
        for wrong in [of(0), of(-3), of(1_000_001), IndicatorFunction::Rsi.with_periods(&[None])] {
            assert!(wrong.unwrap_err().contains("period must be a whole number from 1 to 1000000"));
        }
    }

    #[test]
    fn the_fast_mean_is_the_shorter_one() {
        let of = |periods: [i64; 3]| {
            let values = periods.map(|rows| ScalarValue::Int64(Some(rows)));
            IndicatorFunction::Macd(MacdPart::Signal).with_periods(&values.each_ref().map(Some))
        };
        assert!(of([12, 26, 9]).is_ok());
        for wrong in [[26, 12, 9], [5, 5, 9]] {
            assert!(of(wrong).unwrap_err().contains("fast must be less than slow"));
        }
    }

    #[test]
    fn arguments_are_counted_and_typed() {
        let check =
            |function: IndicatorFunction, types: &[DataType]| function.check_types(&types.iter().collect::<Vec<_>>());
        assert_eq!(check(IndicatorFunction::Ema, &[DataType::Float64, DataType::Int64]), Ok(()));
        assert_eq!(check(IndicatorFunction::Ema, &[DataType::Null, DataType::UInt8]), Ok(()));
        for (types, word) in [
            (vec![], "ema takes (value, period), as in ema(close, 12); here are 0 arguments"),
            (vec![DataType::Float64], "here are 1 arguments"),
            (vec![DataType::Utf8, DataType::Int64], "value must be a number and is of type Utf8"),
            (vec![DataType::Float64, DataType::Float64], "period must be a whole number"),
        ] {
            let error = check(IndicatorFunction::Ema, &types).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
