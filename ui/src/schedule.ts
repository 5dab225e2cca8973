// When things are drawn: in an animation frame, only what is dirty and on the screen, as much as fits into a frame;
// the rest in the next one. So a burst of ticks costs one drawing, and no task is long.

const BUDGET_MS = 6;
const FRAME_MS = 16;

export interface Drawable {
  readonly visible: boolean;
  /** Milliseconds between two drawings that live data asked for. */
  readonly pace: number;
  draw(): void;
}

const dirty = new Map<Drawable, number>();
const drawn = new WeakMap<Drawable, number>();
let frame = 0;
let timer = 0;

/** `now` draws in the next frame, whatever the pace: after something that the person did. */
export function mark(drawable: Drawable, now = false): void {
  const due = now ? 0 : (drawn.get(drawable) ?? 0) + drawable.pace;
  dirty.set(drawable, Math.min(due, dirty.get(drawable) ?? Infinity));
  if (drawable.visible && !frame) frame = requestAnimationFrame(run);
}

/** Forgets what live data asked for; what the person asked for stays. */
export function freeze(): void {
  for (const [drawable, due] of dirty) if (due > 0) dirty.delete(drawable);
}

function run(): void {
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
    drawn.set(drawable, now);
    drawable.draw();
  }
  const wait = next - performance.now();
  if (wait <= FRAME_MS) frame = requestAnimationFrame(run);
  else if (next !== Infinity) wake(wait);
}

/** Sleeps instead of counting frames until something is due. */
function wake(wait: number): void {
  clearTimeout(timer);
  timer = window.setTimeout(() => {
    if (!frame) frame = requestAnimationFrame(run);
  }, wait);
}
