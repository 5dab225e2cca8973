//! The allocator of the process, on Linux of C code as well: jemalloc.
//!
//! Messages are allocated on librdkafka's threads and freed on the consumer's, and maintenance allocates in parallel.
//! glibc with one arena lets them wait for each other (ingest takes a quarter longer, and half as long again during a
//! compaction); with an arena a thread each keeps its own peak, and pages between what lives long are never given back.
#![allow(unsafe_code, reason = "jemalloc reads its settings from a symbol")]

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Free pages go back to the system by a thread of jemalloc, within a fifth of a second: sooner costs page faults,
/// later costs memory. Threads keep no blocks over 8 KiB for themselves: a fifth less memory during a compaction. The
/// variable `MALLOC_CONF` goes before it.
// SAFETY: jemalloc declares it as `const char *`, and only reads it; it ends with a NUL.
#[unsafe(export_name = "malloc_conf")]
static SETTINGS: &[u8; 76] = b"background_thread:true,lg_tcache_max:13,dirty_decay_ms:200,muzzy_decay_ms:0\0";
