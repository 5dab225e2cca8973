//! The routes of the metrics server.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::families::families;
use super::status;
use super::text::CONTENT_TYPE;
use super::view::View;

/// The routes without a guard, which the server has to add.
pub fn routes(view: View) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .with_state(view)
}

fn yes_or_no(yes: bool, body: Value) -> Response {
    let status = if yes { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body)).into_response()
}

async fn livez(State(view): State<View>) -> Response {
    let moment = view.now();
    let (live, still_for) = (moment.is_live(), moment.still_for());
    yes_or_no(live, json!({ "live": live, "loop_still_seconds": rounded(still_for) }))
}

fn rounded(time: Duration) -> f64 {
    time.as_millis() as f64 / 1e3
}

async fn readyz(State(view): State<View>) -> Response {
    let moment = view.now();
    yes_or_no(moment.reasons().is_empty(), status::readiness(&moment))
}

async fn metrics(State(view): State<View>) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE))], families(&view.now())).into_response()
}

async fn status(State(view): State<View>) -> Json<Value> {
    Json(status::status(&view.now()))
}
