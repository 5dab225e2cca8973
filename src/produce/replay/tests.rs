//! Small generated files, replayed.

use std::fs::{File, write};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;

use super::*;
use crate::decode::Preset;

fn settings(file: &Path) -> ReplaySettings {
    ReplaySettings { files: vec![file.display().to_string()], ..ReplaySettings::default() }
}

/// `key payload ts` of every message; the error as the last one.
fn replay(settings: ReplaySettings) -> Vec<String> {
    let mut feed = match ReplayFeed::open(settings, MessageEncoder::new(Preset::Canonical, None).unwrap()) {
        Ok(feed) => feed,
        Err(error) => return vec![error.to_string()],
    };
    let mut all = Vec::new();
    loop {
        match feed.next_message() {
            Ok(Some(message)) => all.push(format!(
                "{} {} {}",
                message.key.map_or("-", |key| std::str::from_utf8(key).unwrap()),
                String::from_utf8_lossy(message.payload),
                message.ts.map_or("-".to_owned(), |ts| ts.to_string()),
            )),
            Ok(None) => return all,
            Err(error) => {
                all.push(error.to_string());
                return all;
            }
        }
    }
}

fn replay_text(name: &str, text: &str, change: impl FnOnce(&mut ReplaySettings)) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    write(&path, text).unwrap();
    let mut settings = settings(&path);
    change(&mut settings);
    replay(settings)
}

fn daily(settings: &mut ReplaySettings) {
    settings.columns.symbol = Some("Name".to_owned());
    settings.columns.ts = Some("date".to_owned());
    settings.zone = Some(chrono_tz::America::New_York);
}

#[test]
fn daily_rows_with_empty_fields() {
    let text = "\u{feff}date,open,high,low,close,volume,Name\r\n\
                2013-02-08,45.07,45.35,45.0,45.08,1824755,A\r\n\
                2017-07-26,,,,69.0842,3,BHF\r\n\
                2015-07-17,,88.76,88.24,88.72,,\"BRK,B\"\r\n";
    let found = replay_text("daily.csv", text, daily);
    assert_eq!(
        found,
        [
            r#"A {"symbol":"A","ts":"2013-02-08T05:00:00.000000Z","open":45.07,"high":45.35,"low":45,"close":45.08,"volume":1824755} 1360299600000000"#,
            r#"BHF {"symbol":"BHF","ts":"2017-07-26T04:00:00.000000Z","close":69.0842,"volume":3} 1501041600000000"#,
            r#"BRK,B {"symbol":"BRK,B","ts":"2015-07-17T04:00:00.000000Z","high":88.76,"low":88.24,"close":88.72} 1437105600000000"#,
        ]
    );
}

#[test]
fn errors_name_file_row_and_fix() {
    let header = "symbol,ts,close\n";
    for (rows, problem) in [
        ("A,2024-01-02T00:00:00Z,1\n,2024-01-02T00:00:00Z,1\n", "row 2: column 'symbol' is empty"),
        ("A,2024-01-02T00:00:00Z,\n", "row 1: column 'close' is empty"),
        ("A,2024-01-02T00:00:00Z,1\nA,2024-01-02T00:00:00Z,x1\n", "row 2: column 'close': 'x1' is not a number"),
        ("A,2024-01-02T00:00:00Z,NaN\n", "row 1: column 'close': not a finite number"),
        ("A,2024-01-02,1\n", "row 1: column 'ts': the date has no time; set --zone"),
        ("A,1700000000,1\n", "row 1: column 'ts': the time is a number; set --time-unit"),
        ("A,2024-01-02T00:00:00Z\n", "incorrect number of fields"),
    ] {
        let found = replay_text("x.csv", &format!("{header}{rows}"), |_| {});
        let error = found.last().unwrap();
        assert!(error.contains(problem) && error.contains("x.csv"), "{error}");
    }
    let semicolons = replay_text("x.csv", "symbol;ts;close\nA;2024-01-02T00:00:00Z;1.5\n", |_| {});
    assert!(semicolons[0].starts_with("A {\"symbol\":\"A\""), "{semicolons:?}");
    let missing = replay_text("x.csv", "kind,ts,close\n", |_| {});
    assert!(missing[0].contains("no column 'symbol'; it has kind, ts, close; set --symbol-column"), "{missing:?}");
    let several =
        replay_text("x.csv", "ticker,when,Last\n", |settings| settings.columns.volume = Some("Vlo".to_owned()));
    let text = "no column 'symbol', 'ts', 'close' or 'Vlo'; it has ticker, when, Last; is symbol 'ticker'?; is close \
        'Last'?; set --symbol-column, --ts-column, --close-column and --volume-column";
    assert!(several[0].ends_with(text), "{several:?}");
    let named = replay_text("x.csv", header, |settings| settings.columns.trade_id = Some("id".to_owned()));
    assert!(named[0].contains("no column 'id'") && named[0].contains("--trade-id-column"), "{named:?}");
}

#[test]
fn rows_are_counted_across_batches() {
    let mut text = "symbol,ts,close\n".to_owned();
    for second in 0..9_999 {
        text.push_str(&format!("A,{},{}\n", 1_700_000_000 + second, 1 + second));
    }
    text.push_str("A,1700000000,0x\n");
    let found = replay_text("x.csv", &text, |settings| settings.time_unit = Some(EpochUnit::S));
    // The batch of the bad row is refused as a whole.
    assert_eq!(found.len(), 2 * 4_096 + 1);
    assert!(found.last().unwrap().contains("row 10000:"));
    assert!(found[8_191].ends_with(r#""close":8192} 1700008191000000"#), "{}", found[8_191]);
}

#[test]
fn lines_are_sent_as_they_are() {
    let text = "{\"data\":{\"s\":\"BTC\",\"T\":1700000000123}}\nnot json\r\n\n{\"data\":{\"s\":7}}";
    let found = replay_text("x.jsonl", text, |settings| {
        settings.message_key = Some("/data/s".to_owned());
        settings.message_time = Some("/data/T".to_owned());
        settings.time_unit = Some(EpochUnit::Ms);
    });
    let expected = [
        "BTC {\"data\":{\"s\":\"BTC\",\"T\":1700000000123}} 1700000000123000",
        "- not json -",
        "7 {\"data\":{\"s\":7}} -",
    ];
    assert_eq!(found, expected);
    let wrong = replay_text("x.jsonl", text, |settings| settings.message_key = Some("s".to_owned()));
    assert!(wrong[0].contains("/data/s"), "{wrong:?}");
}

#[test]
fn captures_lose_their_time_of_receipt_only() {
    let text = "1723161256172216566 {\"s\": 1}\n1723161256191649066 x y\n";
    let stamped = |settings: &mut ReplaySettings| settings.format = Some(FileFormat::StampedLines);
    assert_eq!(replay_text("capture", text, stamped), ["- {\"s\": 1} 1723161256172216", "- x y 1723161256191649"]);
    let wrong = replay_text("capture", "{\"s\": 1}\n", stamped);
    assert!(wrong[0].contains("row 1: does not begin with a time"), "{wrong:?}");
}

#[test]
fn a_csv_of_another_case_with_fractional_seconds() {
    let text = "Symbol,TS,Close,Volume\n0005,1619057345.6829,1.5,7\n";
    let found = replay_text("x.csv", text, |settings| settings.time_unit = Some(EpochUnit::S));
    let payload = r#"{"symbol":"0005","ts":"2021-04-22T02:09:05.682900Z","close":1.5,"volume":7}"#;
    assert_eq!(found, [format!("0005 {payload} 1619057345682900")]);
}

#[test]
fn lines_have_times_only_with_a_pointer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    write(&path, "").unwrap();
    let has_times = |settings| {
        ReplayFeed::open(settings, MessageEncoder::new(Preset::Canonical, None).unwrap()).unwrap().has_times()
    };
    assert!(!has_times(settings(&path)));
    assert!(has_times(ReplaySettings { message_time: Some("/t".to_owned()), ..settings(&path) }));
    assert!(has_times(ReplaySettings { format: Some(FileFormat::StampedLines), ..settings(&path) }));
}

#[test]
fn several_files_follow_each_other() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path().join("b.jsonl"), "b1\nb2\n").unwrap();
    write(folder.path().join("a.jsonl"), "a1").unwrap();
    write(folder.path().join("c.jsonl"), "").unwrap();
    assert_eq!(replay(settings(&folder.path().join("*.jsonl"))), ["- a1 -", "- b1 -", "- b2 -"]);
}

#[test]
fn compressed_content_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.csv");
    write(&path, [0x28, 0xb5, 0x2f, 0xfd]).unwrap();
    assert!(replay(settings(&path))[0].contains("zstdcat"));
}

#[test]
fn gzip_is_read_whatever_the_name() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["x.jsonl", "x.jsonl.gz"] {
        let path = folder.path().join(name);
        let mut gzip = flate2::write::GzEncoder::new(File::create(&path).unwrap(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gzip, b"a1\na2\n").unwrap();
        gzip.finish().unwrap();
        assert_eq!(replay(settings(&path)), ["- a1 -", "- a2 -"]);
    }
}

fn write_parquet(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)));
    let batch = batch.unwrap();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn parquet_columns_of_many_types() {
    let folder = tempfile::tempdir().unwrap();
    let at = 1_700_000_000_000_000;
    let payload = |ts: &str| format!(r#"A {{"symbol":"A","ts":"{ts}","close":1.5,"volume":7}}"#);
    let symbol: ArrayRef = Arc::new(StringArray::from(vec!["A"]));
    let close: ArrayRef = Arc::new(Float64Array::from(vec![1.5]));
    let volume: ArrayRef = Arc::new(Int64Array::from(vec![7]));
    let high: ArrayRef = Arc::new(Float64Array::from(vec![None]));
    let times: [(ArrayRef, &str); 4] = [
        (Arc::new(TimestampMicrosecondArray::from(vec![at]).with_timezone("UTC")), "2023-11-14T22:13:20.000000Z"),
        (Arc::new(TimestampMicrosecondArray::from(vec![at])), "2023-11-15T03:13:20.000000Z"),
        (Arc::new(Int64Array::from(vec![at / 1_000_000])), "2023-11-14T22:13:20.000000Z"),
        (Arc::new(Date32Array::from(vec![19_675])), "2023-11-14T05:00:00.000000Z"),
    ];
    for (number, (ts, expected)) in times.into_iter().enumerate() {
        let path = folder.path().join(format!("{number}.parquet"));
        let columns = vec![
            ("close", Arc::clone(&close)),
            ("t", ts),
            ("high", Arc::clone(&high)),
            ("symbol", Arc::clone(&symbol)),
            ("volume", Arc::clone(&volume)),
        ];
        write_parquet(&path, columns);
        let mut settings = settings(&path);
        settings.columns.ts = Some("t".to_owned());
        settings.zone = Some(chrono_tz::America::New_York);
        settings.time_unit = Some(EpochUnit::S);
        let found = replay(settings);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with(&payload(expected)), "{found:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn lines_survive_as_bytes(lines in prop::collection::vec("[^\\r\\n]{1,80}", 0..20)) {
        let found = replay_text("x.txt", &lines.join("\n"), |_| {});
        let expected: Vec<String> = lines.iter().map(|line| format!("- {line} -")).collect();
        prop_assert_eq!(found, expected);
    }
}
