//! A runtime of its own for what gives way to the ingest: maintenance takes what the processors have left.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::Instrument;

use crate::ingest::event_loop::status::Status;
use crate::ingest::maintenance::task::Caretaker;
use crate::util::priority::lower_thread_priority;

/// What is under way has had the time of the last flush too.
const LAST_MAINTENANCE: Duration = Duration::from_secs(1);

pub(in crate::ingest) struct Beside {
    runtime: Runtime,
    task: JoinHandle<()>,
}

impl Beside {
    /// # Errors
    /// The system gives no thread.
    pub(in crate::ingest) fn start(caretaker: Caretaker, status: watch::Receiver<Status>) -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("maintenance")
            .on_thread_start(lower_thread_priority)
            .enable_all()
            .build()?;
        let task = runtime.spawn(caretaker.run(status).in_current_span());
        Ok(Self { runtime, task })
    }

    /// After its token was cancelled. What is under way may end; the tables are whole without it too.
    pub(in crate::ingest) async fn end(mut self) {
        match tokio::time::timeout(LAST_MAINTENANCE, &mut self.task).await {
            Ok(ended) => {
                if let Err(error) = ended {
                    tracing::error!(%error, "the maintenance task failed");
                }
                self.runtime.shutdown_background();
            }
            Err(_) => {
                tracing::debug!("the maintenance takes too long; leaving without it");
                self.task.abort();
                // What the Delta kernel does in threads of its own panics when its runtime ends first.
                std::mem::forget(self.runtime);
            }
        }
    }
}
