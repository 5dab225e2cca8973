// Formats numbers for reading: tabular, with a full-width minus sign and a dash for unknown values.

export const UNKNOWN = '–';
const MINUS = '−';

function isKnown(x: number | null | undefined): x is number {
  return x !== null && x !== undefined && Number.isFinite(x);
}

/** The number of decimals that shows a price as it was quoted: 2 for 187.34, 5 for 1.08345, at most 6. */
export function decimals(price: number | null | undefined): number {
  if (!isKnown(price)) return 2;
  const size = Math.abs(price);
  for (let digits = 2; digits <= 6; digits += 1) {
    const scale = 10 ** digits;
    if (Math.abs(size * scale - Math.round(size * scale)) < 1e-6 * Math.max(1, size)) return digits;
  }
  return size >= 100 ? 2 : size >= 1 ? 4 : 6;
}

const fixedFormats = new Map<number, Intl.NumberFormat>();

export function fixed(x: number | null | undefined, digits: number): string {
  if (!isKnown(x)) return UNKNOWN;
  let format = fixedFormats.get(digits);
  if (!format) {
    format = new Intl.NumberFormat('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
    fixedFormats.set(digits, format);
  }
  return format.format(x).replace('-', MINUS);
}

export function price(x: number | null | undefined, digits = decimals(x)): string {
  return fixed(x, digits);
}

export function count(x: number | null | undefined): string {
  return fixed(x, 0);
}

const UNITS: [number, string][] = [
  [1e12, 'T'],
  [1e9, 'B'],
  [1e6, 'M'],
  [1e3, 'K'],
];

/** Formats a number as 1,234 below ten thousand, then as 12.3K or 4.56M. */
export function compact(x: number | null | undefined): string {
  if (!isKnown(x)) return UNKNOWN;
  const size = Math.abs(x);
  if (size < 10_000) return fixed(x, Number.isInteger(x) ? 0 : size < 10 ? 2 : 1);
  for (const [unit, name] of UNITS) {
    if (size < unit) continue;
    const scaled = x / unit;
    return fixed(scaled, Math.abs(scaled) >= 100 ? 0 : Math.abs(scaled) >= 10 ? 1 : 2) + name;
  }
  return fixed(x, 0);
}

/** Formats a percentage with its sign. */
export function percent(x: number | null | undefined, digits = 2): string {
  if (!isKnown(x)) return UNKNOWN;
  return `${x > 0 ? '+' : ''}${fixed(x, digits)}%`;
}

/** A sign for the direction of a change, for readers who can't rely on colour. */
export function arrow(x: number | null | undefined): string {
  if (!isKnown(x) || x === 0) return '•';
  return x > 0 ? '▲' : '▼';
}

export function tone(x: number | null | undefined): 'up' | 'down' | 'flat' {
  if (!isKnown(x) || x === 0) return 'flat';
  return x > 0 ? 'up' : 'down';
}

/** Formats a duration in a fitting unit. */
export function duration(seconds: number | null | undefined): string {
  if (!isKnown(seconds)) return UNKNOWN;
  const s = Math.max(0, seconds);
  if (s < 1) return `${Math.round(s * 1000)} ms`;
  if (s < 10) return `${fixed(s, 1)} s`;
  if (s < 120) return `${Math.round(s)} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  if (s < 172_800) return `${fixed(s / 3600, 1)} h`;
  return `${Math.round(s / 86_400)} d`;
}

/** Replaces control and direction characters, which could change the text around a symbol or a name. */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '\ufffd');
}
