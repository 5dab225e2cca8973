//! Older versions of a lake, lists of what a table holds, and results in the store.

use serde_json::Value;

use crate::support::{Place, Tickhouse, Topic, over_stores, ticks};

fn rows(place: &Place, words: &[&str]) -> Vec<Value> {
    let text = Tickhouse::new(&[words, &["--format", "json"]].concat()).flags(&place.flags()).succeed();
    serde_json::from_str(&text).unwrap()
}

fn count(place: &Place, words: &[&str]) -> (i64, i64) {
    let sql = "SELECT (SELECT count(*) FROM ticks) AS n, (SELECT count(*) FROM dead_letters) AS dead";
    let row = &rows(place, &[&["query", sql], words].concat())[0];
    (row["n"].as_i64().unwrap(), row["dead"].as_i64().unwrap())
}

/// Three versions with rows: 4, 9 and 15 ticks; a dead letter comes with the second.
fn filled(place: &Place) -> Topic {
    let topic = Topic::new(1);
    for (range, dead) in [(0..4, None), (4..9, Some("no tick")), (9..15, None)] {
        topic.send(&ticks(range));
        topic.send(&dead.into_iter().collect::<Vec<_>>());
        Tickhouse::new(&["ingest", "--until-latest"]).flags(&topic.flags()).flags(&place.flags()).succeed();
    }
    topic
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_is_read_as_it_was() {
    over_stores(async |place| {
        let _topic = filled(&place);
        let history = rows(&place, &["table", "history"]);
        let appended: Vec<&Value> = history.iter().filter(|commit| commit["rows_added"].as_i64() > Some(0)).collect();
        let added: Vec<i64> = appended.iter().map(|commit| commit["rows_added"].as_i64().unwrap()).collect();
        assert_eq!(added, [6, 5, 4], "{history:?}");
        let text = |commit: &Value, key: &str| match &commit[key] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        for (at, counted) in [(0, (15, 1)), (1, (9, 1)), (2, (4, 0))] {
            assert_eq!(count(&place, &["--as-of", &text(appended[at], "version")]), counted, "{history:?}");
            assert_eq!(count(&place, &["--as-of", &text(appended[at], "time")]), counted, "{history:?}");
        }
        assert_eq!(count(&place, &["--as-of", "0"]), (0, 0));
        assert_eq!(count(&place, &["--as-of", "now"]), (15, 1));
        let newest = &text(appended[0], "version");
        for (as_of, told) in [
            ("99", format!("has no version 99: the newest is {newest}")),
            (
                "2001-02-03T04:05:06Z",
                "does not hold 2001-02-03T04:05:06Z and before: the oldest version is 0 of".into(),
            ),
            ("soon", "no version, and 'soon' is neither a date nor a time".into()),
        ] {
            let finished = Tickhouse::new(&["query", "SELECT 1", "--as-of", as_of]).flags(&place.flags()).run();
            assert_eq!(finished.code, Some(2), "{finished:?}");
            assert!(finished.stderr.contains(&told), "no '{told}' in {finished:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_lists_what_it_holds() {
    over_stores(async |place| {
        let _topic = filled(&place);
        let schema = rows(&place, &["table", "schema"]);
        assert_eq!(
            schema[0],
            serde_json::json!({"column":"symbol","type":"STRING","nullable":false,"partition":false,"zone":null})
        );
        assert_eq!(schema.last().unwrap()["column"], "trade_date");
        assert_eq!(schema.last().unwrap()["partition"], true);
        assert_eq!(schema.last().unwrap()["zone"], "America/New_York");
        let files = rows(&place, &["table", "files"]);
        assert_eq!(files.iter().map(|file| file["rows"].as_i64().unwrap()).sum::<i64>(), 15, "{files:?}");
        assert!(files.iter().all(|file| file["min_symbol"].is_string() && file["min_ts"].is_string()), "{files:?}");
        assert_eq!(rows(&place, &["table", "files", "--as-of", "0"]), [] as [Value; 0]);
        let dead = rows(&place, &["table", "files", "dead_letters"]);
        assert_eq!(dead[0]["rows"], 1, "{dead:?}");
        assert_eq!(rows(&place, &["table", "history", "dead_letters", "--limit", "1"]).len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn results_go_where_the_lake_is() {
    over_stores(async |place| {
        let _topic = filled(&place);
        if !place.table.starts_with("s3://") {
            let refused = Tickhouse::new(&["query", "SELECT 1 AS one", "-o", "s3://bucket/", "--format", "csv"]);
            let refused = refused.flags(&place.flags()).run();
            assert_eq!(refused.code, Some(2), "{refused:?}");
            assert!(refused.stderr.contains("name an object"), "{refused:?}");
            return;
        }
        let target = format!("{}-results/answer.csv", place.table);
        let sql = "SELECT count(*) AS n FROM ticks";
        assert_eq!(Tickhouse::new(&["query", sql, "-o", &target]).flags(&place.flags()).succeed(), "");
        assert_eq!(place.object(&target).await, "n\n15\n");
    })
    .await;
}
