//! Decimals of the greatest precision. Arrow's arithmetic checks 128 bits, which hold a little more than 38 digits:
//! 99999999999999999999999999999999999999 + 1 was shown with a digit less than it has.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Decimal128Type, Decimal256Type, FieldRef,
};
use datafusion::common::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::query::corrections::functions::limits::overflow;

/// Whether arithmetic may give this type more digits than it has.
pub(in crate::query::corrections) fn has_no_digit_left(kind: &DataType) -> bool {
    matches!(
        kind,
        DataType::Decimal128(DECIMAL128_MAX_PRECISION, _) | DataType::Decimal256(DECIMAL256_MAX_PRECISION, _)
    )
}

/// `expr` as it is, if it has no more digits than its type.
pub(in crate::query::corrections) fn within_precision(expr: Expr) -> Expr {
    let function = WithinPrecision { signature: Signature::any(1, Volatility::Immutable) };
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::from(function)), vec![expr]))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct WithinPrecision {
    signature: Signature,
}

impl ScalarUDFImpl for WithinPrecision {
    fn name(&self) -> &'static str {
        "within_precision"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args[0].schema_name().to_string())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::clone(&args.arg_fields[0]))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let values = args.args[0].to_array(args.number_rows)?;
        let kind = values.data_type();
        let checked = match kind {
            DataType::Decimal128(precision, _) => {
                values.as_primitive::<Decimal128Type>().validate_decimal_precision(*precision)
            }
            DataType::Decimal256(precision, _) => {
                values.as_primitive::<Decimal256Type>().validate_decimal_precision(*precision)
            }
            _ => Ok(()),
        };
        checked.map_err(|_| overflow(kind, "a result"))?;
        Ok(args.args[0].clone())
    }
}
