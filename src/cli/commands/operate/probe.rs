//! `tickhouse probe`: sends one HTTP request. It is written by hand, because the response is a single line.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::ValueEnum;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cli::args::ProbeArgs;
use crate::cli::commands::print::print;

/// Timeout of the request, since orchestrators wait only a few seconds.
const PATIENCE: Duration = Duration::from_secs(5);
const LONGEST_ANSWER: u64 = 64 * 1024;

/// Runs the command.
///
/// # Errors
/// There is no response, or the response reports a problem.
pub(in crate::cli::commands) async fn run(args: &ProbeArgs) -> anyhow::Result<ExitCode> {
    let address = args.address.0;
    let asked = tokio::time::timeout(PATIENCE, ask(args)).await;
    let answer = asked.with_context(|| format!("{address} doesn't answer within {} s", PATIENCE.as_secs()))?;
    let answer = answer.with_context(|| format!("ask {address}; it is --metrics-listen of the ingest"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    match head.split(' ').nth(1) {
        Some("200") => print(&format!("{body}\n")).map(|()| ExitCode::SUCCESS),
        _ => bail!("{}: {body}", head.lines().next().unwrap_or_default()),
    }
}

async fn ask(args: &ProbeArgs) -> anyhow::Result<String> {
    let path = args.question.to_possible_value().context("a question has a name")?;
    let request = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path.get_name());
    let mut stream = TcpStream::connect(args.address.0).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(LONGEST_ANSWER).read_to_string(&mut answer).await?;
    Ok(answer)
}
