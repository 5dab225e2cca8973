//! Symlink manifests: for each partition a text of the URIs of its files, for readers that don't know Delta.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

use crate::lake::error::LakeError;
use crate::lake::log::view::TableView;

/// Folder of the manifests, as other tools name it.
const FOLDER: &str = "_symlink_format_manifest";
const FILE: &str = "manifest";

/// What was done beside writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ManifestsWritten {
    /// Manifests of partitions that have no files any more: emptied, which takes no right to delete.
    pub emptied: usize,
}

impl TableView {
    /// Texts by path. `uri` is where readers see the table, without a slash at the end; like the readers, it escapes
    /// nothing.
    pub fn manifests(&self, uri: &str) -> BTreeMap<Path, String> {
        let mut all: BTreeMap<Path, String> = BTreeMap::new();
        for file in &self.files {
            let mut parts: Vec<_> = file.path.parts().collect();
            parts.pop();
            let path: Path = std::iter::once(FOLDER.into()).chain(parts).chain([FILE.into()]).collect();
            let text = all.entry(path).or_default();
            text.push_str(&format!("{uri}/{}\n", file.path));
        }
        all
    }

    /// Writes manifests and empties those of partitions that are gone.
    ///
    /// # Errors
    /// The store refuses or is away.
    pub async fn write_manifests(&self, manifests: &BTreeMap<Path, String>) -> Result<ManifestsWritten, LakeError> {
        let failed =
            |error: object_store::Error| LakeError::store("write the manifests", self.table_url.as_str(), &error);
        let folder = Path::from(FOLDER);
        let present: Vec<_> = self.store.list(Some(&folder)).try_collect().await.map_err(failed)?;
        for (path, text) in manifests {
            self.store.put(path, PutPayload::from(text.clone())).await.map_err(failed)?;
        }
        let mut emptied = 0;
        for object in present.iter().filter(|object| object.size > 0 && !manifests.contains_key(&object.location)) {
            self.store.put(&object.location, PutPayload::new()).await.map_err(failed)?;
            emptied += 1;
        }
        Ok(ManifestsWritten { emptied })
    }
}
