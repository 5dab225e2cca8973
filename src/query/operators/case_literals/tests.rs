//! Compares the expressions with DataFusion's own `CASE`.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int32Array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{binary, case, col, lit};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::expr::CaseLiterals;

/// Columns `a`, `b` (doubles), `sure` (a flag) and `n` (an integer), each unknown here and there.
fn batch(rows: usize) -> RecordBatch {
    let mut rng = StdRng::seed_from_u64(rows as u64);
    let double = |rng: &mut StdRng| match rng.random_range(0..10) {
        0 => None,
        1 => Some(f64::NAN),
        2 => Some(f64::INFINITY),
        _ => Some(f64::from(rng.random_range(-3..3))),
    };
    let doubles = |rng: &mut StdRng| -> ArrayRef { Arc::new((0..rows).map(|_| double(rng)).collect::<Float64Array>()) };
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
) -> (Arc<dyn PhysicalExpr>, CaseLiterals) {
    let branches = conditions(schema).into_iter().zip(results.map(lit)).collect();
    let case = case(None, branches, otherwise.map(lit)).unwrap();
    let choice = CaseLiterals::of(&case, schema).unwrap().expect("all of it is known");
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
    let schema = Schema::new(vec![Field::new("n", DataType::Int32, true), Field::new("a", DataType::Float64, true)]);
    let column = |name| col(name, &schema).unwrap();
    let is_zero = of(column("n"), Operator::Eq, lit(0), &schema);
    let share = of(lit(1), Operator::Divide, column("n"), &schema);
    let guarded = of(share, Operator::Gt, lit(0), &schema);
    let is_positive = of(column("a"), Operator::Gt, lit(0.0), &schema);
    let known = |first: &Arc<dyn PhysicalExpr>, second: &Arc<dyn PhysicalExpr>, result: Arc<dyn PhysicalExpr>| {
        let branches = vec![(Arc::clone(first), lit(1.5)), (Arc::clone(second), result)];
        CaseLiterals::of(&case(None, branches, None).unwrap(), &schema).unwrap().is_some()
    };
    assert!(!known(&is_zero, &guarded, lit(2.5)), "an integer is divided");
    assert!(!known(&is_zero, &is_positive, column("a")), "a result is a column");
    assert!(known(&is_zero, &is_positive, lit(2.5)));
}
