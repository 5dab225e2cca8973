// A sparkline: the last values as a line with a dot at its end. It is an SVG path, because hundreds of small canvases
// would each be a layer of the compositor.

import { setAttribute } from '../lib/dom';

const SPACE = 'http://www.w3.org/2000/svg';
const WIDTH = 100;
const HEIGHT = 18;

export class Sparkline {
  readonly el = document.createElementNS(SPACE, 'svg');
  private readonly line = document.createElementNS(SPACE, 'path');
  private readonly dot = document.createElementNS(SPACE, 'path');

  constructor(className: string) {
    this.el.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
    this.el.setAttribute('preserveAspectRatio', 'none');
    this.el.setAttribute('aria-hidden', 'true');
    this.el.setAttribute('class', className);
    this.dot.setAttribute('class', 'spark-dot');
    this.el.append(this.line, this.dot);
  }

  draw(values: number[], tone: 'up' | 'down' | 'flat'): void {
    if (values.length < 2) return setAttribute(this.line, 'd', '');
    let [low, high] = [Infinity, -Infinity];
    for (const value of values) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    const range = high - low || 1;
    const step = (WIDTH - 4) / (values.length - 1);
    let path = '';
    let [x, y] = [0, 0];
    values.forEach((value, at) => {
      [x, y] = [2 + at * step, 2 + (1 - (value - low) / range) * (HEIGHT - 4)];
      path += `${at === 0 ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`;
    });
    setAttribute(this.line, 'd', path);
    setAttribute(this.line, 'class', tone);
    // A line of no length with round caps stays a round dot, however the picture is stretched.
    setAttribute(this.dot, 'd', `M${x.toFixed(1)} ${y.toFixed(1)}h.01`);
    setAttribute(this.dot, 'class', `spark-dot ${tone}`);
  }
}
