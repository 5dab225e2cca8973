//! Health and numbers of an ingest over HTTP.

use std::collections::BTreeMap;

use reqwest::{Client, StatusCode};
use serde_json::Value;

use crate::support::{PATIENCE, Place, Tickhouse, Topic, ticks};

const TOKEN: &str = "planted-secret-token";

struct Scraper {
    client: Client,
    url: String,
}

impl Scraper {
    /// From the line that says where the server is.
    fn of(line: &str) -> Self {
        let url = line.strip_prefix("metrics at ").unwrap().strip_suffix("/metrics").unwrap().to_owned();
        Self { client: Client::builder().no_proxy().build().unwrap(), url }
    }

    async fn ask(&self, path: &str, headers: &[(&str, &str)]) -> (StatusCode, String) {
        let request = self.client.get(format!("{}{path}", self.url));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let response = tokio::time::timeout(PATIENCE, request.send()).await.unwrap().unwrap();
        (response.status(), response.text().await.unwrap())
    }

    async fn json(&self, path: &str) -> (StatusCode, Value) {
        let (status, text) = self.ask(path, &[]).await;
        (status, serde_json::from_str(&text).unwrap())
    }

    /// Samples by name and labels.
    async fn samples(&self) -> BTreeMap<String, f64> {
        let (status, text) = self.ask("/metrics", &[]).await;
        assert_eq!(status, StatusCode::OK);
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        samples
            .map(|line| line.rsplit_once(' ').unwrap())
            .map(|(key, value)| (key.to_owned(), value.parse().unwrap()))
            .collect()
    }

    /// Asks until the status is so.
    async fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let asking = async {
            loop {
                let (_, status) = self.json("/status").await;
                if is_so(&status) {
                    return status;
                }
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
    }
}

fn ingest(topic: &Topic, place: &Place, listen: &str) -> Tickhouse {
    let table = place.flags();
    let ingest = Tickhouse::new(&["ingest", "--flush-interval", "100ms", "--metrics-listen", listen]);
    ingest.flags(&topic.flags()).flags(&table)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_numbers_of_a_running_ingest_agree_with_its_table() {
    let (topic, place) = (Topic::new(2), Place::folder());
    let mut payloads = ticks(0..500);
    payloads.push("{}".to_owned());
    topic.send(&payloads);
    let mut running = ingest(&topic, &place, "127.0.0.1:0").start();
    let scraper = Scraper::of(&running.line("metrics at "));
    let is_in = |status: &Value| status["counters"]["stored"] == 500 && status["lag"] == 0;
    let status = scraper.until("500 rows", is_in).await;

    assert_eq!(scraper.json("/livez").await.0, StatusCode::OK);
    let (ready, reasons) = scraper.json("/readyz").await;
    assert_eq!((ready, &reasons["reasons"]), (StatusCode::OK, &serde_json::json!([])));
    let address = scraper.url.strip_prefix("http://").unwrap();
    let probed = Tickhouse::new(&["probe", "readyz", "--address", address]).succeed();
    assert!(probed.contains(r#""ready":true"#), "{probed}");
    let bytes: usize = payloads.iter().map(String::len).sum();
    let samples = scraper.samples().await;
    for (name, value) in [
        ("tickhouse_messages_read_total", 501.0),
        ("tickhouse_read_bytes_total", bytes as f64),
        ("tickhouse_rows_committed_total", 500.0),
        (r#"tickhouse_offsets_committed_total{fate="stored"}"#, 500.0),
        (r#"tickhouse_offsets_committed_total{fate="dead"}"#, 1.0),
        (r#"tickhouse_offsets_committed_total{fate="lost"}"#, 0.0),
        (r#"tickhouse_dead_letters_total{reason="missing_field"}"#, 1.0),
        (r#"tickhouse_dead_letters_total{reason="syntax"}"#, 0.0),
        (r#"tickhouse_commits_total{table="dead_letters",outcome="ok"}"#, 1.0),
        (r#"tickhouse_commits_total{table="ticks",outcome="error"}"#, 0.0),
        (r#"tickhouse_buffer_rows{state="filling"}"#, 0.0),
        ("tickhouse_assigned_partitions", 2.0),
        ("tickhouse_freshness_seconds", 0.0),
        ("tickhouse_ready", 1.0),
    ] {
        assert_eq!(samples.get(name), Some(&value), "{name}: {samples:#?}");
    }
    let lake = place.lake().await;
    assert_eq!(samples["tickhouse_table_version"], lake.version() as f64);
    assert_eq!(samples["tickhouse_table_files"], lake.ticks().unwrap().files.len() as f64);
    assert_eq!(samples["tickhouse_log_files"], lake.version() as f64, "no checkpoint yet");
    let commits = samples[r#"tickhouse_commits_total{table="ticks",outcome="ok"}"#];
    assert_eq!(commits, status["counters"]["commits"].as_f64().unwrap());
    for histogram in ["tickhouse_commit_duration_seconds", "tickhouse_end_to_end_latency_seconds"] {
        assert_eq!(samples[&format!("{histogram}_count")], commits, "{histogram}");
        assert_eq!(samples[&format!("{histogram}_bucket{{le=\"+Inf\"}}")], commits, "{histogram}");
        assert!(samples[&format!("{histogram}_sum")] > 0.0, "{histogram}");
    }
    assert!(
        samples["process_resident_memory_bytes"] > 1e6 && samples["tickhouse_memory_limit_bytes"] == 512.0 * 1048576.0
    );
    let next = lake.counters().await.unwrap();
    for (partition, counters) in next {
        let labels = format!(r#"{{topic="{}",partition="{partition}"}}"#, topic.kafka.topic);
        assert_eq!(samples[&format!("tickhouse_committed_offset{labels}")], counters.offsets() as f64);
        assert_eq!(samples[&format!("tickhouse_consumer_lag{labels}")], 0.0);
        assert_eq!(status["partitions"][partition as usize]["committed"], counters.offsets());
    }
    assert_eq!(status["last_commit"]["version"], status["table"]["version"]);
    running.signal("TERM");
    assert_eq!(running.finish().code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingest_that_waits_for_brokers_is_alive_and_not_ready() {
    let place = Place::folder();
    let flags = ["ingest", "--brokers", "127.0.0.1:1", "--topic", "t", "--metrics-listen", "127.0.0.1:0"];
    let waiting = Tickhouse::new(&flags).flags(&place.flags()).expect_warning("trying again");
    let mut running = waiting.start();
    let scraper = Scraper::of(&running.line("metrics at "));
    running.line("trying again");
    assert_eq!(scraper.json("/livez").await.0, StatusCode::OK);
    let (status, body) = scraper.json("/readyz").await;
    assert_eq!((status, &body["reasons"][0]["code"]), (StatusCode::SERVICE_UNAVAILABLE, &"opening".into()));
    assert_eq!(scraper.samples().await["tickhouse_ready"], 0.0);
    let address = scraper.url.strip_prefix("http://").unwrap();
    let probed = Tickhouse::new(&["probe", "--address", address]).run();
    assert!(probed.code == Some(1) && probed.stderr.contains("opening"), "{probed:?}");
    running.signal("TERM");
    assert_eq!(running.finish().code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_learn_no_more_than_yes_or_no() {
    let (topic, place) = (Topic::new(1), Place::folder());
    let refused = ingest(&topic, &place, "0.0.0.0:0").run();
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("TICKHOUSE_METRICS_TOKEN"), "{refused:?}");

    let of_others = [("host", "10.1.2.3:9464")];
    let bearer = format!("Bearer {TOKEN}");
    let known = [("host", "10.1.2.3:9464"), ("authorization", bearer.as_str())];
    for (listen, token, answers) in [
        ("127.0.0.1:0", None, [StatusCode::FORBIDDEN, StatusCode::FORBIDDEN]),
        ("0.0.0.0:0", Some(TOKEN), [StatusCode::UNAUTHORIZED, StatusCode::OK]),
    ] {
        let ingest = ingest(&topic, &place, listen).secret(TOKEN);
        let ingest = token.into_iter().fold(ingest, |ingest, token| ingest.env("TICKHOUSE_METRICS_TOKEN", token));
        let mut running = ingest.start();
        let scraper = Scraper::of(&running.line("metrics at ").replace("0.0.0.0", "127.0.0.1"));
        for path in ["/livez", "/readyz"] {
            let (status, body) = scraper.ask(path, &of_others).await;
            assert!([StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE].contains(&status), "{listen}{path}: {status}");
            assert!(!body.contains(&topic.kafka.topic), "{body}");
        }
        for path in ["/metrics", "/status"] {
            assert_eq!(scraper.ask(path, &of_others).await.0, answers[0], "{listen}{path}");
            assert_eq!(scraper.ask(path, &known).await.0, answers[1], "{listen}{path}");
        }
        running.signal("TERM");
        assert_eq!(running.finish().code, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_ends_the_ingest_before_it_begins() {
    let (topic, place) = (Topic::new(1), Place::folder());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = ingest(&topic, &place, &taken.local_addr().unwrap().to_string()).run();
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("--metrics-listen"), "{refused:?}");
}
