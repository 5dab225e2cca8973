//! `tickhouse verify`: healthy lakes, damaged ones, and ones that differ from their topic.

pub(crate) mod damage;
mod damaged;
mod kafka;

use std::collections::BTreeMap;

use serde_json::Value;
use tickhouse::lake::{CommitOutcome, LogMaintenance};

use self::damage::TableFolder;
use crate::support::{Contents, Outgoing, Place, Tickhouse, Topic, ingest, over_stores, spec, ticks, until_latest};

/// What was sent of each kind.
pub(crate) struct Filled {
    pub(crate) topic: Topic,
    pub(crate) rows: u64,
    pub(crate) dead: u64,
    skipped: u64,
    /// Given up by the operator's word.
    lost: u64,
}

/// Rows of three dates, dead letters, skips, a range that was given up, and a checkpoint between the commits.
pub(crate) async fn filled(place: &Place) -> Filled {
    let topic = Topic::new(2);
    let payloads = ticks(0..600);
    let at = |number: usize| Outgoing {
        partition: number as i32 % 2,
        payload: Some(payloads[number].as_bytes()),
        ..Outgoing::default()
    };
    let no_tick = |partition, payload| Outgoing { partition, payload, key: Some(b"k"), ..Outgoing::default() };
    topic.send_all((0..200).map(at).chain([no_tick(0, Some(b"{")), no_tick(1, Some(b"[1]")), no_tick(0, None)]));
    until_latest(spec(&topic, place)).await.unwrap();

    topic.send_all((200..210).map(at));
    let mut lake = place.lake().await;
    let next = lake.next_offset(0).await.unwrap().unwrap();
    let plan = lake.plan_offsets(&[(0, next + 3)]).await.unwrap();
    let given_up = lake.set_offsets(&plan, "a test").await.unwrap();
    assert!(matches!(given_up, CommitOutcome::Committed { .. }));
    until_latest(spec(&topic, place)).await.unwrap();

    let mut maintenance = place.maintenance().await;
    let done = maintenance.run(LogMaintenance { commits: 1, clean: false }, chrono::Utc::now()).await.unwrap();
    assert_eq!(done.checkpoints, 2);
    for range in [210..400, 400..600] {
        topic.send_all(range.map(at).chain([no_tick(1, Some(b"no tick")), no_tick(0, Some(b"again"))]));
        until_latest(spec(&topic, place)).await.unwrap();
    }
    Filled { topic, rows: 597, dead: 6, skipped: 1, lost: 3 }
}

struct Verified {
    code: Option<i32>,
    report: Value,
}

fn verify(place: &Place, flags: &[String]) -> Verified {
    let finished = Tickhouse::new(&["verify", "--format", "json"]).flags(&place.flags()).flags(flags).run();
    let report = serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {finished:?}"));
    Verified { code: finished.code, report }
}

impl Verified {
    fn counts(&self) -> BTreeMap<String, u64> {
        serde_json::from_value(self.report["counts"].clone()).unwrap()
    }

    fn assert_healthy(&self) {
        assert_eq!((self.code, self.report["healthy"].as_bool()), (Some(0), Some(true)), "{:#}", self.report);
        assert!(self.report["findings"].as_array().unwrap().is_empty());
        assert!(self.report["not_checked"].as_array().unwrap().is_empty(), "{:#}", self.report);
    }

    /// This is all that is wrong, as often; (where, detail) of the first.
    fn only(&self, what: &str, count: u64) -> (String, String) {
        assert_eq!(self.code, Some(4), "{:#}", self.report);
        assert_eq!(self.counts(), BTreeMap::from([(what.to_owned(), count)]), "{:#}", self.report);
        self.first(what)
    }

    fn first(&self, what: &str) -> (String, String) {
        let all = self.report["findings"].as_array().unwrap();
        let finding = all.iter().find(|finding| finding["what"] == what).unwrap_or_else(|| panic!("{:#}", self.report));
        assert!(!finding["fix"].as_str().unwrap().is_empty());
        (finding["where"].as_str().unwrap().to_owned(), finding["detail"].as_str().unwrap().to_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_lake_has_no_findings() {
    over_stores(async |place| {
        let filled = filled(&place).await;
        let contents = Contents::of(&place).await;
        contents.assert_balanced().await;
        assert_eq!((contents.rows.len() as u64, contents.letters.len() as u64), (filled.rows, filled.dead));

        let verified = verify(&place, &[]);
        verified.assert_healthy();
        let table = |name: &str| {
            let tables = verified.report["tables"].as_array().unwrap();
            tables.iter().find(|table| table["table"] == name).unwrap().clone()
        };
        assert_eq!(table("ticks")["rows"], filled.rows);
        assert_eq!(table("ticks")["version"], contents.lake.version());
        assert_eq!(table("ticks")["files"], contents.lake.ticks().unwrap().files.len());
        assert_eq!(table("dead_letters")["rows"], filled.dead);

        let told = Tickhouse::new(&["verify"]).flags(&place.flags()).run();
        assert_eq!((told.code, told.stdout.as_str()), (Some(0), "table,what,where,detail,fix\n"), "{told:?}");
        assert!(told.stderr.contains("healthy"), "{told:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_is_healthy_while_ingest_goes_on() {
    let place = Place::folder();
    let topic = Topic::new(2);
    let mut worker = ingest(spec(&topic, &place)).await;
    for round in 0..5 {
        topic.send(&ticks(round * 40..round * 40 + 40));
        topic.send(&["no tick"]);
        verify(&place, &[]).assert_healthy();
    }
    worker.committed(205).await;
    worker.stop().await;
    verify(&place, &topic.against()).assert_healthy();
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_are_checked_where_live_ran() {
    let place = Place::folder();
    let topic = Topic::new(1);
    let run = |words: &[&str]| Tickhouse::new(words).flags(&topic.flags()).flags(&place.flags());
    let ingested = || run(&["ingest", "--until-latest", "--market-zone", "UTC"]).succeed();
    let jumping = |number: usize| {
        let close = if number.is_multiple_of(5) { 110 } else { 100 };
        format!(r#"{{"symbol":"A","ts":"2026-01-05T14:30:{number:02}Z","close":{close},"volume":1}}"#)
    };
    topic.send(&(0..20).map(jumping).collect::<Vec<_>>());
    ingested();
    let mut live = run(&["live", "--commit-interval", "100ms"]).start();
    live.line("committed events version=1");
    topic.send(&(20..60).map(jumping).collect::<Vec<_>>());
    live.line("committed events version=2");
    live.signal("TERM");
    assert_eq!(live.finish().code, Some(0));
    ingested();

    let verified = verify(&place, &topic.against());
    verified.assert_healthy();
    let tables: Vec<&Value> = verified.report["tables"].as_array().unwrap().iter().collect();
    let names: Vec<&str> = tables.iter().map(|table| table["table"].as_str().unwrap()).collect();
    assert_eq!(names, ["ticks", "dead_letters", "signals"]);
    assert!(tables[2]["rows"].as_u64() > Some(5), "{tables:?}");

    let signals = TableFolder::new(&place, "signals");
    signals.edit_add(|_, stats| stats["maxValues"]["kind"] = "zzz".into());
    let (_, detail) = verify(&place, &[]).only("statistics-wrong", 1);
    assert!(detail.contains("maxValues.kind is \"zzz\""), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_lake_can_t_be_checked() {
    let place = Place::folder();
    let none = Tickhouse::new(&["verify"]).flags(&place.flags()).run();
    assert_eq!(none.code, Some(1), "{none:?}");
    assert!(none.stderr.contains("no tickhouse tables"), "{none:?}");

    let topic = Topic::new(1);
    topic.send(&ticks(0..3));
    until_latest(spec(&topic, &place)).await.unwrap();
    let without = Tickhouse::new(&["verify", "--against-kafka"]).flags(&place.flags()).run();
    assert_eq!(without.code, Some(2), "{without:?}");
    assert!(without.stderr.contains("--brokers"), "{without:?}");
    let other = Tickhouse::new(&["verify", "--against-kafka", "--topic", "another"]);
    let other = other.flags(&["--brokers".to_owned(), topic.kafka.brokers.clone()]).flags(&place.flags()).run();
    assert_eq!(other.code, Some(2), "{other:?}");
    assert!(other.stderr.contains("'another'"), "{other:?}");
}

impl Topic {
    /// The flags that compare with it.
    fn against(&self) -> Vec<String> {
        [vec!["--against-kafka".to_owned()], self.flags()].concat()
    }
}
