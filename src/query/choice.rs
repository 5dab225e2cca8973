//! `CASE` of literals in one pass.
//!
//! DataFusion evaluates each condition only for the rows that are left, so that one may guard the next against an error:
//! it filters and merges the whole batch for every `WHEN`. Where nothing can fail, all conditions are evaluated for all
//! rows, and each row takes its literal out of a list.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, UInt8Array};
use arrow::buffer::{BooleanBuffer, OffsetBuffer};
use arrow::compute::take;
use arrow::datatypes::{DataType, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::expressions::{
    BinaryExpr, CaseExpr, Column, IsNotNullExpr, IsNullExpr, Literal, NegativeExpr, NotExpr,
};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};

/// Bytes of a text that are copied at once, whatever its length.
const SHORT_TEXT: usize = 16;

/// Puts [`Choice`] in the place of the `CASE` of literals of projections. Runs last: no other rule knows it.
#[derive(Debug)]
pub(super) struct ChooseLiterals;

impl PhysicalOptimizerRule for ChooseLiterals {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let Some(projection) = node.downcast_ref::<ProjectionExec>() else { return Ok(Transformed::no(node)) };
            let schema = projection.input().schema();
            let mut has_changed = false;
            let exprs = projection.expr().iter().map(|one| {
                let chosen = Arc::clone(&one.expr).transform_up(|expr| chosen(expr, &schema))?;
                has_changed |= chosen.transformed;
                Ok(ProjectionExpr::new(chosen.data, one.alias.clone()))
            });
            let exprs = exprs.collect::<Result<Vec<ProjectionExpr>>>()?;
            if !has_changed {
                return Ok(Transformed::no(node));
            }
            let projection = ProjectionExec::try_new(exprs, Arc::clone(projection.input()))?;
            Ok(Transformed::yes(Arc::new(projection)))
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "ChooseLiterals"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn chosen(expr: Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<Transformed<Arc<dyn PhysicalExpr>>> {
    Ok(match Choice::of(&expr, schema)? {
        Some(choice) => Transformed::yes(Arc::new(choice)),
        None => Transformed::no(expr),
    })
}

/// A `CASE` without an operand whose conditions can't fail and whose results are literals.
#[derive(Debug)]
struct Choice {
    case: Arc<dyn PhysicalExpr>,
    conditions: Vec<Arc<dyn PhysicalExpr>>,
    /// One for each condition, and the one where none holds.
    literals: ArrayRef,
    short_texts: Option<ShortTexts>,
}

impl Choice {
    fn of(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<Option<Self>> {
        let Some(case) = expr.downcast_ref::<CaseExpr>() else { return Ok(None) };
        // One condition with two literals is fast as it is.
        let branches = case.when_then_expr();
        if case.expr().is_some() || branches.len() < 2 || branches.len() >= usize::from(u8::MAX) {
            return Ok(None);
        }
        let conditions: Vec<_> = branches.iter().map(|(when, _)| Arc::clone(when)).collect();
        let kind = case.data_type(schema)?;
        let results = branches.iter().map(|(_, then)| Some(then)).chain([case.else_expr()]);
        let literals: Option<Vec<ScalarValue>> = results.map(|result| literal(result, &kind)).collect();
        let (Some(literals), true) = (literals, conditions.iter().all(|condition| never_fails(condition, schema)))
        else {
            return Ok(None);
        };
        let literals = ScalarValue::iter_to_array(literals)?;
        let short_texts = literals.as_string_opt::<i32>().and_then(ShortTexts::of);
        Ok(Some(Self { case: Arc::clone(expr), conditions, literals, short_texts }))
    }

    /// The place of each row's literal.
    fn places(&self, batch: &RecordBatch) -> Result<Vec<u8>> {
        let rows = batch.num_rows();
        let mut places = vec![self.conditions.len() as u8; rows];
        // The first condition that holds is the one that counts: it is written last.
        for (place, condition) in self.conditions.iter().enumerate().rev() {
            let holds = condition.evaluate(batch)?.into_array(rows)?;
            put(&mut places, &truths(&holds), place as u8);
        }
        Ok(places)
    }
}

/// The literal of a branch, NULL where there is none; `None` for any other expression.
fn literal(result: Option<&Arc<dyn PhysicalExpr>>, kind: &DataType) -> Option<ScalarValue> {
    let Some(result) = result else { return ScalarValue::try_from(kind).ok() };
    let value = result.downcast_ref::<Literal>()?.value();
    match value {
        value if value.data_type() == *kind => Some(value.clone()),
        ScalarValue::Null => ScalarValue::try_from(kind).ok(),
        _ => None,
    }
}

/// True, neither false nor unknown.
fn truths(holds: &ArrayRef) -> BooleanBuffer {
    let holds = holds.as_boolean();
    match holds.nulls() {
        Some(nulls) => holds.values() & nulls.inner(),
        None => holds.values().clone(),
    }
}

fn put(places: &mut [u8], truths: &BooleanBuffer, place: u8) {
    let chunks = truths.bit_chunks();
    for (places, word) in places.chunks_mut(64).zip(chunks.iter_padded()) {
        if word != 0 {
            for (bit, at) in places.iter_mut().enumerate() {
                *at = if word >> bit & 1 == 1 { place } else { *at };
            }
        }
    }
}

/// The expression has a value for any row. Arithmetic of integers overflows, and functions may do anything.
fn never_fails(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> bool {
    use Operator::{
        And, Divide, Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, Minus, Multiply, NotEq, Or, Plus,
    };
    let of_doubles = || expr.data_type(schema).is_ok_and(|kind| kind == DataType::Float64);
    let is_safe = if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
        match binary.op() {
            Eq | NotEq | Lt | LtEq | Gt | GtEq | And | Or | IsDistinctFrom | IsNotDistinctFrom => true,
            Plus | Minus | Multiply | Divide => of_doubles(),
            _ => false,
        }
    } else if let Some(function) = expr.downcast_ref::<ScalarFunctionExpr>() {
        function.name() == "abs" && of_doubles()
    } else {
        let is_plain = expr.is::<Column>() || expr.is::<Literal>() || expr.is::<Choice>();
        let is_test = expr.is::<IsNullExpr>() || expr.is::<IsNotNullExpr>() || expr.is::<NotExpr>();
        is_plain || is_test || (expr.is::<NegativeExpr>() && of_doubles())
    };
    is_safe && expr.children().into_iter().all(|child| never_fails(child, schema))
}

/// Texts that are copied as blocks of one length.
#[derive(Debug)]
struct ShortTexts {
    blocks: Vec<[u8; SHORT_TEXT]>,
    lengths: Vec<usize>,
}

impl ShortTexts {
    /// `None` if one is unknown or longer than a block.
    fn of(texts: &StringArray) -> Option<Self> {
        let mut short = Self { blocks: Vec::new(), lengths: Vec::new() };
        for text in texts {
            let text = text?.as_bytes();
            let mut block = [0; SHORT_TEXT];
            block.get_mut(..text.len())?.copy_from_slice(text);
            short.blocks.push(block);
            short.lengths.push(text.len());
        }
        Some(short)
    }

    fn at(&self, places: &[u8]) -> Result<StringArray> {
        let lengths = places.iter().map(|place| self.lengths[usize::from(*place)]);
        let offsets = OffsetBuffer::<i32>::from_lengths(lengths);
        let mut bytes = vec![0; offsets[places.len()] as usize + SHORT_TEXT];
        for (place, start) in places.iter().zip(offsets.iter()) {
            let start = *start as usize;
            bytes[start..start + SHORT_TEXT].copy_from_slice(&self.blocks[usize::from(*place)]);
        }
        bytes.truncate(bytes.len() - SHORT_TEXT);
        Ok(StringArray::try_new(offsets, bytes.into(), None)?)
    }
}

impl PhysicalExpr for Choice {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.case.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.case.nullable(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let places = self.places(batch)?;
        Ok(ColumnarValue::Array(match &self.short_texts {
            Some(texts) => Arc::new(texts.at(&places)?),
            None => take(&self.literals, &UInt8Array::from(places), None)?,
        }))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.case.children()
    }

    /// The `CASE` of these.
    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        Arc::clone(&self.case).with_new_children(children)
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.case.fmt_sql(f)
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "choice of {}", self.case)
    }
}

impl PartialEq for Choice {
    fn eq(&self, other: &Self) -> bool {
        self.case.eq(&other.case)
    }
}

impl Eq for Choice {}

impl Hash for Choice {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.case.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{BooleanArray, Float64Array, Int32Array};
    use arrow::datatypes::Field;
    use datafusion::physical_expr::expressions::{binary, case, col, lit};
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    /// Columns `a`, `b` (doubles), `sure` (a flag) and `n` (an integer), each unknown here and there.
    fn batch(rows: usize) -> RecordBatch {
        let mut rng = StdRng::seed_from_u64(rows as u64);
        let double = |rng: &mut StdRng| match rng.random_range(0..10) {
            0 => None,
            1 => Some(f64::NAN),
            2 => Some(f64::INFINITY),
            _ => Some(f64::from(rng.random_range(-3..3))),
        };
        let doubles =
            |rng: &mut StdRng| -> ArrayRef { Arc::new((0..rows).map(|_| double(rng)).collect::<Float64Array>()) };
        let (a, b) = (doubles(&mut rng), doubles(&mut rng));
        let flag = |rng: &mut StdRng| rng.random_bool(0.8).then(|| rng.random_bool(0.5));
        let sure: ArrayRef = Arc::new((0..rows).map(|_| flag(&mut rng)).collect::<BooleanArray>());
        let n: ArrayRef = Arc::new((0..rows).map(|at| Some(at as i32 % 3)).collect::<Int32Array>());
        RecordBatch::try_from_iter_with_nullable([("a", a, true), ("b", b, true), ("sure", sure, true), ("n", n, true)])
            .unwrap()
    }

    fn of(
        left: Arc<dyn PhysicalExpr>,
        op: Operator,
        right: Arc<dyn PhysicalExpr>,
        schema: &Schema,
    ) -> Arc<dyn PhysicalExpr> {
        binary(left, op, right, schema).unwrap()
    }

    /// `a - b > 1e-9 * a`, `b > a AND sure`, `sure`.
    fn conditions(schema: &Schema) -> Vec<Arc<dyn PhysicalExpr>> {
        let column = |name| col(name, schema).unwrap();
        let apart = of(column("a"), Operator::Minus, column("b"), schema);
        let least = of(lit(1e-9), Operator::Multiply, column("a"), schema);
        let falls = of(column("b"), Operator::Gt, column("a"), schema);
        vec![of(apart, Operator::Gt, least, schema), of(falls, Operator::And, column("sure"), schema), column("sure")]
    }

    fn choice_of(
        results: [ScalarValue; 3],
        otherwise: Option<ScalarValue>,
        schema: &Schema,
    ) -> (Arc<dyn PhysicalExpr>, Choice) {
        let branches = conditions(schema).into_iter().zip(results.map(lit)).collect();
        let case = case(None, branches, otherwise.map(lit)).unwrap();
        let choice = Choice::of(&case, schema).unwrap().expect("all of it is known");
        (case, choice)
    }

    #[test]
    fn it_is_what_case_gives() {
        let texts = |texts: [&str; 3]| texts.map(ScalarValue::from);
        let long = "a text that is longer than a block";
        let cases = [
            (texts(["Buy", "Sell", "Hold"]), Some(ScalarValue::from("None"))),
            (texts(["", "sixteen bytes ok", "ä"]), Some(ScalarValue::from("x"))),
            (texts(["golden", long, "death"]), Some(ScalarValue::from(""))),
            (texts(["golden", "death", "?"]), None),
            ([1_i64, -1, 7].map(ScalarValue::from), Some(ScalarValue::from(0_i64))),
            ([1.5, -0.0, f64::NAN].map(ScalarValue::from), Some(ScalarValue::Null)),
            ([true, false, true].map(ScalarValue::from), None),
        ];
        for (results, otherwise) in cases {
            for rows in [0, 1, 63, 64, 65, 1000] {
                let batch = batch(rows);
                let (case, choice) = choice_of(results.clone(), otherwise.clone(), &batch.schema());
                for part in [batch.clone(), batch.slice(rows / 3, rows / 2)] {
                    let evaluated =
                        |expr: &dyn PhysicalExpr| expr.evaluate(&part).unwrap().into_array(part.num_rows()).unwrap();
                    assert_eq!(&evaluated(&choice), &evaluated(case.as_ref()), "{case}, {rows} rows");
                }
            }
        }
    }

    #[test]
    fn what_could_fail_stays_guarded() {
        let schema =
            Schema::new(vec![Field::new("n", DataType::Int32, true), Field::new("a", DataType::Float64, true)]);
        let column = |name| col(name, &schema).unwrap();
        let is_zero = of(column("n"), Operator::Eq, lit(0), &schema);
        let share = of(lit(1), Operator::Divide, column("n"), &schema);
        let guarded = of(share, Operator::Gt, lit(0), &schema);
        let is_positive = of(column("a"), Operator::Gt, lit(0.0), &schema);
        let known = |first: &Arc<dyn PhysicalExpr>, second: &Arc<dyn PhysicalExpr>, result: Arc<dyn PhysicalExpr>| {
            let branches = vec![(Arc::clone(first), lit(1.5)), (Arc::clone(second), result)];
            Choice::of(&case(None, branches, None).unwrap(), &schema).unwrap().is_some()
        };
        assert!(!known(&is_zero, &guarded, lit(2.5)), "an integer is divided");
        assert!(!known(&is_zero, &is_positive, column("a")), "a result is a column");
        assert!(known(&is_zero, &is_positive, lit(2.5)));
    }
}
