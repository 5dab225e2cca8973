//! Where tables lie: local folders and object stores, how they are reached, and what requests cost.

#[cfg(feature = "aws")]
pub(in crate::lake) mod aws;
pub(in crate::lake) mod bucket;
pub(in crate::lake) mod durable;
pub(in crate::lake) mod empty;
#[cfg(test)]
pub(in crate::lake) mod faulty;
pub(in crate::lake) mod folder;
pub(in crate::lake) mod location;
pub(in crate::lake) mod log_file;
pub(in crate::lake) mod probe;
pub(in crate::lake) mod retry;
pub(in crate::lake) mod root;
pub(in crate::lake) mod stored_file;
pub(in crate::lake) mod tally;
pub(in crate::lake) mod upload;
