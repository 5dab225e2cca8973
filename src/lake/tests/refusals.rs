//! The errors when an S3 store can't be used: answers as S3 words them from a small server, and the
//! same of a real store where there is one.

use std::io::{Read, Write};
use std::net::TcpListener;

use super::*;
use crate::lake::error::StoreProblem;

/// Answers every request in the same way, for as long as the test runs.
fn server(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut request = Vec::new();
                let mut piece = [0; 4096];
                let header_end = loop {
                    let Ok(length @ 1..) = stream.read(&mut piece) else { return };
                    request.extend_from_slice(&piece[..length]);
                    if let Some(at) = request.windows(4).position(|four| four == b"\r\n\r\n") {
                        break at + 4;
                    }
                };
                let header = String::from_utf8_lossy(&request[..header_end]).to_ascii_lowercase();
                let length = header.split("content-length: ").nth(1).and_then(|text| text.lines().next());
                let missing = length.map_or(0, |text| text.trim().parse::<usize>().unwrap() + header_end);
                while request.len() < missing {
                    let Ok(length @ 1..) = stream.read(&mut piece) else { return };
                    request.extend_from_slice(&piece[..length]);
                }
                let body = if header.starts_with("head ") { "" } else { body };
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status}\r\netag: \"1\"\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
                stream.write_all(answer.as_bytes()).unwrap();
            });
        }
    });
    format!("http://{address}")
}

fn with_keys(endpoint: String) -> StoreSettings {
    StoreSettings {
        access_key_id: Some(Secret::new("PLANTED-KEY")),
        secret_access_key: Some(Secret::new("planted-secret")),
        ..s3_settings(endpoint)
    }
}

/// Both ways into a lake, each with its error.
async fn refused(bucket: &str, settings: &StoreSettings) -> [LakeError; 2] {
    let location = Location::parse(&format!("s3://{bucket}/lake-tests/{}", Uuid::new_v4())).unwrap();
    let errors = [
        Lake::open_or_create(&location, settings, &spec()).await.unwrap_err(),
        Lake::open(&location, settings).await.unwrap_err(),
    ];
    for error in &errors {
        let text = format!("{error} {error:?}");
        assert!(!text.contains("planted-secret") && !text.contains("PLANTED-KEY"), "{text}");
    }
    errors
}

fn problem(error: &LakeError) -> &StoreProblem {
    match error {
        LakeError::Store { problem, .. } => problem,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_bucket() {
    let answer = "<Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist</Message></Error>";
    for error in refused("lake", &with_keys(server("404 Not Found", answer))).await {
        assert_eq!(problem(&error), &StoreProblem::NoBucket, "{error}");
    }
    if let Some(test_lake) = s3() {
        for error in refused("no-such-bucket-here", &test_lake.settings).await {
            assert_eq!(problem(&error), &StoreProblem::NoBucket, "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_credentials() {
    for code in ["SignatureDoesNotMatch", "InvalidAccessKeyId", "ExpiredToken"] {
        let answer = match code {
            "SignatureDoesNotMatch" => {
                "<Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>PLANTED-KEY</AWSAccessKeyId></Error>"
            }
            "InvalidAccessKeyId" => "<Error><Code>InvalidAccessKeyId</Code></Error>",
            _ => "<Error><Code>ExpiredToken</Code></Error>",
        };
        for error in refused("lake", &with_keys(server("403 Forbidden", answer))).await {
            assert_eq!(problem(&error), &StoreProblem::Credentials { code: code.to_owned() }, "{error}");
        }
    }
    if let Some(test_lake) = s3() {
        let Location::S3 { bucket, .. } = &test_lake.location else { unreachable!("it is S3") };
        let wrong_secret =
            StoreSettings { secret_access_key: Some(Secret::new("planted-secret")), ..test_lake.settings.clone() };
        let wrong_key = StoreSettings { access_key_id: Some(Secret::new("PLANTED-KEY")), ..test_lake.settings.clone() };
        for settings in [wrong_secret, wrong_key] {
            for error in refused(bucket, &settings).await {
                assert!(matches!(problem(&error), StoreProblem::Credentials { .. }), "{error}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn denied_access() {
    let answer = "<Error><Code>AccessDenied</Code><Message>no policy allows s3:PutObject</Message></Error>";
    for error in refused("lake", &with_keys(server("403 Forbidden", answer))).await {
        assert!(matches!(problem(&error), StoreProblem::Denied { .. }), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_at_the_endpoint() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for error in refused("lake", &with_keys(format!("http://{free}"))).await {
        assert!(matches!(problem(&error), StoreProblem::Unreachable { .. }), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_ignores_if_none_match() {
    let location = Location::parse("s3://lake/x").unwrap();
    let settings = with_keys(server("200 OK", ""));
    let error = Lake::open_or_create(&location, &settings, &spec()).await.unwrap_err();
    assert!(matches!(error, LakeError::StoreIgnoresIfNoneMatch { .. }), "{error}");
}
