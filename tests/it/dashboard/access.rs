//! Who is let in, and under which name.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn only_those_who_know_the_token_are_let_in() {
    let place = Place::folder();
    let server = start(&place, Options { token: true, ..Options::default() }).await;
    for path in ["/", "/assets/app.js", "/api/meta", "/api/q/bars", "/api/stream", "/nothing", "/api/meta?token=x"] {
        let problem = server.problem(path, StatusCode::UNAUTHORIZED).await;
        assert!(problem.contains("token"), "{path}: {problem}");
    }
    server.problem(&format!("/?token={TOKEN}x"), StatusCode::UNAUTHORIZED).await;
    server.problem("/?token=", StatusCode::UNAUTHORIZED).await;
    server.problem(&format!("/api/meta?token={TOKEN}"), StatusCode::UNAUTHORIZED).await;

    let response = server.get(&format!("/?token={TOKEN}&symbol=A%26B")).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(response.headers()["location"], "/?symbol=A%26B");
    let cookie = response.headers()["set-cookie"].to_str().unwrap().to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains(TOKEN));
    assert_eq!(server.get(&format!("/?token={TOKEN}")).await.headers()["location"], "/");
    let pair = cookie.split(';').next().unwrap();
    let bearer = format!("Bearer {TOKEN}");
    for (name, value, status) in [
        ("cookie", pair, StatusCode::OK),
        ("cookie", &format!("other=1; {pair}"), StatusCode::OK),
        ("cookie", &pair[..pair.len() - 1], StatusCode::UNAUTHORIZED),
        ("authorization", &bearer, StatusCode::OK),
        ("authorization", "Bearer x", StatusCode::UNAUTHORIZED),
        ("authorization", TOKEN, StatusCode::UNAUTHORIZED),
    ] {
        for path in ["/", "/api/meta"] {
            assert_eq!(server.send(Method::GET, path, &[(name, value)]).await.status(), status, "{name}: {value}");
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_known_hosts_are_answered() {
    let place = Place::folder();
    let options = Options { allow_host: vec!["Dash.example.com".to_owned()], ..Options::default() };
    let server = start(&place, options).await;
    for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]:80", "dash.example.com", "dash.example.com.:443"]
    {
        assert_eq!(server.send(Method::GET, "/", &[("host", host)]).await.status(), StatusCode::OK, "{host}");
    }
    for host in [
        "evil.example",
        "localhost.evil.example",
        "dash.example.com.evil",
        "127.0.0.1.nip.io",
        "10.0.0.1",
        "x@localhost",
    ] {
        for path in ["/", "/assets/app.js", "/api/meta", "/api/q/bars", "/api/stream", "/nothing"] {
            let status = server.send(Method::GET, path, &[("host", host)]).await.status();
            assert_eq!(status, StatusCode::FORBIDDEN, "{host}{path}");
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_reading_and_nothing_for_other_sites() {
    let place = Place::folder();
    let server = start(&place, Options::default()).await;
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS, Method::TRACE] {
        for path in ["/", "/api/meta", "/api/q/bars", "/nothing"] {
            let response = server.send(method.clone(), path, &[("origin", "http://evil.example")]).await;
            assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert_eq!(response.headers()["allow"], "GET, HEAD");
        }
    }
    for (site, status) in [
        ("none", StatusCode::OK),
        ("same-origin", StatusCode::OK),
        ("same-site", StatusCode::FORBIDDEN),
        ("cross-site", StatusCode::FORBIDDEN),
    ] {
        let response = server.send(Method::GET, "/api/meta", &[("sec-fetch-site", site)]).await;
        assert_eq!(response.status(), status, "{site}");
    }
    // A link on another page may lead to the page itself.
    let page = server.send(Method::GET, "/", &[("sec-fetch-site", "cross-site")]).await;
    assert_eq!(page.status(), StatusCode::OK);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn urls_and_headers_have_bounds() {
    let place = Place::folder();
    let server = start(&place, Options::default()).await;
    let long = "x".repeat(9_000);
    let problem = server.problem(&format!("/api/q/bars?symbol={long}"), StatusCode::URI_TOO_LONG).await;
    assert!(problem.contains("8192 bytes"), "{problem}");
    let large = "y".repeat(17_000);
    let response = server.send(Method::GET, "/", &[("x-large", &large)]).await;
    assert_eq!(response.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_of_an_ingest_are_behind_the_same_guard_and_probes_are_not() {
    let place = Place::folder();
    let status = watch::Sender::new(tickhouse::ingest::IngestStatus::default());
    let view = View::new(ProcessInfo::new("lake".to_owned(), "topic".to_owned(), 0), status.subscribe());
    let server = start(&place, Options { token: true, ingest: Some(view), ..Options::default() }).await;
    let bearer = format!("Bearer {TOKEN}");
    let stranger = ("host", "10.0.0.1:8080");
    for path in ["/metrics", "/status"] {
        server.problem(path, StatusCode::UNAUTHORIZED).await;
        let known = server.send(Method::GET, path, &[("authorization", &bearer)]).await;
        assert_eq!(known.status(), StatusCode::OK, "{path}");
        let elsewhere = server.send(Method::GET, path, &[("authorization", &bearer), stranger]).await;
        assert_eq!(elsewhere.status(), StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(server.send(Method::GET, "/livez", &[stranger]).await.status(), StatusCode::OK);
    assert_eq!(server.send(Method::GET, "/readyz", &[stranger]).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(server.send(Method::POST, "/livez", &[]).await.status(), StatusCode::METHOD_NOT_ALLOWED);
    server.stop().await;
}
