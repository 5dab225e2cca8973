//! How often a consumer connects to a broker that isn't there.
//!
//! librdkafka's own back-off counts only for brokers that it wants by itself. Whoever asks for one, as an admin request
//! that waits for the controller does with every change of a broker's state, makes it connect at once: a refused
//! connection is the reason for the next one, some 2,000 times a second. Each broker has a thread, which opens a socket for
//! each attempt and holds no lock meanwhile, so this is the place to wait.

use std::cell::Cell;
use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Of one thread. A broker that coordinates the group has two of them.
const PAUSE: Duration = Duration::from_secs(3);
/// Attempts that need no pause: the addresses of a host, or the first one after a connection that broke.
const AT_ONCE: u32 = 2;
/// A client that ends doesn't wait longer.
const SLICE: Duration = Duration::from_millis(50);

thread_local! {
    static PACE: Cell<Pace> = const { Cell::new(Pace { free_at: None }) };
}

/// What the threads of one client share.
#[derive(Default)]
pub(super) struct Sockets {
    closing: AtomicBool,
    opened: AtomicU32,
}

impl Sockets {
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(super) fn opened(&self) -> u32 {
        self.opened.load(Ordering::Relaxed)
    }
}

/// When the allowance would be whole again.
#[derive(Clone, Copy)]
struct Pace {
    free_at: Option<Instant>,
}

impl Pace {
    /// How long the next attempt has to wait.
    fn wait(&mut self, now: Instant) -> Duration {
        let free_at = self.free_at.map_or(now, |at| at.max(now)) + PAUSE;
        self.free_at = Some(free_at);
        free_at.saturating_duration_since(now + PAUSE * AT_ONCE)
    }
}

/// librdkafka's socket callback, on the thread of a broker.
///
/// SAFETY: `sockets` is a [`Sockets`] that lives as long as the client.
pub(super) unsafe fn open(domain: c_int, kind: c_int, protocol: c_int, sockets: *const Sockets) -> c_int {
    // SAFETY: promised by the caller; its fields are atomic.
    let sockets = unsafe { &*sockets };
    let wait = PACE.with(|pace| {
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
    fn attempts_come_in_their_time() {
        let start = Instant::now();
        let mut pace = Pace { free_at: None };
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
