//! Where the suite runs: always a local folder, and an S3 store when the environment names one.

use super::*;

/// URL of an S3 store; credentials come from `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.
const ENDPOINT: &str = "TICKHOUSE_TEST_S3_ENDPOINT";
/// A bucket that exists.
const BUCKET: &str = "TICKHOUSE_TEST_S3_BUCKET";

/// An empty lake root of its own.
#[derive(Debug)]
pub(super) struct TestLake {
    pub location: Location,
    pub settings: StoreSettings,
    _folder: Option<tempfile::TempDir>,
}

pub(super) fn test_lakes() -> Vec<TestLake> {
    std::iter::once(folder()).chain(s3()).collect()
}

pub(super) fn folder() -> TestLake {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::parse(folder.path().join("a b#1 é").to_str().unwrap()).unwrap();
    TestLake { location, settings: StoreSettings::default(), _folder: Some(folder) }
}

pub(super) fn s3() -> Option<TestLake> {
    let endpoint = std::env::var(ENDPOINT).ok()?;
    let bucket = std::env::var(BUCKET).unwrap_or_else(|_| panic!("{ENDPOINT} is set, {BUCKET} is not"));
    let location = Location::parse(&format!("s3://{bucket}/lake-tests/{}", Uuid::new_v4())).unwrap();
    Some(TestLake { location, settings: s3_settings(endpoint), _folder: None })
}

pub(super) fn s3_settings(endpoint: String) -> StoreSettings {
    let allow_http = endpoint.starts_with("http://");
    StoreSettings {
        endpoint: Some(endpoint),
        region: Some("us-east-1".to_owned()),
        allow_http,
        ..StoreSettings::default()
    }
}

impl TestLake {
    /// The lake of the default specification, made if need be.
    pub(super) async fn lake(&self) -> Lake {
        self.lake_of(&spec()).await.unwrap()
    }

    pub(super) async fn lake_of(&self, spec: &LakeSpec) -> Result<Lake, LakeError> {
        Lake::open_or_create(&self.location, &self.settings, spec).await
    }

    pub(super) async fn reader(&self) -> Result<Lake, LakeError> {
        Lake::open(&self.location, &self.settings).await
    }

    pub(super) async fn maintenance(&self) -> LakeMaintenance {
        LakeMaintenance::open(&self.location, &self.settings).await.unwrap()
    }

    pub(super) fn faulty_store(&self, fault: StoreFault) -> Arc<FaultyStore> {
        Arc::new(FaultyStore::new(root_store(&self.location, &self.settings).unwrap(), fault))
    }

    pub(super) async fn faulty_lake(&self, fault: StoreFault) -> (Lake, Arc<FaultyStore>) {
        let store = self.faulty_store(fault);
        let root: Arc<dyn ObjectStore> = Arc::clone(&store) as _;
        (Lake::open_or_create_on(&root, &self.location, &spec()).await.unwrap(), store)
    }
}
