//! Work for the log beside the ingest, in a task of its own, and what it tells.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::status::{MaintenanceStatus, Ran, Status, Work};
use crate::lake::{Maintenance, Upkeep};

/// A checkpoint under way has had the time of the last flush too.
const LAST_MAINTENANCE: Duration = Duration::from_secs(1);

pub(super) struct Maintainer {
    pub maintenance: Maintenance,
    /// `None`: others look after the log; this one only looks where the newest checkpoint is.
    pub upkeep: Option<Upkeep>,
    /// Commits between two looks.
    pub every: u64,
    pub told: watch::Sender<MaintenanceStatus>,
}

impl Maintainer {
    /// Off the hot path: looks after every so many commits of this worker.
    pub(super) async fn run(mut self, mut status: watch::Receiver<Status>, over: CancellationToken) {
        self.look().await;
        let mut done_at = 0;
        loop {
            let newest = tokio::select! {
                biased;
                () = over.cancelled() => return,
                status = status.wait_for(|status| status.version >= done_at + self.every) => match status {
                    Ok(status) => status.version,
                    Err(_) => return,
                },
            };
            if let Some(upkeep) = self.upkeep {
                self.maintain(upkeep).await;
            }
            self.look().await;
            done_at = newest;
        }
    }

    /// Not dropped half-way: what the Delta kernel does in threads of its own would outlive it.
    async fn maintain(&mut self, upkeep: Upkeep) {
        let (outcome, bytes) = match self.maintenance.run(upkeep).await {
            Ok(done) => {
                tracing::debug!(?done, "maintained the log");
                let outcome = if done.checkpoints > 0 { Ran::Done } else { Ran::NothingToDo };
                (outcome, done.checkpoint_bytes)
            }
            Err(error) => {
                tracing::warn!(%error, "the log was not maintained, trying again later");
                (Ran::Failed, 0)
            }
        };
        self.told.send_modify(|told| told.ran(Work::Checkpoint, outcome, bytes));
    }

    async fn look(&self) {
        match self.maintenance.checkpoint().await {
            Ok(version) => self.told.send_modify(|told| told.checkpoint = Some(version)),
            Err(error) => tracing::debug!(%error, "the newest checkpoint is not known"),
        }
    }
}

/// A checkpoint that is being written may end; the log is whole without it too.
pub(super) async fn join(mut maintainer: JoinHandle<()>) {
    match tokio::time::timeout(LAST_MAINTENANCE, &mut maintainer).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "the maintenance task failed"),
        Err(_) => {
            tracing::debug!("the checkpoint takes too long; leaving without it");
            maintainer.abort();
        }
    }
}
