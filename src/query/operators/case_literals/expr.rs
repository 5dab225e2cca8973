//! The expressions: the literal of each row, its index in the list of literals, and the literal at an index.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, UInt8Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::take;
use arrow::datatypes::{DataType, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::expressions::{
    BinaryExpr, CaseExpr, Column, IsNotNullExpr, IsNullExpr, Literal, NegativeExpr, NotExpr,
};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};

/// All are evaluated for all rows, where DataFusion ends once no row is left.
const MOST_CONDITIONS: usize = 16;

/// A `CASE` without an operand whose conditions can't fail and whose results are literals.
#[derive(Debug, Clone)]
pub(super) struct CaseLiterals {
    case: Arc<dyn PhysicalExpr>,
    conditions: Vec<Arc<dyn PhysicalExpr>>,
    /// The literal of each condition, and of the rows where none holds.
    indices: Vec<u8>,
    /// The distinct literals.
    literals: ArrayRef,
}

impl CaseLiterals {
    /// `None` for any other expression.
    pub(super) fn of(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<Option<Self>> {
        let Some(case) = expr.downcast_ref::<CaseExpr>() else { return Ok(None) };
        let branches = case.when_then_expr();
        // One condition with two literals is fast as it is.
        if case.expr().is_some() || !(2..=MOST_CONDITIONS).contains(&branches.len()) {
            return Ok(None);
        }
        let conditions: Vec<_> = branches.iter().map(|(when, _)| Arc::clone(when)).collect();
        let kind = case.data_type(schema)?;
        let (mut indices, mut literals) = (Vec::new(), Vec::new());
        for result in branches.iter().map(|(_, then)| Some(then)).chain([case.else_expr()]) {
            let Some(literal) = literal(result, &kind) else { return Ok(None) };
            let known = literals.iter().position(|known| *known == literal);
            indices.push(known.unwrap_or(literals.len()) as u8);
            if known.is_none() {
                literals.push(literal);
            }
        }
        let (Ok(literals), true) =
            (ScalarValue::iter_to_array(literals), conditions.iter().all(|condition| never_fails(condition, schema)))
        else {
            return Ok(None);
        };
        Ok(Some(Self { case: Arc::clone(expr), conditions, indices, literals }))
    }

    /// Of texts or of whatever else the literals are.
    pub(super) fn kind(&self) -> &DataType {
        self.literals.data_type()
    }

    /// The index of each row's literal.
    fn indices(&self, batch: &RecordBatch) -> Result<UInt8Array> {
        let rows = batch.num_rows();
        let (otherwise, of_conditions) = self.indices.split_last().expect("there is a literal where none holds");
        let mut indices = vec![*otherwise; rows];
        // The first condition that holds is the one that counts: it is written last.
        for (index, condition) in of_conditions.iter().zip(&self.conditions).rev() {
            let holds = condition.evaluate(batch)?.into_array(rows)?;
            put(&mut indices, &truths(&holds), *index);
        }
        Ok(indices.into())
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

/// The rows for which the condition is true, neither false nor unknown.
fn truths(holds: &ArrayRef) -> BooleanBuffer {
    let holds = holds.as_boolean();
    match holds.nulls() {
        Some(nulls) => holds.values() & nulls.inner(),
        None => holds.values().clone(),
    }
}

fn put(indices: &mut [u8], truths: &BooleanBuffer, index: u8) {
    let chunks = truths.bit_chunks();
    for (indices, word) in indices.chunks_mut(64).zip(chunks.iter_padded()) {
        if word != 0 {
            for (bit, at) in indices.iter_mut().enumerate() {
                *at = if word >> bit & 1 == 1 { index } else { *at };
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
        let is_plain = expr.is::<Column>() || expr.is::<Literal>() || expr.is::<CaseLiterals>();
        let is_test = expr.is::<IsNullExpr>() || expr.is::<IsNotNullExpr>() || expr.is::<NotExpr>();
        is_plain || is_test || (expr.is::<NegativeExpr>() && of_doubles())
    };
    is_safe && expr.children().into_iter().all(|child| never_fails(child, schema))
}

impl PhysicalExpr for CaseLiterals {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.case.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.case.nullable(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Array(take(&self.literals, &self.indices(batch)?, None)?))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.case.children()
    }

    /// The `CASE` of these: what maps columns through a projection must see the expression that orders are known for.
    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        Arc::clone(&self.case).with_new_children(children)
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.case.fmt_sql(f)
    }
}

impl fmt::Display for CaseLiterals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "choice of {}", self.case)
    }
}

impl PartialEq for CaseLiterals {
    fn eq(&self, other: &Self) -> bool {
        self.case.eq(&other.case)
    }
}

impl Eq for CaseLiterals {}

impl Hash for CaseLiterals {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.case.hash(state);
    }
}

/// The index of each row's literal in the list of literals.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct LiteralIndex(pub CaseLiterals);

impl PhysicalExpr for LiteralIndex {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(DataType::UInt8)
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(false)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Array(Arc::new(self.0.indices(batch)?)))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        Vec::new()
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(self)
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for LiteralIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "place in {}", self.0)
    }
}

/// The literal at an index.
#[derive(Debug)]
pub(super) struct IndexedLiteral {
    pub index: Arc<dyn PhysicalExpr>,
    pub choice: CaseLiterals,
    pub nullable: bool,
}

impl PartialEq for IndexedLiteral {
    fn eq(&self, other: &Self) -> bool {
        self.index.eq(&other.index) && (&self.choice, self.nullable) == (&other.choice, other.nullable)
    }
}

impl Eq for IndexedLiteral {}

impl Hash for IndexedLiteral {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.index.hash(state);
        self.choice.hash(state);
    }
}

impl PhysicalExpr for IndexedLiteral {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(self.choice.literals.data_type().clone())
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(self.nullable)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let indices = self.index.evaluate(batch)?.into_array(batch.num_rows())?;
        Ok(ColumnarValue::Array(take(&self.choice.literals, &indices, None)?))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.index]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let index = children.swap_remove(0);
        Ok(Arc::new(Self { index, choice: self.choice.clone(), nullable: self.nullable }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for IndexedLiteral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "literal at {}", self.index)
    }
}
