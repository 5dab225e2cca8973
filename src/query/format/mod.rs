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

pub use encoded::Encoded;
pub use fit::Fit;
pub use formats::Format;
pub use output::Output;
pub use readable::write_readable;
pub use write::{write_all, write_batch, write_stream};
