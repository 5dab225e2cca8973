//! Arithmetic of whole numbers that is an error where its type can't hold the result. DataFusion's operators wrap:
//! 9223372036854775807 + 1 was -9223372036854775808, and 1 << 64 was 1.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, Decimal128Array};
use datafusion::arrow::compute::kernels::numeric::{add, mul, neg, sub};
use datafusion::arrow::compute::{cast, try_binary};
use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Field, FieldRef};
use datafusion::arrow::error::ArrowError;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr_common::datum::apply;

use crate::query::corrections::functions::limits::{holds, overflow};

/// What arrow's errors of overflows begin with, before the computation.
const HAPPENED_ON: &str = "Overflow happened on: ";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::query::corrections) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Negate,
    ShiftLeft,
    ShiftRight,
}

impl Arithmetic {
    /// The arithmetic of an operator that wraps.
    pub(in crate::query::corrections) fn of(operator: Operator) -> Option<Self> {
        match operator {
            Operator::Plus => Some(Self::Add),
            Operator::Minus => Some(Self::Subtract),
            Operator::Multiply => Some(Self::Multiply),
            Operator::BitwiseShiftLeft => Some(Self::ShiftLeft),
            Operator::BitwiseShiftRight => Some(Self::ShiftRight),
            _ => None,
        }
    }

    /// The call over operands of one type of whole numbers.
    pub(in crate::query::corrections) fn over(self, operands: Vec<Expr>) -> Expr {
        let function =
            CheckedFunction { arithmetic: self, signature: Signature::any(operands.len(), Volatility::Immutable) };
        Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::from(function)), operands))
    }

    fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract | Self::Negate => "-",
            Self::Multiply => "*",
            Self::ShiftLeft => "<<",
            Self::ShiftRight => ">>",
        }
    }
}

/// A function of one or two numbers; its column has the name that the operator's has.
#[derive(Debug, PartialEq, Eq, Hash)]
struct CheckedFunction {
    arithmetic: Arithmetic,
    signature: Signature,
}

impl ScalarUDFImpl for CheckedFunction {
    fn name(&self) -> &str {
        match self.arithmetic {
            Arithmetic::Add => "checked_add",
            Arithmetic::Subtract => "checked_subtract",
            Arithmetic::Multiply => "checked_multiply",
            Arithmetic::Negate => "checked_negate",
            Arithmetic::ShiftLeft => "checked_shift_left",
            Arithmetic::ShiftRight => "checked_shift_right",
        }
    }

    fn schema_name(&self, operands: &[Expr]) -> Result<String> {
        let symbol = self.arithmetic.symbol();
        match operands {
            [left, right] => Ok(format!("{} {symbol} {}", left.schema_name(), right.schema_name())),
            [operand] => Ok(format!("({symbol} {})", operand.schema_name())),
            _ => internal_err!("{} takes one number or two", self.name()),
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), args.arg_fields[0].data_type().clone(), nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let kind = args.arg_fields[0].data_type();
        let computed = match &args.args[..] {
            [left, right] => match self.arithmetic {
                Arithmetic::Add => apply(left, right, add),
                Arithmetic::Subtract => apply(left, right, sub),
                Arithmetic::Multiply => apply(left, right, mul),
                _ => shifted(&args.args, self.arithmetic == Arithmetic::ShiftLeft),
            },
            [ColumnarValue::Array(operand)] => neg(operand).map(ColumnarValue::Array).map_err(DataFusionError::from),
            _ => {
                let operand = ColumnarValue::values_to_arrays(&args.args)?.swap_remove(0);
                neg(&operand).map(ColumnarValue::Array).map_err(DataFusionError::from)
            }
        };
        computed.map_err(|error| match error {
            DataFusionError::ArrowError(error, backtrace) => match *error {
                ArrowError::ArithmeticOverflow(said) => overflow(kind, said.trim_start_matches(HAPPENED_ON)),
                ArrowError::ComputeError(said) => DataFusionError::Execution(said),
                error => DataFusionError::ArrowError(Box::new(error), backtrace),
            },
            error => error,
        })
    }
}

/// `left << right` or `left >> right`. Bits may leave a number on its right side alone.
fn shifted(operands: &[ColumnarValue], to_the_left: bool) -> Result<ColumnarValue> {
    let operands = ColumnarValue::values_to_arrays(operands)?;
    let kind = operands[0].data_type();
    let bits = kind.primitive_width().unwrap_or_default() as i128 * 8;
    // Wide enough for any number and any distance.
    let wide = DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0);
    let (left, right) = (cast(&operands[0], &wide)?, cast(&operands[1], &wide)?);
    let shift = |number: i128, distance: i128| {
        if !(0..bits).contains(&distance) {
            let symbol = if to_the_left { "<<" } else { ">>" };
            return Err(ArrowError::ComputeError(format!(
                "{number} {symbol} {distance}: the distance is not between 0 and {}",
                bits - 1
            )));
        }
        match to_the_left {
            true if !holds(kind, number << distance) => {
                Err(ArrowError::ArithmeticOverflow(format!("{number} << {distance}")))
            }
            true => Ok(number << distance),
            false => Ok(number >> distance),
        }
    };
    let shifted: Decimal128Array =
        try_binary(left.as_primitive::<Decimal128Type>(), right.as_primitive::<Decimal128Type>(), shift)?;
    Ok(ColumnarValue::Array(cast(&shifted.with_data_type(wide), kind)?))
}
