//! Window expressions as kernels and what is made of their states; kernels that several expressions need run once.

use std::num::NonZeroUsize;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{WindowFrame, WindowFrameBound, WindowFrameUnits};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_expr::window::{PlainAggregateWindowExpr, SlidingAggregateWindowExpr, StandardWindowExpr};
use datafusion::physical_plan::WindowExpr;
use datafusion::physical_plan::windows::WindowUDFExpr;

use super::kernels::{
    AllMoments, ArrayKernel, Counts, RowNumbers, Sums, first, greatest, lagged, least, means, spreads, sums,
};
use super::recursions::Recursions;
use super::symbols::Run;
use crate::indicators::{Frame, MomentsState};
use crate::query::operators::indicators::{Indicator, WindowFunctionOfOurs};

/// What an expression computes of its argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Count,
    Sum,
    Mean,
    Variance { sample: bool, root: bool },
    Least,
    Greatest,
    First,
    Lag(usize),
    RowNumber,
    Recursion(Indicator),
}

/// One window expression that the kernels know.
#[derive(Debug, Clone)]
pub(super) struct Window {
    function: Function,
    frame: Frame,
    /// None counts rows; only recursions have several.
    arguments: Vec<Arc<dyn PhysicalExpr>>,
    /// Of the first argument.
    kind: DataType,
}

impl Window {
    /// `None` for what the kernels don't know.
    pub(super) fn of(expr: &dyn WindowExpr, input: &SchemaRef) -> Option<Self> {
        let any = expr.as_any();
        if any.is::<StandardWindowExpr>() {
            return Self::of_standard(expr, input);
        }
        let aggregate = match any.downcast_ref::<PlainAggregateWindowExpr>() {
            Some(plain) => plain.get_aggregate_expr(),
            None => any.downcast_ref::<SlidingAggregateWindowExpr>()?.get_aggregate_expr(),
        };
        // FILTER has no public accessor; it is the last field of both kinds.
        let has_filter = !format!("{expr:?}").ends_with("filter: None }");
        if has_filter || aggregate.is_distinct() || aggregate.ignore_nulls() || !aggregate.order_bys().is_empty() {
            return None;
        }
        let function = match aggregate.fun().name() {
            "count" => Function::Count,
            "sum" => Function::Sum,
            "avg" => Function::Mean,
            "min" => Function::Least,
            "max" => Function::Greatest,
            "stddev" => Function::Variance { sample: true, root: true },
            "stddev_pop" => Function::Variance { sample: false, root: true },
            "var" => Function::Variance { sample: true, root: false },
            "var_pop" => Function::Variance { sample: false, root: false },
            _ => return None,
        };
        let frame = rows_before(expr.get_window_frame())?;
        let [argument] = &aggregate.expressions()[..] else { return None };
        let arguments = match argument.downcast_ref::<Literal>() {
            Some(literal) if function == Function::Count && !literal.value().is_null() => Vec::new(),
            _ => vec![Arc::clone(argument)],
        };
        Self::checked(function, frame, arguments, input)
    }

    pub(super) fn arguments(&self) -> &[Arc<dyn PhysicalExpr>] {
        &self.arguments
    }

    pub(super) fn with_arguments(
        &self,
        argument: &impl Fn(&Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>>,
    ) -> Result<Self> {
        let arguments = self.arguments.iter().map(argument).collect::<Result<_>>()?;
        Ok(Self { arguments, kind: self.kind.clone(), ..*self })
    }

    fn of_standard(expr: &dyn WindowExpr, input: &SchemaRef) -> Option<Self> {
        let function = function_of(expr)?;
        let frame = Frame { rows: None, lag: 0 };
        if let Some(ours) = function.fun().inner().downcast_ref::<WindowFunctionOfOurs>() {
            let (arguments, indicator) = ours.split(function.args()).ok()?;
            return Self::checked(Function::Recursion(indicator), frame, arguments.to_vec(), input);
        }
        match (function.fun().name(), function.args()) {
            ("row_number", []) => Self::checked(Function::RowNumber, frame, Vec::new(), input),
            ("first_value", [argument]) if all_rows_before(expr.get_window_frame()) && !ignores_nulls(function) => {
                Self::checked(Function::First, frame, vec![Arc::clone(argument)], input)
            }
            ("lag", [argument, ..]) => {
                let distance = distance_of(function)?;
                Self::checked(Function::Lag(distance), frame, vec![Arc::clone(argument)], input)
            }
            _ => None,
        }
    }

    fn checked(
        function: Function,
        frame: Frame,
        arguments: Vec<Arc<dyn PhysicalExpr>>,
        input: &SchemaRef,
    ) -> Option<Self> {
        let kind = match arguments.first() {
            Some(argument) => argument.data_type(input).ok()?,
            None => DataType::Null,
        };
        let is_known = match function {
            Function::Count | Function::RowNumber | Function::Recursion(_) => true,
            Function::Sum | Function::Mean | Function::Variance { .. } => kind == DataType::Float64,
            Function::Least | Function::Greatest | Function::First | Function::Lag(_) => lagged(&kind, 1).is_some(),
        };
        is_known.then_some(Self { function, frame, arguments, kind })
    }

    fn array_kernel(&self) -> Option<Box<dyn ArrayKernel>> {
        match self.function {
            Function::Least => least(&self.kind, self.frame),
            Function::Greatest => greatest(&self.kind, self.frame),
            Function::First => first(&self.kind),
            Function::Lag(distance) => lagged(&self.kind, distance),
            _ => None,
        }
    }
}

pub(in crate::query) fn function_of(expr: &dyn WindowExpr) -> Option<&WindowUDFExpr> {
    let standard = expr.as_any().downcast_ref::<StandardWindowExpr>()?;
    standard.get_standard_func_expr().as_any().downcast_ref::<WindowUDFExpr>()
}

fn ignores_nulls(function: &WindowUDFExpr) -> bool {
    // The flag has no accessor.
    !format!("{function:?}").contains("ignore_nulls: false")
}

/// The frame begins with the first row, and has the current one.
fn all_rows_before(frame: &WindowFrame) -> bool {
    let from_first = matches!(&frame.start_bound, WindowFrameBound::Preceding(rows) if rows.is_null());
    from_first && frame.end_bound == WindowFrameBound::CurrentRow
}

/// Rows between the current one and that of a LAG or LEAD, if there is no more to it.
pub(in crate::query) fn distance_of(function: &WindowUDFExpr) -> Option<usize> {
    if ignores_nulls(function) {
        return None;
    }
    match function.args() {
        [_] => Some(1),
        [_, distance] => match distance.downcast_ref::<Literal>()?.value() {
            ScalarValue::Int64(Some(distance)) => usize::try_from(*distance).ok(),
            _ => None,
        },
        _ => None,
    }
}

/// The frame, if it is of rows and ends at or before the current one.
fn rows_before(frame: &WindowFrame) -> Option<Frame> {
    if frame.units != WindowFrameUnits::Rows {
        return None;
    }
    let distance = |value: &ScalarValue| match value {
        ScalarValue::UInt64(Some(rows)) => usize::try_from(*rows).ok(),
        _ => None,
    };
    let lag = match &frame.end_bound {
        WindowFrameBound::CurrentRow => 0,
        WindowFrameBound::Preceding(value) => distance(value)?,
        WindowFrameBound::Following(_) => return None,
    };
    let rows = match &frame.start_bound {
        WindowFrameBound::CurrentRow => (lag == 0).then_some(Some(1))?,
        WindowFrameBound::Preceding(value) if value.is_null() => None,
        WindowFrameBound::Preceding(value) => Some((distance(value)?.checked_sub(lag)?).checked_add(1)?),
        WindowFrameBound::Following(_) => return None,
    };
    match rows {
        None => Some(Frame { rows: None, lag }),
        Some(rows) => Some(Frame { rows: Some(NonZeroUsize::new(rows)?), lag }),
    }
}

/// A kernel of several, and the argument it runs over.
#[derive(Debug)]
struct Over<K> {
    kernel: K,
    frame: Frame,
    argument: Option<usize>,
}

/// Where the result of an expression comes from: places in the lists of [`Rolling`].
#[derive(Debug)]
enum Made {
    Count { counts: usize },
    Sum { sums: usize, counts: usize },
    Mean { sums: usize, counts: usize },
    Variance { moments: usize, sample: bool, root: bool },
    Array { array: usize, counts: Option<usize> },
    RowNumber,
    Recursion { recursions: usize },
}

/// The running windows of one partition.
#[derive(Debug, Default)]
pub(super) struct Rolling {
    arguments: Vec<Arc<dyn PhysicalExpr>>,
    counts: Vec<Over<Counts>>,
    sums: Vec<Over<Sums>>,
    moments: Vec<Over<AllMoments>>,
    arrays: Vec<Over<Box<dyn ArrayKernel>>>,
    row_numbers: RowNumbers,
    /// Each with the arguments that it runs over.
    recursions: Vec<(Recursions, Vec<usize>)>,
    made: Vec<Made>,
}

impl Rolling {
    pub(super) fn new(windows: &[Window]) -> Self {
        let mut rolling = Self::default();
        for window in windows {
            let made = rolling.add(window);
            rolling.made.push(made);
        }
        rolling
    }

    fn add(&mut self, window: &Window) -> Made {
        let frame = window.frame;
        let arguments: Vec<usize> = window.arguments.iter().map(|argument| self.argument(argument)).collect();
        let argument = arguments.first().copied();
        match window.function {
            Function::RowNumber => Made::RowNumber,
            Function::Recursion(indicator) => {
                self.recursions.push((Recursions::new(indicator), arguments));
                Made::Recursion { recursions: self.recursions.len() - 1 }
            }
            Function::Count => Made::Count { counts: self.count(argument, frame) },
            Function::Sum | Function::Mean => {
                let counts = self.count(argument, frame);
                let sums = shared(&mut self.sums, argument, frame, || Sums::new(frame));
                match window.function {
                    Function::Sum => Made::Sum { sums, counts },
                    _ => Made::Mean { sums, counts },
                }
            }
            Function::Variance { sample, root } => {
                let moments = shared(&mut self.moments, argument, frame, || AllMoments::new(frame));
                Made::Variance { moments, sample, root }
            }
            Function::Least | Function::Greatest | Function::First | Function::Lag(_) => {
                let is_fold = matches!(window.function, Function::Least | Function::Greatest);
                let counts = is_fold.then(|| self.count(argument, frame));
                let kernel = window.array_kernel().expect("the type was checked");
                self.arrays.push(Over { kernel, frame, argument });
                Made::Array { array: self.arrays.len() - 1, counts }
            }
        }
    }

    fn argument(&mut self, argument: &Arc<dyn PhysicalExpr>) -> usize {
        let known = self.arguments.iter().position(|known| known == argument);
        known.unwrap_or_else(|| {
            self.arguments.push(Arc::clone(argument));
            self.arguments.len() - 1
        })
    }

    fn count(&mut self, argument: Option<usize>, frame: Frame) -> usize {
        shared(&mut self.counts, argument, frame, || Counts::new(frame))
    }

    /// The column of each window over the next rows.
    ///
    /// # Errors
    /// An argument can't be evaluated.
    pub(super) fn extend(&mut self, batch: &RecordBatch, runs: &[Run], symbols: usize) -> Result<Vec<ArrayRef>> {
        let rows = batch.num_rows();
        let arguments = self.arguments.iter().map(|argument| argument.evaluate(batch)?.into_array(rows));
        let arguments: Vec<ArrayRef> = arguments.collect::<Result<_>>()?;
        let of = |argument: Option<usize>| argument.map(|at| &arguments[at]);
        let over = |argument: Option<usize>| of(argument).expect("only counts have no argument");
        let counts = |over: &mut Over<Counts>| over.kernel.extend(of(over.argument), runs, symbols, rows);
        let counts: Vec<ScalarBuffer<i64>> = self.counts.iter_mut().map(counts).map(ScalarBuffer::from).collect();
        let sum = |one: &mut Over<Sums>| one.kernel.extend(over(one.argument), runs, symbols);
        let all_sums: Vec<Vec<f64>> = self.sums.iter_mut().map(sum).collect();
        let moments = |one: &mut Over<AllMoments>| one.kernel.extend(over(one.argument), runs, symbols);
        let moments: Vec<Vec<MomentsState>> = self.moments.iter_mut().map(moments).collect();
        let numbered = self.made.iter().any(|made| matches!(made, Made::RowNumber));
        let numbers = numbered.then(|| self.row_numbers.extend(runs, symbols, rows));
        let recursion = |(recursions, over): &mut (Recursions, Vec<usize>)| {
            let over: Vec<&ArrayRef> = over.iter().map(|at| &arguments[*at]).collect();
            recursions.extend(&over, runs, symbols, rows)
        };
        let recursions: Vec<ArrayRef> = self.recursions.iter_mut().map(recursion).collect::<Result<_, _>>()?;
        let arrays = &mut self.arrays;
        let column = |made: &Made| match *made {
            Made::Count { counts: at } => Arc::new(Int64Array::new(counts[at].clone(), None)) as ArrayRef,
            Made::Sum { sums: at, counts: of } => sums(&all_sums[at], &counts[of]),
            Made::Mean { sums: at, counts: of } => means(&all_sums[at], &counts[of]),
            Made::Variance { moments: at, sample, root } => spreads(&moments[at], |state| {
                let variance = if sample { state.sample_variance() } else { state.population_variance() };
                if root { variance.map(f64::sqrt) } else { variance }
            }),
            Made::Array { array, counts: of } => {
                let one = &mut arrays[array];
                one.kernel.extend(over(one.argument), runs, symbols, of.map(|of| &counts[of][..]))
            }
            Made::Recursion { recursions: at } => Arc::clone(&recursions[at]),
            Made::RowNumber => Arc::clone(numbers.as_ref().expect("rows are numbered")),
        };
        Ok(self.made.iter().map(column).collect())
    }
}

impl Rolling {
    /// Bytes of the state of all symbols.
    pub(super) fn size(&self) -> usize {
        let counts = self.counts.iter().map(|over| over.kernel.size());
        let sums = self.sums.iter().map(|over| over.kernel.size());
        let moments = self.moments.iter().map(|over| over.kernel.size());
        let arrays = self.arrays.iter().map(|over| over.kernel.size());
        counts.chain(sums).chain(moments).chain(arrays).sum()
    }
}

/// The place of the kernel over this argument and frame, which is added if there is none.
fn shared<K>(all: &mut Vec<Over<K>>, argument: Option<usize>, frame: Frame, new: impl FnOnce() -> K) -> usize {
    let known = all.iter().position(|over| over.argument == argument && over.frame == frame);
    known.unwrap_or_else(|| {
        all.push(Over { kernel: new(), frame, argument });
        all.len() - 1
    })
}
