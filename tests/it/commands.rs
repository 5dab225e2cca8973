//! The command line: exit codes, messages, and what goes to which stream.

use crate::support::{Place, Tickhouse, Topic, ticks};

const USAGE: Option<i32> = Some(2);
const FAILED: Option<i32> = Some(1);

fn run(words: &[&str]) -> (Option<i32>, String) {
    let finished = Tickhouse::new(words).run();
    assert_eq!(finished.stdout, "", "an error goes to stderr alone");
    (finished.code, finished.stderr)
}

/// A lake with 40 ticks and a dead letter.
pub fn filled() -> (Topic, Place) {
    let (topic, place) = (Topic::new(2), Place::folder());
    topic.send(&ticks(0..40));
    topic.send(&["no tick"]);
    Tickhouse::new(&["ingest", "--until-latest"]).flags(&topic.flags()).flags(&place.flags()).succeed();
    (topic, place)
}

#[test]
fn wrong_use_is_told_by_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (missing, unknown, broken) = (path("missing.toml"), path("unknown.toml"), path("broken.toml"));
    std::fs::write(&unknown, "[kafka]\nbroker = \"localhost:9092\"\n").unwrap();
    std::fs::write(&broken, "[kafka\n").unwrap();
    let kafka = ["--brokers", "127.0.0.1:1", "--topic", "ticks"];
    let table = path("lake");
    for (words, code, told) in [
        (vec!["ingest", "--brokerz", "x"], USAGE, vec!["--brokerz", "--brokers"]),
        (vec!["ingest", "--topic", "ticks", "--table", &table], USAGE, vec!["kafka.brokers", "--brokers"]),
        (vec!["ingest", "--brokers", "127.0.0.1:1", "--table", &table], USAGE, vec!["kafka.topic", "--topic"]),
        ([&["ingest"], &kafka[..]].concat(), USAGE, vec!["table", "--table"]),
        (vec!["ingest", "--config", &missing], USAGE, vec!["missing.toml", "no such file"]),
        (vec!["ingest", "--config", &unknown], USAGE, vec!["broker", "brokers"]),
        (vec!["ingest", "--config", &broken], USAGE, vec!["broken.toml"]),
        (vec!["ingest", "--start", "soon"], USAGE, vec!["soon", "earliest"]),
        (vec!["ingest", "--flush-bytes", "many"], USAGE, vec!["many", "64MiB"]),
        (vec!["ingest", "--input", "csv"], USAGE, vec!["csv", "canonical"]),
        ([&["ingest", "--table", &table, "--market-zone", "Mars"], &kafka[..]].concat(), USAGE, vec!["Mars"]),
        ([&["ingest", "--table", "gs://bucket/x"], &kafka[..]].concat(), USAGE, vec!["gs://bucket/x", "s3://"]),
        (
            [&["ingest", "--table", &table, "-X", "auto.offset.reset=latest"], &kafka[..]].concat(),
            USAGE,
            vec!["auto.offset.reset", "remove it"],
        ),
        (vec!["query", "SELECT 1", "--table", &table], FAILED, vec!["no tickhouse tables", "lake"]),
        (vec!["offsets", "show", "--table", &table], FAILED, vec!["no tickhouse tables"]),
        (vec!["dead-letters", "list", "--table", &table], FAILED, vec!["no tickhouse tables"]),
        (vec!["offsets", "set", "--table", &table, "--reason", "x"], USAGE, vec!["--new-epoch", "--partition"]),
        (vec!["--log", "tickhouse=loud", "query", "--list"], USAGE, vec!["--log"]),
        ([&["verify", "--table", &table], &kafka[..]].concat(), USAGE, vec!["--against-kafka"]),
        (vec!["dead-letters", "show", "--table", &table, "--offset=-1"], USAGE, vec!["--offset"]),
    ] {
        let (ended, stderr) = run(&words);
        assert_eq!(ended, code, "{words:?}: {stderr}");
        for word in told {
            assert!(stderr.contains(word), "{words:?}: no {word} in: {stderr}");
        }
    }
}

#[test]
fn environment_values_are_checked() {
    for (name, value, told) in [
        ("TICKHOUSE_INGEST_FLUSH_ROWS", "many", "TICKHOUSE_INGEST_FLUSH_ROWS is no whole number"),
        ("TICKHOUSE_KAFKA_TLS", "yes", "TICKHOUSE_KAFKA_TLS is neither true nor false"),
        ("TICKHOUSE_KAFKA_PASSWORD_FILE", "/nowhere/password", "/nowhere/password"),
        ("TICKHOUSE_CONFIG", "/nowhere/tickhouse.toml", "/nowhere/tickhouse.toml"),
        ("TICKHOUSE_KAFKA_BROKER", "kafka:9092", "did you mean TICKHOUSE_KAFKA_BROKERS?"),
    ] {
        let finished = Tickhouse::new(&["config", "show"]).env(name, value).run();
        assert_eq!(finished.code, USAGE, "{finished:?}");
        assert!(finished.stderr.contains(told), "{finished:?}");
    }
}

#[test]
fn the_configuration_shows_origins_and_no_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tickhouse.toml");
    let text = "table = \"lake\"\n[kafka]\ntopic = \"from-the-file\"\nusername = \"u\"\n\
                [kafka.properties]\n\"ssl.key.password\" = \"planted-in-file\"\n[ingest]\nflush_rows = 5\n";
    std::fs::write(&file, text).unwrap();
    let shown = Tickhouse::new(&["config", "show", "--config", file.to_str().unwrap(), "--brokers", "flag:9092"])
        .env("TICKHOUSE_KAFKA_PASSWORD", "planted-in-environment")
        .env("TICKHOUSE_STORE_SECRET_ACCESS_KEY", "planted-key")
        .env("TICKHOUSE_INGEST_FLUSH_ROWS", "7")
        .secret("planted")
        .succeed();
    for line in [
        format!("kafka.topic = \"from-the-file\"  # {}", file.display()),
        "kafka.brokers = \"flag:9092\"  # --brokers".to_owned(),
        "ingest.flush_rows = 7  # TICKHOUSE_INGEST_FLUSH_ROWS".to_owned(),
        "ingest.flush_interval = \"10s\"  # default".to_owned(),
        "kafka.password = \"***\"  # TICKHOUSE_KAFKA_PASSWORD".to_owned(),
        format!("kafka.properties.ssl.key.password = \"***\"  # {}", file.display()),
        "input.include = []  # default".to_owned(),
        "input.max_message_bytes = 1048576  # default".to_owned(),
        "# kafka.group is not set".to_owned(),
    ] {
        assert!(shown.lines().any(|shown| shown == line), "no {line} in:\n{shown}");
    }
}

#[test]
fn the_configuration_is_checked_as_ingest_does() {
    let given =
        ["--table", "s3://bucket/x", "--s3-endpoint", "http://store:9000", "--brokers", "kafka:x", "--topic", "t"];
    let finished = Tickhouse::new(&[&["config", "show"], &given[..], &["--market-zone", "Mars"]].concat()).run();
    assert_eq!(finished.code, USAGE, "{finished:?}");
    assert!(finished.stdout.contains("kafka.brokers = \"kafka:x\"  # --brokers"), "{finished:?}");
    for told in
        ["ingest refuses this configuration", "http://store:9000 is not encrypted", "'kafka:x' is no broker", "Mars"]
    {
        assert!(finished.stderr.contains(told), "no {told} in: {finished:?}");
    }
    let empty = Tickhouse::new(&["config", "show"]).run();
    assert_eq!(empty.code, USAGE, "{empty:?}");
    assert!(empty.stderr.contains("table: missing") && empty.stderr.contains("kafka.brokers"), "{empty:?}");
}

#[test]
fn a_store_that_refuses_is_named_without_its_keys() {
    let topic = Topic::new(1);
    let finished = Tickhouse::new(&["ingest", "--until-latest", "--table", "s3://bucket/lake"])
        .flags(&["--s3-endpoint", "http://127.0.0.1:1"].map(str::to_owned))
        .flags(&topic.flags())
        .env("AWS_ACCESS_KEY_ID", "planted-id")
        .env("AWS_SECRET_ACCESS_KEY", "planted-key")
        .secret("planted")
        .run();
    assert_eq!(finished.code, USAGE, "{finished:?}");
    assert!(finished.stderr.contains("not encrypted"), "{finished:?}");
    assert!(finished.stderr.contains("--s3-allow-http"), "{finished:?}");
}

#[test]
fn every_command_has_a_summary() {
    let show = Tickhouse::new(&["dead-letters", "show", "--help"]).succeed();
    assert!(!show.contains("[default: -1]") && !show.contains("[default: \"\"]"), "{show}");
    let help = Tickhouse::new(&["--help"]).succeed();
    let commands = help.lines().skip_while(|line| *line != "Data in:").take_while(|line| *line != "Options:");
    for line in commands.filter(|line| line.starts_with("  ")) {
        assert!(line.split_whitespace().count() > 2, "no summary: {line}");
    }
}

#[test]
fn completions_and_lists_need_no_lake() {
    let script = Tickhouse::new(&["completions", "bash"]).succeed();
    assert!(script.contains("_tickhouse") && script.contains("--until-latest"), "{script}");
    let list = Tickhouse::new(&["query", "--list"]).succeed();
    for name in ["sma_crossover", "daily_summary", "volume_confirmation"] {
        assert!(list.lines().any(|line| line.split_whitespace().next() == Some(name)), "{list}");
    }
    let sql = Tickhouse::new(&["query", "sma_crossover", "--show-sql", "--param", "fast=3"]).succeed();
    assert!(sql.to_uppercase().contains("SELECT") && !sql.contains('$'), "{sql}");
    let version = Tickhouse::new(&["--version"]).succeed();
    assert_eq!(version.trim(), concat!("tickhouse ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn queries_answer_in_the_format_asked_for() {
    let (_topic, place) = filled();
    let query = |words: &[&str]| Tickhouse::new(&[&["query"], words].concat()).flags(&place.flags());
    let sql = "SELECT symbol, count(*) AS n, min(ts) AS first FROM ticks WHERE symbol = 'AAPL' GROUP BY symbol";
    assert_eq!(query(&[sql]).succeed(), "symbol,n,first\nAAPL,10,2026-01-05T14:30:00Z\n");
    let json: serde_json::Value = serde_json::from_str(&query(&[sql, "--format", "json"]).succeed()).unwrap();
    assert_eq!(json[0]["n"], 10);
    let lines = query(&[sql, "--format", "ndjson"]).succeed();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&lines).unwrap(), json[0]);
    assert!(query(&[sql, "--format", "table"]).succeed().contains("AAPL"));
    assert!(query(&[sql, "--format", "markdown"]).succeed().contains("| AAPL"));
    let stdin = query(&["-f", "-", "--format", "csv"]).input("SELECT count(*) AS n FROM dead_letters").succeed();
    assert_eq!(stdin, "n\n1\n");
    let named = query(&["daily_summary", "--symbol", "MSFT"]).succeed();
    assert!(named.lines().nth(1).unwrap().starts_with("MSFT,2026-01-05,"), "{named}");

    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("answer.parquet");
    assert_eq!(query(&[sql, "-o", file.to_str().unwrap()]).succeed(), "");
    assert_eq!(&std::fs::read(&file).unwrap()[..4], b"PAR1");
    assert_eq!(query(&[sql, "-o", "-", "--format", "csv"]).succeed(), query(&[sql]).succeed());
    let unknown = out.path().join("answer.xyz");
    let refused = query(&[sql, "-o", unknown.to_str().unwrap()]).run();
    assert_eq!(refused.code, USAGE, "{refused:?}");
    assert!(refused.stderr.contains(".parquet") && refused.stderr.contains("--format"), "{refused:?}");
    assert!(!unknown.exists());
    query(&[sql, "--format", "csv", "-o", unknown.to_str().unwrap()]).succeed();
    assert!(std::fs::read_to_string(&unknown).unwrap().starts_with("symbol,n,first\n"));
}

#[test]
fn wrong_sql_is_shown_with_a_caret() {
    let (_topic, place) = filled();
    for (sql, code, lines) in [
        ("SELECT symbl FROM ticks", FAILED, vec!["SELECT symbl FROM ticks", "       ^^^^^", "symbol"]),
        ("SELECT * FROM tick", FAILED, vec!["^^^^", "ticks"]),
        ("SELEC 1 + 1", FAILED, vec!["^^^^^", "SELECT"]),
        ("DROP TABLE ticks", USAGE, vec!["error"]),
        ("SELECT 1; SELECT 2", USAGE, vec!["error"]),
    ] {
        let finished = Tickhouse::new(&["query", sql]).flags(&place.flags()).run();
        assert_eq!((finished.code, finished.stdout.as_str()), (code, ""), "{sql}: {finished:?}");
        for line in lines {
            assert!(finished.stderr.contains(line), "{sql}: no '{line}' in:\n{}", finished.stderr);
        }
    }
}

#[test]
fn offsets_are_shown_with_what_kafka_holds() {
    let (topic, place) = filled();
    topic.send(&ticks(40..43));
    let shown =
        Tickhouse::new(&["offsets", "show", "--format", "json"]).flags(&topic.flags()).flags(&place.flags()).succeed();
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((shown["epoch"].as_i64(), shown["topic"].as_str()), (Some(0), Some(topic.kafka.topic.as_str())));
    let first = &shown["partitions"][0];
    assert_eq!(
        (first["counters"]["next"].as_i64(), first["counters"]["dead"].as_i64()),
        (Some(21), Some(1)),
        "{shown}"
    );
    assert_eq!((first["kafka_end"].as_i64(), first["lag"].as_i64()), (Some(23), Some(2)), "{shown}");
    let text = Tickhouse::new(&["offsets", "show"]).flags(&place.flags()).succeed();
    assert!(text.contains("partition") && text.contains(&topic.kafka.topic), "{text}");
}

#[test]
fn a_dry_run_prints_verdicts_and_writes_nothing() {
    let (topic, place) = (Topic::new(1), Place::folder());
    let first = r#"{"symbol":"AAPL","ts":"2026-01-05T14:30:00Z","close":"1.5"}"#;
    topic.send(&[first, "no tick", &ticks(0..1)[0]]);
    let finished =
        Tickhouse::new(&["ingest", "--dry-run", "--limit", "2"]).flags(&topic.flags()).flags(&place.flags()).run();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let lines: Vec<&str> = finished.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{finished:?}");
    assert!(lines[0].starts_with("0\t0\t") && lines[0].ends_with("close=1.5 volume=NULL"), "{finished:?}");
    assert!(lines[1].starts_with("0\t1\t") && lines[1].contains("syntax"), "{finished:?}");
    assert!(finished.stderr.contains("2 messages"), "{finished:?}");
    assert!(finished.stderr.contains("coerced in accepted messages: 1 number in quotes"), "{finished:?}");
    assert!(!std::path::Path::new(&place.table).exists());
}

#[test]
fn a_dry_run_shows_extra_columns() {
    let topic = Topic::new(1);
    let tick = |rest: &str| format!(r#"{{"symbol":"AAPL","ts":"2026-01-05T14:30:00Z","close":1.5{rest}}}"#);
    topic.send(&[&tick(r#","bid":1.25,"venue":"a\tb","n":7,"odd":true"#), &tick("")]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tickhouse.toml");
    let column = |name: &str, kind: &str| format!("[columns.{name}]\npath = \"/{name}\"\ntype = \"{kind}\"\n");
    let columns = [("venue", "string"), ("bid", "double"), ("odd", "boolean"), ("n", "bigint")];
    std::fs::write(&file, columns.map(|(name, kind)| column(name, kind)).concat()).unwrap();
    let shown = Tickhouse::new(&["ingest", "--dry-run", "--config", file.to_str().unwrap()]).flags(&topic.flags());
    let shown = shown.succeed();
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].ends_with(r#"volume=NULL bid=1.25 n=7 odd=true venue="a\tb""#), "{shown}");
    assert!(lines[1].ends_with("volume=NULL bid=NULL n=NULL odd=NULL venue=NULL"), "{shown}");
}

#[test]
fn a_topic_that_is_not_there_is_named() {
    let topic = Topic::new(1);
    let missing = ["--brokers", &topic.kafka.brokers, "--topic", "it-nowhere"];
    let table = Place::folder();
    for words in
        [vec!["ingest", "--until-latest"], vec!["ingest", "--dry-run"], vec!["produce", "simulate", "--count", "1"]]
    {
        let is_ingest = words[0] == "ingest";
        let mut all = Tickhouse::new(&words).flags(&missing.map(str::to_owned));
        if is_ingest {
            all = all.flags(&table.flags());
        }
        let finished = all.run();
        assert_eq!(finished.code, FAILED, "{finished:?}");
        assert!(finished.stderr.contains("it-nowhere"), "{finished:?}");
    }
}

#[test]
fn what_is_produced_is_ingested() {
    let (topic, place) = (Topic::new(2), Place::folder());
    let produced = Tickhouse::new(&["produce", "simulate", "--rate", "0", "--count", "2000", "--symbols", "7"])
        .flags(&topic.flags())
        .succeed();
    assert!(produced.starts_with("acknowledged 2000 of 2000 messages"), "{produced}");
    Tickhouse::new(&["ingest", "--until-latest"]).flags(&topic.flags()).flags(&place.flags()).succeed();
    let sql = "SELECT count(*) AS n, count(DISTINCT symbol) AS symbols FROM ticks";
    let counted = Tickhouse::new(&["query", sql]).flags(&place.flags()).succeed();
    assert_eq!(counted, "n,symbols\n2000,7\n");
}
