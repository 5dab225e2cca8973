//! The Delta log: its actions, its newest version, its properties, and what a version of a table holds.

pub(in crate::lake) mod actions;
pub(in crate::lake) mod checkpoint_hint;
pub(in crate::lake) mod damage;
pub(in crate::lake) mod head;
pub(in crate::lake) mod history;
pub(in crate::lake) mod input_change;
pub(in crate::lake) mod logged_version;
pub(in crate::lake) mod lost_ranges;
pub(in crate::lake) mod newer_version;
pub(in crate::lake) mod properties;
pub(in crate::lake) mod record;
pub(in crate::lake) mod schema;
pub(in crate::lake) mod table;
pub(in crate::lake) mod transactions;
pub(in crate::lake) mod view;
