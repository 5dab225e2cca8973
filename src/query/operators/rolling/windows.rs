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
    AllMoments, ArrayKernel, KnownCounts, RowNumberKernel, Sums, first, greatest, lagged, least, means, spreads, sums,
};
use super::recursions::IndicatorKernel;
use super::symbols::SymbolRun;
use crate::indicators::{Frame, MomentsState};
use crate::query::operators::indicators::{Indicator, IndicatorUdwf};

/// What an expression computes of its argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WindowFunction {
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
pub(super) struct RollingWindow {
    function: WindowFunction,
    frame: Frame,
    /// None counts rows; only recursions have several.
    arguments: Vec<Arc<dyn PhysicalExpr>>,
    /// Of the first argument.
    kind: DataType,
}

impl RollingWindow {
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
            "count" => WindowFunction::Count,
            "sum" => WindowFunction::Sum,
            "avg" => WindowFunction::Mean,
            "min" => WindowFunction::Least,
            "max" => WindowFunction::Greatest,
            "stddev" => WindowFunction::Variance { sample: true, root: true },
            "stddev_pop" => WindowFunction::Variance { sample: false, root: true },
            "var" => WindowFunction::Variance { sample: true, root: false },
            "var_pop" => WindowFunction::Variance { sample: false, root: false },
            _ => return None,
        };
        let frame = rows_before(expr.get_window_frame())?;
        let [argument] = &aggregate.expressions()[..] else { return None };
        let arguments = match argument.downcast_ref::<Literal>() {
            Some(literal) if function == WindowFunction::Count && !literal.value().is_null() => Vec::new(),
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
        if let Some(ours) = function.fun().inner().downcast_ref::<IndicatorUdwf>() {
            let (arguments, indicator) = ours.split(function.args()).ok()?;
            return Self::checked(WindowFunction::Recursion(indicator), frame, arguments.to_vec(), input);
        }
        match (function.fun().name(), function.args()) {
            ("row_number", []) => Self::checked(WindowFunction::RowNumber, frame, Vec::new(), input),
            ("first_value", [argument]) if all_rows_before(expr.get_window_frame()) && !ignores_nulls(function) => {
                Self::checked(WindowFunction::First, frame, vec![Arc::clone(argument)], input)
            }
            ("lag", [argument, ..]) => {
                let distance = distance_of(function)?;
                Self::checked(WindowFunction::Lag(distance), frame, vec![Arc::clone(argument)], input)
            }
            _ => None,
        }
    }

    fn checked(
        function: WindowFunction,
        frame: Frame,
        arguments: Vec<Arc<dyn PhysicalExpr>>,
        input: &SchemaRef,
    ) -> Option<Self> {
        let kind = match arguments.first() {
            Some(argument) => argument.data_type(input).ok()?,
            None => DataType::Null,
        };
        let is_known = match function {
            WindowFunction::Count | WindowFunction::RowNumber | WindowFunction::Recursion(_) => true,
            WindowFunction::Sum | WindowFunction::Mean | WindowFunction::Variance { .. } => kind == DataType::Float64,
            WindowFunction::Least | WindowFunction::Greatest | WindowFunction::First | WindowFunction::Lag(_) => {
                lagged(&kind, 1).is_some()
            }
        };
        is_known.then_some(Self { function, frame, arguments, kind })
    }

    fn array_kernel(&self) -> Option<Box<dyn ArrayKernel>> {
        match self.function {
            WindowFunction::Least => least(&self.kind, self.frame),
            WindowFunction::Greatest => greatest(&self.kind, self.frame),
            WindowFunction::First => first(&self.kind),
            WindowFunction::Lag(distance) => lagged(&self.kind, distance),
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
struct KernelOver<K> {
    kernel: K,
    frame: Frame,
    argument: Option<usize>,
}

/// Where the result of an expression comes from: places in the lists of [`RunningWindows`].
#[derive(Debug)]
enum ResultSource {
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
pub(super) struct RunningWindows {
    arguments: Vec<Arc<dyn PhysicalExpr>>,
    counts: Vec<KernelOver<KnownCounts>>,
    sums: Vec<KernelOver<Sums>>,
    moments: Vec<KernelOver<AllMoments>>,
    arrays: Vec<KernelOver<Box<dyn ArrayKernel>>>,
    row_numbers: RowNumberKernel,
    /// Each with the arguments that it runs over.
    recursions: Vec<(IndicatorKernel, Vec<usize>)>,
    made: Vec<ResultSource>,
}

impl RunningWindows {
    pub(super) fn new(windows: &[RollingWindow]) -> Self {
        let mut rolling = Self::default();
        for window in windows {
            let made = rolling.add(window);
            rolling.made.push(made);
        }
        rolling
    }

    fn add(&mut self, window: &RollingWindow) -> ResultSource {
        let frame = window.frame;
        let arguments: Vec<usize> = window.arguments.iter().map(|argument| self.argument(argument)).collect();
        let argument = arguments.first().copied();
        match window.function {
            WindowFunction::RowNumber => ResultSource::RowNumber,
            WindowFunction::Recursion(indicator) => {
                self.recursions.push((IndicatorKernel::new(indicator), arguments));
                ResultSource::Recursion { recursions: self.recursions.len() - 1 }
            }
            WindowFunction::Count => ResultSource::Count { counts: self.count(argument, frame) },
            WindowFunction::Sum | WindowFunction::Mean => {
                let counts = self.count(argument, frame);
                let sums = shared(&mut self.sums, argument, frame, || Sums::new(frame));
                match window.function {
                    WindowFunction::Sum => ResultSource::Sum { sums, counts },
                    _ => ResultSource::Mean { sums, counts },
                }
            }
            WindowFunction::Variance { sample, root } => {
                let moments = shared(&mut self.moments, argument, frame, || AllMoments::new(frame));
                ResultSource::Variance { moments, sample, root }
            }
            WindowFunction::Least | WindowFunction::Greatest | WindowFunction::First | WindowFunction::Lag(_) => {
                let is_fold = matches!(window.function, WindowFunction::Least | WindowFunction::Greatest);
                let counts = is_fold.then(|| self.count(argument, frame));
                let kernel = window.array_kernel().expect("the type was checked");
                self.arrays.push(KernelOver { kernel, frame, argument });
                ResultSource::Array { array: self.arrays.len() - 1, counts }
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
        shared(&mut self.counts, argument, frame, || KnownCounts::new(frame))
    }

    /// The column of each window over the next rows.
    ///
    /// # Errors
    /// An argument can't be evaluated.
    pub(super) fn extend(&mut self, batch: &RecordBatch, runs: &[SymbolRun], symbols: usize) -> Result<Vec<ArrayRef>> {
        let rows = batch.num_rows();
        let arguments = self.arguments.iter().map(|argument| argument.evaluate(batch)?.into_array(rows));
        let arguments: Vec<ArrayRef> = arguments.collect::<Result<_>>()?;
        let of = |argument: Option<usize>| argument.map(|at| &arguments[at]);
        let over = |argument: Option<usize>| of(argument).expect("only counts have no argument");
        let counts = |over: &mut KernelOver<KnownCounts>| over.kernel.extend(of(over.argument), runs, symbols, rows);
        let counts: Vec<ScalarBuffer<i64>> = self.counts.iter_mut().map(counts).map(ScalarBuffer::from).collect();
        let sum = |one: &mut KernelOver<Sums>| one.kernel.extend(over(one.argument), runs, symbols);
        let all_sums: Vec<Vec<f64>> = self.sums.iter_mut().map(sum).collect();
        let moments = |one: &mut KernelOver<AllMoments>| one.kernel.extend(over(one.argument), runs, symbols);
        let moments: Vec<Vec<MomentsState>> = self.moments.iter_mut().map(moments).collect();
        let numbered = self.made.iter().any(|made| matches!(made, ResultSource::RowNumber));
        let numbers = numbered.then(|| self.row_numbers.extend(runs, symbols, rows));
        let recursion = |(recursions, over): &mut (IndicatorKernel, Vec<usize>)| {
            let over: Vec<&ArrayRef> = over.iter().map(|at| &arguments[*at]).collect();
            recursions.extend(&over, runs, symbols, rows)
        };
        let recursions: Vec<ArrayRef> = self.recursions.iter_mut().map(recursion).collect::<Result<_, _>>()?;
        let arrays = &mut self.arrays;
        let column = |made: &ResultSource| match *made {
            ResultSource::Count { counts: at } => Arc::new(Int64Array::new(counts[at].clone(), None)) as ArrayRef,
            ResultSource::Sum { sums: at, counts: of } => sums(&all_sums[at], &counts[of]),
            ResultSource::Mean { sums: at, counts: of } => means(&all_sums[at], &counts[of]),
            ResultSource::Variance { moments: at, sample, root } => spreads(&moments[at], |state| {
                let variance = if sample { state.sample_variance() } else { state.population_variance() };
                if root { variance.map(f64::sqrt) } else { variance }
            }),
            ResultSource::Array { array, counts: of } => {
                let one = &mut arrays[array];
                one.kernel.extend(over(one.argument), runs, symbols, of.map(|of| &counts[of][..]))
            }
            ResultSource::Recursion { recursions: at } => Arc::clone(&recursions[at]),
            ResultSource::RowNumber => Arc::clone(numbers.as_ref().expect("rows are numbered")),
        };
        Ok(self.made.iter().map(column).collect())
    }
}

impl RunningWindows {
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
fn shared<K>(all: &mut Vec<KernelOver<K>>, argument: Option<usize>, frame: Frame, new: impl FnOnce() -> K) -> usize {
    let known = all.iter().position(|over| over.argument == argument && over.frame == frame);
    known.unwrap_or_else(|| {
        all.push(KernelOver { kernel: new(), frame, argument });
        all.len() - 1
    })
}
