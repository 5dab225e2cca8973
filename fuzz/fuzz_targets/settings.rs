//! A configuration of any text: settings, or an error that is one line and names a key or a place.

#![no_main]

use std::cell::RefCell;
use std::io::{Seek, Write};

use libfuzzer_sys::fuzz_target;
use tempfile::NamedTempFile;
use tickhouse::decode::Decoder;
use tickhouse::market::MarketZone;
use tickhouse::cli::settings::Settings;

thread_local! {
    static FILE: RefCell<NamedTempFile> = RefCell::new(NamedTempFile::new().expect("a file"));
}

fuzz_target!(|data: &[u8]| {
    FILE.with_borrow_mut(|file| {
        file.as_file_mut().set_len(0).expect("an empty file");
        file.rewind().expect("its beginning");
        file.write_all(data).expect("written");
        match Settings::resolve(Some(file.path()), |_| {}) {
            Err(error) => assert!(!error.to_string().is_empty()),
            Ok(resolved) => {
                let settings = resolved.settings;
                if settings.input.validate().is_ok()
                    && let Ok(zone) = settings.ingest.market_zone.parse()
                {
                    let decoder = Decoder::new(&settings.input, MarketZone::new(zone));
                    assert!(decoder.is_ok(), "valid settings make no decoder");
                }
                // Each may be refused; none may panic.
                drop((
                    settings.location(),
                    settings.ingest.validate(),
                    settings.kafka.validate(),
                    settings.live.validate(),
                ));
            }
        }
    });
});
