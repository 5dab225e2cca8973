//! A separate runtime for the maintenance, whose threads have a lower priority than those of the ingest.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::Instrument;

use crate::ingest::event_loop::status::IngestStatus;
use crate::ingest::maintenance::task::MaintenanceTask;
use crate::util::priority::lower_thread_priority;

/// Time for the task to end; it was already able to use the time of the last flush.
const END_TIMEOUT: Duration = Duration::from_secs(1);

pub(in crate::ingest) struct MaintenanceRuntime {
    runtime: Runtime,
    task: JoinHandle<()>,
}

impl MaintenanceRuntime {
    /// # Errors
    /// The operating system can't start the thread.
    pub(in crate::ingest) fn start(
        task: MaintenanceTask,
        status: watch::Receiver<IngestStatus>,
    ) -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("maintenance")
            .on_thread_start(lower_thread_priority)
            .enable_all()
            .build()?;
        let task = runtime.spawn(task.run(status).in_current_span());
        Ok(Self { runtime, task })
    }

    /// Ends the runtime after the stop token was cancelled. Work in progress may be aborted; the tables stay
    /// consistent.
    pub(in crate::ingest) async fn end(mut self) {
        match tokio::time::timeout(END_TIMEOUT, &mut self.task).await {
            Ok(ended) => {
                if let Err(error) = ended {
                    tracing::error!(%error, "the maintenance task failed");
                }
                self.runtime.shutdown_background();
            }
            Err(_) => {
                tracing::debug!("the maintenance takes too long; aborting it");
                self.task.abort();
                // Threads of the Delta kernel panic if their runtime ends before them.
                std::mem::forget(self.runtime);
            }
        }
    }
}
