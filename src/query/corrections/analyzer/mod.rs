//! Rules on the plan as the statement says it.

pub(in crate::query::corrections) mod distinct;
pub(in crate::query::corrections) mod exprs;
pub(in crate::query::corrections) mod known_zones;
pub(in crate::query::corrections) mod local_time;
pub(in crate::query::corrections) mod overflows;
pub(in crate::query::corrections) mod scalars;
pub(in crate::query::corrections) mod set_operations;
pub(in crate::query::corrections) mod subqueries;
pub(in crate::query::corrections) mod truth;
pub(in crate::query::corrections) mod unsigned;
pub(in crate::query::corrections) mod years;
pub(in crate::query::corrections) mod zeros;
