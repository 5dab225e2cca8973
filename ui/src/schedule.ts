// Schedules drawing in animation frames: only dirty panels on the screen are drawn, as many as fit into a frame, the
// rest in the next one. A burst of ticks therefore costs one drawing, and no task blocks the main thread for long.

const BUDGET_MS = 6;
const FRAME_MS = 16;

export interface Drawable {
  readonly visible: boolean;
  /** The least number of milliseconds between two drawings that live data requests. */
  readonly paceMs: number;
  draw(): void;
}

const dirty = new Map<Drawable, number>();
const drawnAt = new WeakMap<Drawable, number>();
let frame = 0;
let timer = 0;

/**
 * Requests a drawing. `immediately` draws in the next frame, regardless of the pace: for changes that the user made.
 */
export function scheduleDraw(drawable: Drawable, immediately = false): void {
  const due = immediately ? 0 : (drawnAt.get(drawable) ?? 0) + drawable.paceMs;
  dirty.set(drawable, Math.min(due, dirty.get(drawable) ?? Infinity));
  if (drawable.visible && !frame) frame = requestAnimationFrame(drawFrame);
}

/** Drops the drawings that live data requested and keeps those that the user requested. */
export function dropLiveDraws(): void {
  for (const [drawable, due] of dirty) if (due > 0) dirty.delete(drawable);
}

function drawFrame(): void {
  frame = 0;
  const begin = performance.now();
  let next = Infinity;
  for (const [drawable, due] of dirty) {
    if (!drawable.visible) continue;
    const now = performance.now();
    if (due > now || now - begin > BUDGET_MS) {
      next = Math.min(next, due);
      continue;
    }
    dirty.delete(drawable);
    drawnAt.set(drawable, now);
    drawable.draw();
  }
  const wait = next - performance.now();
  if (wait <= FRAME_MS) frame = requestAnimationFrame(drawFrame);
  else if (next !== Infinity) wakeAfter(wait);
}

/** Sets a timer for the next drawing, so that no frames are requested in between. */
function wakeAfter(wait: number): void {
  clearTimeout(timer);
  timer = window.setTimeout(() => {
    if (!frame) frame = requestAnimationFrame(drawFrame);
  }, wait);
}
