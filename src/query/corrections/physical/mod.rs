//! Rules on the physical plan, and operators that they put into it.

pub(in crate::query::corrections) mod cancellable;
pub(in crate::query::corrections) mod forgetful;
pub(in crate::query::corrections) mod held;
pub(in crate::query::corrections) mod unfiltered;
pub(in crate::query::corrections) mod unique_names;
