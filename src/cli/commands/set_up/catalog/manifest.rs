//! `tickhouse catalog manifest`: writes lists of files for readers that don't support Delta.

use tokio_util::sync::CancellationToken;

use super::place::Place;
use crate::cli::args::{GlobalArgs, ManifestArgs};
use crate::cli::commands::print::{print, write_stderr};
use crate::engines::registration::{LakeRoot, TABLES};
use crate::query::QueryError;

/// Runs the command.
///
/// # Errors
/// There is no lake, or the manifests can't be written to the store.
pub(super) async fn run(global: &GlobalArgs, args: &ManifestArgs, stop: &CancellationToken) -> anyhow::Result<()> {
    let place = Place::of(global, &args.table)?;
    let root = place.root(args.location.as_deref(), |location| Ok(LakeRoot::for_manifest(location)))?;
    let lake = place.lake(stop).await?;
    for (name, view) in TABLES.into_iter().zip([lake.ticks()?, lake.dead_letters()?]) {
        let manifests = view.manifests(&root.table(name));
        if args.dry_run {
            for (path, text) in &manifests {
                print(&format!("{name}/{path}\n{text}\n"))?;
            }
            continue;
        }
        let written = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(QueryError::Cancelled.into()),
            written = view.write_manifests(&manifests) => written?,
        };
        write_stderr(&format!(
            "{name}: {} manifests of {} files, {} emptied, in {}/_symlink_format_manifest\n",
            manifests.len(),
            view.files.len(),
            written.emptied,
            root.table(name)
        ));
    }
    Ok(())
}
