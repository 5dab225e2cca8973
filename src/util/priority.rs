//! Threads with a lower priority than the others of the process.
#![allow(unsafe_code, reason = "setpriority has no safe wrapper here")]

/// Nice value: such a thread gets a tenth of the processor time of the others while all of them are busy.
#[cfg(target_os = "linux")]
const NICENESS: libc::c_int = 10;

/// Lowers the priority of this thread. Does nothing on systems that only have priorities of processes.
pub fn lower_thread_priority() {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: it takes numbers alone. On Linux 0 is the calling thread.
        let outcome = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS) };
        tracing::debug!(outcome, "lowered the priority of the thread");
    }
}
