//! `date_bin` of times in a zone: bins of its wall clock, where DataFusion's are of UTC.

use std::sync::Arc;

use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::array::{ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use datafusion::arrow::datatypes::{
    ArrowTimestampType, DataType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use datafusion::arrow::temporal_conversions::as_datetime;
use datafusion::common::{Result, exec_err};
use datafusion::functions::datetime::date_bin;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};

use chrono::offset::LocalResult;
use chrono::{DateTime, NaiveDateTime, Offset, TimeDelta, TimeZone};

use crate::query::corrections::analyzer::local_time::zone_of;

/// Longer than any gap of a clock that is put forward.
const GAP: TimeDelta = TimeDelta::hours(3);

/// In place of DataFusion's of the same name.
pub(in crate::query::corrections) fn zoned_date_bin() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(ZonedDateBin { inner: date_bin() }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ZonedDateBin {
    inner: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for ZonedDateBin {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn invoke_with_args(&self, mut call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let kind = call.args[1].data_type();
        let Some(zone) = zone_of(&kind) else { return self.inner.invoke_with_args(call) };
        let zone: Tz = zone.parse()?;
        let is_scalar = call.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { call.number_rows };
        let times = call.args[1].to_array(rows)?;
        for argument in &mut call.args[1..] {
            *argument = match argument {
                ColumnarValue::Scalar(scalar) => {
                    let local = on_the_wall(&scalar.to_array()?, zone)?;
                    ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(&local, 0)?)
                }
                ColumnarValue::Array(array) => ColumnarValue::Array(on_the_wall(array, zone)?),
            };
        }
        // What the inner function promises is what it gets: times without a zone.
        let local = call.args[1].data_type();
        call.return_field = Arc::new(call.return_field.as_ref().clone().with_data_type(local));
        let bins = self.inner.invoke_with_args(call)?.into_array(rows)?;
        let bins = instants(&bins, &times, zone)?;
        Ok(if is_scalar {
            ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(&bins, 0)?)
        } else {
            ColumnarValue::Array(bins)
        })
    }

    /// Nobody sorts by what clocks show while they are put back.
    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        match zone_of(&inputs[1].range.data_type()) {
            Some(_) => Ok(SortProperties::Unordered),
            None => self.inner.output_ordering(inputs),
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

macro_rules! by_unit {
    ($array:expr, $call:ident($($argument:expr),*)) => {
        match $array.data_type() {
            DataType::Timestamp(TimeUnit::Second, _) => $call::<TimestampSecondType>($($argument),*),
            DataType::Timestamp(TimeUnit::Millisecond, _) => $call::<TimestampMillisecondType>($($argument),*),
            DataType::Timestamp(TimeUnit::Microsecond, _) => $call::<TimestampMicrosecondType>($($argument),*),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => $call::<TimestampNanosecondType>($($argument),*),
            other => exec_err!("date_bin takes times, not {other}"),
        }
    };
}

/// What the clock on the wall shows at these times, as times without a zone.
fn on_the_wall(times: &ArrayRef, zone: Tz) -> Result<ArrayRef> {
    fn of<T: ArrowTimestampType>(times: &ArrayRef, zone: Tz) -> Result<ArrayRef> {
        let local =
            times.as_primitive::<T>().unary_opt::<_, T>(|time| value::<T>(local(as_datetime::<T>(time)?, zone)));
        Ok(Arc::new(local))
    }
    by_unit!(times, of(times, zone))
}

/// The times at which the clock on the wall shows `bins`, each of which is the bin of the time in `times`.
fn instants(bins: &ArrayRef, times: &ArrayRef, zone: Tz) -> Result<ArrayRef> {
    fn of<T: ArrowTimestampType>(bins: &ArrayRef, times: &ArrayRef, zone: Tz) -> Result<ArrayRef> {
        let both = bins.as_primitive::<T>().iter().zip(times.as_primitive::<T>());
        let instant = |(bin, time): (Option<i64>, Option<i64>)| {
            let bin = as_datetime::<T>(bin?)?;
            let time = zone.from_utc_datetime(&as_datetime::<T>(time?)?);
            value::<T>(instant(bin, time, zone)?.naive_utc())
        };
        let instants: PrimitiveArray<T> = both.map(instant).collect();
        Ok(Arc::new(instants.with_data_type(times.data_type().clone())))
    }
    by_unit!(times, of(bins, times, zone))
}

fn local(utc: NaiveDateTime, zone: Tz) -> NaiveDateTime {
    zone.from_utc_datetime(&utc).naive_local()
}

/// Of an hour that comes twice it is the one in which `time` is, else the first. Of an hour that is left out it is its
/// end.
fn instant(bin: NaiveDateTime, time: DateTime<Tz>, zone: Tz) -> Option<DateTime<Tz>> {
    match zone.from_local_datetime(&bin) {
        LocalResult::Single(instant) => Some(instant),
        LocalResult::Ambiguous(first, second) => {
            Some(if second.offset().fix() == time.offset().fix() && second <= time { second } else { first })
        }
        LocalResult::None => Some(zone.from_local_datetime(&(bin - GAP)).latest()? + GAP),
    }
}

fn value<T: ArrowTimestampType + ArrowPrimitiveType<Native = i64>>(time: NaiveDateTime) -> Option<i64> {
    T::from_naive_datetime(time, None)
}
