//! `tickhouse dashboard` as people start it.

use std::net::TcpListener;

use super::*;
use crate::support::Tickhouse;

#[test]
fn others_are_let_in_with_a_token_only() {
    let place = Place::folder();
    for (words, told) in [
        (vec!["--listen", "0.0.0.0:0"], "a token is needed: set TICKHOUSE_DASHBOARD_TOKEN"),
        (vec!["--listen", "[::]:0"], "a token is needed"),
        (vec!["--listen", "0.0.0.0:0", "--token", "planted"], "shorter than 16 bytes"),
        (vec!["--listen", "here"], "'here' is no address"),
        (vec!["--allow-host", "http://x"], "is no name"),
    ] {
        let run = Tickhouse::new(&["dashboard"]).flags(&place.flags());
        let run = run.flags(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        let finished = run.secret("planted").run();
        assert_eq!(finished.code, Some(2), "{words:?}: {finished:?}");
        assert!(finished.stderr.contains(told), "{words:?}: {finished:?}");
    }
    let finished = Tickhouse::new(&["dashboard"]).run();
    assert_eq!(finished.code, Some(2), "{finished:?}");
}

#[test]
fn it_says_where_it_is_until_it_is_stopped() {
    let (place, folder) = (Place::folder(), tempfile::tempdir().unwrap());
    let file = folder.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let mut live = Tickhouse::new(&["dashboard", "--listen", "127.0.0.1:0", "--log", "trace"])
        .flags(&place.flags())
        .env("TICKHOUSE_DASHBOARD_TOKEN_FILE", file.to_str().unwrap())
        .secret(TOKEN)
        .start();
    let line = live.line("dashboard at http://127.0.0.1:");
    assert!(line.ends_with("/?token=.. (with the token, once)"), "{line}");
    let url = line.split_whitespace().nth(2).unwrap().trim_end_matches("?token=..").to_owned();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let statuses = runtime.block_on(async {
        let client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let get = async |path: &str| client.get(format!("{url}{path}")).send().await.unwrap().status();
        [get("api/meta").await, get(&format!("?token={TOKEN}")).await]
    });
    assert_eq!(statuses, [StatusCode::UNAUTHORIZED, StatusCode::SEE_OTHER]);
    live.signal("TERM");
    assert_eq!(live.finish().code, Some(0));
}

#[test]
fn a_port_that_is_taken_is_told() {
    let place = Place::folder();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let finished = Tickhouse::new(&["dashboard", "--listen", &address]).flags(&place.flags()).run();
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains(&format!("listen on {address}: the port is taken")), "{finished:?}");

    // Whoever has it: this test, or somebody on this machine.
    let default = TcpListener::bind("127.0.0.1:8080");
    let mut live = Tickhouse::new(&["dashboard"]).flags(&place.flags()).start();
    live.line("port 8080 is taken");
    let line = live.line("dashboard at http://127.0.0.1:80");
    assert!(!line.contains(":8080"), "{line}");
    live.signal("INT");
    assert_eq!(live.finish().code, Some(0));
    drop(default);
}
