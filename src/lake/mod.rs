//! The only module that names deltalake: locations, stores, tables, commits.
//!
//! ```text
//!  Location ──> root_store (DurableLocal | S3, probed) ──> Table (log, snapshot, transactions)
//!                                                           ├─ commit: fence, one conditional put, resolver
//!                                                           └─ TableView: files of one version, for readers
//!  Audit ──> AuditedTable: the log read without the kernel, for who looks for damage
//! ```

mod audit;
mod commit;
mod error;
mod log;
pub mod maintenance;
mod reading;
mod store;
#[cfg(test)]
mod tests;

pub use crate::util::secret::Secret;
pub use audit::checkup::{Access, ListedFile, TemporaryFiles};
pub use audit::manifest::ManifestsWritten;
pub use audit::repair::Mending;
pub use audit::state::{Audit, AuditedTable, LogDamage, LogProblem};
pub use commit::append::{CommitNote, CommitOutcome, Reached};
pub use commit::create::LakeSpec;
pub use commit::handle::Lake;
pub use commit::new_file::NewFile;
pub use commit::replace::{Chosen, Replaced, Replacement};
pub use commit::replay::{ReplayBatch, ReplayOutcome};
pub use commit::signals::{SIGNALS, Signals};
pub use commit::writing::{footer_says_sorted, new_data_path, ticks_properties, zstd_properties};
pub use error::{Difference, LakeError, StoreProblem};
pub use log::history::{AsOf, TableCommit};
pub use log::input_change::{InputChange, input_changes};
pub use log::logged::{LoggedCounters, LoggedFile, LoggedVersion};
pub use log::lost::LostRanges;
pub use log::properties::{INPUT, MARKET_ZONE, PARTITION_BY};
pub use log::record::{Expired, PartitionCounters, Replayed};
pub use log::schema::{DEAD_DATE, SORT_ORDER, SORTED_BY, dead_letters_schema, signals_schema, ticks_schema};
pub use log::transactions::Advance;
pub use log::view::{DataFile, TableView, offset_bounds};
pub use maintenance::keep_log::{Maintained, Upkeep};
pub use maintenance::merged::{MaintainedTable, Maintenance};
pub use maintenance::vacuum::Unreferenced;
pub use reading::LakeVersion;
#[cfg(feature = "aws")]
pub use store::aws::{AwsAccess, aws_access};
pub use store::durable::DurableLocal;
pub use store::location::{Location, LocationError};
pub use store::retry::RetryPolicy;
pub use store::root::{S3Access, ServerSideEncryption, StoreSettings, root_store};
pub use store::stored_file::{FileError, StoredFile, batch_rows};
pub use store::tally::{Attempt, CommittedTable, Tallied, Tally};
pub use store::upload::store_result;
