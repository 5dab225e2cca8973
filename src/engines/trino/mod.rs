//! Trino: its settings, its protocol and the rows of an answer.

mod client;
mod http;
mod page;
mod settings;
#[cfg(test)]
mod tests;

pub use client::{TrinoAnswer, TrinoClient};
pub use settings::TrinoSettings;
