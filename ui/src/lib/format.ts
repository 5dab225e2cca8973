// Numbers as people read them: tabular, a minus sign of full width, a dash for what is unknown.

export const UNKNOWN = '–';
const MINUS = '−';

function known(x: number | null | undefined): x is number {
  return x !== null && x !== undefined && Number.isFinite(x);
}

/** Decimals that show a price as it was quoted: 2 for 187.34, 5 for 1.08345; at most 6. */
export function decimals(price: number | null | undefined): number {
  if (!known(price)) return 2;
  const size = Math.abs(price);
  for (let digits = 2; digits <= 6; digits += 1) {
    const scale = 10 ** digits;
    if (Math.abs(size * scale - Math.round(size * scale)) < 1e-6 * Math.max(1, size)) return digits;
  }
  return size >= 100 ? 2 : size >= 1 ? 4 : 6;
}

const fixedFormats = new Map<number, Intl.NumberFormat>();

export function fixed(x: number | null | undefined, digits: number): string {
  if (!known(x)) return UNKNOWN;
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

/** 1,234 below ten thousand, then 12.3K, 4.56M. */
export function compact(x: number | null | undefined): string {
  if (!known(x)) return UNKNOWN;
  const size = Math.abs(x);
  if (size < 10_000) return fixed(x, Number.isInteger(x) ? 0 : size < 10 ? 2 : 1);
  for (const [unit, name] of UNITS) {
    if (size < unit) continue;
    const scaled = x / unit;
    return fixed(scaled, Math.abs(scaled) >= 100 ? 0 : Math.abs(scaled) >= 10 ? 1 : 2) + name;
  }
  return fixed(x, 0);
}

/** Percent with its sign. */
export function percent(x: number | null | undefined, digits = 2): string {
  if (!known(x)) return UNKNOWN;
  return `${x > 0 ? '+' : ''}${fixed(x, digits)}%`;
}

/** Direction without colour. */
export function arrow(x: number | null | undefined): string {
  if (!known(x) || x === 0) return '•';
  return x > 0 ? '▲' : '▼';
}

export function tone(x: number | null | undefined): 'up' | 'down' | 'flat' {
  if (!known(x) || x === 0) return 'flat';
  return x > 0 ? 'up' : 'down';
}

/** A length of time in its largest two units. */
export function duration(seconds: number | null | undefined): string {
  if (!known(seconds)) return UNKNOWN;
  const s = Math.max(0, seconds);
  if (s < 1) return `${Math.round(s * 1000)} ms`;
  if (s < 10) return `${fixed(s, 1)} s`;
  if (s < 120) return `${Math.round(s)} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  if (s < 172_800) return `${fixed(s / 3600, 1)} h`;
  return `${Math.round(s / 86_400)} d`;
}

/** A stray control or direction character of a name must not change the text around it. */
export function name(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '\ufffd');
}
