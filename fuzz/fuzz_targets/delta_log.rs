//! A log of any bytes: `verify`'s reader, and the one of queries and ingest. Data is cut at 0xFF into the files of a log:
//! two commits, a hint, a checkpoint.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tickhouse::lake::{Audit, Lake, Location, StoreSettings};
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

const FILES: [&str; 4] = [
    "00000000000000000000.json",
    "00000000000000000001.json",
    "_last_checkpoint",
    "00000000000000000001.checkpoint.parquet",
];

fuzz_target!(|data: &[u8]| {
    let folder = tempfile::tempdir().expect("a folder");
    for table in ["ticks", "dead_letters"] {
        let log = folder.path().join(table).join("_delta_log");
        std::fs::create_dir_all(&log).expect("a folder of logs");
        for (name, bytes) in FILES.iter().zip(data.split(|byte| *byte == 0xFF)) {
            std::fs::write(log.join(name), bytes).expect("a file of a log");
        }
    }
    let location = Location::parse(folder.path().to_str().expect("a name")).expect("a location");
    let store = StoreSettings::default();
    RUNTIME.block_on(async {
        let audit = Audit::new(&location, &store).expect("a store");
        drop(audit.table("ticks").await);
        if let Ok(lake) = Lake::open(&location, &store).await {
            drop((lake.ticks(), lake.counters().await, lake.ticks_history(10).await));
        }
    });
});
