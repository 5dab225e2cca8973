//! `avg` of durations: exact in between.
//!
//! DataFusion adds them up in 64 bits, which wrap at 292,471 years: the average age of a million ticks of a year is
//! beyond that. `avg` of numbers is as it was.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Field, FieldRef, Int64Type, UInt64Type,
};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err};
use datafusion::functions_aggregate::average::avg_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, GroupsAccumulator, ReversedUDAF, Signature,
};

use crate::query::corrections::functions::exact_sum::total;

/// Holds the sum of as many durations as there may be.
const SUM: DataType = DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0);

/// In place of DataFusion's of the same name.
pub(in crate::query::corrections) fn exact_avg() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::from(ExactAvg { inner: avg_udaf() }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ExactAvg {
    inner: Arc<AggregateUDF>,
}

fn is_duration(kind: &DataType, is_distinct: bool) -> bool {
    matches!(kind, DataType::Duration(_)) && !is_distinct
}

impl AggregateUDFImpl for ExactAvg {
    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if !is_duration(arguments.return_field.data_type(), arguments.is_distinct) {
            return self.inner.accumulator(arguments);
        }
        Ok(Box::new(DurationAverage { kind: arguments.return_field.data_type().clone(), sum: 0, count: 0 }))
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        if !is_duration(arguments.return_field.data_type(), arguments.is_distinct) {
            return self.inner.state_fields(arguments);
        }
        let field = |part: &str, kind| Arc::new(Field::new(format!("{}[{part}]", arguments.name), kind, true));
        Ok(vec![field("count", DataType::UInt64), field("sum", SUM)])
    }

    fn groups_accumulator_supported(&self, arguments: AccumulatorArgs) -> bool {
        !matches!(arguments.return_field.data_type(), DataType::Duration(_))
            && self.inner.groups_accumulator_supported(arguments)
    }

    fn create_groups_accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        self.inner.create_groups_accumulator(arguments)
    }

    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

#[derive(Debug)]
struct DurationAverage {
    kind: DataType,
    /// In the unit of `kind`.
    sum: i128,
    count: u64,
}

/// Sum and number of the values that are known.
fn sum_and_count(durations: &ArrayRef) -> Result<(i128, u64)> {
    let values = cast(durations, &DataType::Int64)?;
    Ok((total::<Int64Type>(&values).unwrap_or(0), (values.len() - values.null_count()) as u64))
}

impl Accumulator for DurationAverage {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (sum, count) = sum_and_count(&values[0])?;
        (self.sum, self.count) = (self.sum + sum, self.count + count);
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (sum, count) = sum_and_count(&values[0])?;
        (self.sum, self.count) = (self.sum - sum, self.count - count);
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.count += states[0].as_primitive::<UInt64Type>().iter().flatten().sum::<u64>();
        self.sum += states[1].as_primitive::<Decimal128Type>().iter().flatten().sum::<i128>();
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let sum = ScalarValue::Decimal128(Some(self.sum), DECIMAL128_MAX_PRECISION, 0);
        Ok(vec![ScalarValue::UInt64(Some(self.count)), sum])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let average = match self.count {
            0 => None,
            count => {
                let average = self.sum / i128::from(count);
                Some(i64::try_from(average).map_err(|_| exec_datafusion_err!("an average is beyond its values"))?)
            }
        };
        ScalarValue::try_from_array(&cast(&Int64Array::from(vec![average]), &self.kind)?, 0)
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}
