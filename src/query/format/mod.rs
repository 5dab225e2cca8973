//! Results as bytes.

mod cell;
mod encoded;
mod fit;
mod formats;
mod grid;
mod instant;
mod output;
mod readable;
mod text;
mod write;

pub use encoded::EncodedResult;
pub use fit::TableFit;
pub use formats::OutputFormat;
pub use output::ResultOutput;
pub use readable::write_readable;
pub use write::{write_all, write_batch, write_stream};
