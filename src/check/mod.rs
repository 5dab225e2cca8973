//! Checks of a lake from outside: `verify` checks all rows, files and counters, `doctor` checks the store, the logs and
//! Kafka.

pub mod doctor;
pub mod verify;
