//! One file per subcommand: wiring and printing, nothing else.

pub mod query;
