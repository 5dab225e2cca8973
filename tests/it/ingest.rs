//! Exactly once, from the topic to the table.

use tickhouse::ingest::IngestSpec;

use crate::support::{Contents, Place, Tickhouse, Topic, ingest, over_stores, spec, ticks, until_latest};

#[tokio::test(flavor = "multi_thread")]
async fn every_message_lands_once_over_stops_and_starts() {
    over_stores(async |place: Place| {
        let topic = Topic::new(3);
        let mut sent = topic.send(&ticks(0..600));
        let mut worker = ingest(spec(&topic, &place)).await;
        worker.committed(600).await;
        sent.extend(topic.send(&ticks(600..900)));
        worker.committed(900).await;
        let status = worker.stop().await;
        assert_eq!((status.committed.rows, status.lag, status.fenced), (900, 0, 0));
        Contents::of(&place).await.assert_exactly(&sent).await;

        sent.extend(topic.send(&ticks(900..1_000)));
        let mut worker = ingest(spec(&topic, &place)).await;
        worker.committed(100).await;
        let status = worker.stop().await;
        assert_eq!(status.committed.rows, 100, "what is in the table is not read again");
        Contents::of(&place).await.assert_exactly(&sent).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn until_latest_ends_at_the_ends() {
    over_stores(async |place: Place| {
        let topic = Topic::new(2);
        let spec = || IngestSpec { until_latest: true, ..spec(&topic, &place) };
        let status = until_latest(spec()).await.unwrap();
        assert_eq!(status.committed.rows, 0, "an empty topic has ends too");
        let mut sent = topic.send(&ticks(0..500));
        let status = until_latest(spec()).await.unwrap();
        assert_eq!((status.committed.rows, status.lag), (500, 0));
        sent.extend(topic.send(&ticks(500..501)));
        until_latest(spec()).await.unwrap();
        Contents::of(&place).await.assert_exactly(&sent).await;
    })
    .await;
}

/// A wrong one makes no dead letter.
#[test]
fn an_optional_path_that_no_message_has_is_one_warning() {
    let (topic, place) = (Topic::new(1), Place::folder());
    let tick = |number: i64| format!(r#"{{"s":"A","t":{},"p":1.5,"px":{{"sz":7}}}}"#, 1_767_700_000 + number);
    topic.send(&(0..5).map(tick).collect::<Vec<_>>());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tickhouse.toml");
    let run = |mode: &str, input: &str| {
        std::fs::write(&file, format!("[input]\ntime_unit = \"s\"\nclose = \"/p\"\n{input}")).unwrap();
        let words = ["ingest", mode, "--accept-input-change", "--config", file.to_str().unwrap()];
        let ingest = Tickhouse::new(&words).flags(&topic.flags()).flags(&place.flags());
        let finished = ingest.expect_warning("volume is NULL in the first").run();
        assert_eq!(finished.code, Some(0), "{finished:?}");
        finished.stderr
    };
    let shown = run("--dry-run", "symbol = \"/sym\"\nts = \"header:time\"\n");
    assert!(shown.contains("\n  /px/sz  number\n"), "{shown}");
    assert!(shown.ends_with("symbol: no message has /sym\nts: no message has header:time\n"), "{shown}");
    let required = "symbol = \"/s\"\nts = \"/t\"\n";
    let shown = run("--until-latest", &format!("{required}volume = \"/px/size\"\n"));
    let warning = "volume is NULL in the first 5 messages of this run: no accepted one has a value at /px/size; did \
        you mean '/px/sz'?";
    assert_eq!(shown.matches(warning).count(), 1, "{shown}");
    topic.send(&[tick(5)]);
    let shown = run("--until-latest", &format!("{required}volume = \"/px/sz\"\n"));
    assert!(!shown.contains("is NULL in the first"), "{shown}");
}
