//! Files as ticks: columns, and messages in the form that the lake reads.

use crate::support::{Contents, Place, Tickhouse, Topic};

const CONFIG: &str = r#"
[input]
symbol = "/i/code"
ts = "/t"
time_unit = "s"
close = "/last"
volume = "/size"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_csv_file_lands_in_a_lake_with_a_mapping() {
    let (topic, place) = (Topic::new(1), Place::folder());
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("mapped.toml"), CONFIG).unwrap();
    std::fs::write(path("a.csv"), "Symbol,TIME,Close,Size,Vol\n0005,1619057345.6829,1.5,7,9\n0700,1619057346,2.5,,9\n")
        .unwrap();
    let config = ["--config".to_owned(), path("mapped.toml")];
    let ingest = || {
        let ingest = Tickhouse::new(&["ingest", "--until-latest", "--market-zone", "UTC"]).flags(&config);
        ingest.flags(&topic.flags()).flags(&place.flags()).succeed();
    };
    ingest();
    // By the configuration, then by what the lake keeps.
    for flags in [&config[..], &place.flags()[..]] {
        let replay = Tickhouse::new(&["produce", "replay", "--ts-column", "time", "--time-unit", "s", &path("a.csv")])
            .flags(flags)
            .flags(&topic.flags())
            .run();
        assert_eq!(replay.code, Some(0), "{replay:?}");
        assert!(replay.stderr.contains("a.csv: columns symbol = Symbol, ts = TIME, close = Close"), "{replay:?}");
        assert!(replay.stderr.contains("left out"), "{replay:?}");
    }
    ingest();
    let contents = Contents::of(&place).await;
    assert!(contents.letters.is_empty(), "{:?}", contents.letters);
    let mut rows: Vec<_> =
        contents.rows.iter().map(|row| (row.offset, row.symbol.as_str(), row.ts, row.close)).collect();
    rows.sort_by_key(|row| row.0);
    let once = [(1_619_057_345_682_900, "0005", 1.5), (1_619_057_346_000_000, "0700", 2.5)];
    let expected: Vec<_> = (0..)
        .zip(once.into_iter().cycle().take(4))
        .map(|(offset, (ts, symbol, close))| (offset, symbol, ts, close))
        .collect();
    assert_eq!(rows, expected);
}
