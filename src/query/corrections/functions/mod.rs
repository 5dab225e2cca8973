//! Functions and accumulators in place of DataFusion's.

pub(in crate::query::corrections) mod checked;
pub(in crate::query::corrections) mod date_bin;
pub(in crate::query::corrections) mod decimal_digits;
pub(in crate::query::corrections) mod exact_avg;
pub(in crate::query::corrections) mod exact_sum;
pub(in crate::query::corrections) mod frame_aggregates;
pub(in crate::query::corrections) mod limits;
pub(in crate::query::corrections) mod opaque;
pub(in crate::query::corrections) mod sliding;
pub(in crate::query::corrections) mod window_functions;
