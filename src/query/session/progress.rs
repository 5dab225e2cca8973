//! How far a running query has come with its input.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::ExecutionPlan;

/// Reads the metrics of the scans of a plan while it runs.
#[derive(Clone)]
pub struct QueryProgress {
    plan: Arc<dyn ExecutionPlan>,
}

/// Input so far. Files that were left out by their bounds count nowhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InputRead {
    pub rows: u64,
    pub files: u64,
    pub all_files: u64,
}

impl QueryProgress {
    pub(in crate::query) fn of(plan: &Arc<dyn ExecutionPlan>) -> Self {
        Self { plan: Arc::clone(plan) }
    }

    pub fn read(&self) -> InputRead {
        let mut read = InputRead::default();
        add(&self.plan, &mut read);
        read
    }
}

fn add(plan: &Arc<dyn ExecutionPlan>, read: &mut InputRead) {
    for child in plan.children() {
        add(child, read);
    }
    let Some(scan) = plan.downcast_ref::<DataSourceExec>() else { return };
    let Some(config) = scan.data_source().downcast_ref::<FileScanConfig>() else { return };
    let pieces: Vec<_> = config.file_groups.iter().flat_map(|group| group.files()).collect();
    let files = pieces.iter().map(|piece| &piece.object_meta.location).collect::<HashSet<_>>().len() as u64;
    read.all_files += files;
    let Some(metrics) = plan.metrics() else { return };
    read.rows += metrics.output_rows().unwrap_or(0) as u64;
    // A large file is read in several pieces.
    let done = metrics.sum_by_name("files_processed").map_or(0, |done| done.as_usize()) as u64;
    read.files += files * done.min(pieces.len() as u64) / (pieces.len() as u64).max(1);
}
