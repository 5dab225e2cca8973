//! Where the time of an ingest goes: decode by message format, and a batch to Parquet.
//!
//! `cargo bench --bench kernels`; items are messages or rows.

#![allow(clippy::unwrap_used, reason = "a benchmark ends where a test would")]

use clap::ValueEnum;
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use tickhouse::decode::{Decoder, InputSettings, Preset, RawMessage, Verdict};
use tickhouse::ingest::{IngestBatch, IngestChunk, TickEncoder};
use tickhouse::market::{Counts, MarketZone, OffsetRange, PartitionBy};
use tickhouse::produce::Feed;
use tickhouse::produce::simulate::{SimulateSettings, SimulatedFeed, SimulationClock};
use tickhouse::produce::wire::MessageEncoder;

const MESSAGES: i64 = 100_000;
const CHUNK_MESSAGES: usize = 4_096;
const BEGIN: i64 = 1_795_185_000_000_000; // 2026-11-20T14:30:00Z
const SYMBOLS: [u32; 2] = [100, 1_000];

fn main() {
    divan::main();
}

fn zone() -> chrono_tz::Tz {
    chrono_tz::America::New_York
}

fn payloads(preset: Preset, symbols: u32) -> Vec<Vec<u8>> {
    let settings = SimulateSettings { symbols, clock: SimulationClock::From(BEGIN), ..SimulateSettings::default() };
    let mut feed = SimulatedFeed::new(&settings, MessageEncoder::new(preset, Some(zone())).unwrap());
    (0..MESSAGES).map(|_| feed.next_message().unwrap().unwrap().payload.to_vec()).collect()
}

fn decoder(preset: Preset) -> Decoder {
    let mut settings = InputSettings::preset(preset);
    if matches!(preset, Preset::SymbolClose | Preset::PriceChange) {
        settings.zone = Some(zone().name().to_owned());
    }
    Decoder::new(&settings, MarketZone::new(zone())).unwrap()
}

fn chunk(decoder: &mut Decoder, start: i64, payloads: &[Vec<u8>]) -> IngestChunk {
    let mut chunk = IngestChunk::empty(0, start, decoder.columns(), BEGIN);
    for (payload, offset) in payloads.iter().zip(start..) {
        let message =
            RawMessage { payload: Some(payload), key: None, headers: &[], offset, timestamp: Some(BEGIN / 1_000) };
        let verdict = decoder.decode(&message, &mut chunk.rows);
        assert!(matches!(verdict, Verdict::Ticks(1)), "{verdict:?}");
    }
    let messages = payloads.len() as i64;
    chunk.range = OffsetRange::new(start, start + messages).unwrap();
    chunk.counts = Counts { stored_offsets: messages, rows: chunk.rows.len() as i64, ..Counts::default() };
    chunk
}

fn chunks(decoder: &mut Decoder, payloads: &[Vec<u8>]) -> Vec<IngestChunk> {
    let starts = (0..).step_by(CHUNK_MESSAGES);
    payloads.chunks(CHUNK_MESSAGES).zip(starts).map(|(part, start)| chunk(decoder, start, part)).collect()
}

#[divan::bench(args = Preset::value_variants())]
fn decode(bencher: Bencher, preset: Preset) {
    let payloads = payloads(preset, 100);
    let mut decoder = decoder(preset);
    bencher
        .counter(ItemsCount::new(payloads.len()))
        .counter(BytesCount::new(payloads.iter().map(Vec::len).sum::<usize>()))
        .bench_local(|| chunks(&mut decoder, &payloads));
}

#[divan::bench(args = SYMBOLS)]
fn batch_to_parquet(bencher: Bencher, symbols: u32) {
    let mut batch = IngestBatch::default();
    for chunk in chunks(&mut decoder(Preset::Canonical), &payloads(Preset::Canonical, symbols)) {
        batch.push(chunk).unwrap();
    }
    let encoder = TickEncoder::new(0, PartitionBy::Day, &[]);
    bencher.counter(ItemsCount::new(batch.rows())).bench_local(|| encoder.encode(&batch).unwrap());
}
