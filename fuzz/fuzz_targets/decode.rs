//! A message of any bytes under every preset: one verdict, and rows only of a verdict that says so.

#![no_main]

use std::cell::RefCell;

use clap::ValueEnum;
use libfuzzer_sys::fuzz_target;
use tickhouse::decode::{Decoder, InputSettings, RawMessage, Preset, Verdict};
use tickhouse::market::MarketZone;

thread_local! {
    static DECODERS: RefCell<Vec<Decoder>> = RefCell::new(Preset::value_variants().iter().copied().map(decoder).collect());
}

fn decoder(preset: Preset) -> Decoder {
    let settings = InputSettings { preset: Some(preset), ..InputSettings::default() };
    Decoder::new(&settings, MarketZone::new("America/New_York".parse().expect("a zone"))).expect("a preset")
}

fuzz_target!(|data: &[u8]| {
    DECODERS.with_borrow_mut(|decoders| {
        for decoder in decoders {
            let mut rows = decoder.columns();
            let message =
                RawMessage { payload: Some(data), key: None, headers: &[], offset: 7, timestamp: Some(1_767_625_200_000) };
            let told = match decoder.decode(&message, &mut rows) {
                Verdict::Ticks(ticks) => ticks,
                Verdict::Skipped(_) | Verdict::Dead(_) => 0,
            };
            assert_eq!(rows.len(), told, "a verdict and its rows differ");
            for row in 0..rows.len() {
                let symbol = &rows.symbols[rows.symbol[row] as usize];
                assert!(!symbol.is_empty() && symbol.len() <= 64, "symbol of {} bytes", symbol.len());
                assert!(rows.close[row].is_finite() && rows.close[row] > 0.0, "a price of {}", rows.close[row]);
            }
        }
    });
});
