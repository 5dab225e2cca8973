//! The decoder of a consumer. Settings are resolved once, and buffers are reused for all messages.

use crate::market::{MarketZone, TickColumns, plausible_kafka_millis};

use crate::decode::field_source::{FieldSource, TimeUnit};
use crate::decode::input::{InputError, InputSettings, Preset};
use crate::decode::json::binance::Binance;
use crate::decode::json::coinbase::Coinbase;
use crate::decode::json::detail::{FoundValue, near};
use crate::decode::json::elements::TypedArrays;
use crate::decode::json::field_origin::FieldOrigin;
use crate::decode::json::finnhub::Finnhub;
use crate::decode::json::frames::{Frame, ObjectScan};
use crate::decode::json::plan::ScanPlan;
use crate::decode::json::precheck::text_of;
use crate::decode::json::row_reader::{RowReader, TickMapping};
use crate::decode::json::scan::Scanner;
use crate::decode::time::TimeReader;
use crate::decode::verdict::{Coercions, RawMessage, Rejection, RejectionReason, SkipKind, Verdict};

/// The structure of a JSON document with ticks.
#[derive(Debug, Clone)]
enum DocumentShape {
    /// An object with one tick.
    Object(ObjectScan, TickMapping),
    Binance(Binance),
    Coinbase(Coinbase),
    Finnhub(Finnhub),
    /// An array of objects that name their types.
    Elements(TypedArrays),
}

/// Decodes messages. The state that is kept between messages (caches and counters) never changes a verdict.
#[derive(Debug, Clone)]
pub struct Decoder {
    shape: DocumentShape,
    reader: RowReader,
    max_message_bytes: usize,
    needs_headers: bool,
    coercions: Coercions,
}

impl Decoder {
    /// Creates a decoder.
    ///
    /// # Errors
    /// The settings are invalid; see [`InputSettings::validate`].
    pub fn new(settings: &InputSettings, zone: MarketZone) -> Result<Self, InputError> {
        settings.validate()?;
        let extras: Vec<&str> = settings.columns.values().map(|spec| spec.path.as_str()).collect();
        let (shape, unit) = match settings.preset {
            Some(Preset::Binance) => (DocumentShape::Binance(Binance::new(&extras)), TimeUnit::Ms),
            Some(Preset::Coinbase) => (DocumentShape::Coinbase(Coinbase::new(&extras)), TimeUnit::Rfc3339),
            Some(Preset::Finnhub) => (DocumentShape::Finnhub(Finnhub::new(&extras)), TimeUnit::Ms),
            Some(Preset::Alpaca) => (DocumentShape::Elements(TypedArrays::alpaca(&extras)), TimeUnit::Rfc3339),
            Some(Preset::Massive) => (DocumentShape::Elements(TypedArrays::massive(&extras)), TimeUnit::Ms),
            Some(Preset::Canonical | Preset::SymbolClose | Preset::PriceChange) | None => {
                let mapping = settings.mapping().unwrap_or_default();
                (object_shape(&mapping, &extras), mapping.time_unit.unwrap_or(TimeUnit::Rfc3339))
            }
        };
        let mut time = TimeReader::new(unit, settings.time_zone()?).with_format(settings.time_format()?);
        if settings.preset == Some(Preset::Binance) {
            time = time.or_micros();
        }
        let sources = [&settings.symbol, &settings.ts, &settings.open, &settings.high, &settings.low, &settings.close];
        let more_sources = [&settings.volume, &settings.trade_id, &settings.source];
        let is_header = |source: &&Option<FieldSource>| matches!(source, Some(FieldSource::Header(_)));
        Ok(Self {
            shape,
            reader: RowReader::new(settings, time, zone),
            max_message_bytes: settings.max_message_bytes,
            needs_headers: sources.iter().chain(&more_sources).any(is_header),
            coercions: Coercions::default(),
        })
    }

    /// Empty columns with the layout that [`Decoder::decode`] appends to.
    pub fn columns(&self) -> TickColumns {
        TickColumns::with_extras(self.reader.extras.iter().map(|(_, spec)| spec.kind))
    }

    /// Whether [`RawMessage::headers`] has to be filled.
    pub fn needs_headers(&self) -> bool {
        self.needs_headers
    }

    /// The coercions of all messages that were accepted so far.
    pub fn coercions(&self) -> &Coercions {
        &self.coercions
    }

    /// Appends either all ticks of a message to `rows`, or none of them.
    pub fn decode(&mut self, message: &RawMessage<'_>, rows: &mut TickColumns) -> Verdict {
        let Some(payload) = message.payload else {
            return Verdict::Skipped(SkipKind::Tombstone);
        };
        let before = rows.len();
        let is_odd = plausible_kafka_millis(message.timestamp) != message.timestamp;
        self.reader.coercions = Coercions { kafka_timestamp: u64::from(is_odd), ..Coercions::default() };
        match self.read(payload, message, rows) {
            Ok(Verdict::Ticks(ticks)) => {
                self.coercions.add(&self.reader.coercions);
                Verdict::Ticks(ticks)
            }
            Ok(other) => other,
            Err(rejection) => {
                rows.truncate(before);
                Verdict::Dead(rejection)
            }
        }
    }

    fn read<'p>(
        &mut self,
        payload: &'p [u8],
        message: &RawMessage<'p>,
        rows: &mut TickColumns,
    ) -> Result<Verdict, Rejection> {
        let text = text_of(payload, self.max_message_bytes, &mut self.reader.coercions)?;
        self.read_text(text, message, rows).map_err(|rejection| near(rejection, text))
    }

    fn read_text<'p>(
        &mut self,
        text: &'p str,
        message: &RawMessage<'p>,
        rows: &mut TickColumns,
    ) -> Result<Verdict, Rejection> {
        let mut scanner = Scanner::new(text, 0);
        scanner.whitespace();
        let arrays = matches!(self.shape, DocumentShape::Elements(_) | DocumentShape::Binance(_));
        match scanner.peek() {
            Some(b'{') => {}
            Some(b'[') if arrays => {}
            Some(b'[') => {
                return Err(Rejection::new(
                    RejectionReason::NotObject,
                    "an array; only some presets have array frames",
                ));
            }
            _ => {
                let value = scanner.scalar()?;
                scanner.end()?;
                return Err(FoundValue::of(text, value).end(RejectionReason::NotObject, "no object but ".to_owned()));
            }
        }
        let mut frame = Frame::new(text, message, &mut self.reader, rows);
        match &mut self.shape {
            DocumentShape::Object(level, tick_mapping) => {
                level.scan_document(&mut scanner)?;
                frame.tick(tick_mapping, &level.captures)?;
            }
            DocumentShape::Binance(binance) => binance.read(&mut scanner, &mut frame)?,
            DocumentShape::Coinbase(coinbase) => coinbase.read(&mut scanner, &mut frame)?,
            DocumentShape::Finnhub(finnhub) => finnhub.read(&mut scanner, &mut frame)?,
            DocumentShape::Elements(elements) => elements.read(&mut scanner, &mut frame)?,
        }
        Ok(frame.verdict())
    }
}

fn object_shape(mapping: &InputSettings, extras: &[&str]) -> DocumentShape {
    let mut plan = ScanPlan::new();
    let mut origin = |source: &Option<FieldSource>| FieldOrigin::new(source.as_ref(), &mut plan);
    let mut tick_mapping = TickMapping {
        symbol: origin(&mapping.symbol),
        ts: origin(&mapping.ts),
        open: origin(&mapping.open),
        high: origin(&mapping.high),
        low: origin(&mapping.low),
        close: origin(&mapping.close),
        volume: origin(&mapping.volume),
        trade_id: origin(&mapping.trade_id),
        source: origin(&mapping.source),
        ..TickMapping::default()
    };
    tick_mapping.extras = extras.iter().map(|path| FieldOrigin::at(&mut plan, path)).collect();
    DocumentShape::Object(ObjectScan::new(plan), tick_mapping)
}
