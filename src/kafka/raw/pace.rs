//! Limits how often a consumer connects to an unreachable broker.
//!
//! librdkafka's own back-off applies only to connections that it opens by itself. A request for a certain broker makes
//! it connect at once, as an admin request that waits for the controller does with every change of a broker's state: a
//! refused connection then causes the next one, some 2,000 times a second. Each broker has a thread, which opens a
//! socket for each attempt and holds no lock meanwhile, so the socket callback can wait.

use std::cell::Cell;
use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Pause between the attempts of one thread. A broker that coordinates the group has two threads.
const PAUSE: Duration = Duration::from_secs(3);
/// Attempts that need no pause: the addresses of a host, or the first one after a connection that broke.
const AT_ONCE: u32 = 2;
/// Longest sleep, so that a client that is closed doesn't wait longer.
const SLICE: Duration = Duration::from_millis(50);

thread_local! {
    static CONNECT_PACING: Cell<ConnectPacing> = const { Cell::new(ConnectPacing { free_at: None }) };
}

/// The state that the threads of one client share.
#[derive(Default)]
pub(super) struct SocketGate {
    closing: AtomicBool,
    opened: AtomicU32,
}

impl SocketGate {
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(super) fn opened(&self) -> u32 {
        self.opened.load(Ordering::Relaxed)
    }
}

/// Time at which all immediate attempts are available again.
#[derive(Clone, Copy)]
struct ConnectPacing {
    free_at: Option<Instant>,
}

impl ConnectPacing {
    /// How long the next attempt has to wait.
    fn wait(&mut self, now: Instant) -> Duration {
        let free_at = self.free_at.map_or(now, |at| at.max(now)) + PAUSE;
        self.free_at = Some(free_at);
        free_at.saturating_duration_since(now + PAUSE * AT_ONCE)
    }
}

/// librdkafka's socket callback, on the thread of a broker.
///
/// SAFETY: `sockets` is a [`SocketGate`] that lives as long as the client.
pub(super) unsafe fn open(domain: c_int, kind: c_int, protocol: c_int, sockets: *const SocketGate) -> c_int {
    // SAFETY: promised by the caller; its fields are atomic.
    let sockets = unsafe { &*sockets };
    let wait = CONNECT_PACING.with(|pace| {
        let mut state = pace.get();
        let wait = state.wait(Instant::now());
        pace.set(state);
        wait
    });
    let until = Instant::now() + wait;
    while !sockets.closing.load(Ordering::Relaxed) {
        match until.saturating_duration_since(Instant::now()) {
            Duration::ZERO => break,
            left => std::thread::sleep(left.min(SLICE)),
        }
    }
    sockets.opened.fetch_add(1, Ordering::Relaxed);
    // SAFETY: plain system calls; the descriptor is librdkafka's to close.
    unsafe {
        #[cfg(target_os = "linux")]
        return libc::socket(domain, kind | libc::SOCK_CLOEXEC, protocol);
        #[cfg(not(target_os = "linux"))]
        {
            let socket = libc::socket(domain, kind, protocol);
            if socket >= 0 {
                libc::fcntl(socket, libc::F_SETFD, libc::FD_CLOEXEC);
            }
            socket
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_paced() {
        let start = Instant::now();
        let mut pace = ConnectPacing { free_at: None };
        let mut wait = |seconds| pace.wait(start + Duration::from_secs(seconds));
        assert_eq!([wait(0), wait(0), wait(0)], [Duration::ZERO, Duration::ZERO, PAUSE]);
        assert_eq!(wait(6), Duration::ZERO, "one for each pause");
        assert_eq!(wait(6), PAUSE);
        assert_eq!(
            [wait(60), wait(60), wait(60)],
            [Duration::ZERO, Duration::ZERO, PAUSE],
            "an old connection is free"
        );
    }
}
