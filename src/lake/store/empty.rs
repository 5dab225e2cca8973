//! A lake is made in a place that holds nothing else, so that a mistyped --table can't mix it with other data.

use std::io;
use std::path::Path as FilePath;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path;

use crate::lake::error::LakeError;
use crate::lake::store::location::{Location, OWN};

/// What a creation that was interrupted leaves.
const OURS: [&str; 4] = ["ticks", "dead_letters", "signals", OWN];
/// A disk that was just mounted is empty.
const OF_FILE_SYSTEM: &str = "lost+found";

/// # Errors
/// The location, or a folder that it lies in, is a file.
pub(in crate::lake) fn require_folder(location: &Location) -> Result<(), LakeError> {
    let Location::Folder(folder) = location else { return Ok(()) };
    match folder.ancestors().find(|path| path.exists()) {
        Some(path) if !path.is_dir() => Err(LakeError::NotAFolder { path: path.to_owned() }),
        _ => Ok(()),
    }
}

/// # Errors
/// There are other files or objects beside the tables to be, or the place can't be listed.
pub(in crate::lake) async fn require_vacant(root: &Arc<dyn ObjectStore>, location: &Location) -> Result<(), LakeError> {
    let found = match location {
        Location::Folder(folder) => stranger_in(folder).map_err(|error| {
            let error = object_store::Error::Generic { store: "local disk", source: error.into() };
            LakeError::store("list the folder", location, &error)
        })?,
        Location::S3 { prefix, .. } => {
            let prefix = Path::from(prefix.as_str());
            let listed = root.list_with_delimiter(Some(&prefix)).await;
            let listed = listed.map_err(|error| LakeError::store("list the prefix", location, &error))?;
            let objects = listed.objects.into_iter().map(|object| object.location);
            let names = listed.common_prefixes.into_iter().chain(objects);
            names.filter_map(|path| path.filename().map(str::to_owned)).find(|name| is_stranger(name))
        }
    };
    found.map_or(Ok(()), |found| Err(LakeError::Occupied { location: location.to_string(), found }))
}

fn is_stranger(name: &str) -> bool {
    !OURS.contains(&name)
}

fn stranger_in(folder: &FilePath) -> io::Result<Option<String>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries?,
    };
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if is_stranger(&name) && name != OF_FILE_SYSTEM && !name.starts_with('.') {
            return Ok(Some(name));
        }
    }
    Ok(None)
}
