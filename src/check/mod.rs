//! Checks of a lake from outside: `verify` compares all rows, files and counters, `doctor` the settings around them.

pub mod doctor;
pub mod verify;
