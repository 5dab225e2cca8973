//! Symlink manifests: a text file for each partition with the URIs of its data files, for readers that don't know
//! Delta.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

use crate::lake::error::LakeError;
use crate::lake::log::view::TableView;

/// Folder of the manifests, as other tools name it.
const FOLDER: &str = "_symlink_format_manifest";
const FILE: &str = "manifest";

/// The result of writing manifests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ManifestsWritten {
    /// Number of manifests of partitions without files. They are emptied, which needs no permission to delete.
    pub emptied: usize,
}

impl TableView {
    /// Contents of the manifests by path. `uri` is the table's URI without a trailing slash. Nothing is
    /// percent-encoded, as readers don't decode it.
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
    /// The store refuses or is unreachable.
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
