//! Rules on the physical plan, and operators that they put into it.

pub(in crate::query::corrections) mod cancellable;
pub(in crate::query::corrections) mod filtered_aggregates;
pub(in crate::query::corrections) mod hidden_properties;
pub(in crate::query::corrections) mod unique_names;
pub(in crate::query::corrections) mod window_memory;
