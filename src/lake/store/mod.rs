//! Stores of tables: local folders and object stores, with retries and metrics.

#[cfg(feature = "aws")]
pub(in crate::lake) mod aws;
pub(in crate::lake) mod bucket;
pub(in crate::lake) mod durable;
#[cfg(test)]
pub(in crate::lake) mod faulty;
pub(in crate::lake) mod folder;
pub(in crate::lake) mod location;
pub(in crate::lake) mod log_file;
pub(in crate::lake) mod metrics;
pub(in crate::lake) mod probe;
pub(in crate::lake) mod retry;
pub(in crate::lake) mod root;
pub(in crate::lake) mod root_folder;
pub(in crate::lake) mod stored_file;
pub(in crate::lake) mod upload;
