// Instants are milliseconds since the epoch (fraction = microseconds); zones only matter for showing and typing them.

export type ZoneChoice = 'exchange' | 'utc' | 'local';

const partsFormats = new Map<string, Intl.DateTimeFormat>();
const offsets = new Map<string, Map<number, number>>();
const QUARTER = 900_000;

const zoneNames = new Map<string, string>();

/** An IANA name, or UTC where the browser doesn't know the one that the server told. */
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

/** Milliseconds that the zone is ahead of UTC; constant within a quarter of an hour. */
export function offset(zone: string, ms: number): number {
  if (zone === 'UTC' || !Number.isFinite(ms)) return 0;
  let cache = offsets.get(zone);
  if (!cache) offsets.set(zone, (cache = new Map()));
  const quarter = Math.floor(ms / QUARTER);
  let known = cache.get(quarter);
  if (known === undefined) {
    if (cache.size > 5000) cache.clear();
    known = computeOffset(zone, quarter * QUARTER);
    cache.set(quarter, known);
  }
  return known;
}

const two = (n: number): string => (n < 10 ? `0${n}` : String(n));
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

function shifted(ms: number, zone: string): Date {
  return new Date(ms + offset(zone, ms));
}

/** 2025-11-21 */
export function date(ms: number, zone: string): string {
  const d = shifted(ms, zone);
  return `${d.getUTCFullYear()}-${two(d.getUTCMonth() + 1)}-${two(d.getUTCDate())}`;
}

/** 14:03, or 14:03:22 */
export function clock(ms: number, zone: string, seconds = true): string {
  const d = shifted(ms, zone);
  const minutes = `${two(d.getUTCHours())}:${two(d.getUTCMinutes())}`;
  return seconds ? `${minutes}:${two(d.getUTCSeconds())}` : minutes;
}

/** 14:03:22.123456 */
export function clockMicros(ms: number, zone: string): string {
  const micros = Math.round((ms - Math.floor(ms / 1000) * 1000) * 1000);
  return `${clock(ms, zone)}.${String(Math.min(micros, 999_999)).padStart(6, '0')}`;
}

/** 21 Nov */
export function dayMonth(ms: number, zone: string): string {
  const d = shifted(ms, zone);
  return `${d.getUTCDate()} ${MONTHS[d.getUTCMonth()]}`;
}

export function month(ms: number, zone: string): string {
  const d = shifted(ms, zone);
  return `${MONTHS[d.getUTCMonth()]} ${d.getUTCFullYear()}`;
}

/** 21 Nov 14:03:22 */
export function dateTime(ms: number, zone: string, seconds = true): string {
  return `${dayMonth(ms, zone)} ${clock(ms, zone, seconds)}`;
}

/** The instant that a wall clock of the zone shows as `2025-11-21T14:03`; null where that is no time. */
export function fromWall(text: string, zone: string): number | null {
  const wall = Date.parse(`${text.length === 16 ? `${text}:00` : text}Z`);
  if (!Number.isFinite(wall)) return null;
  const first = wall - offset(zone, wall);
  return wall - offset(zone, first);
}

/** For `datetime-local`. */
export function toWall(ms: number, zone: string): string {
  return `${date(ms, zone)}T${clock(ms, zone)}`;
}

export const INTERVALS = ['1s', '5s', '15s', '1m', '5m', '15m', '30m', '1h', '4h', '1d'] as const;
export type Interval = (typeof INTERVALS)[number];

export const RANGES = ['5m', '15m', '1h', '4h', '1d', '2d', '7d', '30d', 'all'] as const;
export type Range = (typeof RANGES)[number] | 'custom';

const UNIT: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of `15s`, `4h`. */
export function length(text: string): number {
  return Number(text.slice(0, -1)) * (UNIT[text.slice(-1)] ?? Number.NaN);
}

/** The coarsest interval that still gives about `bars` bars over a span. */
export function intervalFor(span: number, bars = 240): Interval {
  let best: Interval = '1s';
  for (const interval of INTERVALS) if (span / length(interval) >= bars) best = interval;
  return best;
}
