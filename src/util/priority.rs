//! Threads that give way to the others of the process.
#![allow(unsafe_code, reason = "setpriority has no safe wrapper here")]

/// As `nice` has it: such a thread gets a tenth of what the others get where all want the processor.
#[cfg(target_os = "linux")]
const GIVES_WAY: libc::c_int = 10;

/// From now on this thread gives way. Other systems know priorities of processes alone; nothing happens there.
pub fn give_way() {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: it takes numbers alone. On Linux 0 is the calling thread.
        let outcome = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, GIVES_WAY) };
        tracing::debug!(outcome, "gives way");
    }
}
