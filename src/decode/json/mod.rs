//! JSON payloads: a single-pass scanner, and parsers for the messages of each preset.

pub(in crate::decode) mod binance;
pub(in crate::decode) mod coinbase;
pub(in crate::decode) mod detail;
pub(in crate::decode) mod elements;
pub(in crate::decode) mod field_origin;
pub(in crate::decode) mod finnhub;
pub(in crate::decode) mod frames;
pub(in crate::decode) mod keys;
pub(in crate::decode) mod number;
pub(in crate::decode) mod plan;
pub(in crate::decode) mod precheck;
pub(in crate::decode) mod row_reader;
pub(in crate::decode) mod scan;
pub(in crate::decode) mod text;
