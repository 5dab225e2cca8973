//! The only module that names deltalake: locations, stores, tables, commits.
//!
//! ```text
//!  Location ──> root_store (DurableLocal | S3, probed) ──> Table (log, snapshot, transactions)
//!                                                           ├─ commit: fence, one conditional put, resolver
//!                                                           └─ TableView: files of one version, for readers
//!  Audit ──> AuditedTable: the log read without the kernel, for who looks for damage
//! ```

mod actions;
mod audit;
#[cfg(feature = "aws")]
mod aws;
mod bucket;
mod carry;
mod checkup;
mod commit;
mod create;
mod damage;
mod durable;
mod error;
#[cfg(test)]
mod faulty;
mod folder;
mod handle;
mod head;
mod hint;
mod history;
mod input_change;
mod lease;
mod location;
mod log_file;
mod logged;
mod lost;
mod maintain;
pub mod maintenance;
mod manifest;
mod mend;
mod new_file;
mod offsets;
mod probe;
mod put;
mod reading;
mod record;
mod recount;
mod replace;
mod replay;
mod retry;
mod schema;
mod signals;
mod store;
mod stored_file;
mod table;
mod tally;
#[cfg(test)]
mod tests;
mod thin;
mod upload;
mod vacant;
mod vacuum;
mod view;
mod writing;

pub use crate::util::secret::Secret;
pub use audit::{Audit, AuditedTable, LogDamage, LogProblem};
#[cfg(feature = "aws")]
pub use aws::{AwsAccess, aws_access};
pub use checkup::{Access, ListedFile, TemporaryFiles};
pub use commit::{Advance, CommitNote, CommitOutcome, Reached};
pub use create::{INPUT, LakeSpec, MARKET_ZONE, PARTITION_BY};
pub use durable::DurableLocal;
pub use error::{Difference, LakeError, StoreProblem};
pub use handle::Lake;
pub use history::{AsOf, TableCommit};
pub use input_change::{InputChange, input_changes};
pub use location::{Location, LocationError};
pub use logged::{LoggedCounters, LoggedFile, LoggedVersion};
pub use lost::LostRanges;
pub use maintain::{Maintained, MaintainedTable, Maintenance, Upkeep};
pub use manifest::ManifestsWritten;
pub use mend::Mending;
pub use new_file::NewFile;
pub use reading::LakeVersion;
pub use record::{Expired, PartitionCounters, Replayed};
pub use replace::{Chosen, Replaced, Replacement};
pub use replay::{ReplayBatch, ReplayOutcome};
pub use retry::RetryPolicy;
pub use schema::{DEAD_DATE, SORT_ORDER, SORTED_BY, dead_letters_schema, signals_schema, ticks_schema};
pub use signals::{SIGNALS, Signals};
pub use store::{S3Access, ServerSideEncryption, StoreSettings, root_store};
pub use stored_file::{FileError, StoredFile, batch_rows};
pub use tally::{Attempt, CommittedTable, Tallied, Tally};
pub use upload::store_result;
pub use vacuum::Unreferenced;
pub use view::{DataFile, TableView, offset_bounds};
pub use writing::{footer_says_sorted, new_data_path, ticks_properties, zstd_properties};
