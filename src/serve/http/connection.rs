//! One HTTP/1.1 connection, with limits on its buffers and on how long it may be idle.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};
use tokio_util::sync::CancellationToken;

/// Timeouts of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConnectionTimeouts {
    /// Time to wait for the next request.
    pub(super) read: Duration,
    /// Time to wait until the client accepts more bytes.
    pub(super) write: Duration,
    /// Time for a pending response to finish after the server is stopped.
    pub(super) stop: Duration,
}

impl Default for ConnectionTimeouts {
    fn default() -> Self {
        Self { read: Duration::from_secs(60), write: Duration::from_secs(10), stop: Duration::from_millis(1_500) }
    }
}

const MOST_HEADERS: usize = 64;
const BUFFER_BYTES: usize = 64 * 1024;

/// Serves the connection until it ends, or until shortly after `stop` is cancelled.
pub(super) async fn serve<T>(stream: T, routes: Router, stop: CancellationToken, patience: ConnectionTimeouts)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stream = TimedConnection { inner: stream, patience: patience.write, stalled: None };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.read)
        .max_headers(MOST_HEADERS)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = stop.cancelled() => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(patience.stop, connection).await {
                Ok(ended) => ended,
                Err(_) => return tracing::debug!("a connection was cut off at the stop"),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// A connection that times out if the client accepts no bytes.
struct TimedConnection<T> {
    inner: T,
    patience: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<T> TimedConnection<T> {
    fn judge<R>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if polled.is_ready() {
            self.stalled = None;
            return polled;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the reader takes nothing")))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for TimedConnection<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for TimedConnection<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.judge(cx, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(cx);
        self.judge(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.judge(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, pieces);
        self.judge(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use bytes::Bytes;
    use futures::stream;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::task::JoinHandle;

    use super::*;

    fn endless() -> Router {
        let zeros = || stream::repeat_with(|| Ok::<_, io::Error>(Bytes::from_static(&[0; 1024])));
        Router::new().route("/", get(move || async move { Body::from_stream(zeros()) }))
    }

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
    const SHORT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(600);

    /// A client, and the task that serves its connection.
    fn served(patience: ConnectionTimeouts, stop: &CancellationToken) -> (DuplexStream, JoinHandle<()>) {
        let (server, client) = tokio::io::duplex(4 * 1024);
        (client, tokio::spawn(serve(server, endless(), stop.clone(), patience)))
    }

    #[tokio::test]
    async fn a_reader_that_takes_nothing_is_given_up() {
        let patience = ConnectionTimeouts { read: LONG, write: SHORT, stop: LONG };
        let (mut client, serving) = served(patience, &CancellationToken::new());
        client.write_all(REQUEST).await.unwrap();
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_that_asks_nothing_is_closed() {
        let patience = ConnectionTimeouts { read: SHORT, write: LONG, stop: LONG };
        let (mut client, serving) = served(patience, &CancellationToken::new());
        client.write_all(b"GET / HT").await.unwrap();
        serving.await.unwrap();
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
    }

    #[tokio::test]
    async fn a_stop_ends_it_soon() {
        let (stop, patience) = (CancellationToken::new(), ConnectionTimeouts { read: LONG, write: LONG, stop: SHORT });
        let (mut client, serving) = served(patience, &stop);
        client.write_all(REQUEST).await.unwrap();
        client.read_u8().await.unwrap();
        stop.cancel();
        serving.await.unwrap();
    }
}
