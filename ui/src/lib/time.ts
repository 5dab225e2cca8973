// Times are milliseconds since the epoch, with microseconds as the fraction. Zones matter only where times are shown or
// typed.

export type ZoneChoice = 'exchange' | 'utc' | 'local';

const partsFormats = new Map<string, Intl.DateTimeFormat>();
const zoneOffsets = new Map<string, Map<number, number>>();
const QUARTER_HOUR_MS = 900_000;

const zoneNames = new Map<string, string>();

/** The IANA name of the chosen zone; UTC where the browser doesn't know the zone that the server sent. */
export function zoneName(choice: ZoneChoice, market: string | undefined): string {
  const key = `${choice} ${market ?? ''}`;
  let name = zoneNames.get(key);
  if (name === undefined) zoneNames.set(key, (name = findZone(choice, market)));
  return name;
}

function findZone(choice: ZoneChoice, market: string | undefined): string {
  if (choice === 'utc') return 'UTC';
  if (choice === 'local') return Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';
  try {
    return new Intl.DateTimeFormat('en', { timeZone: market || 'UTC' }).resolvedOptions().timeZone;
  } catch {
    return 'UTC';
  }
}

function computeOffset(zone: string, ms: number): number {
  let format = partsFormats.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
    partsFormats.set(zone, format);
  }
  const parts: Record<string, number> = {};
  for (const part of format.formatToParts(ms)) parts[part.type] = Number(part.value);
  const { year = 1970, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
  return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(ms / 1000) * 1000;
}

/** How many milliseconds the zone is ahead of UTC. The offset is constant within a quarter of an hour. */
export function zoneOffset(zone: string, ms: number): number {
  if (zone === 'UTC' || !Number.isFinite(ms)) return 0;
  let cache = zoneOffsets.get(zone);
  if (!cache) zoneOffsets.set(zone, (cache = new Map()));
  const quarter = Math.floor(ms / QUARTER_HOUR_MS);
  let cached = cache.get(quarter);
  if (cached === undefined) {
    if (cache.size > 5000) cache.clear();
    cached = computeOffset(zone, quarter * QUARTER_HOUR_MS);
    cache.set(quarter, cached);
  }
  return cached;
}

const twoDigits = (n: number): string => (n < 10 ? `0${n}` : String(n));
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

function inZone(ms: number, zone: string): Date {
  return new Date(ms + zoneOffset(zone, ms));
}

/** Formats a date as 2025-11-21. */
export function date(ms: number, zone: string): string {
  const d = inZone(ms, zone);
  return `${d.getUTCFullYear()}-${twoDigits(d.getUTCMonth() + 1)}-${twoDigits(d.getUTCDate())}`;
}

/** Formats a time as 14:03:22, or as 14:03 without seconds. */
export function clock(ms: number, zone: string, seconds = true): string {
  const d = inZone(ms, zone);
  const minutes = `${twoDigits(d.getUTCHours())}:${twoDigits(d.getUTCMinutes())}`;
  return seconds ? `${minutes}:${twoDigits(d.getUTCSeconds())}` : minutes;
}

/** Formats a time as 14:03:22.123456. */
export function clockMicros(ms: number, zone: string): string {
  const micros = Math.round((ms - Math.floor(ms / 1000) * 1000) * 1000);
  return `${clock(ms, zone)}.${String(Math.min(micros, 999_999)).padStart(6, '0')}`;
}

/** Formats a date as 21 Nov. */
export function dayMonth(ms: number, zone: string): string {
  const d = inZone(ms, zone);
  return `${d.getUTCDate()} ${MONTHS[d.getUTCMonth()]}`;
}

export function month(ms: number, zone: string): string {
  const d = inZone(ms, zone);
  return `${MONTHS[d.getUTCMonth()]} ${d.getUTCFullYear()}`;
}

/** Formats a time as 21 Nov 14:03:22. */
export function dateTime(ms: number, zone: string, seconds = true): string {
  return `${dayMonth(ms, zone)} ${clock(ms, zone, seconds)}`;
}

/**
 * The time at which a wall clock in the zone shows a text like `2025-11-21T14:03`; null where the text isn't a time.
 */
export function fromWallClock(text: string, zone: string): number | null {
  const wall = Date.parse(`${text.length === 16 ? `${text}:00` : text}Z`);
  if (!Number.isFinite(wall)) return null;
  const first = wall - zoneOffset(zone, wall);
  return wall - zoneOffset(zone, first);
}

/** The value of a `datetime-local` input that shows this time. */
export function toWallClock(ms: number, zone: string): string {
  return `${date(ms, zone)}T${clock(ms, zone)}`;
}

export const INTERVALS = ['1s', '5s', '15s', '1m', '5m', '15m', '30m', '1h', '4h', '1d'] as const;
export type Interval = (typeof INTERVALS)[number];

export const RANGES = ['5m', '15m', '1h', '4h', '1d', '2d', '7d', '30d', 'all'] as const;
export type Range = (typeof RANGES)[number] | 'custom';

const UNIT_MS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** The milliseconds of a text like `15s` or `4h`. */
export function parseDuration(text: string): number {
  return Number(text.slice(0, -1)) * (UNIT_MS[text.slice(-1)] ?? Number.NaN);
}

/** The coarsest interval that still gives about `bars` bars over a span. */
export function intervalFor(span: number, bars = 240): Interval {
  let best: Interval = '1s';
  for (const interval of INTERVALS) if (span / parseDuration(interval) >= bars) best = interval;
  return best;
}
