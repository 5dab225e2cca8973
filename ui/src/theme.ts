// The theme, light or dark, and its colours for canvases. The colours themselves are variables in the style sheet.

import type { Theme } from './state';

const light = matchMedia('(prefers-color-scheme: light)');
export const reducedMotion = matchMedia('(prefers-reduced-motion: reduce)');

export interface Palette {
  text: string;
  muted: string;
  faint: string;
  line: string;
  panel: string;
  raised: string;
  up: string;
  down: string;
  accent: string;
  warn: string;
  heatLow: string;
  heatMiddle: string;
  heatHigh: string;
  /** The colours of lines and slices, which differ in lightness as well as in hue. */
  series: string[];
  font: string;
}

let palette: Palette | null = null;

/** The colours of the current theme, read from the style sheet once per theme. */
export function colors(): Palette {
  if (palette) return palette;
  const style = getComputedStyle(document.documentElement);
  const get = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  palette = {
    text: get('text'),
    muted: get('muted'),
    faint: get('faint'),
    line: get('line'),
    panel: get('panel'),
    raised: get('raised'),
    up: get('up'),
    down: get('down'),
    accent: get('accent'),
    warn: get('warn'),
    heatLow: get('heat-low'),
    heatMiddle: get('heat-middle'),
    heatHigh: get('heat-high'),
    series: [1, 2, 3, 4, 5, 6, 7, 8].map((n) => get(`series-${n}`)),
    font: getComputedStyle(document.body).fontFamily,
  };
  return palette;
}

export function applyTheme(theme: Theme): void {
  document.documentElement.dataset['theme'] = theme !== 'auto' ? theme : light.matches ? 'light' : 'dark';
  palette = null;
}

export function onSystemTheme(act: () => void): void {
  light.addEventListener('change', act);
}

/** The colour with another opacity, as canvases need it. */
export function alpha(color: string, opacity: number): string {
  const hex = color.replace('#', '');
  const full = hex.length === 3 ? [...hex].map((c) => c + c).join('') : hex;
  const [r, g, b] = [0, 2, 4].map((at) => Number.parseInt(full.slice(at, at + 2), 16));
  return `rgba(${r}, ${g}, ${b}, ${opacity})`;
}
