//! `sum` of whole numbers, decimals and durations: exact in between, and an error where its type can't hold the result.
//!
//! DataFusion adds up in the type of the result and wraps: `sum` of 9223372036854775807 and 1 was -9223372036854775808.
//! Its own accumulators are used here over values of a wider type. `sum` of doubles is as it was.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Decimal128Array, Int64Array, UInt64Array,
};
use datafusion::arrow::compute::{CastOptions, cast, cast_with_options};
use datafusion::arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Decimal128Type, FieldRef, Int64Type, UInt64Type,
};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, EmitTo, Expr, GroupsAccumulator, Operator,
    ReversedUDAF, Signature,
};

use crate::query::corrections::functions::limits::overflow;

/// In place of DataFusion's of the same name.
pub(in crate::query::corrections) fn exact_sum() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::from(ExactSum { inner: sum_udaf() }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ExactSum {
    inner: Arc<AggregateUDF>,
}

/// A type of sums, and one that holds the sum of as many of its values as there may be.
#[derive(Debug, Clone)]
struct WidenedType {
    kind: DataType,
    wide: DataType,
}

impl WidenedType {
    /// `None` for types that don't wrap.
    fn of(kind: &DataType) -> Option<Self> {
        let wide = match kind {
            DataType::Int64 | DataType::UInt64 | DataType::Duration(_) => {
                DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0)
            }
            DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) => {
                DataType::Decimal128(DECIMAL128_MAX_PRECISION, *scale)
            }
            DataType::Decimal128(_, scale) => DataType::Decimal256(DECIMAL256_MAX_PRECISION, *scale),
            _ => return None,
        };
        Some(Self { kind: kind.clone(), wide })
    }

    fn field(&self, field: &FieldRef) -> FieldRef {
        Arc::new(field.as_ref().clone().with_data_type(self.wide.clone()))
    }

    fn widen(&self, values: &[ArrayRef]) -> Result<[ArrayRef; 1]> {
        let wide: ArrayRef = match values[0].data_type() {
            DataType::Int64 => {
                let wide = values[0].as_primitive::<Int64Type>().unary::<_, Decimal128Type>(i128::from);
                Arc::new(wide.with_data_type(self.wide.clone()))
            }
            DataType::UInt64 => {
                let wide = values[0].as_primitive::<UInt64Type>().unary::<_, Decimal128Type>(i128::from);
                Arc::new(wide.with_data_type(self.wide.clone()))
            }
            DataType::Duration(_) => return self.widen(&[cast(&values[0], &DataType::Int64)?]),
            _ => cast(&values[0], &self.wide)?,
        };
        Ok([wide])
    }

    /// The sum of a batch as a batch of one row, without wide copies of its values; `None` for types that need these.
    fn folded(&self, values: &ArrayRef) -> Option<ArrayRef> {
        let sum = match values.data_type() {
            DataType::Int64 => total::<Int64Type>(values),
            DataType::UInt64 => total::<UInt64Type>(values),
            _ => return None,
        };
        Some(Arc::new(Decimal128Array::from(vec![sum]).with_data_type(self.wide.clone())))
    }

    fn narrow(&self, sums: &ArrayRef) -> Result<ArrayRef> {
        let beyond = |sum: i128| overflow(&self.kind, format!("the sum {sum}"));
        Ok(match self.kind {
            DataType::Int64 | DataType::Duration(_) => {
                let sums = sums.as_primitive::<Decimal128Type>();
                let sums: Int64Array = sums.try_unary(|sum| i64::try_from(sum).map_err(|_| beyond(sum)))?;
                cast(&sums, &self.kind)?
            }
            DataType::UInt64 => {
                let sums = sums.as_primitive::<Decimal128Type>();
                let sums: UInt64Array = sums.try_unary(|sum| u64::try_from(sum).map_err(|_| beyond(sum)))?;
                Arc::new(sums)
            }
            _ => {
                let strict = CastOptions { safe: false, ..CastOptions::default() };
                cast_with_options(sums, &self.kind, &strict).map_err(|_| overflow(&self.kind, "a sum"))?
            }
        })
    }

    fn narrow_one(&self, sum: &ScalarValue) -> Result<ScalarValue> {
        let beyond = |sum: &i128| overflow(&self.kind, format!("the sum {sum}"));
        match (sum, &self.kind) {
            (ScalarValue::Decimal128(Some(sum), ..), DataType::Int64) => {
                Ok(ScalarValue::from(i64::try_from(*sum).map_err(|_| beyond(sum))?))
            }
            (ScalarValue::Decimal128(Some(sum), ..), DataType::UInt64) => {
                Ok(ScalarValue::from(u64::try_from(*sum).map_err(|_| beyond(sum))?))
            }
            (sum, _) => ScalarValue::try_from_array(&self.narrow(&sum.to_array()?)?, 0),
        }
    }

    fn accumulator(self, inner: Box<dyn Accumulator>, folds: bool) -> Box<dyn Accumulator> {
        Box::new(ExactAccumulator { widened: self, inner, folds })
    }
}

/// The sum of the known values; `None` where there is none.
pub(super) fn total<T>(values: &ArrayRef) -> Option<i128>
where
    T: ArrowPrimitiveType<Native: Into<i128>>,
{
    let values = values.as_primitive::<T>();
    if values.null_count() == values.len() {
        return None;
    }
    Some(match values.null_count() {
        0 => values.values().iter().map(|value| (*value).into()).sum::<i128>(),
        _ => values.iter().flatten().map(Into::into).sum::<i128>(),
    })
}

impl AggregateUDFImpl for ExactSum {
    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let Some(widened) = WidenedType::of(arguments.return_field.data_type()) else {
            return self.inner.accumulator(arguments);
        };
        let (return_field, folds) = (widened.field(&arguments.return_field), !arguments.is_distinct);
        Ok(widened.accumulator(self.inner.accumulator(AccumulatorArgs { return_field, ..arguments })?, folds))
    }

    fn create_sliding_accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let Some(widened) = WidenedType::of(arguments.return_field.data_type()) else {
            return self.inner.create_sliding_accumulator(arguments);
        };
        let return_field = widened.field(&arguments.return_field);
        let inner = self.inner.create_sliding_accumulator(AccumulatorArgs { return_field, ..arguments })?;
        Ok(widened.accumulator(inner, false))
    }

    fn create_groups_accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        let Some(widened) = WidenedType::of(arguments.return_field.data_type()) else {
            return self.inner.create_groups_accumulator(arguments);
        };
        let return_field = widened.field(&arguments.return_field);
        let inner = self.inner.create_groups_accumulator(AccumulatorArgs { return_field, ..arguments })?;
        Ok(Box::new(ExactGroups { widened, inner }))
    }

    fn groups_accumulator_supported(&self, arguments: AccumulatorArgs) -> bool {
        self.inner.groups_accumulator_supported(arguments)
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let Some(widened) = WidenedType::of(arguments.return_field.data_type()) else {
            return self.inner.state_fields(arguments);
        };
        let return_field = widened.field(&arguments.return_field);
        self.inner.state_fields(StateFieldsArgs { return_field, ..arguments })
    }

    fn simplify_expr_op_literal(
        &self,
        call: &AggregateFunction,
        argument: &Expr,
        operator: Operator,
        literal: &Expr,
        argument_is_left: bool,
    ) -> Result<Option<Expr>> {
        self.inner.simplify_expr_op_literal(call, argument, operator, literal, argument_is_left)
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
        if let [DataType::Interval(_)] = types {
            return plan_err!(
                "a sum of INTERVAL would wrap where it has more days than 32 bits hold\nwrite sum(date_part('epoch', \
                 x))"
            );
        }
        self.inner.return_type(types)
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

#[derive(Debug)]
struct ExactAccumulator {
    widened: WidenedType,
    inner: Box<dyn Accumulator>,
    /// The sum of a batch may stand for its rows, as neither their number nor the rows themselves are kept.
    folds: bool,
}

impl Accumulator for ExactAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if self.folds
            && let Some(sum) = self.widened.folded(&values[0])
        {
            return self.inner.merge_batch(&[sum]);
        }
        self.inner.update_batch(&self.widened.widen(values)?)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.retract_batch(&self.widened.widen(values)?)
    }

    fn supports_retract_batch(&self) -> bool {
        self.inner.supports_retract_batch()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.widened.narrow_one(&self.inner.evaluate()?)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.inner.size()
    }
}

struct ExactGroups {
    widened: WidenedType,
    inner: Box<dyn GroupsAccumulator>,
}

impl GroupsAccumulator for ExactGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        count: usize,
    ) -> Result<()> {
        self.inner.update_batch(&self.widened.widen(values)?, groups, filter, count)
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], count: usize) -> Result<()> {
        self.inner.merge_batch(states, groups, count)
    }

    fn evaluate(&mut self, groups: EmitTo) -> Result<ArrayRef> {
        self.widened.narrow(&self.inner.evaluate(groups)?)
    }

    fn state(&mut self, groups: EmitTo) -> Result<Vec<ArrayRef>> {
        self.inner.state(groups)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.inner.convert_to_state(&self.widened.widen(values)?, filter)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.inner.size()
    }
}
