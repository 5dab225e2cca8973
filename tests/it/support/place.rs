//! Where a lake is: a temporary folder, or a prefix of an S3 bucket.

use object_store::ObjectStoreExt;
use object_store::path::Path;
use tempfile::TempDir;
use tickhouse::lake::{Lake, LakeMaintenance, Location, StoreSettings, root_store};
use uuid::Uuid;

use super::{Tickhouse, Topic, setting};

pub struct Place {
    pub table: String,
    endpoint: Option<String>,
    _folder: Option<TempDir>,
}

/// Runs a test in a folder, and in the S3 store as well if there is one.
pub async fn over_stores(test: impl AsyncFn(Place)) {
    test(Place::folder()).await;
    if let Some(place) = Place::s3() {
        eprintln!("again in {}", place.table);
        test(place).await;
    }
}

impl Place {
    pub fn folder() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let table = folder.path().join("lake").to_str().unwrap().to_owned();
        Self { table, endpoint: None, _folder: Some(folder) }
    }

    fn s3() -> Option<Self> {
        let endpoint = setting("TICKHOUSE_TEST_S3")?;
        let bucket = setting("TICKHOUSE_TEST_S3_BUCKET").expect("TICKHOUSE_TEST_S3 needs TICKHOUSE_TEST_S3_BUCKET");
        let table = format!("s3://{bucket}/it-{}", Uuid::new_v4());
        Some(Self { table, endpoint: Some(endpoint), _folder: None })
    }

    /// Another folder with the same files.
    pub fn copied(&self) -> Self {
        let other = Self::folder();
        copy(std::path::Path::new(&self.table), std::path::Path::new(&other.table));
        other
    }

    pub fn location(&self) -> Location {
        Location::parse(&self.table).unwrap()
    }

    /// Keys come from the environment.
    pub fn store(&self) -> StoreSettings {
        StoreSettings {
            endpoint: self.endpoint.clone(),
            region: self.endpoint.as_ref().map(|_| "us-east-1".to_owned()),
            allow_http: self.endpoint.is_some(),
            ..StoreSettings::default()
        }
    }

    /// The flags that say the same.
    pub fn flags(&self) -> Vec<String> {
        let mut flags = vec!["--table".to_owned(), self.table.clone()];
        if let Some(endpoint) = &self.endpoint {
            flags.extend(["--s3-endpoint", endpoint, "--s3-region", "us-east-1", "--s3-allow-http"].map(str::to_owned));
        }
        flags
    }

    pub async fn maintenance(&self) -> LakeMaintenance {
        LakeMaintenance::open(&self.location(), &self.store()).await.unwrap()
    }

    pub async fn lake(&self) -> Lake {
        Lake::open(&self.location(), &self.store()).await.unwrap()
    }

    /// Text of an object of the store.
    pub async fn object(&self, url: &str) -> String {
        let location = Location::parse(url).unwrap();
        let Location::S3 { prefix, .. } = &location else { panic!("{url} is no object") };
        let store = root_store(&location, &self.store()).unwrap();
        let bytes = store.get(&Path::from(prefix.as_str())).await.unwrap().bytes().await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }
}

/// Verify finds nothing, in the tables and against the topic.
pub fn assert_healthy(place: &Place, topic: &Topic) {
    let finished = Tickhouse::new(&["verify", "--against-kafka"]).flags(&place.flags()).flags(&topic.flags()).run();
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), "table,what,where,detail,fix\n"), "{finished:?}");
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}
