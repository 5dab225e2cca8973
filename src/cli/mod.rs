//! The command line: arguments, settings, logging, and one small file for each command.

pub mod args;
pub mod commands;
pub mod settings;
pub mod telemetry;
