//! A lake is created only in an empty folder or prefix, so that a mistyped --table can't mix it with other data.

use std::io;
use std::path::Path as FilePath;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path;

use crate::lake::error::LakeError;
use crate::lake::store::location::{INTERNAL_FOLDER, Location};

/// Names that an interrupted creation may leave.
const OWN_NAMES: [&str; 4] = ["ticks", "dead_letters", "signals", INTERNAL_FOLDER];
/// A newly formatted file system has this folder and is empty.
const LOST_AND_FOUND: &str = "lost+found";

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
/// There are files or objects that don't belong to a lake, or the location can't be listed.
pub(in crate::lake) async fn require_empty(root: &Arc<dyn ObjectStore>, location: &Location) -> Result<(), LakeError> {
    let found = match location {
        Location::Folder(folder) => foreign_entry_in(folder).map_err(|error| {
            let error = object_store::Error::Generic { store: "local disk", source: error.into() };
            LakeError::store("list the folder", location, &error)
        })?,
        Location::S3 { prefix, .. } => {
            let prefix = Path::from(prefix.as_str());
            let listed = root.list_with_delimiter(Some(&prefix)).await;
            let listed = listed.map_err(|error| LakeError::store("list the prefix", location, &error))?;
            let objects = listed.objects.into_iter().map(|object| object.location);
            let names = listed.common_prefixes.into_iter().chain(objects);
            names.filter_map(|path| path.filename().map(str::to_owned)).find(|name| is_foreign(name))
        }
    };
    found.map_or(Ok(()), |found| Err(LakeError::Occupied { location: location.to_string(), found }))
}

fn is_foreign(name: &str) -> bool {
    !OWN_NAMES.contains(&name)
}

fn foreign_entry_in(folder: &FilePath) -> io::Result<Option<String>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries?,
    };
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if is_foreign(&name) && name != LOST_AND_FOUND && !name.starts_with('.') {
            return Ok(Some(name));
        }
    }
    Ok(None)
}
