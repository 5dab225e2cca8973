//! Tests of the statements for every engine, with locations that could break out of a string literal.

use super::*;
use crate::lake::{Location, S3Access};
use crate::query::{Dialect, NamedQueries, QueryError};

/// A folder whose name has all characters that are special in a string literal of some engine.
const FOLDER: &str = r#"/data/it's a "lake" \n `x` -- ;"#;

fn views(dialect: Dialect, schema: &[&str], wanted: &[&str]) -> Vec<EngineView> {
    let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
    EngineViews::of(&NamedQueries::load(None).unwrap(), &wanted, dialect, schema).unwrap().made
}

fn on_s3() -> Location {
    Location::parse("s3://bucket/it's a lake").unwrap()
}

fn server() -> S3Access {
    S3Access { endpoint: Some("http://127.0.0.1:9000/".to_owned()), region: Some("us-east-1".to_owned()) }
}

const DAILY: [&str; 1] = ["symbols"];

#[test]
fn spark() {
    let root = LakeRoot::of_spark(&Location::parse(FOLDER).unwrap());
    let text = script(&spark_statements("lake", &root, &views(Dialect::Spark, &["lake"], &DAILY)));
    let expected = r#"CREATE DATABASE IF NOT EXISTS `lake`;

CREATE TABLE IF NOT EXISTS `lake`.`ticks` USING DELTA LOCATION 'file:///data/it\'s a "lake" \\n `x` -- ;/ticks';

CREATE TABLE IF NOT EXISTS `lake`.`dead_letters` USING DELTA LOCATION 'file:///data/it\'s a "lake" \\n `x` -- ;/dead_letters';

CREATE OR REPLACE VIEW `lake`.`symbols` AS
SELECT
  symbol,"#;
    assert!(text.starts_with(expected), "{text}");
    assert!(text.contains("`lake`.`ticks`\n") && text.ends_with(";\n"), "{text}");
    let root = LakeRoot::of_spark(&on_s3());
    let text = script(&spark_statements("lake", &root, &[]));
    assert!(text.contains(r"LOCATION 's3a://bucket/it\'s a lake/ticks'"), "{text}");
}

#[test]
fn duckdb() {
    let root = LakeRoot::of_duckdb(&Location::parse(FOLDER).unwrap());
    let text = script(&duckdb_statements("lake", &root, &S3Access::default(), &[]));
    let expected = r#"INSTALL delta;

LOAD delta;

CREATE SCHEMA IF NOT EXISTS "lake";

CREATE OR REPLACE VIEW "lake"."ticks" AS
SELECT * FROM delta_scan('/data/it''s a "lake" \n `x` -- ;/ticks');

CREATE OR REPLACE VIEW "lake"."dead_letters" AS
SELECT * FROM delta_scan('/data/it''s a "lake" \n `x` -- ;/dead_letters');
"#;
    assert_eq!(text, expected);
    let root = LakeRoot::of_duckdb(&on_s3());
    let text = script(&duckdb_statements("lake", &root, &server(), &views(Dialect::Duckdb, &["lake"], &["latest"])));
    let secret = "CREATE OR REPLACE SECRET \"lake\" (TYPE s3, PROVIDER credential_chain, SCOPE 's3://bucket/it''s a \
                  lake', REGION 'us-east-1', ENDPOINT '127.0.0.1:9000', URL_STYLE 'path', USE_SSL false);";
    assert!(text.contains(secret), "{text}");
    assert!(text.contains("delta_scan('s3://bucket/it''s a lake/ticks')"), "{text}");
    assert!(text.contains("ts >= (CURRENT_TIMESTAMP - INTERVAL '7' DAY)"), "{text}");
}

#[test]
fn clickhouse() {
    let folder = Location::parse(FOLDER).unwrap();
    let root = LakeRoot::of_clickhouse(&folder, &S3Access::default()).unwrap();
    let text = script(&clickhouse_statements("lake", &root, None, &[]));
    let expected = r#"CREATE DATABASE IF NOT EXISTS `lake`;

CREATE OR REPLACE TABLE `lake`.`ticks` ENGINE = DeltaLakeLocal('/data/it\'s a "lake" \\n `x` -- ;/ticks');

CREATE OR REPLACE TABLE `lake`.`dead_letters` ENGINE = DeltaLakeLocal('/data/it\'s a "lake" \\n `x` -- ;/dead_letters');
"#;
    assert_eq!(text, expected);

    let root = LakeRoot::of_clickhouse(&on_s3(), &server()).unwrap();
    let made = views(Dialect::Clickhouse, &["lake"], &["volatility"]);
    let text = script(&clickhouse_statements("lake", &root, Some("keys"), &made));
    let table = "ENGINE = DeltaLake(`keys`, url = 'http://127.0.0.1:9000/bucket/it%27s%20a%20lake/ticks/');";
    assert!(text.contains(table), "{text}");
    assert!(text.contains("stddevSampStable") && text.contains("FROM\n"), "{text}");

    let region = S3Access { endpoint: None, region: Some("eu-west-1".to_owned()) };
    let root = LakeRoot::of_clickhouse(&on_s3(), &region).unwrap();
    assert_eq!(root.as_str(), "https://s3.eu-west-1.amazonaws.com/bucket/it%27s%20a%20lake");
    assert_eq!(LakeRoot::of_clickhouse(&on_s3(), &S3Access::default()), Err(RootError::NoRegion));
}

#[test]
fn trino() {
    let root = LakeRoot::given("local:///it's/").unwrap();
    let made = views(Dialect::Trino, &["delta", "lake"], &["symbols"]);
    let text = script(&trino_statements("delta", "lake", &root, &made));
    let expected = r#"CREATE SCHEMA IF NOT EXISTS "delta"."lake";

CALL "delta".system.register_table(schema_name => 'lake', table_name => 'ticks', table_location => 'local:///it''s/ticks');

CALL "delta".system.register_table(schema_name => 'lake', table_name => 'dead_letters', table_location => 'local:///it''s/dead_letters');

CREATE OR REPLACE VIEW "delta"."lake"."symbols" AS
SELECT"#;
    assert!(text.starts_with(expected), "{text}");
    assert!(text.contains("\"delta\".\"lake\".\"ticks\""), "{text}");
    assert_eq!(LakeRoot::of_trino(&Location::parse(FOLDER).unwrap()), Err(RootError::TrinoFolder));
    assert_eq!(LakeRoot::given("local:///").unwrap().table("ticks"), "local:///ticks");
}

#[test]
fn athena() {
    let root = LakeRoot::of_aws("Athena", &on_s3()).unwrap();
    let text = script(&athena_statements("lake", &root, &views(Dialect::Athena, &["lake"], &["symbols"])));
    let expected = r#"CREATE DATABASE IF NOT EXISTS `lake`;

CREATE EXTERNAL TABLE IF NOT EXISTS `lake`.`ticks` LOCATION 's3://bucket/it\'s a lake/ticks/' TBLPROPERTIES ('table_type' = 'DELTA');

CREATE EXTERNAL TABLE IF NOT EXISTS `lake`.`dead_letters` LOCATION 's3://bucket/it\'s a lake/dead_letters/' TBLPROPERTIES ('table_type' = 'DELTA');

CREATE OR REPLACE VIEW "lake"."symbols" AS
SELECT
  "symbol","#;
    assert!(text.starts_with(expected), "{text}");
    assert!(text.contains("CAST(\"first_ts\" AT TIME ZONE 'UTC' AS TIMESTAMP) AS \"first_ts\""), "{text}");
    let refused = LakeRoot::of_aws("Athena", &Location::parse("/data/lake").unwrap()).unwrap_err();
    assert!(refused.to_string().contains("Athena reads lakes on S3 only: /data/lake is a folder"), "{refused}");
}

#[test]
fn views_are_those_that_the_engine_can_say() {
    let catalog = NamedQueries::load(None).unwrap();
    let ours = ["atr", "ema", "macd", "rsi"];
    for dialect in [Dialect::Spark, Dialect::Duckdb, Dialect::Clickhouse, Dialect::Trino, Dialect::Athena] {
        let views = EngineViews::of(&catalog, &[], dialect, &["lake"]).unwrap();
        let left_out: Vec<&str> = views.left_out.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(left_out, ours, "{dialect:?}");
        assert_eq!(views.made.len() + ours.len(), catalog.iter().count());
        for view in &views.made {
            assert!(!view.body.contains('$') && !view.body.ends_with(';'), "{}", view.body);
        }
    }
    let wanted = |name: &str| EngineViews::of(&catalog, &[name.to_owned()], Dialect::Spark, &["lake"]).unwrap_err();
    assert!(wanted("ema").to_string().starts_with("--view ema: ema is a window function of tickhouse"));
    assert!(wanted("barz").to_string().contains("did you mean 'bars'?"));

    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine.sql"), "SELECT * FROM sectors").unwrap();
    std::fs::write(folder.path().join("whole.sql"), "SELECT * FROM dead_letters").unwrap();
    let catalog = NamedQueries::load(Some(folder.path())).unwrap();
    let views = EngineViews::of(&catalog, &[], Dialect::Trino, &["delta", "lake"]).unwrap();
    assert!(views.left_out.iter().any(|one| one.name == "mine" && one.reason.contains("sectors")));
    assert!(views.made.iter().any(|view| view.name == "whole" && view.columns.is_empty()));
    std::fs::write(folder.path().join("ticks.sql"), "SELECT 1 FROM ticks").unwrap();
    let catalog = NamedQueries::load(Some(folder.path())).unwrap();
    let refused = EngineViews::of(&catalog, &[], Dialect::Trino, &["lake"]).unwrap_err();
    assert!(matches!(&refused, QueryError::Usage(text) if text.contains("name of a table")), "{refused}");
}

#[test]
fn a_given_root_is_taken_as_it_is() {
    assert_eq!(LakeRoot::given("s3a://b/x/").unwrap().table("ticks"), "s3a://b/x/ticks");
    assert_eq!(LakeRoot::given(""), Err(RootError::Empty));
    assert!(matches!(LakeRoot::given("s3://b/\n"), Err(RootError::ControlCharacter(_))));
    assert!(LakeRoot::given("https://b/x").unwrap().require_s3("Glue").is_err());
}
