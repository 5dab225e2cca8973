//! Secrets and payloads show nowhere: not in the output, not in the log of any level, not in the table.

use std::path::Path;

use crate::support::{Outgoing, Place, Tickhouse, Topic};

/// Everything that any library has to say.
const LOUDEST: [&str; 4] = ["--log", "trace,tickhouse=trace,librdkafka=trace", "-X", "debug=all"];
const PLANTED: &str = "planted-secret";
const MARKER: &str = "marker-of-a-payload";

fn loudest() -> Vec<String> {
    LOUDEST.map(str::to_owned).to_vec()
}

/// Secrets wherever they can be given without changing what the run does.
fn with_secrets(run: Tickhouse, folder: &Path) -> Tickhouse {
    let config = folder.join("tickhouse.toml");
    let text = "[kafka.properties]\n\"sasl.password\" = \"planted-secret-in-file\"\n\
                \"ssl.keystore.password\" = \"planted-secret-in-file\"\n";
    std::fs::write(&config, text).unwrap();
    let file = folder.join("token");
    std::fs::write(&file, "planted-secret-token\n").unwrap();
    let flags = ["ssl.key.password", "sasl.password", "sasl.oauthbearer.config"];
    let flags: Vec<String> =
        flags.iter().flat_map(|name| ["-X".to_owned(), format!("{name}=planted-secret-{name}")]).collect();
    run.flags(&["--config".to_owned(), config.to_str().unwrap().to_owned()])
        .flags(&flags)
        .env("TICKHOUSE_STORE_SESSION_TOKEN_FILE", file.to_str().unwrap())
        .env("TICKHOUSE_STORE_ACCESS_KEY_ID", "planted-secret-id")
        .env("TICKHOUSE_STORE_SECRET_ACCESS_KEY", "planted-secret-key")
        .env("AWS_SECRET_ACCESS_KEY", "planted-secret-aws")
        .env("AWS_SESSION_TOKEN", "planted-secret-aws-token")
        .secret(PLANTED)
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push((path.display().to_string(), std::fs::read(&path).unwrap())),
        }
    }
    found
}

fn assert_without(folder: &Path, text: &str, is_meant: impl Fn(&str) -> bool) {
    let files = files(folder);
    assert!(files.iter().any(|(name, _)| name.contains("_delta_log")));
    for (name, bytes) in files.iter().filter(|(name, _)| is_meant(name)) {
        assert!(!bytes.windows(text.len()).any(|window| window == text.as_bytes()), "{text} is in {name}");
    }
}

#[test]
fn secrets_show_nowhere() {
    let (topic, place, folder) = (Topic::new(2), Place::folder(), tempfile::tempdir().unwrap());
    let run = |words: &[&str]| with_secrets(Tickhouse::new(words).flags(&topic.flags()), folder.path());
    let produced = run(&["produce", "simulate", "--rate", "0", "--count", "100"]).flags(&loudest()).succeed();
    assert!(produced.starts_with("acknowledged 100 of 100"), "{produced}");
    topic.send(&["no tick"]);
    for words in [vec!["ingest", "--until-latest"], vec!["ingest", "--dry-run"], vec!["offsets", "show"]] {
        let finished = run(&words).flags(&place.flags()).flags(&loudest()).expect_warning("").run();
        assert_eq!(finished.code, Some(0), "{finished:?}");
        assert!(finished.stderr.contains("TRACE"), "the log is at its loudest");
    }
    run(&["config", "show"]).flags(&place.flags()).succeed();
    let query = Tickhouse::new(&["query", "SELECT count(*) AS n FROM ticks", "--log", LOUDEST[1]])
        .flags(&place.flags())
        .env("TICKHOUSE_STORE_SECRET_ACCESS_KEY", "planted-secret-key")
        .secret(PLANTED)
        .expect_warning("");
    assert_eq!(query.succeed(), "n\n100\n");
    assert_without(Path::new(&place.table), PLANTED, |_| true);
}

/// Messages of every kind, each with the marker; at the place where decoders like to quote.
fn marked() -> Vec<Vec<u8>> {
    let with = |field: &str| format!(r#"{{"symbol":"AAPL","ts":"2026-01-05T14:30:00Z","close":1,{field}}}"#);
    let mut texts = vec![
        MARKER.to_owned(),
        format!("\"{MARKER}\""),
        format!("[\"{MARKER}\"]"),
        format!("{{\"{MARKER}\":"),
        format!(r#"{{"symbol":"{MARKER}","ts":"2026-01-05T14:30:00Z"}}"#),
        format!(r#"{{"symbol":"AAPL","ts":"{MARKER}","close":1}}"#),
        format!(r#"{{"symbol":"AAPL","ts":"2026-01-05T14:30:00 {MARKER}","close":1}}"#),
        format!(r#"{{"symbol":"AAPL","ts":"2026-01-05T14:30:00","close":1,"note":"{MARKER}"}}"#),
        format!(r#"{{"symbol":"AAPL","ts":"2026-01-05T14:30:00Z","close":"{MARKER}"}}"#),
        format!(r#"{{"symbol":"AAPL","ts":"2026-01-05T14:30:00Z","close":1e400,"note":"{MARKER}"}}"#),
        format!(r#"{{"symbol":"AAPL","ts":"1200-01-05T14:30:00Z","close":1,"note":"{MARKER}"}}"#),
        format!(r#"{{"symbol":"AAPL","ts":"2999-01-05T14:30:00Z","close":1,"note":"{MARKER}"}}"#),
        format!(r#"{{"symbol":{{"{MARKER}":1}},"ts":"2026-01-05T14:30:00Z","close":1}}"#),
        format!(r#"{{"symbol":"{}","ts":"2026-01-05T14:30:00Z","close":1}}"#, MARKER.repeat(40)),
        format!(r#"{{"symbol":"AAPL {MARKER}\u0000","ts":"2026-01-05T14:30:00Z","close":1}}"#),
        with(&format!(r#""volume":"{MARKER}""#)),
        with(&format!(r#""volume":-1,"note":"{MARKER}""#)),
        with(&format!(r#""trade_id":["{MARKER}"]"#)),
        with(&format!(r#""close":2,"note":"{MARKER}""#)),
        format!("{} {MARKER}", with(r#""volume":1"#)),
        with(&format!(r#""{MARKER}":{}1{}"#, "[".repeat(200), "]".repeat(200))),
        with(&format!(r#""note":"{MARKER}{}""#, "x".repeat(3_000))),
    ];
    // These are good ones.
    texts.push(with(&format!(r#""trade_id":"{MARKER}""#)));
    texts.push(format!(r#"{{"symbol":"{MARKER}","ts":"2026-01-05T14:30:00Z","close":1}}"#));
    let mut payloads: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).collect();
    for prefix in [&b"\xff"[..], b"\x1f\x8b\x08\x00", b"\x00\x00\x00\x00\x07"] {
        payloads.push([prefix, MARKER.as_bytes()].concat());
    }
    payloads
}

#[test]
fn no_payload_reaches_a_log() {
    let (topic, place) = (Topic::new(1), Place::folder());
    let payloads = marked();
    topic.send_all(payloads.iter().map(|payload| Outgoing {
        payload: Some(payload),
        key: Some(MARKER.as_bytes()),
        headers: vec![(MARKER, MARKER.as_bytes())],
        ..Outgoing::default()
    }));
    let run = || {
        Tickhouse::new(&["ingest", "--until-latest", "--max-message-bytes", "3000"])
            .flags(&topic.flags())
            .flags(&place.flags())
            .flags(&loudest())
            .expect_warning("")
            .secret(MARKER)
    };
    let finished = run().run();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let dead = payloads.len() - 2;
    let ending = format!("committed 2 rows of {} messages, {dead} dead letters", payloads.len());
    assert!(finished.stderr.contains(&ending), "{finished:?}");
    // The next start reads the table back.
    run().succeed();

    let query = |sql: &str| Tickhouse::new(&["query", sql]).flags(&place.flags()).succeed();
    let reasons = query("SELECT DISTINCT reason FROM dead_letters ORDER BY reason");
    assert!(reasons.lines().count() > 12, "many kinds of them: {reasons}");
    let sql = format!(
        "SELECT count(*) AS n FROM dead_letters WHERE length(detail) > 200 \
         OR NOT contains(encode(payload, 'hex'), encode('{MARKER}', 'hex'))"
    );
    assert_eq!(query(&sql), "n\n0\n", "payloads are whole, and details quote their beginning");
    assert_without(Path::new(&place.table), MARKER, |name| name.contains("dead_letters/_delta_log"));
}
