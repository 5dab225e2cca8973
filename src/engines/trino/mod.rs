//! Trino: its settings, its client protocol and the result of a statement.

mod client;
mod http;
mod page;
mod settings;
#[cfg(test)]
mod tests;

pub use client::{TrinoAnswer, TrinoClient};
pub use settings::TrinoSettings;
