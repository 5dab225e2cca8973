//! What one server does at once, and for how long.

use super::*;

fn limits(running: usize, waiting: usize, patience: Duration) -> Option<Limits> {
    Some(Limits { running, waiting, patience, ..Limits::default() })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_takes_too_long_is_stopped_and_makes_room() {
    let place = lake().await;
    // The first look at the lake is waited for as well.
    let options = Options { limits: limits(1, 0, Duration::from_micros(1)), ..Options::default() };
    let server = start(&place, options).await;
    for _ in 0..20 {
        let problem = server.problem("/api/q/bars", StatusCode::GATEWAY_TIMEOUT).await;
        assert!(problem.contains("stopped after"), "{problem}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_that_find_no_room_are_told_to_come_again() {
    let place = lake().await;
    let options = Options { limits: limits(0, 1, Duration::from_secs(2)), ..Options::default() };
    let server = start(&place, options).await;
    assert_eq!(server.json("/api/meta").await["rows"], ROWS);
    let asks = ["bars", "latest", "symbols"].map(|name| format!("/api/q/{name}"));
    let answers = futures::future::join_all(asks.iter().map(|path| server.get(path))).await;
    let mut turned_away = 0;
    for answer in answers {
        if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
            assert!(answer.headers().contains_key("retry-after"));
            turned_away += 1;
        } else {
            assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
        }
    }
    assert_eq!(turned_away, 2, "one has a place, and it waits for its turn to the end");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_ask_the_same_take_one_place() {
    let place = lake().await;
    let options = Options { limits: limits(1, 0, PATIENCE), ..Options::default() };
    let server = start(&place, options).await;
    let path = "/api/q/correlation?symbol=AAPL&symbol=MSFT";
    let answers = futures::future::join_all((0..50).map(|_| server.get(path))).await;
    let mut bodies = Vec::new();
    for answer in answers {
        assert_eq!(answer.status(), StatusCode::OK);
        bodies.push(answer.bytes().await.unwrap());
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "one took the time that all of them tell");
    let other = server.json("/api/q/correlation?symbol=MSFT&symbol=AAPL").await;
    assert!(other["took_ms"].is_number());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn downloads_have_places_of_their_own() {
    let place = lake().await;
    let none = Limits { downloads: 0, ..Limits::default() };
    let server = start(&place, Options { limits: Some(none), ..Options::default() }).await;
    let problem = server.problem("/api/q/ticks?format=csv", StatusCode::SERVICE_UNAVAILABLE).await;
    assert!(problem.contains("downloads run already"), "{problem}");
    server.json("/api/q/ticks").await;
    server.stop().await;
    let brief = Limits { download_patience: Duration::ZERO, ..Limits::default() };
    let server = start(&place, Options { limits: Some(brief), ..Options::default() }).await;
    let problem = server.problem("/api/q/ticks?format=csv", StatusCode::SERVICE_UNAVAILABLE).await;
    assert!(problem.contains("too long"), "{problem}");
    server.stop().await;
}
