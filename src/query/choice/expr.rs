//! The expressions: a literal a row, its place in the list, and the literal of a place.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, UInt8Array};
use arrow::buffer::{BooleanBuffer, OffsetBuffer};
use arrow::compute::take;
use arrow::datatypes::{DataType, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::expressions::{
    BinaryExpr, CaseExpr, Column, IsNotNullExpr, IsNullExpr, Literal, NegativeExpr, NotExpr,
};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};

/// Bytes of a text that are copied at once, whatever its length.
const SHORT_TEXT: usize = 16;

/// A `CASE` without an operand whose conditions can't fail and whose results are literals.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    case: Arc<dyn PhysicalExpr>,
    conditions: Vec<Arc<dyn PhysicalExpr>>,
    /// One for each condition, and the one where none holds.
    literals: ArrayRef,
    short_texts: Option<ShortTexts>,
}

impl Choice {
    /// `None` for any other expression.
    pub(super) fn of(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<Option<Self>> {
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
#[derive(Debug, Clone)]
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

/// The place of a choice in the list of its literals.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct PlaceOf(pub Choice);

impl PhysicalExpr for PlaceOf {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(DataType::UInt8)
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(false)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Array(Arc::new(UInt8Array::from(self.0.places(batch)?))))
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

impl fmt::Display for PlaceOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "place in {}", self.0)
    }
}

/// The literal of a choice at a place.
#[derive(Debug)]
pub(super) struct LiteralAt {
    pub place: Arc<dyn PhysicalExpr>,
    pub choice: Choice,
    pub nullable: bool,
}

impl PartialEq for LiteralAt {
    fn eq(&self, other: &Self) -> bool {
        self.place.eq(&other.place) && (&self.choice, self.nullable) == (&other.choice, other.nullable)
    }
}

impl Eq for LiteralAt {}

impl Hash for LiteralAt {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.place.hash(state);
        self.choice.hash(state);
    }
}

impl PhysicalExpr for LiteralAt {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(self.choice.literals.data_type().clone())
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(self.nullable)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let places = self.place.evaluate(batch)?.into_array(batch.num_rows())?;
        Ok(ColumnarValue::Array(take(&self.choice.literals, &places, None)?))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.place]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let place = children.swap_remove(0);
        Ok(Arc::new(Self { place, choice: self.choice.clone(), nullable: self.nullable }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for LiteralAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "literal at {}", self.place)
    }
}
