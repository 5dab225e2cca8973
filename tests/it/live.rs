//! `live` and `alerts`: events of a stream, a start that goes on, and settings that can't work.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::support::{Place, Tickhouse, Topic};

/// In order, a second apart; the price jumps at every seventeenth tick.
fn tick(number: usize) -> String {
    let symbol = ["AAPL", "<script>"][number % 2];
    let close = 100.0 + (number % 5) as f64 * 0.01 + if number.is_multiple_of(17) { 5.0 } else { 0.0 };
    let (minute, second) = (number / 60, number % 60);
    format!(
        r#"{{"symbol":"{symbol}","ts":"2026-01-05T14:{minute:02}:{second:02}Z","close":{close},"volume":{number}}}"#
    )
}

fn send(topic: &Topic, numbers: std::ops::Range<usize>) {
    topic.send(&numbers.map(tick).collect::<Vec<_>>());
}

/// A configuration in the folder of the test.
fn config(place: &Place, text: &str) -> String {
    let path = PathBuf::from(place.location().to_string()).with_extension("toml");
    std::fs::write(&path, text).unwrap();
    path.to_string_lossy().into_owned()
}

fn run(words: &[&str], topic: &Topic, place: &Place) -> Tickhouse {
    Tickhouse::new(words).flags(&topic.flags()).flags(&place.flags())
}

fn ingest(topic: &Topic, place: &Place) {
    run(&["ingest", "--until-latest", "--market-zone", "UTC"], topic, place).succeed();
}

fn query(place: &Place, sql: &str) -> String {
    Tickhouse::new(&["query", sql]).flags(&place.flags()).succeed()
}

#[test]
fn events_are_told_once_and_are_those_of_the_queries() {
    let (topic, place) = (Topic::new(1), Place::folder());
    // The webhook is for another rule, and never called.
    let rules = "[[live.rule]]\nname = \"jump\"\nwhen = \"change_pct > 2\"\n\
                 [[live.rule]]\nname = \"never\"\nwhen = \"close < 0 AND CAST(volume AS TINYINT) > 0\"\n\
                 [[live.webhook]]\nname = \"w\"\nurl = \"http://127.0.0.1:1/\"\nrules = [\"never\"]\nkinds = \
                 [\"rule\"]\n";
    let rules = config(&place, rules);
    send(&topic, 0..100);
    ingest(&topic, &place);
    let words = ["live", "--print", "--commit-interval", "100ms", "--config", &rules];
    let mut live = run(&words, &topic, &place).start();
    live.line("warmed up rows=100 symbols=2");
    live.line("committed events version=1 events=0");
    send(&topic, 100..200);
    live.line("committed events version=2");
    live.signal("TERM");
    let finished = live.finish();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.stderr.contains("next offsets 0=200"), "{finished:?}");
    ingest(&topic, &place);

    // The same by SQL, of the ticks that came while live ran.
    let jumps = "SELECT t.kafka_offset FROM (SELECT kafka_offset, 100 * (close - LAG(close) OVER w) / LAG(close) OVER \
        w AS change FROM ticks WINDOW w AS (PARTITION BY symbol ORDER BY ts)) t WHERE t.kafka_offset >= 100 AND ";
    let expected = |condition: &str| query(&place, &format!("{jumps}{condition} ORDER BY 1"));
    let told = |kind: &str| {
        query(&place, &format!("SELECT kafka_offset FROM signals WHERE kind = '{kind}' ORDER BY kafka_offset"))
    };
    assert_eq!(told("price_alert"), expected("ABS(t.change) >= 1"));
    assert_eq!(told("rule"), expected("t.change > 2"));
    assert!(told("rule").lines().count() > 3);
    let printed: BTreeSet<&str> = finished.stdout.lines().collect();
    let count = query(&place, "SELECT COUNT(*) AS n FROM signals");
    assert_eq!(count, format!("n\n{}\n", finished.stdout.lines().count()));
    assert!(printed.iter().any(|line| line.contains("<script> jump (rule jump, warning) close")), "{printed:?}");

    // Over the history: those before live ran, too.
    let test = ["alerts", "test", "jump", "--from", "2026-01-05", "--config", &rules, "--format", "csv"];
    let history = Tickhouse::new(&test).flags(&place.flags()).succeed();
    let all = query(&place, &jumps.replace(">= 100", ">= 0").replace("AND ", "AND t.change > 2"));
    assert_eq!(history.lines().count(), all.lines().count());
    let findings = Tickhouse::new(&[&test[..], &["--expect", "1"]].concat()).flags(&place.flags()).run();
    assert_eq!(findings.code, Some(4), "{findings:?}");

    // A start goes on where the table ends.
    let mut again = run(&words, &topic, &place).start();
    again.line("INFO live ");
    again.signal("TERM");
    let finished = again.finish();
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), ""), "{finished:?}");
    assert_eq!(query(&place, "SELECT COUNT(*) AS n FROM signals"), count);
}

#[test]
fn settings_that_can_t_work_are_told_at_the_start() {
    let (topic, place) = (Topic::new(1), Place::folder());
    let missing = run(&["live"], &topic, &place).run();
    assert_eq!(missing.code, Some(1), "{missing:?}");
    assert!(missing.stderr.contains("no tickhouse tables at"), "{missing:?}");
    ingest(&topic, &place);
    let secret = "https://hooks.example.com/a-secret-path";
    for (text, told) in [
        ("[[live.rule]]\nname = \"x\"\nwhen = \"clos > 1\"", "rule 'x', when: there is no column 'clos'; did you mean"),
        (
            "[[live.rule]]\nname = \"x\"\nwhen = \"close > 1\"\nuntil = \"close\"",
            "rule 'x', until: 'close' is no condition",
        ),
        ("[[live.rule]]\nname = \"a b\"\nwhen = \"close > 1\"", "live.rule: 'a b' is no name"),
        ("[live]\nfast = 30", "live.fast, live.slow"),
        ("[live]\nanomaly = 0.0", "live.anomaly: use a number above 0"),
        ("[live]\nreorder = \"1h\"", "live.reorder: use at most 600 s"),
        ("[[live.webhook]]\nname = \"x\"\nurl = \"ftp://a-secret-path\"", "live.webhook 'x': url is no http"),
        (
            "[[live.webhook]]\nname = \"x\"\nurl = \"https://a-secret-path\"\nrules = [\"y\"]",
            "live.webhook 'x': there is no rule 'y'",
        ),
        ("[live]\nkind = []", "unknown field `kind`"),
        (&format!("[live]\ntopic = \"{}\"", topic.kafka.topic), "is the topic of the ticks"),
        ("[[live.rule]]\nname = \"x\"\nwhen = \" \"", "the condition is empty"),
        ("[[live.rule]]\nname = \"x\"\nwhen = \"random() > 0.5\"", "random() differs between evaluations"),
    ] {
        let path = config(&place, text);
        let live = run(&["live", "--config", &path], &topic, &place).secret("a-secret-path").run();
        assert_eq!(live.code, Some(2), "{text}: {live:?}");
        assert!(live.stderr.contains(told), "{text}: {live:?}");
        let nowhere = Place::folder();
        let ingest = run(&["ingest", "--live", "--config", &path], &topic, &nowhere).secret("a-secret-path").run();
        assert_eq!(ingest.code, Some(2), "{text}: {ingest:?}");
        assert!(!PathBuf::from(nowhere.location().to_string()).join("ticks").exists(), "{text}: a lake was made");
    }
    let rule = config(&place, "[[live.rule]]\nname = \"x\"\nwhen = \"clos > 1\"");
    let shown = run(&["config", "show", "--config", &rule], &topic, &place).run();
    assert_eq!(shown.code, Some(2), "{shown:?}");
    assert!(shown.stderr.contains("there is no column 'clos'"), "{shown:?}");
    let path = config(&place, &format!("[[live.webhook]]\nname = \"team\"\nurl = \"{secret}\"\n"));
    let shown = Tickhouse::new(&["config", "show", "--config", &path]).secret("a-secret-path").run();
    assert!(shown.stdout.contains("live.webhook") && shown.stdout.contains("url = \"***\""), "{shown:?}");
    let other = run(&["live", "--topic", "other"], &topic, &place).run();
    assert_eq!(other.code, Some(2), "{other:?}");
    let no_brokers = Tickhouse::new(&["live"]).flags(&place.flags()).run();
    assert_eq!(no_brokers.code, Some(2), "{no_brokers:?}");
    assert!(no_brokers.stderr.contains("set --brokers"), "{no_brokers:?}");
    let rule = Tickhouse::new(&["alerts", "test", "jump"]).flags(&place.flags()).run();
    assert_eq!(rule.code, Some(2), "{rule:?}");
    let backwards = ["alerts", "test", "x", "--when", "close > 1", "--from", "2026-01-05", "--to", "2026-01-04"];
    let backwards = Tickhouse::new(&backwards).flags(&place.flags()).run();
    assert_eq!(backwards.code, Some(2), "{backwards:?}");
    assert!(backwards.stderr.contains("is not before --to"), "{backwards:?}");
}
