//! Checks of a lake from outside: `verify` checks all rows, files and counters, `doctor` everything around them.

pub mod doctor;
pub mod verify;
