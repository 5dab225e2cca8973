//! The only module that names deltalake: locations, stores, tables, commits.
//!
//! ```text
//!  Location ──> root_store (DurableLocal | S3, probed) ──> Table (log, snapshot, transactions)
//!                                                           ├─ commit: fence, one conditional put, resolver
//!                                                           └─ TableView: files of one version, for readers
//!  Audit ──> AuditedTable: reads the log without the kernel, to find damage
//! ```

mod audit;
mod commit;
mod error;
mod lake_version;
mod log;
pub mod maintenance;
mod store;
#[cfg(test)]
mod tests;

pub use crate::util::secret::Secret;
pub use audit::manifest::ManifestsWritten;
pub use audit::repair::LogRepair;
pub use audit::state::{Audit, AuditedTable, LogDamage, LogProblem};
pub use audit::store_checks::{AccessCheck, ListedFile, TemporaryFileCounts};
pub use commit::append::{CommitNote, CommitOutcome, EventProgress};
pub use commit::create::LakeSpec;
pub use commit::handle::Lake;
pub use commit::new_file::NewFile;
pub use commit::replace::{MaintenanceBase, ReplaceOutcome, Replacement};
pub use commit::replay::{ReplayBatch, ReplayOutcome};
pub use commit::signals::{SIGNALS, SignalsWriter};
pub use commit::writing::{footer_says_sorted, new_data_path, ticks_properties, zstd_properties};
pub use error::{LakeError, SpecDifference, StoreProblem};
pub use lake_version::LakeVersion;
pub use log::history::{AsOf, TableCommit};
pub use log::input_change::{InputChange, input_changes};
pub use log::logged_version::{LoggedCounters, LoggedFile, LoggedVersion};
pub use log::lost_ranges::LostRanges;
pub use log::properties::{INPUT, MARKET_ZONE, PARTITION_BY};
pub use log::record::{ExpiredRows, PartitionCounters, ReplayedDeadLetters};
pub use log::schema::{DEAD_DATE, SORT_ORDER, SORTED_BY, dead_letters_schema, signals_schema, ticks_schema};
pub use log::transactions::Advance;
pub use log::view::{DataFile, TableView, offset_bounds};
pub use maintenance::lake_maintenance::{LakeMaintenance, MaintainedTable};
pub use maintenance::maintain_log::{LogMaintenance, LogMaintenanceStats};
pub use maintenance::vacuum::UnreferencedFile;
#[cfg(feature = "aws")]
pub use store::aws::{AwsAccess, aws_access};
pub use store::durable::DurableLocal;
pub use store::location::{Location, LocationError};
pub use store::metrics::{CommitAttempt, CommittedTable, StoreMetrics, StoreMetricsSnapshot};
pub use store::retry::RetryPolicy;
pub use store::root::{S3Access, ServerSideEncryption, StoreSettings, root_store};
pub use store::stored_file::{FileError, StoredFile, batch_rows};
pub use store::upload::store_result;
