use super::*;
use std::time::Instant;
fn settings() -> StoreSettings {
    StoreSettings {
        endpoint: Some(std::env::var("S3E").unwrap()),
        region: Some("us-east-1".into()),
        access_key_id: Some(Secret::new(std::env::var("S3K").unwrap())),
        secret_access_key: Some(Secret::new(std::env::var("S3S").unwrap())),
        allow_http: true,
        ..StoreSettings::default()
    }
}
#[tokio::test(flavor = "multi_thread")]
async fn s3() {
    let _ = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).try_init();
    let location = Location::parse(&format!("s3://bucket/a/{}", Uuid::new_v4())).unwrap();
    println!("missing: {}", Lake::open(&location, &settings()).await.unwrap_err());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let location = location.clone();
        tasks.spawn(async move {
            Lake::open_or_create(&location, &settings(), &spec()).await.unwrap().table_id().to_owned()
        });
    }
    let mut ids = std::collections::BTreeSet::new();
    while let Some(id) = tasks.join_next().await {
        ids.insert(id.unwrap());
    }
    assert_eq!(ids.len(), 1);
    let mut lake = Lake::open_or_create(&location, &settings(), &spec()).await.unwrap();
    let mut base = None;
    for start in (0..40).step_by(4) {
        let a = advance(0, base, start, start + 4);
        let f = write(&lake, 0, a.range).await;
        let t = Instant::now();
        lake.commit_ticks(&[f], &[a], &CommitNote::default()).await.unwrap().committed();
        println!("commit {:?}", t.elapsed());
        base = Some(start + 4);
    }
    println!("{:?}", lake.maintenance().checkpoint_and_clean(5).await.unwrap());
    let reader = Lake::open(&location, &settings()).await.unwrap();
    assert_eq!(rows(&reader), 40);
    println!("{:?}", reader.counters().await.unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    for partition in 1..5 {
        let location = location.clone();
        tasks.spawn(async move {
            let mut lake = Lake::open_or_create(&location, &settings(), &spec()).await.unwrap();
            let mut base = None;
            for start in (0..30).step_by(5) {
                append(&mut lake, advance(partition, base, start, start + 5)).await.unwrap().committed();
                base = Some(start + 5);
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    lake.refresh().await.unwrap();
    assert_eq!(rows(&lake), 160);
    let location = Location::parse("s3://nobucket/x").unwrap();
    println!("bucket: {}", Lake::open_or_create(&location, &settings(), &spec()).await.unwrap_err());
    println!("bucket: {}", Lake::open(&location, &settings()).await.unwrap_err());
    let location = Location::parse("s3://bucket/x").unwrap();
    for s in [
        StoreSettings { secret_access_key: Some(Secret::new("wrongsecret")), ..settings() },
        StoreSettings { access_key_id: Some(Secret::new("WRONGKEY")), ..settings() },
        StoreSettings { endpoint: Some("http://127.0.0.1:9".into()), ..settings() },
        StoreSettings { access_key_id: None, secret_access_key: None, ..settings() },
    ] {
        let t = Instant::now();
        let e = Lake::open_or_create(&location, &s, &spec()).await.map(|_| ()).unwrap_err();
        println!("create {:?}: {e}\n   {e:?}", t.elapsed());
        let e = Lake::open(&location, &s).await.map(|_| ()).unwrap_err();
        println!("open {:?}: {e}", t.elapsed());
    }
}
#[tokio::test(flavor = "multi_thread")]
async fn perf() {
    let folder = tempfile::tempdir_in("/work/wt/lake/target").unwrap();
    let mut lake = lake_in(&folder).await;
    let mut base = None;
    let mut maintenance = lake.maintenance();
    let every: u64 = std::env::var("CP").ok().map_or(100_000, |t| t.parse().unwrap());
    let (mut tc, mut tr) = (std::time::Duration::ZERO, std::time::Duration::ZERO);
    let same = write(&lake, 0, OffsetRange::new(0, 2).unwrap()).await;
    for (i, start) in (0..600).step_by(2).enumerate() {
        let a = advance(0, base, start, start + 2);
        let f = NewFile { path: format!("trade_date=2025-11-20/x-{i}.parquet"), ..same.clone() };
        let t = Instant::now();
        lake.commit_ticks(&[f], &[a], &CommitNote::default()).await.unwrap().committed();
        tc += t.elapsed();
        let t = Instant::now();
        lake.refresh().await.unwrap();
        tr += t.elapsed();
        base = Some(start + 2);
        if i % 50 == 49 {
            println!("{i} commit {:?} refresh {:?}", tc / 50, tr / 50);
            maintenance.checkpoint_and_clean(every).await.unwrap();
            tc = Default::default();
            tr = tc;
        }
    }
}
